/* SPDX-License-Identifier: MIT */
/*
 * A body while it is written, field by field.
 *
 * encode.c owns it and the order of sections; encode_kept.c writes what was kept beyond the stacks.
 * Private to these two.
 */
#ifndef SNAPSHOT_ENCODER_H
#define SNAPSHOT_ENCODER_H

#include "base/buffer.h"
#include "base/map.h"
#include "snapshot/layout.h"
#include "snapshot/snapshot.h"
#include "snapshot/strings.h"

/*
 * Strings are numbered from 1 in the order in which they are first met: `kept` makes equal ones the
 * same, `numbers` finds the number by the address. They are written first, so everything else waits
 * in `rest`.
 */
struct encoder {
	const struct snapshot *snapshot;
	struct snapshot_strings kept;
	struct map numbers;
	struct buffer strings;
	struct buffer rest;
	bool failed;
};

static inline void put_bytes(struct buffer *out, uint64_t value, size_t count)
{
	uint8_t bytes[8];
	for (size_t i = 0; i < count; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
	buffer_append(out, bytes, count);
}

static inline void put_u32(struct encoder *encoder, uint32_t value)
{
	put_bytes(&encoder->rest, value, 4);
}

static inline void put_u64(struct encoder *encoder, uint64_t value)
{
	put_bytes(&encoder->rest, value, 8);
}

/* The number of a string that is not NULL, 0 without memory. */
uint32_t encoder_number(struct encoder *encoder, const char *string);

static inline void put_string(struct encoder *encoder, const char *string)
{
	put_u32(encoder, string ? encoder_number(encoder, string) : 0);
}

static inline void begin_section(struct buffer *out, enum layout_section section, uint64_t count)
{
	buffer_append(out, layout_rows[section].tag, LAYOUT_SECTION_TAG_BYTES);
	put_bytes(out, layout_rows[section].record_bytes, 4);
	put_bytes(out, count, 8);
}

/* Writes the sections of encode_kept.c. */
void encode_kept(struct encoder *encoder);

#endif
