/* SPDX-License-Identifier: MIT */
/*
 * Interned strings: equal strings are kept once, in large pieces, as long as the set lives.
 *
 * Owns: the bytes. Called by: snapshot.c alone.
 *
 * Equations: slot_count is 0 or 2^n, count <= slot_count * 3/4, no two slots hold equal strings.
 */
#ifndef SNAPSHOT_STRINGS_H
#define SNAPSHOT_STRINGS_H

#include <stddef.h>
#include <stdint.h>

struct snapshot_string_slot {
	uint64_t hash;
	const char *string; /* NULL: free */
};

/* The newest piece is filled; the others are reached through `next`. */
struct snapshot_string_piece {
	struct snapshot_string_piece *next;
	size_t used;
	size_t size_bytes;
	char bytes[];
};

struct snapshot_strings {
	struct snapshot_string_piece *pieces;
	struct snapshot_string_slot *slots;
	size_t slot_count;
	size_t count;
};

void strings_deinit(struct snapshot_strings *strings);

/* The kept copy of string (not NULL); NULL without memory. */
const char *strings_intern(struct snapshot_strings *strings, const char *string);

#endif
