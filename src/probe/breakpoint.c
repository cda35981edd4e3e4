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
#include <stdlib.h>

#include "base/cleanup.h"
#include "probe/set.h"

/* Text beyond this is not searched for jumps into a function: its entry is probed instead. */
enum { SURVEY_MAX_BYTES = 64 << 20 };

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

static bool is_announced(void *context, target_addr address)
{
	const struct probe_set *set = context;
	return map_get(&set->announced, address.v) != NULL;
}

static struct error *arm(struct probe_set *set, target_addr address)
{
	struct site *site = map_get(&set->sites, address.v);
	return !site || site->armed ? NULL : set_byte(set, site, true);
}

static struct error *insert_sites(struct probe_set *set, const target_addr *addresses, size_t count,
				  enum site_exit exit)
{
	for (size_t i = 0; i < count; i++) {
		struct site *site;
		if (map_get(&set->covered, addresses[i].v))
			continue; /* a sized exit stands on the straight line before it */
		struct error *err = ensure_site(set, addresses[i], &site);
		if (err)
			return err;
		if (site->exit == SITE_NO_EXIT)
			site->exit = exit;
	}
	struct error *err = NULL;
	for (size_t i = 0; !err && i < count; i++)
		err = arm(set, addresses[i]);
	return err;
}

static struct error *insert_exits(struct probe_set *set, const struct code_exits *exits)
{
	struct error *err = insert_sites(set, exits->returns, exits->return_count, SITE_RETURN);
	return err ? err
		   : insert_sites(set, exits->departures, exits->departure_count, SITE_DEPARTURE);
}

static bool needs_exits(const struct probe_request *request)
{
	return request->purpose == PROBE_ALLOCATOR &&
	       !(request->function->role == ALLOCATOR_RELEASE && request->function->leaf);
}

/* A jump into the function from within one that is probed itself, whose call is then known. */
static bool comes_from_probed(void *context, target_addr jump)
{
	struct probe_set *set = context;
	target_addr start, end;
	return set->original_reader.bounds(set, jump, &start, &end) && is_announced(set, start);
}

static bool refuse_all(void *context, target_addr jump)
{
	(void)context;
	(void)jump;
	return false;
}

/*
 * Nobody may come to an exit of the function without having entered it, or being known; and nobody
 * at all between an exit point and its `ret`.
 */
static bool is_entered_elsewhere(struct probe_set *set, const struct probe_request *request,
				 const struct survival *survival, const uint8_t *text, size_t count,
				 target_addr start, target_addr end)
{
	if (survival_is_entered_elsewhere(text, count, request->text_start, start, end,
					  comes_from_probed, set))
		return true;
	for (size_t i = 0; i < survival->count; i++) {
		const struct survival_point *point = &survival->points[i];
		if (point->kind == SURVIVAL_EXIT &&
		    survival_is_entered_elsewhere(text, count, request->text_start, point->address,
						  target_addr_add(point->returns_at, 1), refuse_all,
						  NULL))
			return true;
	}
	return false;
}

static struct error *check_entered_alone(struct probe_set *set, const struct probe_request *request,
					 const struct survival *survival)
{
	target_addr start, end;
	size_t count = request->text_end.v - request->text_start.v;
	if (count > SURVEY_MAX_BYTES ||
	    !set->original_reader.bounds(set, request->entry, &start, &end))
		return error_new(ERROR_UNSUPPORTED, "the text around it cannot be surveyed");
	_cleanup_free_ uint8_t *text = malloc(count);
	if (!text)
		return error_no_memory();
	if (!set->original_reader.read(set, request->text_start, text, count))
		return error_new(ERROR_UNSUPPORTED, "the text around it cannot be read");
	if (is_entered_elsewhere(set, request, survival, text, count, start, end))
		return error_new(ERROR_UNSUPPORTED, "others jump into the middle of it");
	return NULL;
}

/* Makes the site of a point one; the sites are there already, so that nothing is left half done. */
static struct error *mark_point(struct probe_set *set, const struct probe_request *request,
				const struct survival_point *point)
{
	struct site *site = map_get(&set->sites, point->address.v);
	site->exit = point->kind == SURVIVAL_EXIT ? SITE_SIZED_EXIT : SITE_SIZE_LOST;
	site->function = request->function;
	site->point = *point;
	if (point->kind == SURVIVAL_EXIT && point->returns_at.v != point->address.v &&
	    !map_put(&set->covered, point->returns_at.v, set))
		return error_no_memory();
	return NULL;
}

/*
 * One stop a call instead of two: where the size argument is proved to be readable at the exits,
 * the entry needs no probe. ERROR_UNSUPPORTED where it is not, with nothing armed.
 */
static struct error *insert_sized(struct probe_set *set, const struct probe_request *request)
{
	const struct allocator_function *function = request->function;
	_cleanup_survival_ struct survival survival = {0};
	if (request->purpose != PROBE_ALLOCATOR || function->role != ALLOCATOR_CREATE ||
	    function->count_argument || function->result != ALLOCATOR_RETURNS_ADDRESS)
		return error_new(ERROR_UNSUPPORTED, "more than the size is needed");
	struct error *err = survival_find(&set->original_reader, request->entry,
					  function->size_argument, &survival);
	if (!err)
		err = check_entered_alone(set, request, &survival);
	struct site *site;
	for (size_t i = 0; !err && i < survival.count; i++)
		err = ensure_site(set, survival.points[i].address, &site);
	for (size_t i = 0; !err && i < survival.count; i++)
		err = mark_point(set, request, &survival.points[i]);
	/* What notes a size comes before what would miss it. */
	for (size_t i = survival.count; !err && i-- > 0;)
		err = arm(set, survival.points[i].address);
	return err;
}

/* Exits first: an entry that is seen must find its exit armed. */
static struct error *insert_both_ends(struct probe_set *set, const struct probe_request *request)
{
	bool return_sites = false;
	if (needs_exits(request)) {
		_cleanup_code_exits_ struct code_exits exits = {0};
		struct error *err = code_find_exits(&set->original_reader, request->entry,
						    is_announced, set, &exits);
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

static struct error *breakpoint_insert(struct probe_set *set, const struct probe_request *request)
{
	if (map_get(&set->inserted, request->entry.v))
		return NULL; /* an alias: one function, counted once */
	struct error *err = insert_sized(set, request);
	if (error_catch(&err, ERROR_UNSUPPORTED))
		err = insert_both_ends(set, request);
	if (!err && !map_put(&set->inserted, request->entry.v, set))
		err = error_no_memory();
	return err;
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
 * The end of a call whose `ret` is not probed is seen where its caller goes on. Where that cannot
 * be, the call cannot be counted, but the target is none the worse.
 */
static struct error *insert_return_site(struct probe_set *set, uint64_t stack)
{
	_cleanup_error_ struct error *err = try_return_site(set, stack);
	return err && error_kind_of(err) == ERROR_NO_MEMORY ? take_ptr(err) : NULL;
}

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
