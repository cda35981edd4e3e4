/* SPDX-License-Identifier: MIT */
/*
 * Private to remote: the two pieces of the target's own code that a borrowed thread runs.
 *
 * Owns: finding them, in the executable mappings of files (and the vDSO) that cannot be written to,
 * and remembering them in the space. Does not: write anything.
 */
#ifndef TARGET_REMOTE_CODE_H
#define TARGET_REMOTE_CODE_H

#include "target/proc.h"
#include "target/target.h"

/*
 * Fills in remote_call and remote_restore of the space, unless what they say is still there: an
 * unloaded module may have taken them along. Errors: ERROR_UNSUPPORTED if one of the two is
 * nowhere.
 */
struct error *remote_code_find(struct target_space *space, const struct proc_maps *maps);

#endif
