/* SPDX-License-Identifier: MIT */
#include "allocator/catalogue.h"

#include <string.h>

/* malloc(3), posix_memalign(3), reallocarray(3), malloc_usable_size(3); cfree until glibc 2.25. */
static const struct allocator_function glibc_functions[] = {
	{"malloc", ALLOCATOR_CREATE, .size_argument = 1, .leaf_if_marked = true},
	{"calloc", ALLOCATOR_CREATE, .count_argument = 1, .size_argument = 2,
	 .leaf_if_marked = true},
	{"realloc", ALLOCATOR_RESIZE, .pointer_argument = 1, .size_argument = 2},
	{"reallocarray", ALLOCATOR_RESIZE, .pointer_argument = 1, .count_argument = 2,
	 .size_argument = 3},
	{"memalign", ALLOCATOR_CREATE, .size_argument = 2},
	{"aligned_alloc", ALLOCATOR_CREATE, .size_argument = 2},
	{"posix_memalign", ALLOCATOR_CREATE, ALLOCATOR_STORES_ADDRESS, .size_argument = 3,
	 .result_argument = 1},
	{"valloc", ALLOCATOR_CREATE, .size_argument = 1},
	{"pvalloc", ALLOCATOR_CREATE, .size_argument = 1},
	{"free", ALLOCATOR_RELEASE, .pointer_argument = 1, .leaf = true},
	{"cfree", ALLOCATOR_RELEASE, .pointer_argument = 1, .leaf = true},
};

static const char *const glibc_sonames[] = {"libc.so.6", NULL};

/* jemalloc(3): the standard names, as Debian's library exports them, and the extended ones. */
static const struct allocator_function jemalloc_functions[] = {
	{"malloc", ALLOCATOR_CREATE, .size_argument = 1},
	{"calloc", ALLOCATOR_CREATE, .count_argument = 1, .size_argument = 2},
	{"realloc", ALLOCATOR_RESIZE, .pointer_argument = 1, .size_argument = 2},
	{"memalign", ALLOCATOR_CREATE, .size_argument = 2},
	{"aligned_alloc", ALLOCATOR_CREATE, .size_argument = 2},
	{"posix_memalign", ALLOCATOR_CREATE, ALLOCATOR_STORES_ADDRESS, .size_argument = 3,
	 .result_argument = 1},
	{"valloc", ALLOCATOR_CREATE, .size_argument = 1},
	{"mallocx", ALLOCATOR_CREATE, .size_argument = 1},
	{"rallocx", ALLOCATOR_RESIZE, .pointer_argument = 1, .size_argument = 2},
	{"free", ALLOCATOR_RELEASE, .pointer_argument = 1, .leaf = true},
	{"dallocx", ALLOCATOR_RELEASE, .pointer_argument = 1, .leaf = true},
	{"sdallocx", ALLOCATOR_RELEASE, .pointer_argument = 1, .leaf = true},
};

static const char *const jemalloc_sonames[] = {"libjemalloc.so.2", NULL};

static const struct allocator_family families[] = {
	{
		.name = "glibc",
		.sonames = glibc_sonames,
		.static_marker = "__libc_malloc",
		/*
		 * Until glibc 2.34, which also took pthread_create in, the first malloc called
		 * itself through __malloc_hook.
		 */
		.leaf_marker = "pthread_create",
		.tid_offset = 720, /* nptl/descr.h, struct pthread: tcbhead_t, list_t, tid */
		.functions = glibc_functions,
		.function_count = sizeof glibc_functions / sizeof glibc_functions[0],
	},
	{
		.name = "jemalloc",
		.sonames = jemalloc_sonames,
		.functions = jemalloc_functions,
		.function_count = sizeof jemalloc_functions / sizeof jemalloc_functions[0],
	},
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
