/* SPDX-License-Identifier: MIT */
/*
 * Windows that were planned in one process, for the others that map the same file.
 *
 * A plan depends on the text of the module alone, and that of a file is the same for every process
 * unless one has changed it in its own memory. Where it has changed the window itself, the
 * precedent does not hold; what it may have changed elsewhere is not looked at again.
 *
 * Owns: the windows. Does not: plan. Tracer thread; shared by all spaces of a session.
 */
#ifndef PROBE_PRECEDENTS_H
#define PROBE_PRECEDENTS_H

#include "arch/window.h"
#include "base/map.h"
#include "probe/probe.h"

/* Invariant: windows has at most one value, a precedent of precedents.c, for each hash of a place.
 */
struct precedents {
	struct map windows;
};

void precedents_deinit(struct precedents *precedents);

/*
 * The window of an earlier request for the same place of the same file, moved to where the file is
 * mapped now; false where there is none, or the reader gives other bytes.
 */
bool precedents_find(const struct precedents *precedents, const struct probe_request *request,
		     const struct code_reader *reader, struct window *ret);

/* Notes the window planned for a request. Of a module without an id nothing is kept. */
struct error *precedents_add(struct precedents *precedents, const struct probe_request *request,
			     const struct window *window);

#endif
