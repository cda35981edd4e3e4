/* SPDX-License-Identifier: MIT */
/* The notes of sys/sdt.h, held against what readelf says of them; and damaged ones. */
#include <elf.h>

#include "base/cleanup.h"
#include "unit/image/fixture.h"

/* It has the probes of its exceptions. */
#define LIBRARY_PATH "/usr/lib/x86_64-linux-gnu/libstdc++.so.6"

static const char source[] = "#define _SDT_HAS_SEMAPHORES 1\n"
			     "#include <sys/sdt.h>\n"
			     "__attribute__((section(\".probes\")))\n"
			     "unsigned short first_one_semaphore, second_two_semaphore;\n"
			     "void work(long a, int *b)\n"
			     "{\n"
			     "	DTRACE_PROBE2(first, one, a, *b);\n"
			     "	DTRACE_PROBE(second, two);\n"
			     "	DTRACE_PROBE1(first, one, \"text\");\n"
			     "}\n"
			     "#ifdef PROGRAM\n"
			     "int main(void) { int b = 1; work(1, &b); return 0; }\n"
			     "#endif\n";

/* Builds directory/probes; gives its path. */
static char *build(const char *directory, const char *flags)
{
	char *path, *file;
	ck_assert_int_gt(asprintf(&path, "%s/probes", directory), 0);
	ck_assert_int_gt(asprintf(&file, "%s/probes.c", directory), 0);
	fixture_write(file, "%s", source);
	fixture_run("gcc -O2 %s -o '%s' '%s'", flags, path, file);
	free(file);
	return path;
}

struct listing {
	char text[4096];
	size_t count;
};

static bool list(void *context, const struct image_static_probe *probe)
{
	struct listing *listing = context;
	size_t used = strlen(listing->text);
	listing->count++;
	snprintf(listing->text + used, sizeof listing->text - used, "%s %s %#lx %#lx %s\n",
		 probe->provider, probe->name, probe->address.v, probe->semaphore.v,
		 probe->arguments);
	return true;
}

static void list_all(const char *path, struct listing *ret)
{
	struct image *image = fixture_open(path);
	*ret = (struct listing){.count = 0};
	image_static_probes_visit(image, list, ret);
	image_close(image);
}

/* What readelf says, in the same form. */
static char *oracle(const char *directory, const char *path)
{
	char *file;
	size_t count;
	ck_assert_int_gt(asprintf(&file, "%s/oracle", directory), 0);
	fixture_run("readelf -n '%s' | awk '/Provider:/ { p = $NF } /Name:/ { n = $2 } "
		    "/Location:/ { sub(/,/, \"\", $2); sub(/^0x0*/, \"0x\", $2); a = $2; "
		    "sub(/^0x0*/, \"0x\", $6); s = $6 == \"0x\" ? 0 : $6 } "
		    "/Arguments:/ { sub(/^ *Arguments: /, \"\"); print p, n, a, s, $0 }' >'%s'",
		    path, file);
	char *text = (char *)fixture_read(file, &count);
	free(file);
	return text;
}

START_TEST(probes_are_those_that_readelf_lists)
{
	static const char *const flags[] = {"-shared -fPIC", "-DPROGRAM -pie -fPIE",
					    "-DPROGRAM -no-pie -fno-pie", "-DPROGRAM -static -s",
					    "-shared -fPIC -O0"};
	char *directory = fixture_directory();
	_cleanup_free_ char *path = build(directory, flags[_i]);
	_cleanup_free_ char *expected = oracle(directory, path);
	struct listing listing;
	list_all(path, &listing);
	ck_assert_str_eq(listing.text, expected);
	ck_assert_uint_ge(listing.count, 3);
	fixture_remove(directory);
}
END_TEST

START_TEST(those_of_a_library_of_the_system_are_listed)
{
	char *directory = fixture_directory();
	_cleanup_free_ char *expected = oracle(directory, LIBRARY_PATH);
	struct listing listing;
	list_all(LIBRARY_PATH, &listing);
	ck_assert_uint_gt(listing.count, 0);
	ck_assert_str_eq(listing.text, expected);
	fixture_remove(directory);
}
END_TEST

static bool stop(void *context, const struct image_static_probe *probe)
{
	(void)probe;
	++*(size_t *)context;
	return false;
}

START_TEST(a_visit_ends_where_it_is_told)
{
	size_t count = 0;
	struct image *image = fixture_open(LIBRARY_PATH);
	image_static_probes_visit(image, stop, &count);
	ck_assert_uint_eq(count, 1);
	image_close(image);
}
END_TEST

/* The section header of that name in a file that was read whole. */
static Elf64_Shdr *section(unsigned char *bytes, const char *name)
{
	Elf64_Ehdr *header = (void *)bytes;
	Elf64_Shdr *sections = (void *)(bytes + header->e_shoff);
	const char *names = (const char *)bytes + sections[header->e_shstrndx].sh_offset;
	for (int i = 0; i < header->e_shnum; i++)
		if (strcmp(names + sections[i].sh_name, name) == 0)
			return &sections[i];
	ck_abort_msg("no section %s", name);
}

static void write_bytes(const char *path, const unsigned char *bytes, size_t count)
{
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, count, file), count);
	ck_assert_int_eq(fclose(file), 0);
}

/* Prelinking moves the section's address and leaves the notes as they are. */
START_TEST(addresses_move_with_the_base_section)
{
	enum { MOVED_BYTES = 0x7000 };
	char *directory = fixture_directory();
	size_t count;
	struct listing before, after;
	_cleanup_free_ char *path = build(directory, "-shared -fPIC");
	list_all(path, &before);
	_cleanup_free_ unsigned char *bytes = fixture_read(path, &count);
	section(bytes, ".stapsdt.base")->sh_addr += MOVED_BYTES;
	section(bytes, ".probes")->sh_addr += MOVED_BYTES;
	write_bytes(path, bytes, count);
	list_all(path, &after);
	unsigned long address, semaphore, moved_address, moved_semaphore;
	ck_assert_int_eq(sscanf(before.text, "first one %lx %lx", &address, &semaphore), 2);
	ck_assert_int_eq(sscanf(after.text, "first one %lx %lx", &moved_address, &moved_semaphore),
			 2);
	ck_assert_uint_eq(moved_address - address, MOVED_BYTES);
	ck_assert_uint_eq(moved_semaphore - semaphore, MOVED_BYTES);
	fixture_remove(directory);
}
END_TEST

/* Nothing else of a target's is to be counted up. */
START_TEST(a_semaphore_lies_among_the_semaphores)
{
	char *directory = fixture_directory();
	size_t count;
	struct listing listing;
	_cleanup_free_ char *path = build(directory, "-shared -fPIC");
	_cleanup_free_ unsigned char *bytes = fixture_read(path, &count);
	Elf64_Shdr *semaphores = section(bytes, ".probes");
	ck_assert_uint_eq(semaphores->sh_size, 4);
	size_t found[5];
	for (size_t size = 0; size <= 4; size++) {
		semaphores->sh_size = size;
		write_bytes(path, bytes, count);
		list_all(path, &listing);
		found[size] = listing.count;
	}
	/* One has two probes, the other has one, whichever lies first. */
	ck_assert_uint_eq(found[0] + found[1], 0);
	ck_assert(found[2] == 1 || found[2] == 2);
	ck_assert_uint_eq(found[3], found[2]);
	ck_assert_uint_eq(found[4], 3);
	semaphores->sh_addr++;
	write_bytes(path, bytes, count);
	list_all(path, &listing);
	ck_assert_uint_eq(listing.count, 3 - found[2]);
	fixture_remove(directory);
}
END_TEST

static bool touch(void *context, const struct image_static_probe *probe)
{
	size_t *sum = context;
	*sum += strlen(probe->provider) + strlen(probe->name) + strlen(probe->arguments);
	return true;
}

static void visit_bytes(const char *path, const unsigned char *bytes, size_t count)
{
	struct image *image;
	size_t sum = 0;
	write_bytes(path, bytes, count);
	struct error *err = fixture_try_open(path, NULL, &image);
	if (!err) {
		image_static_probes_visit(image, touch, &sum);
		image_close(image);
	}
	error_free(err);
}

START_TEST(damaged_notes_do_no_harm)
{
	char *directory = fixture_directory();
	size_t count;
	_cleanup_free_ char *path = build(directory, "-shared -fPIC");
	_cleanup_free_ unsigned char *bytes = fixture_read(path, &count);
	Elf64_Shdr *notes = section(bytes, ".note.stapsdt");
	size_t size = notes->sh_size, start = notes->sh_offset;
	srandom(11);
	for (size_t cut = 0; cut <= size; cut++) {
		notes->sh_size = cut;
		visit_bytes(path, bytes, count);
	}
	notes->sh_size = size;
	for (size_t i = 0; i < size * 8; i++) {
		bytes[start + i / 8] ^= (unsigned char)(1 << i % 8);
		visit_bytes(path, bytes, count);
		bytes[start + i / 8] ^= (unsigned char)(1 << i % 8);
	}
	for (int round = 0; round < 2000; round++) {
		_cleanup_free_ unsigned char *mutant = malloc(count);
		memcpy(mutant, bytes, count);
		for (int i = 0; i < 4; i++)
			mutant[start + (size_t)random() % size] = (unsigned char)random();
		visit_bytes(path, mutant, count);
	}
	fixture_remove(directory);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("static probes");
	TCase *tests = tcase_create("static probes");
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, probes_are_those_that_readelf_lists, 0, 5);
	tcase_add_test(tests, those_of_a_library_of_the_system_are_listed);
	tcase_add_test(tests, a_visit_ends_where_it_is_told);
	tcase_add_test(tests, addresses_move_with_the_base_section);
	tcase_add_test(tests, a_semaphore_lies_among_the_semaphores);
	tcase_add_test(tests, damaged_notes_do_no_harm);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
