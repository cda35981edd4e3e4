/* SPDX-License-Identifier: MIT */
/*
 * --fail-on: limits that a snapshot, or what one has more than another, is held against.
 *
 * Owns: their form, and the lines about those that are exceeded. Private to cli; main thread.
 */
#ifndef CLI_LIMITS_H
#define CLI_LIMITS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "snapshot/query.h"
#include "snapshot/snapshot.h"

struct limit {
	enum query_show show;
	const char *name; /* what the user calls it; a constant */
	uint64_t bytes;
};

/* At most one of each kind: the later one counts. */
enum { LIMITS_MAX = 5 };
struct limits {
	struct limit items[LIMITS_MAX];
	size_t count;
};

#define LIMITS_EXPECTED                                                                            \
	"KIND=SIZE, several with commas between, where KIND is one of "                            \
	"leaked|unreachable|peak|current|total"

/* Reads "leaked=1MiB,peak=200MiB"; false if it is none. */
bool limits_parse(struct limits *limits, const char *text);

/* Whether there is one for that quantity. */
bool limits_have(const struct limits *limits, enum query_show show);

/*
 * Holds a snapshot against them, as filtered and suppressed by the query; old: how far it has grown
 * since that, NULL: its own figures. Says a line about each that is exceeded. Errors: no memory;
 * ERROR_UNSUPPORTED for unreachable blocks that nobody has looked for.
 */
struct error *limits_check(const struct limits *limits, const struct query *query,
			   const struct snapshot *old, const struct snapshot *snapshot,
			   bool *exceeded_ret);

#endif
