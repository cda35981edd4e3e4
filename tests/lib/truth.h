/* SPDX-License-Identifier: MIT */
/*
 * A report against what the target itself has counted (tests/targets/truth.h prints it).
 *
 * Called by: tests, from their one thread. Failures end the test (ck_abort_msg).
 */
#ifndef LIB_TRUTH_H
#define LIB_TRUTH_H

#include <jansson.h>

#include "lib/report.h"
#include "lib/scratch.h"

/* The truth: the line of the file that starts with "truth: ". Owned by the caller (json_decref). */
json_t *truth_load(const struct scratch *scratch, const char *name);

/* An integer member; a missing one ends the test. */
int64_t truth_integer(const json_t *truth, const char *key);

/*
 * Every total that the target counted equals the report's. extra_blocks and extra_bytes are those
 * that the target cannot know of, because libraries ask for them by themselves.
 */
void truth_expect_totals(const json_t *truth, const struct report *report, int64_t extra_blocks,
			 int64_t extra_bytes);

/*
 * For every line of the target that allocated, the report has exactly one row with the same total
 * and peak figures; and the report has no further line in the target's sources. `shown` is "total",
 * "peak" or "leaked": which figures the report was asked for, so which lines have a row at all.
 */
void truth_expect_lines(const json_t *truth, const struct report *report, const char *shown);

/*
 * The weaker form for targets whose libraries allocate too, so that the peak is not theirs alone:
 * only what was made, line by line. The report was asked for "total".
 */
void truth_expect_line_totals(const json_t *truth, const struct report *report);

static inline void truth_release(json_t **truth)
{
	json_decref(*truth);
}

#define _cleanup_json_ __attribute__((__cleanup__(truth_release)))

#endif
