/* SPDX-License-Identifier: MIT */
/* The agent's image among the constants of the program that carries it: see image.h. */
	.section .rodata
	.globl agent_image, agent_image_bytes
	.balign 64
agent_image:
	.incbin AGENT_IMAGE_FILE
agent_image_end:
	.balign 8
agent_image_bytes:
	.quad agent_image_end - agent_image
	.type agent_image, @object
	.size agent_image, agent_image_end - agent_image
	.type agent_image_bytes, @object
	.size agent_image_bytes, 8
	.section .note.GNU-stack, "", @progbits
