/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: sites that are finer than stacks, where a session is to tell threads,
 * sizes or waste apart (--keep).
 *
 * A site of the ledger is then one stack with one thread, one class of sizes (base/size_class.h)
 * and one number of wasted bytes, and so the ledger's figures, those at the peak included, are
 * exact for each. Without --keep there is no traits, and a site is a stack.
 *
 * Owns: the numbers of such sites, and the threads. Does not: touch the ledger. Called by: whoever
 * holds the lock of tap.h.
 */
#ifndef SESSION_TRAITS_H
#define SESSION_TRAITS_H

#include <sys/types.h>

#include "base/event.h"
#include "session/session.h"

struct traits;

/* A thread that has allocated. */
struct traits_thread {
	pid_t pid;
	uint32_t tid;
	char name[16]; /* as last seen, "" if it never could be */
};

/* What the blocks of a site have in common, as far as it is kept. */
struct traits_site {
	site_id stack;
	uint32_t thread;      /* number, from 1; 0: not kept */
	uint32_t size_class;  /* of base/size_class.h; 0 where it is not kept */
	uint32_t waste_bytes; /* were glibc's malloc to have made them; 0 where it is not kept */
};

/* keep: of enum snapshot_kept_flags. Errors: no memory. */
struct error *traits_create(unsigned keep, struct traits **ret);
void traits_destroy(struct traits *traits);

/*
 * The site of an event that has one, whose `site` is still that of its stack. pid: a process of the
 * event's space. Errors: no memory.
 */
struct error *traits_site(struct traits *traits, const struct event *event, pid_t pid,
			  site_id *ret);

/* A thread has ended: its number may be given to another. */
void traits_thread_end(struct traits *traits, space_id space, uint32_t tid);

uint32_t traits_site_count(const struct traits *traits);
const struct traits_site *traits_site_at(const struct traits *traits, uint32_t site);

/* Threads in the order in which they were first seen; number n is [n - 1]. */
const struct traits_thread *traits_threads(const struct traits *traits, size_t *count_ret);

#endif
