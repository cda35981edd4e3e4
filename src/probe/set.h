/* SPDX-License-Identifier: MIT */
/*
 * Private to src/probe: what a set holds. set.c keeps it, breakpoint.c works on it.
 */
#ifndef PROBE_SET_H
#define PROBE_SET_H

#include "arch/survival.h"
#include "probe/probe.h"

/* What stands at a site, besides the entry of a function. */
enum site_exit {
	SITE_NO_EXIT,
	SITE_RETURN,	   /* a `ret`: the return address stands at rsp */
	SITE_DEPARTURE,	   /* a jump to a shared function: the end is seen after the return */
	SITE_SIZED_EXIT,   /* a way out where the size argument is still readable: see survival.h */
	SITE_SIZE_LOST,	   /* where it is about to be overwritten */
	SITE_AFTER_RETURN, /* where a caller goes on: the return address stood at rsp - 8 */
};

/*
 * One changed byte. Invariants: armed == (the space holds an int3 at address);
 * slot.bytes stand at slot_address as long as the site exists and the set is not erased.
 */
struct site {
	target_addr address;
	target_addr slot_address;
	struct code_slot slot;
	uint8_t original;
	bool armed;
	bool entry;
	enum probe_purpose purpose; /* entry */
	unsigned watch;		    /* entry of purpose PROBE_WATCH */
	const struct allocator_function
		*function;	/* entry, or sized exit, of an allocator function */
	bool uses_return_sites; /* entry of a function whose exits are not known */
	enum site_exit exit;
	struct survival_point point; /* SITE_SIZED_EXIT, SITE_SIZE_LOST: of `function` */
};

/* Invariant: owner <= start <= next <= end; [start, next) is used. */
struct slack {
	target_addr owner, start, next, end;
	bool permanent;
};

struct probe_set {
	const struct probe_operations *operations;
	const struct target_space *space;
	struct code_reader reader;	    /* of the session: memory as it is */
	struct code_reader original_reader; /* over it: memory as it was before us */
	struct map sites;		    /* address -> struct site */
	struct map announced; /* entries of functions that are or will be probed -> set */
	struct map inserted;  /* entries of functions that are probed -> set */
	struct map covered;   /* `ret`s whose SITE_SIZED_EXIT stands before them -> set */
	struct slack *slacks;
	size_t slack_count, slack_capacity;
	bool disarmed;
	bool slots_in_use; /* a context we could not repair may point into a slot: keep them */
};

/* The site whose slot holds pc, NULL if none; *offset_ret is within it. */
struct site *set_site_of_slot(const struct probe_set *set, uint64_t pc, size_t *offset_ret);

/*
 * Writes a relocated copy of the instruction at address into slack and makes an unarmed site of it.
 * ERROR_UNSUPPORTED with the reason.
 */
struct error *set_add_site(struct probe_set *set, target_addr address, struct site **ret);

/* Writes the int3 (armed) or the original byte. */
struct error *site_write(struct probe_set *set, struct site *site, bool armed);

#endif
