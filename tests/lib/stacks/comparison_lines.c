/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "lib/stacks/comparison.h"
#include "lib/stacks/line_oracle.h"

static void expect(struct error *err)
{
	ck_assert_msg(!err, "%s", error_message(err));
}

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
static struct frames distinct_frames(const struct interner *interner)
{
	struct frames all = {0};
	size_t kept = 0;

	for (uint32_t site = 0; site < interner_count(interner); site++) {
		size_t count;
		bool truncated;
		const struct frame *frames =
			interner_frames(interner, (site_id){site}, &count, &truncated);
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
		if (print && kept < COMPARISON_DIFFERENCES_SHOWN)
			print_positions(image_path(image), addresses[i], positions, position_count,
					&oracle);
		addresses[kept++] = addresses[i];
	}
	line_oracle_end(&oracle);
	return kept;
}

static void count_positions(struct comparison_lines *tally, struct image *image,
			    const uint64_t *addresses, size_t count)
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
static void compare_image(const struct scratch *scratch, struct comparison_lines *tally,
			  struct image *image, uint64_t *addresses, size_t count)
{
	count_positions(tally, image, addresses, count);
	size_t differing = keep_differing(scratch, "eu-addr2line", image, false, addresses, count);
	if (differing == 0)
		return;
	size_t left = keep_differing(scratch, "addr2line", image, true, addresses, differing);
	tally->second_opinions += differing - left;
	tally->differing += left;
}

void comparison_ask_lines(const struct scratch *scratch, struct comparison *comparison)
{
	struct frames frames = distinct_frames(comparison->interner);
	_cleanup_free_ uint64_t *addresses = calloc(frames.count + 1, sizeof *addresses);

	ck_assert_ptr_nonnull(addresses);
	for (size_t from = 0, to = 0; from < frames.count; from = to) {
		image_id id = frames.items[from].image;

		for (; to < frames.count && frames.items[to].image.v == id.v; to++)
			addresses[to - from] = frames.items[to].address;
		struct image *image = registry_image(comparison->registry, id);
		if (image)
			compare_image(scratch, &comparison->lines, image, addresses, to - from);
	}
	free(frames.items);
}
