/* SPDX-License-Identifier: MIT */
/*
 * Private to the files freeze*.c: a snapshot while it is made from a copy of the figures.
 *
 * Owns: the shape. freeze.c: the session, its processes and modules.    freeze_sites.c: sites,
 * their stacks and symbols.    freeze_history.c: what was when.    freeze_sources.c: text of
 * sources. One thread.
 */
#ifndef SESSION_FREEZE_H
#define SESSION_FREEZE_H

#include "session/pace.h"
#include "session/positions.h"
#include "session/previous.h"
#include "session/private.h"

/* A site that is not in the snapshot. */
#define FREEZE_NO_SITE UINT32_MAX

struct freeze {
	struct session *session;
	const struct frozen *frozen;
	struct snapshot *snapshot;
	uint32_t *site_numbers; /* by site_id: index among the snapshot's sites, FREEZE_NO_SITE */
	uint32_t tree;		/* index of the root among the snapshot's processes */
	uint32_t image_count;	/* of the registry, when the figures had been copied */
	uint64_t *blind_sites;	/* by image id - 1: sites with a frame there that has no line */
	uint32_t *last_site;	/* by image id - 1: the last such site, + 1 */
	struct positions known;
	struct previous previous; /* the stack of the site that was added last */
	struct previous now;	  /* of the one that is being added */
	struct pace pace;
	struct traits_site *traits; /* copies, by site_id; NULL: a site is a stack */
	bool waste_known;
	size_t source_bytes;		   /* of the text that was added */
	struct session_process *processes; /* copies; commands are copies, too */
	size_t process_count;
	struct space_probe *probes; /* copies; reasons are the session's */
	size_t probe_count;
};

/* A string of the snapshot; see snapshot_string. */
static inline const char *freeze_keep(struct freeze *freeze, const char *string, struct error **err)
{
	return *err ? NULL : snapshot_string(freeze->snapshot, string, err);
}

/* Adds all sites, or one of them with other counters, as the only one. */
struct error *freeze_add_sites(struct freeze *freeze);
struct error *freeze_add_one_site(struct freeze *freeze, site_id site,
				  const struct site_counters *counters);

/* The stack of a site of the ledger, and what its blocks have in common beside. */
site_id freeze_kept_stack(const struct freeze *freeze, uint32_t site, struct snapshot_traits *ret);

/* Whether every block is of glibc's malloc, the only one whose waste is known. */
bool freeze_kept_knows_waste(const struct freeze *freeze);

/* The first `count` sites of the ledger, those of one stack beside each other; caller frees. */
struct error *freeze_kept_order(const struct freeze *freeze, size_t count, uint32_t **ret);

/*
 * Adds threads and, at the end of tracing, ages and histograms, to the snapshot that has its
 * duration and all sites. To count live blocks takes as long as there are many of them: while
 * tracing goes on nobody is made to wait for that, and the snapshot goes without.
 */
struct error *freeze_add_kept(struct freeze *freeze);

/* The image of that id as the registry has it. */
struct image *freeze_image(const struct freeze *freeze, image_id id);

/* Adds source text that nobody can read any more once the target's root is let go of. */
struct error *freeze_add_sources(struct freeze *freeze);

/* Adds timeline, details and marks; the sites have been added. */
struct error *freeze_add_history(struct freeze *freeze);

#endif
