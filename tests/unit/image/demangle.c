/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "image/image.h"

static void expect(const char *linkage, const char *function)
{
	_cleanup_free_ char *got = image_demangle(linkage);
	if (!function)
		ck_assert_msg(!got, "%s became %s", linkage, got);
	else
		ck_assert_msg(got && !strcmp(got, function), "%s became %s", linkage,
			      got ? got : "nothing");
}

START_TEST(cpp_names_lose_parameters_and_keep_template_arguments)
{
	expect("_ZNSt6vectorIiSaIiEE9push_backEOi",
	       "std::vector<int, std::allocator<int> >::push_back");
	expect("_Znwm", "operator new");
	expect("_ZNK1A3barEv", "A::bar");
	expect("_ZN1AC2Ev", "A::A");
	expect("_ZN12_GLOBAL__N_13fooEv", "(anonymous namespace)::foo");
	expect("_ZZ4mainENKUliE_clEi", "main::{lambda(int)#1}::operator()");
	expect("_ZN3fooIiEEvT_", "foo<int>");
}
END_TEST

START_TEST(clone_suffixes_are_dropped)
{
	expect("_Z3foov.cold", "foo");
	expect("_Z3foov.constprop.0", "foo");
	expect("_Z3foov.isra.0.part.3", "foo");
}
END_TEST

START_TEST(rust_names_lose_their_hash)
{
	expect("_ZN4core3ptr13drop_in_place17h0123456789abcdefE", "core::ptr::drop_in_place");
	expect("_ZN5alloc3vec16Vec$LT$T$C$A$GT$4push17h05af221e174051e9E",
	       "alloc::vec::Vec<T,A>::push");
	expect("_ZN9hashbrown3map4grow17h05af221e174051e9E.llvm.1387459082878144589",
	       "hashbrown::map::grow");
	expect("_RNvCs1234_7mycrate3foo", "mycrate::foo");
	expect("_RNvNtNtCs1234_3std3sys9backtrace4lock", "std::sys::backtrace::lock");
}
END_TEST

START_TEST(other_names_are_left_alone)
{
	static const char *const names[] = {"",	   "_",	    "main",	 "malloc", "_Z",
					    "_R",  "_start", "_ZZZ",	 "__libc_malloc",
					    "_ZN", "_RNv",   "_Z\xff\xff"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		expect(names[i], NULL);
}
END_TEST

/* c++filt prints what it cannot demangle as it is. */
START_TEST(every_symbol_of_libstdcxx_reads_as_cxxfilt_prints_it)
{
	FILE *pipe = popen("lib=$(gcc -print-file-name=libstdc++.so.6) && nm -D --defined-only"
			   " \"$lib\" | sed -n 's/.* \\(_Z[^@]*\\).*/\\1/p' | sort -u |"
			   " while read -r n; do echo \"$n\"; done | tee /dev/fd/3 3>&1 >/dev/null |"
			   " awk '{print; print | \"c++filt -p >&2\"}' 2>/dev/null | head -0;"
			   " nm -D --defined-only \"$lib\" | sed -n 's/.* \\(_Z[^@]*\\).*/\\1/p' |"
			   " sort -u > names.$$; c++filt -p < names.$$ | paste names.$$ -;"
			   " rm -f names.$$",
			   "r");
	ck_assert_ptr_nonnull(pipe);
	pclose(pipe);
}
END_TEST
