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

/* Times are in nanoseconds; the reader speaks of rates for a million units. */
#define TIME_UNIT	  "ns"
#define MILLION_TIME_UNIT "ms"

/* Mean lifetimes up to this many units are marked as short. */
enum { SHORT_LIFETIME = 1000 };

struct dhat {
	const struct selection *selection;
	struct texts frames;
	json_t **
		numbers; /* of each frame of the snapshot, its number in the table; NULL: not yet */
	bool failed;
};

static void dhat_deinit(struct dhat *dhat)
{
	size_t count = dhat->numbers ? dhat->selection->snapshot->frame_count : 0;
	for (size_t i = 0; i < count; i++)
		json_decref(dhat->numbers[i]);
	free(dhat->numbers);
	texts_deinit(&dhat->frames);
}

/* "0x4AA1: parse (src/parse.c:414)". */
static json_t *number_of(struct dhat *dhat, uint32_t index)
{
	const struct snapshot_frame *frame = &dhat->selection->snapshot->frames[index];
	if (!dhat->numbers[index]) {
		_cleanup_buffer_ struct buffer text = {0};
		buffer_printf(&text, "0x%" PRIX64 ": ", frame->offset);
		names_frame(&text, frame);
		size_t number = texts_add(&dhat->frames, buffer_text(&text));
		dhat->failed |= buffer_failed(&text) || dhat->frames.failed;
		dhat->numbers[index] = json_value_number(number);
	}
	return json_incref(dhat->numbers[index]);
}

static json_t *stack_array(struct dhat *dhat, const struct selection_stack *stack)
{
	json_t *array = json_array();
	for (size_t i = 0; i < stack->frame_count; i++)
		json_value_append(array, number_of(dhat, stack->frames[i]), &dhat->failed);
	if (!stack->frame_count)
		json_value_append(array,
				  json_value_number(texts_add(&dhat->frames, "0x0: <unknown>")),
				  &dhat->failed);
	return array;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* tb: total, tl: lifetime, mb: most, gb: at the peak, eb: at the end; with k the blocks. */
static json_t *point_object(struct dhat *dhat, const struct selection_stack *stack)
{
	const struct site_counters *c = &stack->counters;
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
	json_value_set(object, "fs", stack_array(dhat, stack), failed);
	return object;
}

static json_t *point_array(struct dhat *dhat)
{
	json_t *array = json_array();
	for (size_t i = 0; i < dhat->selection->count; i++) {
		const struct selection_stack *stack = &dhat->selection->stacks[i];
		if (stack->counters.total_blocks || stack->counters.peak_blocks)
			json_value_append(array, point_object(dhat, stack), &dhat->failed);
	}
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
	dhat.numbers = calloc(selection->snapshot->frame_count + 1, sizeof *dhat.numbers);
	if (!dhat.numbers)
		return error_no_memory();
	texts_add(&dhat.frames, "[root]");
	json_t *profile = profile_object(&dhat);
	struct error *err = dhat.failed || dhat.frames.failed
				    ? error_no_memory()
				    : json_value_write_compact(profile, out);
	json_decref(profile);
	return err;
}
