/* SPDX-License-Identifier: MIT */
/*
 * Where a report or a snapshot goes: a standard stream, or a file that appears under its name only
 * when it is whole.
 *
 * A file is written under a temporary name in the same directory and renamed at the end, so that an
 * older file of the name stays until the new one is complete. What exists and is no regular file
 * (a terminal, a pipe, /dev/null) is written in place: renaming would replace the device itself.
 * Does not: know what is written. Private to cli; main thread (output_write: any).
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stddef.h>

#include "base/error.h"

/* temporary != NULL implies path != NULL and fd >= 0: the file is not yet under its name. */
struct output {
	const char *noun; /* what is written, for messages: "report" */
	int fd;
	const char *path; /* as the user gave it, borrowed; NULL: fd is a standard stream */
	char *temporary;
};

/*
 * Opens path for a noun ("report", "snapshot"), or takes standard_fd where path is NULL. Errors:
 * ERROR_SYSTEM, or ERROR_UNSUPPORTED for a symbolic link to a file (following it could overwrite
 * what somebody else pointed it to). A path's file is created with the mode the umask leaves of
 * 0666; descriptors are close-on-exec.
 */
struct error *output_open(const char *noun, const char *path, int standard_fd, struct output *ret);

/*
 * Writes the whole text and puts it under its name, after fsync(2) where it is a file. A standard
 * stream whose reader has gone (EPIPE) is no error: it has read what it wanted. Call at most once.
 */
struct error *output_finish(struct output *output, const char *text, size_t count);

/* Closes; removes an unfinished file. */
void output_deinit(struct output *output);

/* Writes all of it, through interruptions and full non-blocking pipes. ERROR_SYSTEM. */
struct error *output_write(int fd, const char *text, size_t count);

#define _cleanup_output_ __attribute__((__cleanup__(output_deinit)))

#endif
