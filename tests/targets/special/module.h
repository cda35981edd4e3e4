/* SPDX-License-Identifier: MIT */
/* A shared object that allocates behind some frames of its own (module.c). */
#ifndef TARGETS_SPECIAL_MODULE_H
#define TARGETS_SPECIAL_MODULE_H

/* Makes blocks at the end of so many calls in each other. Returns how many. */
typedef int module_work_fn(int depth);

#endif
