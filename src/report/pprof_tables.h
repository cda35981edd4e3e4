/* SPDX-License-Identifier: MIT */
/*
 * The tables of a pprof profile that samples refer to: strings, functions, mappings, locations.
 *
 * A location is an address with the functions that are inlined there; a mapping is a module, of
 * which addresses are those of its file, as if it had been loaded at 0. Called by: pprof.c. Without
 * memory `failed` is set, and what is returned from then on means nothing.
 *
 * Equation: the number of each table's texts is the number of the profile's messages of that kind.
 */
#ifndef REPORT_PPROF_TABLES_H
#define REPORT_PPROF_TABLES_H

#include <pprof.pb-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "report/texts.h"
#include "snapshot/snapshot.h"

struct pprof_tables {
	const struct snapshot *snapshot;
	Pprof__Profile *profile; /* borrowed */
	struct texts strings;	 /* the first is empty */
	struct texts functions;	 /* each by what tells it from others */
	struct texts mappings;
	struct texts locations;
	uint64_t
		*location_of; /* by frame of the snapshot, of locations of that alone; 0: not yet */
	size_t function_capacity, mapping_capacity, location_capacity;
	bool failed;
};

void pprof_tables_init(struct pprof_tables *tables, const struct snapshot *snapshot,
		       Pprof__Profile *profile);
void pprof_tables_deinit(struct pprof_tables *tables);

/* The number of a string of our own, or (NULL is the empty one) of one from a target, escaped. */
int64_t pprof_tables_text(struct pprof_tables *tables, const char *text);
int64_t pprof_tables_name(struct pprof_tables *tables, const char *name);

/*
 * The id of the location of `count` frames (one at least), indices into the snapshot's, of which
 * each is inlined into the next.
 */
uint64_t pprof_tables_location(struct pprof_tables *tables, const uint32_t *frames, size_t count);

/* The id of the location of a frame that is none of the snapshot's and in no module. */
uint64_t pprof_tables_placeless(struct pprof_tables *tables, const struct snapshot_frame *frame);

/* The id of the mapping of a module, NULL: 0. */
uint64_t pprof_tables_mapping(struct pprof_tables *tables, const char *module);

/* Gives the profile its strings, once all are there. */
void pprof_tables_finish(struct pprof_tables *tables);

/*
 * Appends a message (NULL: there was no memory for it) to a list of the profile, which takes it;
 * where there is no room the message ends here.
 */
void pprof_tables_append(struct pprof_tables *tables, void *items_pointer, size_t *count,
			 size_t *capacity, void *message);

#endif
