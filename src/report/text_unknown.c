/* SPDX-License-Identifier: MIT */
#include "report/text_unknown.h"

#include <ctype.h>
#include <string.h>

#include "report/units.h"

/* Modules without line information that are listed when not all are asked for. */
enum { BLIND_MODULES_SHOWN = 3 };

/* A line "N noun(s) text", nothing for 0. */
static void write_oddity(struct buffer *out, uint64_t count, const char *noun, const char *text)
{
	if (!count)
		return;
	units_count(out, count, noun);
	buffer_printf(out, " %s\n", text);
}

static void write_oddities(struct buffer *out, const struct snapshot *snapshot)
{
	const struct total_counters *t = &snapshot->totals;
	bool run = snapshot->origin == SNAPSHOT_RUN;
	write_oddity(out, snapshot->lost_events, "event",
		     "lost: every figure here may be off by as many");
	write_oddity(out, t->failed_calls, "call", "refused by the allocator");
	write_oddity(out, t->unknown_releases, "release",
		     run ? "of blocks whose allocation was not seen"
			 : "of blocks from before the attach");
	write_oddity(out, t->inherited_releases, "release",
		     "in forked processes of blocks of their parents");
	write_oddity(out, t->null_releases, "release", "of NULL");
	write_oddity(out, t->implied_releases, "release",
		     "not seen, but the address was given out again");
	write_oddity(out, snapshot->truncated_stacks, "stack", "cut at the depth limit (--depth)");
	write_oddity(out, snapshot->incomplete_stacks, "stack", "not followed to the end");
}

/*
 * A build-id comes from the target's files, so it becomes part of a path only if it is one: hex,
 * and long enough for the directory that its first byte names.
 */
static bool is_build_id(const char *build_id)
{
	size_t length = build_id ? strlen(build_id) : 0;
	for (size_t i = 0; i < length; i++)
		if (!isxdigit((unsigned char)build_id[i]))
			return false;
	return length > 2 && length <= 128;
}

static void write_blind_module(struct buffer *out, const struct snapshot_blind_module *blind)
{
	buffer_string(out, "  ");
	buffer_escaped(out, blind->module ? blind->module : "<unknown>");
	if (is_build_id(blind->build_id))
		buffer_printf(out, ": /usr/lib/debug/.build-id/%.2s/%s.debug", blind->build_id,
			      blind->build_id + 2);
	buffer_char(out, '\n');
}

static void write_blind_modules(struct buffer *out, const struct snapshot *snapshot,
				const struct table *table, bool all)
{
	write_oddity(out, table->lineless_sites, "call stack", "charged without a source line");
	size_t count = snapshot->blind_module_count;
	if (!count || (!table->lineless_sites && !all))
		return;
	buffer_string(out, "no line information for these (their debug packages bring it, or "
			   "--debuginfod, or -g when building):\n");
	size_t shown = all || count <= BLIND_MODULES_SHOWN ? count : BLIND_MODULES_SHOWN;
	for (size_t i = 0; i < shown; i++)
		write_blind_module(out, &snapshot->blind_modules[i]);
	if (shown < count)
		buffer_printf(out, "  and %zu more (--verbose lists them)\n", count - shown);
}

void text_unknown_write(struct buffer *out, const struct snapshot *snapshot,
			const struct table *table, bool all_blind_modules)
{
	if (table->query.show == QUERY_WASTE)
		write_oddity(out, table->unknown_blocks, "block",
			     "of allocators whose waste is not known (only glibc's malloc's is)");
	write_oddities(out, snapshot);
	write_blind_modules(out, snapshot, table, all_blind_modules);
}
