/* SPDX-License-Identifier: MIT */
/*
 * What is said over the control socket: one packet a request, one a reply (SOCK_SEQPACKET).
 *
 * A packet is text: a first line, then lines "key value". Bytes of values that are controls, '%' or
 * not ASCII stand as %XX. A snapshot comes as a descriptor beside the reply (SCM_RIGHTS): a sealed
 * memfd that holds the bytes of a snapshot file. Owns: the words, and their checks. What is read is
 * untrusted, on both sides. Pure; any thread.
 */
#ifndef SESSION_CONTROL_MESSAGE_H
#define SESSION_CONTROL_MESSAGE_H

#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/types.h"

enum {
	CONTROL_REQUEST_BYTES = 4096, /* a longer packet is no request */
	CONTROL_REPLY_BYTES = 65536,
	CONTROL_TEXT_BYTES = 4096, /* a text with its end; longer ones are cut */
	CONTROL_MARK_BYTES = 256,  /* a mark's name with its end, likewise */
};

enum control_verb {
	CONTROL_STATUS,
	CONTROL_SNAPSHOT, /* the bytes of a snapshot file, source text included */
	CONTROL_GLANCE,	  /* the same without source text: cheaper, for a live view */
	CONTROL_SAVE,	  /* the session writes a snapshot itself, numbered */
	CONTROL_RESET_PEAK,
	CONTROL_MARK,
	CONTROL_WHERE, /* and the block's stack as a snapshot of one site */
	CONTROL_STOP,
};

/* pid: any process of the tree. */
struct control_request {
	enum control_verb verb;
	pid_t pid;
	target_addr address;	       /* CONTROL_WHERE */
	char name[CONTROL_MARK_BYTES]; /* CONTROL_MARK */
};

/* Figures that a reply does not have are 0. Times are since the session's start. */
struct control_reply {
	uint64_t pid; /* that was started or attached to */
	uint64_t processes;
	uint64_t time_ns;
	uint64_t current_bytes, current_blocks;
	uint64_t peak_bytes, peak_blocks, peak_at_ns;
	uint64_t total_bytes, total_blocks;
	uint64_t events, events_per_s, lost_events;
	uint64_t stops;
	uint64_t attached;				       /* 1: attached to, 0: started */
	uint64_t address, size_bytes, age_ns, thread, process; /* CONTROL_WHERE: the block */
	char command[CONTROL_TEXT_BYTES];
	char engine[CONTROL_TEXT_BYTES];
	char file[CONTROL_TEXT_BYTES]; /* CONTROL_SAVE: what was written */
};

/* Appends a request's packet. */
void control_message_ask(const struct control_request *request, struct buffer *out);

/* Reads one. ERROR_BAD_INPUT. */
struct error *control_message_asked(const char *bytes, size_t count, struct control_request *ret);

/* Appends the packet of a reply, or of a refusal. */
void control_message_answer(const struct control_reply *reply, struct buffer *out);
void control_message_refuse(const struct error *refusal, struct buffer *out);

/* Reads either: a refusal becomes an error of the same kind. ERROR_BAD_INPUT for what is neither.
 */
struct error *control_message_answered(const char *bytes, size_t count, struct control_reply *ret);

#endif
