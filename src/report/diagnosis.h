/* SPDX-License-Identifier: MIT */
/*
 * What `tracealloc doctor` has found out, as text and as JSON.
 *
 * Owns: the shape of both. Does not: find anything out; whoever fills a diagnosis keeps its
 * strings. Hostile names come out escaped. Called by: cli, from one thread.
 */
#ifndef REPORT_DIAGNOSIS_H
#define REPORT_DIAGNOSIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

struct diagnosis_function {
	const char *function;
	const char *module;
	const char *kind;   /* "jump", "breakpoint", "none", "missing", "found" */
	const char *reason; /* NULL: there is nothing to say */
};

/* absent: a library that was not found, of which nothing but the name is known. */
struct diagnosis_module {
	const char *path;
	const char *build_id;	/* hex, NULL: none */
	const char *debug_file; /* the separate one, NULL: none */
	bool lines;
	bool absent;
	size_t unwind_rows;
};

/* What may be done here. */
struct diagnosis_permission {
	const char *what;
	const char *reason; /* what forbids it, NULL: it is permitted */
	const char *remedy; /* what grants it */
};

/* Of a program that does not run (which can have no leftovers) or of a process. */
struct diagnosis {
	const struct diagnosis_function *functions;
	size_t function_count;
	const struct diagnosis_module *modules;
	size_t module_count;
	uint32_t pid;
	const char *program; /* NULL: it is of a process */
	size_t leftovers;    /* jumps of a session that was killed */
	size_t removed;	     /* of them */
};

/* What may be done here and how to get it where it may not; alone where permissions are all. */
void diagnosis_permissions_text(const struct diagnosis_permission *permissions, size_t count,
				bool contained, struct buffer *out);

/* Likewise as one JSON object and a newline. Errors: no memory. */
struct error *diagnosis_permissions_json(const struct diagnosis_permission *permissions,
					 size_t count, bool contained, struct buffer *out);

/* Functions by module with what each lacks; then modules with their debug information. */
void diagnosis_text(const struct diagnosis *diagnosis, struct buffer *out);

/* One JSON object and a newline; what is not known is null. Errors: no memory. */
struct error *diagnosis_json(const struct diagnosis *diagnosis, struct buffer *out);

#endif
