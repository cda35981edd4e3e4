/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "report/massif_tree.h"
#include "report/names.h"
#include "report/report.h"

/* Points of the timeline that are kept, beside those with details; massif has as many itself. */
enum { POINTS_MAX = 100 };

/* What callers need to have rows of their own; massif itself has 1 %. */
#define THRESHOLD_PERCENT	     0.1
#define THRESHOLD_ON_THE_WAY_PERCENT 1.0

/* In the order in which those of one time stand. */
enum moment_kind { MOMENT_PLAIN, MOMENT_DETAIL, MOMENT_PEAK, MOMENT_END };

struct moment {
	uint64_t time_ns;
	uint64_t bytes;
	const struct snapshot_detail_point *detail; /* of MOMENT_DETAIL */
	enum moment_kind kind;
};

struct massif {
	const struct selection *selection;
	struct massif_tree tree;
	uint64_t *bytes; /* of each stack, at the moment that is written */
	struct moment *moments;
	size_t moment_count;
	struct buffer *out;
};

static void massif_deinit(struct massif *massif)
{
	massif_tree_deinit(&massif->tree);
	free(massif->bytes);
	free(massif->moments);
}

static int compare_moments(const void *left, const void *right)
{
	const struct moment *a = left, *b = right;
	if (a->time_ns != b->time_ns)
		return a->time_ns < b->time_ns ? -1 : 1;
	return (a->kind > b->kind) - (a->kind < b->kind);
}

static void add(struct massif *massif, struct moment moment)
{
	massif->moments[massif->moment_count++] = moment;
}

/* Of several points in a row the highest stays. */
static void add_points(struct massif *massif)
{
	const struct snapshot *snapshot = massif->selection->snapshot;
	size_t count = snapshot->timeline_count, step = count / POINTS_MAX + 1;
	for (size_t from = 0; from < count; from += step) {
		const struct snapshot_timeline_point *highest = &snapshot->timeline[from];
		for (size_t i = from; i < count && i < from + step; i++)
			if (snapshot->timeline[i].current_bytes > highest->current_bytes)
				highest = &snapshot->timeline[i];
		add(massif,
		    (struct moment){.time_ns = highest->time_ns, .bytes = highest->current_bytes});
	}
}

static void add_details(struct massif *massif)
{
	const struct snapshot *snapshot = massif->selection->snapshot;
	for (size_t i = 0; i < snapshot->detail_point_count; i++) {
		const struct snapshot_detail_point *point = &snapshot->detail_points[i];
		add(massif, (struct moment){.time_ns = point->time_ns,
					    .bytes = point->current_bytes,
					    .detail = point,
					    .kind = MOMENT_DETAIL});
	}
}

/*
 * The end is what was never released, as massif has it; but blocks that processes left when they
 * ended at different times may never have been there at once: then it is what was live at the last.
 */
static enum query_show shown_at_end(const struct site_counters *sums)
{
	uint64_t bytes, blocks;
	query_quantity(QUERY_LEAKED, sums, &bytes, &blocks);
	return bytes <= sums->peak_bytes ? QUERY_LEAKED : QUERY_CURRENT;
}

/* Filters know only the sites, not what lies between them: no moments but the peak and the end. */
static struct error *choose_moments(struct massif *massif, enum query_show at_end)
{
	const struct snapshot *snapshot = massif->selection->snapshot;
	const struct site_counters sums = selection_sums(massif->selection);
	uint64_t end_bytes, blocks;
	massif->moments =
		calloc(POINTS_MAX + snapshot->detail_point_count + 2, sizeof *massif->moments);
	if (!massif->moments)
		return error_no_memory();
	if (!massif->selection->query->filter_count) {
		add_points(massif);
		add_details(massif);
	}
	query_quantity(at_end, &sums, &end_bytes, &blocks);
	add(massif, (struct moment){.time_ns = snapshot->totals.peak_at_ns,
				    .bytes = sums.peak_bytes,
				    .kind = MOMENT_PEAK});
	add(massif, (struct moment){.time_ns = snapshot->duration_ns,
				    .bytes = end_bytes,
				    .kind = MOMENT_END});
	qsort(massif->moments, massif->moment_count, sizeof *massif->moments, compare_moments);
	return NULL;
}

static void fill_bytes(struct massif *massif, enum query_show show)
{
	for (size_t i = 0; i < massif->selection->count; i++) {
		uint64_t blocks;
		query_quantity(show, &massif->selection->stacks[i].counters, &massif->bytes[i],
			       &blocks);
	}
}

/* The sums of a detail's sites are at most its whole, so that none can exceed. */
static void fill_bytes_of_detail(struct massif *massif, const struct snapshot_detail_point *point)
{
	const struct selection *selection = massif->selection;
	for (size_t i = 0; i < selection->count; i++)
		massif->bytes[i] = 0;
	for (size_t i = 0; i < point->site_count; i++) {
		const struct snapshot_detail_site *site =
			&selection->snapshot->detail_sites[point->first_site + i];
		size_t stack = selection->stack_of_site[site->site];
		if (stack != SELECTION_NO_STACK)
			massif->bytes[stack] += site->bytes;
	}
}

static struct error *write_moment(struct massif *massif, size_t i, enum query_show at_end)
{
	static const char *const trees[] = {[MOMENT_PLAIN] = "empty",
					    [MOMENT_DETAIL] = "detailed",
					    [MOMENT_PEAK] = "peak",
					    [MOMENT_END] = "detailed"};
	const struct moment *moment = &massif->moments[i];
	buffer_printf(massif->out,
		      "#-----------\nsnapshot=%zu\n#-----------\ntime=%" PRIu64 ".%03u\n"
		      "mem_heap_B=%" PRIu64 "\nmem_heap_extra_B=0\nmem_stacks_B=0\nheap_tree=%s\n",
		      i, moment->time_ns / 1000000, (unsigned)(moment->time_ns / 1000 % 1000),
		      moment->bytes, trees[moment->kind]);
	if (moment->kind == MOMENT_PLAIN)
		return NULL;
	bool on_the_way = moment->kind == MOMENT_DETAIL;
	if (on_the_way)
		fill_bytes_of_detail(massif, moment->detail);
	else
		fill_bytes(massif, moment->kind == MOMENT_PEAK ? QUERY_PEAK : at_end);
	return massif_tree_write(&massif->tree, massif->bytes, moment->bytes,
				 on_the_way ? THRESHOLD_ON_THE_WAY_PERCENT : THRESHOLD_PERCENT,
				 massif->out);
}

static void write_header(struct buffer *out, const struct snapshot *snapshot)
{
	const char *producer = snapshot->machine.producer;
	buffer_string(out, "desc: ");
	buffer_escaped(out, producer ? producer : "tracealloc");
	buffer_string(out, "\ncmd: ");
	names_command(out, snapshot);
	buffer_string(out, "\ntime_unit: ms\n");
}

struct error *report_massif(const struct selection *selection, const struct report_source *source,
			    struct buffer *out)
{
	(void)source;
	__attribute__((__cleanup__(massif_deinit))) struct massif massif = {.selection = selection,
									    .out = out};
	const struct site_counters sums = selection_sums(selection);
	enum query_show at_end = shown_at_end(&sums);
	massif.bytes = calloc(selection->count + 1, sizeof *massif.bytes);
	struct error *err = massif.bytes ? NULL : error_no_memory();
	if (!err)
		err = massif_tree_make(selection, &massif.tree);
	if (!err)
		err = choose_moments(&massif, at_end);
	if (err)
		return err;
	write_header(out, selection->snapshot);
	for (size_t i = 0; !err && i < massif.moment_count; i++)
		err = write_moment(&massif, i, at_end);
	return !err && buffer_failed(out) ? error_no_memory() : err;
}
