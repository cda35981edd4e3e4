/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void log_write(const struct log *log, enum log_level level, const char *format, ...)
{
	if (!log || !log->write || level > log->level)
		return;
	char *message;
	va_list args;
	va_start(args, format);
	int length = vasprintf(&message, format, args);
	va_end(args);
	if (length < 0)
		return;
	log->write(log->context, level, message);
	free(message);
}
