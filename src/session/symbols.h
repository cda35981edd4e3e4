/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: source positions of frames, looked up while tracing goes on.
 *
 * Owns: images of its own, opened a second time, since those of the registry belong to the tracer
 * thread; and what was looked up, so that a snapshot each second costs little after the first. Once
 * tracing has ended the registry's images are asked where no second ones were opened.
 * Whoever asks holds the lock: the thread that looks ahead, the control thread, and when those have
 * ended the main thread. The taps' lock may be taken under it, not the other way round.
 */
#ifndef SESSION_SYMBOLS_H
#define SESSION_SYMBOLS_H

#include <pthread.h>

#include "base/map.h"
#include "stack/interner.h"
#include "stack/registry.h"

struct session;

struct symbols {
	pthread_mutex_t lock;
	struct image **images; /* by image id - 1; NULL: not opened */
	size_t count, capacity;
	struct map found; /* image and address -> struct symbols_found */
};

void symbols_init(struct symbols *symbols);
void symbols_deinit(struct symbols *symbols);

void symbols_lock(struct symbols *symbols);
void symbols_unlock(struct symbols *symbols);

/* The image to ask for lines, NULL: there is none. */
struct image *symbols_image(struct session *session, image_id id);

/*
 * The positions of a frame, as image_positions; one that knows nothing where there is no image.
 * They are valid until symbols_deinit. Errors: no memory, damaged debug information.
 */
struct error *symbols_of(struct session *session, const struct frame *frame,
			 const struct image_position **ret, size_t *count_ret);

#endif
