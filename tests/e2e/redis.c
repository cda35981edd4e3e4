/* SPDX-License-Identifier: MIT */
/*
 * A real server under load: redis with its benchmark's clients, attached to and detached from again
 * and again. The clients see no error, the server lives, its code and signal state are its own.
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

int main(void)
{
	Suite *suite = suite_create("redis");
	TCase *load_case = suite_case(suite, "load", 180);

	tcase_add_test(load_case, a_loaded_server_bears_any_number_of_attaches);
	return suite_run(suite);
}
