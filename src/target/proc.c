/* SPDX-License-Identifier: MIT */
#include "target/proc.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/array.h"
#include "base/cleanup.h"

/* Files of /proc have no size: reads until the end, NUL-terminates. */
static struct error *read_whole(const char *path, char **ret, size_t *count_ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ESRCH
			       ? error_new(ERROR_GONE, "%s: no such process", path)
			       : error_system(errno, "cannot open %s", path);
	_cleanup_free_ char *bytes = NULL;
	size_t count = 0, capacity = 0;
	for (;;) {
		if (!array_reserve(&bytes, &capacity, count + 4096, 1))
			return error_no_memory();
		ssize_t got = read(fd, bytes + count, capacity - count - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno == ESRCH ? error_new(ERROR_GONE, "%s: no such process", path)
					      : error_system(errno, "cannot read %s", path);
		if (got == 0)
			break;
		count += (size_t)got;
	}
	bytes[count] = 0;
	*count_ret = count;
	*ret = take_ptr(bytes);
	return NULL;
}

/* The text after "\nName:\t" in a status file, NULL if absent. The first line is Name itself. */
static const char *status_field(const char *text, const char *name)
{
	size_t length = strlen(name);
	for (const char *line = strchr(text, '\n'); line; line = strchr(line, '\n')) {
		line++;
		if (strncmp(line, name, length) == 0 && line[length] == ':') {
			const char *value = line + length + 1;
			while (*value == '\t' || *value == ' ')
				value++;
			return value;
		}
	}
	return NULL;
}

static uint64_t status_number(const char *text, const char *name, int base)
{
	const char *value = status_field(text, name);
	return value ? strtoull(value, NULL, base) : 0;
}

static void status_ids(const char *text, const char *name, uint32_t *real, uint32_t *effective,
		       uint32_t *saved)
{
	const char *value = status_field(text, name);
	*real = *effective = *saved = 0;
	if (value)
		sscanf(value, "%u %u %u", real, effective, saved);
}

static pid_t status_last_number(const char *text, const char *name)
{
	const char *value = status_field(text, name);
	long last = 0;
	while (value && *value && *value != '\n') {
		char *end;
		long number = strtol(value, &end, 10);
		if (end == value)
			break;
		last = number;
		value = end;
	}
	return (pid_t)last;
}

static bool status_has_word(const char *text, const char *name, const char *word)
{
	const char *value = status_field(text, name);
	const char *found = value ? strstr(value, word) : NULL;
	return found && found < value + strcspn(value, "\n");
}

struct error *proc_status(pid_t tid, struct proc_status *ret)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/status", tid);
	_cleanup_free_ char *text = NULL;
	size_t count;
	struct error *err = read_whole(path, &text, &count);
	if (err)
		return err;
	const char *state = status_field(text, "State");
	*ret = (struct proc_status){
		.state = state ? *state : '?',
		.tgid = (pid_t)status_number(text, "Tgid", 10),
		.parent = (pid_t)status_number(text, "PPid", 10),
		.tracer = (pid_t)status_number(text, "TracerPid", 10),
		.inner_pid = status_last_number(text, "NSpid"),
		.signals_blocked = status_number(text, "SigBlk", 16),
		.signals_ignored = status_number(text, "SigIgn", 16),
		.signals_caught = status_number(text, "SigCgt", 16),
		.signals_pending =
			status_number(text, "SigPnd", 16) | status_number(text, "ShdPnd", 16),
		.capabilities = status_number(text, "CapEff", 16),
		.seccomp = (int)status_number(text, "Seccomp", 10),
		.has_memory = status_field(text, "VmSize") != NULL,
		.shadow_stack = status_has_word(text, "x86_Thread_features", "shstk"),
	};
	status_ids(text, "Uid", &ret->real_uid, &ret->effective_uid, &ret->saved_uid);
	status_ids(text, "Gid", &ret->real_gid, &ret->effective_gid, &ret->saved_gid);
	return NULL;
}

struct error *proc_stat(pid_t tid, char *state_ret, uint64_t *start_ret)
{
	char path[64];
	/* That of the thread alone: the other adds up the times of all threads each time. */
	snprintf(path, sizeof path, "/proc/%d/task/%d/stat", tid, tid);
	_cleanup_free_ char *text = NULL;
	size_t count;
	struct error *err = read_whole(path, &text, &count);
	if (err)
		return err;
	/* The comm may hold anything, ')' included: fields are counted from the last one. */
	const char *field = strrchr(text, ')');
	if (!field || field[1] != ' ')
		return error_new(ERROR_BAD_INPUT, "%s is malformed", path);
	field += 2;
	*state_ret = *field;
	for (int index = 3; index < 22 && field; index++) {
		field = strchr(field, ' ');
		if (field)
			field++;
	}
	*start_ret = field ? strtoull(field, NULL, 10) : 0;
	return NULL;
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

struct error *proc_tasks(pid_t pid, pid_t **tids_ret, size_t *count_ret)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/task", pid);
	__attribute__((__cleanup__(closedirp))) DIR *dir = opendir(path);
	if (!dir)
		return errno == ENOENT || errno == ESRCH
			       ? error_new(ERROR_GONE, "%s: no such process", path)
			       : error_system(errno, "cannot open %s", path);
	_cleanup_free_ pid_t *tids = NULL;
	size_t count = 0, capacity = 0;
	struct dirent *entry;
	while ((entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		if (!array_reserve(&tids, &capacity, count + 1, sizeof *tids))
			return error_no_memory();
		tids[count++] = (pid_t)strtol(entry->d_name, NULL, 10);
	}
	*count_ret = count;
	*tids_ret = take_ptr(tids);
	return NULL;
}

uint64_t proc_resident_bytes(pid_t pid)
{
	char path[64];
	unsigned long pages = 0;
	snprintf(path, sizeof path, "/proc/%d/statm", pid);
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	if (!file || fscanf(file, "%*u %lu", &pages) != 1)
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- /proc/PID/task/TID/syscall: "running", "-1 SP PC" or "NR A1 A2 A3 A4 A5 A6 SP PC", proc(5)
 */

static int open_call(pid_t pid, pid_t tid)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", pid, tid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static bool read_call(int fd, char *text, size_t bytes)
{
	ssize_t got = fd < 0 ? -1 : pread(fd, text, bytes - 1, 0);
	if (got <= 0)
		return false;
	text[got] = '\0';
	return true;
}

bool proc_asleep_in_call(pid_t pid, pid_t tid, int *fd_ret)
{
	char text[256];
	char state;
	uint64_t start;
	if (fd_ret)
		*fd_ret = -1;
	_cleanup_error_ struct error *err = proc_stat(tid, &state, &start);
	if (err || (state != 'S' && state != 'D'))
		return false;
	_cleanup_close_ int fd = open_call(pid, tid);
	bool asleep = read_call(fd, text, sizeof text) && isdigit((unsigned char)text[0]);
	if (asleep && fd_ret) {
		*fd_ret = fd;
		fd = -1;
	}
	return asleep;
}

bool proc_system_call(pid_t pid, pid_t tid, uint64_t *number_ret)
{
	char text[256];
	_cleanup_close_ int fd = open_call(pid, tid);
	return read_call(fd, text, sizeof text) && text[0] != '-' &&
	       sscanf(text, "%lu ", number_ret) == 1;
}

bool proc_resting_place_of(int fd, uint64_t *sp_ret, uint64_t *pc_ret)
{
	char text[256];
	if (!read_call(fd, text, sizeof text))
		return false;
	if (sscanf(text, "-1 %lx %lx", sp_ret, pc_ret) == 2)
		return true;
	return sscanf(text, "%*d %*x %*x %*x %*x %*x %*x %lx %lx", sp_ret, pc_ret) == 2;
}

bool proc_resting_place(pid_t pid, pid_t tid, uint64_t *sp_ret, uint64_t *pc_ret)
{
	_cleanup_close_ int fd = open_call(pid, tid);
	return proc_resting_place_of(fd, sp_ret, pc_ret);
}

/* "start-end perms offset major:minor inode   path", proc(5); false if it does not parse. */
static bool maps_line(char *line, struct proc_mapping *ret)
{
	unsigned major_number, minor_number;
	char permissions[5];
	int path_at = 0;
	*ret = (struct proc_mapping){0};
	if (sscanf(line, "%lx-%lx %4s %lx %x:%x %lu %n", &ret->start, &ret->end, permissions,
		   &ret->file_offset, &major_number, &minor_number, &ret->inode, &path_at) < 7)
		return false;
	ret->device = makedev(major_number, minor_number);
	ret->readable = permissions[0] == 'r';
	ret->writable = permissions[1] == 'w';
	ret->executable = permissions[2] == 'x';
	ret->shared = permissions[3] == 's';
	ret->path = line + path_at;
	return true;
}

struct error *proc_maps_read(pid_t pid, struct proc_maps *ret)
{
	char path[64];
	*ret = (struct proc_maps){0};
	snprintf(path, sizeof path, "/proc/%d/maps", pid);
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	size_t count;
	struct error *err = read_whole(path, &maps.text, &count);
	if (err)
		return err;
	char *next;
	for (char *line = maps.text; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		if (!array_reserve(&maps.items, &maps.capacity, maps.count + 1, sizeof *maps.items))
			return error_no_memory();
		if (maps_line(line, &maps.items[maps.count]))
			maps.count++;
	}
	*ret = maps;
	maps = (struct proc_maps){0};
	return NULL;
}

void proc_maps_deinit(struct proc_maps *maps)
{
	free(maps->items);
	free(maps->text);
	*maps = (struct proc_maps){0};
}

const struct proc_mapping *proc_maps_find(const struct proc_maps *maps, uint64_t address)
{
	size_t low = 0, high = maps->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (maps->items[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < maps->count && maps->items[low].start <= address ? &maps->items[low] : NULL;
}

bool proc_auxiliary(pid_t pid, uint64_t type, uint64_t *ret)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/auxv", pid);
	_cleanup_free_ char *bytes = NULL;
	size_t count;
	_cleanup_error_ struct error *err = read_whole(path, &bytes, &count);
	if (err)
		return false;
	for (size_t at = 0; at + 16 <= count; at += 16) {
		uint64_t pair[2];
		memcpy(pair, bytes + at, sizeof pair);
		if (pair[0] == type) {
			*ret = pair[1];
			return true;
		}
	}
	return false;
}

/*
 * A title that a process wrote over its arguments (setproctitle(3bsd)) is followed by zeroes, which
 * look like many empty arguments. At the end of a command line two are taken for those.
 */
static size_t length_without_zeroes(const char *text, size_t length)
{
	size_t end = length;
	while (end && text[end - 1] == 0)
		end--;
	return length - end > 2 ? end + 1 : length;
}

struct error *proc_command(pid_t pid, char ***argv_ret, size_t *count_ret)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
	_cleanup_free_ char *text = NULL;
	size_t length;
	struct error *err = read_whole(path, &text, &length);
	if (err)
		return err;
	if (length == 0) {
		free(take_ptr(text));
		snprintf(path, sizeof path, "/proc/%d/comm", pid);
		err = read_whole(path, &text, &length);
		if (err)
			return err;
		while (length && text[length - 1] == '\n')
			text[--length] = 0;
	}
	length = length_without_zeroes(text, length);
	size_t count = 0;
	for (size_t i = 0; i < length; i += strlen(text + i) + 1)
		count++;
	char **argv = malloc((count + 1) * sizeof *argv + length + 1);
	if (!argv)
		return error_no_memory();
	char *copy = (char *)(argv + count + 1);
	memcpy(copy, text, length + 1);
	count = 0;
	for (size_t i = 0; i < length; i += strlen(copy + i) + 1)
		argv[count++] = copy + i;
	argv[count] = NULL;
	*argv_ret = argv;
	*count_ret = count;
	return NULL;
}

void proc_comm(pid_t pid, pid_t tid, char name[16])
{
	enum { NAME_BYTES = 16 };
	char path[64];
	_cleanup_free_ char *text = NULL;
	size_t count;
	snprintf(path, sizeof path, "/proc/%d/task/%d/comm", pid, tid);
	struct error *err = read_whole(path, &text, &count);
	error_free(err);
	if (err || !count)
		return;
	count -= text[count - 1] == '\n';
	if (count >= NAME_BYTES)
		count = NAME_BYTES - 1;
	memcpy(name, text, count);
	name[count] = 0;
}

static bool fd_is_mapped_file(int fd, const struct proc_mapping *mapping)
{
	struct stat status;
	/* The device is not compared: overlay and btrfs show another one in maps than stat(2) does.
	 */
	return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
	       status.st_ino == mapping->inode;
}

const char *proc_path_in_root(pid_t pid, const char *path)
{
	char link[64], root[PATH_MAX];
	snprintf(link, sizeof link, "/proc/%d/root", pid);
	ssize_t count = readlink(link, root, sizeof root);
	/* The whole system's root is "/" and leaves nothing to be taken away. */
	if (count <= 1 || strncmp(path, root, (size_t)count) != 0 || path[count] != '/')
		return path;
	return path + count;
}

struct error *proc_open_mapped(pid_t pid, const struct proc_mapping *mapping, int *fd_ret)
{
	char path[96];
	snprintf(path, sizeof path, "/proc/%d/root", pid);
	_cleanup_close_ int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = -1;
	if (root >= 0) {
		struct open_how how = {
			.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
			.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
		};
		const char *name = proc_path_in_root(pid, mapping->path);
		fd = (int)syscall(SYS_openat2, root, name, &how, sizeof how);
	}
	if (fd < 0 || !fd_is_mapped_file(fd, mapping)) {
		cleanup_closep(&fd);
		snprintf(path, sizeof path, "/proc/%d/map_files/%lx-%lx", pid, mapping->start,
			 mapping->end);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	}
	/* Only root may open those, but whoever may trace a process its executable. */
	if (fd < 0 || !fd_is_mapped_file(fd, mapping)) {
		cleanup_closep(&fd);
		snprintf(path, sizeof path, "/proc/%d/exe", pid);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	}
	if (fd < 0 || !fd_is_mapped_file(fd, mapping))
		return error_new(ERROR_NOT_FOUND, "cannot open the file mapped as '%s'",
				 mapping->path);
	*fd_ret = fd;
	fd = -1;
	return NULL;
}

static bool same_file(const char *one, const char *other)
{
	struct stat a, b;
	return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

bool proc_has_own_root(pid_t pid)
{
	char root[64], namespace[64];
	snprintf(root, sizeof root, "/proc/%d/root/", pid);
	snprintf(namespace, sizeof namespace, "/proc/%d/ns/mnt", pid);
	return !same_file(root, "/") || !same_file(namespace, "/proc/self/ns/mnt");
}

struct error *proc_program(pid_t pid, char **ret)
{
	char link[64], path[PATH_MAX];
	snprintf(link, sizeof link, "/proc/%d/exe", pid);
	ssize_t count = readlink(link, path, sizeof path);
	if (count < 0)
		return errno == ENOENT || errno == ESRCH
			       ? error_new(ERROR_GONE, "%s: no such process", link)
			       : error_system(errno, "cannot read %s", link);
	*ret = strndup(path, (size_t)count);
	return *ret ? NULL : error_no_memory();
}

bool proc_is_vdso(const struct proc_mapping *mapping)
{
	return !mapping->inode && strcmp(mapping->path, "[vdso]") == 0;
}

struct error *proc_copy_mapped(pid_t pid, const struct proc_mapping *mapping, int *fd_ret)
{
	enum { COPY_MAX_BYTES = 1 << 20 };
	char path[64];
	size_t count = mapping->end - mapping->start;
	if (count > COPY_MAX_BYTES)
		return error_new(ERROR_UNSUPPORTED, "'%s' is too large", mapping->path);
	snprintf(path, sizeof path, "/proc/%d/mem", pid);
	_cleanup_close_ int memory = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int copy = memfd_create("copy", MFD_CLOEXEC);
	_cleanup_free_ char *bytes = malloc(count);
	if (!bytes)
		return error_no_memory();
	if (memory < 0 || copy < 0 ||
	    pread(memory, bytes, count, (off_t)mapping->start) != (ssize_t)count ||
	    pwrite(copy, bytes, count, 0) != (ssize_t)count)
		return error_new(ERROR_NOT_FOUND, "cannot read what is mapped as '%s'",
				 mapping->path);
	*fd_ret = copy;
	copy = -1;
	return NULL;
}
