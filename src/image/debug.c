/* SPDX-License-Identifier: MIT */
#include <elfutils/libdwelf.h>
#include <gelf.h>
#include <lzma.h>
#include <string.h>

#include "base/cleanup.h"
#include "image/debug_file.h"
#include "image/private.h"

enum {
	MINI_MAX_BYTES = 256 << 20, /* of .gnu_debugdata, unpacked; real ones have a few MiB */
	MINI_MEMORY_BYTES = 128 << 20,
};

/* An ELF file with one section, .debug_info, of one byte. */
struct empty_file {
	Elf64_Ehdr header;
	Elf64_Shdr sections[3];
	char names[24];
	char info[8];
};

/*
 * Each xxx_known says that its answer was looked for, and is final, also after an error.
 * Invariant: dwarf reads image->elf or file->elf; file, mini and alternate may be NULL for good.
 */
struct image_debug {
	bool file_known;
	struct debug_file *file;
	uint64_t file_bias;

	bool dwarf_known;
	Dwarf *dwarf;
	uint64_t dwarf_bias;

	struct debug_server *server; /* to be asked for the alternate file; NULL: nobody is */
	bool server_asked;

	struct debug_file *alternate;
	struct empty_file *empty;
	Elf *empty_elf;
	Dwarf *alternate_dwarf;

	bool mini_known;
	uint8_t *mini_bytes;
	Elf *mini;
};

static struct error *get_debug(struct image *image, struct image_debug **ret)
{
	if (!image->debug)
		image->debug = calloc(1, sizeof *image->debug);
	*ret = image->debug;
	return *ret ? NULL : error_no_memory();
}

void image_debug_destroy(struct image_debug *debug)
{
	if (!debug)
		return;
	dwarf_end(debug->dwarf);
	dwarf_end(debug->alternate_dwarf);
	elf_end(debug->empty_elf);
	free(debug->empty);
	debug_file_destroy(debug->alternate);
	debug_file_destroy(debug->file);
	elf_end(debug->mini);
	free(debug->mini_bytes);
	free(debug);
}

static Elf_Scn *find_section(Elf *elf, const char *name, GElf_Shdr *header_ret)
{
	size_t names;
	Elf_Scn *section = NULL;
	if (elf_getshdrstrndx(elf, &names) != 0)
		return NULL;
	while ((section = elf_nextscn(elf, section))) {
		if (!gelf_getshdr(section, header_ret) || header_ret->sh_type == SHT_NOBITS)
			continue;
		const char *found = elf_strptr(elf, names, header_ret->sh_name);
		if (found && strcmp(found, name) == 0)
			return section;
	}
	return NULL;
}

const Elf_Data *image_section(Elf *elf, const char *name, uint64_t *address_ret)
{
	GElf_Shdr header;
	Elf_Scn *section = find_section(elf, name, &header);
	if (!section)
		return NULL;
	if (address_ret)
		*address_ret = header.sh_addr;
	if ((header.sh_flags & SHF_COMPRESSED) && elf_compress(section, 0, 0) < 0)
		return NULL;
	Elf_Data *data = elf_rawdata(section, NULL);
	return data && data->d_buf && data->d_size > 0 ? data : NULL;
}

static bool has_info(Elf *elf)
{
	GElf_Shdr header;
	return find_section(elf, ".debug_info", &header) ||
	       find_section(elf, ".zdebug_info", &header);
}

/* The address of the first executable PT_LOAD. */
static bool code_start(Elf *elf, uint64_t *ret)
{
	size_t count;
	GElf_Phdr header;
	if (elf_getphdrnum(elf, &count) != 0)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!gelf_getphdr(elf, (int)i, &header) || header.p_type != PT_LOAD ||
		    !(header.p_flags & PF_X))
			continue;
		*ret = header.p_vaddr;
		return true;
	}
	return false;
}

/* What prelink moved the image by after its debug file was split off; 0 where it cannot be told. */
static uint64_t bias_of(const struct image *image, Elf *elf)
{
	uint64_t own, other;
	return code_start(image->elf, &own) && code_start(elf, &other) ? other - own : 0;
}

struct error *image_debug_elf(struct image *image, Elf **ret, uint64_t *bias_ret)
{
	struct image_debug *debug;
	struct error *err = get_debug(image, &debug);
	if (err)
		return err;
	if (!debug->file_known) {
		debug->file_known = true;
		err = debug_file_find(image, &debug->file);
		if (err)
			return err;
		if (debug->file)
			debug->file_bias = bias_of(image, debug->file->elf);
	}
	*ret = debug->file ? debug->file->elf : NULL;
	*bias_ret = debug->file_bias;
	return NULL;
}

const char *image_debug_path(struct image *image)
{
	Elf *elf;
	uint64_t bias;
	_cleanup_error_ struct error *err = image_debug_elf(image, &elf, &bias);
	return !err && image->debug->file ? image->debug->file->path : NULL;
}

/*
 * Stands in for an alternate file that was not found. Without it libdw would look by itself, by the
 * full name the file states, and could be led to a FIFO.
 */
static struct error *open_empty(struct image_debug *debug)
{
	struct empty_file *empty = calloc(1, sizeof *empty);
	if (!empty)
		return error_no_memory();
	debug->empty = empty;
	memcpy(empty->header.e_ident, ELFMAG, SELFMAG);
	empty->header.e_ident[EI_CLASS] = ELFCLASS64;
	empty->header.e_ident[EI_DATA] = ELFDATA2LSB;
	empty->header.e_ident[EI_VERSION] = EV_CURRENT;
	empty->header.e_type = ET_DYN;
	empty->header.e_machine = EM_X86_64;
	empty->header.e_version = EV_CURRENT;
	empty->header.e_ehsize = sizeof(Elf64_Ehdr);
	empty->header.e_shentsize = sizeof(Elf64_Shdr);
	empty->header.e_shoff = offsetof(struct empty_file, sections);
	empty->header.e_shnum = 3;
	empty->header.e_shstrndx = 1;
	memcpy(empty->names, "\0.names\0.debug_info", 20);
	empty->sections[1] = (Elf64_Shdr){.sh_name = 1,
					  .sh_type = SHT_STRTAB,
					  .sh_offset = offsetof(struct empty_file, names),
					  .sh_size = sizeof empty->names,
					  .sh_addralign = 1};
	empty->sections[2] = (Elf64_Shdr){.sh_name = 8,
					  .sh_type = SHT_PROGBITS,
					  .sh_offset = offsetof(struct empty_file, info),
					  .sh_size = 1,
					  .sh_addralign = 1};
	debug->empty_elf = elf_memory((char *)empty, sizeof *empty);
	if (debug->empty_elf)
		debug->alternate_dwarf = dwarf_begin_elf(debug->empty_elf, DWARF_C_READ, NULL);
	return debug->alternate_dwarf ? NULL : error_no_memory();
}

static struct error *open_alternate(const struct image *image, struct image_debug *debug)
{
	const char *name;
	const void *build_id;
	ssize_t count = dwelf_dwarf_gnu_debugaltlink(debug->dwarf, &name, &build_id);
	if (count == 0)
		return NULL;
	_cleanup_free_ char *directory = NULL;
	struct error *err = debug_file_directory(image->path, &directory);
	if (!err && count > 0)
		err = debug_file_find_alternate(image,
						debug->file ? debug->file->directory : directory,
						name, build_id, (size_t)count, &debug->alternate);
	if (!err && count > 0 && !debug->alternate && debug->server)
		err = debug_file_fetch(image, debug->server, build_id, (size_t)count,
				       &debug->alternate);
	if (err)
		return err;
	if (debug->alternate)
		debug->alternate_dwarf = dwarf_begin_elf(debug->alternate->elf, DWARF_C_READ, NULL);
	if (!debug->alternate_dwarf)
		err = open_empty(debug);
	if (err)
		return err;
	dwarf_setalt(debug->dwarf, debug->alternate_dwarf);
	return NULL;
}

static struct error *open_dwarf(struct image *image, struct image_debug *debug)
{
	Elf *elf = image->elf;
	uint64_t bias = 0;
	if (!has_info(elf)) {
		struct error *err = image_debug_elf(image, &elf, &bias);
		if (err)
			return err;
	}
	if (!elf || !has_info(elf))
		return NULL;
	debug->dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
	debug->dwarf_bias = bias;
	return debug->dwarf ? open_alternate(image, debug) : NULL;
}

struct error *image_dwarf(struct image *image, Dwarf **ret, uint64_t *bias_ret)
{
	struct image_debug *debug;
	struct error *err = get_debug(image, &debug);
	if (err)
		return err;
	if (!debug->dwarf_known) {
		debug->dwarf_known = true;
		err = open_dwarf(image, debug);
		if (err)
			return err;
	}
	*ret = debug->dwarf;
	*bias_ret = debug->dwarf_bias;
	return NULL;
}

/* Lines and symbols that were given out point into the files that are open: these stay. */
struct error *image_fetch_debug(struct image *image, struct debug_server *server)
{
	Dwarf *dwarf;
	uint64_t bias;
	struct error *err = image_dwarf(image, &dwarf, &bias);
	struct image_debug *debug = image->debug;
	if (err || dwarf || image->lines || debug->file || debug->server_asked)
		return err;
	debug->server_asked = true;
	struct debug_file *fetched;
	err = debug_file_fetch(image, server, image->build_id, image->build_id_count, &fetched);
	if (err || !fetched)
		return err;
	debug->file = fetched;
	debug->file_bias = bias_of(image, fetched->elf);
	debug->server = server;
	debug->dwarf_known = false;
	return image_dwarf(image, &dwarf, &bias);
}

/* Unpacks an xz stream; *ret NULL if it is malformed or larger than we believe. */
static struct error *unpack(const Elf_Data *packed, uint8_t **ret, size_t *count_ret)
{
	*ret = NULL;
	for (size_t room = 1 << 20; room <= MINI_MAX_BYTES; room *= 4) {
		_cleanup_free_ uint8_t *bytes = malloc(room);
		if (!bytes)
			return error_no_memory();
		uint64_t limit = MINI_MEMORY_BYTES;
		size_t in = 0, out = 0;
		lzma_ret result = lzma_stream_buffer_decode(&limit, 0, NULL, packed->d_buf, &in,
							    packed->d_size, bytes, &out, room);
		if (result == LZMA_BUF_ERROR && out == room)
			continue;
		if (result == LZMA_OK) {
			*ret = take_ptr(bytes);
			*count_ret = out;
		}
		return NULL;
	}
	return NULL;
}

struct error *image_mini_elf(struct image *image, Elf **ret)
{
	struct image_debug *debug;
	struct error *err = get_debug(image, &debug);
	if (err)
		return err;
	if (!debug->mini_known) {
		debug->mini_known = true;
		const Elf_Data *packed = image_section(image->elf, ".gnu_debugdata", NULL);
		size_t count = 0;
		err = packed ? unpack(packed, &debug->mini_bytes, &count) : NULL;
		if (err)
			return err;
		if (debug->mini_bytes)
			debug->mini = elf_memory((char *)debug->mini_bytes, count);
	}
	*ret = debug->mini;
	return NULL;
}
