/* SPDX-License-Identifier: MIT */
/*
 * A JSON report read back: totals and rows by name, and the checks that hold for every report.
 *
 * Owns: the parsed document. Called by: tests, from their one thread. Whatever is missing, of a
 * wrong type or inconsistent ends the test (ck_abort_msg).
 */
#ifndef LIB_REPORT_H
#define LIB_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct report {
	json_t *root;
};

/* Figures of one row, or sums over several. */
struct report_figures {
	size_t rows;
	int64_t bytes, blocks; /* of the quantity shown */
	int64_t current_bytes, current_blocks;
	int64_t peak_bytes, peak_blocks;
	int64_t total_bytes, total_blocks;
};

/*
 * Reads a report and checks what holds for every one: format and version; no negative figure; every
 * row is larger than or equal to the next; rows + other = shown_bytes; total = current + released +
 * ended in the totals; with every row there, the rows' totals add up to the whole's; no event was
 * lost (but for report_load_lossy).
 */
void report_load(const char *path, struct report *ret);
void report_load_lossy(const char *path, struct report *ret);
void report_unload(struct report *report);

/* totals.KEY */
int64_t report_total(const struct report *report, const char *key);

/* Sums over the rows of a file (its last path component) and a line; line 0: any line. */
struct report_figures report_at(const struct report *report, const char *file, int line);

/* Sums over the rows whose label contains text. */
struct report_figures report_labelled(const struct report *report, const char *text);

/* Sums over the rows that are charged to a function. */
struct report_figures report_in_function(const struct report *report, const char *function);

/* The string member of a row, "" when null or absent. */
const char *report_string(const json_t *row, const char *key);

/* The entry of "processes" with this pid, or NULL. */
const json_t *report_process(const struct report *report, int64_t pid);
size_t report_process_count(const struct report *report);

#define _cleanup_report_ __attribute__((__cleanup__(report_unload)))

#endif
