/* SPDX-License-Identifier: MIT */
/*
 * Threads that load, use and unload shared objects all the time. loaders ROUNDS FILE...: a thread a
 * file (special/module.c). Prints "ok BLOCKS": made by the modules' own line.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "special/module.h"

enum { THREADS_MAX = 8 };

static long rounds;
static atomic_long blocks;

static void *load_and_use(void *file)
{
	for (long i = 0; i < rounds; i++) {
		void *module = dlopen(file, RTLD_NOW);
		module_work_fn *work =
			module ? (module_work_fn *)(uintptr_t)dlsym(module, "module_work") : NULL;

		if (!work)
			_exit(3);
		blocks += work((int)(i % 20));
		dlclose(module);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];
	int count = argc - 2;

	if (count < 1 || count > THREADS_MAX)
		return 2;
	rounds = atol(argv[1]);
	for (int i = 0; i < count; i++)
		pthread_create(&threads[i], NULL, load_and_use, argv[2 + i]);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	printf("ok %ld\n", blocks);
	return 0;
}
