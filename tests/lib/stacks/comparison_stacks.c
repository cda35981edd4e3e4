/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/registers.h"
#include "base/cleanup.h"
#include "lib/stacks/comparison.h"
#include "lib/stacks/stack_oracle.h"
#include "session/space.h"
#include "stack/capture.h"
#include "target/sigtrap.h"

struct thread_state {
	struct probe_thread probe;
	struct capture_bounds bounds;
};

struct tracer {
	const struct comparison_subject *subject;
	struct comparison *comparison;
	struct target target;
	struct session_space *space;
	struct space_probes probes;
	struct stack_oracle oracle;
	struct stack_oracle_walk theirs;
	size_t first; /* the allocator function's caller in theirs */
	struct capture ours;
	_Atomic bool poke;
	bool ended;
	size_t creations;
};

static void expect(struct error *err)
{
	ck_assert_msg(!err, "%s", error_message(err));
}

/* ---- one stack */

/* The file and the address in it that one of our frames states. */
static const char *file_of(const struct tracer *tracer, const struct frame *frame)
{
	struct image *image = registry_image(tracer->comparison->registry, frame->image);

	return image ? image_path(image) : "none";
}

/* What a frame of ours states is inside of the call: the byte before the return address. */
static bool same_frame(const struct tracer *tracer, const struct frame *ours,
		       const struct stack_oracle_frame *theirs)
{
	uint64_t inside = theirs->interrupted ? theirs->address : theirs->address - 1;

	return theirs->file && ours->address == inside &&
	       strcmp(file_of(tracer, ours), theirs->file) == 0;
}

static void print_stacks(const struct tracer *tracer, size_t at)
{
	const struct capture *ours = &tracer->ours;
	const struct stack_oracle_walk *theirs = &tracer->theirs;

	printf("%s: stack %zu: %zu frames (stop %d), the oracle's has %zu (%s)\n",
	       tracer->subject->name, tracer->comparison->stacks.stacks, ours->count,
	       (int)ours->stop, theirs->count - tracer->first,
	       theirs->failure ? theirs->failure : "complete");
	for (size_t i = at < 3 ? 0 : at - 3; i < at + 3; i++) {
		size_t their = tracer->first + i;

		printf("  %c#%zu", i == at ? '>' : ' ', i);
		if (i < ours->count)
			printf("  ours %s %#jx", file_of(tracer, &ours->frames[i]),
			       (uintmax_t)ours->frames[i].address);
		if (their < theirs->count)
			printf("  oracle %s %#jx", theirs->frames[their].file,
			       (uintmax_t)theirs->frames[their].address);
		printf("\n");
	}
}

/*
 * The first place where the stacks differ, SIZE_MAX if none. Both have to end at the same frame,
 * but for those cut at the greatest depth. Where libdwfl fails it has to do so at our outermost
 * frame: the dynamic linker's _start has no unwind information, which libdwfl takes for a failure.
 */
static size_t find_difference(const struct tracer *tracer)
{
	const struct capture *ours = &tracer->ours;
	const struct stack_oracle_frame *theirs = &tracer->theirs.frames[tracer->first];
	size_t i = 0, their_count = tracer->theirs.count - tracer->first;

	while (i < ours->count && i < their_count &&
	       same_frame(tracer, &ours->frames[i], &theirs[i]))
		i++;
	if (ours->stop == UNWIND_STOP_DEPTH)
		return i == CAPTURE_DEPTH_MAX ? SIZE_MAX : i;
	return ours->stop == UNWIND_STOP_END && i == ours->count && i == their_count ? SIZE_MAX : i;
}

static bool has_trampoline(const struct stack_oracle_walk *walk)
{
	for (size_t i = 0; i < walk->count; i++) {
		if (walk->frames[i].trampoline)
			return true;
	}
	return false;
}

static void compare(struct tracer *tracer)
{
	struct comparison_stacks *tally = &tracer->comparison->stacks;
	const struct capture *ours = &tracer->ours;
	site_id site;
	size_t at = find_difference(tracer);

	tally->stacks++;
	tally->frames += ours->count;
	if (ours->count > tally->deepest)
		tally->deepest = ours->count;
	tally->cut += ours->stop == UNWIND_STOP_DEPTH;
	tally->signals += has_trampoline(&tracer->theirs);
	tally->unended += tracer->theirs.failure != NULL;
	if (at != SIZE_MAX && ++tally->differing <= COMPARISON_DIFFERENCES_SHOWN)
		print_stacks(tracer, at);
	expect(interner_site(tracer->comparison->interner, ours->frames, ours->count,
			     ours->stop != UNWIND_STOP_END, &site));
}

/*
 * The thread is where its probe has sent it, in the copy of the probed instruction: for the oracle
 * it is taken back to the instruction itself, as debuggers do at a breakpoint. Its first frame is
 * the allocator function, which ours leaves out, unless the function has just returned: then it is
 * the caller, at the return address.
 */
static void take_stack(struct tracer *tracer, struct target_thread *thread,
		       struct thread_state *state, const struct probe_hit *hit)
{
	struct stack_oracle_walk *theirs = &tracer->theirs;
	bool returned = hit->stack < thread->registers.rsp;
	uint64_t next = thread->registers.rip;

	capture_stack(thread->process->space, &tracer->space->modules, &state->bounds,
		      &thread->registers, hit->site, hit->stack, CAPTURE_DEPTH_MAX, &tracer->ours);
	ck_assert(target_set_pc(thread, hit->site.v));
	stack_oracle_walk(&tracer->oracle, thread->tid, theirs);
	ck_assert(target_set_pc(thread, next));
	ck_assert_msg(theirs->count > 0, "libdwfl sees no frame: %s", theirs->failure);
	if (returned)
		theirs->frames[0].interrupted = false;
	tracer->first = returned ? 0 : 1;
	compare(tracer);
}

/* ---- the trace, as src/session/loop.c has it */

static bool is_wanted(struct tracer *tracer, const struct calls_outcome *outcome)
{
	const struct comparison_subject *subject = tracer->subject;

	if (!outcome->needs_site || tracer->comparison->stacks.stacks == subject->stacks ||
	    (subject->size_bytes &&
	     outcome->events[outcome->event_count - 1].size_bytes != subject->size_bytes))
		return false;
	return tracer->creations++ % subject->stride == 0;
}

static void on_hit(struct tracer *tracer, struct target_thread *thread, struct thread_state *state,
		   const struct probe_hit *hit)
{
	const struct user_regs_struct *registers = &thread->registers;

	if (hit->kind == PROBE_HIT_CALL && is_wanted(tracer, &hit->outcome))
		take_stack(tracer, thread, state, hit);
	else if (hit->kind == PROBE_HIT_LINKER)
		expect(space_update(tracer->space, &(bool){false}));
	else if (hit->kind == PROBE_HIT_SIGACTION && registers_argument(registers, 1) == SIGTRAP)
		sigtrap_note_action(thread, (target_addr){registers_argument(registers, 2)});
	else if (hit->kind == PROBE_HIT_SIGMASK)
		sigtrap_note_mask(thread, registers_argument(registers, 1),
				  (target_addr){registers_argument(registers, 2)});
}

static struct thread_state *state_of(struct target_thread *thread)
{
	if (!thread->owner_data)
		thread->owner_data = calloc(1, sizeof(struct thread_state));
	ck_assert_ptr_nonnull(thread->owner_data);
	return thread->owner_data;
}

static void forget_thread(void *context, struct target_thread *thread)
{
	(void)context;
	free(take_ptr(thread->owner_data));
}

static void on_signal(struct tracer *tracer, struct target_thread *thread, int signal)
{
	probe_on_signal(tracer->space->probes, thread, &state_of(thread)->probe);
	expect(target_resume(&tracer->target, thread, signal));
}

static void on_trap(struct tracer *tracer, struct target_thread *thread)
{
	struct thread_state *state = state_of(thread);
	const struct user_regs_struct *registers = target_registers(thread);
	struct probe_hit hit;

	if (!registers) {
		expect(target_resume(&tracer->target, thread, 0)); /* dying */
		return;
	}
	uint64_t region = capture_region(thread->process->space, &state->bounds, registers->rsp);
	expect(probe_on_trap(tracer->space->probes, thread, &state->probe, region, &hit));
	if (hit.kind == PROBE_HIT_NONE) {
		on_signal(tracer, thread, SIGTRAP);
		return;
	}
	expect(sigtrap_repair(&tracer->target, thread));
	on_hit(tracer, thread, state, &hit);
	expect(target_resume(&tracer->target, thread, 0));
}

static void on_exec(struct tracer *tracer, const struct target_event *event)
{
	ck_assert_msg(!tracer->space, "%s calls exec", tracer->subject->name);
	static const struct session_options options = {.engine = SESSION_ENGINE_BREAKPOINT};
	expect(space_create(event->process->space, tracer->comparison->registry, &tracer->probes,
			    &options, &tracer->space));
	expect(space_update(tracer->space, &(bool){false}));
	stack_oracle_open(event->process->pid, &tracer->oracle);
	expect(target_resume(&tracer->target, event->thread, 0));
}

static void handle(struct tracer *tracer, const struct target_event *event)
{
	switch (event->kind) {
	case TARGET_EVENT_EXEC:
		on_exec(tracer, event);
		break;
	case TARGET_EVENT_TRAP:
		on_trap(tracer, event->thread);
		break;
	case TARGET_EVENT_SIGNAL:
		on_signal(tracer, event->thread, event->signal);
		break;
	case TARGET_EVENT_PROCESS:
		ck_abort_msg("%s starts a process", tracer->subject->name);
		break;
	case TARGET_EVENT_EMPTY:
		tracer->ended = true;
		break;
	default:
		break;
	}
}

/* Does nothing about the probes: the memory they are in goes with the process. */
static void run(struct tracer *tracer)
{
	static const char *const environment[] = {"PATH=/usr/bin:/bin",
						  "LC_ALL=C",
						  "PYTHONHASHSEED=0",
						  "PYTHONMALLOC=malloc",
						  "PERL_HASH_SEED=0",
						  "PERL_PERTURB_KEYS=0",
						  NULL};
	const struct comparison_subject *subject = tracer->subject;
	struct target_event event;
	struct target_signals none = {.ignored = 0};

	sigemptyset(&none.mask);
	expect(target_start(&tracer->target, (char *const *)subject->command,
			    (char *const *)environment, &none, &event));
	pid_t pid = event.process->pid;
	handle(tracer, &event);
	for (bool killed = false; !tracer->ended;) {
		if (!killed && tracer->comparison->stacks.stacks == subject->stacks)
			killed = kill(pid, SIGKILL) == 0;
		expect(target_next(&tracer->target, &event));
		handle(tracer, &event);
	}
}

void comparison_trace(const struct comparison_subject *subject, struct comparison *ret)
{
	_cleanup_free_ struct tracer *tracer = calloc(1, sizeof *tracer);

	ck_assert_ptr_nonnull(tracer);
	*ret = (struct comparison){.name = subject->name};
	expect(registry_create(NULL, NULL, &ret->registry));
	expect(interner_create(&ret->interner));
	tracer->subject = subject;
	tracer->comparison = ret;
	target_init(&tracer->target, NULL, &tracer->poke);
	tracer->target.thread_gone = forget_thread;
	run(tracer);
	stack_oracle_close(&tracer->oracle);
	space_destroy(tracer->space);
	space_probes_deinit(&tracer->probes);
	target_deinit(&tracer->target);
}

void comparison_end(struct comparison *comparison)
{
	interner_destroy(comparison->interner);
	registry_destroy(comparison->registry);
}
