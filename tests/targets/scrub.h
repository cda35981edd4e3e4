/* SPDX-License-Identifier: MIT */
/*
 * Takes away what calls have left on the stack below their caller and in registers, so that no
 * pointer is found there by chance.
 */
#ifndef TARGETS_SCRUB_H
#define TARGETS_SCRUB_H

#include <string.h>

static void __attribute__((noinline, unused)) scrub(void)
{
	char room[16384];
	memset(room, 0, sizeof room);
	/* What copying has left in vector registers is overwritten by copies of the same lengths.
	 */
	for (size_t length = 16; length <= sizeof room / 2; length *= 2) {
		__asm__ volatile("" : "+r"(length) : "r"(room) : "memory");
		memcpy(room, room + sizeof room / 2, length);
	}
	__asm__ volatile("xor %%eax,%%eax\n\txor %%ebx,%%ebx\n\txor %%ecx,%%ecx\n\t"
			 "xor %%edx,%%edx\n\txor %%esi,%%esi\n\txor %%edi,%%edi\n\t"
			 "xor %%r8d,%%r8d\n\txor %%r9d,%%r9d\n\txor %%r10d,%%r10d\n\t"
			 "xor %%r11d,%%r11d\n\txor %%r12d,%%r12d\n\txor %%r13d,%%r13d\n\t"
			 "xor %%r14d,%%r14d\n\txor %%r15d,%%r15d\n\t"
			 "pxor %%xmm0,%%xmm0\n\tpxor %%xmm1,%%xmm1\n\tpxor %%xmm2,%%xmm2\n\t"
			 "pxor %%xmm3,%%xmm3\n\tpxor %%xmm4,%%xmm4\n\tpxor %%xmm5,%%xmm5"
			 :
			 :
			 : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11",
			   "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4",
			   "xmm5", "memory");
}

#endif
