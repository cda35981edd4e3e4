/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: whoever asks while tracing goes on.
 *
 * Owns: the control socket, its clients, the snapshots that wait to be worked out, the clock of
 * --interval, and the thread that serves all of them. Does not: know what a request means
 * (control_serve.c). The thread touches what the tracer thread owns only under the lock of tap.h,
 * and works on symbols without it, so that the target never waits for a client.
 *
 * Only our own user and root are served. A client has one request at a time under way; what cannot
 * be sent to it at once is not sent, and when all places are taken the one that was silent longest
 * goes.
 */
#ifndef SESSION_CONTROL_H
#define SESSION_CONTROL_H

#include "session/frozen.h"

struct control;

/* Made before the tracer thread starts. Errors: no memory, no descriptors. */
struct error *control_create(struct session *session, struct control **ret);

/*
 * The tracer thread, once the probes are in: makes the socket and starts the thread. That there can
 * be no socket is only logged.
 */
struct error *control_start(struct control *control);

/*
 * The main thread, when the tracer thread has ended: what waits is finished, clients are told by
 * the end of their connection, the socket goes.
 */
void control_stop(struct control *control);
void control_destroy(struct control *control);

/*
 * Any thread that holds the lock: has a copy, which is control's from now on, made a snapshot and
 * given to the sink of the session's options. Too many waiting: it is dropped, and that is logged
 * at the end.
 */
void control_submit(struct control *control, struct frozen *frozen);

#endif
