/* SPDX-License-Identifier: MIT */
#include "arch/code.h"

#include <inttypes.h>
#include <stdlib.h>

#include "arch/instruction.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "base/map.h"

enum { INSTRUCTIONS_MAX = 4096 };

/*
 * The state of one traversal.
 *
 * Invariant: pending[0, count) are in seen and not yet decoded; seen.count <= INSTRUCTIONS_MAX, so
 * the traversal ends whatever the code.
 */
struct walk {
	const struct code_reader *reader;
	target_addr entry;
	bool (*stop_at)(void *context, target_addr address);
	void *stop_context;
	struct map seen;
	target_addr *pending;
	size_t count, capacity;
	struct code_exits *exits;
};

static void walk_deinit(struct walk *walk)
{
	map_deinit(&walk->seen);
	free(walk->pending);
}

#define _cleanup_walk_ __attribute__((__cleanup__(walk_deinit)))

static struct error *append(target_addr **items, size_t *count, size_t *capacity,
			    target_addr address)
{
	if (!array_reserve(items, capacity, *count + 1, sizeof **items))
		return error_no_memory();
	(*items)[(*count)++] = address;
	return NULL;
}

static struct error *add_handover(struct code_exits *exits, target_addr address)
{
	for (size_t i = 0; i < exits->handover_count; i++)
		if (exits->handovers[i].v == address.v)
			return NULL;
	return append(&exits->handovers, &exits->handover_count, &exits->handover_capacity,
		      address);
}

/* Control can come to address: hand over there, or look at it later unless that was done. */
static struct error *reach(struct walk *walk, target_addr address)
{
	if (walk->stop_at && walk->stop_at(walk->stop_context, address))
		return add_handover(walk->exits, address);
	if (map_get(&walk->seen, address.v))
		return NULL;
	if (walk->seen.count == INSTRUCTIONS_MAX)
		return error_new(ERROR_UNSUPPORTED,
				 "the function at 0x%" PRIx64 " has more than %d instructions",
				 walk->entry.v, INSTRUCTIONS_MAX);
	/* The map serves as a set: any pointer but NULL will do as the value. */
	if (!map_put(&walk->seen, address.v, walk))
		return error_no_memory();
	return append(&walk->pending, &walk->count, &walk->capacity, address);
}

/*
 * The jump at `from` leaves through a pointer for another function, which many others may call: its
 * returns are no exits of ours. It is a departure, unless a probe waits at the other end.
 */
static struct error *depart(struct walk *walk, target_addr from, target_addr slot)
{
	struct code_exits *exits = walk->exits;
	target_addr target;
	if (walk->stop_at && walk->reader->pointer(walk->reader->context, slot, &target) &&
	    walk->stop_at(walk->stop_context, target))
		return add_handover(exits, target);
	return append(&exits->departures, &exits->departure_count, &exits->departure_capacity,
		      from);
}

/* Whether a PLT entry stands at address: `jmp *slot(%rip)`, perhaps after endbr64. */
static bool is_plt_entry(const struct walk *walk, target_addr address, target_addr *slot_ret)
{
	struct instruction instruction;
	for (int i = 0; i < 2; i++) {
		_cleanup_error_ struct error *err =
			instruction_read(walk->reader, address, &instruction);
		if (err)
			return false;
		if (instruction.flow == FLOW_JUMP_SLOT)
			return *slot_ret = instruction.target, true;
		if (instruction.decoded.mnemonic != ZYDIS_MNEMONIC_ENDBR64)
			return false;
		address = instruction.next;
	}
	return false;
}

static struct error *reach_target(struct walk *walk, const struct instruction *instruction)
{
	target_addr slot;
	/* A probed function may itself be no more than such a jump. */
	bool probed = walk->stop_at && walk->stop_at(walk->stop_context, instruction->target);
	if (!probed && is_plt_entry(walk, instruction->target, &slot))
		return depart(walk, instruction->address, slot);
	return reach(walk, instruction->target);
}

/*
 * A call that ends its function part does not return. A call to a place inside its own part, other
 * than a recursion, takes its return address as data (a retpoline, `call 1f; 1: pop`): what
 * looks like a return behind it may be a jump.
 */
static struct error *reach_after_call(struct walk *walk, const struct instruction *instruction)
{
	target_addr start, end;
	if (!walk->reader->bounds(walk->reader->context, instruction->address, &start, &end))
		return reach(walk, instruction->next);
	target_addr target = instruction->target;
	if (instruction->flow == FLOW_CALL && target.v > start.v && target.v < end.v &&
	    target.v != walk->entry.v)
		return error_new(ERROR_UNSUPPORTED,
				 "the call at 0x%" PRIx64 " goes into its own function",
				 instruction->address.v);
	return instruction->next.v >= end.v ? NULL : reach(walk, instruction->next);
}

static struct error *reach_successors(struct walk *walk, const struct instruction *instruction)
{
	struct code_exits *exits = walk->exits;
	struct error *err;
	switch (instruction->flow) {
	case FLOW_NEXT:
		return reach(walk, instruction->next);
	case FLOW_JUMP:
		return reach_target(walk, instruction);
	case FLOW_BRANCH:
		err = reach_target(walk, instruction);
		return err ? err : reach(walk, instruction->next);
	case FLOW_JUMP_SLOT:
		return depart(walk, instruction->address, instruction->target);
	case FLOW_CALL:
	case FLOW_CALL_COMPUTED:
		return reach_after_call(walk, instruction);
	case FLOW_RETURN:
		return append(&exits->returns, &exits->return_count, &exits->return_capacity,
			      instruction->address);
	case FLOW_TRAP:
		return NULL;
	case FLOW_JUMP_COMPUTED:
		return error_new(ERROR_UNSUPPORTED, "the jump at 0x%" PRIx64 " is computed",
				 instruction->address.v);
	case FLOW_FOREIGN:
		break;
	}
	return error_new(ERROR_UNSUPPORTED,
			 "the instruction at 0x%" PRIx64 " leaves in a way that is not followed",
			 instruction->address.v);
}

static struct error *walk_one(struct walk *walk, target_addr address)
{
	struct instruction instruction;
	struct error *err = instruction_read(walk->reader, address, &instruction);
	if (!err)
		return reach_successors(walk, &instruction);
	if (error_kind_of(err) == ERROR_NO_MEMORY)
		return err;
	struct error *unsupported = error_new(ERROR_UNSUPPORTED, "%s", error_message(err));
	error_free(err);
	return unsupported;
}

static int compare_addresses(const void *a, const void *b)
{
	uint64_t x = ((const target_addr *)a)->v, y = ((const target_addr *)b)->v;
	return (x > y) - (x < y);
}

static void sort(target_addr *items, size_t count)
{
	if (count > 1)
		qsort(items, count, sizeof *items, compare_addresses);
}

struct error *code_find_exits(const struct code_reader *reader, target_addr entry,
			      bool (*stop_at)(void *context, target_addr address),
			      void *stop_context, struct code_exits *ret)
{
	_cleanup_code_exits_ struct code_exits exits = {0};
	_cleanup_walk_ struct walk walk = {.reader = reader,
					   .entry = entry,
					   .stop_at = stop_at,
					   .stop_context = stop_context,
					   .exits = &exits};
	/* The entry itself is where the caller's probe is: it is not asked of stop_at. */
	if (!map_put(&walk.seen, entry.v, &walk))
		return error_no_memory();
	struct error *err = append(&walk.pending, &walk.count, &walk.capacity, entry);
	while (!err && walk.count > 0)
		err = walk_one(&walk, walk.pending[--walk.count]);
	if (err)
		return err;
	sort(exits.returns, exits.return_count);
	sort(exits.handovers, exits.handover_count);
	sort(exits.departures, exits.departure_count);
	*ret = exits;
	exits = (struct code_exits){0};
	return NULL;
}

void code_exits_deinit(struct code_exits *exits)
{
	free(exits->returns);
	free(exits->handovers);
	free(exits->departures);
	*exits = (struct code_exits){0};
}
