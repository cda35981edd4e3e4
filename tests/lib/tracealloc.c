/* SPDX-License-Identifier: MIT */
#include "lib/tracealloc.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/code.h"
#include "lib/status.h"
#include "lib/suite.h"

enum { ARGUMENTS_MAX = 64 };

struct arguments {
	const char *list[ARGUMENTS_MAX];
	size_t count;
};

static void add(struct arguments *arguments, const char *one)
{
	if (arguments->count + 1 >= ARGUMENTS_MAX)
		ck_abort_msg("too many arguments");
	arguments->list[arguments->count++] = one;
	arguments->list[arguments->count] = NULL;
}

static void add_all(struct arguments *arguments, const char *const many[])
{
	for (size_t i = 0; many && many[i]; i++)
		add(arguments, many[i]);
}

static void add_call(struct arguments *arguments, const char *program, const char *verb,
		     const char *report_path)
{
	/* What stands there from an earlier call must not be taken for this one's. */
	unlink(report_path);
	add_all(arguments, ARGV(program, verb, "--format", "json", "--top", "100000", "--report",
				report_path));
}

void tracealloc_start_run(const struct scratch *scratch, const char *const options[],
			  const char *const command[], struct process *ret)
{
	_cleanup_free_ char *program = suite_tracealloc();
	_cleanup_free_ char *report_path = scratch_file(scratch, "report.json");
	struct arguments arguments = {0};

	add_call(&arguments, program, "run", report_path);
	add_all(&arguments, options);
	add(&arguments, "--");
	add_all(&arguments, command);
	process_start(scratch, "traced", arguments.list, ret);
}

void tracealloc_start_attach(const struct scratch *scratch, const char *const options[], pid_t pid,
			     struct process *ret)
{
	_cleanup_free_ char *program = suite_tracealloc();
	_cleanup_free_ char *report_path = scratch_file(scratch, "report.json");
	struct arguments arguments = {0};
	char number[16];

	snprintf(number, sizeof(number), "%d", pid);
	add_call(&arguments, program, "attach", report_path);
	add_all(&arguments, options);
	add(&arguments, number);
	process_start(scratch, "attach", arguments.list, ret);
}

int tracealloc_call(const struct scratch *scratch, const char *const arguments_given[])
{
	_cleanup_free_ char *program = suite_tracealloc();
	struct arguments arguments = {0};

	add(&arguments, program);
	add_all(&arguments, arguments_given);
	return process_call(scratch, "call", arguments.list);
}

void tracealloc_report(const struct scratch *scratch, struct report *ret)
{
	_cleanup_free_ char *report_path = scratch_file(scratch, "report.json");

	report_load(report_path, ret);
}

int tracealloc_run(const struct scratch *scratch, const char *const options[],
		   const char *const command[], struct report *ret)
{
	_cleanup_process_ struct process process = {0};

	tracealloc_start_run(scratch, options, command, &process);
	process_close_input(&process);
	int status = process_wait(&process);
	_cleanup_free_ char *report_path = scratch_file(scratch, "report.json");
	_cleanup_free_ char *errors = process_errors(&process);
	ck_assert_msg(access(report_path, R_OK) == 0, "no report, status %#x: %s", status, errors);
	tracealloc_report(scratch, ret);
	return status;
}

struct attach_wait {
	const struct process *attach;
	pid_t pid;
};

static bool is_attached(const void *context)
{
	const struct attach_wait *wait = context;
	struct process attach = *wait->attach;
	_cleanup_status_ struct status status = {0};

	/* On a copy: the owner still has to see the end for itself, so it is only looked at. */
	siginfo_t end = {0};
	if (waitid(P_PID, (id_t)attach.pid, &end, WEXITED | WNOHANG | WNOWAIT) == 0 && end.si_pid) {
		_cleanup_free_ char *errors = process_errors(&attach);
		ck_abort_msg("tracealloc ended before it had attached: %s", errors);
	}
	return status_read(wait->pid, &status) && status_is_traced(&status);
}

void tracealloc_until_attached(const struct process *attach, pid_t pid)
{
	process_until(is_attached, &(struct attach_wait){attach, pid}, "every thread to be traced");
}

static bool is_probed(const void *context)
{
	const struct attach_wait *wait = context;
	_cleanup_status_ struct status status = {0};

	if (!is_attached(context) || code_count_differences(wait->pid) == 0 ||
	    !status_read(wait->pid, &status))
		return false;
	for (size_t i = 0; i < status.count; i++) {
		if (status.threads[i].state != 't')
			return true;
	}
	return false;
}

void tracealloc_until_probed(const struct process *attach, pid_t pid)
{
	process_until(is_probed, &(struct attach_wait){attach, pid}, "the breakpoints to be in");
}

char *tracealloc_text(const struct scratch *scratch, const char *name)
{
	_cleanup_free_ char *path = scratch_file(scratch, name);

	return scratch_read(path, NULL);
}
