/* SPDX-License-Identifier: MIT */
/*
 * Whether tracing is permitted to us here, and if not, what forbids it and what grants it
 * (ptrace(2), "Ptrace access mode checking"; Documentation/admin-guide/LSM/Yama.rst of the kernel).
 *
 * Owns: nothing; all texts are static. Called by: cli, before any session, from the main thread.
 */
#ifndef SESSION_PERMITTED_H
#define SESSION_PERMITTED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct permitted_circumstances {
	int trial;	/* the errno of tracing a child of our own, 0: it worked */
	int yama_scope; /* 0 to 3; 0 also where the kernel has no Yama */
	int seccomp;	/* of ourselves: 0 off, 1 strict, 2 filter */
	bool capable;	/* we have CAP_SYS_PTRACE */
	bool root;	/* our effective uid is 0 */
	bool contained; /* we live in a pid namespace that is not the first */
};

/* permitted == (reason == NULL) == (remedy == NULL) */
struct permitted_row {
	const char *what;
	bool permitted;
	const char *reason; /* what forbids it */
	const char *remedy; /* what grants it */
};

enum { PERMITTED_ROWS = 3 };

/* How things stand. A child is started, traced for a moment, and killed. Errors: ERROR_SYSTEM. */
struct error *permitted_look(struct permitted_circumstances *ret);

/* What follows: for programs of our own, for processes of our user, and for those of others. */
void permitted_judge(const struct permitted_circumstances *now, struct permitted_row *ret);

#endif
