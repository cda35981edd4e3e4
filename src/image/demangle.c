/* SPDX-License-Identifier: MIT */
#include "image/image.h"

#include <ctype.h>
#include <setjmp.h>
#include <string.h>

#include <libiberty/demangle.h>

#include "base/array.h"
#include "base/cleanup.h"

/*
 * Names come from files nobody vouches for. A few bytes can stand for 2^100 (a substitution that
 * names itself twice, again and again), so both ends are bounded. The longest names of LLVM 14 and
 * of rustc 1.95 are below 700 bytes.
 */
enum {
	NAME_MAX_BYTES = 4096,
	TEXT_MAX_BYTES = 65536,
	BINDER_MAX_DIGITS = 2,
};

/* Invariant: count < capacity once anything was written; bytes[count] is room for the NUL. */
struct text {
	char *bytes;
	size_t count;
	size_t capacity;
	jmp_buf stop;
};

/*
 * The demangler's sink. It has no way to say "enough", and a bomb would go on writing for years:
 * leaving by longjmp is safe because the callback variants of libiberty keep their state on the
 * stack (a punycode identifier being written at that moment is the one thing that can leak).
 */
static void take(const char *bytes, size_t count, void *context)
{
	struct text *text = context;
	if (count >= TEXT_MAX_BYTES - text->count ||
	    !array_reserve(&text->bytes, &text->capacity, text->count + count + 1, 1))
		longjmp(text->stop, 1);
	memcpy(text->bytes + text->count, bytes, count);
	text->count += count;
	text->bytes[text->count] = 0;
}

/*
 * Rust's v0 mangling lets a function pointer or trait object bind any number of lifetimes
 * (`FG<base 62>_`), which libiberty counts up to one by one even where it prints nothing.
 */
static bool binds_too_many(const char *name)
{
	for (const char *at = name; (at = strchr(at, 'G')); at++) {
		if (at[-1] != 'F' && at[-1] != 'D')
			continue;
		size_t digits = 0;
		while (isalnum((unsigned char)at[1 + digits]))
			digits++;
		if (digits > BINDER_MAX_DIGITS && at[1 + digits] == '_')
			return true;
	}
	return false;
}

/*
 * No DMGL_PARAMS: a parameter list is noise beside a source line, and without it a clone's suffix
 * (".cold", ".constprop.0") falls away too. No DMGL_VERBOSE: Rust's hash is dropped.
 *
 * libiberty's recursion limit refuses every C++ name above 1 KiB rather than deep ones alone; with
 * at most NAME_MAX_BYTES to read, depth is bounded anyway. Rust's limit counts depth: it stays.
 */
static bool print(const char *linkage, struct text *text)
{
	if (setjmp(text->stop))
		return false;
	if (linkage[1] == 'R')
		return rust_demangle_callback(linkage, 0, take, text) != 0;
	/* Legacy Rust looks like C++ with a hash at its end, so it is asked first. */
	if (rust_demangle_callback(linkage, 0, take, text))
		return true;
	text->count = 0;
	return cplus_demangle_v3_callback(linkage, DMGL_NO_RECURSE_LIMIT, take, text) != 0;
}

char *image_demangle(const char *linkage)
{
	if (linkage[0] != '_' || (linkage[1] != 'Z' && linkage[1] != 'R'))
		return NULL;
	if (strnlen(linkage, NAME_MAX_BYTES + 1) > NAME_MAX_BYTES || binds_too_many(linkage + 2))
		return NULL;
	struct text text = {0};
	if (print(linkage, &text) && text.count)
		return text.bytes;
	free(text.bytes);
	return NULL;
}
