/* SPDX-License-Identifier: MIT */
/*
 * Breakpoint probes: one int3 at the entry and one at every exit, armed all the time.
 *
 * The covered instruction runs as a relocated copy ("slot") in the unused rest of a text page, so no
 * byte is ever lifted and no thread can slip past. A hit costs a stop; going on is one register
 * write. Nothing is pushed, no return address is changed, no thread is single-stepped.
 *
 * Contexts that a signal handler or the target's own unwinder may see never lie in a slot: before a
 * signal is delivered the thread is put back into the original code (on_signal). That is what makes
 * erasing the slots safe at the end.
 */
#include <signal.h>
#include <sys/ptrace.h>

#include "base/cleanup.h"
#include "probe/set.h"

static struct error *set_byte(struct probe_set *set, struct site *site, bool armed)
{
	uint8_t byte = armed ? CODE_BREAKPOINT : site->original;
	struct error *err = target_write(set->space, site->address, &byte, 1);
	if (!err)
		site->armed = armed;
	return err;
}

/* The site at address, made if need be, not armed yet. */
static struct error *ensure_site(struct probe_set *set, target_addr address, struct site **ret)
{
	*ret = map_get(&set->sites, address.v);
	return *ret ? NULL : set_add_site(set, address, ret);
}

static bool is_entry(void *context, target_addr address)
{
	return probe_set_has(context, address);
}

static struct error *insert_sites(struct probe_set *set, const target_addr *addresses, size_t count,
				  enum site_exit exit)
{
	for (size_t i = 0; i < count; i++) {
		struct site *site;
		struct error *err = ensure_site(set, addresses[i], &site);
		if (err)
			return err;
		site->exit = exit;
	}
	for (size_t i = 0; i < count; i++) {
		struct site *site = map_get(&set->sites, addresses[i].v);
		struct error *err = site->armed ? NULL : set_byte(set, site, true);
		if (err)
			return err;
	}
	return NULL;
}

static struct error *insert_exits(struct probe_set *set, const struct code_exits *exits)
{
	struct error *err =
		insert_sites(set, exits->returns, exits->return_count, SITE_RETURN);
	return err ? err
		   : insert_sites(set, exits->departures, exits->departure_count, SITE_DEPARTURE);
}

static bool needs_exits(const struct probe_request *request)
{
	return request->purpose == PROBE_ALLOCATOR &&
	       !(request->function->role == ALLOCATOR_RELEASE && request->function->leaf);
}

/* Exits first: an entry that is seen must find its exit armed. */
static struct error *breakpoint_insert(struct probe_set *set, const struct probe_request *request)
{
	if (probe_set_has(set, request->entry))
		return NULL; /* an alias: one function, counted once */
	bool return_sites = false;
	if (needs_exits(request)) {
		_cleanup_code_exits_ struct code_exits exits = {0};
		struct error *err = code_find_exits(&set->original_reader, request->entry, is_entry,
						    set, &exits);
		return_sites = error_catch(&err, ERROR_UNSUPPORTED);
		if (!err && !return_sites)
			err = insert_exits(set, &exits);
		if (err)
			return err;
	}
	struct site *site;
	struct error *err = ensure_site(set, request->entry, &site);
	if (err)
		return err;
	site->entry = true;
	site->purpose = request->purpose;
	site->function = request->function;
	site->uses_return_sites = return_sites;
	return site->armed ? NULL : set_byte(set, site, true);
}

static struct error *try_return_site(struct probe_set *set, uint64_t stack)
{
	target_addr address;
	struct error *err = target_read(set->space, (target_addr){stack}, &address, sizeof address);
	if (err)
		return err;
	struct site *site;
	err = ensure_site(set, address, &site);
	if (err)
		return err;
	if (site->exit == SITE_NO_EXIT)
		site->exit = SITE_AFTER_RETURN;
	return site->armed ? NULL : set_byte(set, site, true);
}

/*
 * The end of a call whose `ret` is not probed is seen where its caller goes on. Where that cannot be,
 * the call cannot be counted, but the target is none the worse.
 */
static struct error *insert_return_site(struct probe_set *set, uint64_t stack)
{
	_cleanup_error_ struct error *err = try_return_site(set, stack);
	return err && error_kind_of(err) == ERROR_NO_MEMORY ? take_ptr(err) : NULL;
}

/* int3 reports SI_KERNEL (arch/x86/kernel/traps.c); what was sent by kill(2) does not. */
static bool is_int3(const struct target_thread *thread)
{
	siginfo_t info;
	return ptrace(PTRACE_GETSIGINFO, thread->tid, NULL, &info) == 0 && info.si_code == SI_KERNEL;
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
	case PROBE_ALLOCATOR:
		break;
	}
	calls_enter(&state->calls, site->function, registers, region, &ret->outcome);
	return site->uses_return_sites ? insert_return_site(set, registers->rsp) : NULL;
}

static struct error *leave(struct probe_set *set, const struct site *site,
			   const struct user_regs_struct *registers, struct probe_thread *state,
			   struct probe_hit *ret)
{
	if (site->exit == SITE_DEPARTURE)
		return insert_return_site(set, registers->rsp);
	ret->stack = site->exit == SITE_RETURN ? registers->rsp : registers->rsp - 8;
	calls_exit(&state->calls, registers, ret->stack, &ret->outcome);
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
	/* Only after a one-byte instruction can a thread stand here without having hit the int3. */
	if (!site || (site->slot.length == 1 && !is_int3(thread)))
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
	bool replayed = state->replay_site.v == site->address.v &&
			state->replay_stack == registers->rsp;
	state->replay_site = (target_addr){0};
	if (!replayed && site->exit != SITE_NO_EXIT)
		err = leave(set, site, registers, state, ret);
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
		struct error *err = site->armed ? set_byte(set, site, false) : NULL;
		if (err && !first)
			first = err;
		else
			error_free(err);
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
		if (err && !first)
			first = err;
		else
			error_free(err);
	}
	return first;
}

const struct probe_operations probe_breakpoint = {
	.name = "breakpoint",
	.insert = breakpoint_insert,
	.on_trap = breakpoint_on_trap,
	.on_signal = breakpoint_on_signal,
	.disarm = breakpoint_disarm,
	.evacuate = breakpoint_evacuate,
	.erase = breakpoint_erase,
};
