/* SPDX-License-Identifier: MIT */
/*
 * Every way a program may use SIGTRAP for itself. sigtrap MODE [WAIT]: "handled" (raise and own
 * int3 instructions reach the program's handler), "blocked" (a thread blocks it and allocates),
 * "ignored", "blocked-handled", "default" (dies of its own int3). With WAIT it says "ready" and
 * waits for the end of standard input in the middle, and goes on allocating. Prints "ok" or what
 * was wrong.
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 200 };

static volatile sig_atomic_t raised, trapped;
static bool waits;

static void say(const char *text)
{
	if (write(1, text, strlen(text)) < 0)
		_exit(98);
}

static void wrong(const char *what)
{
	say(what);
	_exit(1);
}

static void take(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	if (info->si_code == SI_TKILL)
		raised++;
	else
		trapped++;
}

static void allocate(void)
{
	void *volatile block = malloc(64);

	block = realloc(block, 128);
	free(block);
}

static void wait_in_the_middle(int round)
{
	char byte;

	if (!waits || round != ROUNDS / 2)
		return;
	say("ready\n");
	while (read(0, &byte, 1) > 0)
		continue;
}

static void handle(void)
{
	struct sigaction action = {.sa_sigaction = take, .sa_flags = SA_SIGINFO};

	sigaction(SIGTRAP, &action, NULL);
}

static void expect_handled(void)
{
	struct sigaction action;

	sigaction(SIGTRAP, NULL, &action);
	if (action.sa_sigaction != take)
		wrong("the handler is gone\n");
}

static void run_handled(void)
{
	handle();
	for (int round = 1; round <= ROUNDS; round++) {
		wait_in_the_middle(round);
		allocate();
		raise(SIGTRAP);
		__asm__ volatile("int3");
		allocate();
		if (raised != round || trapped != round)
			wrong("a trap of the program's own was lost or doubled\n");
		expect_handled();
	}
}

static void block_it(void)
{
	sigset_t trap;

	sigemptyset(&trap);
	sigaddset(&trap, SIGTRAP);
	pthread_sigmask(SIG_BLOCK, &trap, NULL);
}

static void *allocate_blocked(void *unused)
{
	sigset_t now;

	(void)unused;
	block_it();
	for (int round = 1; round <= ROUNDS; round++) {
		wait_in_the_middle(round);
		allocate();
		pthread_sigmask(SIG_SETMASK, NULL, &now);
		if (!sigismember(&now, SIGTRAP))
			wrong("SIGTRAP is no longer blocked\n");
	}
	return NULL;
}

static void run_blocked(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, allocate_blocked, NULL);
	pthread_join(thread, NULL);
}

static void run_blocked_and_handled(void)
{
	handle();
	block_it();
	for (int round = 1; round <= ROUNDS; round++) {
		wait_in_the_middle(round);
		allocate();
		expect_handled();
	}
	raise(SIGTRAP);
	if (raised)
		wrong("a blocked SIGTRAP was delivered\n");
	sigset_t none;
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	if (raised != 1 || trapped)
		wrong(trapped ? "a pending SIGTRAP came with other information\n"
			      : "a pending SIGTRAP was lost\n");
}

static void run_ignored(void)
{
	struct sigaction action = {.sa_handler = SIG_IGN};

	sigaction(SIGTRAP, &action, NULL);
	for (int round = 1; round <= ROUNDS; round++) {
		wait_in_the_middle(round);
		allocate();
		sigaction(SIGTRAP, NULL, &action);
		if (action.sa_handler != SIG_IGN)
			wrong("SIGTRAP is no longer ignored\n");
		raise(SIGTRAP);
	}
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	waits = argc > 2;
	if (strcmp(mode, "handled") == 0)
		run_handled();
	else if (strcmp(mode, "blocked") == 0)
		run_blocked();
	else if (strcmp(mode, "blocked-handled") == 0)
		run_blocked_and_handled();
	else if (strcmp(mode, "ignored") == 0)
		run_ignored();
	else if (strcmp(mode, "default") == 0)
		__asm__ volatile("int3");
	else
		return 2;
	say("ok\n");
	return 0;
}
