/* SPDX-License-Identifier: MIT */
/*
 * A process that is not dumpable (prctl(2)), so that nobody without privilege may trace it. Says
 * "ready" and waits for the end of standard input.
 */
#include <sys/prctl.h>
#include <unistd.h>

int main(void)
{
	char byte;

	if (prctl(PR_SET_DUMPABLE, 0) < 0 || write(1, "ready\n", 6) != 6)
		return 1;
	while (read(0, &byte, 1) > 0)
		continue;
	return 0;
}
