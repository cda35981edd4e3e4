/* SPDX-License-Identifier: MIT */
/*
 * What a process held before it was attached to, and holds at the end: as it says itself.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

enum { THREADS = 3, DESCRIPTOR_MAX_BYTES = 4096 };

static int64_t figure(const struct report *report, const char *key)
{
	const json_t *heap = json_object_get(report->root, "heap");
	const json_t *value = json_object_get(heap, key);
	ck_assert_msg(json_is_integer(value), "heap.%s is not known", key);
	return json_integer_value(value);
}

static void attach_for_a_moment(const struct scratch *scratch, pid_t pid, struct report *ret)
{
	_cleanup_process_ struct process attach = {0};
	tracealloc_start_attach(scratch, ARGV("--for", "50ms"), pid, &attach);
	ck_assert_int_eq(process_wait(&attach), 0);
	tracealloc_report(scratch, ret);
}

START_TEST(blocks_from_before_are_as_many_as_the_process_says)
{
	_cleanup_free_ char *program = suite_target("holdings");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	_cleanup_process_ struct process target = {0};
	long blocks, bytes, heap;
	scratch_make(&scratch);
	process_start(&scratch, "target", ARGV(program), &target);
	process_wait_output(&target, "HEAP");
	_cleanup_free_ char *said = process_output(&target);
	ck_assert_int_eq(sscanf(said, "%ld BLOCKS %ld BYTES %ld HEAP", &blocks, &bytes, &heap), 3);
	attach_for_a_moment(&scratch, target.pid, &report);
	/* And one for each thread that the C library has made for it. */
	ck_assert_int_eq(figure(&report, "before_blocks"), blocks + THREADS);
	ck_assert_int_ge(figure(&report, "before_bytes"), bytes);
	ck_assert_int_le(figure(&report, "before_bytes"), bytes + THREADS * DESCRIPTOR_MAX_BYTES);
	ck_assert_int_eq(figure(&report, "heap_bytes"), heap);
	ck_assert_int_eq(figure(&report, "used_blocks"), blocks + THREADS);
	ck_assert_int_eq(figure(&report, "heap_bytes"), figure(&report, "used_bytes") +
								figure(&report, "free_bytes") +
								figure(&report, "overhead_bytes"));
	ck_assert_int_gt(figure(&report, "resident_bytes"), figure(&report, "used_bytes"));
}
END_TEST

START_TEST(real_programs_have_heaps_that_are_understood)
{
	static const char program[] =
		"import time; x = [bytes(i % 3000) for i in range(50000)]; print('ready', "
		"flush=True); time.sleep(1000)";
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	_cleanup_process_ struct process target = {0};
	scratch_make(&scratch);
	if (process_call(&scratch, "which", ARGV("which", "python3")) != 0) {
		suite_skip("python3 is not installed");
		return;
	}
	process_start(&scratch, "target", ARGV("python3", "-c", program), &target);
	process_wait_output(&target, "ready");
	attach_for_a_moment(&scratch, target.pid, &report);
	ck_assert_int_gt(figure(&report, "before_blocks"), 20000);
	ck_assert_int_gt(figure(&report, "before_bytes"), 60 << 20);
	ck_assert_int_eq(figure(&report, "used_blocks"), figure(&report, "before_blocks"));
}
END_TEST

/* Of another allocator's heap only its size is known, and what was seen of it. */
START_TEST(the_heap_of_another_allocator_is_the_memory_that_may_be_one)
{
	static const char *const libraries[] = {"libjemalloc.so.2", "libmimalloc.so.2",
						"libtcmalloc_minimal.so.4"};
	static const char program[] =
		"import time; x = [bytes(3000) for i in range(20000)]; print('ready', "
		"flush=True); time.sleep(1000)";
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	_cleanup_process_ struct process target = {0};
	char preload[64], pid[16];
	scratch_make(&scratch);
	snprintf(preload, sizeof preload, "LD_PRELOAD=%s", libraries[_i]);
	process_start(&scratch, "target", ARGV("env", preload, "python3", "-c", program), &target);
	process_wait_output(&target, "ready");
	_cleanup_free_ char *errors = process_errors(&target);
	if (errors[0] != '\0') {
		suite_skip("%s cannot be loaded", libraries[_i]);
		return;
	}
	attach_for_a_moment(&scratch, target.pid, &report);
	const json_t *heap = json_object_get(report.root, "heap");
	ck_assert(json_is_null(json_object_get(heap, "before_bytes")));
	ck_assert(json_is_null(json_object_get(heap, "used_bytes")));
	ck_assert_int_gt(figure(&report, "before_heap_bytes"), 20000 * 3000);
	ck_assert_int_lt(figure(&report, "before_heap_bytes"), 3 * 20000 * 3000);
	ck_assert_int_le(figure(&report, "heap_bytes"), figure(&report, "resident_bytes"));
	snprintf(pid, sizeof pid, "%d", target.pid);
	ck_assert_int_eq(tracealloc_call(&scratch, ARGV("attach", "--for", "50ms", pid)), 0);
	_cleanup_free_ char *text = tracealloc_text(&scratch, "call.out");
	ck_assert_ptr_nonnull(strstr(text, " of memory that may be heap from before the attach"));
	ck_assert_ptr_nonnull(strstr(text, " of it in blocks that were seen; resident memory "));
}
END_TEST

START_TEST(a_run_has_nothing_from_before)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	scratch_make(&scratch);
	ck_assert_int_eq(tracealloc_run(&scratch, NULL, ARGV("true"), &report), 0);
	ck_assert(json_is_null(json_object_get(report.root, "heap")));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("holdings");
	TCase *tcase = suite_case(suite, "holdings", 60);
	tcase_add_test(tcase, blocks_from_before_are_as_many_as_the_process_says);
	tcase_add_test(tcase, real_programs_have_heaps_that_are_understood);
	tcase_add_loop_test(tcase, the_heap_of_another_allocator_is_the_memory_that_may_be_one, 0,
			    3);
	tcase_add_test(tcase, a_run_has_nothing_from_before);
	return suite_run(suite);
}
