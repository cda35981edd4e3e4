/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/json_value.h"
#include "report/names.h"
#include "report/report.h"
#include "report/texts.h"
#include "snapshot/sum.h"

/* Times are in nanoseconds; the reader speaks of rates for a million units. */
#define TIME_UNIT	  "ns"
#define MILLION_TIME_UNIT "ms"

/* Mean lifetimes up to this many units are marked as short. */
enum { SHORT_LIFETIME = 1000 };

/* A row of the profile: what all stacks that read alike have done, of which stack is one. */
struct point {
	const struct selection_stack *stack;
	struct site_counters counters;
};

struct dhat {
	const struct selection *selection;
	struct texts frames;
	struct texts stacks;   /* each as the numbers of its frames */
	struct point *points;  /* of each of these */
	size_t *frame_numbers; /* of each frame of the snapshot, + 1; 0: not yet */
	bool failed;
};

static void dhat_deinit(struct dhat *dhat)
{
	texts_deinit(&dhat->frames);
	texts_deinit(&dhat->stacks);
	free(dhat->points);
	free(dhat->frame_numbers);
}

/* "0x4AA1: parse (src/parse.c:414)"; frame: NULL for that of an unknown stack. */
static size_t number_text(struct dhat *dhat, const struct snapshot_frame *frame)
{
	static const struct snapshot_frame unknown = {0};
	_cleanup_buffer_ struct buffer text = {0};
	frame = frame ? frame : &unknown;
	buffer_printf(&text, "0x%" PRIX64 ": ", frame->offset);
	names_frame(&text, frame);
	dhat->failed |= buffer_failed(&text);
	return texts_add(&dhat->frames, buffer_text(&text));
}

static size_t number_of(struct dhat *dhat, uint32_t index)
{
	size_t *number = &dhat->frame_numbers[index];
	if (!*number)
		*number = number_text(dhat, &dhat->selection->snapshot->frames[index]) + 1;
	return *number - 1;
}

/* The reader refuses a file in which two rows have the same frames. */
static void add_stack(struct dhat *dhat, const struct selection_stack *stack)
{
	_cleanup_buffer_ struct buffer key = {0};
	for (size_t i = 0; i < stack->frame_count; i++)
		buffer_printf(&key, "%zu ", number_of(dhat, stack->frames[i]));
	if (!stack->frame_count)
		buffer_printf(&key, "%zu ", number_text(dhat, NULL));
	size_t point = texts_add(&dhat->stacks, buffer_text(&key));
	dhat->failed |= buffer_failed(&key) || dhat->frames.failed || dhat->stacks.failed;
	dhat->points[point].stack = stack;
	sum_site(&dhat->points[point].counters, &stack->counters);
}

static struct error *add_stacks(struct dhat *dhat)
{
	const struct selection *selection = dhat->selection;
	dhat->frame_numbers =
		calloc(selection->snapshot->frame_count + 1, sizeof *dhat->frame_numbers);
	dhat->points = calloc(selection->count + 1, sizeof *dhat->points);
	if (!dhat->frame_numbers || !dhat->points)
		return error_no_memory();
	texts_add(&dhat->frames, "[root]");
	for (size_t i = 0; i < selection->count; i++) {
		const struct site_counters *c = &selection->stacks[i].counters;
		if (c->total_blocks || c->peak_blocks)
			add_stack(dhat, &selection->stacks[i]);
	}
	return dhat->failed ? error_no_memory() : NULL;
}

static json_t *stack_array(struct dhat *dhat, const struct selection_stack *stack)
{
	json_t *array = json_array();
	for (size_t i = 0; i < stack->frame_count; i++)
		json_value_append(array, json_value_number(number_of(dhat, stack->frames[i])),
				  &dhat->failed);
	if (!stack->frame_count)
		json_value_append(array, json_value_number(number_text(dhat, NULL)), &dhat->failed);
	return array;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* tb: total, tl: lifetime, mb: most, gb: at the peak, eb: at the end; with k the blocks. */
static json_t *point_object(struct dhat *dhat, const struct point *point)
{
	const struct site_counters *c = &point->counters;
	uint64_t end_bytes, end_blocks;
	json_t *object = json_object();
	bool *failed = &dhat->failed;
	query_quantity(QUERY_LEAKED, c, &end_bytes, &end_blocks);
	json_value_set_number(object, "tb", c->total_bytes, failed);
	json_value_set_number(object, "tbk", c->total_blocks, failed);
	json_value_set_number(object, "tl", c->lifetime_ns, failed);
	json_value_set_number(object, "mb", larger(c->peak_bytes, end_bytes), failed);
	json_value_set_number(object, "mbk", larger(c->peak_blocks, end_blocks), failed);
	json_value_set_number(object, "gb", c->peak_bytes, failed);
	json_value_set_number(object, "gbk", c->peak_blocks, failed);
	json_value_set_number(object, "eb", end_bytes, failed);
	json_value_set_number(object, "ebk", end_blocks, failed);
	json_value_set(object, "fs", stack_array(dhat, point->stack), failed);
	return object;
}

static json_t *point_array(struct dhat *dhat)
{
	json_t *array = json_array();
	for (size_t i = 0; i < dhat->stacks.count; i++)
		json_value_append(array, point_object(dhat, &dhat->points[i]), &dhat->failed);
	return array;
}

static json_t *frame_array(struct dhat *dhat)
{
	json_t *array = json_array();
	for (size_t i = 0; !dhat->frames.failed && i < dhat->frames.count; i++)
		json_value_append(array, json_value_text(texts_get(&dhat->frames, i)),
				  &dhat->failed);
	return array;
}

static json_t *profile_object(struct dhat *dhat)
{
	const struct snapshot *snapshot = dhat->selection->snapshot;
	_cleanup_buffer_ struct buffer command = {0};
	json_t *object = json_object();
	bool *failed = &dhat->failed;
	names_command(&command, snapshot);
	json_value_set_number(object, "dhatFileVersion", 2, failed);
	json_value_set_text(object, "mode", "heap", failed);
	json_value_set_text(object, "verb", "Allocated", failed);
	json_value_set(object, "bklt", json_true(), failed);
	json_value_set(object, "bkacc", json_false(), failed);
	json_value_set_text(object, "tu", TIME_UNIT, failed);
	json_value_set_text(object, "Mtu", MILLION_TIME_UNIT, failed);
	json_value_set_number(object, "tuth", SHORT_LIFETIME, failed);
	json_value_set_text(object, "cmd", buffer_text(&command), failed);
	json_value_set_number(object, "pid", snapshot->pid, failed);
	json_value_set_number(object, "te", snapshot->duration_ns, failed);
	json_value_set_number(object, "tg", snapshot->totals.peak_at_ns, failed);
	json_value_set(object, "pps", point_array(dhat), failed);
	json_value_set(object, "ftbl", frame_array(dhat), failed);
	*failed |= buffer_failed(&command);
	return object;
}

struct error *report_dhat(const struct selection *selection, const struct report_source *source,
			  struct buffer *out)
{
	(void)source;
	__attribute__((__cleanup__(dhat_deinit))) struct dhat dhat = {.selection = selection};
	struct error *err = add_stacks(&dhat);
	if (err)
		return err;
	json_t *profile = profile_object(&dhat);
	err = dhat.failed || dhat.frames.failed ? error_no_memory()
						: json_value_write_compact(profile, out);
	json_decref(profile);
	return err;
}
