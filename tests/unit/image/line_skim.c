/* SPDX-License-Identifier: MIT */
/*
 * The pass over bytes meets what the pass through libdw meets, in the same order and in the same
 * nesting, whoever wrote the debug information and in whatever form.
 */
#include "image/line_skim.h"

#include <dwarf.h>

#include "base/cleanup.h"
#include "image/private.h"
#include "unit/image/fixture.h"

enum { MET_MAX = 1 << 20 };

/* A function or inlined call, and the number of the one that it stands in. */
struct met {
	const void *address;
	uint32_t parent;
};

static size_t walk(const Dwarf_Die *root, struct met *ret)
{
	static struct line_walk pass;
	static uint32_t enclosing[LINE_DEPTH_MAX + 1];
	size_t count = 0;
	enclosing[0] = UINT32_MAX;
	line_walk_init(&pass, root);
	while (line_walk_next(&pass)) {
		int tag = dwarf_tag(&pass.die);
		enclosing[pass.depth + 1] = enclosing[pass.depth];
		if (tag != DW_TAG_subprogram && tag != DW_TAG_inlined_subroutine)
			continue;
		ck_assert_uint_lt(count, MET_MAX);
		ret[count] = (struct met){pass.die.addr, enclosing[pass.depth]};
		enclosing[pass.depth + 1] = (uint32_t)count++;
	}
	return count;
}

static void compare_unit(Dwarf_Die *root, struct met *room)
{
	static struct line_skim pass;
	size_t count = walk(root, room), seen = 0;
	bool known;
	fixture_no_error(line_skim_init(&pass, root, UINT32_MAX, &known));
	/* A unit without children is left to the other pass. */
	ck_assert(known || count == 0);
	while (known && line_skim_next(&pass)) {
		ck_assert_uint_lt(seen, count);
		if (pass.die.addr != room[seen].address || pass.parent != room[seen].parent ||
		    pass.inlined != (dwarf_tag(&pass.die) == DW_TAG_inlined_subroutine))
			ck_abort_msg("number %zu of %zu is another", seen, count);
		*pass.inside = (uint32_t)seen++;
	}
	ck_assert_uint_eq(seen, count);
	line_skim_deinit(&pass);
}

/* Compares all units of a file; returns how many functions and calls there were. */
static size_t compare_file(const char *path)
{
	struct image *image = fixture_open(path);
	_cleanup_free_ struct met *room = malloc(MET_MAX * sizeof *room);
	Dwarf *dwarf;
	uint64_t bias;
	size_t sum = 0;
	Dwarf_CU *unit = NULL;
	uint8_t type;
	Dwarf_Die root, split;
	fixture_no_error(image_dwarf(image, &dwarf, &bias));
	ck_assert_msg(dwarf != NULL, "%s has no debug information", path);
	while (dwarf_get_units(dwarf, unit, &unit, NULL, &type, &root, &split) == 0) {
		if (split.addr)
			root = split;
		compare_unit(&root, room);
		sum += walk(&root, room);
	}
	image_close(image);
	return sum;
}

static const char source[] =
	"#include <algorithm>\n#include <map>\n#include <string>\n#include <vector>\n"
	"namespace outer { namespace { template <class T> struct box { T value; T get() const "
	"{ struct inner { T twice(T x) { return x + x; } } in; return in.twice(value); } }; } }\n"
	"int main(int argc, char **argv) { std::map<std::string, std::vector<int>> all;\n"
	"for (int i = 0; i < argc; i++) { all[argv[i]].push_back(i); "
	"auto f = [&](int x) { return x * argc + i; }; std::transform(all[argv[i]].begin(), "
	"all[argv[i]].end(), all[argv[i]].begin(), f); }\n"
	"outer::box<long> b{argc}; return (int)b.get() + (int)all.size(); }\n";

static const char *const builds[] = {
	"g++ -O2 -gdwarf-5",
	"g++ -O0 -gdwarf-5",
	"g++ -O2 -gdwarf-4",
	"g++ -O1 -gdwarf-3",
	"g++ -O1 -gdwarf-2",
	"g++ -O2 -g -fdebug-types-section",
	"g++ -O2 -g -gz=zlib",
	"g++ -O2 -g -gz=zlib-gnu",
	"g++ -O2 -g -flto",
	"g++ -O2 -g1",
	"g++ -O2 -g3",
	"g++ -O2 -g -gsplit-dwarf",
	"clang++ -O2 -gdwarf-5",
	"clang++ -O2 -gdwarf-4",
	"clang++ -O1 -gline-tables-only",
	"clang++ -O0 -g",
	"clang++ -O2 -g -gsplit-dwarf",
	"clang++ -O2 -g -flto -fuse-ld=lld",
	"g++ -O2 -gdwarf64 -g",
};

START_TEST(both_passes_meet_the_same)
{
	char *directory = fixture_directory();
	_cleanup_free_ char *path = NULL;
	ck_assert_int_gt(asprintf(&path, "%s/source.cc", directory), 0);
	FILE *file = fopen(path, "w");
	fputs(source, file);
	fclose(file);
	fixture_run("cd %s && %s source.cc -o program", directory, builds[_i]);
	free(path);
	ck_assert_int_gt(asprintf(&path, "%s/program", directory), 0);
	ck_assert_uint_gt(compare_file(path), 0);
	fixture_remove(directory);
}
END_TEST

/* C and assembler, in a file apart whose common parts dwz has moved to another. */
START_TEST(both_passes_meet_the_same_in_the_c_library)
{
	size_t count = compare_file(LIBC_PATH);
	printf("%zu functions and inlined calls\n", count);
	ck_assert_uint_gt(count, 10000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("line_skim");
	TCase *tests = tcase_create("line_skim");
	SRunner *runner = srunner_create(suite);

	tcase_add_loop_test(tests, both_passes_meet_the_same, 0, sizeof builds / sizeof *builds);
	tcase_add_test(tests, both_passes_meet_the_same_in_the_c_library);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
