/* SPDX-License-Identifier: MIT */
/* The page among the constants of the program: see html.h. */
	.section .rodata
	.globl html_page, html_page_bytes
html_page:
	.incbin HTML_PAGE_FILE
html_page_end:
	.balign 8
html_page_bytes:
	.quad html_page_end - html_page
	.type html_page, @object
	.size html_page, html_page_end - html_page
	.type html_page_bytes, @object
	.size html_page_bytes, 8
	.section .note.GNU-stack, "", @progbits
