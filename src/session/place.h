/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: which function of which module gets which kind of probe.
 *
 * Owns: finding the functions of the catalogue in modules, the choice between jump and breakpoint,
 * and its reasons. A family goes one way as a whole: what one of its functions calls of the others
 * must be seen by the same kind of probe to be told from the program's own calls. Tracer thread.
 */
#ifndef SESSION_PLACE_H
#define SESSION_PLACE_H

#include "session/space.h"

/* The family whose functions an image holds, NULL if none. */
const struct allocator_family *place_family_of(struct image *image);

/* Where the module has the function; *found_ret false if it does not, or not in this mapping. */
struct error *place_find_entry(const struct module *module, const char *name,
			       target_addr *entry_ret, bool *found_ret);

/* Watches what concerns SIGTRAP: only breakpoints disturb it, so only with them. Idempotent. */
struct error *place_signals(struct session_space *space);

/* Whether an allocator's module has its jumps, planned or written. */
bool place_is_done(const struct session_space *space, const struct module *module,
		   const struct allocator_family *family);

/* Probes a family: by breakpoints at once, or plans jumps for it (space->plans). */
/*
 * Plans a jump in every unwinder of exceptions, if a family of functions that throw is among the
 * modules: that of libgcc then knows the agent's frames. To be called before place_family.
 */
struct error *place_unwinders(struct session_space *space);

struct error *place_family(struct session_space *space, const struct module *module,
			   const struct allocator_family *family);

/*
 * Probes the functions of a module that rules mean, likewise; where they cannot have jumps, no
 * allocator of the space that has none yet gets any.
 */
struct error *place_pools(struct session_space *space, const struct module *module,
			  const struct allocator_family *family);

/*
 * Where the session follows mappings: probes the functions of a module that make them, by
 * breakpoints.
 */
struct error *place_mappings(struct session_space *space, const struct module *module);

/*
 * Probes the dynamic linker's notification where the module has it: by a jump if one may be, so
 * that a program that is started never meets a breakpoint.
 */
struct error *place_linker(struct session_space *space, const struct module *module);

/* Before jumps are written: takes breakpoints out of the places where they will stand. */
struct error *place_make_way(struct session_space *space);

/* The planned jumps are written: they are listed for the report. */
struct error *place_plans_written(struct session_space *space);

/* They cannot be: breakpoints take their place, or nothing where only jumps were wanted. */
struct error *place_plans_refused(struct session_space *space, const char *reason);

#endif
