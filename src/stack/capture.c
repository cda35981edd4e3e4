/* SPDX-License-Identifier: MIT */
#include "stack/capture.h"

#include <string.h>

#include "base/cleanup.h"
#include "target/proc.h"

enum { WINDOW_BYTES = 4096 };

/* A stretch of the stack read at once: most walks need one or two. */
struct window {
	const struct target_space *space;
	uint64_t high; /* of the stack's mapping */
	uint64_t start, end;
	uint8_t bytes[WINDOW_BYTES];
};

uint64_t capture_region(const struct target_space *space, struct capture_bounds *bounds,
			uint64_t sp)
{
	if (sp >= bounds->low && sp < bounds->high)
		return bounds->high;
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	_cleanup_error_ struct error *err = proc_maps_read(space->pid, &maps);
	const struct proc_mapping *mapping = err ? NULL : proc_maps_find(&maps, sp);
	*bounds = mapping ? (struct capture_bounds){mapping->start, mapping->end}
			  : (struct capture_bounds){0};
	return bounds->high;
}

static bool read_word(void *context, uint64_t address, uint64_t *ret)
{
	struct window *window = context;
	if (address < window->start || address + sizeof *ret > window->end) {
		uint64_t room = window->high - address;
		size_t want = room < WINDOW_BYTES ? (size_t)room : WINDOW_BYTES;
		size_t got = target_read_some(window->space, (target_addr){address}, window->bytes,
					      want);
		window->start = address;
		window->end = address + got;
		if (got < sizeof *ret)
			return false;
	}
	memcpy(ret, window->bytes + (address - window->start), sizeof *ret);
	return true;
}

/* The stack that a signal interrupted, when its handler runs on one of its own. */
static bool other_stack(void *context, uint64_t sp, uint64_t *low_ret, uint64_t *high_ret)
{
	struct window *window = context;
	struct capture_bounds bounds = {0};
	*high_ret = window->high = capture_region(window->space, &bounds, sp);
	*low_ret = sp;
	return *high_ret != 0;
}

struct frame capture_frame(const struct modules *modules, uint64_t return_address)
{
	uint64_t inside = return_address - 1;
	const struct module *module = modules ? modules_find(modules, (target_addr){inside}) : NULL;
	return module ? (struct frame){module->image_id, inside - module->bias}
		      : (struct frame){{0}, inside};
}

void capture_stack(const struct target_space *space, const struct modules *modules,
		   struct capture_bounds *bounds, const struct user_regs_struct *registers,
		   target_addr pc, uint64_t stack, size_t depth, struct capture *ret)
{
	uint64_t addresses[CAPTURE_DEPTH_MAX];
	struct window window; /* not zeroed: its bytes are filled when read */
	window.space = space;
	window.start = window.end = 0;
	window.high = capture_region(space, bounds, stack);
	struct unwind_memory memory = {.read = read_word,
				       .context = &window,
				       .low = registers->rsp < stack ? registers->rsp : stack,
				       .high = window.high,
				       .other_stack = other_stack};
	struct unwind_space unwind = {modules->unwind, modules->count};
	struct unwind_registers from = {.pc = pc.v, .sp = registers->rsp, .bp = registers->rbp};
	/* In the middle of the function rbp may be its own; at its ends it is the caller's. */
	if (stack > registers->rsp)
		from.bp_lost = !unwind_caller_bp(&unwind, &memory, from, stack + 8, &from.bp);
	from.sp = stack;
	ret->stop = unwind_walk(&unwind, &memory, from, addresses, depth, &ret->count);
	for (size_t i = 0; i < ret->count; i++)
		ret->frames[i] = capture_frame(modules, addresses[i]);
}
