/* SPDX-License-Identifier: MIT */
/* Symbols against nm, and the look-up by address against a scan of everything. */
#include "unit/image/fixture.h"

/* One line of nm -S. */
struct line {
	unsigned long address;
	unsigned long size;
	char type;
	char name[512];
};

struct lines {
	struct line *all;
	size_t count;
};

/* Lists the symbols with a size that nm prints for a file. */
static struct lines run_nm(const char *options, const char *path)
{
	struct lines lines = {0};
	size_t capacity = 0;
	char *command;
	char text[4096];
	ck_assert_int_gt(
		asprintf(&command, "nm -S --defined-only %s '%s' 2>/dev/null", options, path), 0);
	FILE *pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	while (fgets(text, sizeof text, pipe)) {
		struct line line;
		if (sscanf(text, "%lx %lx %c %511s", &line.address, &line.size, &line.type,
			   line.name) != 4)
			continue;
		if (lines.count == capacity) {
			capacity = capacity ? 2 * capacity : 1024;
			lines.all = realloc(lines.all, capacity * sizeof *lines.all);
		}
		lines.all[lines.count++] = line;
	}
	pclose(pipe);
	free(command);
	return lines;
}

static bool is_code(char type)
{
	return type == 't' || type == 'T' || type == 'w' || type == 'W' || type == 'i';
}

static char *debug_file_of_libc(struct image *image)
{
	size_t count;
	char *path;
	const uint8_t *id = image_build_id(image, &count);
	ck_assert_uint_eq(count, 20);
	ck_assert_int_gt(asprintf(&path, "/usr/lib/debug/.build-id/%02x/", id[0]), 0);
	for (size_t i = 1; i < count; i++) {
		char *longer;
		ck_assert_int_gt(asprintf(&longer, "%s%02x", path, id[i]), 0);
		free(path);
		path = longer;
	}
	char *whole;
	ck_assert_int_gt(asprintf(&whole, "%s.debug", path), 0);
	free(path);
	return whole;
}

START_TEST(every_exported_function_is_found_where_nm_sees_it)
{
	struct image *image = fixture_open(LIBC_PATH);
	struct lines lines = run_nm("-D", LIBC_PATH);
	size_t found = 0;
	for (size_t i = 0; i < lines.count; i++) {
		struct line *line = &lines.all[i];
		char *version = strstr(line->name, "@@");
		if (!version || !is_code(line->type))
			continue;
		*version = '\0';
		struct image_symbol symbol;
		fixture_no_error(image_symbol_find(image, line->name, &symbol));
		if (symbol.start.v != line->address || symbol.size_bytes != line->size ||
		    symbol.ifunc != (line->type == 'i') || symbol.function == symbol.ifunc ||
		    !symbol.exported || strcmp(symbol.name, line->name) != 0)
			ck_abort_msg("%s: %s at %#lx", line->name, symbol.name, symbol.start.v);
		found++;
	}
	printf("%zu exported functions of libc.so.6 equal nm\n", found);
	ck_assert_uint_gt(found, 2000);
	free(lines.all);
	image_close(image);
}
END_TEST

/* The line of the default version of a name, NULL if it has only older ones. */
static const struct line *find_default(const struct lines *lines, const char *name)
{
	size_t length = strlen(name);
	for (size_t i = 0; i < lines->count; i++)
		if (strncmp(lines->all[i].name, name, length) == 0 &&
		    strncmp(lines->all[i].name + length, "@@", 2) == 0)
			return &lines->all[i];
	return NULL;
}

START_TEST(the_default_version_comes_before_older_ones)
{
	struct image *image = fixture_open(LIBC_PATH);
	struct lines lines = run_nm("-D", LIBC_PATH);
	size_t superseded = 0, only_old = 0;
	for (size_t i = 0; i < lines.count; i++) {
		struct line *line = &lines.all[i];
		char *version = strchr(line->name, '@');
		if (!version || version[1] == '@' || !is_code(line->type))
			continue;
		*version = '\0';
		struct image_symbol symbol;
		const struct line *other = find_default(&lines, line->name);
		fixture_no_error(image_symbol_find(image, line->name, &symbol));
		if (other)
			ck_assert_uint_eq(symbol.start.v, other->address);
		superseded += other && other->address != line->address;
		only_old += !other;
	}
	ck_assert_uint_gt(superseded, 10);
	ck_assert_uint_gt(only_old, 10);
	free(lines.all);
	image_close(image);
}
END_TEST

START_TEST(local_functions_are_found_in_the_separate_debug_file)
{
	struct image *image = fixture_open(LIBC_PATH);
	char *debug_path = debug_file_of_libc(image);
	struct lines lines = run_nm("", debug_path);
	size_t found = 0;
	for (size_t i = 0; i < lines.count; i++) {
		struct line *line = &lines.all[i];
		struct image_symbol symbol;
		if (strcmp(line->name, "_int_malloc") != 0 && strcmp(line->name, "sysmalloc") != 0)
			continue;
		fixture_no_error(image_symbol_find(image, line->name, &symbol));
		ck_assert_uint_eq(symbol.start.v, line->address);
		ck_assert_uint_eq(symbol.size_bytes, line->size);
		ck_assert(!symbol.exported);
		found++;
	}
	ck_assert_uint_eq(found, 2);
	free(lines.all);
	free(debug_path);
	image_close(image);
}
END_TEST

START_TEST(what_is_not_there_is_not_found)
{
	static const char *const names[] = {"", "no_such_function", "mallo", "mallocx", "environ"};
	struct image *image = fixture_open(LIBC_PATH);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct image_symbol symbol;
		struct error *err = image_symbol_find(image, names[i], &symbol);
		ck_assert_ptr_nonnull(err);
		ck_assert_int_eq(error_kind_of(err), ERROR_NOT_FOUND);
		error_free(err);
	}
	image_close(image);
}
END_TEST

struct visited {
	struct image_symbol *all;
	size_t count;
	size_t limit;
};

static bool collect(void *context, const struct image_symbol *symbol)
{
	struct visited *visited = context;
	visited->all = realloc(visited->all, (visited->count + 1) * sizeof *visited->all);
	visited->all[visited->count++] = *symbol;
	return visited->count != visited->limit;
}

START_TEST(a_visit_ends_when_it_is_told_to)
{
	struct image *image = fixture_open(LIBC_PATH);
	struct visited visited = {.limit = 7};
	fixture_no_error(image_symbols_visit(image, collect, &visited));
	ck_assert_uint_eq(visited.count, 7);
	free(visited.all);
	image_close(image);
}
END_TEST

/* The largest start of a sized function that reaches address, by going through all of them. */
static uint64_t scan(const struct visited *visited, uint64_t address)
{
	uint64_t best = 0;
	for (size_t i = 0; i < visited->count; i++) {
		const struct image_symbol *symbol = &visited->all[i];
		if ((symbol->function || symbol->ifunc) && address >= symbol->start.v &&
		    address - symbol->start.v < symbol->size_bytes && symbol->start.v > best)
			best = symbol->start.v;
	}
	return best;
}

START_TEST(the_symbol_at_an_address_is_the_one_a_scan_finds)
{
	struct image *image = fixture_open(LIBC_PATH);
	struct visited visited = {0};
	fixture_no_error(image_symbols_visit(image, collect, &visited));
	uint64_t state = 11;
	size_t held = 0;
	for (size_t i = 0; i < 4000; i++) {
		state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
		const struct image_symbol *near = &visited.all[(state >> 33) % visited.count];
		uint64_t address = near->start.v + (state >> 20) % (near->size_bytes + 3) - 1;
		uint64_t expected = scan(&visited, address);
		struct image_symbol symbol;
		bool found = image_symbol_at(image, (image_addr){address}, &symbol);
		/* a function of unknown size is no matter of the scan */
		if (found && symbol.size_bytes == 0)
			continue;
		if (found != (expected != 0) || (found && symbol.start.v != expected))
			ck_abort_msg("at %#lx: %#lx instead of %#lx", address,
				     found ? symbol.start.v : 0, expected);
		held += found;
	}
	ck_assert_uint_gt(held, 1000);
	free(visited.all);
	image_close(image);
}
END_TEST

START_TEST(of_aliases_the_plainest_name_is_given)
{
	static const char *const names[] = {"malloc", "free", "calloc", "realloc", "write"};
	struct image *image = fixture_open(LIBC_PATH);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct image_symbol symbol, at;
		fixture_no_error(image_symbol_find(image, names[i], &symbol));
		ck_assert(image_symbol_at(image, image_addr_add(symbol.start, 1), &at));
		ck_assert_str_eq(at.name, names[i]);
	}
	image_close(image);
}
END_TEST

static const char nested_source[] = "	.text\n	.globl outer, inner, sizeless, last\n"
				    "	.type outer, @function\n	.type inner, @function\n"
				    "	.type sizeless, @function\n	.type last, @function\n"
				    "outer:	.fill 16, 1, 0x90\n"
				    "inner:	.fill 16, 1, 0x90\n	.size inner, 16\n"
				    "	.fill 16, 1, 0x90\n	.size outer, 48\n"
				    "	.fill 16, 1, 0x90\n"
				    "sizeless: .fill 16, 1, 0x90\n"
				    "last:	.fill 16, 1, 0x90\n	.size last, 0x7fffffff\n"
				    "	.data\n	.globl object\n	.type object, @object\nobject: "
				    ".quad 1\n	.size object, 8\n";

static char *build(const char *directory, const char *name, const char *flags, const char *source)
{
	char *path;
	ck_assert_int_gt(asprintf(&path, "%s/%s.source", directory, name), 0);
	fixture_write(path, "%s", source);
	free(path);
	ck_assert_int_gt(asprintf(&path, "%s/%s", directory, name), 0);
	fixture_run("cc %s -o '%s' '%s.source'", flags, path, path);
	return path;
}

static void check_at(struct image *image, uint64_t address, const char *name)
{
	struct image_symbol symbol;
	bool found = image_symbol_at(image, (image_addr){address}, &symbol);
	ck_assert_msg(found == (name != NULL) && (!name || strcmp(symbol.name, name) == 0),
		      "%#lx is in %s instead of %s", address, found ? symbol.name : "nothing",
		      name ? name : "nothing");
}

START_TEST(nested_sizeless_and_oversized_functions_have_their_addresses)
{
	char *directory = fixture_directory();
	char *path = build(directory, "nested.so", "-shared -nostdlib -x assembler", nested_source);
	struct image *image = fixture_open(path);
	struct image_symbol outer, last;
	fixture_no_error(image_symbol_find(image, "outer", &outer));
	fixture_no_error(image_symbol_find(image, "last", &last));
	uint64_t base = outer.start.v;
	check_at(image, base - 1, NULL);
	check_at(image, base, "outer");
	check_at(image, base + 15, "outer");
	check_at(image, base + 16, "inner");
	check_at(image, base + 31, "inner");
	check_at(image, base + 32, "outer");
	check_at(image, base + 47, "outer");
	check_at(image, base + 48, NULL);
	check_at(image, base + 64, "sizeless");
	check_at(image, base + 79, "sizeless");
	check_at(image, base + 80, "last");
	/* cut where the segment ends */
	ck_assert_uint_eq(last.size_bytes, 16);
	check_at(image, base + 96, NULL);
	image_close(image);
	free(path);
	fixture_remove(directory);
}
END_TEST

static const char program_source[] =
	"#include <stdlib.h>\n"
	"__attribute__((noinline)) static void *hidden_helper(int n) { return malloc(n + 1); }\n"
	"int main(int c, char **v) { (void)v; return hidden_helper(c) == 0; }\n";

START_TEST(a_stripped_file_s_functions_are_found_in_its_compressed_table)
{
	char *directory = fixture_directory();
	char *path = build(directory, "program", "-O2 -x c", program_source);
	struct image *image = fixture_open(path);
	struct image_symbol expected, found;
	fixture_no_error(image_symbol_find(image, "hidden_helper", &expected));
	image_close(image);
	fixture_run(
		"cd '%s' && objcopy --only-keep-debug program mini && xz -k mini && strip program",
		directory);
	image = fixture_open(path);
	struct error *err = image_symbol_find(image, "hidden_helper", &found);
	ck_assert_ptr_nonnull(err);
	error_free(err);
	image_close(image);
	fixture_run("cd '%s' && objcopy --add-section .gnu_debugdata=mini.xz program", directory);
	image = fixture_open(path);
	fixture_no_error(image_symbol_find(image, "hidden_helper", &found));
	ck_assert_uint_eq(found.start.v, expected.start.v);
	ck_assert_uint_eq(found.size_bytes, expected.size_bytes);
	check_at(image, expected.start.v + 1, "hidden_helper");
	image_close(image);
	free(path);
	fixture_remove(directory);
}
END_TEST

START_TEST(a_compressed_table_that_is_broken_or_a_bomb_is_ignored)
{
	static const char *const makers[] = {
		"printf garbage > mini.xz",
		": > empty; xz -k empty; mv empty.xz mini.xz",
		"printf 'no ELF file' > text; xz -k text; mv text.xz mini.xz",
		"head -c 600M /dev/zero | xz -T1 -0 > mini.xz",
		"head -c 9000 /dev/urandom > r; xz -k r; head -c 5000 r.xz > mini.xz",
	};
	char *directory = fixture_directory();
	char *path = build(directory, "program", "-O2 -s -x c", program_source);
	for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) {
		fixture_run("cd '%s' && rm -f mini.xz empty* text* r r.xz; %s && "
			    "objcopy --remove-section .gnu_debugdata program && "
			    "objcopy --add-section .gnu_debugdata=mini.xz program",
			    directory, makers[i]);
		struct image *image = fixture_open(path);
		struct image_symbol symbol;
		struct error *err = image_symbol_find(image, "hidden_helper", &symbol);
		ck_assert_ptr_nonnull(err);
		ck_assert_int_eq(error_kind_of(err), ERROR_NOT_FOUND);
		error_free(err);
		image_close(image);
	}
	free(path);
	fixture_remove(directory);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("image/symbols");
	TCase *names = tcase_create("by name");
	tcase_set_timeout(names, 60);
	tcase_add_test(names, every_exported_function_is_found_where_nm_sees_it);
	tcase_add_test(names, the_default_version_comes_before_older_ones);
	tcase_add_test(names, local_functions_are_found_in_the_separate_debug_file);
	tcase_add_test(names, what_is_not_there_is_not_found);
	tcase_add_test(names, a_visit_ends_when_it_is_told_to);
	suite_add_tcase(suite, names);
	TCase *addresses = tcase_create("by address");
	tcase_set_timeout(addresses, 60);
	tcase_add_test(addresses, the_symbol_at_an_address_is_the_one_a_scan_finds);
	tcase_add_test(addresses, of_aliases_the_plainest_name_is_given);
	tcase_add_test(addresses, nested_sizeless_and_oversized_functions_have_their_addresses);
	suite_add_tcase(suite, addresses);
	TCase *compressed = tcase_create("compressed tables");
	tcase_set_timeout(compressed, 120);
	tcase_add_test(compressed, a_stripped_file_s_functions_are_found_in_its_compressed_table);
	tcase_add_test(compressed, a_compressed_table_that_is_broken_or_a_bomb_is_ignored);
	suite_add_tcase(suite, compressed);
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
