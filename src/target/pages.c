/* SPDX-License-Identifier: MIT */
#include "target/pages.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
	PAGE_SHIFT = 12,
	/* Found by one scan: the process cannot change its mappings meanwhile. */
	SCAN_PAGES_MAX = 1 << 15,
};

/* Bits of an entry: proc(5). */
static const uint64_t PRESENT = UINT64_C(1) << 63, SWAPPED = UINT64_C(1) << 62;

/* struct pm_scan_arg, and PAGE_IS_PRESENT and PAGE_IS_SWAPPED: uapi/linux/fs.h. */
struct scan {
	uint64_t size, flags;
	uint64_t start, end, walk_end;
	uint64_t regions, region_count;
	uint64_t pages_max;
	uint64_t inverted, all_of, any_of, told;
};
static const uint64_t IS_PRESENT = 1 << 3, IS_SWAPPED = 1 << 4;

#define PAGEMAP_SCAN_CALL _IOWR('f', 16, struct scan)

void pages_open(pid_t pid, struct pages *ret)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/pagemap", pid);
	ret->fd = open(path, O_RDONLY | O_CLOEXEC);
	ret->scans = true;
	ret->first = 0;
	ret->count = 0;
	ret->scanned_from = ret->scanned_to = 0;
	ret->region_count = 0;
}

void pages_close(struct pages *pages)
{
	if (pages->fd >= 0)
		close(pages->fd);
	pages->fd = -1;
}

/* ---- regions */

/* False if the kernel cannot: it is not asked again. */
static bool scan(struct pages *pages, uint64_t from, uint64_t end)
{
	struct scan scan = {
		.size = sizeof scan,
		.start = from,
		.end = end,
		.regions = (uintptr_t)pages->regions,
		.region_count = PAGES_REGIONS,
		.pages_max = SCAN_PAGES_MAX,
		.any_of = IS_PRESENT | IS_SWAPPED,
		.told = IS_PRESENT | IS_SWAPPED,
	};
	int count = ioctl(pages->fd, PAGEMAP_SCAN_CALL, &scan);
	pages->scans = count >= 0 && scan.walk_end > from;
	pages->scanned_from = from;
	pages->scanned_to = pages->scans ? scan.walk_end : from;
	pages->region_count = pages->scans ? (size_t)count : 0;
	return pages->scans;
}

/* The first region with something at `from` or above, of those that are known. */
static const struct pages_region *find_region(const struct pages *pages, uint64_t from)
{
	for (size_t i = 0; i < pages->region_count; i++)
		if (pages->regions[i].end > from)
			return &pages->regions[i];
	return NULL;
}

/* pages_next by regions. Where pages->scans is false afterwards, it tells nothing. */
static bool next_scanned(struct pages *pages, uint64_t from, uint64_t end, uint64_t *start_ret,
			 uint64_t *end_ret)
{
	while (from < end) {
		bool known = from >= pages->scanned_from && from < pages->scanned_to;
		if (!known && !scan(pages, from, end))
			return false;
		const struct pages_region *region = find_region(pages, from);
		if (region) {
			*start_ret = region->start > from ? region->start : from;
			*end_ret = region->end < end ? region->end : end;
			return *start_ret < end;
		}
		from = pages->scanned_to;
	}
	return false;
}

/* ---- entries */

static bool load(struct pages *pages, uint64_t page)
{
	ssize_t got = pread(pages->fd, pages->entries, sizeof pages->entries,
			    (off_t)(page * sizeof *pages->entries));
	pages->first = page;
	pages->count = got > 0 ? (size_t)got / sizeof *pages->entries : 0;
	return pages->count > 0;
}

static bool is_there(const struct pages *pages, uint64_t page)
{
	return pages->entries[page - pages->first] & (PRESENT | SWAPPED);
}

static bool next_loaded(struct pages *pages, uint64_t from, uint64_t end, uint64_t *start_ret,
			uint64_t *end_ret)
{
	uint64_t page = from >> PAGE_SHIFT, last = end >> PAGE_SHIFT;
	for (; page < last; page++) {
		bool known = page >= pages->first && page - pages->first < pages->count;
		if (!known && !load(pages, page))
			return false;
		if (is_there(pages, page))
			break;
	}
	if (page >= last)
		return false;
	*start_ret = page << PAGE_SHIFT;
	while (page < last && page - pages->first < pages->count && is_there(pages, page))
		page++;
	*end_ret = page << PAGE_SHIFT;
	return true;
}

bool pages_next(struct pages *pages, uint64_t from, uint64_t end, uint64_t *start_ret,
		uint64_t *end_ret)
{
	*start_ret = from;
	*end_ret = end;
	if (pages->fd < 0)
		return from < end;
	if (pages->scans) {
		bool found = next_scanned(pages, from, end, start_ret, end_ret);
		if (pages->scans)
			return found;
	}
	return next_loaded(pages, from, end, start_ret, end_ret);
}
