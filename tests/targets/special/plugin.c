/* SPDX-License-Identifier: MIT */
/*
 * A shared object that allocates as soon as it is loaded (its constructor runs inside dlopen) and
 * when it is asked to work. Compiled with -DPADDING=N to get objects of different layout.
 */
#include "plugin.h"

#include <stdlib.h>

plugin_work_fn plugin_work;

static void *early;
static int early_line;

/* Shifts what follows, so that two builds differ in every address. */
__attribute__((used)) static const char padding[PADDING] = {1};
__attribute__((used)) static void shift(void)
{
	__asm__ volatile(".skip "
			 "%c0"
			 ", 0x90"
			 :
			 : "i"(PADDING));
}

__attribute__((constructor)) static void load(void)
{
	early = malloc(5000 + PADDING);
	early_line = __LINE__ - 1;
}

void plugin_work(const struct plugin_host *host)
{
	host->created(early, 5000 + PADDING, __FILE__, early_line);
	for (size_t i = 1; i <= 20; i++) {
		void *block = malloc(10 * i);
		host->created(block, 10 * i, __FILE__, __LINE__ - 1);
		if (i % 2) {
			host->released((uintptr_t)block);
			free(block);
		}
	}
	host->released((uintptr_t)early);
	free(early);
}
