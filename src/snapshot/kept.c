/* SPDX-License-Identifier: MIT */
#include "snapshot/kept.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "snapshot/snapshot.h"
#include "snapshot/sum.h"

void kept_deinit(struct snapshot_kept *kept)
{
	free(kept->threads);
	free(kept->ages);
	free(kept->sizes);
	free(kept->lifetimes);
	*kept = (struct snapshot_kept){0};
}

struct error *kept_add_thread(struct snapshot_kept *kept, const struct snapshot_thread *thread)
{
	if (!array_reserve(&kept->threads, &kept->thread_capacity, kept->thread_count + 1,
			   sizeof *kept->threads))
		return error_no_memory();
	kept->threads[kept->thread_count++] = *thread;
	return NULL;
}

struct error *kept_add_age(struct snapshot_kept *kept, const struct snapshot_age *age)
{
	if (!array_reserve(&kept->ages, &kept->age_capacity, kept->age_count + 1,
			   sizeof *kept->ages))
		return error_no_memory();
	kept->ages[kept->age_count++] = *age;
	return NULL;
}

struct error *kept_add_size(struct snapshot_kept *kept, const struct snapshot_size_class *one)
{
	if (!array_reserve(&kept->sizes, &kept->size_capacity, kept->size_count + 1,
			   sizeof *kept->sizes))
		return error_no_memory();
	kept->sizes[kept->size_count++] = *one;
	return NULL;
}

struct error *kept_add_lifetime(struct snapshot_kept *kept,
				const struct snapshot_lifetime_class *one)
{
	if (!array_reserve(&kept->lifetimes, &kept->lifetime_capacity, kept->lifetime_count + 1,
			   sizeof *kept->lifetimes))
		return error_no_memory();
	kept->lifetimes[kept->lifetime_count++] = *one;
	return NULL;
}

const struct snapshot_age *kept_ages_of(const struct snapshot_kept *kept, size_t site,
					size_t *count_ret)
{
	size_t low = 0, high = kept->age_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (kept->ages[middle].site < site)
			low = middle + 1;
		else
			high = middle;
	}
	size_t end = low;
	while (end < kept->age_count && kept->ages[end].site == site)
		end++;
	*count_ret = end - low;
	return end > low ? &kept->ages[low] : NULL;
}

static int compare_sizes(const void *left, const void *right)
{
	const struct snapshot_size_class *a = left, *b = right;
	return (a->size.low_bytes > b->size.low_bytes) - (a->size.low_bytes < b->size.low_bytes);
}

static int compare_lifetimes(const void *left, const void *right)
{
	const struct snapshot_lifetime_class *a = left, *b = right;
	return (a->lifetime.low_ns > b->lifetime.low_ns) -
	       (a->lifetime.low_ns < b->lifetime.low_ns);
}

static struct error *add_size(struct snapshot_kept *kept, const struct snapshot_size_class *one)
{
	for (size_t i = 0; i < kept->size_count; i++) {
		struct snapshot_size_class *to = &kept->sizes[i];
		if (compare_sizes(to, one) != 0)
			continue;
		sum_add(&to->total_bytes, one->total_bytes);
		sum_add(&to->total_blocks, one->total_blocks);
		sum_add(&to->current_bytes, one->current_bytes);
		sum_add(&to->current_blocks, one->current_blocks);
		return NULL;
	}
	return kept_add_size(kept, one);
}

static struct error *add_lifetime(struct snapshot_kept *kept,
				  const struct snapshot_lifetime_class *one)
{
	for (size_t i = 0; i < kept->lifetime_count; i++) {
		struct snapshot_lifetime_class *to = &kept->lifetimes[i];
		if (compare_lifetimes(to, one) != 0)
			continue;
		sum_add(&to->bytes, one->bytes);
		sum_add(&to->blocks, one->blocks);
		return NULL;
	}
	return kept_add_lifetime(kept, one);
}

struct error *kept_add_histograms(struct snapshot_kept *kept, const struct snapshot_kept *other)
{
	struct error *err = NULL;
	for (size_t i = 0; !err && i < other->size_count; i++)
		err = add_size(kept, &other->sizes[i]);
	for (size_t i = 0; !err && i < other->lifetime_count; i++)
		err = add_lifetime(kept, &other->lifetimes[i]);
	if (kept->size_count)
		qsort(kept->sizes, kept->size_count, sizeof *kept->sizes, compare_sizes);
	if (kept->lifetime_count)
		qsort(kept->lifetimes, kept->lifetime_count, sizeof *kept->lifetimes,
		      compare_lifetimes);
	return err;
}

static struct error *check_traits(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->site_count; i++) {
		const struct snapshot_traits *traits = &snapshot->sites[i].traits;
		if (traits->thread > snapshot->kept.thread_count)
			return error_new(ERROR_BAD_INPUT, "snapshot: the thread of site %zu", i);
		if (traits->size.low_bytes > traits->size.high_bytes)
			return error_new(ERROR_BAD_INPUT, "snapshot: the sizes of site %zu", i);
	}
	return NULL;
}

/* In order, and apart from each other. */
static struct error *check_order_of_ages(const struct snapshot *snapshot)
{
	const struct snapshot_age *before = NULL;
	for (size_t i = 0; i < snapshot->kept.age_count; i++) {
		const struct snapshot_age *one = &snapshot->kept.ages[i];
		bool follows =
			!before || before->site < one->site ||
			(before->site == one->site && before->age.high_ns <= one->age.low_ns);
		if (!follows || one->site >= snapshot->site_count ||
		    one->age.low_ns >= one->age.high_ns)
			return error_new(ERROR_BAD_INPUT, "snapshot: the ages of site %u",
					 one->site);
		before = one;
	}
	return NULL;
}

static struct error *check_ages(const struct snapshot *snapshot)
{
	struct error *err = check_order_of_ages(snapshot);
	if (err || !(snapshot->kept.flags & KEPT_AGES))
		return err;
	size_t next = 0;
	for (size_t i = 0; i < snapshot->site_count; i++) {
		const struct site_counters *c = &snapshot->sites[i].counters;
		struct class_counters sum = {0};
		for (; next < snapshot->kept.age_count && snapshot->kept.ages[next].site == i;
		     next++) {
			sum_add(&sum.bytes, snapshot->kept.ages[next].bytes);
			sum_add(&sum.blocks, snapshot->kept.ages[next].blocks);
		}
		bool bytes_hold = c->total_bytes == UINT64_MAX || sum.bytes == c->current_bytes;
		bool blocks_hold = c->total_blocks == UINT64_MAX || sum.blocks == c->current_blocks;
		if (!bytes_hold || !blocks_hold)
			return error_new(ERROR_BAD_INPUT,
					 "snapshot: the ages of site %zu do not add up", i);
	}
	return NULL;
}

/* Sums that have stopped at UINT64_MAX say nothing any more. */
static bool agree(uint64_t sum, uint64_t figure, uint64_t total)
{
	return total == UINT64_MAX || sum == figure;
}

static struct error *check_sizes(const struct snapshot *snapshot)
{
	const struct total_counters *t = &snapshot->totals;
	struct snapshot_size_class sum = {0};
	for (size_t i = 0; i < snapshot->kept.size_count; i++) {
		const struct snapshot_size_class *one = &snapshot->kept.sizes[i];
		if (one->size.low_bytes > one->size.high_bytes ||
		    (i && one[-1].size.high_bytes >= one->size.low_bytes))
			return error_new(ERROR_BAD_INPUT, "snapshot: the order of its sizes");
		sum_add(&sum.total_bytes, one->total_bytes);
		sum_add(&sum.total_blocks, one->total_blocks);
		sum_add(&sum.current_bytes, one->current_bytes);
		sum_add(&sum.current_blocks, one->current_blocks);
	}
	bool hold = agree(sum.total_bytes, t->total_bytes, t->total_bytes) &&
		    agree(sum.total_blocks, t->total_blocks, t->total_blocks) &&
		    agree(sum.current_bytes, t->current_bytes, t->total_bytes) &&
		    agree(sum.current_blocks, t->current_blocks, t->total_blocks);
	return hold || !(snapshot->kept.flags & KEPT_HISTOGRAMS)
		       ? NULL
		       : error_new(ERROR_BAD_INPUT, "snapshot: its sizes do not add up");
}

static struct error *check_lifetimes(const struct snapshot *snapshot)
{
	const struct total_counters *t = &snapshot->totals;
	struct class_counters sum = {0};
	for (size_t i = 0; i < snapshot->kept.lifetime_count; i++) {
		const struct snapshot_lifetime_class *one = &snapshot->kept.lifetimes[i];
		if (one->lifetime.low_ns >= one->lifetime.high_ns ||
		    (i && one[-1].lifetime.high_ns > one->lifetime.low_ns))
			return error_new(ERROR_BAD_INPUT, "snapshot: the order of its lifetimes");
		sum_add(&sum.bytes, one->bytes);
		sum_add(&sum.blocks, one->blocks);
	}
	bool hold = agree(sum.bytes, t->released_bytes, t->total_bytes) &&
		    agree(sum.blocks, t->released_blocks, t->total_blocks);
	return hold || !(snapshot->kept.flags & KEPT_HISTOGRAMS)
		       ? NULL
		       : error_new(ERROR_BAD_INPUT, "snapshot: its lifetimes do not add up");
}

struct error *kept_check(const struct snapshot *snapshot)
{
	struct error *err = check_traits(snapshot);
	if (!err)
		err = check_ages(snapshot);
	if (!err)
		err = check_sizes(snapshot);
	return err ? err : check_lifetimes(snapshot);
}
