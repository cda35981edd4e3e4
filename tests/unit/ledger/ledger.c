/* SPDX-License-Identifier: MIT */
#include "ledger/ledger.h"

#include <check.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "unit/ledger/model.h"

static void ok(struct error *err)
{
	/* Not ck_assert, which tells its parent of every success: these are millions. */
	if (err)
		ck_abort_msg("%s", error_message(err));
}

static void record(struct ledger *ledger, struct event event)
{
	ok(ledger_record(ledger, &event));
}

static void create(struct ledger *ledger, uint32_t thread, uint32_t site, uint64_t address,
		   uint64_t size, uint64_t time)
{
	record(ledger, (struct event){.kind = EVENT_CREATE,
				      .thread = thread,
				      .site = {site},
				      .address = {address},
				      .size_bytes = size,
				      .time_ns = time});
}

static void release(struct ledger *ledger, uint32_t thread, uint64_t address, uint64_t time)
{
	record(ledger, (struct event){.kind = EVENT_RELEASE,
				      .thread = thread,
				      .address = {address},
				      .time_ns = time});
}

static void resize(struct ledger *ledger, enum event_kind kind, uint32_t thread, uint64_t old,
		   uint64_t address, uint64_t size)
{
	record(ledger, (struct event){.kind = kind,
				      .thread = thread,
				      .site = {1},
				      .address = {address},
				      .old_address = {old},
				      .size_bytes = size,
				      .time_ns = 50});
}

static struct ledger *fresh(void)
{
	struct ledger *ledger;
	ok(ledger_create(&ledger));
	return ledger;
}

START_TEST(the_breakdown_at_the_peak_is_that_of_the_highest_moment)
{
	struct ledger *ledger = fresh();
	create(ledger, 1, 0, 0x10, 100, 1);
	create(ledger, 1, 1, 0x20, 50, 2);
	release(ledger, 1, 0x10, 3);
	create(ledger, 1, 1, 0x30, 60, 4);
	struct site_counters a = ledger_site(ledger, (site_id){0});
	struct site_counters b = ledger_site(ledger, (site_id){1});
	ck_assert_uint_eq(ledger_totals(ledger)->peak_bytes, 150);
	ck_assert_uint_eq(ledger_totals(ledger)->peak_blocks, 2);
	ck_assert_uint_eq(ledger_totals(ledger)->peak_at_ns, 2);
	ck_assert_uint_eq(a.peak_bytes, 100);
	ck_assert_uint_eq(b.peak_bytes, 50);
	ck_assert_uint_eq(b.current_bytes, 110);
	ok(ledger_check(ledger));
	ledger_destroy(ledger);
}
END_TEST

START_TEST(a_peak_that_is_reset_starts_with_what_is_in_use)
{
	struct ledger *ledger = fresh();
	create(ledger, 1, 0, 0x10, 100, 1);
	create(ledger, 1, 1, 0x20, 50, 2);
	release(ledger, 1, 0x10, 3);
	ledger_reset_peak(ledger, 4);
	ck_assert_uint_eq(ledger_totals(ledger)->peak_bytes, 50);
	ck_assert_uint_eq(ledger_totals(ledger)->peak_blocks, 1);
	ck_assert_uint_eq(ledger_totals(ledger)->peak_at_ns, 4);
	ck_assert_uint_eq(ledger_site(ledger, (site_id){0}).peak_bytes, 0);
	ck_assert_uint_eq(ledger_site(ledger, (site_id){1}).peak_bytes, 50);
	ok(ledger_check(ledger));
	release(ledger, 1, 0x20, 5);
	create(ledger, 1, 0, 0x30, 20, 6);
	ck_assert_uint_eq(ledger_totals(ledger)->peak_bytes, 50);
	ck_assert_uint_eq(ledger_site(ledger, (site_id){0}).peak_bytes, 0);
	create(ledger, 1, 0, 0x40, 31, 7);
	ck_assert_uint_eq(ledger_totals(ledger)->peak_bytes, 51);
	ck_assert_uint_eq(ledger_site(ledger, (site_id){1}).peak_bytes, 0);
	ok(ledger_check(ledger));
	ledger_destroy(ledger);
}
END_TEST

static void expect_holder(const struct ledger *ledger, uint64_t asked, uint64_t address)
{
	struct ledger_holder holder;
	bool found = ledger_holder(ledger, (space_id){0}, (target_addr){asked}, &holder);
	ck_assert(found == (address != 0));
	if (found)
		ck_assert_uint_eq(holder.address.v, address);
}

START_TEST(a_block_holds_every_address_within_it_and_none_beyond)
{
	struct ledger *ledger = fresh();
	struct ledger_holder holder;
	for (uint64_t i = 0; i < 1000; i++)
		create(ledger, 1 + i % 3, i % 7, 0x1000 + 0x100 * i, 0x40 + i % 64, 10 + i);
	create(ledger, 1, 0, 0x500000, 0, 2000);
	for (uint64_t i = 0; i < 1000; i += 37) {
		uint64_t start = 0x1000 + 0x100 * i, size = 0x40 + i % 64;
		expect_holder(ledger, start, start);
		expect_holder(ledger, start + size / 2, start);
		expect_holder(ledger, start + size - 1, start);
		expect_holder(ledger, start + size, 0);
		expect_holder(ledger, start - 1, 0);
	}
	expect_holder(ledger, 0x500000, 0x500000);
	expect_holder(ledger, 0x500001, 0);
	expect_holder(ledger, 0, 0);
	ck_assert(ledger_holder(ledger, (space_id){0}, (target_addr){0x1105}, &holder));
	ck_assert_uint_eq(holder.size_bytes, 0x41);
	ck_assert_uint_eq(holder.site.v, 1);
	ck_assert_uint_eq(holder.born_ns, 11);
	ck_assert_uint_eq(holder.thread, 2);
	ledger_thread_end(ledger, (space_id){0}, 2);
	ck_assert(ledger_holder(ledger, (space_id){0}, (target_addr){0x1105}, &holder));
	ck_assert_uint_eq(holder.thread, 0);
	ck_assert(!ledger_holder(ledger, (space_id){9}, (target_addr){0x1105}, &holder));
	ledger_destroy(ledger);
}
END_TEST

START_TEST(a_resize_makes_no_peak_of_both_its_blocks)
{
	struct ledger *ledger = fresh();
	create(ledger, 1, 0, 0x10, 100, 1);
	resize(ledger, EVENT_RESIZE_BEGIN, 1, 0x10, 0, 0);
	ck_assert_uint_eq(ledger_totals(ledger)->current_bytes, 100);
	resize(ledger, EVENT_RESIZE_END, 1, 0x10, 0x40, 120);
	ck_assert_uint_eq(ledger_totals(ledger)->peak_bytes, 120);
	ck_assert_uint_eq(ledger_totals(ledger)->total_blocks, 2);
	ck_assert_uint_eq(ledger_totals(ledger)->released_blocks, 1);
	ck_assert_uint_eq(ledger_totals(ledger)->temporary_blocks, 1);
	ck_assert_uint_eq(ledger_totals(ledger)->events, 2);
	ok(ledger_check(ledger));
	ledger_destroy(ledger);
}
END_TEST

START_TEST(another_thread_may_be_given_the_old_address_during_a_resize)
{
	struct ledger *ledger = fresh();
	create(ledger, 1, 0, 0x10, 100, 1);
	resize(ledger, EVENT_RESIZE_BEGIN, 1, 0x10, 0, 0);
	create(ledger, 2, 0, 0x10, 7, 2);
	resize(ledger, EVENT_RESIZE_END, 1, 0x10, 0x40, 120);
	ck_assert_uint_eq(ledger_totals(ledger)->current_bytes, 127);
	ck_assert_uint_eq(ledger_totals(ledger)->implied_releases, 0);
	uint64_t size;
	site_id site;
	ck_assert(ledger_block(ledger, (space_id){0}, (target_addr){0x10}, &size, &site));
	ck_assert_uint_eq(size, 7);
	ok(ledger_check(ledger));
	ledger_destroy(ledger);
}
END_TEST

START_TEST(a_failed_resize_leaves_the_old_block_alive)
{
	struct ledger *ledger = fresh();
	create(ledger, 1, 0, 0x10, 100, 1);
	resize(ledger, EVENT_RESIZE_BEGIN, 1, 0x10, 0, 0);
	resize(ledger, EVENT_RESIZE_END, 1, 0x10, 0, 1000);
	uint64_t size;
	site_id site;
	ck_assert(ledger_block(ledger, (space_id){0}, (target_addr){0x10}, &size, &site));
	ck_assert_uint_eq(size, 100);
	ck_assert_uint_eq(ledger_totals(ledger)->released_blocks, 0);
	ck_assert_uint_eq(ledger_totals(ledger)->failed_calls, 1);
	release(ledger, 1, 0x10, 60);
	ck_assert_uint_eq(ledger_totals(ledger)->temporary_blocks, 1);
	ok(ledger_check(ledger));
	ledger_destroy(ledger);
}
END_TEST

START_TEST(a_failed_resize_whose_address_was_given_out_counts_an_implied_release)
{
	struct ledger *ledger = fresh();
	create(ledger, 1, 0, 0x10, 100, 1);
	resize(ledger, EVENT_RESIZE_BEGIN, 1, 0x10, 0, 0);
	create(ledger, 2, 0, 0x10, 7, 2);
	resize(ledger, EVENT_RESIZE_END, 1, 0x10, 0, 1000);
	ck_assert_uint_eq(ledger_totals(ledger)->implied_releases, 1);
	ck_assert_uint_eq(ledger_totals(ledger)->current_bytes, 7);
	ok(ledger_check(ledger));
	ledger_destroy(ledger);
}
END_TEST

START_TEST(a_resize_of_a_block_from_before_is_an_unknown_release_and_a_creation)
{
	struct ledger *ledger = fresh();
	resize(ledger, EVENT_RESIZE_BEGIN, 1, 0x10, 0, 0);
	create(ledger, 2, 0, 0x10, 7, 2);
	resize(ledger, EVENT_RESIZE_END, 1, 0x10, 0x40, 120);
	ck_assert_uint_eq(ledger_totals(ledger)->unknown_releases, 1);
	ck_assert_uint_eq(ledger_totals(ledger)->current_bytes, 127);
	ok(ledger_space_inherits(ledger, (space_id){0}));
	resize(ledger, EVENT_RESIZE_BEGIN, 1, 0x90, 0, 0);
	resize(ledger, EVENT_RESIZE_RELEASED, 1, 0x90, 0, 0);
	ck_assert_uint_eq(ledger_totals(ledger)->inherited_releases, 1);
	ck_assert_uint_eq(ledger_totals(ledger)->unknown_releases, 1);
	ok(ledger_check(ledger));
	ledger_destroy(ledger);
}
END_TEST

START_TEST(several_resizes_of_a_thread_may_be_open_and_a_flood_of_them_is_bounded)
{
	struct ledger *ledger = fresh();
	for (uint64_t i = 1; i <= 1000; i++)
		create(ledger, 1, 0, i * 16, 10, i);
	for (uint64_t i = 1; i <= 1000; i++)
		resize(ledger, EVENT_RESIZE_BEGIN, 1, i * 16, 0, 0);
	ok(ledger_check(ledger));
	ck_assert_uint_eq(ledger_totals(ledger)->current_blocks, 1000);
	/* The last ones are still open and end in any order. */
	resize(ledger, EVENT_RESIZE_RELEASED, 1, 999 * 16, 0, 0);
	resize(ledger, EVENT_RESIZE_RELEASED, 1, 1000 * 16, 0, 0);
	ledger_thread_end(ledger, (space_id){0}, 1);
	ck_assert_uint_eq(ledger_totals(ledger)->current_blocks, 998);
	for (uint64_t i = 1; i <= 998; i++)
		release(ledger, 2, i * 16, 2000);
	ck_assert_uint_eq(ledger_totals(ledger)->unknown_releases, 0);
	ck_assert_uint_eq(ledger_totals(ledger)->current_blocks, 0);
	ok(ledger_check(ledger));
	ledger_destroy(ledger);
}
END_TEST

START_TEST(temporary_means_released_before_the_creating_threads_next_creation)
{
	struct ledger *ledger = fresh();
	create(ledger, 1, 0, 0x10, 1, 1);
	create(ledger, 2, 0, 0x20, 1, 2);
	release(ledger, 2, 0x10, 3); /* by another thread: thread 1 has created nothing since */
	ck_assert_uint_eq(ledger_totals(ledger)->temporary_blocks, 1);
	create(ledger, 2, 0, 0x30, 1, 4);
	release(ledger, 2, 0x20, 5);
	ck_assert_uint_eq(ledger_totals(ledger)->temporary_blocks, 1);
	ledger_thread_end(ledger, (space_id){0}, 2);
	release(ledger, 1, 0x30, 6);
	ck_assert_uint_eq(ledger_totals(ledger)->temporary_blocks, 1);
	ck_assert_uint_eq(ledger_site(ledger, (site_id){0}).lifetime_ns, 2 + 3 + 2);
	ledger_destroy(ledger);
}
END_TEST

START_TEST(blocks_of_size_zero_count_as_blocks)
{
	struct ledger *ledger = fresh();
	create(ledger, 1, 0, 0x10, 0, 1);
	ck_assert_uint_eq(ledger_totals(ledger)->current_blocks, 1);
	ck_assert_uint_eq(ledger_totals(ledger)->peak_blocks, 0);
	release(ledger, 1, 0, 2);
	ck_assert_uint_eq(ledger_totals(ledger)->null_releases, 1);
	ok(ledger_check(ledger));
	ledger_destroy(ledger);
}
END_TEST

START_TEST(the_timeline_holds_bytes_and_blocks_of_the_highest_moment_of_each_point)
{
	struct ledger *ledger = fresh();
	create(ledger, 1, 0, 0x10, 10, 1);
	create(ledger, 1, 0, 0x20, 30, 2);
	release(ledger, 1, 0x10, 3);
	create(ledger, 1, 0, 0x30, 5, 4);
	create(ledger, 1, 0, 0x40, 1, 5000);
	release(ledger, 1, 0x20, 5001);
	create(ledger, 1, 0, 0x50, 100, 5002);
	size_t count;
	const struct ledger_point *points = ledger_timeline(ledger, &count);
	ck_assert_uint_eq(count, 5);
	ck_assert_uint_eq(points[0].current_bytes, 40);
	ck_assert_uint_eq(points[0].current_blocks, 2);
	ck_assert_uint_eq(points[3].current_bytes, 35);
	ck_assert_uint_eq(points[3].current_blocks, 2);
	ck_assert_uint_eq(points[4].current_bytes, 106);
	ck_assert_uint_eq(points[4].current_blocks, 3);
	ok(ledger_check(ledger));
	ledger_destroy(ledger);
}
END_TEST

START_TEST(the_end_of_a_space_moves_its_blocks_to_ended_and_leaves_the_others)
{
	struct ledger *ledger = fresh();
	create(ledger, 1, 0, 0x10, 5, 1);
	create(ledger, 1, 0, 0x20, 6, 1);
	resize(ledger, EVENT_RESIZE_BEGIN, 1, 0x20, 0, 0);
	record(ledger, (struct event){.kind = EVENT_CREATE,
				      .space = {7},
				      .thread = 9,
				      .address = {0x10},
				      .size_bytes = 100});
	ok(ledger_space_end(ledger, (space_id){0}));
	ok(ledger_space_end(ledger, (space_id){0}));
	ck_assert_uint_eq(ledger_totals(ledger)->ended_bytes, 11);
	ck_assert_uint_eq(ledger_totals(ledger)->ended_blocks, 2);
	ck_assert_uint_eq(ledger_totals(ledger)->current_bytes, 100);
	release(ledger, 1, 0x10, 9);
	ck_assert_uint_eq(ledger_totals(ledger)->unknown_releases, 1);
	ok(ledger_check(ledger));
	ledger_destroy(ledger);
}
END_TEST

/* Those of usual blocks, of one beyond all addresses, and of one in the middle of a resize. */
START_TEST(the_ages_of_all_live_blocks_are_copied)
{
	enum { BLOCKS = 1000 };
	static struct ledger_aged ages[BLOCKS];
	struct ledger *ledger = fresh();
	uint64_t bytes = 0, born_ns = 0;
	size_t count = 0;
	for (uint64_t i = 1; i <= BLOCKS; i++)
		create(ledger, 1, (uint32_t)i % 3, i * 64, i, i);
	release(ledger, 1, 64, 2000);
	release(ledger, 1, (uint64_t)BLOCKS * 64, 2000);
	create(ledger, 1, 2, (UINT64_C(1) << 50) + 16, 7, 3000);
	resize(ledger, EVENT_RESIZE_BEGIN, 1, 500 * 64, 0, 77);
	const struct total_counters *totals = ledger_totals(ledger);
	ck_assert_uint_eq(totals->current_blocks, BLOCKS - 1);
	ck_assert(!ledger_copy_ages(ledger, ages, BLOCKS - 2, &count));
	ck_assert(ledger_copy_ages(ledger, ages, BLOCKS - 1, &count));
	ck_assert_uint_eq(count, BLOCKS - 1);
	for (size_t i = 0; i < count; i++) {
		bytes += ages[i].size_bytes;
		born_ns += ages[i].born_ns;
		ck_assert_uint_eq(ages[i].site.v,
				  ages[i].born_ns == 3000 ? 2 : ages[i].born_ns % 3);
	}
	ck_assert_uint_eq(bytes, totals->current_bytes);
	ck_assert_uint_eq(born_ns, BLOCKS * (BLOCKS + 1) / 2 - 1 - BLOCKS + 3000);
	ledger_destroy(ledger);
}
END_TEST

START_TEST(sums_stop_at_their_end_instead_of_wrapping)
{
	struct ledger *ledger = fresh();
	for (uint64_t i = 1; i <= 70000; i++)
		create(ledger, 1, 0, i, UINT64_MAX, i);
	ck_assert_uint_eq(ledger_totals(ledger)->total_bytes, UINT64_MAX);
	ck_assert_uint_eq(ledger_totals(ledger)->current_bytes, UINT64_MAX);
	for (uint64_t i = 1; i <= 70000; i++)
		release(ledger, 1, i, i);
	ck_assert_uint_eq(ledger_totals(ledger)->current_bytes, 0);
	ck_assert_uint_eq(ledger_totals(ledger)->total_blocks, 70000);
	ok(ledger_check(ledger));
	ledger_destroy(ledger);
}
END_TEST

START_TEST(an_impossible_event_is_refused_and_not_counted)
{
	struct ledger *ledger = fresh();
	struct event event = {.kind = (enum event_kind)77, .address = {16}};
	struct error *err = ledger_record(ledger, &event);
	ck_assert_ptr_nonnull(err);
	ck_assert_int_eq(error_kind_of(err), ERROR_BAD_INPUT);
	error_free(err);
	event = (struct event){.kind = EVENT_CREATE, .address = {16}, .site = {UINT32_MAX}};
	err = ledger_record(ledger, &event);
	ck_assert_ptr_nonnull(err);
	error_free(err);
	ck_assert_uint_eq(ledger_totals(ledger)->events, 0);
	ck_assert_uint_eq(ledger_totals(ledger)->current_blocks, 0);
	ok(ledger_check(ledger));
	ledger_destroy(ledger);
}
END_TEST

/* A small generator of our own (xorshift), so that a seed means the same run everywhere. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 11;
}

static struct event random_event(uint64_t *state, uint64_t time, uint64_t greed)
{
	static const enum event_kind kinds[] = {
		EVENT_CREATE,	  EVENT_CREATE,	      EVENT_CREATE,	  EVENT_RELEASE,
		EVENT_RELEASE,	  EVENT_RELEASE,      EVENT_RELEASE,	  EVENT_RESIZE_BEGIN,
		EVENT_RESIZE_END, EVENT_RESIZE_BEGIN, EVENT_RESIZE_END,	  EVENT_RESIZE_END,
		EVENT_FAILED,	  EVENT_CREATE,	      EVENT_RESIZE_BEGIN, EVENT_RESIZE_RELEASED,
	};
	uint64_t r = next_random(state);
	struct event event = {
		.kind = r % 100 < greed ? EVENT_CREATE : kinds[r / 128 % 16],
		.space = {next_random(state) % MODEL_SPACES},
		.thread = (uint32_t)(next_random(state) % MODEL_THREADS),
		.site = {next_random(state) % MODEL_SITES},
		.address = {next_random(state) % MODEL_ADDRESSES * 16},
		.old_address = {(1 + next_random(state) % (MODEL_ADDRESSES - 1)) * 16},
		.size_bytes = next_random(state) % 8 ? next_random(state) % 5000 : 0,
		/* Events of several threads are only roughly in order. */
		.time_ns = time - next_random(state) % 60,
	};
	if (event.kind == EVENT_CREATE && event.address.v == 0)
		event.address.v = 16;
	return event;
}

static void compare(const struct ledger *ledger, const struct model_run *run, uint64_t step)
{
	struct total_counters want = model_totals(run);
	if (memcmp(&want, ledger_totals(ledger), sizeof want))
		ck_abort_msg("totals differ at step %lu", (unsigned long)step);
	for (uint32_t s = 0; s < MODEL_SITES; s++) {
		struct site_counters got = ledger_site(ledger, (site_id){s});
		if (memcmp(&run->m.sites[s], &got, sizeof got))
			ck_abort_msg("site %u differs at step %lu", s, (unsigned long)step);
	}
}

/*
 * The ledger looks up spaces and threads by the low bits of their ids first. With a spread their
 * ids agree in these, so that they drive each other out.
 */
static struct event spread_event(struct event event, uint32_t spread)
{
	event.space.v *= spread;
	event.thread *= spread;
	return event;
}

static void disturb(struct ledger *ledger, struct model_run *run, uint64_t *state, uint32_t spread)
{
	uint32_t space = (uint32_t)(next_random(state) % MODEL_SPACES);
	uint32_t thread = (uint32_t)(next_random(state) % MODEL_THREADS);
	space_id id = {space * spread};
	switch (next_random(state) % 9) {
	case 8:
		ledger_reset_peak(ledger, *state % 1000000);
		model_reset_peak(run, *state % 1000000);
		break;
	case 0:
		ok(ledger_space_end(ledger, id));
		model_space_end(run, space);
		break;
	case 1:
		ok(ledger_space_inherits(ledger, id));
		run->m.inherits[space] = true;
		break;
	case 2:
	case 3:
		ledger_thread_end(ledger, id, thread * spread);
		model_thread_end(run, space, thread);
		break;
	default:;
		struct event event = {.space = {space},
				      .thread = thread,
				      .old_address = {next_random(state) % MODEL_ADDRESSES * 16}};
		ledger_resize_cancel(ledger, id, thread * spread, event.old_address);
		int open = model_find_open(&run->m, &event);
		if (open >= 0)
			model_cancel(run, open);
		model_recompute(run, 0);
	}
}

/* One run: a stream with ups and downs, so that peaks are set, left and beaten again. */
static void run_property(uint64_t seed, uint64_t steps, uint32_t spread)
{
	struct ledger *ledger = fresh();
	_cleanup_free_ struct model_run *run = calloc(1, sizeof *run);
	uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
	for (uint64_t step = 0; step < steps; step++) {
		struct event event = random_event(&state, 100 + step * 3, step / 500 % 40);
		struct event spread_out = spread_event(event, spread);
		if (step % 3)
			ledger_prefetch(ledger, spread_out.space, &spread_out.address.v, 1);
		ok(ledger_record(ledger, &spread_out));
		model_record(run, &event);
		if (next_random(&state) % 400 == 0)
			disturb(ledger, run, &state, spread);
		if (step % 61 == 0)
			compare(ledger, run, step);
		if (step % 4999 == 0)
			ok(ledger_check(ledger));
	}
	compare(ledger, run, steps);
	ok(ledger_check(ledger));
	ledger_destroy(ledger);
}

START_TEST(random_streams_agree_with_the_naive_model_in_every_counter)
{
	run_property((uint64_t)_i + 1, 250000, _i % 2 ? 1 << 20 : 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ledger");
	TCase *cases = tcase_create("ledger");
	tcase_set_timeout(cases, 240);
	tcase_add_test(cases, the_breakdown_at_the_peak_is_that_of_the_highest_moment);
	tcase_add_test(cases, a_peak_that_is_reset_starts_with_what_is_in_use);
	tcase_add_test(cases, a_block_holds_every_address_within_it_and_none_beyond);
	tcase_add_test(cases, a_resize_makes_no_peak_of_both_its_blocks);
	tcase_add_test(cases, another_thread_may_be_given_the_old_address_during_a_resize);
	tcase_add_test(cases, a_failed_resize_leaves_the_old_block_alive);
	tcase_add_test(cases,
		       a_failed_resize_whose_address_was_given_out_counts_an_implied_release);
	tcase_add_test(cases, a_resize_of_a_block_from_before_is_an_unknown_release_and_a_creation);
	tcase_add_test(cases,
		       several_resizes_of_a_thread_may_be_open_and_a_flood_of_them_is_bounded);
	tcase_add_test(cases, temporary_means_released_before_the_creating_threads_next_creation);
	tcase_add_test(cases, blocks_of_size_zero_count_as_blocks);
	tcase_add_test(cases,
		       the_timeline_holds_bytes_and_blocks_of_the_highest_moment_of_each_point);
	tcase_add_test(cases, the_end_of_a_space_moves_its_blocks_to_ended_and_leaves_the_others);
	tcase_add_test(cases, the_ages_of_all_live_blocks_are_copied);
	tcase_add_test(cases, sums_stop_at_their_end_instead_of_wrapping);
	tcase_add_test(cases, an_impossible_event_is_refused_and_not_counted);
	tcase_add_loop_test(cases, random_streams_agree_with_the_naive_model_in_every_counter, 0,
			    8);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
