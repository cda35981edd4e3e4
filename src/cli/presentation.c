/* SPDX-License-Identifier: MIT */
#include "cli/presentation.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "cli/terminal.h"
#include "image/image.h"
#include "report/report.h"
#include "report/text_dress.h"
#include "snapshot/query.h"

/* old: NULL where nothing is compared; files: NULL where none may be read. */
struct source_context {
	const struct snapshot *snapshot;
	const struct snapshot *old;
	struct image_sources *files;
	const struct lookup *lookup;
	bool only_moved;
};

static void destroy_sourcesp(struct image_sources **sources)
{
	image_sources_destroy(*sources);
}

static const char *source_line(void *context, const char *file, uint32_t line)
{
	struct source_context *source = context;
	const char *text = snapshot_source_text(source->snapshot, file, line);
	if (!text && source->old)
		text = snapshot_source_text(source->old, file, line);
	if (!text && source->snapshot->mappings)
		text = snapshot_source_text(source->snapshot->mappings, file, line);
	if (text || !source->files)
		return text;
	return lookup_source_line(source->lookup, source->files, file, line, source->only_moved);
}

struct error *presentation_check(const struct options *options, const struct output *output)
{
	if (options->format->to_terminal || !isatty(output->fd))
		return NULL;
	return error_new(ERROR_USAGE, "--format %s is nothing for a terminal: give --report FILE",
			 options->format->name);
}

struct error *presentation_check_question(const struct query *query,
					  const struct snapshot *snapshot)
{
	if (query->show != QUERY_UNREACHABLE || snapshot_scan_was_made(&snapshot->scan))
		return NULL;
	return error_new(ERROR_UNSUPPORTED,
			 "cannot show unreachable blocks: the snapshot was made without "
			 "--unreachable");
}

static struct error *render_table(const struct options *options, const struct query *query,
				  const struct snapshot *old, const struct snapshot *snapshot,
				  const struct report_source *source, struct buffer *out)
{
	struct report_options report_options = {
		.body_only = options->quiet,
		.all_blind_modules = options->verbose > 0,
	};
	struct table table = {0};
	struct error *err = old ? query_compare(old, snapshot, query, &table)
				: query_run(snapshot, query, &table);
	if (err)
		return err;
	err = options->format->write_table(snapshot, &table, source, &report_options, out);
	table_deinit(&table);
	return err;
}

static struct error *render_stacks(const struct options *options, const struct query *query,
				   const struct snapshot *snapshot,
				   const struct report_source *source, struct buffer *out)
{
	_cleanup_selection_ struct selection selection = {0};
	struct error *err = selection_make(snapshot, query, &selection);
	return err ? err : options->format->write_stacks(&selection, source, out);
}

/* old: NULL where nothing is compared. */
static struct error *render(const struct options *options, const struct query *query,
			    const struct snapshot *old, const struct snapshot *snapshot,
			    enum presentation_origin origin, struct buffer *out)
{
	__attribute__((__cleanup__(destroy_sourcesp))) struct image_sources *files = NULL;
	bool live = origin == PRESENTATION_LIVE;
	struct error *err = NULL;
	if (live || options->lookup.move_count)
		err = image_sources_create(&files);
	if (err)
		return err;
	struct source_context context = {.snapshot = snapshot,
					 .old = old,
					 .files = files,
					 .lookup = &options->lookup,
					 .only_moved = !live};
	struct report_source source = {.line = source_line, .context = &context};
	const struct report_format *format = options->format;
	err = format->write_table  ? render_table(options, query, old, snapshot, &source, out)
	      : format->write_page ? format->write_page(snapshot, query, &source, out)
				   : render_stacks(options, query, snapshot, &source, out);
	if (!err && buffer_failed(out))
		return error_no_memory();
	return err;
}

/* Only what people read on a terminal, or where they ask for colours. */
static struct text_dress dress_for(const struct options *options, const struct output *output)
{
	const char *no_color = getenv("NO_COLOR");
	bool on_terminal = !output->path && isatty(output->fd);
	bool by_habit = on_terminal && terminal_can_move(output->fd) && !(no_color && *no_color);
	if (strcmp(options->format->name, "text") != 0)
		return (struct text_dress){0};
	return (struct text_dress){
		.colors = options->color == OPTIONS_COLOR_ALWAYS ||
			  (options->color == OPTIONS_COLOR_AUTO && by_habit),
		.columns = on_terminal ? terminal_columns(output->fd) : 0,
	};
}

static struct error *write_report(const struct options *options, const struct query *query,
				  const struct snapshot *old, const struct snapshot *snapshot,
				  enum presentation_origin origin, struct output *output)
{
	_cleanup_buffer_ struct buffer plain = {0}, dressed = {0};
	const struct text_dress dress = dress_for(options, output);
	struct error *err = render(options, query, old, snapshot, origin, &plain);
	if (err)
		return err;
	if (!dress.colors && !dress.columns)
		return output_finish(output, buffer_text(&plain), plain.count);
	text_dress(buffer_text(&plain), &dress, &dressed);
	return buffer_failed(&dressed)
		       ? error_no_memory()
		       : output_finish(output, buffer_text(&dressed), dressed.count);
}

struct error *presentation_write(const struct options *options, const struct query *query,
				 const struct snapshot *snapshot, enum presentation_origin origin,
				 struct output *output)
{
	return write_report(options, query, NULL, snapshot, origin, output);
}

struct error *presentation_write_diff(const struct options *options, const struct query *query,
				      const struct snapshot *old, const struct snapshot *new,
				      struct output *output)
{
	return write_report(options, query, old, new, PRESENTATION_SAVED, output);
}
