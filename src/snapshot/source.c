/* SPDX-License-Identifier: MIT */
/* The source text that a snapshot carries: its order, and finding a line in it. */
#include <stdlib.h>
#include <string.h>

#include "snapshot/snapshot.h"

static int compare_place(const struct snapshot_source_line *a, const char *file, uint32_t line)
{
	int order = a->file == file ? 0 : strcmp(a->file, file);
	return order ? order : (a->line > line) - (a->line < line);
}

static int compare_lines(const void *left, const void *right)
{
	const struct snapshot_source_line *b = right;
	return compare_place(left, b->file, b->line);
}

void snapshot_sort_source(struct snapshot *snapshot)
{
	struct snapshot_source_line *lines = snapshot->source_lines;
	size_t count = snapshot->source_line_count, kept = 0;
	if (count)
		qsort(lines, count, sizeof *lines, compare_lines);
	for (size_t i = 0, next; i < count; i = next) {
		bool agree = true;
		for (next = i + 1; next < count && !compare_lines(&lines[i], &lines[next]); next++)
			agree = agree && !strcmp(lines[i].text, lines[next].text);
		if (agree)
			lines[kept++] = lines[i];
	}
	snapshot->source_line_count = kept;
}

const char *snapshot_source_text(const struct snapshot *snapshot, const char *file, uint32_t line)
{
	size_t low = 0, high = snapshot->source_line_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct snapshot_source_line *one = &snapshot->source_lines[middle];
		int order = compare_place(one, file, line);
		if (!order)
			return one->text;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}
