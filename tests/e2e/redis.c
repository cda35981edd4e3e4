/* SPDX-License-Identifier: MIT */
/*
 * A real server under load: redis with its benchmark's clients, attached to and detached from again
 * and again: the clients see no error, the server lives, its code and signal state are its own. And
 * asked while it is traced what 100 000 keys have cost, as it says itself.
 */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/code.h"
#include "lib/phases.h"
#include "lib/status.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

/* A port of the loopback that nobody uses now: the kernel's choice. */
static int free_port(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		ck_abort_msg("no port of the loopback");
	return ntohs(address.sin_port);
}

static bool is_installed(const struct scratch *scratch, const char *program)
{
	return process_call(scratch, "which", ARGV("which", program)) == 0;
}

struct server {
	struct process process;
	struct process clients;
	char port[8];
};

static void server_end(struct server *server)
{
	process_end(&server->clients);
	process_end(&server->process);
}

static void start_clients(const struct scratch *scratch, struct server *server)
{
	/* -l: until it is told to end. Its first line of results says that it is at work. */
	process_start(scratch, "clients",
		      ARGV("stdbuf", "-oL", "redis-benchmark", "-p", server->port, "-c", "4", "-n",
			   "20000", "-r", "1000", "-t", "set,lpush,lpop,sadd", "-d", "100", "--csv",
			   "-l"),
		      &server->clients);
	process_wait_output(&server->clients, "\"SET\"");
}

static void start_server(const struct scratch *scratch, struct server *ret)
{
	snprintf(ret->port, sizeof(ret->port), "%d", free_port());
	process_start(scratch, "redis",
		      ARGV("redis-server", "--port", ret->port, "--bind", "127.0.0.1", "--save", "",
			   "--appendonly", "no", "--daemonize", "no", "--dir", scratch->path),
		      &ret->process);
	process_wait_output(&ret->process, "Ready to accept connections");
	start_clients(scratch, ret);
}

/* The server answers a question of ours, and its clients are still there. */
static void expect_service(const struct scratch *scratch, struct server *server)
{
	ck_assert_int_eq(
		process_call(scratch, "ping", ARGV("redis-cli", "-p", server->port, "ping")), 0);
	_cleanup_free_ char *answer = tracealloc_text(scratch, "ping.out");
	ck_assert_str_eq(answer, "PONG\n");
	ck_assert_msg(!process_wait_seconds(&server->process, 0), "the server died: %#x",
		      server->process.status);
	ck_assert_msg(!process_wait_seconds(&server->clients, 0), "the clients ended: %#x",
		      server->clients.status);
	_cleanup_free_ char *errors = process_errors(&server->clients);
	ck_assert_str_eq(errors, "");
}

START_TEST(a_loaded_server_bears_any_number_of_attaches)
{
	int rounds = suite_is_long() ? 100 : 5;
	_cleanup_scratch_ struct scratch scratch = {0};
	__attribute__((__cleanup__(server_end))) struct server server = {0};
	_cleanup_status_ struct status before = {0};

	scratch_make(&scratch);
	if (!is_installed(&scratch, "redis-server") || !is_installed(&scratch, "redis-benchmark")) {
		suite_skip("redis is not installed");
		return;
	}
	start_server(&scratch, &server);
	ck_assert(status_read(server.process.pid, &before));
	for (int round = 0; round < rounds; round++) {
		_cleanup_process_ struct process attach = {0};
		_cleanup_report_ struct report report = {0};
		_cleanup_status_ struct status after = {0};

		tracealloc_start_attach(&scratch, ARGV("--for", "200ms"), server.process.pid,
					&attach);
		int status = process_wait(&attach);
		_cleanup_free_ char *errors = process_errors(&attach);
		ck_assert_msg(status == 0, "round %d: status %#x: %s", round, status, errors);
		tracealloc_report(&scratch, &report);
		ck_assert_int_gt(report_total(&report, "total_blocks"), 0);
		status_until_untraced(server.process.pid);
		ck_assert(status_read(server.process.pid, &after));
		status_expect_same(&before, &after);
		code_expect_clean(server.process.pid);
		expect_service(&scratch, &server);
	}
	process_signal(&server.clients, SIGKILL);
	process_signal(&server.process, SIGTERM);
	ck_assert_int_eq(process_wait(&server.process), 0);
}
END_TEST

/* ---- what a load has stored */

/* A number that redis-cli prints after a text. */
static int64_t redis_says(const struct scratch *scratch, const struct server *server,
			  const char *const words[2], const char *text)
{
	long long number = 0;

	ck_assert_int_eq(process_call(scratch, "asked",
				      ARGV("redis-cli", "-p", server->port, words[0], words[1])),
			 0);
	_cleanup_free_ char *answer = tracealloc_text(scratch, "asked.out");
	const char *at = strstr(answer, text);
	ck_assert_msg(at && sscanf(at + strlen(text), "%lld", &number) == 1, "no %s in: %s", text,
		      answer);
	return number;
}

/* What jemalloc sets aside for so many bytes: four sizes a doubling (jemalloc(3), SIZE CLASSES). */
static int64_t set_aside(int64_t bytes)
{
	int64_t step = 16;

	if (bytes <= 8)
		return 8;
	while (bytes > 8 * step)
		step *= 2;
	return (bytes + step - 1) / step * step;
}

static json_t *ask_saved(const struct scratch *scratch, const char *const words[])
{
	int status = tracealloc_call(scratch, words);
	_cleanup_free_ char *errors = tracealloc_text(scratch, "call.err");
	_cleanup_free_ char *text = tracealloc_text(scratch, "call.out");

	ck_assert_msg(status == 0, "status %#x: %s", status, errors);
	json_t *root = json_loads(text, 0, NULL);
	ck_assert_ptr_nonnull(root);
	return root;
}

static int64_t integer(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	ck_assert_msg(json_is_integer(value), "no integer '%s'", key);
	return json_integer_value(value);
}

/* All that a snapshot holds, as its allocator has rounded it. */
static int64_t held(const struct scratch *scratch, const char *path)
{
	json_t *root = ask_saved(scratch, ARGV("report", "--format", "json", "--show", "current",
					       "--group-by", "size", "--top", "100000", path));
	size_t i;
	const json_t *row;
	int64_t bytes = 0;

	json_array_foreach(json_object_get(root, "rows"), i, row)
	{
		bytes += integer(row, "blocks") * set_aside(integer(row, "high_bytes"));
	}
	json_decref(root);
	return bytes;
}

/* Starts it under `tracealloc run`, with clients that only read. */
static pid_t start_traced_server(const struct scratch *scratch, struct server *ret)
{
	char parent[16];

	snprintf(ret->port, sizeof(ret->port), "%d", free_port());
	tracealloc_start_run(scratch, ARGV("--keep", "size"),
			     ARGV("redis-server", "--port", ret->port, "--bind", "127.0.0.1",
				  "--save", "", "--appendonly", "no", "--daemonize", "no", "--dir",
				  scratch->path),
			     &ret->process);
	process_wait_output(&ret->process, "Ready to accept connections");
	process_start(scratch, "clients",
		      ARGV("stdbuf", "-oL", "redis-benchmark", "-p", ret->port, "-c", "4", "-n",
			   "2000", "-r", "1000", "-t", "get", "--csv", "-l"),
		      &ret->clients);
	process_wait_output(&ret->clients, "\"GET\"");
	snprintf(parent, sizeof parent, "%d", ret->process.pid);
	ck_assert_int_eq(process_call(scratch, "children", ARGV("pgrep", "-P", parent)), 0);
	_cleanup_free_ char *text = tracealloc_text(scratch, "children.out");
	pid_t pid = (pid_t)strtol(text, NULL, 10);
	phases_until_answered(scratch, pid);
	return pid;
}

/*
 * The functions of redis 7.0 that keep a key (dbAdd: sdsdup), its entry of the table (dictAddRaw)
 * and its value (processMultibulkBuffer: createStringObject), and nobody else, hold what came.
 */
static void expect_functions(const struct scratch *scratch, const char *old, const char *new,
			     int64_t keys)
{
	static const char *const names[] = {"processMultibulkBuffer", "dictAddRaw", "dbAdd"};
	static const int64_t blocks[] = {2, 1, 1};
	json_t *root =
		ask_saved(scratch, ARGV("diff", "--format", "json", "--show", "current",
					"--group-by", "function", "--top", "3", "--skip",
					"z*alloc*", "--skip", "_sdsnewlen", "--skip",
					"createObject", "--skip", "createStringObject", old, new));
	const json_t *rows = json_object_get(root, "rows");

	ck_assert_uint_eq(json_array_size(rows), 3);
	for (size_t i = 0; i < 3; i++) {
		const json_t *row = json_array_get(rows, i);
		int64_t more = integer(row, "blocks_diff") - blocks[i] * keys;

		ck_assert_str_eq(report_string(row, "function"), names[i]);
		ck_assert_msg(more > -100 && more < 100, "%s: %lld blocks more", names[i],
			      (long long)more);
	}
	json_decref(root);
}

START_TEST(keys_and_values_cost_what_the_server_says)
{
	static const char *const memory[] = {"info", "memory"}, *const size[] = {"dbsize", NULL};
	_cleanup_scratch_ struct scratch scratch = {0};
	__attribute__((__cleanup__(server_end))) struct server server = {0};

	scratch_make(&scratch);
	if (!is_installed(&scratch, "redis-server") || !is_installed(&scratch, "redis-benchmark")) {
		suite_skip("redis is not installed");
		return;
	}
	phases_use_directory(&scratch);
	_cleanup_free_ char *before = scratch_file(&scratch, "before");
	_cleanup_free_ char *after = scratch_file(&scratch, "after");
	pid_t pid = start_traced_server(&scratch, &server);
	int64_t used = -redis_says(&scratch, &server, memory, "used_memory:");
	phases_ctl(&scratch, pid, ARGV("snapshot", before));
	ck_assert_int_eq(process_call(&scratch, "writers",
				      ARGV("redis-benchmark", "-p", server.port, "-c", "10", "-P",
					   "16", "-n", "100000", "-r", "1000000000", "-t", "set",
					   "-d", "100", "-q")),
			 0);
	used += redis_says(&scratch, &server, memory, "used_memory:");
	phases_ctl(&scratch, pid, ARGV("snapshot", after));
	expect_functions(&scratch, before, after, redis_says(&scratch, &server, size, ""));
	int64_t grown = held(&scratch, after) - held(&scratch, before);
	ck_assert_msg(grown > used * 95 / 100 && grown < used * 105 / 100,
		      "%lld bytes more; redis says %lld", (long long)grown, (long long)used);
	process_signal(&server.clients, SIGKILL);
	process_signal(&server.process, SIGTERM);
	ck_assert_int_eq(process_wait(&server.process), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("redis");
	TCase *load_case = suite_case(suite, "load", 180);

	tcase_add_test(load_case, a_loaded_server_bears_any_number_of_attaches);
	tcase_add_test(load_case, keys_and_values_cost_what_the_server_says);
	return suite_run(suite);
}
