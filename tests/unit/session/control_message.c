/* SPDX-License-Identifier: MIT */
#include "session/control_message.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

START_TEST(a_request_comes_as_it_was_sent)
{
	for (int verb = CONTROL_STATUS; verb <= CONTROL_STOP; verb++) {
		struct control_request sent = {.verb = (enum control_verb)verb,
					       .pid = 12345 + verb,
					       .address = {UINT64_MAX - (uint64_t)verb}},
				       got;
		_cleanup_buffer_ struct buffer packet = {0};
		strcpy(sent.name, "50% of\n\x1b\xc3\xa9 all");
		control_message_ask(&sent, &packet);
		ck_assert_uint_lt(packet.count, CONTROL_REQUEST_BYTES);
		ck_assert_ptr_null(control_message_asked(packet.bytes, packet.count, &got));
		ck_assert_int_eq(got.verb, sent.verb);
		ck_assert_int_eq(got.pid, sent.pid);
		ck_assert_uint_eq(got.address.v, sent.address.v);
		ck_assert_str_eq(got.name, sent.name);
	}
}
END_TEST

static void make_reply(struct control_reply *ret)
{
	*ret = (struct control_reply){.pid = 1,
				      .time_ns = UINT64_MAX,
				      .current_bytes = 2,
				      .peak_at_ns = 3,
				      .events_per_s = 4,
				      .attached = 1,
				      .address = 5,
				      .process = 6};
	memset(ret->command, '\n', sizeof ret->command - 1);
	memset(ret->engine, '%', sizeof ret->engine - 1);
	memset(ret->file, 0xff, sizeof ret->file - 1);
}

START_TEST(a_reply_comes_as_it_was_sent_and_fits_a_packet)
{
	static struct control_reply sent, got;
	_cleanup_buffer_ struct buffer packet = {0};
	make_reply(&sent);
	control_message_answer(&sent, &packet);
	ck_assert_uint_lt(packet.count, CONTROL_REPLY_BYTES);
	ck_assert_ptr_null(control_message_answered(packet.bytes, packet.count, &got));
	ck_assert_mem_eq(&got, &sent, sizeof sent);
}
END_TEST

START_TEST(a_refusal_is_an_error_of_the_same_kind)
{
	static struct control_reply got;
	_cleanup_buffer_ struct buffer packet = {0};
	_cleanup_error_ struct error *refusal =
		error_new(ERROR_NOT_FOUND, "nothing at '%s'", "a%\nb");
	control_message_refuse(refusal, &packet);
	_cleanup_error_ struct error *err =
		control_message_answered(packet.bytes, packet.count, &got);
	ck_assert_ptr_nonnull(err);
	ck_assert_int_eq(error_kind_of(err), ERROR_NOT_FOUND);
	ck_assert_str_eq(error_message(err), "nothing at 'a%\nb'");
}
END_TEST

static bool is_understood(const char *packet, size_t count)
{
	static struct control_request request;
	static struct control_reply reply;
	struct error *asked = control_message_asked(packet, count, &request);
	struct error *answered = control_message_answered(packet, count, &reply);
	bool understood = !asked || !answered;
	error_free(asked);
	error_free(answered);
	return understood;
}

START_TEST(what_is_cut_off_is_no_message)
{
	static struct control_reply reply;
	_cleanup_buffer_ struct buffer packet = {0};
	make_reply(&reply);
	control_message_answer(&reply, &packet);
	/* A message may end after any of its lines. */
	for (size_t count = 0; count < packet.count; count += 1 + count / 100)
		ck_assert_msg(!is_understood(packet.bytes, count) ||
				      (count && packet.bytes[count - 1] == '\n'),
			      "%zu bytes", count);
}
END_TEST

/* Of what follows the NUL no copy is made, so nothing may look for it there. */
START_TEST(a_nul_ends_no_message)
{
	enum { BYTES = 4000 };
	static const char start[] = "tracealloc-control-1 ";
	for (size_t at = 0; at <= sizeof start; at++) {
		_cleanup_free_ char *packet = malloc(BYTES);
		memset(packet, 'x', BYTES);
		memcpy(packet, start, sizeof start - 1);
		packet[at] = '\0';
		packet[BYTES - 1] = '\n';
		ck_assert(!is_understood(packet, BYTES));
	}
}
END_TEST

START_TEST(random_bytes_do_no_harm)
{
	struct control_request request = {.verb = CONTROL_MARK, .pid = 77, .name = "a name"};
	_cleanup_buffer_ struct buffer packet = {0};
	control_message_ask(&request, &packet);
	srand(7);
	for (int i = 0; i < 50000; i++) {
		_cleanup_free_ char *changed = malloc(packet.count);
		memcpy(changed, packet.bytes, packet.count);
		for (int k = 0; k <= rand() % 4; k++)
			changed[(size_t)rand() % packet.count] = (char)rand();
		is_understood(changed, (size_t)rand() % (packet.count + 1));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control_message");
	TCase *cases = tcase_create("control_message");
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, a_request_comes_as_it_was_sent);
	tcase_add_test(cases, a_reply_comes_as_it_was_sent_and_fits_a_packet);
	tcase_add_test(cases, a_refusal_is_an_error_of_the_same_kind);
	tcase_add_test(cases, what_is_cut_off_is_no_message);
	tcase_add_test(cases, a_nul_ends_no_message);
	tcase_add_test(cases, random_bytes_do_no_harm);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
