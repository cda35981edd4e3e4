/* SPDX-License-Identifier: MIT */
#include "snapshot/filter.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "snapshot/needs.h"
#include "snapshot/sum.h"

enum answer { ANSWER_UNKNOWN, ANSWER_NO, ANSWER_YES };

struct error *filter_init(struct filter *filter, const struct snapshot *snapshot,
			  const struct query *query)
{
	*filter = (struct filter){.snapshot = snapshot, .query = query};
	if (!query->filter_count)
		return NULL;
	filter->answers = calloc(query->filter_count, snapshot->frame_count + 1);
	return filter->answers ? NULL : error_no_memory();
}

void filter_deinit(struct filter *filter)
{
	free(filter->answers);
	*filter = (struct filter){0};
}

static bool matches(const char *pattern, const char *string)
{
	return string && fnmatch(pattern, string, 0) == 0;
}

static struct error *matches_line(const char *pattern, const char *path, uint32_t line, bool *ret)
{
	_cleanup_buffer_ struct buffer text = {0};
	*ret = false;
	if (!path || !line)
		return NULL;
	buffer_printf(&text, "%s:%u", path, line);
	*ret = matches(pattern, buffer_text(&text));
	return buffer_failed(&text) ? error_no_memory() : NULL;
}

static bool matches_module(const char *pattern, const char *module)
{
	const char *slash = module ? strrchr(module, '/') : NULL;
	return matches(pattern, module) || (slash && matches(pattern, slash + 1));
}

static struct error *matches_frame(const struct query_filter *one,
				   const struct snapshot_frame *frame, bool *ret)
{
	switch (one->kind) {
	case FILTER_FILE:
		*ret = matches(one->pattern, frame->file) || matches(one->pattern, frame->label);
		return NULL;
	case FILTER_FUNCTION:
		*ret = matches(one->pattern, frame->function);
		return NULL;
	case FILTER_MODULE:
		*ret = matches_module(one->pattern, frame->module);
		return NULL;
	case FILTER_LINE:
	case FILTER_THREAD:
	case FILTER_SIZE:
	case FILTER_AGE:
		break;
	}
	struct error *err = matches_line(one->pattern, frame->file, frame->line, ret);
	return err || *ret ? err : matches_line(one->pattern, frame->label, frame->line, ret);
}

/* What filter i says of frame `frame` of the snapshot. */
static struct error *ask(struct filter *filter, size_t i, uint32_t frame, bool *ret)
{
	uint8_t *answer = &filter->answers[i * filter->snapshot->frame_count + frame];
	if (*answer == ANSWER_UNKNOWN) {
		bool yes = false;
		struct error *err = matches_frame(&filter->query->filters[i],
						  &filter->snapshot->frames[frame], &yes);
		if (err)
			return err;
		*answer = yes ? ANSWER_YES : ANSWER_NO;
	}
	*ret = *answer == ANSWER_YES;
	return NULL;
}

static bool matches_thread(const struct filter *filter, const char *pattern,
			   const struct snapshot_site *site)
{
	char number[16];
	if (!site->traits.thread)
		return false;
	const struct snapshot_thread *thread =
		&filter->snapshot->kept.threads[site->traits.thread - 1];
	snprintf(number, sizeof number, "%u", thread->tid);
	return matches(pattern, thread->name) || matches(pattern, number);
}

static bool is_within(const struct time_range *age, const struct time_range *range)
{
	return age && age->low_ns >= range->low_ns && age->high_ns <= range->high_ns;
}

/* Whether filter i matches a frame of the site that it looks at. */
static struct error *matches_frames(struct filter *filter, size_t i,
				    const struct snapshot_site *site, size_t charged, bool *ret)
{
	bool all = filter->query->all_frames;
	size_t first = all ? 0 : charged;
	size_t end = all ? site->frame_count : charged == SIZE_MAX ? 0 : charged + 1;
	*ret = false;
	for (size_t k = first; k < end && !*ret; k++) {
		uint32_t frame = filter->snapshot->stacks[site->first_frame + k];
		struct error *err = ask(filter, i, frame, ret);
		if (err)
			return err;
	}
	return NULL;
}

static struct error *matches_site(struct filter *filter, size_t i, const struct snapshot_site *site,
				  size_t charged, const struct time_range *age, bool *ret)
{
	const struct query_filter *one = &filter->query->filters[i];
	switch (one->kind) {
	case FILTER_THREAD:
		*ret = matches_thread(filter, one->pattern, site);
		return NULL;
	case FILTER_SIZE:
		*ret = site->traits.size.low_bytes >= one->size.low_bytes &&
		       site->traits.size.high_bytes <= one->size.high_bytes;
		return NULL;
	case FILTER_AGE:
		*ret = is_within(age, &one->age);
		return NULL;
	case FILTER_FILE:
	case FILTER_FUNCTION:
	case FILTER_MODULE:
	case FILTER_LINE:
		break;
	}
	return matches_frames(filter, i, site, charged, ret);
}

static struct error *passes(struct filter *filter, const struct snapshot_site *site, size_t charged,
			    const struct time_range *age, bool *ret)
{
	bool wanted = false, some_inclusive = false;
	*ret = false;
	for (size_t i = 0; i < filter->query->filter_count; i++) {
		bool inclusive = filter->query->filters[i].inclusive, match = false;
		struct error *err = matches_site(filter, i, site, charged, age, &match);
		if (err)
			return err;
		if (match && !inclusive)
			return NULL;
		some_inclusive |= inclusive;
		wanted |= match;
	}
	*ret = wanted || !some_inclusive;
	return NULL;
}

static struct error *passing_ages(struct filter *filter, const struct snapshot_site *site,
				  size_t charged, struct site_counters *ret)
{
	size_t count, index = (size_t)(site - filter->snapshot->sites);
	const struct snapshot_age *ages = kept_ages_of(&filter->snapshot->kept, index, &count);
	bool ended, passed;
	struct error *err = passes(filter, site, charged, NULL, &ended);
	if (!err && ended) {
		ret->ended_bytes = site->counters.ended_bytes;
		ret->ended_blocks = site->counters.ended_blocks;
	}
	for (size_t i = 0; !err && i < count; i++) {
		err = passes(filter, site, charged, &ages[i].age, &passed);
		if (err || !passed)
			continue;
		sum_add(&ret->current_bytes, ages[i].bytes);
		sum_add(&ret->current_blocks, ages[i].blocks);
	}
	return err;
}

static uint64_t wasted(const struct snapshot_site *site)
{
	uint64_t bytes;
	if (site->traits.waste_bytes == SNAPSHOT_NO_WASTE)
		return 0;
	return __builtin_mul_overflow(site->counters.peak_blocks, site->traits.waste_bytes, &bytes)
		       ? UINT64_MAX
		       : bytes;
}

struct error *filter_counters(struct filter *filter, const struct snapshot_site *site,
			      size_t charged, struct site_counters *ret)
{
	bool passed;
	*ret = (struct site_counters){0};
	if (needs_ages(filter->query))
		return passing_ages(filter, site, charged, ret);
	struct error *err = passes(filter, site, charged, NULL, &passed);
	if (err || !passed)
		return err;
	*ret = site->counters;
	ret->waste_bytes = wasted(site);
	return NULL;
}
