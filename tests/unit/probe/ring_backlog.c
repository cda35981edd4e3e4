/* SPDX-License-Identifier: MIT */
/* Words that leave their ring before they are decoded: by themselves, and in the course of takes.
 */
#include "probe/ring_backlog.h"

#include "unit/probe/rings_fixture.h"

enum { SPACE = 3, TID = 40 };

START_TEST(words_come_out_as_they_stood_in_the_ring)
{
	enum { CAPACITY = 16 };
	uint64_t words[CAPACITY];
	struct ring_backlog backlog = {0};
	/* The first lot goes around the end of the ring. */
	for (uint64_t at = 100; at < 112; at++)
		words[at % CAPACITY] = at;
	ck_assert(ring_backlog_add(&backlog, words, CAPACITY, 100, 112));
	for (uint64_t at = 112; at < 120; at++)
		words[at % CAPACITY] = at;
	ck_assert(ring_backlog_add(&backlog, words, CAPACITY, 112, 120));
	ck_assert_uint_eq(ring_backlog_count(&backlog), 20);
	for (uint64_t at = 100; at < 120; at++)
		ck_assert_uint_eq(backlog.items[at - backlog.first], at);
	ring_backlog_clear(&backlog);
	ck_assert_uint_eq(ring_backlog_count(&backlog), 0);
	ck_assert(ring_backlog_add(&backlog, words, CAPACITY, 130, 132));
	ck_assert_uint_eq(backlog.first, 130);
	ring_backlog_deinit(&backlog);
}
END_TEST

START_TEST(what_does_not_fit_is_refused_whole)
{
	enum { CAPACITY = RING_BACKLOG_WORDS / 2 };
	uint64_t *words = calloc(CAPACITY, sizeof *words);
	struct ring_backlog backlog = {0};
	ck_assert_ptr_nonnull(words);
	ck_assert(ring_backlog_add(&backlog, words, CAPACITY, 7, 7 + CAPACITY));
	ck_assert(!ring_backlog_add(&backlog, words, CAPACITY, 7 + CAPACITY, 8 + 2 * CAPACITY));
	ck_assert_uint_eq(ring_backlog_count(&backlog), CAPACITY);
	ck_assert(ring_backlog_add(&backlog, words, CAPACITY, 7 + CAPACITY, 7 + 2 * CAPACITY));
	ring_backlog_deinit(&backlog);
	free(words);
}
END_TEST

/* ---- takes */

/* A program that is faster than its reader: it fills its ring after every few events. */
struct burst {
	struct writer writer;
	uint64_t written; /* records, each of one word: releases of 1, 2, 3 ... */
	uint64_t total;
	uint64_t furthest; /* that were written and not given out */
	bool wild;	   /* its last head is one that cannot be */
};

static void write_on(struct burst *burst)
{
	struct writer *writer = &burst->writer;
	while (burst->written < burst->total &&
	       writer->next - writer->ring->tail < writer->capacity)
		put_plain(writer, RING_RELEASE, ++burst->written);
	commit(writer);
	if (burst->wild && burst->written == burst->total)
		writer->ring->head += 10 * writer->capacity;
}

static void go_on(struct world *world)
{
	enum { EVERY = 1024 };
	struct burst *burst = world->context;
	const struct event *event = &world->log[(world->count - 1) % LOG_MAX].event;
	if (event->address.v != world->count)
		ck_abort_msg("event %zu is of %lu", world->count, event->address.v);
	uint64_t behind = burst->written - world->count;
	burst->furthest = behind > burst->furthest ? behind : burst->furthest;
	if (world->count % EVERY == 0)
		write_on(burst);
}

static struct world *begin(struct burst *burst, uint64_t total)
{
	struct world *world = world_new();
	claim(world->shared, 5, TID, SPACE);
	*burst = (struct burst){.writer = writer_at(world->shared, 5, 0), .total = total};
	world->after_event = go_on;
	world->context = burst;
	write_on(burst);
	return world;
}

static void take_all(struct world *world, uint64_t total)
{
	while (world->count < total)
		ck_assert_uint_gt(world_take(world), 0);
}

START_TEST(a_burst_need_not_wait_for_its_events_to_be_worked_off)
{
	enum { TOTAL = 8 * AGENT_RING_WORDS };
	struct burst burst;
	struct world *world = begin(&burst, TOTAL);
	take_all(world, TOTAL);
	ck_assert_uint_gt(burst.furthest, 2 * AGENT_RING_WORDS);
	ck_assert_uint_eq(burst.writer.ring->tail, burst.writer.ring->head);
	world_free(world);
}
END_TEST

START_TEST(who_is_faster_all_the_time_waits_in_the_end)
{
	enum { TOTAL = 3 * RING_BACKLOG_WORDS };
	struct burst burst;
	struct world *world = begin(&burst, TOTAL);
	take_all(world, TOTAL);
	ck_assert_uint_gt(burst.furthest, RING_BACKLOG_WORDS / 2);
	ck_assert_uint_le(burst.furthest, RING_BACKLOG_WORDS + 2 * AGENT_RING_WORDS);
	/* Who has caught up has room again for what comes later. */
	ck_assert_uint_eq(world_take(world), 0);
	burst.furthest = 0;
	burst.total += 8 * AGENT_RING_WORDS;
	write_on(&burst);
	take_all(world, burst.total);
	ck_assert_uint_gt(burst.furthest, 2 * AGENT_RING_WORDS);
	world_free(world);
}
END_TEST

START_TEST(a_head_that_cannot_be_costs_what_comes_after_it)
{
	enum { TOTAL = 3 * AGENT_RING_WORDS };
	struct burst burst;
	struct world *world = begin(&burst, TOTAL);
	burst.wild = true;
	while (!rings_statistics(world->rings).closed_rings)
		world_take(world);
	ck_assert_uint_gt(world->count, AGENT_RING_WORDS / 2);
	ck_assert_uint_le(world->count, TOTAL);
	world_take(world);
	world_free(world);
}
END_TEST

START_TEST(what_is_sealed_is_taken_out_of_the_backlog_too)
{
	enum { TOTAL = 4 * AGENT_RING_WORDS };
	struct burst burst;
	struct world *world = begin(&burst, TOTAL);
	world->refuse_at = AGENT_RING_WORDS - 100; /* an error ends the take in the middle */
	uint64_t taken;
	struct error *err = rings_take(world->rings, true, &taken);
	ck_assert_ptr_nonnull(err);
	error_free(err);
	uint64_t sealed = burst.written;
	ck_assert_ptr_null(rings_seal(world->rings));
	world->after_event = NULL;
	burst.total = burst.written;
	world_take(world);
	world_take(world);
	ck_assert_uint_eq(world->count, sealed - 1);
	world_free(world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backlog of rings");
	TCase *words = tcase_create("words"), *takes = tcase_create("takes");
	tcase_add_test(words, words_come_out_as_they_stood_in_the_ring);
	tcase_add_test(words, what_does_not_fit_is_refused_whole);
	suite_add_tcase(suite, words);
	tcase_set_timeout(takes, 120);
	tcase_add_test(takes, a_burst_need_not_wait_for_its_events_to_be_worked_off);
	tcase_add_test(takes, who_is_faster_all_the_time_waits_in_the_end);
	tcase_add_test(takes, a_head_that_cannot_be_costs_what_comes_after_it);
	tcase_add_test(takes, what_is_sealed_is_taken_out_of_the_backlog_too);
	suite_add_tcase(suite, takes);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
