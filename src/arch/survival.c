/* SPDX-License-Identifier: MIT */
#include "arch/survival.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arch/instruction.h"
#include "base/array.h"
#include "base/map.h"

enum {
	INSTRUCTIONS_MAX = 4096,
	REGISTERS =
		16, /* in the order of their encoding: rax rcx rdx rbx rsp rbp rsi rdi r8 .. r15 */
	REGISTER_RAX = 0,
	REGISTER_RSP = 4,
	DEPTH_MAX = 1 << 20,
	/* psABI figure 3.4: rax rcx rdx rsi rdi r8-r11. */
	CALLER_SAVED = 0x0fc7,
};

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

/* Invariant: previous, if not NULL, falls through to this one and to no other. */
struct node {
	target_addr address, next, target;
	enum instruction_flow flow;
	uint16_t writes;	   /* registers changed, in whole or in part */
	int8_t copy_from, copy_to; /* mov between whole registers, else -1 */
	int32_t depth_change;
	bool is_target; /* a jump leads here */
	bool waiting;
	struct knowledge before;
	struct node *previous;
};

struct analysis {
	const struct code_reader *reader;
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

static int register_number(ZydisRegister name)
{
	ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, name);
	if (whole < ZYDIS_REGISTER_RAX || whole > ZYDIS_REGISTER_R15)
		return -1;
	return ZydisRegisterGetId(whole);
}

static struct error *unsupported(const struct node *node, const char *why)
{
	return error_new(ERROR_UNSUPPORTED, "the instruction at 0x%" PRIx64 " %s", node->address.v,
			 why);
}

/* How rsp changes: push and pop of whole words, and adding a constant. */
static struct error *read_stack_effect(const struct instruction *instruction, struct node *node)
{
	const ZydisDecodedOperand *operands = instruction->operands;
	switch (instruction->decoded.mnemonic) {
	case ZYDIS_MNEMONIC_PUSH:
	case ZYDIS_MNEMONIC_POP:
		if (instruction->decoded.operand_width != 64)
			break;
		node->depth_change = instruction->decoded.mnemonic == ZYDIS_MNEMONIC_PUSH ? 8 : -8;
		if (operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    operands[0].reg.value == ZYDIS_REGISTER_RSP)
			break;
		return NULL;
	case ZYDIS_MNEMONIC_SUB:
	case ZYDIS_MNEMONIC_ADD:
		if (operands[0].type != ZYDIS_OPERAND_TYPE_REGISTER ||
		    operands[0].reg.value != ZYDIS_REGISTER_RSP ||
		    operands[1].type != ZYDIS_OPERAND_TYPE_IMMEDIATE ||
		    llabs(operands[1].imm.value.s) > DEPTH_MAX)
			break;
		node->depth_change = (int32_t)operands[1].imm.value.s;
		if (instruction->decoded.mnemonic == ZYDIS_MNEMONIC_ADD)
			node->depth_change = -node->depth_change;
		return NULL;
	default:
		break;
	}
	return unsupported(node, "moves the stack pointer in a way that is not followed");
}

static struct error *read_effects(const struct instruction *instruction, struct node *node)
{
	const ZydisDecodedOperand *operands = instruction->operands;
	for (size_t i = 0; i < instruction->decoded.operand_count; i++) {
		int number = operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER
				     ? register_number(operands[i].reg.value)
				     : -1;
		if (number >= 0 && operands[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
			node->writes |= (uint16_t)(1u << number);
	}
	node->copy_from = node->copy_to = -1;
	if (instruction->decoded.mnemonic == ZYDIS_MNEMONIC_MOV &&
	    operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	    operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER && operands[0].size == 64 &&
	    operands[1].size == 64) {
		node->copy_to = (int8_t)register_number(operands[0].reg.value);
		node->copy_from = (int8_t)register_number(operands[1].reg.value);
	}
	bool is_call = node->flow == FLOW_CALL || node->flow == FLOW_CALL_COMPUTED;
	if (is_call)
		node->writes = CALLER_SAVED;
	else if (node->flow != FLOW_RETURN && node->writes & 1u << REGISTER_RSP)
		return read_stack_effect(instruction, node);
	return NULL;
}

static struct error *read_node(struct analysis *analysis, target_addr address, struct node **ret)
{
	*ret = map_get(&analysis->nodes, address.v);
	if (*ret)
		return NULL;
	struct instruction instruction;
	struct error *err = instruction_read(analysis->reader, address, &instruction);
	if (err)
		return err;
	struct node *node = calloc(1, sizeof *node);
	if (!node || analysis->nodes.count == INSTRUCTIONS_MAX ||
	    !map_put(&analysis->nodes, address.v, node)) {
		free(node);
		return node && analysis->nodes.count == INSTRUCTIONS_MAX
			       ? error_new(ERROR_UNSUPPORTED,
					   "the function has more than %d instructions",
					   INSTRUCTIONS_MAX)
			       : error_no_memory();
	}
	node->address = address;
	node->next = instruction.next;
	node->target = instruction.target;
	node->flow = instruction.flow;
	*ret = node;
	return read_effects(&instruction, node);
}

/* What is known after an instruction ran. */
static struct knowledge transfer(const struct node *node)
{
	struct knowledge after = node->before;
	after.depth += node->depth_change;
	if (after.settled)
		return after;
	bool copied =
		node->copy_from >= 0 && node->copy_to >= 0 && after.holders & 1u << node->copy_from;
	after.holders &= (uint16_t)~node->writes;
	if (copied)
		after.holders |= (uint16_t)(1u << node->copy_to);
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

static struct error *flow_on(struct analysis *analysis, struct node *node)
{
	struct error *err;
	switch (node->flow) {
	case FLOW_NEXT:
		return flow_to(analysis, node, node->next, false);
	case FLOW_CALL:
	case FLOW_CALL_COMPUTED:
		/* A call that ends its function part does not return. */
		if (node->next.v >= analysis->end.v)
			return NULL;
		return flow_to(analysis, node, node->next, false);
	case FLOW_JUMP:
		return flow_to(analysis, node, node->target, true);
	case FLOW_BRANCH:
		err = flow_to(analysis, node, node->target, true);
		return err ? err : flow_to(analysis, node, node->next, false);
	case FLOW_RETURN:
	case FLOW_TRAP:
		return NULL;
	case FLOW_JUMP_SLOT:
	case FLOW_JUMP_COMPUTED:
	case FLOW_FOREIGN:
		break;
	}
	return unsupported(node, "leaves in a way that is not followed");
}

static struct error *run_analysis(struct analysis *analysis, target_addr entry, unsigned argument)
{
	struct node *first;
	if (!analysis->reader->bounds(analysis->reader->context, entry, &analysis->start,
				      &analysis->end))
		return error_new(ERROR_UNSUPPORTED, "the bounds of the function are not known");
	struct error *err = read_node(analysis, entry, &first);
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

static struct error *add_point(struct survival *survival, const struct node *node,
			       enum survival_kind kind, target_addr returns_at)
{
	if (!array_reserve(&survival->points, &survival->capacity, survival->count + 1,
			   sizeof *survival->points))
		return error_no_memory();
	if (node->before.depth < 0)
		return unsupported(node, "stands above its own return address");
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
		    node->previous->writes & 1u << REGISTER_RAX)
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
	__attribute__((__cleanup__(analysis_deinit))) struct analysis analysis = {.reader = reader};
	_cleanup_survival_ struct survival survival = {0};
	struct error *err = run_analysis(&analysis, entry, argument);
	if (!err)
		err = add_exits(&analysis, &survival);
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
	const uint64_t values[REGISTERS] = {
		registers->rax, registers->rcx, registers->rdx, registers->rbx,
		registers->rsp, registers->rbp, registers->rsi, registers->rdi,
		registers->r8,	registers->r9,	registers->r10, registers->r11,
		registers->r12, registers->r13, registers->r14, registers->r15};
	return values[number % REGISTERS];
}

/* Intel SDM volume 2: jmp rel32 is e9, jcc rel32 0f 80-8f, jmp rel8 eb, jcc rel8 70-7f. */
static bool jump_at(const uint8_t *bytes, size_t left, int64_t *distance_ret)
{
	int32_t wide;
	if (left >= 5 && bytes[0] == 0xe9) {
		memcpy(&wide, bytes + 1, sizeof wide);
		return *distance_ret = 5 + (int64_t)wide, true;
	}
	if (left >= 6 && bytes[0] == 0x0f && (bytes[1] & 0xf0) == 0x80) {
		memcpy(&wide, bytes + 2, sizeof wide);
		return *distance_ret = 6 + (int64_t)wide, true;
	}
	if (left >= 2 && (bytes[0] == 0xeb || (bytes[0] & 0xf0) == 0x70))
		return *distance_ret = 2 + (int64_t)(int8_t)bytes[1], true;
	return false;
}

bool survival_is_entered_elsewhere(const uint8_t *text, size_t count, target_addr text_start,
				   target_addr start, target_addr end,
				   bool (*known)(void *context, target_addr jump), void *context)
{
	for (size_t i = 0; i < count; i++) {
		int64_t distance;
		uint64_t at = text_start.v + i;
		if ((at >= start.v && at < end.v) || !jump_at(text + i, count - i, &distance))
			continue;
		uint64_t target = at + (uint64_t)distance;
		if (target > start.v && target < end.v && !known(context, (target_addr){at}))
			return true;
	}
	return false;
}
