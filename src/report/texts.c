/* SPDX-License-Identifier: MIT */
#include "report/texts.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"

/* text points behind the entry; in one that is only looked for, to the text that was given. */
struct texts_entry {
	size_t number;
	const char *text;
};

static int compare(const void *left, const void *right)
{
	const struct texts_entry *a = left, *b = right;
	return strcmp(a->text, b->text);
}

void texts_deinit(struct texts *texts)
{
	tdestroy(texts->tree, free);
	free(texts->entries);
	*texts = (struct texts){0};
}

static struct texts_entry *make_entry(size_t number, const char *text)
{
	size_t bytes = strlen(text) + 1;
	struct texts_entry *entry = malloc(sizeof *entry + bytes);
	if (!entry)
		return NULL;
	*entry = (struct texts_entry){.number = number, .text = (const char *)(entry + 1)};
	memcpy(entry + 1, text, bytes);
	return entry;
}

size_t texts_add(struct texts *texts, const char *text)
{
	const struct texts_entry wanted = {.text = text};
	struct texts_entry *const *found = tfind(&wanted, &texts->tree, compare);
	if (found)
		return (*found)->number;
	_cleanup_free_ struct texts_entry *entry = make_entry(texts->count, text);
	if (!entry ||
	    !array_reserve(&texts->entries, &texts->capacity, texts->count + 1,
			   sizeof *texts->entries) ||
	    !tsearch(entry, &texts->tree, compare)) {
		texts->failed = true;
		return 0;
	}
	texts->entries[texts->count] = take_ptr(entry);
	return texts->count++;
}

const char *texts_get(const struct texts *texts, size_t number)
{
	return texts->entries[number]->text;
}
