/* SPDX-License-Identifier: MIT */
#include "target/pages.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { PAGE_SHIFT = 12 };

/* Bits of an entry: proc(5). */
static const uint64_t PRESENT = UINT64_C(1) << 63, SWAPPED = UINT64_C(1) << 62;

void pages_open(pid_t pid, struct pages *ret)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/pagemap", pid);
	ret->fd = open(path, O_RDONLY | O_CLOEXEC);
	ret->first = 0;
	ret->count = 0;
}

void pages_close(struct pages *pages)
{
	if (pages->fd >= 0)
		close(pages->fd);
	pages->fd = -1;
}

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

bool pages_next(struct pages *pages, uint64_t from, uint64_t end, uint64_t *start_ret,
		uint64_t *end_ret)
{
	uint64_t page = from >> PAGE_SHIFT, last = end >> PAGE_SHIFT;
	*start_ret = from;
	*end_ret = end;
	if (pages->fd < 0)
		return from < end;
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
