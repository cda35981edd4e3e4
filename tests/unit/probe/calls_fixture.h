/* SPDX-License-Identifier: MIT */
/*
 * What the tests of probe/calls share: rows of functions, places on stacks, entering and leaving as
 * a probe would, and what an outcome must be.
 */
#ifndef UNIT_PROBE_CALLS_FIXTURE_H
#define UNIT_PROBE_CALLS_FIXTURE_H

#include <check.h>
#include <string.h>

#include "probe/calls.h"

enum {
	STACK_BYTES = 0x10000, /* stacks of these tests begin at multiples of it */
	MAIN = 0x108000,       /* a place on the first stack */
	HANDLER = 0x208000,    /* a place on the second */
	BLOCK = 0x5000,
	OTHER = 0x6000,
	SLOT = 0x7000,
};

static const struct allocator_function malloc_row = {"malloc", .size_argument = 1};
static const struct allocator_function calloc_row = {"calloc", .count_argument = 1,
						     .size_argument = 2};
static const struct allocator_function realloc_row = {"realloc", ALLOCATOR_RESIZE,
						      .pointer_argument = 1, .size_argument = 2};
static const struct allocator_function reallocarray_row = {"reallocarray", ALLOCATOR_RESIZE,
							   .pointer_argument = 1,
							   .count_argument = 2, .size_argument = 3};
static const struct allocator_function memalign_row = {"memalign", .size_argument = 2};
static const struct allocator_function posix_memalign_row = {
	"posix_memalign", ALLOCATOR_CREATE, ALLOCATOR_STORES_ADDRESS, .size_argument = 3,
	.result_argument = 1};
static const struct allocator_function free_row = {"free", ALLOCATOR_RELEASE, .pointer_argument = 1,
						   .leaf = true};
static const struct allocator_function pool_put_row = {"pool_put", ALLOCATOR_RELEASE,
						       .pointer_argument = 1};

static const struct allocator_function wrap_get_row = {"wrap_get", .size_argument = 1,
						       .size_constant = 3, .whole = true};
static const struct allocator_function wrap_put_row = {"wrap_put", ALLOCATOR_RELEASE,
						       .pointer_argument = 1, .whole = true};
static const struct allocator_function refill_row = {"refill", ALLOCATOR_HIDE, .whole = true};

static const struct allocator_function mmap_row = {
	"mmap", ALLOCATOR_CREATE, ALLOCATOR_RETURNS_MAPPING, .size_argument = 2, .maps = true};
static const struct allocator_function munmap_row = {
	"munmap",	    ALLOCATOR_RELEASE, .pointer_argument = 1,
	.size_argument = 2, .leaf = true,      .maps = true};
static const struct allocator_function mremap_row = {"mremap",
						     ALLOCATOR_RESIZE,
						     ALLOCATOR_RETURNS_MAPPING,
						     .pointer_argument = 1,
						     .old_size_argument = 2,
						     .size_argument = 3,
						     .flags_argument = 4,
						     .maps = true};

struct arguments {
	uint64_t items[3];
};

#define ARGUMENTS(...)                                                                             \
	(struct arguments)                                                                         \
	{                                                                                          \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

static inline uint64_t region_of(uint64_t place)
{
	return place & ~(uint64_t)(STACK_BYTES - 1);
}

static inline struct calls_outcome enter(struct calls *calls,
					 const struct allocator_function *function, uint64_t place,
					 struct arguments arguments)
{
	/* What is in a register that holds no argument is anybody's. */
	struct user_regs_struct registers = {
		.rsp = place,
		.rdi = arguments.items[0],
		.rsi = arguments.items[1],
		.rdx = arguments.items[2],
		.rcx = UINT64_MAX,
		.r8 = UINT64_MAX,
		.r9 = UINT64_MAX,
		.rax = UINT64_MAX,
	};
	struct calls_outcome outcome;
	memset(&outcome, 0xa5, sizeof outcome);
	calls_enter(calls, function, &registers, region_of(place), &outcome);
	ck_assert_uint_eq(outcome.result_slot.v, 0);
	return outcome;
}

static inline struct calls_outcome leave(struct calls *calls, uint64_t place, uint64_t result)
{
	struct user_regs_struct registers = {.rsp = place, .rax = result, .rdi = 0xdead};
	struct calls_outcome outcome;
	memset(&outcome, 0xa5, sizeof outcome);
	calls_exit(calls, &registers, place, &outcome);
	return outcome;
}

/* The exit of a function that has no probe at its entry. */
static inline struct calls_outcome leave_sized(struct calls *calls,
					       const struct allocator_function *function,
					       uint64_t place, uint64_t size_bytes, uint64_t result)
{
	struct user_regs_struct registers = {.rsp = place, .rax = result, .rdi = 0xdead};
	struct calls_outcome outcome;
	memset(&outcome, 0xa5, sizeof outcome);
	calls_exit_sized(calls, function, &registers, place, region_of(place), size_bytes,
			 &outcome);
	return outcome;
}

/* The last moment at which the size of such a call can be read. */
static inline struct calls_outcome note(struct calls *calls,
					const struct allocator_function *function, uint64_t place,
					uint64_t size_bytes)
{
	struct calls_outcome outcome;
	memset(&outcome, 0xa5, sizeof outcome);
	calls_note(calls, function, place, region_of(place), size_bytes, &outcome);
	return outcome;
}

static inline void check_silent(struct calls_outcome outcome)
{
	ck_assert_uint_eq(outcome.event_count, 0);
	ck_assert_uint_eq(outcome.cancelled_count, 0);
	ck_assert_uint_eq(outcome.result_slot.v, 0);
	ck_assert(!outcome.needs_site);
	ck_assert_ptr_null(outcome.mapping.function);
}

/* A call of a function that maps, and no event of a block. */
static inline void check_mapping(struct calls_outcome outcome,
				 const struct allocator_function *function, bool ended)
{
	ck_assert_ptr_eq(outcome.mapping.function, function);
	ck_assert_int_eq(outcome.mapping.ended, ended);
	outcome.mapping.function = NULL;
	check_silent(outcome);
}

static inline void check_cancelled(struct calls_outcome outcome, uint64_t old_address)
{
	ck_assert_uint_eq(outcome.cancelled_count, 1);
	ck_assert_uint_eq(outcome.cancelled[0].v, old_address);
}

static inline void check_event(struct calls_outcome outcome, enum event_kind kind, uint64_t address,
			       uint64_t old_address, uint64_t size_bytes)
{
	ck_assert_uint_eq(outcome.event_count, 1);
	ck_assert_int_eq(outcome.events[0].kind, kind);
	ck_assert_uint_eq(outcome.events[0].address.v, address);
	ck_assert_uint_eq(outcome.events[0].old_address.v, old_address);
	ck_assert_uint_eq(outcome.events[0].size_bytes, size_bytes);
	ck_assert_int_eq(outcome.needs_site,
			 kind == EVENT_CREATE || kind == EVENT_FAILED || kind == EVENT_RESIZE_END);
}

/* An event and nothing else. */
static inline void check_only(struct calls_outcome outcome, enum event_kind kind, uint64_t address,
			      uint64_t old_address, uint64_t size_bytes)
{
	check_event(outcome, kind, address, old_address, size_bytes);
	ck_assert_uint_eq(outcome.cancelled_count, 0);
	ck_assert_uint_eq(outcome.result_slot.v, 0);
}

#endif
