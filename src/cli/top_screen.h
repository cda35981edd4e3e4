/* SPDX-License-Identifier: MIT */
/*
 * The screen of a live view, by ncurses.
 *
 * Owns: the terminal's modes between open and close. Does not: handle signals; the caller has those
 * blocked that concern a terminal. Text is UTF-8; what does not fit a line is cut, what the locale
 * cannot show is '?'. Private to cli; main thread.
 */
#ifndef CLI_TOP_SCREEN_H
#define CLI_TOP_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum top_look { TOP_PLAIN, TOP_BOLD, TOP_REVERSE };

/* Keys that have no character. */
enum top_key {
	TOP_NO_KEY = -1,
	TOP_ESCAPE = 27,
	TOP_BACKSPACE = 127,
	TOP_ENTER = '\n',
	TOP_UP = 0x10000,
	TOP_DOWN,
	TOP_PAGE_UP,
	TOP_PAGE_DOWN,
	TOP_HOME,
	TOP_END,
	TOP_OTHER,
};

struct top_screen {
	void *terminal; /* what ncurses calls SCREEN; NULL: closed */
	bool left;	/* for a while */
	bool unicode;	/* the locale can show more than ASCII */
};

/* Takes the terminal that standard input and output are. ERROR_UNSUPPORTED: TERM is not known. */
struct error *top_screen_open(struct top_screen *ret);
void top_screen_close(struct top_screen *screen);

/* Gives the terminal back as it was, and takes it again as it then is. */
void top_screen_leave(struct top_screen *screen);
void top_screen_return(struct top_screen *screen);

/* Whether the terminal is in our hands. */
bool top_screen_is_shown(const struct top_screen *screen);

/* The terminal may have another size. */
void top_screen_resize(struct top_screen *screen);

size_t top_screen_columns(void);
size_t top_screen_lines(void);

/* A picture is made between these two, line by line; lines not written are empty. */
void top_screen_begin(void);
void top_screen_line(size_t line, const char *text, enum top_look look);
void top_screen_end(void);

/* The next key that was typed, or TOP_NO_KEY. */
int top_screen_key(void);

#define _cleanup_top_screen_ __attribute__((__cleanup__(top_screen_close)))

#endif
