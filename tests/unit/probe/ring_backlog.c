/* SPDX-License-Identifier: MIT */
/* Words that leave their ring before they are decoded: by themselves, and in the course of takes.
 */
#include "probe/ring_backlog.h"

#include <stdio.h>
#include <sys/mman.h>

#include "unit/probe/rings_fixture.h"

enum { SPACE = 3, TID = 40, PAGE_BYTES = 4096 };

static void fill(uint64_t *words, uint64_t capacity, uint64_t from, uint64_t to)
{
	for (uint64_t at = from; at < to; at++)
		words[at % capacity] = at;
}

static void check_piece(const struct ring_piece *piece, uint64_t from, uint64_t to)
{
	ck_assert_ptr_nonnull(piece);
	ck_assert_uint_eq(piece->first, from);
	ck_assert_uint_eq(piece->end, to);
	for (uint64_t at = from; at < to; at++)
		ck_assert_uint_eq(piece->words[at - from], at);
}

START_TEST(words_come_out_as_they_stood_in_the_ring)
{
	enum { CAPACITY = 16 };
	uint64_t words[CAPACITY];
	struct ring_pool pool;
	ring_pool_init(&pool);
	struct ring_backlog backlog = {.pool = &pool};
	/* The first lot goes around the end of the ring. */
	fill(words, CAPACITY, 100, 112);
	ck_assert(ring_backlog_add(&backlog, words, CAPACITY, 100, 112));
	fill(words, CAPACITY, 112, 120);
	ck_assert(ring_backlog_add(&backlog, words, CAPACITY, 112, 120));
	check_piece(backlog.oldest, 100, 120);
	ring_backlog_drop(&backlog, 119);
	check_piece(backlog.oldest, 100, 120);
	ring_backlog_drop(&backlog, 120);
	ck_assert_ptr_null(backlog.oldest);
	fill(words, CAPACITY, 130, 132);
	ck_assert(ring_backlog_add(&backlog, words, CAPACITY, 130, 132));
	check_piece(backlog.oldest, 130, 132);
	ring_backlog_clear(&backlog);
	ck_assert_ptr_null(backlog.oldest);
	ring_pool_deinit(&pool);
}
END_TEST

START_TEST(what_does_not_fit_stands_in_the_next_piece)
{
	enum { CAPACITY = RING_PIECE_WORDS, MOST = CAPACITY - 10 };
	uint64_t *words = calloc(CAPACITY, sizeof *words);
	struct ring_pool pool;
	ring_pool_init(&pool);
	struct ring_backlog backlog = {.pool = &pool}, other = {.pool = &pool};
	ck_assert_ptr_nonnull(words);
	fill(words, CAPACITY, 7, 7 + MOST);
	ck_assert(ring_backlog_add(&backlog, words, CAPACITY, 7, 7 + MOST));
	fill(words, CAPACITY, 7 + MOST, 7 + MOST + 11);
	ck_assert(ring_backlog_add(&backlog, words, CAPACITY, 7 + MOST, 7 + MOST + 11));
	ck_assert(ring_backlog_add(&other, words, CAPACITY, 7 + MOST, 7 + MOST + 5));
	check_piece(backlog.oldest, 7, 7 + MOST);
	check_piece(backlog.oldest->next, 7 + MOST, 7 + MOST + 11);
	check_piece(other.oldest, 7 + MOST, 7 + MOST + 5);
	ring_pool_deinit(&pool);
	free(words);
}
END_TEST

START_TEST(what_finds_no_room_is_refused_whole)
{
	enum { CAPACITY = RING_PIECE_WORDS };
	uint64_t *words = calloc(CAPACITY, sizeof *words), at = 0;
	struct ring_pool pool;
	ring_pool_init(&pool);
	struct ring_backlog backlog = {.pool = &pool};
	ck_assert_ptr_nonnull(words);
	for (; at < RING_BACKLOG_WORDS; at += CAPACITY)
		ck_assert(ring_backlog_add(&backlog, words, CAPACITY, at, at + CAPACITY));
	ck_assert(!ring_backlog_add(&backlog, words, CAPACITY, at, at + 1));
	ck_assert_uint_eq(backlog.end, at);
	/* What was read makes room, and is the memory that is written next. */
	const uint64_t *read = backlog.oldest->words;
	ring_backlog_drop(&backlog, CAPACITY);
	ck_assert(ring_backlog_add(&backlog, words, CAPACITY, at, at + CAPACITY));
	ck_assert_ptr_eq(backlog.youngest->words, read);
	ring_pool_deinit(&pool);
	free(words);
}
END_TEST

/* Pages of the pool that have memory. */
static size_t resident_pages(const struct ring_pool *pool)
{
	enum { PAGES = RING_BACKLOG_WORDS / (PAGE_BYTES / 8) };
	static unsigned char pages[PAGES];
	size_t count = 0;
	ck_assert_int_eq(mincore(pool->words, (size_t)PAGES * PAGE_BYTES, pages), 0);
	for (size_t i = 0; i < PAGES; i++)
		count += pages[i] & 1;
	return count;
}

START_TEST(memory_is_kept_for_a_while_and_then_given_back)
{
	enum { CAPACITY = RING_PIECE_WORDS, PIECE_PAGES = CAPACITY / (PAGE_BYTES / 8) };
	uint64_t *words = calloc(CAPACITY, sizeof *words);
	struct ring_pool pool;
	ring_pool_init(&pool);
	struct ring_backlog backlog = {.pool = &pool};
	ck_assert_ptr_nonnull(words);
	ring_pool_trim(&pool); /* of nothing */
	for (uint64_t at = 0; at < 4 * CAPACITY; at += CAPACITY)
		ck_assert(ring_backlog_add(&backlog, words, CAPACITY, at, at + CAPACITY));
	ring_backlog_drop(&backlog, 3 * CAPACITY);
	ck_assert_uint_eq(resident_pages(&pool), 4 * PIECE_PAGES);
	ring_pool_trim(&pool);
	ck_assert_uint_eq(resident_pages(&pool), 2 * PIECE_PAGES);
	fill(words, CAPACITY, 4 * CAPACITY, 5 * CAPACITY);
	ck_assert(ring_backlog_add(&backlog, words, CAPACITY, 4 * CAPACITY, 5 * CAPACITY));
	check_piece(backlog.youngest, 4 * CAPACITY, 5 * CAPACITY);
	ring_pool_deinit(&pool);
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

/* The next program of that world: the thread of another area. */
static void begin_in(struct world *world, uint32_t area, struct burst *burst, uint64_t total)
{
	claim(world->shared, area, TID + area, SPACE);
	*burst = (struct burst){.writer = writer_at(world->shared, area, 0), .total = total};
	world->count = 0;
	world->after_event = go_on;
	world->context = burst;
	write_on(burst);
}

static struct world *begin(struct burst *burst, uint64_t total)
{
	struct world *world = world_new();
	begin_in(world, 5, burst, total);
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

static size_t resident_bytes(void)
{
	size_t pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%*u %zu", &pages), 1);
	fclose(file);
	return pages * PAGE_BYTES;
}

START_TEST(a_burst_that_is_long_over_needs_no_memory)
{
	enum { TOTAL = RING_BACKLOG_WORDS / 2, LONG = 200, MUCH = 32 << 20 };
	struct burst burst;
	struct world *world = begin(&burst, TOTAL);
	take_all(world, TOTAL);
	size_t after = resident_bytes();
	for (int i = 0; i < LONG; i++)
		ck_assert_uint_eq(world_take(world), 0);
	ck_assert_uint_lt(resident_bytes() + MUCH, after);
	world_free(world);
}
END_TEST

START_TEST(a_thread_that_rests_after_its_burst_keeps_no_room_from_others)
{
	enum { TOTAL = 4 * AGENT_RING_WORDS, THREADS = RING_PIECES + 2 };
	struct world *world = world_new();
	for (uint32_t area = 0; area < THREADS; area++) {
		struct burst burst;
		begin_in(world, area, &burst, TOTAL);
		take_all(world, TOTAL);
		if (burst.furthest <= 2 * AGENT_RING_WORDS)
			ck_abort_msg("thread %u waited", area);
	}
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
	tcase_add_test(words, what_does_not_fit_stands_in_the_next_piece);
	tcase_add_test(words, what_finds_no_room_is_refused_whole);
	tcase_add_test(words, memory_is_kept_for_a_while_and_then_given_back);
	suite_add_tcase(suite, words);
	tcase_set_timeout(takes, 120);
	tcase_add_test(takes, a_burst_need_not_wait_for_its_events_to_be_worked_off);
	tcase_add_test(takes, who_is_faster_all_the_time_waits_in_the_end);
	tcase_add_test(takes, a_burst_that_is_long_over_needs_no_memory);
	tcase_add_test(takes, a_thread_that_rests_after_its_burst_keeps_no_room_from_others);
	tcase_add_test(takes, a_head_that_cannot_be_costs_what_comes_after_it);
	tcase_add_test(takes, what_is_sealed_is_taken_out_of_the_backlog_too);
	suite_add_tcase(suite, takes);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
