/* SPDX-License-Identifier: MIT */
/*
 * Every row can be acted upon; the well-known ones are held against the prototypes of malloc(3),
 * posix_memalign(3) and jemalloc(3), and the C library's names against the C library.
 */
#include "allocator/catalogue.h"

#include <check.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* psABI 3.2.3: so many integer arguments come in registers. */
enum { ARGUMENTS_MAX = 6 };

/* Calls check for every row of every family. */
static void each_row(void (*check)(const struct allocator_family *family,
				   const struct allocator_function *function))
{
	size_t count;
	const struct allocator_family *families = allocator_families(&count);
	ck_assert_uint_gt(count, 0);
	for (size_t i = 0; i < count; i++)
		for (const struct allocator_function *function = NULL;
		     (function = allocator_next(&families[i], function));)
			check(&families[i], function);
}

static const struct allocator_family *find_family(const char *name)
{
	size_t count;
	const struct allocator_family *families = allocator_families(&count);
	for (size_t i = 0; i < count; i++)
		if (strcmp(families[i].name, name) == 0)
			return &families[i];
	return NULL;
}

static const struct allocator_function *find_function(const struct allocator_family *family,
						      const char *name)
{
	const struct allocator_function *function = NULL;
	while ((function = allocator_next(family, function)) && strcmp(function->name, name) != 0)
		;
	return function;
}

static void check_arguments(const struct allocator_family *family,
			    const struct allocator_function *function)
{
	const unsigned char arguments[] = {function->size_argument, function->count_argument,
					   function->pointer_argument, function->result_argument};
	for (size_t i = 0; i < 4; i++) {
		ck_assert_msg(arguments[i] <= ARGUMENTS_MAX, "%s: %s", family->name,
			      function->name);
		for (size_t j = 0; j < i; j++)
			ck_assert_msg(!arguments[i] || arguments[i] != arguments[j],
				      "%s: %s: argument %d is two things", family->name,
				      function->name, arguments[i]);
	}
}

START_TEST(arguments_are_in_registers_and_each_is_one_thing)
{
	each_row(check_arguments);
}
END_TEST

static void check_role(const struct allocator_family *family,
		       const struct allocator_function *function)
{
	bool stores = function->result == ALLOCATOR_STORES_ADDRESS;
	bool complete = false;
	switch (function->role) {
	case ALLOCATOR_CREATE:
		complete = function->size_argument && !function->pointer_argument;
		break;
	case ALLOCATOR_RESIZE:
		complete = function->size_argument && function->pointer_argument && !stores;
		break;
	case ALLOCATOR_HIDE: /* is of rules alone */
		break;
	case ALLOCATOR_RELEASE:
		complete = function->pointer_argument && !function->count_argument && !stores;
		break;
	}
	ck_assert_msg(complete, "%s: %s lacks what its role needs, or has more", family->name,
		      function->name);
	ck_assert_msg(stores == (function->result_argument != 0), "%s: %s: stores where?",
		      family->name, function->name);
	ck_assert_msg(!function->count_argument || function->size_argument,
		      "%s: %s counts members of no size", family->name, function->name);
}

START_TEST(every_function_has_what_its_role_needs_and_no_more)
{
	each_row(check_role);
}
END_TEST

static void check_name(const struct allocator_family *family,
		       const struct allocator_function *function)
{
	ck_assert_msg(function->name && function->name[0], "%s has a row without a name",
		      family->name);
	ck_assert_msg(find_function(family, function->name) == function, "%s: %s stands twice",
		      family->name, function->name);
}

START_TEST(no_name_stands_twice_in_a_family)
{
	each_row(check_name);
}
END_TEST

START_TEST(families_have_names_and_libraries_of_their_own)
{
	size_t count;
	const struct allocator_family *families = allocator_families(&count);
	for (size_t i = 0; i < count; i++) {
		ck_assert(families[i].name && families[i].name[0]);
		ck_assert_ptr_eq(find_family(families[i].name), &families[i]);
		ck_assert_ptr_nonnull(allocator_next(&families[i], NULL));
		/* Found by one or the other, or never. */
		ck_assert(families[i].sonames[0] || families[i].markers[0]);
		for (const char *const *soname = families[i].sonames; *soname; soname++)
			ck_assert_ptr_eq(allocator_family_of_soname(*soname), &families[i]);
	}
}
END_TEST

START_TEST(every_family_creates_and_releases)
{
	size_t count;
	const struct allocator_family *families = allocator_families(&count);
	for (size_t i = 0; i < count; i++) {
		bool has[3] = {false};
		for (const struct allocator_function *function = NULL;
		     (function = allocator_next(&families[i], function));)
			has[function->role] = true;
		ck_assert(has[ALLOCATOR_CREATE] && has[ALLOCATOR_RELEASE]);
	}
}
END_TEST

START_TEST(other_libraries_hold_no_family)
{
	static const char *const others[] = {"",	   "libc",	     "libc.so",
					     "libc.so.60", "/libc.so.6",     "xlibc.so.6",
					     "libm.so.6",  "libjemalloc.so", "libc.so.6 "};
	ck_assert_ptr_null(allocator_family_of_soname(NULL));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		ck_assert_ptr_null(allocator_family_of_soname(others[i]));
}
END_TEST

/* What the manual says of a function. */
struct prototype {
	const char *family;
	struct allocator_function function;
};

#define CREATES	 .role = ALLOCATOR_CREATE
#define RESIZES	 .role = ALLOCATOR_RESIZE
#define RELEASES .role = ALLOCATOR_RELEASE

static const struct prototype prototypes[] = {
	/* void *malloc(size_t size) */
	{"glibc", {"malloc", CREATES, .size_argument = 1}},
	/* void *calloc(size_t nmemb, size_t size) */
	{"glibc", {"calloc", CREATES, .count_argument = 1, .size_argument = 2}},
	/* void *realloc(void *ptr, size_t size) */
	{"glibc", {"realloc", RESIZES, .pointer_argument = 1, .size_argument = 2}},
	/* void *reallocarray(void *ptr, size_t nmemb, size_t size) */
	{"glibc",
	 {"reallocarray", RESIZES, .pointer_argument = 1, .count_argument = 2, .size_argument = 3}},
	/* void free(void *ptr) */
	{"glibc", {"free", RELEASES, .pointer_argument = 1}},
	/* void *memalign(size_t alignment, size_t size) */
	{"glibc", {"memalign", CREATES, .size_argument = 2}},
	/* void *aligned_alloc(size_t alignment, size_t size) */
	{"glibc", {"aligned_alloc", CREATES, .size_argument = 2}},
	/* int posix_memalign(void **memptr, size_t alignment, size_t size) */
	{"glibc",
	 {"posix_memalign", CREATES, ALLOCATOR_STORES_ADDRESS, .result_argument = 1,
	  .size_argument = 3}},
	/* void *valloc(size_t size) */
	{"glibc", {"valloc", CREATES, .size_argument = 1}},
	/* void *pvalloc(size_t size) */
	{"glibc", {"pvalloc", CREATES, .size_argument = 1}},
	{"jemalloc", {"malloc", CREATES, .size_argument = 1}},
	{"jemalloc", {"calloc", CREATES, .count_argument = 1, .size_argument = 2}},
	{"jemalloc", {"realloc", RESIZES, .pointer_argument = 1, .size_argument = 2}},
	{"jemalloc", {"aligned_alloc", CREATES, .size_argument = 2}},
	{"jemalloc",
	 {"posix_memalign", CREATES, ALLOCATOR_STORES_ADDRESS, .result_argument = 1,
	  .size_argument = 3}},
	{"jemalloc", {"free", RELEASES, .pointer_argument = 1}},
	/* void *mallocx(size_t size, int flags) */
	{"jemalloc", {"mallocx", CREATES, .size_argument = 1}},
	/* void *rallocx(void *ptr, size_t size, int flags) */
	{"jemalloc", {"rallocx", RESIZES, .pointer_argument = 1, .size_argument = 2}},
	/* void dallocx(void *ptr, int flags) */
	{"jemalloc", {"dallocx", RELEASES, .pointer_argument = 1}},
	/* void sdallocx(void *ptr, size_t size, int flags) */
	{"jemalloc", {"sdallocx", RELEASES, .pointer_argument = 1}},
	/* size_t xallocx(void *ptr, size_t size, size_t extra, int flags) */
	{"jemalloc",
	 {"xallocx", RESIZES, ALLOCATOR_RETURNS_SIZE, .pointer_argument = 1, .size_argument = 2}},
	{"jemalloc", {"je_malloc", CREATES, .size_argument = 1}},
	{"jemalloc", {"_rjem_sdallocx", RELEASES, .pointer_argument = 1}},
	/* operator new[](std::size_t, std::align_val_t, const std::nothrow_t&) */
	{"jemalloc", {"_ZnamSt11align_val_tRKSt9nothrow_t", CREATES, .size_argument = 1}},
	/* operator delete(void *, std::size_t, std::align_val_t) */
	{"tcmalloc", {"_ZdlPvmSt11align_val_t", RELEASES, .pointer_argument = 1}},
	/* void *tc_calloc(size_t nmemb, size_t size) */
	{"tcmalloc", {"tc_calloc", CREATES, .count_argument = 1, .size_argument = 2}},
	/* void tc_free_sized(void *ptr, size_t size) */
	{"tcmalloc", {"tc_free_sized", RELEASES, .pointer_argument = 1}},
	/* void *mi_heap_recalloc(mi_heap_t *heap, void *p, size_t newcount, size_t size) */
	{"mimalloc",
	 {"mi_heap_recalloc", RESIZES, .pointer_argument = 2, .count_argument = 3,
	  .size_argument = 4}},
	/* void *mi_calloc_aligned(size_t count, size_t size, size_t alignment) */
	{"mimalloc", {"mi_calloc_aligned", CREATES, .count_argument = 1, .size_argument = 2}},
	/* void free_aligned_sized(void *ptr, size_t alignment, size_t size) */
	{"musl", {"free_aligned_sized", RELEASES, .pointer_argument = 1}},
};

START_TEST(the_rows_are_what_the_manuals_say)
{
	for (size_t i = 0; i < sizeof prototypes / sizeof *prototypes; i++) {
		const struct allocator_function *expected = &prototypes[i].function;
		const struct allocator_family *family = find_family(prototypes[i].family);
		ck_assert_msg(family, "no family %s", prototypes[i].family);
		const struct allocator_function *row = find_function(family, expected->name);
		ck_assert_msg(row, "%s lacks %s", family->name, expected->name);
		ck_assert_msg(row->role == expected->role && row->result == expected->result &&
				      row->size_argument == expected->size_argument &&
				      row->count_argument == expected->count_argument &&
				      row->pointer_argument == expected->pointer_argument &&
				      row->result_argument == expected->result_argument,
			      "%s: %s is not as documented", family->name, expected->name);
	}
}
END_TEST

static void check_in_libc(const struct allocator_family *family,
			  const struct allocator_function *function)
{
	/* Gone since glibc 2.26, kept for programs that bring an older one; and those of C23. */
	if (strcmp(family->name, "glibc") != 0 || strcmp(function->name, "cfree") == 0 ||
	    strncmp(function->name, "free_", 5) == 0)
		return;
	void *libc = dlopen("libc.so.6", RTLD_NOW);
	ck_assert_ptr_nonnull(libc);
	ck_assert_msg(dlsym(libc, function->name), "libc.so.6 has no %s", function->name);
	dlclose(libc);
}

START_TEST(the_c_library_has_the_functions_that_are_said_to_be_in_it)
{
	each_row(check_in_libc);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("catalogue");
	TCase *tests = tcase_create("catalogue");
	tcase_add_test(tests, arguments_are_in_registers_and_each_is_one_thing);
	tcase_add_test(tests, every_function_has_what_its_role_needs_and_no_more);
	tcase_add_test(tests, no_name_stands_twice_in_a_family);
	tcase_add_test(tests, families_have_names_and_libraries_of_their_own);
	tcase_add_test(tests, every_family_creates_and_releases);
	tcase_add_test(tests, other_libraries_hold_no_family);
	tcase_add_test(tests, the_rows_are_what_the_manuals_say);
	tcase_add_test(tests, the_c_library_has_the_functions_that_are_said_to_be_in_it);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
