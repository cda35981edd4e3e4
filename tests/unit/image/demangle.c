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
	static const char *const names[] = {"",	    "_",	 "main", "malloc",	  "_Z",
					    "_R",   "_start",	 "_ZZZ", "__libc_malloc", "_ZN",
					    "_RNv", "_Z\xff\xff"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		expect(names[i], NULL);
}
END_TEST

/* c++filt prints what it cannot demangle as it is; -i leaves Rust's hashes out, as we do. */
static size_t compare_with_cxxfilt(const char *list_names)
{
	_cleanup_buffer_ struct buffer command = {0};
	buffer_printf(&command,
		      "d=$(mktemp -d) && { %s; } | sort -u > $d/names &&"
		      " c++filt -p -i < $d/names | paste $d/names -; rm -rf $d",
		      list_names);
	FILE *pipe = popen(buffer_text(&command), "r");
	ck_assert_ptr_nonnull(pipe);
	_cleanup_free_ char *line = NULL;
	size_t capacity = 0, count = 0;
	while (getline(&line, &capacity, pipe) > 0) {
		line[strcspn(line, "\n")] = 0;
		char *tab = strchr(line, '\t');
		ck_assert_ptr_nonnull(tab);
		*tab = 0;
		expect(line, strcmp(line, tab + 1) ? tab + 1 : NULL);
		count++;
	}
	ck_assert_int_eq(pclose(pipe), 0);
	return count;
}

START_TEST(every_symbol_of_libstdcxx_reads_as_cxxfilt_prints_it)
{
	size_t count =
		compare_with_cxxfilt("nm -D --defined-only $(g++ -print-file-name=libstdc++.so.6) |"
				     " sed -n 's/.* \\(_Z[^@]*\\).*/\\1/p'");
	printf("demangle: %zu names of libstdc++ compared with c++filt\n", count);
	ck_assert_uint_gt(count, 1000);
}
END_TEST

START_TEST(every_symbol_of_rusts_library_reads_as_cxxfilt_prints_it)
{
	if (system("command -v rustc >/dev/null 2>&1") != 0) {
		printf("demangle: no rustc, Rust's library was not compared\n");
		return;
	}
	size_t count = compare_with_cxxfilt("nm -D --defined-only $(rustc --print target-libdir)/"
					    "libstd-*.so | sed -n 's/.* \\(_[RZ].*\\)/\\1/p'");
	printf("demangle: %zu names of Rust's library compared with c++filt\n", count);
	ck_assert_uint_gt(count, 100);
}
END_TEST

static char *repeat(const char *head, const char *part, size_t times, const char *tail)
{
	struct buffer text = {0};
	buffer_string(&text, head);
	for (size_t i = 0; i < times; i++)
		buffer_string(&text, part);
	buffer_string(&text, tail);
	ck_assert(!buffer_failed(&text));
	return text.bytes;
}

START_TEST(long_names_are_demangled_up_to_the_limit)
{
	_cleanup_free_ char *part = repeat("100", "x", 100, "");
	_cleanup_free_ char *fits = repeat("_ZN", part, 39, "3fooEv");
	_cleanup_free_ char *got = image_demangle(fits);
	ck_assert_ptr_nonnull(got);
	ck_assert_uint_eq(strlen(got), 39 * strlen("xx::") + 39 * 98 + strlen("foo"));
	_cleanup_free_ char *too_long = repeat("_ZN", part, 40, "3fooEv");
	expect(too_long, NULL);
}
END_TEST

/* Each level names the one before it twice: 2^levels at the end. */
static char *cpp_bomb(size_t levels)
{
	static const char base36[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	struct buffer text = {0};
	buffer_string(&text, "_Z1fI1AIiiE");
	for (size_t i = 0; i < levels; i++)
		buffer_printf(&text, "S_IS%c_S%c_E", base36[i], base36[i]);
	buffer_string(&text, "Evv");
	return text.bytes;
}

static char *rust_bomb(size_t levels)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	struct buffer text = {0};
	buffer_string(&text, "_RIC1aTuuuE");
	size_t at = 4;
	for (size_t i = 0; i < levels; i++) {
		size_t next = text.count - 2;
		char back[8] = {at - 1 >= 62 ? digits[(at - 1) / 62] : digits[at - 1], '_', 0};
		if (at - 1 >= 62) {
			back[1] = digits[(at - 1) % 62];
			back[2] = '_';
		}
		buffer_printf(&text, "TB%sB%sB%sE", back, back, back);
		at = next;
	}
	buffer_string(&text, "E");
	return text.bytes;
}

START_TEST(names_that_expand_without_end_are_given_up)
{
	/* Short ones of the same shape are names, so the long ones do go off. */
	_cleanup_free_ char *small_cpp = cpp_bomb(4), *small_rust = rust_bomb(3);
	_cleanup_free_ char *cpp_text = image_demangle(small_cpp);
	_cleanup_free_ char *rust_text = image_demangle(small_rust);
	ck_assert_msg(cpp_text && strlen(cpp_text) > 100, "%s", small_cpp);
	ck_assert_msg(rust_text && strlen(rust_text) > 100, "%s", small_rust);
	_cleanup_free_ char *cpp = cpp_bomb(36), *rust = rust_bomb(200);
	ck_assert_msg(!image_demangle(cpp), "36 doublings");
	ck_assert_msg(!image_demangle(rust), "200 times three times as much");
	expect("_RYFGzzzzzz_EuC1b", NULL);
	expect("_RMIC1aFGzzzzzz_EuEuEC1b", NULL);
	expect("_RMIC1aDGzzzzzz_NtC1b1cEL_EuEC1b", NULL);
}
END_TEST

START_TEST(output_stays_below_64_KiB)
{
	/* 1000 times a name of 100 bytes by a substitution of three bytes. */
	_cleanup_free_ char *part = repeat("", "x", 100, "");
	_cleanup_buffer_ struct buffer head = {0};
	buffer_printf(&head, "_ZN1fIN1n100%sE", part);
	_cleanup_free_ char *large = repeat(buffer_text(&head), "S1_", 1000, "EE1gEv");
	_cleanup_free_ char *got = image_demangle(large);
	ck_assert(!got || strlen(got) < 65536);
	_cleanup_free_ char *small = repeat(buffer_text(&head), "S1_", 100, "EE1gEv");
	_cleanup_free_ char *text = image_demangle(small);
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_gt(strlen(text), 100 * 100);
}
END_TEST

static void *demangle_deep(void *unused)
{
	static const char *const parts[] = {"P",  "R",	"N",  "I", "X",	  "F",	"K",
					    "A_", "Dp", "DT", "Z", "1aI", "_Z", "L_Z",
					    "cv", "S",	"T",  "M", "J",	  "sr"};
	static const char *const rust[] = {"T", "R", "A", "I", "F", "D", "N", "X", "Y", "M", "S"};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		_cleanup_free_ char *name =
			repeat("_Z1fI", parts[i], 4000 / strlen(parts[i]), "iE");
		free(image_demangle(name));
	}
	for (size_t i = 0; i < sizeof rust / sizeof *rust; i++) {
		_cleanup_free_ char *name = repeat("_RIC1a", rust[i], 4000, "uE");
		free(image_demangle(name));
	}
	return unused;
}

START_TEST(deep_names_fit_a_stack_of_four_MiB)
{
	pthread_attr_t attributes;
	pthread_t thread;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 4u << 20);
	ck_assert_int_eq(pthread_create(&thread, &attributes, demangle_deep, NULL), 0);
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attributes);
}
END_TEST

START_TEST(mutated_names_neither_crash_nor_hang)
{
	static const char *const seeds[] = {
		"_ZNSt8__detail9_CompilerINSt7__cxx1112regex_traitsIcEEE25_M_insert_bracket_"
		"matcherILb0ELb0EEEvb",
		"_ZZN3fmt2v96detail11write_bytesILNS0_5align4typeE1EcNS0_8appenderEEET1_S6_NS0_17"
		"basic_string_viewIcEERKNS0_18basic_format_specsIT0_EEENKUlS5_E_clES5_",
		"_ZN4core3ptr7mut_ptr31_$LT$impl$u20$$BP$mut$u20$T$GT$11write_bytes17h845e755881"
		"df1063E",
		"_RINvMs4_NtCsgY6Mt91CT9J_14rustc_demangle2v0NtB6_7Printer13print_backrefNCNvB2_10"
		"print_paths_0EB8_",
		"_RNvXs0_NtNtCsgvbsrvnw3yD_9hashbrown7control3tagSNtB5_3TagNtB5_11TagSliceExt8fill_"
		"tag",
	};
	static const char alphabet[] = "_0123456789EINSTBGFDKRZLXYMPCuvscijhltxuncleWpJ$.";
	unsigned int random = 1;
	for (int round = 0; round < 20000; round++) {
		char name[256];
		strcpy(name, seeds[round % (sizeof seeds / sizeof *seeds)]);
		for (int change = 0; change < 1 + round % 6; change++) {
			size_t at = 2 + (size_t)rand_r(&random) % (strlen(name) - 2);
			name[at] = alphabet[(size_t)rand_r(&random) % (sizeof alphabet - 1)];
		}
		free(image_demangle(name));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("image demangle");
	TCase *cases = tcase_create("names");
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, cpp_names_lose_parameters_and_keep_template_arguments);
	tcase_add_test(cases, clone_suffixes_are_dropped);
	tcase_add_test(cases, rust_names_lose_their_hash);
	tcase_add_test(cases, other_names_are_left_alone);
	tcase_add_test(cases, every_symbol_of_libstdcxx_reads_as_cxxfilt_prints_it);
	tcase_add_test(cases, every_symbol_of_rusts_library_reads_as_cxxfilt_prints_it);
	tcase_add_test(cases, long_names_are_demangled_up_to_the_limit);
	tcase_add_test(cases, names_that_expand_without_end_are_given_up);
	tcase_add_test(cases, output_stays_below_64_KiB);
	tcase_add_test(cases, deep_names_fit_a_stack_of_four_MiB);
	tcase_add_test(cases, mutated_names_neither_crash_nor_hang);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
