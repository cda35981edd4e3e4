/* SPDX-License-Identifier: MIT */
/*
 * What a live view has on its screen: rows, the stacks of one of them, or help.
 *
 * Owns: which of these, how far it is scrolled, what is being typed, the last line. Does not: know
 * when (top_live.h) or what a key does (top_keys.h). Private to cli; main thread.
 *
 * Invariant: typed ends with a NUL, and so does note, which is escaped.
 */
#ifndef CLI_TOP_VIEW_H
#define CLI_TOP_VIEW_H

#include "cli/top_model.h"
#include "cli/top_screen.h"

enum top_view_kind { TOP_VIEW_ROWS, TOP_VIEW_STACKS, TOP_VIEW_HELP };

struct top_view {
	struct top_model model;
	struct top_screen screen;
	enum top_view_kind kind;
	size_t first;		       /* line of the rows or stacks that stands uppermost */
	bool typing;		       /* a pattern, which is not yet in force */
	bool ended;		       /* there will be no newer snapshot */
	char typed[TOP_PATTERN_BYTES]; /* so far */
	char note[256];		       /* what the last key did */
};

/* Lines of rows, stacks or help that the screen has room for, at least 1. */
size_t top_view_room(const struct top_view *view);

/* Has the last line say what went wrong; takes the error, which may be NULL. */
void top_view_note(struct top_view *view, struct error *err);

/* The whole picture. The model must have a snapshot and the screen be open. */
void top_view_draw(struct top_view *view);

#endif
