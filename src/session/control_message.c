/* SPDX-License-Identifier: MIT */
#include "session/control_message.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static const char first_word[] = "tracealloc-control-1 ";

static const char *const verbs[] = {
	[CONTROL_STATUS] = "status",	     [CONTROL_SNAPSHOT] = "snapshot",
	[CONTROL_GLANCE] = "glance",	     [CONTROL_SAVE] = "save",
	[CONTROL_RESET_PEAK] = "reset-peak", [CONTROL_MARK] = "mark",
	[CONTROL_WHERE] = "where",	     [CONTROL_STOP] = "stop",
};
enum { VERBS = sizeof verbs / sizeof *verbs };

/* A field of a message: bytes 0 means a number, else the room of a text. */
struct field {
	const char *key;
	size_t offset, bytes;
};

#define NUMBER(type, key)                                                                          \
	{                                                                                          \
#key, offsetof(struct type, key), 0                                                \
	}
#define TEXT(type, key, size)                                                                      \
	{                                                                                          \
#key, offsetof(struct type, key), size                                             \
	}

static const struct field reply_fields[] = {
	NUMBER(control_reply, pid),
	NUMBER(control_reply, processes),
	NUMBER(control_reply, time_ns),
	NUMBER(control_reply, current_bytes),
	NUMBER(control_reply, current_blocks),
	NUMBER(control_reply, peak_bytes),
	NUMBER(control_reply, peak_blocks),
	NUMBER(control_reply, peak_at_ns),
	NUMBER(control_reply, total_bytes),
	NUMBER(control_reply, total_blocks),
	NUMBER(control_reply, events),
	NUMBER(control_reply, events_per_s),
	NUMBER(control_reply, lost_events),
	NUMBER(control_reply, stops),
	NUMBER(control_reply, attached),
	NUMBER(control_reply, address),
	NUMBER(control_reply, size_bytes),
	NUMBER(control_reply, age_ns),
	NUMBER(control_reply, thread),
	NUMBER(control_reply, process),
	TEXT(control_reply, command, CONTROL_TEXT_BYTES),
	TEXT(control_reply, engine, CONTROL_TEXT_BYTES),
	TEXT(control_reply, file, CONTROL_TEXT_BYTES),
};

/* A request as it is sent: what struct control_request says in other types. */
struct request_fields {
	uint64_t pid, address;
	char name[CONTROL_MARK_BYTES];
};

static const struct field request_fields[] = {
	NUMBER(request_fields, pid),
	NUMBER(request_fields, address),
	TEXT(request_fields, name, CONTROL_MARK_BYTES),
};

struct refusal_fields {
	uint64_t kind;
	char message[CONTROL_TEXT_BYTES];
};

static const struct field refusal_fields[] = {
	NUMBER(refusal_fields, kind),
	TEXT(refusal_fields, message, CONTROL_TEXT_BYTES),
};

enum {
	REPLY_FIELDS = sizeof reply_fields / sizeof *reply_fields,
	REQUEST_FIELDS = sizeof request_fields / sizeof *request_fields,
	REFUSAL_FIELDS = sizeof refusal_fields / sizeof *refusal_fields,
};

/* ---- writing */

static void put_text(struct buffer *out, const char *text, size_t room)
{
	for (size_t i = 0; text[i] && i + 1 < room; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c < 0x20 || c >= 0x7f || c == '%')
			buffer_printf(out, "%%%02x", c);
		else
			buffer_char(out, (char)c);
	}
}

static void put_fields(struct buffer *out, const void *from, const struct field *fields,
		       size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *at = (const char *)from + fields[i].offset;
		buffer_printf(out, "%s ", fields[i].key);
		if (fields[i].bytes)
			put_text(out, at, fields[i].bytes);
		else
			buffer_printf(out, "%llu", *(const unsigned long long *)at);
		buffer_char(out, '\n');
	}
}

void control_message_ask(const struct control_request *request, struct buffer *out)
{
	struct request_fields fields = {.pid = (uint64_t)request->pid,
					.address = request->address.v};
	strcpy(fields.name, request->name);
	buffer_printf(out, "%s%s\n", first_word, verbs[request->verb]);
	put_fields(out, &fields, request_fields, REQUEST_FIELDS);
}

void control_message_answer(const struct control_reply *reply, struct buffer *out)
{
	buffer_printf(out, "%sok\n", first_word);
	put_fields(out, reply, reply_fields, REPLY_FIELDS);
}

void control_message_refuse(const struct error *refusal, struct buffer *out)
{
	struct refusal_fields fields = {.kind = error_kind_of(refusal)};
	strncpy(fields.message, error_message(refusal), sizeof fields.message - 1);
	buffer_printf(out, "%srefused\n", first_word);
	put_fields(out, &fields, refusal_fields, REFUSAL_FIELDS);
}

/* ---- reading */

static struct error *malformed(void)
{
	return error_new(ERROR_BAD_INPUT, "what came over the control socket is no message of this "
					  "version of tracealloc");
}

static int hex_digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool get_text(const char *value, char *ret, size_t room)
{
	size_t count = 0;
	for (; *value && count + 1 < room; value++) {
		char c = *value;
		if (c == '%') {
			int high = hex_digit(value[1]), low = high < 0 ? -1 : hex_digit(value[2]);
			if (low < 0 || high * 16 + low == 0)
				return false;
			c = (char)(high * 16 + low);
			value += 2;
		}
		ret[count++] = c;
	}
	ret[count] = '\0';
	return !*value;
}

static bool get_number(const char *value, uint64_t *ret)
{
	uint64_t number = 0;
	if (!*value)
		return false;
	for (; *value; value++)
		if (!isdigit((unsigned char)*value) ||
		    __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*value - '0'), &number))
			return false;
	*ret = number;
	return true;
}

/* Keys that are not known are passed by: a later tracealloc may say more. */
static bool get_field(char *line, void *to, const struct field *fields, size_t count)
{
	char *blank = strchr(line, ' ');
	if (!blank)
		return false;
	*blank = '\0';
	for (size_t i = 0; i < count; i++) {
		char *at = (char *)to + fields[i].offset;
		if (strcmp(fields[i].key, line) != 0)
			continue;
		return fields[i].bytes ? get_text(blank + 1, at, fields[i].bytes)
				       : get_number(blank + 1, (uint64_t *)(void *)at);
	}
	return true;
}

/* The lines of a packet, cut in place; *head_ret is what follows the first word. */
static bool get_head(char *text, size_t bytes, char **head_ret, char **rest_ret)
{
	size_t count = strlen(first_word);
	/* With a NUL in it the packet's copy ends there. */
	if (!bytes || strlen(text) != bytes || text[bytes - 1] != '\n' ||
	    strncmp(text, first_word, count) != 0)
		return false;
	char *end = strchr(text, '\n');
	*end = '\0';
	*head_ret = text + count;
	*rest_ret = end + 1;
	return true;
}

static bool get_fields(char *rest, void *to, const struct field *fields, size_t count)
{
	char *end;
	for (; (end = strchr(rest, '\n')); rest = end + 1) {
		*end = '\0';
		if (!get_field(rest, to, fields, count))
			return false;
	}
	return true;
}

struct error *control_message_asked(const char *bytes, size_t count, struct control_request *ret)
{
	_cleanup_free_ char *text = strndup(bytes, count);
	struct request_fields fields = {0};
	char *verb, *rest;
	*ret = (struct control_request){0};
	if (!text)
		return error_no_memory();
	if (!get_head(text, count, &verb, &rest) ||
	    !get_fields(rest, &fields, request_fields, REQUEST_FIELDS) || fields.pid > INT32_MAX)
		return malformed();
	unsigned i = 0;
	while (i < VERBS && strcmp(verbs[i], verb) != 0)
		i++;
	if (i == VERBS)
		return malformed();
	ret->verb = (enum control_verb)i;
	ret->pid = (pid_t)fields.pid;
	ret->address.v = fields.address;
	strcpy(ret->name, fields.name);
	return NULL;
}

struct error *control_message_answered(const char *bytes, size_t count, struct control_reply *ret)
{
	_cleanup_free_ char *text = strndup(bytes, count);
	struct refusal_fields refusal = {0};
	char *head, *rest;
	*ret = (struct control_reply){0};
	if (!text)
		return error_no_memory();
	if (!get_head(text, count, &head, &rest))
		return malformed();
	if (strcmp(head, "ok") == 0)
		return get_fields(rest, ret, reply_fields, REPLY_FIELDS) ? NULL : malformed();
	if (strcmp(head, "refused") != 0 ||
	    !get_fields(rest, &refusal, refusal_fields, REFUSAL_FIELDS) ||
	    refusal.kind > ERROR_USAGE || !*refusal.message)
		return malformed();
	return error_new((enum error_kind)refusal.kind, "%s", refusal.message);
}
