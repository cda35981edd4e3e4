/* SPDX-License-Identifier: MIT */
/*
 * The lines of a live view, as text: each function appends one, without its newline.
 *
 * Does not: know a terminal beyond its width. What comes from a target is escaped. Pure. Private to
 * cli; main thread.
 */
#ifndef CLI_TOP_TEXT_H
#define CLI_TOP_TEXT_H

#include "base/buffer.h"
#include "cli/top_model.h"

/* Which process, how it is traced, for how long; ended: that it is over. */
void top_text_title(const struct top_model *model, bool ended, struct buffer *out);

/* What is live, the peak, how much happens, and what that costs. */
void top_text_totals(const struct top_model *model, struct buffer *out);

/* The course of the total, newest right, in so many columns; blocks: of U+2581 to U+2588, else
 * ASCII. */
void top_text_course(const struct top_model *model, size_t columns, bool blocks,
		     struct buffer *out);

/* What is a row, in which order, and what is left out. */
void top_text_settings(const struct top_model *model, struct buffer *out);

/* The columns' heads and a row under them. Narrow terminals have fewer columns. */
void top_text_heads(const struct top_model *model, size_t columns, struct buffer *out);
void top_text_row(const struct top_row *row, size_t columns, struct buffer *out);

/* A row's place, with the end of a path where there is no room for all of it behind what is there.
 */
void top_text_label(const struct table_row *row, size_t columns, struct buffer *out);

/* Lines of a stack: what it holds, then its frames, outermost first. */
void top_text_stack(const struct table_row *stack, size_t columns, struct buffer *out);

/* What the keys do, several lines. */
const char *top_text_help(void);

#endif
