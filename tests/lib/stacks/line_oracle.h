/* SPDX-License-Identifier: MIT */
/*
 * What an addr2line tool says of the code at addresses of an ELF file.
 *
 * Owns: the tool's process and the chain it has printed last. Called by: suites, from their one
 * thread, which traces nothing meanwhile. Failures end the test (ck_abort_msg).
 */
#ifndef LIB_LINE_ORACLE_H
#define LIB_LINE_ORACLE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/scratch.h"

struct line_oracle_position {
	char *function; /* as printed: "??" if unknown */
	char *file;	/* without "//" and "/./"; "??" if unknown */
	unsigned int line;
};

/* Invariant: `next` is the line after the chain, read already; empty at the end of the output. */
struct line_oracle {
	const char *tool;
	FILE *output;
	char *next;
	size_t next_bytes;
	struct line_oracle_position *positions; /* innermost inlined call first */
	size_t count, capacity;
};

/* Starts the tool (eu-addr2line, or another with its options) on these addresses of the file. */
void line_oracle_start(const struct scratch *scratch, const char *tool, const char *file,
		       const uint64_t *addresses, size_t count, struct line_oracle *ret);

/* Reads the chain of the next address, which the caller knows. */
void line_oracle_next(struct line_oracle *oracle, uint64_t address);

/* Ends it. Nothing may be left unread. */
void line_oracle_end(struct line_oracle *oracle);

#endif
