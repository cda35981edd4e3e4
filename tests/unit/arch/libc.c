/* SPDX-License-Identifier: MIT */
/*
 * The C library of this machine, read from its file: lengths and exits must be what a walk over the
 * text of objdump, readelf and nm says. That walk is written for clearness alone and shares nothing
 * with the code under test but the bounds of functions and the values of slots, which are inputs.
 */
#include <check.h>
#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/code.h"
#include "base/array.h"
#include "base/cleanup.h"

enum {
	INSTRUCTIONS_MAX = 4096,
	SAMPLED_FUNCTIONS = 500,
};

enum kind {
	KIND_PLAIN,
	KIND_RETURN,
	KIND_JUMP,
	KIND_BRANCH,
	KIND_SLOT,
	KIND_CALL,
	KIND_CALL_COMPUTED,
	KIND_TRAP,
	KIND_COMPUTED,
	KIND_BAD,
};

struct line {
	uint64_t address;
	enum kind kind;
	uint64_t target;
};

struct range {
	uint64_t start, end;
};

struct slot {
	uint64_t address, value;
};

struct symbol {
	char *name;
	uint64_t address;
};

/* The file and what the tools say of it; filled once, before the first test, then only read. */
static struct libc {
	char path[PATH_MAX];
	uint64_t base; /* where this process has it */
	const uint8_t *file;
	size_t file_bytes;
	struct line *lines;
	size_t line_count, line_capacity;
	struct range *ranges;
	size_t range_count, range_capacity;
	struct slot *slots;
	size_t slot_count, slot_capacity;
	struct symbol *symbols;
	size_t symbol_count, symbol_capacity;
} libc;

static int find_libc(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size;
	(void)context;
	if (!strstr(info->dlpi_name, "/libc.so.6"))
		return 0;
	snprintf(libc.path, sizeof libc.path, "%s", info->dlpi_name);
	libc.base = info->dlpi_addr;
	return 1;
}

static void map_file(void)
{
	_cleanup_close_ int fd = open(libc.path, O_RDONLY | O_CLOEXEC);
	struct stat stat;
	if (fd < 0 || fstat(fd, &stat))
		abort();
	libc.file_bytes = (size_t)stat.st_size;
	libc.file = mmap(NULL, libc.file_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	if (libc.file == MAP_FAILED)
		abort();
}

static void read_tool(const char *command, void (*take)(char *line))
{
	char full[PATH_MAX + 200];
	snprintf(full, sizeof full, "%s %s 2>/dev/null", command, libc.path);
	FILE *output = popen(full, "r");
	if (!output)
		abort();
	_cleanup_free_ char *line = NULL;
	size_t capacity = 0;
	while (getline(&line, &capacity, output) > 0) {
		line[strcspn(line, "\n")] = 0;
		take(line);
	}
	pclose(output);
}

static void take_range(char *line)
{
	char *pc = strstr(line, " FDE ");
	pc = pc ? strstr(pc, "pc=") : NULL;
	struct range range;
	if (!pc || sscanf(pc, "pc=%" SCNx64 "..%" SCNx64, &range.start, &range.end) != 2)
		return;
	if (!array_reserve(&libc.ranges, &libc.range_capacity, libc.range_count + 1, sizeof range))
		abort();
	libc.ranges[libc.range_count++] = range;
}

static void take_slot(char *line)
{
	struct slot slot;
	uint64_t info;
	char type[64], value[64];
	if (sscanf(line, "%" SCNx64 " %" SCNx64 " %63s %63s", &slot.address, &info, type, value) !=
	    4)
		return;
	if (!strncmp(type, "R_X86_64_IRELATIV", 17)) {
		uint64_t resolved;
		memcpy(&resolved, (const void *)(uintptr_t)(libc.base + slot.address),
		       sizeof resolved);
		slot.value = resolved - libc.base;
	} else if (!strncmp(type, "R_X86_64_JUMP_SLO", 17) && !strstr(line, "()")) {
		slot.value = strtoull(value, NULL, 16);
	} else {
		return;
	}
	if (!array_reserve(&libc.slots, &libc.slot_capacity, libc.slot_count + 1, sizeof slot))
		abort();
	libc.slots[libc.slot_count++] = slot;
}

static void take_symbol(char *line)
{
	struct symbol symbol;
	char type, name[256];
	if (sscanf(line, "%" SCNx64 " %c %255s", &symbol.address, &type, name) != 3)
		return;
	name[strcspn(name, "@")] = 0;
	symbol.name = strdup(name);
	if (!symbol.name || !array_reserve(&libc.symbols, &libc.symbol_capacity,
					   libc.symbol_count + 1, sizeof symbol))
		abort();
	libc.symbols[libc.symbol_count++] = symbol;
}

static bool is_one_of(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(word, *list))
			return true;
	return false;
}

static enum kind kind_of(const char *mnemonic, char *operands, uint64_t *target)
{
	static const char *const traps[] = {"ud0", "ud1", "ud2", "hlt", "int3", NULL};
	static const char *const foreign[] = {"lret",	  "ljmp",    "lcall",	"iret",
					      "iretq",	  "sysret",  "sysretl", "sysretq",
					      "sysenter", "sysexit", "(bad)",	NULL};
	if (is_one_of(mnemonic, traps))
		return KIND_TRAP;
	if (is_one_of(mnemonic, foreign))
		return KIND_BAD;
	if (!strcmp(mnemonic, "ret"))
		return KIND_RETURN;
	bool star = operands[0] == '*';
	*target = strtoull(operands, NULL, 16);
	if (!strcmp(mnemonic, "call"))
		return star ? KIND_CALL_COMPUTED : KIND_CALL;
	if (!strcmp(mnemonic, "jmp")) {
		const char *slot = strstr(operands, "(%rip)        # ");
		if (slot)
			*target = strtoull(slot + strlen("(%rip)        # "), NULL, 16);
		return slot ? KIND_SLOT : star ? KIND_COMPUTED : KIND_JUMP;
	}
	bool branch =
		mnemonic[0] == 'j' || !strncmp(mnemonic, "loop", 4) || !strcmp(mnemonic, "xbegin");
	return branch ? KIND_BRANCH : KIND_PLAIN;
}

static void take_line(char *text)
{
	static const char *const prefixes[] = {
		"bnd",	  "repz", "repnz", "rep", "notrack", "lock",  "data16",	  "cs",	      "ds",
		"addr32", "es",	  "ss",	   "fs",  "gs",	     "rex.W", "xacquire", "xrelease", NULL};
	struct line line = {0};
	char *tab = strchr(text, '\t');
	if (text[0] != ' ' || !tab || sscanf(text, " %" SCNx64 ":", &line.address) != 1)
		return;
	char *rest = tab + 1, *word;
	do
		word = strsep(&rest, " ");
	while (rest && is_one_of(word, prefixes));
	while (rest && *rest == ' ')
		rest++;
	char none[1] = "";
	line.kind = kind_of(word, rest ? rest : none, &line.target);
	if (!array_reserve(&libc.lines, &libc.line_capacity, libc.line_count + 1, sizeof line))
		abort();
	libc.lines[libc.line_count++] = line;
}

static int compare_starts(const void *a, const void *b)
{
	uint64_t x = ((const struct range *)a)->start, y = ((const struct range *)b)->start;
	return (x > y) - (x < y);
}

static void load(void)
{
	if (libc.file)
		return;
	dl_iterate_phdr(find_libc, NULL);
	map_file();
	read_tool("readelf --debug-dump=frames", take_range);
	read_tool("readelf -rW", take_slot);
	read_tool("nm -D --defined-only", take_symbol);
	read_tool("objdump -d --no-show-raw-insn", take_line);
	qsort(libc.ranges, libc.range_count, sizeof *libc.ranges, compare_starts);
}

static bool read_code(void *context, target_addr address, void *bytes, size_t count)
{
	(void)context;
	const Elf64_Ehdr *header = (const void *)libc.file;
	const Elf64_Phdr *segments = (const void *)(libc.file + header->e_phoff);
	for (size_t i = 0; i < header->e_phnum; i++) {
		const Elf64_Phdr *segment = &segments[i];
		if (segment->p_type != PT_LOAD || address.v < segment->p_vaddr ||
		    address.v - segment->p_vaddr > segment->p_filesz ||
		    count > segment->p_filesz - (address.v - segment->p_vaddr))
			continue;
		memcpy(bytes, libc.file + segment->p_offset + (address.v - segment->p_vaddr),
		       count);
		return true;
	}
	return false;
}

static const struct range *range_of(uint64_t address)
{
	for (size_t i = 0; i < libc.range_count; i++)
		if (address >= libc.ranges[i].start && address < libc.ranges[i].end)
			return &libc.ranges[i];
	return NULL;
}

static bool bounds(void *context, target_addr address, target_addr *start, target_addr *end)
{
	(void)context;
	const struct range *range = range_of(address.v);
	if (range) {
		start->v = range->start;
		end->v = range->end;
	}
	return range;
}

static bool pointer(void *context, target_addr slot, target_addr *ret)
{
	(void)context;
	for (size_t i = 0; i < libc.slot_count; i++) {
		if (libc.slots[i].address != slot.v || !libc.slots[i].value)
			continue;
		ret->v = libc.slots[i].value;
		return true;
	}
	return false;
}

static const struct code_reader reader = {read_code, bounds, pointer, NULL};

static uint64_t symbol_address(const char *name)
{
	for (size_t i = 0; i < libc.symbol_count; i++)
		if (!strcmp(libc.symbols[i].name, name))
			return libc.symbols[i].address;
	ck_abort_msg("no symbol %s", name);
	return 0;
}

static const struct line *line_at(uint64_t address)
{
	size_t low = 0, high = libc.line_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (libc.lines[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	bool found = low < libc.line_count && libc.lines[low].address == address;
	return found ? &libc.lines[low] : NULL;
}

/* ---- the plain walk: a list of reached addresses, gone through from its head */

enum verdict {
	KNOWN,
	NOT_KNOWABLE,
	NOT_LISTED, /* it runs into the middle of a line of objdump's */
};

struct plain_walk {
	uint64_t entry;
	uint64_t reached[INSTRUCTIONS_MAX + 1];
	size_t reached_count;
	uint64_t returns[INSTRUCTIONS_MAX];
	size_t return_count;
};

static void plain_reach(struct plain_walk *walk, uint64_t address)
{
	for (size_t i = 0; i < walk->reached_count; i++)
		if (walk->reached[i] == address)
			return;
	if (walk->reached_count <= INSTRUCTIONS_MAX)
		walk->reached[walk->reached_count++] = address;
}

static enum verdict plain_call(struct plain_walk *walk, const struct line *line)
{
	const struct range *range = range_of(line->address);
	if (range && line->kind == KIND_CALL && line->target > range->start &&
	    line->target < range->end && line->target != walk->entry)
		return NOT_KNOWABLE;
	if (!range || line[1].address < range->end)
		plain_reach(walk, line[1].address);
	return KNOWN;
}

static enum verdict plain_step(struct plain_walk *walk, const struct line *line)
{
	switch (line->kind) {
	case KIND_RETURN:
		walk->returns[walk->return_count++] = line->address;
		return KNOWN;
	case KIND_JUMP:
		plain_reach(walk, line->target);
		return KNOWN;
	case KIND_BRANCH:
		plain_reach(walk, line->target);
		plain_reach(walk, line[1].address);
		return KNOWN;
	case KIND_SLOT: /* a departure: the returns there are not this function's */
		return KNOWN;
	case KIND_CALL:
	case KIND_CALL_COMPUTED:
		return plain_call(walk, line);
	case KIND_TRAP:
		return KNOWN;
	case KIND_PLAIN:
		plain_reach(walk, line[1].address);
		return KNOWN;
	default:
		return NOT_KNOWABLE;
	}
}

static enum verdict plain_exits(struct plain_walk *walk, uint64_t entry)
{
	walk->entry = entry;
	walk->reached_count = walk->return_count = 0;
	plain_reach(walk, entry);
	for (size_t i = 0; i < walk->reached_count; i++) {
		if (walk->reached_count > INSTRUCTIONS_MAX)
			return NOT_KNOWABLE;
		const struct line *line = line_at(walk->reached[i]);
		if (!line || line + 1 == libc.lines + libc.line_count)
			return NOT_LISTED;
		enum verdict verdict = plain_step(walk, line);
		if (verdict != KNOWN)
			return verdict;
	}
	return KNOWN;
}

static bool has_return(const struct code_exits *exits, uint64_t address)
{
	for (size_t i = 0; i < exits->return_count; i++)
		if (exits->returns[i].v == address)
			return true;
	return false;
}

static void check_same_returns(uint64_t entry, const struct code_exits *exits,
			       const struct plain_walk *walk)
{
	ck_assert_msg(exits->return_count == walk->return_count,
		      "function at %" PRIx64 ": %zu returns, objdump has %zu", entry,
		      exits->return_count, walk->return_count);
	for (size_t i = 0; i < walk->return_count; i++)
		ck_assert_msg(has_return(exits, walk->returns[i]),
			      "function at %" PRIx64 ": the return at %" PRIx64 " is missed", entry,
			      walk->returns[i]);
}

static const char *const allocators[] = {"malloc",   "calloc",	       "realloc",	"free",
					 "memalign", "posix_memalign", "aligned_alloc", "valloc",
					 "pvalloc",  "reallocarray"};

START_TEST(every_exit_of_an_allocator_function_is_what_objdump_shows)
{
	load();
	uint64_t entry = symbol_address(allocators[_i]);
	static struct plain_walk walk;
	ck_assert_int_eq(plain_exits(&walk, entry), KNOWN);
	_cleanup_code_exits_ struct code_exits exits = {0};
	struct error *err = code_find_exits(&reader, (target_addr){entry}, NULL, NULL, &exits);
	ck_assert_msg(!err, "%s: %s", allocators[_i], err ? error_message(err) : "");
	ck_assert_uint_gt(exits.return_count, 0);
	check_same_returns(entry, &exits, &walk);
}
END_TEST

START_TEST(every_ret_inside_an_allocator_function_is_reached)
{
	load();
	uint64_t entry = symbol_address(allocators[_i]);
	const struct range *range = range_of(entry);
	ck_assert_ptr_nonnull(range);
	_cleanup_code_exits_ struct code_exits exits = {0};
	ck_assert_ptr_null(code_find_exits(&reader, (target_addr){entry}, NULL, NULL, &exits));
	for (size_t i = 0; i < libc.line_count; i++) {
		const struct line *line = &libc.lines[i];
		if (line->kind == KIND_RETURN && line->address >= range->start &&
		    line->address < range->end)
			ck_assert_msg(has_return(&exits, line->address), "%s misses %" PRIx64,
				      allocators[_i], line->address);
	}
}
END_TEST

static bool is_address(void *context, target_addr address)
{
	return *(const uint64_t *)context == address.v;
}

static void check_handover(const char *from, const char *to)
{
	uint64_t target = symbol_address(to);
	_cleanup_code_exits_ struct code_exits exits = {0};
	struct error *err = code_find_exits(&reader, (target_addr){symbol_address(from)},
					    is_address, &target, &exits);
	ck_assert_msg(!err, "%s: %s", from, err ? error_message(err) : "");
	ck_assert_msg(exits.handover_count == 1 && exits.handovers[0].v == target,
		      "%s does not hand over to %s", from, to);
}

START_TEST(tail_jumps_into_other_allocator_functions_are_handovers)
{
	load();
	check_handover("memalign", "malloc");
	check_handover("aligned_alloc", "malloc");
	check_handover("realloc", "malloc");
	check_handover("reallocarray", "realloc");
}
END_TEST

START_TEST(a_tail_jump_into_the_middle_of_malloc_is_followed)
{
	load();
	uint64_t malloc_entry = symbol_address("malloc");
	_cleanup_code_exits_ struct code_exits of_malloc = {0}, of_memalign = {0};
	ck_assert_ptr_null(
		code_find_exits(&reader, (target_addr){malloc_entry}, NULL, NULL, &of_malloc));
	ck_assert_ptr_null(code_find_exits(&reader, (target_addr){symbol_address("memalign")}, NULL,
					   NULL, &of_memalign));
	for (size_t i = 0; i < of_malloc.return_count; i++)
		ck_assert(has_return(&of_memalign, of_malloc.returns[i].v));
}
END_TEST

START_TEST(the_exits_of_500_functions_are_what_objdump_shows)
{
	load();
	ck_assert_uint_gt(libc.range_count, SAMPLED_FUNCTIONS);
	size_t known = 0, unsupported = 0, not_listed = 0;
	static struct plain_walk walk;
	for (size_t i = 0; i < SAMPLED_FUNCTIONS; i++) {
		uint64_t entry = libc.ranges[i * libc.range_count / SAMPLED_FUNCTIONS].start;
		_cleanup_code_exits_ struct code_exits exits = {0};
		_cleanup_error_ struct error *err =
			code_find_exits(&reader, (target_addr){entry}, NULL, NULL, &exits);
		enum verdict verdict = plain_exits(&walk, entry);
		if (err) {
			ck_assert_int_eq(error_kind_of(err), ERROR_UNSUPPORTED);
			ck_assert_msg(verdict != KNOWN, "function at %" PRIx64 ": refused: %s",
				      entry, error_message(err));
			unsupported++;
		} else if (verdict == NOT_LISTED) {
			not_listed++;
		} else {
			ck_assert_msg(verdict == KNOWN, "function at %" PRIx64 ": accepted", entry);
			check_same_returns(entry, &exits, &walk);
			known++;
		}
	}
	if (getenv("VERBOSE"))
		printf("%zu compared, %zu refused by both, %zu not comparable\n", known,
		       unsupported, not_listed);
	ck_assert_uint_ge(known, SAMPLED_FUNCTIONS * 6 / 10);
	ck_assert_uint_le(not_listed, SAMPLED_FUNCTIONS / 50);
}
END_TEST

START_TEST(instructions_are_as_long_as_objdump_says)
{
	load();
	size_t compared = 0;
	for (size_t i = 0; i + 1 < libc.line_count; i++) {
		uint64_t address = libc.lines[i].address, next = libc.lines[i + 1].address;
		if (libc.lines[i].kind == KIND_BAD || !range_of(address) ||
		    next >= range_of(address)->end || i % 7 != 0)
			continue;
		size_t length;
		struct error *err = code_length(&reader, (target_addr){address}, &length);
		ck_assert_msg(!err, "%s", err ? error_message(err) : "");
		ck_assert_msg(length == next - address,
			      "%" PRIx64 ": %zu bytes, objdump says %" PRIu64, address, length,
			      next - address);
		compared++;
	}
	ck_assert_uint_ge(compared, 10000);
}
END_TEST

int main(void)
{
	dl_iterate_phdr(find_libc, NULL);
	if (!libc.path[0] || system("objdump --version >/dev/null 2>&1"))
		return 77;
	load();
	Suite *suite = suite_create("the C library's code");
	TCase *tests = tcase_create("libc");
	int count = sizeof allocators / sizeof *allocators;
	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, every_exit_of_an_allocator_function_is_what_objdump_shows, 0,
			    count);
	tcase_add_loop_test(tests, every_ret_inside_an_allocator_function_is_reached, 0, count);
	tcase_add_test(tests, tail_jumps_into_other_allocator_functions_are_handovers);
	tcase_add_test(tests, a_tail_jump_into_the_middle_of_malloc_is_followed);
	tcase_add_test(tests, the_exits_of_500_functions_are_what_objdump_shows);
	tcase_add_test(tests, instructions_are_as_long_as_objdump_says);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
