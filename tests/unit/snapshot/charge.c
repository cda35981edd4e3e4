/* SPDX-License-Identifier: MIT */
#include "snapshot/charge.h"

#include <check.h>
#include <string.h>

/* Frames that must never be charged while a plain one with a line stands above them. */
static const struct snapshot_frame wrappers[] = {
	{.function = "malloc", .module = "/lib/libc.so.6"},
	{.function = "__libc_calloc", .module = "/lib/libc.so.6"},
	{.function = "malloc", .module = "/usr/lib/libjemalloc.so.2"},
	{.function = "realloc@@GLIBC_2.2.5", .module = "/lib/libc.so.6"},
	{.function = "strdup", .file = "./string/strdup.c", .line = 42, .module = "/lib/libc.so.6"},
	{.function = "__strndup", .module = "/lib/libc-2.31.so"},
	{.function = "__GI___strdup", .module = "/lib/libc.so.6"},
	{.function = "_IO_getdelim", .file = "iogetdelim.c", .line = 3, .module = "/lib/libc.so.6"},
	{.function = "__vasprintf_internal", .module = "/lib/libc.so.6"},
	{.function = "___asprintf_chk", .module = "/lib/libc.so.6"},
	{.function = "open_memstream", .module = "/lib/ld-musl-x86_64.so.1"},
	{.function = "operator new(unsigned long)",
	 .linkage = "_Znwm",
	 .file = "new_op.cc",
	 .line = 50},
	{.function = "operator new[](unsigned long, std::nothrow_t const&)",
	 .file = "x",
	 .line = 1},
	{.function = "std::vector<int, std::allocator<int> >::push_back(int&&)",
	 .file = "v",
	 .line = 9},
	{.function = "void std::vector<int>::_M_realloc_insert<int>(int*, int&&)",
	 .file = "v",
	 .line = 9},
	{.function = "std::unique_ptr<A, std::default_delete<A> > std::make_unique<A>()",
	 .file = "v",
	 .line = 9},
	{.function = "__gnu_cxx::new_allocator<int>::allocate(unsigned long)",
	 .file = "v",
	 .line = 9},
	{.function = "allocate",
	 .linkage = "_ZNSt15__new_allocatorIiE8allocateEmPKv",
	 .file = "v",
	 .line = 9},
	{.function = "f", .file = "/usr/include/c++/12/bits/new_allocator.h", .line = 137},
	{.function = "f", .file = "/usr/lib/llvm-14/include/c++/v1/new", .line = 7},
	{.function = "alloc::vec::Vec<T>::push",
	 .linkage = "_ZN5alloc3vec12Vec$LT$T$GT$4push17h0123456789abcdefE",
	 .file = "a",
	 .line = 1},
	{.function = "<alloc::vec::Vec<T> as core::clone::Clone>::clone",
	 .linkage = "_RNvXs_x",
	 .file = "a",
	 .line = 1},
	{.function = "core::ptr::drop", .file = "/x/mod.rs", .line = 1},
	{.function = "__rust_alloc_zeroed", .file = "a", .line = 1},
	{.function = "__rg_alloc", .file = "a", .line = 1},
	{.function = "f", .file = "/rustc/0123abcd/library/alloc/src/vec/mod.rs", .line = 1},
	{.function = "f", .file = "/usr/src/rustc-1.63.0/library/std/src/thread.rs", .line = 1},
};

/* Frames that look like wrappers and are somebody's own. */
static const struct snapshot_frame own[] = {
	{.function = "strdup", .file = "my/strdup.c", .line = 3, .module = "/usr/bin/prog"},
	{.function = "getline", .file = "a.c", .line = 3, .module = "/usr/lib/libcurses.so"},
	{.function = "xmalloc", .file = "x.c", .line = 3, .module = "/usr/lib/libiberty.so"},
	{.function = "mail_open",
	 .file = "m.c",
	 .line = 3,
	 .module = "/usr/lib/libc-client.so.2007e"},
	{.function = "main", .file = "m.c", .line = 3, .module = "/usr/bin/ld-wrapper"},
	{.function = "Pool::operator new(unsigned long)",
	 .linkage = "_ZN4PoolnwEm",
	 .file = "p.cc",
	 .line = 3},
	{.function = "std::string make<int>(int)",
	 .linkage = "_Z4makeIiESsT_",
	 .file = "m.cc",
	 .line = 3},
	{.function = "std::vector<int, std::allocator<int> > ns::get<int>()",
	 .file = "m.cc",
	 .line = 3},
	{.function = "ns::T::operator std::string() const", .file = "m.cc", .line = 3},
	{.function = "(anonymous namespace)::f(std::string)", .file = "m.cc", .line = 3},
	{.function = "void apply<std::less<int> >(std::less<int>)", .file = "m.cc", .line = 3},
	{.function = "stdx::f()", .file = "m.cc", .line = 3},
	{.function = "core::Engine::start()",
	 .linkage = "_ZN4core6Engine5startEv",
	 .file = "core.cc",
	 .line = 3},
	{.function = "alloc::Arena::get()", .file = "arena.cc", .line = 3},
	{.function = "crate::f", .file = "/home/me/rustc-plugin/src/f.rs", .line = 3},
	{.function = NULL, .file = "a.c", .line = 3},
};

static const struct snapshot_frame caller = {.function = "main",
					     .file = "/src/main.c",
					     .label = "main.c",
					     .line = 12,
					     .module = "/bin/prog"};

static size_t charged(const struct snapshot_frame *frames, size_t count, struct query query)
{
	static uint32_t stack[] = {0, 1, 2, 3};
	struct snapshot snapshot = {.frames = (struct snapshot_frame *)frames,
				    .frame_count = count,
				    .stacks = stack,
				    .stack_count = count};
	ck_assert_uint_le(count, sizeof stack / sizeof *stack);
	struct snapshot_site site = {.frame_count = count};
	_cleanup_charge_ struct charge charge;
	ck_assert_ptr_null(charge_init(&charge, &snapshot, &query));
	size_t result = charge_frame(&charge, &site);
	/* What is known by now says the same. */
	ck_assert_uint_eq(charge_frame(&charge, &site), result);
	return result;
}

START_TEST(allocator_functions_and_their_wrappers_are_skipped)
{
	struct snapshot_frame stack[] = {wrappers[_i], caller};
	ck_assert_msg(charged(stack, 2, (struct query){0}) == 1, "%s", wrappers[_i].function);
	ck_assert_msg(charged(stack, 2, (struct query){.charge = QUERY_CHARGE_CALLEE}) == 1, "%s",
		      wrappers[_i].function);
}
END_TEST

START_TEST(functions_that_only_look_like_wrappers_are_charged)
{
	struct snapshot_frame stack[] = {own[_i], caller};
	ck_assert_msg(charged(stack, 2, (struct query){0}) == 0, "%s",
		      own[_i].function ? own[_i].function : "no function");
}
END_TEST

START_TEST(a_library_without_lines_charges_the_line_that_called_it)
{
	struct snapshot_frame stack[] = {
		{.function = "xmlNewNode", .module = "/usr/lib/libxml2.so.2"},
		{.module = "/usr/lib/libxml2.so.2", .offset = 0x1234},
		caller,
	};
	ck_assert_uint_eq(charged(stack, 3, (struct query){0}), 2);
	ck_assert_uint_eq(charged(stack, 3, (struct query){.charge = QUERY_CHARGE_CALLEE}), 0);
	/* A file without a line is not a source line. */
	stack[0].file = "tree.c";
	ck_assert_uint_eq(charged(stack, 3, (struct query){0}), 2);
}
END_TEST

START_TEST(without_any_line_the_innermost_remaining_frame_is_charged)
{
	struct snapshot_frame stack[] = {
		{.function = "malloc", .module = "/lib/libc.so.6"},
		{.function = "first", .module = "/usr/lib/liba.so"},
		{.function = "second", .module = "/usr/lib/liba.so"},
	};
	ck_assert_uint_eq(charged(stack, 3, (struct query){0}), 1);
}
END_TEST

START_TEST(what_the_c_library_allocates_is_held_for_its_caller_with_or_without_debug_information)
{
	static const char *const modules[] = {
		"/lib/x86_64-linux-gnu/libc.so.6",
		"/lib/libc-2.31.so",
		"/lib/libc.musl-x86_64.so.1",
		"/lib64/ld-linux-x86-64.so.2",
		"/lib/ld-2.31.so",
		"/lib/ld-musl-x86_64.so.1",
	};
	for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
		struct snapshot_frame stack[] = {
			{.function = "__fopen_internal", .file = "iofopen.c", .line = 65},
			{.function = "stripped", .module = "/usr/bin/prog"},
			caller,
		};
		stack[0].module = modules[i];
		ck_assert_msg(charged(stack, 3, (struct query){0}) == 2, "%s", modules[i]);
		ck_assert_uint_eq(charged(stack, 3, (struct query){.charge = QUERY_CHARGE_CALLEE}),
				  0);
		/* A place of the program's own, even without a line, before a line of libc's. */
		ck_assert_uint_eq(charged(stack, 2, (struct query){0}), 1);
		ck_assert_uint_eq(charged(stack, 1, (struct query){0}), 0);
	}
}
END_TEST

START_TEST(skip_patterns_match_function_file_label_and_module)
{
	struct snapshot_frame stack[] = {
		{.function = "xmalloc",
		 .file = "/src/lib/util.c",
		 .label = "lib/util.c",
		 .line = 3,
		 .module = "/opt/libutil.so.1"},
		caller,
	};
	const char *patterns[] = {"xmal*", "/src/*/util.c", "lib/*", "libutil.so*"};
	for (size_t i = 0; i < 4; i++) {
		struct query query = {.skip = &patterns[i], .skip_count = 1};
		ck_assert_msg(charged(stack, 2, query) == 1, "%s", patterns[i]);
	}
	const char *others[] = {"mall*", "util.c", "*/libutil.so*", ""};
	struct query query = {.skip = others, .skip_count = 4};
	ck_assert_uint_eq(charged(stack, 2, query), 0);
}
END_TEST

START_TEST(when_everything_is_skipped_the_innermost_non_allocator_is_charged)
{
	struct snapshot_frame stack[] = {wrappers[0], wrappers[11], caller, caller};
	const char *all = "*";
	struct query query = {.skip = &all, .skip_count = 1};
	ck_assert_uint_eq(charged(stack, 4, query), 2);
	ck_assert_uint_eq(charged(stack, 2, query), 0);
	ck_assert_uint_eq(charged(stack, 0, query), SIZE_MAX);
}
END_TEST

START_TEST(hostile_names_neither_crash_nor_hang)
{
	static char deep[100001];
	memset(deep, '<', 50000);
	memset(deep + 50000, '_', 50000);
	const char *names[] = {deep,	    deep + 49999,  ">>>>(", "operator", "operator ",
			       " operator", "__libc__GI_", "@",	    "_IO_",	"\x1b[31m",
			       "",	    "17h"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct snapshot_frame stack[] = {
			{.function = names[i], .linkage = names[i], .module = names[i]}, caller};
		ck_assert_uint_eq(charged(stack, 2, (struct query){0}), 1);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("charge");
	TCase *cases = tcase_create("charge");
	tcase_add_loop_test(cases, allocator_functions_and_their_wrappers_are_skipped, 0,
			    sizeof wrappers / sizeof *wrappers);
	tcase_add_loop_test(cases, functions_that_only_look_like_wrappers_are_charged, 0,
			    sizeof own / sizeof *own);
	tcase_add_test(cases, a_library_without_lines_charges_the_line_that_called_it);
	tcase_add_test(cases, without_any_line_the_innermost_remaining_frame_is_charged);
	tcase_add_test(
		cases,
		what_the_c_library_allocates_is_held_for_its_caller_with_or_without_debug_information);
	tcase_add_test(cases, skip_patterns_match_function_file_label_and_module);
	tcase_add_test(cases, when_everything_is_skipped_the_innermost_non_allocator_is_charged);
	tcase_add_test(cases, hostile_names_neither_crash_nor_hang);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
