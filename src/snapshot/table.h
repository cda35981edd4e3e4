/* SPDX-License-Identifier: MIT */
/*
 * From groups in their final order to the table's rows.
 *
 * Private to this folder.
 */
#ifndef SNAPSHOT_TABLE_H
#define SNAPSHOT_TABLE_H

#include "snapshot/groups.h"

/*
 * Groups that is_shown lets through become rows, the others are added up. is_shown sees the rows so
 * far. Errors: no memory; the table can be released in any case.
 */
struct error *table_cut(struct table *table, struct groups *groups,
			bool (*is_shown)(const struct table *table, const struct table_row *row));

#define _cleanup_table_ __attribute__((__cleanup__(table_deinit)))

#endif
