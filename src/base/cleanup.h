/* SPDX-License-Identifier: MIT */
/*
 * Scope guards: a variable marked with one of these is released when its scope ends.
 *
 * A module with a type of its own defines its guard beside the type, in the same form. To hand a
 * guarded pointer out, use `return_ptr(p)` or `take_ptr(p)`: they empty the variable first.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"

static inline void cleanup_freep(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_fclosep(FILE **file)
{
	if (*file)
		fclose(*file);
}

static inline void cleanup_errorp(struct error **err)
{
	error_free(*err);
}

#define _cleanup_free_	 __attribute__((__cleanup__(cleanup_freep)))
#define _cleanup_close_	 __attribute__((__cleanup__(cleanup_closep)))
#define _cleanup_fclose_ __attribute__((__cleanup__(cleanup_fclosep)))
#define _cleanup_error_	 __attribute__((__cleanup__(cleanup_errorp)))

#define take_ptr(p)                                                                                \
	__extension__({                                                                            \
		__typeof__(p) taken_ = (p);                                                        \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	})
#define return_ptr(p) return take_ptr(p)

#endif
