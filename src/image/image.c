/* SPDX-License-Identifier: MIT */
#include "image/image.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "image/private.h"

enum {
	SEGMENTS_MAX = 4096,	 /* real files have a dozen; PN_XNUM would allow 2^32 */
	STRING_MAX_BYTES = 4096, /* of a soname or an interpreter's path */
	DYNAMIC_MAX_BYTES = 1 << 20,
	PAGE_BYTES = 4096,
	/*
	 * Larger files are mapped, as their debug information would weigh on our memory. Smaller
	 * ones are read: one that is truncated under a mapping would kill us by SIGBUS.
	 */
	READ_MAX_BYTES = 256 << 20,
};

static struct error *bad_input(const struct image *image, const char *what)
{
	return error_new(ERROR_BAD_INPUT, "\"%s\": %s", image->path, what);
}

static struct error *read_header(struct image *image)
{
	GElf_Ehdr header;
	if (elf_kind(image->elf) != ELF_K_ELF || !gelf_getehdr(image->elf, &header))
		return bad_input(image, "is no ELF file");
	if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64 ||
	    header.e_ident[EI_DATA] != ELFDATA2LSB)
		return error_new(ERROR_UNSUPPORTED, "\"%s\": is not built for x86-64", image->path);
	if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
		return error_new(ERROR_UNSUPPORTED,
				 "\"%s\": is neither an executable nor a shared object",
				 image->path);
	return NULL;
}

static struct error *add_segment(struct image *image, const GElf_Phdr *header)
{
	uint64_t end;
	if (header->p_filesz > header->p_memsz ||
	    __builtin_add_overflow(header->p_vaddr, header->p_memsz, &end) ||
	    __builtin_add_overflow(header->p_offset, header->p_filesz, &end))
		return bad_input(image, "a segment's size is out of range");
	image->segments[image->segments_count++] = (struct image_segment){
		.start = {header->p_vaddr},
		.memory_bytes = header->p_memsz,
		.file_offset = header->p_offset,
		.file_bytes = header->p_filesz,
		.executable = header->p_flags & PF_X,
	};
	return NULL;
}

static struct error *read_segments(struct image *image)
{
	size_t count;
	if (elf_getphdrnum(image->elf, &count) != 0 || count > SEGMENTS_MAX)
		return bad_input(image, "the program header table is malformed");
	image->segments = calloc(count + 1, sizeof *image->segments);
	if (!image->segments)
		return error_no_memory();
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr header;
		if (!gelf_getphdr(image->elf, (int)i, &header))
			return bad_input(image, "the program header table is malformed");
		if (header.p_type != PT_LOAD)
			continue;
		struct error *err = add_segment(image, &header);
		if (err)
			return err;
	}
	return NULL;
}

/* The first program header of that type; false if none. */
static bool find_header(const struct image *image, GElf_Word type, GElf_Phdr *ret)
{
	size_t count;
	if (elf_getphdrnum(image->elf, &count) != 0)
		return false;
	for (size_t i = 0; i < count; i++)
		if (gelf_getphdr(image->elf, (int)i, ret) && ret->p_type == type)
			return true;
	return false;
}

/* The segment whose part in the file holds count bytes at address, NULL if none. */
static const struct image_segment *file_segment(const struct image *image, uint64_t address,
						size_t count)
{
	for (size_t i = 0; i < image->segments_count; i++) {
		const struct image_segment *segment = &image->segments[i];
		if (address >= segment->start.v &&
		    address - segment->start.v <= segment->file_bytes &&
		    count <= segment->file_bytes - (address - segment->start.v))
			return segment;
	}
	return NULL;
}

/* The string of the loaded file at address, NULL where there is none: names are no necessity. */
static struct error *read_string(const struct image *image, uint64_t address, char **ret)
{
	*ret = NULL;
	const struct image_segment *segment = file_segment(image, address, 1);
	if (!segment)
		return NULL;
	uint64_t rest = segment->file_bytes - (address - segment->start.v);
	size_t count = rest < STRING_MAX_BYTES ? rest : STRING_MAX_BYTES;
	_cleanup_free_ char *string = malloc(count);
	if (!string)
		return error_no_memory();
	struct error *err = image_read(image, (image_addr){address}, string, count);
	if (error_catch(&err, ERROR_FAULT))
		return NULL;
	if (err)
		return err;
	if (memchr(string, '\0', count) && string[0] != '\0')
		*ret = take_ptr(string);
	return NULL;
}

static struct error *read_interpreter(struct image *image)
{
	GElf_Phdr header;
	if (!find_header(image, PT_INTERP, &header))
		return NULL;
	return read_string(image, header.p_vaddr, &image->interpreter);
}

/* The entries of the dynamic section up to its end, none where there is none. */
static struct error *read_dynamic(const struct image *image, Elf64_Dyn **ret, size_t *count_ret)
{
	GElf_Phdr header;
	*count_ret = 0;
	if (!find_header(image, PT_DYNAMIC, &header))
		return NULL;
	size_t bytes = header.p_filesz < DYNAMIC_MAX_BYTES ? header.p_filesz : DYNAMIC_MAX_BYTES;
	size_t count = bytes / sizeof(Elf64_Dyn);
	_cleanup_free_ Elf64_Dyn *entries = calloc(count + 1, sizeof *entries);
	if (!entries)
		return error_no_memory();
	struct error *err =
		image_read(image, (image_addr){header.p_vaddr}, entries, count * sizeof *entries);
	if (error_catch(&err, ERROR_FAULT) || err)
		return err;
	while (*count_ret < count && entries[*count_ret].d_tag != DT_NULL)
		(*count_ret)++;
	*ret = take_ptr(entries);
	return NULL;
}

static uint64_t string_table(const Elf64_Dyn *entries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (entries[i].d_tag == DT_STRTAB)
			return entries[i].d_un.d_ptr;
	return 0;
}

static struct error *read_soname(struct image *image)
{
	_cleanup_free_ Elf64_Dyn *entries = NULL;
	size_t count;
	struct error *err = read_dynamic(image, &entries, &count);
	uint64_t strings = string_table(entries, count);
	for (size_t i = count; !err && i-- > 0;)
		if (entries[i].d_tag == DT_SONAME)
			return read_string(image, strings + entries[i].d_un.d_val, &image->soname);
	return err;
}

bool image_needs(const struct image *image, const char *prefix)
{
	_cleanup_free_ Elf64_Dyn *entries = NULL;
	size_t count;
	_cleanup_error_ struct error *err = read_dynamic(image, &entries, &count);
	uint64_t strings = string_table(entries, count);
	for (size_t i = 0; !err && i < count; i++) {
		_cleanup_free_ char *name = NULL;
		if (entries[i].d_tag == DT_NEEDED)
			err = read_string(image, strings + entries[i].d_un.d_val, &name);
		if (name && strncmp(name, prefix, strlen(prefix)) == 0)
			return true;
	}
	return false;
}

struct error *image_needed(const struct image *image, size_t index, char **ret)
{
	_cleanup_free_ Elf64_Dyn *entries = NULL;
	size_t count;
	*ret = NULL;
	struct error *err = read_dynamic(image, &entries, &count);
	uint64_t strings = string_table(entries, count);
	for (size_t i = 0; !err && i < count; i++)
		if (entries[i].d_tag == DT_NEEDED && index-- == 0)
			return read_string(image, strings + entries[i].d_un.d_val, ret);
	return err;
}

static void read_build_id(struct image *image)
{
	const void *bits;
	ssize_t count = dwelf_elf_gnu_build_id(image->elf, &bits);
	if (count <= 0 || (size_t)count > sizeof image->build_id)
		return;
	memcpy(image->build_id, bits, (size_t)count);
	image->build_id_count = (size_t)count;
}

static struct error *copy_options(struct image *image, const struct image_options *options)
{
	if (!options)
		return NULL;
	image->debug_paths = options->debug_paths;
	if (!options->root)
		return NULL;
	image->root_fd = open(options->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	image->path_in_root = strdup(options->path_in_root ? options->path_in_root : image->path);
	return image->path_in_root ? NULL : error_no_memory();
}

Elf *image_elf_begin(int fd)
{
	struct stat status;
	if (fstat(fd, &status) != 0)
		return NULL;
	bool mapped = status.st_size > READ_MAX_BYTES;
	return elf_begin(fd, mapped ? ELF_C_READ_MMAP_PRIVATE : ELF_C_READ, NULL);
}

static struct error *check_regular(const struct image *image)
{
	struct stat status;
	if (fstat(image->fd, &status) != 0)
		return error_system(errno, "\"%s\": cannot stat", image->path);
	if (!S_ISREG(status.st_mode))
		return bad_input(image, "is no regular file");
	return NULL;
}

static struct error *read_all(struct image *image, const struct image_options *options)
{
	struct error *err = check_regular(image);
	if (err)
		return err;
	if (elf_version(EV_CURRENT) == EV_NONE)
		return error_new(ERROR_UNSUPPORTED, "libelf is of another version");
	image->elf = image_elf_begin(image->fd);
	if (!image->elf)
		return bad_input(image, "is no ELF file");
	err = read_header(image);
	if (!err)
		err = read_segments(image);
	if (!err)
		err = read_interpreter(image);
	if (!err)
		err = read_soname(image);
	if (err)
		return err;
	read_build_id(image);
	return copy_options(image, options);
}

struct error *image_open(int fd, const char *path, const struct image_options *options,
			 struct image **ret)
{
	_cleanup_close_ int guarded_fd = fd;
	_cleanup_image_ struct image *image = calloc(1, sizeof *image);
	if (!image)
		return error_no_memory();
	image->fd = guarded_fd;
	guarded_fd = -1;
	image->root_fd = -1;
	image->path = strdup(path);
	if (!image->path)
		return error_no_memory();
	struct error *err = read_all(image, options);
	if (err)
		return err;
	*ret = take_ptr(image);
	return NULL;
}

struct error *image_reopen(const struct image *image, struct image **ret)
{
	char path[64], root[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", image->fd);
	snprintf(root, sizeof root, "/proc/self/fd/%d", image->root_fd);
	struct image_options options = {.debug_paths = image->debug_paths,
					.root = image->root_fd >= 0 ? root : NULL,
					.path_in_root = image->path_in_root};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_system(errno, "\"%s\": cannot open it again", image->path);
	return image_open(fd, image->path, &options, ret);
}

void image_close(struct image *image)
{
	if (!image)
		return;
	image_lines_destroy(image->lines);
	image_cfi_destroy(image->cfi);
	image_symbols_destroy(image->symbols);
	image_debug_destroy(image->debug);
	elf_end(image->elf);
	if (image->fd >= 0)
		close(image->fd);
	if (image->root_fd >= 0)
		close(image->root_fd);
	free(image->path_in_root);
	free(image->segments);
	free(image->interpreter);
	free(image->soname);
	free(image->path);
	free(image);
}

const char *image_path(const struct image *image)
{
	return image->path;
}

const char *image_soname(const struct image *image)
{
	return image->soname;
}

const char *image_interpreter(const struct image *image)
{
	return image->interpreter;
}

const uint8_t *image_build_id(const struct image *image, size_t *count_ret)
{
	*count_ret = image->build_id_count;
	return image->build_id;
}

const struct image_segment *image_segments(const struct image *image, size_t *count_ret)
{
	*count_ret = image->segments_count;
	return image->segments;
}

const struct image_segment *image_code_segment(const struct image *image, image_addr address)
{
	for (size_t i = 0; i < image->segments_count; i++) {
		const struct image_segment *segment = &image->segments[i];
		if (segment->executable && address.v >= segment->start.v &&
		    address.v - segment->start.v < segment->memory_bytes)
			return segment;
	}
	return NULL;
}

struct error *image_read(const struct image *image, image_addr address, void *bytes, size_t count)
{
	const struct image_segment *segment = file_segment(image, address.v, count);
	if (!segment)
		return error_new(ERROR_FAULT, "\"%s\": has no %zu bytes at address %#lx",
				 image->path, count, address.v);
	uint64_t offset = segment->file_offset + (address.v - segment->start.v);
	size_t done = 0;
	while (done < count) {
		if (offset + done > INT64_MAX)
			return error_new(ERROR_FAULT, "\"%s\": offset %#lx is out of range",
					 image->path, offset);
		ssize_t got = pread(image->fd, (char *)bytes + done, count - done,
				    (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_system(errno, "\"%s\": cannot read", image->path);
		if (got == 0)
			return error_new(ERROR_FAULT, "\"%s\": ends before offset %#lx",
					 image->path, offset + count);
		done += (size_t)got;
	}
	return NULL;
}

/* Whether the file's bytes at offset belong to the segment, counting whole pages from its start. */
static bool holds_offset(const struct image_segment *segment, uint64_t offset, uint64_t slack_bytes)
{
	uint64_t start = segment->file_offset - (segment->file_offset & slack_bytes);
	return offset >= start &&
	       offset - start < segment->file_bytes + (segment->file_offset - start);
}

bool image_address_of_offset(const struct image *image, uint64_t file_offset, image_addr *ret)
{
	const struct image_segment *found = NULL;
	for (size_t i = 0; i < image->segments_count; i++) {
		const struct image_segment *segment = &image->segments[i];
		bool holds = holds_offset(segment, file_offset,
					  segment->executable ? PAGE_BYTES - 1 : 0);
		if (holds && (!found || (segment->executable && !found->executable)))
			found = segment;
	}
	if (!found)
		return false;
	*ret = (image_addr){found->start.v + (file_offset - found->file_offset)};
	return true;
}
