/* SPDX-License-Identifier: MIT */
/*
 * The live view, as a person at a terminal has it: in a shell with job control in tmux, whose
 * captured screen is looked at.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/phases.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

/* A terminal of 100 columns and 20 lines with a shell in it. It ends with the test. */
struct terminal {
	const struct scratch *scratch;
	struct process server;
	char *socket;
};

static int tmux(const struct terminal *terminal, const char *const arguments[])
{
	const char *argv[24] = {"tmux", "-N", "-S", terminal->socket, "-f", "/dev/null"};
	for (size_t i = 0; arguments[i] && i < 18; i++)
		argv[6 + i] = arguments[i];
	return process_call(terminal->scratch, "tmux", argv);
}

static bool answers(const void *context)
{
	const struct terminal *terminal = context;
	return tmux(terminal, ARGV("new-session", "-d", "-x", "100", "-y", "20",
				   "env PS1='$ ' LC_ALL=C.UTF-8 bash --norc --noprofile")) == 0;
}

static void terminal_start(const struct scratch *scratch, struct terminal *ret)
{
	ret->scratch = scratch;
	ret->socket = scratch_file(scratch, "tmux.socket");
	process_start(scratch, "server", ARGV("tmux", "-D", "-S", ret->socket, "-f", "/dev/null"),
		      &ret->server);
	process_until(answers, ret, "a terminal");
}

static void terminal_end(struct terminal *terminal)
{
	if (terminal->socket)
		process_end(&terminal->server);
	free(terminal->socket);
}

#define _cleanup_terminal_ __attribute__((__cleanup__(terminal_end)))

/* What stands on the screen now; the caller frees it. */
static char *seen(const struct terminal *terminal)
{
	ck_assert_int_eq(tmux(terminal, ARGV("capture-pane", "-p")), 0);
	return tracealloc_text(terminal->scratch, "tmux.out");
}

struct sight {
	const struct terminal *terminal;
	const char *text;
	bool wanted;
};

static bool stands(const void *context)
{
	const struct sight *sight = context;
	_cleanup_free_ char *screen = seen(sight->terminal);
	return (strstr(screen, sight->text) != NULL) == sight->wanted;
}

static void until(const struct terminal *terminal, const char *text)
{
	const struct sight sight = {terminal, text, true};
	process_until(stands, &sight, text);
}

static void until_gone(const struct terminal *terminal, const char *text)
{
	const struct sight sight = {terminal, text, false};
	process_until(stands, &sight, text);
}

static void press(const struct terminal *terminal, const char *key)
{
	ck_assert_int_eq(tmux(terminal, ARGV("send-keys", key)), 0);
}

/* `tracealloc top OPTIONS PID`, then the status it ends with, in the shell. */
static void start_top(const struct terminal *terminal, const char *options, pid_t pid)
{
	_cleanup_free_ char *program = suite_tracealloc();
	char line[512];
	snprintf(line, sizeof line, "cd %s; clear; %s top %s %d; echo left-$?",
		 terminal->scratch->path, program, options, pid);
	ck_assert_int_eq(tmux(terminal, ARGV("send-keys", line, "Enter")), 0);
	until(terminal, "tracealloc  process");
}

struct setting {
	struct scratch scratch;
	struct phases phases;
	struct terminal terminal;
};

static void setting_end(struct setting *setting)
{
	terminal_end(&setting->terminal);
	phases_end(&setting->phases);
	scratch_remove(&setting->scratch);
}

#define _cleanup_setting_ __attribute__((__cleanup__(setting_end)))

/* A target that nobody traces, a terminal, and a view on it. */
static void setting_start(const char *options, struct setting *ret)
{
	scratch_make(&ret->scratch);
	phases_use_directory(&ret->scratch);
	phases_start(&ret->scratch, &ret->phases);
	terminal_start(&ret->scratch, &ret->terminal);
	start_top(&ret->terminal, options, ret->phases.pid);
}

static bool is_free(const void *context)
{
	const pid_t *pid = context;
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/status", *pid);
	_cleanup_free_ char *status = scratch_read(path, NULL);
	return strstr(status, "TracerPid:\t0\n") != NULL;
}

/* Nobody traces the target any more, and it works. */
static void expect_free_target(struct setting *setting)
{
	process_until(is_free, &setting->phases.pid, "the end of tracing");
	phases_ctl_refused(&setting->scratch, setting->phases.pid, ARGV("status"),
			   "no tracealloc of yours traces");
	phases_tell(&setting->phases, "grow 10 50");
	ck_assert_int_eq(phases_finish(&setting->phases), 0);
}

START_TEST(rows_grow_and_shrink)
{
	_cleanup_setting_ struct setting setting = {0};
	setting_start("--interval 200ms", &setting);
	phases_tell(&setting.phases, "grow 100 1000");
	until(&setting.terminal, "live 97.7 KiB in 100 blocks, peak 97.7 KiB");
	until(&setting.terminal, "   97.7 KiB         100           -   +97.7 KiB         0 B");
	until(&setting.terminal, "phases.c:");
	press(&setting.terminal, "Space");
	phases_tell(&setting.phases, "drop 60");
	until(&setting.terminal, "   39.1 KiB          40           -   -58.6 KiB         0 B");
	press(&setting.terminal, "r");
	until(&setting.terminal, "peak 39.1 KiB");
	press(&setting.terminal, "q");
	until(&setting.terminal, "left-0");
	expect_free_target(&setting);
}
END_TEST

START_TEST(keys_order_group_and_filter)
{
	_cleanup_setting_ struct setting setting = {0};
	setting_start("", &setting);
	const struct terminal *terminal = &setting.terminal;
	phases_tell(&setting.phases, "grow 100 1000");
	until(terminal, "[bytes]");
	press(terminal, "n");
	until(terminal, "[blocks]");
	press(terminal, "d");
	until(terminal, "[change]");
	press(terminal, "m");
	until(terminal, "[mark]");
	press(terminal, "g");
	until(terminal, "by function, most change since the mark first");
	until(terminal, "grow (");
	press(terminal, "g");
	until(terminal, "by file,");
	press(terminal, "g");
	until(terminal, "by module,");
	press(terminal, "g");
	until(terminal, "by line,");
	ck_assert_int_eq(tmux(terminal, ARGV("send-keys", "/nowhere", "Enter")), 0);
	until(terminal, "0 rows with 'nowhere'");
	until_gone(terminal, "phases.c:");
	press(terminal, "?");
	until(terminal, "space  set the mark");
	press(terminal, "x");
	until(terminal, "0 rows");
}
END_TEST

START_TEST(a_row_has_stacks)
{
	_cleanup_setting_ struct setting setting = {0};
	setting_start("--interval 200ms", &setting);
	phases_tell(&setting.phases, "grow 100 1000");
	until(&setting.terminal, "in 100 blocks");
	until(&setting.terminal, "phases.c:");
	press(&setting.terminal, "Enter");
	until(&setting.terminal, "\n97.7 KiB in 100 blocks\n");
	until(&setting.terminal, "\n    grow");
	press(&setting.terminal, "Escape");
	until(&setting.terminal, "[bytes]");
}
END_TEST

START_TEST(a_snapshot_is_saved_and_can_be_asked)
{
	_cleanup_setting_ struct setting setting = {0};
	char name[64];
	setting_start("--interval 200ms", &setting);
	phases_tell(&setting.phases, "grow 100 1000");
	until(&setting.terminal, "in 100 blocks");
	press(&setting.terminal, "w");
	until(&setting.terminal, "saved tracealloc-");
	snprintf(name, sizeof name, "tracealloc-%d.1.snapshot", setting.phases.pid);
	_cleanup_free_ char *path = scratch_file(&setting.scratch, name);
	ck_assert_int_eq(tracealloc_call(&setting.scratch, ARGV("report", path)), 0);
	_cleanup_free_ char *text = tracealloc_text(&setting.scratch, "call.out");
	ck_assert_msg(strstr(text, "in 100 blocks"), "%s", text);
}
END_TEST

/* The picture in the README is drawn by that script. */
START_TEST(the_screen_can_be_drawn)
{
	_cleanup_setting_ struct setting setting = {0};
	char command[512];
	setting_start("--interval 200ms", &setting);
	phases_tell(&setting.phases, "grow 100 1000");
	until(&setting.terminal, "in 100 blocks");
	until(&setting.terminal, "phases.c:");
	snprintf(command, sizeof command,
		 "tmux -S %s capture-pane -e -N -p | scripts/terminal-svg 100 20 | python3 -c "
		 "'import sys, xml.dom.minidom as x; [print(t.firstChild.data) for t in "
		 "x.parse(sys.stdin.buffer).getElementsByTagName(\"text\")]'",
		 setting.terminal.socket);
	ck_assert_int_eq(process_call(&setting.scratch, "drawing", ARGV("sh", "-c", command)), 0);
	_cleanup_free_ char *drawn = tracealloc_text(&setting.scratch, "drawing.out");
	ck_assert_msg(strstr(drawn, "live 97.7 KiB in 100 blocks, peak 97.7 KiB"), "%s", drawn);
	ck_assert_msg(strstr(drawn, "\n[bytes]\nblocks\nchange\n"), "%s", drawn);
	ck_assert_msg(strstr(drawn, "phases.c:"), "%s", drawn);
	ck_assert_msg(strstr(drawn, "\nq quit\n? help\n"), "%s", drawn);
}
END_TEST

START_TEST(another_size_of_the_terminal_shows_at_once)
{
	_cleanup_setting_ struct setting setting = {0};
	setting_start("", &setting);
	phases_tell(&setting.phases, "grow 100 1000");
	until(&setting.terminal, "per second");
	ck_assert_int_eq(tmux(&setting.terminal, ARGV("resize-window", "-x", "60", "-y", "12")), 0);
	until_gone(&setting.terminal, "per second");
	until(&setting.terminal, "blocks      change  where");
	ck_assert_int_eq(tmux(&setting.terminal, ARGV("resize-window", "-x", "10", "-y", "2")), 0);
	ck_assert_int_eq(tmux(&setting.terminal, ARGV("resize-window", "-x", "100", "-y", "20")),
			 0);
	until(&setting.terminal, "per second");
}
END_TEST

START_TEST(it_can_be_stopped_and_goes_on)
{
	_cleanup_setting_ struct setting setting = {0};
	setting_start("--interval 200ms", &setting);
	press(&setting.terminal, "C-z");
	until(&setting.terminal, "Stopped");
	until_gone(&setting.terminal, "[bytes]");
	/* The target is not stopped with it, and what it does is not lost. */
	phases_tell(&setting.phases, "grow 100 1000");
	ck_assert_int_eq(tmux(&setting.terminal, ARGV("send-keys", "fg", "Enter")), 0);
	until(&setting.terminal, "live 97.7 KiB in 100 blocks");
	press(&setting.terminal, "C-c");
	until_gone(&setting.terminal, "[bytes]");
	until(&setting.terminal, "$");
	expect_free_target(&setting);
}
END_TEST

START_TEST(stopped_or_in_the_background_it_still_can_be_ended)
{
	_cleanup_setting_ struct setting setting = {0};
	const struct terminal *terminal = &setting.terminal;
	setting_start("--interval 200ms", &setting);
	press(terminal, "C-z");
	until(terminal, "Stopped");
	ck_assert_int_eq(tmux(terminal, ARGV("send-keys", "bg", "Enter")), 0);
	/* It does not take the terminal until it is given to it. */
	ck_assert_int_eq(tmux(terminal, ARGV("send-keys", "echo mi''ne", "Enter")), 0);
	until(terminal, "\nmine\n");
	ck_assert_int_eq(tmux(terminal, ARGV("send-keys", "fg", "Enter")), 0);
	until(terminal, "[bytes]");
	press(terminal, "C-z");
	until_gone(terminal, "[bytes]");
	ck_assert_int_eq(tmux(terminal, ARGV("send-keys", "kill %1; wait; echo a''ll", "Enter")),
			 0);
	until(terminal, "\nall\n");
	expect_free_target(&setting);
}
END_TEST

START_TEST(a_terminal_that_goes_away_leaves_the_target_free)
{
	_cleanup_setting_ struct setting setting = {0};
	setting_start("", &setting);
	process_signal(&setting.terminal.server, SIGKILL);
	process_wait(&setting.terminal.server);
	expect_free_target(&setting);
}
END_TEST

/* Whoever traces may have been stopped; a view of it must still end at once. */
START_TEST(a_tracer_that_does_not_answer_does_not_hold_the_view)
{
	_cleanup_setting_ struct setting setting = {0};
	scratch_make(&setting.scratch);
	phases_use_directory(&setting.scratch);
	phases_start_traced(&setting.scratch, ARGV("--engine", "jump"), &setting.phases);
	terminal_start(&setting.scratch, &setting.terminal);
	start_top(&setting.terminal, "--interval 100ms", setting.phases.pid);
	process_signal(&setting.phases.process, SIGSTOP);
	press(&setting.terminal, "C-c");
	until_gone(&setting.terminal, "[bytes]");
	process_signal(&setting.phases.process, SIGCONT);
	ck_assert_int_eq(phases_finish(&setting.phases), 0);
}
END_TEST

/* The process of the view: the child of the shell, by its command line. */
static void signal_top(const struct setting *setting, const char *signal)
{
	char pattern[64];
	snprintf(pattern, sizeof pattern, "tracealloc top .*%d$", setting->phases.pid);
	ck_assert_int_eq(
		process_call(&setting->scratch, "pkill", ARGV("pkill", signal, "-f", pattern)), 0);
}

START_TEST(a_view_that_is_killed_leaves_the_target_free)
{
	static const struct {
		const char *signal, *status;
	} cases[] = {{"-TERM", "left-143"}, {"-HUP", "left-129"}, {"-KILL", "left-137"}};
	_cleanup_setting_ struct setting setting = {0};
	setting_start("", &setting);
	signal_top(&setting, cases[_i].signal);
	until(&setting.terminal, cases[_i].status);
	expect_free_target(&setting);
}
END_TEST

START_TEST(the_last_picture_stays_when_the_target_ends)
{
	_cleanup_setting_ struct setting setting = {0};
	setting_start("--interval 200ms", &setting);
	phases_tell(&setting.phases, "grow 100 1000");
	until(&setting.terminal, "in 100 blocks");
	ck_assert_int_eq(phases_finish(&setting.phases), 0);
	until(&setting.terminal, "TRACING HAS ENDED");
	until(&setting.terminal, "in 100 blocks");
	press(&setting.terminal, "q");
	until(&setting.terminal, "left-0");
}
END_TEST

START_TEST(two_views_see_the_same_and_one_may_end_first)
{
	_cleanup_setting_ struct setting setting = {0};
	_cleanup_terminal_ struct terminal second = {0};
	_cleanup_scratch_ struct scratch scratch = {0};
	setting_start("--interval 200ms", &setting);
	scratch_make(&scratch);
	terminal_start(&scratch, &second);
	start_top(&second, "--interval 200ms", setting.phases.pid);
	phases_tell(&setting.phases, "grow 100 1000");
	until(&setting.terminal, "in 100 blocks");
	until(&second, "in 100 blocks");
	press(&second, "q");
	until(&second, "left-0");
	phases_tell(&setting.phases, "grow 100 1000");
	until(&setting.terminal, "in 200 blocks");
	press(&setting.terminal, "q");
	until(&setting.terminal, "left-0");
	expect_free_target(&setting);
}
END_TEST

/* The name of its source file clears screens, and so does its own. */
START_TEST(names_from_a_target_do_nothing_to_the_terminal)
{
	static const char source[] = "# 1 \"\033[2Jevil\033[H.c\"\n"
				     "extern void *malloc(unsigned long);\n"
				     "extern int getchar(void);\n"
				     "void *volatile kept;\n"
				     "int main(void) {\n"
				     "  getchar();\n"
				     "  kept = malloc(12345);\n"
				     "  while (getchar() != -1) {}\n"
				     "  return 0;\n"
				     "}\n";
	_cleanup_setting_ struct setting setting = {0};
	_cleanup_process_ struct process target = {0};
	struct terminal *terminal = &setting.terminal;
	scratch_make(&setting.scratch);
	phases_use_directory(&setting.scratch);
	_cleanup_free_ char *from = scratch_file(&setting.scratch, "evil.c");
	_cleanup_free_ char *program = scratch_file(&setting.scratch, "\033[2Jevil\033[7m");
	scratch_write(from, source, sizeof source - 1);
	ck_assert_int_eq(process_call(&setting.scratch, "compiler",
				      ARGV("gcc", "-g", "-w", from, "-o", program)),
			 0);
	process_start(&setting.scratch, "target", ARGV(program), &target);
	terminal_start(&setting.scratch, terminal);
	start_top(terminal, "--interval 200ms", target.pid);
	process_send(&target, "\n");
	until(terminal, "\\x1b[2Jevil\\x1b[H.c:6");
	until(terminal, "/\\x1b[2Jevil\\x1b[7m\n");
	until(terminal, "live 12.1 KiB in 1 block");
	press(terminal, "Enter");
	until(terminal, "    main  ");
	until(terminal, "Esc back");
	press(terminal, "q");
	until(terminal, "left-0");
	process_close_input(&target);
	ck_assert_int_eq(process_wait(&target), 0);
}
END_TEST

START_TEST(a_terminal_that_is_not_known_is_left_alone)
{
	_cleanup_setting_ struct setting setting = {0};
	_cleanup_free_ char *program = suite_tracealloc();
	char line[512];
	scratch_make(&setting.scratch);
	phases_use_directory(&setting.scratch);
	phases_start(&setting.scratch, &setting.phases);
	terminal_start(&setting.scratch, &setting.terminal);
	snprintf(line, sizeof line, "clear; TERM=nonsense %s top %d; echo left-$?", program,
		 setting.phases.pid);
	ck_assert_int_eq(tmux(&setting.terminal, ARGV("send-keys", line, "Enter")), 0);
	until(&setting.terminal, "left-1");
	until(&setting.terminal, "tracealloc: the terminal 'nonsense' is not known: set TERM");
	expect_free_target(&setting);
}
END_TEST

START_TEST(a_run_that_goes_on_is_looked_at_and_left_alone)
{
	_cleanup_setting_ struct setting setting = {0};
	scratch_make(&setting.scratch);
	phases_use_directory(&setting.scratch);
	phases_start_traced(&setting.scratch, ARGV("--engine", "breakpoint"), &setting.phases);
	terminal_start(&setting.scratch, &setting.terminal);
	phases_tell(&setting.phases, "grow 100 1000");
	start_top(&setting.terminal, "", setting.phases.pid);
	until(&setting.terminal, ", breakpoint, ");
	until(&setting.terminal, "live 97.7 KiB in 100 blocks");
	press(&setting.terminal, "q");
	until(&setting.terminal, "left-0");
	phases_ctl(&setting.scratch, setting.phases.pid, ARGV("status"));
	ck_assert_int_eq(phases_finish(&setting.phases), 0);
}
END_TEST

START_TEST(without_a_terminal_there_are_reports)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};
	_cleanup_process_ struct process top = {0};
	_cleanup_free_ char *program = suite_tracealloc();
	char pid[16];
	scratch_make(&scratch);
	phases_use_directory(&scratch);
	phases_start(&scratch, &phases);
	snprintf(pid, sizeof pid, "%d", phases.pid);
	process_start(&scratch, "top", ARGV(program, "top", "--interval", "200ms", pid), &top);
	phases_until_answered(&scratch, phases.pid);
	phases_tell(&phases, "grow 100 1000");
	process_wait_output(&top, "in 100 blocks");
	process_signal(&top, SIGINT);
	ck_assert_int_eq(process_wait(&top), 0);
	process_until(is_free, &phases.pid, "the end of tracing");
	ck_assert_int_eq(phases_finish(&phases), 0);
}
END_TEST

static void expect_refusal(const char *const arguments[], int status, const char *text)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	scratch_make(&scratch);
	phases_use_directory(&scratch);
	ck_assert_int_eq(WEXITSTATUS(tracealloc_call(&scratch, arguments)), status);
	_cleanup_free_ char *said = tracealloc_text(&scratch, "call.err");
	ck_assert_msg(strstr(said, text), "%s", said);
	ck_assert_ptr_eq(strchr(said, '\n'), said + strlen(said) - 1);
}

START_TEST(what_cannot_be_shown_is_one_line)
{
	expect_refusal(ARGV("top"), 2, "no process id given: tracealloc top [OPTIONS] PID");
	expect_refusal(ARGV("top", "1"), 2, "give --interval 5s to have reports written");
	expect_refusal(ARGV("top", "--group-by", "size", "1"), 2,
		       "top groups by one of line|file|function|module alone");
	expect_refusal(ARGV("top", "--interval", "1s", "4194304"), 1, "4194304");
	expect_refusal(ARGV("top", "--output", "x", "1"), 2, "--output");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("top");
	TCase *tests = suite_case(suite, "top", 120);
	tcase_add_test(tests, rows_grow_and_shrink);
	tcase_add_test(tests, keys_order_group_and_filter);
	tcase_add_test(tests, a_row_has_stacks);
	tcase_add_test(tests, a_snapshot_is_saved_and_can_be_asked);
	tcase_add_test(tests, the_screen_can_be_drawn);
	tcase_add_test(tests, another_size_of_the_terminal_shows_at_once);
	tcase_add_test(tests, it_can_be_stopped_and_goes_on);
	tcase_add_test(tests, stopped_or_in_the_background_it_still_can_be_ended);
	tcase_add_test(tests, a_terminal_that_goes_away_leaves_the_target_free);
	tcase_add_test(tests, a_tracer_that_does_not_answer_does_not_hold_the_view);
	tcase_add_loop_test(tests, a_view_that_is_killed_leaves_the_target_free, 0, 3);
	tcase_add_test(tests, the_last_picture_stays_when_the_target_ends);
	tcase_add_test(tests, two_views_see_the_same_and_one_may_end_first);
	tcase_add_test(tests, names_from_a_target_do_nothing_to_the_terminal);
	tcase_add_test(tests, a_terminal_that_is_not_known_is_left_alone);
	tcase_add_test(tests, a_run_that_goes_on_is_looked_at_and_left_alone);
	tcase_add_test(tests, without_a_terminal_there_are_reports);
	tcase_add_test(tests, what_cannot_be_shown_is_one_line);
	return suite_run(suite);
}
