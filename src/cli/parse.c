/* SPDX-License-Identifier: MIT */
#include "cli/parse.h"

#include <string.h>
#include <strings.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads digits up to the first other character; refuses none and what exceeds 64 bits. */
static bool digits(const char **text, uint64_t *ret)
{
	const char *s = *text;
	uint64_t value = 0;
	if (!is_digit(*s))
		return false;
	for (; is_digit(*s); s++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*s - '0'), &value))
			return false;
	}
	*text = s;
	*ret = value;
	return true;
}

bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t value;
	if (!digits(&text, &value) || *text || value < min || value > max)
		return false;
	*ret = value;
	return true;
}

#define SECOND_NS UINT64_C(1000000000)

static bool unit_ns(const char *unit, uint64_t *ret)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{"", SECOND_NS},       {"s", SECOND_NS},	{"ms", SECOND_NS / 1000},
		{"m", 60 * SECOND_NS}, {"h", 3600 * SECOND_NS},
	};

	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (strcmp(unit, units[i].name) == 0) {
			*ret = units[i].ns;
			return true;
		}
	}
	return false;
}

/* Reads ".5" as 500000000 billionths; no point is no billionths. */
static bool fraction(const char **text, uint64_t *billionths_ret)
{
	*billionths_ret = 0;
	if (**text != '.')
		return true;
	const char *start = *text + 1, *end = start;
	if (!digits(&end, billionths_ret) || end - start > 9)
		return false;
	for (ptrdiff_t i = end - start; i < 9; i++)
		*billionths_ret *= 10;
	*text = end;
	return true;
}

bool parse_duration(const char *text, uint64_t *ns_ret)
{
	uint64_t whole, billionths, unit, ns, part;
	if (!digits(&text, &whole) || !fraction(&text, &billionths) || !unit_ns(text, &unit))
		return false;
	/* Units are whole milliseconds: dividing first loses nothing that a nanosecond holds. */
	part = unit / 1000000 * billionths / 1000;
	if (__builtin_mul_overflow(whole, unit, &ns) || __builtin_add_overflow(ns, part, &ns))
		return false;
	if (ns == 0 || ns > PARSE_DURATION_MAX_NS)
		return false;
	*ns_ret = ns;
	return true;
}

bool parse_size(const char *text, uint64_t *bytes_ret)
{
	static const char letters[] = "kmgt";
	uint64_t bytes;
	if (!digits(&text, &bytes))
		return false;
	const char *letter = *text ? strchr(letters, *text | 0x20) : NULL;
	if (letter) {
		unsigned shift = 10 * (unsigned)(letter - letters + 1);
		text++;
		if (bytes << shift >> shift != bytes)
			return false;
		bytes <<= shift;
		if (strcasecmp(text, "iB") == 0)
			text += 2;
	} else if ((*text | 0x20) == 'b') {
		text++;
	}
	if (*text)
		return false;
	*bytes_ret = bytes;
	return true;
}

bool parse_choice(const char *text, const char *words, size_t *index_ret)
{
	size_t length = strlen(text), index = 0;
	if (length == 0)
		return false;
	for (const char *word = words; word; index++) {
		size_t word_length = strcspn(word, "|");
		if (word_length == length && memcmp(word, text, length) == 0) {
			*index_ret = index;
			return true;
		}
		word = word[word_length] ? word + word_length + 1 : NULL;
	}
	return false;
}
