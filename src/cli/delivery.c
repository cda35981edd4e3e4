/* SPDX-License-Identifier: MIT */
#include "cli/delivery.h"

#include "cli/presentation.h"
#include "cli/saved.h"
#include "cli/sources.h"

struct error *delivery_open(const struct options *options, int standard_fd, struct delivery *ret)
{
	*ret = (struct delivery){.report.fd = -1, .snapshot.fd = -1};
	struct error *err = output_open("report", options->report_path, standard_fd, &ret->report);
	if (!err)
		err = presentation_check(options, &ret->report);
	if (!err && options->output_path)
		err = output_open("snapshot", options->output_path, -1, &ret->snapshot);
	if (err)
		delivery_deinit(ret);
	return err;
}

static struct error *save(struct delivery *delivery, const struct lookup *lookup,
			  struct snapshot *snapshot)
{
	struct error *err = sources_keep(snapshot, lookup);
	return err ? err : saved_write(snapshot, &delivery->snapshot);
}

struct error *delivery_write(struct delivery *delivery, const struct options *options,
			     struct snapshot *snapshot)
{
	struct error *unsaved =
		delivery->snapshot.path ? save(delivery, &options->lookup, snapshot) : NULL;
	struct error *err = presentation_write(options, &options->query, snapshot,
					       PRESENTATION_LIVE, &delivery->report);
	if (!unsaved || !err)
		return unsaved ? unsaved : err;
	err = error_wrap(err, "%s", error_message(unsaved));
	error_free(unsaved);
	return err;
}

void delivery_deinit(struct delivery *delivery)
{
	output_deinit(&delivery->report);
	output_deinit(&delivery->snapshot);
}
