/* SPDX-License-Identifier: MIT */
/*
 * A program of phases, told what to do by lines on standard input; after each it says "ok NUMBER".
 *
 *   grow N SIZE   N blocks more
 *   drop N        the newest N blocks go
 *   truth         says the truth
 *   address       says where the newest block is: "address 0x..."
 *   begin         calls phase_begin(), where its peak counts anew
 *   work N SIZE   calls phase_work(), which makes N blocks
 *   probe reset|mark|snapshot   the static probe of that name
 *   fork          a child of its own that waits for the end: "child PID"
 *   load PATH     a shared object: calls its plugin_phase()
 *
 * Ends with standard input.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <sys/sdt.h>

#include "truth.h"

enum { BLOCKS_MAX = 1 << 15, LINE_BYTES = 512 };

static void *blocks[BLOCKS_MAX];
static size_t block_count;

static void say(const char *text)
{
	if (write(1, text, strlen(text)) < 0)
		truth_fail("cannot write\n");
}

static void grow(long count, size_t size)
{
	while (count-- > 0 && block_count < BLOCKS_MAX)
		blocks[block_count++] = MALLOC(size);
}

static void drop(long count)
{
	while (count-- > 0 && block_count > 0) {
		block_count--;
		FREE(blocks[block_count]);
	}
}

__attribute__((noinline)) void phase_begin(void)
{
	__asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) void phase_work(long count, size_t size)
{
	while (count-- > 0 && block_count < BLOCKS_MAX)
		blocks[block_count++] = MALLOC(size);
	__asm__ volatile("" ::: "memory");
}

static void probe(const char *name)
{
	static char made[] = "made of a buffer";

	if (strcmp(name, "reset") == 0)
		DTRACE_PROBE(tracealloc, reset_peak);
	else if (strcmp(name, "mark") == 0)
		DTRACE_PROBE1(tracealloc, mark, made);
	else if (strcmp(name, "snapshot") == 0)
		DTRACE_PROBE1(tracealloc, snapshot, "of the target");
	else
		truth_fail("no such probe\n");
}

static void begin_child(void)
{
	char text[64];
	pid_t child = fork();

	if (child == 0) {
		while (getppid() != 1)
			usleep(10000);
		_exit(0);
	}
	snprintf(text, sizeof text, "child %d\n", child);
	say(text);
}

static void load(const char *path)
{
	void *object = dlopen(path, RTLD_NOW);
	void (*function)(void) = NULL;

	if (object)
		*(void **)&function = dlsym(object, "plugin_phase");
	if (!function)
		truth_fail("cannot load\n");
	function();
}

static void obey(const char *line)
{
	char text[64], word[LINE_BYTES];
	long count;
	size_t size;

	if (sscanf(line, "grow %ld %zu", &count, &size) == 2) {
		grow(count, size);
	} else if (sscanf(line, "drop %ld", &count) == 1) {
		drop(count);
	} else if (sscanf(line, "work %ld %zu", &count, &size) == 2) {
		phase_work(count, size);
	} else if (sscanf(line, "probe %s", word) == 1) {
		if (strcmp(word, "reset") == 0)
			truth_reset_peak();
		probe(word);
	} else if (sscanf(line, "load %s", word) == 1) {
		load(word);
	} else if (strcmp(line, "truth") == 0) {
		truth_print();
	} else if (strcmp(line, "fork") == 0) {
		begin_child();
	} else if (strcmp(line, "begin") == 0) {
		truth_reset_peak();
		phase_begin();
	} else if (strcmp(line, "address") == 0 && block_count > 0) {
		snprintf(text, sizeof text, "address %p\n", blocks[block_count - 1]);
		say(text);
	} else {
		truth_fail("no such command\n");
	}
}

static bool read_line(char line[LINE_BYTES])
{
	size_t count = 0;

	while (count + 1 < LINE_BYTES && read(0, line + count, 1) == 1) {
		if (line[count] == '\n') {
			line[count] = '\0';
			return true;
		}
		count++;
	}
	return false;
}

int main(void)
{
	char line[LINE_BYTES], text[64];
	int number = 0;

	say("ready\n");
	while (read_line(line)) {
		obey(line);
		snprintf(text, sizeof text, "ok %d\n", ++number);
		say(text);
	}
	return 0;
}
