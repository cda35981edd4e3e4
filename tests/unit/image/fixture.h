/* SPDX-License-Identifier: MIT */
/*
 * What the tests of images share: opening one, a directory that is removed at the end, and running
 * a tool. Failures end the test at once.
 */
#ifndef TESTS_UNIT_IMAGE_FIXTURE_H
#define TESTS_UNIT_IMAGE_FIXTURE_H

#include <check.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/image.h"

#define LIBC_PATH "/lib/x86_64-linux-gnu/libc.so.6"

static inline void fixture_no_error(struct error *err)
{
	if (err)
		ck_abort_msg("unexpected error: %s", error_message(err));
}

static inline struct error *fixture_try_open(const char *path, const struct image_options *options,
					     struct image **ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "cannot open %s", path);
	return image_open(fd, path, options, ret);
}

static inline struct image *fixture_open(const char *path)
{
	struct image *image;
	fixture_no_error(fixture_try_open(path, NULL, &image));
	return image;
}

/* Makes a directory under $TMPDIR or /tmp; the caller gives it to fixture_remove. */
static inline char *fixture_directory(void)
{
	const char *parent = getenv("TMPDIR");
	char *path;
	ck_assert_int_gt(asprintf(&path, "%s/image-XXXXXX", parent ? parent : "/tmp"), 0);
	ck_assert_ptr_nonnull(mkdtemp(path));
	return path;
}

/* Runs a shell command that must succeed. */
__attribute__((format(printf, 1, 2))) static inline void fixture_run(const char *format, ...)
{
	char *command;
	va_list args;
	va_start(args, format);
	ck_assert_int_gt(vasprintf(&command, format, args), 0);
	va_end(args);
	ck_assert_msg(system(command) == 0, "failed: %s", command);
	free(command);
}

static inline void fixture_remove(char *directory)
{
	fixture_run("rm -rf '%s'", directory);
	free(directory);
}

__attribute__((format(printf, 2, 3))) static inline void fixture_write(const char *path,
								       const char *format, ...)
{
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	va_list args;
	va_start(args, format);
	ck_assert_int_ge(vfprintf(file, format, args), 0);
	va_end(args);
	ck_assert_int_eq(fclose(file), 0);
}

/* The whole file, NUL-terminated. */
static inline unsigned char *fixture_read(const char *path, size_t *count_ret)
{
	FILE *file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
	long count = ftell(file);
	rewind(file);
	unsigned char *bytes = malloc((size_t)count + 1);
	ck_assert_ptr_nonnull(bytes);
	ck_assert_uint_eq(fread(bytes, 1, (size_t)count, file), (size_t)count);
	bytes[count] = '\0';
	fclose(file);
	*count_ret = (size_t)count;
	return bytes;
}

#endif
