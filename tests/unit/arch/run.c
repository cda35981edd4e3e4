/* SPDX-License-Identifier: MIT */
/*
 * The processor as judge: an instruction in its place and its relocated copy, each run on the same
 * state, must leave the same registers, flags, vector state and memory, go to the same place and
 * fault alike.
 */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>

#include <Zydis/Zydis.h>

#include "arch/code.h"
#include "base/cleanup.h"
#include "unit/arch/flat.h"
#include "unit/arch/machine.h"

enum {
	RANDOM_TRIES = 150000,
	PAD_NEXT = 0,  /* where control comes out when it falls through */
	PAD_TAKEN = 1, /* where branches of the tests go */
};

struct bench {
	struct arena arena;
	bool far;
	uint64_t seed;
	struct machine start;
	uint8_t data[MEMORY_BYTES], stack[MEMORY_BYTES];
	size_t runs, refused, fell_through, taken, faulted, half_done, resumed;
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

static uint64_t random_data_address(void)
{
	uint64_t offset = PAGE / 2 + random_below(PAGE);
	return bench.arena.data + (random_below(3) ? offset & ~(uint64_t)63 : offset);
}

static uint64_t pad(uint64_t number)
{
	return bench.arena.pads + number * PAD_BYTES;
}

/* Registers, mostly pointers into the data; memory, every third word a landing pad. */
static void poison(void)
{
	for (int i = 0; i < REGISTERS; i++) {
		uint64_t kind = random_below(10);
		bench.start.registers[i] = kind < 6   ? random_data_address()
					   : kind < 8 ? random_below(256)
						      : random_word();
	}
	bench.start.registers[RSP] = bench.arena.stack + PAGE + 8 * random_below(64);
	bench.start.flags = (random_word() & 0xcd5) | 0x202;
	for (size_t i = 0; i < MEMORY_BYTES; i += 8) {
		uint64_t landing = pad(random_below(PADS)), noise = random_word();
		memcpy(bench.data + i, i % 3 ? &noise : &landing, 8);
		landing = pad(random_below(PADS));
		memcpy(bench.stack + i, &landing, 8);
	}
	/* An x87 control word and an MXCSR with everything masked. */
	memset(bench.start.vector, 0, sizeof bench.start.vector);
	memcpy(bench.start.vector, "\x7f\x03", 2);
	memcpy(bench.start.vector + 24, "\x80\x1f", 2);
	for (size_t i = 160; i < 416; i += 8) {
		uint64_t noise = random_word();
		memcpy(bench.start.vector + i, &noise, 8);
	}
}

/* far: copies run out of reach of what they are copies of, as code_relocate_far makes them. */
static void setup(bool far)
{
	bench = (struct bench){.arena = arena_new(), .seed = 0x9e3779b97f4a7c15u};
	const char *seed = getenv("SEED");
	if (seed)
		bench.seed = strtoull(seed, NULL, 0) | 1;
	machine_catch_faults();
	bench.far = far;
	if (far)
		arena_part(&bench.arena);
	poison();
}

static uint8_t *site_page(void)
{
	return bench.arena.writable + SITE_OFFSET;
}

static uint8_t *slot_page(int which)
{
	return bench.arena.writable + (1 + which) * PAGE + SLOT_OFFSET;
}

/* Fills the site's page with the instruction, a way out behind it and traps all around. */
static void write_site(const uint8_t *bytes, size_t length)
{
	memset(bench.arena.writable, CODE_BREAKPOINT, PAGE);
	memcpy(site_page(), bytes, length);
	put_code_jump(site_page() + length, bench.arena.site + length, pad(PAD_NEXT));
}

static void start_from_poison(void)
{
	run_machine = bench.start;
	memcpy((void *)(uintptr_t)bench.arena.data, bench.data, MEMORY_BYTES);
	memcpy((void *)(uintptr_t)bench.arena.stack, bench.stack, MEMORY_BYTES);
}

static void take_outcome(struct outcome *ret)
{
	ret->machine = run_machine;
	memcpy(ret->data, (void *)(uintptr_t)bench.arena.data, MEMORY_BYTES);
	memcpy(ret->stack, (void *)(uintptr_t)bench.arena.stack, MEMORY_BYTES);
}

/* A fault of the copy's first instruction is a fault of the original. */
static void place_fault(struct outcome *outcome, uint64_t slot)
{
	struct machine *machine = &outcome->machine;
	if (machine->fault_rip == slot)
		machine->fault_rip = bench.arena.site;
	if (machine->fault_address == slot)
		machine->fault_address = bench.arena.site;
}

static void describe(const uint8_t *bytes, size_t length, char *text, size_t size)
{
	size_t used = 0;
	for (size_t i = 0; i < length; i++)
		used += (size_t)snprintf(text + used, size - used, "%02x ", bytes[i]);
}

static void check_same(const struct outcome *a, const struct outcome *b, const uint8_t *bytes,
		       size_t length)
{
	if (!memcmp(a, b, sizeof *a))
		return;
	char text[64];
	describe(bytes, length, text, sizeof text);
	for (int i = 0; i < REGISTERS; i++)
		ck_assert_msg(a->machine.registers[i] == b->machine.registers[i],
			      "%s: register %d is %" PRIx64 " against %" PRIx64, text, i,
			      b->machine.registers[i], a->machine.registers[i]);
	ck_assert_msg(a->machine.landed == b->machine.landed,
		      "%s: landed at %" PRIx64 " against %" PRIx64, text, b->machine.landed,
		      a->machine.landed);
	ck_assert_msg(a->machine.flags == b->machine.flags,
		      "%s: flags %" PRIx64 " against %" PRIx64, text, b->machine.flags,
		      a->machine.flags);
	ck_assert_msg(a->machine.fault_rip == b->machine.fault_rip &&
			      a->machine.fault_address == b->machine.fault_address,
		      "%s: faults at %" PRIx64 " (%" PRIx64 ") against %" PRIx64 " (%" PRIx64 ")",
		      text, b->machine.fault_rip, b->machine.fault_address, a->machine.fault_rip,
		      a->machine.fault_address);
	ck_assert_msg(!memcmp(a->machine.vector, b->machine.vector, sizeof a->machine.vector),
		      "%s: vector state differs", text);
	ck_assert_msg(!memcmp(a->data, b->data, sizeof a->data), "%s: data differ", text);
	ck_assert_msg(!memcmp(a->stack, b->stack, sizeof a->stack), "%s: stacks differ", text);
}

static struct error *relocate(const uint8_t *bytes, size_t length, int which, struct code_slot *ret)
{
	struct flat flat = {.base = bench.arena.site, .bytes = bytes, .count = length};
	struct code_reader reader = flat_reader(&flat);
	target_addr site = {bench.arena.site}, slot = {bench.arena.slots[which]};
	return bench.far ? code_relocate_far(&reader, site, slot, ret)
			 : code_relocate(&reader, site, slot, ret);
}

/*
 * Stops a thread in the slot at every offset that has a place in the original code, and lets it go
 * on there: the end must be the same. The site's breakpoint is taken out for this.
 */
static void check_resumes(const struct code_slot *slot, int which, const uint8_t *bytes,
			  const struct outcome *wanted)
{
	for (size_t offset = 1; offset < slot->count; offset++) {
		target_addr resume;
		if (!code_slot_resume(slot, offset, (target_addr){bench.arena.site}, &resume))
			continue;
		memcpy(slot_page(which), slot->bytes, slot->count);
		slot_page(which)[offset] = CODE_BREAKPOINT;
		start_from_poison();
		machine_run(&bench.arena, bench.arena.slots[which]);
		if (run_machine.landed != LANDED_FAULT + SIGTRAP ||
		    run_machine.fault_rip != bench.arena.slots[which] + offset + 1)
			continue;
		machine_run(&bench.arena, resume.v);
		struct outcome outcome;
		take_outcome(&outcome);
		check_same(wanted, &outcome, bytes, slot->length);
		bench.resumed++;
	}
}

static void count_landing(const struct outcome *outcome)
{
	bench.runs++;
	if (outcome->machine.landed >= LANDED_FAULT)
		bench.faulted++;
	else if (outcome->machine.landed == PAD_NEXT)
		bench.fell_through++;
	else
		bench.taken++;
}

/*
 * Runs the instruction at the site (already written) and its copy in both slots. A computed call
 * whose target cannot be read or jumped to faults between its two halves: the one known difference.
 */
static void compare_copies(const uint8_t *bytes, size_t length)
{
	struct outcome original, copied;
	start_from_poison();
	machine_run(&bench.arena, bench.arena.site);
	take_outcome(&original);
	count_landing(&original);
	for (int which = 0; which < 2; which++) {
		struct code_slot slot;
		_cleanup_error_ struct error *err = relocate(bytes, length, which, &slot);
		if (err) {
			bench.refused++;
			continue;
		}
		ck_assert_uint_eq(slot.length, length);
		memset(slot_page(which) - SLOT_OFFSET, CODE_BREAKPOINT, PAGE);
		memcpy(slot_page(which), slot.bytes, slot.count);
		site_page()[0] = CODE_BREAKPOINT;
		start_from_poison();
		machine_run(&bench.arena, bench.arena.slots[which]);
		take_outcome(&copied);
		place_fault(&copied, bench.arena.slots[which]);
		site_page()[0] = bytes[0];
		if (original.machine.fault_rip == bench.arena.site &&
		    copied.machine.fault_rip == bench.arena.slots[which] + 6 &&
		    copied.machine.landed == original.machine.landed) {
			bench.half_done++;
			continue;
		}
		check_same(&original, &copied, bytes, length);
		check_resumes(&slot, which, bytes, &original);
	}
}

static void compare(const uint8_t *bytes, size_t length)
{
	write_site(bytes, length);
	compare_copies(bytes, length);
}

/* A branch whose 8-bit displacement is its last byte: the way out of a taken one lies there. */
static void compare_short(const uint8_t *bytes, size_t length)
{
	int8_t displacement = (int8_t)bytes[length - 1];
	int64_t offset = (int64_t)length + displacement;
	write_site(bytes, length);
	put_code_jump(site_page() + offset, bench.arena.site + (uint64_t)offset, pad(PAD_TAKEN));
	compare_copies(bytes, length);
}

/* A branch whose 32-bit displacement stands last: it goes straight to its pad. */
static void compare_near(uint8_t *bytes, size_t length)
{
	int32_t displacement = (int32_t)(pad(PAD_TAKEN) - (bench.arena.site + length));
	memcpy(bytes + length - 4, &displacement, 4);
	compare(bytes, length);
}

static void show_counts(void)
{
	if (getenv("VERBOSE"))
		printf("%zu runs: %zu fell through, %zu taken, %zu faulted, %zu refused, "
		       "%zu half done, %zu resumed\n",
		       bench.runs, bench.fell_through, bench.taken, bench.faulted, bench.refused,
		       bench.half_done, bench.resumed);
}

static void check_no_refusal(void)
{
	show_counts();
	ck_assert_uint_eq(bench.refused, 0);
	ck_assert_uint_eq(bench.faulted, 0);
	ck_assert_uint_eq(bench.half_done, 0);
}

START_TEST(conditional_jumps_do_the_same_under_all_flags)
{
	setup(_i != 0);
	const int8_t displacements[] = {5, 40, 127, -30, -128};
	for (int flags = 0; flags < 64; flags++) {
		/* CF PF AF ZF SF OF */
		const uint64_t bits[] = {0x1, 0x4, 0x10, 0x40, 0x80, 0x800};
		poison();
		bench.start.flags = 0x202;
		for (int i = 0; i < 6; i++)
			bench.start.flags |= flags >> i & 1 ? bits[i] : 0;
		for (uint8_t condition = 0; condition < 16; condition++) {
			uint8_t near[6] = {0x0f, 0x80 | condition};
			uint8_t hinted[7] = {0x3e, 0x0f, 0x80 | condition};
			compare_near(near, sizeof near);
			compare_near(hinted, sizeof hinted);
			for (size_t i = 0; i < sizeof displacements; i++) {
				uint8_t bytes[2] = {0x70 | condition, (uint8_t)displacements[i]};
				compare_short(bytes, sizeof bytes);
			}
		}
	}
	check_no_refusal();
	ck_assert_uint_eq(bench.taken, bench.runs / 2);
	ck_assert_uint_eq(bench.fell_through, bench.runs / 2);
	/* From afar a taken branch has a jump of its own, where a thread can be stopped, too. */
	ck_assert_uint_eq(bench.resumed, (_i ? bench.runs : bench.fell_through) * 2);
}
END_TEST

START_TEST(loops_and_jrcxz_do_the_same_for_all_counts)
{
	setup(_i != 0);
	const uint64_t counts[] = {0, 1, 2, 0x100000000, 0x100000001, UINT64_MAX, 0xffffffff};
	const int8_t displacements[] = {5, 127, -30, -128};
	for (uint8_t opcode = 0xe0; opcode <= 0xe3; opcode++)
		for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
			for (size_t j = 0; j < sizeof displacements; j++) {
				poison();
				bench.start.registers[RCX] = counts[i];
				uint8_t bytes[] = {opcode, (uint8_t)displacements[j]};
				uint8_t narrow[] = {0x67, opcode, (uint8_t)displacements[j]};
				uint8_t wide[] = {0x48, opcode, (uint8_t)displacements[j]};
				compare_short(bytes, sizeof bytes);
				compare_short(narrow, sizeof narrow);
				compare_short(wide, sizeof wide);
			}
	check_no_refusal();
	ck_assert_uint_gt(bench.taken, 50);
	ck_assert_uint_gt(bench.fell_through, 50);
	/* Every end, taken or not, is a place where a thread can be stopped and sent on. */
	ck_assert_uint_eq(bench.resumed, bench.runs * 2);
}
END_TEST

START_TEST(direct_jumps_calls_and_returns_do_the_same)
{
	setup(_i != 0);
	for (int i = 0; i < 50; i++) {
		poison();
		uint8_t jump[5] = {0xe9}, call[5] = {0xe8}, bound[6] = {0xf2, 0xe8};
		uint8_t wide[7] = {0x66, 0x48, 0xe8};
		compare_near(jump, sizeof jump);
		compare_near(call, sizeof call);
		compare_near(bound, sizeof bound);
		compare_near(wide, sizeof wide);
		compare_short((const uint8_t[]){0xeb, 0x30}, 2);
		compare_short((const uint8_t[]){0xeb, 0xc0}, 2);
		compare((const uint8_t[]){0xc3}, 1);
		compare((const uint8_t[]){0xf3, 0xc3}, 2);
		compare((const uint8_t[]){0xf2, 0xc3}, 2);
		compare((const uint8_t[]){0xc2, (uint8_t)random_word(), 0x00}, 3);
	}
	check_no_refusal();
	ck_assert_uint_gt(bench.taken, 400);
}
END_TEST

/* `ff /2` and `ff /4` of one operand: REX, ModRM without its reg field, and what follows. */
static void compare_computed(uint8_t rex, uint8_t modrm, const uint8_t *rest, size_t count)
{
	for (uint8_t operation = 2; operation <= 4; operation += 2) {
		uint8_t bytes[CODE_INSTRUCTION_MAX_BYTES] = {rex, 0xff,
							     (uint8_t)(modrm | operation << 3)};
		memcpy(bytes + 3, rest, count);
		compare(bytes, 3 + count);
		uint8_t prefixed[CODE_INSTRUCTION_MAX_BYTES] = {0x3e};
		memcpy(prefixed + 1, bytes, 3 + count);
		compare(prefixed, 4 + count);
	}
}

START_TEST(calls_and_jumps_through_registers_do_the_same)
{
	setup(_i != 0);
	const uint8_t nothing[1] = {0};
	for (uint8_t number = 0; number < REGISTERS; number++) {
		if (number == RSP)
			continue;
		poison();
		bench.start.registers[number] = pad(2 + number);
		compare_computed(0x40 | number >> 3, 0xc0 | (number & 7), nothing, 0);
		compare_computed(0x48 | number >> 3, 0xc0 | (number & 7), nothing, 0);
	}
	check_no_refusal();
	ck_assert_uint_eq(bench.taken, bench.runs);
}
END_TEST

/* Makes [register + displacement] a word of the data that holds a pad. */
static void aim(uint8_t number, int32_t displacement)
{
	uint64_t offset = PAGE + 8 * random_below(64), landing = pad(2 + number);
	bench.start.registers[number] = bench.arena.data + offset - (uint64_t)(int64_t)displacement;
	memcpy(bench.data + offset, &landing, 8);
}

START_TEST(calls_and_jumps_through_memory_do_the_same)
{
	setup(_i != 0);
	const int32_t displacements[] = {0, 8, -8, 0x7f, -0x80, 0x12345678, -0x12345678};
	for (uint8_t number = 0; number < REGISTERS; number++)
		for (size_t i = 0; i < sizeof displacements / sizeof *displacements; i++) {
			if (number == RSP)
				continue;
			poison();
			aim(number, displacements[i]);
			uint8_t rest[6] = {0x24};
			size_t sib = (number & 7) == RSP; /* r12 needs a SIB byte, as rsp does */
			uint8_t rex = 0x40 | number >> 3;
			memcpy(rest + sib, &displacements[i], 4);
			compare_computed(rex, 0x80 | (number & 7), rest, 4 + sib);
			if (displacements[i] == (int8_t)displacements[i])
				compare_computed(rex, 0x40 | (number & 7), rest, 1 + sib);
		}
	check_no_refusal();
	ck_assert_uint_eq(bench.taken, bench.runs);
}
END_TEST

START_TEST(calls_and_jumps_through_the_stack_do_the_same)
{
	setup(_i != 0);
	const int32_t displacements[] = {0,    8,    16,    0x70,  0x78, 0x7c,
					 0x7f, 0x80, 0x200, -0x10, -0x80};
	for (size_t i = 0; i < sizeof displacements / sizeof *displacements; i++) {
		poison();
		uint64_t landing = pad(5), rsp = bench.start.registers[RSP];
		uint64_t offset = rsp - bench.arena.stack + (uint64_t)(int64_t)displacements[i];
		memcpy(bench.stack + offset, &landing, 8);
		uint8_t rest[5] = {0x24};
		memcpy(rest + 1, &displacements[i], 4);
		compare_computed(0x48, 0x84, rest, 5);
		if (displacements[i] == (int8_t)displacements[i])
			compare_computed(0x48, 0x44, rest, 2);
		if (displacements[i] == 0)
			compare_computed(0x48, 0x04, rest, 1);
		/* With rcx as an index of scale 8. */
		rest[0] = 0xcc;
		bench.start.registers[RCX] = 3;
		uint64_t there = offset + 24;
		memcpy(bench.stack + there, &landing, 8);
		compare_computed(0x48, 0x84, rest, 5);
	}
	check_no_refusal();
	ck_assert_uint_eq(bench.taken, bench.runs);
}
END_TEST

START_TEST(calls_and_jumps_through_relative_slots_do_the_same)
{
	setup(false);
	for (int i = 0; i < 50; i++) {
		poison();
		uint64_t offset = 8 * random_below(MEMORY_BYTES / 8), landing = pad(2);
		memcpy(bench.data + offset, &landing, 8);
		for (uint8_t modrm = 0x15; modrm <= 0x25; modrm += 0x10) {
			uint8_t bytes[7] = {0xf2, 0xff, modrm};
			int32_t displacement =
				(int32_t)(bench.arena.data + offset - (bench.arena.site + 7));
			memcpy(bytes + 3, &displacement, 4);
			compare(bytes, sizeof bytes);
		}
	}
	check_no_refusal();
	ck_assert_uint_eq(bench.taken, bench.runs);
}
END_TEST

static bool in_list(ZydisMnemonic mnemonic)
{
	static const ZydisMnemonic list[] = {
		ZYDIS_MNEMONIC_RDTSC,  ZYDIS_MNEMONIC_RDTSCP,  ZYDIS_MNEMONIC_RDPMC,
		ZYDIS_MNEMONIC_CPUID,  ZYDIS_MNEMONIC_MWAITX,  ZYDIS_MNEMONIC_MONITORX,
		ZYDIS_MNEMONIC_VMCALL, ZYDIS_MNEMONIC_VMMCALL, ZYDIS_MNEMONIC_VMFUNC};
	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		if (list[i] == mnemonic)
			return true;
	return false;
}

/* bts and its like with a register index store 2^60 bytes around their operand: anywhere. */
static bool reaches_anywhere(const ZydisDecodedInstruction *decoded,
			     const ZydisDecodedOperand *operands)
{
	return (decoded->mnemonic == ZYDIS_MNEMONIC_BTS ||
		decoded->mnemonic == ZYDIS_MNEMONIC_BTR ||
		decoded->mnemonic == ZYDIS_MNEMONIC_BTC) &&
	       operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
	       operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER;
}

/* Operands that could take this process with them: thread pointer, segments, jumps anywhere. */
static bool is_unfit_operand(const ZydisDecodedOperand *operand)
{
	switch (operand->type) {
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		return operand->imm.is_relative;
	case ZYDIS_OPERAND_TYPE_MEMORY:
		return operand->mem.segment == ZYDIS_REGISTER_FS ||
		       operand->mem.segment == ZYDIS_REGISTER_GS;
	case ZYDIS_OPERAND_TYPE_REGISTER:
		return operand->reg.value >= ZYDIS_REGISTER_ES &&
		       operand->reg.value <= ZYDIS_REGISTER_GS &&
		       (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE);
	default:
		return false;
	}
}

/* Instructions with another result each time, or that change what the harness itself stands on. */
static bool is_unfit_category(ZydisInstructionCategory category)
{
	switch (category) {
	case ZYDIS_CATEGORY_XSAVE:
	case ZYDIS_CATEGORY_XSAVEOPT:
	case ZYDIS_CATEGORY_PKU:
	case ZYDIS_CATEGORY_WAITPKG:
	case ZYDIS_CATEGORY_RDRAND:
	case ZYDIS_CATEGORY_RDSEED:
	case ZYDIS_CATEGORY_RDPID:
	case ZYDIS_CATEGORY_RDPRU:
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

static bool is_unfit(const ZydisDecodedInstruction *decoded, const ZydisDecodedOperand *operands)
{
	/* A sanitizer's shadow lies where 32-bit addresses reach. */
	if (decoded->address_width != 64 || reaches_anywhere(decoded, operands) ||
	    is_unfit_category(decoded->meta.category) || in_list(decoded->mnemonic))
		return true;
	for (size_t i = 0; i < decoded->operand_count; i++)
		if (is_unfit_operand(&operands[i]))
			return true;
	return false;
}

/* Random bytes that are likely to be an instruction, relative to rip as often as not. */
static void generate(uint8_t *bytes)
{
	static const char *const starts[] = {"",
					     "\x0f",
					     "\x0f\x38",
					     "\x0f\x3a",
					     "\xc5\xf8",
					     "\xc5\xf9",
					     "\xc4\xe2\x79",
					     "\xc4\xe3\x79",
					     "\xc5\xfd",
					     "\x0f",
					     "",
					     ""};
	static const uint8_t prefixes[] = {0x66, 0xf2, 0xf3, 0xf0, 0x2e, 0x67};
	for (size_t i = 0; i < CODE_INSTRUCTION_MAX_BYTES; i++)
		bytes[i] = (uint8_t)random_below(256);
	size_t at = 0;
	while (at < 3 && random_below(4) == 0)
		bytes[at++] = prefixes[random_below(sizeof prefixes)];
	const char *start = starts[random_below(sizeof starts / sizeof *starts)];
	bool vex = (uint8_t)start[0] == 0xc4 || (uint8_t)start[0] == 0xc5;
	if (!vex && random_below(2))
		bytes[at++] = (uint8_t)(0x40 + random_below(16));
	memcpy(bytes + at, start, strlen(start));
	at += strlen(start) + 1;
	if (random_below(2))
		bytes[at] = (uint8_t)((bytes[at] & 0x38) | 0x05);
	else if (random_below(2))
		bytes[at] = (uint8_t)(0x40 | (bytes[at] & 0x3f));
}

/* Lets a rip-relative operand mean some of the data. */
static void aim_relative(uint8_t *bytes, const ZydisDecodedInstruction *decoded,
			 const ZydisDecodedOperand *operands)
{
	for (size_t i = 0; i < decoded->operand_count; i++) {
		if (operands[i].type != ZYDIS_OPERAND_TYPE_MEMORY ||
		    operands[i].mem.base != ZYDIS_REGISTER_RIP)
			continue;
		int32_t displacement =
			(int32_t)(random_data_address() - (bench.arena.site + decoded->length));
		memcpy(bytes + decoded->raw.disp.offset, &displacement, 4);
		return;
	}
}

START_TEST(random_instructions_do_the_same)
{
	setup(false);
	ZydisDecoder decoder;
	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	for (int i = 0; i < RANDOM_TRIES; i++) {
		uint8_t bytes[CODE_INSTRUCTION_MAX_BYTES];
		ZydisDecodedInstruction decoded;
		ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
		generate(bytes);
		if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, sizeof bytes, &decoded,
							 operands)) ||
		    is_unfit(&decoded, operands))
			continue;
		if (i % 16 == 0)
			poison();
		aim_relative(bytes, &decoded, operands);
		compare(bytes, decoded.length);
	}
	show_counts();
	ck_assert_uint_gt(bench.fell_through, RANDOM_TRIES / 5);
	ck_assert_uint_lt(bench.refused, bench.runs / 5);
	ck_assert_uint_lt(bench.half_done, bench.runs / 50);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("relocated code, run");
	TCase *tests = tcase_create("run");
	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, conditional_jumps_do_the_same_under_all_flags, 0, 2);
	tcase_add_loop_test(tests, loops_and_jrcxz_do_the_same_for_all_counts, 0, 2);
	tcase_add_loop_test(tests, direct_jumps_calls_and_returns_do_the_same, 0, 2);
	tcase_add_loop_test(tests, calls_and_jumps_through_registers_do_the_same, 0, 2);
	tcase_add_loop_test(tests, calls_and_jumps_through_memory_do_the_same, 0, 2);
	tcase_add_loop_test(tests, calls_and_jumps_through_the_stack_do_the_same, 0, 2);
	tcase_add_test(tests, calls_and_jumps_through_relative_slots_do_the_same);
	tcase_add_test(tests, random_instructions_do_the_same);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
