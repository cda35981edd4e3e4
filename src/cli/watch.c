/* SPDX-License-Identifier: MIT */
#include "cli/watch.h"

#include <stdlib.h>
#include <string.h>

void watch_deinit(struct session_watch *watch)
{
	free((char *)watch->function);
	free((char *)watch->module);
	*watch = (struct session_watch){0};
}

/* The first ':' that is not part of a "::", NULL if there is none. */
static const char *separator(const char *text, const char *end)
{
	for (const char *at = text; at < end; at++) {
		if (*at != ':')
			continue;
		if (at + 1 == end || at[1] != ':')
			return at;
		at++;
	}
	return NULL;
}

/* The length without the ":exit" at the end, if there is one; "::exit" is a name. */
static size_t length_without_exit(const char *text, size_t length)
{
	static const char suffix[] = ":exit";
	size_t cut = sizeof suffix - 1;
	bool ends = length > cut && strcmp(text + length - cut, suffix) == 0 &&
		    text[length - cut - 1] != ':';
	return ends ? length - cut : length;
}

struct error *watch_parse(const char *text, bool exits, struct session_watch *ret)
{
	size_t length = strlen(text);
	size_t rest = exits ? length_without_exit(text, length) : length;
	const char *colon = separator(text, text + rest);
	size_t module_length = colon ? (size_t)(colon - text) : 0;
	size_t start = colon ? module_length + 1 : 0;
	*ret = (struct session_watch){.at_exit = rest < length};
	if (start >= rest || colon == text)
		return error_new(ERROR_USAGE, "no function");
	ret->function = strndup(text + start, rest - start);
	ret->module = colon ? strndup(text, module_length) : NULL;
	if (ret->function && (ret->module || !colon))
		return NULL;
	watch_deinit(ret);
	return error_no_memory();
}
