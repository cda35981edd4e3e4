/* SPDX-License-Identifier: MIT */
/*
 * Statistics, tracebacks, filters and differences against Python's own tracemalloc, which is given
 * the same blocks.
 */
#include <jansson.h>

#include "unit/report/sample.h"

enum { FILES = 5, LINES = 14, DEPTH = 5, SITES = 120 };

static const char *const files[FILES] = {"a.c", "lib/b.c", "lib/c.c", "x/lib.c", "z.h"};

static uint64_t next(uint64_t *state, uint64_t limit)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (*state >> 33) % limit;
}

/* A stack in which no line stands twice: tracemalloc counts recursion as often as it occurs. */
static void add_random_site(struct snapshot *snapshot, uint64_t *state, json_t *traces)
{
	size_t depth = next(state, DEPTH) + 1;
	json_t *frames = json_array();
	bool used[FILES] = {false};
	for (size_t i = 0; i < depth; i++) {
		size_t file = next(state, FILES);
		if (used[file])
			continue;
		used[file] = true;
		uint32_t line = (uint32_t)next(state, LINES) + 1;
		struct snapshot_frame frame = {.file = files[file],
					       .label = files[file],
					       .line = line,
					       .function = "f",
					       .module = "/usr/bin/prog"};
		ck_assert_ptr_null(snapshot_add_frame(snapshot, &frame));
		json_array_append_new(frames, json_pack("[si]", files[file], (int)line));
	}
	uint64_t blocks = next(state, 4), bytes = blocks ? next(state, 1u << next(state, 24)) : 0;
	if (next(state, 4) == 0)
		bytes = blocks * 512;
	struct snapshot_site site = {
		.process = SNAPSHOT_NO_PROCESS,
		.counters = {.current_bytes = bytes, .current_blocks = blocks}};
	ck_assert_ptr_null(snapshot_add_site(snapshot, &site));
	/* One trace a block; the first carries the bytes, for only sums matter. */
	for (uint64_t i = 0; i < blocks; i++)
		json_array_append_new(traces,
				      json_pack("[IO]", (json_int_t)(i ? 0 : bytes), frames));
	json_decref(frames);
}

static struct snapshot *random_snapshot(uint64_t seed, json_t *traces)
{
	struct snapshot *snapshot;
	uint64_t state = seed;
	ck_assert_ptr_null(snapshot_create(&snapshot));
	for (int i = 0; i < SITES; i++)
		add_random_site(snapshot, &state, traces);
	return snapshot;
}

static json_t *all_source(void)
{
	json_t *source = json_object();
	for (size_t file = 0; file < FILES; file++) {
		json_t *lines = json_object();
		for (uint32_t line = 1; line <= LINES; line++) {
			char key[16];
			char path[32];
			snprintf(key, sizeof key, "%u", line);
			snprintf(path, sizeof path, "/%s", files[file]);
			const char *text = sample_line(NULL, path, line);
			json_object_set_new(lines, key, json_string(text ? text : ""));
		}
		json_object_set_new(source, files[file], lines);
	}
	return source;
}

static const char *source_line(void *context, const char *file, uint32_t line)
{
	char path[32];
	snprintf(path, sizeof path, "/%s", file);
	return sample_line(context, path, line);
}

/* A filter as both sides write it. line: what Python takes apart; NULL: none. */
struct filter_pair {
	struct query_filter ours;
	const char *file;
	int line;
};

static const struct filter_pair filters[] = {
	{{.inclusive = true, .kind = FILTER_FILE, .pattern = "lib/*"}, "lib/*", 0},
	{{.inclusive = true, .kind = FILTER_FILE, .pattern = "[az].?"}, "[az].?", 0},
	{{.inclusive = true, .kind = FILTER_LINE, .pattern = "*.c:7"}, "*.c", 7},
	{{.kind = FILTER_FILE, .pattern = "*/b.c"}, "*/b.c", 0},
	{{.kind = FILTER_LINE, .pattern = "x/lib.c:3"}, "x/lib.c", 3},
	{{.kind = FILTER_FILE, .pattern = "z*"}, "z*", 0},
};
enum { FILTERS = sizeof filters / sizeof *filters };

struct question {
	struct query query;
	struct query_filter filters[FILTERS];
	bool compare;
};

/* Everything that tracemalloc can be asked; a third without filters. */
static void make_question(uint64_t *state, struct question *ret, json_t *python)
{
	static const char *const keys[] = {"lineno", "filename", "traceback"};
	static const enum query_group groups[] = {QUERY_LINE, QUERY_FILE, QUERY_TRACEBACK};
	static const size_t tops[] = {0, 1, 3, 10, 1000};
	bool compare = next(state, 2);
	size_t key = next(state, compare ? 2 : 3);
	bool cumulative = key != 2 && next(state, 2), all_frames = next(state, 2);
	size_t top = tops[next(state, 5)];
	json_t *theirs = json_array();
	*ret = (struct question){.compare = compare,
				 .query = {.show = QUERY_CURRENT,
					   .group_by = groups[key],
					   .cumulative = cumulative,
					   .all_frames = all_frames,
					   .top = top}};
	uint64_t which = next(state, 3) ? next(state, 1u << FILTERS) : 0;
	for (size_t i = 0; i < FILTERS; i++) {
		if (!(which >> i & 1))
			continue;
		ret->filters[ret->query.filter_count++] = filters[i].ours;
		json_array_append_new(
			theirs,
			json_pack("[bso]", filters[i].ours.inclusive, filters[i].file,
				  filters[i].line ? json_integer(filters[i].line) : json_null()));
	}
	ret->query.filters = ret->filters;
	json_array_append_new(python,
			      json_pack("{sssbsbsIsbso}", "key", keys[key], "compare", compare,
					"cumulative", cumulative, "top", (json_int_t)top,
					"all_frames", all_frames, "filters", theirs));
}

static void ask_python(const json_t *given, struct buffer *ret)
{
	char path[] = "/tmp/tracealloc-statistics-XXXXXX";
	_cleanup_close_ int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(json_dumpfd(given, fd, 0), 0);
	char command[256];
	snprintf(command, sizeof command, "python3 tests/unit/report/statistics.py < %s", path);
	FILE *pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	sample_read(pipe, ret);
	int status = pclose(pipe);
	unlink(path);
	ck_assert_int_eq(status, 0);
}

static void answer(const struct snapshot *old, const struct snapshot *new,
		   const struct question *question, struct buffer *out)
{
	static const struct report_source source = {.line = source_line};
	struct report_options options = {.body_only = true};
	struct table table;
	ck_assert_ptr_null(question->compare ? query_compare(old, new, &question->query, &table)
					     : query_run(new, &question->query, &table));
	ck_assert_ptr_null(report_text(new, &table, &source, &options, out));
	table_deinit(&table);
	buffer_string(out, "--\n");
}

START_TEST(answers_are_what_pythons_own_tracemalloc_prints)
{
	enum { QUESTIONS = 150 };
	if (system("command -v python3 >/dev/null") != 0)
		return;
	uint64_t state = (uint64_t)_i + 1;
	_cleanup_buffer_ struct buffer got = {0}, want = {0};
	json_t *given =
		json_pack("{s[]s[]s[]so}", "old", "new", "questions", "source", all_source());
	struct snapshot *old = random_snapshot(state, json_object_get(given, "old"));
	struct snapshot *new = random_snapshot(state + 100, json_object_get(given, "new"));
	for (int i = 0; i < QUESTIONS; i++) {
		struct question question;
		make_question(&state, &question, json_object_get(given, "questions"));
		question.query.filters = question.filters;
		answer(old, new, &question, &got);
	}
	ask_python(given, &want);
	const char *ours = buffer_text(&got), *theirs = buffer_text(&want);
	for (int line = 1; *ours || *theirs; line++) {
		size_t length = strcspn(ours, "\n"), their_length = strcspn(theirs, "\n");
		ck_assert_msg(length == their_length && !memcmp(ours, theirs, length),
			      "line %d: '%.*s', not '%.*s'", line, (int)length, ours,
			      (int)their_length, theirs);
		ours += length + (ours[length] == '\n');
		theirs += their_length + (theirs[their_length] == '\n');
	}
	ck_assert_uint_gt(got.count, 10000);
	snapshot_destroy(old);
	snapshot_destroy(new);
	json_decref(given);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("statistics");
	TCase *cases = tcase_create("statistics");
	tcase_set_timeout(cases, 120);
	tcase_add_loop_test(cases, answers_are_what_pythons_own_tracemalloc_prints, 0, 4);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
