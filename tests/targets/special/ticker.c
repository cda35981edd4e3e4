/* SPDX-License-Identifier: MIT */
/*
 * Holds one block more every millisecond, a thousand at most, for as long as it lives. With an
 * argument it ends at once.
 */
#include <stdlib.h>
#include <unistd.h>

enum { BLOCKS = 1000, BLOCK_BYTES = 1000, PAUSE_US = 1000 };

static void *volatile blocks[BLOCKS];

int main(int argc, char **argv)
{
	(void)argv;
	for (unsigned i = 0; argc == 1; i = (i + 1) % BLOCKS) {
		free(blocks[i]);
		blocks[i] = malloc(BLOCK_BYTES); /* the line that tests look for */
		usleep(PAUSE_US);
	}
	return 0;
}
