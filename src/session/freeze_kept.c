/* SPDX-License-Identifier: MIT */
/* What was kept of blocks beyond the figures of their stacks: traits, ages, histograms. */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "session/freeze.h"
#include "session/usable.h"

site_id freeze_kept_stack(const struct freeze *freeze, uint32_t site, struct snapshot_traits *ret)
{
	*ret = (struct snapshot_traits){0};
	if (!freeze->traits)
		return (site_id){site};
	const struct traits_site *traits = &freeze->traits[site];
	ret->thread = traits->thread;
	ret->waste_bytes = freeze->waste_known ? traits->waste_bytes : SNAPSHOT_NO_WASTE;
	if (freeze->session->options->keep & KEPT_SIZES)
		ret->size = size_class_range(traits->size_class);
	return traits->stack;
}

bool freeze_kept_knows_waste(const struct freeze *freeze)
{
	for (size_t i = 0; i < freeze->probe_count; i++) {
		const struct space_probe *probe = &freeze->probes[i];
		const struct image *image = freeze_image(freeze, probe->module);
		if (strcmp(probe->kind, "none") != 0 && !probe->maps &&
		    !usable_is_known(image ? image_soname(image) : NULL, probe->function))
			return false;
	}
	return true;
}

static int compare_sites(const void *left, const void *right, void *context)
{
	const struct traits_site *traits = context;
	const struct traits_site *a = &traits[*(const uint32_t *)left];
	const struct traits_site *b = &traits[*(const uint32_t *)right];
	int order = (a->stack.v > b->stack.v) - (a->stack.v < b->stack.v);
	if (!order)
		order = (a->thread > b->thread) - (a->thread < b->thread);
	if (!order)
		order = (a->size_class > b->size_class) - (a->size_class < b->size_class);
	return order ? order
		     : (a->waste_bytes > b->waste_bytes) - (a->waste_bytes < b->waste_bytes);
}

struct error *freeze_kept_order(const struct freeze *freeze, size_t count, uint32_t **ret)
{
	*ret = calloc(count + 1, sizeof **ret);
	if (!*ret)
		return error_no_memory();
	for (uint32_t i = 0; i < count; i++)
		(*ret)[i] = i;
	if (count && freeze->traits)
		qsort_r(*ret, count, sizeof **ret, compare_sites, freeze->traits);
	return NULL;
}

/* ---- ages and histograms */

/* Live blocks of a site and a class of ages; in the order of `known` first met. */
struct age {
	uint32_t site; /* of the snapshot */
	uint32_t class;
	struct class_counters figures;
};

struct gathering {
	uint64_t now_ns;
	const uint32_t *site_numbers;
	size_t site_count; /* of them */
	struct map known;  /* site << 8 | class -> index into ages + 1, as a pointer */
	struct age *ages;
	size_t count, capacity;
	struct class_counters sizes[SIZE_POWER_COUNT]; /* of live blocks */
};

static void gathering_deinit(struct gathering *gathering)
{
	map_deinit(&gathering->known);
	free(gathering->ages);
}

static struct error *age_of(struct gathering *gathering, uint32_t site, uint32_t class,
			    struct age **ret)
{
	uint64_t key = (uint64_t)site << 8 | class;
	size_t number = (size_t)(uintptr_t)map_get(&gathering->known, key);
	if (!number) {
		number = gathering->count + 1;
		if (!array_reserve(&gathering->ages, &gathering->capacity, number,
				   sizeof *gathering->ages) ||
		    !map_put(&gathering->known, key, (void *)number))
			return error_no_memory();
		gathering->ages[gathering->count++] = (struct age){.site = site, .class = class};
	}
	*ret = &gathering->ages[number - 1];
	return NULL;
}

static struct error *gather(struct gathering *gathering, const struct ledger_aged *block)
{
	uint64_t now_ns = gathering->now_ns;
	uint64_t age_ns = now_ns > block->born_ns ? now_ns - block->born_ns : 0;
	uint32_t number = block->site.v < gathering->site_count
				  ? gathering->site_numbers[block->site.v]
				  : FREEZE_NO_SITE;
	struct class_counters *size = &gathering->sizes[size_power_of(block->size_bytes)];
	size->bytes += block->size_bytes;
	size->blocks++;
	if (number == FREEZE_NO_SITE)
		return NULL;
	struct age *age = NULL;
	struct error *err = age_of(gathering, number, age_class_of(age_ns), &age);
	if (err)
		return err;
	age->figures.bytes += block->size_bytes;
	age->figures.blocks++;
	return NULL;
}

static struct error *gather_live(void *context, const struct ledger_live *block)
{
	const struct ledger_aged copy = {block->size_bytes, block->born_ns, block->site};
	return gather(context, &copy);
}

/* At the end the ledger is at rest. */
static struct error *gather_all(const struct freeze *freeze, struct gathering *gathering)
{
	const struct frozen *frozen = freeze->frozen;
	struct error *err = NULL;
	if (!frozen->blocks_known)
		return ledger_visit_live(freeze->session->ledger, gather_live, gathering);
	for (size_t i = 0; !err && i < frozen->block_count; i++)
		err = gather(gathering, &frozen->blocks[i]);
	return err;
}

static int compare_ages(const void *left, const void *right)
{
	const struct age *a = left, *b = right;
	int order = (a->site > b->site) - (a->site < b->site);
	return order ? order : (a->class > b->class) - (a->class < b->class);
}

static struct error *add_ages(struct gathering *gathering, struct snapshot_kept *kept)
{
	struct error *err = NULL;
	if (gathering->count)
		qsort(gathering->ages, gathering->count, sizeof *gathering->ages, compare_ages);
	for (size_t i = 0; !err && i < gathering->count; i++) {
		const struct age *age = &gathering->ages[i];
		struct snapshot_age one = {.site = age->site,
					   .age = age_class_range(age->class),
					   .bytes = age->figures.bytes,
					   .blocks = age->figures.blocks};
		err = kept_add_age(kept, &one);
	}
	return err;
}

/* Classes without a block are left out. */
static struct error *add_histograms(const struct gathering *gathering,
				    const struct histogram_counters *all,
				    struct snapshot_kept *kept)
{
	struct error *err = NULL;
	for (uint32_t i = 0; !err && i < SIZE_POWER_COUNT; i++) {
		struct snapshot_size_class one = {size_power_range(i), all->sizes[i].bytes,
						  all->sizes[i].blocks, gathering->sizes[i].bytes,
						  gathering->sizes[i].blocks};
		if (one.total_blocks)
			err = kept_add_size(kept, &one);
	}
	for (uint32_t i = 0; !err && i < LIFETIME_CLASS_COUNT; i++) {
		struct snapshot_lifetime_class one = {
			lifetime_class_range(i), all->lifetimes[i].bytes, all->lifetimes[i].blocks};
		if (one.blocks)
			err = kept_add_lifetime(kept, &one);
	}
	return err;
}

/* A thread's name may change, so all are copied while the lock is held. */
static struct error *copy_threads(struct session *session, struct traits_thread **ret,
				  size_t *count_ret)
{
	taps_lock(&session->taps);
	const struct traits_thread *threads = traits_threads(session->traits, count_ret);
	*ret = calloc(*count_ret + 1, sizeof **ret);
	if (*ret && *count_ret)
		memcpy(*ret, threads, *count_ret * sizeof **ret);
	taps_unlock(&session->taps);
	return *ret ? NULL : error_no_memory();
}

/* A thread that was gone before it could be asked has most likely the name it was born with. */
static const char *name_of(const struct freeze *freeze, const struct traits_thread *thread)
{
	if (thread->name[0])
		return thread->name;
	for (size_t i = 0; i < freeze->process_count; i++)
		if (freeze->processes[i].pid == thread->pid && freeze->processes[i].name[0])
			return freeze->processes[i].name;
	return NULL;
}

static struct error *add_threads(struct freeze *freeze)
{
	struct session *session = freeze->session;
	struct snapshot *snapshot = freeze->snapshot;
	size_t count = 0;
	_cleanup_free_ struct traits_thread *threads = NULL;
	struct error *err = session->traits ? copy_threads(session, &threads, &count) : NULL;
	for (size_t i = 0; !err && i < count; i++) {
		const char *name = name_of(freeze, &threads[i]);
		struct snapshot_thread thread = {.pid = (uint32_t)threads[i].pid,
						 .tid = threads[i].tid,
						 .name = snapshot_string(snapshot, name, &err)};
		if (!err)
			err = kept_add_thread(&snapshot->kept, &thread);
	}
	return err;
}

static struct error *add_live(struct freeze *freeze)
{
	__attribute__((cleanup(gathering_deinit))) struct gathering gathering = {
		.now_ns = freeze->snapshot->duration_ns,
		.site_numbers = freeze->site_numbers,
		.site_count = freeze->frozen->site_count};
	struct snapshot_kept *kept = &freeze->snapshot->kept;
	kept->flags |= KEPT_HISTOGRAMS | KEPT_AGES;
	struct error *err = gather_all(freeze, &gathering);
	if (!err)
		err = add_ages(&gathering, kept);
	return err ? err : add_histograms(&gathering, &freeze->frozen->histograms, kept);
}

struct error *freeze_add_kept(struct freeze *freeze)
{
	freeze->snapshot->kept.flags = freeze->session->options->keep;
	if (freeze->frozen && freeze->frozen->of_mappings) {
		freeze->snapshot->kept.flags &= (unsigned)KEPT_RAW;
		return NULL;
	}
	struct error *err = add_threads(freeze);
	bool known = freeze->session->alone || freeze->frozen->blocks_known;
	return err || !known ? err : add_live(freeze);
}
