/* SPDX-License-Identifier: MIT */
/*
 * A program without a library and so without an allocator: says "ready", then reads standard input
 * until it ends, and exits with status 0. Built with -nostdlib -static; BITS says for which machine:
 * 64 uses syscall, 32 uses int 0x80.
 */
	.globl	_start
	.section .rodata
text:	.ascii	"ready\n"
	.bss
byte:	.skip	1
	.text
_start:
#if BITS == 64
	movl	$1, %eax
	movl	$1, %edi
	leaq	text(%rip), %rsi
	movl	$6, %edx
	syscall
1:	xorl	%eax, %eax
	xorl	%edi, %edi
	leaq	byte(%rip), %rsi
	movl	$1, %edx
	syscall
	testl	%eax, %eax
	jg	1b
	movl	$60, %eax
	xorl	%edi, %edi
	syscall
#else
	movl	$4, %eax
	movl	$1, %ebx
	movl	$text, %ecx
	movl	$6, %edx
	int	$0x80
1:	movl	$3, %eax
	xorl	%ebx, %ebx
	movl	$byte, %ecx
	movl	$1, %edx
	int	$0x80
	testl	%eax, %eax
	jg	1b
	movl	$1, %eax
	xorl	%ebx, %ebx
	int	$0x80
#endif
	.section .note.GNU-stack,"",@progbits
