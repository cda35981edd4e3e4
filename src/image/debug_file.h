/* SPDX-License-Identifier: MIT */
/*
 * Separate debug files: where they are looked for, and whether a file is the one that was meant.
 *
 * Owns: open debug files. Does not: read what is in them (debug.c), nor ask the network by itself:
 * the search is our own because libdwfl's may call debuginfod. Every candidate is opened without
 * blocking, must be a regular file, and is taken only if its build-id is the wanted one (else,
 * where it or the image has none, if its CRC is the one the debuglink states). Called by: debug.c,
 * in its thread.
 */
#ifndef IMAGE_DEBUG_FILE_H
#define IMAGE_DEBUG_FILE_H

#include <libelf.h>

#include "image/debug_server.h"
#include "image/private.h"

struct debug_file {
	int fd;
	Elf *elf;
	char *path;
	char *directory; /* where it was found */
};

/* The debug file of the image, by build-id, then by .gnu_debuglink; NULL if there is none. */
struct error *debug_file_find(const struct image *image, struct debug_file **ret);

/*
 * The file that dwz moved common debug information to: by build-id, then by name (of which only the
 * last component is believed) beside the file that refers to it and in the .dwz directories. NULL
 * if there is none.
 */
struct error *debug_file_find_alternate(const struct image *image, const char *directory,
					const char *name, const void *build_id,
					size_t build_id_count, struct debug_file **ret);

void debug_file_destroy(struct debug_file *file);

/*
 * The debug file of that build-id from a server; NULL if it has none, or what came is another
 * file. Errors: of debug_server_fetch.
 */
struct error *debug_file_fetch(const struct image *image, struct debug_server *server,
			       const void *build_id, size_t build_id_count,
			       struct debug_file **ret);

/* The directory part of path, "." if it has none. A new string. */
struct error *debug_file_directory(const char *path, char **ret);

#endif
