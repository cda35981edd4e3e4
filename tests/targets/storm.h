/* SPDX-License-Identifier: MIT */
/*
 * The log that the storm target keeps of its own calls and writes to a file at the end: records one
 * after the other, of all threads, in no order across threads.
 */
#ifndef TARGETS_STORM_H
#define TARGETS_STORM_H

#include <stdint.h>

enum storm_kind { STORM_MALLOC, STORM_CALLOC, STORM_REALLOC, STORM_FREE, STORM_KINDS };

struct storm_record {
	uint32_t kind;
	int32_t line;		 /* of the call, in storm.c */
	uint64_t size_bytes;	 /* asked for; of a free and of a resize's old block: 0 */
	uint64_t old_size_bytes; /* of the block released or resized, 0 for none */
	uint64_t resizes_null;	 /* 1: a realloc that had no old block */
};

#endif
