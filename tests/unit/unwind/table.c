/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "unwind/table.h"

static void check_round_trip(struct unwind_rule rule)
{
	uint32_t packed;
	bool fits = unwind_rule_pack(&rule, &packed);
	struct unwind_rule back = unwind_rule_unpack(packed);
	if (!fits || back.kind != rule.kind || back.bp != rule.bp ||
	    back.cfa_offset != rule.cfa_offset || back.bp_offset != rule.bp_offset)
		ck_abort_msg("kind %d bp %d cfa %d bp %d came back as kind %d bp %d cfa %d bp %d",
			     rule.kind, rule.bp, rule.cfa_offset, rule.bp_offset, back.kind,
			     back.bp, back.cfa_offset, back.bp_offset);
}

START_TEST(every_rule_in_range_survives_packing)
{
	static const int32_t cfa_offsets[] = {0, 8, 16, -8, -16, 4096, 1048568, 2097144, -2097152};
	for (int kind = UNWIND_NONE; kind <= UNWIND_UNSUPPORTED; kind++)
		for (int bp = UNWIND_BP_SAME; bp <= UNWIND_BP_SAVED_AT_BP; bp++)
			for (int32_t offset = -1024; offset < 1024; offset += 8)
				for (size_t i = 0; i < 9; i++)
					check_round_trip((struct unwind_rule){
						(enum unwind_kind)kind, (enum unwind_bp)bp,
						kind == UNWIND_PLT ? cfa_offsets[i] / 16
								   : cfa_offsets[i],
						offset});
}
END_TEST

START_TEST(a_plt_keeps_any_byte_of_its_entry)
{
	for (int32_t offset = 0; offset < 16; offset++)
		check_round_trip((struct unwind_rule){UNWIND_PLT, UNWIND_BP_SAME, offset, 0});
}
END_TEST

START_TEST(what_does_not_fit_is_refused)
{
	static const struct unwind_rule rules[] = {
		{UNWIND_SP, UNWIND_BP_SAME, 12, 0},
		{UNWIND_SP, UNWIND_BP_SAME, 2097152, 0},
		{UNWIND_SP, UNWIND_BP_SAME, -2097160, 0},
		{UNWIND_SP, UNWIND_BP_SAME, INT32_MAX, 0},
		{UNWIND_SP, UNWIND_BP_SAME, INT32_MIN, 0},
		{UNWIND_SP, UNWIND_BP_SAVED, 16, -12},
		{UNWIND_SP, UNWIND_BP_SAVED, 16, 1024},
		{UNWIND_SP, UNWIND_BP_SAVED, 16, -1032},
		{UNWIND_SP, UNWIND_BP_SAVED, 16, INT32_MIN},
	};
	uint32_t packed;
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		ck_assert(!unwind_rule_pack(&rules[i], &packed));
}
END_TEST

static uint32_t pack_sp(int32_t offset)
{
	struct unwind_rule rule = {.kind = UNWIND_SP, .cfa_offset = offset};
	uint32_t packed = 0;
	ck_assert(unwind_rule_pack(&rule, &packed));
	return packed;
}

/* The row that holds by going through all of them; -1: none. */
static int find_slowly(const struct unwind_table *table, uint64_t offset)
{
	int found = -1;
	for (uint32_t i = 0; i < table->count; i++)
		if (table->rows[i].pc <= offset)
			found = (int)i;
	return found;
}

START_TEST(a_search_finds_the_row_that_a_scan_finds)
{
	struct unwind_row rows[40];
	uint32_t pc = 3;
	for (int i = 0; i < 40; i++) {
		rows[i] = (struct unwind_row){pc, pack_sp(8 * (i + 1))};
		pc += 1 + (uint32_t)(i * 7 % 5);
	}
	for (uint32_t count = 0; count <= 40; count++) {
		struct unwind_table table = {.base = 0x1000, .rows = rows, .count = count};
		for (uint64_t offset = 0; offset < pc + 10; offset++) {
			int row = find_slowly(&table, offset);
			struct unwind_rule rule = unwind_table_find(&table, offset);
			if (row < 0 ? rule.kind != UNWIND_NONE
				    : rule.kind != UNWIND_SP || rule.cfa_offset != 8 * (row + 1))
				ck_abort_msg("count %u, offset %lu: kind %d, CFA %d", count, offset,
					     rule.kind, rule.cfa_offset);
		}
	}
}
END_TEST

START_TEST(an_offset_beyond_32_bits_is_not_cut)
{
	struct unwind_row rows[] = {{0, pack_sp(8)}, {16, 0}};
	struct unwind_table table = {.rows = rows, .count = 2};
	ck_assert_int_eq(unwind_table_find(&table, UINT64_C(1) << 32).kind, UNWIND_NONE);
	ck_assert_int_eq(unwind_table_find(&table, UINT64_MAX).kind, UNWIND_NONE);
}
END_TEST

START_TEST(the_sources_need_nothing_but_a_compiler)
{
	static const char command[] =
		"d=$(mktemp -d) && "
		"for s in src/unwind/*.c; do cc -std=gnu11 -O2 -ffreestanding -mgeneral-regs-only "
		"-fno-stack-protector -Isrc -c \"$s\" -o \"$d/$(basename \"$s\").o\" || exit 1; "
		"done; "
		"ld -r -o \"$d/all.o\" \"$d\"/*.c.o && nm -u \"$d/all.o\"; rm -r \"$d\"";
	FILE *pipe = popen(command, "r");
	char line[256];
	ck_assert_ptr_nonnull(pipe);
	char *undefined = fgets(line, sizeof line, pipe);
	ck_assert_msg(!undefined, "undefined: %s", undefined ? undefined : "");
	ck_assert_int_eq(pclose(pipe), 0);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("unwind/table");
	TCase *rules = tcase_create("rules");
	tcase_add_test(rules, every_rule_in_range_survives_packing);
	tcase_add_test(rules, a_plt_keeps_any_byte_of_its_entry);
	tcase_add_test(rules, what_does_not_fit_is_refused);
	suite_add_tcase(suite, rules);
	TCase *search = tcase_create("search");
	tcase_add_test(search, a_search_finds_the_row_that_a_scan_finds);
	tcase_add_test(search, an_offset_beyond_32_bits_is_not_cut);
	suite_add_tcase(suite, search);
	TCase *freestanding = tcase_create("freestanding");
	tcase_set_timeout(freestanding, 60);
	tcase_add_test(freestanding, the_sources_need_nothing_but_a_compiler);
	suite_add_tcase(suite, freestanding);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(make_suite());
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
