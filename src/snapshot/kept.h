/* SPDX-License-Identifier: MIT */
/*
 * What a session has kept beyond the figures of its stacks: which threads and sizes blocks are of,
 * how old those are that live, and two histograms.
 *
 * Owns: the shapes and their equations. Part of the model of snapshot.h.
 *
 * A site is one stack; where threads, sizes or waste are told apart it is one stack with one
 * thread, one class of sizes and one number of wasted bytes.
 *
 * Equations, unless sums have stopped at UINT64_MAX:
 *     with KEPT_AGES:        sum over the ages of a site = current_bytes, current_blocks of it
 *     with KEPT_HISTOGRAMS:  sum over sizes of total = total, of current = current of the session
 *                            sum over lifetimes = released of the session
 * Ages of a site are in ascending order and apart from each other, as are the classes of each
 * histogram.
 */
#ifndef SNAPSHOT_KEPT_H
#define SNAPSHOT_KEPT_H

#include <stddef.h>

#include "base/error.h"
#include "base/size_class.h"
#include "base/time_class.h"

enum snapshot_kept_flags {
	KEPT_HISTOGRAMS = 1,
	KEPT_AGES = 2,
	KEPT_SIZES = 4,	  /* site.traits.size */
	KEPT_THREADS = 8, /* site.traits.thread */
	KEPT_WASTE = 16,  /* site.traits.waste_bytes */
	KEPT_RAW = 32,	  /* frames have nothing but module and offset: snapshot/resolve.h */
};

#define SNAPSHOT_NO_WASTE UINT32_MAX

/* What all blocks of a site have in common; says something as far as the flags say so. */
struct snapshot_traits {
	uint32_t thread;      /* who made them: number in threads, from 1; 0: unknown */
	uint32_t waste_bytes; /* usable beyond what was asked for; SNAPSHOT_NO_WASTE: unknown */
	struct size_range size;
};

/* A thread that allocated. */
struct snapshot_thread {
	uint32_t pid;
	uint32_t tid;
	const char *name; /* as last seen; NULL: unknown */
};

/* Blocks of a site that live, of one class of ages. */
struct snapshot_age {
	uint32_t site; /* index into sites */
	struct time_range age;
	uint64_t bytes;
	uint64_t blocks;
};

struct snapshot_size_class {
	struct size_range size;
	uint64_t total_bytes;
	uint64_t total_blocks;
	uint64_t current_bytes;
	uint64_t current_blocks;
};

struct snapshot_lifetime_class {
	struct time_range lifetime;
	uint64_t bytes;
	uint64_t blocks;
};

struct snapshot_kept {
	uint32_t flags; /* of enum snapshot_kept_flags */
	struct snapshot_thread *threads;
	size_t thread_count, thread_capacity;
	struct snapshot_age *ages; /* in the order of sites */
	size_t age_count, age_capacity;
	struct snapshot_size_class *sizes;
	size_t size_count, size_capacity;
	struct snapshot_lifetime_class *lifetimes;
	size_t lifetime_count, lifetime_capacity;
};

struct snapshot;

void kept_deinit(struct snapshot_kept *kept);

/* Appending; a name must come from snapshot_string. Errors: no memory. */
struct error *kept_add_thread(struct snapshot_kept *kept, const struct snapshot_thread *thread);
struct error *kept_add_age(struct snapshot_kept *kept, const struct snapshot_age *age);
struct error *kept_add_size(struct snapshot_kept *kept, const struct snapshot_size_class *one);
struct error *kept_add_lifetime(struct snapshot_kept *kept,
				const struct snapshot_lifetime_class *one);

/* The ages of a site, NULL where it has none. */
const struct snapshot_age *kept_ages_of(const struct snapshot_kept *kept, size_t site,
					size_t *count_ret);

/* Adds what another has in its histograms to those of a kept. Errors: no memory. */
struct error *kept_add_histograms(struct snapshot_kept *kept, const struct snapshot_kept *other);

/* Verifies the equations above; part of snapshot_check. */
struct error *kept_check(const struct snapshot *snapshot);

#endif
