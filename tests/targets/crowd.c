/* SPDX-License-Identifier: MIT */
/*
 * Threads that allocate all the time, or sleep, until standard input ends.
 *
 * usage: crowd busy|asleep COUNT
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *work(void *context)
{
	(void)context;
	for (;;) {
		void *volatile block = malloc(64);
		free(block);
	}
	return NULL;
}

static void *rest(void *context)
{
	pause();
	return context;
}

int main(int argc, char **argv)
{
	long count = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
	if (count < 1 || (strcmp(argv[1], "busy") != 0 && strcmp(argv[1], "asleep") != 0)) {
		fprintf(stderr, "usage: crowd busy|asleep COUNT\n");
		return 2;
	}
	for (long i = 0; i < count; i++) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, argv[1][0] == 'b' ? work : rest, NULL) != 0)
			return 1;
	}
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
