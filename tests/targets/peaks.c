/* SPDX-License-Identifier: MIT */
/* Three waves of blocks from different lines; the highest sum is in the second one. */
#include "truth.h"

enum { WAVE = 40 };

static void *held[4 * WAVE];

static void release(size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		FREE(held[i]);
		held[i] = NULL;
	}
}

int main(void)
{
	for (size_t i = 0; i < WAVE; i++)
		held[i] = MALLOC(1000 + i);
	release(0, WAVE / 2);
	for (size_t i = 0; i < WAVE; i++)
		held[WAVE + i] = CALLOC(i + 1, 100);
	release(WAVE, WAVE + 5);
	for (size_t i = 0; i < WAVE; i++)
		held[2 * WAVE + i] = REALLOC(NULL, 50 * i + 1);
	release(WAVE / 2, 3 * WAVE);
	for (size_t i = 0; i < WAVE; i++)
		held[3 * WAVE + i] = MALLOC(77);
	release(3 * WAVE, 3 * WAVE + 30);
	truth_print();
	return 0;
}
