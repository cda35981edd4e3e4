/* SPDX-License-Identifier: MIT */
/* What command lines mean, and every complaint about them, word for word. */
#include "cli/command_line.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

enum { ARGUMENTS_MAX = 32 };

/* Parses a copy of the NULL-terminated words; options must have been initialized. */
static struct error *parse(struct options *options, const char *const words[])
{
	static char *argv[ARGUMENTS_MAX];
	int argc = 0;
	for (; words[argc]; argc++)
		argv[argc] = (char *)words[argc];
	argv[argc] = NULL;
	return command_line_parse(options, NULL, argc, argv);
}

#define WORDS(...) ((const char *const[]){"tracealloc", __VA_ARGS__, NULL})

static void accept_words(struct options *options, const char *const words[])
{
	options_init(options);
	struct error *err = parse(options, words);
	ck_assert_msg(!err, "%s", err ? error_message(err) : "");
}

static void refuse_words(const char *const words[], const char *message)
{
	_cleanup_options_ struct options options;
	options_init(&options);
	_cleanup_error_ struct error *err = parse(&options, words);
	ck_assert_msg(err != NULL, "accepted, not: %s", message);
	ck_assert_str_eq(error_message(err), message);
	ck_assert_int_eq(error_kind_of(err), ERROR_USAGE);
}

#define accept(options, ...) accept_words(options, WORDS(__VA_ARGS__))
#define refuse(message, ...) refuse_words(WORDS(__VA_ARGS__), message)

START_TEST(run_has_the_documented_defaults)
{
	_cleanup_options_ struct options o;
	accept(&o, "run", "prog");
	ck_assert_int_eq(o.command, OPTIONS_RUN);
	ck_assert_str_eq(o.program[0], "prog");
	ck_assert_ptr_null(o.program[1]);
	ck_assert_int_eq(o.session.engine, SESSION_ENGINE_AUTO);
	ck_assert_uint_eq(o.session.depth, 64);
	ck_assert(o.session.follow_children);
	ck_assert(!o.session.pin);
	ck_assert_uint_eq(o.session.duration_ns, 0);
	ck_assert_int_eq(o.session.started_fd, -1);
	ck_assert_int_eq(o.query.show, QUERY_PEAK);
	ck_assert_int_eq(o.query.group_by, QUERY_LINE);
	ck_assert_int_eq(o.query.charge, QUERY_CHARGE_CALLER);
	ck_assert_uint_eq(o.query.top, 10);
	ck_assert_uint_eq(o.query.skip_count, 0);
	ck_assert_str_eq(o.format->name, "text");
	ck_assert_ptr_null(o.report_path);
	ck_assert_ptr_null(o.output_path);
	ck_assert(!o.query.cumulative);
	ck_assert(!o.query.all_frames);
	ck_assert_uint_eq(o.query.min_bytes, 0);
	ck_assert_uint_eq(o.query.filter_count, 0);
	ck_assert(!o.quiet);
	ck_assert_uint_eq(o.verbose, 0);
}
END_TEST

START_TEST(attach_shows_what_is_live_unless_told_otherwise)
{
	_cleanup_options_ struct options o, other;
	accept(&o, "attach", "1234");
	ck_assert_int_eq(o.command, OPTIONS_ATTACH);
	ck_assert_int_eq(o.pid, 1234);
	ck_assert_int_eq(o.query.show, QUERY_CURRENT);
	accept(&other, "attach", "--show=peak", "1234");
	ck_assert_int_eq(other.query.show, QUERY_PEAK);
}
END_TEST

START_TEST(every_option_reaches_its_field)
{
	_cleanup_options_ struct options o;
	accept(&o, "run", "--engine=breakpoint", "--follow", "none", "--depth=12", "--for=250ms",
	       "--usdt=ignore", "--pin", "--top", "3", "--charge=callee", "--report=out.txt",
	       "--format", "json", "--output", "a.snapshot", "--cumulative", "--min-size=64k",
	       "--all-frames", "--filter=file=*", "prog");
	ck_assert_int_eq(o.session.engine, SESSION_ENGINE_BREAKPOINT);
	ck_assert(!o.session.follow_children);
	ck_assert(o.session.ignore_static_probes);
	ck_assert_uint_eq(o.session.depth, 12);
	ck_assert_uint_eq(o.session.duration_ns, 250000000);
	ck_assert(o.session.pin);
	ck_assert_uint_eq(o.query.top, 3);
	ck_assert_int_eq(o.query.charge, QUERY_CHARGE_CALLEE);
	ck_assert_str_eq(o.report_path, "out.txt");
	ck_assert_str_eq(o.output_path, "a.snapshot");
	ck_assert(o.query.cumulative);
	ck_assert(o.query.all_frames);
	ck_assert_uint_eq(o.query.min_bytes, 65536);
	ck_assert_uint_eq(o.query.filter_count, 1);
	ck_assert_str_eq(o.format->name, "json");
}
END_TEST

START_TEST(every_choice_means_what_it_says)
{
	static const struct {
		const char *argument;
		int value;
	} shows[] = {{"--show=peak", QUERY_PEAK},
		     {"--show=current", QUERY_CURRENT},
		     {"--show=total", QUERY_TOTAL},
		     {"--show=leaked", QUERY_LEAKED},
		     {"--show=count", QUERY_COUNT},
		     {"--show=temporary", QUERY_TEMPORARY},
		     {"--show=lifetime", QUERY_LIFETIME},
		     {"--show=unreachable", QUERY_UNREACHABLE}},
	  groups[] = {
		  {"--group-by=line", QUERY_LINE},	     {"--group-by=file", QUERY_FILE},
		  {"--group-by=function", QUERY_FUNCTION},   {"--group-by=module", QUERY_MODULE},
		  {"--group-by=traceback", QUERY_TRACEBACK}, {"--group-by=process", QUERY_PROCESS}};
	for (size_t i = 0; i < sizeof shows / sizeof *shows; i++) {
		_cleanup_options_ struct options o;
		accept(&o, "run", shows[i].argument, "prog");
		ck_assert_int_eq(o.query.show, shows[i].value);
	}
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
		_cleanup_options_ struct options o;
		accept(&o, "run", groups[i].argument, "prog");
		ck_assert_int_eq(o.query.group_by, groups[i].value);
	}
	_cleanup_options_ struct options o;
	accept(&o, "run", "--engine=auto", "--follow=children", "--charge=caller", "--format=text",
	       "--usdt=obey", "prog");
	ck_assert_int_eq(o.session.engine, SESSION_ENGINE_AUTO);
	ck_assert(o.session.follow_children);
	ck_assert(!o.session.ignore_static_probes);
	ck_assert_int_eq(o.query.charge, QUERY_CHARGE_CALLER);
	ck_assert_str_eq(o.format->name, "text");
}
END_TEST

START_TEST(the_arguments_of_the_program_are_its_own)
{
	_cleanup_options_ struct options o;
	accept(&o, "run", "-q", "prog", "--top", "x", "--", "-v");
	ck_assert_uint_eq(o.query.top, 10);
	ck_assert_uint_eq(o.verbose, 0);
	static const char *const expected[] = {"prog", "--top", "x", "--", "-v"};
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
		ck_assert_str_eq(o.program[i], expected[i]);
	ck_assert_ptr_null(o.program[5]);
}
END_TEST

START_TEST(two_dashes_end_the_options)
{
	_cleanup_options_ struct options o;
	accept(&o, "run", "--top=2", "--", "--top", "9");
	ck_assert_uint_eq(o.query.top, 2);
	ck_assert_str_eq(o.program[0], "--top");
	ck_assert_str_eq(o.program[1], "9");
}
END_TEST

START_TEST(a_single_dash_is_a_program)
{
	_cleanup_options_ struct options o;
	accept(&o, "run", "-", "a");
	ck_assert_str_eq(o.program[0], "-");
}
END_TEST

START_TEST(attach_takes_options_after_the_process_id_too)
{
	_cleanup_options_ struct options o;
	accept(&o, "attach", "--top=2", "7", "--for", "1s", "-q");
	ck_assert_int_eq(o.pid, 7);
	ck_assert_uint_eq(o.query.top, 2);
	ck_assert_uint_eq(o.session.duration_ns, 1000000000);
	ck_assert(o.quiet);
}
END_TEST

START_TEST(report_takes_a_snapshot_among_its_options)
{
	_cleanup_options_ struct options o;
	accept(&o, "report", "--top=2", "a.snapshot", "--show", "total", "-q");
	ck_assert_int_eq(o.command, OPTIONS_REPORT);
	ck_assert_uint_eq(o.path_count, 1);
	ck_assert_str_eq(o.paths[0], "a.snapshot");
	ck_assert_uint_eq(o.query.top, 2);
	ck_assert_int_eq(o.query.show, QUERY_TOTAL);
	ck_assert(o.quiet);
}
END_TEST

START_TEST(report_takes_several_snapshots_and_diff_two)
{
	_cleanup_options_ struct options report, diff;
	accept(&report, "report", "a", "-q", "b", "--", "--c");
	ck_assert_uint_eq(report.path_count, 3);
	ck_assert_str_eq(report.paths[2], "--c");
	accept(&diff, "diff", "old", "-gfile", "new", "-n3");
	ck_assert_int_eq(diff.command, OPTIONS_DIFF);
	ck_assert_uint_eq(diff.path_count, 2);
	ck_assert_str_eq(diff.paths[0], "old");
	ck_assert_str_eq(diff.paths[1], "new");
	ck_assert_int_eq(diff.query.group_by, QUERY_FILE);
	ck_assert_uint_eq(diff.query.top, 3);
}
END_TEST

START_TEST(ranges_of_sizes_and_ages_have_two_ends)
{
	_cleanup_options_ struct options o;
	accept(&o, "report", "--filter=size=64..4096", "--filter=size=..64k",
	       "--filter=size=1MiB..", "--filter=size=32", "--filter=age=>10s", "--exclude=age=<5m",
	       "a.snapshot");
	static const struct size_range sizes[] = {
		{64, 4096}, {0, 65536}, {1 << 20, UINT64_MAX}, {32, 32}};
	for (size_t i = 0; i < 4; i++) {
		ck_assert_int_eq(o.query.filters[i].kind, FILTER_SIZE);
		ck_assert_uint_eq(o.query.filters[i].size.low_bytes, sizes[i].low_bytes);
		ck_assert_uint_eq(o.query.filters[i].size.high_bytes, sizes[i].high_bytes);
	}
	ck_assert_uint_eq(o.query.filters[4].age.low_ns, 10000000000);
	ck_assert_uint_eq(o.query.filters[4].age.high_ns, UINT64_MAX);
	ck_assert_uint_eq(o.query.filters[5].age.low_ns, 0);
	ck_assert_uint_eq(o.query.filters[5].age.high_ns, 300000000000);
	ck_assert_uint_eq(o.session.keep, 0);
}
END_TEST

START_TEST(ranges_that_are_none_are_told_with_what_is_near)
{
	static const char *const sizes[] = {"size=x",  "size=1..2..3", "size=9..8",
					    "size=..", "size=-1",      "size=4 .. 8"};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		_cleanup_free_ char *message = NULL;
		ck_assert_int_gt(asprintf(&message,
					  "bad filter '%s': give a size such as 32, or a range "
					  "such as 64..4096, ..4KiB or 1MiB..",
					  sizes[i]),
				 0);
		refuse(message, "report", "--filter", sizes[i], "a");
	}
	refuse("bad filter 'size=1000..': sizes above 256 are told apart at every eighth of a "
	       "power "
	       "of two: the nearest are 960 and 1024",
	       "report", "--filter=size=1000..", "a");
	refuse("bad filter 'age=10s': give age=>10s for what is older, or age=<10s for what is "
	       "younger",
	       "report", "--filter=age=10s", "a");
	refuse("bad filter 'age=>90s': ages are not told apart there: the nearest borders are 1m "
	       "and "
	       "100s",
	       "report", "--filter=age=>90s", "a");
}
END_TEST

START_TEST(a_session_keeps_what_its_own_report_asks_for)
{
	static const struct {
		const char *option;
		unsigned keep;
	} rows[] = {
		{"--group-by=size", KEPT_SIZES},
		{"--group-by=thread", KEPT_THREADS},
		{"--show=waste", KEPT_WASTE},
		{"--filter=size=8", KEPT_SIZES},
		{"--exclude=thread=x", KEPT_THREADS},
		{"--histogram=size", 0},
		{"--keep=thread,size", KEPT_SIZES | KEPT_THREADS},
		{"--keep=waste", KEPT_WASTE},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		_cleanup_options_ struct options o;
		accept(&o, "run", rows[i].option, "prog");
		ck_assert_uint_eq(o.session.keep, rows[i].keep);
	}
	refuse("--raw leaves the symbols to 'tracealloc report': give --output FILE", "run",
	       "--raw", "prog");
	refuse("bad value 'size,' for --keep: give a comma-separated list of size|thread|waste",
	       "run", "--keep=size,", "prog");
	refuse("bad value 'age' for --keep: give a comma-separated list of size|thread|waste",
	       "run", "--keep", "age", "prog");
}
END_TEST

START_TEST(ages_and_histograms_refuse_what_they_do_not_know)
{
	refuse("age= is of blocks that live: give --show current or --show leaked", "run",
	       "--filter=age=>10s", "prog");
	refuse("--histogram lifetime is of the whole session: give no --filter and no --exclude",
	       "report", "--histogram=lifetime", "--filter=file=x", "a");
	refuse("--histogram does not go with age=: ages are of live blocks alone", "report",
	       "--histogram=size", "--filter=age=>10s", "a");
	refuse("--cumulative is for rows of single frames: give --group-by "
	       "line|file|function|module",
	       "report", "--cumulative", "-gsize", "a");
	refuse("--histogram is for tables (--format text|json|csv), --format folded has whole "
	       "stacks",
	       "report", "--histogram=size", "--format=folded", "a");
	refuse("--show waste is for tables (--format text|json|csv), --format folded has whole "
	       "stacks",
	       "report", "--show=waste", "--format=folded", "a");
	refuse("--filter age= is for tables (--format text|json|csv), --format folded has whole "
	       "stacks",
	       "report", "--filter=age=>10s", "--show=current", "--format=folded", "a");
}
END_TEST

START_TEST(filters_of_both_kinds_keep_their_order)
{
	_cleanup_options_ struct options o;
	accept(&o, "report", "--filter=file=src/*", "--exclude", "function=a=b", "--filter",
	       "module=libc*", "--exclude=line=x.c:3", "a.snapshot");
	static const struct query_filter wants[] = {
		{.inclusive = true, .kind = FILTER_FILE, .pattern = "src/*"},
		{.kind = FILTER_FUNCTION, .pattern = "a=b"},
		{.inclusive = true, .kind = FILTER_MODULE, .pattern = "libc*"},
		{.kind = FILTER_LINE, .pattern = "x.c:3"}};
	ck_assert_uint_eq(o.query.filter_count, 4);
	for (size_t i = 0; i < 4; i++) {
		ck_assert(o.query.filters[i].inclusive == wants[i].inclusive);
		ck_assert_int_eq(o.query.filters[i].kind, wants[i].kind);
		ck_assert_str_eq(o.query.filters[i].pattern, wants[i].pattern);
	}
}
END_TEST

START_TEST(letters_may_be_joined_and_end_in_a_value)
{
	_cleanup_options_ struct options o, apart;
	accept(&o, "run", "-vvn5", "-gfile", "prog");
	ck_assert_uint_eq(o.verbose, 2);
	ck_assert_uint_eq(o.query.top, 5);
	ck_assert_int_eq(o.query.group_by, QUERY_FILE);
	accept(&apart, "run", "-n", "6", "-g", "module", "prog");
	ck_assert_uint_eq(apart.query.top, 6);
	ck_assert_int_eq(apart.query.group_by, QUERY_MODULE);
}
END_TEST

START_TEST(the_last_of_an_option_wins)
{
	_cleanup_options_ struct options o;
	accept(&o, "run", "--top=1", "--top=2", "--show=total", "--show=count", "prog");
	ck_assert_uint_eq(o.query.top, 2);
	ck_assert_int_eq(o.query.show, QUERY_COUNT);
}
END_TEST

START_TEST(the_later_of_quiet_and_verbose_wins)
{
	_cleanup_options_ struct options quiet, verbose;
	accept(&quiet, "run", "-v", "-q", "prog");
	ck_assert(quiet.quiet);
	ck_assert_uint_eq(quiet.verbose, 0);
	accept(&verbose, "run", "-q", "-v", "prog");
	ck_assert(!verbose.quiet);
	ck_assert_uint_eq(verbose.verbose, 1);
}
END_TEST

START_TEST(skip_patterns_add_up)
{
	_cleanup_options_ struct options o;
	accept(&o, "run", "--skip", "xmalloc", "--skip=pool_*", "--skip", "a b", "prog");
	ck_assert_uint_eq(o.query.skip_count, 3);
	ck_assert_str_eq(o.query.skip[0], "xmalloc");
	ck_assert_str_eq(o.query.skip[1], "pool_*");
	ck_assert_str_eq(o.query.skip[2], "a b");
}
END_TEST

START_TEST(help_knows_what_it_was_asked_about)
{
	static const struct {
		const char *words[4];
		unsigned topic;
	} cases[] = {
		{{"help"}, 0},
		{{"--help"}, 0},
		{{"-h"}, 0},
		{{"help", "-h"}, 0},
		{{"help", "help"}, 0},
		{{"help", "run"}, OPTIONS_RUN},
		{{"run", "--help"}, OPTIONS_RUN},
		{{"run", "-qh"}, OPTIONS_RUN},
		{{"help", "attach"}, OPTIONS_ATTACH},
		{{"attach", "-h", "nonsense"}, OPTIONS_ATTACH},
		{{"attach", "12", "--help"}, OPTIONS_ATTACH},
		{{"help", "report"}, OPTIONS_REPORT},
		{{"report", "-h"}, OPTIONS_REPORT},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		_cleanup_options_ struct options o;
		accept(&o, cases[i].words[0], cases[i].words[1], cases[i].words[2]);
		ck_assert_int_eq(o.command, OPTIONS_HELP);
		ck_assert_uint_eq(o.help_topic, cases[i].topic);
	}
}
END_TEST

START_TEST(version_is_known_everywhere)
{
	_cleanup_options_ struct options bare, letter, run;
	accept(&bare, "--version");
	ck_assert_int_eq(bare.command, OPTIONS_VERSION);
	accept(&letter, "-V");
	ck_assert_int_eq(letter.command, OPTIONS_VERSION);
	accept(&run, "run", "--version");
	ck_assert_int_eq(run.command, OPTIONS_VERSION);
}
END_TEST

START_TEST(help_and_version_end_the_reading)
{
	_cleanup_options_ struct options o;
	accept(&o, "run", "--help", "--no-such-option");
	ck_assert_int_eq(o.command, OPTIONS_HELP);
}
END_TEST

START_TEST(a_missing_command_is_told)
{
	_cleanup_options_ struct options options;
	options_init(&options);
	_cleanup_error_ struct error *err = command_line_parse(&options, NULL, 0, (char *[]){NULL});
	ck_assert_str_eq(error_message(err), "no command given: 'tracealloc help' lists them");
	refuse_words((const char *const[]){"tracealloc", NULL},
		     "no command given: 'tracealloc help' lists them");
	refuse("no command given: 'tracealloc help' lists them", "--");
}
END_TEST

START_TEST(a_wrong_command_is_told)
{
	refuse("unknown command 'ru': give one of "
	       "run|attach|report|diff|export|doctor|ctl|top|completion|help",
	       "ru");
	refuse("unknown command 'run|attach': give one of "
	       "run|attach|report|diff|export|doctor|ctl|top|completion|help",
	       "run|attach");
	refuse("unknown command '': give one of "
	       "run|attach|report|diff|export|doctor|ctl|top|completion|help",
	       "");
	refuse("unknown command 'tops': give one of "
	       "run|attach|report|diff|export|doctor|ctl|top|completion|help",
	       "help", "tops");
	refuse("unexpected argument 'attach': tracealloc help [COMMAND]", "help", "run", "attach");
}
END_TEST

START_TEST(a_missing_operand_is_told)
{
	refuse("no program given: tracealloc run [OPTIONS] [--] PROGRAM [ARG...]", "run");
	refuse("no program given: tracealloc run [OPTIONS] [--] PROGRAM [ARG...]", "run", "--");
	refuse("no program given: tracealloc run [OPTIONS] [--] PROGRAM [ARG...]", "run", "-q");
	refuse("no process id given: tracealloc attach [OPTIONS] PID", "attach");
	refuse("no snapshot given: tracealloc report [OPTIONS] SNAPSHOT...", "report", "-q");
	refuse("two snapshots are needed: tracealloc diff [OPTIONS] OLD NEW", "diff", "old");
	refuse("unexpected argument 'more': give two snapshots", "diff", "old", "new", "more");
}
END_TEST

START_TEST(a_wrong_process_id_is_told)
{
	static const char *const refused[] = {"0", "-", "x1", "1x", "2147483648", ""};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		_cleanup_free_ char *message = NULL;
		ck_assert_int_gt(asprintf(&message,
					  "bad process id '%s': give a number, as 'pgrep -n NAME' "
					  "prints it",
					  refused[i]),
				 0);
		refuse(message, "attach", refused[i]);
	}
	refuse("unexpected argument '13': give one process id", "attach", "12", "13");
}
END_TEST

START_TEST(an_unknown_option_is_told)
{
	refuse("unknown option '--tops': 'tracealloc help' lists them", "run", "--tops=3", "prog");
	refuse("unknown option '-x': 'tracealloc help' lists them", "run", "-qx", "prog");
	refuse("unknown option '-1': 'tracealloc help' lists them", "attach", "-1");
	refuse("unknown option '--': 'tracealloc help' lists them", "run", "--=", "prog");
	refuse("unknown option '--nope': 'tracealloc help' lists them", "--nope", "run", "prog");
}
END_TEST

START_TEST(a_prefix_of_an_option_is_no_option)
{
	refuse("unknown option '--to': 'tracealloc help' lists them", "run", "--to=3", "prog");
	refuse("unknown option '--vers': 'tracealloc help' lists them", "--vers");
}
END_TEST

START_TEST(an_option_of_a_command_must_follow_it)
{
	refuse("option '--top' must follow its command: run|attach|report|diff|export|top",
	       "--top=3", "run", "prog");
	refuse("option '--quiet' must follow its command: run|attach|report|diff|export|top", "-q",
	       "run", "prog");
	refuse("option '--top' must follow its command: run|attach|report|diff|export|top", "help",
	       "--top=3");
}
END_TEST

START_TEST(an_option_of_another_command_is_told)
{
	refuse("option '--depth' is none of 'report': it belongs to run|attach", "report",
	       "--depth=3", "a.snapshot");
	refuse("option '--for' is none of 'diff': it belongs to run|attach", "diff", "--for=3");
	refuse("option '--output' is none of 'report': it belongs to run|attach", "report",
	       "a.snapshot", "--output=b.snapshot");
}
END_TEST

START_TEST(a_question_without_an_answer_is_told)
{
	refuse("--cumulative is for rows of single frames: give --group-by "
	       "line|file|function|module",
	       "report", "--cumulative", "-gtraceback", "a");
	refuse("--cumulative is for rows of single frames: give --group-by "
	       "line|file|function|module",
	       "run", "-gprocess", "--cumulative", "prog");
	refuse("--min-size is for sizes, which --show temporary does not know", "report",
	       "--min-size=1", "--show=temporary", "a");
	refuse("--all-frames says what --filter and --exclude look at: give one", "report",
	       "--all-frames", "a");
	refuse("diff does not show lifetime: give one of peak|current|total|leaked|count", "diff",
	       "--show=lifetime", "a", "b");
}
END_TEST

/* Parses with TRACEALLOC_OPTIONS set; the complaint, NULL: there is none. The caller frees both. */
static struct error *parse_with(struct options *options, const char *defaults, const char *first,
				const char *second, const char *third)
{
	static char name[] = "tracealloc";
	static char *argv[5];
	argv[0] = name, argv[1] = (char *)first, argv[2] = (char *)second, argv[3] = (char *)third;
	options_init(options);
	return command_line_parse(options, defaults, third ? 4 : 3, argv);
}

START_TEST(options_of_the_environment_come_before_those_of_the_command_line)
{
	_cleanup_options_ struct options one, two, three;
	ck_assert_ptr_null(parse_with(&one, "-n 5 --skip 'a b' --engine=jump", "run", "ls", NULL));
	ck_assert_uint_eq(one.query.top, 5);
	ck_assert_int_eq(one.session.engine, SESSION_ENGINE_JUMP);
	ck_assert_uint_eq(one.query.skip_count, 1);
	ck_assert_str_eq(one.query.skip[0], "a b");
	ck_assert_ptr_null(parse_with(&two, "-n 5 -q", "run", "-n6", "ls"));
	ck_assert_uint_eq(two.query.top, 6);
	ck_assert(two.quiet);
	ck_assert_str_eq(two.program[0], "ls");
	ck_assert_ptr_null(parse_with(&three, "", "report", "a", NULL));
	ck_assert_uint_eq(three.query.top, OPTIONS_TOP_DEFAULT);
}
END_TEST

START_TEST(options_of_the_environment_for_other_commands_are_passed_by)
{
	_cleanup_options_ struct options report, help, completion;
	ck_assert_ptr_null(parse_with(&report, "--engine jump --pin -n 3", "report", "a", NULL));
	ck_assert_uint_eq(report.query.top, 3);
	ck_assert_uint_eq(report.path_count, 1);
	/* What only speaks of the command line works whatever stands there. */
	ck_assert_ptr_null(parse_with(&help, "--nonsense", "help", "run", NULL));
	ck_assert_ptr_null(parse_with(&completion, "'", "completion", "zsh", NULL));
}
END_TEST

START_TEST(mistakes_in_the_environment_name_the_variable)
{
	static const struct {
		const char *defaults, *message;
	} mistakes[] = {
		{"--nonsense", "in the environment variable TRACEALLOC_OPTIONS: unknown option "
			       "'--nonsense': 'tracealloc help' lists them"},
		{"-n", "in the environment variable TRACEALLOC_OPTIONS: option '--top' needs a "
		       "value: --top N"},
		{"-q ls", "in the environment variable TRACEALLOC_OPTIONS: 'ls' is no option: only "
			  "options may stand there"},
		{"-q -- ls", "in the environment variable TRACEALLOC_OPTIONS: 'ls' is no option: "
			     "only options may stand there"},
		{"--help", "in the environment variable TRACEALLOC_OPTIONS: --help and --version "
			   "are for the command line"},
		{"'-q", "in the environment variable TRACEALLOC_OPTIONS: the quote before '-q' is "
			"not closed"},
		{"--all-frames", "with the options of TRACEALLOC_OPTIONS: --all-frames says what "
				 "--filter and --exclude look at: give one"},
	};
	for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
		_cleanup_options_ struct options options;
		_cleanup_error_ struct error *err =
			parse_with(&options, mistakes[i].defaults, "run", "true", NULL);
		ck_assert_msg(err != NULL, "accepted: %s", mistakes[i].defaults);
		ck_assert_str_eq(error_message(err), mistakes[i].message);
		ck_assert_int_eq(error_kind_of(err), ERROR_USAGE);
	}
}
END_TEST

START_TEST(to_look_for_unreachable_blocks_and_to_show_them_imply_each_other)
{
	_cleanup_options_ struct options alone, shown, limited, other, neither;
	accept(&alone, "run", "--unreachable", "prog");
	ck_assert_int_eq(alone.query.show, QUERY_UNREACHABLE);
	accept(&shown, "attach", "--show=unreachable", "1");
	ck_assert(shown.session.unreachable);
	accept(&limited, "run", "--fail-on=peak=1k,unreachable=0", "prog");
	ck_assert(limited.session.unreachable);
	ck_assert_int_eq(limited.query.show, QUERY_PEAK);
	accept(&other, "attach", "--unreachable", "--show=leaked", "1");
	ck_assert_int_eq(other.query.show, QUERY_LEAKED);
	accept(&neither, "run", "--fail-on=peak=1k", "prog");
	ck_assert(!neither.session.unreachable);
}
END_TEST

START_TEST(a_bad_limit_is_told)
{
	static const char *const limits[] = {
		"",	   "peak",	"peak=",     "peak=x",	       "peak=1,",   ",peak=1",
		"peaks=1", "leaked =1", "leaked=-1", "leaked=1,foo=2", "peak=1 MiB"};
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
		_cleanup_free_ char *message = NULL;
		ck_assert_int_gt(asprintf(&message,
					  "bad value '%s' for --fail-on: give KIND=SIZE, several "
					  "with commas between, where KIND is one of "
					  "leaked|unreachable|peak|current|total",
					  limits[i]),
				 0);
		refuse(message, "run", "--fail-on", limits[i], "prog");
	}
}
END_TEST

START_TEST(a_completion_needs_one_shell)
{
	_cleanup_options_ struct options fish, words;
	accept(&fish, "completion", "fish");
	ck_assert_uint_eq(fish.shell, 2);
	ck_assert_ptr_null(fish.words);
	accept(&words, "completion", "words", "run", "--help");
	ck_assert_int_eq(words.command, OPTIONS_COMPLETION);
	ck_assert_str_eq(words.words[1], "--help");
	refuse("no shell given: tracealloc completion bash|zsh|fish", "completion");
	refuse("unknown shell 'csh': give one of bash|zsh|fish", "completion", "csh");
	refuse("unexpected argument 'b': give one shell", "completion", "bash", "b");
}
END_TEST

START_TEST(one_file_for_both_results_is_told)
{
	refuse("--output and --report name the same file 'x'", "run", "--output=x", "--report=x",
	       "prog");
}
END_TEST

START_TEST(a_missing_value_is_told_for_every_option_that_takes_one)
{
	size_t count, valued = 0;
	const struct options_row *rows = options_rows(&count);
	for (size_t i = 0; i < count; i++) {
		_cleanup_free_ char *argument = NULL, *message = NULL;
		if (!rows[i].value)
			continue;
		valued++;
		ck_assert_int_gt(asprintf(&argument, "--%s", rows[i].name), 0);
		ck_assert_int_gt(asprintf(&message, "option '--%s' needs a value: --%s %s",
					  rows[i].name, rows[i].name, rows[i].value),
				 0);
		refuse(message, "run", argument);
	}
	ck_assert_uint_gt(valued, 10);
	refuse("option '--top' needs a value: --top N", "run", "-n");
}
END_TEST

START_TEST(a_value_too_many_is_told)
{
	refuse("option '--quiet' takes no value, not '1': write --quiet alone", "run", "--quiet=1",
	       "prog");
	refuse("option '--help' takes no value, not '': write --help alone", "--help=");
}
END_TEST

START_TEST(a_bad_value_is_told_with_what_is_wanted)
{
	refuse("bad value '0' for --top: give a number from 1 to 1000000000", "run", "--top=0",
	       "p");
	refuse("bad value '-5' for --top: give a number from 1 to 1000000000", "run", "-n", "-5");
	refuse("bad value 'many' for --top: give a number from 1 to 1000000000", "run", "-nmany");
	refuse("bad value '1025' for --depth: give a number from 1 to 1024", "run", "--depth=1025");
	refuse("bad value '' for --depth: give a number from 1 to 1024", "run", "--depth=");
	refuse("bad value '5 s' for --for: give a time such as 10s, 500ms, 2m or 1h", "attach",
	       "--for", "5 s");
	refuse("bad value 'diesel' for --engine: give one of auto|jump|breakpoint", "run",
	       "--engine=diesel");
	refuse("bad value 'all' for --follow: give one of children|none", "run", "--follow=all");
	refuse("bad value 'on' for --usdt: give one of obey|ignore", "run", "--usdt=on");
	refuse("bad value 'lines' for --group-by: give one of "
	       "line|file|function|module|traceback|process|size|thread",
	       "run", "-glines");
	refuse("bad value 'leaks' for --show: give one of "
	       "peak|current|total|leaked|count|temporary|lifetime|unreachable|waste",
	       "run", "--show", "leaks");
	static const char *const filters[] = {"file", "file=", "files=x", "=x", "pid=1"};
	for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
		_cleanup_free_ char *message = NULL;
		ck_assert_int_gt(asprintf(&message,
					  "bad filter '%s': give KIND=PATTERN, where KIND is one "
					  "of file|function|module|line|thread|size|age",
					  filters[i]),
				 0);
		refuse(message, "report", "--exclude", filters[i], "a");
	}
	refuse("bad value '1kk' for --min-size: give a size such as 4096, 64KiB or 1MiB", "report",
	       "--min-size=1kk");
	refuse("bad value '' for --charge: give one of caller|callee", "run", "--charge=");
	refuse("bad value 'xml' for --format: give one of " REPORT_FORMATS, "run", "--format=xml");
	refuse("bad value '' for --skip: give a pattern such as 'pool_*' or '*/libx.so*'", "run",
	       "--skip=");
	refuse("bad value '' for --report: give the name of a file", "run", "--report=");
	refuse("bad value '' for --output: give the name of a file", "run", "--output=");
}
END_TEST

START_TEST(ctl_takes_a_process_a_request_and_what_it_needs)
{
	struct options o;
	accept(&o, "ctl", "12", "status", "--format=json");
	ck_assert_int_eq(o.command, OPTIONS_CTL);
	ck_assert_int_eq(o.pid, 12);
	ck_assert_int_eq(o.ctl_verb, CONTROL_STATUS);
	options_deinit(&o);
	accept(&o, "ctl", "-v", "12", "snapshot");
	ck_assert_int_eq(o.ctl_verb, CONTROL_SAVE);
	options_deinit(&o);
	accept(&o, "ctl", "12", "snapshot", "--", "-file");
	ck_assert_int_eq(o.ctl_verb, CONTROL_SNAPSHOT);
	ck_assert_str_eq(o.ctl_text, "-file");
	options_deinit(&o);
	accept(&o, "ctl", "12", "mark", "two words");
	ck_assert_int_eq(o.ctl_verb, CONTROL_MARK);
	ck_assert_str_eq(o.ctl_text, "two words");
	options_deinit(&o);
	accept(&o, "ctl", "12", "where", "0x7fFF00000010");
	ck_assert_int_eq(o.ctl_verb, CONTROL_WHERE);
	ck_assert_uint_eq(o.ctl_address.v, 0x7fff00000010);
	options_deinit(&o);
	accept(&o, "run", "--reset-peak-at", "a", "--snapshot-at=b:exit", "true");
	ck_assert_uint_eq(o.session.watch_count, 2);
	ck_assert(!o.session.watches[0].snapshots && o.session.watches[1].snapshots);
	ck_assert(o.session.watches[1].at_exit);
	options_deinit(&o);
	accept(&o, "run", "--interval", "2.5s", "true");
	ck_assert_uint_eq(o.session.interval_ns, 2500000000);
	options_deinit(&o);
}
END_TEST

#define REQUESTS "status|snapshot|reset-peak|mark|where|stop"

START_TEST(what_ctl_cannot_ask_is_told)
{
	refuse("no process id given: tracealloc ctl PID " REQUESTS, "ctl");
	refuse("no request given: tracealloc ctl PID " REQUESTS, "ctl", "12");
	refuse("bad process id 'x': give a number, as 'pgrep -n NAME' prints it", "ctl", "x",
	       "status");
	refuse("unknown request 'state': give one of " REQUESTS, "ctl", "12", "state");
	refuse("no name given: tracealloc ctl PID mark NAME", "ctl", "12", "mark");
	refuse("no name given: tracealloc ctl PID mark NAME", "ctl", "12", "mark", "");
	refuse("bad address '12': give one such as 0x55d0c0ffee00", "ctl", "12", "where", "12");
	refuse("bad address '': give one such as 0x55d0c0ffee00", "ctl", "12", "where");
	refuse("bad address '0x': give one such as 0x55d0c0ffee00", "ctl", "12", "where", "0x");
	refuse("bad address '0x11112222333344445': give one such as 0x55d0c0ffee00", "ctl", "12",
	       "where", "0x11112222333344445");
	refuse("unexpected argument 'now': stop takes none", "ctl", "12", "stop", "now");
	refuse("unexpected argument 'c': tracealloc ctl PID " REQUESTS, "ctl", "12", "mark", "b",
	       "c");
	refuse("ctl has no --format csv: give text or json", "ctl", "12", "status", "--format=csv");
	refuse("bad value 'm:' for --reset-peak-at: give a function, such as main or "
	       "'libx.so*:begin'",
	       "run", "--reset-peak-at=m:");
	refuse("bad value '' for --snapshot-at: give a function, such as main, 'libx.so*:begin' "
	       "or done:exit",
	       "attach", "--snapshot-at=");
	refuse("bad value 'x' for --interval: give a time such as 10s, 500ms, 2m or 1h", "run",
	       "--interval=x");
	refuse("option '--top' is none of 'ctl': it belongs to run|attach|report|diff|export|top",
	       "ctl", "--top=3", "12", "status");
}
END_TEST

START_TEST(export_is_a_report_that_names_its_format)
{
	struct options o;
	accept(&o, "export", "a", "--format=folded", "--show", "total", "b", "--filter=file=x");
	ck_assert_int_eq(o.command, OPTIONS_EXPORT);
	ck_assert_str_eq(o.format->name, "folded");
	ck_assert_uint_eq(o.path_count, 2);
	ck_assert_uint_eq(o.query.filter_count, 1);
	options_deinit(&o);
	refuse("no format given: --format takes one of " REPORT_FORMATS, "export", "a");
	refuse("no snapshot given: tracealloc export [OPTIONS] --format=FORMAT SNAPSHOT...",
	       "export", "--format=csv");
}
END_TEST

START_TEST(what_only_tables_know_is_refused_for_whole_stacks)
{
	static const struct {
		const char *option, *named;
	} rows[] = {{"--group-by=file", "--group-by"},
		    {"--top=3", "--top"},
		    {"--min-size=1k", "--min-size"},
		    {"--cumulative", "--cumulative"},
		    {"--show=lifetime", "--show lifetime"}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		_cleanup_free_ char *message = NULL;
		ck_assert_int_gt(asprintf(&message,
					  "%s is for tables (--format text|json|csv), --format "
					  "folded has whole stacks",
					  rows[i].named),
				 0);
		refuse(message, "report", "--format=folded", rows[i].option, "a");
		refuse(message, "export", rows[i].option, "--format=folded", "a");
	}
	refuse("diff has no --format folded: give one of text|json|csv", "diff", "a", "b",
	       "--format=folded");
	refuse("--format folded would mix with what the program itself writes to standard error: "
	       "give --report FILE",
	       "run", "--format=folded", "true");
}
END_TEST

START_TEST(a_page_takes_the_options_of_tables_but_groups_by_single_frames)
{
	struct options o;
	accept(&o, "report", "--format=html", "--group-by=file", "--top=3", "--min-size=1k",
	       "--cumulative", "--show=lifetime", "a");
	ck_assert_str_eq(o.format->name, "html");
	options_deinit(&o);
	refuse("--format html groups by one of line|file|function|module", "report",
	       "--format=html", "--group-by=traceback", "a");
	refuse("--format html groups by one of line|file|function|module", "export",
	       "--format=html", "--group-by=process", "a");
	refuse("diff has no --format html: give one of text|json|csv", "diff", "a", "b",
	       "--format=html");
	refuse("--format html would mix with what the program itself writes to standard error: "
	       "give --report FILE",
	       "run", "--format=html", "true");
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("cli/command_line");
	TCase *meaning = tcase_create("meaning");
	tcase_add_test(meaning, run_has_the_documented_defaults);
	tcase_add_test(meaning, attach_shows_what_is_live_unless_told_otherwise);
	tcase_add_test(meaning, every_option_reaches_its_field);
	tcase_add_test(meaning, every_choice_means_what_it_says);
	tcase_add_test(meaning, the_arguments_of_the_program_are_its_own);
	tcase_add_test(meaning, two_dashes_end_the_options);
	tcase_add_test(meaning, a_single_dash_is_a_program);
	tcase_add_test(meaning, attach_takes_options_after_the_process_id_too);
	tcase_add_test(meaning, report_takes_a_snapshot_among_its_options);
	tcase_add_test(meaning, report_takes_several_snapshots_and_diff_two);
	tcase_add_test(meaning, ctl_takes_a_process_a_request_and_what_it_needs);
	tcase_add_test(meaning, export_is_a_report_that_names_its_format);
	tcase_add_test(meaning, filters_of_both_kinds_keep_their_order);
	tcase_add_test(meaning, ranges_of_sizes_and_ages_have_two_ends);
	tcase_add_test(meaning, a_session_keeps_what_its_own_report_asks_for);
	tcase_add_test(meaning, letters_may_be_joined_and_end_in_a_value);
	tcase_add_test(meaning, the_last_of_an_option_wins);
	tcase_add_test(meaning, the_later_of_quiet_and_verbose_wins);
	tcase_add_test(meaning, skip_patterns_add_up);
	tcase_add_test(meaning, help_knows_what_it_was_asked_about);
	tcase_add_test(meaning, version_is_known_everywhere);
	tcase_add_test(meaning, help_and_version_end_the_reading);
	suite_add_tcase(suite, meaning);
	TCase *complaints = tcase_create("complaints");
	tcase_add_test(complaints, what_ctl_cannot_ask_is_told);
	tcase_add_test(complaints, a_missing_command_is_told);
	tcase_add_test(complaints, a_wrong_command_is_told);
	tcase_add_test(complaints, a_missing_operand_is_told);
	tcase_add_test(complaints, a_wrong_process_id_is_told);
	tcase_add_test(complaints, an_unknown_option_is_told);
	tcase_add_test(complaints, a_prefix_of_an_option_is_no_option);
	tcase_add_test(complaints, an_option_of_a_command_must_follow_it);
	tcase_add_test(complaints, an_option_of_another_command_is_told);
	tcase_add_test(complaints, a_question_without_an_answer_is_told);
	tcase_add_test(complaints, what_only_tables_know_is_refused_for_whole_stacks);
	tcase_add_test(complaints, a_page_takes_the_options_of_tables_but_groups_by_single_frames);
	tcase_add_test(complaints,
		       options_of_the_environment_come_before_those_of_the_command_line);
	tcase_add_test(complaints, options_of_the_environment_for_other_commands_are_passed_by);
	tcase_add_test(complaints, mistakes_in_the_environment_name_the_variable);
	tcase_add_test(complaints, a_completion_needs_one_shell);
	tcase_add_test(complaints, one_file_for_both_results_is_told);
	tcase_add_test(complaints, a_bad_limit_is_told);
	tcase_add_test(complaints,
		       to_look_for_unreachable_blocks_and_to_show_them_imply_each_other);
	tcase_add_test(complaints, a_missing_value_is_told_for_every_option_that_takes_one);
	tcase_add_test(complaints, a_value_too_many_is_told);
	tcase_add_test(complaints, a_bad_value_is_told_with_what_is_wanted);
	tcase_add_test(complaints, ranges_that_are_none_are_told_with_what_is_near);
	tcase_add_test(complaints, ages_and_histograms_refuse_what_they_do_not_know);
	suite_add_tcase(suite, complaints);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(make_suite());
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
