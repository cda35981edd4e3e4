/* SPDX-License-Identifier: MIT */
#include "session/symbols.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "session/private.h"

struct symbols_found {
	size_t count;
	struct image_position items[];
};

static const struct image_position unknown = {0};

void symbols_init(struct symbols *symbols)
{
	*symbols = (struct symbols){0};
	pthread_mutex_init(&symbols->lock, NULL);
}

void symbols_lock(struct symbols *symbols)
{
	pthread_mutex_lock(&symbols->lock);
}

void symbols_unlock(struct symbols *symbols)
{
	pthread_mutex_unlock(&symbols->lock);
}

void symbols_deinit(struct symbols *symbols)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&symbols->found, &cursor)))
		free(entry->value);
	map_deinit(&symbols->found);
	for (size_t i = 0; i < symbols->count; i++)
		image_close(symbols->images[i]);
	free(symbols->images);
	pthread_mutex_destroy(&symbols->lock);
}

static bool reserve(struct symbols *symbols, size_t need)
{
	if (!array_reserve(&symbols->images, &symbols->capacity, need, sizeof *symbols->images))
		return false;
	while (symbols->count < need)
		symbols->images[symbols->count++] = NULL;
	return true;
}

static struct image *open_again(struct session *session, const struct image *image, image_id id)
{
	struct symbols *symbols = &session->symbols;
	if (!reserve(symbols, id.v))
		return NULL;
	_cleanup_error_ struct error *err = image_reopen(image, &symbols->images[id.v - 1]);
	if (err)
		log_write(session->options->log, LOG_INFO, "%s", error_message(err));
	return err ? NULL : symbols->images[id.v - 1];
}

struct image *symbols_image(struct session *session, image_id id)
{
	struct symbols *symbols = &session->symbols;
	if (!id.v)
		return NULL;
	if (id.v <= symbols->count && symbols->images[id.v - 1])
		return symbols->images[id.v - 1];
	taps_lock(&session->taps);
	struct image *image = registry_image(session->registry, id);
	taps_unlock(&session->taps);
	return !image || session->alone ? image : open_again(session, image, id);
}

/* That a server has nothing costs the lines, not the report. */
static struct error *fetch(const struct session *session, struct image *image)
{
	struct debug_server *server = session->options->debug_server;
	struct error *err = server ? image_fetch_debug(image, server) : NULL;
	if (err && error_kind_of(err) != ERROR_NO_MEMORY) {
		log_write(session->options->log, LOG_WARNING, "%s", error_message(err));
		error_free(take_ptr(err));
	}
	return err;
}

static struct error *keep(struct symbols *symbols, uint64_t key, const struct image_position *items,
			  size_t count, const struct image_position **ret)
{
	struct symbols_found *found = malloc(sizeof *found + count * sizeof *items);
	if (!found || !map_put(&symbols->found, key, found)) {
		free(found);
		return error_no_memory();
	}
	found->count = count;
	memcpy(found->items, items, count * sizeof *items);
	*ret = found->items;
	return NULL;
}

struct error *symbols_of(struct session *session, const struct frame *frame,
			 const struct image_position **ret, size_t *count_ret)
{
	enum { ADDRESS_BITS = 48 };
	struct symbols *symbols = &session->symbols;
	uint64_t key = (uint64_t)frame->image.v << ADDRESS_BITS | frame->address;
	bool keyed = frame->image.v && !(frame->address >> ADDRESS_BITS);
	const struct symbols_found *found = keyed ? map_get(&symbols->found, key) : NULL;
	*ret = found ? found->items : &unknown;
	*count_ret = found ? found->count : 1;
	struct image *image = found ? NULL : symbols_image(session, frame->image);
	if (!image)
		return NULL;
	struct error *err = fetch(session, image);
	if (!err)
		err = image_positions(image, (image_addr){frame->address}, ret, count_ret);
	if (err || !keyed)
		return err;
	return keep(symbols, key, *ret, *count_ret, ret);
}
