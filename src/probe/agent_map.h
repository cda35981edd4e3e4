/* SPDX-License-Identifier: MIT */
/*
 * Where an agent lies in a space: finding one that is there, making one. Private to src/probe.
 */
#ifndef PROBE_AGENT_MAP_H
#define PROBE_AGENT_MAP_H

#include "agent/abi.h"
#include "probe/channel.h"
#include "target/remote.h"

/* Where stubs lie: in the agent's code, and in its outposts. */
enum { AGENT_MAP_BLOCKS = 1 + AGENT_OUTPOSTS };

/* Invariant: private_page == code + AGENT_CODE_BYTES where code is not 0. */
struct agent_map {
	target_addr code; /* 0: there is none */
	target_addr outposts[AGENT_OUTPOSTS];
	target_addr shared;
	bool reusable;	     /* found, and of this very version */
	bool vacated;	     /* and no thread is in it: its shared memory may be replaced */
	uint32_t tid_offset; /* where the C library keeps a thread's id; 0: not known (yet) */
};

static inline target_addr agent_map_private(const struct agent_map *map)
{
	return target_addr_add(map->code, AGENT_CODE_BYTES);
}

static inline target_addr agent_map_stub(const struct agent_map *map, size_t block, uint32_t index)
{
	target_addr first =
		block ? target_addr_add(map->outposts[block - 1], AGENT_OUTPOST_HEAD_BYTES)
		      : target_addr_add(map->code, AGENT_IMAGE_MAX_BYTES);
	return target_addr_add(first, (int64_t)index * (int64_t)sizeof(struct agent_stub));
}

/* The first block that code at `from` can jump to and back from; AGENT_MAP_BLOCKS: none. */
size_t agent_map_block(const struct agent_map *map, target_addr from);

/* Whether a thread at pc is in the agent, and works on its shared memory. */
bool agent_map_holds(const struct agent_map *map, uint64_t pc);

/* Whether the address lies in what is mapped for it, stubs included. */
bool agent_map_owns(const struct agent_map *map, uint64_t address);

/*
 * Looks for an agent in the space; map->code is 0 if there is none. What is found was checked as
 * far as it can be without trusting it: sizes, magic, version, stub count.
 */
struct error *agent_map_find(const struct target_space *space, struct agent_map *map,
			     uint32_t stub_counts[AGENT_MAP_BLOCKS]);

/* Whether a thread is at work in it, as its shared memory says; true where that cannot be read. */
bool agent_map_is_busy(const struct target_space *space, const struct agent_map *map);

/*
 * Makes an agent within reach of `near`, its memory shared with us, off; or, where map holds a
 * reusable one, gives that new shared memory. ERROR_UNSUPPORTED with the reason.
 */
struct error *agent_map_make(const struct target_space *space, struct remote *remote,
			     target_addr near, uint32_t depth, struct agent_map *map,
			     struct channel **ret);

/* Gives an agent an outpost within reach of `near`. ERROR_UNSUPPORTED with the reason. */
struct error *agent_map_add_outpost(const struct target_space *space, struct remote *remote,
				    target_addr near, struct agent_map *map);

/*
 * Where the C library keeps a thread's id, seen from the thread pointer, by a stopped thread: the
 * word that holds it. 0 if it does not show (then the thread pointer alone must tell threads
 * apart).
 */
uint32_t agent_map_find_tid(const struct target_space *space, struct target_thread *thread);

/* Fills the private page and turns the agent on. */
struct error *agent_map_arm(const struct target_space *space, const struct agent_map *map,
			    target_addr modules);
struct error *agent_map_disarm(const struct target_space *space, const struct agent_map *map);

/* Tells the agent of map->tid_offset. */
struct error *agent_map_set_tid_offset(const struct target_space *space,
				       const struct agent_map *map);

struct error *agent_map_set_stub_count(const struct target_space *space,
				       const struct agent_map *map, size_t block, uint32_t count);

#endif
