/* SPDX-License-Identifier: MIT */
/*
 * A rule of the user's: which functions of a program give and take blocks of its own pools, and
 * what their arguments mean.
 *
 *     RULE      = [ MODULE ":" ] FUNCTION "(" [ PARAMETER { "," PARAMETER } ] ")" [ "->" RESULT ]
 *     PARAMETER = "size" "=" FACTOR [ "*" FACTOR ] | "ptr" "=" ARGUMENT
 *     FACTOR    = ARGUMENT | NUMBER
 *     RESULT    = "ptr" | "*" ARGUMENT
 *     ARGUMENT  = "arg1" | ... | "arg6"
 *     FUNCTION  = a name or a pattern (fnmatch(3)) | "0x" ADDRESS
 *
 * size and no ptr: it creates; both: it resizes; ptr alone: it releases; neither, and no result:
 * what it calls is not counted.
 *
 * Owns: the grammar. Pure: does not look for functions (session does). Any thread.
 */
#ifndef ALLOCATOR_RULE_H
#define ALLOCATOR_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "allocator/catalogue.h"
#include "base/error.h"

/*
 * Invariants: name is NULL == by_address; function.name is NULL; function.whole.
 */
struct allocator_rule {
	char *text;   /* as the user wrote it */
	char *module; /* pattern; NULL: any module, of an address the program itself */
	char *name;   /* pattern of a function's name, as linked or as it is read in the source */
	bool by_address;
	uint64_t address; /* as the module's file counts */
	struct allocator_function function;
};

/* A list of rules. */
struct allocator_rules {
	struct allocator_rule *items;
	size_t count, capacity;
};

/*
 * Adds the rule in text to the list. ERROR_USAGE "column N: ..." (counted from 1) where it is none;
 * the list is then as it was.
 */
struct error *allocator_rules_add(struct allocator_rules *rules, const char *text);

/*
 * Adds every line of text but empty ones and those that begin with '#'. Errors begin with "line N:
 * column M: ".
 */
struct error *allocator_rules_add_lines(struct allocator_rules *rules, const char *text);

void allocator_rules_deinit(struct allocator_rules *rules);

/*
 * Whether a rule means a module: path is its file; is_program: it is the executable. A pattern
 * without '/' is held against the last part of the path.
 */
bool allocator_rule_means_module(const struct allocator_rule *rule, const char *path,
				 bool is_program);

/*
 * Whether a rule by name means the function that is linked under a name, and reads (demangled) as
 * another, which may be NULL.
 */
bool allocator_rule_means_function(const struct allocator_rule *rule, const char *linkage,
				   const char *readable);

#define _cleanup_allocator_rules_ __attribute__((__cleanup__(allocator_rules_deinit)))

#endif
