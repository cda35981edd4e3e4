/* SPDX-License-Identifier: MIT */
#include "image/debug_file.h"

#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <lzma.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/buffer.h"
#include "base/cleanup.h"

#define SYSTEM_DIRECTORY "/usr/lib/debug"

enum {
	OPEN_FLAGS = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
	CHUNK_BYTES = 1 << 16,
};
/* A sparse file could keep us computing its CRC for hours. */
static const off_t crc_max_bytes = (off_t)4 << 30;

/* Whose a directory is: the target's, the system's, or the user's who named it. */
enum owner { OF_TARGET, OF_SYSTEM, OF_USER };

/* Which file is meant. Invariant: build_id_count > 0 || crc_known, else there is no search. */
struct search {
	const struct image *image;
	const void *build_id;
	size_t build_id_count;
	uint32_t crc;
	bool crc_known;
	struct debug_file *found;
};

void debug_file_destroy(struct debug_file *file)
{
	if (!file)
		return;
	elf_end(file->elf);
	if (file->fd >= 0)
		close(file->fd);
	free(file->path);
	free(file->directory);
	free(file);
}

static void destroyp(struct debug_file **file)
{
	debug_file_destroy(*file);
}

struct error *debug_file_directory(const char *path, char **ret)
{
	const char *slash = strrchr(path, '/');
	*ret = !slash ? strdup(".") : slash == path ? strdup("/") : strndup(path, slash - path);
	return *ret ? NULL : error_no_memory();
}

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static bool is_name(const char *name)
{
	return name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int open_in_root(const struct image *image, const char *path)
{
	if (image->root_fd < 0)
		return -1;
	struct open_how how = {.flags = OPEN_FLAGS,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	return (int)syscall(SYS_openat2, image->root_fd, path, &how, sizeof how);
}

/* A regular file, and not the image itself: a debuglink may carry the image's own name. */
static bool is_candidate(const struct image *image, int fd, struct stat *status)
{
	struct stat own;
	return fstat(fd, status) == 0 && S_ISREG(status->st_mode) && fstat(image->fd, &own) == 0 &&
	       (own.st_dev != status->st_dev || own.st_ino != status->st_ino);
}

static bool has_crc(int fd, uint32_t wanted)
{
	struct stat status;
	if (fstat(fd, &status) != 0 || status.st_size > crc_max_bytes)
		return false;
	_cleanup_free_ uint8_t *chunk = malloc(CHUNK_BYTES);
	uint32_t crc = 0;
	off_t offset = 0;
	ssize_t got = -1;
	while (chunk && (got = pread(fd, chunk, CHUNK_BYTES, offset)) > 0) {
		crc = lzma_crc32(chunk, (size_t)got, crc);
		offset += got;
	}
	return got == 0 && crc == wanted;
}

static bool matches(const struct search *search, const struct debug_file *file)
{
	const void *build_id;
	ssize_t count = dwelf_elf_gnu_build_id(file->elf, &build_id);
	if (count > 0 && search->build_id_count > 0)
		return (size_t)count == search->build_id_count &&
		       memcmp(build_id, search->build_id, search->build_id_count) == 0;
	return search->crc_known && has_crc(file->fd, search->crc);
}

/* Takes the file behind fd (consumed) if it is the one searched for. */
static struct error *take(struct search *search, int fd, const char *path)
{
	_cleanup_close_ int guarded_fd = fd;
	struct stat status;
	if (!is_candidate(search->image, fd, &status))
		return NULL;
	__attribute__((__cleanup__(destroyp))) struct debug_file *file = calloc(1, sizeof *file);
	if (!file)
		return error_no_memory();
	file->fd = guarded_fd;
	guarded_fd = -1;
	file->path = strdup(path);
	if (!file->path)
		return error_no_memory();
	struct error *err = debug_file_directory(path, &file->directory);
	if (err)
		return err;
	file->elf = image_elf_begin(fd);
	if (file->elf && elf_kind(file->elf) == ELF_K_ELF && matches(search, file))
		search->found = take_ptr(file);
	return NULL;
}

/*
 * Looks for "directory middle/name" below the target's root, unless the directory is the user's;
 * then, if there is none or the directory is not the target's own, on the system itself. A link in
 * there could lead anywhere.
 */
static struct error *look(struct search *search, const char *directory, const char *middle,
			  const char *name, enum owner owner)
{
	_cleanup_buffer_ struct buffer path = {0};
	buffer_printf(&path, "%s%s/%s", directory, middle, name);
	if (buffer_failed(&path))
		return error_no_memory();
	bool outside = owner != OF_TARGET || search->image->root_fd < 0;
	for (int i = owner == OF_USER; i < (outside ? 2 : 1) && !search->found; i++) {
		int fd = i == 0 ? open_in_root(search->image, buffer_text(&path))
				: open(buffer_text(&path), OPEN_FLAGS);
		struct error *err = fd < 0 ? NULL : take(search, fd, buffer_text(&path));
		if (err)
			return err;
	}
	return NULL;
}

static struct error *look_in_bases(struct search *search, const char *middle, const char *name)
{
	const char *const *own = search->image->debug_paths;
	for (; !search->found && own && *own; own++) {
		struct error *err = look(search, *own, middle, name, OF_USER);
		if (err)
			return err;
	}
	return search->found ? NULL : look(search, SYSTEM_DIRECTORY, middle, name, OF_SYSTEM);
}

/* BASE/.build-id/12/34abcd.debug, from the bytes of the build-id and nothing else. */
static struct error *look_by_build_id(struct search *search)
{
	if (search->build_id_count < 2)
		return NULL;
	_cleanup_buffer_ struct buffer name = {0};
	const uint8_t *bytes = search->build_id;
	for (size_t i = 0; i < search->build_id_count; i++)
		buffer_printf(&name, i == 1 ? "/%02x" : "%02x", bytes[i]);
	buffer_string(&name, ".debug");
	if (buffer_failed(&name))
		return error_no_memory();
	return look_in_bases(search, "/.build-id", buffer_text(&name));
}

static struct error *look_by_link(struct search *search, const char *link)
{
	const char *name = last_component(link);
	if (!is_name(name))
		return NULL;
	_cleanup_free_ char *directory = NULL;
	const struct image *image = search->image;
	struct error *err = debug_file_directory(
		image->root_fd >= 0 ? image->path_in_root : image->path, &directory);
	if (!err)
		err = look(search, directory, "", name, OF_TARGET);
	if (!err && !search->found)
		err = look(search, directory, "/.debug", name, OF_TARGET);
	if (!err && !search->found && directory[0] == '/')
		err = look_in_bases(search, directory, name);
	if (!err && !search->found)
		err = look_in_bases(search, "", name);
	return err;
}

struct error *debug_file_find(const struct image *image, struct debug_file **ret)
{
	GElf_Word crc = 0;
	const char *link = dwelf_elf_gnu_debuglink(image->elf, &crc);
	struct search search = {
		.image = image,
		.build_id = image->build_id,
		.build_id_count = image->build_id_count,
		.crc = crc,
		.crc_known = link != NULL,
	};
	struct error *err = look_by_build_id(&search);
	if (!err && !search.found && link)
		err = look_by_link(&search, link);
	*ret = search.found;
	return err;
}

struct error *debug_file_find_alternate(const struct image *image, const char *directory,
					const char *name, const void *build_id,
					size_t build_id_count, struct debug_file **ret)
{
	struct search search = {
		.image = image, .build_id = build_id, .build_id_count = build_id_count};
	const char *last = last_component(name);
	struct error *err = look_by_build_id(&search);
	*ret = search.found;
	if (err || search.found || !is_name(last))
		return err;
	err = look(&search, directory, "", last, OF_SYSTEM);
	if (!err && !search.found)
		err = look(&search, directory, "/.dwz", last, OF_SYSTEM);
	if (!err && !search.found)
		err = look_in_bases(&search, "/.dwz", last);
	if (!err && !search.found)
		err = look_in_bases(&search, "/.dwz/x86_64-linux-gnu", last);
	*ret = search.found;
	return err;
}

struct error *debug_file_fetch(const struct image *image, struct debug_server *server,
			       const void *build_id, size_t build_id_count, struct debug_file **ret)
{
	struct search search = {
		.image = image, .build_id = build_id, .build_id_count = build_id_count};
	_cleanup_free_ char *path = NULL;
	int fd;
	*ret = NULL;
	struct error *err =
		debug_server_fetch(server, build_id, build_id_count, image->path, &fd, &path);
	if (err || fd < 0)
		return err;
	err = take(&search, fd, path);
	*ret = search.found;
	return err;
}
