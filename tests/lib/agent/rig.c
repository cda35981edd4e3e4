/* SPDX-License-Identifier: MIT */
#include "lib/agent/rig.h"

#include <check.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/image.h"

extern const uint8_t __executable_start[], etext[];

enum { PAGE_BYTES = 4096 };

static size_t private_bytes(void)
{
	return (sizeof(struct agent_private) + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);
}

/* Writes into pages that are not writable, as a tracer does. */
static void poke(void *to, const void *bytes, size_t count)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, count, (off_t)(uintptr_t)to), (ssize_t)count);
	close(fd);
}

static void map_code(struct rig *rig)
{
	rig->code = mmap(NULL, AGENT_CODE_BYTES + private_bytes(), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(rig->code, MAP_FAILED);
	rig->private = (struct agent_private *)(rig->code + AGENT_CODE_BYTES);
	ck_assert_int_eq(madvise(rig->private, private_bytes(), MADV_WIPEONFORK), 0);
	ck_assert_int_eq(mprotect(rig->code, AGENT_CODE_BYTES, PROT_READ | PROT_EXEC), 0);
	poke(rig->code, agent_image, agent_image_bytes);
}

static void map_shared(struct rig *rig)
{
	int fd = memfd_create(AGENT_MEMFD_NAME, MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)AGENT_SHARED_BYTES), 0);
	rig->shared = mmap(NULL, AGENT_SHARED_BYTES, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_NORESERVE, fd, 0);
	ck_assert_ptr_ne(rig->shared, MAP_FAILED);
	close(fd);
	rig->shared->magic = AGENT_MAGIC;
	rig->shared->version = AGENT_ABI_VERSION;
	rig->shared->depth = 64;
	rig->modules = (struct agent_modules *)((uint8_t *)rig->shared + AGENT_SHARED_TABLES);
}

/* Where this C library keeps a thread's id. */
static uint32_t find_tid_offset(void)
{
	const uint8_t *self = (const uint8_t *)pthread_self();
	pid_t tid = gettid();
	uint32_t offset = 8;
	while (memcmp(self + offset, &tid, sizeof tid) != 0)
		offset += 4;
	return offset;
}

void rig_create(struct rig *rig)
{
	*rig = (struct rig){0};
	map_code(rig);
	map_shared(rig);
	rig->modules->generation = 2;
	rig->modules->lists[1].count = 1;
	rig->modules->lists[1].items[0] = (struct unwind_module){
		.start = (uint64_t)__executable_start, .end = (uint64_t)etext};
	rig->private->space = 7;
	rig->private->shared = (uint64_t)rig->shared;
	rig->private->modules = (uint64_t)rig->modules;
	rig->private->pid = (uint32_t)getpid();
	rig->tid_offset = find_tid_offset();
	rig->private->tid_offset = rig->tid_offset;
	__atomic_store_n(&rig->private->state, AGENT_ON, __ATOMIC_RELEASE);
}

void rig_destroy(struct rig *rig)
{
	munmap(rig->shared, AGENT_SHARED_BYTES);
	munmap(rig->code, AGENT_CODE_BYTES + private_bytes());
}

static void put_relative(struct agent_stub *stub, uint8_t *at, const struct agent_stub *there,
			 const void *to)
{
	const uint8_t *next = (const uint8_t *)there + (at + 4 - (const uint8_t *)stub);
	int32_t relative = (int32_t)((const uint8_t *)to - next);
	memcpy(at, &relative, sizeof relative);
}

static void write_code(struct agent_stub *stub, const struct agent_stub *there, const uint8_t *code,
		       void *function)
{
	struct agent_header header;
	memcpy(&header, code, sizeof header);
	memcpy(stub->enter_code, "\x41\x53\x4c\x8d\x1d....\xe9", 10);
	put_relative(stub, stub->enter_code + 5, there, there);
	put_relative(stub, stub->enter_code + 10, there, code + header.enter);
	memcpy(stub->plain_code, "\x41\x5b\xe9", 3);
	put_relative(stub, stub->plain_code + 3, there, there->window);
	memcpy(stub->call_code, "\x4c\x8b\x5c\x24\x20\xe8....\xe9", 11);
	put_relative(stub, stub->call_code + 6, there, there->window);
	put_relative(stub, stub->call_code + 11, there, code + header.leave);
	/* jmp *0(%rip), and the address behind it */
	memcpy(stub->window, "\xff\x25\0\0\0\0", 6);
	memcpy(stub->window + 6, &function, sizeof function);
}

void *rig_stub(struct rig *rig, const struct rig_function *function)
{
	struct agent_stub stub;
	struct agent_stub *there =
		(struct agent_stub *)(rig->code + AGENT_IMAGE_MAX_BYTES) + rig->stub_count++;
	memset(&stub, 0xcc, sizeof stub);
	stub.role = (uint8_t)function->role;
	stub.leaf = function->leaf;
	stub.result = (uint8_t)function->result;
	stub.size_argument = function->size_argument;
	stub.count_argument = function->count_argument;
	stub.size_constant = function->size_constant;
	stub.pointer_argument = function->pointer_argument;
	stub.result_argument = function->result_argument;
	stub.module_start = (uint64_t)function->module_start;
	stub.module_end = (uint64_t)function->module_end;
	write_code(&stub, there, rig->code, function->function);
	poke(there, &stub, sizeof stub);
	return there->enter_code;
}

struct agent_thread *rig_area(const struct rig *rig, uint32_t area)
{
	return (struct agent_thread *)((uint8_t *)rig->shared + AGENT_SHARED_AREAS +
				       (uint64_t)area * AGENT_AREA_STRIDE);
}

uint64_t *rig_words(const struct rig *rig, uint32_t area, int level)
{
	uint64_t offset =
		level == 0 ? AGENT_AREA_WORDS
			   : AGENT_AREA_INNER + (uint64_t)(level - 1) * AGENT_INNER_RING_WORDS * 8;
	return (uint64_t *)((uint8_t *)rig_area(rig, area) + offset);
}

int rig_my_area(const struct rig *rig)
{
	for (uint32_t i = 0; i < AGENT_AREAS; i++)
		if (rig->shared->area_state[i] && rig_area(rig, i)->tid == (uint32_t)gettid())
			return (int)i;
	return -1;
}

void rig_find_bounds(uint64_t sp, struct agent_bounds *ret)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	ck_assert_ptr_nonnull(maps);
	*ret = (struct agent_bounds){0};
	while (fgets(line, sizeof line, maps)) {
		uint64_t low, high;
		if (sscanf(line, "%lx-%lx", &low, &high) == 2 && low <= sp && sp < high)
			*ret = (struct agent_bounds){low, high};
	}
	fclose(maps);
}

static void tell(struct agent_thread *area, uint64_t sp)
{
	struct agent_bounds found;
	rig_find_bounds(sp, &found);
	int free_one = AGENT_BOUNDS - 1;
	for (int i = AGENT_BOUNDS - 1; i >= 0; i--)
		if (area->bounds[i].high == 0 || area->bounds[i].high == found.high)
			free_one = i;
	struct agent_bounds *bounds = &area->bounds[free_one];
	__atomic_store_n(&bounds->high, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&bounds->low, found.low, __ATOMIC_RELEASE);
	__atomic_store_n(&bounds->high, found.high, __ATOMIC_RELEASE);
	__atomic_store_n(&area->unknown_sp, 0, __ATOMIC_RELEASE);
}

void rig_tell_bounds(struct rig *rig)
{
	for (uint32_t i = 0; i < AGENT_AREAS; i++) {
		if (!__atomic_load_n(&rig->shared->area_state[i], __ATOMIC_ACQUIRE))
			continue;
		struct agent_thread *area = rig_area(rig, i);
		uint64_t sp = __atomic_load_n(&area->unknown_sp, __ATOMIC_ACQUIRE);
		if (sp)
			tell(area, sp);
	}
}
