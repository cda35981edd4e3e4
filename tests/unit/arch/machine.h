/* SPDX-License-Identifier: MIT */
/*
 * Runs a few bytes of machine code on a known state and says what became of it: every general
 * register, flags, x87/SSE state, the memory it was given and the place where control went, faults
 * included. Included once by a test program; one thread.
 *
 * The arena is a reservation without access, in which lie, far apart but within reach of 32 bits: a
 * code page (the site), two slot pages, a page of landing pads, data and a stack. Code pages are
 * executable here and written through a second mapping, so that wild stores of a tested instruction
 * cannot reach them.
 */
#ifndef TESTS_UNIT_ARCH_MACHINE_H
#define TESTS_UNIT_ARCH_MACHINE_H

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "arch/code.h"

enum machine_register {
	RAX,
	RCX,
	RDX,
	RBX,
	RSP,
	RBP,
	RSI,
	RDI,
	REGISTERS = 16,
};

enum {
	PAGE = 4096,
	MEMORY_BYTES = 2 * PAGE,
	PAD_BYTES = 16,
	PADS = 64,
	SITE_OFFSET = 0x800,
	SLOT_OFFSET = 0x420,
	CODE_PAGES = 4, /* site, near slot, far slot, pads */
	LANDED_FAULT = 0x1000,
};

/*
 * The reservation is so large that a pointer into the data and any 32-bit displacement stay inside:
 * stores of a tested instruction hit the data, the stack or nothing.
 */
#define GIB	       ((uint64_t)1 << 30)
#define RESERVED_BYTES (8 * GIB)

/* What an instruction starts from, and what it leaves: both through run_machine. */
struct machine {
	uint64_t registers[REGISTERS];
	uint64_t flags;
	uint64_t landed; /* number of the pad, or LANDED_FAULT + signal */
	uint64_t fault_rip, fault_address;
	uint8_t vector[512] __attribute__((aligned(16))); /* as fxsave lays it out */
};

struct outcome {
	struct machine machine;
	uint8_t data[MEMORY_BYTES], stack[MEMORY_BYTES];
};

/* Shared with the assembly below. */
extern struct machine run_machine;
extern uint64_t run_host_stack, run_entry;
extern uint8_t run_host_vector[512], run_clean_vector[4096];
struct machine run_machine;
uint64_t run_host_stack, run_entry;
uint8_t run_host_vector[512] __attribute__((aligned(64)));
uint8_t run_clean_vector[4096] __attribute__((aligned(64)));

void run_enter(void);
void run_leave(void);
void run_leave_fault(void);

/* clang-format off */
__asm__(".text\n"
	".type run_enter, @function\n"
	"run_enter:\n"
	"	push %rbx\n	push %rbp\n	push %r12\n"
	"	push %r13\n	push %r14\n	push %r15\n	pushfq\n"
	"	mov %rsp, run_host_stack(%rip)\n"
	"	fxsave run_host_vector(%rip)\n"
	/* Everything the outcome does not show starts from its initial state: ymm, zmm and masks. */
	"	xor %edx, %edx\n	mov $0xe4, %eax\n	xrstor run_clean_vector(%rip)\n"
	/* Serializes: the code was written through another mapping. */
	"	xor %eax, %eax\n	xor %ecx, %ecx\n	cpuid\n"
	"	fxrstor 160+run_machine(%rip)\n"
	"	pushq 128+run_machine(%rip)\n	popfq\n"
	"	mov run_machine(%rip), %rax\n		mov 8+run_machine(%rip), %rcx\n"
	"	mov 16+run_machine(%rip), %rdx\n	mov 24+run_machine(%rip), %rbx\n"
	"	mov 32+run_machine(%rip), %rsp\n	mov 40+run_machine(%rip), %rbp\n"
	"	mov 48+run_machine(%rip), %rsi\n	mov 56+run_machine(%rip), %rdi\n"
	"	mov 64+run_machine(%rip), %r8\n		mov 72+run_machine(%rip), %r9\n"
	"	mov 80+run_machine(%rip), %r10\n	mov 88+run_machine(%rip), %r11\n"
	"	mov 96+run_machine(%rip), %r12\n	mov 104+run_machine(%rip), %r13\n"
	"	mov 112+run_machine(%rip), %r14\n	mov 120+run_machine(%rip), %r15\n"
	"	jmp *run_entry(%rip)\n"
	".type run_leave, @function\n"
	"run_leave:\n"
	"	mov %rax, run_machine(%rip)\n		mov %rcx, 8+run_machine(%rip)\n"
	"	mov %rdx, 16+run_machine(%rip)\n	mov %rbx, 24+run_machine(%rip)\n"
	"	mov %rsp, 32+run_machine(%rip)\n	mov %rbp, 40+run_machine(%rip)\n"
	"	mov %rsi, 48+run_machine(%rip)\n	mov %rdi, 56+run_machine(%rip)\n"
	"	mov %r8, 64+run_machine(%rip)\n		mov %r9, 72+run_machine(%rip)\n"
	"	mov %r10, 80+run_machine(%rip)\n	mov %r11, 88+run_machine(%rip)\n"
	"	mov %r12, 96+run_machine(%rip)\n	mov %r13, 104+run_machine(%rip)\n"
	"	mov %r14, 112+run_machine(%rip)\n	mov %r15, 120+run_machine(%rip)\n"
	"	mov run_host_stack(%rip), %rsp\n"
	"	pushfq\n	popq 128+run_machine(%rip)\n"
	"	fxsave 160+run_machine(%rip)\n"
	".type run_leave_fault, @function\n"
	"run_leave_fault:\n"
	"	mov run_host_stack(%rip), %rsp\n"
	"	fxrstor run_host_vector(%rip)\n"
	"	popfq\n	pop %r15\n	pop %r14\n	pop %r13\n"
	"	pop %r12\n	pop %rbp\n	pop %rbx\n	ret\n");
/* clang-format on */

_Static_assert(offsetof(struct machine, flags) == 128 && offsetof(struct machine, vector) == 160,
	       "the assembly knows these offsets");

/* Places of the arena; `writable` is the second mapping of the code pages. */
struct arena {
	uint64_t site, slots[2], pads, data, stack;
	uint64_t *landed; /* the word the pads write, then the word they jump through */
	uint8_t *writable;
};

static inline void *place(uint64_t address, size_t count, int fd, off_t offset, int protection)
{
	int flags = MAP_FIXED | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);
	void *memory = mmap((void *)(uintptr_t)address, count, protection, flags, fd, offset);
	if (memory == MAP_FAILED)
		abort();
	return memory;
}

static inline void put_code_jump(uint8_t *at, uint64_t from, uint64_t to)
{
	int32_t displacement = (int32_t)(to - from - 5);
	at[0] = 0xe9;
	memcpy(at + 1, &displacement, sizeof displacement);
}

/* movl $number, landed(%rip); jmp *leave(%rip): changes no register and no flag. */
static inline void write_pads(const struct arena *arena)
{
	uint64_t word = (uint64_t)(uintptr_t)arena->landed;
	for (uint32_t i = 0; i < PADS; i++) {
		uint8_t *pad = arena->writable + 3 * PAGE + i * PAD_BYTES;
		uint64_t address = arena->pads + i * PAD_BYTES;
		int32_t store = (int32_t)(word - (address + 10));
		int32_t leave = (int32_t)(word + 8 - (address + 16));
		memcpy(pad, "\xc7\x05", 2);
		memcpy(pad + 2, &store, 4);
		memcpy(pad + 6, &i, 4);
		memcpy(pad + 10, "\xff\x25", 2);
		memcpy(pad + 12, &leave, 4);
	}
}

static inline struct arena arena_new(void)
{
	int fd = memfd_create("code", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, CODE_PAGES * PAGE))
		abort();
	uint8_t *start = mmap(NULL, RESERVED_BYTES, PROT_NONE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (start == MAP_FAILED)
		abort();
	uint64_t base = (uint64_t)(uintptr_t)start + 3 * GIB;
	struct arena arena = {
		.site = base + 0x40000000 + SITE_OFFSET,
		.slots = {base + 0x40010000 + SLOT_OFFSET, base + 0xb0000000 + SLOT_OFFSET},
		.pads = base + 0x48000000,
		.data = base + 0x50000000,
		.stack = base + 0x58000000};
	const uint64_t pages[CODE_PAGES] = {arena.site - SITE_OFFSET, arena.slots[0] - SLOT_OFFSET,
					    arena.slots[1] - SLOT_OFFSET, arena.pads};
	for (int i = 0; i < CODE_PAGES; i++)
		place(pages[i], PAGE, fd, i * PAGE, PROT_READ | PROT_EXEC);
	arena.writable = mmap(NULL, CODE_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (arena.writable == MAP_FAILED)
		abort();
	close(fd);
	place(arena.data, MEMORY_BYTES, -1, 0, PROT_READ | PROT_WRITE);
	place(arena.stack, MEMORY_BYTES, -1, 0, PROT_READ | PROT_WRITE);
	arena.landed = place(base + 0x60000000, PAGE, -1, 0, PROT_READ | PROT_WRITE);
	arena.landed[1] = (uint64_t)(uintptr_t)run_leave;
	write_pads(&arena);
	return arena;
}

/* Puts the slots where nothing else of the arena is in reach of 32 bits. */
static inline void arena_part(struct arena *arena)
{
	for (int i = 0; i < 2; i++) {
		uint64_t page = arena->slots[i] - SLOT_OFFSET;
		uint64_t away = arena->site - SITE_OFFSET + (i ? 7 * GIB / 2 : -(7 * GIB / 2));
		if (mremap((void *)(uintptr_t)page, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			   (void *)(uintptr_t)away) == MAP_FAILED)
			abort();
		arena->slots[i] = away + SLOT_OFFSET;
	}
}

/* Takes the state at a fault out of the signal frame and leaves the code that made it. */
static inline void take_fault(int signal, siginfo_t *info, void *frame)
{
	static const int order[REGISTERS] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
					     REG_RSI, REG_RDI, REG_R8,	REG_R9,	 REG_R10, REG_R11,
					     REG_R12, REG_R13, REG_R14, REG_R15};
	ucontext_t *context = frame;
	greg_t *registers = context->uc_mcontext.gregs;
	for (int i = 0; i < REGISTERS; i++)
		run_machine.registers[i] = (uint64_t)registers[order[i]];
	run_machine.flags = (uint64_t)registers[REG_EFL];
	run_machine.landed = LANDED_FAULT + (uint64_t)signal;
	run_machine.fault_rip = (uint64_t)registers[REG_RIP];
	run_machine.fault_address = (uint64_t)(uintptr_t)info->si_addr;
	memcpy(run_machine.vector, context->uc_mcontext.fpregs, sizeof run_machine.vector);
	registers[REG_RIP] = (greg_t)(uintptr_t)run_leave_fault;
	registers[REG_EFL] = 0x202;
}

static inline void machine_catch_faults(void)
{
	static uint8_t stack[64 * 1024];
	const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
	struct sigaction action = {.sa_sigaction = take_fault,
				   .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	if (sigaltstack(&alternate, NULL))
		abort();
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		if (sigaction(signals[i], &action, NULL))
			abort();
}

/*
 * Runs from entry on run_machine and the arena's memory. What is not defined for an instruction is
 * taken out: the x87 unit's last-instruction fields, what signal frames write behind the SSE
 * registers, and flags other than the arithmetic ones and DF.
 */
static inline void machine_run(const struct arena *arena, uint64_t entry)
{
	run_entry = entry;
	run_machine.fault_rip = run_machine.fault_address = 0;
	run_machine.landed = 0;
	arena->landed[0] = UINT64_MAX;
	run_enter();
	if (run_machine.landed == 0)
		run_machine.landed = (uint32_t)arena->landed[0];
	memset(run_machine.vector + 6, 0, 18);
	memset(run_machine.vector + 416, 0, sizeof run_machine.vector - 416);
	run_machine.flags &= 0xcd5;
}

#endif
