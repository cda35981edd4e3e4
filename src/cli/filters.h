/* SPDX-License-Identifier: MIT */
/*
 * Filters as people write them: KIND=PATTERN, and ranges of sizes and ages.
 *
 * Pure. Private to cli; main thread.
 */
#ifndef CLI_FILTERS_H
#define CLI_FILTERS_H

#include "base/error.h"
#include "snapshot/query.h"

#define FILTERS_KINDS "file|function|module|line|thread|size|age"

/*
 * A filter; ret->inclusive is the caller's to set, ret->pattern points into text. Sizes are
 * "64..4096", "64..", "..4KiB" or "32", both ends included; ages are ">10s" (10 seconds and older)
 * or "<10s" (younger). ERROR_USAGE for another kind, an empty pattern, or a border that is none of
 * base/size_class.h and base/time_class.h; the message names the nearest ones.
 */
struct error *filters_parse(const char *text, struct query_filter *ret);

#endif
