/* SPDX-License-Identifier: MIT */
/*
 * Where what stands in a snapshot file: sizes and numbers of tracealloc-snapshot(5). Integers are
 * little-endian and stand without padding other than what is named.
 *
 * A reader takes records that are longer than it knows (their ends are of a later tracealloc) and
 * passes by sections that it does not know; what means something else needs a new version.
 * Private to this folder.
 */
#ifndef SNAPSHOT_LAYOUT_H
#define SNAPSHOT_LAYOUT_H

#include <stdint.h>

/* The header, of the same shape in all versions. */
enum {
	LAYOUT_VERSION = 1,
	LAYOUT_MAGIC_BYTES = 8,
	LAYOUT_AT_VERSION = 8,
	LAYOUT_AT_FLAGS = 12,
	LAYOUT_AT_BODY_BYTES = 16,
	LAYOUT_AT_FRAME_BYTES = 24,
	LAYOUT_AT_FRAME_CRC = 32,
	LAYOUT_AT_HEADER_CRC = 40,
	LAYOUT_HEADER_BYTES = 48,
};
#define LAYOUT_MAGIC "\x89TASN\r\n\x1a"

/*
 * The largest body, and how much larger than its compressed form it may be: what says more is made
 * to exhaust memory.
 */
static const uint64_t layout_body_max_bytes = UINT64_C(1) << 32;
static const uint64_t layout_body_free_bytes = UINT64_C(1) << 24;
static const uint64_t layout_body_ratio = 4096;

static inline uint64_t layout_body_limit(uint64_t frame_bytes)
{
	uint64_t limit = layout_body_free_bytes;
	if (frame_bytes >= layout_body_max_bytes / layout_body_ratio)
		return layout_body_max_bytes;
	limit += frame_bytes * layout_body_ratio;
	return limit < layout_body_max_bytes ? limit : layout_body_max_bytes;
}

/* A section: its tag, the bytes of a record, the number of records; then the records. */
enum {
	LAYOUT_SECTION_TAG_BYTES = 4,
	LAYOUT_SECTION_AT_RECORD_BYTES = 4,
	LAYOUT_SECTION_AT_COUNT = 8,
	LAYOUT_SECTION_BYTES = 16,
};

/* In the order in which they are written. From LAYOUT_OPTIONAL on they may be missing. */
enum layout_section {
	LAYOUT_STRINGS,
	LAYOUT_SESSION,
	LAYOUT_COMMAND,
	LAYOUT_PROCESSES,
	LAYOUT_PROBES,
	LAYOUT_MODULES,
	LAYOUT_BLIND_MODULES,
	LAYOUT_FRAMES,
	LAYOUT_STACKS,
	LAYOUT_SITES,
	LAYOUT_TIMELINE,
	LAYOUT_SOURCE,
	LAYOUT_DETAIL_POINTS,
	LAYOUT_DETAIL_SITES,
	LAYOUT_KEPT,
	LAYOUT_THREADS,
	LAYOUT_TRAITS,
	LAYOUT_AGES,
	LAYOUT_SIZES,
	LAYOUT_LIFETIMES,
	LAYOUT_SCAN,
	LAYOUT_UNREACHABLE,
	LAYOUT_HEAP,
	LAYOUT_MARKS,
	LAYOUT_INNER_PIDS,
	LAYOUT_MAPPINGS,
	LAYOUT_SECTIONS,
	LAYOUT_OPTIONAL = LAYOUT_DETAIL_POINTS,
};

struct layout_row {
	char tag[LAYOUT_SECTION_TAG_BYTES + 1];
	uint32_t record_bytes;
};

static const struct layout_row layout_rows[LAYOUT_SECTIONS] = {
	[LAYOUT_STRINGS] = {"STRS", 1},	       [LAYOUT_SESSION] = {"SESS", 264},
	[LAYOUT_COMMAND] = {"ARGV", 4},	       [LAYOUT_PROCESSES] = {"PROC", 32},
	[LAYOUT_PROBES] = {"PROB", 20},	       [LAYOUT_MODULES] = {"MODU", 8},
	[LAYOUT_BLIND_MODULES] = {"BLND", 16}, [LAYOUT_FRAMES] = {"FRAM", 36},
	[LAYOUT_STACKS] = {"STAK", 4},	       [LAYOUT_SITES] = {"SITE", 124},
	[LAYOUT_TIMELINE] = {"TIME", 24},      [LAYOUT_SOURCE] = {"SRCE", 12},
	[LAYOUT_DETAIL_POINTS] = {"DTLP", 28}, [LAYOUT_DETAIL_SITES] = {"DTLS", 20},
	[LAYOUT_KEPT] = {"KEPT", 4},	       [LAYOUT_THREADS] = {"THRD", 12},
	[LAYOUT_TRAITS] = {"TRAI", 24},	       [LAYOUT_AGES] = {"AGES", 36},
	[LAYOUT_SIZES] = {"SIZE", 48},	       [LAYOUT_LIFETIMES] = {"LIFE", 32},
	[LAYOUT_SCAN] = {"SCAN", 24},	       [LAYOUT_UNREACHABLE] = {"LOST", 36},
	[LAYOUT_HEAP] = {"HEAP", 76},	       [LAYOUT_MARKS] = {"MARK", 24},
	[LAYOUT_INNER_PIDS] = {"NSPD", 4},     [LAYOUT_MAPPINGS] = {"MAPS", 1},
};

/* Flags of records. */
enum {
	LAYOUT_PROCESS_EXITED = 1,
	LAYOUT_PROCESS_SIGNALLED = 2,
	LAYOUT_FRAME_INLINED = 1,
	LAYOUT_SITE_TRUNCATED = 1,
	LAYOUT_HEAP_BEFORE_KNOWN = 1,
	LAYOUT_HEAP_KNOWN = 2,
};

#endif
