/* SPDX-License-Identifier: MIT */
/*
 * Every way to make another process. tree MODE [...]: "fork", "vfork", "spawn", "clone-vm" (shares
 * memory, ends by a signal to the parent), "system", "popen", "exec" (the first thread),
 * "exec-thread" (another thread, while more allocate), "exec-fail", "grand" (three generations),
 * "storm" (many short children), "orphan" (a child that outlives its parent and holds standard
 * output).
 *
 * A child is this program in the mode "child", or goes on in child_work: it makes 30 blocks of 500
 * bytes and ends with status 5. Everyone prints its lines to standard output; the sum of what is
 * printed is the same whether anyone traces or not.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brief.h"

enum { CHILD_BLOCKS = 30, CHILD_BLOCK_BYTES = 500, CHILD_STATUS = 5, STORM_CHILDREN = 40 };

extern char **environ;

static char *self;
static void *parents_block;

static void say(const char *text)
{
	if (write(1, text, strlen(text)) < 0)
		_exit(98);
}

static void say_number(const char *text, int number)
{
	char line[96];

	snprintf(line, sizeof(line), "%s %d\n", text, number);
	say(line);
}

static void child_work(void)
{
	static void *blocks[CHILD_BLOCKS];

	for (int i = 0; i < CHILD_BLOCKS; i++)
		blocks[i] = malloc(CHILD_BLOCK_BYTES);
	for (int i = 0; i < CHILD_BLOCKS; i += 2)
		free(blocks[i]);
}

static void say_end(int status)
{
	if (WIFEXITED(status))
		say_number("child exited", WEXITSTATUS(status));
	else
		say_number("child died", WTERMSIG(status));
}

static void await(pid_t child)
{
	int status = 0;

	while (waitpid(child, &status, __WALL) < 0) {
		if (errno != EINTR)
			_exit(97);
	}
	say_end(status);
}

static void run_fork(void)
{
	pid_t child = fork();

	if (child == 0) {
		free(parents_block);
		child_work();
		_exit(CHILD_STATUS);
	}
	await(child);
}

static void run_vfork(void)
{
	pid_t child = vfork();

	if (child == 0) {
		execl(self, self, "child", (char *)NULL);
		_exit(96);
	}
	await(child);
	child = vfork();
	if (child == 0)
		_exit(6);
	await(child);
}

static void run_spawn(void)
{
	char *arguments[] = {self, "child", NULL};
	pid_t child;

	if (posix_spawn(&child, self, NULL, NULL, arguments, environ) != 0)
		_exit(95);
	await(child);
	if (posix_spawnp(&child, "/nonexistent/program", NULL, NULL, arguments, environ) == 0)
		_exit(94);
	say("spawn refused\n");
}

static int share(void *unused)
{
	(void)unused;
	use_briefly(321);
	return 8;
}

static void run_clone_vm(void)
{
	static char stack[64 << 10] __attribute__((aligned(16)));

	/* The child runs on our memory; we only wait meanwhile, so the heap has one user. */
	pid_t child = clone(share, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
	if (child < 0)
		_exit(93);
	await(child);
}

static void run_system(void)
{
	char command[512];

	snprintf(command, sizeof(command), "'%s' child; exit 3", self);
	say_end(system(command));
}

static void run_popen(void)
{
	char command[512], line[64];
	int count = 0;

	snprintf(command, sizeof(command), "echo one; '%s' child; echo two", self);
	FILE *pipe = popen(command, "r");
	if (!pipe)
		_exit(92);
	while (fgets(line, sizeof(line), pipe))
		count++;
	say_end(pclose(pipe));
	say_number("lines", count);
}

static void run_exec(void)
{
	execl(self, self, "child", (char *)NULL);
	_exit(91);
}

static void *exec_here(void *unused)
{
	(void)unused;
	execl(self, self, "child", (char *)NULL);
	_exit(90);
}

static void *allocate_for_ever(void *unused)
{
	(void)unused;
	for (;;)
		use_briefly(40);
	return NULL;
}

static void run_exec_thread(void)
{
	pthread_t thread;

	for (int i = 0; i < 3; i++)
		pthread_create(&thread, NULL, allocate_for_ever, NULL);
	pthread_create(&thread, NULL, exec_here, NULL);
	allocate_for_ever(NULL);
}

static void run_exec_fail(void)
{
	execl("/nonexistent/program", "program", (char *)NULL);
	say_number("exec refused", errno == ENOENT);
	child_work();
}

static void run_grand(int generations)
{
	if (generations == 0) {
		child_work();
		_exit(CHILD_STATUS);
	}
	pid_t child = fork();
	if (child == 0) {
		run_grand(generations - 1);
		_exit(generations);
	}
	await(child);
}

static void run_storm(void)
{
	for (int i = 0; i < STORM_CHILDREN; i++) {
		pid_t child = fork();
		if (child == 0) {
			child_work();
			_exit(CHILD_STATUS);
		}
		use_briefly(10);
		await(child);
	}
}

static void run_orphan(void)
{
	char byte;
	pid_t child = fork();

	if (child != 0) {
		say("parent ends\n");
		_exit(0);
	}
	say_number("orphan", getpid());
	/* Until the test lets go of standard input. */
	while (read(0, &byte, 1) > 0)
		continue;
	child_work();
	say("orphan ends\n");
	_exit(CHILD_STATUS);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} modes[] = {
		{"fork", run_fork},	      {"vfork", run_vfork},
		{"spawn", run_spawn},	      {"clone-vm", run_clone_vm},
		{"system", run_system},	      {"popen", run_popen},
		{"exec", run_exec},	      {"exec-thread", run_exec_thread},
		{"exec-fail", run_exec_fail}, {"storm", run_storm},
		{"orphan", run_orphan},
	};
	const char *mode = argc > 1 ? argv[1] : "";

	self = argv[0];
	if (strcmp(mode, "child") == 0) {
		child_work();
		say("child works\n");
		return CHILD_STATUS;
	}
	parents_block = malloc(999);
	if (strcmp(mode, "grand") == 0)
		run_grand(3);
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		if (strcmp(mode, modes[i].name) == 0)
			modes[i].run();
	}
	free(parents_block);
	say("parent ends\n");
	return 4;
}
