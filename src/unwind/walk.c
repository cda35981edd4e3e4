/* SPDX-License-Identifier: MIT */
#include "unwind/walk.h"

enum {
	WORD_BYTES = 8,
	/*
	 * Where a signal frame keeps the interrupted registers, from rsp at the restorer: offsets
	 * in struct ucontext of the kernel's uapi/asm/ucontext.h and sigcontext.h.
	 */
	SIGNAL_BP_BYTES = 120,
	SIGNAL_SP_BYTES = 160,
	SIGNAL_PC_BYTES = 168,
};

/*
 * Where the walk stands: in the frame whose code is around `inside`, with the registers that frame
 * had. Invariant: low <= sp <= high, the bounds of the stack it is on.
 */
struct walk {
	const struct unwind_space *space;
	const struct unwind_memory *memory;
	uint64_t low, high;
	uint64_t next;	 /* what is stored: the return address, or a signal's pc + 1 */
	uint64_t inside; /* next - 1: inside of the call */
	uint64_t sp;
	uint64_t bp;
	bool bp_known;
	bool signal_moved; /* a signal frame led down to another stack: allowed once */
};

static bool read_word(const struct walk *walk, uint64_t address, uint64_t *ret)
{
	if (address < walk->low || address > walk->high || walk->high - address < WORD_BYTES ||
	    address % WORD_BYTES != 0)
		return false;
	return walk->memory->read(walk->memory->context, address, ret);
}

static const struct unwind_module *find_module(const struct unwind_space *space, uint64_t pc)
{
	size_t low = 0;
	size_t high = space->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (space->modules[middle].end <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == space->count || space->modules[low].start > pc)
		return NULL;
	return &space->modules[low];
}

static struct unwind_rule find_rule(const struct walk *walk)
{
	const struct unwind_module *module = find_module(walk->space, walk->inside);
	if (!module)
		return (struct unwind_rule){.kind = UNWIND_NONE};
	uint64_t address = walk->inside - module->bias;
	if (address < module->table.base)
		return (struct unwind_rule){.kind = UNWIND_NONE};
	return unwind_table_find(&module->table, address - module->table.base);
}

static void enter(struct walk *walk, uint64_t next, uint64_t sp)
{
	walk->next = next;
	walk->inside = next - 1;
	walk->sp = sp;
}

/* Goes to the caller through a frame pointer chain, where no rule is known. */
static bool step_by_frame_pointer(struct walk *walk)
{
	uint64_t next, bp;
	if (!walk->bp_known || walk->bp < walk->sp || !read_word(walk, walk->bp, &bp) ||
	    !read_word(walk, walk->bp + WORD_BYTES, &next) || next == 0 ||
	    !find_module(walk->space, next - 1))
		return false;
	enter(walk, next, walk->bp + 2 * WORD_BYTES);
	walk->bp = bp;
	return true;
}

static bool change_stack(struct walk *walk, uint64_t sp)
{
	const struct unwind_memory *memory = walk->memory;
	uint64_t low, high;
	if (!memory->other_stack || !memory->other_stack(memory->context, sp, &low, &high) ||
	    sp < low || sp > high)
		return false;
	walk->low = low;
	walk->high = high;
	return true;
}

static bool step_by_signal(struct walk *walk)
{
	uint64_t pc, sp, bp;
	if (!read_word(walk, walk->sp + SIGNAL_BP_BYTES, &bp) ||
	    !read_word(walk, walk->sp + SIGNAL_SP_BYTES, &sp) ||
	    !read_word(walk, walk->sp + SIGNAL_PC_BYTES, &pc))
		return false;
	bool outside = sp < walk->low || sp > walk->high;
	if (outside || sp <= walk->sp) {
		if (walk->signal_moved)
			return false;
		walk->signal_moved = true;
	}
	if (outside && !change_stack(walk, sp))
		return false;
	enter(walk, pc + 1, sp);
	walk->bp = bp;
	walk->bp_known = true;
	return true;
}

static bool find_cfa(const struct walk *walk, const struct unwind_rule *rule, uint64_t *ret)
{
	uint64_t offset = (uint64_t)(int64_t)rule->cfa_offset;
	switch (rule->kind) {
	case UNWIND_SP:
		*ret = walk->sp + offset;
		return true;
	case UNWIND_BP:
		*ret = walk->bp + offset;
		return walk->bp_known;
	case UNWIND_BP_DEREF:
		return walk->bp_known && read_word(walk, walk->bp + offset, ret);
	case UNWIND_PLT:
		*ret = walk->sp + WORD_BYTES + ((walk->inside & 15) >= offset ? WORD_BYTES : 0);
		return true;
	default:
		return false;
	}
}

static bool restore_bp(struct walk *walk, const struct unwind_rule *rule, uint64_t cfa)
{
	uint64_t offset = (uint64_t)(int64_t)rule->bp_offset;
	switch (rule->bp) {
	case UNWIND_BP_SAME:
		return true;
	case UNWIND_BP_SAVED:
		walk->bp_known = true;
		return read_word(walk, cfa + offset, &walk->bp);
	case UNWIND_BP_SAVED_AT_BP:
		return walk->bp_known && read_word(walk, walk->bp + offset, &walk->bp);
	case UNWIND_BP_LOST:
		walk->bp_known = false;
		return true;
	}
	return false;
}

static bool step_by_rule(struct walk *walk, const struct unwind_rule *rule)
{
	uint64_t cfa, next;
	if (!find_cfa(walk, rule, &cfa) || cfa <= walk->sp || cfa > walk->high ||
	    !read_word(walk, cfa - WORD_BYTES, &next) || !restore_bp(walk, rule, cfa))
		return false;
	enter(walk, next, cfa);
	return true;
}

/* Goes to the caller; *stop_ret says why where it returns false. */
static bool step(struct walk *walk, enum unwind_stop *stop_ret)
{
	struct unwind_rule rule = find_rule(walk);
	bool found;
	*stop_ret = UNWIND_STOP_LOST;
	switch (rule.kind) {
	case UNWIND_END:
		*stop_ret = UNWIND_STOP_END;
		return false;
	case UNWIND_SIGNAL:
		found = step_by_signal(walk);
		break;
	case UNWIND_NONE:
	case UNWIND_UNSUPPORTED:
		/* Code without rules that starts programs and threads marks the outermost frame so.
		 */
		if (walk->bp_known && walk->bp == 0) {
			*stop_ret = UNWIND_STOP_END;
			return false;
		}
		found = step_by_frame_pointer(walk);
		break;
	default:
		found = step_by_rule(walk, &rule);
		break;
	}
	/* psABI 3.4.1: the outermost frame is marked by zeros; code cannot stand at address 0 */
	if (found && walk->next == 0)
		*stop_ret = UNWIND_STOP_END;
	return found && walk->next != 0;
}

bool unwind_caller_bp(const struct unwind_space *space, const struct unwind_memory *memory,
		      struct unwind_registers registers, uint64_t cfa, uint64_t *ret)
{
	struct walk walk = {.space = space,
			    .memory = memory,
			    .low = memory->low,
			    .high = memory->high,
			    .inside = registers.pc,
			    .sp = registers.sp,
			    .bp = registers.bp,
			    .bp_known = true};
	struct unwind_rule rule = find_rule(&walk);
	uint64_t found;
	if (!find_cfa(&walk, &rule, &found) || found != cfa || !restore_bp(&walk, &rule, cfa))
		return false;
	*ret = walk.bp;
	return walk.bp_known;
}

enum unwind_stop unwind_walk(const struct unwind_space *space, const struct unwind_memory *memory,
			     struct unwind_registers registers, uint64_t *frames, size_t capacity,
			     size_t *count_ret)
{
	struct walk walk = {.space = space,
			    .memory = memory,
			    .low = memory->low,
			    .high = memory->high,
			    .bp = registers.bp,
			    .bp_known = !registers.bp_lost};
	size_t count = 0;
	uint64_t next;
	enum unwind_stop stop = UNWIND_STOP_LOST;

	*count_ret = 0;
	if (!read_word(&walk, registers.sp, &next))
		return UNWIND_STOP_LOST;
	enter(&walk, next, registers.sp + WORD_BYTES);
	if (next == 0)
		return UNWIND_STOP_END;
	do {
		if (count == capacity) {
			stop = UNWIND_STOP_DEPTH;
			break;
		}
		frames[count++] = walk.next;
	} while (step(&walk, &stop));
	*count_ret = count;
	return stop;
}
