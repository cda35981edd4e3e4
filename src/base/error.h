/* SPDX-License-Identifier: MIT */
/*
 * Errors are values with context, passed up to cli, which alone prints them.
 *
 * Every function that can fail returns `struct error *`: NULL is success, anything else is owned by
 * the caller, who passes it on (perhaps through error_wrap) or ends it with error_free. A message
 * is one line, lower case, quotes the bad value, and says what to do where there is something to
 * do.
 *
 * Does not: print, log or exit. May be used by: everyone, from any thread.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

enum error_kind {
	ERROR_SYSTEM,	   /* a system call failed; error_errno() says how */
	ERROR_GONE,	   /* the target's thread or process has ended; often no failure at all */
	ERROR_DENIED,	   /* a permission is missing; the message names the rule */
	ERROR_NOT_FOUND,   /* what was asked for is not there */
	ERROR_BAD_INPUT,   /* a file or datum is malformed */
	ERROR_UNSUPPORTED, /* understood, but not something this build can do */
	ERROR_FAULT,	   /* an address that cannot be read or written */
	ERROR_NO_MEMORY,   /* ours, not the target's */
	ERROR_USAGE,	   /* the command line */
};

struct error;

/* A new error. Never returns NULL: without memory it returns a static ERROR_NO_MEMORY. */
struct error *error_new(enum error_kind kind, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A new ERROR_SYSTEM: the message becomes "<formatted>: <strerror(errno_value)>". */
struct error *error_system(int errno_value, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The static ERROR_NO_MEMORY error. */
struct error *error_no_memory(void);

/* Puts "<formatted>: " before the message of err, keeping kind and errno. Consumes err. */
struct error *error_wrap(struct error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Ends an error. NULL is legal. */
void error_free(struct error *err);

/* Of errors that come one after the other *first becomes the first; consumes err. */
void error_keep_first(struct error **first, struct error *err);

const char *error_message(const struct error *err);
enum error_kind error_kind_of(const struct error *err);

/* The errno of an ERROR_SYSTEM, else 0. */
int error_errno(const struct error *err);

/* Ends err and returns true if it is of that kind; otherwise leaves it alone. NULL gives false. */
_Bool error_catch(struct error **err, enum error_kind kind);

#endif
