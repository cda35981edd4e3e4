/* SPDX-License-Identifier: MIT */
#include "allocator/catalogue.h"

#include <string.h>

#include "allocator/groups.h"

/* Tells an allocator of which nothing else is known: the other names are too common. */
static const char *const any_markers[] = {"malloc", NULL};
static const char *const no_sonames[] = {NULL};

static const char *const glibc_sonames[] = {"libc.so.6", NULL};
/* In a program that is linked with it statically. */
static const char *const glibc_markers[] = {"__libc_memalign", NULL};
static const struct allocator_group *const glibc_groups[] = {&allocator_glibc, NULL};

/* Its library has no soname. The first is to be found in every version, the second without .symtab.
 */
static const char *const musl_markers[] = {"__libc_malloc_impl", "__dls2b", NULL};
static const struct allocator_group *const musl_groups[] = {&allocator_c, NULL};

static const char *const jemalloc_sonames[] = {"libjemalloc.so.2", "libjemalloc.so.1", NULL};
static const char *const jemalloc_markers[] = {"mallocx",	"je_mallocx",	"je_malloc",
					       "_rjem_mallocx", "_rjem_malloc", NULL};
static const struct allocator_group *const jemalloc_groups[] = {
	&allocator_c,		&allocator_cxx,		  &allocator_jemalloc,
	&allocator_jemalloc_je, &allocator_jemalloc_rjem, NULL};

static const char *const tcmalloc_sonames[] = {
	"libtcmalloc.so.4",	  "libtcmalloc_minimal.so.4",	    "libtcmalloc_and_profiler.so.4",
	"libtcmalloc_debug.so.4", "libtcmalloc_minimal_debug.so.4", NULL};
static const char *const tcmalloc_markers[] = {"tc_malloc", NULL};
static const struct allocator_group *const tcmalloc_groups[] = {&allocator_c, &allocator_cxx,
								&allocator_tcmalloc, NULL};

static const char *const mimalloc_sonames[] = {"libmimalloc.so.2", "libmimalloc-secure.so.2", NULL};
static const char *const mimalloc_markers[] = {"mi_malloc", NULL};
static const struct allocator_group *const mimalloc_groups[] = {
	&allocator_c, &allocator_cxx, &allocator_mimalloc, &allocator_mimalloc_heap, NULL};

static const struct allocator_group *const other_groups[] = {&allocator_c_wrapped, NULL};

static const struct allocator_family families[] = {
	{
		.name = "jemalloc",
		.sonames = jemalloc_sonames,
		.markers = jemalloc_markers,
		.groups = jemalloc_groups,
	},
	{
		.name = "tcmalloc",
		.sonames = tcmalloc_sonames,
		.markers = tcmalloc_markers,
		.groups = tcmalloc_groups,
	},
	{
		.name = "mimalloc",
		.sonames = mimalloc_sonames,
		.markers = mimalloc_markers,
		.groups = mimalloc_groups,
	},
	{
		.name = "musl",
		.sonames = no_sonames,
		.markers = musl_markers,
		.groups = musl_groups,
	},
	{
		.name = "glibc",
		.sonames = glibc_sonames,
		.markers = glibc_markers,
		/*
		 * Until glibc 2.34, which also took pthread_create in, the first malloc called
		 * itself through __malloc_hook.
		 */
		.leaf_marker = "pthread_create",
		.tid_offset = 720, /* nptl/descr.h, struct pthread: tcbhead_t, list_t, tid */
		.groups = glibc_groups,
	},
	{
		.name = "other",
		.sonames = no_sonames,
		.markers = any_markers,
		.wraps = true,
		.groups = other_groups,
	},
};

static const char *const mapping_markers[] = {"mremap", NULL};
static const struct allocator_group *const mapping_groups[] = {&allocator_mapping, NULL};
static const struct allocator_family mappings = {
	.name = "mappings",
	.sonames = no_sonames,
	.markers = mapping_markers,
	.groups = mapping_groups,
};

const struct allocator_family *allocator_families(size_t *count_ret)
{
	*count_ret = sizeof families / sizeof families[0];
	return families;
}

const struct allocator_family *allocator_family_of_soname(const char *soname)
{
	for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
		for (const char *const *name = families[i].sonames; soname && *name; name++)
			if (strcmp(*name, soname) == 0)
				return &families[i];
	return NULL;
}

const struct allocator_family *allocator_mappings(void)
{
	return &mappings;
}

const struct allocator_function *allocator_next(const struct allocator_family *family,
						const struct allocator_function *previous)
{
	const struct allocator_group *const *group = family->groups;
	if (previous) {
		while (previous < (*group)->functions ||
		       previous >= (*group)->functions + (*group)->count)
			group++;
		if (previous + 1 < (*group)->functions + (*group)->count)
			return previous + 1;
		group++;
	}
	return *group ? (*group)->functions : NULL;
}
