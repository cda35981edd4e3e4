/* SPDX-License-Identifier: MIT */
#include "stack/registry.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/cleanup.h"

/* A file as a mapping names it; image NULL: it is no use (and the reason was logged). */
struct entry {
	uint64_t inode;
	uint64_t device;
	struct image *image;
};

struct registry {
	struct entry *entries; /* entries[id - 1] */
	size_t count, capacity;
	const struct log *log;
	const char *const *debug_paths; /* of struct image_options */
};

enum { IMAGES_MAX = 65535 }; /* an id has 16 bits in the interner's frames */

struct error *registry_create(const struct log *log, const char *const *debug_paths,
			      struct registry **ret)
{
	struct registry *registry = calloc(1, sizeof *registry);
	if (!registry)
		return error_no_memory();
	registry->log = log;
	registry->debug_paths = debug_paths;
	*ret = registry;
	return NULL;
}

void registry_destroy(struct registry *registry)
{
	if (!registry)
		return;
	for (size_t i = 0; i < registry->count; i++)
		image_close(registry->entries[i].image);
	free(registry->entries);
	free(registry);
}

static struct error *open_new(struct registry *registry, pid_t pid,
			      const struct proc_mapping *mapping, struct image **ret)
{
	int fd;
	char root[64];
	struct image_options options = {.debug_paths = registry->debug_paths};
	snprintf(root, sizeof root, "/proc/%d/root", pid);
	if (proc_has_own_root(pid)) {
		options.root = root;
		options.path_in_root = proc_path_in_root(pid, mapping->path);
	}
	struct error *err = proc_is_vdso(mapping) ? proc_copy_mapped(pid, mapping, &fd)
						  : proc_open_mapped(pid, mapping, &fd);
	if (!err)
		err = image_open(fd, mapping->path, &options, ret);
	if (err && error_kind_of(err) != ERROR_NO_MEMORY) {
		log_write(registry->log, LOG_INFO, "no use of '%s': %s", mapping->path,
			  error_message(err));
		error_free(err);
		*ret = NULL;
		return NULL;
	}
	return err;
}

struct error *registry_open(struct registry *registry, pid_t pid,
			    const struct proc_mapping *mapping, image_id *id_ret,
			    struct image **ret)
{
	size_t i = 0;
	while (i < registry->count && (registry->entries[i].inode != mapping->inode ||
				       registry->entries[i].device != mapping->device))
		i++;
	if (i == registry->count) {
		if (i == IMAGES_MAX)
			return error_new(ERROR_UNSUPPORTED, "more than %d files are mapped",
					 IMAGES_MAX);
		if (!array_reserve(&registry->entries, &registry->capacity, i + 1,
				   sizeof *registry->entries))
			return error_no_memory();
		struct image *image = NULL;
		struct error *err = open_new(registry, pid, mapping, &image);
		if (err)
			return err;
		registry->entries[i] = (struct entry){mapping->inode, mapping->device, image};
		registry->count++;
	}
	if (!registry->entries[i].image)
		return error_new(ERROR_NOT_FOUND, "'%s' is no image of use", mapping->path);
	*id_ret = (image_id){(uint32_t)i + 1};
	*ret = registry->entries[i].image;
	return NULL;
}

struct image *registry_image(const struct registry *registry, image_id id)
{
	return id.v && id.v <= registry->count ? registry->entries[id.v - 1].image : NULL;
}

uint32_t registry_count(const struct registry *registry)
{
	return (uint32_t)registry->count;
}
