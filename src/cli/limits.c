/* SPDX-License-Identifier: MIT */
#include "cli/limits.h"

#include <inttypes.h>
#include <string.h>

#include "base/buffer.h"
#include "cli/message.h"
#include "cli/parse.h"

static const struct limit kinds[LIMITS_MAX] = {
	{QUERY_LEAKED, "leaked", 0}, {QUERY_UNREACHABLE, "unreachable", 0},
	{QUERY_PEAK, "peak", 0},     {QUERY_CURRENT, "current", 0},
	{QUERY_TOTAL, "total", 0},
};

static void put(struct limits *limits, struct limit limit)
{
	size_t i = 0;
	while (i < limits->count && limits->items[i].show != limit.show)
		i++;
	limits->items[i] = limit;
	limits->count += i == limits->count;
}

/* "leaked=1MiB" without the comma behind it. */
static bool parse_one(const char *text, size_t length, struct limit *ret)
{
	char value[32];
	for (size_t i = 0; i < LIMITS_MAX; i++) {
		size_t name = strlen(kinds[i].name);
		if (length <= name + 1 || strncmp(text, kinds[i].name, name) != 0 ||
		    text[name] != '=' || length - name - 1 >= sizeof value)
			continue;
		memcpy(value, text + name + 1, length - name - 1);
		value[length - name - 1] = '\0';
		*ret = kinds[i];
		return parse_size(value, &ret->bytes);
	}
	return false;
}

bool limits_parse(struct limits *limits, const char *text)
{
	struct limits read = *limits;
	for (;;) {
		size_t length = strcspn(text, ",");
		struct limit limit;
		if (!parse_one(text, length, &limit))
			return false;
		put(&read, limit);
		if (!text[length])
			break;
		text += length + 1;
	}
	*limits = read;
	return true;
}

bool limits_have(const struct limits *limits, enum query_show show)
{
	for (size_t i = 0; i < limits->count; i++)
		if (limits->items[i].show == show)
			return true;
	return false;
}

/* What was measured: the whole, or the growth. */
struct measure {
	uint64_t bytes;
	uint64_t blocks;
};

static uint64_t growth(uint64_t old, uint64_t new)
{
	return new > old ? new - old : 0;
}

static struct error *measure(const struct query *query, const struct snapshot *old,
			     const struct snapshot *snapshot, struct measure *ret)
{
	struct table table = {0};
	struct error *err = old ? query_compare(old, snapshot, query, &table)
				: query_run(snapshot, query, &table);
	if (err)
		return err;
	*ret = (struct measure){growth(table.old_shown_bytes, table.shown_bytes),
				growth(table.old_shown_blocks, table.shown_blocks)};
	table_deinit(&table);
	return NULL;
}

static struct error *check_known(const struct limit *limit, const struct snapshot *snapshot)
{
	if (limit->show != QUERY_UNREACHABLE || !snapshot)
		return NULL;
	if (snapshot_scan_was_made(&snapshot->scan) && !snapshot->scan.missed)
		return NULL;
	return error_new(ERROR_UNSUPPORTED, "cannot check --fail-on unreachable: %s",
			 snapshot->scan.missed
				 ? "not every process was looked at for unreachable blocks"
				 : "the snapshot was made without --unreachable");
}

static void say_exceeded(const struct limit *limit, const struct measure *value, bool grown)
{
	_cleanup_buffer_ struct buffer text = {0};
	buffer_printf(&text,
		      "limit exceeded: %s %s%" PRIu64 " bytes in %" PRIu64 " block%s, the limit is "
		      "%" PRIu64 " bytes",
		      limit->name, grown ? "grew by " : "", value->bytes, value->blocks,
		      value->blocks == 1 ? "" : "s", limit->bytes);
	message_say(buffer_text(&text));
}

/* Blocks of no bytes are too many, too, where none may be. */
static bool is_exceeded(const struct limit *limit, const struct measure *value)
{
	return value->bytes > limit->bytes || (!limit->bytes && value->blocks);
}

struct error *limits_check(const struct limits *limits, const struct query *query,
			   const struct snapshot *old, const struct snapshot *snapshot,
			   bool *exceeded_ret)
{
	*exceeded_ret = false;
	for (size_t i = 0; i < limits->count; i++) {
		const struct limit *limit = &limits->items[i];
		struct query question = *query;
		struct measure value;
		question.show = limit->show;
		struct error *err = check_known(limit, snapshot);
		if (!err)
			err = check_known(limit, old);
		if (!err)
			err = measure(&question, old, snapshot, &value);
		if (err)
			return err;
		if (!is_exceeded(limit, &value))
			continue;
		say_exceeded(limit, &value, old != NULL);
		*exceeded_ret = true;
	}
	return NULL;
}
