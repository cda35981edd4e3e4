/* SPDX-License-Identifier: MIT */
#include "report/text_dress.h"

#include <ctype.h>
#include <string.h>

static const char BOLD[] = "\033[1m", FAINT[] = "\033[2m", RED[] = "\033[31m", GREEN[] = "\033[32m",
		  PLAIN[] = "\033[0m";
static const char GAP[] = "...";

/* A part of a line. */
struct span {
	const char *text;
	size_t count;
};

static struct span span_of(const char *from, const char *to)
{
	return (struct span){from, (size_t)(to - from)};
}

/* Columns of UTF-8, each character one. */
static size_t width_of(struct span span)
{
	size_t columns = 0;
	for (size_t i = 0; i < span.count; i++)
		columns += ((unsigned char)span.text[i] & 0xc0) != 0x80;
	return columns;
}

static void write_span(const struct text_dress *dress, const char *color, struct span span,
		       struct buffer *out)
{
	bool colored = dress->colors && color && span.count;
	if (colored)
		buffer_string(out, color);
	buffer_append(out, span.text, span.count);
	if (colored)
		buffer_string(out, PLAIN);
}

static const char *last_in(struct span span, char c)
{
	return span.count ? memrchr(span.text, c, span.count) : NULL;
}

/* Leaves so many columns, and three more for the gap, out before the last component. */
static void write_path(struct span path, size_t excess, struct buffer *out)
{
	const char *tail = last_in(path, '/');
	size_t head = tail ? (size_t)(tail - path.text) : 0;
	size_t columns = width_of((struct span){path.text, head});
	if (!excess || columns <= excess + strlen(GAP)) {
		buffer_append(out, path.text, path.count);
		return;
	}
	size_t end = 0, kept = 0;
	while (end < head && kept <= columns - excess - strlen(GAP))
		kept += ((unsigned char)path.text[end++] & 0xc0) != 0x80;
	buffer_append(out, path.text, end - 1);
	buffer_string(out, GAP);
	buffer_append(out, tail, path.count - head);
}

static size_t excess_of(const struct text_dress *dress, struct span line)
{
	size_t columns = width_of(line);
	return dress->columns && columns > dress->columns ? columns - dress->columns : 0;
}

/* Of "a: b: c" where the last ": " stands; NULL: there is none. */
static const char *last_colon(struct span line)
{
	for (size_t i = line.count; i-- > 1;)
		if (line.text[i] == ' ' && line.text[i - 1] == ':')
			return line.text + i - 1;
	return NULL;
}

static bool begins(struct span line, const char *text)
{
	return line.count >= strlen(text) && memcmp(line.text, text, strlen(text)) == 0;
}

/* "#1: src/parse.c:414: 419.8 KiB". */
static void write_row(const struct text_dress *dress, struct span line, struct buffer *out)
{
	const char *end = line.text + line.count, *label = line.text + 1;
	while (label < end && isdigit((unsigned char)*label))
		label++;
	const char *figure = last_colon(line);
	if (end - label < 2 || memcmp(label, ": ", 2) != 0 || figure < label + 2) {
		buffer_append(out, line.text, line.count);
		return;
	}
	write_span(dress, FAINT, span_of(line.text, label + 2), out);
	write_path(span_of(label + 2, figure), excess_of(dress, line), out);
	buffer_string(out, ": ");
	write_span(dress, BOLD, span_of(figure + 2, end), out);
}

/* "src/parse.c:414: size=8173 KiB (+4428 KiB), count=...": what grew and what shrank. */
static void write_difference(const struct text_dress *dress, struct span line, const char *figures,
			     struct buffer *out)
{
	const char *end = line.text + line.count;
	const char *open = memchr(figures, '(', (size_t)(end - figures));
	const char *close = open ? memchr(open, ')', (size_t)(end - open)) : NULL;
	write_path(span_of(line.text, figures), excess_of(dress, line), out);
	if (!close) {
		buffer_append(out, figures, (size_t)(end - figures));
		return;
	}
	const char *color = open[1] == '-' ? GREEN : strncmp(open, "(+0 ", 4) == 0 ? NULL : RED;
	buffer_append(out, figures, (size_t)(open - figures));
	write_span(dress, color, span_of(open, close + 1), out);
	buffer_append(out, close + 1, (size_t)(end - close - 1));
}

/* "  File \"src/parse.c\", line 414". */
static void write_frame(const struct text_dress *dress, struct span line, struct buffer *out)
{
	const char *quote = last_in(line, '"');
	const char *path = line.text + strlen("  File \"");
	if (quote < path) {
		buffer_append(out, line.text, line.count);
		return;
	}
	buffer_append(out, line.text, (size_t)(path - line.text));
	write_path(span_of(path, quote), excess_of(dress, line), out);
	buffer_append(out, quote, line.count - (size_t)(quote - line.text));
}

static void write_line(const struct text_dress *dress, struct span line, struct buffer *out)
{
	const char *colon = last_colon(line);
	if (begins(line, "    "))
		write_span(dress, FAINT, line, out);
	else if (begins(line, "#"))
		write_row(dress, line, out);
	else if (begins(line, "  File \""))
		write_frame(dress, line, out);
	else if (begins(line, "Top ") || begins(line, "[ Top ") || begins(line, "Total "))
		write_span(dress, BOLD, line, out);
	else if (colon && strncmp(colon, ": size=", 7) == 0)
		write_difference(dress, line, colon, out);
	else
		buffer_append(out, line.text, line.count);
}

void text_dress(const char *text, const struct text_dress *dress, struct buffer *out)
{
	while (*text) {
		size_t length = strcspn(text, "\n");
		write_line(dress, (struct span){text, length}, out);
		text += length;
		if (*text) {
			buffer_char(out, '\n');
			text++;
		}
	}
}
