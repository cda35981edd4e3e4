/* SPDX-License-Identifier: MIT */
/*
 * Where notes about the work go (what --verbose prints). The sink is given by cli and passed down;
 * nobody below cli prints. A NULL log swallows everything.
 *
 * May be used by: everyone; log_write calls the sink in the caller's thread.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level {
	LOG_WARNING, /* the result is less than what was asked for; shown unless --quiet */
	LOG_INFO,    /* what was done and why; shown with --verbose */
	LOG_DEBUG,   /* every step; shown with --verbose --verbose */
};

struct log {
	enum log_level level; /* messages above it are dropped before formatting */
	void (*write)(void *context, enum log_level level, const char *message);
	void *context;
};

void log_write(const struct log *log, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
