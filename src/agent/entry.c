/* SPDX-License-Identifier: MIT */
/*
 * Where the agent's image begins, and where stubs come in: what no C can say. Every register and
 * flag is as it was when the target goes on. popf would cost more than all the rest, and lahf with
 * seto keeps all flags that code like this can change (Intel SDM volume 2, LAHF).
 */
#include "agent/call.h"

void agent_header_bytes(void);
void agent_enter_code(void);
void agent_leave_code(void);
void agent_find_code(void);
void agent_unwind_entry(void);

__attribute__((naked, used, section(".agent.header"))) void agent_header_bytes(void)
{
	/* agent_private has no bytes in the image: it is the pages behind the code. */
	__asm__ volatile(
		".globl agent_private\n"
		".hidden agent_private\n"
		".set agent_private, agent_header_bytes + %c[code_bytes]\n"
		".long %c[magic_low], %c[magic_high]\n"
		".long %c[version]\n"
		".long agent_image_end - agent_header_bytes\n"
		".long agent_enter_code - agent_header_bytes\n"
		".long agent_leave_code - agent_header_bytes\n"
		".long agent_find_code - agent_header_bytes\n"
		".long 0\n"
		".zero %c[rest]\n"
		:
		: [rest] "i"(sizeof(struct agent_header) - offsetof(struct agent_header, outposts)),
		  [code_bytes] "i"(AGENT_CODE_BYTES), [magic_low] "i"(AGENT_MAGIC & UINT32_MAX),
		  [magic_high] "i"(AGENT_MAGIC >> 32), [version] "i"(AGENT_ABI_VERSION));
}

#define SAVE                                                                                       \
	"push %%rax\n"                                                                             \
	"lahf\n"                                                                                   \
	"seto %%al\n"                                                                              \
	"push %%rax\n"                                                                             \
	"push %%r10\n"                                                                             \
	"push %%r9\n"                                                                              \
	"push %%r8\n"                                                                              \
	"push %%rcx\n"                                                                             \
	"push %%rdx\n"                                                                             \
	"push %%rsi\n"                                                                             \
	"push %%rdi\n"

_Static_assert(offsetof(struct agent_stub, leaf) == offsetof(struct agent_stub, role) + 1,
	       "they are read at once");

/* 127 is added to what seto has left, 0 or 1: that overflows where it is 1. */
#define RESTORE                                                                                    \
	"pop %%rdi\n"                                                                              \
	"pop %%rsi\n"                                                                              \
	"pop %%rdx\n"                                                                              \
	"pop %%rcx\n"                                                                              \
	"pop %%r8\n"                                                                               \
	"pop %%r9\n"                                                                               \
	"pop %%r10\n"                                                                              \
	"pop %%rax\n"                                                                              \
	"add $127, %%al\n"                                                                         \
	"sahf\n"                                                                                   \
	"pop %%rax\n"

/*
 * From a stub: r11 is the stub, the target's r11 is pushed. Off, and for leaf creations, no flag is
 * touched, so none is saved. role and leaf are read at once: 0 and 1 give LEAF_CREATE.
 *
 * The marker is written before agent_enter runs, and stays where it is when the function is about
 * to be called: the kernel leaves the 128 bytes below rsp alone (psABI 3.2.2).
 */
__attribute__((naked, used)) void agent_enter_code(void)
{
	__asm__ volatile("push %%rcx\n"
			 "mov agent_private+%c[state](%%rip), %%ecx\n"
			 "jrcxz 1f\n"
			 "movzwl %c[role](%%r11), %%ecx\n"
			 "lea -%c[leaf_create](%%rcx), %%ecx\n"
			 "jrcxz 2f\n"
			 "pop %%rcx\n"
			 "lea -%c[room](%%rsp), %%rsp\n" SAVE "mov %%r11, %c[stub](%%rsp)\n"
			 "lea %c[call_return](%%r11), %%rcx\n"
			 "mov %%rcx, %c[marker](%%rsp)\n"
			 "mov %%rsp, %%rdi\n"
			 "mov %%rbp, %%rsi\n"
			 "call agent_enter\n"
			 ".globl agent_enter_return\n"
			 "agent_enter_return:\n"
			 "test %%al, %%al\n"
			 "jz 3f\n" RESTORE "mov 8(%%rsp), %%r11\n"
			 "lea 8(%%rsp), %%rsp\n"
			 "lea %c[call_code](%%r11), %%r11\n"
			 "jmp *%%r11\n"
			 "1: pop %%rcx\n"
			 "lea %c[plain_code](%%r11), %%r11\n"
			 "jmp *%%r11\n"
			 "2: pop %%rcx\n"
			 "push %%rdx\n"
			 "push %%rsi\n"
			 "push %%rdi\n"
			 "push %%r11\n"
			 "lea %c[call_code](%%r11), %%r11\n"
			 "jmp *%%r11\n"
			 "3:\n" RESTORE "mov 8(%%rsp), %%r11\n"
			 "lea %c[room](%%rsp), %%rsp\n"
			 "lea %c[plain_code](%%r11), %%r11\n"
			 "jmp *%%r11\n"
			 :
			 : [state] "i"(offsetof(struct agent_private, state)),
			   [role] "i"(offsetof(struct agent_stub, role)),
			   [leaf_create] "i"(1 << 8 | AGENT_CREATE),
			   [room] "i"(sizeof(struct agent_frame) - 8 + 8),
			   [stub] "i"(offsetof(struct agent_saved, frame.stub)),
			   [marker] "i"(offsetof(struct agent_saved, marker)),
			   [call_return] "i"(CALL_RETURN),
			   [plain_code] "i"(offsetof(struct agent_stub, plain_code)),
			   [call_code] "i"(offsetof(struct agent_stub, call_code)));
}

/*
 * From a stub's call_code: the function has returned, rsp is at the frame, and the word below it is
 * still the marker. The frame's r11 was given to the function; now what the function left in r11 is
 * kept there.
 */
__attribute__((naked, used)) void agent_leave_code(void)
{
	__asm__ volatile(
		"lea -8(%%rsp), %%rsp\n"
		"push %%rcx\n"
		"mov agent_private+%c[state](%%rip), %%ecx\n"
		"jrcxz 1f\n"
		"pop %%rcx\n" SAVE "mov %%r11, %c[r11](%%rsp)\n"
		"mov %%rsp, %%rdi\n"
		"mov %%rbp, %%rsi\n"
		"call agent_leave\n"
		".globl agent_leave_return\n"
		"agent_leave_return:\n" RESTORE "mov %c[frame_r11](%%rsp), %%r11\n"
		"lea %c[room](%%rsp), %%rsp\n"
		"ret\n"
		"1: pop %%rcx\n"
		"lea %c[room](%%rsp), %%rsp\n"
		"ret\n"
		:
		: [state] "i"(offsetof(struct agent_private, state)),
		  [r11] "i"(offsetof(struct agent_saved, frame.r11)),
		  [frame_r11] "i"(8 + AGENT_FRAME_R11), [room] "i"(sizeof(struct agent_frame) + 8));
}

/*
 * The unwind information of a frame of ours, for the one place where it can be met: call_code's
 * call has not returned, so that rsp is at the frame. In the form of .eh_frame (LSB 5.0, 10.6.1), a
 * CIE and an FDE; whom it is for is decided by agent_find_code, so that the FDE names no range.
 */
__attribute__((naked, used)) void agent_unwind_entry(void)
{
	__asm__ volatile("agent_cie:\n"
			 ".long 2f - 1f\n"
			 "1: .long 0\n"
			 ".byte 1, 0, 1, 0x78, 16\n"  /* version, \"\", alignments, rip */
			 ".byte 0x0c, 7, %c[frame]\n" /* the CFA is rsp + frame */
			 ".byte 0x90, 1\n"	      /* rip is at the CFA - 8 */
			 ".balign 8\n"
			 "2:\n"
			 "agent_fde:\n"
			 ".long 4f - 3f\n"
			 "3: .long . - agent_cie\n"
			 ".quad 0, 0\n"
			 ".balign 8\n"
			 "4:\n"
			 :
			 : [frame] "i"(sizeof(struct agent_frame) + 8));
}

/*
 * From a stub: libgcc asks which unwind information belongs to the pc in rdi, and where it begins
 * (the third word at rsi).
 */
__attribute__((naked, used)) void agent_find_code(void)
{
	__asm__ volatile("push %%rdi\n"
			 "push %%rsi\n"
			 "push %%r11\n"
			 "lea -8(%%rsp), %%rsp\n" /* aligned: psABI 3.2.2 */
			 "call agent_unwound\n"
			 "lea 8(%%rsp), %%rsp\n"
			 "pop %%r11\n"
			 "pop %%rsi\n"
			 "pop %%rdi\n"
			 "test %%rax, %%rax\n"
			 "jz 1f\n"
			 "movq $0, (%%rsi)\n"
			 "movq $0, 8(%%rsi)\n"
			 "mov %%rax, 16(%%rsi)\n"
			 "lea 8(%%rsp), %%rsp\n"
			 "lea agent_fde(%%rip), %%rax\n"
			 "ret\n"
			 "1: lea %c[plain_code](%%r11), %%r11\n"
			 "jmp *%%r11\n"
			 :
			 : [plain_code] "i"(offsetof(struct agent_stub, plain_code)));
}
