/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: the functions of modules that the user's rules mean (--alloc).
 *
 * Owns: a family of functions an image, made when it is first asked for and kept for the session,
 * and how many functions each rule has met. Does not: probe them (place.c). Tracer thread.
 */
#ifndef SESSION_POOLS_H
#define SESSION_POOLS_H

#include "allocator/rule.h"
#include "stack/modules.h"

struct pool_family; /* of one image */

struct pools {
	const struct allocator_rules *rules; /* the user's; NULL: none */
	struct pool_family *items;
	size_t count, capacity;
};

/*
 * What rules mean in a module; NULL: nothing. is_program: it is the process's executable.
 * ERROR_USAGE where a rule cannot be meant so: an address outside of the code, a pattern that means
 * too much.
 */
struct error *pools_family(struct pools *pools, const struct module *module, bool is_program,
			   const struct allocator_family **ret);

/* Whether a family is of rules. */
bool pools_hold(const struct pools *pools, const struct allocator_family *family);

/* The first rule from number *index on that no function was found for, NULL: none; *index goes on.
 */
const struct allocator_rule *pools_next_idle(const struct pools *pools, size_t *index);

void pools_deinit(struct pools *pools);

#endif
