/* SPDX-License-Identifier: MIT */
#include "snapshot/charge.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

enum frame_class {
	FRAME_PLAIN,
	FRAME_RUNTIME,	 /* in the C library or the dynamic linker, with debug information or not */
	FRAME_SKIPPED,	 /* the user's patterns name it */
	FRAME_ALLOCATOR, /* an allocator function or a thin wrapper of one */
};

/* In any module: programs bring allocators of their own. */
static const char *const allocator_names[] = {
	"malloc",	 "calloc",	   "realloc", "reallocarray", "memalign",
	"aligned_alloc", "posix_memalign", "valloc",  "pvalloc",
};

/* In libc alone: elsewhere functions of these names are somebody's own. */
static const char *const libc_names[] = {
	"strdup",
	"strndup",
	"wcsdup",
	"asprintf",
	"vasprintf",
	"getline",
	"getdelim",
	"open_memstream",
	"getcwd",
	"open_wmemstream",
	"realpath",
	"canonicalize_file_name",
	"get_current_dir_name",
};

static bool starts_with(const char *string, const char *prefix)
{
	return strncmp(string, prefix, strlen(prefix)) == 0;
}

static bool ends_with(const char *string, const char *suffix)
{
	size_t length = strlen(string), suffix_length = strlen(suffix);
	return length >= suffix_length &&
	       memcmp(string + length - suffix_length, suffix, suffix_length) == 0;
}

static const char *basename_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/*
 * glibc and compilers decorate names: __GI___strdup, __libc_memalign, _IO_getdelim, __asprintf_chk,
 * __vasprintf_internal, malloc@@GLIBC_2.2.5, realpath.part.0. False for names too long to be one.
 */
static bool plain_name(const char *name, char *plain, size_t plain_bytes)
{
	static const char *const prefixes[] = {"__GI_", "__libc_", "_IO_"};
	static const char *const suffixes[] = {"_chk", "_internal"};
	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
		if (starts_with(name, prefixes[i]))
			name += strlen(prefixes[i]);
	while (*name == '_')
		name++;
	size_t length = strcspn(name, "@.");
	if (length >= plain_bytes)
		return false;
	memcpy(plain, name, length);
	plain[length] = 0;
	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
		if (ends_with(plain, suffixes[i]))
			plain[strlen(plain) - strlen(suffixes[i])] = 0;
	return true;
}

static bool is_among(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* libc.so.6, libc-2.31.so, libc.so, libc.musl-x86_64.so.1, ld-musl-x86_64.so.1 (musl's libc). */
static bool is_libc(const char *module)
{
	const char *name = basename_of(module);
	bool versioned = starts_with(name, "libc-") && name[5] >= '0' && name[5] <= '9';
	return versioned || starts_with(name, "libc.so") || starts_with(name, "libc.musl-") ||
	       starts_with(name, "ld-musl-");
}

/*
 * What the C library allocates (a stream's buffer, a thread's stack) is held for the line that
 * called it, whether or not libc's own debug information is installed; so is what it calls before
 * main.
 */
static bool is_runtime(const char *module)
{
	const char *name = basename_of(module);
	bool versioned = starts_with(name, "ld-") && name[3] >= '0' && name[3] <= '9';
	return is_libc(module) || versioned || starts_with(name, "ld-linux");
}

static bool is_c_allocator(const struct snapshot_frame *frame)
{
	char name[48];
	if (!plain_name(frame->function, name, sizeof name))
		return false;
	if (is_among(name, allocator_names, sizeof allocator_names / sizeof *allocator_names))
		return true;
	return frame->module && is_libc(frame->module) &&
	       is_among(name, libc_names, sizeof libc_names / sizeof *libc_names);
}

/*
 * Where the qualified name begins in a demangled function: behind the return type that templates
 * carry, which ends at the last space outside brackets and before the parameters. The space of a
 * conversion operator (T::operator std::string) ends no type.
 */
static const char *qualified_name(const char *function)
{
	static const char word[] = "operator";
	const size_t length = sizeof word - 1;
	const char *name = function;
	int depth = 0;
	for (const char *s = function; *s && !(depth == 0 && *s == '('); s++) {
		if (*s == '<')
			depth++;
		else if (*s == '>')
			depth--;
		else if (*s == ' ' && depth == 0 &&
			 !((size_t)(s - function) >= length && !memcmp(s - length, word, length)))
			name = s + 1;
	}
	return name;
}

/* Mangled names of std and __gnu_cxx (Itanium C++ ABI, 5.1.4 and 5.1.8 with its abbreviations). */
static bool is_std_linkage(const char *linkage)
{
	static const char *const prefixes[] = {
		"_ZSt",	  "_ZNSt", "_ZNKSt", "_ZNSa",	      "_ZNSb",
		"_ZNKSb", "_ZNSs", "_ZNKSs", "_ZN9__gnu_cxx", "_ZNK9__gnu_cxx",
	};
	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
		if (starts_with(linkage, prefixes[i]))
			return true;
	return false;
}

static bool is_cxx_wrapper(const struct snapshot_frame *frame)
{
	if (frame->linkage && is_std_linkage(frame->linkage))
		return true;
	if (!frame->function)
		return false;
	const char *name = qualified_name(frame->function);
	return starts_with(frame->function, "operator new") || starts_with(name, "std::") ||
	       starts_with(name, "__gnu_cxx::");
}

/* Rust manglings: v0 begins with _R, the older one ends in a hash: 17h and 16 digits, then E. */
static bool is_rust(const struct snapshot_frame *frame)
{
	if (frame->linkage) {
		size_t length = strlen(frame->linkage);
		return starts_with(frame->linkage, "_R") ||
		       (length > 20 && memcmp(frame->linkage + length - 20, "17h", 3) == 0 &&
			frame->linkage[length - 1] == 'E');
	}
	return !frame->file || ends_with(frame->file, ".rs");
}

static bool is_rust_wrapper(const struct snapshot_frame *frame)
{
	static const char *const always[] = {"__rust_alloc", "__rust_realloc", "__rg_", "__rdl_"};
	/* A C++ namespace may be called core as well, so these need another sign of Rust. */
	static const char *const in_rust[] = {"alloc::", "core::", "<alloc::", "<core::", "<std::"};
	for (size_t i = 0; i < sizeof always / sizeof *always; i++)
		if (starts_with(frame->function, always[i]))
			return true;
	for (size_t i = 0; i < sizeof in_rust / sizeof *in_rust; i++)
		if (starts_with(frame->function, in_rust[i]))
			return is_rust(frame);
	return false;
}

/*
 * Headers of the C++ library, where its templates are expanded; sources of Rust's library, with the
 * crates it is built of.
 */
static bool is_wrapper_file(const char *file)
{
	return strstr(file, "/include/c++/") || fnmatch("*/rustc[-/]*/library/*", file, 0) == 0 ||
	       starts_with(file, "/rust/deps/");
}

static bool is_allocator(const struct snapshot_frame *frame)
{
	if (frame->file && is_wrapper_file(frame->file))
		return true;
	if (is_cxx_wrapper(frame))
		return true;
	return frame->function && (is_c_allocator(frame) || is_rust_wrapper(frame));
}

static bool matches(const char *pattern, const char *string)
{
	return string && fnmatch(pattern, string, 0) == 0;
}

static bool is_skipped(const struct snapshot_frame *frame, const struct query *query)
{
	const char *module = frame->module ? basename_of(frame->module) : NULL;
	for (size_t i = 0; i < query->skip_count; i++) {
		const char *pattern = query->skip[i];
		if (matches(pattern, frame->function) || matches(pattern, frame->file) ||
		    matches(pattern, frame->label) || matches(pattern, module))
			return true;
	}
	return false;
}

static enum frame_class classify(const struct snapshot_frame *frame, const struct query *query)
{
	if (is_allocator(frame))
		return FRAME_ALLOCATOR;
	if (is_skipped(frame, query))
		return FRAME_SKIPPED;
	return frame->module && is_runtime(frame->module) ? FRAME_RUNTIME : FRAME_PLAIN;
}

struct error *charge_init(struct charge *charge, const struct snapshot *snapshot,
			  const struct query *query)
{
	uint8_t *classes = calloc(snapshot->frame_count + 1, sizeof *classes);
	if (!classes)
		return error_no_memory();
	*charge = (struct charge){.snapshot = snapshot, .query = query, .classes = classes};
	return NULL;
}

void charge_deinit(struct charge *charge)
{
	free(charge->classes);
	*charge = (struct charge){0};
}

/* Names are looked at once a frame, however many stacks it stands on; 0 is "not yet". */
static enum frame_class class_of(struct charge *charge, uint32_t frame)
{
	uint8_t *class = &charge->classes[frame];
	if (!*class)
		*class = 1 + (uint8_t)classify(&charge->snapshot->frames[frame], charge->query);
	return (enum frame_class)(*class - 1);
}

/* Whether the rule charges frames of the class at all, be it for want of a better one. */
static bool is_own(const struct charge *charge, enum frame_class class)
{
	return class == FRAME_PLAIN ||
	       (class == FRAME_RUNTIME && charge->query->charge == QUERY_CHARGE_CALLEE);
}

size_t charge_frame(struct charge *charge, const struct snapshot_site *site)
{
	/* The best so far without a line, by class: what the user wants least comes last. */
	size_t first[] = {[FRAME_PLAIN] = SIZE_MAX,
			  [FRAME_RUNTIME] = SIZE_MAX,
			  [FRAME_SKIPPED] = SIZE_MAX,
			  [FRAME_ALLOCATOR] = SIZE_MAX};
	bool callee = charge->query->charge == QUERY_CHARGE_CALLEE;
	for (size_t i = 0; i < site->frame_count; i++) {
		uint32_t index = charge->snapshot->stacks[site->first_frame + i];
		const struct snapshot_frame *frame = &charge->snapshot->frames[index];
		enum frame_class class = class_of(charge, index);
		if (is_own(charge, class) && (callee || (frame->file && frame->line)))
			return i;
		if (first[class] == SIZE_MAX)
			first[class] = i;
	}
	for (size_t class = 0; class < sizeof first / sizeof *first; class ++)
		if (first[class] != SIZE_MAX)
			return first[class];
	return SIZE_MAX;
}

bool charge_counts(struct charge *charge, const struct snapshot_site *site, size_t i)
{
	return is_own(charge, class_of(charge, charge->snapshot->stacks[site->first_frame + i]));
}
