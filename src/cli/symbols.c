/* SPDX-License-Identifier: MIT */
#include "cli/symbols.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/sources.h"
#include "image/image.h"
#include "snapshot/resolve.h"

enum { BUILD_ID_MAX_BYTES = 64 };

/* images[i] is that of snapshot->modules[i], once it was asked for; NULL: it is not here. */
struct symbols {
	const struct snapshot *snapshot;
	const struct lookup *lookup; /* may be NULL */
	const struct log *log;
	struct image **images;
	bool *asked;
	size_t done, total; /* frames */
	uint64_t begun_ns, shown_ns;
};

static void symbols_deinit(struct symbols *symbols)
{
	for (size_t i = 0; symbols->images && i < symbols->snapshot->module_count; i++)
		image_close(symbols->images[i]);
	free(symbols->images);
	free(symbols->asked);
}

/* A path of the snapshot is another machine's word: nothing but a regular file is opened. */
static struct image *open_fd(const struct symbols *symbols, int fd, const char *path)
{
	const struct lookup *lookup = symbols->lookup;
	struct image_options options = {.debug_paths = lookup ? lookup->debug_paths : NULL};
	struct image *image = NULL;
	struct stat status;
	if (fd < 0)
		return NULL;
	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
		close(fd);
		return NULL;
	}
	_cleanup_error_ struct error *err = image_open(fd, path, &options, &image);
	return err ? NULL : image;
}

static struct image *open_image(const struct symbols *symbols, const char *path)
{
	return open_fd(symbols, open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), path);
}

static bool has_build_id(const struct image *image, const char *hex)
{
	size_t count;
	const uint8_t *id = image_build_id(image, &count);
	if (strlen(hex) != count * 2)
		return false;
	for (size_t i = 0; i < count; i++) {
		char byte[3];
		snprintf(byte, sizeof byte, "%02x", id[i]);
		if (strncmp(byte, hex + 2 * i, 2) != 0)
			return false;
	}
	return true;
}

/* It becomes a part of a path or an address only if it is one. */
static bool is_build_id(const char *hex)
{
	size_t length = strlen(hex);
	return length > 2 && length <= 2 * BUILD_ID_MAX_BYTES &&
	       strspn(hex, "0123456789abcdef") == length;
}

static unsigned digit_of(char hex)
{
	return (unsigned)(hex <= '9' ? hex - '0' : hex - 'a' + 10);
}

static struct image *open_below(const struct symbols *symbols, const char *directory,
				const char *hex)
{
	_cleanup_buffer_ struct buffer path = {0};
	buffer_printf(&path, "%s/.build-id/%.2s/%s.debug", directory, hex, hex + 2);
	if (buffer_failed(&path))
		return NULL;
	struct image *image = open_image(symbols, buffer_text(&path));
	if (image && has_build_id(image, hex))
		return image;
	image_close(image);
	return NULL;
}

static struct image *open_debug_file(const struct symbols *symbols, const char *hex)
{
	struct image *image = NULL;
	if (!is_build_id(hex))
		return NULL;
	for (size_t i = 0; !image && symbols->lookup && i < symbols->lookup->debug_count; i++)
		image = open_below(symbols, symbols->lookup->debug_paths[i], hex);
	return image ? image : open_below(symbols, "/usr/lib/debug", hex);
}

static struct debug_server *server_of(const struct symbols *symbols)
{
	return symbols->lookup ? symbols->lookup->server : NULL;
}

/* What a server has of a module, the path of which is its name for people. */
static struct image *fetch_image(const struct symbols *symbols, const char *path, const char *hex)
{
	uint8_t id[BUILD_ID_MAX_BYTES];
	size_t count = strlen(hex) / 2;
	_cleanup_free_ char *fetched = NULL;
	int fd = -1;
	if (!server_of(symbols) || !is_build_id(hex) || strlen(hex) % 2)
		return NULL;
	for (size_t i = 0; i < count; i++)
		id[i] = (uint8_t)(digit_of(hex[2 * i]) << 4 | digit_of(hex[2 * i + 1]));
	struct error *err = debug_server_fetch(server_of(symbols), id, count, path, &fd, &fetched);
	if (err)
		log_write(symbols->log, LOG_WARNING, "%s", error_message(err));
	error_free(err);
	struct image *image = fd < 0 ? NULL : open_fd(symbols, fd, fetched);
	if (image && has_build_id(image, hex))
		return image;
	image_close(image);
	return NULL;
}

/* The image of a module, or NULL and a warning. */
static struct image *find_image(const struct symbols *symbols, const struct snapshot_module *module)
{
	struct image *image = open_image(symbols, module->path);
	if (!module->build_id) {
		log_write(symbols->log, LOG_WARNING,
			  "%s: it had no build-id: whether this file is the same is not known",
			  module->path);
		return image;
	}
	bool other = image && !has_build_id(image, module->build_id);
	if (image && !other)
		return image;
	image_close(image);
	image = open_debug_file(symbols, module->build_id);
	if (!image)
		image = fetch_image(symbols, module->path, module->build_id);
	if (!image)
		log_write(symbols->log, LOG_WARNING, "%s: no symbols: %s (build-id %s)",
			  module->path, other ? "the file here is another one" : "it is not here",
			  module->build_id);
	return image;
}

static struct image *image_of(struct symbols *symbols, const char *module)
{
	const struct snapshot *snapshot = symbols->snapshot;
	for (size_t i = 0; module && i < snapshot->module_count; i++) {
		const char *path = snapshot->modules[i].path;
		if (!path || strcmp(path, module) != 0)
			continue;
		if (!symbols->asked[i])
			symbols->images[i] = find_image(symbols, &snapshot->modules[i]);
		symbols->asked[i] = true;
		return symbols->images[i];
	}
	return NULL;
}

static struct error *add_position(struct snapshot *snapshot, const struct snapshot_frame *raw,
				  const struct image_position *position)
{
	struct error *err = NULL;
	struct snapshot_frame frame = {
		.file = snapshot_string(snapshot, position->file, &err),
		.label = snapshot_string(snapshot, position->label, &err),
		.function = snapshot_string(snapshot, position->function, &err),
		.linkage = snapshot_string(snapshot, position->linkage, &err),
		.module = raw->module,
		.offset = raw->offset,
		.line = position->line,
		.inlined = position->inlined,
	};
	return err ? err : snapshot_add_frame(snapshot, &frame);
}

/* What its own files do not have, a server may have. */
static struct error *complete(const struct symbols *symbols, struct image *image)
{
	struct debug_server *server = server_of(symbols);
	struct error *err = server ? image_fetch_debug(image, server) : NULL;
	if (!err || error_kind_of(err) == ERROR_NO_MEMORY)
		return err;
	log_write(symbols->log, LOG_WARNING, "%s", error_message(err));
	error_free(err);
	return NULL;
}

static void tell(struct symbols *symbols)
{
	static const uint64_t QUIET_NS = 1000000000, INTERVAL_NS = 500000000;
	const struct lookup_progress *progress =
		symbols->lookup ? &symbols->lookup->progress : NULL;
	uint64_t now_ns = clock_now_ns();
	symbols->done++;
	if (!progress || !progress->show || now_ns - symbols->begun_ns < QUIET_NS ||
	    now_ns - symbols->shown_ns < INTERVAL_NS)
		return;
	symbols->shown_ns = now_ns;
	progress->show(progress->context, symbols->done, symbols->total);
}

static struct error *add(void *context, struct snapshot *snapshot,
			 const struct snapshot_frame *frame)
{
	tell(context);
	struct image *image = image_of(context, frame->module);
	const struct image_position *positions = NULL;
	size_t count = 0;
	struct error *err = image ? complete(context, image) : NULL;
	if (!err && image)
		err = image_positions(image, (image_addr){frame->offset}, &positions, &count);
	if (err && error_kind_of(err) == ERROR_NO_MEMORY)
		return err;
	/* Damaged debug information costs the line, not the report. */
	bool known = image && !err && count;
	error_free(err);
	if (!known)
		return snapshot_add_frame(snapshot, frame);
	err = NULL;
	for (size_t i = 0; !err && i < count; i++)
		err = add_position(snapshot, frame, &positions[i]);
	return err;
}

struct error *symbols_resolve(struct snapshot *snapshot, const struct lookup *lookup,
			      const struct log *log)
{
	if (!(snapshot->kept.flags & KEPT_RAW))
		return NULL;
	__attribute__((cleanup(symbols_deinit))) struct symbols symbols = {
		.snapshot = snapshot,
		.lookup = lookup,
		.log = log,
		.images = calloc(snapshot->module_count + 1, sizeof *symbols.images),
		.asked = calloc(snapshot->module_count + 1, sizeof *symbols.asked),
		.total = snapshot->frame_count,
		.begun_ns = clock_now_ns(),
	};
	const struct resolver resolver = {.add = add, .context = &symbols};
	if (!symbols.images || !symbols.asked)
		return error_no_memory();
	struct error *err = resolve_snapshot(snapshot, &resolver);
	snapshot->kept.flags &= ~(unsigned)KEPT_RAW;
	if (!err && snapshot->mappings)
		err = symbols_resolve(snapshot->mappings, lookup, log);
	return err ? err : sources_keep(snapshot, lookup);
}
