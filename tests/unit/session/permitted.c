/* SPDX-License-Identifier: MIT */
/* What follows from how things stand. */
#include "session/permitted.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

static const struct {
	struct permitted_circumstances now;
	const char *reasons[PERMITTED_ROWS]; /* a part; NULL: permitted */
	const char *remedies[PERMITTED_ROWS];
} cases[] = {
	{{.capable = true, .root = true}, {0}, {0}},
	{{.capable = true, .root = true, .yama_scope = 2}, {0}, {0}},
	{{.capable = true, .yama_scope = 1}, {0}, {0}},
	{{0}, {NULL, NULL, "CAP_SYS_PTRACE"}, {NULL, NULL, "sudo"}},
	{{.yama_scope = 1},
	 {NULL, "ptrace_scope is 1", "CAP_SYS_PTRACE"},
	 {NULL, "sysctl kernel.yama.ptrace_scope=0", "sudo"}},
	{{.yama_scope = 2}, {NULL, "ptrace_scope is 2", "CAP"}, {NULL, "sudo", "sudo"}},
	{{.yama_scope = 2, .root = true},
	 {NULL, "ptrace_scope is 2", "CAP"},
	 {NULL, "--cap-add", "--cap-add"}},
	{{.yama_scope = 3, .capable = true, .root = true, .trial = EPERM},
	 {"ptrace_scope is 3", "ptrace_scope is 3", "ptrace_scope is 3"},
	 {"boot", "boot", "boot"}},
	{{.trial = EPERM, .seccomp = 2, .contained = true, .root = true},
	 {"seccomp", "seccomp", "seccomp"},
	 {"seccomp=unconfined", "seccomp=unconfined", "seccomp=unconfined"}},
	{{.trial = ENOSYS},
	 {"security module", "security module", "security module"},
	 {"journalctl", "journalctl", "journalctl"}},
	{{.contained = true, .root = true}, {NULL, NULL, "CAP"}, {NULL, NULL, "--cap-add"}},
};

static void expect_part(const char *text, const char *part, const char *what)
{
	ck_assert_msg(part ? text && strstr(text, part) : !text, "%s: \"%s\", not \"%s\"", what,
		      text ? text : "none", part ? part : "none");
}

START_TEST(each_refusal_has_its_reason_and_remedy)
{
	struct permitted_row rows[PERMITTED_ROWS];
	permitted_judge(&cases[_i].now, rows);
	for (size_t i = 0; i < PERMITTED_ROWS; i++) {
		expect_part(rows[i].reason, cases[_i].reasons[i], rows[i].what);
		expect_part(rows[i].remedy, cases[_i].remedies[i], rows[i].what);
		ck_assert_int_eq(rows[i].permitted, !rows[i].reason);
	}
}
END_TEST

/* A number of /proc/self/status. */
static unsigned long own_number(const char *field, int base)
{
	char line[256];
	_cleanup_fclose_ FILE *file = fopen("/proc/self/status", "re");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof line, file))
		if (strncmp(line, field, strlen(field)) == 0)
			return strtoul(line + strlen(field), NULL, base);
	ck_abort_msg("no %s", field);
}

START_TEST(the_look_agrees_with_what_the_kernel_says_of_us)
{
	struct permitted_circumstances now;
	ck_assert_ptr_null(permitted_look(&now));
	ck_assert_int_eq(now.capable, own_number("CapEff:", 16) >> 19 & 1);
	ck_assert_int_eq(now.seccomp, (int)own_number("Seccomp:", 10));
	ck_assert_int_eq(now.root, geteuid() == 0);
	ck_assert_int_eq(now.trial, 0); /* else no test of tracing could pass here */
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("permitted");
	TCase *tests = tcase_create("permitted");
	SRunner *runner = srunner_create(suite);

	tcase_add_loop_test(tests, each_refusal_has_its_reason_and_remedy, 0,
			    sizeof cases / sizeof *cases);
	tcase_add_test(tests, the_look_agrees_with_what_the_kernel_says_of_us);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
