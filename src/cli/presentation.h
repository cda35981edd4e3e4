/* SPDX-License-Identifier: MIT */
/*
 * From a snapshot to the report the options ask for.
 *
 * Owns: the choice of renderer, and where it gets source text from. Does not: trace, or decide
 * where the report goes.
 * Private to cli; main thread.
 */
#ifndef CLI_PRESENTATION_H
#define CLI_PRESENTATION_H

#include "base/error.h"
#include "cli/options.h"
#include "cli/output.h"
#include "snapshot/snapshot.h"

/* Of a session that has just ended source files are read, of a saved snapshot those that
 * --source-path leads to. */
enum presentation_origin { PRESENTATION_LIVE, PRESENTATION_SAVED };

/*
 * Refuses a terminal as the place of a format that is not made for people: ERROR_USAGE. To be asked
 * before a target is touched.
 */
struct error *presentation_check(const struct options *options, const struct output *output);

/* Refuses to show unreachable blocks of a snapshot where nobody has looked for them. */
struct error *presentation_check_question(const struct query *query,
					  const struct snapshot *snapshot);

/*
 * Renders the query's answer and finishes output with it. Of options only the form and the lookup
 * are looked at. Errors: those of query, report and output.
 */
struct error *presentation_write(const struct options *options, const struct query *query,
				 const struct snapshot *snapshot, enum presentation_origin origin,
				 struct output *output);

/* The same of a comparison of two saved snapshots. */
struct error *presentation_write_diff(const struct options *options, const struct query *query,
				      const struct snapshot *old, const struct snapshot *new,
				      struct output *output);

#endif
