/* SPDX-License-Identifier: MIT */
/*
 * Where control sockets are: $XDG_RUNTIME_DIR/tracealloc/PID.sock, else
 * /tmp/tracealloc-UID/PID.sock, PID being the process that was started or attached to.
 *
 * Owns: the directories' names and the check that nobody else can write there. Used by control.c
 * and control_client.c. Any thread.
 */
#ifndef SESSION_CONTROL_PLACE_H
#define SESSION_CONTROL_PLACE_H

#include <sys/types.h>
#include <sys/un.h>

#include "base/error.h"

enum { CONTROL_PLACES = 4, CONTROL_NAME_BYTES = 32 };

/*
 * Opens the directory where this process puts its socket, made if need be. Errors: ERROR_DENIED
 * where it belongs to another user or others may write to it, ERROR_SYSTEM.
 */
struct error *control_place_make(int *fd_ret);

/*
 * Opens the i-th directory, i < CONTROL_PLACES, in which the socket for a process may be: our own,
 * and for root those of the process's owner. -1: it is not there, or cannot be trusted.
 */
int control_place_open(unsigned i, pid_t pid);

/* "PID.sock" */
void control_place_name(pid_t pid, char ret[CONTROL_NAME_BYTES]);

/*
 * The address of a name in a directory. By way of /proc/self/fd, as paths may be longer than an
 * address has room for (unix(7)).
 */
struct sockaddr_un control_place_address(int directory_fd, const char *name);

#endif
