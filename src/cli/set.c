/* SPDX-License-Identifier: MIT */
#include "cli/set.h"

#include <string.h>

#include "base/array.h"
#include "cli/filters.h"
#include "cli/parse.h"
#include "cli/rules.h"
#include "cli/watch.h"

static struct error *bad_value(const struct options_row *row, const char *value)
{
	if (row->expects)
		return error_new(ERROR_USAGE, "bad value '%s' for --%s: give %s", value, row->name,
				 row->expects);
	return error_new(ERROR_USAGE, "bad value '%s' for --%s: give one of %s", value, row->name,
			 row->value);
}

static struct error *choose(const struct options_row *row, const char *value, size_t *ret)
{
	return parse_choice(value, row->value, ret) ? NULL : bad_value(row, value);
}

struct error *set_engine(struct options *options, const struct options_row *row, const char *value)
{
	size_t choice = 0;
	struct error *err = choose(row, value, &choice);
	if (!err)
		options->session.engine = (enum session_engine)choice;
	return err;
}

struct error *set_follow(struct options *options, const struct options_row *row, const char *value)
{
	size_t choice = 0;
	struct error *err = choose(row, value, &choice);
	if (!err)
		options->session.follow_children = choice == 0;
	return err;
}

struct error *set_usdt(struct options *options, const struct options_row *row, const char *value)
{
	size_t choice = 0;
	struct error *err = choose(row, value, &choice);
	if (!err)
		options->session.ignore_static_probes = choice == 1;
	return err;
}

struct error *set_depth(struct options *options, const struct options_row *row, const char *value)
{
	uint64_t depth;
	if (!parse_number(value, 1, OPTIONS_DEPTH_MAX, &depth))
		return bad_value(row, value);
	options->session.depth = depth;
	return NULL;
}

struct error *set_for(struct options *options, const struct options_row *row, const char *value)
{
	if (!parse_duration(value, &options->session.duration_ns))
		return bad_value(row, value);
	return NULL;
}

struct error *set_interval(struct options *options, const struct options_row *row,
			   const char *value)
{
	if (!parse_duration(value, &options->session.interval_ns))
		return bad_value(row, value);
	return NULL;
}

static struct error *add_watch(struct options *options, const struct options_row *row,
			       const char *value, bool snapshots)
{
	struct session_options *session = &options->session;
	if (!array_reserve(&options->watches, &options->watch_capacity, session->watch_count + 1,
			   sizeof *options->watches))
		return error_no_memory();
	struct session_watch *watch = &options->watches[session->watch_count];
	struct error *err = watch_parse(value, snapshots, watch);
	session->watches = options->watches;
	if (error_catch(&err, ERROR_USAGE))
		return bad_value(row, value);
	watch->snapshots = snapshots;
	session->watch_count += !err;
	return err;
}

struct error *set_reset_peak_at(struct options *options, const struct options_row *row,
				const char *value)
{
	return add_watch(options, row, value, false);
}

struct error *set_snapshot_at(struct options *options, const struct options_row *row,
			      const char *value)
{
	return add_watch(options, row, value, true);
}

struct error *set_pin(struct options *options, const struct options_row *row, const char *value)
{
	(void)row, (void)value;
	options->session.pin = true;
	return NULL;
}

/* A comma-separated list of words, each once or more often. */
struct error *set_keep(struct options *options, const struct options_row *row, const char *value)
{
	static const unsigned flags[] = {KEPT_SIZES, KEPT_THREADS, KEPT_WASTE};
	for (const char *word = value;;) {
		char one[16] = "";
		size_t length = strcspn(word, ","), choice = 0;
		if (length < sizeof one)
			memcpy(one, word, length);
		if (!parse_choice(one, "size|thread|waste", &choice))
			return bad_value(row, value);
		options->session.keep |= flags[choice];
		if (!word[length])
			return NULL;
		word += length + 1;
	}
}

struct error *set_raw(struct options *options, const struct options_row *row, const char *value)
{
	(void)row, (void)value;
	options->session.keep |= KEPT_RAW;
	return NULL;
}

struct error *set_alloc(struct options *options, const struct options_row *row, const char *value)
{
	struct error *err = allocator_rules_add(&options->rules, value);
	options->session.rules = &options->rules;
	return err ? error_wrap(err, "bad rule '%s' for --%s", value, row->name) : NULL;
}

struct error *set_alloc_file(struct options *options, const struct options_row *row,
			     const char *value)
{
	options->session.rules = &options->rules;
	return *value ? rules_read(value, &options->rules) : bad_value(row, value);
}

struct error *set_debug_path(struct options *options, const struct options_row *row,
			     const char *value)
{
	bool known;
	struct error *err = lookup_add_debug_path(&options->lookup, value, &known);
	options->session.debug_paths = options->lookup.debug_paths;
	return err || known ? err : bad_value(row, value);
}

struct error *set_debuginfod(struct options *options, const struct options_row *row,
			     const char *value)
{
	(void)value;
	struct error *err = lookup_add_server(&options->lookup);
	options->session.debug_server = options->lookup.server;
	return err ? error_wrap(err, "--%s", row->name) : NULL;
}

struct error *set_debuginfod_limit(struct options *options, const struct options_row *row,
				   const char *value)
{
	uint64_t limit_ns;
	if (!parse_duration(value, &limit_ns))
		return bad_value(row, value);
	lookup_limit_server(&options->lookup, limit_ns);
	return NULL;
}

struct error *set_source_path(struct options *options, const struct options_row *row,
			      const char *value)
{
	bool known;
	struct error *err = lookup_add_source_path(&options->lookup, value, &known);
	return err || known ? err : bad_value(row, value);
}

struct error *set_mmap(struct options *options, const struct options_row *row, const char *value)
{
	(void)row, (void)value;
	options->session.mmap = true;
	return NULL;
}

struct error *set_unreachable(struct options *options, const struct options_row *row,
			      const char *value)
{
	(void)row, (void)value;
	options->session.unreachable = true;
	return NULL;
}

struct error *set_top(struct options *options, const struct options_row *row, const char *value)
{
	uint64_t top;
	if (!parse_number(value, 1, OPTIONS_TOP_MAX, &top))
		return bad_value(row, value);
	options->query.top = top;
	return NULL;
}

struct error *set_group_by(struct options *options, const struct options_row *row,
			   const char *value)
{
	size_t choice = 0;
	struct error *err = choose(row, value, &choice);
	if (!err)
		options->query.group_by = (enum query_group)choice;
	return err;
}

struct error *set_show(struct options *options, const struct options_row *row, const char *value)
{
	size_t choice = 0;
	if (!parse_choice(value, SET_SHOW_CHOICES, &choice))
		return bad_value(row, value);
	options->query.show = (enum query_show)choice;
	options->show_given = true;
	return NULL;
}

struct error *set_histogram(struct options *options, const struct options_row *row,
			    const char *value)
{
	size_t choice = 0;
	struct error *err = choose(row, value, &choice);
	if (!err)
		options->query.histogram = (enum query_histogram)(choice + 1);
	return err;
}

struct error *set_charge(struct options *options, const struct options_row *row, const char *value)
{
	size_t choice = 0;
	struct error *err = choose(row, value, &choice);
	if (!err)
		options->query.charge = (enum query_charge)choice;
	return err;
}

struct error *set_skip(struct options *options, const struct options_row *row, const char *value)
{
	if (!*value)
		return bad_value(row, value);
	if (!array_reserve(&options->skip, &options->skip_capacity, options->query.skip_count + 1,
			   sizeof *options->skip))
		return error_no_memory();
	options->skip[options->query.skip_count++] = value;
	options->query.skip = options->skip;
	return NULL;
}

struct error *set_cumulative(struct options *options, const struct options_row *row,
			     const char *value)
{
	(void)row, (void)value;
	options->query.cumulative = true;
	return NULL;
}

struct error *set_min_size(struct options *options, const struct options_row *row,
			   const char *value)
{
	return parse_size(value, &options->query.min_bytes) ? NULL : bad_value(row, value);
}

static struct error *add_filter(struct options *options, const char *value, bool inclusive)
{
	struct query_filter filter;
	struct error *err = filters_parse(value, &filter);
	if (err)
		return err;
	if (!array_reserve(&options->filters, &options->filter_capacity,
			   options->query.filter_count + 1, sizeof *options->filters))
		return error_no_memory();
	filter.inclusive = inclusive;
	options->filters[options->query.filter_count++] = filter;
	options->query.filters = options->filters;
	return NULL;
}

struct error *set_filter(struct options *options, const struct options_row *row, const char *value)
{
	(void)row;
	return add_filter(options, value, true);
}

struct error *set_exclude(struct options *options, const struct options_row *row, const char *value)
{
	(void)row;
	return add_filter(options, value, false);
}

struct error *set_all_frames(struct options *options, const struct options_row *row,
			     const char *value)
{
	(void)row, (void)value;
	options->query.all_frames = true;
	return NULL;
}

struct error *set_suppressions(struct options *options, const struct options_row *row,
			       const char *value)
{
	if (!*value)
		return bad_value(row, value);
	struct error *err = suppressions_read(value, &options->suppressions);
	options->query.suppressions = options->suppressions.items;
	options->query.suppression_count = options->suppressions.count;
	return err;
}

struct error *set_fail_on(struct options *options, const struct options_row *row, const char *value)
{
	return limits_parse(&options->limits, value) ? NULL : bad_value(row, value);
}

struct error *set_report(struct options *options, const struct options_row *row, const char *value)
{
	if (!*value)
		return bad_value(row, value);
	options->report_path = value;
	return NULL;
}

struct error *set_output(struct options *options, const struct options_row *row, const char *value)
{
	if (!*value)
		return bad_value(row, value);
	options->output_path = value;
	return NULL;
}

struct error *set_format(struct options *options, const struct options_row *row, const char *value)
{
	const struct report_format *format = report_format(value);
	if (!format)
		return bad_value(row, value);
	options->format = format;
	options->format_given = true;
	return NULL;
}

struct error *set_quiet(struct options *options, const struct options_row *row, const char *value)
{
	(void)row, (void)value;
	options->quiet = true;
	options->verbose = 0;
	return NULL;
}

struct error *set_verbose(struct options *options, const struct options_row *row, const char *value)
{
	(void)row, (void)value;
	options->quiet = false;
	options->verbose++;
	return NULL;
}

struct error *set_status(struct options *options, const struct options_row *row, const char *value)
{
	size_t choice = 0;
	struct error *err = choose(row, value, &choice);
	if (!err)
		options->status = (enum options_status)choice;
	return err;
}

struct error *set_color(struct options *options, const struct options_row *row, const char *value)
{
	size_t choice = 0;
	struct error *err = choose(row, value, &choice);
	if (!err)
		options->color = (enum options_color)choice;
	return err;
}

struct error *set_clean(struct options *options, const struct options_row *row, const char *value)
{
	(void)row, (void)value;
	options->clean = true;
	return NULL;
}

struct error *set_help(struct options *options, const struct options_row *row, const char *value)
{
	(void)row, (void)value;
	options->help_topic = options->command & OPTIONS_TOPICS;
	options->command = OPTIONS_HELP;
	return NULL;
}

struct error *set_version(struct options *options, const struct options_row *row, const char *value)
{
	(void)row, (void)value;
	options->command = OPTIONS_VERSION;
	return NULL;
}
