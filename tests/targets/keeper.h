/* SPDX-License-Identifier: MIT */
/* What the keeper target shares with whoever watches it: the contents of its file PROGRESS. */
#ifndef TARGETS_KEEPER_H
#define TARGETS_KEEPER_H

#include <stdint.h>

enum { KEEPER_THREADS_MAX = 64 };

struct keeper_progress {
	uint64_t pid;
	uint64_t turns[KEEPER_THREADS_MAX];
	uint64_t longest_ns[KEEPER_THREADS_MAX]; /* between two turns; the watcher may clear it */
};

#endif
