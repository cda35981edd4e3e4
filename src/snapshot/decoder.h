/* SPDX-License-Identifier: MIT */
/*
 * A body while it is read: its sections, found and checked, and records read field by field.
 *
 * decode.c finds the sections and owns the order of reading; decode_tables.c reads one section
 * after the other into the snapshot. Private to these two.
 */
#ifndef SNAPSHOT_DECODER_H
#define SNAPSHOT_DECODER_H

#include "snapshot/layout.h"
#include "snapshot/snapshot.h"

/*
 * records[0 .. count * record_bytes) lies in the body; record_bytes is at least what this version
 * writes, or count is 0.
 */
struct section {
	const uint8_t *records;
	size_t record_bytes;
	size_t count;
	bool found;
};

struct decoder {
	struct section sections[LAYOUT_SECTIONS];
	const char **strings; /* of the snapshot; the string of number n is strings[n - 1] */
	size_t string_count;
	struct snapshot *snapshot;
	bool bad_string; /* a string was named that is not there */
};

/* A record while it is read, field by field. */
struct record {
	struct decoder *decoder;
	const uint8_t *next;
};

/* Little-endian. */
static inline uint64_t decoder_load(const uint8_t *at, size_t count)
{
	uint64_t value = 0;
	for (size_t i = 0; i < count; i++)
		value |= (uint64_t)at[i] << 8 * i;
	return value;
}

/* "it is damaged: WHAT". */
struct error *decoder_damaged(const char *what);

/*
 * Reads the sections, strings first, into decoder->snapshot. Errors: ERROR_BAD_INPUT, no memory. A
 * string that is not there only sets bad_string.
 */
struct error *decoder_read_tables(struct decoder *decoder);

#endif
