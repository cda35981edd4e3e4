/* SPDX-License-Identifier: MIT */
#include "probe/calls.h"

#include <string.h>

#include "arch/registers.h"

static void drop_from(struct calls *calls, size_t first, struct calls_outcome *ret)
{
	for (size_t i = first; i < calls->count; i++)
		if (calls->items[i].begun)
			ret->cancelled[ret->cancelled_count++] = calls->items[i].old_address;
	calls->count = first;
}

static void drop_one(struct calls *calls, size_t i, struct calls_outcome *ret)
{
	if (calls->items[i].begun)
		ret->cancelled[ret->cancelled_count++] = calls->items[i].old_address;
	calls->count--;
	memmove(calls->items + i, calls->items + i + 1, (calls->count - i) * sizeof *calls->items);
}

/* The product of what the function's size is made of; 0 if nothing, UINT64_MAX if it is too much.
 */
static uint64_t size_of(const struct allocator_function *function,
			const struct user_regs_struct *registers)
{
	uint64_t size = function->size_constant;
	if (function->size_argument) {
		uint64_t argument = registers_argument(registers, function->size_argument);
		if (__builtin_mul_overflow(size ? size : 1, argument, &size))
			return UINT64_MAX;
	}
	if (function->count_argument &&
	    __builtin_mul_overflow(size, registers_argument(registers, function->count_argument),
				   &size))
		return UINT64_MAX;
	return size;
}

static struct call describe(const struct allocator_function *function,
			    const struct user_regs_struct *registers, uint64_t region)
{
	struct call call = {.function = function, .stack = registers->rsp, .region = region};
	call.size_bytes = size_of(function, registers);
	if (function->pointer_argument)
		call.old_address.v = registers_argument(registers, function->pointer_argument);
	if (function->result_argument)
		call.result_slot.v = registers_argument(registers, function->result_argument);
	if (function->old_size_argument)
		call.old_size_bytes = registers_argument(registers, function->old_size_argument);
	if (function->flags_argument)
		call.flags = registers_argument(registers, function->flags_argument);
	return call;
}

static void add_event(struct calls_outcome *outcome, enum event_kind kind, target_addr address,
		      target_addr old_address, uint64_t size_bytes)
{
	outcome->events[outcome->event_count++] = (struct event){.kind = kind,
								 .address = address,
								 .old_address = old_address,
								 .size_bytes = size_bytes};
}

static void set_mapping(struct calls_outcome *outcome, const struct call *call, bool ended,
			uint64_t result)
{
	outcome->mapping = (struct calls_mapping){.function = call->function,
						  .ended = ended,
						  .result = result,
						  .address = call->old_address,
						  .size_bytes = call->size_bytes,
						  .old_size_bytes = call->old_size_bytes,
						  .flags = call->flags};
}

/* The call of the same region that was entered last, NULL if none. */
static struct call *innermost(struct calls *calls, uint64_t region)
{
	for (size_t i = calls->count; i-- > 0;)
		if (calls->items[i].region == region)
			return &calls->items[i];
	return NULL;
}

static void push(struct calls *calls, const struct call *call, struct calls_outcome *ret)
{
	if (calls->count == CALLS_MAX)
		drop_from(calls, CALLS_MAX - 1, ret);
	calls->items[calls->count++] = *call;
	if (call->begun)
		add_event(ret, EVENT_RESIZE_BEGIN, (target_addr){0}, call->old_address, 0);
}

/* Drops calls of the region that were left without an exit; the innermost that is still under way.
 */
static struct call *under_way(struct calls *calls, uint64_t stack, uint64_t region,
			      struct calls_outcome *ret)
{
	struct call *outer;
	while ((outer = innermost(calls, region)) && outer->stack < stack)
		drop_one(calls, (size_t)(outer - calls->items), ret);
	return outer;
}

void calls_enter(struct calls *calls, const struct allocator_function *function,
		 const struct user_regs_struct *registers, uint64_t region,
		 struct calls_outcome *ret)
{
	memset(ret, 0, sizeof *ret);
	struct call call = describe(function, registers, region);
	struct call *outer = under_way(calls, call.stack, region, ret);
	if (outer && outer->stack > call.stack)
		return;
	/* An allocator that leaves by it: what comes back is the allocator's. */
	if (outer && function->maps && !outer->function->maps)
		return;
	call.begun =
		function->role == ALLOCATOR_RESIZE && !function->maps && call.old_address.v != 0;
	if (outer && outer->function->whole && outer->function != function) {
		/* It ends with what it has called last, whose end may not be seen. */
		if (function->role == ALLOCATOR_RELEASE && function->leaf)
			drop_one(calls, (size_t)(outer - calls->items), ret);
		return;
	}
	if (outer) {
		/* A tail call: a begun resize of the same block goes on as it is. */
		if (outer->begun && call.begun && outer->old_address.v == call.old_address.v) {
			*outer = call;
			return;
		}
		drop_one(calls, (size_t)(outer - calls->items), ret);
	}
	if (function->maps)
		set_mapping(ret, &call, false, 0);
	else if (function->role == ALLOCATOR_RELEASE)
		add_event(ret, EVENT_RELEASE, call.old_address, (target_addr){0}, 0);
	if (function->role == ALLOCATOR_RELEASE && function->leaf)
		return;
	push(calls, &call, ret);
}

static void finish(const struct call *call, target_addr address, struct calls_outcome *ret)
{
	switch (call->function->role) {
	case ALLOCATOR_RELEASE:
	case ALLOCATOR_HIDE:
		return;
	case ALLOCATOR_RESIZE:
		if (call->begun && address.v == 0 && call->size_bytes == 0) {
			add_event(ret, EVENT_RESIZE_RELEASED, address, call->old_address, 0);
			return;
		}
		if (call->begun) {
			add_event(ret, EVENT_RESIZE_END, address, call->old_address,
				  call->size_bytes);
			ret->needs_site = true;
			return;
		}
		__attribute__((fallthrough));
	case ALLOCATOR_CREATE:
		add_event(ret, address.v ? EVENT_CREATE : EVENT_FAILED, address, (target_addr){0},
			  call->size_bytes);
		ret->needs_site = true;
	}
}

void calls_exit(struct calls *calls, const struct user_regs_struct *registers, uint64_t stack,
		struct calls_outcome *ret)
{
	memset(ret, 0, sizeof *ret);
	size_t i = calls->count;
	while (i > 0 && calls->items[i - 1].stack != stack)
		i--;
	if (i == 0)
		return;
	struct call call = calls->items[i - 1];
	calls->items[i - 1].begun = false;
	drop_one(calls, i - 1, ret);
	if (call.function->maps) {
		set_mapping(ret, &call, true, registers->rax);
		return;
	}
	enum allocator_result result = call.function->result;
	if (result == ALLOCATOR_STORES_ADDRESS && (uint32_t)registers->rax == 0) {
		ret->result_slot = call.result_slot;
		add_event(ret, EVENT_CREATE, (target_addr){0}, (target_addr){0}, call.size_bytes);
		ret->needs_site = true;
		return;
	}
	target_addr address = {result == ALLOCATOR_RETURNS_ADDRESS ? registers->rax : 0};
	if (result == ALLOCATOR_RETURNS_SIZE && registers->rax >= call.size_bytes)
		address = call.old_address;
	finish(&call, address, ret);
}

void calls_exit_sized(struct calls *calls, const struct allocator_function *function,
		      const struct user_regs_struct *registers, uint64_t stack, uint64_t region,
		      uint64_t size_bytes, struct calls_outcome *ret)
{
	memset(ret, 0, sizeof *ret);
	const struct call *outer = under_way(calls, stack, region, ret);
	if (outer && outer->stack > stack)
		return;
	if (outer) {
		struct calls_outcome dropped = *ret;
		calls_exit(calls, registers, stack, ret);
		for (size_t i = 0; i < dropped.cancelled_count; i++)
			ret->cancelled[ret->cancelled_count++] = dropped.cancelled[i];
		return;
	}
	struct call call = {.function = function, .stack = stack, .size_bytes = size_bytes};
	finish(&call, (target_addr){registers->rax}, ret);
}

void calls_note(struct calls *calls, const struct allocator_function *function, uint64_t stack,
		uint64_t region, uint64_t size_bytes, struct calls_outcome *ret)
{
	memset(ret, 0, sizeof *ret);
	if (under_way(calls, stack, region, ret))
		return;
	struct call call = {
		.function = function, .stack = stack, .region = region, .size_bytes = size_bytes};
	push(calls, &call, ret);
}

struct call *calls_outer(struct calls *calls, uint64_t stack, uint64_t region)
{
	struct call *call = innermost(calls, region);
	return call && call->stack > stack ? call : NULL;
}

struct call *calls_at(struct calls *calls, uint64_t stack, uint64_t region)
{
	struct call *call = innermost(calls, region);
	return call && call->stack == stack ? call : NULL;
}

void calls_left(struct calls *calls, struct call *call, struct calls_outcome *ret)
{
	drop_one(calls, (size_t)(call - calls->items), ret);
}

void calls_stored(struct calls_outcome *outcome, target_addr address)
{
	struct event *event = &outcome->events[outcome->event_count - 1];
	event->address = address;
	event->kind = address.v ? EVENT_CREATE : EVENT_FAILED;
	outcome->result_slot = (target_addr){0};
}

void calls_abandon(struct calls *calls, struct calls_outcome *ret)
{
	memset(ret, 0, sizeof *ret);
	drop_from(calls, 0, ret);
}
