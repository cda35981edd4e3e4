/* SPDX-License-Identifier: MIT */
#include "lib/document.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "lib/process.h"
#include "lib/suite.h"

/* The text from behind the mark to the next "<!-- end -->", which is cut off. */
static char *marked(char *page, const char *name)
{
	_cleanup_buffer_ struct buffer mark = {0};
	buffer_printf(&mark, "<!-- steps: %s -->\n", name);
	char *start = strstr(page, buffer_text(&mark));
	ck_assert_msg(start != NULL, "no steps '%s'", name);
	start += mark.count;
	char *end = strstr(start, "<!-- end -->");
	ck_assert_msg(end != NULL, "no end of the steps '%s'", name);
	*end = '\0';
	return start;
}

char *document_steps(const char *path, const char *name)
{
	_cleanup_free_ char *page = scratch_read(path, NULL);
	struct buffer steps = {0};
	bool inside = false;
	for (char *line, *rest = marked(page, name); (line = strsep(&rest, "\n"));) {
		if (strncmp(line, "```", 3) == 0)
			inside = !inside && strcmp(line, "```sh") == 0;
		else if (inside)
			buffer_printf(&steps, "%s\n", line);
	}
	ck_assert_msg(steps.count && !buffer_failed(&steps), "no commands in '%s'", name);
	return steps.bytes;
}

int document_run(const struct scratch *scratch, const char *name, const char *steps)
{
	_cleanup_free_ char *program = suite_tracealloc();
	_cleanup_free_ char *bin = suite_built("tests/bin");
	_cleanup_buffer_ struct buffer script = {0};
	buffer_printf(&script, "cd '%s'; PATH='%.*s':'%s':$PATH\n%s", scratch->path,
		      (int)(strrchr(program, '/') - program), program, bin, steps);
	return process_call(scratch, name, ARGV("sh", "-e", "-c", buffer_text(&script)));
}
