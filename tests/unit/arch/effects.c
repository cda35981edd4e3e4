/* SPDX-License-Identifier: MIT */
/*
 * The processor as judge of effects_read: random instructions are run on random registers, and
 * every register that changed must be among those that may; rsp must move as said, and a copy be
 * one.
 */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>

#include "arch/effects.h"
#include "base/cleanup.h"
#include "unit/arch/flat.h"
#include "unit/arch/machine.h"

enum {
	RANDOM_TRIES = 400000,
	PAD_NEXT = 0,
};

struct bench {
	struct arena arena;
	uint64_t seed;
	uint64_t start[REGISTERS];
	size_t runs, finished, refused, copies, moves_of_stack;
};

static struct bench bench;

/* xorshift64* */
static uint64_t random_word(void)
{
	bench.seed ^= bench.seed >> 12;
	bench.seed ^= bench.seed << 25;
	bench.seed ^= bench.seed >> 27;
	return bench.seed * 0x2545f4914f6cdd1du;
}

static uint64_t random_below(uint64_t limit)
{
	return (random_word() >> 16) % limit;
}

static void setup(void)
{
	bench = (struct bench){.arena = arena_new(), .seed = 0x9e3779b97f4a7c15u};
	const char *seed = getenv("SEED");
	if (seed)
		bench.seed = strtoull(seed, NULL, 0) | 1;
	machine_catch_faults();
}

/* Pointers into the data, so that most memory operands can be reached, and small numbers. */
static void poison(void)
{
	for (int i = 0; i < REGISTERS; i++) {
		uint64_t offset = PAGE / 2 + random_below(PAGE);
		bench.start[i] = random_below(4)   ? bench.arena.data + (offset & ~(uint64_t)63)
				 : random_below(2) ? 1 + random_below(63)
						   : random_word();
	}
	bench.start[RSP] = bench.arena.stack + PAGE + 8 * random_below(64);
	for (size_t i = 0; i < MEMORY_BYTES; i += 8) {
		uint64_t noise = random_word();
		memcpy((void *)(uintptr_t)(bench.arena.data + i), &noise, 8);
		memcpy((void *)(uintptr_t)(bench.arena.stack + i), &noise, 8);
	}
}

static void run(const struct instruction *instruction)
{
	uint8_t *site = bench.arena.writable + SITE_OFFSET;
	size_t length = instruction->decoded.length;
	memcpy(site, instruction->bytes, length);
	put_code_jump(site + length, bench.arena.site + length, bench.arena.pads);
	memcpy(run_machine.registers, bench.start, sizeof bench.start);
	run_machine.flags = (random_word() & 0xcd5) | 0x202;
	memset(run_machine.vector, 0, sizeof run_machine.vector);
	memcpy(run_machine.vector, "\x7f\x03", 2);
	memcpy(run_machine.vector + 24, "\x80\x1f", 2);
	machine_run(&bench.arena, bench.arena.site);
}

static void describe(const struct instruction *instruction, char text[64])
{
	size_t used = 0;
	for (size_t i = 0; i < instruction->decoded.length; i++)
		used += (size_t)snprintf(text + used, 64 - used, "%02x ", instruction->bytes[i]);
}

static void check_effects(const struct instruction *instruction, const struct effects *effects)
{
	char text[64];
	describe(instruction, text);
	for (unsigned i = 0; i < REGISTERS; i++)
		if (i != RSP && run_machine.registers[i] != bench.start[i])
			ck_assert_msg(effects->writes & 1u << i, "%s: changed register %u", text,
				      i);
	ck_assert_msg(run_machine.registers[RSP] ==
			      bench.start[RSP] - (uint64_t)(int64_t)effects->depth_change,
		      "%s: moved rsp from %" PRIx64 " to %" PRIx64 ", not by %d", text,
		      bench.start[RSP], run_machine.registers[RSP], effects->depth_change);
	bench.moves_of_stack += effects->depth_change != 0;
	if (effects->copy_from < 0)
		return;
	ck_assert_msg(run_machine.registers[effects->copy_to] == bench.start[effects->copy_from],
		      "%s: is no copy", text);
	bench.copies++;
}

/* Instructions that change what this process stands on, or wait. */
static bool is_unfit_category(ZydisInstructionCategory category)
{
	switch (category) {
	case ZYDIS_CATEGORY_XSAVE:
	case ZYDIS_CATEGORY_XSAVEOPT:
	case ZYDIS_CATEGORY_PKU:
	case ZYDIS_CATEGORY_WAITPKG:
	case ZYDIS_CATEGORY_RDWRFSGS:
	case ZYDIS_CATEGORY_CET:
	case ZYDIS_CATEGORY_SYSCALL:
	case ZYDIS_CATEGORY_SYSRET:
	case ZYDIS_CATEGORY_INTERRUPT:
		return true;
	default:
		return false;
	}
}

static bool is_unfit_operand(const ZydisDecodedOperand *operand)
{
	if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY)
		return operand->mem.segment == ZYDIS_REGISTER_FS ||
		       operand->mem.segment == ZYDIS_REGISTER_GS;
	return operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       operand->reg.value >= ZYDIS_REGISTER_ES && operand->reg.value <= ZYDIS_REGISTER_GS &&
	       (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE);
}

static bool is_unfit(const struct instruction *instruction)
{
	const ZydisDecodedInstruction *decoded = &instruction->decoded;
	/* A bit string's register index reaches anywhere, as 32-bit addresses reach low memory. */
	bool reaches_anywhere = decoded->mnemonic == ZYDIS_MNEMONIC_BTS ||
				decoded->mnemonic == ZYDIS_MNEMONIC_BTR ||
				decoded->mnemonic == ZYDIS_MNEMONIC_BTC;
	if (decoded->address_width != 64 || is_unfit_category(decoded->meta.category) ||
	    (reaches_anywhere && instruction->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY) ||
	    decoded->mnemonic == ZYDIS_MNEMONIC_MWAITX ||
	    decoded->mnemonic == ZYDIS_MNEMONIC_VMFUNC)
		return true;
	for (size_t i = 0; i < decoded->operand_count; i++)
		if (is_unfit_operand(&instruction->operands[i]))
			return true;
	return false;
}

/* Bytes likely to be an instruction: prefixes, an opcode map, and registers more often than memory.
 */
static void generate(uint8_t *bytes)
{
	static const char *const starts[] = {"",
					     "",
					     "",
					     "\x0f",
					     "\x0f",
					     "\x0f\x38",
					     "\x0f\x3a",
					     "\xc4\xe2\x78",
					     "\xc4\xe2\xf8",
					     "\xc4\xe2\x7b",
					     "\xc4\xe3\x7b",
					     "\xc5\xf9",
					     "\xc5\xfb",
					     "\x0f\xc7",
					     "\x0f\x01"};
	static const uint8_t prefixes[] = {0x66, 0xf2, 0xf3, 0xf0};
	for (size_t i = 0; i < CODE_INSTRUCTION_MAX_BYTES; i++)
		bytes[i] = (uint8_t)random_below(256);
	size_t at = 0;
	while (at < 2 && random_below(4) == 0)
		bytes[at++] = prefixes[random_below(sizeof prefixes)];
	const char *start = starts[random_below(sizeof starts / sizeof *starts)];
	bool vex = (uint8_t)start[0] == 0xc4 || (uint8_t)start[0] == 0xc5;
	if (!vex && random_below(2))
		bytes[at++] = (uint8_t)(0x40 + random_below(16));
	memcpy(bytes + at, start, strlen(start));
	at += strlen(start) + (strlen(start) != 2);
	if (random_below(2))
		bytes[at] |= 0xc0;
	else if (random_below(2))
		bytes[at] = (uint8_t)(0x40 | (bytes[at] & 0x3f));
}

/* Runs the instruction if it can be; counts. */
static void try(const uint8_t *bytes)
{
	struct flat flat = {
		.base = bench.arena.site, .bytes = bytes, .count = CODE_INSTRUCTION_MAX_BYTES};
	struct code_reader reader = flat_reader(&flat);
	struct instruction instruction;
	_cleanup_error_ struct error *err =
		instruction_read(&reader, (target_addr){bench.arena.site}, &instruction);
	if (err || instruction.flow != FLOW_NEXT || is_unfit(&instruction))
		return;
	struct effects effects;
	bench.runs++;
	err = effects_read(&instruction, &effects);
	if (err) {
		bench.refused++;
		return;
	}
	run(&instruction);
	if (run_machine.landed != PAD_NEXT)
		return;
	bench.finished++;
	check_effects(&instruction, &effects);
}

START_TEST(random_instructions_change_no_other_register_than_said)
{
	setup();
	for (int i = 0; i < RANDOM_TRIES; i++) {
		uint8_t bytes[CODE_INSTRUCTION_MAX_BYTES];
		if (i % 16 == 0)
			poison();
		generate(bytes);
		try(bytes);
	}
	if (getenv("VERBOSE"))
		printf("%zu instructions: %zu refused, %zu ran, %zu copies, %zu moved rsp\n",
		       bench.runs, bench.refused, bench.finished, bench.copies,
		       bench.moves_of_stack);
	ck_assert_uint_gt(bench.finished, RANDOM_TRIES / 8);
	ck_assert_uint_gt(bench.copies, 20);
	ck_assert_uint_gt(bench.moves_of_stack, 1000);
	ck_assert_uint_lt(bench.refused, bench.runs / 10);
}
END_TEST

/* Every one- and two-byte opcode with register operands and each operand size. */
START_TEST(every_opcode_changes_no_other_register_than_said)
{
	setup();
	static const char *const starts[] = {
		"",	    "\x48", "\x66", "\x0f",	    "\x48\x0f", "\x66\x0f", "\xf3\x0f",
		"\xf2\x0f", "\xf3", "\xf2", "\xf3\x48\x0f", "\x41",	"\xf0\x0f"};
	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
		for (int opcode = 0; opcode < 256; opcode++)
			for (int modrm = 0; modrm < 256; modrm++) {
				uint8_t bytes[CODE_INSTRUCTION_MAX_BYTES] = {0};
				size_t count = strlen(starts[i]);
				memcpy(bytes, starts[i], count);
				bytes[count] = (uint8_t)opcode;
				bytes[count + 1] = (uint8_t)modrm;
				bytes[count + 2] = 0x24;
				if (modrm % 16 == 0)
					poison();
				try(bytes);
			}
	if (getenv("VERBOSE"))
		printf("%zu instructions: %zu refused, %zu ran\n", bench.runs, bench.refused,
		       bench.finished);
	ck_assert_uint_gt(bench.finished, 100000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("effects of instructions");
	TCase *tests = tcase_create("effects");
	tcase_set_timeout(tests, 240);
	tcase_add_test(tests, random_instructions_change_no_other_register_than_said);
	tcase_add_test(tests, every_opcode_changes_no_other_register_than_said);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
