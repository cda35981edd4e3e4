/* SPDX-License-Identifier: MIT */
#include "cli/conflicts.h"

#include <string.h>

#include "base/buffer.h"

static bool has_age(const struct query *query)
{
	for (size_t i = 0; i < query->filter_count; i++)
		if (query->filters[i].kind == FILTER_AGE)
			return true;
	return false;
}

/* Questions that have no answer. */
static struct error *check_query(const struct query *query)
{
	if (query->cumulative && !query_is_by_frame(query))
		return error_new(ERROR_USAGE,
				 "--cumulative is for rows of single frames: give --group-by "
				 "line|file|function|module");
	if (query->min_bytes && query->show == QUERY_TEMPORARY)
		return error_new(ERROR_USAGE,
				 "--min-size is for sizes, which --show temporary does not know");
	if (query->all_frames && !query->filter_count)
		return error_new(ERROR_USAGE,
				 "--all-frames says what --filter and --exclude look at: give one");
	if (query->histogram == QUERY_LIFETIME_HISTOGRAM && query->filter_count)
		return error_new(ERROR_USAGE, "--histogram lifetime is of the whole session: give "
					      "no --filter and no --exclude");
	if (query->histogram && has_age(query))
		return error_new(ERROR_USAGE, "--histogram does not go with age=: ages are of live "
					      "blocks alone");
	return NULL;
}

/* What the session must keep so that its own report answers. */
static struct error *keep_what_is_asked(struct options *options)
{
	const struct query *query = &options->query;
	if (has_age(query) && query->show != QUERY_CURRENT && query->show != QUERY_LEAKED)
		return error_new(ERROR_USAGE, "age= is of blocks that live: give --show current or "
					      "--show leaked");
	if (options->session.keep & KEPT_RAW && !options->output_path)
		return error_new(ERROR_USAGE, "--raw leaves the symbols to 'tracealloc report': "
					      "give --output FILE");
	options->session.keep |=
		query_wants(query) & (unsigned)(KEPT_SIZES | KEPT_THREADS | KEPT_WASTE);
	return NULL;
}

/* Appends "text|json": the formats that a comparison can have. */
static void print_table_formats(struct buffer *out)
{
	size_t count;
	const struct report_format *formats = report_formats(&count);
	for (size_t i = 0; i < count; i++)
		if (formats[i].write_table)
			buffer_printf(out, "%s%s", out->count ? "|" : "", formats[i].name);
}

/* Which option was given that only tables know; NULL: none was. */
static const char *table_option(const struct query *query)
{
	if (query->group_by != QUERY_LINE)
		return "--group-by";
	if (query->top != OPTIONS_TOP_DEFAULT)
		return "--top";
	if (query->min_bytes)
		return "--min-size";
	if (query->histogram)
		return "--histogram";
	if (has_age(query))
		return "--filter age=";
	return query->cumulative	       ? "--cumulative"
	       : query->show == QUERY_LIFETIME ? "--show lifetime"
	       : query->show == QUERY_WASTE    ? "--show waste"
					       : NULL;
}

/* A page groups by single frames, as its reader likes. */
static struct error *check_page_format(const struct options *options)
{
	if (query_is_by_frame(&options->query))
		return NULL;
	return error_new(ERROR_USAGE, "--format %s groups by one of line|file|function|module",
			 options->format->name);
}

/* Formats of whole stacks have no rows, and nothing of them is for people to read. */
static struct error *check_whole_format(const struct options *options)
{
	const char *name = options->format->name;
	const char *option = options->format->write_stacks ? table_option(&options->query) : NULL;
	_cleanup_buffer_ struct buffer formats = {0};
	print_table_formats(&formats);
	if (options->command == OPTIONS_DIFF)
		return error_new(ERROR_USAGE, "diff has no --format %s: give one of %s", name,
				 buffer_text(&formats));
	if (option)
		return error_new(ERROR_USAGE,
				 "%s is for tables (--format %s), --format %s has whole stacks",
				 option, buffer_text(&formats), name);
	if (options->command == OPTIONS_RUN && !options->report_path)
		return error_new(ERROR_USAGE,
				 "--format %s would mix with what the program itself writes to "
				 "standard error: give --report FILE",
				 name);
	return options->format->write_page ? check_page_format(options) : NULL;
}

static struct error *check_format(const struct options *options)
{
	if (options->command == OPTIONS_EXPORT && !options->format_given)
		return error_new(ERROR_USAGE,
				 "no format given: --format takes one of " REPORT_FORMATS);
	if (options->command == OPTIONS_CTL && options->format != report_format("text") &&
	    options->format != report_format("json"))
		return error_new(ERROR_USAGE, "ctl has no --format %s: give text or json",
				 options->format->name);
	if (options->command == OPTIONS_DOCTOR && strcmp(options->format->name, "text") != 0 &&
	    strcmp(options->format->name, "json") != 0)
		return error_new(ERROR_USAGE, "doctor has no --format %s: give one of text|json",
				 options->format->name);
	return options->format->write_table ? NULL : check_whole_format(options);
}

/* Two results under one name: the second would replace the first. */
static struct error *check_paths(const struct options *options)
{
	if (options->output_path && options->report_path &&
	    strcmp(options->output_path, options->report_path) == 0)
		return error_new(ERROR_USAGE, "--output and --report name the same file '%s'",
				 options->output_path);
	return NULL;
}

struct error *conflicts_check(struct options *options)
{
	struct error *err = check_query(&options->query);
	if (!err && options->command & (OPTIONS_RUN | OPTIONS_ATTACH))
		err = keep_what_is_asked(options);
	if (!err)
		err = check_format(options);
	if (!err)
		err = check_paths(options);
	return err;
}
