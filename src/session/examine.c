/* SPDX-License-Identifier: MIT */
/* A look at a process that changes nothing in it but what an earlier session has left. */
#include <pthread.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "session/examine_image.h"
#include "session/place.h"
#include "session/private.h"

static struct error *add_finding(struct session *session, const struct space_probe *probe,
				 struct session_findings *ret)
{
	const struct image *image = registry_image(session->registry, probe->module);
	return examine_function(probe->function, image, probe->kind, probe->reason, ret);
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
	struct error *err = retire_predecessor(session, space);
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

/* The target goes on already: debug information may take its time. */
static struct error *add_images(struct session *session, struct session_findings *ret)
{
	struct error *err = NULL;
	for (uint32_t i = 1; !err && i <= registry_count(session->registry); i++) {
		struct image *image = registry_image(session->registry, (image_id){i});
		if (image)
			err = examine_family(image, false, ret);
		if (image && !err)
			err = examine_image(image, ret);
	}
	return err;
}

struct error *session_examine(const struct session_options *options, pid_t pid, bool clean,
			      struct session_findings *ret)
{
	_cleanup_session_ struct session session;
	*ret = (struct session_findings){0};
	struct error *err = session_init(&session, options);
	session.root = pid;
	session.tracer = pthread_self();
	if (!err)
		err = examine(&session, pid, clean, ret);
	return err ? err : add_images(&session, ret);
}

void session_findings_deinit(struct session_findings *findings)
{
	for (size_t i = 0; i < findings->count; i++) {
		free(findings->items[i].function);
		free(findings->items[i].module);
		free(findings->items[i].reason);
	}
	free(findings->items);
	for (size_t i = 0; i < findings->module_count; i++) {
		free(findings->modules[i].path);
		free(findings->modules[i].build_id);
		free(findings->modules[i].debug_file);
	}
	free(findings->modules);
	*findings = (struct session_findings){0};
}
