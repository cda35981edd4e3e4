/* SPDX-License-Identifier: MIT */
#include "report/mappings.h"

static bool has_quantity(enum query_show show)
{
	return show == QUERY_PEAK || show == QUERY_CURRENT || show == QUERY_TOTAL ||
	       show == QUERY_LEAKED || show == QUERY_COUNT;
}

struct error *mappings_query(const struct snapshot *mappings, const struct query *query,
			     struct table *ret, bool *known_ret)
{
	struct query asked = *query;
	if (!has_quantity(asked.show))
		asked.show = QUERY_PEAK;
	if (asked.group_by == QUERY_SIZE || asked.group_by == QUERY_THREAD)
		asked.group_by = QUERY_LINE;
	asked.histogram = QUERY_NO_HISTOGRAM;
	asked.suppressions = NULL;
	asked.suppression_count = 0;
	*ret = (struct table){0};
	struct error *err = query_run(mappings, &asked, ret);
	*known_ret = !err;
	if (err && error_kind_of(err) != ERROR_NO_MEMORY) {
		error_free(err);
		return NULL;
	}
	return err;
}
