/* SPDX-License-Identifier: MIT */
/*
 * Where a jump may be written and where not: every reason by hand, and bytes nobody meant as code.
 */
#include <check.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "unit/arch/window_text_of.h"

enum {
	BASE = 0x400000,
	TEXT_BYTES = 8192,
	ENTRY = 0x400, /* of the function under test */
	OTHER = 0x600, /* of another one */
	PART_BYTES = 0x80,
	HOSTILE_TEXTS = 20000,
};

/* A text of int3s with two functions of nops; the first begins as given. */
struct fixture {
	uint8_t bytes[TEXT_BYTES];
	struct text text;
};

static void put(struct fixture *fixture, size_t offset, const void *bytes, size_t count)
{
	memcpy(fixture->bytes + offset, bytes, count);
}

static void begin(struct fixture *fixture, const void *bytes, size_t count)
{
	memset(fixture->bytes, CODE_BREAKPOINT, sizeof fixture->bytes);
	memset(fixture->bytes + ENTRY, 0x90, PART_BYTES);
	memset(fixture->bytes + OTHER, 0x90, PART_BYTES);
	fixture->text = (struct text){.base = BASE, .bytes = fixture->bytes, .count = TEXT_BYTES};
	text_add_part(&fixture->text, ENTRY, ENTRY + PART_BYTES);
	text_add_part(&fixture->text, OTHER, OTHER + PART_BYTES);
	put(fixture, ENTRY, bytes, count);
}

/* push %r12; push %rbp; push %rbx; mov %rdi,%rbx: as malloc begins. */
static const uint8_t pushes[] = {0x41, 0x54, 0x55, 0x53, 0x48, 0x89, 0xfb};

static void begin_plainly(struct fixture *fixture)
{
	begin(fixture, pushes, sizeof pushes);
}

/* opcode, then the distance to `to` in width bytes, at offset. */
static void put_branch(struct fixture *fixture, size_t offset, const char *opcode, size_t count,
		       size_t width, size_t to)
{
	int64_t distance = (int64_t)to - (int64_t)(offset + count + width);
	put(fixture, offset, opcode, count);
	put(fixture, offset + count, &distance, width);
}

static struct window check_accepted(struct fixture *fixture, size_t count, uint32_t starts)
{
	struct window window;
	struct error *err = text_plan(&fixture->text, ENTRY, &window);
	ck_assert_msg(!err, "refused: %s", err ? error_message(err) : "");
	ck_assert_uint_eq(window.entry.v, BASE + ENTRY);
	ck_assert_uint_eq(window.count, count);
	ck_assert_uint_eq(window.starts, starts);
	ck_assert_mem_eq(window.bytes, fixture->bytes + ENTRY, count);
	return window;
}

static void check_plainly_accepted(struct fixture *fixture)
{
	check_accepted(fixture, sizeof pushes, 0x1d);
}

static void check_refused(struct fixture *fixture, const char *reason)
{
	struct window window = {.count = 77};
	_cleanup_error_ struct error *err = text_plan(&fixture->text, ENTRY, &window);
	ck_assert_ptr_nonnull(err);
	ck_assert_int_eq(error_kind_of(err), ERROR_UNSUPPORTED);
	ck_assert_msg(strstr(error_message(err), reason), "\"%s\" has no \"%s\"",
		      error_message(err), reason);
	ck_assert_ptr_nonnull(
		strstr(error_message(err), ", so no jump can be written at 0x400400"));
	ck_assert_uint_eq(window.count, 77);
}

START_TEST(whole_instructions_of_at_least_five_bytes_are_taken)
{
	struct fixture f;
	begin_plainly(&f);
	check_plainly_accepted(&f);
	/* test %rdi,%rdi; je +0x40: as free begins. */
	begin(&f, "\x48\x85\xff\x0f\x84\x40\x00\x00\x00", 9);
	check_accepted(&f, 9, 0x9);
	/* cmpb $0,0x1234(%rip): as memalign begins. */
	begin(&f, "\x80\x3d\x34\x12\x00\x00\x00", 7);
	check_accepted(&f, 7, 0x1);
	/* Four nops and the longest instruction: movabs with prefixes is 15 bytes. */
	begin(&f, "\x90\x90\x90\x90\x66\x66\x66\x66\x66\x48\xb8\x01\x02\x03\x04\x05\x06\x07\x08",
	      19);
	check_accepted(&f, WINDOW_MAX_BYTES, 0x1f);
}
END_TEST

START_TEST(a_landing_pad_of_indirect_branches_stays_where_it_is)
{
	struct fixture f;
	struct window window;
	begin(&f, "\xf3\x0f\x1e\xfa\x41\x54\x55\x53\x48\x89\xfb", 11);
	ck_assert_ptr_null(text_plan(&f.text, ENTRY, &window));
	ck_assert_uint_eq(window.entry.v, BASE + ENTRY + 4);
	ck_assert_uint_eq(window.count, 7);
	ck_assert_mem_eq(window.bytes, pushes, sizeof pushes);
	/* A jump to what is the entry behind it meets the jump. */
	put_branch(&f, ENTRY + 0x20, "\xeb", 1, 1, ENTRY + 4);
	put_branch(&f, OTHER, "\xe9", 1, 4, ENTRY + 4);
	ck_assert_ptr_null(text_plan(&f.text, ENTRY, &window));
	begin(&f, "\x55\xf3\x0f\x1e\xfa\x53\x53", 7);
	check_refused(&f, "an endbr64 is among the bytes");
}
END_TEST

START_TEST(a_function_of_a_single_return_is_taken_with_its_padding)
{
	static const char *const paddings[] = {"\xcc\xcc\xcc\xcc", "\x90\x90\x90\x90",
					       "\x66\x90\x66\x90", "\x0f\x1f\x40\x00",
					       "\x0f\x1f\x00\x90", "\xcc\x0f\x1f\x00"};
	static const uint32_t starts[] = {0x1f, 0x1f, 0xb, 0x3, 0x13, 0x7};
	struct fixture f;
	for (size_t i = 0; i < sizeof paddings / sizeof *paddings; i++) {
		begin(&f, "\xc3", 1);
		f.text.ends[0] = ENTRY + 1;
		put(&f, ENTRY + 1, paddings[i], 4);
		check_accepted(&f, 5, starts[i]);
	}
	begin(&f, "\xc3\x00\x00\x00\x00", 5);
	f.text.ends[0] = ENTRY + 1;
	check_accepted(&f, 5, 0x1f);
	/* As gcc pads: cs nopw 0(%rax,%rax,1), 10 bytes; and xchg %ax,%ax before it. */
	begin(&f, "\xc3\x66\x2e\x0f\x1f\x84\x00\x00\x00\x00\x00", 11);
	f.text.ends[0] = ENTRY + 1;
	check_accepted(&f, 11, 0x3);
	/* Padding within the function, before a block that nothing else shows. */
	begin(&f, "\x31\xc0\xc3\x66\x90", 5);
	check_accepted(&f, 5, 0xd);
}
END_TEST

START_TEST(padding_ends_where_another_function_begins)
{
	struct fixture f;
	for (size_t gap = 0; gap < 8; gap++) {
		begin(&f, "\xc3", 1);
		f.text.ends[0] = ENTRY + 1;
		text_add_part(&f.text, ENTRY + 1 + gap, ENTRY + 0x20);
		if (gap < 4)
			check_refused(&f, "the next function begins");
		else
			check_accepted(&f, 5, 0x1f);
	}
	/* A nop that reaches into it. */
	begin(&f, "\xc3\x66\x2e\x0f\x1f\x84\x00\x00\x00\x00\x00", 11);
	f.text.ends[0] = ENTRY + 1;
	text_add_part(&f.text, ENTRY + 10, ENTRY + 0x20);
	check_refused(&f, "the next function begins");
}
END_TEST

START_TEST(code_behind_the_way_out_is_no_padding)
{
	struct fixture f;
	begin(&f, "\xc3\x53\x53\x53\x53", 5);
	check_refused(&f, "its first way out ends before a jump would");
	begin(&f, "\xeb\x20\xcc\xcc\x53", 5);
	check_refused(&f, "its first way out ends before a jump would");
	begin(&f, "\xff\x25\x20\x00\x00\x00", 6);
	f.text.slot = BASE + ENTRY + 0x26;
	f.text.slot_value = 0x12345678;
	check_accepted(&f, 6, 0x1);
}
END_TEST

START_TEST(a_function_that_ends_before_the_jump_is_refused)
{
	struct fixture f;
	begin_plainly(&f);
	f.text.ends[0] = ENTRY + 4;
	check_refused(&f, "the function is shorter than a jump");
	f.text.ends[0] = ENTRY + 5;
	check_refused(&f, "goes beyond the function");
	f.text.ends[0] = ENTRY + 7;
	check_plainly_accepted(&f);
	f.text.part_count = 0;
	check_refused(&f, "where the function ends is not known");
}
END_TEST

START_TEST(a_call_that_comes_back_behind_the_jump_is_accepted)
{
	struct fixture f;
	begin(&f, "\xe8\x00\x10\x00\x00", 5);
	check_accepted(&f, 5, 0x1);
	begin(&f, "\x48\x83\xec\x08\xe8\x00\x10\x00\x00", 9);
	check_accepted(&f, 9, 0x11);
}
END_TEST

START_TEST(calls_and_what_cannot_be_moved_are_refused)
{
	struct fixture f;
	begin(&f, "\x53\xff\xd0\x53\x53", 5);
	check_refused(&f, "a call is among the bytes");
	begin(&f, "\x31\xc0\x0f\x05\xc3", 5);
	check_refused(&f, "cannot be moved: it is a system call");
	begin(&f, "\xd9\xe8\xd9\xe8\xd9\xe8", 6);
	check_refused(&f, "cannot be moved: it leaves its address in the x87 unit");
	begin(&f, "\x53\x0f\x0b\x53\x53", 5);
	check_refused(&f, "cannot be moved: it is there to trap");
	begin(&f, "\x53\xcc\x53\x53\x53", 5);
	check_refused(&f, "cannot be moved: it is there to trap");
}
END_TEST

START_TEST(anothers_breakpoint_is_left_alone_and_a_jump_is_the_functions_own)
{
	struct fixture f;
	begin(&f, "\xcc\x54\x55\x53\x53", 5);
	check_refused(&f, "another's breakpoint stands there already");
	begin(&f, "\xe9\x00\x10\x00\x00", 5);
	check_accepted(&f, 5, 0x1);
	begin(&f, "\x31\xc0\xe9\x00\x10\x00\x00", 7);
	check_accepted(&f, 7, 0x5);
}
END_TEST

static const struct encoding {
	const char *opcode;
	size_t count, width;
} encodings[] = {
	{"\xe8", 1, 4},	    {"\xe9", 1, 4},	{"\x0f\x84", 2, 4},	{"\xc7\xf8", 2, 4},
	{"\xeb", 1, 1},	    {"\x75", 1, 1},	{"\xe2", 1, 1},		{"\xe3", 1, 1},
	{"\xf2\xe9", 2, 4}, {"\x3e\x74", 2, 1}, {"\x2e\x0f\x8c", 3, 4},
};

START_TEST(branches_into_it_are_refused_unless_they_lead_to_its_start_or_end)
{
	struct fixture f;
	for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++) {
		const struct encoding *branch = &encodings[i];
		size_t near = ENTRY + 0x30, places[] = {near, OTHER + 9, 0x20};
		for (size_t j = 0; j < (branch->width == 1 ? 1 : 3); j++)
			for (size_t to = 0; to <= sizeof pushes; to++) {
				begin_plainly(&f);
				put_branch(&f, places[j], branch->opcode, branch->count,
					   branch->width, ENTRY + to);
				/* A call of the function into its own middle is another case. */
				if (i == 0 && j == 0 && to == sizeof pushes)
					check_refused(&f, "the computed jump");
				else if (to == 0 || to == sizeof pushes)
					check_plainly_accepted(&f);
				else
					check_refused(&f, "among the bytes");
			}
	}
}
END_TEST

START_TEST(branches_within_it_are_refused_unless_they_lead_to_its_start_or_end)
{
	struct fixture f;
	/* jne to the start, and to what lies behind. */
	begin(&f, "\x48\xff\xcf\x75\xfb\x90", 6);
	check_accepted(&f, 5, 0x9);
	begin(&f, "\x48\xff\xcf\x75\x00\x90", 6);
	check_accepted(&f, 5, 0x9);
	begin(&f, "\x74\x01\x53\x53\x53\x53", 6);
	check_refused(&f, "leads among the bytes");
	begin(&f, "\x53\x53\x53\x75\xfd\x90", 6);
	check_refused(&f, "leads among the bytes");
}
END_TEST

START_TEST(bytes_that_only_look_like_a_branch_do_not_count_where_code_is_known)
{
	struct fixture f;
	/* movabs with a jump to ENTRY + 2 as part of its constant. */
	begin_plainly(&f);
	put(&f, OTHER, "\x48\xb8", 2);
	put_branch(&f, OTHER + 2, "\xe9", 1, 4, ENTRY + 2);
	check_plainly_accepted(&f);
	/* The same where it is not known what is code. */
	f.text.part_count = 1;
	check_refused(&f, "may lead among the bytes");
	f.text.part_count = 2;
	/* A branch that goes there is one. */
	put_branch(&f, OTHER + 0x20, "\x74", 1, 1, OTHER + 2);
	check_refused(&f, "leads among the bytes");
	/* Near the function, too, with a short one. */
	begin_plainly(&f);
	put(&f, ENTRY + 0x20, "\xb8\x74\xde\x90\x90", 5);
	check_plainly_accepted(&f);
	put(&f, ENTRY + 0x20, "\x90\x74\xe0\x90\x90", 5);
	check_refused(&f, "leads among the bytes");
	/* A part that is not code all over is not trusted. */
	begin_plainly(&f);
	put(&f, OTHER, "\x48\xb8", 2);
	put_branch(&f, OTHER + 2, "\xe9", 1, 4, ENTRY + 2);
	put(&f, OTHER + 0x20, "\x06", 1);
	check_refused(&f, "no instruction decodes");
}
END_TEST

START_TEST(a_branch_behind_a_lock_prefix_is_followed)
{
	struct fixture f;
	/* je behind the lock of a `lock cmpxchg`, whose plain form is another beginning. */
	begin_plainly(&f);
	put(&f, ENTRY + 0x10, "\x74\x01\xf0\x0f\xb1\x17", 6);
	check_plainly_accepted(&f);
	/* A jump that only such another beginning shows: mov $imm32 whose bytes are run. */
	begin_plainly(&f);
	put(&f, ENTRY + 0x10, "\x74\x01\xb8\xeb\xee\x90\x90", 7);
	check_refused(&f, "leads among the bytes");
}
END_TEST

START_TEST(bytes_before_the_entry_that_run_into_it_are_seen)
{
	struct fixture f;
	begin_plainly(&f);
	f.text.starts[0] = ENTRY - 4;
	put(&f, ENTRY - 4, "\x90\x90\x90\x90", 4);
	check_plainly_accepted(&f);
	put(&f, ENTRY - 4, "\x90\x90\x90\xb8", 4);
	check_refused(&f, "leads among the bytes");
}
END_TEST

START_TEST(computed_jumps_of_the_function_are_refused)
{
	static const struct encoding jumps[] = {
		{"\xff\xe0", 2, 0},	{"\x3e\xff\xe2", 3, 0}, {"\xff\x24\xc5\0\0\0\0", 7, 0},
		{"\xff\x63\x10", 3, 0}, {"\x48\xcf", 2, 0},	{"\xff\x25\0\0\0\0", 6, 0},
	};
	struct fixture f;
	for (size_t i = 0; i < sizeof jumps / sizeof *jumps; i++) {
		begin_plainly(&f);
		put(&f, ENTRY + 0x20, jumps[i].opcode, jumps[i].count);
		check_refused(&f, "the computed jump at 0x400420");
		/* The one instruction's middle is where no computed jump leads. */
		put(&f, ENTRY, "\x80\x3d\x34\x12\x00\x00\x00", 7);
		check_accepted(&f, 7, 0x1);
		/* In another function it does not matter. */
		begin_plainly(&f);
		put(&f, OTHER + 0x20, jumps[i].opcode, jumps[i].count);
		put_branch(&f, ENTRY + 0x10, "\x0f\x84", 2, 4, OTHER);
		check_plainly_accepted(&f);
		/* Unless that is a part of this one, which it comes back to. */
		put_branch(&f, OTHER + 0x30, "\xe9", 1, 4, ENTRY + 0x18);
		check_refused(&f, "the computed jump at 0x400620");
	}
	/* call 1f; 1: a return behind it may be a jump. */
	begin_plainly(&f);
	put_branch(&f, ENTRY + 0x20, "\xe8", 1, 4, ENTRY + 0x28);
	check_refused(&f, "the computed jump at 0x400420");
	put_branch(&f, ENTRY + 0x20, "\xe8", 1, 4, ENTRY);
	check_plainly_accepted(&f);
}
END_TEST

START_TEST(a_jump_through_a_known_pointer_is_as_good_as_a_direct_one)
{
	struct fixture f;
	begin_plainly(&f);
	put(&f, ENTRY + 0x20, "\xff\x25\x00\x10\x00\x00", 6);
	f.text.slot = BASE + ENTRY + 0x26 + 0x1000;
	f.text.slot_value = 0x12345678;
	check_plainly_accepted(&f);
	f.text.slot_value = BASE + ENTRY;
	check_plainly_accepted(&f);
	f.text.slot_value = BASE + ENTRY + 3;
	check_refused(&f, "leads among the bytes");
}
END_TEST

START_TEST(code_that_refers_to_the_bytes_is_refused)
{
	struct fixture f;
	for (size_t to = 0; to <= sizeof pushes; to++) {
		int32_t distance = (int32_t)to - 0x27;
		begin_plainly(&f);
		put(&f, ENTRY + 0x20, "\x48\x8d\x05", 3);
		put(&f, ENTRY + 0x23, &distance, 4);
		if (to == 0 || to == sizeof pushes)
			check_plainly_accepted(&f);
		else
			check_refused(&f, "refers to the bytes");
	}
}
END_TEST

START_TEST(a_window_in_two_pages_is_refused)
{
	for (size_t before = 1; before <= 10; before++) {
		struct fixture f;
		struct window window;
		size_t entry = 4096 - before;
		begin_plainly(&f);
		memset(f.bytes + entry, 0x90, 0x40);
		put(&f, entry, pushes, sizeof pushes);
		text_add_part(&f.text, entry, entry + 0x40);
		_cleanup_error_ struct error *err = text_plan(&f.text, entry, &window);
		if (before >= sizeof pushes) {
			ck_assert_ptr_null(err);
			continue;
		}
		ck_assert_int_eq(error_kind_of(err), ERROR_UNSUPPORTED);
		ck_assert_ptr_nonnull(strstr(error_message(err), "lie in two pages"));
	}
}
END_TEST

START_TEST(what_cannot_be_decoded_or_read_is_an_error_of_its_own)
{
	struct fixture f;
	struct window window;
	begin(&f, "\x53\x06\x53\x53\x53", 5);
	struct error *err = text_plan(&f.text, ENTRY, &window);
	ck_assert_int_eq(error_kind_of(err), ERROR_BAD_INPUT);
	error_free(err);
	text_add_part(&f.text, TEXT_BYTES - 3, TEXT_BYTES + 64);
	put(&f, TEXT_BYTES - 3, "\x53\x53\x53", 3);
	err = text_plan(&f.text, TEXT_BYTES - 3, &window);
	ck_assert_int_eq(error_kind_of(err), ERROR_FAULT);
	error_free(err);
	/* Behind the window it is a reason. */
	begin_plainly(&f);
	put(&f, ENTRY + 0x20, "\x06", 1);
	check_refused(&f, "no instruction decodes");
	begin_plainly(&f);
	put(&f, ENTRY + PART_BYTES - 1, "\xb8", 1);
	check_refused(&f, "leaves its function");
	begin_plainly(&f);
	f.text.ends[0] = ENTRY + (1 << 20);
	check_refused(&f, "more than 65536 bytes");
}
END_TEST

START_TEST(only_what_was_planned_for_is_copied)
{
	struct fixture f;
	uint8_t bytes[WINDOW_COPY_MAX_BYTES] = {0x77};
	size_t count = 5;
	begin_plainly(&f);
	struct window window = check_accepted(&f, sizeof pushes, 0x1d);
	struct code_reader reader = text_reader(&f.text);
	put(&f, ENTRY, "\xe9", 1);
	struct error *err =
		window_relocate(&reader, &window, (target_addr){BASE + 0x10000}, bytes, &count);
	ck_assert_int_eq(error_kind_of(err), ERROR_BAD_INPUT);
	error_free(err);
	put(&f, ENTRY, pushes, 1);
	err = window_relocate(&reader, &window, (target_addr){BASE + ((uint64_t)1 << 32)}, bytes,
			      &count);
	ck_assert_int_eq(error_kind_of(err), ERROR_UNSUPPORTED);
	error_free(err);
	ck_assert_uint_eq(bytes[0], 0x77);
	ck_assert_uint_eq(count, 5);
	ck_assert_ptr_null(
		window_relocate(&reader, &window, (target_addr){BASE + 0x10000}, bytes, &count));
	/* The same instructions, and jmp to what follows them. */
	int32_t distance = ENTRY - 0x10000 - CODE_JUMP_BYTES;
	ck_assert_uint_eq(count, sizeof pushes + CODE_JUMP_BYTES);
	ck_assert_mem_eq(bytes, pushes, sizeof pushes);
	ck_assert_uint_eq(bytes[sizeof pushes], 0xe9);
	ck_assert_mem_eq(bytes + sizeof pushes + 1, &distance, 4);
}
END_TEST

START_TEST(a_thread_may_stand_at_its_start_or_behind_it)
{
	struct window window = {.entry = {0x1000}, .count = 7};
	for (uint64_t address = 0xff0; address < 0x1010; address++)
		ck_assert(window_holds(&window, (target_addr){address}) ==
			  (address > 0x1000 && address < 0x1007));
	window.entry.v = UINT64_MAX - 3;
	ck_assert(window_holds(&window, (target_addr){UINT64_MAX}));
	ck_assert(!window_holds(&window, (target_addr){0}));
}
END_TEST

/* xorshift64* */
static uint64_t random_word(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return (*seed * 0x2545f4914f6cdd1du) >> 20;
}

static void check_invariants(struct text *text, const struct window *window)
{
	uint8_t bytes[WINDOW_COPY_MAX_BYTES];
	size_t count = 0;
	ck_assert(window->count >= CODE_JUMP_BYTES && window->count <= WINDOW_MAX_BYTES);
	ck_assert(window->starts & 1 && window->starts >> window->count == 0);
	ck_assert_uint_le(window->entry.v % 4096 + window->count, 4096);
	struct code_reader reader = text_reader(text);
	_cleanup_error_ struct error *err = window_relocate(
		&reader, window, (target_addr){window->entry.v ^ 0x123456}, bytes, &count);
	ck_assert(err || (count > 0 && count <= WINDOW_COPY_MAX_BYTES));
}

START_TEST(random_text_neither_crashes_nor_hangs)
{
	static const uint8_t likely[] = {0xe8, 0xe9, 0xeb, 0x74, 0x0f, 0x85, 0xff, 0x15, 0x25,
					 0x66, 0xe2, 0xe3, 0xc3, 0x48, 0x8b, 0x05, 0x00, 0xcc,
					 0x90, 0x55, 0x53, 0x20, 0xfe, 0xf0, 0xc7, 0xf8, 0xb8};
	uint64_t seed = 0x2545f491u;
	size_t accepted = 0;
	for (int i = 0; i < HOSTILE_TEXTS; i++) {
		size_t count = 1 + random_word(&seed) % 200;
		/* Of the heap and of exact size, so that a sanitizer sees a read behind it. */
		_cleanup_free_ uint8_t *bytes = malloc(count);
		ck_assert_ptr_nonnull(bytes);
		for (size_t j = 0; j < count; j++) {
			uint64_t word = random_word(&seed);
			bytes[j] = word & 3 ? likely[(word >> 8) % sizeof likely]
					    : (uint8_t)(word >> 8);
		}
		uint64_t bases[] = {BASE, UINT64_MAX - count + 1, BASE + 4000, 0};
		struct text text = {.base = bases[i % 4], .bytes = bytes, .count = count};
		size_t entry = random_word(&seed) % count;
		/* Some bounds are honest, some overlap, some end before they start. */
		text_add_part(&text, entry, entry + random_word(&seed) % 64);
		for (int j = 0; j < 8; j++)
			text_add_part(&text, random_word(&seed) % count,
				      random_word(&seed) % (2 * count));
		struct window window;
		_cleanup_error_ struct error *err = text_plan(&text, entry, &window);
		if (err)
			continue;
		check_invariants(&text, &window);
		accepted++;
	}
	ck_assert_uint_gt(accepted, HOSTILE_TEXTS / 100);
}
END_TEST

/* A part of its own around every address, each as large as is allowed. */
static bool crowded_bounds(void *context, target_addr address, target_addr *start, target_addr *end)
{
	(void)context;
	*start = address.v < BASE + 4096 ? (target_addr){BASE} : address;
	*end = target_addr_add(*start, address.v < BASE + 4096 ? 4096 : 60000);
	return true;
}

START_TEST(functions_without_number_that_jump_into_it_are_given_up)
{
	enum { CROWD_BYTES = 4 << 20 };
	_cleanup_free_ uint8_t *bytes = malloc(CROWD_BYTES);
	ck_assert_ptr_nonnull(bytes);
	memset(bytes, 0x90, CROWD_BYTES);
	/* Each jumps into the middle of the function, not into the window. */
	for (int32_t i = 4096; i + 6 < CROWD_BYTES; i += 6) {
		int32_t distance = 2048 - (i + 5);
		bytes[i] = 0xe9;
		memcpy(bytes + i + 1, &distance, 4);
	}
	struct text text = {.base = BASE, .bytes = bytes, .count = CROWD_BYTES};
	struct code_reader reader = {text_read, crowded_bounds, text_pointer, &text};
	struct window window;
	_cleanup_window_survey_ struct window_survey survey = {0};
	ck_assert_ptr_null(window_survey_make(bytes, CROWD_BYTES, (target_addr){BASE}, &survey));
	_cleanup_error_ struct error *err =
		window_plan(&reader, (target_addr){BASE}, &survey, &window);
	ck_assert_int_eq(error_kind_of(err), ERROR_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(error_message(err), "too many functions may branch into it"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("windows");
	TCase *tests = tcase_create("windows");
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, whole_instructions_of_at_least_five_bytes_are_taken);
	tcase_add_test(tests, a_landing_pad_of_indirect_branches_stays_where_it_is);
	tcase_add_test(tests, a_function_of_a_single_return_is_taken_with_its_padding);
	tcase_add_test(tests, padding_ends_where_another_function_begins);
	tcase_add_test(tests, code_behind_the_way_out_is_no_padding);
	tcase_add_test(tests, a_function_that_ends_before_the_jump_is_refused);
	tcase_add_test(tests, a_call_that_comes_back_behind_the_jump_is_accepted);
	tcase_add_test(tests, calls_and_what_cannot_be_moved_are_refused);
	tcase_add_test(tests, anothers_breakpoint_is_left_alone_and_a_jump_is_the_functions_own);
	tcase_add_test(tests, branches_into_it_are_refused_unless_they_lead_to_its_start_or_end);
	tcase_add_test(tests, branches_within_it_are_refused_unless_they_lead_to_its_start_or_end);
	tcase_add_test(tests, bytes_that_only_look_like_a_branch_do_not_count_where_code_is_known);
	tcase_add_test(tests, a_branch_behind_a_lock_prefix_is_followed);
	tcase_add_test(tests, bytes_before_the_entry_that_run_into_it_are_seen);
	tcase_add_test(tests, computed_jumps_of_the_function_are_refused);
	tcase_add_test(tests, a_jump_through_a_known_pointer_is_as_good_as_a_direct_one);
	tcase_add_test(tests, code_that_refers_to_the_bytes_is_refused);
	tcase_add_test(tests, a_window_in_two_pages_is_refused);
	tcase_add_test(tests, what_cannot_be_decoded_or_read_is_an_error_of_its_own);
	tcase_add_test(tests, only_what_was_planned_for_is_copied);
	tcase_add_test(tests, a_thread_may_stand_at_its_start_or_behind_it);
	tcase_add_test(tests, random_text_neither_crashes_nor_hangs);
	tcase_add_test(tests, functions_without_number_that_jump_into_it_are_given_up);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
