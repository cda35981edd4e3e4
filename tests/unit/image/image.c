/* SPDX-License-Identifier: MIT */
/* Opening images, their bytes, and the search for separate debug files. */
#include <dwarf.h>
#include <elf.h>
#include <elfutils/libdw.h>
#include <sys/stat.h>

#include "image/private.h"
#include "unit/image/fixture.h"

static const char library_source[] = "#include <stdlib.h>\n"
				     "struct widget { int id; struct widget *next; };\n"
				     "struct widget *make_widget(int n)\n"
				     "{\n"
				     "	struct widget *w = malloc(sizeof *w);\n"
				     "	w->id = n;\n"
				     "	return w;\n"
				     "}\n";

/* Builds directory/name from library_source; gives its path. */
static char *build(const char *directory, const char *name, const char *flags)
{
	char *path;
	ck_assert_int_gt(asprintf(&path, "%s/%s", directory, name), 0);
	char *source;
	ck_assert_int_gt(asprintf(&source, "%s/widget.c", directory), 0);
	fixture_write(source, "%s", library_source);
	fixture_run("cc -g -shared -fPIC %s -o '%s' '%s'", flags, path, source);
	free(source);
	return path;
}

static char *join(const char *directory, const char *name)
{
	char *path;
	ck_assert_int_gt(asprintf(&path, "%s/%s", directory, name), 0);
	return path;
}

static struct image *open_with(const char *path, const char *debug_path, const char *root)
{
	/* the list has to live as long as the image */
	static const char *debug_paths[3] = {"/nonexistent"};
	debug_paths[1] = debug_path;
	struct image_options options = {.debug_paths = debug_path ? debug_paths : NULL,
					.root = root};
	struct image *image;
	fixture_no_error(fixture_try_open(path, &options, &image));
	return image;
}

/* Whether the image's debug information names the function of library_source. */
static bool knows_widget(struct image *image)
{
	Dwarf *dwarf;
	uint64_t bias;
	Dwarf_CU *unit = NULL;
	Dwarf_Die unit_die, child;
	fixture_no_error(image_dwarf(image, &dwarf, &bias));
	ck_assert_uint_eq(bias, 0);
	if (!dwarf)
		return false;
	while (dwarf_get_units(dwarf, unit, &unit, NULL, NULL, &unit_die, NULL) == 0) {
		if (dwarf_child(&unit_die, &child) != 0)
			continue;
		do {
			const char *name = dwarf_diename(&child);
			if (dwarf_tag(&child) == DW_TAG_subprogram && name &&
			    strcmp(name, "make_widget") == 0)
				return true;
		} while (dwarf_siblingof(&child, &child) == 0);
	}
	return false;
}

static void check_knows(const char *path, const char *debug_path, const char *root, bool expected)
{
	struct image *image = open_with(path, debug_path, root);
	ck_assert_int_eq(knows_widget(image), expected);
	/* the answer stays */
	ck_assert_int_eq(knows_widget(image), expected);
	image_close(image);
}

START_TEST(an_image_says_what_its_headers_say)
{
	size_t count, bytes_count;
	unsigned char *bytes = fixture_read(LIBC_PATH, &bytes_count);
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)bytes;
	const Elf64_Phdr *programs = (const Elf64_Phdr *)(bytes + header->e_phoff);
	struct image *image = fixture_open(LIBC_PATH);
	const struct image_segment *segments = image_segments(image, &count);
	size_t seen = 0;
	for (size_t i = 0; i < header->e_phnum; i++) {
		if (programs[i].p_type != PT_LOAD)
			continue;
		ck_assert_uint_lt(seen, count);
		ck_assert_uint_eq(segments[seen].start.v, programs[i].p_vaddr);
		ck_assert_uint_eq(segments[seen].memory_bytes, programs[i].p_memsz);
		ck_assert_uint_eq(segments[seen].file_offset, programs[i].p_offset);
		ck_assert_uint_eq(segments[seen].file_bytes, programs[i].p_filesz);
		ck_assert_int_eq(segments[seen].executable, (programs[i].p_flags & PF_X) != 0);
		seen++;
	}
	ck_assert_uint_eq(seen, count);
	ck_assert_str_eq(image_path(image), LIBC_PATH);
	ck_assert_str_eq(image_soname(image), "libc.so.6");
	ck_assert_str_eq(image_interpreter(image), "/lib64/ld-linux-x86-64.so.2");
	image_close(image);
	free(bytes);
}
END_TEST

START_TEST(the_build_id_is_the_one_readelf_prints)
{
	char hex[128], ours[128] = "";
	FILE *pipe = popen("readelf -n " LIBC_PATH " | sed -n 's/.*Build ID: //p'", "r");
	ck_assert_int_eq(fscanf(pipe, "%127s", hex), 1);
	pclose(pipe);
	struct image *image = fixture_open(LIBC_PATH);
	size_t count;
	const uint8_t *id = image_build_id(image, &count);
	for (size_t i = 0; i < count; i++)
		sprintf(ours + 2 * i, "%02x", id[i]);
	ck_assert_str_eq(ours, hex);
	image_close(image);
}
END_TEST

START_TEST(a_library_without_names_has_none)
{
	char *directory = fixture_directory();
	char *path = build(directory, "lib.so", "-nostdlib -Wl,--build-id=none");
	struct image *image = fixture_open(path);
	size_t count;
	image_build_id(image, &count);
	ck_assert_uint_eq(count, 0);
	ck_assert_ptr_null(image_soname(image));
	ck_assert_ptr_null(image_interpreter(image));
	image_close(image);
	free(path);
	fixture_remove(directory);
}
END_TEST

START_TEST(bytes_are_those_of_the_file_and_nothing_else_is_read)
{
	size_t bytes_count, count;
	unsigned char *bytes = fixture_read(LIBC_PATH, &bytes_count);
	struct image *image = fixture_open(LIBC_PATH);
	const struct image_segment *segments = image_segments(image, &count);
	for (size_t i = 0; i < count; i++) {
		const struct image_segment *segment = &segments[i];
		unsigned char read[64];
		uint64_t last = segment->start.v + segment->file_bytes - sizeof read;
		fixture_no_error(image_read(image, segment->start, read, sizeof read));
		ck_assert_mem_eq(read, bytes + segment->file_offset, sizeof read);
		fixture_no_error(image_read(image, (image_addr){last}, read, sizeof read));
		ck_assert_mem_eq(read,
				 bytes + segment->file_offset + segment->file_bytes - sizeof read,
				 sizeof read);
		struct error *err = image_read(image, (image_addr){last + 1}, read, sizeof read);
		ck_assert_ptr_nonnull(err);
		ck_assert_int_eq(error_kind_of(err), ERROR_FAULT);
		error_free(err);
	}
	unsigned char byte;
	struct error *err = image_read(image, (image_addr){UINT64_MAX}, &byte, 1);
	ck_assert_ptr_nonnull(err);
	error_free(err);
	err = image_read(image, segments[0].start, bytes, SIZE_MAX);
	ck_assert_ptr_nonnull(err);
	error_free(err);
	image_close(image);
	free(bytes);
}
END_TEST

START_TEST(offsets_of_mappings_lead_to_their_addresses)
{
	struct image *image = fixture_open(LIBC_PATH);
	size_t count;
	const struct image_segment *segments = image_segments(image, &count);
	uint64_t file_end = 0;
	for (size_t i = 0; i < count; i++) {
		image_addr address;
		const struct image_segment *segment = &segments[i];
		ck_assert(image_address_of_offset(image, segment->file_offset, &address));
		ck_assert_uint_eq(address.v, segment->start.v);
		if (segment->file_offset + segment->file_bytes > file_end)
			file_end = segment->file_offset + segment->file_bytes;
	}
	image_addr address;
	ck_assert(!image_address_of_offset(image, file_end, &address));
	ck_assert(!image_address_of_offset(image, UINT64_MAX, &address));
	image_close(image);
}
END_TEST

START_TEST(a_mapping_that_starts_before_its_code_has_the_code_s_bias)
{
	if (system("command -v ld.lld >/dev/null 2>&1") != 0)
		return;
	char *directory = fixture_directory();
	char *path = build(directory, "lib.so", "-fuse-ld=lld");
	struct image *image = fixture_open(path);
	size_t count;
	const struct image_segment *segments = image_segments(image, &count);
	for (size_t i = 0; i < count; i++) {
		image_addr address;
		if (!segments[i].executable)
			continue;
		/* as the kernel maps it */
		uint64_t page = segments[i].file_offset & ~UINT64_C(4095);
		ck_assert(image_address_of_offset(image, page, &address));
		ck_assert_uint_eq(address.v, segments[i].start.v & ~UINT64_C(4095));
	}
	image_close(image);
	free(path);
	fixture_remove(directory);
}
END_TEST

static void check_refused(const char *path, enum error_kind kind)
{
	struct image *image = NULL;
	struct error *err = fixture_try_open(path, NULL, &image);
	ck_assert_msg(err, "%s was opened", path);
	ck_assert_msg(error_kind_of(err) == kind, "%s: %s", path, error_message(err));
	error_free(err);
}

START_TEST(what_is_no_image_of_this_machine_is_refused)
{
	char *directory = fixture_directory();
	char *path = build(directory, "lib.so", "");
	char *other = join(directory, "other");
	size_t count;
	unsigned char *bytes = fixture_read(path, &count);
	static const struct {
		size_t offset;
		unsigned char value;
		enum error_kind kind;
	} changes[] = {
		{0, 'X', ERROR_BAD_INPUT},
		{EI_CLASS, ELFCLASS32, ERROR_UNSUPPORTED},
		{offsetof(Elf64_Ehdr, e_machine), EM_AARCH64, ERROR_UNSUPPORTED},
		{offsetof(Elf64_Ehdr, e_type), ET_REL, ERROR_UNSUPPORTED},
		{offsetof(Elf64_Ehdr, e_type), ET_CORE, ERROR_UNSUPPORTED},
	};
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		unsigned char kept = bytes[changes[i].offset];
		bytes[changes[i].offset] = changes[i].value;
		FILE *file = fopen(other, "w");
		fwrite(bytes, 1, count, file);
		fclose(file);
		check_refused(other, changes[i].kind);
		bytes[changes[i].offset] = kept;
	}
	fixture_write(other, "%s", "");
	check_refused(other, ERROR_BAD_INPUT);
	fixture_write(other, "%s", "#!/bin/sh\n");
	check_refused(other, ERROR_BAD_INPUT);
	check_refused(directory, ERROR_BAD_INPUT);
	check_refused("/dev/null", ERROR_BAD_INPUT);
	free(bytes);
	free(other);
	free(path);
	fixture_remove(directory);
}
END_TEST

START_TEST(segments_out_of_range_are_refused)
{
	static const Elf64_Phdr hostile[] = {
		{.p_type = PT_LOAD, .p_memsz = 16, .p_filesz = 17},
		{.p_type = PT_LOAD, .p_vaddr = UINT64_MAX - 7, .p_memsz = 16},
		{.p_type = PT_LOAD, .p_offset = UINT64_MAX - 7, .p_filesz = 16, .p_memsz = 16},
	};
	char *directory = fixture_directory();
	char *path = build(directory, "lib.so", "");
	size_t count;
	unsigned char *bytes = fixture_read(path, &count);
	Elf64_Phdr *first = (Elf64_Phdr *)(bytes + ((Elf64_Ehdr *)bytes)->e_phoff);
	for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
		*first = hostile[i];
		FILE *file = fopen(path, "w");
		fwrite(bytes, 1, count, file);
		fclose(file);
		check_refused(path, ERROR_BAD_INPUT);
	}
	free(bytes);
	free(path);
	fixture_remove(directory);
}
END_TEST

START_TEST(debug_information_is_read_after_the_file_is_gone)
{
	char *directory = fixture_directory();
	char *path = build(directory, "lib.so", "");
	struct image *image = fixture_open(path);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert(knows_widget(image));
	image_close(image);
	free(path);
	fixture_remove(directory);
}
END_TEST

START_TEST(a_file_that_is_truncated_while_open_does_no_harm)
{
	char *directory = fixture_directory();
	char *path = build(directory, "lib.so", "");
	struct image *image = fixture_open(path);
	struct image_symbol symbol;
	const struct unwind_table *table;
	unsigned char byte;
	ck_assert_int_eq(truncate(path, 64), 0);
	ck_assert(!knows_widget(image));
	error_free(image_symbol_find(image, "make_widget", &symbol));
	image_symbol_at(image, (image_addr){0x1100}, &symbol);
	error_free(image_unwind_table(image, &table));
	struct error *err = image_read(image, (image_addr){0x1000}, &byte, 1);
	ck_assert_ptr_nonnull(err);
	ck_assert_int_eq(error_kind_of(err), ERROR_FAULT);
	error_free(err);
	image_close(image);
	free(path);
	fixture_remove(directory);
}
END_TEST

START_TEST(compressed_debug_information_is_read)
{
	static const char *const flags[] = {"-gz=zlib", "-gz=zlib-gnu", "-gdwarf-4 -gz=zlib"};
	char *directory = fixture_directory();
	for (size_t i = 0; i < 3; i++) {
		char *path = build(directory, "lib.so", flags[i]);
		check_knows(path, NULL, NULL, true);
		free(path);
	}
	fixture_remove(directory);
}
END_TEST

START_TEST(a_stripped_file_without_a_debug_file_has_no_debug_information)
{
	char *directory = fixture_directory();
	char *path = build(directory, "lib.so", "-s");
	check_knows(path, NULL, NULL, false);
	free(path);
	fixture_remove(directory);
}
END_TEST

/* Splits lib.so into lib.so and lib.debug, with a debuglink. */
static void split(const char *directory)
{
	fixture_run("cd '%s' && objcopy --only-keep-debug lib.so lib.debug && strip -g lib.so && "
		    "objcopy --add-gnu-debuglink=lib.debug lib.so",
		    directory);
}

START_TEST(a_debug_file_is_found_by_its_link_in_every_usual_place)
{
	static const char *const flags[] = {"", "-Wl,--build-id=none"};
	for (size_t i = 0; i < 2; i++) {
		char *directory = fixture_directory();
		char *path = build(directory, "lib.so", flags[i]);
		char *base = join(directory, "base");
		split(directory);
		check_knows(path, NULL, NULL, true);
		fixture_run("cd '%s' && mkdir .debug && mv lib.debug .debug", directory);
		check_knows(path, NULL, NULL, true);
		fixture_run("cd '%s' && mkdir -p 'base%s' && mv .debug/lib.debug 'base%s'",
			    directory, directory, directory);
		check_knows(path, NULL, NULL, false);
		check_knows(path, base, NULL, true);
		fixture_run("cd '%s/base' && mv '.%s/lib.debug' .", directory, directory);
		check_knows(path, base, NULL, true);
		free(base);
		free(path);
		fixture_remove(directory);
	}
}
END_TEST

/* Moves lib.debug to base/.build-id as the image's build-id says. */
static void file_by_build_id(const char *directory, const char *base)
{
	fixture_run("cd '%s' && id=$(readelf -n lib.so | sed -n 's/.*Build ID: //p') && "
		    "rest=${id#??} && first=${id%%\"$rest\"} && mkdir -p '%s'/.build-id/$first && "
		    "mv lib.debug '%s'/.build-id/$first/$rest.debug",
		    directory, base, base);
}

START_TEST(a_debug_file_is_found_by_build_id)
{
	char *directory = fixture_directory();
	char *path = build(directory, "lib.so", "");
	char *base = join(directory, "base");
	split(directory);
	file_by_build_id(directory, base);
	check_knows(path, NULL, NULL, false);
	check_knows(path, base, NULL, true);
	free(base);
	free(path);
	fixture_remove(directory);
}
END_TEST

START_TEST(a_debug_file_is_found_below_the_target_s_root)
{
	char *directory = fixture_directory();
	char *path = build(directory, "lib.so", "");
	char *root = join(directory, "root");
	split(directory);
	fixture_run("cd '%s' && mkdir -p root/usr/lib/debug", directory);
	file_by_build_id(directory, "root/usr/lib/debug");
	check_knows(path, NULL, NULL, false);
	check_knows(path, NULL, root, true);
	/* also when the root's name has gone before debug information was asked for */
	struct image *image = open_with(path, NULL, root);
	fixture_run("mv '%s' '%s.moved'", root, root);
	ck_assert(knows_widget(image));
	image_close(image);
	check_knows(path, NULL, root, false);
	free(root);
	free(path);
	fixture_remove(directory);
}
END_TEST

START_TEST(a_symbolic_link_cannot_lead_out_of_the_target_s_root)
{
	char *directory = fixture_directory();
	char *path = build(directory, "lib.so", "-Wl,--build-id=none");
	char *root = join(directory, "root");
	split(directory);
	/* found only by going up from the root: the link's name exists inside of no root */
	fixture_run("cd '%s' && mkdir -p root/usr/lib/debug secret && mv lib.debug secret && "
		    "ln -s ../../../../secret/lib.debug root/usr/lib/debug/lib.debug",
		    directory);
	check_knows(path, NULL, root, false);
	fixture_run("cd '%s' && mkdir root/secret && mv secret/lib.debug root/secret", directory);
	check_knows(path, NULL, root, true);
	free(root);
	free(path);
	fixture_remove(directory);
}
END_TEST

START_TEST(a_debug_file_of_another_build_is_refused)
{
	char *directory = fixture_directory();
	char *path = build(directory, "lib.so", "");
	split(directory);
	char *other = build(directory, "lib.debug", "-O2");
	check_knows(path, NULL, NULL, false);
	free(other);
	free(path);
	/* without a build-id the CRC decides */
	path = build(directory, "lib.so", "-Wl,--build-id=none");
	split(directory);
	check_knows(path, NULL, NULL, true);
	fixture_run("printf x >> '%s/lib.debug'", directory);
	check_knows(path, NULL, NULL, false);
	free(path);
	fixture_remove(directory);
}
END_TEST

START_TEST(a_link_s_directories_are_not_believed)
{
	char *directory = fixture_directory();
	char *path = build(directory, "lib.so", "");
	split(directory);
	/* "lib.debug" becomes "../.debug", of the same length */
	fixture_run("cd '%s' && mkdir deep && mv lib.so deep && mv lib.debug .debug && "
		    "sed -i 's|lib\\.debug|../.debug|' deep/lib.so",
		    directory);
	char *deep = join(directory, "deep/lib.so");
	check_knows(deep, NULL, NULL, false);
	/* its last component is */
	fixture_run("cd '%s' && mv .debug deep/.debug", directory);
	check_knows(deep, NULL, NULL, true);
	free(deep);
	free(path);
	fixture_remove(directory);
}
END_TEST

START_TEST(a_fifo_named_as_a_debug_file_does_not_block)
{
	char *directory = fixture_directory();
	char *path = build(directory, "lib.so", "");
	char *fifo = join(directory, "lib.debug");
	split(directory);
	ck_assert_int_eq(unlink(fifo), 0);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	check_knows(path, NULL, NULL, false);
	free(fifo);
	free(path);
	fixture_remove(directory);
}
END_TEST

START_TEST(a_link_to_itself_is_not_followed)
{
	char *directory = fixture_directory();
	char *path = build(directory, "lib.so", "-s");
	fixture_run(
		"cd '%s' && cp lib.so x && objcopy --add-gnu-debuglink=lib.so x y && mv y lib.so",
		directory);
	check_knows(path, NULL, NULL, false);
	free(path);
	fixture_remove(directory);
}
END_TEST

/* Two libraries whose common debug information dwz moved to common.debug. */
static char *build_with_dwz(const char *directory)
{
	char *path = build(directory, "lib.so", "-gdwarf-4");
	free(build(directory, "lib2.so", "-gdwarf-4 -O2"));
	fixture_run("cd '%s' && dwz -m common.debug lib.so lib2.so", directory);
	return path;
}

/* Whether every DIE of every unit, and what it refers to, can be read. */
static size_t count_names(struct image *image)
{
	Dwarf *dwarf;
	uint64_t bias;
	Dwarf_CU *unit = NULL;
	Dwarf_Die unit_die, child;
	size_t names = 0;
	fixture_no_error(image_dwarf(image, &dwarf, &bias));
	ck_assert_ptr_nonnull(dwarf);
	while (dwarf_get_units(dwarf, unit, &unit, NULL, NULL, &unit_die, NULL) == 0) {
		if (dwarf_child(&unit_die, &child) != 0)
			continue;
		do {
			Dwarf_Attribute attribute;
			Dwarf_Die type;
			if (dwarf_attr_integrate(&child, DW_AT_type, &attribute) &&
			    dwarf_formref_die(&attribute, &type) && dwarf_tag(&type) > 0)
				names++;
			if (dwarf_attr_integrate(&child, DW_AT_import, &attribute) &&
			    dwarf_formref_die(&attribute, &type) && dwarf_tag(&type) > 0)
				names++;
		} while (dwarf_siblingof(&child, &child) == 0);
	}
	return names;
}

START_TEST(debug_information_that_dwz_moved_is_found)
{
	if (system("command -v dwz >/dev/null 2>&1") != 0)
		return;
	char *directory = fixture_directory();
	char *path = build_with_dwz(directory);
	struct image *image = fixture_open(path);
	size_t whole = count_names(image);
	image_close(image);
	/* without the common file less can be resolved; a FIFO in its place must not block */
	fixture_run("cd '%s' && mv common.debug away && mkfifo common.debug", directory);
	image = fixture_open(path);
	ck_assert_uint_lt(count_names(image), whole);
	image_close(image);
	/* beside the referring file, in .dwz */
	fixture_run("cd '%s' && rm common.debug && mkdir .dwz && mv away .dwz/common.debug",
		    directory);
	image = fixture_open(path);
	ck_assert_uint_eq(count_names(image), whole);
	image_close(image);
	free(path);
	fixture_remove(directory);
}
END_TEST

static bool count_symbol(void *context, const struct image_symbol *symbol)
{
	*(size_t *)context += strlen(symbol->name) > 0;
	return true;
}

/* Asks everything of the image in path that does not go through its line information. */
static void ask_everything(const char *path)
{
	struct image *image = NULL;
	struct image_symbol symbol;
	const struct unwind_table *table;
	image_addr start, end;
	size_t symbols = 0;
	struct error *err = fixture_try_open(path, NULL, &image);
	if (err) {
		error_free(err);
		return;
	}
	error_free(image_symbol_find(image, "make_widget", &symbol));
	error_free(image_symbols_visit(image, count_symbol, &symbols));
	error_free(image_unwind_table(image, &table));
	for (uint64_t address = 0x1000; address < 0x1200; address += 7) {
		image_symbol_at(image, (image_addr){address}, &symbol);
		image_function_bounds(image, (image_addr){address}, &start, &end);
	}
	image_close(image);
}

START_TEST(mutants_of_the_headers_and_tables_do_no_harm)
{
	enum { MUTANTS = 3000, CHANGES = 4 };
	char *directory = fixture_directory();
	char *path = build(directory, "lib.so", "-Wl,-soname,widget.so");
	size_t count;
	unsigned char *seed = fixture_read(path, &count);
	unsigned char *bytes = malloc(count);
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)seed;
	uint64_t random = 99;
	for (int i = 0; i < MUTANTS; i++) {
		memcpy(bytes, seed, count);
		for (int j = 0; j < CHANGES; j++) {
			random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
			uint64_t choice = random >> 20;
			/* the headers, the section headers, and what stands in between */
			size_t at =
				choice % 3 == 0 ? choice / 3 % 1024
				: choice % 3 == 1
					? header->e_shoff + choice / 3 % (count - header->e_shoff)
					: choice / 3 % count;
			bytes[at] = (unsigned char)(random >> 56);
		}
		FILE *file = fopen(path, "w");
		fwrite(bytes, 1, count, file);
		fclose(file);
		ask_everything(path);
	}
	free(bytes);
	free(seed);
	free(path);
	fixture_remove(directory);
}
END_TEST

START_TEST(files_cut_at_any_length_do_no_harm)
{
	char *directory = fixture_directory();
	char *path = build(directory, "lib.so", "");
	size_t count;
	unsigned char *seed = fixture_read(path, &count);
	for (size_t length = 0; length < count; length += 37) {
		FILE *file = fopen(path, "w");
		fwrite(seed, 1, length, file);
		fclose(file);
		ask_everything(path);
	}
	free(seed);
	free(path);
	fixture_remove(directory);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("image/image");
	TCase *facts = tcase_create("facts");
	tcase_add_test(facts, an_image_says_what_its_headers_say);
	tcase_add_test(facts, the_build_id_is_the_one_readelf_prints);
	tcase_add_test(facts, a_library_without_names_has_none);
	tcase_add_test(facts, bytes_are_those_of_the_file_and_nothing_else_is_read);
	tcase_add_test(facts, offsets_of_mappings_lead_to_their_addresses);
	tcase_add_test(facts, a_mapping_that_starts_before_its_code_has_the_code_s_bias);
	suite_add_tcase(suite, facts);
	TCase *debug = tcase_create("debug files");
	tcase_set_timeout(debug, 60);
	tcase_add_test(debug, debug_information_is_read_after_the_file_is_gone);
	tcase_add_test(debug, compressed_debug_information_is_read);
	tcase_add_test(debug, a_stripped_file_without_a_debug_file_has_no_debug_information);
	tcase_add_test(debug, a_debug_file_is_found_by_its_link_in_every_usual_place);
	tcase_add_test(debug, a_debug_file_is_found_by_build_id);
	tcase_add_test(debug, a_debug_file_is_found_below_the_target_s_root);
	tcase_add_test(debug, a_symbolic_link_cannot_lead_out_of_the_target_s_root);
	tcase_add_test(debug, a_debug_file_of_another_build_is_refused);
	tcase_add_test(debug, a_link_s_directories_are_not_believed);
	tcase_add_test(debug, a_fifo_named_as_a_debug_file_does_not_block);
	tcase_add_test(debug, a_link_to_itself_is_not_followed);
	tcase_add_test(debug, debug_information_that_dwz_moved_is_found);
	suite_add_tcase(suite, debug);
	TCase *hostile = tcase_create("broken files");
	tcase_set_timeout(hostile, 120);
	tcase_add_test(hostile, what_is_no_image_of_this_machine_is_refused);
	tcase_add_test(hostile, segments_out_of_range_are_refused);
	tcase_add_test(hostile, a_file_that_is_truncated_while_open_does_no_harm);
	tcase_add_test(hostile, mutants_of_the_headers_and_tables_do_no_harm);
	tcase_add_test(hostile, files_cut_at_any_length_do_no_harm);
	suite_add_tcase(suite, hostile);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(make_suite());
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
