/* SPDX-License-Identifier: MIT */
/*
 * Saved snapshots that were tampered with under right checksums: whatever is accepted can be asked
 * everything, in every form, and nothing of it reaches the terminal.
 */
#include "snapshot/body.h"
#include "snapshot/merge.h"
#include "unit/report/sample.h"

static uint64_t next(uint64_t *state, uint64_t limit)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (*state >> 33) % limit;
}

static void mutate(struct buffer *body, uint64_t *state)
{
	static const uint8_t values[] = {0, 1, 2, 0x1b, 0x7f, 0x80, 0x9b, 0xff};
	for (uint64_t left = next(state, 4) + 1; left > 0; left--)
		body->bytes[next(state, body->count)] =
			(char)(next(state, 2) ? values[next(state, sizeof values)]
					      : (uint8_t)next(state, 256));
}

static void expect_harmless(const struct buffer *text)
{
	size_t harmful = 0;
	for (size_t i = 0; i < text->count; i++) {
		unsigned char c = (unsigned char)text->bytes[i];
		bool ends_line = c == '\n' || (c == '\r' && text->bytes[i + 1] == '\n');
		harmful += !ends_line && c != '\t' && (c < 0x20 || c == 0x7f);
	}
	ck_assert_uint_eq(harmful, 0);
}

static void ask(const struct snapshot *old, const struct snapshot *new, struct query query)
{
	struct report_options options = {.all_blind_modules = true};
	struct table table;
	_cleanup_buffer_ struct buffer text = {0}, json = {0}, csv = {0};
	ck_assert_ptr_null(old ? query_compare(old, new, &query, &table)
			       : query_run(new, &query, &table));
	ck_assert_ptr_null(report_text(new, &table, &sample_source, &options, &text));
	ck_assert_ptr_null(report_json(new, &table, &sample_source, &options, &json));
	ck_assert_ptr_null(report_csv(new, &table, &sample_source, &options, &csv));
	expect_harmless(&text);
	expect_harmless(&json);
	expect_harmless(&csv);
	table_deinit(&table);
}

/* In every format that has more than a table. */
static void ask_stacks(const struct snapshot *snapshot, struct query query)
{
	struct selection selection;
	size_t count;
	const struct report_format *formats = report_formats(&count);
	ck_assert_ptr_null(selection_make(snapshot, &query, &selection));
	for (size_t i = 0; i < count; i++) {
		_cleanup_buffer_ struct buffer out = {0};
		if (formats[i].write_table)
			continue;
		if (formats[i].write_page)
			ck_assert_ptr_null(
				formats[i].write_page(snapshot, &query, &sample_source, &out));
		else
			ck_assert_ptr_null(
				formats[i].write_stacks(&selection, &sample_source, &out));
		if (strcmp(formats[i].name, "pprof") != 0)
			expect_harmless(&out);
	}
	selection_deinit(&selection);
}

static void ask_everything(const struct snapshot *old, const struct snapshot *new)
{
	static const struct query_filter filters[] = {
		{.inclusive = true, .kind = FILTER_FILE, .pattern = "*"},
		{.inclusive = true, .kind = FILTER_MODULE, .pattern = "*x*"},
		{.kind = FILTER_LINE, .pattern = "*:4?4"}};
	for (enum query_show show = QUERY_PEAK; show < QUERY_LIFETIME; show++)
		ask_stacks(new, (struct query){.show = show});
	for (enum query_group by = QUERY_LINE; by <= QUERY_PROCESS; by++) {
		for (enum query_show show = QUERY_PEAK; show <= QUERY_LIFETIME; show++)
			ask(NULL, new, (struct query){.show = show, .group_by = by, .top = 4});
		ask(old, new, (struct query){.show = QUERY_TOTAL, .group_by = by, .top = 9});
		ask(NULL, new,
		    (struct query){.show = QUERY_TOTAL,
				   .group_by = by,
				   .cumulative = by < QUERY_TRACEBACK,
				   .filters = filters,
				   .filter_count = 3,
				   .all_frames = true,
				   .top = 9});
	}
}

START_TEST(whatever_is_accepted_can_be_asked_everything)
{
	enum { ROUNDS = 500 };
	struct snapshot *original = sample_snapshot();
	_cleanup_buffer_ struct buffer body = {0};
	ck_assert_ptr_null(body_encode(original, &body));
	uint64_t state = 1;
	size_t accepted = 0;
	for (int round = 0; round < ROUNDS; round++) {
		_cleanup_buffer_ struct buffer changed = {0};
		struct snapshot *snapshot = NULL, *merged = NULL;
		buffer_append(&changed, body.bytes, body.count);
		mutate(&changed, &state);
		struct error *err =
			body_decode((const uint8_t *)changed.bytes, changed.count, &snapshot);
		if (err) {
			error_free(err);
			continue;
		}
		accepted++;
		const struct snapshot *parts[] = {snapshot, original, snapshot};
		ck_assert_ptr_null(merge_snapshots(parts, 3, &merged));
		ask_everything(original, snapshot);
		ask_everything(snapshot, merged);
		snapshot_destroy(snapshot);
		snapshot_destroy(merged);
	}
	ck_assert_uint_gt(accepted, ROUNDS / 10);
	snapshot_destroy(original);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hostile");
	TCase *cases = tcase_create("hostile");
	tcase_set_timeout(cases, 240);
	tcase_add_test(cases, whatever_is_accepted_can_be_asked_everything);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
