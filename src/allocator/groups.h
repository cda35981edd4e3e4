/* SPDX-License-Identifier: MIT */
/*
 * Private to src/allocator: the functions, in groups that families share. Constant.
 */
#ifndef ALLOCATOR_GROUPS_H
#define ALLOCATOR_GROUPS_H

#include "allocator/catalogue.h"

extern const struct allocator_group
	allocator_glibc; /* the C names, and of glibc's what calls no other */
extern const struct allocator_group allocator_c; /* the C names */
extern const struct allocator_group
	allocator_c_wrapped; /* the C names, none of them known to be a leaf */
extern const struct allocator_group allocator_cxx;	   /* operator new and delete */
extern const struct allocator_group allocator_jemalloc;	   /* the names with x */
extern const struct allocator_group allocator_jemalloc_je; /* all of jemalloc's, prefixed */
extern const struct allocator_group allocator_jemalloc_rjem;
extern const struct allocator_group allocator_tcmalloc;
extern const struct allocator_group allocator_mimalloc;
extern const struct allocator_group allocator_mimalloc_heap;
extern const struct allocator_group allocator_mapping; /* mmap(2) and brk(2) */

#endif
