/* SPDX-License-Identifier: MIT */
/*
 * Where a C library keeps a thread's id, read off a function that returns it. Pure; any thread.
 */
#ifndef ARCH_THREAD_WORD_H
#define ARCH_THREAD_WORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { THREAD_WORD_BYTES = 20 }; /* as many of a function's first bytes are looked at */

/*
 * Whether the function does nothing but return a 32-bit word that stands *offset_ret bytes from the
 * thread pointer (psABI: the word at %fs:0 is its own address).
 */
bool thread_word_read(const uint8_t *bytes, size_t count, uint32_t *offset_ret);

#endif
