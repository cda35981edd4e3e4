/* SPDX-License-Identifier: MIT */
/*
 * Bytes at hand as a code_reader. Private to the window files of arch.
 *
 * Owns: nothing; bytes and outer reader must outlive it. Any thread.
 */
#ifndef ARCH_WINDOW_TEXT_H
#define ARCH_WINDOW_TEXT_H

#include "arch/code.h"

/* bytes[0, count) stand at start; bounds and pointers are asked of `outer`. */
struct window_text {
	const uint8_t *bytes;
	size_t count;
	target_addr start;
	const struct code_reader *outer;
};

/* A reader that gives these bytes and no others. */
struct code_reader window_text_reader(struct window_text *text);

#endif
