/* SPDX-License-Identifier: MIT */
#include "arch/window.h"

#include <inttypes.h>
#include <string.h>

#include "arch/instruction.h"
#include "arch/window_search.h"
#include "arch/window_text.h"
#include "base/cleanup.h"

enum { PAGE_BYTES = 4096 };

/*
 * A window that grows by one instruction after the other.
 *
 * Invariants: window.count bytes from window.entry on have been taken; `landings` is a part of
 * window.starts without bit 0: where a computed jump could come in.
 */
struct plan {
	const struct code_reader *reader;
	struct window_part own;
	struct window window;
	uint32_t landings;
	bool ended; /* no instruction falls through to the next: what follows is padding */
};

static target_addr at(const struct plan *plan)
{
	return target_addr_add(plan->window.entry, (int64_t)plan->window.count);
}

/* Appends bytes that are one instruction, or one byte of padding. */
static void append(struct plan *plan, const uint8_t *bytes, size_t length)
{
	struct window *window = &plan->window;
	uint32_t bit = (uint32_t)1 << window->count;
	window->starts |= bit;
	if (window->count > 0 && at(plan).v < plan->own.end.v)
		plan->landings |= bit;
	memcpy(window->bytes + window->count, bytes, length);
	window->count += length;
}

/* Why an instruction must not be replaced although it could be moved; NULL if it may. */
static const char *why_not(const struct plan *plan, const struct instruction *instruction)
{
	if (plan->window.count == 0 && instruction->bytes[0] == CODE_BREAKPOINT)
		return "another's breakpoint stands there already";
	if (instruction->next.v > plan->own.end.v)
		return "an instruction there goes beyond the function";
	/* The callee comes back behind it: there the bytes may be those of the jump. */
	if ((instruction->flow == FLOW_CALL || instruction->flow == FLOW_CALL_COMPUTED) &&
	    instruction->next.v - plan->window.entry.v < CODE_JUMP_BYTES)
		return "a call is among the bytes that it would replace";
	/* It stands where computed jumps lead. */
	if (instruction->decoded.mnemonic == ZYDIS_MNEMONIC_ENDBR64)
		return "an endbr64 is among the bytes that it would replace";
	return NULL;
}

static struct error *take_instruction(struct plan *plan)
{
	struct instruction instruction;
	struct code_slot slot;
	if (at(plan).v >= plan->own.end.v)
		return error_new(ERROR_UNSUPPORTED, "the function is shorter than a jump");
	struct error *err = instruction_read(plan->reader, at(plan), &instruction);
	if (err)
		return err;
	const char *reason = why_not(plan, &instruction);
	if (reason)
		return error_new(ERROR_UNSUPPORTED, "%s", reason);
	/* Where the copy will be is not known yet; its reach is looked at when it is built. */
	err = code_relocate(plan->reader, instruction.address, instruction.address, &slot);
	if (err)
		return err;
	append(plan, instruction.bytes, instruction.decoded.length);
	plan->ended = instruction.flow != FLOW_NEXT && instruction.flow != FLOW_BRANCH;
	return NULL;
}

/* Whether bytes [from, from + count) belong to no function, or to the planned one. */
static bool is_nobody_elses(const struct plan *plan, target_addr from, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		target_addr start, end, address = target_addr_add(from, (int64_t)i);
		if (address.v >= plan->own.end.v &&
		    plan->reader->bounds(plan->reader->context, address, &start, &end))
			return false;
	}
	return true;
}

/* The length of the padding at address: 1 for 00 and cc, else a nop's; 0 if there is none. */
static size_t padding_length(const struct code_reader *reader, target_addr address, uint8_t *bytes)
{
	struct instruction instruction;
	if (!reader->read(reader->context, address, bytes, 1))
		return 0;
	if (bytes[0] == 0 || bytes[0] == CODE_BREAKPOINT)
		return 1;
	_cleanup_error_ struct error *err = instruction_read(reader, address, &instruction);
	if (err || instruction.decoded.mnemonic != ZYDIS_MNEMONIC_NOP)
		return 0;
	memcpy(bytes, instruction.bytes, instruction.decoded.length);
	return instruction.decoded.length;
}

static struct error *take_padding(struct plan *plan)
{
	uint8_t bytes[CODE_INSTRUCTION_MAX_BYTES];
	size_t length = padding_length(plan->reader, at(plan), bytes);
	if (length == 0)
		return error_new(ERROR_UNSUPPORTED, "its first way out ends before a jump would");
	if (!is_nobody_elses(plan, at(plan), length))
		return error_new(ERROR_UNSUPPORTED, "the next function begins before a jump ends");
	append(plan, bytes, length);
	return NULL;
}

static bool is_endbr64(const struct code_reader *reader, target_addr address, target_addr *next_ret)
{
	struct instruction instruction;
	_cleanup_error_ struct error *err = instruction_read(reader, address, &instruction);
	if (err || instruction.decoded.mnemonic != ZYDIS_MNEMONIC_ENDBR64)
		return false;
	*next_ret = instruction.next;
	return true;
}

static struct error *take_all(struct plan *plan)
{
	struct error *err = NULL;
	while (!err && plan->window.count < CODE_JUMP_BYTES)
		err = plan->ended ? take_padding(plan) : take_instruction(plan);
	if (err)
		return err;
	/* A write over a border of pages can be seen, or left, half done. */
	if (plan->window.entry.v % PAGE_BYTES + plan->window.count > PAGE_BYTES)
		return error_new(ERROR_UNSUPPORTED, "the bytes it would replace lie in two pages");
	return NULL;
}

static struct error *plan_at(struct plan *plan, target_addr entry,
			     const struct window_survey *survey)
{
	plan->window.entry = entry;
	is_endbr64(plan->reader, entry, &plan->window.entry);
	if (!window_part_find(plan->reader, entry, &plan->own))
		return error_new(ERROR_UNSUPPORTED, "where the function ends is not known");
	struct error *err = take_all(plan);
	return err ? err
		   : window_search(plan->reader, &plan->window, plan->own, plan->landings == 0,
				   survey);
}

struct error *window_plan(const struct code_reader *reader, target_addr entry,
			  const struct window_survey *survey, struct window *ret)
{
	struct window_text around = {survey->text, survey->count, survey->start, reader};
	struct code_reader text_reader = window_text_reader(&around);
	struct plan plan = {.reader = &text_reader};
	struct error *err = plan_at(&plan, entry, survey);
	if (!err) {
		*ret = plan.window;
		return NULL;
	}
	if (error_kind_of(err) != ERROR_UNSUPPORTED)
		return err;
	struct error *refusal =
		error_new(ERROR_UNSUPPORTED, "%s, so no jump can be written at 0x%" PRIx64,
			  error_message(err), entry.v);
	error_free(err);
	return refusal;
}

/* A copy being built; it will run at `at`. */
struct copy {
	target_addr at;
	uint8_t bytes[WINDOW_COPY_MAX_BYTES];
	size_t count;
	bool falls_through;
};

/*
 * Appends what code_relocate made of one instruction, but lets control run on into what will follow
 * where that jumps back: a jump that stands last is left out, another gets a new distance (loop and
 * jrcxz have the way of the taken branch behind it).
 */
static void put_slot(struct copy *copy, const struct code_slot *slot)
{
	size_t back = slot->finished_offset, behind = back + CODE_JUMP_BYTES;
	size_t count = back && behind == slot->count ? back : slot->count;
	memcpy(copy->bytes + copy->count, slot->bytes, count);
	if (count > back && back)
		code_encode_jump((target_addr){back}, (target_addr){count},
				 copy->bytes + copy->count + back);
	copy->count += count;
	copy->falls_through = back != 0;
}

/*
 * A window has at most 5 instructions that are not padding, all but the last within 4 bytes. The
 * longest copies come from two short loops (12 each) before one long instruction (15 and a jump).
 */
_Static_assert(4 * 12 + CODE_SLOT_MAX_BYTES + CODE_JUMP_BYTES <= WINDOW_COPY_MAX_BYTES,
	       "every copy fits");

/* The instructions of the window's first `count` bytes. */
static struct error *put_instructions(struct copy *copy, const struct code_reader *reader,
				      const struct window *window, size_t count)
{
	copy->falls_through = true;
	for (size_t done = 0; copy->falls_through && done < count;) {
		struct code_slot slot;
		struct error *err =
			code_relocate(reader, target_addr_add(window->entry, (int64_t)done),
				      target_addr_add(copy->at, (int64_t)copy->count), &slot);
		if (err)
			return err;
		put_slot(copy, &slot);
		done += slot.length;
	}
	return NULL;
}

static struct error *put_jump_on(struct copy *copy, const struct window *window)
{
	if (!code_encode_jump(target_addr_add(copy->at, (int64_t)copy->count),
			      target_addr_add(window->entry, (int64_t)window->count),
			      copy->bytes + copy->count))
		return error_new(ERROR_UNSUPPORTED,
				 "the code at 0x%" PRIx64 " is out of reach from 0x%" PRIx64,
				 window->entry.v, copy->at.v);
	copy->count += CODE_JUMP_BYTES;
	return NULL;
}

static struct error *check_unchanged(const struct code_reader *reader, const struct window *window)
{
	uint8_t bytes[WINDOW_MAX_BYTES];
	if (reader->read(reader->context, window->entry, bytes, window->count) &&
	    !memcmp(bytes, window->bytes, window->count))
		return NULL;
	return error_new(ERROR_BAD_INPUT,
			 "the code at 0x%" PRIx64 " is no longer what was planned for",
			 window->entry.v);
}

struct error *window_relocate(const struct code_reader *reader, const struct window *window,
			      target_addr copy_at, uint8_t bytes[WINDOW_COPY_MAX_BYTES],
			      size_t *count_ret)
{
	struct window_text own = {window->bytes, window->count, window->entry, reader};
	struct code_reader own_reader = window_text_reader(&own);
	struct copy copy = {.at = copy_at};
	struct error *err = check_unchanged(reader, window);
	if (!err)
		err = put_instructions(&copy, &own_reader, window, window->count);
	if (!err && copy.falls_through)
		err = put_jump_on(&copy, window);
	if (err)
		return err;
	memcpy(bytes, copy.bytes, copy.count);
	*count_ret = copy.count;
	return NULL;
}

bool window_resume(const struct code_reader *reader, const struct window *window,
		   target_addr copy_at, target_addr pc, target_addr *ret)
{
	struct window_text own = {window->bytes, window->count, window->entry, reader};
	struct code_reader own_reader = window_text_reader(&own);
	struct copy copy = {.at = copy_at};
	if (!window_holds(window, pc))
		return false;
	size_t offset = pc.v - window->entry.v;
	if (!(window->starts >> offset & 1))
		return false;
	/* The copy is the same up to there, whatever comes after. */
	_cleanup_error_ struct error *err = put_instructions(&copy, &own_reader, window, offset);
	*ret = target_addr_add(copy_at, (int64_t)copy.count);
	return !err && copy.falls_through;
}

bool window_holds(const struct window *window, target_addr address)
{
	return address.v > window->entry.v && address.v - window->entry.v < window->count;
}
