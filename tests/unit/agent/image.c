/* SPDX-License-Identifier: MIT */
/* What the agent's image is made of, as binutils tell it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/abi.h"
#include "agent/image.h"

enum { LINE_BYTES = 512 };

static FILE *run(const char *command)
{
	FILE *output = popen(command, "r");
	ck_assert_ptr_nonnull(output);
	return output;
}

static void expect_success(FILE *output, size_t lines)
{
	ck_assert_int_eq(pclose(output), 0);
	ck_assert_uint_gt(lines, 100);
}

START_TEST(the_header_describes_the_image)
{
	struct agent_header header;
	memcpy(&header, agent_image, sizeof header);
	ck_assert_uint_eq(header.magic, AGENT_MAGIC);
	ck_assert_uint_eq(header.version, AGENT_ABI_VERSION);
	ck_assert_uint_eq(header.image_bytes, agent_image_bytes);
	ck_assert_uint_le(agent_image_bytes, AGENT_IMAGE_MAX_BYTES);
	ck_assert_uint_gt(header.enter, sizeof header);
	ck_assert_uint_lt(header.enter, agent_image_bytes);
	ck_assert_uint_gt(header.leave, sizeof header);
	ck_assert_uint_lt(header.leave, agent_image_bytes);
	ck_assert_uint_gt(header.find, sizeof header);
	ck_assert_uint_lt(header.find, agent_image_bytes);
	ck_assert_uint_eq(header.stub_count, 0);
	for (size_t i = 0; i < AGENT_OUTPOSTS; i++)
		ck_assert(header.outposts[i] == 0 && header.outpost_stub_counts[i] == 0);
}
END_TEST

START_TEST(nothing_is_left_undefined_and_nothing_is_data)
{
	FILE *undefined = run("nm --undefined-only " AGENT_IMAGE_ELF);
	char line[LINE_BYTES];
	if (fgets(line, sizeof line, undefined))
		ck_abort_msg("undefined: %s", line);
	ck_assert_int_eq(pclose(undefined), 0);
	FILE *symbols = run("nm " AGENT_IMAGE_ELF);
	size_t lines = 0;
	for (; fgets(line, sizeof line, symbols); lines++)
		/* agent_private lies behind the image: in no section but the code's */
		if (strchr("DdBbCGgSs", line[17]))
			ck_abort_msg("data: %s", line);
	ck_assert_int_eq(pclose(symbols), 0);
	ck_assert_uint_gt(lines, 10);
	FILE *relocations = run("readelf --relocs --wide " AGENT_IMAGE_ELF);
	while (fgets(line, sizeof line, relocations))
		if (strstr(line, "R_X86_64"))
			ck_abort_msg("relocation: %s", line);
	ck_assert_int_eq(pclose(relocations), 0);
}
END_TEST

/* The instruction of a line of objdump, NULL if there is none: the image begins with a header. */
static const char *instruction(const char *line)
{
	const char *colon = strchr(line, ':');
	if (line[0] != ' ' || !colon || strtoul(line, NULL, 16) < sizeof(struct agent_header))
		return NULL;
	return colon + 1 + strspn(colon + 1, " \t");
}

/* Registers of vectors and of the x87 unit, and what lies beyond a segment. */
static const char *const forbidden_operands[] = {"%xmm", "%ymm", "%zmm", "%mm",
						 "%st",	 "%k",	 "%fs:", "%gs:"};
/* How the x87 unit's, string and flag instructions begin, and others that have no place here. */
static const char *const forbidden_beginnings[] = {
	"f",   "stos", "lods", "scas", "cmps",	"movsb", "movsw (", "movsl (", "movsq",
	"rep", "std",  "cld",  "popf", "xsave", "emms",	 "int",	    "cpuid",
};

static void check_instruction(const char *text, const char *line)
{
	for (size_t i = 0; i < sizeof forbidden_operands / sizeof *forbidden_operands; i++)
		if (strstr(text, forbidden_operands[i]))
			ck_abort_msg("%s in%s", forbidden_operands[i], line);
	for (size_t i = 0; i < sizeof forbidden_beginnings / sizeof *forbidden_beginnings; i++) {
		const char *beginning = forbidden_beginnings[i];
		if (strncmp(text, beginning, strlen(beginning)) == 0)
			ck_abort_msg("%s in%s", beginning, line);
	}
}

START_TEST(no_instruction_touches_what_is_not_kept)
{
	FILE *output = run("objdump -d --no-show-raw-insn " AGENT_IMAGE_ELF);
	char line[LINE_BYTES];
	size_t lines = 0, syscalls = 0;
	while (fgets(line, sizeof line, output)) {
		const char *text = instruction(line);
		if (!text)
			continue;
		lines++;
		syscalls += strncmp(text, "syscall", 7) == 0;
		/* What pads functions to 16 bytes is never run. */
		if (strstr(text, "nop") || strstr(text, "data16"))
			continue;
		check_instruction(text, line);
	}
	expect_success(output, lines);
	ck_assert_uint_gt(syscalls, 0);
}
END_TEST

START_TEST(every_jump_and_call_stays_inside)
{
	FILE *output = run("objdump -d --no-show-raw-insn " AGENT_IMAGE_ELF);
	char line[LINE_BYTES];
	size_t lines = 0, calls = 0;
	while (fgets(line, sizeof line, output)) {
		const char *text = instruction(line);
		if (!text)
			continue;
		lines++;
		bool call = strncmp(text, "call", 4) == 0;
		if ((!call && text[0] != 'j') || strchr(text, '*'))
			continue;
		const char *operand = text + strcspn(text, " ");
		uint64_t target = strtoul(operand, NULL, 16);
		if (target < sizeof(struct agent_header) || target >= agent_image_bytes)
			ck_abort_msg("it leads outside:%s", line);
		calls += call;
	}
	expect_success(output, lines);
	ck_assert_uint_gt(calls, 10);
}
END_TEST

static Suite *image_suite(void)
{
	Suite *suite = suite_create("agent image");
	TCase *tests = tcase_create("image");
	tcase_add_test(tests, the_header_describes_the_image);
	tcase_add_test(tests, nothing_is_left_undefined_and_nothing_is_data);
	tcase_add_test(tests, no_instruction_touches_what_is_not_kept);
	tcase_add_test(tests, every_jump_and_call_stays_inside);
	suite_add_tcase(suite, tests);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(image_suite());
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
