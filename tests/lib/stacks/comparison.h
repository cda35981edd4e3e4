/* SPDX-License-Identifier: MIT */
/*
 * What the product says of a program's stacks and lines against what its oracles say.
 *
 * Programs are traced by the product's own code as its session does it. At every so many creations
 * the stack that it captures is compared with libdwfl's walk from the same stop, frame by frame
 * from the allocator function's caller to the outermost; later all lines of all frames with what
 * eu-addr2line says.
 *
 * comparison_stacks.c: the trace.    comparison_lines.c: the lines.
 *
 * Owns: the images and the stacks of one traced program. Called by: suites, from their one thread.
 * Failures end the test (ck_abort_msg); differences are counted, and the first ones printed.
 */
#ifndef LIB_STACKS_COMPARISON_H
#define LIB_STACKS_COMPARISON_H

#include "lib/scratch.h"
#include "stack/interner.h"
#include "stack/registry.h"

enum { COMPARISON_DIFFERENCES_SHOWN = 5 };

/*
 * A program and which of its creations are looked at: every stride-th of any size, or of size_bytes
 * if that is not 0, until there are so many stacks; then it is killed.
 */
struct comparison_subject {
	const char *name;
	const char *const *command;
	unsigned stride;
	uint64_t size_bytes;
	size_t stacks;
};

/* Invariant: cut, signals, unended and differing count stacks, so none is above `stacks`. */
struct comparison_stacks {
	size_t stacks;
	size_t frames, deepest;
	size_t cut;	/* at the greatest depth */
	size_t signals; /* with a signal handler on them */
	size_t unended; /* libdwfl failed at the outermost frame */
	size_t differing;
};

/* Invariant: with_line, inlined, second_opinions + differing <= addresses <= positions. */
struct comparison_lines {
	size_t addresses, positions;
	size_t with_line, inlined;
	size_t second_opinions; /* right by addr2line, not by eu-addr2line */
	size_t differing;
};

struct comparison {
	const char *name;
	struct registry *registry;
	struct interner *interner;
	struct comparison_stacks stacks;
	struct comparison_lines lines;
};

/* Traces the program to its end, or until enough stacks have been compared. */
void comparison_trace(const struct comparison_subject *subject, struct comparison *ret);

/* Compares the lines at every distinct frame of those stacks. */
void comparison_ask_lines(const struct scratch *scratch, struct comparison *comparison);

void comparison_end(struct comparison *comparison);

#endif
