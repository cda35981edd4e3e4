/* SPDX-License-Identifier: MIT */
#include "agent/call.h"

#include "agent/cache_inline.h"
#include "agent/linker.h"
#include "agent/outer.h"

/* Where the call's return address stands. */
static uint64_t sp_of(const struct agent_saved *saved)
{
	return (uint64_t)(saved + 1);
}

static const struct agent_stub *stub_of(const struct agent_saved *saved)
{
	return (const struct agent_stub *)saved->frame.stub;
}

static uint64_t pick(const uint64_t *arguments, uint8_t number)
{
	return number ? arguments[number - 1] : 0;
}

static uint64_t size_of(const struct agent_stub *stub, const uint64_t *arguments)
{
	uint64_t size = stub->size_constant;
	if (!size)
		size = pick(arguments, stub->size_argument);
	else if (stub->size_argument &&
		 __builtin_mul_overflow(size, pick(arguments, stub->size_argument), &size))
		return UINT64_MAX;
	if (stub->count_argument &&
	    __builtin_mul_overflow(size, pick(arguments, stub->count_argument), &size))
		return UINT64_MAX;
	return size;
}

/* Whether the call comes from the allocator's own module. */
static bool is_inner(const struct agent_saved *saved)
{
	const struct agent_stub *stub = stub_of(saved);
	uint64_t caller = *(const uint64_t *)sp_of(saved);
	return caller - stub->module_start < stub->module_end - stub->module_start;
}

/*
 * The function is about to read what stands before the block or at its start, and would wait for
 * it: it can arrive while we work. Of any value: a prefetch takes no fault (Intel SDM volume 2,
 * PREFETCHh).
 */
static inline void fetch_released(uint64_t address)
{
	enum { HEADER_BYTES = 16 };
	__builtin_prefetch((const void *)(address - HEADER_BYTES));
}

/* Only of a leaf: the one allocator that releases blocks behind its callers' backs has a leaf. */
static bool enter_release(struct agent_thread *thread, const struct agent_saved *saved, uint64_t bp)
{
	uint64_t address = pick(saved->arguments, stub_of(saved)->pointer_argument);
	fetch_released(address);
	if (__builtin_expect(is_inner(saved), 0))
		return record_slowly(thread, sp_of(saved), bp,
				     record_word(RING_RELEASE_INNER, address), 0, 0);
	return record_put(thread, sp_of(saved), bp, RING_RELEASE, address, 0, 0);
}

static __attribute__((noinline)) bool enter_through(struct agent_thread *thread,
						    struct agent_saved *saved, uint64_t bp)
{
	const struct agent_stub *stub = stub_of(saved);
	struct agent_frame *frame = &saved->frame;
	uint64_t resized = 0;
	frame->size_bytes = size_of(stub, saved->arguments);
	frame->old = pick(saved->arguments, stub->result_argument);
	if (stub->role == AGENT_RELEASE)
		record_put(thread, sp_of(saved), bp, RING_RELEASE,
			   pick(saved->arguments, stub->pointer_argument), 0, 0);
	if (stub->role == AGENT_RESIZE) {
		frame->old = resized = pick(saved->arguments, stub->pointer_argument);
		if (resized)
			record_put(thread, sp_of(saved), bp, RING_RESIZE_BEGIN, resized, 0, 0);
	}
	outer_begin(thread, frame, sp_of(saved), resized);
	return true;
}

/* No thread or no room for one: the event is lost. */
static __attribute__((noinline)) bool pass_by(void)
{
	record_lose();
	return false;
}

/* seccomp(2), prctl(2): what comes after would kill the target for what we do in its name. */
static __attribute__((noinline)) bool enter_confinement(const struct agent_saved *saved)
{
	enum { PRCTL = 157, SECCOMP = 317, SET_MODES = 2, PR_SET_SECCOMP = 22, PR_SET_TSC = 26 };
	const struct agent_stub *stub = stub_of(saved);
	uint64_t number = stub->size_argument ? pick(saved->arguments, stub->size_argument) : PRCTL;
	uint32_t option = (uint32_t)pick(saved->arguments, stub->pointer_argument);
	if ((number == SECCOMP && option < SET_MODES) ||
	    (number == PRCTL && (option == PR_SET_SECCOMP || option == PR_SET_TSC)))
		record_give_up();
	return false;
}

bool agent_enter(struct agent_saved *saved, uint64_t bp)
{
	const struct agent_stub *stub = stub_of(saved);
	if (__builtin_expect(stub->role >= AGENT_LINKER, 0))
		return stub->role == AGENT_LINKER ? linker_ask() : enter_confinement(saved);
	struct agent_thread *thread = thread_find();
	if (__builtin_expect(!thread, 0))
		return pass_by();
	if (__builtin_expect(thread->outer_sp != 0, 0) && outer_contains(thread, sp_of(saved)))
		return false;
	if (stub->role == AGENT_RELEASE && stub->leaf)
		return enter_release(thread, saved, bp);
	return enter_through(thread, saved, bp);
}

/* What the function gave, 0 if nothing. */
static uint64_t result_of(const struct agent_stub *stub, const struct agent_saved *saved,
			  uint64_t stored_at)
{
	if (stub->result == AGENT_RETURNS_ADDRESS)
		return saved->rax;
	if (stub->result == AGENT_RETURNS_SIZE)
		return saved->rax >= saved->frame.size_bytes ? saved->frame.old : 0;
	return (uint32_t)saved->rax == 0 ? *(const uint64_t *)stored_at : 0;
}

/* Flattened, as the other, with the look-up of the stack. */
static __attribute__((flatten, noinline)) bool leave_creation(struct agent_thread *thread,
							      uint64_t sp, uint64_t bp,
							      uint64_t address, uint64_t size_bytes)
{
	if (__builtin_expect(address == 0, 0))
		return record_slowly(thread, sp, bp, record_word(RING_FAILED, 0), 0, size_bytes);
	return record_put(thread, sp, bp, RING_CREATE, address, 0, size_bytes);
}

static __attribute__((flatten, noinline)) bool leave_resize(struct agent_thread *thread,
							    uint64_t sp, uint64_t bp,
							    uint64_t address,
							    const struct agent_frame *frame)
{
	if (address == 0 && frame->size_bytes == 0)
		return record_put(thread, sp, bp, RING_RESIZE_RELEASED, frame->old, 0, 0);
	return record_put(thread, sp, bp, RING_RESIZE_END, frame->old, address, frame->size_bytes);
}

static __attribute__((noinline)) void leave_through(struct agent_thread *thread,
						    const struct agent_saved *saved, uint64_t bp)
{
	const struct agent_stub *stub = stub_of(saved);
	const struct agent_frame *frame = &saved->frame;
	outer_end(thread, frame);
	if (stub->role == AGENT_RELEASE || stub->role == AGENT_HIDE)
		return;
	uint64_t address = result_of(stub, saved, frame->old);
	if (stub->role == AGENT_RESIZE && frame->old)
		leave_resize(thread, sp_of(saved), bp, address, frame);
	else
		leave_creation(thread, sp_of(saved), bp, address, frame->size_bytes);
}

void agent_leave(const struct agent_saved *saved, uint64_t bp)
{
	const struct agent_stub *stub = stub_of(saved);
	struct agent_thread *thread = thread_find();
	if (__builtin_expect(!thread, 0)) {
		record_lose();
		return;
	}
	if (__builtin_expect(!stub->leaf || stub->role != AGENT_CREATE, 0)) {
		leave_through(thread, saved, bp);
		return;
	}
	if (__builtin_expect(thread->outer_sp != 0, 0) && outer_contains(thread, sp_of(saved)))
		return;
	const uint64_t *arguments = &saved->frame.size_bytes;
	leave_creation(thread, sp_of(saved), bp,
		       result_of(stub, saved, pick(arguments, stub->result_argument)),
		       size_of(stub, arguments));
}

/* The stub in [start, start + AGENT_STUBS_MAX stubs) whose call, by pc, has not returned; 0: none.
 */
static uint64_t stub_of_call(uint64_t start, uint64_t pc)
{
	uint64_t offset = pc - start;
	/* pc is in the call, not behind it: a return address less 1. */
	if (offset >= AGENT_STUBS_MAX * sizeof(struct agent_stub) ||
	    offset % sizeof(struct agent_stub) != CALL_RETURN - 1)
		return 0;
	return pc - (CALL_RETURN - 1);
}

static uint64_t find_stub(uint64_t pc)
{
	uint64_t image = (uint64_t)agent_header_bytes;
	const struct agent_header *header = (const struct agent_header *)image;
	uint64_t stub = stub_of_call(image + AGENT_IMAGE_MAX_BYTES, pc);
	for (size_t i = 0; !stub && i < AGENT_OUTPOSTS; i++)
		if (header->outposts[i])
			stub = stub_of_call(header->outposts[i] + AGENT_OUTPOST_HEAD_BYTES, pc);
	return stub;
}

uint64_t agent_unwound(uint64_t pc)
{
	uint64_t stub = find_stub(pc);
	struct agent_thread *thread =
		stub && agent_private.state != AGENT_OFF ? thread_find() : NULL;
	if (thread)
		outer_unwound(thread, stub);
	return stub;
}
