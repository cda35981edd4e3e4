/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "report/json_value.h"
#include "report/names.h"
#include "report/report.h"
#include "report/texts.h"

/* The profiles of a file. */
static const struct {
	const char *name;
	enum query_show show;
	bool is_bytes;
} profiles[] = {
	{"in use at the peak (bytes)", QUERY_PEAK, true},
	{"in use at the end (bytes)", QUERY_CURRENT, true},
	{"allocated in all (bytes)", QUERY_TOTAL, true},
	{"never released (bytes)", QUERY_LEAKED, true},
	{"allocated in all (blocks)", QUERY_COUNT, false},
	{"temporary (blocks)", QUERY_TEMPORARY, false},
};
enum { PROFILES = sizeof profiles / sizeof *profiles };

struct speedscope {
	const struct selection *selection;
	struct texts names; /* what tells frames apart */
	json_t *frames;
	json_t **numbers; /* of each frame of the snapshot, its number in frames; NULL: not yet */
	bool failed;
};

static void speedscope_deinit(struct speedscope *speedscope)
{
	size_t count = speedscope->numbers ? speedscope->selection->snapshot->frame_count : 0;
	for (size_t i = 0; i < count; i++)
		json_decref(speedscope->numbers[i]);
	free(speedscope->numbers);
	json_decref(speedscope->frames);
	texts_deinit(&speedscope->names);
}

static json_t *frame_object(struct speedscope *speedscope, const struct snapshot_frame *frame,
			    const char *name)
{
	json_t *object = json_object();
	_cleanup_buffer_ struct buffer file = {0};
	const char *path = frame->file ? frame->file : frame->module;
	json_value_set_text(object, "name", name, &speedscope->failed);
	buffer_escaped(&file, path ? path : "");
	speedscope->failed |= buffer_failed(&file);
	if (path)
		json_value_set_text(object, "file", buffer_text(&file), &speedscope->failed);
	if (frame->file && frame->line)
		json_value_set_number(object, "line", frame->line, &speedscope->failed);
	return object;
}

/* Frames at one line of one function are one frame, whatever their addresses are. */
static json_t *number_frame(struct speedscope *speedscope, const struct snapshot_frame *frame)
{
	_cleanup_buffer_ struct buffer name = {0}, key = {0};
	names_function(&name, frame);
	buffer_printf(&key, "%u %s %s %s", frame->line, frame->file ? frame->file : "",
		      frame->module ? frame->module : "", buffer_text(&name));
	size_t number = texts_add(&speedscope->names, buffer_text(&key));
	speedscope->failed |=
		buffer_failed(&name) || buffer_failed(&key) || speedscope->names.failed;
	if (!speedscope->failed && number == json_array_size(speedscope->frames))
		json_value_append(speedscope->frames,
				  frame_object(speedscope, frame, buffer_text(&name)),
				  &speedscope->failed);
	return json_value_number(number);
}

static json_t *number_of(struct speedscope *speedscope, uint32_t index)
{
	json_t **number = &speedscope->numbers[index];
	if (!*number)
		*number = number_frame(speedscope, &speedscope->selection->snapshot->frames[index]);
	return json_incref(*number);
}

static json_t *sample_array(struct speedscope *speedscope, const struct selection_stack *stack)
{
	static const struct snapshot_frame unknown = {0};
	json_t *array = json_array();
	if (stack->truncated)
		json_value_append(array, number_frame(speedscope, &names_truncated),
				  &speedscope->failed);
	for (size_t i = stack->frame_count; i-- > 0;)
		json_value_append(array, number_of(speedscope, stack->frames[i]),
				  &speedscope->failed);
	if (!stack->frame_count)
		json_value_append(array, number_frame(speedscope, &unknown), &speedscope->failed);
	return array;
}

static uint64_t value_of(size_t profile, const struct site_counters *counters)
{
	uint64_t bytes, blocks;
	query_quantity(profiles[profile].show, counters, &bytes, &blocks);
	return profiles[profile].is_bytes ? bytes : blocks;
}

static json_t *profile_object(struct speedscope *speedscope, size_t profile)
{
	const struct selection *selection = speedscope->selection;
	const struct site_counters sums = selection_sums(selection);
	bool *failed = &speedscope->failed;
	json_t *object = json_object(), *samples = json_array(), *weights = json_array();
	for (size_t i = 0; i < selection->count; i++) {
		uint64_t value = value_of(profile, &selection->stacks[i].counters);
		if (!value)
			continue;
		json_value_append(samples, sample_array(speedscope, &selection->stacks[i]), failed);
		json_value_append(weights, json_value_number(value), failed);
	}
	json_value_set_text(object, "type", "sampled", failed);
	json_value_set_text(object, "name", profiles[profile].name, failed);
	json_value_set_text(object, "unit", profiles[profile].is_bytes ? "bytes" : "none", failed);
	json_value_set_number(object, "startValue", 0, failed);
	json_value_set_number(object, "endValue", value_of(profile, &sums), failed);
	json_value_set(object, "samples", samples, failed);
	json_value_set(object, "weights", weights, failed);
	return object;
}

/* Profiles of nothing are left out, but for the one that the query asks for: it opens first. */
static json_t *profile_array(struct speedscope *speedscope, size_t *active_ret)
{
	const struct selection *selection = speedscope->selection;
	const struct site_counters sums = selection_sums(selection);
	json_t *array = json_array();
	*active_ret = 0;
	for (size_t i = 0; i < PROFILES; i++) {
		bool asked = profiles[i].show == selection->query->show;
		if (asked)
			*active_ret = json_array_size(array);
		if (asked || value_of(i, &sums))
			json_value_append(array, profile_object(speedscope, i),
					  &speedscope->failed);
	}
	return array;
}

static json_t *file_object(struct speedscope *speedscope)
{
	_cleanup_buffer_ struct buffer command = {0}, exporter = {0};
	const char *producer = speedscope->selection->snapshot->machine.producer;
	bool *failed = &speedscope->failed;
	json_t *object = json_object(), *shared = json_object();
	size_t active;
	names_command(&command, speedscope->selection->snapshot);
	buffer_escaped(&exporter, producer ? producer : "tracealloc");
	json_value_set_text(object, "$schema", "https://www.speedscope.app/file-format-schema.json",
			    failed);
	json_value_set(object, "profiles", profile_array(speedscope, &active), failed);
	json_value_set_number(object, "activeProfileIndex", active, failed);
	json_value_set(shared, "frames", json_incref(speedscope->frames), failed);
	json_value_set(object, "shared", shared, failed);
	json_value_set_text(object, "name", buffer_text(&command), failed);
	json_value_set_text(object, "exporter", buffer_text(&exporter), failed);
	*failed |= buffer_failed(&command) || buffer_failed(&exporter);
	return object;
}

struct error *report_speedscope(const struct selection *selection,
				const struct report_source *source, struct buffer *out)
{
	(void)source;
	__attribute__((__cleanup__(speedscope_deinit))) struct speedscope speedscope = {
		.selection = selection, .frames = json_array()};
	speedscope.numbers =
		calloc(selection->snapshot->frame_count + 1, sizeof *speedscope.numbers);
	if (!speedscope.numbers || !speedscope.frames)
		return error_no_memory();
	json_t *file = file_object(&speedscope);
	struct error *err =
		speedscope.failed ? error_no_memory() : json_value_write_compact(file, out);
	json_decref(file);
	return err;
}
