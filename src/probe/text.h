/* SPDX-License-Identifier: MIT */
/*
 * Private to src/probe: the text of one module, as it was before any patch, with its survey.
 *
 * Owns: the bytes. Tracer thread.
 */
#ifndef PROBE_TEXT_H
#define PROBE_TEXT_H

#include "arch/code.h"
#include "arch/window_survey.h"

/* Invariant: survey is of bytes, or both are empty. */
struct text {
	uint8_t *bytes;
	struct window_survey survey;
};

/*
 * Reads and surveys [start, end), unless that is what text holds already. ERROR_UNSUPPORTED with
 * the reason, ERROR_NO_MEMORY.
 */
struct error *text_load(struct text *text, const struct code_reader *reader, target_addr start,
			target_addr end);
void text_deinit(struct text *text);

#define _cleanup_text_ __attribute__((__cleanup__(text_deinit)))

#endif
