/* SPDX-License-Identifier: MIT */
/*
 * The source files that one unit names, each path made once.
 *
 * Owns the paths. Does not open the files (source.c does). Called by line_unit.c and lines.c; one
 * thread.
 */
#ifndef IMAGE_LINE_FILES_H
#define IMAGE_LINE_FILES_H

#include "base/error.h"
#include "base/map.h"

/* label points into path. */
struct line_file {
	char *path;
	const char *label;
};

/*
 * Keyed by the place of libdw's string. One table a unit: units compiled in different directories
 * can share such a string, and mean different files by it.
 */
struct line_files {
	char *directory; /* DW_AT_comp_dir, normalised; NULL: unknown */
	struct map files;
};

/* directory may be NULL and is copied. Errors: out of memory; files can be ended all the same. */
struct error *line_files_init(struct line_files *files, const char *directory);
void line_files_deinit(struct line_files *files);

/*
 * The file that libdw calls path. Its full path begins with the unit's directory where path is
 * relative, and has no "//" and "/./" in it; ".." is kept, as it may lead through a symbolic link.
 * label is what follows the unit's directory if the file lies below it, else all of the path.
 * Errors: out of memory.
 */
struct error *line_files_find(struct line_files *files, const char *path,
			      const struct line_file **ret);

#endif
