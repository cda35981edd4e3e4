/* SPDX-License-Identifier: MIT */
/*
 * What an event costs the ledger, over traces whose addresses come from the C library's own malloc:
 *
 *     storm    pairs of release and creation over 4096 slots
 *     grow     blocks of a document's tree in the order they are made, a tenth of them short-lived
 *     shrink   the same tree freed in that order
 *     random   releases of blocks chosen at random, each followed by a creation, at full size
 *     spaces   100 small address spaces taking turns
 *
 * Every trace is run without and with ledger_prefetch a few events ahead; the figures are the
 * lowest of the rounds. Prints figures only and decides nothing.
 *
 * usage: ledger [LIVE-BLOCKS [ROUNDS [TRACE]]]
 */
#include "ledger/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	AHEAD = LEDGER_AHEAD,
	STORM_SLOTS = 4096,
	STORM_PAIRS = 2000000,
	RANDOM_PAIRS = 2000000,
	SPACES = 100,
	SPACE_SLOTS = 300,
	SPACE_TURN = 4,
	EVENT_STEP_NS = 40,
};

/* One event, as small as a record in a ring, so that reading the trace costs little. */
struct step {
	uint64_t address : 48;
	uint64_t space : 15;
	uint64_t release : 1;
	uint32_t size_bytes;
	uint32_t site;
};

struct trace {
	const char *name;
	struct step *steps;
	size_t count;
	size_t capacity;
	size_t measured_from; /* steps before only prepare the ground */
};

struct slots {
	void **blocks;
	size_t count;
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 11;
}

static void *must(void *memory)
{
	if (!memory) {
		fputs("ledger: no memory\n", stderr);
		exit(1);
	}
	return memory;
}

static void trace_add(struct trace *trace, struct step step)
{
	if (trace->count == trace->capacity) {
		trace->capacity = trace->capacity ? trace->capacity * 2 : 1 << 16;
		trace->steps = must(realloc(trace->steps, trace->capacity * sizeof *trace->steps));
	}
	trace->steps[trace->count++] = step;
}

static void *trace_create(struct trace *trace, uint64_t space, uint32_t site, uint32_t size_bytes)
{
	void *block = must(malloc(size_bytes));
	trace_add(trace, (struct step){.address = (uintptr_t)block,
				       .space = space & 0x7fff,
				       .size_bytes = size_bytes,
				       .site = site});
	return block;
}

static void trace_release(struct trace *trace, uint64_t space, void *block)
{
	trace_add(
		trace,
		(struct step){.address = (uintptr_t)block, .space = space & 0x7fff, .release = 1});
	free(block);
}

/* Few sites make most of the blocks. */
static uint32_t some_site(uint64_t *state, uint32_t count)
{
	uint64_t r = next_random(state);
	return (uint32_t)((r & 0xffff) * (r >> 16 & 0xffff) * count >> 32);
}

static void trace_replace(struct trace *trace, struct slots *slots, uint64_t space, uint64_t *state,
			  uint32_t sites, uint32_t sizes)
{
	uint64_t r = next_random(state);
	void **slot = &slots->blocks[r % slots->count];
	if (*slot)
		trace_release(trace, space, *slot);
	*slot = trace_create(trace, space, some_site(state, sites),
			     16 + (uint32_t)(r >> 32 & 0xffff) % sizes);
}

static void slots_free(struct slots *slots)
{
	for (size_t i = 0; i < slots->count; i++)
		free(slots->blocks[i]);
	free(slots->blocks);
}

static struct slots slots_new(size_t count)
{
	return (struct slots){.blocks = must(calloc(count, sizeof(void *))), .count = count};
}

static struct trace make_storm(void)
{
	struct trace trace = {.name = "storm"};
	struct slots slots = slots_new(STORM_SLOTS);
	uint64_t state = 1;
	for (int i = 0; i < STORM_PAIRS; i++)
		trace_replace(&trace, &slots, 0, &state, 64, 1024);
	slots_free(&slots);
	return trace;
}

/* A node, its name, now and then attributes and text, as a parser asks for them. */
static void grow_tree(struct trace *trace, struct slots *slots)
{
	static const uint32_t sizes[] = {120, 12, 96, 7, 120, 33, 24, 48};
	uint64_t state = 2;
	for (size_t i = 0; i < slots->count; i++) {
		uint64_t r = next_random(&state);
		if (r % 10 == 0)
			trace_release(trace, 0, trace_create(trace, 0, r % 7, 200 + r % 900));
		uint32_t kind = r >> 8 & 7;
		slots->blocks[i] = trace_create(trace, 0, 8 + kind * 20 + (r >> 16) % 20,
						sizes[kind] + (uint32_t)(r >> 24 & 15));
	}
}

static struct trace make_grow(size_t live)
{
	struct trace trace = {.name = "grow"};
	struct slots slots = slots_new(live);
	grow_tree(&trace, &slots);
	slots_free(&slots);
	return trace;
}

static struct trace make_shrink(size_t live)
{
	struct trace trace = {.name = "shrink"};
	struct slots slots = slots_new(live);
	grow_tree(&trace, &slots);
	trace.measured_from = trace.count;
	for (size_t i = 0; i < slots.count; i++) {
		trace_release(&trace, 0, slots.blocks[i]);
		slots.blocks[i] = NULL;
	}
	slots_free(&slots);
	return trace;
}

static struct trace make_random(size_t live)
{
	struct trace trace = {.name = "random"};
	struct slots slots = slots_new(live);
	grow_tree(&trace, &slots);
	trace.measured_from = trace.count;
	uint64_t state = 3;
	for (int i = 0; i < RANDOM_PAIRS; i++)
		trace_replace(&trace, &slots, 0, &state, 5000, 128);
	slots_free(&slots);
	return trace;
}

static struct trace make_spaces(void)
{
	struct trace trace = {.name = "spaces"};
	struct slots slots[SPACES];
	uint64_t state = 4;
	for (int i = 0; i < SPACES; i++)
		slots[i] = slots_new(SPACE_SLOTS);
	for (int turn = 0; turn < STORM_PAIRS / SPACE_TURN; turn++) {
		uint64_t space = next_random(&state) % SPACES;
		for (int i = 0; i < SPACE_TURN; i++)
			trace_replace(&trace, &slots[space], space, &state, 500, 512);
	}
	for (int i = 0; i < SPACES; i++)
		slots_free(&slots[i]);
	return trace;
}

/* CPU time, so that a machine with other work on it disturbs less. */
static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void check(struct error *err)
{
	if (err) {
		fprintf(stderr, "ledger: %s\n", error_message(err));
		exit(1);
	}
}

/* As the reader of rings does: events are decoded some at a time and announced, then recorded. */
static void announce(const struct ledger *ledger, const struct trace *trace, size_t from, size_t to)
{
	uint64_t addresses[AHEAD];
	size_t i = from;
	while (i < to) {
		size_t count = 0;
		uint64_t space = trace->steps[i].space;
		for (; i < to && trace->steps[i].space == space; i++)
			addresses[count++] = trace->steps[i].address;
		ledger_prefetch(ledger, (space_id){(uint32_t)space}, addresses, count);
	}
}

static void feed(struct ledger *ledger, const struct trace *trace, size_t from, size_t to,
		 size_t ahead)
{
	for (size_t i = from; i < to; i++) {
		if (ahead && (i - from) % ahead == 0)
			announce(ledger, trace, i, i + ahead < to ? i + ahead : to);
		const struct step *step = &trace->steps[i];
		struct event event = {
			.kind = step->release ? EVENT_RELEASE : EVENT_CREATE,
			.space = {step->space},
			.thread = 1000 + step->space,
			.site = {step->site},
			.address = {step->address},
			.size_bytes = step->size_bytes,
			.time_ns = i * EVENT_STEP_NS,
		};
		check(ledger_record(ledger, &event));
	}
}

struct figures {
	double event_ns;
	double block_bytes; /* the ledger's memory over the live blocks at the end of the trace */
};

static struct figures measure(const struct trace *trace, size_t ahead)
{
	struct ledger *ledger;
	check(ledger_create(&ledger));
	feed(ledger, trace, 0, trace->measured_from, AHEAD);
	uint64_t begin = now_ns();
	feed(ledger, trace, trace->measured_from, trace->count, ahead);
	uint64_t end = now_ns();
	const struct total_counters *totals = ledger_totals(ledger);
	struct figures figures = {
		.event_ns = (double)(end - begin) / (double)(trace->count - trace->measured_from),
		.block_bytes = totals->current_blocks ? (double)ledger_memory_bytes(ledger) /
								(double)totals->current_blocks
						      : 0,
	};
	ledger_destroy(ledger);
	return figures;
}

static void run(struct trace trace, int rounds)
{
	struct figures plain = {0}, ahead = {0};
	for (int round = 0; round < rounds; round++) {
		struct figures now = measure(&trace, 0);
		if (round == 0 || now.event_ns < plain.event_ns)
			plain = now;
		now = measure(&trace, AHEAD);
		if (round == 0 || now.event_ns < ahead.event_ns)
			ahead = now;
	}
	printf("%-8s %10zu %12.1f %12.1f %12.1f\n", trace.name, trace.count - trace.measured_from,
	       plain.event_ns, ahead.event_ns, plain.block_bytes);
	fflush(stdout);
	free(trace.steps);
}

int main(int argc, char **argv)
{
	size_t live = argc > 1 ? strtoul(argv[1], NULL, 10) : 5000000;
	int rounds = argc > 2 ? atoi(argv[2]) : 3;
	const char *only = argc > 3 ? argv[3] : "";
	if (live == 0 || rounds < 1) {
		fputs("usage: ledger [LIVE-BLOCKS [ROUNDS [TRACE]]]\n", stderr);
		return 2;
	}
	printf("%-8s %10s %12s %12s %12s\n", "trace", "events", "ns an event", "prefetched",
	       "bytes/block");
	if (!*only || !strcmp(only, "storm"))
		run(make_storm(), rounds);
	if (!*only || !strcmp(only, "grow"))
		run(make_grow(live), rounds);
	if (!*only || !strcmp(only, "shrink"))
		run(make_shrink(live), rounds);
	if (!*only || !strcmp(only, "random"))
		run(make_random(live), rounds);
	if (!*only || !strcmp(only, "spaces"))
		run(make_spaces(), rounds);
	return 0;
}
