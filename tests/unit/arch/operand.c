/* SPDX-License-Identifier: MIT */
/* Arguments of static probes: every form that compilers write, their values, and nonsense. */
#include "arch/operand.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* Each register holds its own name, as it were. */
static const struct user_regs_struct registers = {.rax = 0x8877665544332211,
						  .rcx = 0x100,
						  .rdx = 0x200,
						  .rbx = 0x300,
						  .rsp = 0x400,
						  .rbp = 0x500,
						  .rsi = 0x600,
						  .rdi = 0x700,
						  .r8 = 0x800,
						  .r9 = 0x900,
						  .r10 = 0xa00,
						  .r11 = 0xb00,
						  .r12 = 0xc00,
						  .r13 = 0xd00,
						  .r14 = 0xe00,
						  .r15 = 0xf00};

static struct operand parse(const char *text)
{
	struct operand operand;
	_cleanup_error_ struct error *err = operand_parse(text, &operand);
	ck_assert_msg(!err, "'%s': %s", text, err ? error_message(err) : "");
	return operand;
}

static void expect_value(const char *text, uint64_t value)
{
	struct operand operand = parse(text);
	ck_assert_int_ne(operand.kind, OPERAND_MEMORY);
	ck_assert_msg(operand_value(&operand, &registers) == value, "'%s': 0x%lx", text,
		      operand_value(&operand, &registers));
}

static void expect_address(const char *text, uint64_t address)
{
	struct operand operand = parse(text);
	ck_assert_int_eq(operand.kind, OPERAND_MEMORY);
	ck_assert_uint_eq(operand.symbol_length, 0);
	target_addr is = operand_address(&operand, &registers, (target_addr){0});
	ck_assert_msg(is.v == address, "'%s': 0x%lx", text, is.v);
}

static void expect_symbol(const char *text, const char *name, uint64_t address)
{
	struct operand operand = parse(text);
	ck_assert_int_eq(operand.kind, OPERAND_MEMORY);
	ck_assert_uint_eq(operand.symbol_length, strlen(name));
	ck_assert_mem_eq(operand.symbol, name, strlen(name));
	ck_assert_uint_eq(operand_address(&operand, &registers, (target_addr){0x4000}).v, address);
}

START_TEST(constants_have_their_value)
{
	expect_value("-4@$5", 5);
	expect_value("-4@$-5", (uint64_t)-5);
	expect_value("8@$0x10", 16);
	expect_value("4@$-1", 0xffffffff);
	expect_value("-8@$-9223372036854775808", (uint64_t)1 << 63);
	expect_value("8@$18446744073709551615", UINT64_MAX);
}
END_TEST

START_TEST(registers_are_cut_and_extended_to_the_arguments_size)
{
	static const char *const all[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
					  "r8",	 "r9",	"r10", "r11", "r12", "r13", "r14", "r15"};
	for (uint64_t i = 1; i < 16; i++) {
		char text[16];
		snprintf(text, sizeof text, "8@%%%s", all[i]);
		expect_value(text, i * 0x100);
	}
	expect_value("8@%rax", 0x8877665544332211);
	expect_value("4@%eax", 0x44332211);
	expect_value("2@%ax", 0x2211);
	expect_value("1@%al", 0x11);
	expect_value("1@%ah", 0x22);
	expect_value("4@%rax", 0x44332211);
	expect_value("-4@%r15d", 0xf00);
	expect_value("8@%rdi -4@$5 8@%rsi", 0x700);
	expect_value("  8@%r8w", 0x800);
}
END_TEST

START_TEST(memory_lies_where_its_parts_add_up_to)
{
	expect_address("8@(%rbx)", 0x300);
	expect_address("8@-16(%rbp)", 0x4f0);
	expect_address("-4@8(%rsp) 8@%rdi", 0x408);
	expect_address("8@(%rcx,%r15)", 0x1000);
	expect_address("8@-8(%rbp,%rdx,4)", 0x500 + 0x800 - 8);
	expect_address("8@0x10(,%rdx,8)", 0x1010);
	expect_symbol("8@global(%rip)", "global", 0x4000);
	expect_symbol("8@global+8(%rip)", "global", 0x4008);
	expect_symbol("8@global-8(%rip)", "global", 0x3ff8);
	expect_symbol("8@16+buffer.1(%rip)", "buffer.1", 0x4010);
	expect_symbol("8@buffer(%rip)", "buffer", 0x4000);
}
END_TEST

START_TEST(values_of_memory_are_extended_by_their_sign)
{
	struct operand operand = parse("-4@(%rbx)");
	ck_assert_uint_eq(operand_extend(&operand, 0xffffffff), UINT64_MAX);
	operand = parse("4@(%rbx)");
	ck_assert_uint_eq(operand_extend(&operand, 0x1ffffffff), 0xffffffff);
	operand = parse("-1@(%rbx)");
	ck_assert_uint_eq(operand_extend(&operand, 0x80), (uint64_t)-128);
	operand = parse("-8@(%rbx)");
	ck_assert_uint_eq(operand_extend(&operand, 7), 7);
}
END_TEST

START_TEST(no_argument_is_told_from_one_of_no_known_form)
{
	static const char *const refused[] = {"8f@%xmm0",
					      "16@%xmm0",
					      "8@%xmm0",
					      "8@",
					      "@%rax",
					      "8%rax",
					      "-@%rax",
					      "3@%rax",
					      "8@%",
					      "8@%rax,",
					      "8@%fs:16",
					      "8@$name",
					      "8@$",
					      "8@$5x",
					      "8@(",
					      "8@()",
					      "8@(%rax",
					      "8@(%rax,)",
					      "8@(%rax,%rbx,3)",
					      "8@(%rax,%rbx,)",
					      "8@(%ah)",
					      "8@16(%rip)",
					      "8@(%rip)",
					      "8@name",
					      "8@name(%rax)",
					      "8@name+(%rip)",
					      "8@name(%rip)x",
					      "8@$99999999999999999999",
					      "rax",
					      "8@rax",
					      "8@-(%rbp)x"};
	struct operand operand;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		_cleanup_error_ struct error *err = operand_parse(refused[i], &operand);
		ck_assert_msg(err && error_kind_of(err) == ERROR_UNSUPPORTED, "'%s'", refused[i]);
		ck_assert_ptr_nonnull(strstr(error_message(err), refused[i]));
	}
	_cleanup_error_ struct error *none = operand_parse("", &operand);
	ck_assert_int_eq(error_kind_of(none), ERROR_NOT_FOUND);
	_cleanup_error_ struct error *blank = operand_parse("   ", &operand);
	ck_assert_int_eq(error_kind_of(blank), ERROR_NOT_FOUND);
}
END_TEST

/* Any bytes end in an operand that keeps its invariants, or in an error. */
START_TEST(any_text_is_survived)
{
	static const char alphabet[] = "0123456789-+@$%(),. raxbpsdilx8e_f\xff";
	enum { ROUNDS = 200000, LENGTH_MAX = 24 };
	srandom(7);
	size_t accepted = 0;
	for (int round = 0; round < ROUNDS; round++) {
		struct operand operand;
		size_t length = (size_t)random() % LENGTH_MAX;
		_cleanup_free_ char *text = malloc(length + 1);
		for (size_t i = 0; i < length; i++)
			text[i] = alphabet[(size_t)random() % (sizeof alphabet - 1)];
		text[length] = '\0';
		if (length > 4 && round % 2)
			memcpy(text, "8@", 2);
		_cleanup_error_ struct error *err = operand_parse(text, &operand);
		if (err)
			continue;
		accepted++;
		ck_assert(operand.size_bytes && operand.size_bytes <= 8 &&
			  (operand.size_bytes & (operand.size_bytes - 1)) == 0);
		ck_assert(operand.base < 16 && operand.index < 16);
		ck_assert(operand.kind != OPERAND_REGISTER || operand.base >= 0);
		operand_value(&operand, &registers);
		operand_address(&operand, &registers, (target_addr){0});
	}
	ck_assert_uint_gt(accepted, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("operand");
	TCase *tests = tcase_create("operand");
	tcase_add_test(tests, constants_have_their_value);
	tcase_add_test(tests, registers_are_cut_and_extended_to_the_arguments_size);
	tcase_add_test(tests, memory_lies_where_its_parts_add_up_to);
	tcase_add_test(tests, values_of_memory_are_extended_by_their_sign);
	tcase_add_test(tests, no_argument_is_told_from_one_of_no_known_form);
	tcase_add_test(tests, any_text_is_survived);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
