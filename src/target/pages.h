/* SPDX-License-Identifier: MIT */
/*
 * Which pages of a process hold anything: proc(5), pagemap. Those that were never touched are not
 * read, of which a process may have terabytes; nor are they looked at one by one where the kernel
 * can be asked for the others (PAGEMAP_SCAN, since Linux 6.7: admin-guide/mm/pagemap.rst).
 *
 * Owns: the open file. Does not: need ptrace.
 */
#ifndef TARGET_PAGES_H
#define TARGET_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PAGES_ENTRIES = 1024, PAGES_REGIONS = 128 };

/* Of PAGEMAP_SCAN, by its layout in the kernel's uapi/linux/fs.h. */
struct pages_region {
	uint64_t start, end;
	uint64_t categories;
};

/*
 * Invariants: entries[0 .. count) are those of the pages from `first` on; regions[0 ..
 * region_count) are sorted, and all there are in [scanned_from, scanned_to).
 */
struct pages {
	int fd;	    /* -1: it cannot be read, and every page is taken to be there */
	bool scans; /* the kernel is asked for regions; else entries are looked at */
	uint64_t first;
	size_t count;
	uint64_t entries[PAGES_ENTRIES];
	uint64_t scanned_from, scanned_to;
	size_t region_count;
	struct pages_region regions[PAGES_REGIONS];
};

void pages_open(pid_t pid, struct pages *ret);
void pages_close(struct pages *pages);

/*
 * The next pages within [from, end), both multiples of 4096, that are in memory or swapped out; as
 * many in a row as are known. False: no more. Of a file that is mapped privately only pages that
 * are in memory are found.
 */
bool pages_next(struct pages *pages, uint64_t from, uint64_t end, uint64_t *start_ret,
		uint64_t *end_ret);

#define _cleanup_pages_ __attribute__((__cleanup__(pages_close)))

#endif
