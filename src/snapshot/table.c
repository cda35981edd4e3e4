/* SPDX-License-Identifier: MIT */
#include "snapshot/table.h"

#include <stdlib.h>

#include "snapshot/sum.h"

static void add_other(struct table *table, const struct table_row *row)
{
	table->other_count++;
	sum_add(&table->other_bytes, row->bytes);
	sum_add(&table->other_blocks, row->blocks);
	sum_add(&table->other_lifetime_ns, row->counters.lifetime_ns);
}

struct error *table_cut(struct table *table, struct groups *groups,
			bool (*is_shown)(const struct table *table, const struct table_row *row))
{
	size_t most = groups->count < table->query.top ? groups->count : table->query.top;
	table->rows = calloc(most + 1, sizeof *table->rows);
	if (!table->rows)
		return error_no_memory();
	for (size_t i = 0; i < groups->count; i++) {
		struct group *group = &groups->items[i];
		if (!is_shown(table, &group->row)) {
			add_other(table, &group->row);
			continue;
		}
		struct error *err = groups_label(groups, group);
		if (err)
			return err;
		group->row.rank = table->row_count + 1;
		table->rows[table->row_count++] = group->row;
	}
	return NULL;
}

void table_deinit(struct table *table)
{
	for (size_t i = 0; i < table->row_count; i++)
		free(table->rows[i].label);
	free(table->rows);
	kept_deinit(&table->histogram);
	free(table->suppressed);
	*table = (struct table){0};
}
