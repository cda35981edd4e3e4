/* SPDX-License-Identifier: MIT */
/*
 * Private to the files place*.c: what those that place breakpoints and those that plan jumps share.
 *
 * place_find.c: functions in modules, and the list for the report.    place_jumps.c: planning
 * jumps.    place.c: breakpoints, and the choice. Tracer thread.
 */
#ifndef SESSION_PLACE_PRIVATE_H
#define SESSION_PLACE_PRIVATE_H

#include "session/place.h"

enum { PLACE_ORDERS = 4 };

/*
 * Releases first, creations last: threads may run meanwhile, and a block whose creation was seen
 * must have its release seen.
 */
extern const enum allocator_role place_order[PLACE_ORDERS];

/* Notes for the report that a function was to be probed; once for each process and kind. */
struct error *place_list_probe(struct session_space *space,
			       const struct allocator_function *function, image_id module,
			       const char *kind, const char *reason);

/*
 * Whether a module has a function that tells what it is. A library's own functions may have common
 * names; a program's are looked for wherever its symbols are, since it may be linked statically.
 */
bool place_has_marker(struct image *image, const char *name);

/* As place_find_entry for a function of a family, which may know its address. */
struct error *place_find_function(const struct module *module,
				  const struct allocator_function *function, target_addr *entry_ret,
				  bool *found_ret);

struct probe_request place_request_of(const struct module *module, enum probe_purpose purpose,
				      const struct allocator_function *function, target_addr entry);

/* Jumps are planned in the module that are not written; family NULL: of no family. */
struct error *place_note_plan(struct session_space *space, const struct module *module,
			      const struct allocator_family *family);

/* Plans jumps for all of a family, or none: ERROR_UNSUPPORTED with the reason. */
struct error *place_plan_family(struct session_space *space, const struct module *module,
				const struct allocator_family *family);

#endif
