/* SPDX-License-Identifier: MIT */
/*
 * A shared object for the phases target, with static probes that have semaphores. Each call of
 * plugin_phase() says "semaphores MARK RESET SNAPSHOT at ADDRESS", that of the first; its probes
 * are passed only while they are raised.
 */
#define _SDT_HAS_SEMAPHORES 1
#include <stdio.h>
#include <string.h>
#include <sys/sdt.h>
#include <unistd.h>

#define SEMAPHORE __attribute__((section(".probes"))) volatile unsigned short

SEMAPHORE tracealloc_mark_semaphore;
SEMAPHORE tracealloc_reset_peak_semaphore;
SEMAPHORE tracealloc_snapshot_semaphore;
SEMAPHORE tracealloc_other_semaphore;
SEMAPHORE elsewhere_mark_semaphore;

char *moment_name = "of a variable";
int moment_number = -7;

void plugin_phase(void);
void plugin_phase(void)
{
	char text[200], local[] = "of the stack";

	snprintf(text, sizeof text, "semaphores %d %d %d at %p\n", tracealloc_mark_semaphore,
		 tracealloc_reset_peak_semaphore, tracealloc_snapshot_semaphore,
		 (void *)&tracealloc_mark_semaphore);
	if (write(1, text, strlen(text)) < 0)
		return;
	if (tracealloc_reset_peak_semaphore)
		DTRACE_PROBE(tracealloc, reset_peak);
	if (!tracealloc_mark_semaphore)
		return;
	DTRACE_PROBE1(tracealloc, mark, moment_name);
	DTRACE_PROBE1(tracealloc, mark, moment_number);
	DTRACE_PROBE1(tracealloc, mark, local);
	DTRACE_PROBE1(tracealloc, mark, (char *)16);
	DTRACE_PROBE1(tracealloc, mark, "\xff\x1b[31m\n\xe2\x82");
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	DTRACE_PROBE1(tracealloc, mark, (char *)text);
	DTRACE_PROBE(tracealloc, other);
	DTRACE_PROBE1(elsewhere, mark, moment_name);
}
