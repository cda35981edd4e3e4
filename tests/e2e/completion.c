/* SPDX-License-Identifier: MIT */
/*
 * Completion in the shells themselves: bash and zsh on a terminal, where a person presses Tab, and
 * fish by what it would offer.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "lib/process.h"
#include "lib/screen.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

/* What is typed, Tab included, and the words the shell then has. */
static const struct {
	const char *typed, *words;
} cases[] = {
	{"tracealloc att\t", "<tracealloc><attach>"},
	{"tracealloc run --gro\t", "<tracealloc><run><--group-by>"},
	{"tracealloc run --group-by trace\t", "<tracealloc><run><--group-by><traceback>"},
	{"tracealloc run --show=cur\t", "<tracealloc><run><--show=current>"},
	{"tracealloc run -q -n 3 --eng\t", "<tracealloc><run><-q><-n><3><--engine>"},
	{"tracealloc report --filter modu\tlibc.so",
	 "<tracealloc><report><--filter><module=libc.so>"},
	{"tracealloc report one-sn\t", "<tracealloc><report><one-snapshot.file>"},
	{"tracealloc run --report=one-sn\t", "<tracealloc><run><--report=one-snapshot.file>"},
	{"tracealloc run --output one-sn\t", "<tracealloc><run><--output><one-snapshot.file>"},
	{"tracealloc help doc\t", "<tracealloc><help><doctor>"},
	{"tracealloc completion zs\t", "<tracealloc><completion><zsh>"},
	{"tracealloc run -n 3 zz-ser\t", "<tracealloc><run><-n><3><zz-server-of-ours>"},
	{"tracealloc run -- cat one-sn\t", "<tracealloc><run><--><cat><one-snapshot.file>"},
};

enum { CASES = sizeof(cases) / sizeof(*cases) };

static const struct shell {
	const char *name;
	const char *start[8];
	const char *prepare;
} shells[] = {
	{"bash",
	 {"bash", "--norc", "--noprofile", "-i"},
	 "bind 'set enable-bracketed-paste off'; source <(tracealloc completion bash)"},
	{"zsh",
	 {"zsh", "-f", "-i"},
	 "unset zle_bracketed_paste; autoload -Uz compinit; compinit -D -u; "
	 "source <(tracealloc completion zsh)"},
};

/* A directory to stand in, with a file, and a program that can be found by name. */
static void prepare(const struct scratch *scratch)
{
	_cleanup_free_ char *program = suite_tracealloc();
	_cleanup_free_ char *file = scratch_file(scratch, "one-snapshot.file");
	_cleanup_free_ char *server = scratch_file(scratch, "zz-server-of-ours");
	_cleanup_buffer_ struct buffer path = {0};

	scratch_write(file, "", 0);
	ck_assert_int_eq(symlink("/bin/true", server), 0);
	buffer_printf(&path, "%s:%.*s:%s", scratch->path, (int)(strrchr(program, '/') - program),
		      program, getenv("PATH"));
	setenv("PATH", buffer_text(&path), 1);
	ck_assert_int_eq(chdir(scratch->path), 0);
}

static bool is_there(const struct scratch *scratch, const char *shell)
{
	if (process_call(scratch, "which", ARGV("which", shell)) == 0)
		return true;
	suite_skip("%s is not installed", shell);
	return false;
}

/* Types a line with its Tab, puts a command before it that shows its words, and waits for these. */
static void expect_words(struct screen *screen, const char *typed, const char *words)
{
	screen_type(screen, typed);
	screen_type(screen, "\001printf '<%s>' \r");
	screen_until(screen, words);
}

START_TEST(tab_completes_in_shells_on_a_terminal)
{
	const struct shell *shell = &shells[_i];
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_screen_ struct screen screen = {0};

	scratch_make(&scratch);
	if (!is_there(&scratch, shell->name))
		return;
	prepare(&scratch);
	setenv("PS1", "", 1);
	screen_start("dumb", 500, shell->start, &screen);
	screen_type(&screen, shell->prepare);
	screen_type(&screen, "; echo read''y\r");
	screen_until(&screen, "ready");
	for (size_t i = 0; i < CASES; i++)
		expect_words(&screen, cases[i].typed, cases[i].words);
	ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

/* Whether a line is the last of the words, up to what was typed behind the Tab. */
static bool is_offered(const char *offers, const char *typed, const char *words)
{
	_cleanup_buffer_ struct buffer line = {0};
	const char *last = strrchr(words, '<') + 1, *behind = strchr(typed, '\t') + 1;
	buffer_char(&line, '\n');
	buffer_append(&line, last, strcspn(last, ">") - strlen(behind));
	const char *found = strstr(offers, buffer_text(&line));
	return found && strchr("\t\n", found[line.count]);
}

START_TEST(fish_offers_the_same)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	if (!is_there(&scratch, "fish"))
		return;
	prepare(&scratch);
	setenv("HOME", scratch.path, 1);
	for (size_t i = 0; i < CASES; i++) {
		_cleanup_buffer_ struct buffer script = {0};
		buffer_printf(&script,
			      "tracealloc completion fish | source; echo; complete -C '%.*s'",
			      (int)strcspn(cases[i].typed, "\t"), cases[i].typed);
		ck_assert_int_eq(
			process_call(&scratch, "fish",
				     ARGV("fish", "--no-config", "-c", buffer_text(&script))),
			0);
		_cleanup_free_ char *offers = tracealloc_text(&scratch, "fish.out");
		ck_assert_msg(is_offered(offers, cases[i].typed, cases[i].words), "%s: %s",
			      cases[i].typed, offers);
	}
	ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

START_TEST(processes_of_ours_are_offered_by_their_names)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_buffer_ struct buffer line = {0};

	scratch_make(&scratch);
	ck_assert_int_eq(tracealloc_call(&scratch, ARGV("completion", "words", "attach", "")), 0);
	_cleanup_free_ char *offers = tracealloc_text(&scratch, "call.out");
	buffer_printf(&line, "%d\tcompletion\n", getpid());
	ck_assert_msg(strstr(offers, buffer_text(&line)), "%s", offers);
	ck_assert_msg(!strstr(offers, "\tkthreadd\n"), "%s", offers);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("completion");
	TCase *shell_case = suite_case(suite, "shells", 120);

	tcase_add_loop_test(shell_case, tab_completes_in_shells_on_a_terminal, 0, 2);
	tcase_add_test(shell_case, fish_offers_the_same);
	tcase_add_test(shell_case, processes_of_ours_are_offered_by_their_names);
	return suite_run(suite);
}
