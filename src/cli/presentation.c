/* SPDX-License-Identifier: MIT */
#include "cli/presentation.h"

#include "base/buffer.h"
#include "image/image.h"
#include "report/report.h"
#include "snapshot/query.h"

static void destroy_sourcesp(struct image_sources **sources)
{
	image_sources_destroy(*sources);
}

static const char *source_line(void *context, const char *file, uint32_t line)
{
	return image_sources_line(context, file, line);
}

static struct error *render_table(const struct options *options, const struct snapshot *snapshot,
				  const struct table *table, struct buffer *out)
{
	__attribute__((__cleanup__(destroy_sourcesp))) struct image_sources *sources = NULL;
	struct error *err = image_sources_create(&sources);
	if (err)
		return err;
	struct report_source source = {.line = source_line, .context = sources};
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

static struct error *render(const struct options *options, const struct snapshot *snapshot,
			    struct buffer *out)
{
	struct table table = {0};
	struct error *err = query_run(snapshot, &options->query, &table);
	if (err)
		return err;
	err = render_table(options, snapshot, &table, out);
	table_deinit(&table);
	return err;
}

struct error *presentation_write(const struct options *options, const struct snapshot *snapshot,
				 struct output *output)
{
	_cleanup_buffer_ struct buffer text = {0};
	struct error *err = render(options, snapshot, &text);
	return err ? err : output_finish(output, buffer_text(&text), text.count);
}
