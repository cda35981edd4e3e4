/* SPDX-License-Identifier: MIT */
/*
 * A look at a program that does not run: its file and the libraries it asks for, which are read and
 * never executed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/buffer.h"
#include "base/cleanup.h"
#include "session/examine_image.h"
#include "session/private.h"

/* A program has hundreds at most; a forged one must not keep us. */
enum { LIBRARIES_MAX = 512, NEEDED_MAX = 512 };

/* The names asked for so far, each once. names[i] for i < next were looked at. */
struct libraries {
	char **names;
	size_t count, capacity, next;
};

static void libraries_deinit(struct libraries *libraries)
{
	for (size_t i = 0; i < libraries->count; i++)
		free(libraries->names[i]);
	free(libraries->names);
}

static struct error *want(struct libraries *libraries, const char *name)
{
	for (size_t i = 0; i < libraries->count; i++)
		if (strcmp(libraries->names[i], name) == 0)
			return NULL;
	if (libraries->count == LIBRARIES_MAX)
		return NULL;
	if (!array_reserve(&libraries->names, &libraries->capacity, libraries->count + 1,
			   sizeof *libraries->names))
		return error_no_memory();
	libraries->names[libraries->count] = strdup(name);
	return libraries->names[libraries->count++] ? NULL : error_no_memory();
}

static struct error *want_needed(struct libraries *libraries, const struct image *image)
{
	for (size_t i = 0; i < NEEDED_MAX; i++) {
		_cleanup_free_ char *name = NULL;
		struct error *err = image_needed(image, i, &name);
		if (err && error_kind_of(err) != ERROR_NO_MEMORY)
			error_free(take_ptr(err)); /* no name can be read there */
		if (!err && name)
			err = want(libraries, name);
		if (err || !name)
			return err;
	}
	return NULL;
}

/* A FIFO must not make us wait; image_open takes nothing but a regular file. */
static struct error *open_image(const struct session_options *options, const char *path,
				struct image **ret)
{
	struct image_options image_options = {.debug_paths = options->debug_paths};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? error_system(errno, "cannot read '%s'", path)
		      : image_open(fd, path, &image_options, ret);
}

/* *ret NULL: none of the standard directories has it, for x86-64. */
static struct error *open_library(const struct session_options *options, const char *name,
				  struct image **ret)
{
	static const char *const directories[] = {"/lib/x86_64-linux-gnu",
						  "/usr/lib/x86_64-linux-gnu",
						  "/lib64",
						  "/usr/lib64",
						  "/lib",
						  "/usr/lib",
						  "/usr/local/lib",
						  NULL};
	static const char *const as_it_is[] = {"", NULL};
	const char *const *directory = strchr(name, '/') ? as_it_is : directories;
	*ret = NULL;
	for (; !*ret && *directory; directory++) {
		_cleanup_buffer_ struct buffer path = {0};
		buffer_printf(&path, "%s%s%s", *directory, **directory ? "/" : "", name);
		if (buffer_failed(&path))
			return error_no_memory();
		struct error *err = open_image(options, buffer_text(&path), ret);
		if (err && error_kind_of(err) == ERROR_NO_MEMORY)
			return err;
		if (err)
			*ret = NULL;
		error_free(err);
	}
	return NULL;
}

static struct error *examine_file(struct image *image, struct libraries *libraries,
				  struct session_findings *ret)
{
	struct error *err = examine_family(image, true, ret);
	if (!err)
		err = examine_image(image, ret);
	return err ? err : want_needed(libraries, image);
}

static struct error *examine_libraries(const struct session_options *options,
				       struct libraries *libraries, struct session_findings *ret)
{
	struct error *err = NULL;
	while (!err && libraries->next < libraries->count) {
		const char *name = libraries->names[libraries->next++];
		_cleanup_image_ struct image *image = NULL;
		err = open_library(options, name, &image);
		if (!err)
			err = image ? examine_file(image, libraries, ret)
				    : examine_absent(name, ret);
	}
	return err;
}

/* musl's interpreter is its C library, which it asks for by another name. */
static struct error *want_interpreter(struct libraries *libraries, const struct image *image)
{
	const char *interpreter = image_interpreter(image);
	const char *name = interpreter ? strrchr(interpreter, '/') : NULL;
	if (!name)
		return NULL;
	return want(libraries, strncmp(name, "/ld-musl-", 9) == 0 ? interpreter : name + 1);
}

struct error *session_examine_program(const struct session_options *options, const char *program,
				      struct session_findings *ret)
{
	char path[PATH_MAX];
	_cleanup_image_ struct image *image = NULL;
	__attribute__((__cleanup__(libraries_deinit))) struct libraries libraries = {0};
	*ret = (struct session_findings){0};
	struct error *err = target_find_program(program, path, sizeof path);
	if (!err)
		err = open_image(options, path, &image);
	if (!err)
		err = examine_file(image, &libraries, ret);
	if (!err)
		err = want_interpreter(&libraries, image);
	return err ? err : examine_libraries(options, &libraries, ret);
}
