/* SPDX-License-Identifier: MIT */
/*
 * Where debug information and source text are looked for besides the places they name themselves.
 *
 * Owns: the directories of --debug-path, the server of --debuginfod and the prefixes of
 * --source-path. Does not: open debug files (image does). Strings are those of the command line,
 * which must live as long. Private to cli; main thread.
 */
#ifndef CLI_LOOKUP_H
#define CLI_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "image/debug_server.h"
#include "image/image.h"

/* Paths that begin with the first old_bytes of old, as a whole directory, begin with new instead.
 */
struct lookup_move {
	const char *old;
	size_t old_bytes;
	const char *new;
};

/* Told about twice a second how many frames were looked up, once that has taken a second. */
struct lookup_progress {
	void (*show)(void *context, size_t done, size_t total);
	void *context;
};

/* debug_paths is NULL or ends in NULL: debug_paths[debug_count] == NULL. */
struct lookup {
	const char **debug_paths;
	size_t debug_count, debug_capacity;
	struct lookup_move *moves;
	size_t move_count, move_capacity;
	struct debug_server *server;	 /* --debuginfod; NULL: none is asked */
	uint64_t fetch_limit_ns;	 /* --debuginfod-limit; 0: LOOKUP_FETCH_LIMIT_NS */
	struct lookup_progress progress; /* show NULL: nobody is told */
};

#define LOOKUP_FETCH_LIMIT_NS UINT64_C(120000000000)

/* Adds a directory; *ret false, and nothing added, if there is none of that name. Errors: memory.
 */
struct error *lookup_add_debug_path(struct lookup *lookup, const char *directory, bool *ret);

/* Adds OLD=NEW; *ret false, and nothing added, if it has not that form. Errors: no memory. */
struct error *lookup_add_source_path(struct lookup *lookup, const char *text, bool *ret);

/* Debug files are fetched, too. Errors: of debug_server_create. */
struct error *lookup_add_server(struct lookup *lookup);
void lookup_limit_server(struct lookup *lookup, uint64_t limit_ns);

/*
 * Reads a line as image_sources_line does, of the file that the first fitting prefix leads to, else
 * of the file itself, unless only_moved. NULL where there is none. lookup may be NULL.
 */
const char *lookup_source_line(const struct lookup *lookup, struct image_sources *sources,
			       const char *file, uint32_t line, bool only_moved);

void lookup_deinit(struct lookup *lookup);

#endif
