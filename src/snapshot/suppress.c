/* SPDX-License-Identifier: MIT */
#include "snapshot/suppress.h"

#include <stdlib.h>
#include <string.h>

enum answer { ANSWER_UNKNOWN, ANSWER_NO, ANSWER_YES };

/* A stretch of a pattern without asterisks. */
struct part {
	const char *text;
	size_t length;
	bool at_end; /* a `$` follows */
};

static struct part next_part(const char **pattern)
{
	struct part part = {.text = *pattern, .length = strcspn(*pattern, "*")};
	*pattern += part.length;
	part.at_end = !**pattern && part.length && part.text[part.length - 1] == '$';
	part.length -= part.at_end;
	return part;
}

/* Where the part stands in text, the last place if it must be at the end; NULL: nowhere. */
static const char *find_part(const struct part *part, const char *text)
{
	if (part->at_end) {
		size_t length = strlen(text);
		bool fits = length >= part->length &&
			    memcmp(text + length - part->length, part->text, part->length) == 0;
		return fits ? text + length - part->length : NULL;
	}
	return part->length ? memmem(text, strlen(text), part->text, part->length) : text;
}

/* The leftmost place of every part leaves most room for the next. */
bool suppress_matches(const char *pattern, const char *text)
{
	if (!text || !*text)
		return false;
	bool anchored = *pattern == '^';
	pattern += anchored;
	while (*pattern) {
		if (*pattern == '*') {
			anchored = false;
			pattern++;
			continue;
		}
		struct part part = next_part(&pattern);
		const char *at = find_part(&part, text);
		if (!at || (anchored && at != text))
			return false;
		text = at + part.length;
		anchored = false;
	}
	return true;
}

struct error *suppress_init(struct suppress *suppress, const struct snapshot *snapshot,
			    const struct query *query)
{
	*suppress = (struct suppress){.snapshot = snapshot, .query = query};
	if (!query->suppression_count || !suppress_applies(query->show))
		return NULL;
	suppress->answers = calloc(query->suppression_count, snapshot->frame_count + 1);
	return suppress->answers ? NULL : error_no_memory();
}

void suppress_deinit(struct suppress *suppress)
{
	free(suppress->answers);
	*suppress = (struct suppress){0};
}

static bool matches_frame(struct suppress *suppress, size_t i, uint32_t index)
{
	const struct snapshot_frame *frame = &suppress->snapshot->frames[index];
	const char *pattern = suppress->query->suppressions[i].pattern;
	uint8_t *answer = &suppress->answers[i * suppress->snapshot->frame_count + index];
	if (*answer == ANSWER_UNKNOWN) {
		bool yes = suppress_matches(pattern, frame->function) ||
			   suppress_matches(pattern, frame->linkage) ||
			   suppress_matches(pattern, frame->file) ||
			   suppress_matches(pattern, frame->module);
		*answer = yes ? ANSWER_YES : ANSWER_NO;
	}
	return *answer == ANSWER_YES;
}

bool suppress_site(struct suppress *suppress, const struct snapshot_site *site, size_t *ret)
{
	size_t count =
		suppress_applies(suppress->query->show) ? suppress->query->suppression_count : 0;
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < site->frame_count; k++) {
			uint32_t frame = suppress->snapshot->stacks[site->first_frame + k];
			if (!matches_frame(suppress, i, frame))
				continue;
			*ret = i;
			return true;
		}
	}
	return false;
}
