/* SPDX-License-Identifier: MIT */
#include "cli/words.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* Copies a quoted part without its quotes; *from stands on the opening one, then behind the other.
 */
static struct error *copy_quoted(const char **from, char **to)
{
	char quote = *(*from)++;
	const char *start = *from;
	while (**from && **from != quote) {
		const char *next = *from + 1;
		if (quote == '"' && **from == '\\' && (*next == '"' || *next == '\\'))
			(*from)++;
		*(*to)++ = *(*from)++;
	}
	if (!**from)
		return error_new(ERROR_USAGE, "the quote before '%s' is not closed", start);
	(*from)++;
	return NULL;
}

/* Copies one word and ends it; *from then stands behind it. */
static struct error *copy_word(const char **from, char **to)
{
	while (**from && !is_blank(**from)) {
		if (**from == '\'' || **from == '"') {
			struct error *err = copy_quoted(from, to);
			if (err)
				return err;
			continue;
		}
		if (**from == '\\' && !*++*from)
			return error_new(ERROR_USAGE, "nothing follows the last backslash");
		*(*to)++ = *(*from)++;
	}
	*(*to)++ = '\0';
	return NULL;
}

struct error *words_split(const char *line, struct words *ret)
{
	size_t length = strlen(line);
	*ret = (struct words){
		.items = calloc(length / 2 + 2, sizeof(char *)), /* a word and a blank each */
		.text = malloc(length + 1),
	};
	struct error *err = ret->items && ret->text ? NULL : error_no_memory();
	char *to = ret->text;
	while (!err) {
		while (is_blank(*line))
			line++;
		if (!*line)
			return NULL;
		ret->items[ret->count++] = to;
		err = copy_word(&line, &to);
	}
	words_deinit(ret);
	return err;
}

void words_deinit(struct words *words)
{
	free(words->items);
	free(words->text);
	*words = (struct words){0};
}
