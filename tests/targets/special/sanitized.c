/* SPDX-License-Identifier: MIT */
/* Allocates, and waits for the end of its input. Built with -fsanitize by tests/e2e/sanitizers.c.
 */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
	for (size_t i = 1; i < 100; i++) {
		char *volatile block = malloc(i);
		block[0] = 1;
		free(block);
	}
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	puts("done");
	return 0;
}
