/* SPDX-License-Identifier: MIT */
#include "session/idle.h"

#include <check.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

START_TEST(the_number_that_runs_is_read_and_nothing_else_is)
{
	unsigned running = 0;
	ck_assert(idle_parse("0.20 0.18 0.12 3/80 11206\n", &running));
	ck_assert_uint_eq(running, 3);
	ck_assert(idle_parse("12.00 99.18 100.12 1/1 1", &running));
	ck_assert_uint_eq(running, 1);
	ck_assert(!idle_parse("", &running));
	ck_assert(!idle_parse("0.20 0.18 0.12", &running));
	ck_assert(!idle_parse("0.20 0.18 0.12 80", &running));
	ck_assert(!idle_parse("0.20 0.18 0.12 81/80 11206", &running));
	ck_assert(!idle_parse("a b c 3/80 11206", &running));
}
END_TEST

static atomic_bool over;

static void *spin(void *context)
{
	while (!atomic_load(&over))
		;
	return context;
}

/* So many that each processor has one; a look that comes before they all run is made again. */
START_TEST(there_is_none_where_all_processors_are_wanted)
{
	enum { MANY = 512 };
	pthread_t threads[MANY];
	long count = sysconf(_SC_NPROCESSORS_ONLN) + 1;
	ck_assert_int_le(count, MANY);
	ck_assert(idle_is_there(UINT_MAX / 2));
	for (long i = 0; i < count; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, spin, NULL), 0);
	while (idle_is_there(1))
		usleep(1000);
	ck_assert(idle_is_there(UINT_MAX / 2));
	atomic_store(&over, true);
	for (long i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session/idle");
	TCase *cases = tcase_create("idle");
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, the_number_that_runs_is_read_and_nothing_else_is);
	tcase_add_test(cases, there_is_none_where_all_processors_are_wanted);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
