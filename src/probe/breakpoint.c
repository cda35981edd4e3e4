/* SPDX-License-Identifier: MIT */
/*
 * Breakpoint probes: one int3 at the entry and one at every exit, armed all the time.
 *
 * The covered instruction runs as a relocated copy ("slot") in the unused rest of a text page, so
 * no byte is ever lifted and no thread can slip past. A hit costs a stop; going on is one register
 * write. Nothing is pushed, no return address is changed, no thread is single-stepped.
 *
 * Contexts that a signal handler or the target's own unwinder may see never lie in a slot: before a
 * signal is delivered the thread is put back into the original code (on_signal). That is what makes
 * erasing the slots safe at the end.
 */
#include "base/cleanup.h"
#include "probe/insert.h"

static uint64_t word_at(const struct probe_set *set, uint64_t address)
{
	uint64_t word = 0;
	target_read_some(set->space, (target_addr){address}, &word, sizeof word);
	return word;
}

/* Calls that were left by longjmp would make every deeper one look like an inner call of theirs. */
static void forget_left(const struct probe_set *set, struct probe_thread *state, uint64_t stack,
			uint64_t region, struct calls_outcome *ret)
{
	struct call *outer;
	while ((outer = calls_outer(&state->calls, stack, region)) && outer->return_address &&
	       word_at(set, outer->stack) != outer->return_address)
		calls_left(&state->calls, outer, ret);
}

/* Puts what was left before what happened since. */
static void add_left(struct calls_outcome *outcome, const struct calls_outcome *left)
{
	for (size_t i = 0; i < left->cancelled_count && outcome->cancelled_count < CALLS_MAX; i++)
		outcome->cancelled[outcome->cancelled_count++] = left->cancelled[i];
}

static struct error *enter(struct probe_set *set, const struct site *site,
			   const struct user_regs_struct *registers, struct probe_thread *state,
			   uint64_t region, struct probe_hit *ret)
{
	switch (site->purpose) {
	case PROBE_LINKER:
		ret->kind = PROBE_HIT_LINKER;
		return NULL;
	case PROBE_SIGACTION:
		ret->kind = PROBE_HIT_SIGACTION;
		return NULL;
	case PROBE_SIGMASK:
		ret->kind = PROBE_HIT_SIGMASK;
		return NULL;
	case PROBE_WATCH:
		ret->kind = PROBE_HIT_WATCH;
		ret->watch = site->watch;
		return NULL;
	case PROBE_CONFINEMENT:
	case PROBE_UNWINDER:
	case PROBE_ALLOCATOR:
		break;
	}
	struct calls_outcome left = {0};
	forget_left(set, state, registers->rsp, region, &left);
	calls_enter(&state->calls, site->function, registers, region, &ret->outcome);
	add_left(&ret->outcome, &left);
	struct call *entered = calls_at(&state->calls, registers->rsp, region);
	if (entered)
		entered->return_address = word_at(set, registers->rsp);
	return site->uses_return_sites ? insert_return_site(set, registers->rsp) : NULL;
}

/* A call noted at this place by one that was left by longjmp must not pass for the present one. */
static void forget_stale(const struct probe_set *set, const struct site *site,
			 struct probe_thread *state, uint64_t stack, uint64_t region,
			 struct calls_outcome *ret)
{
	struct call *here = calls_at(&state->calls, stack, region);
	if (!here)
		return;
	bool noted_again = site->exit == SITE_SIZE_LOST && here->function == site->function;
	if (noted_again || (here->return_address && word_at(set, stack) != here->return_address))
		calls_left(&state->calls, here, ret);
}

static void note_size(const struct probe_set *set, const struct site *site,
		      struct probe_thread *state, uint64_t region, uint64_t size_bytes,
		      struct probe_hit *ret)
{
	calls_note(&state->calls, site->function, ret->stack, region, size_bytes, &ret->outcome);
	struct call *noted = calls_at(&state->calls, ret->stack, region);
	if (noted && !noted->return_address)
		noted->return_address = word_at(set, ret->stack);
}

/*
 * `early`: the thread was there before the probes, and this is the first that we see of it. It may
 * have passed the point where the size is lost unseen: a call that began before we did is not
 * counted.
 */
static void sized(const struct probe_set *set, const struct site *site,
		  const struct user_regs_struct *registers, struct probe_thread *state,
		  uint64_t region, bool early, struct probe_hit *ret)
{
	const struct survival_point *point = &site->point;
	uint64_t size_bytes = survival_register(registers, point->register_number);
	if (site->exit == SITE_SIZE_LOST)
		note_size(set, site, state, region, size_bytes, ret);
	else if (early)
		return;
	else if (point->readable)
		calls_exit_sized(&state->calls, site->function, registers, ret->stack, region,
				 size_bytes, &ret->outcome);
	else
		calls_exit(&state->calls, registers, ret->stack, &ret->outcome);
}

static struct error *leave(struct probe_set *set, const struct site *site,
			   const struct user_regs_struct *registers, struct probe_thread *state,
			   uint64_t region, bool early, struct probe_hit *ret)
{
	if (site->exit == SITE_DEPARTURE)
		return insert_return_site(set, registers->rsp);
	struct calls_outcome left = {0};
	switch (site->exit) {
	case SITE_SIZED_EXIT:
	case SITE_SIZE_LOST:
		ret->stack = registers->rsp + site->point.depth_bytes;
		forget_left(set, state, ret->stack, region, &left);
		forget_stale(set, site, state, ret->stack, region, &left);
		sized(set, site, registers, state, region, early, ret);
		add_left(&ret->outcome, &left);
		break;
	case SITE_AFTER_RETURN:
		ret->stack = registers->rsp - 8;
		calls_exit(&state->calls, registers, ret->stack, &ret->outcome);
		break;
	default:
		calls_exit(&state->calls, registers, ret->stack, &ret->outcome);
	}
	if (!ret->outcome.result_slot.v)
		return NULL;
	target_addr address = {0};
	struct error *err =
		target_read(set->space, ret->outcome.result_slot, &address, sizeof address);
	calls_stored(&ret->outcome, address);
	error_free(err); /* unreadable: the function would have crashed on it itself */
	return NULL;
}

static struct error *breakpoint_on_trap(struct probe_set *set, struct target_thread *thread,
					struct probe_thread *state, uint64_t region,
					struct probe_hit *ret)
{
	*ret = (struct probe_hit){.kind = PROBE_HIT_NONE};
	struct user_regs_struct *registers = target_registers(thread);
	if (!registers)
		return NULL; /* dying */
	struct site *site = map_get(&set->sites, registers->rip - 1);
	/*
	 * Only after a one-byte instruction can a thread stand here without having hit the int3.
	 * One that blocks SIGTRAP has hit it whatever the signal says: no other could be delivered.
	 */
	if (!site ||
	    (site->slot.length == 1 && !thread->sigtrap_blocked && !target_hit_int3(thread)))
		return NULL;
	if (!site->armed) {
		ret->kind = PROBE_HIT_STALE;
		target_set_pc(thread, site->address.v);
		return NULL;
	}
	struct error *err = NULL;
	ret->kind = PROBE_HIT_CALL;
	ret->site = site->address;
	ret->stack = registers->rsp;
	bool early = thread->from_before && !state->seen;
	state->seen = true;
	bool replayed =
		state->replay_site.v == site->address.v && state->replay_stack == registers->rsp;
	state->replay_site = (target_addr){0};
	if (!replayed && site->exit != SITE_NO_EXIT)
		err = leave(set, site, registers, state, region, early, ret);
	if (!replayed && !err && site->entry)
		err = enter(set, site, registers, state, region, ret);
	target_set_pc(thread, site->slot_address.v);
	return err;
}

/* Puts a thread that stands in a slot back into the original code; false if that cannot be. */
static bool put_back(struct probe_set *set, struct target_thread *thread, struct site **site_ret)
{
	size_t offset;
	target_addr address;
	*site_ret = NULL;
	struct user_regs_struct *registers = target_registers(thread);
	struct site *site = registers ? set_site_of_slot(set, registers->rip, &offset) : NULL;
	if (!site)
		return true;
	if (!code_slot_resume(&site->slot, offset, site->address, &address))
		return false;
	if (address.v == site->address.v)
		*site_ret = site;
	return target_set_pc(thread, address.v);
}

static void breakpoint_on_signal(struct probe_set *set, struct target_thread *thread,
				 struct probe_thread *state)
{
	struct site *site;
	if (!put_back(set, thread, &site)) {
		set->slots_in_use = true;
		return;
	}
	if (site && site->armed) {
		state->replay_site = site->address;
		state->replay_stack = thread->registers.rsp;
	}
}

static struct error *breakpoint_disarm(struct probe_set *set)
{
	struct error *first = NULL;
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&set->sites, &cursor))) {
		struct site *site = entry->value;
		struct error *err = site->armed ? site_write(set, site, false) : NULL;
		error_keep_first(&first, err);
	}
	set->disarmed = true;
	return first;
}

static void breakpoint_evacuate(struct probe_set *set, struct target_thread *thread)
{
	struct site *site;
	if (!put_back(set, thread, &site))
		set->slots_in_use = true;
}

static struct error *breakpoint_erase(struct probe_set *set)
{
	static const uint8_t zeroes[4096];
	struct error *first = NULL;
	for (size_t i = 0; i < set->slack_count && !set->slots_in_use; i++) {
		struct slack *slack = &set->slacks[i];
		struct error *err = slack->next.v == slack->start.v
					    ? NULL
					    : target_write(set->space, slack->start, zeroes,
							   slack->next.v - slack->start.v);
		error_keep_first(&first, err);
	}
	return first;
}

const struct probe_operations probe_breakpoint = {
	.name = "breakpoint",
	.insert = insert_function,
	.on_trap = breakpoint_on_trap,
	.on_signal = breakpoint_on_signal,
	.disarm = breakpoint_disarm,
	.evacuate = breakpoint_evacuate,
	.erase = breakpoint_erase,
};
