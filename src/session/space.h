/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: one address space of the target with its modules and probes.
 *
 * Owns: finding allocator functions in modules, and having them probed as modules come and go.
 * Tracer thread only.
 */
#ifndef SESSION_SPACE_H
#define SESSION_SPACE_H

#include "probe/jump.h"
#include "probe/probe.h"
#include "session/pools.h"
#include "session/session.h"
#include "session/static_probes.h"
#include "session/watch.h"
#include "stack/modules.h"
#include "stack/registry.h"
#include "target/target.h"

/* A function that was to be probed, for the report. */
struct space_probe {
	pid_t pid;
	const char *function; /* of the catalogue */
	image_id module;
	const char *kind; /* "jump", "breakpoint", "none" */
	bool maps;	  /* of the functions that map: they do not tell which engine it is */
	char *reason;	  /* why not, or why it is less than it could be; owned */
};

/*
 * Where an image, 0 if none was seen, holds the code of its own that a borrowed thread runs: see
 * remote_call and remote_restore of struct target_space.
 */
struct space_remote {
	image_id image;
	image_addr call, restore;
};

/* What the session knows of probes, over all of its spaces. */
struct space_probes {
	struct space_probe *items;
	size_t count, capacity;
	struct precedents precedents;
	struct pools pools;
	struct watches watches;
	struct static_probes static_probes;
	struct space_remote remote;
};

/* A family (NULL: the linker's notification, or an unwinder) whose jumps are planned and not
 * written. */
struct space_plan {
	struct module module;
	const struct allocator_family *family;
};

struct session_space {
	struct target_space *target;
	enum session_engine engine;
	struct modules modules;
	struct probe_set *probes; /* breakpoints */
	struct jumps *jumps;
	struct space_plan *plans;
	size_t plan_count, plan_capacity;
	struct registry *registry;	 /* the session's */
	struct space_probes *probe_list; /* the session's */
	const struct log *log;
	size_t allocator_functions; /* probed in this space */
	bool maps;		    /* --mmap: what it maps for itself is seen */
	bool watched;	  /* has breakpoints that watch places, static probes among them */
	bool from_before; /* it had blocks before tracing began */
	struct static_semaphores semaphores;
	/* Why all that is found from now on gets breakpoints (it is called by what has some), NULL:
	 * it need not. */
	const char *breakpoints_because;
	/* Why an exception could not leave a function that is called through, NULL: it can. */
	const char *unwinder_refusal;
	bool examined; /* nothing is to be written: what would be done is only listed */
};

/* The state of a space, kept as its owner_data. */
struct error *space_create(struct target_space *target, struct registry *registry,
			   struct space_probes *probe_list, const struct session_options *options,
			   struct session_space **ret);

/* The state of a forked child's space: modules and probes as its parent's. */
struct error *space_copy(const struct session_space *parent, struct target_space *target,
			 struct session_space **ret);

/* Frees the description; bytes in the target stay as they are. */
void space_destroy(struct session_space *space);

/*
 * Reads the modules again and probes what is new: by breakpoints at once, or by plans for jumps,
 * which install.c sees through.
 */
struct error *space_update(struct session_space *space, bool *changed_ret);

/*
 * The sanitizer that a process runs with, NULL if none ("AddressSanitizer"). Such a runtime puts an
 * allocator of its own in the place of all others, claims large parts of the address space, and
 * looks for leaks by ptrace.
 */
struct error *space_sanitizer(struct registry *registry, pid_t pid, const char **ret);

/* Notes, for the spaces to come, where in its modules the code was that a borrowed thread ran. */
void space_note_remote(const struct session_space *space);

/*
 * Reads the modules and looks whether there is anything to probe, writing nothing. ERROR_NOT_FOUND
 * says what is missing.
 */
struct error *space_check(struct session_space *space);

void space_probes_deinit(struct space_probes *probes);

#endif
