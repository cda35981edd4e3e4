/* SPDX-License-Identifier: MIT */
#include "lib/agent/depth.h"

/*
 * rbx is where the return address of the call will stand, rax what the stack below is painted with:
 * a number nobody else writes. r12 keeps what rep takes.
 */
__attribute__((naked)) uint64_t depth_of_call(void *function __attribute__((unused)),
					      uint64_t first __attribute__((unused)),
					      uint64_t second __attribute__((unused)),
					      uint64_t frame_pointer __attribute__((unused)))
{
	__asm__ volatile("push %%rbp\n"
			 "push %%rbx\n"
			 "push %%r12\n"
			 "lea -8(%%rsp), %%rbx\n"
			 "mov %%rdi, %%r11\n"
			 "mov %%rcx, %%r12\n"
			 "movabs $0xa5c3e1f00f1e3c5a, %%rax\n"
			 "lea -%c[painted](%%rbx), %%rdi\n"
			 "mov $%c[painted] / 8, %%ecx\n"
			 "rep stosq\n"
			 "mov %%rsi, %%rdi\n"
			 "mov %%rdx, %%rsi\n"
			 "mov %%r12, %%rbp\n"
			 "call *%%r11\n"
			 "movabs $0xa5c3e1f00f1e3c5a, %%rax\n"
			 "lea -%c[painted](%%rbx), %%rdi\n"
			 "mov $%c[painted] / 8, %%ecx\n"
			 "repe scasq\n"
			 "lea -8(%%rdi), %%rax\n"
			 "sub %%rbx, %%rax\n"
			 "neg %%rax\n"
			 "pop %%r12\n"
			 "pop %%rbx\n"
			 "pop %%rbp\n"
			 "ret\n"
			 :
			 : [painted] "i"(DEPTH_PAINTED_BYTES));
}

__attribute__((naked)) uint64_t depth_call_on(void *top __attribute__((unused)),
					      void *function __attribute__((unused)),
					      uint64_t first __attribute__((unused)),
					      uint64_t second __attribute__((unused)))
{
	__asm__ volatile("push %rbp\n"
			 "mov %rsp, %rbp\n"
			 "mov %rdi, %rsp\n"
			 "mov %rsi, %rax\n"
			 "mov %rdx, %rdi\n"
			 "mov %rcx, %rsi\n"
			 "call *%rax\n"
			 "mov %rbp, %rsp\n"
			 "pop %rbp\n"
			 "ret\n");
}
