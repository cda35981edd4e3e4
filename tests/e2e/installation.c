/* SPDX-License-Identifier: MIT */
/*
 * What `make install` puts where, and that `make uninstall` takes all of it away; in the long run
 * the Debian package likewise, in a system of its own.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "lib/process.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

/* Runs a shell command with $BUILD and $PLACE set; returns what it wrote. */
static char *shell(const struct scratch *scratch, const char *command)
{
	_cleanup_free_ char *build = suite_built(".");
	_cleanup_buffer_ struct buffer line = {0};
	buffer_printf(&line, "BUILD='%s' PLACE='%s/place'; %s", build, scratch->path, command);
	int status = process_call(scratch, "shell", ARGV("sh", "-e", "-c", buffer_text(&line)));
	_cleanup_free_ char *errors = tracealloc_text(scratch, "shell.err");
	ck_assert_msg(status == 0, "%s: status %#x: %s", command, status, errors);
	return tracealloc_text(scratch, "shell.out");
}

START_TEST(everything_is_installed_and_removed)
{
	static const char *const files[] = {
		"bin/tracealloc\n",
		"share/man/man1/tracealloc.1\n",
		"share/man/man1/tracealloc-run.1\n",
		"share/man/man1/tracealloc-attach.1\n",
		"share/man/man5/tracealloc-json.5\n",
		"share/man/man5/tracealloc-snapshot.5\n",
		"share/bash-completion/completions/tracealloc\n",
		"share/zsh/site-functions/_tracealloc\n",
		"share/fish/vendor_completions.d/tracealloc.fish\n",
	};
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	free(shell(&scratch, "make -s O=\"$BUILD\" DESTDIR=\"$PLACE\" PREFIX=/usr install"));
	_cleanup_free_ char *list =
		shell(&scratch, "cd \"$PLACE/usr\" && find . -type f -size +100c -printf '%P\\n'");
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		ck_assert_msg(strstr(list, files[i]), "no %s in %s", files[i], list);
	_cleanup_free_ char *version = shell(&scratch, "\"$PLACE/usr/bin/tracealloc\" --version");
	ck_assert_ptr_nonnull(strstr(version, "tracealloc "));
	free(shell(&scratch, "make -s O=\"$BUILD\" DESTDIR=\"$PLACE\" PREFIX=/usr uninstall"));
	_cleanup_free_ char *left = shell(&scratch, "find \"$PLACE\" ! -type d");
	ck_assert_str_eq(left, "");
}
END_TEST

START_TEST(the_debian_package_is_sound_and_leaves_no_trace)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	if (geteuid() != 0) {
		suite_skip("a system of its own needs root");
		return;
	}
	free(shell(&scratch, "make O=\"$PLACE\" deb"));
	_cleanup_free_ char *said = shell(
		&scratch, "scripts/check-deb \"$PLACE\"/deb/tracealloc_*.deb \"$PLACE/root\"");
	ck_assert_msg(strstr(said, "check-deb: it is gone\n"), "%s", said);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("installation");
	TCase *files_case = suite_case(suite, "files", 120);
	TCase *package_case = suite_case(suite, "package", 120);

	tcase_add_test(files_case, everything_is_installed_and_removed);
	if (suite_is_long())
		tcase_add_test(package_case, the_debian_package_is_sound_and_leaves_no_trace);
	return suite_run(suite);
}
