/* SPDX-License-Identifier: MIT */
/*
 * Addresses and ids with types of their own, so that the compiler refuses to mix them.
 *
 * Owns: the wrappers. Does not: give them out (each id is issued by the module named beside it).
 * May be used by: everyone, from any thread.
 */
#ifndef BASE_TYPES_H
#define BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A virtual address in a target's address space. Never a pointer of ours. */
typedef struct {
	uint64_t v;
} target_addr;

/* A virtual address as an ELF file states it (before the load bias is added). */
typedef struct {
	uint64_t v;
} image_addr;

/* An address space of a target (one mm: a process with its vfork children). Issued by session. */
typedef struct {
	uint32_t v;
} space_id;

/* One distinct stack that allocated. Issued by stack/interner. Dense, from 0. */
typedef struct {
	uint32_t v;
} site_id;

/* An ELF image known to this session. Issued by stack/registry. Dense, from 1; 0 is "no file". */
typedef struct {
	uint32_t v;
} image_id;

static inline target_addr target_addr_add(target_addr address, int64_t bytes)
{
	return (target_addr){address.v + (uint64_t)bytes};
}

static inline image_addr image_addr_add(image_addr address, int64_t bytes)
{
	return (image_addr){address.v + (uint64_t)bytes};
}

#endif
