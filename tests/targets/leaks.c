/* SPDX-License-Identifier: MIT */
/*
 * Blocks that something points to, and blocks that nothing does. leaks MODE [wait|late]: makes the
 * blocks of that mode and ends; with "wait" it says "ready" first and ends at the end of its input;
 * with "late" it waits for a character of its input before it makes them.
 *
 * Lines whose blocks are lost say so: LOST n m (n blocks directly, m indirectly). All others are
 * reachable. What a mode leaves on the stack and in registers on its way is scrubbed. Nothing is
 * called in the last place, so that every line has a frame.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scrub.h"

struct node {
	struct node *next;
	struct node *other;
	char text[24];
};

static void *volatile kept[16];
static __thread void *volatile of_thread;
static pthread_key_t key;
static atomic_int ready;
static volatile uintptr_t hidden;

static struct node *__attribute__((noinline)) node_of(struct node *next)
{
	struct node *node = calloc(1, sizeof *node); /* charged to callers: --skip node_of */
	node->next = next;
	return node;
}

static void *__attribute__((noinline)) block_of(size_t bytes)
{
	void *block = malloc(bytes);
	memset(block, 'x', bytes);
	return block;
}

static void __attribute__((noinline)) plain(void)
{
	struct node *list = NULL;
	for (int i = 0; i < 5; i++)
		list = node_of(list); /* LOST 1 4 */
	for (int i = 0; i < 3; i++)
		block_of(100); /* LOST 3 0 */
	kept[0] = node_of(node_of(NULL));
	kept[1] = block_of(50);
	struct node *top = node_of(NULL); /* LOST 1 0 */
	top->next = node_of(NULL);	  /* LOST 0 1 */
	top->other = block_of(1000);	  /* LOST 0 1 */
	block_of(24);			  /* LOST 1 0 */
	block_of(40);			  /* LOST 1 0 */
	block_of(200000);		  /* LOST 1 0 */
	kept[2] = block_of(200000);
	free(block_of(24));
	free(block_of(500));
	free(block_of(3000));
}

static void __attribute__((noinline)) ring(void)
{
	struct node *last = node_of(NULL);   /* LOST 0 1 */
	last->next = node_of(node_of(last)); /* LOST 0 2 */
	struct node *kept_last = node_of(NULL);
	kept_last->next = node_of(node_of(kept_last));
	kept[0] = kept_last;
}

static void __attribute__((noinline)) middle(void)
{
	kept[0] = (char *)block_of(100) + 60;
	kept[1] = (char *)block_of(100) + 100; /* LOST 1 0 */
	kept[2] = node_of(NULL)->text;
	hidden = ~(uintptr_t)block_of(100); /* LOST 1 0 */
	kept[3] = block_of(0);
	block_of(0); /* LOST 1 0 */
	kept[15] = NULL;
}

/* A root for valgrind and for us; LeakSanitizer looks at no such memory. */
static void __attribute__((noinline)) mapped(void)
{
	void **page = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void **shared =
		mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	page[100] = node_of(node_of(NULL));
	shared[7] = block_of(70);
	block_of(70); /* LOST 1 0 */
	kept[15] = NULL;
}

static void wait_for_ever(void)
{
	atomic_fetch_add(&ready, 1);
	for (;;)
		pause();
}

static void *on_stack(void *unused)
{
	struct node *volatile here = node_of(node_of(NULL));
	(void)unused;
	wait_for_ever();
	return here;
}

/* The only pointer is in rbx while the thread sleeps in a system call. */
static void *in_register(void *unused)
{
	void *block = block_of(300);
	atomic_fetch_add(&ready, 1);
	__asm__ volatile("mov %0,%%rbx\n\txor %0,%0\n1:\tmov $34,%%eax\n\tsyscall\n\tjmp 1b"
			 : "+r"(block)
			 :
			 : "rbx", "rax", "rcx", "r11", "memory");
	return unused;
}

static void *in_thread_local(void *unused)
{
	of_thread = block_of(400);
	pthread_setspecific(key, block_of(410));
	scrub();
	wait_for_ever();
	return unused;
}

static void *ends(void *unused)
{
	struct node *volatile here = node_of(NULL); /* LOST 1 0 */
	of_thread = block_of(510);		    /* LOST 1 0 */
	here->next = node_of(NULL);		    /* LOST 0 1 */
	return unused;
}

static void *runs(void *unused)
{
	void *volatile here = block_of(520);
	atomic_fetch_add(&ready, 1);
	for (;;)
		;
	return here ? unused : NULL;
}

static void begin(void *(*work)(void *))
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, work, NULL) != 0)
		_exit(99);
	pthread_detach(thread);
}

static void __attribute__((noinline)) threads(void)
{
	pthread_t thread;
	pthread_key_create(&key, NULL);
	begin(on_stack);
	begin(in_register);
	begin(in_thread_local);
	begin(runs);
	if (pthread_create(&thread, NULL, ends, NULL) != 0)
		_exit(99);
	pthread_join(thread, NULL);
	while (atomic_load(&ready) < 4)
		usleep(1000);
	block_of(530); /* LOST 1 0 */
	kept[15] = NULL;
}

static void __attribute__((noinline)) in_child(void)
{
	((struct node *)kept[0])->other = block_of(600);
	block_of(610); /* LOST 1 0 */
	kept[15] = NULL;
}

static void __attribute__((noinline)) forked(void)
{
	int status;
	kept[0] = node_of(NULL);
	block_of(620); /* LOST 1 0 */
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		in_child();
		scrub();
		exit(0);
	}
	waitpid(pid, &status, 0);
}

static void __attribute__((noinline)) killed(void)
{
	kept[0] = block_of(700);
	block_of(710); /* LOST 1 0 */
	kept[15] = NULL;
}

/* ---- calls that a stop may end with EINTR: status 5 if one did */

static atomic_int interrupted;

static void note_end(long result)
{
	if (result < 0 && errno == EINTR)
		atomic_store(&interrupted, 1);
}

static void *in_epoll(void *unused)
{
	struct epoll_event event;
	int fd = epoll_create1(0);
	atomic_fetch_add(&ready, 1);
	note_end(epoll_wait(fd, &event, 1, -1));
	return unused;
}

static void *in_sigtimedwait(void *unused)
{
	sigset_t set;
	struct timespec long_time = {.tv_sec = 1000};
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	atomic_fetch_add(&ready, 1);
	note_end(sigtimedwait(&set, NULL, &long_time));
	return unused;
}

static void *in_nanosleep(void *unused)
{
	struct timespec long_time = {.tv_sec = 1000};
	atomic_fetch_add(&ready, 1);
	note_end(nanosleep(&long_time, NULL));
	return unused;
}

static void *in_receive(void *unused)
{
	int pair[2];
	char c;
	struct timeval long_time = {.tv_sec = 1000};
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
		_exit(96);
	setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &long_time, sizeof long_time);
	atomic_fetch_add(&ready, 1);
	note_end(recv(pair[0], &c, 1, 0));
	return unused;
}

static void *in_semop(void *unused)
{
	int set = semget(IPC_PRIVATE, 1, 0600);
	struct sembuf take = {.sem_op = -1};
	atomic_fetch_add(&ready, 1);
	note_end(semop(set, &take, 1));
	return unused;
}

static void *in_poll(void *unused)
{
	atomic_fetch_add(&ready, 1);
	note_end(poll(NULL, 0, 1000000));
	return unused;
}

static void __attribute__((noinline)) calls(void)
{
	begin(in_epoll);
	begin(in_sigtimedwait);
	begin(in_nanosleep);
	begin(in_receive);
	begin(in_semop);
	begin(in_poll);
	while (atomic_load(&ready) < 6)
		usleep(1000);
	usleep(20000);
	block_of(800); /* LOST 1 0 */
	kept[15] = NULL;
}

static const struct mode {
	const char *name;
	void (*make)(void);
} modes[] = {
	{"plain", plain},   {"ring", ring},	  {"middle", middle},
	{"mapped", mapped}, {"threads", threads}, {"forked", forked},
	{"segv", killed},   {"kill", killed},	  {"calls", calls},
};

static const struct mode *find(const char *name)
{
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
		if (strcmp(modes[i].name, name) == 0)
			return &modes[i];
	exit(98);
}

static void say(const char *text)
{
	if (write(1, text, strlen(text)) < 0)
		_exit(97);
}

static void wait_for_end_of_input(void)
{
	char c;
	say("ready\n");
	while (read(0, &c, 1) > 0)
		;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 98;
	if (argc > 2 && strcmp(argv[2], "late") == 0) {
		char c;
		say("waits\n");
		if (read(0, &c, 1) != 1)
			return 95;
	}
	find(argv[1])->make();
	scrub();
	if (argc > 2)
		wait_for_end_of_input();
	if (strcmp(argv[1], "segv") == 0)
		raise(SIGSEGV);
	if (strcmp(argv[1], "kill") == 0)
		raise(SIGKILL);
	return atomic_load(&interrupted) ? 5 : 0;
}
