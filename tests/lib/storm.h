/* SPDX-License-Identifier: MIT */
/*
 * A running storm target (tests/targets/storm.c): threads that allocate until they are told to end,
 * with a counter of operations each, to see that they all go on.
 *
 * Owns: the process and the path of its counters. Called by: tests, from their one thread. Failures
 * end the test (ck_abort_msg).
 */
#ifndef LIB_STORM_H
#define LIB_STORM_H

#include <stdint.h>

#include "lib/process.h"

enum { STORM_THREADS_MAX = 64 };

struct storm {
	struct process process;
	int threads;
	int counters_fd;
};

struct storm_counters {
	uint64_t of[STORM_THREADS_MAX];
};

/* Starts it and waits until every thread has moved. */
void storm_start(const struct scratch *scratch, int threads, struct storm *ret);
void storm_end(struct storm *storm);

struct storm_counters storm_read(const struct storm *storm);

/* Waits until every thread has moved on from here. Ends the test if the target ends instead. */
void storm_expect_progress(struct storm *storm);

/* Asks it to end and expects status 0. */
void storm_expect_good_end(struct storm *storm);

#define _cleanup_storm_ __attribute__((__cleanup__(storm_end)))

#endif
