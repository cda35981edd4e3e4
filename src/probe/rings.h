/* SPDX-License-Identifier: MIT */
/*
 * Events out of rings: the tracer's side of what agents write (agent/abi.h, agent/ring.h).
 *
 * One `rings` stands for one shared memory: a process and its forked children that were not
 * exec'ed. It takes the words of every thread's rings, restores one order for each address, and
 * gives out struct event.
 *
 * Owns: how far each ring was read, what each ring's stack numbers mean, the order. Does not: know
 * modules, sites or the ledger (the sink does), map the memory, or look at processes. What it reads
 * can be forged by the target: every index, size and kind is checked, each word is read once, and a
 * ring with a word that cannot be is closed (what was read before stays) and reported. Called by
 * one thread at a time.
 */
#ifndef PROBE_RINGS_H
#define PROBE_RINGS_H

#include "agent/abi.h"
#include "base/error.h"
#include "base/event.h"

enum { RINGS_AHEAD = 16 };

/*
 * Who gets what comes out; every function but `breathe` must be there. A space is what the agent
 * says it is: the sink refuses those that do not use this memory. `stack` is called where a ring
 * defines a stack: addresses are return addresses, innermost first, valid during the call. `event`
 * gets events in order, with space, thread (the area's tid), site (as `stack` returned it) and
 * time_ns (by the clock given to rings_create) filled in; `inner` marks a release that the
 * allocator's own module called, whose event.site is where it stood.
 */
struct rings_sink {
	struct error *(*stack)(void *context, space_id space, const uint64_t *addresses,
			       size_t count, enum unwind_stop stop, site_id *ret);
	struct error *(*event)(void *context, const struct event *event, bool inner);
	void (*cancelled)(void *context, space_id space, uint32_t thread, target_addr old_address);
	/*
	 * A look-ahead: events of these addresses come next, so that their memory can be fetched.
	 * count <= RINGS_AHEAD.
	 */
	void (*soon)(void *context, space_id space, const uint64_t *addresses, size_t count);
	/* Whether a live block is known at address. */
	bool (*is_live)(void *context, space_id space, target_addr address);
	void *context;
	/* Called many times in a long take, so that others can be shown that we live; or NULL. */
	void (*breathe)(void *context);
};

/* How the time stamp counter is read as a session's time. */
struct rings_clock {
	uint64_t base_ticks;
	uint64_t base_ns;
	double ns_per_tick;
};

struct rings_statistics {
	uint64_t records;
	uint64_t reordered;    /* events put right that had come in another order than they were */
	uint64_t closed_rings; /* for words that cannot be */
	uint64_t lost_events;  /* counted by agents, as of the last take with `all` at least */
	uint64_t threads;      /* areas claimed since the beginning */
	bool gave_up;	       /* some agent did: an event was lost or may have been */
};

struct rings;

/* shared: the tracer's mapping, AGENT_SHARED_BYTES long. */
struct error *rings_create(struct agent_shared *shared, const struct rings_clock *clock,
			   const struct rings_sink *sink, struct rings **ret);
void rings_destroy(struct rings *rings);

/*
 * Takes what is there. Events are given out up to a point in time before the call, so that what
 * other rings still get cannot belong before them; the rest waits. `all`: everything (no thread of
 * the target runs, or a stop of one is being handled: what it committed before must be out).
 * *taken_ret: words consumed. Moves `beat`, wakes agents that wait for room. Errors are the sink's
 * and no memory.
 */
struct error *rings_take(struct rings *rings, bool all, uint64_t *taken_ret);

/*
 * What is committed now is all that will ever be taken. Called while no thread of the target runs,
 * so that nobody need stand still while it is taken: from then on every take is one with `all`.
 */
struct error *rings_seal(struct rings *rings);

/*
 * The thread has ended (kernel's tid as the target counts): its area is given back once its rings
 * are empty.
 */
void rings_thread_ended(struct rings *rings, space_id space, uint32_t thread);

/*
 * Calls visit for every thread whose agent met a stack it does not know; visit returns its bounds
 * (both 0: none found), which the agent is then told.
 */
void rings_visit_unknown_stacks(struct rings *rings,
				struct agent_bounds (*visit)(void *context, space_id space,
							     uint32_t thread, uint64_t sp),
				void *context);

struct rings_statistics rings_statistics(const struct rings *rings);

#endif
