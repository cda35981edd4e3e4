/* SPDX-License-Identifier: MIT */
/*
 * The one event type: a create, resize or release of a block, as it comes out of a probe.
 *
 * Owns: the shape. Born in probe, consumed by ledger; both kinds of probe make the same events.
 * May be used by: everyone, from any thread.
 */
#ifndef BASE_EVENT_H
#define BASE_EVENT_H

#include "base/types.h"

enum event_kind {
	/* A call returned a new block: address, size_bytes, site. */
	EVENT_CREATE,
	/* A block is about to be given back: address. Stamped at the call's entry. address 0:
	   free(NULL). */
	EVENT_RELEASE,
	/*
	 * A resize was entered: old_address. From here on another thread may be given the old
	 * address, so the block leaves the table, but its bytes stay counted until the end comes.
	 */
	EVENT_RESIZE_BEGIN,
	/*
	 * The resize of the same thread ended: old_address as in the begin. address != 0: the old
	 * block is released, the new one created (size_bytes, site). address == 0: it failed, the
	 * old lives.
	 */
	EVENT_RESIZE_END,
	/* A resize to zero that the allocator took as a release: old_address as in the begin. */
	EVENT_RESIZE_RELEASED,
	/* A call was refused by the allocator: size_bytes, site. */
	EVENT_FAILED,
};

struct event {
	enum event_kind kind;
	space_id space;
	uint32_t thread; /* the kernel's tid */
	site_id site;	 /* where kind says so */
	target_addr address;
	target_addr old_address;
	uint64_t size_bytes; /* as asked for, not as rounded by the allocator */
	uint64_t time_ns;    /* since the session's start */
};

#endif
