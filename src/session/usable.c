/* SPDX-License-Identifier: MIT */
#include "session/usable.h"

#include <stddef.h>
#include <string.h>

enum {
	CHUNK_ALIGNMENT = 16,
	CHUNK_HEADER = 8,
	CHUNK_LEAST = 32,
	MAPPED_HEADER = 16,
	PAGE = 4096,
	/* glibc maps no smaller chunk by itself, unless it is told to (mallopt(3)). */
	MAPPED_LEAST = 128 << 10,
};

static const uint64_t size_max_bytes = UINT64_C(1) << 48; /* as the ledger has it */

static uint64_t rounded_up(uint64_t bytes, uint64_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

uint32_t usable_waste(uint64_t address, uint64_t size_bytes)
{
	if (size_bytes > size_max_bytes)
		return 0;
	uint64_t chunk = rounded_up(size_bytes + CHUNK_HEADER, CHUNK_ALIGNMENT);
	if (chunk >= MAPPED_LEAST && address % PAGE == MAPPED_HEADER)
		return (uint32_t)(rounded_up(chunk + CHUNK_HEADER, PAGE) - MAPPED_HEADER -
				  size_bytes);
	if (chunk < CHUNK_LEAST)
		chunk = CHUNK_LEAST;
	return (uint32_t)(chunk - CHUNK_HEADER - size_bytes);
}

bool usable_is_known(const char *soname, const char *function)
{
	static const char *const functions[] = {
		"malloc",	  "calloc", "realloc", "reallocarray", "memalign", "aligned_alloc",
		"posix_memalign", "valloc", "pvalloc", "free",	       "cfree",
	};
	if (!soname || strcmp(soname, "libc.so.6") != 0)
		return false;
	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
		if (strcmp(function, functions[i]) == 0)
			return true;
	return false;
}
