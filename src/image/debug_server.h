/* SPDX-License-Identifier: MIT */
/*
 * Debug files from servers that know them by build-id: those of DEBUGINFOD_URLS, asked by elfutils'
 * client library (debuginfod_find_debuginfo(3)), which keeps what it got in a directory of the
 * user's.
 *
 * Owns: the library, which is loaded when the first server is created and is no condition for
 * anything else, and the time that may be spent. Does not: believe what comes (debug_file.c looks
 * at the build-id), nor ask by itself: nothing is fetched while a target waits. One thread at a
 * time.
 */
#ifndef IMAGE_DEBUG_SERVER_H
#define IMAGE_DEBUG_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct debug_server;

/*
 * Told at most about twice a second, and not before a file has taken a second. total_bytes 0: not
 * known.
 */
struct debug_server_progress {
	void (*show)(void *context, const char *name, uint64_t done_bytes, uint64_t total_bytes);
	void *context;
};

/*
 * limit_ns: for all files together. ERROR_USAGE where DEBUGINFOD_URLS names no server,
 * ERROR_UNSUPPORTED where the library is not installed.
 */
struct error *debug_server_create(uint64_t limit_ns, struct debug_server **ret);
void debug_server_destroy(struct debug_server *server);

void debug_server_set_limit(struct debug_server *server, uint64_t limit_ns);

/* Who is told; show NULL: nobody. */
void debug_server_set_progress(struct debug_server *server,
			       const struct debug_server_progress *progress);

/*
 * The debug file of a build-id, open for reading, and its path, a new string; *fd_ret -1: the
 * servers have none. name: of the module, for progress. ERROR_UNSUPPORTED where it failed for
 * another reason or the time was up: it is said once, and from then on the answer is -1.
 */
struct error *debug_server_fetch(struct debug_server *server, const uint8_t *build_id, size_t count,
				 const char *name, int *fd_ret, char **path_ret);

#endif
