/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: the static probes of the target's modules that speak to us:
 * tracealloc:reset_peak, tracealloc:mark and tracealloc:snapshot.
 *
 * Owns: where images have them, and the semaphores that were raised for them. Each is watched by a
 * breakpoint on its instruction, which does nothing. Does not: act on a hit (moments.c). Tracer
 * thread.
 *
 * What the notes say is untrusted. A breakpoint goes to an instruction in the module's own code
 * that is a nop, there and in its file; a semaphore is written to where it lies in the file's
 * section for them and in a private, writable mapping. A target that lies about either harms itself
 * alone.
 */
#ifndef SESSION_STATIC_PROBES_H
#define SESSION_STATIC_PROBES_H

#include "arch/operand.h"
#include "stack/modules.h"
#include "target/target.h"

struct session_space;

enum static_probe_act { STATIC_PROBE_RESET_PEAK, STATIC_PROBE_MARK, STATIC_PROBE_SNAPSHOT };

/* One of them in one image. */
struct static_probe {
	image_id image;
	enum static_probe_act act;
	image_addr address;
	image_addr semaphore; /* 0: none */
	bool has_argument;
	struct operand argument; /* its text is the image's */
	image_addr symbol;	 /* of the argument, if it names one */
	bool told;		 /* that it cannot be heeded */
};

/* Over all spaces; an item keeps its number. */
struct static_probes {
	bool ignored; /* --usdt ignore: none is looked for */
	struct static_probe *items;
	size_t count, capacity;
	struct map searched; /* ids of images whose probes are among the items -> anything */
};

void static_probes_deinit(struct static_probes *probes);

/* A raised semaphore, and where the code of the module begins that it came with. */
struct static_semaphore {
	target_addr address, module;
};

/* Those of one space. */
struct static_semaphores {
	struct static_semaphore *items;
	size_t count, capacity;
};

/*
 * Watches those of a module of a space that are not watched yet; hits have the number of
 * space->probe_list's watches plus that of the item. Raises their semaphores. Errors: no memory.
 */
struct error *static_probes_place(struct session_space *space, const struct module *module);

/* A module was unmapped: its semaphores are gone. */
void static_probes_forget(struct session_space *space, const struct module *module);

/* Lowers every semaphore that was raised in the space. Idempotent. */
void static_probes_release(struct session_space *space);

/* Copies the list for a forked child, whose memory has the same values. Errors: no memory. */
struct error *static_semaphores_copy(const struct static_semaphores *semaphores,
				     struct static_semaphores *ret);
void static_semaphores_deinit(struct static_semaphores *semaphores);

enum { STATIC_PROBE_NAME_BYTES = 128 };

/*
 * The name that a probe was given, at its hit at `site` in a stopped thread: the string that a
 * pointer leads to, cut where it does not fit, or a number. False: it has none, or none that can be
 * read.
 */
bool static_probe_name(const struct static_probe *probe, const struct target_thread *thread,
		       target_addr site, char ret[STATIC_PROBE_NAME_BYTES]);

#endif
