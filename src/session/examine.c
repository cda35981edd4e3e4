/* SPDX-License-Identifier: MIT */
/* A look at a process that changes nothing in it but what an earlier session has left. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "session/place.h"
#include "session/private.h"

static struct error *add_finding(struct session *session, const struct space_probe *probe,
				 struct session_findings *ret)
{
	const struct image *image = registry_image(session->registry, probe->module);
	if (!array_reserve(&ret->items, &ret->capacity, ret->count + 1, sizeof *ret->items))
		return error_no_memory();
	struct session_finding *finding = &ret->items[ret->count++];
	*finding = (struct session_finding){
		.function = strdup(probe->function),
		.module = strdup(image ? image_path(image) : ""),
		.kind = probe->kind,
		.reason = probe->reason ? strdup(probe->reason) : NULL,
	};
	bool whole = finding->function && finding->module && (finding->reason || !probe->reason);
	return whole ? NULL : error_no_memory();
}

static struct error *look(struct session *session, struct session_space *space,
			  struct session_findings *ret)
{
	bool changed;
	space->examined = true;
	struct error *err = jumps_adopt(space->jumps, &ret->leftovers);
	if (!err)
		err = space_update(space, &changed);
	if (!err)
		err = place_plans_written(space);
	if (!err)
		session_warn_idle_rules(session);
	for (size_t i = 0; !err && i < session->probes.count; i++)
		err = add_finding(session, &session->probes.items[i], ret);
	return err;
}

static struct error *clean(struct session *session, struct session_space *space,
			   struct session_findings *ret)
{
	struct error *err = stop_predecessor(session, space);
	ret->removed = err ? 0 : ret->leftovers;
	return err;
}

static struct error *examine(struct session *session, pid_t pid, bool cleans,
			     struct session_findings *ret)
{
	struct session_space *space = NULL;
	struct error *err = target_attach(&session->target, pid);
	if (err)
		return err;
	struct target_process *process = map_get(&session->target.processes, (uint64_t)pid);
	err = loop_new_space(session, process->space, &space);
	if (!err)
		err = look(session, space, ret);
	if (!err && cleans)
		err = clean(session, space, ret);
	struct error *failure = stop_all(session);
	if (err)
		error_free(failure);
	return err ? err : failure;
}

struct error *session_examine(const struct session_options *options, pid_t pid, bool clean,
			      struct session_findings *ret)
{
	_cleanup_session_ struct session session;
	*ret = (struct session_findings){0};
	struct error *err = session_init(&session, options);
	session.root = pid;
	session.tracer = pthread_self();
	return err ? err : examine(&session, pid, clean, ret);
}

void session_findings_deinit(struct session_findings *findings)
{
	for (size_t i = 0; i < findings->count; i++) {
		free(findings->items[i].function);
		free(findings->items[i].module);
		free(findings->items[i].reason);
	}
	free(findings->items);
	*findings = (struct session_findings){0};
}
