/* SPDX-License-Identifier: MIT */
#include "snapshot/encoder.h"

static void put_threads(struct encoder *encoder)
{
	const struct snapshot_kept *kept = &encoder->snapshot->kept;
	begin_section(&encoder->rest, LAYOUT_KEPT, 1);
	put_u32(encoder, kept->flags);
	begin_section(&encoder->rest, LAYOUT_THREADS, kept->thread_count);
	for (size_t i = 0; i < kept->thread_count; i++) {
		put_u32(encoder, kept->threads[i].pid);
		put_u32(encoder, kept->threads[i].tid);
		put_string(encoder, kept->threads[i].name);
	}
}

/* Only where something tells sites of one stack apart. */
static void put_traits(struct encoder *encoder)
{
	const struct snapshot *snapshot = encoder->snapshot;
	bool kept = snapshot->kept.flags & (KEPT_SIZES | KEPT_THREADS | KEPT_WASTE);
	size_t count = kept ? snapshot->site_count : 0;
	begin_section(&encoder->rest, LAYOUT_TRAITS, count);
	for (size_t i = 0; i < count; i++) {
		const struct snapshot_traits *traits = &snapshot->sites[i].traits;
		put_u32(encoder, traits->thread);
		put_u32(encoder, traits->waste_bytes);
		put_u64(encoder, traits->size.low_bytes);
		put_u64(encoder, traits->size.high_bytes);
	}
}

static void put_ages(struct encoder *encoder)
{
	const struct snapshot_kept *kept = &encoder->snapshot->kept;
	begin_section(&encoder->rest, LAYOUT_AGES, kept->age_count);
	for (size_t i = 0; i < kept->age_count; i++) {
		const struct snapshot_age *one = &kept->ages[i];
		put_u32(encoder, one->site);
		put_u64(encoder, one->age.low_ns);
		put_u64(encoder, one->age.high_ns);
		put_u64(encoder, one->bytes);
		put_u64(encoder, one->blocks);
	}
}

static void put_histograms(struct encoder *encoder)
{
	const struct snapshot_kept *kept = &encoder->snapshot->kept;
	begin_section(&encoder->rest, LAYOUT_SIZES, kept->size_count);
	for (size_t i = 0; i < kept->size_count; i++) {
		const struct snapshot_size_class *one = &kept->sizes[i];
		put_u64(encoder, one->size.low_bytes);
		put_u64(encoder, one->size.high_bytes);
		put_u64(encoder, one->total_bytes);
		put_u64(encoder, one->total_blocks);
		put_u64(encoder, one->current_bytes);
		put_u64(encoder, one->current_blocks);
	}
	begin_section(&encoder->rest, LAYOUT_LIFETIMES, kept->lifetime_count);
	for (size_t i = 0; i < kept->lifetime_count; i++) {
		const struct snapshot_lifetime_class *one = &kept->lifetimes[i];
		put_u64(encoder, one->lifetime.low_ns);
		put_u64(encoder, one->lifetime.high_ns);
		put_u64(encoder, one->bytes);
		put_u64(encoder, one->blocks);
	}
}

void encode_kept(struct encoder *encoder)
{
	put_threads(encoder);
	put_traits(encoder);
	put_ages(encoder);
	put_histograms(encoder);
}
