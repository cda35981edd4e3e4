/* SPDX-License-Identifier: MIT */
/*
 * Asks for the time again and again, which is answered by code that no file holds (vdso(7)), while
 * a handler that interrupts it allocates. Ends after 200 signals.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

enum { SIGNALS = 200 };

static volatile sig_atomic_t count;

static void on_signal(int signal)
{
	(void)signal;
	free(malloc(77));
	count++;
}

int main(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct itimerval often = {{0, 1000}, {0, 1000}};
	struct timespec now;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	while (count < SIGNALS)
		clock_gettime(CLOCK_MONOTONIC, &now);
	return 0;
}
