/* SPDX-License-Identifier: MIT */
#include "probe/jump.h"

#include <stdlib.h>
#include <string.h>

#include "arch/window.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "base/killpoint.h"
#include "probe/agent_map.h"
#include "probe/jump_stub.h"
#include "probe/text.h"

enum jump_state { JUMP_PLANNED, JUMP_PREPARED, JUMP_WRITTEN };

struct jump {
	enum jump_state state;
	struct probe_request request;
	struct window window;
	size_t block; /* of stubs, see agent_map.h */
	target_addr stub;
};

/* Stubs that lie together. */
struct jump_block {
	uint32_t count;
	target_addr sites[AGENT_STUBS_MAX];
};

/* A jump that an earlier session left. */
struct leftover {
	target_addr site;
	uint8_t replaced[CODE_JUMP_BYTES];
};

/*
 * Invariants: settled == (map.code.v != 0 && channel != NULL); a block's count <= AGENT_STUBS_MAX;
 * its stub i in the target, i < count, is of the jump at sites[i].
 */
struct jumps {
	const struct target_space *space;
	struct code_reader reader;
	struct precedents *precedents;
	struct jump *items;
	size_t count, capacity;
	struct leftover *leftovers;
	size_t leftover_count, leftover_capacity;
	struct agent_map map;
	struct channel *channel;
	target_addr modules; /* where the agent finds this process's list */
	struct jump_block blocks[AGENT_MAP_BLOCKS];
	struct text text; /* of the module planned last */
};

struct error *jumps_create(const struct target_space *space, const struct code_reader *reader,
			   struct precedents *precedents, struct jumps **ret)
{
	struct jumps *jumps = calloc(1, sizeof *jumps);
	if (!jumps)
		return error_no_memory();
	jumps->space = space;
	jumps->reader = *reader;
	jumps->precedents = precedents;
	*ret = jumps;
	return NULL;
}

void jumps_destroy(struct jumps *jumps)
{
	if (!jumps)
		return;
	if (jumps->channel)
		channel_remove_process(jumps->channel, jumps->modules);
	text_deinit(&jumps->text);
	free(jumps->items);
	free(jumps->leftovers);
	free(jumps);
}

static void cleanup_jumpsp(struct jumps **jumps)
{
	jumps_destroy(*jumps);
}

/* The parent's may have been taken out since the fork. */
static bool is_written_in(const struct target_space *space, const struct jump *jump)
{
	uint8_t wanted[CODE_JUMP_BYTES], found[CODE_JUMP_BYTES];
	return jump->state == JUMP_WRITTEN ||
	       (jump->state == JUMP_PREPARED &&
		code_encode_jump(jump->window.entry, jump->stub, wanted) &&
		target_read_some(space, jump->window.entry, found, sizeof found) == sizeof found &&
		memcmp(wanted, found, sizeof found) == 0);
}

struct error *jumps_copy(const struct jumps *jumps, const struct target_space *space,
			 const struct code_reader *reader, struct jumps **ret)
{
	__attribute__((__cleanup__(cleanup_jumpsp))) struct jumps *copy = NULL;
	struct error *err = jumps_create(space, reader, jumps->precedents, &copy);
	if (err)
		return err;
	for (size_t i = 0; i < jumps->count; i++) {
		if (!is_written_in(space, &jumps->items[i]))
			continue;
		if (!array_reserve(&copy->items, &copy->capacity, copy->count + 1,
				   sizeof *copy->items))
			return error_no_memory();
		copy->items[copy->count] = jumps->items[i];
		copy->items[copy->count++].state = JUMP_WRITTEN;
	}
	copy->map = jumps->map;
	memcpy(copy->blocks, jumps->blocks, sizeof copy->blocks);
	if (jumps->channel) {
		err = channel_add_process(jumps->channel, &copy->modules);
		if (err)
			return err;
		copy->channel = jumps->channel;
	}
	*ret = take_ptr(copy);
	return NULL;
}

bool jumps_are_settled(const struct jumps *jumps)
{
	return jumps->channel != NULL;
}

struct channel *jumps_channel(const struct jumps *jumps)
{
	return jumps->channel;
}

static struct jump *find(const struct jumps *jumps, target_addr entry)
{
	for (size_t i = 0; i < jumps->count; i++)
		if (jumps->items[i].request.entry.v == entry.v)
			return &jumps->items[i];
	return NULL;
}

bool jumps_has(const struct jumps *jumps, target_addr entry)
{
	return find(jumps, entry) != NULL;
}

bool jumps_cover(const struct jumps *jumps, target_addr address)
{
	for (size_t i = 0; i < jumps->count; i++)
		if (address.v - jumps->items[i].window.entry.v < CODE_JUMP_BYTES)
			return true;
	return false;
}

bool jumps_are_pending(const struct jumps *jumps)
{
	for (size_t i = 0; i < jumps->count; i++)
		if (jumps->items[i].state != JUMP_WRITTEN)
			return true;
	return false;
}

bool jumps_have_allocator(const struct jumps *jumps)
{
	for (size_t i = 0; i < jumps->count; i++)
		if (jumps->items[i].state == JUMP_WRITTEN &&
		    jumps->items[i].request.purpose == PROBE_ALLOCATOR)
			return true;
	return false;
}

/* ---- what an earlier session left */

static struct error *note_leftover(struct jumps *jumps, const struct agent_stub *stub,
				   target_addr stub_address)
{
	uint8_t standing[CODE_JUMP_BYTES], ours[CODE_JUMP_BYTES];
	target_addr site = {stub->site};
	if (target_read_some(jumps->space, site, standing, sizeof standing) != sizeof standing ||
	    !code_encode_jump(site, stub_address, ours) || memcmp(standing, ours, sizeof ours) != 0)
		return NULL;
	if (!array_reserve(&jumps->leftovers, &jumps->leftover_capacity, jumps->leftover_count + 1,
			   sizeof *jumps->leftovers))
		return error_no_memory();
	struct leftover *leftover = &jumps->leftovers[jumps->leftover_count++];
	leftover->site = site;
	memcpy(leftover->replaced, stub->replaced, sizeof leftover->replaced);
	return NULL;
}

static struct error *adopt_block(struct jumps *jumps, size_t block, uint32_t count)
{
	struct error *err = NULL;
	for (uint32_t i = 0; !err && i < count; i++) {
		struct agent_stub stub;
		target_addr address = agent_map_stub(&jumps->map, block, i);
		err = target_read(jumps->space, address, &stub, sizeof stub);
		if (err)
			return err;
		jumps->blocks[block].sites[i].v = stub.site;
		err = note_leftover(jumps, &stub, address);
	}
	jumps->blocks[block].count = count;
	return err;
}

struct error *jumps_adopt(struct jumps *jumps, size_t *found_ret)
{
	*found_ret = 0;
	uint32_t stub_counts[AGENT_MAP_BLOCKS];
	struct error *err = agent_map_find(jumps->space, &jumps->map, stub_counts);
	for (size_t block = 0; !err && block < AGENT_MAP_BLOCKS; block++)
		err = adopt_block(jumps, block, stub_counts[block]);
	if (err)
		return err;
	*found_ret = jumps->leftover_count;
	/* Code of another version may still be run by a thread: it stays, and ours goes elsewhere.
	 */
	if (!jumps->map.reusable) {
		jumps->map = (struct agent_map){0};
		memset(jumps->blocks, 0, sizeof jumps->blocks);
	}
	return NULL;
}

static struct error *remove_leftovers(struct jumps *jumps)
{
	struct error *err = NULL;
	while (!err && jumps->leftover_count) {
		struct leftover *last = &jumps->leftovers[jumps->leftover_count - 1];
		err = target_write(jumps->space, last->site, last->replaced, sizeof last->replaced);
		if (!err)
			jumps->leftover_count--;
	}
	return err;
}

bool jumps_have_predecessor(const struct jumps *jumps)
{
	return jumps->leftover_count || (jumps->map.reusable && !jumps->map.vacated);
}

struct error *jumps_retire_predecessor(struct jumps *jumps)
{
	struct error *err = remove_leftovers(jumps);
	return err || !jumps->map.reusable ? err : agent_map_disarm(jumps->space, &jumps->map);
}

bool jumps_predecessor_rests(struct jumps *jumps)
{
	jumps->map.vacated = jumps->map.reusable && !agent_map_is_busy(jumps->space, &jumps->map);
	return !jumps->map.reusable || jumps->map.vacated;
}

/* ---- planning */

static struct error *plan_window(struct jumps *jumps, const struct probe_request *request,
				 struct window *ret)
{
	if (precedents_find(jumps->precedents, request, &jumps->reader, ret))
		return NULL;
	struct error *err =
		text_load(&jumps->text, &jumps->reader, request->text_start, request->text_end);
	if (!err)
		err = window_plan(&jumps->reader, request->entry, &jumps->text.survey, ret);
	return err ? err : precedents_add(jumps->precedents, request, ret);
}

struct error *jumps_plan(struct jumps *jumps, const struct probe_request *request)
{
	if (jumps_has(jumps, request->entry))
		return NULL;
	struct jump jump = {.state = JUMP_PLANNED, .request = *request};
	struct error *err = plan_window(jumps, request, &jump.window);
	if (err)
		return err;
	if (!array_reserve(&jumps->items, &jumps->capacity, jumps->count + 1, sizeof *jumps->items))
		return error_no_memory();
	jumps->items[jumps->count++] = jump;
	return NULL;
}

static bool lies_in(const struct jump *jump, target_addr start, target_addr end)
{
	return jump->request.entry.v >= start.v && jump->request.entry.v < end.v;
}

void jumps_withdraw(struct jumps *jumps, target_addr start, target_addr end)
{
	size_t kept = 0;
	for (size_t i = 0; i < jumps->count; i++)
		if (jumps->items[i].state == JUMP_WRITTEN || !lies_in(&jumps->items[i], start, end))
			jumps->items[kept++] = jumps->items[i];
	jumps->count = kept;
}

void jumps_forget(struct jumps *jumps, target_addr start, target_addr end)
{
	size_t kept = 0;
	for (size_t i = 0; i < jumps->count; i++)
		if (!lies_in(&jumps->items[i], start, end))
			jumps->items[kept++] = jumps->items[i];
	jumps->count = kept;
	text_deinit(&jumps->text);
}

/* ---- the agent */

struct error *jumps_settle(struct jumps *jumps, struct remote *remote, uint32_t depth)
{
	if (!jumps->count)
		return NULL;
	struct error *err = agent_map_make(jumps->space, remote, jumps->items[0].request.text_start,
					   depth, &jumps->map, &jumps->channel);
	if (!err)
		err = channel_add_process(jumps->channel, &jumps->modules);
	return err;
}

static bool is_out_of_reach(const struct jumps *jumps, const struct jump *jump)
{
	return jump->state == JUMP_PLANNED &&
	       agent_map_block(&jumps->map, jump->request.text_start) == AGENT_MAP_BLOCKS;
}

bool jumps_lack_room(const struct jumps *jumps)
{
	for (size_t i = 0; i < jumps->count; i++)
		if (is_out_of_reach(jumps, &jumps->items[i]))
			return true;
	return false;
}

struct error *jumps_extend(struct jumps *jumps, struct remote *remote)
{
	struct error *err = NULL;
	for (size_t i = 0; !err && i < jumps->count; i++)
		if (is_out_of_reach(jumps, &jumps->items[i]))
			err = agent_map_add_outpost(jumps->space, remote,
						    jumps->items[i].request.text_start,
						    &jumps->map);
	return err;
}

struct error *jumps_publish(struct jumps *jumps, const struct unwind_module *modules, size_t count)
{
	return channel_publish(jumps->channel, jumps->modules, modules, count);
}

void jumps_learn_threads(struct jumps *jumps, struct target_thread *thread)
{
	uint32_t found = agent_map_find_tid(jumps->space, thread);
	if (found)
		jumps->map.tid_offset = found;
}

struct error *jumps_arm(struct jumps *jumps)
{
	return agent_map_arm(jumps->space, &jumps->map, jumps->modules);
}

struct error *jumps_hint_threads(struct jumps *jumps, uint32_t tid_offset)
{
	if (jumps->map.tid_offset || !tid_offset)
		return NULL;
	jumps->map.tid_offset = tid_offset;
	return jumps->channel ? agent_map_set_tid_offset(jumps->space, &jumps->map) : NULL;
}

struct error *jumps_disarm(struct jumps *jumps)
{
	return jumps->channel ? agent_map_disarm(jumps->space, &jumps->map) : NULL;
}

static struct error *build_stub(const struct jumps *jumps, const struct jump *jump,
				target_addr address, struct agent_stub *ret)
{
	target_addr outpost = jump->block ? jumps->map.outposts[jump->block - 1] : (target_addr){0};
	return jump_stub_build(&jumps->reader, &jump->request, &jump->window, jumps->map.code,
			       outpost, address, ret);
}

/*
 * Sets jump->stub to the stub that it has from an earlier time, of an adopted agent or from before
 * its module was unloaded; *found_ret false where there is none.
 */
static struct error *reuse_stub(const struct jumps *jumps, struct jump *jump, bool *found_ret)
{
	const struct jump_block *block = &jumps->blocks[jump->block];
	*found_ret = false;
	for (uint32_t i = 0; i < block->count; i++) {
		if (block->sites[i].v != jump->window.entry.v)
			continue;
		struct agent_stub there, wanted;
		jump->stub = agent_map_stub(&jumps->map, jump->block, i);
		struct error *err = target_read(jumps->space, jump->stub, &there, sizeof there);
		if (!err)
			err = build_stub(jumps, jump, jump->stub, &wanted);
		*found_ret = !err && memcmp(&wanted, &there, sizeof wanted) == 0;
		if (err || *found_ret)
			return err;
	}
	return NULL;
}

static struct error *write_stub(struct jumps *jumps, struct jump *jump)
{
	struct jump_block *block = &jumps->blocks[jump->block];
	if (block->count == AGENT_STUBS_MAX)
		return error_new(ERROR_UNSUPPORTED, "the agent has room for %d functions",
				 AGENT_STUBS_MAX);
	struct agent_stub stub;
	jump->stub = agent_map_stub(&jumps->map, jump->block, block->count);
	struct error *err = build_stub(jumps, jump, jump->stub, &stub);
	if (!err)
		err = target_write(jumps->space, jump->stub, &stub, sizeof stub);
	if (err)
		return err;
	killpoint(KILLPOINT_STUB_WRITTEN);
	block->sites[block->count++] = jump->window.entry;
	err = agent_map_set_stub_count(jumps->space, &jumps->map, jump->block, block->count);
	killpoint(KILLPOINT_STUB_COUNTED);
	return err;
}

/* A jump that cannot be written must be known before the first one is. */
static struct error *check_reach(const struct jump *jump)
{
	uint8_t bytes[CODE_JUMP_BYTES];
	return code_encode_jump(jump->window.entry, jump->stub, bytes)
		       ? NULL
		       : error_new(ERROR_UNSUPPORTED, "the agent is out of reach");
}

static struct error *prepare(struct jumps *jumps, struct jump *jump)
{
	bool found;
	jump->block = agent_map_block(&jumps->map, jump->request.text_start);
	if (jump->block == AGENT_MAP_BLOCKS)
		return error_new(ERROR_UNSUPPORTED, "the agent is out of reach");
	struct error *err = reuse_stub(jumps, jump, &found);
	if (!err && !found)
		err = write_stub(jumps, jump);
	return err ? err : check_reach(jump);
}

struct error *jumps_prepare(struct jumps *jumps)
{
	struct error *err = NULL;
	for (size_t i = 0; !err && i < jumps->count; i++) {
		if (jumps->items[i].state != JUMP_PLANNED)
			continue;
		err = prepare(jumps, &jumps->items[i]);
		if (!err)
			jumps->items[i].state = JUMP_PREPARED;
	}
	text_deinit(&jumps->text);
	return err;
}

/* ---- the jumps */

static bool is_blocked(const struct jump *jump, uint64_t pc)
{
	return jump->state != JUMP_WRITTEN && pc > jump->window.entry.v &&
	       pc < jump->window.entry.v + CODE_JUMP_BYTES;
}

bool jumps_block_pc(const struct jumps *jumps, uint64_t pc)
{
	for (size_t i = 0; i < jumps->count; i++)
		if (is_blocked(&jumps->items[i], pc))
			return true;
	return false;
}

bool jumps_resume(const struct jumps *jumps, uint64_t pc, uint64_t *ret)
{
	for (size_t i = 0; i < jumps->count; i++) {
		const struct jump *jump = &jumps->items[i];
		target_addr place;
		if (jump->state != JUMP_PREPARED || !is_blocked(jump, pc))
			continue;
		target_addr copy = target_addr_add(jump->stub, offsetof(struct agent_stub, window));
		if (!window_resume(&jumps->reader, &jump->window, copy, (target_addr){pc}, &place))
			return false;
		*ret = place.v;
		return true;
	}
	return false;
}

bool jumps_block_stack(const struct jumps *jumps, const uint64_t *words, size_t count)
{
	uint64_t low = UINT64_MAX, high = 0;
	for (size_t i = 0; i < jumps->count; i++) {
		uint64_t entry = jumps->items[i].window.entry.v;
		low = entry < low ? entry : low;
		high = entry > high ? entry : high;
	}
	for (size_t i = 0; i < count; i++)
		if (words[i] > low && words[i] < high + CODE_JUMP_BYTES &&
		    jumps_block_pc(jumps, words[i]))
			return true;
	return false;
}

static struct error *write_jump(struct jumps *jumps, struct jump *jump)
{
	uint8_t bytes[CODE_JUMP_BYTES];
	if (!code_encode_jump(jump->window.entry, jump->stub, bytes))
		return error_new(ERROR_UNSUPPORTED, "the agent is out of reach");
	struct error *err = target_write(jumps->space, jump->window.entry, bytes, sizeof bytes);
	if (!err)
		jump->state = JUMP_WRITTEN;
	return err;
}

struct error *jumps_write(struct jumps *jumps)
{
	struct error *first = NULL;
	for (size_t i = 0; i < jumps->count; i++) {
		if (jumps->items[i].state != JUMP_PREPARED)
			continue;
		struct error *err = write_jump(jumps, &jumps->items[i]);
		killpoint(KILLPOINT_JUMP_WRITTEN);
		error_keep_first(&first, err);
	}
	return first;
}

/* What was written last, creations, goes first: see the order in which a family is planned. */
struct error *jumps_remove(struct jumps *jumps)
{
	struct error *first = NULL;
	for (size_t i = jumps->count; i-- > 0;) {
		struct jump *jump = &jumps->items[i];
		if (jump->state != JUMP_WRITTEN)
			continue;
		struct error *err = target_write(jumps->space, jump->window.entry,
						 jump->window.bytes, CODE_JUMP_BYTES);
		killpoint(KILLPOINT_JUMP_REMOVED);
		if (!err)
			jump->state = JUMP_PREPARED;
		error_keep_first(&first, err);
	}
	return first;
}

bool jumps_hold(const struct jumps *jumps, uint64_t pc)
{
	return jumps->map.code.v && agent_map_holds(&jumps->map, pc);
}

bool jumps_own(const struct jumps *jumps, uint64_t address)
{
	return agent_map_owns(&jumps->map, address);
}

static void undo_at(target_addr site, const uint8_t original[CODE_JUMP_BYTES], target_addr address,
		    uint8_t *bytes, size_t count)
{
	for (uint64_t i = 0; i < CODE_JUMP_BYTES; i++)
		if (site.v + i >= address.v && site.v + i < address.v + count)
			bytes[site.v + i - address.v] = original[i];
}

void jumps_undo(const struct jumps *jumps, target_addr address, void *bytes, size_t count)
{
	for (size_t i = 0; i < jumps->leftover_count; i++)
		undo_at(jumps->leftovers[i].site, jumps->leftovers[i].replaced, address, bytes,
			count);
	for (size_t i = 0; i < jumps->count; i++)
		if (jumps->items[i].state == JUMP_WRITTEN)
			undo_at(jumps->items[i].window.entry, jumps->items[i].window.bytes, address,
				bytes, count);
}
