/* SPDX-License-Identifier: MIT */
#include "arch/window_search.h"

#include <inttypes.h>
#include <stdlib.h>

#include "arch/instruction.h"
#include "base/cleanup.h"

enum {
	PART_MAX_BYTES = 64 << 10,
	/* Bounds can name another part at every address: the sum keeps the search from going on. */
	SWEPT_MAX_BYTES = 1 << 20,
};

/*
 * One search.
 *
 * Invariant: swept_bytes <= SWEPT_MAX_BYTES. `last`, unless empty, is the part that was swept last
 * on behalf of a branch from outside, with nothing found to refuse.
 */
struct search {
	const struct code_reader *reader;
	const struct window *window;
	struct window_part own;
	bool is_single;
	size_t swept_bytes;
	struct window_part last;
	struct error *err;
};

/* What is known of an address of a part, as bits. */
enum {
	MARK_SEEN = 1,	 /* an instruction begins there */
	MARK_WANTED = 2, /* a branch of the part leads there */
};

/*
 * The decoding of one part: from its start to its end, and from wherever its branches lead that is
 * no beginning of an instruction then (behind a `lock` that a branch skips).
 *
 * Invariant: marks has a byte and pending an item for each byte of the part; pending[0,
 * pending_count) are offsets of wanted addresses, each put there once. The addresses found are 0 if
 * there is none.
 */
struct sweep {
	struct search *search;
	struct window_part part;
	bool is_own;
	uint8_t *marks;
	uint32_t *pending;
	size_t pending_count;
	target_addr enters;	  /* leads into the window behind its first byte */
	target_addr refers;	  /* has an operand within the window behind its first byte */
	target_addr comes_inside; /* branches into the own part behind its start */
	target_addr computed;	  /* goes to a place that is not known */
};

static bool part_holds(const struct window_part *part, target_addr address)
{
	return address.v >= part->start.v && address.v < part->end.v;
}

bool window_part_find(const struct code_reader *reader, target_addr address,
		      struct window_part *ret)
{
	struct window_part part;
	if (!reader->bounds(reader->context, address, &part.start, &part.end) ||
	    !part_holds(&part, address))
		return false;
	*ret = part;
	return true;
}

static void want(struct sweep *sweep, size_t offset)
{
	if (sweep->marks[offset] & MARK_WANTED)
		return;
	sweep->marks[offset] |= MARK_WANTED;
	sweep->pending[sweep->pending_count++] = (uint32_t)offset;
}

static void note_target(struct sweep *sweep, const struct instruction *instruction,
			target_addr target)
{
	const struct window *window = sweep->search->window;
	const struct window_part *own = &sweep->search->own;
	if (window_holds(window, target))
		sweep->enters = instruction->address;
	if (part_holds(own, target) && target.v != own->start.v && target.v != window->entry.v)
		sweep->comes_inside = instruction->address;
	if (part_holds(&sweep->part, target))
		want(sweep, target.v - sweep->part.start.v);
}

/*
 * A call into the own part, other than a recursion, makes data of its return address: what looks
 * like a return behind it may be a jump (a retpoline).
 */
static void note_call(struct sweep *sweep, const struct instruction *instruction)
{
	note_target(sweep, instruction, instruction->target);
	if (part_holds(&sweep->part, instruction->target) &&
	    instruction->target.v != sweep->part.start.v)
		sweep->computed = instruction->address;
}

static void note_slot(struct sweep *sweep, const struct instruction *instruction)
{
	const struct code_reader *reader = sweep->search->reader;
	target_addr target;
	if (reader->pointer(reader->context, instruction->target, &target))
		note_target(sweep, instruction, target);
	else
		sweep->computed = instruction->address;
}

static void note_flow(struct sweep *sweep, const struct instruction *instruction)
{
	switch (instruction->flow) {
	case FLOW_JUMP:
	case FLOW_BRANCH:
		note_target(sweep, instruction, instruction->target);
		break;
	case FLOW_CALL:
		note_call(sweep, instruction);
		break;
	case FLOW_JUMP_SLOT:
		note_slot(sweep, instruction);
		break;
	case FLOW_JUMP_COMPUTED:
	case FLOW_FOREIGN:
		sweep->computed = instruction->address;
		break;
	case FLOW_NEXT:
	case FLOW_CALL_COMPUTED:
	case FLOW_RETURN:
	case FLOW_TRAP:
		break;
	}
}

static void note(struct sweep *sweep, const struct instruction *instruction)
{
	const struct window *window = sweep->search->window;
	const ZydisDecodedOperand *operand = instruction_relative_operand(instruction);
	target_addr meant = {0};
	note_flow(sweep, instruction);
	if (operand)
		meant = target_addr_add(instruction->next, operand->mem.disp.value);
	if (operand && window_holds(window, meant))
		sweep->refers = instruction->address;
	/* Its bytes overlap those at the entry. */
	if (instruction->address.v < window->entry.v && window_holds(window, instruction->next))
		sweep->enters = instruction->address;
}

/* Decodes from address on, up to the part's end or what was decoded before. */
static struct error *run_from(struct sweep *sweep, target_addr address)
{
	while (part_holds(&sweep->part, address)) {
		uint8_t *mark = &sweep->marks[address.v - sweep->part.start.v];
		struct instruction instruction;
		if (*mark & MARK_SEEN)
			return NULL;
		*mark |= MARK_SEEN;
		struct error *err = instruction_read(sweep->search->reader, address, &instruction);
		if (err)
			return err;
		if (instruction.next.v > sweep->part.end.v || instruction.next.v <= address.v)
			return error_new(ERROR_BAD_INPUT,
					 "the instruction at 0x%" PRIx64 " leaves its function",
					 address.v);
		note(sweep, &instruction);
		address = instruction.next;
	}
	return NULL;
}

/* Decodes all of the part that can be known to be run. */
static struct error *run_all(struct sweep *sweep)
{
	struct error *err = run_from(sweep, sweep->part.start);
	/* The entry is a way in even if nothing before it leads there. */
	if (!err && sweep->is_own)
		err = run_from(sweep, sweep->search->window->entry);
	while (!err && sweep->pending_count > 0)
		err = run_from(sweep, target_addr_add(sweep->part.start,
						      sweep->pending[--sweep->pending_count]));
	return err;
}

static struct error *judge(const struct sweep *sweep)
{
	bool of_function = sweep->is_own || sweep->comes_inside.v;
	if (sweep->enters.v)
		return error_new(ERROR_UNSUPPORTED,
				 "the branch at 0x%" PRIx64
				 " leads among the bytes that it would replace",
				 sweep->enters.v);
	if (sweep->refers.v)
		return error_new(ERROR_UNSUPPORTED,
				 "the instruction at 0x%" PRIx64
				 " refers to the bytes that it would replace",
				 sweep->refers.v);
	if (of_function && sweep->computed.v && !sweep->search->is_single)
		return error_new(ERROR_UNSUPPORTED,
				 "the computed jump at 0x%" PRIx64
				 " could lead among the bytes that it would replace",
				 sweep->computed.v);
	return NULL;
}

/* Errors: as window_search; ERROR_BAD_INPUT where the part cannot be decoded. */
static struct error *sweep_part(struct search *search, const struct window_part *part, bool is_own)
{
	size_t count = part->end.v - part->start.v;
	if (count > PART_MAX_BYTES)
		return error_new(ERROR_BAD_INPUT,
				 "the function at 0x%" PRIx64 " has more than %d bytes",
				 part->start.v, PART_MAX_BYTES);
	if (search->swept_bytes + count > SWEPT_MAX_BYTES)
		return error_new(ERROR_UNSUPPORTED, "too many functions may branch into it");
	search->swept_bytes += count;
	_cleanup_free_ uint8_t *marks = calloc(count, sizeof *marks);
	_cleanup_free_ uint32_t *pending = calloc(count, sizeof *pending);
	if (!marks || !pending)
		return error_no_memory();
	struct sweep sweep = {.search = search,
			      .part = *part,
			      .is_own = is_own,
			      .marks = marks,
			      .pending = pending};
	struct error *err = run_all(&sweep);
	return err ? err : judge(&sweep);
}

static struct error *as_unsupported(struct error *err)
{
	if (!err || error_kind_of(err) == ERROR_UNSUPPORTED ||
	    error_kind_of(err) == ERROR_NO_MEMORY)
		return err;
	struct error *unsupported = error_new(ERROR_UNSUPPORTED, "%s", error_message(err));
	error_free(err);
	return unsupported;
}

/* Where the branch whose opcode is at address leads; false if none decodes there. */
static bool target_at(const struct code_reader *reader, target_addr address, target_addr *ret)
{
	struct instruction instruction;
	_cleanup_error_ struct error *err = instruction_read(reader, address, &instruction);
	*ret = instruction.target;
	return !err && (instruction.flow == FLOW_JUMP || instruction.flow == FLOW_BRANCH ||
			instruction.flow == FLOW_CALL);
}

/*
 * Bytes at `address`, outside of the own part, look like a branch into it. Decoding the part they
 * lie in tells whether they are one. Where that cannot be told, they are taken for one if they lead
 * into the window. false: search->err says why the window must be refused.
 */
static bool is_harmless(void *context, target_addr address)
{
	struct search *search = context;
	struct window_part part;
	target_addr target;
	if (part_holds(&search->last, address))
		return true;
	bool into_window = !target_at(search->reader, address, &target) ||
			   window_holds(search->window, target);
	if (!window_part_find(search->reader, address, &part)) {
		if (into_window)
			search->err = error_new(ERROR_UNSUPPORTED,
						"a branch at 0x%" PRIx64
						" may lead among the bytes that it would replace",
						address.v);
		return !into_window;
	}
	search->err = sweep_part(search, &part, false);
	if (search->err && error_kind_of(search->err) == ERROR_BAD_INPUT && !into_window) {
		error_free(search->err);
		search->err = NULL;
	}
	search->last = part;
	return !search->err;
}

/* The part with the padding behind it that the window takes. */
static struct window_part whole(const struct search *search)
{
	struct window_part whole = search->own;
	target_addr end = target_addr_add(search->window->entry, (int64_t)search->window->count);
	if (end.v > whole.end.v)
		whole.end = end;
	return whole;
}

struct error *window_search(const struct code_reader *reader, const struct window *window,
			    struct window_part own, bool is_single,
			    const struct window_survey *survey)
{
	struct search search = {
		.reader = reader, .window = window, .own = own, .is_single = is_single};
	struct window_part range = whole(&search);
	struct error *err = as_unsupported(sweep_part(&search, &own, true));
	if (err)
		return err;
	window_survey_is_entered(survey, range.start, range.end, is_harmless, &search);
	return as_unsupported(search.err);
}
