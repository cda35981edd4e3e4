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
	RULES_SHIFT = 53, /* leaves the upper bits of a 64-bit hash as an index of unwind_rules */
};
_Static_assert(UNWIND_RULES == 1 << (64 - RULES_SHIFT), "every index is one of an item");

/*
 * Where the walk stands: in the frame whose code is around `inside`, with the registers that frame
 * had. Invariant: low <= floor <= sp <= high; low and high are the bounds of the stack it is on,
 * floor is the first rsp until a signal frame is met: no live frame has a word below it.
 *
 * Where reads is not NULL it gets every word that decides anything at the moment it does. All are
 * return addresses and CFAs, which decide where they are read, and values of rbp, which decide
 * nothing when they are restored: so bp_source remembers where rbp came from, and note_bp makes an
 * item of it before it is looked at. What nobody looks at cannot change the outcome of a
 * deterministic walk, so that leaving it out is safe. That it could be read is looked at: `top`.
 */
struct walk {
	const struct unwind_space *space;
	const struct unwind_memory *memory;
	struct unwind_reads *reads;
	uint64_t low, high, floor;
	uint64_t next;	 /* what is stored: the return address, or a signal's pc + 1 */
	uint64_t inside; /* next - 1: inside of the call */
	uint64_t sp;
	uint64_t bp;
	uint64_t bp_source; /* where bp was saved; 0: it is the first rbp */
	bool bp_known;
	bool bp_noted;	   /* the items already tell bp, or that it is lost */
	bool signal_moved; /* a signal frame led down to another stack: allowed once */
};

static void note(const struct walk *walk, uint64_t address, uint64_t value)
{
	struct unwind_reads *reads = walk->reads;
	if (!reads)
		return;
	if (reads->count == UNWIND_READS_MAX) {
		reads->incomplete = true;
		return;
	}
	reads->items[reads->count].address = address;
	reads->items[reads->count].value = value;
	reads->count++;
}

/* To be called before anything is decided by bp or bp_known. */
static void note_bp(struct walk *walk)
{
	if (walk->bp_noted || !walk->reads)
		return;
	walk->bp_noted = true;
	if (walk->bp_source == 0)
		walk->reads->bp_used = true;
	else
		note(walk, walk->bp_source, walk->bp);
}

static void note_high(const struct walk *walk)
{
	if (walk->reads)
		walk->reads->high_used = true;
}

static void note_incomplete(const struct walk *walk)
{
	if (walk->reads)
		walk->reads->incomplete = true;
}

/* Reads a word that decides nothing yet: the caller notes it when it does. */
static bool peek_word(const struct walk *walk, uint64_t address, uint64_t *ret)
{
	if (address < walk->floor || address % WORD_BYTES != 0)
		return false;
	if (address > walk->high || walk->high - address < WORD_BYTES) {
		note_high(walk);
		return false;
	}
	if (walk->memory->read(walk->memory->context, address, ret))
		return true;
	note_incomplete(walk);
	return false;
}

static bool read_word(const struct walk *walk, uint64_t address, uint64_t *ret)
{
	if (!peek_word(walk, address, ret))
		return false;
	note(walk, address, *ret);
	return true;
}

static bool restore_bp_from(struct walk *walk, uint64_t address)
{
	walk->bp_source = address;
	walk->bp_known = true;
	walk->bp_noted = false;
	if (!peek_word(walk, address, &walk->bp))
		return false;
	if (walk->reads && address + WORD_BYTES > walk->reads->top)
		walk->reads->top = address + WORD_BYTES;
	return true;
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

static uint32_t look_up(const struct unwind_space *space, uint64_t pc)
{
	const struct unwind_module *module = find_module(space, pc);
	if (!module)
		return 0;
	uint64_t address = pc - module->bias;
	if (address < module->table.base)
		return 0;
	return unwind_table_find_packed(&module->table, address - module->table.base);
}

static struct unwind_rule find_rule(const struct walk *walk)
{
	struct unwind_rules *rules = walk->memory->rules;
	uint64_t next = walk->inside + 1;
	if (!rules || next == 0)
		return unwind_rule_unpack(look_up(walk->space, walk->inside));
	struct unwind_known_rule *known =
		&rules->items[next * UINT64_C(0x9e3779b97f4a7c15) >> RULES_SHIFT];
	if (known->next != next || known->epoch != rules->epoch) {
		known->rule = look_up(walk->space, walk->inside);
		known->next = next;
		known->epoch = rules->epoch;
	}
	return unwind_rule_unpack(known->rule);
}

void unwind_rules_clear(struct unwind_rules *rules)
{
	rules->epoch++;
	if (rules->epoch != 0)
		return;
	for (uint32_t i = 0; i < UNWIND_RULES; i++)
		rules->items[i].next = 0;
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
	uint64_t next;
	uint64_t frame = walk->bp;
	if (!walk->bp_known || frame < walk->sp || !restore_bp_from(walk, frame) ||
	    !read_word(walk, frame + WORD_BYTES, &next) || next == 0 ||
	    !find_module(walk->space, next - 1))
		return false;
	enter(walk, next, frame + 2 * WORD_BYTES);
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
	note_incomplete(walk);
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
	walk->floor = walk->low; /* the interrupted function may use its red zone */
	walk->bp = bp;
	walk->bp_known = true;
	return true;
}

static bool find_cfa(struct walk *walk, const struct unwind_rule *rule, uint64_t *ret)
{
	uint64_t offset = (uint64_t)(int64_t)rule->cfa_offset;
	switch (rule->kind) {
	case UNWIND_SP:
		*ret = walk->sp + offset;
		return true;
	case UNWIND_BP:
		note_bp(walk);
		*ret = walk->bp + offset;
		return walk->bp_known;
	case UNWIND_BP_DEREF:
		note_bp(walk);
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
		return restore_bp_from(walk, cfa + offset);
	case UNWIND_BP_SAVED_AT_BP:
		note_bp(walk);
		return walk->bp_known && restore_bp_from(walk, walk->bp + offset);
	case UNWIND_BP_LOST:
		walk->bp_known = false;
		walk->bp_noted = true;
		return true;
	}
	return false;
}

static bool step_by_rule(struct walk *walk, const struct unwind_rule *rule)
{
	uint64_t cfa, next;
	if (!find_cfa(walk, rule, &cfa) || cfa <= walk->sp ||
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
		note_bp(walk);
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
			    .floor = memory->low,
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

/* flatten: with the state of the walk in registers a frame was measured a tenth cheaper. */
__attribute__((flatten)) enum unwind_stop
unwind_walk(const struct unwind_space *space, const struct unwind_memory *memory,
	    struct unwind_registers registers, uint64_t *frames, size_t capacity, size_t *count_ret)
{
	struct walk walk = {.space = space,
			    .memory = memory,
			    .reads = memory->reads,
			    .low = memory->low,
			    .high = memory->high,
			    .floor = registers.sp > memory->low ? registers.sp : memory->low,
			    .bp = registers.bp,
			    .bp_known = !registers.bp_lost};
	size_t count = 0;
	uint64_t next;
	enum unwind_stop stop = UNWIND_STOP_LOST;

	*count_ret = 0;
	if (walk.reads) {
		walk.reads->count = 0;
		walk.reads->incomplete = walk.reads->bp_used = walk.reads->high_used = false;
		walk.reads->high = memory->high;
		walk.reads->top = 0;
	}
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
