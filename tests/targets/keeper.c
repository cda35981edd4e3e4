/* SPDX-License-Identifier: MIT */
/*
 * Threads that fill their blocks with words of their own and see, before each is given back, that
 * every word is still there: whoever disturbs them is noticed. keeper MODE THREADS PROGRESS goes on
 * until standard input ends, releases everything and says "ok"; PROGRESS is a file for struct
 * keeper_progress. MODE is what the threads do:
 *
 *   busy      allocate without a pause
 *   idle      wait for the end, then make some turns
 *   calls     make a turn after each of various system calls that wait
 *   altstack  as busy, in a handler on an alternate stack
 *   rounds    wait for lines "N" on standard input; each makes N turns, all together, after which
 *             "round BLOCKS BYTES" is said: how many of both the round has made
 *
 * Nothing else is allocated once "ready" is said.
 */
#include "keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
	SLOTS = 1024,
	WORDS_MAX = 96,
	STACK_BYTES = 128 << 10,
	LAST_TURNS = 2000,
	CALL_MS = 3,
};

struct worker {
	pthread_t thread;
	size_t number;
	uint64_t random;
	uint64_t blocks, bytes; /* made */
	uint64_t last_ns;
	void *stack; /* alternate */
};

/* A block: how many words follow, the seed, and the words that follow from it. */
static _Atomic(uint64_t *) slots[SLOTS];
static struct worker workers[KEEPER_THREADS_MAX];
static size_t worker_count;
static struct keeper_progress *progress;
static atomic_bool stopping;
static atomic_long round_turns;
static pthread_barrier_t round_begin, round_end;
static int end_pipe[2];

static void fail(const char *what)
{
	perror(what);
	_exit(99);
}

/* Unlike dprintf(3), this does not allocate. */
static void say(const char *text)
{
	if (write(1, text, strlen(text)) != (ssize_t)strlen(text))
		fail("write");
}

static void *map(size_t bytes, int fd)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (memory == MAP_FAILED)
		fail("mmap");
	return memory;
}

static uint64_t next_random(struct worker *worker)
{
	worker->random ^= worker->random << 13;
	worker->random ^= worker->random >> 7;
	worker->random ^= worker->random << 17;
	return worker->random;
}

static void fill(uint64_t *block, uint64_t words, uint64_t seed)
{
	block[0] = words;
	block[1] = seed;
	for (uint64_t i = 0; i < words; i++)
		block[2 + i] = seed * (i + 1);
}

static void verify(const uint64_t *block, uint64_t words)
{
	for (uint64_t i = 0; i < words; i++) {
		if (block[2 + i] == block[1] * (i + 1))
			continue;
		fprintf(stderr, "word %ju of block %p is %#jx, not %#jx\n", (uintmax_t)i,
			(const void *)block, (uintmax_t)block[2 + i],
			(uintmax_t)(block[1] * (i + 1)));
		_exit(98);
	}
}

static void release(uint64_t *block)
{
	if (!block)
		return;
	if (block[0] > WORDS_MAX)
		fail("a block's size");
	verify(block, block[0]);
	free(block);
}

static uint64_t *resize(uint64_t *block, uint64_t words)
{
	uint64_t old_words = block ? block[0] : words;

	block = realloc(block, (2 + words) * sizeof(*block));
	if (block && old_words < words)
		verify(block, old_words);
	return block;
}

static uint64_t *make(uint64_t words, unsigned way, size_t slot)
{
	switch (way) {
	case 0:
		return calloc(2 + words, sizeof(uint64_t));
	case 1:
		return resize(atomic_exchange(&slots[slot], NULL), words);
	default:
		return malloc((2 + words) * sizeof(uint64_t));
	}
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void note_turn(struct worker *worker)
{
	uint64_t now = now_ns();

	if (worker->last_ns && now - worker->last_ns > progress->longest_ns[worker->number])
		progress->longest_ns[worker->number] = now - worker->last_ns;
	worker->last_ns = now;
	progress->turns[worker->number]++;
}

static void turn(struct worker *worker)
{
	uint64_t random = next_random(worker);
	uint64_t words = (random >> 8) % WORDS_MAX + 1;
	size_t slot = (random >> 24) % SLOTS;
	uint64_t *block = make(words, random % 5, slot);

	if (!block)
		fail("allocation");
	worker->blocks++;
	worker->bytes += (2 + words) * sizeof(*block);
	fill(block, words, random);
	release(atomic_exchange(&slots[slot], block));
	note_turn(worker);
}

static void be_busy(struct worker *worker)
{
	while (!stopping)
		turn(worker);
}

static void be_idle(struct worker *worker)
{
	char byte;

	while (read(end_pipe[0], &byte, 1) > 0)
		continue;
	for (int i = 0; i < LAST_TURNS; i++)
		turn(worker);
}

static void wait_somehow(uint64_t way, int epoll_fd, sem_t *never)
{
	struct timespec duration = {.tv_nsec = CALL_MS * 1000000}, until;
	struct epoll_event event;

	switch (way % 4) {
	case 0:
		nanosleep(&duration, NULL);
		break;
	case 1:
		poll(NULL, 0, CALL_MS);
		break;
	case 2:
		epoll_wait(epoll_fd, &event, 1, CALL_MS);
		break;
	default:
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += CALL_MS * 1000000;
		if (until.tv_nsec < 1000000000)
			sem_timedwait(never, &until);
	}
}

static void be_in_calls(struct worker *worker)
{
	int epoll_fd = epoll_create1(0);
	sem_t never;

	sem_init(&never, 0, 0);
	for (uint64_t i = worker->number; !stopping; i++) {
		wait_somehow(i, epoll_fd, &never);
		turn(worker);
	}
	close(epoll_fd);
}

static void be_busy_here(int signal)
{
	pthread_t self = pthread_self();

	(void)signal;
	for (size_t i = 0; i < worker_count; i++) {
		if (pthread_equal(workers[i].thread, self))
			be_busy(&workers[i]);
	}
}

static void be_on_alternate_stack(struct worker *worker)
{
	stack_t stack = {.ss_sp = worker->stack, .ss_size = STACK_BYTES};

	worker->thread = pthread_self(); /* it may run before its creator has noted this */
	if (sigaltstack(&stack, NULL) < 0 || raise(SIGUSR1) != 0)
		fail("alternate stack");
}

static void be_called(struct worker *worker)
{
	for (;;) {
		pthread_barrier_wait(&round_begin);
		long turns = round_turns;
		for (long i = 0; i < turns; i++)
			turn(worker);
		pthread_barrier_wait(&round_end);
		if (turns < 0)
			return;
	}
}

static const struct mode {
	const char *name;
	void (*be)(struct worker *worker);
	bool in_rounds;
} modes[] = {
	{"busy", be_busy, false},      {"idle", be_idle, false},
	{"calls", be_in_calls, false}, {"altstack", be_on_alternate_stack, false},
	{"rounds", be_called, true},
};

static const struct mode *mode;

static void *work(void *argument)
{
	mode->be(argument);
	return NULL;
}

static void play_round(long turns)
{
	uint64_t blocks = 0, bytes = 0;
	char text[64];

	for (size_t i = 0; i < worker_count; i++)
		workers[i].blocks = workers[i].bytes = 0;
	round_turns = turns;
	pthread_barrier_wait(&round_begin);
	pthread_barrier_wait(&round_end);
	for (size_t i = 0; i < worker_count; i++) {
		blocks += workers[i].blocks;
		bytes += workers[i].bytes;
	}
	if (turns >= 0) {
		snprintf(text, sizeof(text), "round %ju %ju\n", (uintmax_t)blocks,
			 (uintmax_t)bytes);
		say(text);
	}
}

static void obey_until_input_end(void)
{
	char text[64];
	ssize_t size;

	while ((size = read(0, text, sizeof(text) - 1)) > 0) {
		text[size] = '\0';
		if (mode->in_rounds)
			play_round(atol(text));
	}
	stopping = true;
	if (mode->in_rounds)
		play_round(-1);
	close(end_pipe[1]);
}

static void start(size_t number, const pthread_attr_t *attributes)
{
	struct worker *worker = &workers[number];

	worker->number = number;
	worker->random = 0x9e3779b97f4a7c15u * (number + 1);
	worker->stack = map(STACK_BYTES, -1);
	if (pthread_create(&worker->thread, attributes, work, worker) != 0)
		fail("pthread_create");
}

static void start_all(void)
{
	struct sigaction action = {.sa_handler = be_busy_here, .sa_flags = SA_ONSTACK};
	pthread_attr_t attributes;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	pthread_barrier_init(&round_begin, NULL, (unsigned)worker_count + 1);
	pthread_barrier_init(&round_end, NULL, (unsigned)worker_count + 1);
	if (sigaction(SIGUSR1, &action, NULL) < 0 || pipe(end_pipe) < 0)
		fail("preparation");
	for (size_t i = 0; i < worker_count; i++)
		start(i, &attributes);
}

static void find_mode(const char *name)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		if (strcmp(modes[i].name, name) == 0)
			mode = &modes[i];
	}
}

int main(int argc, char **argv)
{
	if (argc == 4) {
		find_mode(argv[1]);
		worker_count = (size_t)atol(argv[2]);
	}
	if (!mode || worker_count < 1 || worker_count > KEEPER_THREADS_MAX)
		return 2;
	int fd = open(argv[3], O_RDWR | O_CREAT, 0666);
	if (fd < 0 || ftruncate(fd, sizeof(*progress)) < 0)
		fail(argv[3]);
	progress = map(sizeof(*progress), fd);
	progress->pid = (uint64_t)getpid();
	start_all();
	say("ready\n");
	obey_until_input_end();
	for (size_t i = 0; i < worker_count; i++)
		pthread_join(workers[i].thread, NULL);
	for (size_t i = 0; i < SLOTS; i++)
		release(slots[i]);
	say("ok\n");
	return 0;
}
