/* SPDX-License-Identifier: MIT */
#include "image/line_files.h"

#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"

static char *normalise(const char *path)
{
	char *copy = malloc(strlen(path) + 1);
	if (!copy)
		return NULL;
	char *to = copy;
	for (const char *from = path; *from; from++) {
		bool after_slash = to > copy && to[-1] == '/';
		if (after_slash && *from == '/')
			continue;
		if (after_slash && from[0] == '.' && from[1] == '/') {
			from++;
			continue;
		}
		*to++ = *from;
	}
	*to = 0;
	return copy;
}

struct error *line_files_init(struct line_files *files, const char *directory)
{
	*files = (struct line_files){0};
	if (!directory)
		return NULL;
	files->directory = normalise(directory);
	return files->directory ? NULL : error_no_memory();
}

void line_files_deinit(struct line_files *files)
{
	struct map_entry *entry;
	for (size_t cursor = 0; (entry = map_next(&files->files, &cursor));) {
		struct line_file *file = entry->value;
		free(file->path);
		free(file);
	}
	map_deinit(&files->files);
	free(files->directory);
}

static char *full_path(const char *path, const char *directory)
{
	_cleanup_buffer_ struct buffer full = {0};
	if (path[0] != '/' && directory)
		buffer_printf(&full, "%s/", directory);
	buffer_string(&full, path);
	return buffer_failed(&full) ? NULL : normalise(buffer_text(&full));
}

static const char *below(const char *path, const char *directory)
{
	size_t count = directory ? strlen(directory) : 0;
	while (count && directory[count - 1] == '/')
		count--;
	if (!count || strncmp(path, directory, count) != 0 || path[count] != '/')
		return path;
	const char *rest = path + count + 1;
	return *rest && strncmp(rest, "../", 3) != 0 ? rest : path;
}

struct error *line_files_find(struct line_files *files, const char *path,
			      const struct line_file **ret)
{
	*ret = map_get(&files->files, (uintptr_t)path);
	if (*ret)
		return NULL;
	_cleanup_free_ char *full = full_path(path, files->directory);
	_cleanup_free_ struct line_file *file = malloc(sizeof *file);
	if (!full || !file || !map_put(&files->files, (uintptr_t)path, file))
		return error_no_memory();
	file->label = below(full, files->directory);
	file->path = take_ptr(full);
	*ret = take_ptr(file);
	return NULL;
}
