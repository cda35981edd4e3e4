/* SPDX-License-Identifier: MIT */
#include "report/json_value.h"

json_t *json_value_number(uint64_t number)
{
	return json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number);
}

json_t *json_value_difference(uint64_t a, uint64_t b)
{
	uint64_t away = a > b ? a - b : b - a;
	json_int_t value = away > INT64_MAX ? INT64_MAX : (json_int_t)away;
	return json_integer(a > b ? value : -value);
}

json_t *json_value_text(const char *text)
{
	if (!text)
		return json_null();
	json_t *value = json_string(text);
	if (value)
		return value;
	/* Refused: not UTF-8 (or no memory, which shows below). */
	_cleanup_buffer_ struct buffer escaped = {0};
	buffer_escaped(&escaped, text);
	return buffer_failed(&escaped) ? NULL : json_string(buffer_text(&escaped));
}

void json_value_set(json_t *object, const char *key, json_t *value, bool *failed)
{
	if (json_object_set_new(object, key, value))
		*failed = true;
}

void json_value_append(json_t *array, json_t *value, bool *failed)
{
	if (json_array_append_new(array, value))
		*failed = true;
}

void json_value_set_number(json_t *object, const char *key, uint64_t number, bool *failed)
{
	json_value_set(object, key, json_value_number(number), failed);
}

void json_value_set_text(json_t *object, const char *key, const char *text, bool *failed)
{
	json_value_set(object, key, json_value_text(text), failed);
}

/* DEL is the one control character the library leaves as it is; it can only stand in a string. */
static int write_piece(const char *bytes, size_t count, void *data)
{
	struct buffer *out = data;
	size_t start = 0;
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] != 0x7f)
			continue;
		buffer_append(out, bytes + start, i - start);
		buffer_string(out, "\\u007F");
		start = i + 1;
	}
	buffer_append(out, bytes + start, count - start);
	return 0;
}

static struct error *dump(const json_t *value, size_t flags, struct buffer *out)
{
	if (json_dump_callback(value, write_piece, out, flags | JSON_ENSURE_ASCII))
		return error_no_memory();
	buffer_char(out, '\n');
	return buffer_failed(out) ? error_no_memory() : NULL;
}

struct error *json_value_write(const json_t *value, struct buffer *out)
{
	return dump(value, JSON_INDENT(2), out);
}

struct error *json_value_write_compact(const json_t *value, struct buffer *out)
{
	return dump(value, JSON_COMPACT, out);
}
