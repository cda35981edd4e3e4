/* SPDX-License-Identifier: MIT */
#include "lib/screen.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "lib/process.h"

void screen_start(const char *term, unsigned columns, const char *const argv[], struct screen *ret)
{
	struct winsize size = {.ws_row = 50, .ws_col = (unsigned short)columns};
	*ret = (struct screen){.fd = -1, .bytes = calloc(1, 1)};
	ret->pid = forkpty(&ret->fd, NULL, NULL, &size);
	ck_assert_msg(ret->pid >= 0, "no pseudo terminal: %s", strerror(errno));
	if (ret->pid > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv("TERM", term, 1);
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

/* Reads once; false at the end (a terminal without writers reads as EIO). */
static bool read_some(struct screen *screen)
{
	char piece[4096];
	struct pollfd ready = {.fd = screen->fd, .events = POLLIN};
	if (poll(&ready, 1, PROCESS_DEADLINE_S * 1000) == 0)
		ck_abort_msg("nothing came in vain; so far: %s", screen->bytes);
	ssize_t got = read(screen->fd, piece, sizeof(piece));
	if (got <= 0)
		return false;
	screen->bytes = realloc(screen->bytes, screen->count + (size_t)got + 1);
	ck_assert_ptr_nonnull(screen->bytes);
	memcpy(screen->bytes + screen->count, piece, (size_t)got);
	screen->count += (size_t)got;
	screen->bytes[screen->count] = '\0';
	return true;
}

void screen_until(struct screen *screen, const char *text)
{
	while (!strstr(screen->bytes, text))
		ck_assert_msg(read_some(screen), "the end came before '%s': %s", text,
			      screen->bytes);
}

void screen_type(struct screen *screen, const char *text)
{
	ck_assert_int_eq(write(screen->fd, text, strlen(text)), (ssize_t)strlen(text));
}

int screen_wait(struct screen *screen)
{
	int status = 0;
	while (read_some(screen))
		;
	ck_assert_int_eq(waitpid(screen->pid, &status, 0), screen->pid);
	screen->pid = 0;
	return status;
}

/* One line being written over. */
struct row {
	char cells[1024];
	size_t count, cursor;
};

static void put(struct row *row, char cell)
{
	ck_assert_uint_lt(row->cursor, sizeof(row->cells));
	while (row->count <= row->cursor)
		row->cells[row->count++] = ' ';
	row->cells[row->cursor++] = cell;
}

static void end_row(struct row *row, struct buffer *out)
{
	while (row->count && row->cells[row->count - 1] == ' ')
		row->count--;
	buffer_append(out, row->cells, row->count);
	*row = (struct row){.count = 0};
}

/* Performs the sequence that follows an escape; returns its length. */
static size_t control(struct row *row, const char *sequence)
{
	size_t length = 1 + strspn(sequence + 1, "0123456789;");
	ck_assert_msg(sequence[0] == '[' && strchr("Km", sequence[length]),
		      "unknown control sequence: %s", sequence);
	if (sequence[length] == 'K')
		row->count = row->count < row->cursor ? row->count : row->cursor;
	return length + 1;
}

char *screen_seen(const struct screen *screen)
{
	struct buffer out = {0};
	struct row row = {.count = 0};
	for (size_t i = 0; i < screen->count; i++) {
		char byte = screen->bytes[i];
		if (byte == '\033') {
			i += control(&row, screen->bytes + i + 1);
		} else if (byte == '\r') {
			row.cursor = 0;
		} else if (byte == '\n') {
			end_row(&row, &out);
			buffer_char(&out, '\n');
		} else {
			put(&row, byte);
		}
	}
	end_row(&row, &out);
	buffer_char(&out, '\n');
	ck_assert(!buffer_failed(&out));
	return out.bytes;
}

void screen_end(struct screen *screen)
{
	if (screen->pid > 0) {
		kill(screen->pid, SIGKILL);
		waitpid(screen->pid, NULL, 0);
	}
	if (screen->bytes)
		close(screen->fd);
	free(screen->bytes);
	*screen = (struct screen){0};
}
