/* SPDX-License-Identifier: MIT */
#include "cli/top_screen.h"

#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

enum { LINE_CHARACTERS = 1024, ESCAPE_MS = 50 };

/* ncurses has a handler for SIGTSTP that takes the terminal again whoever it belongs to by then. */
static void *open_terminal(void)
{
	struct sigaction before;
	sigaction(SIGTSTP, NULL, &before);
	void *terminal = newterm(NULL, stdout, stdin);
	sigaction(SIGTSTP, &before, NULL);
	return terminal;
}

struct error *top_screen_open(struct top_screen *ret)
{
	const char *term = getenv("TERM");
	setlocale(LC_CTYPE, "");
	*ret = (struct top_screen){.terminal = open_terminal()};
	if (!ret->terminal)
		return error_new(ERROR_UNSUPPORTED,
				 "the terminal '%s' is not known: set TERM, or give --interval and "
				 "have the output go elsewhere",
				 term ? term : "");
	ret->unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	set_escdelay(ESCAPE_MS);
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	curs_set(0);
	return NULL;
}

void top_screen_close(struct top_screen *screen)
{
	if (!screen->terminal)
		return;
	top_screen_leave(screen);
	delscreen(screen->terminal);
	screen->terminal = NULL;
}

void top_screen_leave(struct top_screen *screen)
{
	if (top_screen_is_shown(screen))
		endwin();
	screen->left = true;
}

bool top_screen_is_shown(const struct top_screen *screen)
{
	return screen->terminal && !screen->left;
}

void top_screen_return(struct top_screen *screen)
{
	if (!screen->terminal)
		return;
	screen->left = false;
	refresh();
	curs_set(0);
	top_screen_resize(screen);
}

void top_screen_resize(struct top_screen *screen)
{
	struct winsize size = {0};
	if (!top_screen_is_shown(screen) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 ||
	    !size.ws_row || !size.ws_col)
		return;
	resizeterm(size.ws_row, size.ws_col);
	clearok(stdscr, TRUE);
}

size_t top_screen_columns(void)
{
	int columns = getmaxx(stdscr);
	return columns > 0 ? (size_t)columns : 0;
}

size_t top_screen_lines(void)
{
	int lines = getmaxy(stdscr);
	return lines > 0 ? (size_t)lines : 0;
}

void top_screen_begin(void)
{
	erase();
}

/* The next character of *text, which moves on; what is none in this locale is '?'. */
static wchar_t next(const char **text)
{
	wchar_t wide;
	mbstate_t state = {0};
	size_t bytes = mbrtowc(&wide, *text, strlen(*text), &state);
	if (bytes == 0 || bytes > strlen(*text)) {
		++*text;
		return L'?';
	}
	*text += bytes;
	return wcwidth(wide) < 0 ? L'?' : wide;
}

void top_screen_line(size_t line, const char *text, enum top_look look)
{
	static const attr_t looks[] = {A_NORMAL, A_BOLD, A_REVERSE};
	wchar_t wide[LINE_CHARACTERS];
	size_t columns = top_screen_columns(), used = 0, count = 0;
	if (line >= top_screen_lines())
		return;
	while (*text && count < LINE_CHARACTERS) {
		wide[count] = next(&text);
		used += (size_t)wcwidth(wide[count]);
		if (used > columns)
			break;
		count++;
	}
	attrset((int)looks[look]);
	mvaddnwstr((int)line, 0, wide, (int)count);
	if (look == TOP_REVERSE)
		mvchgat((int)line, 0, -1, A_REVERSE, 0, NULL);
	attrset(A_NORMAL);
}

void top_screen_end(void)
{
	refresh();
}

static int named_key(int key)
{
	switch (key) {
	case KEY_UP:
		return TOP_UP;
	case KEY_DOWN:
		return TOP_DOWN;
	case KEY_PPAGE:
		return TOP_PAGE_UP;
	case KEY_NPAGE:
		return TOP_PAGE_DOWN;
	case KEY_HOME:
		return TOP_HOME;
	case KEY_END:
		return TOP_END;
	case KEY_BACKSPACE:
		return TOP_BACKSPACE;
	case KEY_ENTER:
		return TOP_ENTER;
	default:
		return TOP_OTHER;
	}
}

int top_screen_key(void)
{
	int key = getch();
	if (key == ERR)
		return TOP_NO_KEY;
	if (key > 0xff)
		return named_key(key);
	return key == '\b' ? TOP_BACKSPACE : key == '\r' ? TOP_ENTER : key;
}
