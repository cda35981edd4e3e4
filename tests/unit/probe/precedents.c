/* SPDX-License-Identifier: MIT */
/*
 * Windows planned in one process, asked for by another: where they hold and where they do not.
 */
#include <check.h>
#include <string.h>

#include "probe/precedents.h"

enum {
	BIAS = 0x7f0000000000,
	OTHER_BIAS = 0x7e1234560000,
	TEXT_START = 0x1000,
	TEXT_END = 0x9000,
	ENTRY = 0x2340,
	WINDOW = ENTRY + 4, /* behind an endbr64 */
	WINDOW_BYTES = 7,
};

/* A process that has the window's bytes at one place, with one of them changed if so wished. */
struct memory {
	uint64_t at;
	uint8_t bytes[WINDOW_BYTES];
};

static const uint8_t code[WINDOW_BYTES] = {0x41, 0x54, 0x55, 0x48, 0x89, 0xfd, 0x53};

static bool read_memory(void *context, target_addr address, void *bytes, size_t count)
{
	const struct memory *memory = context;
	if (address.v != memory->at || count > sizeof memory->bytes)
		return false;
	memcpy(bytes, memory->bytes, count);
	return true;
}

static struct code_reader reader_of(struct memory *memory)
{
	return (struct code_reader){.read = read_memory, .context = memory};
}

static struct memory memory_at(uint64_t bias)
{
	struct memory memory = {.at = bias + WINDOW};
	memcpy(memory.bytes, code, sizeof code);
	return memory;
}

static struct probe_request request_at(uint64_t bias)
{
	return (struct probe_request){.entry = {bias + ENTRY},
				      .text_start = {bias + TEXT_START},
				      .text_end = {bias + TEXT_END},
				      .image = {3},
				      .bias = bias};
}

static struct window window_at(uint64_t bias)
{
	struct window window = {.entry = {bias + WINDOW}, .count = WINDOW_BYTES, .starts = 0x4d};
	memcpy(window.bytes, code, sizeof code);
	return window;
}

static struct precedents planned_once(void)
{
	struct precedents precedents = {0};
	struct probe_request request = request_at(BIAS);
	struct window window = window_at(BIAS);
	ck_assert_ptr_null(precedents_add(&precedents, &request, &window));
	return precedents;
}

static bool is_found(const struct precedents *precedents, const struct probe_request *request)
{
	struct memory memory = memory_at(request->bias);
	struct code_reader reader = reader_of(&memory);
	struct window window;
	return precedents_find(precedents, request, &reader, &window);
}

START_TEST(a_window_is_found_wherever_its_file_is_mapped)
{
	struct precedents precedents = planned_once();
	const uint64_t biases[] = {BIAS, OTHER_BIAS, 0, -(uint64_t)TEXT_START};
	for (size_t i = 0; i < sizeof biases / sizeof *biases; i++) {
		struct memory memory = memory_at(biases[i]);
		struct code_reader reader = reader_of(&memory);
		struct probe_request request = request_at(biases[i]);
		struct window wanted = window_at(biases[i]), window;
		ck_assert(precedents_find(&precedents, &request, &reader, &window));
		ck_assert_uint_eq(window.entry.v, wanted.entry.v);
		ck_assert_uint_eq(window.count, wanted.count);
		ck_assert_uint_eq(window.starts, wanted.starts);
		ck_assert_mem_eq(window.bytes, wanted.bytes, WINDOW_BYTES);
	}
	precedents_deinit(&precedents);
}
END_TEST

START_TEST(a_window_whose_bytes_differ_is_none)
{
	struct precedents precedents = planned_once();
	struct probe_request request = request_at(OTHER_BIAS);
	struct memory memory = memory_at(OTHER_BIAS);
	struct code_reader reader = reader_of(&memory);
	struct window window = {.count = 77};
	for (size_t i = 0; i < WINDOW_BYTES; i++) {
		memory.bytes[i] ^= 1;
		ck_assert(!precedents_find(&precedents, &request, &reader, &window));
		memory.bytes[i] ^= 1;
	}
	memory.at = 0; /* cannot be read */
	ck_assert(!precedents_find(&precedents, &request, &reader, &window));
	ck_assert_uint_eq(window.count, 77);
	precedents_deinit(&precedents);
}
END_TEST

START_TEST(another_file_function_or_mapping_has_none)
{
	struct precedents precedents = planned_once();
	struct probe_request request = request_at(OTHER_BIAS);
	ck_assert(is_found(&precedents, &request));
	request.image.v = 4;
	ck_assert(!is_found(&precedents, &request));
	request = request_at(OTHER_BIAS);
	request.entry.v += 16;
	ck_assert(!is_found(&precedents, &request));
	request = request_at(OTHER_BIAS);
	request.text_start.v += 4096;
	ck_assert(!is_found(&precedents, &request));
	request = request_at(OTHER_BIAS);
	request.text_end.v -= 4096;
	ck_assert(!is_found(&precedents, &request));
	/* What may hash alike is not the same. */
	for (uint64_t bit = 1; bit; bit <<= 1) {
		request = request_at(OTHER_BIAS);
		request.image.v = 3 ^ (bit >> 48 ? (uint32_t)(bit >> 48) : 1);
		request.entry.v ^= bit;
		ck_assert(!is_found(&precedents, &request));
	}
	precedents_deinit(&precedents);
}
END_TEST

START_TEST(of_a_module_without_an_id_nothing_is_kept)
{
	struct precedents precedents = {0};
	struct probe_request request = request_at(BIAS);
	struct window window = window_at(BIAS);
	request.image.v = 0;
	ck_assert_ptr_null(precedents_add(&precedents, &request, &window));
	ck_assert(!is_found(&precedents, &request));
	ck_assert_uint_eq(precedents.windows.count, 0);
	precedents_deinit(&precedents);
}
END_TEST

START_TEST(a_newer_plan_takes_the_place_of_an_older_one)
{
	struct precedents precedents = planned_once();
	struct probe_request request = request_at(OTHER_BIAS);
	struct memory memory = memory_at(OTHER_BIAS);
	struct code_reader reader = reader_of(&memory);
	struct window window = window_at(OTHER_BIAS), found;
	memory.bytes[2] = window.bytes[2] = 0x56;
	ck_assert(!precedents_find(&precedents, &request, &reader, &found));
	ck_assert_ptr_null(precedents_add(&precedents, &request, &window));
	ck_assert(precedents_find(&precedents, &request, &reader, &found));
	ck_assert_uint_eq(found.bytes[2], 0x56);
	ck_assert_uint_eq(precedents.windows.count, 1);
	precedents_deinit(&precedents);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("precedents");
	TCase *tests = tcase_create("precedents");
	tcase_add_test(tests, a_window_is_found_wherever_its_file_is_mapped);
	tcase_add_test(tests, a_window_whose_bytes_differ_is_none);
	tcase_add_test(tests, another_file_function_or_mapping_has_none);
	tcase_add_test(tests, of_a_module_without_an_id_nothing_is_kept);
	tcase_add_test(tests, a_newer_plan_takes_the_place_of_an_older_one);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
