/* SPDX-License-Identifier: MIT */
/* What doctor says of processes and of programs that do not run. */
#include <check.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

__attribute__((format(printf, 2, 3))) static void in_scratch(const struct scratch *scratch,
							     const char *format, ...)
{
	char text[1024], whole[1200];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	snprintf(whole, sizeof whole, "cd %s && %s", scratch->path, text);
	ck_assert_msg(system(whole) == 0, "%s", whole);
}

/* What doctor prints of a program or process. */
static char *doctor(const struct scratch *scratch, const char *const arguments[])
{
	int status = tracealloc_call(scratch, arguments);
	_cleanup_free_ char *errors = tracealloc_text(scratch, "call.err");
	ck_assert_msg(status == 0, "status %#x: %s", status, errors);
	ck_assert_str_eq(errors, "");
	return tracealloc_text(scratch, "call.out");
}

static json_t *doctor_json(const struct scratch *scratch, const char *subject)
{
	_cleanup_free_ char *text = doctor(scratch, ARGV("doctor", "--format", "json", subject));
	json_t *root = json_loads(text, 0, NULL);
	ck_assert_msg(root != NULL, "%s", text);
	return root;
}

/* The object of the array root[key] whose member `name` is value; NULL: there is none. */
static json_t *find(const json_t *root, const char *key, const char *name, const char *value)
{
	size_t i;
	json_t *each;
	json_array_foreach(json_object_get(root, key), i, each)
	{
		const char *text = json_string_value(json_object_get(each, name));
		if (text && strcmp(text, value) == 0)
			return each;
	}
	return NULL;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static void expect(const char *text, const char *part)
{
	ck_assert_msg(strstr(text, part) != NULL, "without \"%s\": %s", part, text);
}

static const char library_source[] = "void *widget(void *p) { return p; }\\n";
static const char program_source[] = "#include <stdlib.h>\\nvoid *widget(void *);\\n"
				     "int main(void) { return widget(malloc(10)) == 0; }\\n";

START_TEST(a_program_has_the_allocator_of_its_c_library)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_free_ char *target = suite_target("calls");
	scratch_make(&scratch);
	json_t *root = doctor_json(&scratch, target);
	ck_assert_str_eq(text_of(root, "program"), target);
	ck_assert(json_is_null(json_object_get(root, "pid")));
	const json_t *function = find(root, "functions", "function", "malloc");
	ck_assert_str_eq(text_of(function, "kind"), "found");
	expect(text_of(function, "module"), "/libc.so.6");
	ck_assert_str_eq(text_of(find(root, "functions", "function", "free_sized"), "kind"),
			 "missing");
	const json_t *module = find(root, "modules", "path", target);
	ck_assert(json_is_true(json_object_get(module, "lines")));
	ck_assert(json_is_true(json_object_get(module, "found")));
	ck_assert_int_gt(json_integer_value(json_object_get(module, "unwind_rows")), 0);
	ck_assert_ptr_nonnull(find(root, "modules", "path", text_of(function, "module")));
	json_decref(root);
}
END_TEST

START_TEST(a_static_program_has_an_allocator_of_its_own)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	scratch_make(&scratch);
	_cleanup_free_ char *program = scratch_file(&scratch, "prog");
	in_scratch(&scratch, "printf '%s%s' >prog.c && gcc -static -o prog prog.c && strip -d prog",
		   library_source, program_source);
	json_t *root = doctor_json(&scratch, program);
	ck_assert_uint_eq(json_array_size(json_object_get(root, "modules")), 1);
	const json_t *function = find(root, "functions", "function", "malloc");
	ck_assert_str_eq(text_of(function, "kind"), "found");
	ck_assert_str_eq(text_of(function, "module"), program);
	ck_assert(json_is_false(json_object_get(find(root, "modules", "path", program), "lines")));
	json_decref(root);
}
END_TEST

START_TEST(a_library_elsewhere_is_a_line_and_nothing_is_run)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	scratch_make(&scratch);
	_cleanup_free_ char *program = scratch_file(&scratch, "prog");
	_cleanup_free_ char *marker = scratch_file(&scratch, "was-run");
	in_scratch(&scratch,
		   "printf '%s' >lib.c && printf '%s' >prog.c && "
		   "gcc -shared -fPIC -o libwidget-test.so lib.c && "
		   "printf '#!/bin/sh\\ntouch %s\\n' >loader && chmod +x loader && "
		   "gcc -s -o prog prog.c -L. -lwidget-test -Wl,--build-id=none "
		   "-Wl,--dynamic-linker=%s/loader",
		   library_source, program_source, marker, scratch.path);
	_cleanup_free_ char *text = doctor(&scratch, ARGV("doctor", program));
	expect(text, "  libwidget-test.so: not in the standard directories: the program may find "
		     "it elsewhere\n");
	expect(text, "/libc.so.6\n  malloc           found\n");
	expect(text, "\n  not in it: free_sized, free_aligned_sized\n");
	expect(text, "/prog: no lines: build it with -g; unwind table of ");
	expect(text, "  loader: not in the standard directories");
	ck_assert_int_ne(access(marker, F_OK), 0);
}
END_TEST

START_TEST(a_process_has_its_modules_with_what_is_known_of_each)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	char pid[16];
	scratch_make(&scratch);
	pid_t child = fork();
	if (child == 0) {
		execlp("sleep", "sleep", "1000", NULL);
		_exit(127);
	}
	snprintf(pid, sizeof pid, "%d", (int)child);
	char link[64], now[512] = "", *base = NULL;
	snprintf(link, sizeof link, "/proc/%s/exe", pid);
	while (!base || strcmp(base, "/sleep") != 0) { /* its exec is awaited */
		ssize_t count = readlink(link, now, sizeof now - 1);
		now[count < 0 ? 0 : count] = 0;
		base = strrchr(now, '/');
		usleep(1000);
	}
	json_t *root = NULL, *function = NULL;
	while (!function) { /* and its C library */
		json_decref(root);
		root = doctor_json(&scratch, pid);
		function = find(root, "functions", "function", "malloc");
	}
	ck_assert(json_is_null(json_object_get(root, "program")));
	ck_assert_int_eq(json_integer_value(json_object_get(root, "pid")), child);
	ck_assert_str_eq(text_of(function, "kind"), "jump");
	ck_assert_int_eq(json_integer_value(json_object_get(root, "leftovers")), 0);
	ck_assert_ptr_nonnull(find(root, "modules", "path", text_of(function, "module")));
	ck_assert_ptr_nonnull(find(root, "modules", "path", now));
	json_decref(root);
	_cleanup_free_ char *text = doctor(&scratch, ARGV("doctor", pid));
	expect(text, "  malloc           jump\n");
	expect(text, "\ndebug information:\n");
	expect(text, "\nnothing left by a tracealloc that was killed\n");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}
END_TEST

START_TEST(what_is_no_program_is_told_in_one_line)
{
	static const char *const makers[] = {"mkfifo -m 755 prog", "echo text >prog; chmod +x prog",
					     "mkdir prog", "touch prog", "ln -s prog prog"};
	_cleanup_scratch_ struct scratch scratch = {0};
	scratch_make(&scratch);
	_cleanup_free_ char *program = scratch_file(&scratch, "prog");
	in_scratch(&scratch, "%s", makers[_i]);
	int status = tracealloc_call(&scratch, ARGV("doctor", program));
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "call.err");
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "%#x: %s", status, errors);
	expect(errors, program);
	ck_assert_ptr_eq(strchr(errors, '\n') + 1, errors + strlen(errors));
}
END_TEST

/* "permitted" of the row; doctor is asked as that user of setpriv(1). */
static bool is_permitted(const struct scratch *scratch, const char *who, const char *what)
{
	_cleanup_free_ char *binary = suite_tracealloc();
	in_scratch(scratch, "cp %s own && %s ./own doctor --format json >who.json", binary, who);
	_cleanup_free_ char *text = tracealloc_text(scratch, "who.json");
	json_t *root = json_loads(text, 0, NULL);
	ck_assert_msg(root != NULL, "%s", text);
	const json_t *row = find(root, "permissions", "what", what);
	ck_assert_msg(row != NULL, "%s", text);
	bool permitted = json_is_true(json_object_get(row, "permitted"));
	ck_assert_msg(permitted == json_is_null(json_object_get(row, "remedy")), "%s", text);
	json_decref(root);
	return permitted;
}

START_TEST(without_an_argument_it_says_what_is_permitted)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	scratch_make(&scratch);
	_cleanup_free_ char *text = doctor(&scratch, ARGV("doctor"));
	expect(text, "run a program: permitted\n");
	ck_assert(is_permitted(&scratch, "", "run a program"));
	if (geteuid() != 0) {
		suite_skip("only root can give its capabilities up");
		return;
	}
	static const char *const nobody = "setpriv --reuid 65534 --clear-groups";
	ck_assert(is_permitted(&scratch, nobody, "run a program"));
	ck_assert(!is_permitted(&scratch, nobody, "attach to any process"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("doctor");
	TCase *tests = suite_case(suite, "doctor", 120);

	tcase_add_test(tests, a_program_has_the_allocator_of_its_c_library);
	tcase_add_test(tests, a_static_program_has_an_allocator_of_its_own);
	tcase_add_test(tests, a_library_elsewhere_is_a_line_and_nothing_is_run);
	tcase_add_test(tests, a_process_has_its_modules_with_what_is_known_of_each);
	tcase_add_test(tests, without_an_argument_it_says_what_is_permitted);
	tcase_add_loop_test(tests, what_is_no_program_is_told_in_one_line, 0, 5);
	return suite_run(suite);
}
