/* SPDX-License-Identifier: MIT */
/*
 * What the keys of a live view do.
 *
 * Does not: read them, draw, or know who traces: what concerns others it only says. Private to cli;
 * main thread.
 */
#ifndef CLI_TOP_KEYS_H
#define CLI_TOP_KEYS_H

#include "cli/top_view.h"

/* What is to be done beyond the view itself. */
enum top_wish { TOP_NO_WISH, TOP_QUIT, TOP_SAVE, TOP_RESET_PEAK };

/* One key of top_screen_key; what goes wrong is noted in the view. */
enum top_wish top_keys_press(struct top_view *view, int key);

#endif
