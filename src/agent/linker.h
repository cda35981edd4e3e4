/* SPDX-License-Identifier: MIT */
/*
 * Modules come or go: the tracer must know before their code runs, or other code in their place.
 *
 * Owns: agent_shared.linker_asked. Private to src/agent, freestanding. Any thread.
 */
#ifndef AGENT_LINKER_H
#define AGENT_LINKER_H

#include <stdbool.h>

/*
 * Tells the tracer and waits until it has looked, AGENT_PATIENCE_MS at most. Returns false: the end
 * of the call that tells of modules need not be seen.
 */
bool linker_ask(void);

#endif
