/* SPDX-License-Identifier: MIT */
#include "cli/filters.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "cli/parse.h"

/* One end of a range; `otherwise` where nothing stands there. */
static bool parse_end(const char *text, size_t length, uint64_t otherwise, uint64_t *ret)
{
	char end[32];
	if (length >= sizeof end)
		return false;
	memcpy(end, text, length);
	end[length] = 0;
	*ret = otherwise;
	return !length || parse_size(end, ret);
}

static bool parse_size_range(const char *text, struct size_range *ret)
{
	const char *dots = strstr(text, "..");
	if (!dots) {
		bool good = parse_size(text, &ret->low_bytes);
		ret->high_bytes = ret->low_bytes;
		return good;
	}
	size_t rest = strlen(dots + 2);
	return parse_end(text, (size_t)(dots - text), 0, &ret->low_bytes) &&
	       parse_end(dots + 2, rest, UINT64_MAX, &ret->high_bytes) &&
	       ret->low_bytes <= ret->high_bytes && strlen(text) > 2;
}

static struct error *parse_sizes(const char *text, struct query_filter *ret)
{
	uint64_t below, above;
	if (!parse_size_range(ret->pattern, &ret->size))
		return error_new(ERROR_USAGE,
				 "bad filter '%s': give a size such as 32, or a range such as "
				 "64..4096, ..4KiB or 1MiB..",
				 text);
	if (!size_class_divides(ret->size, &below, &above))
		return error_new(ERROR_USAGE,
				 "bad filter '%s': sizes above 256 are told apart at every eighth "
				 "of a power of two: the nearest are %llu and %llu",
				 text, (unsigned long long)below, (unsigned long long)above);
	return NULL;
}

/* As parse_duration reads it, or nearly: below a millisecond nobody asks. */
static void write_time(struct buffer *out, uint64_t ns)
{
	static const struct {
		uint64_t ns;
		const char *name;
	} units[] = {
		{3600000000000, "h"}, {60000000000, "m"}, {1000000000, "s"},
		{1000000, "ms"},      {1, "ns"},
	};
	size_t i = 0;
	while (ns % units[i].ns)
		i++;
	buffer_printf(out, "%llu%s", (unsigned long long)(ns / units[i].ns), units[i].name);
}

static struct error *bad_border(const char *text, uint64_t below_ns, uint64_t above_ns)
{
	_cleanup_buffer_ struct buffer below = {0}, above = {0};
	write_time(&below, below_ns);
	write_time(&above, above_ns);
	if (buffer_failed(&below) || buffer_failed(&above))
		return error_no_memory();
	return error_new(ERROR_USAGE,
			 "bad filter '%s': ages are not told apart there: the nearest borders are "
			 "%s and %s",
			 text, buffer_text(&below), buffer_text(&above));
}

static struct error *parse_ages(const char *text, struct query_filter *ret)
{
	uint64_t border_ns, below_ns, above_ns;
	char order = *ret->pattern;
	if ((order != '>' && order != '<') || !parse_duration(ret->pattern + 1, &border_ns))
		return error_new(ERROR_USAGE,
				 "bad filter '%s': give age=>10s for what is older, or age=<10s "
				 "for what is younger",
				 text);
	ret->age = order == '>' ? (struct time_range){border_ns, UINT64_MAX}
				: (struct time_range){0, border_ns};
	return age_class_divides(ret->age, &below_ns, &above_ns)
		       ? NULL
		       : bad_border(text, below_ns, above_ns);
}

struct error *filters_parse(const char *text, struct query_filter *ret)
{
	static const char *const kinds[] = {
		[FILTER_FILE] = "file=",     [FILTER_FUNCTION] = "function=",
		[FILTER_MODULE] = "module=", [FILTER_LINE] = "line=",
		[FILTER_THREAD] = "thread=", [FILTER_SIZE] = "size=",
		[FILTER_AGE] = "age=",
	};
	size_t kind = 0, count = sizeof kinds / sizeof *kinds;
	while (kind < count && strncmp(text, kinds[kind], strlen(kinds[kind])) != 0)
		kind++;
	if (kind == count || !text[strlen(kinds[kind])])
		return error_new(
			ERROR_USAGE,
			"bad filter '%s': give KIND=PATTERN, where KIND is one of " FILTERS_KINDS,
			text);
	*ret = (struct query_filter){.kind = (enum query_filter_kind)kind,
				     .pattern = text + strlen(kinds[kind])};
	if (ret->kind == FILTER_SIZE)
		return parse_sizes(text, ret);
	return ret->kind == FILTER_AGE ? parse_ages(text, ret) : NULL;
}
