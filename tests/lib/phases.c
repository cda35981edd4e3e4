/* SPDX-License-Identifier: MIT */
#include "lib/phases.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

enum { WORDS_MAX = 16 };

void phases_use_directory(const struct scratch *scratch)
{
	setenv("XDG_RUNTIME_DIR", scratch->path, 1);
}

void phases_start(const struct scratch *scratch, struct phases *ret)
{
	_cleanup_free_ char *program = suite_target("phases");

	*ret = (struct phases){.scratch = scratch};
	process_start(scratch, "phases", ARGV(program), &ret->process);
	ret->pid = ret->process.pid;
	process_wait_output(&ret->process, "ready\n");
}

static bool has_child(const void *context)
{
	struct phases *phases = (struct phases *)context;
	char parent[16];

	snprintf(parent, sizeof parent, "%d", phases->process.pid);
	process_call(phases->scratch, "children", ARGV("pgrep", "-P", parent));
	_cleanup_free_ char *text = tracealloc_text(phases->scratch, "children.out");
	phases->pid = (pid_t)strtol(text, NULL, 10);
	return phases->pid > 0;
}

static bool answers(const void *context)
{
	const struct phases *phases = context;
	char pid[16];

	snprintf(pid, sizeof pid, "%d", phases->pid);
	return tracealloc_call(phases->scratch, ARGV("ctl", pid, "status")) == 0;
}

void phases_until_answered(const struct scratch *scratch, pid_t pid)
{
	struct phases phases = {.scratch = scratch, .pid = pid};

	process_until(answers, &phases, "an answer over the control socket");
}

void phases_start_traced(const struct scratch *scratch, const char *const options[],
			 struct phases *ret)
{
	_cleanup_free_ char *program = suite_target("phases");

	*ret = (struct phases){.scratch = scratch};
	tracealloc_start_run(scratch, options, ARGV(program), &ret->process);
	process_wait_output(&ret->process, "ready\n");
	process_until(has_child, ret, "the target");
	phases_until_answered(scratch, ret->pid);
}

void phases_tell(struct phases *phases, const char *format, ...)
{
	char line[512], answer[32];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof line - 1, format, arguments);
	va_end(arguments);
	strcat(line, "\n");
	process_send(&phases->process, line);
	snprintf(answer, sizeof answer, "ok %d\n", ++phases->said);
	process_wait_output(&phases->process, answer);
}

json_t *phases_truth(struct phases *phases)
{
	phases_tell(phases, "truth");
	_cleanup_free_ char *output = process_output(&phases->process);
	const char *last = NULL;
	for (const char *at = output; (at = strstr(at, "truth: ")); at++)
		last = at + strlen("truth: ");
	ck_assert_ptr_nonnull(last);
	json_t *truth = json_loads(last, JSON_DISABLE_EOF_CHECK, NULL);
	ck_assert_ptr_nonnull(truth);
	return truth;
}

int phases_finish(struct phases *phases)
{
	process_close_input(&phases->process);
	return process_wait(&phases->process);
}

void phases_end(struct phases *phases)
{
	process_end(&phases->process);
}

static int call(const struct scratch *scratch, pid_t pid, const char *format,
		const char *const request[])
{
	const char *words[WORDS_MAX] = {"ctl", "--format", format};
	char number[16];
	size_t count = 3;

	snprintf(number, sizeof number, "%d", pid);
	words[count++] = number;
	for (size_t i = 0; request[i] && count + 1 < WORDS_MAX; i++)
		words[count++] = request[i];
	return tracealloc_call(scratch, words);
}

void phases_ctl(const struct scratch *scratch, pid_t pid, const char *const request[])
{
	int status = call(scratch, pid, "text", request);
	_cleanup_free_ char *errors = tracealloc_text(scratch, "call.err");

	ck_assert_msg(status == 0, "ctl %s: status %#x: %s", request[0], status, errors);
}

void phases_ctl_refused(const struct scratch *scratch, pid_t pid, const char *const request[],
			const char *text)
{
	int status = call(scratch, pid, "text", request);
	_cleanup_free_ char *errors = tracealloc_text(scratch, "call.err");

	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "ctl %s: status %#x: %s",
		      request[0], status, errors);
	ck_assert_msg(strstr(errors, text) != NULL, "no \"%s\" in: %s", text, errors);
	ck_assert_ptr_eq(strchr(errors, '\n'), errors + strlen(errors) - 1);
}

json_t *phases_ask(const struct scratch *scratch, pid_t pid, const char *const request[])
{
	int status = call(scratch, pid, "json", request);
	_cleanup_free_ char *errors = tracealloc_text(scratch, "call.err");
	_cleanup_free_ char *output = tracealloc_text(scratch, "call.out");

	ck_assert_msg(status == 0, "ctl %s: status %#x: %s", request[0], status, errors);
	json_t *answer = json_loads(output, 0, NULL);
	ck_assert_msg(answer != NULL, "no JSON: %s", output);
	return answer;
}
