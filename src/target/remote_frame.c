/* SPDX-License-Identifier: MIT */
#include "target/remote_frame.h"

#include <cpuid.h>
#include <elf.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <ucontext.h>

#include "base/cleanup.h"
#include "target/remote.h"

/* arch/x86/include/uapi/asm/ucontext.h, whose header cannot stand beside libc's. */
enum { UC_FP_XSTATE = 1, UC_SIGCONTEXT_SS = 2, UC_STRICT_RESTORE_SS = 4 };

enum {
	RED_ZONE_BYTES = 128,
	XSAVE_MAX_BYTES = 32 << 10,
	XSAVE_ALIGNMENT = 64,
	XSAVE_FEATURES_OFFSET = 464, /* in the regset: the features there are (XCR0) */
	XSAVE_HEADER_OFFSET = 512,   /* the features in use */
	XSAVE_MIN_BYTES = XSAVE_HEADER_OFFSET + 64,
	MAGIC_BYTES = 4,
	CPUID_XSAVE = 13,
	TILE_DATA = 18, /* the one feature that a task must ask for before it has room for it */
	KERNEL_MASK_BYTES = 8,
	/* The kernel's struct ucontext is libc's up to the mask, of which the kernel has 8 bytes.
	 */
	CONTEXT_BYTES = offsetof(ucontext_t, uc_sigmask) + KERNEL_MASK_BYTES,
	SEGMENT_BITS = 16,
	/* None of the modes of sigaltstack(2): the alternate stack stays what it is. */
	NO_ALTERNATE_STACK_MODE = SS_ONSTACK | SS_DISABLE,
};

/*
 * An XSAVE area as PTRACE_GETREGSET gives it, with room for the second magic number.
 * Invariants: XSAVE_MIN_BYTES <= basic_count <= count <= XSAVE_MAX_BYTES.
 */
struct xsave {
	uint8_t bytes[XSAVE_MAX_BYTES + MAGIC_BYTES];
	size_t count;
	size_t basic_count; /* without tile data */
};

static uint64_t read_u64(const uint8_t *bytes)
{
	uint64_t value;
	memcpy(&value, bytes, sizeof value);
	return value;
}

static struct error *read_xsave(const struct target_thread *thread, struct xsave *ret)
{
	struct iovec area = {ret->bytes, XSAVE_MAX_BYTES};
	if (ptrace(PTRACE_GETREGSET, thread->tid, NT_X86_XSTATE, &area) < 0 ||
	    area.iov_len < XSAVE_MIN_BYTES || area.iov_len >= XSAVE_MAX_BYTES)
		return error_new(ERROR_UNSUPPORTED,
				 "the vector registers of thread %d cannot be read", thread->tid);
	ret->count = ret->basic_count = area.iov_len;
	uint32_t size, offset, unused_c, unused_d;
	if (read_u64(ret->bytes + XSAVE_FEATURES_OFFSET) & 1ul << TILE_DATA &&
	    __get_cpuid_count(CPUID_XSAVE, TILE_DATA, &size, &offset, &unused_c, &unused_d) &&
	    offset >= XSAVE_MIN_BYTES && offset < ret->count)
		ret->basic_count = offset;
	return NULL;
}

/*
 * Makes a signal frame's of it (arch/x86/kernel/fpu/signal.c): the kernel believes the area to be
 * complete if it finds one magic number in it and one where the area of this task ends. That
 * depends on whether the task ever asked for tile data, which cannot be seen: where none is in use
 * the place before it holds nothing, so that both ends can be marked.
 */
static void mark_xsave(struct xsave *xsave)
{
	const uint32_t end = FP_XSTATE_MAGIC2;
	uint64_t features = read_u64(xsave->bytes + XSAVE_FEATURES_OFFSET);
	uint64_t in_use = read_u64(xsave->bytes + XSAVE_HEADER_OFFSET);
	struct _fpx_sw_bytes head = {
		.magic1 = FP_XSTATE_MAGIC1,
		.extended_size = (uint32_t)xsave->count + MAGIC_BYTES,
		.xstate_bv = features,
		.xstate_size = (uint32_t)xsave->count,
	};
	if (!(in_use & 1ul << TILE_DATA)) {
		head.xstate_size = (uint32_t)xsave->basic_count;
		memcpy(xsave->bytes + xsave->basic_count, &end, MAGIC_BYTES);
	}
	memcpy(xsave->bytes + XSAVE_FEATURES_OFFSET, &head, sizeof head);
	memcpy(xsave->bytes + xsave->count, &end, MAGIC_BYTES);
}

static void fill_context(const struct user_regs_struct *from, uint64_t mask, target_addr xsave,
			 ucontext_t *ret)
{
	const uint64_t registers[] = {
		[REG_R8] = from->r8,
		[REG_R9] = from->r9,
		[REG_R10] = from->r10,
		[REG_R11] = from->r11,
		[REG_R12] = from->r12,
		[REG_R13] = from->r13,
		[REG_R14] = from->r14,
		[REG_R15] = from->r15,
		[REG_RDI] = from->rdi,
		[REG_RSI] = from->rsi,
		[REG_RBP] = from->rbp,
		[REG_RBX] = from->rbx,
		[REG_RDX] = from->rdx,
		[REG_RAX] = from->rax,
		[REG_RCX] = from->rcx,
		[REG_RSP] = from->rsp,
		[REG_RIP] = from->rip,
		[REG_EFL] = from->eflags,
		[REG_CSGSFS] = from->cs | from->gs << SEGMENT_BITS | from->fs << 2 * SEGMENT_BITS |
			       from->ss << 3 * SEGMENT_BITS,
	};
	*ret = (ucontext_t){0};
	ret->uc_flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	ret->uc_stack.ss_flags = NO_ALTERNATE_STACK_MODE;
	memcpy(ret->uc_mcontext.gregs, registers, sizeof registers);
	memcpy(&ret->uc_mcontext.fpregs, &xsave.v, sizeof xsave.v);
	memcpy(&ret->uc_sigmask, &mask, KERNEL_MASK_BYTES);
}

/*
 * The main thread's stack, or the one that libc made for a thread: the thread's control block
 * stands above it in the same mapping and begins with its own address (psABI 3.4.2). What lies
 * below the stack pointer there is the thread's to use. On any other stack (an alternate one, a
 * coroutine's) nobody knows where it ends and what lies below it.
 */
static bool is_own_stack(const struct target_thread *thread, const struct proc_mapping *mapping,
			 const struct user_regs_struct *registers)
{
	uint64_t self;
	if (!mapping || !mapping->readable || !mapping->writable)
		return false;
	if (strcmp(mapping->path, "[stack]") == 0)
		return true;
	return !mapping->inode && strcmp(mapping->path, "[heap]") != 0 &&
	       registers->rsp < registers->fs_base && registers->fs_base < mapping->end &&
	       target_read_some(thread->process->space, (target_addr){registers->fs_base}, &self,
				sizeof self) == sizeof self &&
	       self == registers->fs_base;
}

/* The kernel makes the main stack longer where something is written just below it. */
static bool has_room(const struct proc_maps *maps, const struct proc_mapping *stack,
		     target_addr start)
{
	return start.v >= stack->start ||
	       (strcmp(stack->path, "[stack]") == 0 && !proc_maps_find(maps, start.v));
}

static struct error *check_stack(const struct target_thread *thread, const struct proc_maps *maps,
				 const struct user_regs_struct *registers, target_addr start)
{
	const struct proc_mapping *stack = proc_maps_find(maps, registers->rsp);
	if (!is_own_stack(thread, stack, registers))
		return error_new(ERROR_UNSUPPORTED,
				 "no system call can be made in thread %d: it runs on another "
				 "stack than its own",
				 thread->tid);
	if (start.v >= registers->rsp || !has_room(maps, stack, start))
		return error_new(ERROR_UNSUPPORTED,
				 "no system call can be made in thread %d: there is no room left "
				 "on its stack",
				 thread->tid);
	return NULL;
}

struct error *remote_frame_build(const struct target_thread *thread, const struct proc_maps *maps,
				 const struct user_regs_struct *registers, uint64_t mask,
				 target_addr restorer, struct remote_frame *ret)
{
	_cleanup_free_ struct xsave *xsave = calloc(1, sizeof *xsave);
	if (!xsave)
		return error_no_memory();
	struct error *err = read_xsave(thread, xsave);
	if (err)
		return err;
	size_t xsave_count = xsave->count + MAGIC_BYTES;
	uint64_t end = registers->rsp - RED_ZONE_BYTES;
	uint64_t scratch = (end - REMOTE_SCRATCH_BYTES) & ~15ul;
	uint64_t area = (scratch - xsave_count) & ~(XSAVE_ALIGNMENT - 1ul);
	uint64_t start = area - CONTEXT_BYTES - sizeof restorer.v;
	err = check_stack(thread, maps, registers, (target_addr){start});
	if (err)
		return err;
	ucontext_t context;
	fill_context(registers, mask, (target_addr){area}, &context);
	mark_xsave(xsave);
	uint8_t *bytes = calloc(1, end - start);
	if (!bytes)
		return error_no_memory();
	memcpy(bytes, &restorer.v, sizeof restorer.v);
	memcpy(bytes + sizeof restorer.v, &context, CONTEXT_BYTES);
	memcpy(bytes + (area - start), xsave->bytes, xsave_count);
	*ret = (struct remote_frame){(target_addr){start}, bytes, end - start,
				     (target_addr){scratch}};
	return NULL;
}

void remote_frame_deinit(struct remote_frame *frame)
{
	free(frame->bytes);
	*frame = (struct remote_frame){0};
}
