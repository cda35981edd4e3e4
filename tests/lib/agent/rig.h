/* SPDX-License-Identifier: MIT */
/*
 * An agent in the test's own process: mapped and filled as the tracer would, with stubs for
 * functions of the test, and a reader that knows nothing but ring.h.
 *
 * The functions that rig_stub returns are the stubs' enter_code: calling one is like calling a
 * function whose entry a jump was written over. Failures end the test (ck_abort_msg). One rig a
 * process: what readers know of stacks outlives it.
 */
#ifndef TESTS_LIB_AGENT_RIG_H
#define TESTS_LIB_AGENT_RIG_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/abi.h"
#include "agent/ring.h"

struct rig {
	uint8_t *code;
	struct agent_private *private;
	struct agent_shared *shared;
	struct agent_modules *modules;
	uint32_t stub_count;
	uint32_t tid_offset;
};

/* What a stub is of; numbers of arguments as in struct agent_stub. */
struct rig_function {
	enum agent_role role;
	bool leaf;
	enum agent_result result;
	uint8_t size_argument, count_argument, pointer_argument, result_argument;
	void *function;
	void *module_start, *module_end;
	uint64_t size_constant;
};

/* A record as it was read; frames are the rig's until rig_forget. */
struct rig_record {
	enum ring_kind kind;
	uint64_t address, new_address, size_bytes;
	uint64_t time; /* 0: none */
	uint32_t stack;
	uint32_t area;
	int level;
	size_t frame_count;
	enum unwind_stop stop;
	const uint64_t *frames;
};

/* What was read; a zeroed one is empty. */
struct rig_records {
	struct rig_record *items;
	size_t count, capacity;
};

/* An agent that is on, and knows the main program's text as a module without unwind rows. */
void rig_create(struct rig *rig);
void rig_destroy(struct rig *rig);

void *rig_stub(struct rig *rig, const struct rig_function *function);

struct agent_thread *rig_area(const struct rig *rig, uint32_t area);
uint64_t *rig_words(const struct rig *rig, uint32_t area, int level);
/* The calling thread's area, -1 if it has none. */
int rig_my_area(const struct rig *rig);

/* Tells threads the bounds of the stacks that they have asked for, from /proc/self/maps. */
void rig_tell_bounds(struct rig *rig);
void rig_find_bounds(uint64_t sp, struct agent_bounds *ret);

/* Reads all rings to their end, in no order between rings, and adds what they hold. */
void rig_read(struct rig *rig, struct rig_records *records);
/* Reads and throws away, what was read before as well. */
void rig_forget(struct rig *rig, struct rig_records *records);

/* A reader that keeps reading, checks the encoding and counts; and tells bounds. */
struct rig_reader {
	struct rig *rig;
	pthread_t thread;
	bool stop;
	uint64_t counts[16]; /* by enum ring_kind */
};
void rig_reader_start(struct rig *rig, struct rig_reader *reader);
void rig_reader_stop(struct rig_reader *reader);

uint64_t rig_count(const struct rig_records *records, enum ring_kind kind);

#endif
