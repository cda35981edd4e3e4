/* SPDX-License-Identifier: MIT */
/*
 * A program that has given up most of its rights. confined MODE: "strict" and "filter" (seccomp(2);
 * the filter kills for every call that a tracer might want to make here), "limit" (RLIMIT_AS: what
 * it has now, and 64 MiB).
 *
 * Says "pid N" and "ready". Each line "N" of standard input asks for N blocks, made and given back;
 * "done" is said after it.
 * At the end of the input it ends with status 0 by the bare system call, for strict mode knows no
 * other.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "brief.h"

enum { BLOCK_BYTES = 100, SPARE_BYTES = 64 << 20 };

static void say(const char *text)
{
	if (write(1, text, strlen(text)) < 0)
		_exit(98);
}

static void fail(const char *what)
{
	say(what);
	_exit(99);
}

static void confine_strictly(void)
{
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0)
		fail("no strict seccomp\n");
}

#define FORBID(call)                                                                               \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1),                                         \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

static void confine_by_filter(void)
{
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		FORBID(SYS_mmap),
		FORBID(SYS_madvise),
		FORBID(SYS_memfd_create),
		FORBID(SYS_futex),
		FORBID(SYS_gettid),
		FORBID(SYS_process_vm_readv),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(rules) / sizeof(*rules), .filter = rules};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		fail("no seccomp filter\n");
}

static void confine_by_limit(void)
{
	static char text[256];
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file || !fgets(text, sizeof(text), file) || sscanf(text, "%lu", &pages) != 1)
		fail("no statm\n");
	fclose(file);
	rlim_t bytes = pages * (rlim_t)sysconf(_SC_PAGESIZE) + SPARE_BYTES;
	if (setrlimit(RLIMIT_AS, &(struct rlimit){bytes, bytes}) < 0)
		fail("no limit\n");
}

static void obey_until_input_end(void)
{
	char text[32];
	ssize_t size;

	while ((size = read(0, text, sizeof(text) - 1)) > 0) {
		text[size] = '\0';
		for (long i = atol(text); i > 0; i--)
			use_briefly(BLOCK_BYTES);
		say("done\n");
	}
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	char text[32];

	snprintf(text, sizeof(text), "pid %d\n", getpid());
	say(text);
	/* From now on there is a block to be had without a system call. */
	use_briefly(BLOCK_BYTES);
	if (strcmp(mode, "strict") == 0)
		confine_strictly();
	else if (strcmp(mode, "filter") == 0)
		confine_by_filter();
	else if (strcmp(mode, "limit") == 0)
		confine_by_limit();
	else
		return 2;
	say("ready\n");
	obey_until_input_end();
	syscall(SYS_exit, 0);
}
