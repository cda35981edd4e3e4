/* SPDX-License-Identifier: MIT */
#include "cli/presentation.h"

#include "base/buffer.h"
#include "image/image.h"
#include "report/report.h"
#include "snapshot/query.h"

/* old: NULL where nothing is compared; files: NULL where none may be read. */
struct source_context {
	const struct snapshot *snapshot;
	const struct snapshot *old;
	struct image_sources *files;
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
	return text || !source->files ? text : image_sources_line(source->files, file, line);
}

static struct error *render_table(const struct options *options, const struct snapshot *snapshot,
				  const struct table *table, enum presentation_origin origin,
				  struct buffer *out)
{
	__attribute__((__cleanup__(destroy_sourcesp))) struct image_sources *files = NULL;
	struct error *err = origin == PRESENTATION_LIVE ? image_sources_create(&files) : NULL;
	if (err)
		return err;
	struct source_context context = {.snapshot = snapshot, .old = table->old, .files = files};
	struct report_source source = {.line = source_line, .context = &context};
	struct report_options report_options = {
		.body_only = options->quiet,
		.all_blind_modules = options->verbose > 0,
	};
	err = options->format == OPTIONS_JSON
		      ? report_json(snapshot, table, &source, &report_options, out)
		      : report_text(snapshot, table, &source, &report_options, out);
	if (!err && buffer_failed(out))
		return error_no_memory();
	return err;
}

/* Consumes the table. */
static struct error *write_table(const struct options *options, const struct snapshot *snapshot,
				 struct table *table, enum presentation_origin origin,
				 struct output *output)
{
	_cleanup_buffer_ struct buffer text = {0};
	struct error *err = render_table(options, snapshot, table, origin, &text);
	table_deinit(table);
	return err ? err : output_finish(output, buffer_text(&text), text.count);
}

struct error *presentation_write(const struct options *options, const struct query *query,
				 const struct snapshot *snapshot, enum presentation_origin origin,
				 struct output *output)
{
	struct table table = {0};
	struct error *err = query_run(snapshot, query, &table);
	return err ? err : write_table(options, snapshot, &table, origin, output);
}

struct error *presentation_write_diff(const struct options *options, const struct query *query,
				      const struct snapshot *old, const struct snapshot *new,
				      struct output *output)
{
	struct table table = {0};
	struct error *err = query_compare(old, new, query, &table);
	return err ? err : write_table(options, new, &table, PRESENTATION_SAVED, output);
}
