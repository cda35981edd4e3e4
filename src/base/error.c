/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct error {
	enum error_kind kind;
	int errno_value;
	char *message;
};

static char no_memory_message[] = "out of memory";
static struct error no_memory = {.kind = ERROR_NO_MEMORY, .message = no_memory_message};

struct error *error_no_memory(void)
{
	return &no_memory;
}

static struct error *error_from(enum error_kind kind, int errno_value, char *message)
{
	struct error *err = malloc(sizeof *err);
	if (!err) {
		free(message);
		return &no_memory;
	}
	*err = (struct error){.kind = kind, .errno_value = errno_value, .message = message};
	return err;
}

struct error *error_new(enum error_kind kind, const char *format, ...)
{
	char *message;
	va_list args;
	va_start(args, format);
	int length = vasprintf(&message, format, args);
	va_end(args);
	return length < 0 ? &no_memory : error_from(kind, 0, message);
}

struct error *error_system(int errno_value, const char *format, ...)
{
	char *what, *message;
	va_list args;
	va_start(args, format);
	int length = vasprintf(&what, format, args);
	va_end(args);
	if (length < 0)
		return &no_memory;
	length = asprintf(&message, "%s: %s", what, strerror(errno_value));
	free(what);
	return length < 0 ? &no_memory : error_from(ERROR_SYSTEM, errno_value, message);
}

struct error *error_wrap(struct error *err, const char *format, ...)
{
	if (err == &no_memory)
		return err;
	char *prefix, *message;
	va_list args;
	va_start(args, format);
	int length = vasprintf(&prefix, format, args);
	va_end(args);
	if (length < 0)
		return err;
	length = asprintf(&message, "%s: %s", prefix, err->message);
	free(prefix);
	if (length < 0)
		return err;
	free(err->message);
	err->message = message;
	return err;
}

void error_free(struct error *err)
{
	if (!err || err == &no_memory)
		return;
	free(err->message);
	free(err);
}

void error_keep_first(struct error **first, struct error *err)
{
	if (err && !*first)
		*first = err;
	else
		error_free(err);
}

const char *error_message(const struct error *err)
{
	return err->message;
}

enum error_kind error_kind_of(const struct error *err)
{
	return err->kind;
}

int error_errno(const struct error *err)
{
	return err->errno_value;
}

_Bool error_catch(struct error **err, enum error_kind kind)
{
	if (!*err || (*err)->kind != kind)
		return 0;
	error_free(*err);
	*err = NULL;
	return 1;
}
