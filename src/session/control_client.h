/* SPDX-License-Identifier: MIT */
/*
 * The other end of the control socket: asks the tracealloc that traces a process.
 *
 * Owns: the connection. Does not: print. Called by: cli, from one thread. What comes back is
 * untrusted: it is checked like any file.
 */
#ifndef SESSION_CONTROL_CLIENT_H
#define SESSION_CONTROL_CLIENT_H

#include "session/control_message.h"
#include "snapshot/snapshot.h"

/* interrupt_fd: while it can be read no answer is waited for; -1: none. The caller's. */
struct control_client {
	int fd; /* -1: not connected */
	int interrupt_fd;
	pid_t pid;
};

/*
 * Connects to the tracealloc that traces pid, which may be any process of a tree. ERROR_NOT_FOUND:
 * nobody does, or it is another user's.
 */
struct error *control_client_open(pid_t pid, struct control_client *ret);
void control_client_close(struct control_client *client);

/*
 * Asks, and waits for the answer (a minute at most). request->pid is set by this. Errors: what was
 * refused, ERROR_GONE where tracing has ended. Where there was no answer, none can be asked for any
 * more.
 */
struct error *control_client_ask(struct control_client *client, struct control_request *request,
				 struct control_reply *reply);

/*
 * The same of a request that a snapshot is the answer to; the bytes of its file are appended, and
 * *ret, if it is not NULL, is the snapshot that they hold.
 */
struct error *control_client_fetch(struct control_client *client, struct control_request *request,
				   struct control_reply *reply, struct buffer *bytes,
				   struct snapshot **ret);

/* Waits until the session has let go of its target, a minute at most: after CONTROL_STOP. */
void control_client_await_end(struct control_client *client);

#define _cleanup_control_client_ __attribute__((__cleanup__(control_client_close)))

#endif
