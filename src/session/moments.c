/* SPDX-License-Identifier: MIT */
#include "session/moments.h"

static struct error *reset_peak(struct session *session, const struct target_thread *thread,
				const char *name)
{
	return session_mark(session, SNAPSHOT_MARK_PEAK_RESET, name,
			    thread->stopped_since_ns - session->started_ns);
}

static struct error *take_snapshot(struct session *session, const char *name)
{
	struct frozen *frozen;
	struct error *err = frozen_take(session, FROZEN_SNAPSHOT, name, &frozen);
	if (!err)
		control_submit(session->control, frozen);
	return err;
}

static struct error *act_on_static_probe(struct session *session,
					 const struct target_thread *thread,
					 const struct static_probe *probe, target_addr site)
{
	char text[STATIC_PROBE_NAME_BYTES];
	const char *name = static_probe_name(probe, thread, site, text) ? text : NULL;
	switch (probe->act) {
	case STATIC_PROBE_RESET_PEAK:
		return reset_peak(session, thread, "tracealloc:reset_peak");
	case STATIC_PROBE_MARK:
		return session_mark(session, SNAPSHOT_MARK_NAMED, name,
				    thread->stopped_since_ns - session->started_ns);
	case STATIC_PROBE_SNAPSHOT:
		return take_snapshot(session, name);
	}
	return NULL;
}

struct error *moments_act(struct session *session, const struct target_thread *thread,
			  const struct probe_hit *hit)
{
	const struct watches *watches = &session->probes.watches;
	struct error *err = taps_take(session, true);
	if (err)
		return err;
	if (hit->watch >= watches->count)
		return act_on_static_probe(
			session, thread,
			&session->probes.static_probes.items[hit->watch - watches->count],
			hit->site);
	const struct session_watch *watch = &watches->items[hit->watch];
	return watch->snapshots ? take_snapshot(session, watch->function)
				: reset_peak(session, thread, watch->function);
}
