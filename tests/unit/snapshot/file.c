/* SPDX-License-Identifier: MIT */
/* Saved snapshots come back as they were, and what is not one is refused in one line. */
#include "snapshot/file.h"

#include <lzma.h>
#include <stdint.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "snapshot/body.h"
#include "snapshot/checksum.h"
#include "unit/snapshot/sample.h"

static void encode(const struct snapshot *snapshot, struct buffer *ret)
{
	struct error *err = file_encode(snapshot, ret);
	ck_assert_msg(!err, "%s", err ? error_message(err) : "");
}

static struct snapshot *decode(const struct buffer *bytes)
{
	struct snapshot *snapshot;
	struct error *err = file_decode(bytes->bytes, bytes->count, &snapshot);
	ck_assert_msg(!err, "%s", err ? error_message(err) : "");
	return snapshot;
}

static void expect_refused(const void *bytes, size_t count, const char *message)
{
	struct snapshot *snapshot;
	_cleanup_error_ struct error *err = file_decode(bytes, count, &snapshot);
	ck_assert_msg(err != NULL, "accepted, not: %s", message);
	ck_assert_msg(strstr(error_message(err), message), "'%s', not: %s", error_message(err),
		      message);
	ck_assert_ptr_null(strchr(error_message(err), '\n'));
}

START_TEST(what_was_saved_comes_back)
{
	struct snapshot *snapshot = sample_random((uint64_t)_i + 1, (size_t)_i * _i * 10);
	_cleanup_buffer_ struct buffer bytes = {0}, again = {0};
	encode(snapshot, &bytes);
	struct snapshot *loaded = decode(&bytes);
	sample_expect_same(snapshot, loaded);
	encode(loaded, &again);
	ck_assert_uint_eq(again.count, bytes.count);
	ck_assert(!memcmp(again.bytes, bytes.bytes, bytes.count));
	snapshot_destroy(snapshot);
	snapshot_destroy(loaded);
}
END_TEST

START_TEST(an_empty_snapshot_comes_back)
{
	struct snapshot *snapshot;
	ck_assert_ptr_null(snapshot_create(&snapshot));
	_cleanup_buffer_ struct buffer bytes = {0};
	encode(snapshot, &bytes);
	struct snapshot *loaded = decode(&bytes);
	sample_expect_same(snapshot, loaded);
	snapshot_destroy(snapshot);
	snapshot_destroy(loaded);
}
END_TEST

START_TEST(the_checksum_is_that_of_xz)
{
	uint8_t bytes[1000];
	uint64_t state = 1;
	ck_assert_uint_eq(checksum_crc64("123456789", 9), 0x995dc9bbdf1939fau);
	for (size_t count = 0; count < sizeof bytes; count++) {
		bytes[count] = (uint8_t)sample_next(&state, 256);
		ck_assert_uint_eq(checksum_crc64(bytes, count), lzma_crc64(bytes, count, 0));
	}
}
END_TEST

static void small(struct buffer *ret)
{
	struct snapshot *snapshot = sample_random(3, 4);
	encode(snapshot, ret);
	snapshot_destroy(snapshot);
}

START_TEST(every_truncation_is_told)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	small(&bytes);
	ck_assert_uint_gt(bytes.count, 200);
	expect_refused(bytes.bytes, 0, "it is no snapshot of tracealloc");
	for (size_t count = 1; count < bytes.count; count++) {
		/* In memory of its own, so that reading beyond is seen. */
		_cleanup_free_ char *copy = malloc(count);
		memcpy(copy, bytes.bytes, count);
		expect_refused(copy, count, "it is cut off");
	}
}
END_TEST

START_TEST(every_flipped_bit_is_told)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	small(&bytes);
	for (size_t i = 0; i < bytes.count * 8; i++) {
		bytes.bytes[i / 8] ^= (char)(1 << i % 8);
		expect_refused(bytes.bytes, bytes.count, i < 64 ? "it is no snapshot" : "damaged");
		bytes.bytes[i / 8] ^= (char)(1 << i % 8);
	}
	snapshot_destroy(decode(&bytes));
}
END_TEST

START_TEST(what_follows_the_end_is_told)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	small(&bytes);
	buffer_char(&bytes, 'x');
	expect_refused(bytes.bytes, bytes.count, "it is damaged: 1 bytes too many");
}
END_TEST

START_TEST(other_files_are_told)
{
	static const char *const others[] = {"x", "{\"format\": \"tracealloc-report\"}",
					     "\x7f\x45LF", "\x28\xb5\x2f\xfd", "\x89PNG\r\n\x1a\n"};
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		expect_refused(others[i], strlen(others[i]), "it is no snapshot of tracealloc");
}
END_TEST

static void put_u64(char *at, uint64_t value)
{
	for (size_t i = 0; i < 8; i++)
		at[i] = (char)(value >> 8 * i);
}

/* Puts the checksums right again, by the library they are taken from. */
static void seal(struct buffer *bytes)
{
	uint8_t *header = (uint8_t *)bytes->bytes;
	put_u64(bytes->bytes + 32, lzma_crc64(header + 48, bytes->count - 48, 0));
	put_u64(bytes->bytes + 40, lzma_crc64(header, 40, 0));
}

START_TEST(a_newer_version_is_told_as_such)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	small(&bytes);
	bytes.bytes[8] = 2;
	seal(&bytes);
	expect_refused(bytes.bytes, bytes.count,
		       "its version is 2, a newer one than this tracealloc reads (1)");
}
END_TEST

START_TEST(a_file_that_would_fill_memory_is_refused)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	small(&bytes);
	put_u64(bytes.bytes + 16, UINT64_MAX);
	seal(&bytes);
	expect_refused(bytes.bytes, bytes.count, "it is damaged");
	put_u64(bytes.bytes + 16, 1u << 31);
	seal(&bytes);
	expect_refused(bytes.bytes, bytes.count, "it is damaged");
}
END_TEST

/* A whole file around a body; sealed. */
static void wrap(const struct buffer *body, struct buffer *ret)
{
	size_t room = ZSTD_compressBound(body->count);
	_cleanup_free_ char *frame = malloc(room);
	char header[48] = "\x89TASN\r\n\x1a\x01";
	size_t frame_bytes = ZSTD_compress(frame, room, body->bytes, body->count, 1);
	put_u64(header + 16, body->count);
	put_u64(header + 24, frame_bytes);
	buffer_append(ret, header, sizeof header);
	buffer_append(ret, frame, frame_bytes);
	seal(ret);
}

/* Changes some bytes, or takes or adds some; small numbers and full ones more often than others. */
static void mutate(struct buffer *body, uint64_t *state)
{
	static const uint8_t values[] = {0, 1, 2, 0x7f, 0x80, 0xff};
	for (uint64_t left = sample_next(state, 6) + 1; left > 0; left--) {
		size_t at = sample_next(state, body->count);
		uint64_t kind = sample_next(state, 20);
		if (kind == 0)
			body->count = at + 1;
		else if (kind == 1)
			buffer_append(body, values, sizeof values);
		else if (kind < 10)
			body->bytes[at] = (char)values[sample_next(state, sizeof values)];
		else
			body->bytes[at] = (char)sample_next(state, 256);
	}
}

/* What was accepted can be used: every string and frame is there. */
static void walk(const struct snapshot *snapshot)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	ck_assert_ptr_null(snapshot_check(snapshot));
	encode(snapshot, &bytes);
	struct snapshot *loaded = decode(&bytes);
	sample_expect_same(snapshot, loaded);
	snapshot_destroy(loaded);
}

START_TEST(a_changed_body_under_right_checksums_is_refused_or_sound)
{
	struct snapshot *original = sample_random(5, 6);
	_cleanup_buffer_ struct buffer body = {0};
	ck_assert_ptr_null(body_encode(original, &body));
	uint64_t state = 1;
	size_t accepted = 0, refused = 0;
	for (int round = 0; round < 10000; round++) {
		_cleanup_buffer_ struct buffer changed = {0}, file = {0};
		struct snapshot *snapshot = NULL;
		buffer_append(&changed, body.bytes, body.count);
		mutate(&changed, &state);
		wrap(&changed, &file);
		_cleanup_error_ struct error *err = file_decode(file.bytes, file.count, &snapshot);
		if (err) {
			refused++;
			ck_assert_ptr_nonnull(strstr(error_message(err), "it is damaged: "));
			continue;
		}
		accepted++;
		walk(snapshot);
		snapshot_destroy(snapshot);
	}
	/* Names, numbers of lines and the like may be anything. */
	ck_assert_uint_gt(accepted, 100);
	ck_assert_uint_gt(refused, 1000);
	snapshot_destroy(original);
}
END_TEST

START_TEST(random_changes_of_the_file_are_refused)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	small(&bytes);
	uint64_t state = 2;
	for (int round = 0; round < 10000; round++) {
		_cleanup_buffer_ struct buffer changed = {0};
		buffer_append(&changed, bytes.bytes, bytes.count);
		mutate(&changed, &state);
		if (changed.count == bytes.count &&
		    !memcmp(changed.bytes, bytes.bytes, bytes.count))
			continue;
		expect_refused(changed.bytes, changed.count, "it is ");
	}
}
END_TEST

/* Appends a section of the future with count records of some size. */
static void add_section(struct buffer *body, const char *tag, uint8_t record_bytes, uint8_t count)
{
	char header[16] = {tag[0], tag[1], tag[2], tag[3], (char)record_bytes};
	header[8] = (char)count;
	buffer_append(body, header, sizeof header);
	for (int i = 0; i < record_bytes * count; i++)
		buffer_char(body, (char)i);
}

START_TEST(what_a_later_tracealloc_adds_is_passed_by)
{
	struct snapshot *snapshot = sample_random(7, 5);
	_cleanup_buffer_ struct buffer body = {0}, longer = {0}, file = {0};
	ck_assert_ptr_null(body_encode(snapshot, &body));
	/* The timeline's records become longer by one byte each. */
	char *timeline = memmem(body.bytes, body.count, "TIME", 4);
	ck_assert_ptr_nonnull(timeline);
	size_t before = (size_t)(timeline - body.bytes);
	buffer_append(&longer, body.bytes, before + 16);
	longer.bytes[before + 4] = 25;
	for (size_t i = 0; i < 2; i++) {
		buffer_append(&longer, timeline + 16 + 24 * i, 24);
		buffer_char(&longer, 'x');
	}
	buffer_append(&longer, timeline + 64, body.count - before - 64);
	add_section(&longer, "NEWS", 3, 7);
	wrap(&longer, &file);
	struct snapshot *loaded = decode(&file);
	sample_expect_same(snapshot, loaded);
	snapshot_destroy(loaded);
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(sections_that_are_missing_or_stand_twice_are_told)
{
	struct snapshot *snapshot = sample_random(7, 5);
	_cleanup_buffer_ struct buffer body = {0}, twice = {0}, missing = {0};
	ck_assert_ptr_null(body_encode(snapshot, &body));
	add_section(&body, "TIME", 24, 1);
	wrap(&body, &twice);
	expect_refused(twice.bytes, twice.count, "it is damaged: a section stands twice");
	body.count -= 16 + 24;
	memcpy(memmem(body.bytes, body.count, "TIME", 4), "EMIT", 4);
	wrap(&body, &missing);
	expect_refused(missing.bytes, missing.count, "it is damaged: a section is missing");
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(marks_may_be_missing_and_are_of_a_kind_that_is_known)
{
	struct snapshot *snapshot = sample_random(7, 5);
	_cleanup_buffer_ struct buffer body = {0}, file = {0}, wrong = {0};
	ck_assert(snapshot_is_interim(snapshot));
	ck_assert_ptr_null(body_encode(snapshot, &body));
	char *section = memmem(body.bytes, body.count, "MARK", 4);
	section[16] = 3;
	wrap(&body, &wrong);
	expect_refused(wrong.bytes, wrong.count, "it is damaged: its marks");
	memcpy(section, "KRAM", 4);
	wrap(&body, &file);
	struct snapshot *loaded = decode(&file);
	ck_assert_uint_eq(loaded->mark_count, 0);
	ck_assert(!snapshot_is_interim(loaded));
	ck_assert_ptr_null(snapshot_last_reset(loaded));
	snapshot_destroy(loaded);
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(the_details_of_the_timeline_may_be_missing)
{
	struct snapshot *snapshot = sample_random(7, 5);
	_cleanup_buffer_ struct buffer body = {0}, file = {0};
	ck_assert_ptr_null(body_encode(snapshot, &body));
	memcpy(memmem(body.bytes, body.count, "DTLP", 4), "PLTD", 4);
	memcpy(memmem(body.bytes, body.count, "DTLS", 4), "SLTD", 4);
	wrap(&body, &file);
	struct snapshot *loaded = decode(&file);
	ck_assert_uint_eq(loaded->detail_point_count, 0);
	ck_assert_uint_eq(loaded->detail_site_count, 0);
	sample_expect_same_sites(snapshot, loaded);
	snapshot_destroy(loaded);
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(inner_pids_are_of_all_processes_or_of_none)
{
	struct snapshot *snapshot = sample_random(7, 5);
	_cleanup_buffer_ struct buffer body = {0}, missing = {0}, short_of = {0};
	ck_assert_ptr_null(body_encode(snapshot, &body));
	char *section = memmem(body.bytes, body.count, "NSPD", 4);
	memcpy(section, "DPSN", 4);
	wrap(&body, &missing);
	struct snapshot *loaded = decode(&missing);
	ck_assert_uint_gt(loaded->process_count, 1);
	for (size_t i = 0; i < loaded->process_count; i++)
		ck_assert_uint_eq(loaded->processes[i].inner_pid, 0);
	snapshot_destroy(loaded);
	memcpy(section, "NSPD", 4);
	section[8]--;
	body.count -= 4;
	wrap(&body, &short_of);
	expect_refused(short_of.bytes, short_of.count, "it is damaged: its pid namespaces");
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(details_that_cannot_be_are_told)
{
	for (int way = 0; way < 6; way++) {
		struct snapshot *snapshot = sample_random(7, 5);
		_cleanup_buffer_ struct buffer bytes = {0};
		struct snapshot_detail_point *last = &snapshot->detail_points[4];
		ck_assert_uint_ge(last->site_count, 2);
		struct snapshot_detail_site *sites = snapshot->detail_sites + last->first_site;
		if (way == 0)
			sites[0].site = 5;
		else if (way == 1)
			sites[1].site = sites[0].site;
		else if (way == 2)
			sites[0].bytes = UINT64_MAX;
		else if (way == 3)
			sites[0].blocks += last->current_blocks;
		else if (way == 4)
			last->time_ns = snapshot->detail_points[3].time_ns;
		else
			last->site_count--;
		encode(snapshot, &bytes);
		expect_refused(bytes.bytes, bytes.count, "it is damaged: ");
		snapshot_destroy(snapshot);
	}
}
END_TEST

START_TEST(figures_that_do_not_add_up_are_told)
{
	struct snapshot *snapshot = sample_random(7, 5);
	_cleanup_buffer_ struct buffer bytes = {0};
	snapshot->totals.current_bytes++;
	encode(snapshot, &bytes);
	expect_refused(bytes.bytes, bytes.count, "it is damaged: ");
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(the_size_follows_the_sites_not_the_figures)
{
	struct snapshot *few = sample_random(9, 200), *many = sample_random(9, 200);
	_cleanup_buffer_ struct buffer small_bytes = {0}, large_bytes = {0};
	for (size_t i = 0; i < many->site_count; i++) {
		many->sites[i].counters.total_blocks += 1000000000;
		many->sites[i].counters.released_blocks += 1000000000;
	}
	encode(few, &small_bytes);
	encode(many, &large_bytes);
	ck_assert_uint_lt(large_bytes.count, small_bytes.count * 3 / 2);
	snapshot_destroy(few);
	snapshot_destroy(many);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("file");
	TCase *cases = tcase_create("file");
	tcase_set_timeout(cases, 120);
	tcase_add_loop_test(cases, what_was_saved_comes_back, 0, 8);
	tcase_add_test(cases, an_empty_snapshot_comes_back);
	tcase_add_test(cases, the_checksum_is_that_of_xz);
	tcase_add_test(cases, every_truncation_is_told);
	tcase_add_test(cases, every_flipped_bit_is_told);
	tcase_add_test(cases, what_follows_the_end_is_told);
	tcase_add_test(cases, other_files_are_told);
	tcase_add_test(cases, a_newer_version_is_told_as_such);
	tcase_add_test(cases, a_file_that_would_fill_memory_is_refused);
	tcase_add_test(cases, a_changed_body_under_right_checksums_is_refused_or_sound);
	tcase_add_test(cases, random_changes_of_the_file_are_refused);
	tcase_add_test(cases, what_a_later_tracealloc_adds_is_passed_by);
	tcase_add_test(cases, sections_that_are_missing_or_stand_twice_are_told);
	tcase_add_test(cases, marks_may_be_missing_and_are_of_a_kind_that_is_known);
	tcase_add_test(cases, the_details_of_the_timeline_may_be_missing);
	tcase_add_test(cases, inner_pids_are_of_all_processes_or_of_none);
	tcase_add_test(cases, details_that_cannot_be_are_told);
	tcase_add_test(cases, figures_that_do_not_add_up_are_told);
	tcase_add_test(cases, the_size_follows_the_sites_not_the_figures);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
