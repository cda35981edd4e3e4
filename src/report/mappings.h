/* SPDX-License-Identifier: MIT */
/*
 * What was mapped beside the allocators, asked as the report's own table was.
 *
 * Called by: text_mappings.c, json.c.
 */
#ifndef REPORT_MAPPINGS_H
#define REPORT_MAPPINGS_H

#include "snapshot/query.h"

/*
 * The query of a report put to the mappings of its snapshot: with rows by line where they are by
 * size or thread, and the peak where a quantity is asked for that mappings do not have. *known_ret
 * false: the query has filters that tell nothing of mappings, and there is no table. Errors: no
 * memory.
 */
struct error *mappings_query(const struct snapshot *mappings, const struct query *query,
			     struct table *ret, bool *known_ret);

#endif
