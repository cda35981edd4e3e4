/* SPDX-License-Identifier: MIT */
/*
 * Escaping is held against the Unicode Standard's table of well-formed byte sequences (3-7), over
 * every code point and over every string of four bytes out of those at which that table changes.
 */
#include "base/buffer.h"

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/* A refused allocation is NULL under the address sanitizer, too, instead of the program's end. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void check_text(const struct buffer *buffer, const char *expected)
{
	ck_assert_str_eq(buffer_text(buffer), expected);
	ck_assert_uint_eq(buffer->count, strlen(expected));
	ck_assert(!buffer_failed(buffer));
	if (buffer->bytes)
		ck_assert_uint_lt(buffer->count, buffer->capacity);
}

static void check_escaped(const char *string, const char *expected)
{
	_cleanup_buffer_ struct buffer buffer = {0};
	buffer_escaped(&buffer, string);
	check_text(&buffer, expected);
}

START_TEST(an_empty_buffer_is_an_empty_text)
{
	_cleanup_buffer_ struct buffer buffer = {0};
	check_text(&buffer, "");
	buffer_string(&buffer, "");
	buffer_append(&buffer, NULL, 0);
	buffer_escaped(&buffer, "");
	buffer_clear(&buffer);
	check_text(&buffer, "");
}
END_TEST

START_TEST(what_is_appended_stands_in_order)
{
	_cleanup_buffer_ struct buffer buffer = {0};
	buffer_string(&buffer, "one");
	buffer_char(&buffer, ' ');
	buffer_printf(&buffer, "%d%s", 2, "nd");
	buffer_append(&buffer, " 3rdXXX", 4);
	check_text(&buffer, "one 2nd 3rd");
	buffer_clear(&buffer);
	check_text(&buffer, "");
	buffer_string(&buffer, "again");
	check_text(&buffer, "again");
	buffer_deinit(&buffer);
	check_text(&buffer, "");
}
END_TEST

START_TEST(bytes_of_zero_are_bytes)
{
	_cleanup_buffer_ struct buffer buffer = {0};
	buffer_append(&buffer, "a\0b", 3);
	buffer_char(&buffer, 0);
	ck_assert_uint_eq(buffer.count, 4);
	ck_assert_mem_eq(buffer.bytes, "a\0b\0", 5);
}
END_TEST

START_TEST(a_text_of_any_length_ends_with_a_nul)
{
	_cleanup_buffer_ struct buffer buffer = {0};
	for (size_t length = 1; length <= 100000; length++) {
		buffer_char(&buffer, 'x');
		if (buffer.count != length || buffer.bytes[length] != 0 ||
		    buffer.count >= buffer.capacity)
			ck_abort_msg("wrong at %zu", length);
	}
	ck_assert_uint_eq(strspn(buffer_text(&buffer), "x"), 100000);
}
END_TEST

START_TEST(without_memory_the_text_stops_and_the_buffer_says_so)
{
	_cleanup_buffer_ struct buffer buffer = {0};
	buffer_string(&buffer, "kept");
	ck_assert(!buffer_failed(&buffer));
	/* No machine has as much; nothing is read when there is no room for it. */
	buffer_append(&buffer, "", PTRDIFF_MAX);
	ck_assert(buffer_failed(&buffer));
	buffer_string(&buffer, "lost");
	buffer_char(&buffer, '!');
	buffer_printf(&buffer, "%d", 1);
	buffer_escaped(&buffer, "lost\n");
	ck_assert_str_eq(buffer_text(&buffer), "kept");
	ck_assert(buffer_failed(&buffer));
}
END_TEST

START_TEST(a_format_that_fails_is_a_failure)
{
	_cleanup_buffer_ struct buffer buffer = {0};
	/* The C locale has no such character. */
	buffer_printf(&buffer, "%lc", (wint_t)0x20ac);
	ck_assert(buffer_failed(&buffer));
	ck_assert_str_eq(buffer_text(&buffer), "");
}
END_TEST

START_TEST(every_ascii_control_and_no_other_ascii_is_escaped)
{
	for (int c = 1; c < 0x80; c++) {
		char string[] = {'a', (char)c, 'z', 0}, expected[16];
		if (c < 0x20 || c == 0x7f)
			snprintf(expected, sizeof expected, "a\\x%02xz", (unsigned)c);
		else
			memcpy(expected, string, sizeof string);
		check_escaped(string, expected);
	}
}
END_TEST

START_TEST(every_byte_that_is_no_utf8_alone_is_escaped)
{
	for (int c = 0x80; c < 0x100; c++) {
		char string[] = {'a', (char)c, 'z', 0}, expected[16];
		snprintf(expected, sizeof expected, "a\\x%02xz", (unsigned)c);
		check_escaped(string, expected);
	}
}
END_TEST

START_TEST(ill_formed_sequences_are_escaped_byte_by_byte)
{
	/* Overlong. */
	check_escaped("\xc0\xaf", "\\xc0\\xaf");
	check_escaped("\xc1\x81", "\\xc1\\x81");
	check_escaped("\xe0\x80\x8a", "\\xe0\\x80\\x8a");
	check_escaped("\xe0\x9f\xbf", "\\xe0\\x9f\\xbf");
	check_escaped("\xf0\x80\x80\x9b", "\\xf0\\x80\\x80\\x9b");
	check_escaped("\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf");
	/* Surrogates. */
	check_escaped("\xed\xa0\x80", "\\xed\\xa0\\x80");
	check_escaped("\xed\xbf\xbf", "\\xed\\xbf\\xbf");
	/* Beyond U+10FFFF, and the leads of five and six bytes that once were. */
	check_escaped("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
	check_escaped("\xf7\xbf\xbf\xbf", "\\xf7\\xbf\\xbf\\xbf");
	check_escaped("\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80");
	/* Cut off: by the end, by a letter, by another lead, in front of a control. */
	check_escaped("\xc3", "\\xc3");
	check_escaped("\xe2\x82", "\\xe2\\x82");
	check_escaped("\xf0\x9f\x98", "\\xf0\\x9f\\x98");
	check_escaped("\xe2\x82z", "\\xe2\\x82z");
	check_escaped("\xe2\xc3\xa9", "\\xe2\xc3\xa9");
	check_escaped("\xf0\x9f\x1b[m", "\\xf0\\x9f\\x1b[m");
}
END_TEST

START_TEST(hostile_characters_are_named_and_harmless_ones_stay)
{
	check_escaped("a\xc2\x9bm", "a\\u{009b}m");
	check_escaped("x\xe2\x80\xaey", "x\\u{202e}y");
	check_escaped("gr\xc3\xbc\xc3\x9f dich, \xe2\x82\xac \xf0\x9f\x98\x80 \xd7\xa9",
		      "gr\xc3\xbc\xc3\x9f dich, \xe2\x82\xac \xf0\x9f\x98\x80 \xd7\xa9");
}
END_TEST

/* The encoding of a scalar value, from the definition; returns its length. */
static size_t encode(uint32_t code, char *ret)
{
	if (code < 0x80)
		return (size_t)sprintf(ret, "%c", (char)code);
	if (code < 0x800)
		return (size_t)sprintf(ret, "%c%c", (char)(0xc0 + code / 64),
				       (char)(0x80 + code % 64));
	if (code < 0x10000)
		return (size_t)sprintf(ret, "%c%c%c", (char)(0xe0 + code / 4096),
				       (char)(0x80 + code / 64 % 64), (char)(0x80 + code % 64));
	return (size_t)sprintf(ret, "%c%c%c%c", (char)(0xf0 + code / 262144),
			       (char)(0x80 + code / 4096 % 64), (char)(0x80 + code / 64 % 64),
			       (char)(0x80 + code % 64));
}

/*
 * C1, the property Bidi_Control (PropList.txt), the line and paragraph separators, which would
 * begin another line, and the byte order mark, which cannot be seen.
 */
static bool must_be_escaped(uint32_t code)
{
	static const uint32_t others[] = {0x061c, 0x200e, 0x200f, 0x2028, 0x2029,
					  0x202a, 0x202b, 0x202c, 0x202d, 0x202e,
					  0x2066, 0x2067, 0x2068, 0x2069, 0xfeff};
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (code == others[i])
			return true;
	return code >= 0x80 && code <= 0x9f;
}

START_TEST(every_code_point_is_kept_but_the_hostile_ones)
{
	_cleanup_buffer_ struct buffer buffer = {0};
	for (uint32_t code = 0x80; code <= 0x10ffff; code++) {
		char string[8], expected[16];
		if (code >= 0xd800 && code <= 0xdfff)
			continue;
		encode(code, string);
		if (must_be_escaped(code))
			snprintf(expected, sizeof expected, "\\u{%04x}", code);
		else
			strcpy(expected, string);
		buffer_clear(&buffer);
		buffer_escaped(&buffer, string);
		if (strcmp(buffer_text(&buffer), expected) != 0)
			ck_abort_msg("U+%04X became '%s'", code, buffer_text(&buffer));
	}
}
END_TEST

/* A row of Table 3-7: the range of each byte. */
struct well_formed {
	size_t length;
	unsigned char range[4][2];
};

static const struct well_formed table[] = {
	{1, {{0x00, 0x7f}}},
	{2, {{0xc2, 0xdf}, {0x80, 0xbf}}},
	{3, {{0xe0, 0xe0}, {0xa0, 0xbf}, {0x80, 0xbf}}},
	{3, {{0xe1, 0xec}, {0x80, 0xbf}, {0x80, 0xbf}}},
	{3, {{0xed, 0xed}, {0x80, 0x9f}, {0x80, 0xbf}}},
	{3, {{0xee, 0xef}, {0x80, 0xbf}, {0x80, 0xbf}}},
	{4, {{0xf0, 0xf0}, {0x90, 0xbf}, {0x80, 0xbf}, {0x80, 0xbf}}},
	{4, {{0xf1, 0xf3}, {0x80, 0xbf}, {0x80, 0xbf}, {0x80, 0xbf}}},
	{4, {{0xf4, 0xf4}, {0x80, 0x8f}, {0x80, 0xbf}, {0x80, 0xbf}}},
};

static size_t well_formed_length(const unsigned char *s)
{
	for (size_t row = 0; row < sizeof table / sizeof *table; row++) {
		size_t i = 0;
		while (i < table[row].length && s[i] >= table[row].range[i][0] &&
		       s[i] <= table[row].range[i][1])
			i++;
		if (i == table[row].length)
			return i;
	}
	return 0;
}

/* What a string becomes, by the table. No well-formed sequence of the bytes below is hostile but
 * the ASCII controls and C1. */
static void expect(const unsigned char *s, char *ret)
{
	for (size_t length; *s; s += length ? length : 1) {
		length = well_formed_length(s);
		if (length == 0 || (length == 1 && (*s < 0x20 || *s == 0x7f)))
			ret += sprintf(ret, "\\x%02x", *s);
		else if (length == 2 && s[0] == 0xc2 && s[1] < 0xa0)
			ret += sprintf(ret, "\\u{00%02x}", s[1]);
		else
			ret += sprintf(ret, "%.*s", (int)length, (const char *)s);
	}
	*ret = 0;
}

START_TEST(strings_of_boundary_bytes_are_escaped_as_the_table_says)
{
	static const unsigned char edges[] = {0x00, 0x1f, 0x20, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0,
					      0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed,
					      0xee, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xff};
	const size_t count = sizeof edges;
	_cleanup_buffer_ struct buffer buffer = {0};
	for (size_t n = 0; n < count * count * count * count; n++) {
		unsigned char s[] = {edges[n / count / count / count],
				     edges[n / count / count % count], edges[n / count % count],
				     edges[n % count], 0};
		char expected[64];
		expect(s, expected);
		buffer_clear(&buffer);
		buffer_escaped(&buffer, (const char *)s);
		if (strcmp(buffer_text(&buffer), expected) != 0)
			ck_abort_msg("%02x %02x %02x %02x became '%s'", s[0], s[1], s[2], s[3],
				     buffer_text(&buffer));
	}
	ck_assert(!buffer_failed(&buffer));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("buffer");
	TCase *tests = tcase_create("buffer");
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, an_empty_buffer_is_an_empty_text);
	tcase_add_test(tests, what_is_appended_stands_in_order);
	tcase_add_test(tests, bytes_of_zero_are_bytes);
	tcase_add_test(tests, a_text_of_any_length_ends_with_a_nul);
	tcase_add_test(tests, without_memory_the_text_stops_and_the_buffer_says_so);
	tcase_add_test(tests, a_format_that_fails_is_a_failure);
	tcase_add_test(tests, every_ascii_control_and_no_other_ascii_is_escaped);
	tcase_add_test(tests, every_byte_that_is_no_utf8_alone_is_escaped);
	tcase_add_test(tests, ill_formed_sequences_are_escaped_byte_by_byte);
	tcase_add_test(tests, hostile_characters_are_named_and_harmless_ones_stay);
	tcase_add_test(tests, every_code_point_is_kept_but_the_hostile_ones);
	tcase_add_test(tests, strings_of_boundary_bytes_are_escaped_as_the_table_says);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
