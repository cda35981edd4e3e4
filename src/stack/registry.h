/* SPDX-License-Identifier: MIT */
/*
 * The images of a session: each file opened once, whoever maps it, and kept until the report.
 *
 * Owns: the images and their ids. Called by: modules and symbolizing, from one thread at a time.
 */
#ifndef STACK_REGISTRY_H
#define STACK_REGISTRY_H

#include "base/log.h"
#include "image/image.h"
#include "target/proc.h"

struct registry;

/* debug_paths: of struct image_options, for all images. */
struct error *registry_create(const struct log *log, const char *const *debug_paths,
			      struct registry **ret);
void registry_destroy(struct registry *registry);

/*
 * The image behind a file mapping of process pid, opened if it is new. ERROR_UNSUPPORTED,
 * ERROR_BAD_INPUT, ERROR_NOT_FOUND: the file is no use; asked again, the same is said without
 * trying.
 */
struct error *registry_open(struct registry *registry, pid_t pid,
			    const struct proc_mapping *mapping, image_id *id_ret,
			    struct image **ret);

/* NULL for id 0 and ids never issued. */
struct image *registry_image(const struct registry *registry, image_id id);

/* Ids are 1 to this number. */
uint32_t registry_count(const struct registry *registry);

#endif
