/* SPDX-License-Identifier: MIT */
/*
 * Stacks and lines of real programs against independent oracles. Programs are traced by the
 * product's own code as its session does it; at every so many creations the stack that the product
 * captures is compared with libdwfl's walk from the same stop, frame by frame from the allocator
 * function's caller to the outermost, and then every line of every frame with eu-addr2line's.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/registers.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "lib/line_oracle.h"
#include "lib/process.h"
#include "lib/stack_oracle.h"
#include "lib/suite.h"
#include "session/space.h"
#include "stack/capture.h"
#include "target/sigtrap.h"

enum {
	STACKS_SHORT = 150,
	STACKS_LONG = 1000,
	/* Prime, so that loops of the programs are met at all their places. */
	STRIDE = 37,
	DIFFERENCES_SHOWN = 5,
};

/* A program and which of its creations are looked at. */
struct subject {
	const char *name;
	unsigned stride;
	uint64_t size_bytes; /* only creations of this size, 0: of any */
};

struct tally {
	size_t stacks, frames, deepest, cut, signal_frames, failures, stacks_differing;
	size_t addresses, with_line, inlined, positions, second_opinions, addresses_differing;
};

struct thread_state {
	struct probe_thread probe;
	struct capture_bounds bounds;
};

struct tracer {
	const struct subject *subject;
	struct target target;
	struct session_space *space;
	struct registry *registry;
	struct interner *interner;
	struct space_probes probes;
	struct stack_oracle oracle;
	struct stack_oracle_walk theirs;
	size_t first; /* the allocator function's caller in theirs */
	struct capture ours;
	_Atomic bool poke;
	bool ended;
	size_t creations;
	struct tally tally;
};

static void expect(struct error *err)
{
	ck_assert_msg(!err, "%s", error_message(err));
}

/* ---- one stack */

/* The file and the address in it that one of our frames states. */
static const char *file_of(const struct tracer *tracer, const struct frame *frame)
{
	struct image *image = registry_image(tracer->registry, frame->image);

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
	       tracer->subject->name, tracer->tally.stacks, ours->count, (int)ours->stop,
	       theirs->count - tracer->first, theirs->failure ? theirs->failure : "complete");
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

static void compare(struct tracer *tracer)
{
	struct tally *tally = &tracer->tally;
	site_id site;
	size_t at = find_difference(tracer);

	tally->stacks++;
	tally->frames += tracer->ours.count;
	if (tracer->ours.count > tally->deepest)
		tally->deepest = tracer->ours.count;
	tally->cut += tracer->ours.stop == UNWIND_STOP_DEPTH;
	tally->failures += tracer->theirs.failure != NULL;
	for (size_t i = 0; i < tracer->theirs.count; i++)
		tally->signal_frames += tracer->theirs.frames[i].trampoline;
	if (at != SIZE_MAX && ++tally->stacks_differing <= DIFFERENCES_SHOWN)
		print_stacks(tracer, at);
	expect(interner_site(tracer->interner, tracer->ours.frames, tracer->ours.count, false,
			     &site));
}

/*
 * The thread is where its probe has sent it, in the copy of the probed instruction: for the oracle
 * it is taken back to the instruction itself, as debuggers do at a breakpoint.
 */
static void take_stack(struct tracer *tracer, struct target_thread *thread,
		       struct thread_state *state, const struct probe_hit *hit)
{
	uint64_t next = thread->registers.rip;

	capture_stack(thread->process->space, &tracer->space->modules, &state->bounds,
		      &thread->registers, hit->site, hit->stack, CAPTURE_DEPTH_MAX, &tracer->ours);
	ck_assert(target_set_pc(thread, hit->site.v));
	stack_oracle_walk(&tracer->oracle, thread->tid, &tracer->theirs);
	bool returned = hit->stack < thread->registers.rsp;
	if (returned)
		tracer->theirs.frames[0].interrupted = false;
	tracer->first = returned ? 0 : 1;
	ck_assert(target_set_pc(thread, next));
	compare(tracer);
}

/* ---- the trace, as src/session/loop.c has it */

static bool is_wanted(struct tracer *tracer, const struct calls_outcome *outcome)
{
	const struct subject *subject = tracer->subject;

	if (!outcome->needs_site ||
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
		expect(space_update(tracer->space));
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

	ck_assert_ptr_nonnull(registers);
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
	expect(space_create(event->process->space, tracer->registry, &tracer->probes, NULL,
			    &tracer->space));
	expect(space_update(tracer->space));
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

/* Traces the program until enough stacks are compared, and ends it. */
static void trace(struct tracer *tracer, const char *const command[], size_t stacks)
{
	static const char *const environment[] = {"PATH=/usr/bin:/bin",
						  "LC_ALL=C",
						  "PYTHONHASHSEED=0",
						  "PYTHONMALLOC=malloc",
						  "PERL_HASH_SEED=0",
						  "PERL_PERTURB_KEYS=0",
						  NULL};
	struct target_event event;
	sigset_t none;

	sigemptyset(&none);
	target_init(&tracer->target, NULL, &tracer->poke);
	tracer->target.thread_gone = forget_thread;
	expect(target_start(&tracer->target, (char *const *)command, (char *const *)environment,
			    &none, &event));
	pid_t pid = event.process->pid;
	handle(tracer, &event);
	for (bool killed = false; !tracer->ended;) {
		if (!killed && tracer->tally.stacks >= stacks)
			killed = kill(pid, SIGKILL) == 0;
		expect(target_next(&tracer->target, &event));
		handle(tracer, &event);
	}
	stack_oracle_close(&tracer->oracle);
	space_destroy(take_ptr(tracer->space));
	target_deinit(&tracer->target);
}

/* ---- lines */

struct frames {
	struct frame *items;
	size_t count, capacity;
};

static int order(const void *one, const void *other)
{
	const struct frame *a = one, *b = other;

	if (a->image.v != b->image.v)
		return a->image.v < b->image.v ? -1 : 1;
	return a->address < b->address ? -1 : a->address > b->address;
}

/* The distinct frames of all sites, by image. */
static struct frames distinct_frames(const struct tracer *tracer)
{
	struct frames all = {0};
	size_t kept = 0;

	for (uint32_t site = 0; site < interner_count(tracer->interner); site++) {
		size_t count;
		bool truncated;
		const struct frame *frames =
			interner_frames(tracer->interner, (site_id){site}, &count, &truncated);
		if (!array_reserve(&all.items, &all.capacity, all.count + count, sizeof *frames))
			ck_abort_msg("no memory");
		memcpy(all.items + all.count, frames, count * sizeof *frames);
		all.count += count;
	}
	qsort(all.items, all.count, sizeof *all.items, order);
	for (size_t i = 0; i < all.count; i++) {
		if (kept == 0 || order(&all.items[kept - 1], &all.items[i]) != 0)
			all.items[kept++] = all.items[i];
	}
	all.count = kept;
	return all;
}

static bool same_position(const struct image_position *ours,
			  const struct line_oracle_position *theirs)
{
	return ours->line == theirs->line &&
	       strcmp(ours->file ? ours->file : "??", theirs->file) == 0;
}

static bool same_positions(const struct image_position *ours, size_t count,
			   const struct line_oracle *theirs)
{
	if (count != theirs->count)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!same_position(&ours[i], &theirs->positions[i]) ||
		    ours[i].inlined != (i + 1 < count))
			return false;
	}
	return true;
}

static void print_positions(const char *file, uint64_t address, const struct image_position *ours,
			    size_t count, const struct line_oracle *theirs)
{
	printf("  %s %#jx\n", file, (uintmax_t)address);
	for (size_t i = 0; i < count; i++)
		printf("    ours: %s %s:%u\n", ours[i].linkage, ours[i].file, ours[i].line);
	for (size_t i = 0; i < theirs->count; i++)
		printf("    %s: %s %s:%u\n", theirs->tool, theirs->positions[i].function,
		       theirs->positions[i].file, theirs->positions[i].line);
}

/*
 * Asks the tool for the lines at these addresses of an image; leaves those where it has another
 * opinion and returns their number.
 */
static size_t keep_differing(const struct scratch *scratch, const char *tool, struct image *image,
			     bool print, uint64_t *addresses, size_t count)
{
	struct line_oracle oracle;
	size_t kept = 0;

	line_oracle_start(scratch, tool, image_path(image), addresses, count, &oracle);
	for (size_t i = 0; i < count; i++) {
		const struct image_position *positions;
		size_t position_count;

		expect(image_positions(image, (image_addr){addresses[i]}, &positions,
				       &position_count));
		line_oracle_next(&oracle, addresses[i]);
		if (same_positions(positions, position_count, &oracle))
			continue;
		if (print && kept < DIFFERENCES_SHOWN)
			print_positions(image_path(image), addresses[i], positions, position_count,
					&oracle);
		addresses[kept++] = addresses[i];
	}
	line_oracle_end(&oracle);
	return kept;
}

static void count_positions(struct tally *tally, struct image *image, const uint64_t *addresses,
			    size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct image_position *positions;
		size_t position_count;

		expect(image_positions(image, (image_addr){addresses[i]}, &positions,
				       &position_count));
		tally->addresses++;
		tally->positions += position_count;
		tally->with_line += positions[0].line != 0;
		tally->inlined += position_count > 1;
	}
}

/*
 * Where eu-addr2line says something else, binutils' tool is heard too. That of elfutils 0.188 does
 * not look for functions inside of namespaces, where rustc puts them, so their inlined calls are
 * missing; and gives code between two parts of a unit, such as _start, to that unit.
 */
static void compare_image(const struct scratch *scratch, struct tally *tally, struct image *image,
			  uint64_t *addresses, size_t count)
{
	count_positions(tally, image, addresses, count);
	size_t differing = keep_differing(scratch, "eu-addr2line", image, false, addresses, count);
	if (differing == 0)
		return;
	size_t left = keep_differing(scratch, "addr2line", image, true, addresses, differing);
	tally->second_opinions += differing - left;
	tally->addresses_differing += left;
}

static void compare_lines(const struct scratch *scratch, struct tracer *tracer)
{
	struct frames frames = distinct_frames(tracer);
	_cleanup_free_ uint64_t *addresses = calloc(frames.count + 1, sizeof *addresses);

	ck_assert_ptr_nonnull(addresses);
	for (size_t from = 0, to = 0; from < frames.count; from = to) {
		for (; to < frames.count && frames.items[to].image.v == frames.items[from].image.v;
		     to++)
			addresses[to - from] = frames.items[to].address;
		struct image *image = registry_image(tracer->registry, frames.items[from].image);
		if (image)
			compare_image(scratch, &tracer->tally, image, addresses, to - from);
	}
	free(frames.items);
}

/* ---- a program */

static void print_row(const struct tracer *tracer)
{
	const struct tally *tally = &tracer->tally;

	printf("%-8s %5zu stacks (%4u distinct, %zu cut, %zu with a signal, %zu oracle failed), "
	       "%6zu frames, at most %4zu: %zu differ; %5zu addresses (%4zu with line, %4zu "
	       "inlined, %3zu by addr2line alone), %5zu positions: %zu differ\n",
	       tracer->subject->name, tally->stacks, interner_count(tracer->interner), tally->cut,
	       tally->signal_frames, tally->failures, tally->frames, tally->deepest,
	       tally->stacks_differing, tally->addresses, tally->with_line, tally->inlined,
	       tally->second_opinions, tally->positions, tally->addresses_differing);
	fflush(stdout);
}

static bool is_missing(const struct scratch *scratch, const char *program)
{
	if (process_call(scratch, "which", ARGV("which", program)) == 0)
		return false;
	suite_skip("%s is not installed", program);
	return true;
}

static struct tally expect_the_oracles_stacks(const struct scratch *scratch,
					      const struct subject *subject,
					      const char *const command[])
{
	size_t stacks = suite_is_long() ? STACKS_LONG : STACKS_SHORT;
	struct tally tally = {0};

	if (is_missing(scratch, command[0]) || is_missing(scratch, "eu-addr2line"))
		return tally;
	struct tracer *tracer = calloc(1, sizeof *tracer);
	ck_assert_ptr_nonnull(tracer);
	tracer->subject = subject;
	expect(registry_create(NULL, &tracer->registry));
	expect(interner_create(&tracer->interner));
	trace(tracer, command, stacks);
	compare_lines(scratch, tracer);
	print_row(tracer);
	tally = tracer->tally;
	space_probes_deinit(&tracer->probes);
	interner_destroy(tracer->interner);
	registry_destroy(tracer->registry);
	free(tracer);
	ck_assert_msg(tally.stacks == stacks, "%s ends after %zu stacks", subject->name,
		      tally.stacks);
	ck_assert_uint_eq(tally.stacks_differing, 0);
	ck_assert_uint_eq(tally.addresses_differing, 0);
	return tally;
}

static void expect_true_stacks(const struct scratch *scratch, const char *name,
			       const char *const command[])
{
	expect_the_oracles_stacks(scratch, &(struct subject){.name = name, .stride = STRIDE},
				  command);
}

/* A file of scratch: head, the item for each number from 0 (as often as it names it), tail. */
static char *write_items(const struct scratch *scratch, const char *name, const char *head,
			 const char *item, int count, const char *tail)
{
	char *path = scratch_file(scratch, name);
	_cleanup_fclose_ FILE *file = fopen(path, "we");

	if (!file)
		ck_abort_msg("cannot write %s", path);
	fputs(head, file);
	for (int i = 0; i < count; i++)
		fprintf(file, item, i);
	fputs(tail, file);
	return path;
}

static int scaled(int count)
{
	return suite_is_long() ? 8 * count : count;
}

START_TEST(xmllint_parses_a_document)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *document =
		write_items(&scratch, "document.xml", "<list>\n",
			    "<item id=\"%1$d\"><name>name %1$d</name><!-- %1$d --></item>\n",
			    scaled(2000), "</list>\n");
	expect_true_stacks(&scratch, "xmllint", ARGV("xmllint", "--noout", document));
}
END_TEST

START_TEST(sqlite3_inserts_into_a_table)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_free_ char *read_script = NULL;

	scratch_make(&scratch);
	_cleanup_free_ char *script = write_items(
		&scratch, "script.sql", "create table t(a integer primary key, b text);\n",
		"insert into t values(%1$d, 'value %1$d');\n", scaled(1500), "");
	if (asprintf(&read_script, ".read %s", script) < 0)
		ck_abort_msg("no memory");
	expect_true_stacks(&scratch, "sqlite3", ARGV("sqlite3", ":memory:", read_script));
}
END_TEST

/* An array of objects with a list in each that is nested as deeply as said. */
static char *write_json(const struct scratch *scratch, int objects, size_t depth)
{
	static const char begin[] =
		",{\"id\":%1$d,\"name\":\"name %1$d\",\"values\":[%1$d,null,true]";
	_cleanup_free_ char *item = calloc(sizeof(begin) + 2 * depth + 32, 1);

	ck_assert_ptr_nonnull(item);
	char *at = stpcpy(stpcpy(item, begin), ",\"nested\":");
	memset(at, '[', depth);
	at = stpcpy(at + depth, "%1$d");
	memset(at, ']', depth);
	strcpy(at + depth, "}\n");
	return write_items(scratch, "data.json", "[0", item, objects, "]\n");
}

START_TEST(jq_filters_json)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *data = write_json(&scratch, scaled(700), 20);
	expect_true_stacks(&scratch, "jq", ARGV("jq", ".[1:] | map(.values[0]) | add", data));
}
END_TEST

START_TEST(perl_fills_hashes)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	expect_true_stacks(&scratch, "perl",
			   ARGV("perl", "-e",
				"my %h; for my $i (1 .. 100000) { $h{\"key $i\"} = [map { \"x\" x "
				"$_ } 1 .. $i % 50]; }"));
}
END_TEST

START_TEST(python3_parses_json)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *data = write_json(&scratch, scaled(60), 600);
	expect_true_stacks(&scratch, "python3",
			   ARGV("/usr/bin/python3", "-S", "-B", "-c",
				"import json, sys; json.load(open(sys.argv[1]))", data));
}
END_TEST

START_TEST(gcc_compiles_a_file)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *source = write_items(&scratch, "source.c", "",
						  "int f%1$d(int x) { int s = %1$d; for (int i = "
						  "0; i < x; i++) s += i * s; return s; "
						  "}\n",
						  scaled(60), "");
	process_call(&scratch, "cc1", ARGV("gcc", "-print-prog-name=cc1"));
	_cleanup_free_ char *cc1_path = scratch_file(&scratch, "cc1.out");
	_cleanup_free_ char *cc1 = scratch_read(cc1_path, NULL);
	cc1[strcspn(cc1, "\n")] = '\0';
	expect_true_stacks(&scratch, "cc1", ARGV(cc1, "-quiet", "-O2", source, "-o", "/dev/null"));
}
END_TEST

START_TEST(a_cxx_program_counts_words)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_free_ char *program = suite_target("dictionary");

	scratch_make(&scratch);
	expect_true_stacks(&scratch, "C++", ARGV(program, "100000"));
}
END_TEST

static const char rust_source[] =
	"use std::collections::{BTreeMap, HashMap};\n"
	"fn word(number: u64) -> String {\n"
	"    (0..number % 9 + 2).map(|i| char::from(b'a' + ((number >> i) % 26) as u8)).collect()\n"
	"}\n"
	"fn main() {\n"
	"    let mut places: BTreeMap<String, Vec<u64>> = BTreeMap::new();\n"
	"    let mut boxes: HashMap<u64, Box<[u8]>> = HashMap::new();\n"
	"    for number in 0..100_000u64 {\n"
	"        let one = word(number.wrapping_mul(2_654_435_761));\n"
	"        places.entry(format!(\"{one}-{}\", number % 7)).or_default().push(number);\n"
	"        boxes.insert(number, vec![1; one.len()].into_boxed_slice());\n"
	"    }\n"
	"    assert!(places.len() < boxes.len());\n"
	"}\n";

START_TEST(a_rust_program_counts_words)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	if (is_missing(&scratch, "rustc"))
		return;
	_cleanup_free_ char *source = scratch_file(&scratch, "words.rs");
	_cleanup_free_ char *program = scratch_file(&scratch, "words");
	scratch_write(source, rust_source, strlen(rust_source));
	ck_assert_int_eq(
		process_call(&scratch, "rustc",
			     ARGV("rustc", "-C", "opt-level=2", "-g", source, "-o", program)),
		0);
	expect_true_stacks(&scratch, "Rust", ARGV(program));
}
END_TEST

START_TEST(threads_allocate_at_once)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_free_ char *program = suite_target("storm");

	scratch_make(&scratch);
	_cleanup_free_ char *log = scratch_file(&scratch, "log");
	expect_true_stacks(&scratch, "threads", ARGV(program, "4", "100000", log));
}
END_TEST

/* The size is that of the handler's own blocks, so every stack goes through a signal frame. */
START_TEST(a_signal_handler_allocates)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_free_ char *program = suite_target("handlers");
	struct subject subject = {.name = "handler", .stride = 1, .size_bytes = 77};

	scratch_make(&scratch);
	struct tally tally =
		expect_the_oracles_stacks(&scratch, &subject, ARGV(program, "timer", "100000000"));
	ck_assert_uint_eq(tally.signal_frames, tally.stacks);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stacks");
	TCase *programs = suite_case(suite, "programs", 120);

	tcase_add_test(programs, xmllint_parses_a_document);
	tcase_add_test(programs, sqlite3_inserts_into_a_table);
	tcase_add_test(programs, jq_filters_json);
	tcase_add_test(programs, perl_fills_hashes);
	tcase_add_test(programs, python3_parses_json);
	tcase_add_test(programs, gcc_compiles_a_file);
	tcase_add_test(programs, a_cxx_program_counts_words);
	tcase_add_test(programs, a_rust_program_counts_words);
	tcase_add_test(programs, threads_allocate_at_once);
	tcase_add_test(programs, a_signal_handler_allocates);
	return suite_run(suite);
}
