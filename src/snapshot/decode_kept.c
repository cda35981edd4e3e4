/* SPDX-License-Identifier: MIT */
#include "snapshot/decoder.h"

static struct error *read_threads(struct decoder *decoder)
{
	struct snapshot_kept *kept = &decoder->snapshot->kept;
	if (records_of(decoder, LAYOUT_KEPT) > 1)
		return decoder_damaged("what it keeps");
	if (records_of(decoder, LAYOUT_KEPT)) {
		struct record record = record_at(decoder, LAYOUT_KEPT, 0);
		kept->flags = get_u32(&record);
	}
	for (size_t i = 0; i < records_of(decoder, LAYOUT_THREADS); i++) {
		struct record record = record_at(decoder, LAYOUT_THREADS, i);
		struct snapshot_thread thread = {0};
		thread.pid = get_u32(&record);
		thread.tid = get_u32(&record);
		thread.name = get_string(&record);
		struct error *err = kept_add_thread(kept, &thread);
		if (err)
			return err;
	}
	return NULL;
}

static struct error *read_traits(struct decoder *decoder)
{
	struct snapshot *snapshot = decoder->snapshot;
	bool kept = snapshot->kept.flags & (KEPT_SIZES | KEPT_THREADS | KEPT_WASTE);
	size_t count = records_of(decoder, LAYOUT_TRAITS);
	if (count != (kept ? snapshot->site_count : 0))
		return decoder_damaged("what tells its sites apart");
	for (size_t i = 0; i < count; i++) {
		struct record record = record_at(decoder, LAYOUT_TRAITS, i);
		struct snapshot_traits *traits = &snapshot->sites[i].traits;
		traits->thread = get_u32(&record);
		traits->waste_bytes = get_u32(&record);
		traits->size.low_bytes = get_u64(&record);
		traits->size.high_bytes = get_u64(&record);
	}
	return NULL;
}

static struct error *read_ages(struct decoder *decoder)
{
	for (size_t i = 0; i < records_of(decoder, LAYOUT_AGES); i++) {
		struct record record = record_at(decoder, LAYOUT_AGES, i);
		struct snapshot_age one = {0};
		one.site = get_u32(&record);
		one.age.low_ns = get_u64(&record);
		one.age.high_ns = get_u64(&record);
		one.bytes = get_u64(&record);
		one.blocks = get_u64(&record);
		struct error *err = kept_add_age(&decoder->snapshot->kept, &one);
		if (err)
			return err;
	}
	return NULL;
}

static struct error *read_sizes(struct decoder *decoder)
{
	for (size_t i = 0; i < records_of(decoder, LAYOUT_SIZES); i++) {
		struct record record = record_at(decoder, LAYOUT_SIZES, i);
		struct snapshot_size_class one = {0};
		one.size.low_bytes = get_u64(&record);
		one.size.high_bytes = get_u64(&record);
		one.total_bytes = get_u64(&record);
		one.total_blocks = get_u64(&record);
		one.current_bytes = get_u64(&record);
		one.current_blocks = get_u64(&record);
		struct error *err = kept_add_size(&decoder->snapshot->kept, &one);
		if (err)
			return err;
	}
	return NULL;
}

static struct error *read_lifetimes(struct decoder *decoder)
{
	for (size_t i = 0; i < records_of(decoder, LAYOUT_LIFETIMES); i++) {
		struct record record = record_at(decoder, LAYOUT_LIFETIMES, i);
		struct snapshot_lifetime_class one = {0};
		one.lifetime.low_ns = get_u64(&record);
		one.lifetime.high_ns = get_u64(&record);
		one.bytes = get_u64(&record);
		one.blocks = get_u64(&record);
		struct error *err = kept_add_lifetime(&decoder->snapshot->kept, &one);
		if (err)
			return err;
	}
	return NULL;
}

struct error *decode_kept(struct decoder *decoder)
{
	struct error *err = read_threads(decoder);
	if (!err)
		err = read_traits(decoder);
	if (!err)
		err = read_ages(decoder);
	if (!err)
		err = read_sizes(decoder);
	return err ? err : read_lifetimes(decoder);
}
