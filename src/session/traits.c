/* SPDX-License-Identifier: MIT */
#include "session/traits.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/map.h"
#include "base/size_class.h"
#include "session/usable.h"
#include "target/proc.h"

/*
 * slots: 0 or 2^n numbers of sites + 1, 0 for free ones; site_count <= slot_count * 3/4. threads
 * and events have the same length; by_tid finds the living ones.
 */
struct traits {
	unsigned keep;
	struct traits_site *sites;
	size_t site_count, site_capacity;
	uint32_t *slots;
	size_t slot_count;
	struct map by_tid; /* space and tid -> number of the thread, as a pointer */
	struct traits_thread *threads;
	size_t thread_count, thread_capacity;
	uint64_t *events; /* of each thread */
	size_t event_capacity;
};

struct error *traits_create(unsigned keep, struct traits **ret)
{
	struct traits *traits = calloc(1, sizeof *traits);
	if (!traits)
		return error_no_memory();
	traits->keep = keep;
	*ret = traits;
	return NULL;
}

void traits_destroy(struct traits *traits)
{
	if (!traits)
		return;
	map_deinit(&traits->by_tid);
	free(traits->sites);
	free(traits->slots);
	free(traits->threads);
	free(traits->events);
	free(traits);
}

/* ---- threads */

static uint64_t key_of(space_id space, uint32_t tid)
{
	return (uint64_t)space.v << 32 | tid;
}

static struct error *add_thread(struct traits *traits, const struct event *event, pid_t pid,
				uint32_t *ret)
{
	size_t number = traits->thread_count + 1;
	if (!array_reserve(&traits->threads, &traits->thread_capacity, number,
			   sizeof *traits->threads) ||
	    !array_reserve(&traits->events, &traits->event_capacity, number,
			   sizeof *traits->events) ||
	    !map_put(&traits->by_tid, key_of(event->space, event->thread), (void *)number))
		return error_no_memory();
	traits->threads[number - 1] = (struct traits_thread){.pid = pid, .tid = event->thread};
	traits->events[number - 1] = 0;
	traits->thread_count = number;
	*ret = (uint32_t)number;
	return NULL;
}

/*
 * A thread is given its name after it has begun, often after its first block, and may be gone by
 * the time we hear of it: so it is asked for at its first event, the second, the fourth, and so on.
 */
static void note_name(struct traits *traits, uint32_t number)
{
	struct traits_thread *thread = &traits->threads[number - 1];
	uint64_t count = ++traits->events[number - 1];
	if ((count & (count - 1)) == 0)
		proc_comm(thread->pid, (pid_t)thread->tid, thread->name);
}

static struct error *thread_of(struct traits *traits, const struct event *event, pid_t pid,
			       uint32_t *ret)
{
	*ret = (uint32_t)(uintptr_t)map_get(&traits->by_tid, key_of(event->space, event->thread));
	struct error *err = *ret ? NULL : add_thread(traits, event, pid, ret);
	if (!err)
		note_name(traits, *ret);
	return err;
}

void traits_thread_end(struct traits *traits, space_id space, uint32_t tid)
{
	map_remove(&traits->by_tid, key_of(space, tid));
}

const struct traits_thread *traits_threads(const struct traits *traits, size_t *count_ret)
{
	*count_ret = traits->thread_count;
	return traits->threads;
}

/* ---- sites */

static uint64_t hash_of(const struct traits_site *site)
{
	uint64_t hash = (uint64_t)site->stack.v << 32 | site->thread;
	hash = (hash ^ hash >> 31) * UINT64_C(0x9e3779b97f4a7c15);
	hash ^= (uint64_t)site->size_class << 32 | site->waste_bytes;
	hash = (hash ^ hash >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
	return hash ^ hash >> 32;
}

static bool equal(const struct traits_site *a, const struct traits_site *b)
{
	return a->stack.v == b->stack.v && a->thread == b->thread &&
	       a->size_class == b->size_class && a->waste_bytes == b->waste_bytes;
}

/* The slot of a site, or the free one where it belongs. */
static uint32_t *find_slot(const struct traits *traits, const struct traits_site *site)
{
	size_t mask = traits->slot_count - 1, i = hash_of(site) & mask;
	while (traits->slots[i] && !equal(&traits->sites[traits->slots[i] - 1], site))
		i = (i + 1) & mask;
	return &traits->slots[i];
}

static struct error *reserve_slot(struct traits *traits)
{
	enum { FIRST_SLOTS = 1024 };
	if (traits->site_count + 1 <= traits->slot_count / 4 * 3)
		return NULL;
	_cleanup_free_ uint32_t *old = traits->slots;
	size_t count = traits->slot_count ? traits->slot_count * 2 : FIRST_SLOTS;
	uint32_t *slots = calloc(count, sizeof *slots);
	if (!slots) {
		old = NULL;
		return error_no_memory();
	}
	traits->slots = slots;
	traits->slot_count = count;
	for (size_t i = 0; i < traits->site_count; i++)
		*find_slot(traits, &traits->sites[i]) = (uint32_t)i + 1;
	return NULL;
}

static struct error *intern(struct traits *traits, const struct traits_site *site, site_id *ret)
{
	struct error *err = reserve_slot(traits);
	if (err)
		return err;
	uint32_t *slot = find_slot(traits, site);
	if (!*slot) {
		if (traits->site_count >= UINT32_MAX - 1 ||
		    !array_reserve(&traits->sites, &traits->site_capacity, traits->site_count + 1,
				   sizeof *traits->sites))
			return error_no_memory();
		traits->sites[traits->site_count++] = *site;
		*slot = (uint32_t)traits->site_count;
	}
	ret->v = *slot - 1;
	return NULL;
}

struct error *traits_site(struct traits *traits, const struct event *event, pid_t pid, site_id *ret)
{
	struct traits_site site = {.stack = event->site};
	struct error *err = NULL;
	if (traits->keep & KEPT_THREADS)
		err = thread_of(traits, event, pid, &site.thread);
	if (traits->keep & KEPT_SIZES)
		site.size_class = size_class_of(event->size_bytes);
	if (traits->keep & KEPT_WASTE)
		site.waste_bytes = usable_waste(event->address.v, event->size_bytes);
	return err ? err : intern(traits, &site, ret);
}

uint32_t traits_site_count(const struct traits *traits)
{
	return (uint32_t)traits->site_count;
}

const struct traits_site *traits_site_at(const struct traits *traits, uint32_t site)
{
	return &traits->sites[site];
}
