/* SPDX-License-Identifier: MIT */
#include "session/session.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "session/heap.h"
#include "session/pace.h"
#include "session/private.h"
#include "target/proc.h"
#include "target/sigtrap.h"

enum { POKE_SIGNAL = SIGURG }; /* ignored by default: no harm if it comes late */

static const uint64_t POKE_AGAIN_NS = 10000000;
static const uint64_t LONG_WAIT_NS = 3600000000000;

/* What the tracer thread is given and gives back. */
struct tracing {
	struct session *session;
	char *const *argv; /* run; NULL: attach to root */
	char *const *envp;
	struct target_signals signals; /* of the process before the session */
	struct error *error;
};

void session_poke(struct session *session)
{
	atomic_store(&session->poke, true);
	pthread_kill(session->tracer, POKE_SIGNAL);
}

void session_stop(struct session *session)
{
	atomic_store(&session->stop, true);
	pthread_kill(session->main_thread, POKE_SIGNAL);
}

struct error *session_mark(struct session *session, enum snapshot_mark_kind kind, const char *name,
			   uint64_t time_ns)
{
	if (kind == SNAPSHOT_MARK_PEAK_RESET)
		ledger_reset_peak(session->ledger, time_ns);
	if (kind == SNAPSHOT_MARK_PEAK_RESET && session->mappings)
		mappings_reset_peak(session->mappings, time_ns);
	return marks_add(&session->marks, kind, name, time_ns,
			 ledger_totals(session->ledger)->current_bytes);
}

static void on_poke(int signal)
{
	(void)signal;
}

static void sigset_of_session(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGHUP);
	sigaddset(ret, SIGQUIT);
	sigaddset(ret, POKE_SIGNAL);
}

static void *tracer_main(void *context)
{
	struct tracing *tracing = context;
	struct session *session = tracing->session;
	sigset_t poke;
	session->tracer = pthread_self();
	sigemptyset(&poke);
	sigaddset(&poke, POKE_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &poke, NULL);
	session->started_ns = clock_now_ns();
	taps_lock(&session->taps);
	tracing->error =
		tracing->argv ? begin_run(session, tracing->argv, tracing->envp, &tracing->signals)
			      : begin_attach(session);
	taps_unlock(&session->taps);
	atomic_store(&session->begun_ns, clock_now_ns());
	pthread_kill(session->main_thread, POKE_SIGNAL); /* its waiting counts from here */
	if (!tracing->error)
		tracing->error = control_start(session->control);
	if (!tracing->error)
		ahead_start(session);
	if (!tracing->error)
		tracing->error = loop_run(session);
	struct error *err = stop_all(session);
	if (tracing->error)
		error_free(err);
	else
		tracing->error = err;
	session->duration_ns = clock_now_ns() - session->started_ns;
	atomic_store(&session->finished, true);
	pthread_kill(session->main_thread, POKE_SIGNAL);
	return NULL;
}

/* A signal for us. The terminal's reach the target by themselves; those of kill(2) are passed on.
 */
static void on_own_signal(struct session *session, const siginfo_t *info)
{
	if (info->si_signo == POKE_SIGNAL)
		return;
	pid_t child = atomic_load(&session->root_child);
	if (!child)
		atomic_store(&session->stop, true);
	else if (info->si_code != SI_KERNEL)
		kill(child, info->si_signo);
}

/* The main thread while the tracer works: waits for signals and for the time to be up. */
static void supervise(struct session *session, pthread_t tracer)
{
	sigset_t signals;
	sigset_of_session(&signals);
	uint64_t duration = session->options->duration_ns;
	struct pace pace;
	pace_begin(&pace, session->options->progress);
	while (!atomic_load(&session->finished)) {
		uint64_t wait = LONG_WAIT_NS, begun = atomic_load(&session->begun_ns);
		uint64_t elapsed = begun ? clock_now_ns() - begun : 0;
		pace_tracing(&pace, session);
		if (pace.sink)
			wait = PACE_INTERVAL_NS;
		if (duration && elapsed >= duration)
			atomic_store(&session->stop, true);
		else if (duration && begun && duration - elapsed < wait)
			wait = duration - elapsed;
		if (atomic_load(&session->stop)) {
			/* It may be about to sleep when the poke comes: so again and again. */
			atomic_store(&session->poke, true);
			pthread_kill(tracer, POKE_SIGNAL);
			wait = POKE_AGAIN_NS;
		}
		struct timespec timeout = {.tv_sec = (time_t)(wait / 1000000000u),
					   .tv_nsec = (long)(wait % 1000000000u)};
		siginfo_t info;
		if (sigtimedwait(&signals, &info, &timeout) > 0)
			on_own_signal(session, &info);
	}
}

static void thread_gone(void *context, struct target_thread *thread)
{
	struct session *session = context;
	struct session_thread *state = thread->owner_data;
	space_id space = thread->process->space->id;
	taps_lock(&session->taps);
	if (state) {
		struct calls_outcome outcome;
		calls_abandon(&state->probe.calls, &outcome);
		for (size_t i = 0; i < outcome.cancelled_count; i++)
			ledger_resize_cancel(session->ledger, space, (uint32_t)thread->tid,
					     outcome.cancelled[i]);
	}
	/* The agent knows a thread by its inner number, a breakpoint by ours. */
	taps_thread_ended(session, space.v, (uint32_t)thread->inner_tid);
	if (thread->inner_tid != thread->tid)
		ledger_thread_end(session->ledger, space, (uint32_t)thread->tid);
	taps_unlock(&session->taps);
	free(state);
}

struct error *session_init(struct session *session, const struct session_options *options)
{
	struct timespec now;
	*session = (struct session){.options = options,
				    .probes.pools.rules = options->rules,
				    .probes.static_probes.ignored = options->ignore_static_probes};
	clock_gettime(CLOCK_REALTIME, &now);
	session->started_unix_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	taps_init(&session->taps);
	symbols_init(&session->symbols);
	target_init(&session->target, options->log, &session->poke);
	session->target.watches_exits = options->unreachable;
	session->target.thread_gone = thread_gone;
	session->target.thread_gone_context = session;
	struct error *err = registry_create(options->log, options->debug_paths, &session->registry);
	if (!err)
		err = interner_create(&session->interner);
	if (!err)
		err = ledger_create(&session->ledger);
	if (!err && options->mmap)
		err = mappings_create(&session->mappings);
	if (!err && options->keep & (KEPT_SIZES | KEPT_THREADS | KEPT_WASTE))
		err = traits_create(options->keep, &session->traits);
	if (!err)
		err = watches_init(&session->probes.watches, options);
	if (!err)
		err = control_create(session, &session->control);
	return err;
}

void session_deinit(struct session *session)
{
	taps_stop_reader(session);
	control_destroy(session->control);
	target_deinit(&session->target);
	taps_deinit(&session->taps);
	leaks_deinit(&session->leaks);
	for (size_t i = 0; i < session->processes.count; i++)
		free(session->processes.items[i].command);
	free(session->processes.items);
	space_probes_deinit(&session->probes);
	traits_destroy(session->traits);
	marks_deinit(&session->marks);
	symbols_deinit(&session->symbols);
	mappings_destroy(session->mappings);
	ledger_destroy(session->ledger);
	interner_destroy(session->interner);
	registry_destroy(session->registry);
}

/* Runs the tracer thread to its end with the session's signals blocked in this one. */
static struct error *trace(struct tracing *tracing)
{
	sigset_t signals;
	struct sigaction poke = {.sa_handler = on_poke}, old_poke;
	/* waitpid(2) tells of stops; without this each would send a SIGCHLD, too. */
	struct sigaction quiet = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDSTOP}, old_quiet;
	pthread_t tracer;
	struct error *err = target_signals_read(&tracing->signals);
	if (err)
		return err;
	sigset_of_session(&signals);
	tracing->session->main_thread = pthread_self();
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	sigaction(POKE_SIGNAL, &poke, &old_poke);
	sigaction(SIGCHLD, &quiet, &old_quiet);
	int failure = pthread_create(&tracer, NULL, tracer_main, tracing);
	if (!failure) {
		supervise(tracing->session, tracer);
		pthread_join(tracer, NULL);
		/* Nobody who is impatient by now is to leave the memory of rings behind. */
		error_keep_first(&tracing->error, stop_finish(tracing->session));
	}
	sigaction(POKE_SIGNAL, &old_poke, NULL);
	sigaction(SIGCHLD, &old_quiet, NULL);
	pthread_sigmask(SIG_SETMASK, &tracing->signals.mask, NULL);
	if (failure)
		return error_system(failure, "cannot start a thread");
	ahead_stop(tracing->session);
	control_stop(tracing->session->control);
	tracing->session->alone = true;
	return tracing->error;
}

void session_await(struct session_result *result)
{
	int status;
	pid_t pid;
	if (result->exited || !result->pid)
		return;
	do
		pid = waitpid(result->pid, &status, 0);
	while (pid < 0 && errno == EINTR);
	if (pid < 0)
		return;
	result->exited = true;
	result->exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
	result->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void warn_missing_watches(const struct session *session)
{
	size_t index = 0;
	const struct session_watch *watch;
	while ((watch = watches_next_missing(&session->probes.watches, &index)))
		log_write(
			session->options->log, LOG_WARNING,
			"no function '%s' of --%s was in any module: it may have been inlined, or "
			"its name stripped",
			watch->function, watch->snapshots ? "snapshot-at" : "reset-peak-at");
}

static struct error *freeze(struct session *session, struct snapshot **ret)
{
	warn_missing_watches(session);
	struct frozen *frozen;
	struct error *err = frozen_take(session, FROZEN_END, NULL, &frozen);
	if (err)
		return err;
	err = freeze_snapshot(session, frozen, ret);
	frozen_destroy(frozen);
	return err;
}

static void result_of(const struct session *session, struct session_result *ret)
{
	ret->pid = session->root;
	ret->exited = session->root_ended;
	ret->exit_status = session->root_status;
	ret->signal = session->root_signal;
}

/* An empty report would otherwise look like a program that never allocates. */
static void warn_if_blind(const struct session *session, const char *program)
{
	for (size_t i = 0; i < session->probes.count; i++)
		if (strcmp(session->probes.items[i].kind, "none") != 0 &&
		    !session->probes.items[i].maps)
			return;
	if (session->probes.count) {
		log_write(session->options->log, LOG_WARNING,
			  "no allocator function of '%s' could be probed: %s", program,
			  session->probes.items[0].reason);
		return;
	}
	log_write(
		session->options->log, LOG_WARNING,
		"no allocator found in '%s': none of its modules has a function malloc, or one of "
		"the others in tracealloc(1) (a static program needs its symbols): name its "
		"functions by --alloc",
		program);
}

struct error *session_sanitized(pid_t pid, const char *name)
{
	return error_new(ERROR_UNSUPPORTED,
			 "process %d runs with %s, which has an allocator of its own and bears no "
			 "tracer: build it without -fsanitize",
			 pid, name);
}

void session_warn_idle_rules(const struct session *session)
{
	size_t index = 0;
	const struct allocator_rule *rule;
	while ((rule = pools_next_idle(&session->probes.pools, &index)))
		log_write(session->options->log, LOG_WARNING,
			  "rule '%s' means no function: it may have been inlined, its name "
			  "stripped (give its address), or be an IFUNC (name what that chooses)",
			  rule->text);
}

struct error *session_run(const struct session_options *options, char *const argv[],
			  char *const envp[], struct session_result *ret)
{
	_cleanup_session_ struct session session;
	*ret = (struct session_result){0};
	struct error *err = session_init(&session, options);
	struct tracing tracing = {.session = &session, .argv = argv, .envp = envp};
	session.origin = SNAPSHOT_RUN;
	session.command = argv;
	if (!err)
		err = trace(&tracing);
	if (err && !session.root)
		return err;
	if (!err)
		warn_if_blind(&session, argv[0]);
	if (!err)
		session_warn_idle_rules(&session);
	if (!err)
		err = freeze(&session, &ret->snapshot);
	result_of(&session, ret);
	return err;
}

struct error *session_attach(const struct session_options *options, pid_t pid,
			     struct session_result *ret)
{
	_cleanup_session_ struct session session;
	_cleanup_free_ char **command = NULL;
	size_t count;
	*ret = (struct session_result){0};
	struct error *err = session_init(&session, options);
	struct tracing tracing = {.session = &session};
	session.root = pid;
	if (!err)
		err = proc_command(pid, &command, &count);
	session.origin = SNAPSHOT_ATTACH;
	session.command = command;
	if (error_catch(&err, ERROR_GONE))
		return error_new(ERROR_NOT_FOUND, "no process %d: check the pid with ps", pid);
	if (!err)
		err = trace(&tracing);
	if (!err)
		err = freeze(&session, &ret->snapshot);
	result_of(&session, ret);
	return err;
}
