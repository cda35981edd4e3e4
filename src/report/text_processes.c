/* SPDX-License-Identifier: MIT */
#include "report/text_processes.h"

#include <string.h>

enum { LISTED = 100, DEPTH_MAX = 16, COMMAND_COLUMNS = 60 };

struct listing {
	const struct snapshot *snapshot;
	size_t count;	      /* of the processes that are listed: the first ones */
	size_t above[LISTED]; /* whom each was started by, an earlier one; its own index: nobody */
};

/* Process ids come again: the last earlier process of that id is meant. */
static size_t find_parent(const struct snapshot *snapshot, size_t index)
{
	for (size_t i = index; i-- > 0;)
		if (snapshot->processes[i].pid == snapshot->processes[index].parent)
			return i;
	return index;
}

/* "/usr/lib/gcc/cc1 -quiet ..." as "cc1 -quiet ...", cut where it is long. */
static void write_command(struct buffer *out, const char *command)
{
	_cleanup_buffer_ struct buffer text = {0};
	size_t program = strcspn(command, " ");
	const char *slash = memrchr(command, '/', program);
	buffer_escaped(&text, slash ? slash + 1 : command);
	if (text.count <= COMMAND_COLUMNS) {
		buffer_append(out, buffer_text(&text), text.count);
		return;
	}
	size_t end = COMMAND_COLUMNS;
	while (end && (text.bytes[end] & 0xc0) == 0x80)
		end--;
	buffer_append(out, text.bytes, end);
	buffer_string(out, "...");
}

static void write_end(struct buffer *out, const struct snapshot_process *process)
{
	if (process->signalled)
		buffer_printf(out, " (signal %d)", process->signal);
	else if (!process->exited)
		buffer_string(out, " (had not ended)");
	else if (process->exit_status)
		buffer_printf(out, " (status %d)", process->exit_status);
}

static void write_tree(struct buffer *out, const struct listing *listing, size_t index,
		       size_t depth)
{
	const struct snapshot_process *process = &listing->snapshot->processes[index];
	size_t indent = 2 * (depth < DEPTH_MAX ? depth : DEPTH_MAX);
	for (size_t i = 0; i < indent; i++)
		buffer_char(out, ' ');
	buffer_printf(out, "  %u ", process->pid);
	write_command(out, process->command ? process->command : "<unknown>");
	write_end(out, process);
	buffer_char(out, '\n');
	for (size_t i = index + 1; i < listing->count; i++)
		if (listing->above[i] == index)
			write_tree(out, listing, i, depth + 1);
}

void text_processes_write(struct buffer *out, const struct snapshot *snapshot)
{
	size_t count = snapshot->process_count;
	struct listing listing = {.snapshot = snapshot, .count = count < LISTED ? count : LISTED};
	if (count < 2 || snapshot->part_count > 1)
		return;
	for (size_t i = 0; i < listing.count; i++)
		listing.above[i] = find_parent(snapshot, i);
	buffer_string(out, "processes:\n");
	for (size_t i = 0; i < listing.count; i++)
		if (listing.above[i] == i)
			write_tree(out, &listing, i, 0);
	if (listing.count < count)
		buffer_printf(out, "  and %zu more\n", count - listing.count);
}
