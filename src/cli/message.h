/* SPDX-License-Identifier: MIT */
/*
 * What tracealloc says about itself: lines "tracealloc: ..." on standard error.
 *
 * Owns: the escaping of what is said (names come from targets and files) and its form. Each message
 * is one line and one write, so that lines of several threads and of the target do not mix.
 * Private to cli; any thread.
 */
#ifndef CLI_MESSAGE_H
#define CLI_MESSAGE_H

#include "base/error.h"
#include "base/log.h"

void message_error(const struct error *err);

/* What the user asked to be told, --quiet or not. */
void message_say(const char *message);

/* The `write` of a struct log; context is the struct status that may be on the screen, or NULL. */
void message_log(void *context, enum log_level level, const char *message);

#endif
