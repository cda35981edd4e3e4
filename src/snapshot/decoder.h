/* SPDX-License-Identifier: MIT */
/*
 * A body while it is read: its sections, found and checked, and records read field by field.
 *
 * decode.c finds the sections and owns the order of reading; decode_tables.c and decode_kept.c read
 * one section after the other into the snapshot. Private to these three.
 */
#ifndef SNAPSHOT_DECODER_H
#define SNAPSHOT_DECODER_H

#include "snapshot/layout.h"
#include "snapshot/snapshot.h"

/*
 * records[0 .. count * record_bytes) lies in the body; record_bytes is at least what this version
 * writes, or count is 0. All is zero for an optional one that is not there.
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

static inline uint32_t get_u32(struct record *record)
{
	record->next += 4;
	return (uint32_t)decoder_load(record->next - 4, 4);
}

static inline uint64_t get_u64(struct record *record)
{
	record->next += 8;
	return decoder_load(record->next - 8, 8);
}

static inline const char *get_string(struct record *record)
{
	uint32_t number = get_u32(record);
	if (number > record->decoder->string_count)
		record->decoder->bad_string = true;
	else if (number)
		return record->decoder->strings[number - 1];
	return NULL;
}

/* Record i of a section. */
static inline struct record record_at(struct decoder *decoder, enum layout_section section,
				      size_t i)
{
	const struct section *from = &decoder->sections[section];
	return (struct record){.decoder = decoder, .next = from->records + i * from->record_bytes};
}

static inline size_t records_of(const struct decoder *decoder, enum layout_section section)
{
	return decoder->sections[section].count;
}

/* "it is damaged: WHAT". */
struct error *decoder_damaged(const char *what);

/*
 * Reads the sections, strings first, into decoder->snapshot. Errors: ERROR_BAD_INPUT, no memory. A
 * string that is not there only sets bad_string.
 */
struct error *decoder_read_tables(struct decoder *decoder);

/* Its part for what was kept beyond the stacks; the sites are there. */
struct error *decode_kept(struct decoder *decoder);

#endif
