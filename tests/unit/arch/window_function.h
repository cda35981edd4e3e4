/* SPDX-License-Identifier: MIT */
/*
 * Random functions in machine code whose beginnings are as awkward as they come, with a record of
 * what they are made of: from it, and not from the bytes, follows whether a jump may be written.
 *
 * They read and write registers other than rsp and r15, some data relative to rip and a little of
 * the stack; r15 counts the times they may jump back. They end at one of the places that the test
 * gives.
 */
#ifndef TESTS_UNIT_ARCH_WINDOW_FUNCTION_H
#define TESTS_UNIT_ARCH_WINDOW_FUNCTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "arch/code.h"

enum {
	FUNCTION_ITEMS_MAX = 16,
	FUNCTION_MAX_BYTES = 256,
	FUNCTION_LOOPS = 15, /* the register that counts */
};

enum item_kind {
	ITEM_PLAIN,
	ITEM_BRANCH, /* to items[target], or to `place` if target is negative */
	ITEM_JUMP,   /* as BRANCH, but never on */
	ITEM_LABEL,  /* lea items[target](%rip), register */
	ITEM_COMPUTED,
	ITEM_CALL,
	ITEM_ENDBR,
	ITEM_RETURN,
	ITEM_SLOT, /* jmp *known pointer */
	ITEM_PADDING,
};

struct item {
	enum item_kind kind;
	size_t offset, length;
	uint8_t bytes[CODE_INSTRUCTION_MAX_BYTES];
	int target;
	uint64_t place;
	size_t width;	    /* of the distance, which stands last; 0: there is none */
	size_t distance_at; /* where that of relative data stands; 0: there is none */
};

/* items[0, count) follow each other from offset 0 on; code[0, length) are items before padding. */
struct function {
	struct item items[FUNCTION_ITEMS_MAX + 8];
	size_t count, length, padded_length;
	bool moves_stack;
	uint8_t code[FUNCTION_MAX_BYTES];
};

/* What functions refer to. slot holds the address where a jump through it ends. */
struct surroundings {
	uint64_t address; /* of the function itself */
	uint64_t data, data_bytes, slot;
	bool is_data_constant;
	uint64_t exits[8];
	uint64_t *seed;
};

/* xorshift64* */
static inline uint64_t random_word(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return *seed * 0x2545f4914f6cdd1du;
}

static inline uint64_t random_below(uint64_t *seed, uint64_t limit)
{
	return (random_word(seed) >> 16) % limit;
}

/* Any register but rsp and the counter. */
static inline uint8_t random_register(uint64_t *seed)
{
	uint8_t number;
	do
		number = (uint8_t)random_below(seed, FUNCTION_LOOPS);
	while (number == 4);
	return number;
}

static inline struct item *add_item(struct function *function, enum item_kind kind,
				    const void *bytes, size_t count)
{
	struct item *item = &function->items[function->count++];
	*item = (struct item){.kind = kind, .length = count, .target = -1};
	memcpy(item->bytes, bytes, count);
	return item;
}

static inline void add_push_or_pop(struct function *function, uint64_t *seed)
{
	uint8_t number = random_register(seed);
	uint8_t opcode = (uint8_t)((random_below(seed, 4) ? 0x50 : 0x58) | (number & 7));
	if (number & 8)
		add_item(function, ITEM_PLAIN, (uint8_t[]){0x41, opcode}, 2);
	else
		add_item(function, ITEM_PLAIN, (uint8_t[]){opcode}, 1);
	function->moves_stack = true;
}

/* add, or, adc, sbb, and, sub, xor, cmp, test, mov between registers of 64 or 32 bits. */
static inline void add_register_pair(struct function *function, uint64_t *seed)
{
	static const uint8_t opcodes[] = {0x01, 0x09, 0x11, 0x19, 0x21,
					  0x29, 0x31, 0x39, 0x85, 0x89};
	uint8_t from = random_register(seed), to = random_register(seed);
	uint8_t rex = (uint8_t)(0x40 | (random_below(seed, 2) << 3) | (from >> 3 << 2) | to >> 3);
	uint8_t bytes[] = {rex, opcodes[random_below(seed, sizeof opcodes)],
			   (uint8_t)(0xc0 | (from & 7) << 3 | (to & 7))};
	size_t skipped = rex == 0x40;
	add_item(function, ITEM_PLAIN, bytes + skipped, 3 - skipped);
}

static inline void add_immediate(struct function *function, uint64_t *seed)
{
	uint8_t to = random_register(seed), rex = (uint8_t)(0x48 | to >> 3), low = to & 7;
	uint8_t operation = (uint8_t)(0xc0 | random_below(seed, 8) << 3 | low);
	uint64_t noise = random_word(seed);
	uint8_t bytes[10] = {rex};
	size_t count = 0;
	switch (random_below(seed, 5)) {
	case 0: /* add and its like, imm8 */
		memcpy(bytes + 1, (uint8_t[]){0x83, operation, (uint8_t)noise}, 3);
		count = 4;
		break;
	case 1: /* the same, imm32 */
		memcpy(bytes + 1, (uint8_t[]){0x81, operation}, 2);
		memcpy(bytes + 3, &noise, 4);
		count = 7;
		break;
	case 2: /* mov, imm32 */
		bytes[0] = (uint8_t)(0x40 | to >> 3);
		bytes[1] = (uint8_t)(0xb8 | low);
		memcpy(bytes + 2, &noise, 4);
		count = 6;
		break;
	case 3: /* movabs */
		bytes[1] = (uint8_t)(0xb8 | low);
		memcpy(bytes + 2, &noise, 8);
		count = 10;
		break;
	default: /* sub $8..32,%rsp */
		memcpy(bytes, (uint8_t[]){0x48, 0x83, 0xec, (uint8_t)(8 + noise % 4 * 8)}, 4);
		count = 4;
		function->moves_stack = true;
	}
	add_item(function, ITEM_PLAIN, bytes, count);
}

/* A load, a comparison, or, if the data may change, a store or addition. */
static inline void add_relative(struct function *function, const struct surroundings *around)
{
	static const struct {
		uint8_t bytes[10];
		size_t count, place;
	} forms[] = {
		{{0x48, 0x8d, 0x05}, 7, 3},				/* lea */
		{{0x48, 0x8b, 0x05}, 7, 3},				/* mov from */
		{{0x80, 0x3d, 0, 0, 0, 0, 0x7f}, 7, 2},			/* cmpb */
		{{0x8b, 0x05}, 6, 2},					/* mov from, 32 bits */
		{{0xf3, 0x0f, 0x6f, 0x05}, 8, 4},			/* movdqu */
		{{0x48, 0x89, 0x05}, 7, 3},				/* mov to */
		{{0x81, 0x05, 0, 0, 0, 0, 0x78, 0x56, 0x34, 9}, 10, 2}, /* addl */
		{{0x48, 0xff, 0x05}, 7, 3},				/* inc */
		{{0x0f, 0x11, 0x05}, 7, 3},				/* movups to */
	};
	uint64_t *seed = around->seed;
	size_t form = random_below(seed, around->is_data_constant ? 5 : 9);
	struct item *item = add_item(function, ITEM_PLAIN, forms[form].bytes, forms[form].count);
	item->place = around->data + random_below(seed, around->data_bytes - 16);
	item->distance_at = forms[form].place;
	/* What a register gets or gives: its number is in the middle of ModRM. */
	if (forms[form].bytes[0] == 0x48 && forms[form].bytes[1] != 0xff)
		item->bytes[2] |= (uint8_t)((random_register(seed) & 3) << 3);
}

static inline void add_small(struct function *function, uint64_t *seed)
{
	static const uint8_t nops[][9] = {{0x90},
					  {0x66, 0x90},
					  {0x0f, 0x1f, 0x00},
					  {0x0f, 0x1f, 0x40, 0x00},
					  {0x0f, 0x1f, 0x44, 0x00, 0x00},
					  {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
					  {0x0f, 0x1f, 0x80, 0, 0, 0, 0},
					  {0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0},
					  {0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0}};
	uint8_t condition = (uint8_t)random_below(seed, 16), to = random_register(seed) & 3;
	size_t nop = random_below(seed, 9);
	switch (random_below(seed, 5)) {
	case 0: /* setcc of al, cl, dl, bl */
		add_item(function, ITEM_PLAIN, (uint8_t[]){0x0f, 0x90 | condition, 0xc0 | to}, 3);
		break;
	case 1: /* cmovcc from rsi */
		add_item(function, ITEM_PLAIN,
			 (uint8_t[]){0x48, 0x0f, 0x40 | condition, (uint8_t)(0xc6 | to << 3)}, 4);
		break;
	case 2: /* mov %fs:0x28,%rax, as a stack protector reads */
		add_item(function, ITEM_PLAIN, "\x64\x48\x8b\x04\x25\x28\x00\x00\x00", 9);
		break;
	case 3: /* lea 16(%rsp),%rdi */
		add_item(function, ITEM_PLAIN, "\x48\x8d\x7c\x24\x10", 5);
		break;
	default:
		add_item(function, ITEM_PLAIN, nops[nop], nop + 1);
	}
}

/* A conditional jump forward or out; its target is settled when all items are there. */
static inline void add_branch(struct function *function, const struct surroundings *around)
{
	uint64_t *seed = around->seed;
	uint8_t condition = (uint8_t)random_below(seed, 16);
	struct item *item;
	switch (random_below(seed, 4)) {
	case 0:
		item = add_item(function, ITEM_BRANCH, (uint8_t[]){0x70 | condition, 0}, 2);
		item->width = 1;
		break;
	case 1: /* loopne, loope, loop, jrcxz */
		item = add_item(function, ITEM_BRANCH, (uint8_t[]){0xe0 | condition % 4, 0}, 2);
		item->width = 1;
		break;
	default:
		item = add_item(function, ITEM_BRANCH,
				(uint8_t[]){0x0f, 0x80 | condition, 0, 0, 0, 0}, 6);
		item->width = 4;
		item->place = around->exits[random_below(seed, 8)];
	}
	bool out = item->width == 4 && random_below(seed, 2);
	item->target = out ? -1 : FUNCTION_ITEMS_MAX; /* forward */
}

/* Where no branch may lead: what the item before it prepares would be missing. */
static inline bool is_second_of_pair(const struct item *item)
{
	return item->kind == ITEM_COMPUTED ||
	       (item->kind == ITEM_BRANCH && item->bytes[0] == 0x7f &&
		item->target < FUNCTION_ITEMS_MAX);
}

/* dec %r15; jg back: ends, since nothing else writes r15. */
static inline void add_loop(struct function *function, uint64_t *seed)
{
	size_t back = random_below(seed, 2) ? 0 : random_below(seed, function->count + 1);
	while (back < function->count && is_second_of_pair(&function->items[back]))
		back++;
	add_item(function, ITEM_PLAIN, "\x49\xff\xcf", 3);
	struct item *item = add_item(function, ITEM_BRANCH, "\x7f\x00", 2);
	item->width = 1;
	item->target = (int)back;
}

static inline void add_rare(struct function *function, const struct surroundings *around)
{
	struct item *item;
	switch (random_below(around->seed, 4)) {
	case 0:
		item = add_item(function, ITEM_CALL, "\xe8\x00\x00\x00\x00", 5);
		item->width = 4;
		item->place = around->exits[0];
		break;
	case 1:
		add_item(function, ITEM_ENDBR, "\xf3\x0f\x1e\xfa", 4);
		break;
	default: /* lea label(%rip),%rax; jmp *%rax */
		item = add_item(function, ITEM_LABEL, "\x48\x8d\x05\x00\x00\x00\x00", 7);
		item->width = 4;
		item->target = FUNCTION_ITEMS_MAX;
		add_item(function, ITEM_COMPUTED, "\xff\xe0", 2);
	}
}

static inline void add_end(struct function *function, const struct surroundings *around)
{
	struct item *item;
	if (!function->moves_stack && random_below(around->seed, 2)) {
		add_item(function, ITEM_RETURN, "\xc3", 1);
	} else if (random_below(around->seed, 4) == 0) {
		item = add_item(function, ITEM_SLOT, "\xff\x25\x00\x00\x00\x00", 6);
		item->width = 4;
		item->place = around->slot;
	} else {
		item = add_item(function, ITEM_JUMP, "\xe9\x00\x00\x00\x00", 5);
		item->width = 4;
		item->place = around->exits[random_below(around->seed, 8)];
	}
}

/* Padding of nops or int3s, which is no part of the function. */
static inline void add_padding(struct function *function, uint64_t *seed)
{
	size_t kind = random_below(seed, 3);
	static const char *const paddings[] = {"\xcc", "\x0f\x1f\x40\x00", "\x66\x90"};
	static const size_t lengths[] = {1, 4, 2};
	for (int i = 0; i < 6; i++)
		add_item(function, ITEM_PADDING, paddings[kind], lengths[kind]);
}

static inline bool is_forward(const struct item *item)
{
	return item->target == FUNCTION_ITEMS_MAX && item->width > 0;
}

/* Lets forward branches lead to something, the next instructions as likely as the others. */
static inline void settle_targets(struct function *function, size_t last, uint64_t *seed)
{
	for (size_t i = 0; i < last; i++) {
		struct item *item = &function->items[i];
		if (!is_forward(item))
			continue;
		size_t reach = random_below(seed, 2) ? 3 : last - i;
		size_t target = i + 1 + random_below(seed, reach);
		while (target < last && is_second_of_pair(&function->items[target]))
			target++;
		item->target = (int)(target < last ? target : last);
	}
}

/* Gives every item its offset and every branch its target. */
static inline void lay_out(struct function *function, uint64_t *seed)
{
	size_t offset = 0, last = 0;
	for (size_t i = 0; i < function->count; i++) {
		struct item *item = &function->items[i];
		item->offset = offset;
		offset += item->length;
		if (item->kind != ITEM_PADDING) {
			function->length = offset;
			last = i;
		}
	}
	function->padded_length = offset;
	settle_targets(function, last, seed);
}

/* Writes distances and then the code; false if a short one does not fit. */
static inline bool link_items(struct function *function, const struct surroundings *around)
{
	for (size_t i = 0; i < function->count; i++) {
		struct item *item = &function->items[i];
		uint64_t next = around->address + item->offset + item->length;
		bool inside = item->width && item->target >= 0;
		uint64_t to = inside ? around->address + function->items[item->target].offset
				     : item->place;
		int64_t distance = (int64_t)(to - next);
		if (item->width)
			memcpy(item->bytes + item->length - item->width, &distance, item->width);
		else if (item->distance_at)
			memcpy(item->bytes + item->distance_at, &distance, 4);
		if (item->width == 1 && distance != (int8_t)distance)
			return false;
		memcpy(function->code + item->offset, item->bytes, item->length);
	}
	return true;
}

static inline void add_any(struct function *function, const struct surroundings *around)
{
	uint64_t *seed = around->seed;
	switch (random_below(seed, 24)) {
	case 0 ... 6:
		add_push_or_pop(function, seed);
		break;
	case 7 ... 11:
		add_register_pair(function, seed);
		break;
	case 12 ... 14:
		add_immediate(function, seed);
		break;
	case 15 ... 17:
		add_relative(function, around);
		break;
	case 18 ... 19:
		add_small(function, seed);
		break;
	case 20 ... 21:
		add_branch(function, around);
		break;
	case 22:
		add_loop(function, seed);
		break;
	default:
		if (random_below(seed, 3) == 0)
			add_rare(function, around);
	}
}

/* A function made for around->address. */
static inline void generate(struct function *ret, const struct surroundings *around)
{
	uint64_t *seed = around->seed;
	do {
		*ret = (struct function){0};
		size_t count =
			random_below(seed, 8) ? 3 + random_below(seed, 9) : random_below(seed, 3);
		if (random_below(seed, 8) == 0)
			add_item(ret, ITEM_ENDBR, "\xf3\x0f\x1e\xfa", 4);
		/* Some items come in pairs, and an end follows. */
		while (ret->count < count && ret->count < FUNCTION_ITEMS_MAX - 3)
			add_any(ret, around);
		add_end(ret, around);
		add_padding(ret, seed);
		lay_out(ret, seed);
	} while (!link_items(ret, around));
}

/* The window as the record has it. */
struct expectation {
	size_t entry, count; /* offsets from the function's start */
	uint32_t starts;
	const char *objection; /* NULL: a jump may be written */
};

static inline bool is_within(const struct expectation *expected, size_t offset)
{
	return offset > expected->entry && offset < expected->entry + expected->count;
}

static inline bool ends_here(enum item_kind kind)
{
	return kind == ITEM_JUMP || kind == ITEM_COMPUTED || kind == ITEM_RETURN ||
	       kind == ITEM_SLOT;
}

static inline void expect_items(const struct function *function, struct expectation *ret)
{
	size_t i = function->items[0].kind == ITEM_ENDBR ? 1 : 0;
	ret->entry = function->items[i].offset;
	for (; ret->count < CODE_JUMP_BYTES; i++) {
		const struct item *item = &function->items[i];
		ret->starts |= (uint32_t)1 << ret->count;
		ret->count += item->length;
		bool comes_back = item->kind == ITEM_CALL && ret->count < CODE_JUMP_BYTES;
		if (comes_back || item->kind == ITEM_ENDBR)
			ret->objection = "a call or landing pad";
	}
}

/* What the record says of a jump at the start of a function that stands at address. */
static inline struct expectation expect(const struct function *function, uint64_t address)
{
	struct expectation expected = {0};
	expect_items(function, &expected);
	bool single =
		expected.starts == 1 ||
		expected.entry + (size_t)__builtin_ctz(expected.starts & ~1u) >= function->length;
	for (size_t i = 0; i < function->count; i++) {
		const struct item *item = &function->items[i];
		bool inside = item->width && item->target >= 0;
		if (inside && is_within(&expected, function->items[item->target].offset))
			expected.objection = "something leads into it";
		if (item->kind == ITEM_COMPUTED && !single)
			expected.objection = "a computed jump";
	}
	if ((address + expected.entry) % 4096 + expected.count > 4096)
		expected.objection = "two pages";
	return expected;
}

#endif
