/* SPDX-License-Identifier: MIT */
/*
 * Call frame information, read from the bytes of `.eh_frame` (LSB 5.0 core, 10.6) or `.debug_frame`
 * (DWARF 5, 6.4) by our own reader and interpreter.
 *
 * cfi_entry.c: CIEs and FDEs.    cfi_program.c: the rows of an FDE as unwind rules.
 * Called by: cfi.c alone, which says where the bytes are and makes the table of the rows.
 */
#ifndef IMAGE_CFI_H
#define IMAGE_CFI_H

#include "base/error.h"
#include "image/cursor.h"
#include "unwind/table.h"

/* The column that stands for the return address on x86-64: psABI figure 3.36. */
enum { CFI_RETURN_REGISTER = 16 };

struct cfi_section {
	const uint8_t *bytes; /* must live as long as the entries read from it */
	size_t count;
	uint64_t address; /* where it is loaded; 0 for .debug_frame */
	uint64_t bias;	  /* to be taken from the addresses it states */
	bool debug_frame;
};

/* What many FDEs have in common. */
struct cfi_common {
	size_t offset; /* in its section */
	uint64_t code_alignment;
	int64_t data_alignment;
	uint8_t encoding; /* DW_EH_PE_*, of its FDEs' addresses */
	bool augmented;	  /* its FDEs have augmentation data */
	bool signal;
	const uint8_t *program;
	size_t program_bytes;
};

/* An FDE. Invariant: start < end; common is an index into the commons of the same list. */
struct cfi_entry {
	uint64_t start; /* image address */
	uint64_t end;
	const struct cfi_section *section;
	const uint8_t *program;
	size_t program_bytes;
	size_t common;
};

/* Invariant: the commons of one section are sorted by offset. */
struct cfi_entries {
	struct cfi_common *commons;
	size_t commons_count;
	size_t commons_capacity;
	struct cfi_entry *entries;
	size_t count;
	size_t capacity;
};

void cfi_entries_deinit(struct cfi_entries *entries);

/*
 * Appends the FDEs of a section, in its order. Entries that are malformed, use indirect pointers,
 * another return column or an unknown augmentation are left out, and what follows a malformed
 * length is not read: an image with a broken corner is still unwound elsewhere. Errors: out of
 * memory only.
 */
struct error *cfi_entries_read(struct cfi_entries *entries, const struct cfi_section *section);

/*
 * An encoded pointer (DW_EH_PE_*, LSB 5.0 core, 10.5.1) that stands in section at the cursor; fails
 * the cursor for indirect ones and those relative to anything but nothing or themselves.
 */
uint64_t cfi_pointer_read(struct cursor *cursor, const struct cfi_section *section,
			  uint8_t encoding);

/* Called with the packed rule that holds from address on, in ascending order of addresses. */
typedef struct error *cfi_row_function(void *context, uint64_t address, uint32_t rule);

/*
 * Interprets an entry's program and calls row for each of its rows. What the compact format cannot
 * say, and everything from a malformed instruction on, becomes a row of kind UNSUPPORTED.
 */
struct error *cfi_program_run(const struct cfi_entry *entry, const struct cfi_common *common,
			      cfi_row_function *row, void *context);

#endif
