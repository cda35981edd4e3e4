/* SPDX-License-Identifier: MIT */
/*
 * Who else can come into a window than through its first byte. Private to the window files of arch.
 *
 * Owns: the search. Does not: look at the window's own instructions (window.c has done so). Pure;
 * any thread.
 */
#ifndef ARCH_WINDOW_SEARCH_H
#define ARCH_WINDOW_SEARCH_H

#include "arch/window.h"

/* A function part: [start, end), not empty. */
struct window_part {
	target_addr start, end;
};

/*
 * The part around address, as reader->bounds has it; false where that is unknown or does not hold
 * the address.
 */
bool window_part_find(const struct code_reader *reader, target_addr address,
		      struct window_part *ret);

/*
 * Looks for ways into the window, which lies in the part `own` but for padding behind it: in `own`
 * by decoding all of it, in the rest of the text by asking the survey for the bytes of direct
 * branches and decoding the parts these lie in. The reader gives the text's bytes. is_single: the
 * window is one instruction, so that computed jumps do not matter.
 *
 * Errors: ERROR_UNSUPPORTED with the reason, without a "so" and what follows; ERROR_NO_MEMORY.
 */
struct error *window_search(const struct code_reader *reader, const struct window *window,
			    struct window_part own, bool is_single,
			    const struct window_survey *survey);

#endif
