/* SPDX-License-Identifier: MIT */
#include "report/html_json.h"

#include <inttypes.h>
#include <string.h>

void html_json_deinit(struct html_json *json)
{
	buffer_deinit(&json->strings);
	map_deinit(&json->numbers);
}

static bool is_markup(char c)
{
	return c == '<' || c == '>' || c == '&' || c == '\'';
}

/* Text without controls; what JSON or HTML gives a meaning is written by its code. */
static void put_plain(struct buffer *out, const char *text)
{
	for (const char *start = text;; text++) {
		bool plain = *text && *text != '"' && *text != '\\' && !is_markup(*text);
		if (plain)
			continue;
		buffer_append(out, start, (size_t)(text - start));
		if (!*text)
			return;
		if (is_markup(*text))
			buffer_printf(out, "\\u%04x", (unsigned)*text);
		else
			buffer_printf(out, "\\%c", *text);
		start = text + 1;
	}
}

void html_json_text(struct buffer *out, const char *text)
{
	_cleanup_buffer_ struct buffer piece = {0}, escaped = {0};
	if (!text) {
		buffer_string(out, "null");
		return;
	}
	buffer_char(out, '"');
	for (const char *tab; text; text = tab ? tab + 1 : NULL) {
		tab = strchr(text, '\t');
		buffer_clear(&piece);
		buffer_clear(&escaped);
		buffer_append(&piece, text, tab ? (size_t)(tab - text) : strlen(text));
		buffer_escaped(&escaped, buffer_text(&piece));
		put_plain(out, buffer_text(&escaped));
		if (tab)
			buffer_string(out, "\\t");
		if (buffer_failed(&piece) || buffer_failed(&escaped))
			out->failed = true;
	}
	buffer_char(out, '"');
}

uint32_t html_json_number_of(struct html_json *json, const char *string)
{
	uint64_t key = (uintptr_t)string;
	if (!string)
		return 0;
	uintptr_t number = (uintptr_t)map_get(&json->numbers, key);
	if (!number) {
		number = json->numbers.count + 1;
		if (!map_put(&json->numbers, key, (void *)number))
			json->failed = true;
		buffer_char(&json->strings, ',');
		html_json_text(&json->strings, string);
	}
	return (uint32_t)number;
}

void html_json_key(struct html_json *json, const char *key)
{
	buffer_printf(json->out, "\"%s\":", key);
}

void html_json_set_number(struct html_json *json, const char *key, uint64_t number)
{
	buffer_printf(json->out, "\"%s\":%" PRIu64, key, number);
}

void html_json_set_text(struct html_json *json, const char *key, const char *text)
{
	html_json_key(json, key);
	html_json_text(json->out, text);
}

void html_json_column(struct html_json *json, const char *key, size_t count,
		      uint64_t (*value)(const void *context, size_t i), const void *context)
{
	bool zero = true;
	for (size_t i = 0; i < count && zero; i++)
		zero = value(context, i) == 0;
	html_json_key(json, key);
	if (zero) {
		buffer_char(json->out, '0');
		return;
	}
	for (size_t i = 0; i < count; i++)
		buffer_printf(json->out, "%c%" PRIu64, i ? ',' : '[', value(context, i));
	buffer_char(json->out, ']');
}

void html_json_strings(struct html_json *json)
{
	html_json_key(json, "strings");
	buffer_string(json->out, "[null");
	buffer_append(json->out, buffer_text(&json->strings), json->strings.count);
	buffer_char(json->out, ']');
	json->failed |= buffer_failed(&json->strings);
}
