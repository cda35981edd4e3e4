/* SPDX-License-Identifier: MIT */
/*
 * Figures as people read them.
 *
 * Called by: the other files of this folder.
 */
#ifndef REPORT_UNITS_H
#define REPORT_UNITS_H

#include <stdint.h>

#include "base/buffer.h"

/* tracemalloc's size in a table: always KiB, one decimal. */
void units_kib(struct buffer *out, uint64_t bytes);

/*
 * tracemalloc's free-standing size: the first of B, KiB, MiB, GiB, TiB in which it has at most four
 * digits (10240 of a unit is too many), with one decimal where it is below 100 and not in bytes.
 */
void units_size(struct buffer *out, uint64_t bytes);

/* "1 block", "2 blocks": the plural is the noun with an s. */
void units_count(struct buffer *out, uint64_t count, const char *noun);

/* "12.3 ms" below a second, "1.234 s" from there. */
void units_duration(struct buffer *out, uint64_t duration_ns);

#endif
