/* SPDX-License-Identifier: MIT */
#include "session/control_serve.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "session/private.h"
#include "snapshot/file.h"

static void destroy_snapshotp(struct snapshot **snapshot)
{
	snapshot_destroy(*snapshot);
}
#define _cleanup_snapshot_ __attribute__((__cleanup__(destroy_snapshotp)))

static void destroy_frozenp(struct frozen **frozen)
{
	frozen_destroy(*frozen);
}
#define _cleanup_frozen_ __attribute__((__cleanup__(destroy_frozenp)))

/* ---- snapshots */

static struct error *take_now(struct session *session, enum frozen_kind kind, struct snapshot **ret)
{
	_cleanup_frozen_ struct frozen *frozen = NULL;
	taps_lock_settled(session);
	taps_unlock(&session->taps);
	struct error *err = frozen_take(session, kind, NULL, &frozen);
	return err ? err : freeze_snapshot(session, frozen, ret);
}

static struct error *write_all(int fd, const char *bytes, size_t count)
{
	while (count > 0) {
		ssize_t written = write(fd, bytes, count);
		if (written < 0 && errno != EINTR)
			return error_system(errno, "cannot pass a snapshot on");
		bytes += written < 0 ? 0 : written;
		count -= written < 0 ? 0 : (size_t)written;
	}
	return NULL;
}

/* Sealed, so that a reader may map it without fear. */
static struct error *pass_on(const struct snapshot *snapshot, int *fd_ret)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	struct error *err = file_encode(snapshot, &bytes);
	if (err)
		return err;
	_cleanup_close_ int fd =
		memfd_create("tracealloc-snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return error_system(errno, "cannot pass a snapshot on");
	err = write_all(fd, bytes.bytes, bytes.count);
	if (err)
		return err;
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
	*fd_ret = fd;
	fd = -1;
	return NULL;
}

static struct error *serve_snapshot(struct session *session, bool complete, int *fd_ret)
{
	_cleanup_snapshot_ struct snapshot *snapshot = NULL;
	const struct session_sink *sink = &session->options->sink;
	struct error *err =
		take_now(session, complete ? FROZEN_SNAPSHOT : FROZEN_GLANCE, &snapshot);
	if (!err && complete && sink->complete)
		err = sink->complete(sink->context, snapshot);
	return err ? err : pass_on(snapshot, fd_ret);
}

struct error *control_deliver(struct session *session, const struct frozen *frozen,
			      char file_ret[CONTROL_TEXT_BYTES])
{
	_cleanup_snapshot_ struct snapshot *snapshot = NULL;
	_cleanup_buffer_ struct buffer file = {0};
	const struct session_sink *sink = &session->options->sink;
	struct error *err = freeze_snapshot(session, frozen, &snapshot);
	if (!err)
		err = sink->take(sink->context, snapshot, &file);
	if (!err && file_ret)
		strncpy(file_ret, buffer_text(&file), CONTROL_TEXT_BYTES - 1);
	return err;
}

struct error *control_deliver_now(struct session *session, char file_ret[CONTROL_TEXT_BYTES])
{
	_cleanup_frozen_ struct frozen *frozen = NULL;
	taps_lock_settled(session);
	taps_unlock(&session->taps);
	struct error *err = frozen_take(session, FROZEN_SNAPSHOT, NULL, &frozen);
	return err ? err : control_deliver(session, frozen, file_ret);
}

/* ---- figures */

static const char *engine_of(const struct session *session)
{
	bool jumps = false, breakpoints = false;
	for (size_t i = 0; i < session->probes.count; i++) {
		jumps |= strcmp(session->probes.items[i].kind, "jump") == 0;
		breakpoints |= strcmp(session->probes.items[i].kind, "breakpoint") == 0;
	}
	return jumps && breakpoints ? "mixed"
	       : jumps		    ? "jump"
	       : breakpoints	    ? "breakpoint"
				    : "none";
}

static void fill_totals(const struct session *session, struct control_reply *reply)
{
	const struct total_counters *t = ledger_totals(session->ledger);
	reply->current_bytes = t->current_bytes;
	reply->current_blocks = t->current_blocks;
	reply->peak_bytes = t->peak_bytes;
	reply->peak_blocks = t->peak_blocks;
	reply->peak_at_ns = t->peak_at_ns;
	reply->total_bytes = t->total_bytes;
	reply->total_blocks = t->total_blocks;
	reply->events = t->events;
	reply->lost_events = taps_statistics(&session->taps).lost_events;
}

static void fill_command(const struct session *session, struct control_reply *reply)
{
	_cleanup_buffer_ struct buffer text = {0};
	for (char *const *word = session->command; word && *word; word++) {
		if (word != session->command)
			buffer_char(&text, ' ');
		buffer_string(&text, *word);
	}
	strncpy(reply->command, buffer_text(&text), sizeof reply->command - 1);
}

static void serve_status(struct session *session, struct control_reply *reply)
{
	taps_lock_settled(session);
	fill_totals(session, reply);
	reply->time_ns = clock_now_ns() - session->started_ns;
	for (size_t i = 0; i < session->processes.count; i++)
		reply->processes += !session->processes.items[i].ended;
	strcpy(reply->engine, engine_of(session));
	taps_unlock(&session->taps);
	reply->stops = __atomic_load_n(&session->target.statistics.stops, __ATOMIC_RELAXED);
	reply->attached = session->origin == SNAPSHOT_ATTACH;
	fill_command(session, reply);
}

static struct error *serve_mark(struct session *session, enum snapshot_mark_kind kind,
				const char *name, struct control_reply *reply)
{
	taps_lock_settled(session);
	struct error *err = session_mark(session, kind, name, clock_now_ns() - session->started_ns);
	fill_totals(session, reply);
	taps_unlock(&session->taps);
	return err;
}

/* ---- one block */

static bool find_block(const struct session *session, pid_t pid, target_addr address,
		       struct ledger_holder *ret)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&session->taps.spaces, &cursor))) {
		const struct session_space *space = entry->value;
		if (space->target->pid == pid)
			return ledger_holder(session->ledger, space->target->id, address, ret);
	}
	return false;
}

static struct error *serve_where(struct session *session, const struct control_request *request,
				 struct control_reply *reply, int *fd_ret)
{
	_cleanup_snapshot_ struct snapshot *snapshot = NULL;
	const struct session_sink *sink = &session->options->sink;
	struct ledger_holder block;
	taps_lock_settled(session);
	bool found = find_block(session, request->pid, request->address, &block);
	uint64_t now_ns = clock_now_ns() - session->started_ns;
	taps_unlock(&session->taps);
	if (!found)
		return error_new(ERROR_NOT_FOUND,
				 "no live block of process %d that tracealloc has seen holds "
				 "address 0x%" PRIx64,
				 request->pid, request->address.v);
	reply->address = block.address.v;
	reply->size_bytes = block.size_bytes;
	reply->age_ns = now_ns > block.born_ns ? now_ns - block.born_ns : 0;
	reply->thread = block.thread;
	reply->process = (uint64_t)request->pid;
	struct error *err = freeze_site(session, block.site, block.size_bytes, &snapshot);
	if (!err && sink->complete)
		err = sink->complete(sink->context, snapshot);
	return err ? err : pass_on(snapshot, fd_ret);
}

/* ---- all of them */

static struct error *check_process(struct session *session, pid_t pid)
{
	bool known = pid == session->root;
	taps_lock(&session->taps);
	for (size_t i = 0; i < session->processes.count; i++)
		known |= session->processes.items[i].pid == pid &&
			 !session->processes.items[i].ended;
	bool ended = session->stopped;
	taps_unlock(&session->taps);
	if (ended)
		return error_new(ERROR_GONE, "tracing of process %d has just ended", session->root);
	return known ? NULL
		     : error_new(ERROR_NOT_FOUND, "process %d is not traced: process %d is", pid,
				 session->root);
}

struct error *control_serve(struct session *session, const struct control_request *request,
			    struct control_reply *reply, int *fd_ret)
{
	*fd_ret = -1;
	*reply = (struct control_reply){.pid = (uint64_t)session->root};
	struct error *err = check_process(session, request->pid);
	if (err)
		return err;
	switch (request->verb) {
	case CONTROL_STATUS:
		serve_status(session, reply);
		return NULL;
	case CONTROL_SNAPSHOT:
		return serve_snapshot(session, true, fd_ret);
	case CONTROL_GLANCE:
		return serve_snapshot(session, false, fd_ret);
	case CONTROL_SAVE:
		if (!session->options->sink.saves)
			return error_new(ERROR_UNSUPPORTED,
					 "process %d is traced without --output: name the FILE",
					 request->pid);
		return control_deliver_now(session, reply->file);
	case CONTROL_RESET_PEAK:
		return serve_mark(session, SNAPSHOT_MARK_PEAK_RESET, NULL, reply);
	case CONTROL_MARK:
		return serve_mark(session, SNAPSHOT_MARK_NAMED, request->name, reply);
	case CONTROL_WHERE:
		return serve_where(session, request, reply, fd_ret);
	case CONTROL_STOP:
		session_stop(session);
		return NULL;
	}
	return error_new(ERROR_UNSUPPORTED, "no such request");
}
