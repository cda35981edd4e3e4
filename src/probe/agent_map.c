/* SPDX-License-Identifier: MIT */
#include "probe/agent_map.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/image.h"
#include "base/cleanup.h"
#include "base/killpoint.h"
#include "target/proc.h"

enum {
	PAGE_BYTES = 4096,
	GUARD_BYTES = 1 << 20,	  /* between us and our neighbours, for those that grow */
	REACH_BYTES = 0x70000000, /* of a 32-bit displacement, less a module's own size */
	NO_EXEC_SEAL = 8,	  /* MFD_NOEXEC_SEAL, memfd_create(2) */
	STACK_BYTES = 1 << 30,	  /* left to a stack that grows down */
	FSGSBASE = 2,		  /* HWCAP2_FSGSBASE: rdfsbase may be used */
};

#define USER_END UINT64_C(0x7ffffffff000)

static uint64_t private_bytes(void)
{
	return (sizeof(struct agent_private) + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
}

/* ---- finding one */

static bool is_channel(const struct proc_mapping *mapping)
{
	static const char prefix[] = "/memfd:" AGENT_MEMFD_NAME;
	return mapping->shared && strncmp(mapping->path, prefix, sizeof prefix - 1) == 0;
}

static bool read_exactly(const struct target_space *space, target_addr address, void *bytes,
			 size_t count)
{
	return target_read_some(space, address, bytes, count) == count;
}

/* The image must be ours, byte for byte, but for what the tracer writes into its header. */
static bool is_our_image(const struct target_space *space, target_addr code)
{
	enum { AFTER_HEADER = sizeof(struct agent_header) };
	_cleanup_free_ uint8_t *image = malloc(agent_image_bytes);
	return image && read_exactly(space, code, image, agent_image_bytes) &&
	       memcmp(image + AFTER_HEADER, agent_image + AFTER_HEADER,
		      agent_image_bytes - AFTER_HEADER) == 0;
}

static void examine_outposts(const struct proc_maps *maps, const struct agent_header *header,
			     struct agent_map *map, uint32_t stub_counts[AGENT_MAP_BLOCKS])
{
	for (size_t i = 0; i < AGENT_OUTPOSTS; i++) {
		uint64_t start = header->outposts[i];
		const struct proc_mapping *mapping = start ? proc_maps_find(maps, start) : NULL;
		if (!mapping || !mapping->executable || mapping->inode ||
		    mapping->end - start < AGENT_OUTPOST_BYTES ||
		    header->outpost_stub_counts[i] > AGENT_STUBS_MAX)
			continue;
		map->outposts[i].v = start;
		stub_counts[1 + i] = header->outpost_stub_counts[i];
	}
}

static bool examine(const struct target_space *space, const struct proc_maps *maps,
		    const struct proc_mapping *mapping, struct agent_map *map,
		    uint32_t stub_counts[AGENT_MAP_BLOCKS])
{
	struct agent_shared shared;
	struct agent_header header;
	if (!read_exactly(space, (target_addr){mapping->start}, &shared, sizeof shared) ||
	    shared.magic != AGENT_MAGIC)
		return false;
	const struct proc_mapping *code = proc_maps_find(maps, shared.code);
	if (!code || !code->executable || code->inode ||
	    code->end - shared.code < AGENT_CODE_BYTES ||
	    !read_exactly(space, (target_addr){shared.code}, &header, sizeof header) ||
	    header.magic != AGENT_MAGIC || header.stub_count > AGENT_STUBS_MAX)
		return false;
	map->code = (target_addr){shared.code};
	map->shared = (target_addr){mapping->start};
	map->reusable = header.version == AGENT_ABI_VERSION &&
			shared.version == AGENT_ABI_VERSION && is_our_image(space, map->code);
	map->vacated = shared.vacated;
	if (header.version != AGENT_ABI_VERSION)
		return true;
	stub_counts[0] = header.stub_count;
	examine_outposts(maps, &header, map, stub_counts);
	return true;
}

bool agent_map_holds(const struct agent_map *map, uint64_t pc)
{
	return pc >= map->code.v && pc < map->code.v + agent_image_bytes;
}

bool agent_map_owns(const struct agent_map *map, uint64_t address)
{
	if (address - map->code.v < AGENT_CODE_BYTES)
		return map->code.v;
	for (size_t i = 0; i < AGENT_OUTPOSTS; i++)
		if (map->outposts[i].v && address - map->outposts[i].v < AGENT_OUTPOST_BYTES)
			return true;
	return false;
}

struct error *agent_map_find(const struct target_space *space, struct agent_map *map,
			     uint32_t stub_counts[AGENT_MAP_BLOCKS])
{
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	*map = (struct agent_map){0};
	memset(stub_counts, 0, AGENT_MAP_BLOCKS * sizeof *stub_counts);
	struct error *err = proc_maps_read(space->pid, &maps);
	for (size_t i = 0; !err && i < maps.count; i++)
		if (is_channel(&maps.items[i]) &&
		    examine(space, &maps, &maps.items[i], map, stub_counts))
			break;
	return err;
}

static bool area_is_busy(const struct target_space *space, const struct agent_map *map,
			 uint64_t index)
{
	struct agent_ring rings[AGENT_LEVELS];
	uint64_t offset = AGENT_SHARED_AREAS + index * AGENT_AREA_STRIDE +
			  offsetof(struct agent_thread, rings);
	if (!read_exactly(space, target_addr_add(map->shared, (int64_t)offset), rings,
			  sizeof rings))
		return true;
	for (size_t level = 0; level < AGENT_LEVELS; level++)
		if (rings[level].busy_sp)
			return true;
	return false;
}

bool agent_map_is_busy(const struct target_space *space, const struct agent_map *map)
{
	struct agent_shared shared;
	if (!read_exactly(space, map->shared, &shared, sizeof shared))
		return true;
	for (uint64_t i = 0; i < AGENT_AREAS; i++)
		if (shared.area_state[i] && area_is_busy(space, map, i))
			return true;
	return false;
}

/* ---- making one */

/* The nearest room below `near`, apart from everything that is there; 0 if there is none. */
static target_addr find_room(const struct proc_maps *maps, target_addr near, uint64_t count_bytes)
{
	enum { LOWEST = 1 << 16 };
	target_addr best = {0};
	uint64_t end = LOWEST;
	for (size_t i = 0; i < maps->count && maps->items[i].start <= near.v; i++) {
		uint64_t start = maps->items[i].start;
		uint64_t guard = start - end > 4ull * GUARD_BYTES ? GUARD_BYTES : 16 * PAGE_BYTES;
		if (start > end && start - end >= count_bytes + 2 * guard) {
			uint64_t room = start - guard - count_bytes;
			if (near.v - room < REACH_BYTES)
				best.v = room;
		}
		end = maps->items[i].end;
	}
	return best;
}

/*
 * The nearest room above `near`, for where threads' stacks fill all that is below. Neither a heap
 * that grows up to it nor a stack that grows down to it may meet it.
 */
static target_addr find_room_above(const struct proc_maps *maps, target_addr near,
				   uint64_t count_bytes)
{
	for (size_t i = 0; i < maps->count; i++) {
		const struct proc_mapping *below = &maps->items[i];
		bool last = i + 1 == maps->count;
		uint64_t end = last ? USER_END : below[1].start;
		uint64_t guard = !last && strcmp(below[1].path, "[stack]") == 0 ? STACK_BYTES
										: 16 * PAGE_BYTES;
		uint64_t room = below->end + 16 * PAGE_BYTES;
		if (below->end <= near.v || strcmp(below->path, "[heap]") == 0)
			continue;
		if (room + count_bytes - near.v > REACH_BYTES)
			break;
		if (end > room && end - room >= count_bytes + guard)
			return (target_addr){room};
	}
	return (target_addr){0};
}

static struct error *check_result(int64_t result, const char *what)
{
	return result >= 0 || result < -4095
		       ? NULL
		       : error_new(ERROR_UNSUPPORTED, "%s was refused in the target: %s", what,
				   strerror((int)-result));
}

static struct error *map_remotely(struct remote *remote, target_addr at, uint64_t count_bytes,
				  int protection, int flags, int64_t fd, target_addr *ret)
{
	int64_t result;
	if (at.v)
		flags |= MAP_FIXED_NOREPLACE;
	uint64_t arguments[6] = {
		at.v, count_bytes, (uint64_t)protection, (uint64_t)flags, (uint64_t)fd, 0};
	struct error *err = remote_call(remote, SYS_mmap, arguments, &result);
	if (!err)
		err = check_result(result, "memory for the agent");
	if (!err && at.v && result != (int64_t)at.v)
		err = error_new(ERROR_UNSUPPORTED, "the agent's place was taken");
	ret->v = (uint64_t)result;
	return err;
}

static void call_quietly(struct remote *remote, uint64_t number, uint64_t first, uint64_t second,
			 uint64_t third)
{
	int64_t result;
	uint64_t arguments[6] = {first, second, third};
	error_free(remote_call(remote, number, arguments, &result));
}

static struct error *create_memfd(const struct target_space *space, struct remote *remote,
				  int64_t *inner_ret, int *fd_ret)
{
	static const char name[] = AGENT_MEMFD_NAME;
	target_addr scratch = remote_scratch(remote);
	struct error *err = target_write(space, scratch, name, sizeof name);
	uint64_t flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	uint64_t arguments[6] = {scratch.v, flags | NO_EXEC_SEAL};
	if (!err)
		err = remote_call(remote, SYS_memfd_create, arguments, inner_ret);
	if (!err && *inner_ret == -EINVAL) { /* a kernel before 6.3 does not know the seal */
		arguments[1] = flags;
		err = remote_call(remote, SYS_memfd_create, arguments, inner_ret);
	}
	if (!err)
		err = check_result(*inner_ret, "shared memory for the agent");
	if (err)
		return err;
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/fd/%ld", space->pid, (long)*inner_ret);
	*fd_ret = open(path, O_RDWR | O_CLOEXEC);
	return *fd_ret >= 0 ? NULL
			    : error_system(errno, "cannot open the memory shared with the target");
}

/*
 * Room for the shared memory away from where the kernel puts libraries: its gigabytes between them
 * would take them out of each other's reach. 0: none of the usual places is free.
 */
static target_addr find_far_room(const struct target_space *space)
{
	static const uint64_t places[] = {0x200000000000, 0x280000000000, 0x180000000000,
					  0x300000000000};
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	_cleanup_error_ struct error *err = proc_maps_read(space->pid, &maps);
	for (size_t i = 0; !err && i < sizeof places / sizeof places[0]; i++) {
		bool taken = false;
		for (size_t m = 0; m < maps.count && !taken; m++)
			taken = maps.items[m].start < places[i] + AGENT_SHARED_BYTES &&
				maps.items[m].end > places[i];
		if (!taken)
			return (target_addr){places[i]};
	}
	return (target_addr){0};
}

static struct error *map_shared(const struct target_space *space, struct remote *remote,
				uint32_t depth, struct agent_map *map, struct channel **ret)
{
	_cleanup_close_ int fd = -1;
	int64_t inner = -1;
	struct channel *channel = NULL;
	struct error *err = create_memfd(space, remote, &inner, &fd);
	killpoint(KILLPOINT_MEMFD_MADE);
	if (!err)
		err = channel_open(fd, depth, &channel);
	killpoint(KILLPOINT_SHARED_SHAPED);
	if (!err) {
		/*
		 * In place of an earlier session's, if nobody can be at work in that. Of a session
		 * that was killed we cannot know: its memory stays where it is.
		 */
		bool replace = map->reusable && map->vacated;
		target_addr place = replace ? map->shared : find_far_room(space);
		int fixed = replace ? MAP_FIXED : place.v ? MAP_FIXED_NOREPLACE : 0;
		uint64_t arguments[6] = {place.v, AGENT_SHARED_BYTES, PROT_READ | PROT_WRITE,
					 (uint64_t)(MAP_SHARED | MAP_NORESERVE | fixed),
					 (uint64_t)inner};
		int64_t result;
		err = remote_call(remote, SYS_mmap, arguments, &result);
		if (!err)
			err = check_result(result, "the agent's shared memory");
		if (!err)
			map->shared.v = (uint64_t)result;
	}
	killpoint(KILLPOINT_SHARED_MAPPED);
	if (inner >= 0)
		call_quietly(remote, SYS_close, (uint64_t)inner, 0, 0);
	killpoint(KILLPOINT_MEMFD_CLOSED);
	if (err) {
		channel_destroy(channel);
		return err;
	}
	call_quietly(remote, SYS_madvise, map->shared.v, AGENT_SHARED_BYTES, MADV_DONTDUMP);
	channel->address = map->shared;
	*ret = channel;
	return NULL;
}

static struct error *map_code(const struct target_space *space, struct remote *remote,
			      target_addr near, struct agent_map *map)
{
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	target_addr private_page, code;
	int64_t result;
	struct error *err = proc_maps_read(space->pid, &maps);
	if (err)
		return err;
	target_addr room = find_room(&maps, near, AGENT_CODE_BYTES + private_bytes());
	if (!room.v)
		room = find_room_above(&maps, near, AGENT_CODE_BYTES + private_bytes());
	if (!room.v)
		return error_new(ERROR_UNSUPPORTED, "no room for the agent within reach");
	err = map_remotely(remote, target_addr_add(room, AGENT_CODE_BYTES), private_bytes(),
			   PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, &private_page);
	killpoint(KILLPOINT_PRIVATE_MAPPED);
	uint64_t wipe[6] = {private_page.v, private_bytes(), MADV_WIPEONFORK};
	if (!err)
		err = remote_call(remote, SYS_madvise, wipe, &result);
	if (!err)
		err = check_result(result, "MADV_WIPEONFORK");
	killpoint(KILLPOINT_PRIVATE_WIPED_ON_FORK);
	if (!err)
		err = map_remotely(remote, room, AGENT_CODE_BYTES, PROT_READ | PROT_EXEC,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, &code);
	killpoint(KILLPOINT_CODE_MAPPED);
	if (!err)
		err = target_write(space, room, agent_image, agent_image_bytes);
	killpoint(KILLPOINT_CODE_FILLED);
	if (!err)
		map->code = room;
	return err;
}

static bool is_near(target_addr start, uint64_t count_bytes, target_addr from)
{
	uint64_t end = start.v + count_bytes;
	return start.v && (from.v > start.v ? from.v - start.v : end - from.v) < REACH_BYTES;
}

size_t agent_map_block(const struct agent_map *map, target_addr from)
{
	if (is_near(map->code, AGENT_CODE_BYTES, from))
		return 0;
	size_t i = 0;
	while (i < AGENT_OUTPOSTS && !is_near(map->outposts[i], AGENT_OUTPOST_BYTES, from))
		i++;
	return 1 + i;
}

static struct error *fill_outpost(const struct target_space *space, const struct agent_map *map,
				  size_t index, target_addr at)
{
	struct agent_header header;
	memcpy(&header, agent_image, sizeof header);
	struct agent_outpost outpost = {.enter = map->code.v + header.enter,
					.leave = map->code.v + header.leave,
					.find = map->code.v + header.find};
	target_addr field = target_addr_add(
		map->code, (int64_t)(offsetof(struct agent_header, outposts) + index * sizeof at));
	struct error *err = target_write(space, at, &outpost, sizeof outpost);
	return err ? err : target_write(space, field, &at, sizeof at);
}

struct error *agent_map_add_outpost(const struct target_space *space, struct remote *remote,
				    target_addr near, struct agent_map *map)
{
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	target_addr mapped;
	size_t index = 0;
	while (index < AGENT_OUTPOSTS && map->outposts[index].v)
		index++;
	if (index == AGENT_OUTPOSTS)
		return error_new(ERROR_UNSUPPORTED, "the agent is in %d places already",
				 AGENT_MAP_BLOCKS);
	struct error *err = proc_maps_read(space->pid, &maps);
	if (err)
		return err;
	target_addr room = find_room(&maps, near, AGENT_OUTPOST_BYTES);
	if (!room.v)
		return error_new(ERROR_UNSUPPORTED, "no room for the agent within reach");
	err = map_remotely(remote, room, AGENT_OUTPOST_BYTES, PROT_READ | PROT_EXEC,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, &mapped);
	if (!err)
		err = fill_outpost(space, map, index, room);
	if (!err)
		map->outposts[index] = room;
	return err;
}

/* Events of different CPUs are put in order by it (Intel SDM volume 3, 18.17.1). */
static bool has_one_clock(void)
{
	enum { POWER_LEAF = 0x80000007, INVARIANT_TSC = 1 << 8 };
	unsigned a, b, c, d;
	return __get_cpuid(POWER_LEAF, &a, &b, &c, &d) && d & INVARIANT_TSC;
}

struct error *agent_map_make(const struct target_space *space, struct remote *remote,
			     target_addr near, uint32_t depth, struct agent_map *map,
			     struct channel **ret)
{
	if (!(getauxval(AT_HWCAP2) & FSGSBASE))
		return error_new(ERROR_UNSUPPORTED, "the processor or kernel lacks rdfsbase");
	if (!has_one_clock())
		return error_new(ERROR_UNSUPPORTED,
				 "the processor's time stamp counter is not invariant");
	struct channel *channel;
	struct error *err = map->code.v ? NULL : map_code(space, remote, near, map);
	if (!err)
		err = map_shared(space, remote, depth, map, &channel);
	if (err)
		return err;
	channel->shared->code = map->code.v;
	*ret = channel;
	return NULL;
}

/* ---- turning it on and off */

uint32_t agent_map_find_tid(const struct target_space *space, struct target_thread *thread)
{
	enum { LOOK_BYTES = 0x800, AFTER_POINTER = 8 };
	uint8_t control[LOOK_BYTES];
	struct proc_status status;
	_cleanup_error_ struct error *err = proc_status(thread->tid, &status);
	const struct user_regs_struct *registers = err ? NULL : target_registers(thread);
	size_t count = registers && registers->fs_base
			       ? target_read_some(space, (target_addr){registers->fs_base}, control,
						  sizeof control)
			       : 0;
	for (uint32_t i = AFTER_POINTER; i + sizeof status.inner_pid <= count; i += 4)
		if (memcmp(control + i, &status.inner_pid, sizeof status.inner_pid) == 0)
			return i;
	return 0;
}

struct error *agent_map_arm(const struct target_space *space, const struct agent_map *map,
			    target_addr modules)
{
	struct agent_private page = {0};
	struct proc_status process;
	struct error *err = proc_status(space->pid, &process);
	if (err)
		return err;
	page.space = space->id.v;
	page.shared = map->shared.v;
	page.modules = modules.v;
	page.pid = (uint32_t)process.inner_pid;
	page.tid_offset = map->tid_offset;
	err = target_write(space, agent_map_private(map), &page, sizeof page);
	killpoint(KILLPOINT_PRIVATE_WRITTEN);
	uint32_t on = AGENT_ON;
	return err ? err : target_write(space, agent_map_private(map), &on, sizeof on);
}

struct error *agent_map_disarm(const struct target_space *space, const struct agent_map *map)
{
	uint32_t off = AGENT_OFF;
	return target_write(space, agent_map_private(map), &off, sizeof off);
}

struct error *agent_map_set_tid_offset(const struct target_space *space,
				       const struct agent_map *map)
{
	target_addr field =
		target_addr_add(agent_map_private(map), offsetof(struct agent_private, tid_offset));
	return target_write(space, field, &map->tid_offset, sizeof map->tid_offset);
}

struct error *agent_map_set_stub_count(const struct target_space *space,
				       const struct agent_map *map, size_t block, uint32_t count)
{
	size_t offset = block ? offsetof(struct agent_header, outpost_stub_counts) +
					(block - 1) * sizeof count
			      : offsetof(struct agent_header, stub_count);
	return target_write(space, target_addr_add(map->code, (int64_t)offset), &count,
			    sizeof count);
}
