/* SPDX-License-Identifier: MIT */
/*
 * Figures as people read them.
 *
 * Called by: the other files of this folder, and cli where it writes figures itself.
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

/* The same of a figure that need not be whole. */
void units_mean_size(struct buffer *out, double bytes);

/* The same of what `new` has more than `old`, with its sign: "+4428 KiB", "-12 B", "+0 B". */
void units_size_change(struct buffer *out, uint64_t old, uint64_t new);

/* "+3", "-12", "+0". */
void units_count_change(struct buffer *out, uint64_t old, uint64_t new);

/* "1 block", "2 blocks": the plural is the noun with an s. */
void units_count(struct buffer *out, uint64_t count, const char *noun);

/* "12.3 ms" below a second, "1.234 s" from there. */
void units_duration(struct buffer *out, uint64_t duration_ns);

/* The mean of count durations, down to nanoseconds: "850 ns", "12.3 us", then as above; of none
 * "-". */
void units_mean_duration(struct buffer *out, uint64_t sum_ns, uint64_t count);

/* A time that is a round number of its unit, and so the border of a class: "0", "500 ns", "2 ms".
 */
void units_border(struct buffer *out, uint64_t time_ns);

#endif
