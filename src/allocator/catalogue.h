/* SPDX-License-Identifier: MIT */
/*
 * The catalogue of allocator functions: what each takes, gives and releases. Pure data; a new
 * allocator is a new family, made of groups of functions.
 *
 * Does not: find the functions in a target (session) or probe them (probe). Any thread.
 */
#ifndef ALLOCATOR_CATALOGUE_H
#define ALLOCATOR_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/types.h"

enum allocator_role {
	ALLOCATOR_CREATE,  /* gives a new block */
	ALLOCATOR_RESIZE,  /* gives a block in exchange for another (pointer_argument), which may be
			      0 */
	ALLOCATOR_RELEASE, /* takes a block back (pointer_argument) */
	ALLOCATOR_HIDE,	   /* gives and takes none, and what it calls is not counted: of rules */
};

enum allocator_result {
	ALLOCATOR_RETURNS_ADDRESS, /* 0: refused */
	ALLOCATOR_STORES_ADDRESS,  /* returns 0 and stores through result_argument, else refused */
	ALLOCATOR_RETURNS_SIZE,	   /* a resize in place: how large the block is now; less than asked
				      for: refused */
	/* Of mappings: */
	ALLOCATOR_RETURNS_MAPPING, /* all bits set: refused */
	ALLOCATOR_RETURNS_BREAK, /* where the data segment ended before, which grew by the size (it
				    has a sign); all bits set: refused */
	ALLOCATOR_SETS_BREAK,	 /* 0: the data segment ends at pointer_argument; else refused */
};

/* Arguments are counted from 1; 0 means there is none. */
struct allocator_function {
	const char *name;
	enum allocator_role role;
	enum allocator_result result;
	unsigned char size_argument;
	unsigned char count_argument; /* the size is size x count, when there is one */
	unsigned char pointer_argument;
	unsigned char result_argument;
	uint64_t size_constant; /* another factor of the size, 0: there is none; of rules */
	image_addr address;	/* where it is; 0: it is found by its name */
	/* What it calls, by a tail call too, is a part of it: of rules. */
	bool whole;
	/* Calls no other function of the catalogue: its end need not be seen to tell nested calls.
	 */
	bool leaf;
	/* The same, where the module has the family's leaf_marker. */
	bool leaf_if_marked;
	/* May call other functions of the catalogue: they must be told from calls of their own. */
	bool calls_others;
	/* May be left by an exception. */
	bool throws;
	/*
	 * Deals in ranges of the address space: a family of its own, seen by breakpoints. A release
	 * has a size, a resize a second one, of what it takes, and flags.
	 */
	bool maps;
	unsigned char old_size_argument, flags_argument;
};

/* Functions that come together. */
struct allocator_group {
	const struct allocator_function *functions;
	size_t count;
};

struct allocator_family {
	const char *name;
	/* File names (DT_SONAME) of the libraries that hold it, NULL-terminated. */
	const char *const *sonames;
	/* Functions that tell, each by itself, that a module holds it; NULL-terminated. */
	const char *const *markers;
	/* A symbol of the versions whose functions are leaf_if_marked, NULL: there is none. */
	const char *leaf_marker;
	/* Its functions may lead on to another family's. */
	bool wraps;
	/* Where its C library keeps a thread's id, from the thread pointer; 0: its gettid may tell.
	 */
	unsigned tid_offset;
	/* What is looked for in such a module, NULL-terminated. No name stands twice in them. */
	const struct allocator_group *const *groups;
};

/* In the order in which modules are to be compared with their markers. */
const struct allocator_family *allocator_families(size_t *count_ret);

/* The family a library of that soname holds, NULL if none. */
const struct allocator_family *allocator_family_of_soname(const char *soname);

/* mmap(2), brk(2) and what goes with them; a module that has mremap has them of its own. */
const struct allocator_family *allocator_mappings(void);

/* The function of a family that follows `previous` (NULL: the first); NULL after the last. */
const struct allocator_function *allocator_next(const struct allocator_family *family,
						const struct allocator_function *previous);

#endif
