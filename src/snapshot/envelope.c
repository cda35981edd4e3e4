/* SPDX-License-Identifier: MIT */
/* What stands around the body of a snapshot file: header, compression, checksums. */
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "snapshot/body.h"
#include "snapshot/checksum.h"
#include "snapshot/file.h"
#include "snapshot/layout.h"

/* Beyond it time grows faster than files shrink. */
enum { COMPRESSION_LEVEL = 9 };

static void put(uint8_t *at, uint64_t value, size_t count)
{
	for (size_t i = 0; i < count; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get(const uint8_t *at, size_t count)
{
	uint64_t value = 0;
	for (size_t i = 0; i < count; i++)
		value |= (uint64_t)at[i] << 8 * i;
	return value;
}

static void make_header(const void *frame, uint64_t frame_bytes, uint64_t body_bytes,
			uint8_t header[LAYOUT_HEADER_BYTES])
{
	memcpy(header, LAYOUT_MAGIC, LAYOUT_MAGIC_BYTES);
	put(header + LAYOUT_AT_VERSION, LAYOUT_VERSION, 4);
	put(header + LAYOUT_AT_FLAGS, 0, 4);
	put(header + LAYOUT_AT_BODY_BYTES, body_bytes, 8);
	put(header + LAYOUT_AT_FRAME_BYTES, frame_bytes, 8);
	put(header + LAYOUT_AT_FRAME_CRC, checksum_crc64(frame, frame_bytes), 8);
	put(header + LAYOUT_AT_HEADER_CRC, checksum_crc64(header, LAYOUT_AT_HEADER_CRC), 8);
}

struct error *file_encode(const struct snapshot *snapshot, struct buffer *out)
{
	_cleanup_buffer_ struct buffer body = {0};
	struct error *err = body_encode(snapshot, &body);
	if (err)
		return err;
	size_t room = ZSTD_compressBound(body.count);
	_cleanup_free_ uint8_t *frame = malloc(room);
	if (!frame)
		return error_no_memory();
	size_t frame_bytes = ZSTD_compress(frame, room, body.bytes, body.count, COMPRESSION_LEVEL);
	if (ZSTD_isError(frame_bytes))
		return error_no_memory();
	if (body.count > layout_body_limit(frame_bytes))
		return error_new(ERROR_UNSUPPORTED, "it is too large for a snapshot: %zu bytes",
				 body.count);
	uint8_t header[LAYOUT_HEADER_BYTES];
	make_header(frame, frame_bytes, body.count, header);
	buffer_append(out, header, sizeof header);
	buffer_append(out, frame, frame_bytes);
	return buffer_failed(out) ? error_no_memory() : NULL;
}

static struct error *check_header(const uint8_t *header, size_t count)
{
	size_t magic_bytes = count < LAYOUT_MAGIC_BYTES ? count : LAYOUT_MAGIC_BYTES;
	if (!count || memcmp(header, LAYOUT_MAGIC, magic_bytes) != 0)
		return error_new(ERROR_BAD_INPUT, "it is no snapshot of tracealloc");
	if (count < LAYOUT_HEADER_BYTES)
		return error_new(ERROR_BAD_INPUT, "it is cut off after %zu bytes", count);
	if (get(header + LAYOUT_AT_HEADER_CRC, 8) != checksum_crc64(header, LAYOUT_AT_HEADER_CRC))
		return error_new(ERROR_BAD_INPUT, "it is damaged: the checksum of its header");
	uint64_t version = get(header + LAYOUT_AT_VERSION, 4);
	if (version > LAYOUT_VERSION || get(header + LAYOUT_AT_FLAGS, 4))
		return error_new(ERROR_UNSUPPORTED,
				 "its version is %llu, a newer one than this tracealloc reads (%d)",
				 (unsigned long long)version, LAYOUT_VERSION);
	if (version == 0)
		return error_new(ERROR_BAD_INPUT, "it is damaged: its version is 0");
	return NULL;
}

/* What follows the header is one frame, as long as it says and as it was written. */
static struct error *check_frame(const uint8_t *header, size_t count)
{
	uint64_t frame_bytes = get(header + LAYOUT_AT_FRAME_BYTES, 8);
	uint64_t there = count - LAYOUT_HEADER_BYTES;
	if (there < frame_bytes)
		return error_new(ERROR_BAD_INPUT, "it is cut off: %llu bytes of %llu are missing",
				 (unsigned long long)(frame_bytes - there),
				 (unsigned long long)frame_bytes);
	if (there > frame_bytes)
		return error_new(ERROR_BAD_INPUT, "it is damaged: %llu bytes too many",
				 (unsigned long long)(there - frame_bytes));
	if (get(header + LAYOUT_AT_FRAME_CRC, 8) !=
	    checksum_crc64(header + LAYOUT_HEADER_BYTES, frame_bytes))
		return error_new(ERROR_BAD_INPUT, "it is damaged: the checksum of its contents");
	if (get(header + LAYOUT_AT_BODY_BYTES, 8) > layout_body_limit(frame_bytes))
		return error_new(ERROR_BAD_INPUT, "it is damaged: %llu bytes from %llu",
				 (unsigned long long)get(header + LAYOUT_AT_BODY_BYTES, 8),
				 (unsigned long long)frame_bytes);
	return NULL;
}

struct error *file_decode(const void *bytes, size_t count, struct snapshot **ret)
{
	const uint8_t *header = bytes;
	struct error *err = check_header(header, count);
	if (!err)
		err = check_frame(header, count);
	if (err)
		return err;
	uint64_t body_bytes = get(header + LAYOUT_AT_BODY_BYTES, 8);
	_cleanup_free_ uint8_t *body = malloc(body_bytes + 1);
	if (!body)
		return error_no_memory();
	size_t got = ZSTD_decompress(body, body_bytes, header + LAYOUT_HEADER_BYTES,
				     count - LAYOUT_HEADER_BYTES);
	if (ZSTD_isError(got) || got != body_bytes)
		return error_new(ERROR_BAD_INPUT, "it is damaged: its contents do not decompress");
	return body_decode(body, body_bytes, ret);
}
