/* SPDX-License-Identifier: MIT */
/*
 * What each option sets.
 *
 * Owns: the meaning of values, and the complaints about them. Does not: know which options there
 * are, or where they may stand (options.h). Private to cli; main thread.
 */
#ifndef CLI_SET_H
#define CLI_SET_H

#include "cli/options.h"

/* In the order of enum query_show. */
#define SET_SHOW_CHOICES "peak|current|total|leaked|count|temporary|lifetime|unreachable|waste"

/*
 * Takes the value of that row (NULL where the row has none). Errors: ERROR_USAGE, what is wrong
 * with a file that the value names, no memory.
 */
typedef struct error *set_option(struct options *options, const struct options_row *row,
				 const char *value);

set_option set_engine, set_follow, set_depth, set_for, set_interval, set_reset_peak_at,
	set_snapshot_at, set_usdt, set_pin, set_keep, set_raw, set_alloc, set_alloc_file,
	set_debug_path, set_debuginfod, set_debuginfod_limit, set_source_path, set_mmap,
	set_unreachable, set_clean, set_top, set_group_by, set_show, set_histogram, set_charge,
	set_skip, set_cumulative, set_min_size, set_filter, set_exclude, set_all_frames,
	set_suppressions, set_fail_on, set_report, set_output, set_format, set_quiet, set_verbose,
	set_status, set_color, set_help, set_version;

#endif
