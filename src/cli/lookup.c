/* SPDX-License-Identifier: MIT */
#include "cli/lookup.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "base/buffer.h"

struct error *lookup_add_debug_path(struct lookup *lookup, const char *directory, bool *ret)
{
	struct stat status;
	*ret = stat(directory, &status) == 0 && S_ISDIR(status.st_mode);
	if (!*ret)
		return NULL;
	if (!array_reserve(&lookup->debug_paths, &lookup->debug_capacity, lookup->debug_count + 2,
			   sizeof *lookup->debug_paths))
		return error_no_memory();
	lookup->debug_paths[lookup->debug_count++] = directory;
	lookup->debug_paths[lookup->debug_count] = NULL;
	return NULL;
}

struct error *lookup_add_source_path(struct lookup *lookup, const char *text, bool *ret)
{
	const char *equals = strchr(text, '=');
	*ret = equals && equals > text && equals[1];
	if (!*ret)
		return NULL;
	if (!array_reserve(&lookup->moves, &lookup->move_capacity, lookup->move_count + 1,
			   sizeof *lookup->moves))
		return error_no_memory();
	lookup->moves[lookup->move_count++] = (struct lookup_move){
		.old = text, .old_bytes = (size_t)(equals - text), .new = equals + 1};
	return NULL;
}

struct error *lookup_add_server(struct lookup *lookup)
{
	uint64_t limit_ns = lookup->fetch_limit_ns ? lookup->fetch_limit_ns : LOOKUP_FETCH_LIMIT_NS;
	return lookup->server ? NULL : debug_server_create(limit_ns, &lookup->server);
}

void lookup_limit_server(struct lookup *lookup, uint64_t limit_ns)
{
	lookup->fetch_limit_ns = limit_ns;
	if (lookup->server)
		debug_server_set_limit(lookup->server, limit_ns);
}

/* "/a" leads "/a/b.c" elsewhere, but not "/ab.c". */
static bool fits(const struct lookup_move *move, const char *file)
{
	char last = move->old[move->old_bytes - 1], next;
	if (strncmp(file, move->old, move->old_bytes) != 0)
		return false;
	next = file[move->old_bytes];
	return last == '/' || next == '/' || !next;
}

const char *lookup_source_line(const struct lookup *lookup, struct image_sources *sources,
			       const char *file, uint32_t line, bool only_moved)
{
	for (size_t i = 0; lookup && i < lookup->move_count; i++) {
		const struct lookup_move *move = &lookup->moves[i];
		if (!fits(move, file))
			continue;
		_cleanup_buffer_ struct buffer path = {0};
		buffer_string(&path, move->new);
		buffer_string(&path, file + move->old_bytes);
		return buffer_failed(&path) ? NULL
					    : image_sources_line(sources, buffer_text(&path), line);
	}
	return only_moved ? NULL : image_sources_line(sources, file, line);
}

void lookup_deinit(struct lookup *lookup)
{
	free(lookup->debug_paths);
	free(lookup->moves);
	debug_server_destroy(lookup->server);
	*lookup = (struct lookup){0};
}
