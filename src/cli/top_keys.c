/* SPDX-License-Identifier: MIT */
#include "cli/top_keys.h"

#include <string.h>

#include "base/cleanup.h"

static void show(struct top_view *view, enum top_view_kind kind)
{
	view->kind = kind;
	view->first = 0;
	view->model.follows = kind == TOP_VIEW_STACKS || view->model.selected > 0;
}

/* A character of UTF-8 may have several bytes, which were typed one by one. */
static void take_back(char *text)
{
	size_t length = strlen(text);
	while (length && ((unsigned char)text[length - 1] & 0xc0) == 0x80)
		length--;
	text[length ? length - 1 : 0] = 0;
}

static void type(struct top_view *view, int key)
{
	size_t length = strlen(view->typed);
	if (key == TOP_ENTER) {
		view->typing = false;
		memcpy(view->model.pattern, view->typed, sizeof view->typed);
		top_view_note(view, top_model_answer(&view->model));
	} else if (key == TOP_ESCAPE) {
		view->typing = false;
	} else if (key == TOP_BACKSPACE) {
		take_back(view->typed);
	} else if (key >= ' ' && key < 0x100 && length + 1 < sizeof view->typed) {
		view->typed[length] = (char)key;
		view->typed[length + 1] = 0;
	}
}

static void move(struct top_view *view, long rows)
{
	size_t step = rows < 0 ? -(size_t)rows : (size_t)rows;
	if (view->kind == TOP_VIEW_ROWS)
		top_model_move(&view->model, rows);
	else if (rows < 0)
		view->first -= step < view->first ? step : view->first;
	else
		view->first += step;
}

static bool is_motion(struct top_view *view, int key)
{
	static const long far = 1L << 30;
	long page = (long)top_view_room(view);
	switch (key) {
	case TOP_UP:
		move(view, -1);
		return true;
	case TOP_DOWN:
		move(view, 1);
		return true;
	case TOP_PAGE_UP:
		move(view, -page);
		return true;
	case TOP_PAGE_DOWN:
		move(view, page);
		return true;
	case TOP_HOME:
		move(view, -far);
		return true;
	case TOP_END:
		move(view, far);
		return true;
	default:
		return false;
	}
}

static enum query_group next_group(enum query_group group)
{
	static const enum query_group after[] = {[QUERY_LINE] = QUERY_FUNCTION,
						 [QUERY_FUNCTION] = QUERY_FILE,
						 [QUERY_FILE] = QUERY_MODULE,
						 [QUERY_MODULE] = QUERY_LINE};
	return after[group];
}

static struct error *change(struct top_view *view, int key)
{
	static const char letters[] = "bndm"; /* in the order of enum top_order */
	const char *order = strchr(letters, key);
	struct top_model *model = &view->model;
	if (order)
		model->order = (enum top_order)(order - letters);
	else if (key == 'g')
		model->query.group_by = next_group(model->query.group_by);
	else if (key == ' ')
		return top_model_mark(model);
	return top_model_answer(model);
}

static enum top_wish press_in_rows(struct top_view *view, int key)
{
	switch (key) {
	case 'r':
		return TOP_RESET_PEAK;
	case 'w':
		return TOP_SAVE;
	case '?':
		show(view, TOP_VIEW_HELP);
		break;
	case TOP_ENTER:
		if (view->model.count)
			show(view, TOP_VIEW_STACKS);
		break;
	case '/':
		view->typing = true;
		memcpy(view->typed, view->model.pattern, sizeof view->typed);
		break;
	default:
		if (key > 0 && key < 0x80 && strchr("bndmg ", key))
			top_view_note(view, change(view, key));
	}
	return TOP_NO_WISH;
}

enum top_wish top_keys_press(struct top_view *view, int key)
{
	*view->note = 0;
	if (view->typing)
		type(view, key);
	else if (view->kind == TOP_VIEW_HELP)
		show(view, TOP_VIEW_ROWS);
	else if (key == 'q')
		return TOP_QUIT;
	else if (is_motion(view, key))
		return TOP_NO_WISH;
	else if (view->kind == TOP_VIEW_ROWS)
		return press_in_rows(view, key);
	else if (key == TOP_ESCAPE || key == TOP_ENTER || key == TOP_BACKSPACE)
		show(view, TOP_VIEW_ROWS);
	return TOP_NO_WISH;
}
