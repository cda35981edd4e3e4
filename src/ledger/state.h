/* SPDX-License-Identifier: MIT */
/*
 * The inside of the ledger: shared by the file that changes it and the file that verifies it.
 *
 * Owns: the shapes. Called by: ledger.c and check.c.
 *
 * Equations:
 *     sites.totals.current_x = sum over spaces of (blocks in the table + blocks of open resizes),
 *     and the same for every single site
 */
#ifndef LEDGER_STATE_H
#define LEDGER_STATE_H

#include "base/map.h"
#include "base/types.h"
#include "ledger/details.h"
#include "ledger/ledger.h"
#include "ledger/live_table.h"
#include "ledger/sites.h"
#include "ledger/threads.h"
#include "ledger/timeline.h"

struct space {
	space_id id;
	bool inherits; /* born as a copy: unknown releases are of its parent's blocks */
	struct live_table blocks;
	struct threads threads;
};

enum { LEDGER_RECENT_SPACES = 128 };

struct ledger {
	struct map spaces;
	struct space *recent[LEDGER_RECENT_SPACES]; /* by the low bits of their id; may be NULL */
	struct sites sites;
	struct timeline timeline;
	struct details details;
	uint64_t seed;
};

#endif
