/* SPDX-License-Identifier: MIT */
/*
 * Programs are built from small sources, and the positions of their instructions compared with what
 * eu-addr2line, addr2line and llvm-addr2line say. None of these is right everywhere (elfutils'
 * does not see clang's units without .debug_aranges, and takes the wrong one of two inlined calls
 * where their ranges touch; binutils' misses clang's DWARF 5 inlines), so an answer has to equal
 * that of at least one in every frame's file, line and function.
 */
#include <check.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "image/line_ranges.h"
#include "unit/image/fixture.h"

enum { FRAMES_MAX = 256, TOOLS_MAX = 3 };

struct frame {
	char *function;
	char *file;
	unsigned int line;
};

struct chain {
	struct frame frames[FRAMES_MAX];
	size_t count;
};

/* The output of one of the tools: "0xADDRESS", then two lines a frame. next is read ahead. */
struct tool {
	const char *name;
	FILE *output;
	char *next;
	size_t next_bytes;
	size_t agreed;
	struct chain chain;
};

static bool have(const char *program)
{
	char command[128];
	snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", program);
	return system(command) == 0;
}

static bool advance(struct tool *tool)
{
	if (getline(&tool->next, &tool->next_bytes, tool->output) <= 0)
		return false;
	tool->next[strcspn(tool->next, "\n")] = 0;
	return true;
}

static void clear(struct chain *chain)
{
	for (size_t i = 0; i < chain->count; i++) {
		free(chain->frames[i].function);
		free(chain->frames[i].file);
	}
	chain->count = 0;
}

static char *without_dots(const char *path)
{
	char *copy = strdup(path);
	char *at;
	while ((at = strstr(copy, "/./")))
		memmove(at, at + 2, strlen(at + 2) + 1);
	while ((at = strstr(copy, "//")))
		memmove(at, at + 1, strlen(at + 1) + 1);
	return copy;
}

/* "FILE:LINE", "FILE:LINE:COLUMN", "FILE:LINE (discriminator N)", "FILE:?" */
static void parse_position(char *text, struct frame *frame)
{
	char *colon, *space = strstr(text, " (");
	if (space)
		*space = 0;
	colon = strrchr(text, ':');
	ck_assert_msg(colon != NULL, "%s", text);
	*colon = 0;
	char *second = strrchr(text, ':');
	if (second && second[1] && strspn(second + 1, "0123456789") == strlen(second + 1)) {
		*second = 0;
		colon = second;
	}
	frame->line = (unsigned int)strtoul(colon + 1, NULL, 10);
	frame->file = without_dots(text);
}

static void read_chain(struct tool *tool, uint64_t address)
{
	struct chain *chain = &tool->chain;
	clear(chain);
	ck_assert_msg(strtoull(tool->next, NULL, 16) == address, "%s: %s", tool->name, tool->next);
	while (advance(tool) && strncmp(tool->next, "0x", 2) != 0) {
		ck_assert_uint_lt(chain->count, FRAMES_MAX);
		struct frame *frame = &chain->frames[chain->count++];
		char *inlined = strstr(tool->next, " inlined at ");
		if (inlined)
			*inlined = 0;
		frame->function = strdup(tool->next);
		ck_assert(advance(tool));
		parse_position(tool->next, frame);
	}
}

static bool ends_with_part(const char *name, const char *part)
{
	size_t count = strlen(name), tail = strlen(part);
	return count > tail + 2 && !strcmp(name + count - tail, part) &&
	       !strncmp(name + count - tail - 2, "::", 2);
}

/*
 * The tools print a linkage name, or DW_AT_name alone where there is none; those that prefer the
 * symbol table a clone's suffix, or another name of the same constructor.
 */
static bool same_function(const struct image_position *position, const char *name)
{
	if (!position->function)
		return !strcmp(name, "??");
	_cleanup_free_ char *demangled = image_demangle(name);
	_cleanup_free_ char *base = strdup(name);
	char *dot = strchr(base + 1, '.');
	if (dot)
		*dot = 0;
	return !strcmp(position->function, name) || !strcmp(position->function, base) ||
	       (position->linkage && !strcmp(position->linkage, name)) ||
	       (demangled && !strcmp(position->function, demangled)) ||
	       ends_with_part(position->function, name);
}

static bool agrees(const struct image_position *positions, size_t count, const struct chain *chain)
{
	if (count != chain->count)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct frame *frame = &chain->frames[i];
		if (positions[i].line != frame->line || positions[i].inlined != (i + 1 < count))
			return false;
		if (frame->line && strcmp(positions[i].file, frame->file) != 0)
			return false;
		if (!same_function(&positions[i], frame->function))
			return false;
	}
	return true;
}

static void print_difference(uint64_t address, const struct image_position *positions, size_t count,
			     const struct tool *tools, size_t tool_count)
{
	printf("  0x%lx\n", (unsigned long)address);
	for (size_t i = 0; i < count; i++)
		printf("    ours: %s (%s) %s:%u\n", positions[i].function, positions[i].linkage,
		       positions[i].file, positions[i].line);
	for (size_t t = 0; t < tool_count; t++)
		for (size_t i = 0; i < tools[t].chain.count; i++)
			printf("    %s: %s %s:%u\n", tools[t].name,
			       tools[t].chain.frames[i].function, tools[t].chain.frames[i].file,
			       tools[t].chain.frames[i].line);
}

static size_t start_tools(struct tool *tools, const char *file, const char *addresses)
{
	static const char *const names[][2] = {{"eu-addr2line", "eu-addr2line"},
					       {"addr2line", "addr2line"},
					       {"llvm-addr2line", "llvm-addr2line-14"}};
	size_t count = 0;
	for (size_t i = 0; i < TOOLS_MAX; i++) {
		const char *name = have(names[i][0]) ? names[i][0] : names[i][1];
		if (!have(name))
			continue;
		char command[1024];
		snprintf(command, sizeof command, "%s -a -i -f -e '%s' < %s", name, file,
			 addresses);
		struct tool *tool = &tools[count++];
		*tool = (struct tool){.name = name, .output = popen(command, "r")};
		ck_assert_ptr_nonnull(tool->output);
		ck_assert_msg(advance(tool), "%s printed nothing", name);
	}
	ck_assert_uint_gt(count, 0);
	return count;
}

static void stop_tools(struct tool *tools, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		clear(&tools[i].chain);
		free(tools[i].next);
		pclose(tools[i].output);
	}
}

/* Compares the addresses in the file; at least `least` of them must be there. */
static void compare(const char *file, const char *addresses, size_t least)
{
	static struct tool tools[TOOLS_MAX];
	size_t tool_count = start_tools(tools, file, addresses);
	struct image *image = fixture_open(file);
	_cleanup_fclose_ FILE *list = fopen(addresses, "r");
	ck_assert_ptr_nonnull(list);
	size_t compared = 0, frames = 0, differing = 0;
	uint64_t address;
	while (fscanf(list, "%lx", &address) == 1) {
		const struct image_position *positions;
		size_t count, agreeing = 0;
		fixture_no_error(image_positions(image, (image_addr){address}, &positions, &count));
		for (size_t t = 0; t < tool_count; t++) {
			read_chain(&tools[t], address);
			bool same = agrees(positions, count, &tools[t].chain);
			tools[t].agreed += same;
			agreeing += same;
		}
		compared++;
		frames += count;
		if (!agreeing && ++differing <= 5)
			print_difference(address, positions, count, tools, tool_count);
	}
	printf("lines: %s: %zu addresses, %zu frames, %zu differ; equal to", strrchr(file, '/'),
	       compared, frames, differing);
	for (size_t t = 0; t < tool_count; t++)
		printf(" %s %zu", tools[t].name, tools[t].agreed);
	printf("\n");
	stop_tools(tools, tool_count);
	image_close(image);
	ck_assert_uint_ge(compared, least);
	ck_assert_uint_eq(differing, 0);
}

/* Every instruction of .text, but for those the linker and the C library's start files bring. */
static void compare_text(const char *directory, const char *program, size_t least)
{
	char file[512], addresses[512];
	snprintf(file, sizeof file, "%s/%s", directory, program);
	snprintf(addresses, sizeof addresses, "%s/addresses", directory);
	fixture_run("objdump -d -j .text '%s' | awk '/^[0-9a-f]+ </ {skip = "
		    "/<(_start|_?_?(de)?register_tm_clones|__do_global_dtors_aux|frame_dummy)>/}"
		    " /^ +[0-9a-f]+:/ && !skip {sub(\":\",\"\",$1); print \"0x\" $1}' > '%s'",
		    file, addresses);
	compare(file, addresses, least);
}

static char *directory;

static void set_up(void)
{
	directory = fixture_directory();
}

static void tear_down(void)
{
	fixture_remove(directory);
}

static void write_source(const char *name, const char *text)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s", directory, name);
	fixture_write(path, "%s", text);
}

static void build(const char *command)
{
	fixture_run("cd '%s' && %s", directory, command);
}

static const char c_source[] =
	"#include <stdio.h>\n"
	"#include <stdlib.h>\n"
	"#include <string.h>\n"
	"struct node { struct node *next; char name[16]; };\n"
	"static struct node *head;\n"
	"static inline __attribute__((always_inline)) struct node *make(const char *name)\n"
	"{\n"
	"	struct node *node = calloc(1, sizeof *node);\n"
	"	if (__builtin_expect(!node, 0)) { perror(\"make\"); abort(); }\n"
	"	strncpy(node->name, name, sizeof node->name - 1);\n"
	"	return node;\n"
	"}\n"
	"static inline __attribute__((always_inline)) void push(const char *name)\n"
	"{\n"
	"	struct node *node = make(name); node->next = head;\n"
	"	head = node;\n"
	"}\n"
	"int never_called(int n) { int s = 0; for (int i = 0; i < n; i++) s += i * n; return s; }\n"
	"static int compare(const void *a, const void *b) { return strcmp(a, b); }\n"
	"int work(int n, char **names)\n"
	"{\n"
	"	int length = 0;\n"
	"	for (int i = 0; i < n; i++) { push(names[i]); if (i & 1) push(\"odd\"); }\n"
	"	for (struct node *node = head; node; node = node->next)\n"
	"		switch (node->name[0] % 7) {\n"
	"		case 0: length += puts(node->name); break;\n"
	"		case 1: length -= 3; push(\"one\"); break;\n"
	"		case 3: free(strdup(node->name)); break;\n"
	"		case 5: qsort(node->name, 4, 4, compare); break;\n"
	"		default: length++;\n"
	"		}\n"
	"	return length;\n"
	"}\n"
	"int main(int argc, char **argv) { return work(argc, argv) & 1; }\n";

START_TEST(positions_of_c_programs_agree_with_addr2line)
{
	static const char *const flags[] = {
		"-O2 -g -gdwarf-5",
		"-O2 -g -gdwarf-4",
		"-O0 -g",
		"-O2 -g1",
		"-O3 -g -gz",
		"-Os -g3 -gdwarf-4 -gz",
		"-O2 -g -gdwarf-2",
		"-O2 -g -ffunction-sections -Wl,--gc-sections",
		"-O2 -g -no-pie -gdwarf-4 -ffunction-sections -Wl,--gc-sections",
		"-O2 -g -gno-as-locview-support -fdebug-types-section",
	};
	write_source("prog.c", c_source);
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		char command[512];
		snprintf(command, sizeof command, "gcc %s prog.c -o c%zu", flags[i], i);
		build(command);
		snprintf(command, sizeof command, "c%zu", i);
		compare_text(directory, command, 60);
	}
}
END_TEST

static const char cpp_source[] =
	"#include <algorithm>\n"
	"#include <cstdio>\n"
	"#include <functional>\n"
	"#include <map>\n"
	"#include <memory>\n"
	"#include <string>\n"
	"#include <vector>\n"
	"#define KEPT __attribute__((noinline))\n"
	"namespace {\n"
	"struct Pool {\n"
	"	std::vector<int> items;\n"
	"	explicit Pool(int n) : items(n) {}\n"
	"	virtual ~Pool() {}\n"
	"	KEPT int grow(int n)\n"
	"	{\n"
	"		auto add = [&](int k) KEPT { items.push_back(k); return k + n; };\n"
	"		return add(n) + add(n + 1);\n"
	"	}\n"
	"};\n"
	"KEPT int helper(int x)\n"
	"{\n"
	"	struct Local { KEPT static int twice(int y) { return y * 2 + printf(\"x\"); } };\n"
	"	return Local::twice(x);\n"
	"}\n"
	"} // namespace\n"
	"namespace outer { inline namespace v1 {\n"
	"template <class T> struct Box {\n"
	"	std::map<std::string, T> map;\n"
	"	T &get(const char *key) { return map[key]; }\n"
	"};\n"
	"} }\n"
	"static KEPT bool greater(int a, int b) { return a > b; }\n"
	"extern \"C\" KEPT int plain(int n)\n"
	"{\n"
	"	std::vector<int> v(n);\n"
	"	std::sort(v.begin(), v.end(), greater);\n"
	"	return v[0];\n"
	"}\n"
	"int main(int argc, char **argv)\n"
	"{\n"
	"	Pool pool(argc);\n"
	"	outer::Box<std::string> box;\n"
	"	box.get(\"a\") = argv[0];\n"
	"	std::function<int(int)> f = [&](int q) { return pool.grow(q) + helper(q); };\n"
	"	auto shared = std::make_shared<Pool>(3);\n"
	"	return f(argc) + plain(argc + 3) + (int)box.get(\"a\").size() + shared->grow(1);\n"
	"}\n";

static void compare_cpp(const char *compiler, const char *const *flags, size_t count)
{
	write_source("prog.cc", cpp_source);
	for (size_t i = 0; i < count; i++) {
		char command[512], program[64];
		snprintf(program, sizeof program, "%s%zu", compiler, i);
		snprintf(command, sizeof command, "%s %s prog.cc -o %s", compiler, flags[i],
			 program);
		build(command);
		compare_text(directory, program, 1000);
	}
}

START_TEST(positions_of_cpp_programs_agree_with_addr2line)
{
	static const char *const flags[] = {"-O2 -g -gdwarf-5", "-O2 -g -gdwarf-4", "-O2 -g1",
					    "-O1 -g",
					    "-O2 -g -ffunction-sections -Wl,--gc-sections"};
	compare_cpp("g++", flags, sizeof flags / sizeof *flags);
}
END_TEST

START_TEST(positions_of_clang_programs_agree_although_they_have_no_aranges)
{
	static const char *const flags[] = {"-O2 -g -gdwarf-5", "-O1 -g -gdwarf-4",
					    "-O2 -gline-tables-only"};
	if (!have("clang++") || !(have("llvm-addr2line") || have("llvm-addr2line-14"))) {
		printf("lines: no clang and llvm-addr2line, nothing compared\n");
		return;
	}
	compare_cpp("clang++", flags, sizeof flags / sizeof *flags);
}
END_TEST

START_TEST(positions_of_split_dwarf_agree_with_llvms)
{
	static const char *const flags[] = {"-O2 -g -gdwarf-5 -gsplit-dwarf",
					    "-O2 -g -gdwarf-4 -gsplit-dwarf"};
	if (!have("llvm-addr2line") && !have("llvm-addr2line-14")) {
		printf("lines: no llvm-addr2line, nothing compared\n");
		return;
	}
	compare_cpp("g++", flags, sizeof flags / sizeof *flags);
}
END_TEST

START_TEST(a_fifo_in_the_place_of_split_dwarf_is_not_opened)
{
	write_source("prog.cc", cpp_source);
	build("g++ -O2 -g -gsplit-dwarf prog.cc -o split && rm -f *.dwo &&"
	      " readelf -wi split 2>&1 | sed -n 's/.*dwo_name.*: //p' | xargs mkfifo");
	char file[512];
	snprintf(file, sizeof file, "%s/split", directory);
	struct image *image = fixture_open(file);
	struct image_symbol symbol;
	fixture_no_error(image_symbol_find(image, "main", &symbol));
	const struct image_position *positions;
	size_t count;
	fixture_no_error(image_positions(image, symbol.start, &positions, &count));
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(positions->line, 40);
	ck_assert_str_eq(positions->function, "main");
	image_close(image);
}
END_TEST

static const char rust_source[] =
	"use std::collections::HashMap;\n"
	"#[inline(always)]\n"
	"fn leaf(v: &mut Vec<u64>, n: u64) { v.push(n * 3); }\n"
	"struct P { v: Vec<u64> }\n"
	"impl P { fn grow(&mut self, n: u64) -> usize {\n"
	"    for i in 0..n { leaf(&mut self.v, i); }\n"
	"    self.v.len()\n"
	"} }\n"
	"trait T { fn go(&self) -> String; }\n"
	"impl T for P { fn go(&self) -> String { format!(\"{:?}\", self.v) } }\n"
	"fn main() {\n"
	"    let mut p = P { v: vec![] };\n"
	"    let n = std::env::args().count() as u64;\n"
	"    let l = p.grow(n * 10);\n"
	"    let mut h: HashMap<String, Box<dyn T>> = HashMap::new();\n"
	"    h.insert(format!(\"k{l}\"), Box::new(p));\n"
	"    for (k, t) in &h { println!(\"{k} {}\", t.go()); }\n"
	"    println!(\"{}\", (0..n).map(|x| x.to_string()).collect::<Vec<_>>().join(\",\"));\n"
	"}\n";

START_TEST(positions_of_rust_programs_agree_with_addr2line)
{
	if (!have("rustc")) {
		printf("lines: no rustc, nothing compared\n");
		return;
	}
	write_source("prog.rs", rust_source);
	build("rustc -g -O prog.rs -o legacy");
	build("rustc -g -Csymbol-mangling-version=v0 prog.rs -o v0");
	static const char *const programs[] = {"legacy", "v0"};
	for (size_t i = 0; i < 2; i++) {
		char file[512], addresses[512];
		snprintf(file, sizeof file, "%s/%s", directory, programs[i]);
		snprintf(addresses, sizeof addresses, "%s/addresses", directory);
		/* The standard library is large: every 45th instruction. */
		fixture_run("objdump -d -j .text '%s' | awk '/^ +[0-9a-f]+:/ && NR %% 45 == 0"
			    " {sub(\":\",\"\",$1); print \"0x\" $1}' > '%s'",
			    file, addresses);
		compare(file, addresses, 1000);
	}
}
END_TEST

START_TEST(positions_of_the_c_library_agree_with_its_separate_debug_file)
{
	struct image *image = fixture_open(LIBC_PATH);
	bool lines = image_has_lines(image);
	image_close(image);
	if (!lines) {
		printf("lines: no debug file of the C library, nothing compared\n");
		return;
	}
	char addresses[512];
	snprintf(addresses, sizeof addresses, "%s/addresses", directory);
	fixture_run("objdump -d -j .text " LIBC_PATH " | awk '/^ +[0-9a-f]+:/ {n++; if (n %% 150"
		    " == 0) {sub(\":\",\"\",$1); print \"0x\" $1}}' > '%s'",
		    addresses);
	compare(LIBC_PATH, addresses, 2000);
}
END_TEST

/* The innermost position of the symbol's first instruction; valid until the image is closed. */
static const struct image_position *position_of(struct image *image, const char *symbol_name)
{
	struct image_symbol symbol;
	fixture_no_error(image_symbol_find(image, symbol_name, &symbol));
	const struct image_position *positions;
	size_t count;
	fixture_no_error(image_positions(image, symbol.start, &positions, &count));
	return positions;
}

START_TEST(functions_without_linkage_names_are_qualified)
{
	write_source("prog.cc", cpp_source);
	build("g++ -O2 -g prog.cc -o names &&"
	      " objcopy --strip-all --keep-section='.debug_*' names nameless");
	char file[512];
	snprintf(file, sizeof file, "%s/names", directory);
	struct image *image = fixture_open(file);
	snprintf(file, sizeof file, "%s/nameless", directory);
	struct image *nameless = fixture_open(file);
	static const char *const names[][2] = {
		{"_ZN12_GLOBAL__N_14Pool4growEi", "(anonymous namespace)::Pool::grow"},
		{"_ZZN12_GLOBAL__N_14Pool4growEiENKUliE_clEi",
		 "(anonymous namespace)::Pool::grow::{lambda}::operator()"},
		{"_ZN12_GLOBAL__N_16helperEi", "(anonymous namespace)::helper"},
		{"_ZL7greaterii", "greater"},
		{"plain", "plain"},
		{"main", "main"},
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct image_symbol symbol;
		_cleanup_error_ struct error *err = image_symbol_find(image, names[i][0], &symbol);
		/* Compilers may leave the small ones out after all. */
		if (err && i)
			continue;
		const struct image_position *positions;
		size_t count;
		fixture_no_error(image_positions(nameless, symbol.start, &positions, &count));
		ck_assert_str_eq(positions[count - 1].function, names[i][1]);
	}
	/* With its symbols, the program says more of it. */
	ck_assert_str_eq(position_of(image, "_ZN12_GLOBAL__N_14Pool4growEi")->linkage,
			 "_ZN12_GLOBAL__N_14Pool4growEi");
	image_close(nameless);
	image_close(image);
}
END_TEST

START_TEST(the_label_leaves_out_the_compilation_directory_only)
{
	build("mkdir -p src other build");
	write_source("src/a.c", "int inside(void) { return 1; }\n");
	write_source("other/b.c", "int outside(void) { return 2; }\n");
	write_source("main.c", "int inside(void), outside(void);\n"
			       "int main(void) { return inside() + outside(); }\n");
	build("gcc -g -c src//./a.c -o a.o && cd build && gcc -g -c ../other/b.c -o ../b.o && cd .."
	      " && gcc -g a.o b.o \"$PWD/main.c\" -o prog");
	char file[512], want[512];
	snprintf(file, sizeof file, "%s/prog", directory);
	struct image *image = fixture_open(file);
	snprintf(want, sizeof want, "%s/src/a.c", directory);
	ck_assert_str_eq(position_of(image, "inside")->file, want);
	ck_assert_str_eq(position_of(image, "inside")->label, "src/a.c");
	snprintf(want, sizeof want, "%s/build/../other/b.c", directory);
	ck_assert_str_eq(position_of(image, "outside")->file, want);
	ck_assert_str_eq(position_of(image, "outside")->label, want);
	snprintf(want, sizeof want, "%s/main.c", directory);
	ck_assert_str_eq(position_of(image, "main")->file, want);
	ck_assert_str_eq(position_of(image, "main")->label, "main.c");
	image_close(image);
}
END_TEST

START_TEST(without_debug_information_the_symbol_gives_the_function)
{
	write_source("prog.cc", "struct A { int add(int); }; int A::add(int n) { return n + 1; }\n"
				"int main(int n, char **) { return A().add(n); }\n");
	build("g++ -O0 prog.cc -o plain");
	char file[512];
	snprintf(file, sizeof file, "%s/plain", directory);
	struct image *image = fixture_open(file);
	ck_assert(!image_has_lines(image));
	const struct image_position *position = position_of(image, "_ZN1A3addEi");
	ck_assert_str_eq(position->function, "A::add");
	ck_assert_str_eq(position->linkage, "_ZN1A3addEi");
	ck_assert_ptr_null(position->file);
	ck_assert_ptr_null(position->label);
	ck_assert_uint_eq(position->line, 0);
	ck_assert(!position->inlined);
	image_close(image);
}
END_TEST

START_TEST(an_address_outside_of_the_image_has_one_unknown_position)
{
	write_source("prog.c", c_source);
	build("gcc -O2 -g prog.c -o prog");
	char file[512];
	snprintf(file, sizeof file, "%s/prog", directory);
	struct image *image = fixture_open(file);
	static const uint64_t addresses[] = {0, 1, 0x7fffffffffff, UINT64_MAX};
	for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
		const struct image_position *positions;
		size_t count;
		fixture_no_error(
			image_positions(image, (image_addr){addresses[i]}, &positions, &count));
		ck_assert_uint_eq(count, 1);
		ck_assert_ptr_null(positions->file);
		ck_assert_ptr_null(positions->function);
		ck_assert(!positions->inlined);
	}
	image_close(image);
}
END_TEST

START_TEST(asking_again_gives_the_same_answer)
{
	write_source("prog.c", c_source);
	build("gcc -O2 -g prog.c -o prog");
	char file[512];
	snprintf(file, sizeof file, "%s/prog", directory);
	struct image *image = fixture_open(file);
	ck_assert(image_has_lines(image));
	const struct image_position *first = position_of(image, "work");
	position_of(image, "main");
	ck_assert_ptr_eq(position_of(image, "work"), first);
	image_close(image);
}
END_TEST

START_TEST(positions_survive_the_deletion_of_the_program)
{
	write_source("prog.c", c_source);
	build("gcc -O2 -g prog.c -o prog");
	char file[512];
	snprintf(file, sizeof file, "%s/prog", directory);
	struct image *image = fixture_open(file);
	ck_assert_int_eq(unlink(file), 0);
	ck_assert_uint_eq(position_of(image, "main")->line, 34);
	image_close(image);
}
END_TEST

/* The obviously right look-up: of all ranges that hold the address, the one that wins. */
static uint32_t naive_find(const struct line_range *ranges, size_t count, uint64_t address,
			   enum line_tie tie)
{
	const struct line_range *best = NULL;
	for (size_t i = 0; i < count; i++) {
		const struct line_range *range = &ranges[i];
		if (address < range->start || address >= range->end)
			continue;
		bool wins = !best || range->start > best->start ||
			    (range->start == best->start && range->end < best->end);
		if (best && range->start == best->start && range->end == best->end)
			wins = tie == LINE_TIE_LAST ? range->owner > best->owner
						    : range->owner < best->owner;
		if (wins)
			best = range;
	}
	return best ? best->owner : LINE_NONE;
}

START_TEST(settled_ranges_answer_as_a_linear_search_does)
{
	unsigned int random = 3;
	for (int round = 0; round < 4000; round++) {
		enum { MAX = 40 };
		size_t count = (size_t)rand_r(&random) % MAX;
		struct line_ranges ranges = {.items = calloc(MAX, sizeof *ranges.items),
					     .count = count,
					     .capacity = MAX};
		struct line_range copy[MAX];
		for (size_t i = 0; i < count; i++) {
			uint64_t start = (uint64_t)rand_r(&random) % 100;
			uint64_t bytes = 1 + (uint64_t)rand_r(&random) % 30;
			ranges.items[i] = (struct line_range){start, start + bytes, (uint32_t)i};
			copy[i] = ranges.items[i];
		}
		enum line_tie tie = round & 1 ? LINE_TIE_FIRST : LINE_TIE_LAST;
		fixture_no_error(line_ranges_settle(&ranges, tie));
		for (size_t i = 0; i < ranges.count; i++) {
			ck_assert_uint_lt(ranges.items[i].start, ranges.items[i].end);
			if (i)
				ck_assert_uint_le(ranges.items[i - 1].end, ranges.items[i].start);
		}
		for (uint64_t address = 0; address < 140; address++)
			ck_assert_uint_eq(line_ranges_find(&ranges, address),
					  naive_find(copy, count, address, tie));
		line_ranges_deinit(&ranges);
	}
}
END_TEST

/* Asks for every seventh byte of the executable segments. */
static void ask_everywhere(const char *file)
{
	struct image *image;
	_cleanup_error_ struct error *err = fixture_try_open(file, NULL, &image);
	if (err)
		return;
	size_t count;
	const struct image_segment *segments = image_segments(image, &count);
	for (size_t i = 0; i < count; i++)
		for (uint64_t at = 0; segments[i].executable && at < segments[i].file_bytes;
		     at += 7) {
			const struct image_position *positions;
			size_t position_count;
			fixture_no_error(image_positions(
				image, image_addr_add(segments[i].start, (int64_t)at), &positions,
				&position_count));
			ck_assert_uint_ge(position_count, 1);
		}
	image_close(image);
}

/* The places in the file of the sections whose names begin with ".debug". */
static size_t debug_sections(const char *file, size_t (*places)[2], size_t max)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	elf_version(EV_CURRENT);
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	size_t names, count = 0;
	ck_assert_int_eq(elf_getshdrstrndx(elf, &names), 0);
	for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));) {
		GElf_Shdr header;
		ck_assert_ptr_nonnull(gelf_getshdr(section, &header));
		const char *name = elf_strptr(elf, names, header.sh_name);
		if (count == max || strncmp(name, ".debug", 6) != 0 || !header.sh_size)
			continue;
		places[count][0] = header.sh_offset;
		places[count++][1] = header.sh_size;
	}
	elf_end(elf);
	close(fd);
	return count;
}

START_TEST(mutated_debug_information_neither_crashes_nor_hangs)
{
	static const char *const flags[] = {"-gdwarf-5", "-gdwarf-4"};
	write_source("prog.c", c_source);
	char command[256], file[512], mutant[512];
	snprintf(command, sizeof command, "gcc -O2 -g %s prog.c -o prog", flags[_i]);
	build(command);
	snprintf(file, sizeof file, "%s/prog", directory);
	snprintf(mutant, sizeof mutant, "%s/mutant", directory);
	size_t places[16][2], bytes_count;
	size_t count = debug_sections(file, places, 16);
	ck_assert_uint_ge(count, 4);
	_cleanup_free_ unsigned char *bytes = fixture_read(file, &bytes_count);
	_cleanup_free_ unsigned char *changed = malloc(bytes_count);
	unsigned int random = 11;
	for (int round = 0; round < 400; round++) {
		memcpy(changed, bytes, bytes_count);
		for (int change = 0; change < 1 + round % 12; change++) {
			const size_t *place = places[(size_t)rand_r(&random) % count];
			size_t at = place[0] + (size_t)rand_r(&random) % place[1];
			changed[at] = (unsigned char)rand_r(&random);
		}
		FILE *output = fopen(mutant, "w");
		ck_assert_ptr_nonnull(output);
		ck_assert_uint_eq(fwrite(changed, 1, bytes_count, output), bytes_count);
		fclose(output);
		ask_everywhere(mutant);
	}
}
END_TEST

/*
 * Hand-made DWARF 4: 4 000 000 lexical blocks within each other without DW_AT_sibling (a walk that
 * skips what it has visited would do so at each of its depths), or 100 000 functions that share one
 * list of 100 000 ranges.
 */
static const char bomb_source[] = "	.text\n"
				  "	.globl main\n"
				  "	.type main, @function\n"
				  "main:	ret\n"
				  "	.fill 64, 1, 0x90\n"
				  "end:	.size main, . - main\n"
				  "	.section .note.GNU-stack,\"\",@progbits\n"
				  "	.section .debug_abbrev,\"\",@progbits\n"
				  "	.byte 1, 0x11, 1, 0x11, 1, 0x12, 7, 0, 0\n"
				  "	.byte 2, 0x0b, 1, 0, 0\n"
				  "	.byte 3, 0x2e, 0, 0x55, 0x17, 0, 0\n"
				  "	.byte 4, 0x2e, 0, 0x11, 1, 0x12, 7, 3, 8, 0, 0\n"
				  "	.byte 0\n"
				  "	.section .debug_info,\"\",@progbits\n"
				  "	.long 2f - 1f\n"
				  "1:	.short 4\n"
				  "	.long .debug_abbrev\n"
				  "	.byte 8\n"
				  "	.uleb128 1\n"
				  "	.quad main, end - main\n"
				  "#ifdef DEEP\n"
				  "	.fill 4000000, 1, 2\n"
				  "	.fill 4000000, 1, 0\n"
				  "#else\n"
				  "	.rept 100000\n"
				  "	.byte 3\n"
				  "	.long 0\n"
				  "	.endr\n"
				  "#endif\n"
				  "	.uleb128 4\n"
				  "	.quad main, 1\n"
				  "	.asciz \"found\"\n"
				  "	.byte 0\n"
				  "2:\n"
				  "	.section .debug_ranges,\"\",@progbits\n"
				  "	.rept 100000\n"
				  "	.quad 8, 16\n"
				  "	.endr\n"
				  "	.quad 0, 0\n";

START_TEST(deeply_nested_debug_information_takes_linear_time)
{
	write_source("bomb.S", bomb_source);
	build("gcc -DDEEP bomb.S -o bomb");
	char file[512];
	snprintf(file, sizeof file, "%s/bomb", directory);
	struct image *image = fixture_open(file);
	ck_assert_str_eq(position_of(image, "main")->function, "found");
	image_close(image);
}
END_TEST

START_TEST(a_long_range_list_shared_by_many_functions_is_given_up)
{
	write_source("bomb.S", bomb_source);
	build("gcc bomb.S -o bomb");
	char file[512];
	snprintf(file, sizeof file, "%s/bomb", directory);
	struct image *image = fixture_open(file);
	ck_assert_ptr_nonnull(position_of(image, "main")->function);
	image_close(image);
}
END_TEST

static void add_comparisons(TCase *cases)
{
	tcase_add_test(cases, positions_of_c_programs_agree_with_addr2line);
	tcase_add_test(cases, positions_of_cpp_programs_agree_with_addr2line);
	tcase_add_test(cases, positions_of_clang_programs_agree_although_they_have_no_aranges);
	tcase_add_test(cases, positions_of_split_dwarf_agree_with_llvms);
	tcase_add_test(cases, positions_of_rust_programs_agree_with_addr2line);
	tcase_add_test(cases, positions_of_the_c_library_agree_with_its_separate_debug_file);
}

int main(void)
{
	/* What a failing test has printed is to be seen. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* A compiler behind a cache would give objects that were made in another directory. */
	setenv("CCACHE_DISABLE", "1", 1);
	Suite *suite = suite_create("image lines");
	TCase *cases = tcase_create("positions");
	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_set_timeout(cases, 240);
	add_comparisons(cases);
	tcase_add_test(cases, a_fifo_in_the_place_of_split_dwarf_is_not_opened);
	tcase_add_test(cases, functions_without_linkage_names_are_qualified);
	tcase_add_test(cases, the_label_leaves_out_the_compilation_directory_only);
	tcase_add_test(cases, without_debug_information_the_symbol_gives_the_function);
	tcase_add_test(cases, an_address_outside_of_the_image_has_one_unknown_position);
	tcase_add_test(cases, asking_again_gives_the_same_answer);
	tcase_add_test(cases, positions_survive_the_deletion_of_the_program);
	tcase_add_test(cases, settled_ranges_answer_as_a_linear_search_does);
	tcase_add_loop_test(cases, mutated_debug_information_neither_crashes_nor_hangs, 0, 2);
	suite_add_tcase(suite, cases);
	TCase *bombs = tcase_create("bombs");
	tcase_add_checked_fixture(bombs, set_up, tear_down);
	tcase_set_timeout(bombs, 20);
	tcase_add_test(bombs, deeply_nested_debug_information_takes_linear_time);
	tcase_add_test(bombs, a_long_range_list_shared_by_many_functions_is_given_up);
	suite_add_tcase(suite, bombs);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
