/* SPDX-License-Identifier: MIT */
#include "allocator/groups.h"

/*
 * malloc(3), posix_memalign(3), reallocarray(3), malloc_usable_size(3); cfree until glibc 2.25;
 * free_sized and free_aligned_sized of C23 (7.24.3).
 */
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
	{"free_sized", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"free_aligned_sized", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
};

/* The same names in libraries of which it is not known that a creation calls no other creation. */
static const struct allocator_function c_functions[] = {
	{"malloc", ALLOCATOR_CREATE, .size_argument = 1},
	{"calloc", ALLOCATOR_CREATE, .count_argument = 1, .size_argument = 2, .calls_others = true},
	{"realloc", ALLOCATOR_RESIZE, .pointer_argument = 1, .size_argument = 2},
	{"reallocarray", ALLOCATOR_RESIZE, .pointer_argument = 1, .count_argument = 2,
	 .size_argument = 3},
	{"memalign", ALLOCATOR_CREATE, .size_argument = 2, .calls_others = true},
	{"aligned_alloc", ALLOCATOR_CREATE, .size_argument = 2, .calls_others = true},
	{"posix_memalign", ALLOCATOR_CREATE, ALLOCATOR_STORES_ADDRESS, .size_argument = 3,
	 .result_argument = 1, .calls_others = true},
	{"valloc", ALLOCATOR_CREATE, .size_argument = 1, .whole = true, .calls_others = true},
	{"pvalloc", ALLOCATOR_CREATE, .size_argument = 1, .whole = true, .calls_others = true},
	{"free", ALLOCATOR_RELEASE, .pointer_argument = 1, .leaf = true},
	{"cfree", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"free_sized", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"free_aligned_sized", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
};

/* The same in a module that may only lead on to another one, by whatever way. */
static const struct allocator_function c_wrapped_functions[] = {
	{"malloc", ALLOCATOR_CREATE, .size_argument = 1, .calls_others = true},
	{"calloc", ALLOCATOR_CREATE, .count_argument = 1, .size_argument = 2, .calls_others = true},
	{"realloc", ALLOCATOR_RESIZE, .pointer_argument = 1, .size_argument = 2},
	{"reallocarray", ALLOCATOR_RESIZE, .pointer_argument = 1, .count_argument = 2,
	 .size_argument = 3},
	{"memalign", ALLOCATOR_CREATE, .size_argument = 2, .calls_others = true},
	{"aligned_alloc", ALLOCATOR_CREATE, .size_argument = 2, .calls_others = true},
	{"posix_memalign", ALLOCATOR_CREATE, ALLOCATOR_STORES_ADDRESS, .size_argument = 3,
	 .result_argument = 1, .calls_others = true},
	{"valloc", ALLOCATOR_CREATE, .size_argument = 1, .whole = true, .calls_others = true},
	{"pvalloc", ALLOCATOR_CREATE, .size_argument = 1, .whole = true, .calls_others = true},
	{"free", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"cfree", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"free_sized", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"free_aligned_sized", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
};

/* C++20 (17.6.3): operator new and new[], plain, aligned, and either of them with nothrow. */
static const struct allocator_function cxx_functions[] = {
	{"_Znwm", ALLOCATOR_CREATE, .size_argument = 1, .throws = true, .calls_others = true},
	{"_ZnwmRKSt9nothrow_t", ALLOCATOR_CREATE, .size_argument = 1, .calls_others = true},
	{"_ZnwmSt11align_val_t", ALLOCATOR_CREATE, .size_argument = 1, .throws = true,
	 .calls_others = true},
	{"_ZnwmSt11align_val_tRKSt9nothrow_t", ALLOCATOR_CREATE, .size_argument = 1,
	 .calls_others = true},
	{"_Znam", ALLOCATOR_CREATE, .size_argument = 1, .throws = true, .calls_others = true},
	{"_ZnamRKSt9nothrow_t", ALLOCATOR_CREATE, .size_argument = 1, .calls_others = true},
	{"_ZnamSt11align_val_t", ALLOCATOR_CREATE, .size_argument = 1, .throws = true,
	 .calls_others = true},
	{"_ZnamSt11align_val_tRKSt9nothrow_t", ALLOCATOR_CREATE, .size_argument = 1,
	 .calls_others = true},
	{"_ZdlPv", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"_ZdlPvm", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"_ZdlPvRKSt9nothrow_t", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"_ZdlPvSt11align_val_t", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"_ZdlPvmSt11align_val_t", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"_ZdlPvSt11align_val_tRKSt9nothrow_t", ALLOCATOR_RELEASE, .pointer_argument = 1,
	 .whole = true},
	{"_ZdaPv", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"_ZdaPvm", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"_ZdaPvRKSt9nothrow_t", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"_ZdaPvSt11align_val_t", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"_ZdaPvmSt11align_val_t", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"_ZdaPvSt11align_val_tRKSt9nothrow_t", ALLOCATOR_RELEASE, .pointer_argument = 1,
	 .whole = true},
};

/* jemalloc(3). xallocx tells the size that the block has. */
static const struct allocator_function jemalloc_functions[] = {
	{"mallocx", ALLOCATOR_CREATE, .size_argument = 1},
	{"rallocx", ALLOCATOR_RESIZE, .pointer_argument = 1, .size_argument = 2},
	{"xallocx", ALLOCATOR_RESIZE, ALLOCATOR_RETURNS_SIZE, .pointer_argument = 1,
	 .size_argument = 2},
	{"dallocx", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"sdallocx", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
};

/* Built with a prefix, as programs do that carry their own. */
static const struct allocator_function jemalloc_je_functions[] = {
	{"je_malloc", ALLOCATOR_CREATE, .size_argument = 1},
	{"je_calloc", ALLOCATOR_CREATE, .count_argument = 1, .size_argument = 2,
	 .calls_others = true},
	{"je_realloc", ALLOCATOR_RESIZE, .pointer_argument = 1, .size_argument = 2},
	{"je_memalign", ALLOCATOR_CREATE, .size_argument = 2, .calls_others = true},
	{"je_aligned_alloc", ALLOCATOR_CREATE, .size_argument = 2, .calls_others = true},
	{"je_posix_memalign", ALLOCATOR_CREATE, ALLOCATOR_STORES_ADDRESS, .size_argument = 3,
	 .result_argument = 1, .calls_others = true},
	{"je_valloc", ALLOCATOR_CREATE, .size_argument = 1, .whole = true, .calls_others = true},
	{"je_pvalloc", ALLOCATOR_CREATE, .size_argument = 1, .whole = true, .calls_others = true},
	{"je_free", ALLOCATOR_RELEASE, .pointer_argument = 1, .leaf = true},
	{"je_free_sized", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"je_free_aligned_sized", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"je_mallocx", ALLOCATOR_CREATE, .size_argument = 1},
	{"je_rallocx", ALLOCATOR_RESIZE, .pointer_argument = 1, .size_argument = 2},
	{"je_xallocx", ALLOCATOR_RESIZE, ALLOCATOR_RETURNS_SIZE, .pointer_argument = 1,
	 .size_argument = 2},
	{"je_dallocx", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"je_sdallocx", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
};

/* The same with the prefix of Rust's packages. */
static const struct allocator_function jemalloc_rjem_functions[] = {
	{"_rjem_malloc", ALLOCATOR_CREATE, .size_argument = 1},
	{"_rjem_calloc", ALLOCATOR_CREATE, .count_argument = 1, .size_argument = 2,
	 .calls_others = true},
	{"_rjem_realloc", ALLOCATOR_RESIZE, .pointer_argument = 1, .size_argument = 2},
	{"_rjem_memalign", ALLOCATOR_CREATE, .size_argument = 2, .calls_others = true},
	{"_rjem_aligned_alloc", ALLOCATOR_CREATE, .size_argument = 2, .calls_others = true},
	{"_rjem_posix_memalign", ALLOCATOR_CREATE, ALLOCATOR_STORES_ADDRESS, .size_argument = 3,
	 .result_argument = 1, .calls_others = true},
	{"_rjem_valloc", ALLOCATOR_CREATE, .size_argument = 1, .whole = true, .calls_others = true},
	{"_rjem_pvalloc", ALLOCATOR_CREATE, .size_argument = 1, .whole = true,
	 .calls_others = true},
	{"_rjem_free", ALLOCATOR_RELEASE, .pointer_argument = 1, .leaf = true},
	{"_rjem_free_sized", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"_rjem_free_aligned_sized", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"_rjem_mallocx", ALLOCATOR_CREATE, .size_argument = 1},
	{"_rjem_rallocx", ALLOCATOR_RESIZE, .pointer_argument = 1, .size_argument = 2},
	{"_rjem_xallocx", ALLOCATOR_RESIZE, ALLOCATOR_RETURNS_SIZE, .pointer_argument = 1,
	 .size_argument = 2},
	{"_rjem_dallocx", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"_rjem_sdallocx", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
};

/* gperftools/tcmalloc.h */
static const struct allocator_function tcmalloc_functions[] = {
	{"tc_malloc", ALLOCATOR_CREATE, .size_argument = 1},
	{"tc_calloc", ALLOCATOR_CREATE, .count_argument = 1, .size_argument = 2,
	 .calls_others = true},
	{"tc_realloc", ALLOCATOR_RESIZE, .pointer_argument = 1, .size_argument = 2},
	{"tc_memalign", ALLOCATOR_CREATE, .size_argument = 2, .calls_others = true},
	{"tc_posix_memalign", ALLOCATOR_CREATE, ALLOCATOR_STORES_ADDRESS, .size_argument = 3,
	 .result_argument = 1, .calls_others = true},
	{"tc_valloc", ALLOCATOR_CREATE, .size_argument = 1, .whole = true, .calls_others = true},
	{"tc_pvalloc", ALLOCATOR_CREATE, .size_argument = 1, .whole = true, .calls_others = true},
	{"tc_free", ALLOCATOR_RELEASE, .pointer_argument = 1, .leaf = true},
	{"tc_cfree", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"tc_free_sized", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"tc_malloc_skip_new_handler", ALLOCATOR_CREATE, .size_argument = 1, .calls_others = true},
	{"tc_new", ALLOCATOR_CREATE, .size_argument = 1, .throws = true, .calls_others = true},
	{"tc_new_nothrow", ALLOCATOR_CREATE, .size_argument = 1, .calls_others = true},
	{"tc_new_aligned", ALLOCATOR_CREATE, .size_argument = 1, .throws = true,
	 .calls_others = true},
	{"tc_new_aligned_nothrow", ALLOCATOR_CREATE, .size_argument = 1, .calls_others = true},
	{"tc_delete", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"tc_delete_sized", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"tc_delete_nothrow", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"tc_delete_aligned", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"tc_delete_sized_aligned", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"tc_delete_aligned_nothrow", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"tc_newarray", ALLOCATOR_CREATE, .size_argument = 1, .throws = true, .calls_others = true},
	{"tc_newarray_nothrow", ALLOCATOR_CREATE, .size_argument = 1, .calls_others = true},
	{"tc_newarray_aligned", ALLOCATOR_CREATE, .size_argument = 1, .throws = true,
	 .calls_others = true},
	{"tc_newarray_aligned_nothrow", ALLOCATOR_CREATE, .size_argument = 1, .calls_others = true},
	{"tc_deletearray", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"tc_deletearray_sized", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"tc_deletearray_nothrow", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"tc_deletearray_aligned", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"tc_deletearray_sized_aligned", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"tc_deletearray_aligned_nothrow", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
};

/* mimalloc.h: sizes are in bytes, or a count of members and their size. */
static const struct allocator_function mimalloc_functions[] = {
	{"mi_malloc", ALLOCATOR_CREATE, .size_argument = 1},
	{"mi_malloc_small", ALLOCATOR_CREATE, .size_argument = 1, .calls_others = true},
	{"mi_zalloc", ALLOCATOR_CREATE, .size_argument = 1, .calls_others = true},
	{"mi_zalloc_small", ALLOCATOR_CREATE, .size_argument = 1, .calls_others = true},
	{"mi_calloc", ALLOCATOR_CREATE, .count_argument = 1, .size_argument = 2,
	 .calls_others = true},
	{"mi_mallocn", ALLOCATOR_CREATE, .count_argument = 1, .size_argument = 2,
	 .calls_others = true},
	{"mi_realloc", ALLOCATOR_RESIZE, .pointer_argument = 1, .size_argument = 2},
	{"mi_reallocf", ALLOCATOR_RESIZE, .pointer_argument = 1, .size_argument = 2},
	{"mi_rezalloc", ALLOCATOR_RESIZE, .pointer_argument = 1, .size_argument = 2},
	{"mi_expand", ALLOCATOR_RESIZE, .pointer_argument = 1, .size_argument = 2},
	{"mi_reallocn", ALLOCATOR_RESIZE, .pointer_argument = 1, .count_argument = 2,
	 .size_argument = 3},
	{"mi_recalloc", ALLOCATOR_RESIZE, .pointer_argument = 1, .count_argument = 2,
	 .size_argument = 3},
	{"mi_reallocarray", ALLOCATOR_RESIZE, .pointer_argument = 1, .count_argument = 2,
	 .size_argument = 3},
	{"mi_memalign", ALLOCATOR_CREATE, .size_argument = 2, .calls_others = true},
	{"mi_aligned_alloc", ALLOCATOR_CREATE, .size_argument = 2, .calls_others = true},
	{"mi_posix_memalign", ALLOCATOR_CREATE, ALLOCATOR_STORES_ADDRESS, .size_argument = 3,
	 .result_argument = 1, .calls_others = true},
	{"mi_valloc", ALLOCATOR_CREATE, .size_argument = 1, .whole = true, .calls_others = true},
	{"mi_pvalloc", ALLOCATOR_CREATE, .size_argument = 1, .whole = true, .calls_others = true},
	{"mi_malloc_aligned", ALLOCATOR_CREATE, .size_argument = 1, .calls_others = true},
	{"mi_zalloc_aligned", ALLOCATOR_CREATE, .size_argument = 1, .calls_others = true},
	{"mi_calloc_aligned", ALLOCATOR_CREATE, .count_argument = 1, .size_argument = 2,
	 .calls_others = true},
	{"mi_realloc_aligned", ALLOCATOR_RESIZE, .pointer_argument = 1, .size_argument = 2},
	{"mi_rezalloc_aligned", ALLOCATOR_RESIZE, .pointer_argument = 1, .size_argument = 2},
	{"mi_recalloc_aligned", ALLOCATOR_RESIZE, .pointer_argument = 1, .count_argument = 2,
	 .size_argument = 3},
	{"mi_malloc_aligned_at", ALLOCATOR_CREATE, .size_argument = 1, .calls_others = true},
	{"mi_zalloc_aligned_at", ALLOCATOR_CREATE, .size_argument = 1, .calls_others = true},
	{"mi_calloc_aligned_at", ALLOCATOR_CREATE, .count_argument = 1, .size_argument = 2,
	 .calls_others = true},
	{"mi_realloc_aligned_at", ALLOCATOR_RESIZE, .pointer_argument = 1, .size_argument = 2},
	{"mi_rezalloc_aligned_at", ALLOCATOR_RESIZE, .pointer_argument = 1, .size_argument = 2},
	{"mi_recalloc_aligned_at", ALLOCATOR_RESIZE, .pointer_argument = 1, .count_argument = 2,
	 .size_argument = 3},
	{"mi_new", ALLOCATOR_CREATE, .size_argument = 1, .throws = true, .calls_others = true},
	{"mi_new_nothrow", ALLOCATOR_CREATE, .size_argument = 1, .calls_others = true},
	{"mi_new_aligned", ALLOCATOR_CREATE, .size_argument = 1, .throws = true,
	 .calls_others = true},
	{"mi_new_aligned_nothrow", ALLOCATOR_CREATE, .size_argument = 1, .calls_others = true},
	{"mi_new_n", ALLOCATOR_CREATE, .count_argument = 1, .size_argument = 2, .throws = true,
	 .calls_others = true},
	{"mi_new_realloc", ALLOCATOR_RESIZE, .pointer_argument = 1, .size_argument = 2,
	 .throws = true},
	{"mi_new_reallocn", ALLOCATOR_RESIZE, .pointer_argument = 1, .count_argument = 2,
	 .size_argument = 3, .throws = true},
	{"mi_free", ALLOCATOR_RELEASE, .pointer_argument = 1, .leaf = true},
	{"mi_free_size", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"mi_free_aligned", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
	{"mi_free_size_aligned", ALLOCATOR_RELEASE, .pointer_argument = 1, .whole = true},
};

/* The same from a heap of the caller's, which is the first argument. */
static const struct allocator_function mimalloc_heap_functions[] = {
	{"mi_heap_malloc", ALLOCATOR_CREATE, .size_argument = 2, .calls_others = true},
	{"mi_heap_malloc_small", ALLOCATOR_CREATE, .size_argument = 2, .calls_others = true},
	{"mi_heap_zalloc", ALLOCATOR_CREATE, .size_argument = 2, .calls_others = true},
	{"mi_heap_calloc", ALLOCATOR_CREATE, .count_argument = 2, .size_argument = 3,
	 .calls_others = true},
	{"mi_heap_mallocn", ALLOCATOR_CREATE, .count_argument = 2, .size_argument = 3,
	 .calls_others = true},
	{"mi_heap_realloc", ALLOCATOR_RESIZE, .pointer_argument = 2, .size_argument = 3},
	{"mi_heap_reallocf", ALLOCATOR_RESIZE, .pointer_argument = 2, .size_argument = 3},
	{"mi_heap_rezalloc", ALLOCATOR_RESIZE, .pointer_argument = 2, .size_argument = 3},
	{"mi_heap_reallocn", ALLOCATOR_RESIZE, .pointer_argument = 2, .count_argument = 3,
	 .size_argument = 4},
	{"mi_heap_recalloc", ALLOCATOR_RESIZE, .pointer_argument = 2, .count_argument = 3,
	 .size_argument = 4},
	{"mi_heap_malloc_aligned", ALLOCATOR_CREATE, .size_argument = 2, .calls_others = true},
	{"mi_heap_zalloc_aligned", ALLOCATOR_CREATE, .size_argument = 2, .calls_others = true},
	{"mi_heap_calloc_aligned", ALLOCATOR_CREATE, .count_argument = 2, .size_argument = 3,
	 .calls_others = true},
	{"mi_heap_realloc_aligned", ALLOCATOR_RESIZE, .pointer_argument = 2, .size_argument = 3},
	{"mi_heap_rezalloc_aligned", ALLOCATOR_RESIZE, .pointer_argument = 2, .size_argument = 3},
	{"mi_heap_recalloc_aligned", ALLOCATOR_RESIZE, .pointer_argument = 2, .count_argument = 3,
	 .size_argument = 4},
	{"mi_heap_malloc_aligned_at", ALLOCATOR_CREATE, .size_argument = 2, .calls_others = true},
	{"mi_heap_zalloc_aligned_at", ALLOCATOR_CREATE, .size_argument = 2, .calls_others = true},
	{"mi_heap_calloc_aligned_at", ALLOCATOR_CREATE, .count_argument = 2, .size_argument = 3,
	 .calls_others = true},
	{"mi_heap_realloc_aligned_at", ALLOCATOR_RESIZE, .pointer_argument = 2, .size_argument = 3},
	{"mi_heap_rezalloc_aligned_at", ALLOCATOR_RESIZE, .pointer_argument = 2,
	 .size_argument = 3},
	{"mi_heap_recalloc_aligned_at", ALLOCATOR_RESIZE, .pointer_argument = 2,
	 .count_argument = 3, .size_argument = 4},
	{"mi_heap_alloc_new", ALLOCATOR_CREATE, .size_argument = 2, .throws = true,
	 .calls_others = true},
	{"mi_heap_alloc_new_n", ALLOCATOR_CREATE, .count_argument = 2, .size_argument = 3,
	 .throws = true, .calls_others = true},
};

/* mmap(2), munmap(2), mremap(2), brk(2). mmap64 is mmap by another name. */
static const struct allocator_function mapping_functions[] = {
	{"mmap", ALLOCATOR_CREATE, ALLOCATOR_RETURNS_MAPPING, .size_argument = 2, .maps = true},
	{"mmap64", ALLOCATOR_CREATE, ALLOCATOR_RETURNS_MAPPING, .size_argument = 2, .maps = true},
	{"munmap", ALLOCATOR_RELEASE, .pointer_argument = 1, .size_argument = 2, .leaf = true,
	 .maps = true},
	{"mremap", ALLOCATOR_RESIZE, ALLOCATOR_RETURNS_MAPPING, .pointer_argument = 1,
	 .old_size_argument = 2, .size_argument = 3, .flags_argument = 4, .maps = true},
	{"sbrk", ALLOCATOR_CREATE, ALLOCATOR_RETURNS_BREAK, .size_argument = 1, .maps = true},
	{"brk", ALLOCATOR_CREATE, ALLOCATOR_SETS_BREAK, .pointer_argument = 1, .maps = true},
};

const struct allocator_group allocator_glibc = {glibc_functions,
						sizeof glibc_functions / sizeof glibc_functions[0]};

const struct allocator_group allocator_c = {c_functions,
					    sizeof c_functions / sizeof c_functions[0]};

const struct allocator_group allocator_c_wrapped = {
	c_wrapped_functions, sizeof c_wrapped_functions / sizeof c_wrapped_functions[0]};

const struct allocator_group allocator_cxx = {cxx_functions,
					      sizeof cxx_functions / sizeof cxx_functions[0]};

const struct allocator_group allocator_jemalloc = {
	jemalloc_functions, sizeof jemalloc_functions / sizeof jemalloc_functions[0]};

const struct allocator_group allocator_jemalloc_je = {
	jemalloc_je_functions, sizeof jemalloc_je_functions / sizeof jemalloc_je_functions[0]};

const struct allocator_group allocator_jemalloc_rjem = {jemalloc_rjem_functions,
							sizeof jemalloc_rjem_functions /
								sizeof jemalloc_rjem_functions[0]};

const struct allocator_group allocator_tcmalloc = {
	tcmalloc_functions, sizeof tcmalloc_functions / sizeof tcmalloc_functions[0]};

const struct allocator_group allocator_mimalloc = {
	mimalloc_functions, sizeof mimalloc_functions / sizeof mimalloc_functions[0]};

const struct allocator_group allocator_mapping = {
	mapping_functions, sizeof mapping_functions / sizeof mapping_functions[0]};

const struct allocator_group allocator_mimalloc_heap = {mimalloc_heap_functions,
							sizeof mimalloc_heap_functions /
								sizeof mimalloc_heap_functions[0]};
