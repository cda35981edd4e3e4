/* SPDX-License-Identifier: MIT */
/*
 * What the files of this folder share about an image. Nobody outside src/image and its
 * tests includes it.
 *
 * Owns: the shape of struct image. Each part behind a pointer belongs to the file named beside it,
 * which alone looks inside, makes it on first use and ends it; image_close calls the enders.
 * One thread, as image.h.
 */
#ifndef IMAGE_PRIVATE_H
#define IMAGE_PRIVATE_H

#include <elfutils/libdw.h>
#include <libelf.h>

#include "image/image.h"

struct image_debug;   /* debug.c: the separate debug file, its Dwarf, the mini symbol table */
struct image_symbols; /* symbols.c */
struct image_cfi;     /* cfi.c */
struct image_lines;   /* lines.c */

/*
 * Invariants: fd >= 0 and elf != NULL read the same file, an ELF64 for x86-64, ET_EXEC or ET_DYN;
 * segments[i].file_bytes <= segments[i].memory_bytes; no segment's end wraps around.
 */
struct image {
	char *path;
	int fd;
	Elf *elf;
	char *soname;
	char *interpreter;
	uint8_t build_id[64];
	size_t build_id_count;
	struct image_segment *segments;
	size_t segments_count;

	const char *const *debug_paths; /* options->debug_paths */
	int root_fd; /* O_PATH of options->root, which may vanish with its process; -1: none */
	char *path_in_root; /* NULL: there is no root of its own */

	struct image_debug *debug;
	struct image_symbols *symbols;
	struct image_cfi *cfi;
	struct image_lines *lines;
};

/* Begins reading an ELF file; NULL if libelf cannot. Ended by elf_end, the caller keeps fd open. */
Elf *image_elf_begin(int fd);

/* The executable segment that holds address, NULL if none. */
const struct image_segment *image_code_segment(const struct image *image, image_addr address);

/*
 * The DWARF of the image: its own sections, else those of the separate debug file (by build-id or
 * debuglink, from the network where image_fetch_debug was asked), with the dwz alternate file
 * already set. NULL when there is none, which is no error; asked for again, the answer is the same
 * and free. *bias_ret is what must be added to an image_addr to get an address in that Dwarf (0 but
 * for prelinked files). Owned by the image. Errors: out of memory only.
 */
struct error *image_dwarf(struct image *image, Dwarf **ret, uint64_t *bias_ret);

/* The ELF of the separate debug file, NULL if none; bias as above. Owned by the image. */
struct error *image_debug_elf(struct image *image, Elf **ret, uint64_t *bias_ret);

/* The ELF inside .gnu_debugdata (compressed local symbols), NULL if none. Owned by the image. */
struct error *image_mini_elf(struct image *image, Elf **ret);

/*
 * The section of that name with its bytes in the file (not NOBITS), decompressed; NULL if there is
 * none or it is malformed. Owned by elf. *address_ret may be NULL.
 */
const Elf_Data *image_section(Elf *elf, const char *name, uint64_t *address_ret);

/* The enders, each legal on NULL. */
void image_debug_destroy(struct image_debug *debug);
void image_symbols_destroy(struct image_symbols *symbols);
void image_cfi_destroy(struct image_cfi *cfi);
void image_lines_destroy(struct image_lines *lines);

#endif
