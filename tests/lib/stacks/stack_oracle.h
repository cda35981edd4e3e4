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

/*
 * interrupted: pc is an instruction yet to run (the first frame, or one that a signal came upon)
 * and no return address. file: where that code is, NULL: in none; address: pc as the file states
 * it. The file's name is owned by the oracle, valid until the next walk.
 */
struct stack_oracle_frame {
	uint64_t pc;
	bool interrupted;
	bool trampoline; /* where a signal handler returns to */
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
