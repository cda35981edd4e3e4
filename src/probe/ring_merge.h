/* SPDX-License-Identifier: MIT */
/*
 * The records of all rings of a `rings` in one order, right for each address.
 *
 * What the target guarantees (agent/ring.h): of two records R and S of one address, R before S, R
 * was committed before S was stamped. Hence, with clocks that agree, stamp(R) < commit(R) <
 * stamp(S). A take reads the clock (the cut), then every ring's head, and gives out by stamp what
 * is stamped up to the cut. Whatever S is given out, R is not missing:
 *   - stamp(S) <= cut < reading of heads, and R was committed before stamp(S): R was seen. Records
 *     that a thread had stamped but not committed then come with a later take, and so does all that
 *     follows them, for it is stamped after their commit, after the cut.
 *   - R in the same ring: rings are read in order.
 *   - R in another ring and stamped: R's stamp is smaller, so R is given out first. It cannot be
 *     held up behind a later stamp in its ring, since a ring's stamps ascend.
 *   - R in another ring without a stamp: nothing before R is in another ring, so it goes out at
 *     once; what stands before R in its ring was stamped before R's commit, so before S.
 *   - S without a stamp: R is in the same ring.
 * With clocks that disagree by at most RING_SKEW_NS, also because rdtsc may run ahead of the
 * instructions before it, two things are different. The cut lies RING_MARGIN_NS before the clock
 * reading, so that the first point still holds. And stamp(S) may be below stamp(R), by at most the
 * skew: then S is a release of an address that is not live, or a creation at one that is, and R
 * stands within RING_SKEW_NS after S in another ring. S is then put off until R is out. This
 * mends neighbours: a clock wrong by more than it takes to hand an address on twice could move S
 * before two records of its address, where nothing is out of step. The kernel refuses the time
 * stamp counter as a clock where it sees CPUs differ by the time of a single hand-over.
 *
 * Such an S without a fault of clocks is a block that was never seen created (an attach), or not
 * released. If it is followed within the skew by another thread's creation there, both are
 * possible. The likelier one is taken: where addresses out of step that nobody explains are common
 * (RING_TRUST), stamps are believed.
 *
 * Owns: the order, and the count of what was put right. Does not: look at heads (rings does).
 * Called by: rings.
 */
#ifndef PROBE_RING_MERGE_H
#define PROBE_RING_MERGE_H

#include "probe/ring_order.h"
#include "probe/ring_reader.h"

enum {
	RING_SKEW_NS = 1000,
	RING_MARGIN_NS = 2000,
	RING_BREATH_NS = 15000000, /* well below AGENT_PATIENCE_MS */
	RING_TRUST = 4096,	   /* one unexplained address in so many: believe stamps */
};

/*
 * readers[0 .. count) hold something; all of the same context. cut: the last stamp to give out,
 * UINT64_MAX: everything.
 */
struct ring_merge {
	struct ring_reader *readers[AGENT_AREAS * AGENT_LEVELS];
	uint32_t count;
	uint64_t cut;
	uint64_t base;	     /* keys count from this stamp */
	uint64_t skew_ticks; /* RING_SKEW_NS */
	uint64_t checked, unexplained;
	uint64_t records, reordered;  /* ever */
	uint64_t looked;	      /* records when the clock was last looked at */
	uint64_t breathed;	      /* ticks when agents were last shown that we live */
	uint64_t breath_ticks;	      /* RING_BREATH_NS */
	bool sealed;		      /* what rings hold beyond their heads is nobody's */
	bool overtaken;		      /* backlogs were full, and we have not caught up since */
	const struct ring_pool *pool; /* of the backlogs */
	uint32_t *beat;		      /* agent_shared.beat */
	struct ring_order order;
};

/* Gives out what is to be given out. Errors: the sink's; what it got is not given again. */
struct error *ring_merge_run(struct ring_merge *merge, struct ring_context *context);

#endif
