/* SPDX-License-Identifier: MIT */
/*
 * Mappings of this process, against what mmap(2), stat(2) and the dynamic linker say of them; and
 * opening a mapped file whatever has become of its name.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "target/proc.h"
#include "unit/target/child.h"

enum {
	PAGE = 4096,
	FILE_PAGES = 8,
	MAPPED_FIRST = 3,
	MAPPED_PAGES = 2,
};

/*
 * Owns: a directory with a file of FILE_PAGES pages in it, pages MAPPED_FIRST and following mapped.
 * Each page begins with its number.
 */
struct mapped_file {
	char directory[64];
	char path[512];
	struct stat status;
	char *pages;
};

static void file_end(struct mapped_file *file)
{
	munmap(file->pages, MAPPED_PAGES * PAGE);
	unlink(file->path);
	rmdir(file->directory);
}

#define _cleanup_file_ __attribute__((__cleanup__(file_end)))

static void write_pages(const char *path, char first)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, FILE_PAGES * PAGE), 0);
	for (int i = 0; i < FILE_PAGES; i++) {
		char number = (char)(first + i);
		ck_assert_int_eq(pwrite(fd, &number, 1, (off_t)i * PAGE), 1);
	}
}

static struct mapped_file map_file(const char *name, int flags)
{
	struct mapped_file file = {.directory = "/tmp/proc-maps-XXXXXX"};
	ck_assert_ptr_nonnull(mkdtemp(file.directory));
	snprintf(file.path, sizeof file.path, "%s/%s", file.directory, name);
	write_pages(file.path, 0);
	_cleanup_close_ int fd = open(file.path, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(fstat(fd, &file.status), 0);
	file.pages =
		mmap(NULL, MAPPED_PAGES * PAGE, PROT_READ, flags, fd, (off_t)MAPPED_FIRST * PAGE);
	ck_assert_ptr_ne(file.pages, MAP_FAILED);
	return file;
}

static struct proc_mapping must_find(const struct proc_maps *maps, const void *address)
{
	const struct proc_mapping *mapping = proc_maps_find(maps, (uint64_t)(uintptr_t)address);
	ck_assert_ptr_nonnull(mapping);
	ck_assert_uint_le(mapping->start, (uint64_t)(uintptr_t)address);
	ck_assert_uint_gt(mapping->end, (uint64_t)(uintptr_t)address);
	return *mapping;
}

static const char *const names[] = {
	"plain",
	"with two  spaces",
	" leading",
	"trailing ",
	"new\nline",
	"\n",
	"really there (deleted)",
	"(deleted)",
	"tab\tand\033[31m",
	"7f0000000000-7f0000001000 r-xp 00000000 00:00 1 x",
	"%s%n",
	"back\\012slash",
};

enum { NAMES = sizeof names / sizeof *names };

/* The kernel's spelling: newlines as octal, proc(5), nothing else changed. */
static void kernel_path(const char *path, char *ret)
{
	for (; *path; path++)
		ret += *path == '\n' ? sprintf(ret, "\\012") : sprintf(ret, "%c", *path);
	*ret = 0;
}

START_TEST(the_mapping_of_a_file_is_as_it_was_made_whatever_its_name)
{
	static const int flags[] = {MAP_SHARED, MAP_PRIVATE};
	for (size_t i = 0; i < 2; i++) {
		_cleanup_file_ struct mapped_file file = map_file(names[_i], flags[i]);
		_cleanup_proc_maps_ struct proc_maps maps = {0};
		ok(proc_maps_read(getpid(), &maps));
		struct proc_mapping mapping = must_find(&maps, file.pages);
		ck_assert_uint_eq(mapping.start, (uint64_t)(uintptr_t)file.pages);
		ck_assert_uint_eq(mapping.end - mapping.start, MAPPED_PAGES * PAGE);
		ck_assert_uint_eq(mapping.file_offset, MAPPED_FIRST * PAGE);
		ck_assert_uint_eq(mapping.inode, file.status.st_ino);
		ck_assert_int_eq(mapping.shared, flags[i] == MAP_SHARED);
		ck_assert(mapping.readable && !mapping.writable && !mapping.executable);
		char expected[4 * sizeof file.path];
		kernel_path(file.path, expected);
		ck_assert_str_eq(mapping.path, expected);
	}
}
END_TEST

START_TEST(the_device_of_a_mapping_is_that_of_its_file)
{
	_cleanup_close_ int fd = memfd_create("device", MFD_CLOEXEC);
	struct stat status;
	ck_assert_int_eq(ftruncate(fd, PAGE), 0);
	ck_assert_int_eq(fstat(fd, &status), 0);
	void *page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	ok(proc_maps_read(getpid(), &maps));
	struct proc_mapping mapping = must_find(&maps, page);
	ck_assert_uint_eq(mapping.device, status.st_dev);
	ck_assert_uint_eq(mapping.inode, status.st_ino);
	ck_assert_str_eq(mapping.path, "/memfd:device (deleted)");
	munmap(page, PAGE);
}
END_TEST

START_TEST(memory_without_a_file_has_its_protection_and_no_path)
{
	for (int protection = 0; protection < 8; protection++) {
		void *page = mmap(NULL, PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ck_assert_ptr_ne(page, MAP_FAILED);
		_cleanup_proc_maps_ struct proc_maps maps = {0};
		ok(proc_maps_read(getpid(), &maps));
		struct proc_mapping mapping = must_find(&maps, page);
		ck_assert_int_eq(mapping.readable, (protection & PROT_READ) != 0);
		ck_assert_int_eq(mapping.writable, (protection & PROT_WRITE) != 0);
		ck_assert_int_eq(mapping.executable, (protection & PROT_EXEC) != 0);
		ck_assert(!mapping.shared);
		ck_assert_uint_eq(mapping.inode, 0);
		ck_assert_uint_eq(mapping.file_offset, 0);
		ck_assert_str_eq(mapping.path, "");
		munmap(page, PAGE);
	}
}
END_TEST

/* Every loaded segment of an object lies in mappings that allow what it needs. */
static int check_object(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size;
	const struct proc_maps *maps = context;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		if (segment->p_type != PT_LOAD)
			continue;
		struct proc_mapping mapping =
			must_find(maps, (void *)(info->dlpi_addr + segment->p_vaddr));
		ck_assert_int_eq(mapping.executable, (segment->p_flags & PF_X) != 0);
		_cleanup_free_ char *real = realpath(info->dlpi_name, NULL);
		if (real && segment->p_flags & PF_X)
			ck_assert_str_eq(mapping.path, real);
	}
	return 0;
}

START_TEST(every_loaded_object_is_mapped_where_the_linker_says)
{
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	ok(proc_maps_read(getpid(), &maps));
	dl_iterate_phdr(check_object, &maps);
	ck_assert_str_eq(must_find(&maps, (void *)getauxval(AT_SYSINFO_EHDR)).path, "[vdso]");
	struct proc_mapping stack = must_find(&maps, (void *)getauxval(AT_RANDOM));
	ck_assert_str_eq(stack.path, "[stack]");
	ck_assert(stack.readable && stack.writable && !stack.shared);
	for (size_t i = 1; i < maps.count; i++)
		ck_assert_uint_le(maps.items[i - 1].end, maps.items[i].start);
}
END_TEST

static const struct proc_mapping *find_slowly(const struct proc_maps *maps, uint64_t address)
{
	for (size_t i = 0; i < maps->count; i++)
		if (maps->items[i].start <= address && address < maps->items[i].end)
			return &maps->items[i];
	return NULL;
}

START_TEST(an_address_is_found_where_a_search_from_end_to_end_finds_it)
{
	/* With gaps and without, from the first byte, to the last page. */
	static struct proc_mapping items[] = {
		{.start = 0, .end = 3},	  {.start = 3, .end = 4},
		{.start = 10, .end = 20}, {.start = 20, .end = 21},
		{.start = 40, .end = 64}, {.start = UINT64_MAX - 4096, .end = UINT64_MAX},
	};
	for (size_t count = 0; count <= sizeof items / sizeof *items; count++) {
		struct proc_maps maps = {.items = items, .count = count};
		for (uint64_t address = 0; address < 80; address++)
			ck_assert_ptr_eq(proc_maps_find(&maps, address),
					 find_slowly(&maps, address));
		for (uint64_t back = 0; back < 5000; back++)
			ck_assert_ptr_eq(proc_maps_find(&maps, UINT64_MAX - back),
					 find_slowly(&maps, UINT64_MAX - back));
	}
}
END_TEST

START_TEST(many_mappings_are_all_read)
{
	/* Pages of two protections by turns cannot be one mapping. */
	enum { MANY = 5000 };
	char *pages =
		mmap(NULL, (size_t)MANY * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(pages, MAP_FAILED);
	for (size_t i = 1; i < MANY; i += 2)
		ck_assert_int_eq(mprotect(pages + i * PAGE, PAGE, PROT_NONE), 0);
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	ok(proc_maps_read(getpid(), &maps));
	for (size_t i = 0; i < MANY; i++)
		ck_assert_int_eq(must_find(&maps, pages + i * PAGE).readable, i % 2 == 0);
	ck_assert_uint_ge(maps.count, MANY);
}
END_TEST

static void end_at_once(int to)
{
	(void)to;
}

START_TEST(a_zombie_has_no_mappings)
{
	_cleanup_child_ struct child child = start_child(end_at_once);
	wait_for_end(&child);
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	_cleanup_error_ struct error *err = proc_maps_read(child.pid, &maps);
	ck_assert(!err || error_kind_of(err) == ERROR_GONE);
	ck_assert_uint_eq(maps.count, 0);
}
END_TEST

/* Owns: a copy of the path of a mapping. What follows may change what the path leads to. */
struct seen_mapping {
	struct proc_mapping mapping;
	char path[1024];
};

static void see_mapping(pid_t pid, const struct mapped_file *file, struct seen_mapping *ret)
{
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	ok(proc_maps_read(pid, &maps));
	ret->mapping = must_find(&maps, file->pages);
	snprintf(ret->path, sizeof ret->path, "%s", ret->mapping.path);
	ret->mapping.path = ret->path;
}

/*
 * The file opened for a mapping is the mapped one. Where its name no longer leads to it, the kernel
 * may refuse to give it to us; what may be expected is tried here directly.
 */
static void check_opened(pid_t pid, const struct mapped_file *file, const struct seen_mapping *seen,
			 bool name_leads_there)
{
	char path[96];
	snprintf(path, sizeof path, "/proc/%d/map_files/%lx-%lx", pid, seen->mapping.start,
		 seen->mapping.end);
	_cleanup_close_ int direct = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int fd = -1;
	struct error *err = proc_open_mapped(pid, &seen->mapping, &fd);
	if (!name_leads_there && direct < 0) {
		check_fails(err, ERROR_NOT_FOUND);
		return;
	}
	ok(err);
	struct stat status;
	char number;
	ck_assert_int_eq(fstat(fd, &status), 0);
	ck_assert_uint_eq(status.st_ino, file->status.st_ino);
	ck_assert_uint_eq(status.st_dev, file->status.st_dev);
	ck_assert_int_eq(pread(fd, &number, 1, (off_t)MAPPED_FIRST * PAGE), 1);
	ck_assert_int_eq(number, file->pages[0]);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

START_TEST(a_mapped_file_is_opened_whatever_its_name)
{
	_cleanup_file_ struct mapped_file file = map_file(names[_i], MAP_PRIVATE);
	struct seen_mapping seen;
	see_mapping(getpid(), &file, &seen);
	check_opened(getpid(), &file, &seen, !strchr(names[_i], '\n'));
}
END_TEST

START_TEST(a_deleted_file_is_opened_through_its_mapping)
{
	_cleanup_file_ struct mapped_file file = map_file("deleted", MAP_PRIVATE);
	ck_assert_int_eq(unlink(file.path), 0);
	struct seen_mapping seen;
	see_mapping(getpid(), &file, &seen);
	check_opened(getpid(), &file, &seen, false);
}
END_TEST

START_TEST(another_file_of_the_same_name_is_not_taken)
{
	_cleanup_file_ struct mapped_file file = map_file("replaced", MAP_PRIVATE);
	struct seen_mapping before, after;
	see_mapping(getpid(), &file, &before);
	/* The first one's inode number cannot be given out again while it is mapped. */
	ck_assert_int_eq(unlink(file.path), 0);
	write_pages(file.path, 100);
	check_opened(getpid(), &file, &before, false);
	/* From now on the kernel adds a word to the name, and somebody may have made just that
	 * file. */
	see_mapping(getpid(), &file, &after);
	ck_assert_str_ne(after.path, before.path);
	write_pages(after.path, 100);
	check_opened(getpid(), &file, &after, false);
	ck_assert_int_eq(unlink(after.path), 0);
}
END_TEST

START_TEST(a_fifo_of_the_same_name_neither_hangs_nor_is_taken)
{
	_cleanup_file_ struct mapped_file file = map_file("fifo", MAP_PRIVATE);
	struct seen_mapping seen;
	see_mapping(getpid(), &file, &seen);
	ck_assert_int_eq(unlink(file.path), 0);
	ck_assert_int_eq(mkfifo(file.path, 0600), 0);
	check_opened(getpid(), &file, &seen, false);
}
END_TEST

START_TEST(a_link_to_the_mapped_file_is_followed)
{
	_cleanup_file_ struct mapped_file file = map_file("linked", MAP_PRIVATE);
	char moved[sizeof file.path];
	snprintf(moved, sizeof moved, "%s/moved", file.directory);
	ck_assert_int_eq(rename(file.path, moved), 0);
	ck_assert_int_eq(symlink("moved", file.path), 0);
	struct proc_mapping mapping = {.inode = file.status.st_ino, .path = file.path};
	_cleanup_close_ int fd = -1;
	ok(proc_open_mapped(getpid(), &mapping, &fd));
	unlink(moved);
}
END_TEST

/* A mapping that there is not: nothing but its path and inode can lead to a file. */
static void check_refused(pid_t pid, char *path, ino_t inode)
{
	struct proc_mapping mapping = {.start = PAGE, .end = PAGE, .inode = inode, .path = path};
	int fd = -1;
	check_fails(proc_open_mapped(pid, &mapping, &fd), ERROR_NOT_FOUND);
	ck_assert_int_eq(fd, -1);
}

static void check_refused_as_it_is(char *path)
{
	struct stat status;
	ck_assert_int_eq(stat(path, &status), 0);
	check_refused(getpid(), path, status.st_ino);
}

START_TEST(what_is_no_regular_file_is_refused_though_its_inode_be_right)
{
	_cleanup_file_ struct mapped_file file = map_file("fifo", MAP_PRIVATE);
	ck_assert_int_eq(unlink(file.path), 0);
	ck_assert_int_eq(mkfifo(file.path, 0600), 0);
	check_refused_as_it_is(file.path);
	check_refused_as_it_is(file.directory);
	check_refused_as_it_is("/dev/null");
	/* A regular file, but behind a link that only the kernel can follow. */
	_cleanup_close_ int behind = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	char link[64];
	snprintf(link, sizeof link, "/proc/self/fd/%d", behind);
	check_refused_as_it_is(link);
	check_refused(getpid(), "", file.status.st_ino);
	check_refused(getpid(), "[heap]", file.status.st_ino);
}
END_TEST

/* Shared with the child by fork: check runs each test in a process of its own. */
static const char *new_root;

static void live_below_a_new_root(int to)
{
	bool done = chroot(new_root) == 0;
	child_says(to, &done, sizeof done);
	sleep_for_ever();
}

START_TEST(the_executable_is_opened_whatever_its_name)
{
	struct stat status;
	ck_assert_int_eq(stat("/proc/self/exe", &status), 0);
	struct proc_mapping mapping = {
		.start = PAGE, .end = PAGE, .inode = status.st_ino, .path = "/gone (deleted)"};
	_cleanup_close_ int fd = -1;
	ok(proc_open_mapped(getpid(), &mapping, &fd));
	ck_assert_int_ge(fd, 0);
}
END_TEST

START_TEST(links_do_not_lead_out_of_the_root_of_the_target)
{
	_cleanup_file_ struct mapped_file outside = map_file("secret", MAP_PRIVATE);
	_cleanup_file_ struct mapped_file inside = map_file("name", MAP_PRIVATE);
	char way_out[sizeof outside.path + 16];
	snprintf(way_out, sizeof way_out, "/../../..%s", outside.path);
	ck_assert_int_eq(unlink(inside.path), 0);
	ck_assert_int_eq(symlink(way_out, inside.path), 0);
	new_root = inside.directory;
	_cleanup_child_ struct child child = start_child(live_below_a_new_root);
	bool done;
	hear(&child, &done, sizeof done);
	if (!done)
		return; /* root alone can change it */
	check_refused(child.pid, "/name", outside.status.st_ino);
	check_refused(child.pid, way_out, outside.status.st_ino);
	/* The same link leads there from outside: it is the root that makes the difference. */
	struct proc_mapping mapping = {.inode = outside.status.st_ino, .path = inside.path};
	_cleanup_close_ int fd = -1;
	ok(proc_open_mapped(getpid(), &mapping, &fd));
	/* Inherited by the child: its name there leads nowhere. */
	struct seen_mapping seen;
	see_mapping(child.pid, &outside, &seen);
	check_opened(child.pid, &outside, &seen, false);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mappings of a process");
	TCase *tests = tcase_create("mappings");
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, the_mapping_of_a_file_is_as_it_was_made_whatever_its_name, 0,
			    NAMES);
	tcase_add_test(tests, the_device_of_a_mapping_is_that_of_its_file);
	tcase_add_test(tests, memory_without_a_file_has_its_protection_and_no_path);
	tcase_add_test(tests, every_loaded_object_is_mapped_where_the_linker_says);
	tcase_add_test(tests, an_address_is_found_where_a_search_from_end_to_end_finds_it);
	tcase_add_test(tests, many_mappings_are_all_read);
	tcase_add_test(tests, a_zombie_has_no_mappings);
	tcase_add_loop_test(tests, a_mapped_file_is_opened_whatever_its_name, 0, NAMES);
	tcase_add_test(tests, a_deleted_file_is_opened_through_its_mapping);
	tcase_add_test(tests, another_file_of_the_same_name_is_not_taken);
	tcase_add_test(tests, a_fifo_of_the_same_name_neither_hangs_nor_is_taken);
	tcase_add_test(tests, a_link_to_the_mapped_file_is_followed);
	tcase_add_test(tests, what_is_no_regular_file_is_refused_though_its_inode_be_right);
	tcase_add_test(tests, the_executable_is_opened_whatever_its_name);
	tcase_add_test(tests, links_do_not_lead_out_of_the_root_of_the_target);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
