/* SPDX-License-Identifier: MIT */
#include "arch/survival.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arch/effects.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "base/map.h"

enum { INSTRUCTIONS_MAX = 4096 };

/* The register that carries the n-th integer argument. */
static const uint8_t argument_registers[] = {7, 6, 2, 1, 8, 9};

/*
 * What is known before an instruction. settled: every path to here has passed a LOST point, the
 * registers do not matter. Otherwise holders (not 0) are the registers that hold the argument on
 * every path to here that has not.
 */
struct knowledge {
	bool reached;
	bool settled;
	uint16_t holders;
	int32_t depth;
};

/*
 * Invariant: previous, if not NULL, falls through to this one, and no other does (once check_whole
 * has seen that instructions do not overlap); unless is_target, control comes from there alone.
 */
struct node {
	target_addr address, next, target;
	enum instruction_flow flow;
	struct effects effects;
	bool is_target; /* a jump leads here */
	bool waiting;
	struct knowledge before;
	struct node *previous;
};

struct analysis {
	const struct code_reader *reader;
	target_addr entry;
	target_addr start, end; /* of the function part */
	struct map nodes;
	struct node **waiting;
	size_t waiting_count, waiting_capacity;
};

static void analysis_deinit(struct analysis *analysis)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&analysis->nodes, &cursor)))
		free(entry->value);
	map_deinit(&analysis->nodes);
	free(analysis->waiting);
}

static struct error *unsupported(const struct node *node, const char *why)
{
	return error_new(ERROR_UNSUPPORTED, "the instruction at 0x%" PRIx64 " %s", node->address.v,
			 why);
}

static struct error *read_node(struct analysis *analysis, target_addr address, struct node **ret)
{
	*ret = map_get(&analysis->nodes, address.v);
	if (*ret)
		return NULL;
	if (analysis->nodes.count == INSTRUCTIONS_MAX)
		return error_new(ERROR_UNSUPPORTED, "the function has more than %d instructions",
				 INSTRUCTIONS_MAX);
	struct instruction instruction;
	_cleanup_free_ struct node *node = calloc(1, sizeof *node);
	if (!node)
		return error_no_memory();
	struct error *err = instruction_read(analysis->reader, address, &instruction);
	if (!err)
		err = effects_read(&instruction, &node->effects);
	if (err)
		return err;
	node->address = address;
	node->next = instruction.next;
	node->target = instruction.target;
	node->flow = instruction.flow;
	if (!map_put(&analysis->nodes, address.v, node))
		return error_no_memory();
	*ret = take_ptr(node);
	return NULL;
}

/* What is known after an instruction ran. */
static struct knowledge transfer(const struct node *node)
{
	const struct effects *effects = &node->effects;
	struct knowledge after = node->before;
	after.depth += effects->depth_change;
	if (after.settled)
		return after;
	bool copied = effects->copy_from >= 0 && after.holders & 1u << effects->copy_from;
	after.holders &= (uint16_t)~effects->writes;
	if (copied)
		after.holders |= (uint16_t)(1u << effects->copy_to);
	/* The last copy is gone: a LOST point stands before this instruction. */
	after.settled = after.holders == 0;
	return after;
}

/* Merges what one more path knows; *changed_ret if that is less than was known. */
static struct error *merge(struct node *node, const struct knowledge *more, bool *changed_ret)
{
	struct knowledge *known = &node->before;
	*changed_ret = !known->reached;
	if (!known->reached) {
		*known = *more;
		known->reached = true;
		return NULL;
	}
	if (known->depth != more->depth)
		return unsupported(node, "is reached with different stack depths");
	if (more->settled)
		return NULL;
	uint16_t holders =
		known->settled ? more->holders : (uint16_t)(known->holders & more->holders);
	if (!holders)
		return unsupported(node, "is reached with the argument in different places");
	*changed_ret = known->settled || holders != known->holders;
	known->settled = false;
	known->holders = holders;
	return NULL;
}

static struct error *flow_to(struct analysis *analysis, struct node *from, target_addr address,
			     bool jumped)
{
	if (address.v < analysis->start.v || address.v >= analysis->end.v)
		return unsupported(from, "leaves its function part");
	struct node *node;
	struct error *err = read_node(analysis, address, &node);
	if (err)
		return err;
	struct knowledge after = transfer(from);
	if (after.depth < 0 || after.depth > EFFECTS_DEPTH_MAX_BYTES)
		return unsupported(from, "leaves the stack of its function");
	bool changed;
	err = merge(node, &after, &changed);
	if (jumped)
		node->is_target = true;
	else
		node->previous = from;
	if (err || !changed || node->waiting)
		return err;
	if (!array_reserve(&analysis->waiting, &analysis->waiting_capacity,
			   analysis->waiting_count + 1, sizeof *analysis->waiting))
		return error_no_memory();
	node->waiting = true;
	analysis->waiting[analysis->waiting_count++] = node;
	return NULL;
}

/*
 * A call that ends its function part does not return. A call into the part, other than a recursion,
 * runs code of the function with its return address elsewhere, or takes that address as data.
 */
static struct error *flow_after_call(struct analysis *analysis, struct node *node)
{
	if (node->flow == FLOW_CALL && node->target.v != analysis->entry.v &&
	    node->target.v >= analysis->start.v && node->target.v < analysis->end.v)
		return unsupported(node, "calls into its own function");
	return node->next.v >= analysis->end.v ? NULL : flow_to(analysis, node, node->next, false);
}

/* At another depth, what is popped as a return address is not the caller's: a computed jump. */
static struct error *flow_out(const struct node *node)
{
	return node->before.depth == 0 ? NULL
				       : unsupported(node, "returns to an address it has pushed");
}

static struct error *flow_on(struct analysis *analysis, struct node *node)
{
	struct error *err;
	switch (node->flow) {
	case FLOW_NEXT:
		return flow_to(analysis, node, node->next, false);
	case FLOW_CALL:
	case FLOW_CALL_COMPUTED:
		return flow_after_call(analysis, node);
	case FLOW_JUMP:
		return flow_to(analysis, node, node->target, true);
	case FLOW_BRANCH:
		err = flow_to(analysis, node, node->target, true);
		return err ? err : flow_to(analysis, node, node->next, false);
	case FLOW_RETURN:
		return flow_out(node);
	case FLOW_TRAP:
		return NULL;
	case FLOW_JUMP_SLOT:
	case FLOW_JUMP_COMPUTED:
	case FLOW_FOREIGN:
		break;
	}
	return unsupported(node, "leaves in a way that is not followed");
}

static struct error *run_analysis(struct analysis *analysis, unsigned argument)
{
	struct node *first;
	if (argument < 1 || argument > sizeof argument_registers)
		return error_new(ERROR_UNSUPPORTED, "argument %u is not passed in a register",
				 argument);
	if (!analysis->reader->bounds(analysis->reader->context, analysis->entry, &analysis->start,
				      &analysis->end))
		return error_new(ERROR_UNSUPPORTED, "the bounds of the function are not known");
	struct error *err = read_node(analysis, analysis->entry, &first);
	if (err)
		return err;
	first->before = (struct knowledge){
		.reached = true, .holders = (uint16_t)(1u << argument_registers[argument - 1])};
	first->is_target = true;
	err = flow_on(analysis, first);
	while (!err && analysis->waiting_count) {
		struct node *node = analysis->waiting[--analysis->waiting_count];
		node->waiting = false;
		err = flow_on(analysis, node);
	}
	return err;
}

static int compare_nodes(const void *a, const void *b)
{
	uint64_t x = (*(struct node *const *)a)->address.v,
		 y = (*(struct node *const *)b)->address.v;
	return (x > y) - (x < y);
}

static bool is_padding(const struct instruction *instruction)
{
	return instruction->decoded.mnemonic == ZYDIS_MNEMONIC_NOP ||
	       instruction->flow == FLOW_TRAP;
}

/* Checks that padding, if anything, fills [from, to). */
static struct error *check_gap(const struct analysis *analysis, target_addr from, target_addr to)
{
	for (int count = 0; from.v < to.v && count < INSTRUCTIONS_MAX; count++) {
		struct instruction instruction;
		struct error *err = instruction_read(analysis->reader, from, &instruction);
		if (err)
			return err;
		if (!is_padding(&instruction))
			break;
		from = instruction.next;
	}
	return from.v == to.v ? NULL
			      : error_new(ERROR_UNSUPPORTED,
					  "no jump leads to the instruction at 0x%" PRIx64
					  ", or to a part of it",
					  from.v);
}

/*
 * Checks that the instructions reached fill the function part and do not overlap. What was not
 * reached may be entered in ways no jump shows (the landing pad of an exception, the abort of a
 * restartable sequence, another entry) and lead into what was; and a probe inside an instruction
 * would change it.
 */
static struct error *check_whole(const struct analysis *analysis)
{
	size_t count = 0, cursor = 0;
	_cleanup_free_ struct node **nodes = calloc(analysis->nodes.count, sizeof *nodes);
	if (!nodes)
		return error_no_memory();
	const struct map_entry *entry;
	while ((entry = map_next(&analysis->nodes, &cursor)))
		nodes[count++] = entry->value;
	qsort(nodes, count, sizeof *nodes, compare_nodes);
	target_addr done = analysis->start;
	for (size_t i = 0; i < count; i++) {
		struct error *err = check_gap(analysis, done, nodes[i]->address);
		if (err)
			return err;
		done = nodes[i]->next;
	}
	return check_gap(analysis, done, analysis->end);
}

static struct error *add_point(struct survival *survival, const struct node *node,
			       enum survival_kind kind, target_addr returns_at)
{
	if (!array_reserve(&survival->points, &survival->capacity, survival->count + 1,
			   sizeof *survival->points))
		return error_no_memory();
	survival->points[survival->count++] = (struct survival_point){
		.kind = kind,
		.address = node->address,
		.returns_at = returns_at,
		.readable = !node->before.settled,
		.register_number =
			(uint8_t)(node->before.settled ? 0 : __builtin_ctz(node->before.holders)),
		.depth_bytes = (uint32_t)node->before.depth,
	};
	return NULL;
}

/*
 * The exit point of a `ret`: the last instruction on the straight line to it that still sees the
 * argument, if rax is final there; the `ret` itself where every path has lost it before.
 */
static const struct node *exit_of(const struct node *ret)
{
	for (const struct node *node = ret; node; node = node->previous) {
		if (!node->before.settled)
			return node;
		if (node->is_target || !node->previous || node->previous->flow != FLOW_NEXT ||
		    node->previous->effects.writes & 1u << EFFECTS_RAX)
			break;
	}
	return ret;
}

static struct error *add_exits(struct analysis *analysis, struct survival *survival)
{
	size_t cursor = 0;
	struct map_entry *entry;
	struct error *err = NULL;
	while (!err && (entry = map_next(&analysis->nodes, &cursor))) {
		const struct node *node = entry->value;
		if (node->before.reached && node->flow == FLOW_RETURN)
			err = add_point(survival, exit_of(node), SURVIVAL_EXIT, node->address);
	}
	return err;
}

static bool is_exit(const struct survival *survival, target_addr address)
{
	for (size_t i = 0; i < survival->count; i++)
		if (survival->points[i].address.v == address.v)
			return true;
	return false;
}

/* Where the last copy is overwritten and that is no exit point, it must be read before. */
static struct error *add_losses(struct analysis *analysis, struct survival *survival)
{
	size_t cursor = 0;
	struct map_entry *entry;
	struct error *err = NULL;
	while (!err && (entry = map_next(&analysis->nodes, &cursor))) {
		const struct node *node = entry->value;
		if (node->before.reached && !node->before.settled && transfer(node).settled &&
		    !is_exit(survival, node->address))
			err = add_point(survival, node, SURVIVAL_LOST, (target_addr){0});
	}
	return err;
}

struct error *survival_find(const struct code_reader *reader, target_addr entry, unsigned argument,
			    struct survival *ret)
{
	__attribute__((__cleanup__(analysis_deinit))) struct analysis analysis = {.reader = reader,
										  .entry = entry};
	_cleanup_survival_ struct survival survival = {0};
	struct error *err = run_analysis(&analysis, argument);
	if (!err)
		err = check_whole(&analysis);
	if (!err)
		err = add_exits(&analysis, &survival);
	if (!err && !survival.count)
		err = error_new(ERROR_UNSUPPORTED, "the function has no return");
	if (!err)
		err = add_losses(&analysis, &survival);
	if (err && error_kind_of(err) != ERROR_NO_MEMORY &&
	    error_kind_of(err) != ERROR_UNSUPPORTED) {
		struct error *other = error_new(ERROR_UNSUPPORTED, "%s", error_message(err));
		error_free(err);
		return other;
	}
	if (err)
		return err;
	*ret = survival;
	survival = (struct survival){0};
	return NULL;
}

void survival_deinit(struct survival *survival)
{
	free(survival->points);
	*survival = (struct survival){0};
}

uint64_t survival_register(const struct user_regs_struct *registers, uint8_t number)
{
	const uint64_t values[EFFECTS_REGISTERS] = {
		registers->rax, registers->rcx, registers->rdx, registers->rbx,
		registers->rsp, registers->rbp, registers->rsi, registers->rdi,
		registers->r8,	registers->r9,	registers->r10, registers->r11,
		registers->r12, registers->r13, registers->r14, registers->r15};
	return values[number % EFFECTS_REGISTERS];
}
