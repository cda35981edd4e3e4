/* SPDX-License-Identifier: MIT */
#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/parse.h"

enum { COLUMNS_MAX = 10000 };

bool terminal_can_move(int fd)
{
	const char *term = getenv("TERM");
	return isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
}

bool terminal_is_ours(int fd)
{
	pid_t group = tcgetpgrp(fd);
	return group < 0 || group == getpgrp();
}

size_t terminal_columns(int fd)
{
	struct winsize size = {0};
	const char *text = getenv("COLUMNS");
	uint64_t columns = TERMINAL_COLUMNS_DEFAULT;
	if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col)
		columns = size.ws_col;
	else if (text)
		parse_number(text, 1, COLUMNS_MAX, &columns);
	return columns < TERMINAL_COLUMNS_MIN ? TERMINAL_COLUMNS_MIN : (size_t)columns;
}
