/* SPDX-License-Identifier: MIT */
/*
 * A running keeper target (tests/targets/keeper.c): threads that notice when one of their blocks is
 * disturbed, watched through the file they share.
 *
 * Owns: the process that was started, and the mapping of the shared file. Called by: tests, from
 * their one thread. Failures end the test (ck_abort_msg).
 */
#ifndef LIB_KEEPER_H
#define LIB_KEEPER_H

#include <stdint.h>

#include "lib/process.h"
#include "targets/keeper.h"

/*
 * `process` is what was started: the keeper itself, or tracealloc that runs it. pid is always the
 * keeper's own. output: where its standard output is to be found.
 */
struct keeper {
	struct process process;
	pid_t pid;
	int threads;
	char *output;
	struct keeper_progress *progress;
};

/* Starts it and waits until it is ready and, where its mode lets them, every thread has moved. */
void keeper_start(const struct scratch *scratch, const char *mode, int threads, struct keeper *ret);

/*
 * The same under `tracealloc run`, with options (NULL: none). Returns at once: keeper_wait_ready
 * waits.
 */
void keeper_start_traced(const struct scratch *scratch, const char *const options[],
			 const char *mode, int threads, struct keeper *ret);
void keeper_wait_ready(struct keeper *keeper);

/* For process_until; its context is the keeper: whether its main function has been reached. */
bool keeper_has_begun(const void *context);

/* Kills it where it still runs. */
void keeper_end(struct keeper *keeper);

/* Waits until every thread has made so many turns more. Ends the test if the keeper is gone. */
void keeper_expect_turns(const struct keeper *keeper, uint64_t turns);

/* Asks it to end and waits for its "ok", and for status 0 where it is our own child. */
void keeper_expect_good_end(struct keeper *keeper);

/* The longest standstill of any thread since the last call, in nanoseconds. */
uint64_t keeper_take_longest_ns(const struct keeper *keeper);

/* Mode rounds: so many turns of every thread. How many blocks and bytes they have made. */
struct keeper_made {
	int64_t blocks, bytes;
};
struct keeper_made keeper_play(struct keeper *keeper, long turns);

#define _cleanup_keeper_ __attribute__((__cleanup__(keeper_end)))

#endif
