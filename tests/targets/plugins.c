/* SPDX-License-Identifier: MIT */
/*
 * plugins FILE...: loads each shared object in turn, lets it work, and unloads it. Its blocks are
 * noted by the host (special/plugin.c says how).
 */
#include <dlfcn.h>

#include "special/plugin.h"
#include "truth.h"

static const struct plugin_host host = {truth_created, truth_released};

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		void *plugin = dlopen(argv[i], RTLD_NOW);

		if (!plugin)
			return 3;
		plugin_work_fn *work = (plugin_work_fn *)(uintptr_t)dlsym(plugin, "plugin_work");
		if (!work)
			return 4;
		work(&host);
		dlclose(plugin);
	}
	truth_print();
	return 0;
}
