/* SPDX-License-Identifier: MIT */
/* Ranges against a model that knows nothing but pages. */
#include "ledger/mappings.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

enum { PAGE = 4096, SPACES = 2, PAGES = 48, SITES = 5, THREADS = 3, MAPPINGS = 1 << 16 };

/* Pages that are being moved are kept beside, as others may be mapped there meanwhile. */
struct model {
	int pages[SPACES][PAGES]; /* mapping of each page, 0: none */
	int moved[SPACES][THREADS][PAGES];
	int site_of[MAPPINGS];
	int pieces[MAPPINGS]; /* pages */
	int count;
	long long live[SITES], blocks[SITES], peak[SITES], sum, highest;
	long long total[SITES], made[SITES], released[SITES], ended[SITES];
};

static void ok(struct error *err)
{
	if (err)
		ck_abort_msg("%s", error_message(err));
}

static void lose(struct model *m, int mapping, long long *where)
{
	int site = m->site_of[mapping];
	where[site] += PAGE;
	m->live[site] -= PAGE;
	m->sum -= PAGE;
	if (--m->pieces[mapping] == 0)
		m->blocks[site]--;
}

static void clear(struct model *m, int space, int first, int count)
{
	for (int i = first; i < first + count; i++) {
		int mapping = m->pages[space][i];
		if (mapping)
			lose(m, mapping, m->released);
		m->pages[space][i] = 0;
	}
}

static void add(struct model *m, int space, int site, int first, int count)
{
	clear(m, space, first, count);
	int mapping = ++m->count;
	m->site_of[mapping] = site;
	m->pieces[mapping] = count;
	m->blocks[site]++;
	m->made[site]++;
	for (int i = first; i < first + count; i++)
		m->pages[space][i] = mapping;
	m->live[site] += (long long)count * PAGE;
	m->total[site] += (long long)count * PAGE;
	m->sum += (long long)count * PAGE;
	if (m->sum > m->highest) {
		m->highest = m->sum;
		memcpy(m->peak, m->live, sizeof m->peak);
	}
}

static void end_move(struct model *m, int space, int thread, bool done)
{
	for (int i = 0; i < PAGES; i++) {
		int mapping = m->moved[space][thread][i];
		m->moved[space][thread][i] = 0;
		if (!mapping)
			continue;
		if (done) {
			lose(m, mapping, m->released);
			continue;
		}
		clear(m, space, i, 1);
		m->pages[space][i] = mapping;
	}
}

static void begin_move(struct model *m, int space, int thread, int first, int count)
{
	end_move(m, space, thread, false);
	for (int i = first; i < first + count; i++) {
		m->moved[space][thread][i] = m->pages[space][i];
		m->pages[space][i] = 0;
	}
}

static void end_space(struct model *m, int space)
{
	for (int i = 0; i < PAGES; i++) {
		if (m->pages[space][i])
			lose(m, m->pages[space][i], m->ended);
		m->pages[space][i] = 0;
		for (int thread = 0; thread < THREADS; thread++) {
			if (m->moved[space][thread][i])
				lose(m, m->moved[space][thread][i], m->ended);
			m->moved[space][thread][i] = 0;
		}
	}
}

static void compare(const struct model *m, const struct mappings *mappings)
{
	ok(mappings_check(mappings));
	const struct total_counters *all = mappings_totals(mappings);
	if ((long long)all->current_bytes != m->sum || (long long)all->peak_bytes != m->highest)
		ck_abort_msg("totals");
	for (int site = 0; site < SITES; site++) {
		struct site_counters seen = mappings_site(mappings, (site_id){.v = (uint32_t)site});
		if ((long long)seen.current_bytes != m->live[site] ||
		    (long long)seen.current_blocks != m->blocks[site] ||
		    (long long)seen.total_bytes != m->total[site] ||
		    (long long)seen.total_blocks != m->made[site] ||
		    (long long)seen.released_bytes != m->released[site] ||
		    (long long)seen.ended_bytes != m->ended[site] ||
		    (long long)seen.peak_bytes != m->peak[site])
			ck_abort_msg("site %d", site);
	}
}

struct dice {
	uint64_t state;
};

static int roll(struct dice *dice, int sides)
{
	dice->state = dice->state * 6364136223846793005u + 1442695040888963407u;
	return (int)((dice->state >> 33) % (uint64_t)sides);
}

static void step(struct model *m, struct mappings *mappings, struct dice *dice)
{
	int space = roll(dice, SPACES), thread = roll(dice, THREADS), site = roll(dice, SITES);
	int first = roll(dice, PAGES),
	    count = 1 + roll(dice, PAGES - first < 9 ? PAGES - first : 9);
	space_id id = {.v = (uint32_t)space};
	target_addr at = {0x10000u + (uint64_t)first * PAGE};
	/* Sizes that are no whole pages mean the pages they touch. */
	uint64_t bytes = (uint64_t)count * PAGE - (uint64_t)roll(dice, 2) * 100;
	int what = roll(dice, 100);
	if (what < 45) {
		add(m, space, site, first, count);
		ok(mappings_add(mappings, id, (site_id){.v = (uint32_t)site}, at, bytes, 5));
	} else if (what < 75) {
		clear(m, space, first, count);
		ok(mappings_remove(mappings, id, at, bytes, 9));
	} else if (what < 86) {
		begin_move(m, space, thread, first, count);
		ok(mappings_move(mappings, id, (uint32_t)thread, at, bytes, 9));
	} else if (what < 99) {
		bool done = roll(dice, 2);
		end_move(m, space, thread, done);
		ok(mappings_moved(mappings, id, (uint32_t)thread, done, 9));
	} else {
		end_space(m, space);
		mappings_space_end(mappings, id);
	}
}

START_TEST(every_figure_is_that_of_the_pages)
{
	struct mappings *mappings;
	struct model *m = calloc(1, sizeof *m);
	struct dice dice = {(uint64_t)_i + 1};
	ok(mappings_create(&mappings));
	for (int i = 0; i < 4000; i++) {
		step(m, mappings, &dice);
		compare(m, mappings);
	}
	mappings_destroy(mappings);
	free(m);
}
END_TEST

START_TEST(what_is_no_range_is_refused_or_nothing)
{
	struct mappings *mappings;
	ok(mappings_create(&mappings));
	space_id space = {1};
	struct error *err = mappings_add(mappings, space, (site_id){0}, (target_addr){PAGE}, 0, 1);
	ck_assert_int_eq(error_kind_of(err), ERROR_BAD_INPUT);
	error_free(err);
	err = mappings_add(mappings, space, (site_id){0}, (target_addr){UINT64_MAX - 5}, 100, 1);
	ck_assert_int_eq(error_kind_of(err), ERROR_BAD_INPUT);
	error_free(err);
	ok(mappings_add(mappings, space, (site_id){0}, (target_addr){PAGE}, 1, 1));
	ok(mappings_remove(mappings, space, (target_addr){0}, UINT64_MAX, 2));
	ok(mappings_remove(mappings, space, (target_addr){PAGE}, 0, 2));
	ok(mappings_move(mappings, space, 7, (target_addr){PAGE}, 0, 2));
	ck_assert_uint_eq(mappings_totals(mappings)->current_bytes, PAGE);
	ok(mappings_failed(mappings, (site_id){3}));
	ck_assert_uint_eq(mappings_site(mappings, (site_id){3}).failed_calls, 1);
	ok(mappings_check(mappings));
	mappings_destroy(mappings);
}
END_TEST

START_TEST(a_peak_that_is_reset_counts_from_there)
{
	struct mappings *mappings;
	ok(mappings_create(&mappings));
	space_id space = {1};
	ok(mappings_add(mappings, space, (site_id){0}, (target_addr){PAGE}, 10 * PAGE, 1));
	ok(mappings_remove(mappings, space, (target_addr){PAGE}, 9 * PAGE, 2));
	mappings_reset_peak(mappings, 3);
	ck_assert_uint_eq(mappings_totals(mappings)->peak_bytes, PAGE);
	ck_assert_uint_eq(mappings_site(mappings, (site_id){0}).peak_bytes, PAGE);
	ok(mappings_check(mappings));
	mappings_destroy(mappings);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ledger/mappings");
	TCase *tests = tcase_create("mappings");
	tcase_add_loop_test(tests, every_figure_is_that_of_the_pages, 0, 10);
	tcase_add_test(tests, what_is_no_range_is_refused_or_nothing);
	tcase_add_test(tests, a_peak_that_is_reset_counts_from_there);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
