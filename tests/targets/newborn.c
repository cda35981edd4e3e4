/* SPDX-License-Identifier: MIT */
/*
 * Threads that are born, allocate a little and end, as fast as they can be made, until standard
 * input ends. Says "ready", and at the end "ok BIRTHS".
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "brief.h"

enum { PARALLEL = 4 };

static atomic_bool stopping;
static atomic_long births;

static void *live(void *unused)
{
	use_briefly(100);
	return unused;
}

static void *give_birth(void *unused)
{
	pthread_t thread;

	while (!stopping) {
		if (pthread_create(&thread, NULL, live, NULL) != 0)
			_exit(99);
		pthread_join(thread, NULL);
		births++;
	}
	return unused;
}

int main(void)
{
	pthread_t threads[PARALLEL];
	char text[64], byte;

	for (int i = 0; i < PARALLEL; i++)
		pthread_create(&threads[i], NULL, give_birth, NULL);
	if (write(1, "ready\n", 6) != 6)
		return 1;
	while (read(0, &byte, 1) > 0)
		continue;
	stopping = true;
	for (int i = 0; i < PARALLEL; i++)
		pthread_join(threads[i], NULL);
	int length = snprintf(text, sizeof(text), "ok %ld\n", births);
	return write(1, text, (size_t)length) == length ? 0 : 1;
}
