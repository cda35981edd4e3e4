/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: what each request does.
 *
 * Owns: nothing but the answers. Control thread; takes the lock of tap.h for as long as a figure is
 * read or a copy made.
 */
#ifndef SESSION_CONTROL_SERVE_H
#define SESSION_CONTROL_SERVE_H

#include "session/control_message.h"
#include "session/frozen.h"

/*
 * Performs a request. *fd_ret is a descriptor that goes with the reply, -1: none. Errors become
 * refusals: ERROR_NOT_FOUND for a process or block that is not known, ERROR_UNSUPPORTED.
 */
struct error *control_serve(struct session *session, const struct control_request *request,
			    struct control_reply *reply, int *fd_ret);

/* A snapshot of this moment, given to the sink; *file_ret (may be NULL) has room for its name. */
struct error *control_deliver_now(struct session *session, char file_ret[CONTROL_TEXT_BYTES]);

/* The same of a copy made before. */
struct error *control_deliver(struct session *session, const struct frozen *frozen,
			      char file_ret[CONTROL_TEXT_BYTES]);

#endif
