/* SPDX-License-Identifier: MIT */
/*
 * Windows: the whole instructions at a function's entry that a jump replaces, and their copy.
 *
 * Owns: whether a jump may be written over them, and why not. Does not: write it, or see to it that
 * no thread is about to run them. Pure functions on bytes, as code.h; hostile code is refused,
 * never trusted. Any thread.
 */
#ifndef ARCH_WINDOW_H
#define ARCH_WINDOW_H

#include "arch/code.h"
#include "arch/window_survey.h"

enum {
	WINDOW_MAX_BYTES = 19,	     /* CODE_JUMP_BYTES - 1 + CODE_INSTRUCTION_MAX_BYTES */
	WINDOW_COPY_MAX_BYTES = 128, /* holds the copy of any window that is not refused */
};

/*
 * Invariants: CODE_JUMP_BYTES <= count <= WINDOW_MAX_BYTES; starts has bit i set exactly where an
 * instruction begins at entry + i (a padding byte of 00 or cc counts as one), so bit 0 is set.
 */
struct window {
	target_addr entry;
	size_t count;
	uint8_t bytes[WINDOW_MAX_BYTES];
	uint32_t starts;
};

/*
 * Plans a jump at entry (that what stands there is the function's own the caller has seen to),
 * which lies in the surveyed text (the bytes as they were before any patch). An `endbr64` at the
 * entry stays where it is: the window then begins behind it (window.entry says so). All code is
 * taken from the survey's text; the reader is asked for bounds and pointers alone.
 *
 * Accepted: whole instructions inside one function part of known bounds (or its padding of nops,
 * int3s and zeroes up to the next one: a function of a single `ret` can be probed) and inside one
 * page of 4096 bytes; no call that would come back into the jump, and nothing after an instruction
 * that does not fall through but padding; no direct branch of the function, or from anywhere else
 * in the text, into the window behind its first byte; every instruction can be moved
 * (code_relocate).
 *
 * A computed jump can lead to any instruction of its function (an empty case of a switch in a loop
 * leads to the loop's head, which may be the second instruction). So the function must have none,
 * and neither may a part split off from it (known by a direct jump back into it), unless the window
 * is a single instruction, whose middle no compiler jumps to. Code in it that takes or reads an
 * address within the window is refused alike.
 *
 * Errors: ERROR_UNSUPPORTED with the reason in the form "..., so ..." for --verbose (too short, a
 * branch leads into it, a call that comes back into it, it crosses a page, a computed jump could
 * lead into it, another's breakpoint stands there already; more than 64 KiB of function), and
 * ERROR_BAD_INPUT, ERROR_FAULT as code_length for the window itself. ERROR_NO_MEMORY. *ret is
 * written on success alone.
 */
struct error *window_plan(const struct code_reader *reader, target_addr entry,
			  const struct window_survey *survey, struct window *ret);

/*
 * Builds the copy of a window for execution at `copy`: the instructions relocated one after the
 * other as code_relocate does (branches of the window out of it mean the same), then a jump to
 * entry + count where they fall through. *count_ret <= WINDOW_COPY_MAX_BYTES.
 *
 * Errors: as code_relocate; ERROR_BAD_INPUT where the reader no longer gives the bytes that were
 * planned for. bytes and *count_ret are written on success alone.
 */
struct error *window_relocate(const struct code_reader *reader, const struct window *window,
			      target_addr copy, uint8_t bytes[WINDOW_COPY_MAX_BYTES],
			      size_t *count_ret);

/*
 * Where in the copy at `copy` a thread goes on that stands at pc, an instruction of the window
 * behind its first: it then does what it would have done in place. False if pc is no such
 * instruction.
 */
bool window_resume(const struct code_reader *reader, const struct window *window, target_addr copy,
		   target_addr pc, target_addr *ret);

/*
 * Whether a thread that goes on at address would run bytes that the jump has replaced, or half of
 * the jump: it must move on before the window is written. The entry itself is no such place.
 */
bool window_holds(const struct window *window, target_addr address);

#endif
