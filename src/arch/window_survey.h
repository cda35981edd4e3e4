/* SPDX-License-Identifier: MIT */
/*
 * The direct branches of a text, found in one pass, to be asked who leads where any number of
 * times.
 *
 * Owns: the list of those with a distance of 32 bits. Does not: own the text, which must outlive
 * it, or tell instructions from other bytes. Pure; any thread.
 */
#ifndef ARCH_WINDOW_SURVEY_H
#define ARCH_WINDOW_SURVEY_H

#include <stddef.h>

#include "base/error.h"
#include "base/types.h"

/* Leads from `next`, the offset in the text behind the branch, to next + distance. */
struct window_branch {
	uint32_t next;
	int32_t distance;
};

/*
 * Invariants: text[0, count) stand at start; branches are ascending by next, and are all places of
 * the text, whether an instruction begins there or not, whose bytes are a call, jump or conditional
 * jump of 32 bits that ends in the text. Those of 8 bits reach so little that they are looked for
 * when they are asked for.
 */
struct window_survey {
	const uint8_t *text;
	size_t count;
	target_addr start;
	struct window_branch *branches;
	size_t branch_count, branch_capacity;
};

/*
 * Errors: ERROR_UNSUPPORTED for a text of 4 GiB and more, or one in which more than every fourth
 * byte begins a branch (which is no code of a compiler's, and would cost memory without limit);
 * ERROR_NO_MEMORY. *ret is written on success alone.
 */
struct error *window_survey_make(const uint8_t *text, size_t count, target_addr start,
				 struct window_survey *ret);
void window_survey_deinit(struct window_survey *survey);

/*
 * Whether a direct jump or call from elsewhere in the text could lead strictly inside [start, end).
 * `known` is asked for the address of each such jump from outside; a jump it accepts is passed
 * over. Every byte offset counts, so that no jump is missed; those inside the range are the
 * caller's to follow.
 */
bool window_survey_is_entered(const struct window_survey *survey, target_addr start,
			      target_addr end, bool (*known)(void *context, target_addr jump),
			      void *context);

#define _cleanup_window_survey_ __attribute__((__cleanup__(window_survey_deinit)))

#endif
