/* SPDX-License-Identifier: MIT */
/*
 * Calls every function of an allocator, and keeps count by itself (../truth.h). Each line that
 * makes blocks leaves one of them behind. What there is to call is said when it is compiled:
 *
 *   PREFIX      stands before every name (je_, tc_, mi_)
 *   LATE        the functions are those of a library that is loaded by dlopen: the first argument
 *   NEW_NAMESPACE  and that library gets a namespace, and so a C library, of its own
 *   THREADS     the same rounds again, by two threads that take turns
 *   HAVE_REALLOCARRAY, HAVE_ALIGNED, HAVE_MEMALIGN, HAVE_VALLOC, HAVE_PVALLOC, HAVE_SIZED
 *   JEMALLOC, MIMALLOC                                        extensions, of jemalloc(3),
 * mimalloc.h
 */
#include <dlfcn.h>
#include <pthread.h>

#include "../truth.h"

#ifndef PREFIX
#define PREFIX
#endif
#define JOIN2(a, b) a##b
#define JOIN(a, b)  JOIN2(a, b)
#define NAME(name)  JOIN(PREFIX, name)
#define TEXT2(text) #text
#define TEXT(text)  TEXT2(text)

/* The declaration is the function's own; what is called is a pointer to it. */
#ifdef LATE
static void *library;
#define GET_NAMED(name, symbol)                                                                    \
	static __typeof__(&symbol) call_##name;                                                    \
	if (!call_##name && !(call_##name = (__typeof__(&symbol))dlsym(library, TEXT(symbol))))    \
	truth_fail("no " TEXT(symbol) "\n")
#else
#define GET_NAMED(name, symbol) __typeof__(&symbol) call_##name = symbol
#endif
#define GET(name)   GET_NAMED(name, NAME(name))
#define GET_X(name) GET_NAMED(name, JOIN(X_PREFIX, name))

#ifndef X_PREFIX
#define X_PREFIX PREFIX
#endif

void *NAME(malloc)(size_t);
void *NAME(calloc)(size_t, size_t);
void *NAME(realloc)(void *, size_t);
void *NAME(reallocarray)(void *, size_t, size_t);
void NAME(free)(void *);
void NAME(cfree)(void *);
int NAME(posix_memalign)(void **, size_t, size_t);
void *NAME(aligned_alloc)(size_t, size_t);
void *NAME(memalign)(size_t, size_t);
void *NAME(valloc)(size_t);
void *NAME(pvalloc)(size_t);
void NAME(free_sized)(void *, size_t);

#define RESIZED(block, call, size)                                                                 \
	(truth_resizing(block), truth_resized(call, size, __FILE__, __LINE__))

/* Notes that a block is about to be released, and gives it. */
static void *released(void *block)
{
	truth_released((uintptr_t)block);
	return block;
}

/* A block that is kept in memory where a leak checker would find it, too. */
static void *kept[64];
static size_t kept_count;

static void keep(void *block)
{
	kept[kept_count++ % 64] = block;
}

static void round_of_basics(size_t size)
{
	GET(malloc);
	GET(calloc);
	GET(realloc);
	GET(free);
	void *first = TRUTH_CREATED(call_malloc(size), size);
	void *second = TRUTH_CREATED(call_calloc(3, size), 3 * size);
	void *third = RESIZED(NULL, call_realloc(NULL, size + 1), size + 1);
	for (size_t i = 0; i < 10; i++) {
		void *moved = TRUTH_CREATED(call_malloc(size + i), size + i);
		moved = RESIZED(moved, call_realloc(moved, 40 * size + i), 40 * size + i);
		if (i == 0)
			keep(moved);
		else
			call_free(released(moved));
	}
	call_free(NULL);
	call_free(released(second));
	keep(TRUTH_CREATED(call_calloc(size, 2), 2 * size));
	keep(RESIZED(third, call_realloc(third, 100000), 100000));
	void *shrunk = TRUTH_CREATED(call_malloc(5000), 5000);
	keep(RESIZED(shrunk, call_realloc(shrunk, 17), 17));
	keep(TRUTH_CREATED(call_malloc(3 << 20), 3 << 20));
	keep(first);
}

static void round_of_alignments(size_t size)
{
	GET(free);
#ifdef HAVE_ALIGNED
	GET(aligned_alloc);
	keep(TRUTH_CREATED(call_aligned_alloc(64, 64 * size), 64 * size));
	call_free(released(TRUTH_CREATED(call_aligned_alloc(4096, 4096), 4096)));
#endif
	GET(posix_memalign);
	for (int i = 0; i < 3; i++) {
		void *block = NULL;
		TRUTH_CREATED(call_posix_memalign(&block, 256, size) == 0 ? block : NULL, size);
		if (i)
			call_free(released(block));
	}
#ifdef HAVE_MEMALIGN
	GET(memalign);
	call_free(released(TRUTH_CREATED(call_memalign(128, size), size)));
	keep(TRUTH_CREATED(call_memalign(32, size), size));
#endif
#ifdef HAVE_VALLOC
	GET(valloc);
	keep(TRUTH_CREATED(call_valloc(size), size));
#endif
#ifdef HAVE_PVALLOC
	GET(pvalloc);
	keep(TRUTH_CREATED(call_pvalloc(size), size));
#endif
}

static void round_of_others(size_t size)
{
	GET(malloc);
	GET(free);
#ifdef HAVE_REALLOCARRAY
	GET(reallocarray);
	void *array = RESIZED(NULL, call_reallocarray(NULL, 5, size), 5 * size);
	keep(RESIZED(array, call_reallocarray(array, 500, size), 500 * size));
#endif
#ifdef HAVE_SIZED
	GET(free_sized);
	call_free_sized(released(TRUTH_CREATED(call_malloc(size), size)), size);
#endif
	call_free(released(TRUTH_CREATED(call_malloc(size), size)));
	/* Refused. The size must not be known when this is compiled. */
	volatile size_t huge = (size_t)PTRDIFF_MAX - 4096;
	if (TRUTH_CREATED(call_malloc(huge), huge))
		truth_fail("more memory than there is\n");
}

#ifdef JEMALLOC
void *JOIN(X_PREFIX, mallocx)(size_t, int);
void *JOIN(X_PREFIX, rallocx)(void *, size_t, int);
size_t JOIN(X_PREFIX, xallocx)(void *, size_t, size_t, int);
void JOIN(X_PREFIX, dallocx)(void *, int);
void JOIN(X_PREFIX, sdallocx)(void *, size_t, int);

static void round_of_extensions(size_t size)
{
	enum { ALIGN_256 = 8 }; /* MALLOCX_LG_ALIGN */
	GET_X(mallocx);
	GET_X(rallocx);
	GET_X(xallocx);
	GET_X(dallocx);
	GET_X(sdallocx);
	void *block = TRUTH_CREATED(call_mallocx(size, ALIGN_256), size);
	block = RESIZED(block, call_rallocx(block, 30 * size, 0), 30 * size);
	keep(RESIZED(block, call_xallocx(block, 10, 0, 0) >= 10 ? block : NULL, 10));
	block = TRUTH_CREATED(call_mallocx(64, 0), 64);
	/* No small block grows where it stands. */
	RESIZED(block, call_xallocx(block, 1 << 20, 0, 0) >= 1 << 20 ? block : NULL, 1 << 20);
	call_dallocx(released(block), 0);
	call_sdallocx(released(TRUTH_CREATED(call_mallocx(size, 0), size)), size, 0);
	keep(TRUTH_CREATED(call_mallocx(size, 0), size));
}
#elif defined(MIMALLOC)
void *mi_zalloc(size_t);
void *mi_malloc_small(size_t);
void *mi_mallocn(size_t, size_t);
void *mi_recalloc(void *, size_t, size_t);
void *mi_malloc_aligned(size_t, size_t);
void *mi_realloc_aligned(void *, size_t, size_t);
void *mi_new(size_t);
void *mi_heap_get_default(void);
void *mi_heap_malloc(void *, size_t);
void *mi_heap_realloc(void *, void *, size_t);
void mi_free(void *);
void mi_free_size(void *, size_t);
#undef X_PREFIX
#define X_PREFIX

static void round_of_extensions(size_t size)
{
	GET_X(mi_zalloc);
	GET_X(mi_malloc_small);
	GET_X(mi_mallocn);
	GET_X(mi_recalloc);
	GET_X(mi_malloc_aligned);
	GET_X(mi_realloc_aligned);
	GET_X(mi_new);
	GET_X(mi_heap_get_default);
	GET_X(mi_heap_malloc);
	GET_X(mi_heap_realloc);
	GET_X(mi_free);
	GET_X(mi_free_size);
	keep(TRUTH_CREATED(call_mi_zalloc(size), size));
	keep(TRUTH_CREATED(call_mi_malloc_small(24), 24));
	void *block = TRUTH_CREATED(call_mi_mallocn(4, size), 4 * size);
	keep(RESIZED(block, call_mi_recalloc(block, 9, size), 9 * size));
	block = TRUTH_CREATED(call_mi_malloc_aligned(size, 512), size);
	keep(RESIZED(block, call_mi_realloc_aligned(block, 70000, 512), 70000));
	keep(TRUTH_CREATED(call_mi_new(size), size));
	block = TRUTH_CREATED(call_mi_heap_malloc(call_mi_heap_get_default(), size), size);
	keep(RESIZED(block, call_mi_heap_realloc(call_mi_heap_get_default(), block, 999), 999));
	call_mi_free_size(released(TRUTH_CREATED(call_mi_zalloc(size), size)), size);
	call_mi_free(released(TRUTH_CREATED(call_mi_zalloc(size), size)));
}
#else
static void round_of_extensions(size_t size)
{
	(void)size;
}
#endif

static void *all_rounds(void *argument)
{
	(void)argument;
	for (size_t size = 8; size < 3000; size = size * 3 + 1) {
		round_of_basics(size);
		round_of_alignments(size);
		round_of_others(size);
		round_of_extensions(size);
	}
	return NULL;
}

int main(int argc, char **argv)
{
#ifdef LATE
#ifdef NEW_NAMESPACE
	library = dlmopen(LM_ID_NEWLM, argv[argc - 1], RTLD_NOW | RTLD_LOCAL);
#else
	library = dlopen(argv[argc - 1], RTLD_NOW | RTLD_LOCAL);
#endif
	if (!library)
		truth_fail(dlerror());
#endif
	(void)argc;
	(void)argv;
	all_rounds(NULL);
#ifdef THREADS
	for (int i = 0; i < 2; i++) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, all_rounds, NULL) != 0 ||
		    pthread_join(thread, NULL) != 0)
			truth_fail("no thread\n");
	}
#endif
	truth_print();
	return 0;
}
