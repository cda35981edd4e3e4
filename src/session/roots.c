/* SPDX-License-Identifier: MIT */
#include "session/roots.h"

#include <stdlib.h>
#include <string.h>

#include "agent/abi.h"
#include "allocator/glibc_heap.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "session/heap.h"
#include "target/pages.h"

enum {
	RED_ZONE_BYTES = 128,
	PAGE_BYTES = 4096,
	WORD_BYTES = 8,
	VECTOR_STATE_MAX_BYTES = 16384,
	DATA_MAX_BYTES = 4 << 20,    /* no C library has more */
	THREAD_AREA_BYTES = 1 << 18, /* at the end of a stack: thread-local variables, descriptor */
	STATIC_AREA_BYTES = 1 << 16, /* below a thread pointer that lies in the heap */
};

/* Where a thread of the space stands; thread_pointer 0: not known. */
struct standing {
	uint64_t sp;
	uint64_t thread_pointer;
};

struct collector {
	struct session_space *space;
	struct reach *reach;
	struct roots *roots;
	struct proc_maps maps;
	struct standing *threads;
	size_t thread_count, thread_capacity;
	struct roots_piece *exceptions; /* parts of mappings that are not as the rest of them */
	size_t exception_count, exception_capacity;
	struct roots_piece *unused; /* free chunks, sorted; where not all blocks are known */
	size_t unused_count, unused_capacity;
	bool all_blocks_known;
	bool failed; /* no memory */
};

static void collector_deinit(struct collector *collector)
{
	proc_maps_deinit(&collector->maps);
	free(collector->threads);
	free(collector->exceptions);
	free(collector->unused);
}

/* ---- threads */

static void add_thread(void *context, struct target_thread *thread)
{
	struct collector *collector = context;
	uint64_t vectors[VECTOR_STATE_MAX_BYTES / WORD_BYTES], pc;
	struct standing standing = {0};
	const struct user_regs_struct *registers =
		thread->state == TARGET_THREAD_STOPPED ? target_registers(thread) : NULL;
	if (registers) {
		collector->roots->tid = thread->tid;
		standing = (struct standing){registers->rsp, registers->fs_base};
		reach_add_roots(collector->reach, (const uint64_t *)registers,
				sizeof *registers / WORD_BYTES);
		size_t bytes = target_vector_state(thread, vectors, sizeof vectors);
		reach_add_roots(collector->reach, vectors, bytes / WORD_BYTES);
	} else {
		/* One that has gone, or goes, has nothing left to point with. */
		if (thread->leaving)
			return;
		collector->roots->moving_threads++;
		if (!proc_resting_place(thread->process->pid, thread->tid, &standing.sp, &pc))
			return;
	}
	if (!array_reserve(&collector->threads, &collector->thread_capacity,
			   collector->thread_count + 1, sizeof *collector->threads)) {
		collector->failed = true;
		return;
	}
	collector->threads[collector->thread_count++] = standing;
}

/* ---- mappings */

static void add_exception(struct collector *collector, uint64_t start, uint64_t end, bool roots)
{
	if (start >= end)
		return;
	if (!array_reserve(&collector->exceptions, &collector->exception_capacity,
			   collector->exception_count + 1, sizeof *collector->exceptions)) {
		collector->failed = true;
		return;
	}
	collector->exceptions[collector->exception_count++] = (struct roots_piece){
		start & ~(uint64_t)(WORD_BYTES - 1), end & ~(uint64_t)(WORD_BYTES - 1), roots};
}

static bool read_words(const struct collector *collector, uint64_t address, uint64_t *words,
		       size_t count)
{
	return target_read_some(collector->space->target, (target_addr){address}, words,
				count * WORD_BYTES) == count * WORD_BYTES;
}

static bool begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Files that are mapped for all to see hold no pointers; memory that has only a name may. */
static bool is_scanned(const struct proc_mapping *mapping)
{
	const char *path = mapping->path;
	if (!mapping->readable || !mapping->writable || begins_with(path, "[v"))
		return false;
	if (!mapping->shared)
		return true;
	return !begins_with(path, "/memfd:" AGENT_MEMFD_NAME) &&
	       (begins_with(path, "/dev/zero") || begins_with(path, "/memfd:") ||
		begins_with(path, "/dev/shm/") || begins_with(path, "/SYSV"));
}

static bool is_anonymous(const struct proc_mapping *mapping)
{
	return !mapping->inode && !mapping->shared && mapping->path[0] != '/';
}

/* A heap: of glibc by its shape, of others because known blocks lie in it. */
static bool is_heap(const struct collector *collector, const struct proc_mapping *mapping)
{
	uint64_t words[4], block, size_word;
	if (strcmp(mapping->path, "[heap]") == 0)
		return true;
	if (!is_anonymous(mapping) || strcmp(mapping->path, "[stack]") == 0)
		return false;
	if (mapping->start % GLIBC_HEAP_MAX_BYTES == 0 &&
	    read_words(collector, mapping->start, words, 4) &&
	    glibc_heap_is_heap(words, mapping->start, mapping->end))
		return true;
	return reach_next_block(collector->reach, mapping->start, mapping->end, &block) &&
	       !(read_words(collector, block - WORD_BYTES, &size_word, 1) &&
		 glibc_heap_is_mapped(block, size_word));
}

/* Below it lies a page that nobody may touch, as below the stack of a thread. */
static bool has_guard(const struct collector *collector, size_t i)
{
	const struct proc_mapping *below = i ? &collector->maps.items[i - 1] : NULL;
	return below && below->end == collector->maps.items[i].start && !below->readable &&
	       !below->writable && !below->executable;
}

/* Whether some thread lives in [start, end): its stack pointer or thread pointer is there. */
static bool is_lived_in(const struct collector *collector, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < collector->thread_count; i++) {
		const struct standing *one = &collector->threads[i];
		if ((one->sp >= start && one->sp < end) ||
		    (one->thread_pointer >= start && one->thread_pointer < end))
			return true;
	}
	return false;
}

/*
 * The descriptor of a thread at the end of what was its stack: it holds its own address in its
 * first and third word (glibc's tcbhead_t). 0: there is none.
 */
static uint64_t find_descriptor(const struct collector *collector,
				const struct proc_mapping *mapping)
{
	uint64_t words[PAGE_BYTES / WORD_BYTES];
	uint64_t low = mapping->start;
	if (mapping->end - low > THREAD_AREA_BYTES)
		low = mapping->end - THREAD_AREA_BYTES;
	for (uint64_t page = mapping->end; page > low;) {
		page -= PAGE_BYTES;
		if (!read_words(collector, page, words, PAGE_BYTES / WORD_BYTES))
			return 0;
		for (size_t i = 0; i + 2 < PAGE_BYTES / WORD_BYTES; i++) {
			uint64_t at = page + i * WORD_BYTES;
			if (words[i] == at && words[i + 2] == at)
				return at;
		}
	}
	return 0;
}

/* What lies below the stack pointer of a thread is nobody's, and so is the stack of one that ended.
 */
static void add_stack(struct collector *collector, size_t i)
{
	const struct proc_mapping *mapping = &collector->maps.items[i];
	uint64_t used_from = UINT64_MAX;
	if (strcmp(mapping->path, "[stack]") != 0 &&
	    (!is_anonymous(mapping) || !has_guard(collector, i)))
		return;
	for (size_t t = 0; t < collector->thread_count; t++) {
		uint64_t sp = collector->threads[t].sp;
		if (sp >= mapping->start && sp < mapping->end && sp < used_from)
			used_from = sp;
	}
	if (used_from != UINT64_MAX)
		add_exception(collector, mapping->start, used_from - RED_ZONE_BYTES, false);
	else if (has_guard(collector, i) && !is_lived_in(collector, mapping->start, mapping->end))
		add_exception(collector, mapping->start, find_descriptor(collector, mapping),
			      false);
}

/* The state of another arena than the main one stands at the beginning of its first heap. */
static void add_heap_arena(struct collector *collector, const struct proc_mapping *mapping)
{
	uint64_t words[4];
	if (read_words(collector, mapping->start, words, 4) &&
	    glibc_heap_is_heap(words, mapping->start, mapping->end) &&
	    words[0] - mapping->start <= GLIBC_HEAP_HEADER_BYTES)
		add_exception(collector, words[0], words[0] + GLIBC_ARENA_BYTES, false);
}

/* The state of glibc's main arena stands among the C library's data. */
static struct error *add_arena(struct collector *collector, const struct proc_mapping *mapping)
{
	uint64_t bytes = mapping->end - mapping->start, at;
	if (!mapping->inode || mapping->shared || bytes < GLIBC_ARENA_BYTES ||
	    bytes > DATA_MAX_BYTES)
		return NULL;
	_cleanup_free_ uint64_t *words = malloc(bytes);
	if (!words)
		return error_no_memory();
	if (read_words(collector, mapping->start, words, bytes / WORD_BYTES) &&
	    glibc_heap_find_arena(words, bytes / WORD_BYTES, mapping->start, &at))
		add_exception(collector, at, at + GLIBC_ARENA_BYTES, false);
	return NULL;
}

/* A static program keeps the first thread's variables in front of its heap. */
static void add_thread_areas(struct collector *collector, const struct proc_mapping *mapping)
{
	for (size_t i = 0; i < collector->thread_count; i++) {
		uint64_t at = collector->threads[i].thread_pointer, start = mapping->start;
		if (at < mapping->start || at >= mapping->end)
			continue;
		if (at - start > STATIC_AREA_BYTES)
			start = at - STATIC_AREA_BYTES;
		uint64_t end = at + PAGE_BYTES < mapping->end ? at + PAGE_BYTES : mapping->end;
		add_exception(collector, start, end, true);
	}
}

/* ---- heaps with blocks that are not known */

/* Its first word may be the last of the block before it. */
static void note_free(void *context, uint64_t start, uint64_t end)
{
	struct collector *collector = context;
	if (!array_reserve(&collector->unused, &collector->unused_capacity,
			   collector->unused_count + 1, sizeof *collector->unused)) {
		collector->failed = true;
		return;
	}
	collector->unused[collector->unused_count++] =
		(struct roots_piece){start + WORD_BYTES, end, false};
}

static int compare_pieces(const void *left, const void *right)
{
	const struct roots_piece *a = left, *b = right;
	return (a->start > b->start) - (a->start < b->start);
}

/* Free chunks are full of old pointers. A heap that is not understood is all in use. */
static struct error *find_unused(struct collector *collector)
{
	_cleanup_heap_regions_ struct heap_regions regions = {0};
	struct glibc_census census;
	struct error *err = heap_find(collector->space, &collector->maps, &regions);
	if (err)
		return err;
	if (!glibc_walk(&regions.memory, regions.items, regions.count, note_free, collector,
			&census))
		collector->unused_count = 0;
	if (collector->unused_count)
		qsort(collector->unused, collector->unused_count, sizeof *collector->unused,
		      compare_pieces);
	return NULL;
}

static void add_unused(struct collector *collector, const struct proc_mapping *mapping)
{
	size_t low = 0, high = collector->unused_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (collector->unused[middle].start < mapping->start)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < collector->unused_count && collector->unused[low].end <= mapping->end; low++)
		add_exception(collector, collector->unused[low].start, collector->unused[low].end,
			      false);
}

/* ---- from mappings and exceptions to pieces */

static void add_piece(struct collector *collector, uint64_t start, uint64_t end, bool roots)
{
	struct roots *list = collector->roots;
	if (start >= end)
		return;
	if (!array_reserve(&list->items, &list->capacity, list->count + 1, sizeof *list->items)) {
		collector->failed = true;
		return;
	}
	list->items[list->count++] = (struct roots_piece){start, end, roots};
}

static struct error *add_mapping(struct collector *collector, size_t i)
{
	const struct proc_mapping *mapping = &collector->maps.items[i];
	if (!is_scanned(mapping))
		return NULL;
	bool heap = is_heap(collector, mapping);
	bool roots = !heap || !collector->all_blocks_known;
	collector->exception_count = 0;
	if (heap) {
		add_thread_areas(collector, mapping);
		add_heap_arena(collector, mapping);
		add_unused(collector, mapping);
	} else {
		add_stack(collector, i);
	}
	struct error *err = add_arena(collector, mapping);
	if (collector->exception_count)
		qsort(collector->exceptions, collector->exception_count,
		      sizeof *collector->exceptions, compare_pieces);
	uint64_t at = mapping->start;
	for (size_t k = 0; k < collector->exception_count; k++) {
		const struct roots_piece *one = &collector->exceptions[k];
		add_piece(collector, at, one->start, roots);
		add_piece(collector, one->start > at ? one->start : at, one->end,
			  one->others_are_roots);
		at = one->end > at ? one->end : at;
	}
	add_piece(collector, at, mapping->end, roots);
	return err;
}

struct error *roots_collect(struct target *target, struct session_space *space, struct reach *reach,
			    bool all_blocks_known, struct roots *ret)
{
	*ret = (struct roots){.tid = space->target->pid};
	__attribute__((cleanup(collector_deinit))) struct collector collector = {
		.space = space, .reach = reach, .roots = ret, .all_blocks_known = all_blocks_known};
	target_visit_threads(target, space->target, add_thread, &collector);
	struct error *err = proc_maps_read(ret->tid, &collector.maps);
	if (!err && !all_blocks_known)
		err = find_unused(&collector);
	for (size_t i = 0; !err && i < collector.maps.count; i++)
		err = add_mapping(&collector, i);
	if (!err && collector.failed)
		err = error_no_memory();
	if (err)
		roots_deinit(ret);
	return err;
}

void roots_deinit(struct roots *roots)
{
	free(roots->items);
	*roots = (struct roots){0};
}
