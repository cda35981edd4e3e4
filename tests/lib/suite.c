/* SPDX-License-Identifier: MIT */
#include "lib/suite.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/process.h"

enum { LONG_FACTOR = 20, FLAGS_MAX = 24 };

/* This program is BUILD/tests/e2e/NAME. */
char *suite_built(const char *relative)
{
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *path;

	if (length < 0)
		ck_abort_msg("cannot read /proc/self/exe: %s", strerror(errno));
	self[length] = '\0';
	for (int level = 0; level < 3; level++)
		*strrchr(self, '/') = '\0';
	if (asprintf(&path, "%s/%s", self, relative) < 0)
		ck_abort_msg("no memory");
	return path;
}

char *suite_tracealloc(void)
{
	return suite_built("tracealloc");
}

char *suite_target(const char *name)
{
	char relative[128];

	snprintf(relative, sizeof(relative), "tests/targets/%s", name);
	return suite_built(relative);
}

char *suite_source(const char *name)
{
	char relative[128];

	snprintf(relative, sizeof(relative), "tests/targets/%s", name);
	char *path = realpath(relative, NULL);
	if (!path)
		ck_abort_msg("no %s here: start the suite from the top of the tree", relative);
	return path;
}

bool suite_is_long(void)
{
	const char *value = getenv("TRACEALLOC_LONG");

	return value && strcmp(value, "1") == 0;
}

void suite_skip(const char *format, ...)
{
	char reason[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	printf("SKIP: %s\n", reason);
	fflush(stdout);
}

void suite_counted(const struct suite_row *row)
{
	printf("COUNTED: %-15s  %-5s  %-26s  %-8s  %-10s  %8lld  %s\n", row->allocator, row->libc,
	       row->linking, row->language, row->engine, row->blocks, row->oracle);
	fflush(stdout);
}

TCase *suite_case(Suite *suite, const char *name, int limit_s)
{
	TCase *test_case = tcase_create(name);

	tcase_set_timeout(test_case, limit_s * (suite_is_long() ? LONG_FACTOR : 1));
	suite_add_tcase(suite, test_case);
	return test_case;
}

int suite_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

char *suite_build(const struct scratch *scratch, const char *source, const char *output,
		  const char *const flags[])
{
	_cleanup_free_ char *source_path = suite_source(source);
	char *output_path = scratch_file(scratch, output);
	size_t length = strlen(source);
	bool is_cxx = length > 3 && strcmp(source + length - 3, ".cc") == 0;
	const char *argv[FLAGS_MAX] = {is_cxx ? "g++" : "gcc", source_path, "-o", output_path};
	size_t count = 4;

	for (size_t i = 0; flags[i] && count < FLAGS_MAX - 1; i++)
		argv[count++] = flags[i];
	if (process_call(scratch, "compiler", argv) != 0) {
		_cleanup_free_ char *errors_path = scratch_file(scratch, "compiler.err");
		ck_abort_msg("cannot build %s: see %s", source, errors_path);
	}
	return output_path;
}
