/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "image/private.h"

/* A report names a few files many times; a session that lives for days may name thousands. */
enum { FILES_MAX = 64, LINES_MAX = 1 << 22 };
static const uint64_t file_max_bytes = 64u << 20;
static const uint64_t text_max_bytes = 128u << 20;

/*
 * A file that was asked for; one that cannot be read is kept too, so that it is tried once only.
 * Each line in text ends in a NUL where its newline (with its CR) was.
 *
 * starts[i] < starts[i + 1] < bytes; text == NULL ? line_count == 0 : text[bytes] == 0
 */
struct source {
	char *path;
	char *text;
	size_t bytes;
	uint32_t *starts;
	size_t line_count;
	uint64_t used; /* the number of the last request for it */
};

/* count <= FILES_MAX; text_bytes = sum of files[i].bytes */
struct image_sources {
	int root_fd; /* files are looked for below it; -1: where we are */
	struct source files[FILES_MAX];
	size_t count;
	uint64_t text_bytes;
	uint64_t requests;
};

struct error *image_sources_create(struct image_sources **ret)
{
	struct image_sources *sources = calloc(1, sizeof *sources);
	if (!sources)
		return error_no_memory();
	sources->root_fd = -1;
	*ret = sources;
	return NULL;
}

struct error *image_sources_create_in_root(const struct image *image, struct image_sources **ret)
{
	struct error *err = image_sources_create(ret);
	if (err)
		return err;
	(*ret)->root_fd = fcntl(image->root_fd, F_DUPFD_CLOEXEC, 0);
	if ((*ret)->root_fd >= 0)
		return NULL;
	image_sources_destroy(*ret);
	return error_system(errno, "cannot keep the root of '%s' open", image->path);
}

bool image_has_root(const struct image *image)
{
	return image->root_fd >= 0;
}

static void source_deinit(struct source *source)
{
	free(source->path);
	free(source->text);
	free(source->starts);
	*source = (struct source){0};
}

void image_sources_destroy(struct image_sources *sources)
{
	if (!sources)
		return;
	for (size_t i = 0; i < sources->count; i++)
		source_deinit(&sources->files[i]);
	if (sources->root_fd >= 0)
		close(sources->root_fd);
	free(sources);
}

static bool read_all(int fd, char *text, size_t bytes, size_t *read_ret)
{
	size_t done = 0;
	while (done < bytes) {
		ssize_t got = read(fd, text + done, bytes - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	*read_ret = done;
	return true;
}

/*
 * The path comes from debug information: it may name a FIFO or a terminal (hence the flags), a
 * device, or a file that changes while it is read.
 */
static bool load(struct source *source, int root_fd)
{
	enum { FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY };
	struct open_how how = {.flags = FLAGS, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	_cleanup_close_ int fd =
		root_fd < 0 ? open(source->path, FLAGS)
			    : (int)syscall(SYS_openat2, root_fd, source->path, &how, sizeof how);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
		return false;
	if (status.st_size <= 0 || (uint64_t)status.st_size > file_max_bytes)
		return false;
	_cleanup_free_ char *text = malloc((size_t)status.st_size + 1);
	size_t bytes;
	if (!text || !read_all(fd, text, (size_t)status.st_size, &bytes))
		return false;
	text[bytes] = 0;
	source->text = take_ptr(text);
	source->bytes = bytes;
	return true;
}

static bool split(struct source *source)
{
	size_t capacity = 0;
	for (size_t at = 0; at < source->bytes && source->line_count < LINES_MAX;) {
		if (!array_reserve(&source->starts, &capacity, source->line_count + 1,
				   sizeof *source->starts))
			return false;
		source->starts[source->line_count++] = (uint32_t)at;
		char *newline = memchr(source->text + at, '\n', source->bytes - at);
		size_t end = newline ? (size_t)(newline - source->text) : source->bytes;
		if (newline)
			source->text[end] = 0;
		if (end > at && source->text[end - 1] == '\r')
			source->text[end - 1] = 0;
		at = end + 1;
	}
	return true;
}

static void evict(struct image_sources *sources)
{
	size_t oldest = 0;
	for (size_t i = 1; i < sources->count; i++)
		if (sources->files[i].used < sources->files[oldest].used)
			oldest = i;
	sources->text_bytes -= sources->files[oldest].bytes;
	source_deinit(&sources->files[oldest]);
	sources->files[oldest] = sources->files[--sources->count];
}

/* NULL only without memory. */
static struct source *source_add(struct image_sources *sources, const char *path)
{
	struct source source = {.path = strdup(path)};
	if (!source.path)
		return NULL;
	if (load(&source, sources->root_fd) && !split(&source)) {
		source_deinit(&source);
		return NULL;
	}
	while (sources->count == FILES_MAX ||
	       (sources->count && sources->text_bytes + source.bytes > text_max_bytes))
		evict(sources);
	sources->text_bytes += source.bytes;
	struct source *place = &sources->files[sources->count++];
	*place = source;
	return place;
}

static struct source *source_find(struct image_sources *sources, const char *path)
{
	for (size_t i = 0; i < sources->count; i++)
		if (!strcmp(sources->files[i].path, path))
			return &sources->files[i];
	return source_add(sources, path);
}

const char *image_sources_line(struct image_sources *sources, const char *file, uint32_t line)
{
	struct source *source = source_find(sources, file);
	if (!source)
		return NULL;
	source->used = ++sources->requests;
	if (line == 0 || line > source->line_count)
		return NULL;
	return source->text + source->starts[line - 1];
}
