/* SPDX-License-Identifier: MIT */
/*
 * Counts queued real-time signals and checks payload and order while two threads allocate. Says
 * "ready", takes SIGRTMIN with payloads 0, 1, 2 ... until the payload is -1, then prints
 * "received N disorder D", where D counts payloads that were not the next one.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "brief.h"

static atomic_int received, disorder, done;

static void take(int signal, siginfo_t *info, void *context)
{
	int payload = info->si_value.sival_int;

	(void)signal;
	(void)context;
	if (info->si_code != SI_QUEUE)
		atomic_fetch_add(&disorder, 1);
	if (payload == -1) {
		done = 1;
		return;
	}
	if (payload != atomic_fetch_add(&received, 1))
		atomic_fetch_add(&disorder, 1);
}

static void *allocate(void *unused)
{
	(void)unused;
	while (!done)
		use_briefly(300);
	return NULL;
}

int main(void)
{
	struct sigaction action = {.sa_sigaction = take, .sa_flags = SA_SIGINFO | SA_RESTART};
	pthread_t thread;
	sigset_t taken;
	char text[64];

	sigaction(SIGRTMIN, &action, NULL);
	/* One thread takes them all, so their order is defined. */
	sigemptyset(&taken);
	sigaddset(&taken, SIGRTMIN);
	pthread_sigmask(SIG_BLOCK, &taken, NULL);
	pthread_create(&thread, NULL, allocate, NULL);
	pthread_sigmask(SIG_UNBLOCK, &taken, NULL);
	if (write(1, "ready\n", 6) != 6)
		return 1;
	allocate(NULL);
	pthread_join(thread, NULL);
	int length = snprintf(text, sizeof(text), "received %d disorder %d\n", received, disorder);
	return write(1, text, (size_t)length) == length ? 0 : 1;
}
