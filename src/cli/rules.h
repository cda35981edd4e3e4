/* SPDX-License-Identifier: MIT */
/*
 * Files of rules (--alloc-file).
 *
 * Does not: know their grammar (allocator/rule.h does). Private to cli; main thread.
 */
#ifndef CLI_RULES_H
#define CLI_RULES_H

#include "allocator/rule.h"

/*
 * Adds the rules of a file. ERROR_USAGE where it cannot be read, is no regular file, is larger than
 * 1 MiB, or holds what is no rule; the message names the file, and line and column where it can.
 */
struct error *rules_read(const char *path, struct allocator_rules *rules);

#endif
