/* SPDX-License-Identifier: MIT */
/*
 * Options that are right by themselves and do not go together.
 *
 * Owns: the complaints about them. Does not: read arguments. Private to cli; main thread.
 */
#ifndef CLI_CONFLICTS_H
#define CLI_CONFLICTS_H

#include "cli/options.h"

/*
 * Refuses questions that have no answer in the form they are asked for (ERROR_USAGE), and has the
 * session keep what the others need.
 */
struct error *conflicts_check(struct options *options);

#endif
