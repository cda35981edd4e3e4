/* SPDX-License-Identifier: MIT */
/* What functions that return a thread's id look like, and what does not. */
#include "arch/thread_word.h"

#include <check.h>
#include <stdlib.h>

/* mov %fs:0,%rax */
#define POINTER 0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0

static const struct {
	uint8_t bytes[THREAD_WORD_BYTES];
	size_t count;
	uint32_t offset; /* 0: it is none */
} cases[] = {
	/* musl 1.2 */
	{{POINTER, 0x8b, 0x40, 0x30, 0xc3}, THREAD_WORD_BYTES, 0x30},
	{{POINTER, 0x8b, 0x40, 0x30, 0xc3}, 13, 0x30},
	{{0xf3, 0x0f, 0x1e, 0xfa, POINTER, 0x8b, 0x40, 0x38, 0xc3}, 17, 0x38},
	{{POINTER, 0x8b, 0x80, 0xd0, 0x02, 0, 0, 0xc3}, 16, 720},
	/* cut off at each place that matters */
	{{POINTER, 0x8b, 0x40, 0x30, 0xc3}, 12, 0},
	{{POINTER, 0x8b, 0x40, 0x30, 0xc3}, 11, 0},
	{{POINTER, 0x8b, 0x40, 0x30, 0xc3}, 9, 0},
	{{POINTER, 0x8b, 0x40, 0x30, 0xc3}, 3, 0},
	{{POINTER, 0x8b, 0x80, 0xd0, 0x02, 0, 0, 0xc3}, 15, 0},
	{{0}, 0, 0},
	/* the pointer itself; a negative offset; more than that; too far; a system call */
	{{POINTER, 0xc3}, THREAD_WORD_BYTES, 0},
	{{POINTER, 0x8b, 0x40, 0xf0, 0xc3}, THREAD_WORD_BYTES, 0},
	{{POINTER, 0x8b, 0x40, 0x30, 0xff, 0xc0, 0xc3}, THREAD_WORD_BYTES, 0},
	{{POINTER, 0x8b, 0x80, 0, 0, 0x10, 0, 0xc3}, THREAD_WORD_BYTES, 0},
	{{0xb8, 0xba, 0, 0, 0, 0x0f, 0x05, 0xc3}, THREAD_WORD_BYTES, 0},
};

START_TEST(a_word_is_known_by_the_function_that_returns_it)
{
	uint32_t offset = 0;
	bool found = thread_word_read(cases[_i].bytes, cases[_i].count, &offset);
	ck_assert_int_eq(found, cases[_i].offset != 0);
	if (found)
		ck_assert_uint_eq(offset, cases[_i].offset);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("thread_word");
	TCase *tests = tcase_create("thread_word");
	tcase_add_loop_test(tests, a_word_is_known_by_the_function_that_returns_it, 0,
			    sizeof cases / sizeof *cases);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
