/* SPDX-License-Identifier: MIT */
#include "cli/top_view.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/top_text.h"

enum { HEAD_LINES = 5, FOOT_LINES = 1 };

void top_view_note(struct top_view *view, struct error *err)
{
	_cleanup_buffer_ struct buffer text = {0};
	if (!err)
		return;
	buffer_escaped(&text, error_message(err));
	snprintf(view->note, sizeof view->note, "%s", buffer_text(&text));
	error_free(err);
}

size_t top_view_room(const struct top_view *view)
{
	size_t lines = top_screen_lines(), taken = HEAD_LINES + FOOT_LINES;
	if (view->kind != TOP_VIEW_ROWS)
		taken = 1 + FOOT_LINES;
	return lines > taken ? lines - taken : 1;
}

static void draw_line(size_t line, struct buffer *text, enum top_look look)
{
	top_screen_line(line, buffer_text(text), look);
	buffer_clear(text);
}

static void draw_rows(struct top_view *view)
{
	const struct top_model *model = &view->model;
	_cleanup_buffer_ struct buffer text = {0};
	size_t columns = top_screen_columns(), room = top_view_room(view);
	top_text_totals(model, &text);
	draw_line(1, &text, TOP_PLAIN);
	top_text_course(model, columns, view->screen.unicode, &text);
	draw_line(2, &text, TOP_PLAIN);
	top_text_settings(model, &text);
	draw_line(3, &text, TOP_PLAIN);
	top_text_heads(model, columns, &text);
	draw_line(4, &text, TOP_BOLD);
	if (model->selected < view->first)
		view->first = model->selected;
	if (model->selected >= view->first + room)
		view->first = model->selected - room + 1;
	for (size_t i = 0; i < room && view->first + i < model->count; i++) {
		size_t row = view->first + i;
		top_text_row(&model->rows[row], columns, &text);
		draw_line(HEAD_LINES + i, &text, row == model->selected ? TOP_REVERSE : TOP_PLAIN);
	}
}

/* Lines of a text from the view->first on. */
static void draw_text(struct top_view *view, const char *text)
{
	size_t room = top_view_room(view), count = 0;
	for (const char *at = text; *at; at++)
		count += *at == '\n';
	size_t last = count + 1 > room ? count + 1 - room : 0;
	if (view->first > last)
		view->first = last;
	for (size_t i = 0; i < view->first; i++)
		text = strchr(text, '\n') + 1;
	for (size_t i = 0; i < room && *text; i++) {
		_cleanup_buffer_ struct buffer line = {0};
		size_t length = strcspn(text, "\n");
		buffer_append(&line, text, length);
		draw_line(1 + i, &line, TOP_PLAIN);
		text += length + (text[length] == '\n');
	}
}

static bool has_blocks(const struct top_model *model)
{
	return model->count && model->rows[model->selected].blocks;
}

static void draw_stacks(struct top_view *view)
{
	__attribute__((__cleanup__(table_deinit))) struct table table = {0};
	_cleanup_buffer_ struct buffer text = {0};
	struct error *err = top_model_stacks(&view->model, &table);
	size_t shown = 0, columns = top_screen_columns();
	if (!err && view->model.count) {
		top_text_label(view->model.rows[view->model.selected].source, columns, &text);
		buffer_char(&text, '\n');
	}
	for (size_t i = 0; !err && i < table.row_count; i++) {
		if (!top_model_is_of_row(&view->model, &table.rows[i]))
			continue;
		buffer_char(&text, '\n');
		top_text_stack(&table.rows[i], columns, &text);
		buffer_char(&text, '\n');
		shown++;
	}
	if (!shown)
		buffer_string(&text, has_blocks(&view->model)
					     ? "\nthe call stacks of it are not known\n"
					     : "\nnothing of it is live\n");
	top_view_note(view, err);
	draw_text(view, buffer_text(&text));
}

static void draw_foot(struct top_view *view)
{
	static const char of_rows[] =
		"q quit  ? help  b n d m sort  g group  / filter  space mark  "
		"Enter stacks  r reset peak  w save";
	static const char *const keys[] = {
		[TOP_VIEW_ROWS] = of_rows,
		[TOP_VIEW_STACKS] = "q quit  Esc back  arrows scroll",
		[TOP_VIEW_HELP] = "any key goes back",
	};
	_cleanup_buffer_ struct buffer text = {0};
	if (view->typing) {
		buffer_string(&text, "show rows with: ");
		buffer_escaped(&text, view->typed);
		buffer_char(&text, '_');
	} else {
		buffer_string(&text, *view->note ? view->note : keys[view->kind]);
	}
	draw_line(top_screen_lines() - 1, &text, TOP_REVERSE);
}

void top_view_draw(struct top_view *view)
{
	_cleanup_buffer_ struct buffer text = {0};
	top_screen_begin();
	top_text_title(&view->model, view->ended, &text);
	draw_line(0, &text, TOP_BOLD);
	if (view->kind == TOP_VIEW_ROWS)
		draw_rows(view);
	else if (view->kind == TOP_VIEW_STACKS)
		draw_stacks(view);
	else
		draw_text(view, top_text_help());
	draw_foot(view);
	top_screen_end();
}
