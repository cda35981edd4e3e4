/* SPDX-License-Identifier: MIT */
/*
 * The histogram of a JSON report.
 *
 * Called by: json.c.
 */
#ifndef REPORT_JSON_HISTOGRAM_H
#define REPORT_JSON_HISTOGRAM_H

#include <jansson.h>

#include "snapshot/query.h"

/* {"of", "classes"}; null where none was asked for. */
json_t *json_histogram(const struct table *table, bool *failed);

#endif
