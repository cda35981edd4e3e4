/* SPDX-License-Identifier: MIT */
/*
 * The tree of a detailed massif snapshot: from the lines that are charged outwards to their
 * callers.
 *
 * Owns: the order of the stacks, and what frames are called. Does not: choose moments. Called by:
 * massif.c.
 */
#ifndef REPORT_MASSIF_TREE_H
#define REPORT_MASSIF_TREE_H

#include "base/buffer.h"
#include "base/error.h"
#include "report/texts.h"
#include "snapshot/selection.h"

/* A stack as the numbers of its places, the innermost first; places has one at least. */
struct massif_branch {
	const uint32_t *places;
	size_t place_count;
	size_t stack; /* index into the selection's stacks */
};

struct massif_tree {
	const struct selection *selection;
	struct texts places; /* "parse (src/parse.c:414)" */
	uint64_t *addresses; /* of each place, one that it stands for */
	size_t address_capacity;
	uint32_t *numbers;		/* what the branches' places point to */
	struct massif_branch *branches; /* one a stack, in the order of their places */
};

/* Errors: no memory. The selection must outlive it. */
struct error *massif_tree_make(const struct selection *selection, struct massif_tree *ret);
void massif_tree_deinit(struct massif_tree *tree);

/*
 * Appends the tree of what the stacks held, bytes[i] for stack i, under a root of total_bytes; what
 * they do not add up to becomes a row of its own. Every charged line has a row; further out, rows
 * of less than threshold_percent of the whole are added up, and callers beyond 200 are left out.
 * Errors: no memory.
 */
struct error *massif_tree_write(const struct massif_tree *tree, const uint64_t *bytes,
				uint64_t total_bytes, double threshold_percent, struct buffer *out);

#define _cleanup_massif_tree_ __attribute__((__cleanup__(massif_tree_deinit)))

#endif
