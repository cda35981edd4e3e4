/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: what is known of one image before anything of it is probed.
 *
 * Owns: nothing; adds to the findings of a look at a process or at a program. Tracer thread.
 */
#ifndef SESSION_EXAMINE_IMAGE_H
#define SESSION_EXAMINE_IMAGE_H

#include "session/session.h"

struct image;

/* Adds a function. Strings are copied, but for kind. Errors: no memory. */
struct error *examine_function(const char *function, const struct image *image, const char *kind,
			       const char *reason, struct session_findings *ret);

/*
 * Adds the functions of the family that the image holds, if any: those it lacks as "missing" and,
 * where asked for, those it has as "found". Errors: no memory.
 */
struct error *examine_family(struct image *image, bool found, struct session_findings *ret);

/* Adds the image with its debug information, which is looked for, and its unwind table. */
struct error *examine_image(struct image *image, struct session_findings *ret);

/* Adds a library that is not where libraries are looked for. */
struct error *examine_absent(const char *name, struct session_findings *ret);

#endif
