/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: how many bytes of a block can be used beyond those asked for, which
 * glibc's malloc says by its rule of chunk sizes.
 *
 * A chunk has a header of 8 bytes that counts; its size is a multiple of 16, at least 32 (glibc,
 * malloc/malloc.c: request2size). One that was mapped by itself fills whole pages, with a header of
 * 16 bytes, so its block stands 16 bytes into a page (sysmalloc_mmap). It is the least that is
 * wasted: a chunk may be larger because what would be left of a free one is too small for a chunk,
 * or because a block was shrunk by a little.
 *
 * Pure. Called by: traits.c and freeze_kept.c.
 */
#ifndef SESSION_USABLE_H
#define SESSION_USABLE_H

#include <stdbool.h>
#include <stdint.h>

/* What is wasted of a block that glibc's malloc placed at this address. */
uint32_t usable_waste(uint64_t address, uint64_t size_bytes);

/* Whether a function of the library with this soname (NULL: none) is glibc's malloc's. */
bool usable_is_known(const char *soname, const char *function);

#endif
