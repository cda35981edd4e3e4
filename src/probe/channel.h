/* SPDX-License-Identifier: MIT */
/*
 * The tracer's side of the shared memory of agents (agent/abi.h): one channel for a process and its
 * forked children.
 *
 * Owns: the mapping in our process, what stands in its control page, and the room in it for unwind
 * tables and module lists. Does not: make the memory in the target (jump does) or read rings (rings
 * does). One thread at a time.
 */
#ifndef PROBE_CHANNEL_H
#define PROBE_CHANNEL_H

#include "agent/abi.h"
#include "base/error.h"
#include "base/map.h"
#include "base/types.h"

/*
 * Invariants: AGENT_SHARED_TABLES <= next <= AGENT_SHARED_AREAS; users is the number of processes
 * whose private page leads here.
 */
struct channel {
	struct agent_shared *shared;
	target_addr address;  /* where the target's processes have it */
	uint64_t next;	      /* first free byte of the tables */
	struct map tables;    /* unwind_table.rows -> offset of their copy */
	uint64_t *free_lists; /* offsets of struct agent_modules whose process has ended */
	size_t free_list_count, free_list_capacity;
	size_t users;
};

/*
 * Makes the memory behind a memfd of the target's what an agent expects, seals its size, and maps
 * it. fd stays the caller's. Errors: ERROR_SYSTEM; a limit of ours (RLIMIT_FSIZE, RLIMIT_AS).
 */
struct error *channel_open(int fd, uint32_t depth, struct channel **ret);
void channel_destroy(struct channel *channel);

/* Room for the module list of one more process; *ret is its address in the target. */
struct error *channel_add_process(struct channel *channel, target_addr *ret);
void channel_remove_process(struct channel *channel, target_addr list);

/*
 * Publishes the modules of a process: agents use them from the next call on. Rows are copied once
 * for as long as the channel lives, known by their address. More than AGENT_MODULES modules, or
 * tables beyond the room, are left out: stacks end there.
 */
struct error *channel_publish(struct channel *channel, target_addr list,
			      const struct unwind_module *modules, size_t count);

/* Whether an agent asked for its modules to be looked at. */
bool channel_linker_asks(const struct channel *channel);

/* Sleeps until an agent asks, or for at most timeout_ns. */
void channel_wait(struct channel *channel, uint64_t timeout_ns);

/* Ends a channel_wait that is under way. Any thread. */
void channel_wake(struct channel *channel);

/* Shows agents that wait, for an answer or for room, that somebody lives. Any thread. */
void channel_show_life(struct channel *channel);

/* How often agents have asked; an answer is to what was asked up to then. */
uint32_t channel_linker_asked(const struct channel *channel);
void channel_linker_serve(struct channel *channel, uint32_t asked);

/* Whether a thread is at work in an agent, or was when a signal handler left it for good. */
bool channel_is_busy(const struct channel *channel);

/*
 * Whether an agent has a call of that thread (as its own namespace counts) under way whose return
 * address stands in [low, high) of its stack.
 */
bool channel_has_call(const struct channel *channel, space_id space, uint32_t thread, uint64_t low,
		      uint64_t high);

/*
 * With nobody in an agent: gives its memory back to the system (MADV_REMOVE), but for the control
 * page, by which the agent is found again; the mapping in the target stays.
 */
void channel_empty(struct channel *channel);

#endif
