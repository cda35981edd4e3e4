/* SPDX-License-Identifier: MIT */
#include "probe/precedents.h"

#include <stdlib.h>
#include <string.h>

/* What a plan depends on besides the bytes of the file. Addresses are those of the image. */
struct place {
	image_id image;
	image_addr entry, text_start, text_end;
};

struct precedent {
	struct place place;
	uint64_t bias; /* of the module that window was planned in */
	struct window window;
};

static struct place place_of(const struct probe_request *request)
{
	return (struct place){
		.image = request->image,
		.entry = {request->entry.v - request->bias},
		.text_start = {request->text_start.v - request->bias},
		.text_end = {request->text_end.v - request->bias},
	};
}

static bool is_same(const struct place *one, const struct place *other)
{
	return one->image.v == other->image.v && one->entry.v == other->entry.v &&
	       one->text_start.v == other->text_start.v && one->text_end.v == other->text_end.v;
}

static uint64_t hash_of(const struct place *place)
{
	return place->entry.v ^ (uint64_t)place->image.v << 48;
}

void precedents_deinit(struct precedents *precedents)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&precedents->windows, &cursor)))
		free(entry->value);
	map_deinit(&precedents->windows);
}

bool precedents_find(const struct precedents *precedents, const struct probe_request *request,
		     const struct code_reader *reader, struct window *ret)
{
	struct place place = place_of(request);
	const struct precedent *found = map_get(&precedents->windows, hash_of(&place));
	uint8_t bytes[WINDOW_MAX_BYTES];
	if (!request->image.v || !found || !is_same(&found->place, &place))
		return false;
	struct window window = found->window;
	window.entry.v += request->bias - found->bias;
	if (!reader->read(reader->context, window.entry, bytes, window.count) ||
	    memcmp(bytes, window.bytes, window.count) != 0)
		return false;
	*ret = window;
	return true;
}

struct error *precedents_add(struct precedents *precedents, const struct probe_request *request,
			     const struct window *window)
{
	struct place place = place_of(request);
	if (!request->image.v)
		return NULL;
	struct precedent *precedent = map_get(&precedents->windows, hash_of(&place));
	if (!precedent) {
		precedent = malloc(sizeof *precedent);
		if (!precedent || !map_put(&precedents->windows, hash_of(&place), precedent)) {
			free(precedent);
			return error_no_memory();
		}
	}
	*precedent = (struct precedent){place, request->bias, *window};
	return NULL;
}
