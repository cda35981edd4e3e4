/* SPDX-License-Identifier: MIT */
/*
 * An image: one ELF file, opened once, shared by every module (mapping of it) of every target.
 *
 * image.c: opening, identity, segments, bytes.    symbols.c: symbols and function bounds.
 * cfi.c: `.eh_frame` compiled into an unwind table.    lines.c: source positions with inlines.
 * debug.c: the separate debug file, and the DWARF that is asked. debug_server.h: where it may come
 * from.    static_probes.c: those of sys/sdt.h.
 * demangle.c, source.c: names and source text.
 * These files are the only place that knows libelf and libdw.
 *
 * All addresses are image_addr: as the ELF file states them (p_vaddr), never biased by a module.
 * Everything a file says is untrusted: bounds are checked, bad input is ERROR_BAD_INPUT, missing
 * debug information is not an error. Called by: stack, probe planning through session; one thread.
 */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include "base/error.h"
#include "base/types.h"
#include "unwind/table.h"

struct debug_server; /* image/debug_server.h */
struct image;

struct image_segment { /* a PT_LOAD */
	image_addr start;
	uint64_t memory_bytes;
	uint64_t file_offset;
	uint64_t file_bytes;
	bool executable;
};

struct image_symbol {
	const char *name; /* owned by the image */
	image_addr start;
	uint64_t size_bytes; /* 0: unknown */
	bool function;	     /* STT_FUNC */
	bool ifunc;	     /* STT_GNU_IFUNC: the address is the resolver's */
	bool exported;	     /* stands in .dynsym */
};

struct image_options {
	/*
	 * Our own directories to be searched before the standard one, ended by NULL; they live as
	 * long as the image. NULL: there are none.
	 */
	const char *const *debug_paths;
	/* Debug files and sources are looked for below this root too ("/proc/PID/root"), NULL: not.
	 */
	const char *root;
	/* What the file is called below the root; NULL: as everywhere. */
	const char *path_in_root;
};

/*
 * Opens an image from an open file descriptor (consumed, also on error) of a regular file; path is
 * its name for people and for the debuglink search. Cheap: debug information is looked for only
 * when a line or a local symbol is first asked for; what is needed stays open, so that it can be
 * read after the target and its files are gone. Errors: ERROR_UNSUPPORTED for an ELF of another
 * machine or class, ERROR_BAD_INPUT for what is no ELF.
 */
struct error *image_open(int fd, const char *path, const struct image_options *options,
			 struct image **ret);

/*
 * The same file opened once more, for another thread: the two share nothing that changes. The file
 * may be gone from its place. May be called while another thread uses `image`.
 */
struct error *image_reopen(const struct image *image, struct image **ret);
void image_close(struct image *image);

const char *image_path(const struct image *image);
/* Whether it lies in a root of its own: image_options.root. */
bool image_has_root(const struct image *image);
/* DT_SONAME, NULL if none. */
const char *image_soname(const struct image *image);
/* Whether it asks for a library (DT_NEEDED) whose name begins with prefix. */
bool image_needs(const struct image *image, const char *prefix);
/*
 * The name of the library (DT_NEEDED) number `index` that it asks for, a new string; NULL: there
 * are not so many. Errors: no memory.
 */
struct error *image_needed(const struct image *image, size_t index, char **ret);
/* PT_INTERP of an executable, NULL if none (static, or a library). */
const char *image_interpreter(const struct image *image);
/* The GNU build-id; *count_ret 0 if none. */
const uint8_t *image_build_id(const struct image *image, size_t *count_ret);
const struct image_segment *image_segments(const struct image *image, size_t *count_ret);

/* Reads bytes of a loaded segment as the file has them. ERROR_FAULT outside of the file's part. */
struct error *image_read(const struct image *image, image_addr address, void *bytes, size_t count);

/*
 * The address a file offset of an executable or other PT_LOAD is loaded at; used to find the load
 * bias of a mapping. Mappings start at whole pages: the bytes of a page before the start of an
 * executable segment count as its own, even where another segment ends there. False if no segment
 * holds it.
 */
bool image_address_of_offset(const struct image *image, uint64_t file_offset, image_addr *ret);

/*
 * A defined function by exact name: .dynsym first (the default version of a versioned symbol), then
 * .symtab or, where that was stripped, .gnu_debugdata and the separate debug file. ERROR_NOT_FOUND.
 */
struct error *image_symbol_find(struct image *image, const char *name, struct image_symbol *ret);

/* The same where no other file than the image's own is to be opened for it: cheap for a file that
 * was stripped, which is then known by .dynsym alone. */
struct error *image_symbol_find_here(struct image *image, const char *name,
				     struct image_symbol *ret);

/* Calls visit for every defined symbol of every table until it returns false. */
struct error *image_symbols_visit(struct image *image,
				  bool (*visit)(void *context, const struct image_symbol *symbol),
				  void *context);

/* The function symbol that holds address (largest start not above it, within its size). */
bool image_symbol_at(struct image *image, image_addr address, struct image_symbol *ret);

/*
 * The bounds of the function part around address: its FDE in .eh_frame, else its symbol. False if
 * neither knows it.
 */
bool image_function_bounds(struct image *image, image_addr address, image_addr *start_ret,
			   image_addr *end_ret);

/* A place that sys/sdt.h has marked. Strings are owned by the image, and as untrusted as it is. */
struct image_static_probe {
	image_addr address;   /* of an instruction that does nothing */
	image_addr semaphore; /* of a 16-bit count of those who look at it; 0: there is none */
	const char *provider, *name;
	const char *arguments; /* see arch/operand.h */
};

/* Calls visit for each of them until it returns false. What is malformed is left out. */
void image_static_probes_visit(const struct image *image,
			       bool (*visit)(void *context, const struct image_static_probe *probe),
			       void *context);

/* The compact unwind table; empty (count 0) where the file has no .eh_frame. Owned by the image. */
struct error *image_unwind_table(struct image *image, const struct unwind_table **ret);

/* One source position. Strings are owned by the image, valid until image_close. */
struct image_position {
	const char *file;     /* full path, NULL: unknown */
	const char *label;    /* without the compilation directory, NULL: unknown */
	const char *linkage;  /* mangled name, NULL: unknown */
	const char *function; /* demangled, without the parameter list's noise; NULL: unknown */
	uint32_t line;	      /* 0: unknown */
	bool inlined;	      /* inlined into the position that follows */
};

/*
 * The source positions of the code at address (already inside the call: return address - 1),
 * innermost inline first; at least one, perhaps with all fields unknown. *positions_ret is owned by
 * the image and valid until the next call for it.
 */
struct error *image_positions(struct image *image, image_addr address,
			      const struct image_position **positions_ret, size_t *count_ret);

/*
 * Asks a server for the debug file of an image that has none, once, before any line of it is asked
 * for; whatever the answer, lines can be asked for then. Errors: of debug_server_fetch; no memory.
 */
struct error *image_fetch_debug(struct image *image, struct debug_server *server);

/* Whether line information was found for this image (asks for the debug file if need be). */
bool image_has_lines(struct image *image);

/* The separate debug file, which is looked for now if need be; NULL: there is none. */
const char *image_debug_path(struct image *image);

/* Demangles a C++ or Rust name; returns a new string, NULL if it is neither. */
char *image_demangle(const char *linkage);

/*
 * Source text, cached by file. Only regular files up to 64 MiB are read. The text is valid until
 * the next call; NULL where there is none.
 */
struct image_sources;
struct error *image_sources_create(struct image_sources **ret);
/* Of files below the root that the image lies in; ERROR_SYSTEM. */
struct error *image_sources_create_in_root(const struct image *image, struct image_sources **ret);
void image_sources_destroy(struct image_sources *sources);
const char *image_sources_line(struct image_sources *sources, const char *file, uint32_t line);

static inline void cleanup_imagep(struct image **image)
{
	image_close(*image);
}
#define _cleanup_image_ __attribute__((__cleanup__(cleanup_imagep)))

#endif
