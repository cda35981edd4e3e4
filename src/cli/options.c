/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include <stdlib.h>

#include "cli/filters.h"
#include "cli/set.h"
#include "cli/watch.h"

enum {
	TRACED = OPTIONS_RUN | OPTIONS_ATTACH,
	ASKED = TRACED | OPTIONS_REPORT | OPTIONS_DIFF | OPTIONS_EXPORT,
	JUDGED = TRACED | OPTIONS_REPORT | OPTIONS_DIFF,
	VIEWED = ASKED | OPTIONS_TOP,
	EVERY = VIEWED | OPTIONS_DOCTOR | OPTIONS_CTL,
	ALL = EVERY | OPTIONS_COMPLETION | OPTIONS_HELP,
};

/* The order of the words in `value` is that of the enumerators they choose. */
static const struct options_row rows[] = {
	{0, "engine", "auto|jump|breakpoint", NULL, TRACED | OPTIONS_TOP, OPTIONS_TRACING,
	 "how calls are seen (default auto: the best that works)", set_engine},
	{0, "follow", "children|none", NULL, TRACED, OPTIONS_TRACING,
	 "trace forked children too (default children)", set_follow},
	{0, "depth", "N", "a number from 1 to 1024", TRACED, OPTIONS_TRACING,
	 "frames kept of a stack (default 64)", set_depth},
	{0, "for", "DURATION", "a time such as 10s, 500ms, 2m or 1h", TRACED, OPTIONS_TRACING,
	 "stop tracing after that time, detach, report", set_for},
	{0, "interval", "DURATION", "a time such as 10s, 500ms, 2m or 1h", TRACED | OPTIONS_TOP,
	 OPTIONS_TRACING,
	 "take a snapshot each time that has passed: numbered files (--output), or reports; of top "
	 "the time between two refreshes (1s)",
	 set_interval},
	{0, "reset-peak-at", "[MODULE:]FUNCTION", "a function, such as main or 'libx.so*:begin'",
	 TRACED, OPTIONS_TRACING, "the peak counts from each call of that function",
	 set_reset_peak_at},
	{0, "snapshot-at", "[MODULE:]FUNCTION[:exit]",
	 "a function, such as main, 'libx.so*:begin' or done:exit", TRACED, OPTIONS_TRACING,
	 "take a snapshot at each call of that function, or each return from it", set_snapshot_at},
	{0, "usdt", "obey|ignore", NULL, TRACED, OPTIONS_TRACING,
	 "heed the static probes tracealloc:reset_peak, mark and snapshot in the target (default "
	 "obey)",
	 set_usdt},
	{0, "pin", NULL, NULL, TRACED, OPTIONS_TRACING,
	 "target and tracer share one CPU (cheaper stops)", set_pin},
	{0, "keep", "KINDS", "a comma-separated list of size|thread|waste", TRACED, OPTIONS_TRACING,
	 "tell blocks apart by size, thread or waste, for questions to the saved snapshot: a list "
	 "of size|thread|waste",
	 set_keep},
	{0, "raw", NULL, NULL, TRACED, OPTIONS_TRACING,
	 "look up no symbols: 'tracealloc report' does, on whatever machine has the files",
	 set_raw},
	{0, "alloc", "RULE", "a rule", TRACED | OPTIONS_DOCTOR, OPTIONS_TRACING,
	 "a function of the program's own pools, as 'pool_get(size=arg2) -> ptr'; may be "
	 "repeated",
	 set_alloc},
	{0, "alloc-file", "FILE", "the name of a file", TRACED | OPTIONS_DOCTOR, OPTIONS_TRACING,
	 "rules from a file, one a line; may be repeated", set_alloc_file},
	{0, "mmap", NULL, NULL, TRACED, OPTIONS_TRACING,
	 "show what is mapped beside the allocators, too (mmap, mremap, brk), apart from the rest",
	 set_mmap},
	{0, "unreachable", NULL, NULL, TRACED, OPTIONS_TRACING,
	 "at the end, look for blocks that nothing points to, and show them", set_unreachable},
	{0, "clean", NULL, NULL, OPTIONS_DOCTOR, OPTIONS_TRACING,
	 "remove the jumps that a tracealloc which was killed has left", set_clean},
	{'n', "top", "N", "a number from 1 to 1000000000", VIEWED, OPTIONS_ANSWER,
	 "show the N biggest rows (default 10)", set_top},
	{'g', "group-by", "line|file|function|module|traceback|process|size|thread", NULL, VIEWED,
	 OPTIONS_ANSWER, "what a row is (default line)", set_group_by},
	{0, "show", "QUANTITY", "one of " SET_SHOW_CHOICES, VIEWED, OPTIONS_ANSWER,
	 "what is summed (default peak, of an attach current): peak, current, total, leaked, "
	 "count, "
	 "temporary, lifetime, unreachable or waste",
	 set_show},
	{0, "cumulative", NULL, NULL, ASKED, OPTIONS_ANSWER,
	 "charge each block to all lines of its stack, once a line", set_cumulative},
	{0, "min-size", "SIZE", "a size such as 4096, 64KiB or 1MiB", VIEWED, OPTIONS_ANSWER,
	 "show no rows smaller than that (default 0)", set_min_size},
	{0, "filter", "KIND=PATTERN", "KIND=PATTERN, where KIND is one of " FILTERS_KINDS, VIEWED,
	 OPTIONS_ANSWER,
	 "only blocks charged to a file, function, module or line that matches, of a thread, a "
	 "size or an age; may be repeated",
	 set_filter},
	{0, "exclude", "KIND=PATTERN", "KIND=PATTERN, where KIND is one of " FILTERS_KINDS, VIEWED,
	 OPTIONS_ANSWER, "no blocks that match; may be repeated", set_exclude},
	{0, "all-frames", NULL, NULL, VIEWED, OPTIONS_ANSWER,
	 "filters look at all frames of a stack, not at the charged one alone", set_all_frames},
	{0, "suppressions", "FILE", "the name of a file", JUDGED, OPTIONS_ANSWER,
	 "leave out of what leaked or is unreachable what matches the file's lines, leak:PATTERN",
	 set_suppressions},
	{0, "fail-on", "KIND=SIZE", LIMITS_EXPECTED, JUDGED, OPTIONS_ANSWER,
	 "exit with status 3 if more than that was leaked|unreachable, or used at its peak|current|"
	 "total; of diff, if it grew by more; may be repeated",
	 set_fail_on},
	{0, "histogram", "size|lifetime", NULL, ASKED & ~(unsigned)OPTIONS_DIFF, OPTIONS_ANSWER,
	 "all blocks by size or by lifetime, below the rows", set_histogram},
	{0, "charge", "caller|callee", NULL, VIEWED, OPTIONS_ANSWER,
	 "the frame charged: the innermost with a source line, or the innermost of all "
	 "(default caller)",
	 set_charge},
	{0, "skip", "PATTERN", "a pattern such as 'pool_*' or '*/libx.so*'", VIEWED, OPTIONS_ANSWER,
	 "do not charge functions, files or modules that match; may be repeated", set_skip},
	{0, "debug-path", "DIR", "the name of a directory", ASKED | OPTIONS_DOCTOR, OPTIONS_ANSWER,
	 "look for debug files there, before /usr/lib/debug; may be repeated", set_debug_path},
	{0, "debuginfod", NULL, NULL, ASKED, OPTIONS_ANSWER,
	 "fetch debug files that are not here from the servers of DEBUGINFOD_URLS", set_debuginfod},
	{0, "debuginfod-limit", "DURATION", "a time such as 10s, 500ms, 2m or 1h", ASKED,
	 OPTIONS_ANSWER, "give up fetching debug files after that time in all (default 2m)",
	 set_debuginfod_limit},
	{0, "source-path", "OLD=NEW", "OLD=NEW, the beginnings of two paths", ASKED, OPTIONS_ANSWER,
	 "read source files of OLD below NEW; may be repeated", set_source_path},
	{0, "report", "FILE", "the name of a file", ASKED, OPTIONS_ANSWER,
	 "write the report there (default: standard output, of run standard error)", set_report},
	{0, "output", "FILE", "the name of a file", TRACED, OPTIONS_ANSWER,
	 "save a snapshot there, for 'tracealloc report'", set_output},
	{0, "format", "FORMAT", "one of " REPORT_FORMATS, ASKED | OPTIONS_DOCTOR | OPTIONS_CTL,
	 OPTIONS_ANSWER, "the report's form (default text): " REPORT_FORMATS_LISTED, set_format},
	{'q', "quiet", NULL, NULL, VIEWED, OPTIONS_GENERAL, "only the report's body; no warnings",
	 set_quiet},
	{'v', "verbose", NULL, NULL, EVERY, OPTIONS_GENERAL,
	 "say what is done and why; twice: every step", set_verbose},
	{0, "color", "auto|always|never", NULL, VIEWED, OPTIONS_GENERAL,
	 "colours in the text report (default auto: on a terminal, unless NO_COLOR is set)",
	 set_color},
	{0, "status", "auto|yes|no", NULL, TRACED, OPTIONS_GENERAL,
	 "on a terminal, one line that says how tracing goes (default auto: with attach)",
	 set_status},
	{'h', "help", NULL, NULL, ALL, OPTIONS_GENERAL, "print this help and exit", set_help},
	{'V', "version", NULL, NULL, ALL, OPTIONS_GENERAL, "print the version and exit",
	 set_version},
};

const struct options_row *options_rows(size_t *count_ret)
{
	*count_ret = sizeof rows / sizeof *rows;
	return rows;
}

void options_init(struct options *options)
{
	*options = (struct options){
		.session = {.engine = SESSION_ENGINE_AUTO,
			    .depth = OPTIONS_DEPTH_DEFAULT,
			    .follow_children = true,
			    .started_fd = -1},
		.query = {.show = QUERY_PEAK,
			  .group_by = QUERY_LINE,
			  .charge = QUERY_CHARGE_CALLER,
			  .top = OPTIONS_TOP_DEFAULT},
		.format = report_format("text"),
	};
}

void options_deinit(struct options *options)
{
	allocator_rules_deinit(&options->rules);
	suppressions_deinit(&options->suppressions);
	lookup_deinit(&options->lookup);
	for (size_t i = 0; i < options->session.watch_count; i++)
		watch_deinit(&options->watches[i]);
	free(options->watches);
	free(options->skip);
	free(options->filters);
	free(options->paths);
	words_deinit(&options->defaults);
	*options = (struct options){0};
}
