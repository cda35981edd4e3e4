/* SPDX-License-Identifier: MIT */
#include "cli/interim.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/output.h"
#include "cli/presentation.h"
#include "cli/saved.h"
#include "cli/sources.h"

char *interim_name(const char *path, unsigned number)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	const char *dot = strrchr(base, '.');
	size_t head = dot && dot > base ? (size_t)(dot - path) : strlen(path);
	char *name;
	if (asprintf(&name, "%.*s.%u%s", (int)head, path, number, path + head) < 0)
		return NULL;
	return name;
}

static struct error *save(const struct options *options, const char *path,
			  struct snapshot *snapshot)
{
	_cleanup_output_ struct output output;
	struct error *err = output_open("snapshot", path, -1, &output);
	if (!err)
		err = sources_keep(snapshot, &options->lookup);
	return err ? err : saved_write(snapshot, &output);
}

static struct error *report(const struct interim *interim, const char *path,
			    const struct snapshot *snapshot)
{
	_cleanup_output_ struct output output;
	const struct options *options = interim->options;
	struct error *err = output_open("report", path, interim->standard_fd, &output);
	return err ? err
		   : presentation_write(options, &options->query, snapshot, PRESENTATION_LIVE,
					&output);
}

static struct error *take(void *context, struct snapshot *snapshot, struct buffer *file_ret)
{
	struct interim *interim = context;
	const struct options *options = interim->options;
	const char *path = options->output_path ? options->output_path : options->report_path;
	interim->count++;
	_cleanup_free_ char *name = path ? interim_name(path, interim->count) : NULL;
	if (path && !name)
		return error_no_memory();
	struct error *err = options->output_path ? save(options, name, snapshot)
						 : report(interim, name, snapshot);
	if (!err && name)
		buffer_string(file_ret, name);
	return err;
}

static struct error *complete(void *context, struct snapshot *snapshot)
{
	const struct interim *interim = context;
	return sources_keep(snapshot, &interim->options->lookup);
}

struct session_sink interim_sink(struct interim *interim)
{
	return (struct session_sink){.take = take,
				     .complete = complete,
				     .saves = interim->options->output_path != NULL,
				     .context = interim};
}
