/* SPDX-License-Identifier: MIT */
/* What the host of a plugin hands to it: where to note its blocks. */
#ifndef TARGETS_SPECIAL_PLUGIN_H
#define TARGETS_SPECIAL_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

struct plugin_host {
	void *(*created)(void *block, size_t size, const char *file, int line);
	void (*released)(uintptr_t address);
};

typedef void plugin_work_fn(const struct plugin_host *host);

#endif
