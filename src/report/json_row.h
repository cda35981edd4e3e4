/* SPDX-License-Identifier: MIT */
/*
 * The rows of a JSON report.
 *
 * Called by: json.c. The values are new references, NULL without memory.
 */
#ifndef REPORT_JSON_ROW_H
#define REPORT_JSON_ROW_H

#include <jansson.h>

#include "report/report.h"

json_t *json_row_array(const struct table *table, const struct report_source *source, bool *failed);

/* The rows that are not in the list, as one. */
json_t *json_row_other(const struct table *table, bool *failed);

#endif
