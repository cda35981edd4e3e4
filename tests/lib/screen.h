/* SPDX-License-Identifier: MIT */
/*
 * A program on a terminal of its own: what it writes there, and what a person would see.
 *
 * Owns: the child, its pseudo terminal and all that was read from it. The terminal is the child's
 * standard input, output and error, but for the files that screen_start is told. Does not: know any
 * control sequence but those of the program under test (carriage return, erase to the line's end,
 * colours); another one ends the test.
 * Called by: tests, from their one thread. Failures end the test (ck_abort_msg).
 */
#ifndef LIB_SCREEN_H
#define LIB_SCREEN_H

#include <stddef.h>
#include <sys/types.h>

struct screen {
	pid_t pid;
	int fd;
	char *bytes; /* all that was written, NUL-terminated */
	size_t count;
};

/* Starts argv[0] (looked up in PATH) on a terminal of that width, with TERM as given. */
void screen_start(const char *term, unsigned columns, const char *const argv[], struct screen *ret);

/* Reads until text was written. */
void screen_until(struct screen *screen, const char *text);

/* Types it. */
void screen_type(struct screen *screen, const char *text);

/* Reads to the end; returns the status of waitpid(2). */
int screen_wait(struct screen *screen);

/* What stands on the screen, lines without blanks at their ends; the caller frees it. */
char *screen_seen(const struct screen *screen);

void screen_end(struct screen *screen);

#define _cleanup_screen_ __attribute__((__cleanup__(screen_end)))

#endif
