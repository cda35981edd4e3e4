/* SPDX-License-Identifier: MIT */
#include "lib/agent/poison.h"

struct poison poison_seen;
uint64_t poison_seen_sp;
struct poison poison_result;

#define STORE(base)                                                                                \
	"mov %rax, 0+" base "\n"                                                                   \
	"mov %rbx, 8+" base "\n"                                                                   \
	"mov %rcx, 16+" base "\n"                                                                  \
	"mov %rdx, 24+" base "\n"                                                                  \
	"mov %rsi, 32+" base "\n"                                                                  \
	"mov %rdi, 40+" base "\n"                                                                  \
	"mov %rbp, 48+" base "\n"                                                                  \
	"mov %r8, 56+" base "\n"                                                                   \
	"mov %r9, 64+" base "\n"                                                                   \
	"mov %r10, 72+" base "\n"                                                                  \
	"mov %r11, 80+" base "\n"                                                                  \
	"mov %r12, 88+" base "\n"                                                                  \
	"mov %r13, 96+" base "\n"                                                                  \
	"mov %r14, 104+" base "\n"                                                                 \
	"mov %r15, 112+" base "\n"                                                                 \
	"pushf\n"                                                                                  \
	"popq 120+" base "\n"

/* What a function may leave changed, rflags first (loads change none). */
#define LOAD_CHANGED(base)                                                                         \
	"pushq 120+" base "\n"                                                                     \
	"popf\n"                                                                                   \
	"mov 0+" base ", %rax\n"                                                                   \
	"mov 16+" base ", %rcx\n"                                                                  \
	"mov 24+" base ", %rdx\n"                                                                  \
	"mov 32+" base ", %rsi\n"                                                                  \
	"mov 40+" base ", %rdi\n"                                                                  \
	"mov 56+" base ", %r8\n"                                                                   \
	"mov 64+" base ", %r9\n"                                                                   \
	"mov 72+" base ", %r10\n"                                                                  \
	"mov 80+" base ", %r11\n"

#define LOAD_KEPT(base)                                                                            \
	"mov 8+" base ", %rbx\n"                                                                   \
	"mov 48+" base ", %rbp\n"                                                                  \
	"mov 88+" base ", %r12\n"                                                                  \
	"mov 96+" base ", %r13\n"                                                                  \
	"mov 104+" base ", %r14\n"                                                                 \
	"mov 112+" base ", %r15\n"

__attribute__((naked)) void poison_spy(void)
{
	__asm__ volatile(STORE("poison_seen(%rip)") "mov %rsp, poison_seen_sp(%rip)\n" LOAD_CHANGED(
		"poison_result(%rip)") "ret\n");
}

/* What poison_call works with: all registers are spoken for while its call is under way. */
struct poison poison_in, poison_out;
uint64_t poison_function, poison_sp;

static __attribute__((naked)) void call_with_poison(void)
{
	__asm__ volatile(
		"push %rbx\n"
		"push %rbp\n"
		"push %r12\n"
		"push %r13\n"
		"push %r14\n"
		"push %r15\n"
		"sub $8, %rsp\n"
		"mov %rsp, poison_sp(%rip)\n" LOAD_KEPT("poison_in(%rip)")
			LOAD_CHANGED("poison_in(%rip)") "call *poison_function(%rip)\n" STORE(
				"poison_out(%rip)") "cld\n"
						    "add $8, %rsp\n"
						    "pop %r15\n"
						    "pop %r14\n"
						    "pop %r13\n"
						    "pop %r12\n"
						    "pop %rbp\n"
						    "pop %rbx\n"
						    "ret\n");
}

uint64_t poison_call(void *function, const struct poison *in, struct poison *ret)
{
	poison_in = *in;
	poison_function = (uint64_t)function;
	call_with_poison();
	*ret = poison_out;
	return poison_sp - 8;
}

__attribute__((naked)) void
poison_vectors(void *function __attribute__((unused)), uint64_t first __attribute__((unused)),
	       uint64_t second __attribute__((unused)), const void *values __attribute__((unused)),
	       void *before __attribute__((unused)), void *after __attribute__((unused)))
{
	__asm__ volatile("push %rbx\n"
			 "push %r12\n"
			 "push %r13\n"
			 "push %r14\n"
			 "push %r15\n"
			 "mov %rdi, %rbx\n"
			 "mov %rsi, %r12\n"
			 "mov %rdx, %r13\n"
			 "mov %r8, %r14\n"
			 "mov %r9, %r15\n"
			 "vmovdqu 0(%rcx), %ymm0\n"
			 "vmovdqu 32(%rcx), %ymm1\n"
			 "vmovdqu 64(%rcx), %ymm2\n"
			 "vmovdqu 96(%rcx), %ymm3\n"
			 "vmovdqu 128(%rcx), %ymm4\n"
			 "vmovdqu 160(%rcx), %ymm5\n"
			 "vmovdqu 192(%rcx), %ymm6\n"
			 "vmovdqu 224(%rcx), %ymm7\n"
			 "vmovdqu 256(%rcx), %ymm8\n"
			 "vmovdqu 288(%rcx), %ymm9\n"
			 "vmovdqu 320(%rcx), %ymm10\n"
			 "vmovdqu 352(%rcx), %ymm11\n"
			 "vmovdqu 384(%rcx), %ymm12\n"
			 "vmovdqu 416(%rcx), %ymm13\n"
			 "vmovdqu 448(%rcx), %ymm14\n"
			 "vmovdqu 480(%rcx), %ymm15\n"
			 "fninit\n"
			 "fildll 0(%rcx)\n"
			 "fildll 8(%rcx)\n"
			 "fldpi\n"
			 "mov $-1, %eax\n"
			 "mov $-1, %edx\n"
			 "xsave (%r14)\n"
			 "mov %r12, %rdi\n"
			 "mov %r13, %rsi\n"
			 "call *%rbx\n"
			 "mov $-1, %eax\n"
			 "mov $-1, %edx\n"
			 "xsave (%r15)\n"
			 "fninit\n"
			 "vzeroupper\n"
			 "pop %r15\n"
			 "pop %r14\n"
			 "pop %r13\n"
			 "pop %r12\n"
			 "pop %rbx\n"
			 "ret\n");
}
