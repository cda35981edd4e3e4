/* SPDX-License-Identifier: MIT */
/*
 * What libdwfl, the library behind eu-stack, says of a stopped thread's stack.
 *
 * Owns: libdwfl's view of one process. Does not: use any code of the product. Called by: suites,
 * from the thread that traces the process; the thread looked at must be in a ptrace-stop. Failures
 * end the test (ck_abort_msg).
 */
#ifndef LIB_STACK_ORACLE_H
#define LIB_STACK_ORACLE_H

#include <elfutils/libdwfl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct stack_oracle {
	Dwfl *dwfl; /* NULL: closed */
};

struct stack_oracle_frame {
	uint64_t pc;
	/* pc is an instruction yet to run (the first frame, or one that a signal has interrupted)
	 * and not a return address. */
	bool interrupted;
	/* Where the instruction is, or the call before a return address: a file and the address in
	 * it; file NULL: none. Owned by the oracle, valid until the next walk. */
	const char *file;
	uint64_t address;
};

enum { STACK_ORACLE_FRAMES_MAX = 16384 };

/* failure: why the walk ended before the outermost frame, NULL: it did not. */
struct stack_oracle_walk {
	struct stack_oracle_frame frames[STACK_ORACLE_FRAMES_MAX];
	size_t count;
	const char *failure;
};

void stack_oracle_open(pid_t pid, struct stack_oracle *ret);
void stack_oracle_close(struct stack_oracle *oracle);

/* Walks from where the thread stands, the first frame, outwards, with the modules of this moment.
 */
void stack_oracle_walk(struct stack_oracle *oracle, pid_t tid, struct stack_oracle_walk *ret);

#endif
