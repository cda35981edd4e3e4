/* SPDX-License-Identifier: MIT */
#include "session/pace.h"

#include <sys/resource.h>

#include "base/clock.h"
#include "session/private.h"

/* Work that is done sooner needs no progress; and how long signals may have to wait for the ledger.
 */
enum { SYMBOLIZING_QUIET_NS = 1000000000, LOCK_WAIT_NS = 20000000 };

uint64_t pace_cpu_ns(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u;
}

void pace_begin(struct pace *pace, const struct session_progress *sink)
{
	*pace = (struct pace){.sink = sink, .begun_ns = clock_now_ns()};
}

static bool is_due(const struct pace *pace, uint64_t now, uint64_t quiet_ns)
{
	return pace->sink && now - pace->begun_ns >= quiet_ns &&
	       (!pace->shown_ns || now - pace->shown_ns >= PACE_INTERVAL_NS);
}

static void show(struct pace *pace, uint64_t now, struct session_figures *figures)
{
	figures->tracer_cpu_ns = pace_cpu_ns();
	pace->shown_ns = now;
	pace->sink->show(pace->sink->context, figures);
}

void pace_tracing(struct pace *pace, struct session *session)
{
	uint64_t now = clock_now_ns(), begun = atomic_load(&session->begun_ns);
	if (!is_due(pace, now, PACE_INTERVAL_NS))
		return;
	struct session_figures figures = {
		.phase = begun ? SESSION_TRACING : SESSION_STARTING,
		.elapsed_ns = begun && begun < now ? now - begun : 0,
	};
	if (begun) {
		if (!taps_lock_within(&session->taps, LOCK_WAIT_NS))
			return;
		const struct total_counters *totals = ledger_totals(session->ledger);
		figures.current_bytes = totals->current_bytes;
		figures.peak_bytes = totals->peak_bytes;
		figures.events = totals->events;
		taps_unlock(&session->taps);
	} else {
		figures.elapsed_ns = now - pace->begun_ns;
	}
	show(pace, now, &figures);
}

void pace_symbolizing(struct pace *pace, size_t done, size_t total)
{
	uint64_t now = clock_now_ns();
	if (!is_due(pace, now, SYMBOLIZING_QUIET_NS))
		return;
	struct session_figures figures = {.phase = SESSION_SYMBOLIZING,
					  .elapsed_ns = now - pace->begun_ns,
					  .done_stacks = done,
					  .total_stacks = total};
	show(pace, now, &figures);
}
