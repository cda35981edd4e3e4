/* SPDX-License-Identifier: MIT */
#include "cli/suppressions.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/cleanup.h"

enum { FILE_MAX_BYTES = 1 << 20 };

void suppressions_deinit(struct suppressions *suppressions)
{
	for (size_t i = 0; i < suppressions->count; i++) {
		free((char *)suppressions->items[i].pattern);
		free((char *)suppressions->items[i].place);
	}
	free(suppressions->items);
	*suppressions = (struct suppressions){0};
}

static struct error *add(struct suppressions *suppressions, const char *path, size_t line,
			 const char *pattern)
{
	char *place = NULL;
	if (!array_reserve(&suppressions->items, &suppressions->capacity, suppressions->count + 1,
			   sizeof *suppressions->items))
		return error_no_memory();
	_cleanup_free_ char *kept = strdup(pattern);
	if (!kept || asprintf(&place, "%s:%zu", path, line) < 0)
		return error_no_memory();
	suppressions->items[suppressions->count++] =
		(struct query_suppression){.pattern = take_ptr(kept), .place = place};
	return NULL;
}

static char *trim(char *text)
{
	text += strspn(text, " \t\r");
	size_t length = strlen(text);
	while (length && strchr(" \t\r", text[length - 1]))
		text[--length] = '\0';
	return text;
}

static struct error *read_line(struct suppressions *suppressions, const char *path, size_t line,
			       char *text)
{
	static const char kind[] = "leak:";
	char *item = trim(text);
	if (!*item || *item == '#')
		return NULL;
	if (strncmp(item, kind, strlen(kind)) != 0)
		return error_new(ERROR_USAGE,
				 "%s:%zu: bad suppression '%s': give leak:PATTERN, or a comment "
				 "after #",
				 path, line, item);
	char *pattern = item + strlen(kind);
	if (!pattern[strspn(pattern, "*^$")])
		return error_new(ERROR_USAGE,
				 "%s:%zu: bad suppression '%s': the pattern would match "
				 "everything: give a part of a function, file or module name",
				 path, line, item);
	return add(suppressions, path, line, pattern);
}

static struct error *read_text(const char *path, char *text, ssize_t *count_ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) != 0)
		return error_system(errno, "cannot read suppressions '%s'", path);
	if (!S_ISREG(status.st_mode) || status.st_size > FILE_MAX_BYTES)
		return error_new(ERROR_BAD_INPUT,
				 "cannot read suppressions '%s': give a file of at most 1 MiB",
				 path);
	ssize_t count = 0, got;
	while ((got = read(fd, text + count, (size_t)(FILE_MAX_BYTES - count))) > 0)
		count += got;
	if (got < 0)
		return error_system(errno, "cannot read suppressions '%s'", path);
	*count_ret = count;
	return NULL;
}

struct error *suppressions_read(const char *path, struct suppressions *suppressions)
{
	_cleanup_free_ char *text = malloc(FILE_MAX_BYTES + 1);
	ssize_t count = 0;
	struct error *err = text ? read_text(path, text, &count) : error_no_memory();
	if (err)
		return err;
	if (memchr(text, '\0', (size_t)count))
		return error_new(ERROR_BAD_INPUT,
				 "cannot read suppressions '%s': it is no text file", path);
	text[count] = '\0';
	char *rest = text;
	for (size_t line = 1; !err && rest; line++)
		err = read_line(suppressions, path, line, strsep(&rest, "\n"));
	return err;
}
