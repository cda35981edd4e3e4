/* SPDX-License-Identifier: MIT */
#include "report/pprof_tables.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/buffer.h"
#include "report/names.h"

void pprof_tables_init(struct pprof_tables *tables, const struct snapshot *snapshot,
		       Pprof__Profile *profile)
{
	*tables = (struct pprof_tables){.snapshot = snapshot, .profile = profile};
	tables->location_of = calloc(snapshot->frame_count + 1, sizeof *tables->location_of);
	tables->failed = !tables->location_of;
	pprof_tables_text(tables, "");
}

void pprof_tables_deinit(struct pprof_tables *tables)
{
	texts_deinit(&tables->strings);
	texts_deinit(&tables->functions);
	texts_deinit(&tables->mappings);
	texts_deinit(&tables->locations);
	free(tables->location_of);
}

static size_t number(struct pprof_tables *tables, struct texts *texts, const char *text)
{
	size_t number = texts_add(texts, text);
	tables->failed |= texts->failed;
	return number;
}

int64_t pprof_tables_text(struct pprof_tables *tables, const char *text)
{
	return (int64_t)number(tables, &tables->strings, text);
}

int64_t pprof_tables_name(struct pprof_tables *tables, const char *name)
{
	_cleanup_buffer_ struct buffer text = {0};
	buffer_escaped(&text, name ? name : "");
	tables->failed |= buffer_failed(&text);
	return pprof_tables_text(tables, buffer_text(&text));
}

void pprof_tables_append(struct pprof_tables *tables, void *items_pointer, size_t *count,
			 size_t *capacity, void *message)
{
	if (!message || !array_reserve(items_pointer, capacity, *count + 1, sizeof message)) {
		if (message)
			protobuf_c_message_free_unpacked(message, NULL);
		tables->failed = true;
		return;
	}
	void **items;
	memcpy(&items, items_pointer, sizeof items);
	items[(*count)++] = message;
}

/* NULL where there is none, or files of the name had different ones (in merged snapshots). */
static const char *build_id_of(const struct snapshot *snapshot, const char *module)
{
	const char *found = NULL;
	for (size_t i = 0; i < snapshot->module_count; i++) {
		const struct snapshot_module *one = &snapshot->modules[i];
		if (!one->path || !one->build_id || strcmp(one->path, module) != 0)
			continue;
		if (found && strcmp(found, one->build_id) != 0)
			return NULL;
		found = one->build_id;
	}
	for (const char *s = found; s && *s; s++)
		if (!isxdigit((unsigned char)*s))
			return NULL;
	return found;
}

/*
 * A mapping from 0 to the end of the address space says that addresses are the file's own. Names
 * and lines are there as far as they can be, so nobody needs to look for the file.
 */
uint64_t pprof_tables_mapping(struct pprof_tables *tables, const char *module)
{
	Pprof__Profile *profile = tables->profile;
	if (!module)
		return 0;
	uint64_t id = number(tables, &tables->mappings, module) + 1;
	if (id <= profile->n_mapping || tables->failed)
		return id;
	Pprof__Mapping *mapping = malloc(sizeof *mapping);
	if (mapping) {
		pprof__mapping__init(mapping);
		mapping->id = id;
		mapping->memory_limit = UINT64_MAX;
		mapping->filename = pprof_tables_name(tables, module);
		mapping->build_id =
			pprof_tables_name(tables, build_id_of(tables->snapshot, module));
		mapping->has_functions = mapping->has_filenames = true;
		mapping->has_line_numbers = mapping->has_inline_frames = true;
	}
	pprof_tables_append(tables, &profile->mapping, &profile->n_mapping,
			    &tables->mapping_capacity, mapping);
	return id;
}

static uint64_t function_of(struct pprof_tables *tables, const struct snapshot_frame *frame)
{
	_cleanup_buffer_ struct buffer name = {0}, key = {0};
	Pprof__Profile *profile = tables->profile;
	names_function(&name, frame);
	int64_t name_number = pprof_tables_text(tables, buffer_text(&name));
	int64_t linkage = pprof_tables_name(tables, frame->linkage);
	int64_t file = pprof_tables_name(tables, frame->file);
	buffer_printf(&key, "%lld %lld %lld", (long long)name_number, (long long)linkage,
		      (long long)file);
	tables->failed |= buffer_failed(&name) || buffer_failed(&key);
	uint64_t id = number(tables, &tables->functions, buffer_text(&key)) + 1;
	if (id <= profile->n_function || tables->failed)
		return id;
	Pprof__Function *function = malloc(sizeof *function);
	if (function) {
		pprof__function__init(function);
		function->id = id;
		function->name = name_number;
		function->system_name = linkage;
		function->filename = file;
	}
	pprof_tables_append(tables, &profile->function, &profile->n_function,
			    &tables->function_capacity, function);
	return id;
}

static void add_line(struct pprof_tables *tables, Pprof__Location *location, size_t *capacity,
		     const struct snapshot_frame *frame)
{
	Pprof__Line *line = malloc(sizeof *line);
	if (line) {
		pprof__line__init(line);
		line->function_id = function_of(tables, frame);
		line->line = frame->line;
	}
	pprof_tables_append(tables, &location->line, &location->n_line, capacity, line);
}

/* NULL without memory. */
static Pprof__Location *add_location(struct pprof_tables *tables, uint64_t id, const char *module,
				     uint64_t address)
{
	Pprof__Profile *profile = tables->profile;
	Pprof__Location *location = malloc(sizeof *location);
	if (location) {
		pprof__location__init(location);
		location->id = id;
		location->mapping_id = pprof_tables_mapping(tables, module);
		location->address = address;
	}
	pprof_tables_append(tables, &profile->location, &profile->n_location,
			    &tables->location_capacity, location);
	return tables->failed ? NULL : location;
}

static uint64_t find_location(struct pprof_tables *tables, const uint32_t *frames, size_t count)
{
	const struct snapshot_frame *all = tables->snapshot->frames;
	_cleanup_buffer_ struct buffer key = {0};
	size_t capacity = 0;
	for (size_t i = 0; i < count; i++)
		buffer_printf(&key, "%u ", frames[i]);
	tables->failed |= buffer_failed(&key);
	uint64_t id = number(tables, &tables->locations, buffer_text(&key)) + 1;
	if (id <= tables->profile->n_location || tables->failed)
		return id;
	Pprof__Location *location =
		add_location(tables, id, all[frames[0]].module, all[frames[0]].offset);
	for (size_t i = 0; !tables->failed && i < count; i++)
		add_line(tables, location, &capacity, &all[frames[i]]);
	return id;
}

uint64_t pprof_tables_placeless(struct pprof_tables *tables, const struct snapshot_frame *frame)
{
	const char *key = frame->function ? frame->function : "";
	size_t capacity = 0;
	uint64_t id = number(tables, &tables->locations, key) + 1;
	if (id <= tables->profile->n_location || tables->failed)
		return id;
	Pprof__Location *location = add_location(tables, id, NULL, 0);
	if (location)
		add_line(tables, location, &capacity, frame);
	return id;
}

uint64_t pprof_tables_location(struct pprof_tables *tables, const uint32_t *frames, size_t count)
{
	if (count != 1 || tables->failed)
		return find_location(tables, frames, count);
	uint64_t *location = &tables->location_of[frames[0]];
	if (!*location)
		*location = find_location(tables, frames, count);
	return *location;
}

void pprof_tables_finish(struct pprof_tables *tables)
{
	Pprof__Profile *profile = tables->profile;
	if (tables->failed)
		return;
	profile->string_table = calloc(tables->strings.count, sizeof *profile->string_table);
	tables->failed = !profile->string_table;
	for (size_t i = 0; !tables->failed && i < tables->strings.count; i++) {
		char *copy = strdup(texts_get(&tables->strings, i));
		if (copy)
			profile->string_table[profile->n_string_table++] = copy;
		tables->failed = !copy;
	}
}
