/* SPDX-License-Identifier: MIT */
/*
 * Suppressions: which sites' leaked or unreachable blocks are not to be shown.
 *
 * A suppression matches a site if its pattern matches the function, the source file or the module
 * of some frame of the stack, as in LeakSanitizer. A pattern matches a text that it is found in;
 * `*` stands for any characters, `^` at its beginning for the text's beginning, `$` at its end for
 * the text's end.
 *
 * Owns: what is known of a snapshot's frames, kept while a question is answered. Pure. Private to
 * this folder.
 */
#ifndef SNAPSHOT_SUPPRESS_H
#define SNAPSHOT_SUPPRESS_H

#include "snapshot/query.h"

struct suppress {
	const struct snapshot *snapshot;
	const struct query *query;
	uint8_t *answers; /* suppressions x frames: 0 not looked at */
};

/* Snapshot and query must outlive it. Errors: no memory. */
struct error *suppress_init(struct suppress *suppress, const struct snapshot *snapshot,
			    const struct query *query);
void suppress_deinit(struct suppress *suppress);

/* Whether suppressions count for a quantity at all: what is no leak is not suppressed. */
static inline bool suppress_applies(enum query_show show)
{
	return show == QUERY_LEAKED || show == QUERY_UNREACHABLE;
}

/*
 * The first suppression that matches the site; false if none does, or the query's quantity has
 * none.
 */
bool suppress_site(struct suppress *suppress, const struct snapshot_site *site, size_t *ret);

/* Whether a pattern matches a text; NULL matches nothing. */
bool suppress_matches(const char *pattern, const char *text);

#endif
