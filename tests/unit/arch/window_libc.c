/* SPDX-License-Identifier: MIT */
/*
 * Windows in the libraries of this machine, as this process has them mapped. The judge is the text
 * of objdump: an obviously right, slow reading of it says whether a jump may be written, and only
 * where bytes are not instructions may both differ.
 */
#include <check.h>
#include <dlfcn.h>
#include <elf.h>
#include <gnu/libc-version.h>
#include <inttypes.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arch/window.h"
#include "base/array.h"
#include "base/cleanup.h"

enum { SAMPLED_FUNCTIONS = 400 };

struct line {
	uint64_t address, target; /* target 0: none that is known */
	bool is_call, is_computed, is_endbr, is_bad, ends, is_nop;
};

struct range {
	uint64_t start, end;
};

/* One library: addresses are those of this process. */
struct library {
	char path[PATH_MAX];
	uint64_t base;
	target_addr text_start;
	const uint8_t *text;
	size_t text_count;
	struct window_survey survey;
	struct line *lines;
	size_t line_count, line_capacity;
	struct range *ranges;
	size_t range_count, range_capacity;
};

static struct library libc, loader;

struct wanted {
	const char *name;
	struct library *library;
};

static int find_library(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size;
	struct wanted *wanted = context;
	if (!strstr(info->dlpi_name, wanted->name))
		return 0;
	struct library *library = wanted->library;
	snprintf(library->path, sizeof library->path, "%s", info->dlpi_name);
	library->base = info->dlpi_addr;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
			continue;
		library->text_start.v = info->dlpi_addr + segment->p_vaddr;
		library->text = (const uint8_t *)(uintptr_t)library->text_start.v;
		library->text_count = segment->p_filesz;
	}
	return 1;
}

static void take_range(struct library *library, char *line)
{
	struct range range;
	char *pc = strstr(line, " FDE ");
	pc = pc ? strstr(pc, "pc=") : NULL;
	if (!pc || sscanf(pc, "pc=%" SCNx64 "..%" SCNx64, &range.start, &range.end) != 2)
		return;
	range.start += library->base;
	range.end += library->base;
	if (!array_reserve(&library->ranges, &library->range_capacity, library->range_count + 1,
			   sizeof range))
		abort();
	library->ranges[library->range_count++] = range;
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* Drops prefixes that objdump writes as words of their own. */
static char *mnemonic_of(char *text)
{
	static const char *const prefixes[] = {"bnd ",	  "notrack ", "repz ", "repnz ", "rep ",
					       "data16 ", "cs ",      "ds ",   "lock ",	 NULL};
	for (size_t i = 0; prefixes[i]; i++)
		if (begins(text, prefixes[i]))
			return mnemonic_of(text + strlen(prefixes[i]));
	return text;
}

static void take_line(struct library *library, char *text)
{
	struct line line = {0};
	char *tab = strchr(text, '\t');
	if (text[0] != ' ' || !tab || sscanf(text, " %" SCNx64 ":", &line.address) != 1)
		return;
	char *mnemonic = mnemonic_of(tab + 1), *operands = strchr(mnemonic, ' ');
	bool branches = mnemonic[0] == 'j' || begins(mnemonic, "loop") ||
			begins(mnemonic, "call") || begins(mnemonic, "xbegin");
	line.address += library->base;
	line.is_call = begins(mnemonic, "call");
	line.is_endbr = begins(mnemonic, "endbr64");
	line.is_bad = begins(mnemonic, "(bad)");
	line.is_nop = begins(mnemonic, "nop") || begins(mnemonic, "xchg   %ax,%ax") ||
		      begins(mnemonic, "int3");
	line.ends = begins(mnemonic, "jmp") || begins(mnemonic, "ret");
	operands += operands ? strspn(operands, " ") : 0;
	line.is_computed = mnemonic[0] == 'j' && operands && operands[0] == '*';
	if (branches && operands && operands[0] != '*')
		line.target = library->base + strtoull(operands, NULL, 16);
	if (!array_reserve(&library->lines, &library->line_capacity, library->line_count + 1,
			   sizeof line))
		abort();
	library->lines[library->line_count++] = line;
}

static void read_tool(struct library *library, const char *command,
		      void (*take)(struct library *library, char *line))
{
	char full[PATH_MAX + 200];
	snprintf(full, sizeof full, "%s %s 2>/dev/null", command, library->path);
	FILE *output = popen(full, "r");
	if (!output)
		abort();
	_cleanup_free_ char *line = NULL;
	size_t capacity = 0;
	while (getline(&line, &capacity, output) > 0) {
		line[strcspn(line, "\n")] = 0;
		take(library, line);
	}
	pclose(output);
}

static void survey(struct library *library)
{
	struct error *err = window_survey_make(library->text, library->text_count,
					       library->text_start, &library->survey);
	if (err)
		abort();
}

static void load(struct library *library, const char *name)
{
	struct wanted wanted = {name, library};
	if (!dl_iterate_phdr(find_library, &wanted))
		abort();
	read_tool(library, "readelf --debug-dump=frames", take_range);
	read_tool(library, "objdump -d --no-show-raw-insn", take_line);
	survey(library);
}

static bool read_text(void *context, target_addr address, void *bytes, size_t count)
{
	const struct library *library = context;
	uint64_t offset = address.v - library->text_start.v;
	if (offset > library->text_count || count > library->text_count - offset)
		return false;
	memcpy(bytes, library->text + offset, count);
	return true;
}

static bool range_bounds(void *context, target_addr address, target_addr *start, target_addr *end)
{
	const struct library *library = context;
	for (size_t i = 0; i < library->range_count; i++) {
		if (address.v < library->ranges[i].start || address.v >= library->ranges[i].end)
			continue;
		start->v = library->ranges[i].start;
		end->v = library->ranges[i].end;
		return true;
	}
	return false;
}

static bool no_pointer(void *context, target_addr slot, target_addr *ret)
{
	(void)context;
	(void)slot;
	(void)ret;
	return false;
}

static struct code_reader reader_of(struct library *library)
{
	return (struct code_reader){read_text, range_bounds, no_pointer, library};
}

static struct error *plan(struct library *library, uint64_t entry, struct window *ret)
{
	struct code_reader reader = reader_of(library);
	return window_plan(&reader, (target_addr){entry}, &library->survey, ret);
}

static const struct line *line_at(const struct library *library, uint64_t address)
{
	size_t low = 0, high = library->line_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (library->lines[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < library->line_count && library->lines[low].address == address
		       ? &library->lines[low]
		       : NULL;
}

/* What objdump shows of a window: as far as the lines go, and what would forbid it. */
struct reading {
	uint64_t entry, count;
	uint32_t starts;
	const char *objection;
};

static void object_to_target(struct reading *reading, const struct line *line)
{
	if (line->target > reading->entry && line->target < reading->entry + reading->count)
		reading->objection = "a branch leads into it";
}

/* The lines of the window itself. */
static const struct line *read_window(const struct library *library, uint64_t entry, uint64_t end,
				      struct reading *ret)
{
	const struct line *line = line_at(library, entry);
	bool ended = false;
	if (line && line->is_endbr)
		line++;
	*ret = (struct reading){.entry = line ? line->address : entry};
	const struct line *last = library->lines + library->line_count - 1;
	for (; line && line < last && ret->count < CODE_JUMP_BYTES; line++) {
		ret->starts |= (uint32_t)1 << ret->count;
		ret->count = line[1].address - ret->entry;
		bool comes_back = line->is_call && ret->count < CODE_JUMP_BYTES;
		if (comes_back || line->is_bad || line->is_endbr)
			ret->objection = "a call or no code";
		if (ended ? !line->is_nop : line->address >= end)
			ret->objection = "too short";
		ended |= line->ends;
	}
	if (ret->count < CODE_JUMP_BYTES)
		ret->objection = "too short";
	if ((ret->entry & 4095) + ret->count > 4096)
		ret->objection = "two pages";
	return line;
}

static struct reading read_lines(const struct library *library, const struct range *range)
{
	struct reading reading;
	read_window(library, range->start, range->end, &reading);
	for (size_t i = 0; i < library->line_count; i++) {
		const struct line *line = &library->lines[i];
		bool own = line->address >= range->start && line->address < range->end;
		object_to_target(&reading, line);
		if (own && line->is_computed && reading.starts != 1)
			reading.objection = "a computed jump";
	}
	return reading;
}

static const char *const allocators[] = {
	"malloc",	 "calloc", "realloc", "free",	      "memalign",	   "posix_memalign",
	"aligned_alloc", "valloc", "pvalloc", "reallocarray", "malloc_usable_size"};

static void check_reading(const struct library *library, const struct window *window)
{
	target_addr start, end;
	struct reading reading;
	ck_assert(range_bounds((void *)(uintptr_t)library, window->entry, &start, &end));
	reading = read_lines(library, &(struct range){start.v, end.v});
	ck_assert_msg(!reading.objection, "%" PRIx64 ": accepted, but %s",
		      window->entry.v - library->base, reading.objection);
	ck_assert_uint_eq(window->entry.v, reading.entry);
	ck_assert_uint_eq(window->count, reading.count);
	ck_assert_uint_eq(window->starts, reading.starts);
	ck_assert_mem_eq(window->bytes, (const void *)(uintptr_t)window->entry.v, window->count);
}

/* Of the C library itself, whoever else has the name (a sanitizer has). */
static uint64_t address_of(const char *name)
{
	void *handle = dlopen(libc.path, RTLD_NOW | RTLD_NOLOAD);
	ck_assert_ptr_nonnull(handle);
	uint64_t address = (uint64_t)(uintptr_t)dlsym(handle, name);
	ck_assert_uint_ne(address, 0);
	return address;
}

START_TEST(every_allocator_function_of_the_c_library_can_be_patched)
{
	struct window window;
	uint8_t bytes[WINDOW_COPY_MAX_BYTES];
	size_t count;
	uint64_t entry = address_of(allocators[_i]);
	struct error *err = plan(&libc, entry, &window);
	ck_assert_msg(!err, "%s: %s", allocators[_i], err ? error_message(err) : "");
	check_reading(&libc, &window);
	struct code_reader reader = reader_of(&libc);
	target_addr copy = target_addr_add(libc.text_start, (int64_t)libc.text_count + 0x100000);
	ck_assert_ptr_null(window_relocate(&reader, &window, copy, bytes, &count));
	ck_assert_uint_ge(count, CODE_JUMP_BYTES);
}
END_TEST

static uint64_t window_count_of(const char *name)
{
	struct window window;
	ck_assert_ptr_null(plan(&libc, address_of(name), &window));
	return window.count;
}

START_TEST(the_windows_of_debian_12_are_those_known)
{
	if (strcmp(gnu_get_libc_version(), "2.36"))
		return;
	/* push, push, push, mov; test, je rel32; cmpb $0,x(%rip). */
	ck_assert_uint_eq(window_count_of("malloc"), 7);
	ck_assert_uint_eq(window_count_of("free"), 9);
	ck_assert_uint_eq(window_count_of("aligned_alloc"), 7);
}
END_TEST

START_TEST(the_place_where_the_dynamic_linker_tells_of_modules_can_be_patched)
{
	struct window window;
	void *entry = dlvsym(RTLD_DEFAULT, "_dl_debug_state", "GLIBC_PRIVATE");
	ck_assert_ptr_nonnull(entry);
	struct error *err = plan(&loader, (uint64_t)(uintptr_t)entry, &window);
	ck_assert_msg(!err, "%s", err ? error_message(err) : "");
	check_reading(&loader, &window);
}
END_TEST

/* Plans everywhere; what objdump objects to must be refused, and hardly more than that. */
static void compare_with_lines(struct library *library)
{
	size_t accepted = 0, refused = 0, more = 0, compared = 0;
	size_t step = library->range_count / SAMPLED_FUNCTIONS + 1;
	for (size_t i = 0; i < library->range_count; i += step) {
		struct window window;
		const struct range *range = &library->ranges[i];
		const struct line *line = line_at(library, range->start);
		if (!line || range->start < library->text_start.v)
			continue;
		struct reading reading = read_lines(library, range);
		_cleanup_error_ struct error *err = plan(library, range->start, &window);
		compared++;
		if (!err)
			check_reading(library, &window);
		accepted += !err;
		refused += err && reading.objection;
		if (err && !reading.objection && getenv("VERBOSE"))
			printf("%" PRIx64 ": %s\n", range->start - library->base,
			       error_message(err));
		more += err && !reading.objection;
	}
	printf("%s: %zu functions: %zu accepted, %zu refused by both, %zu by window_plan alone\n",
	       library->path, compared, accepted, refused, more);
	ck_assert_uint_ge(accepted, compared / 2);
	ck_assert_uint_le(more, compared / 10);
}

START_TEST(windows_in_the_c_library_are_what_objdump_shows)
{
	compare_with_lines(&libc);
}
END_TEST

START_TEST(windows_in_the_dynamic_linker_are_what_objdump_shows)
{
	compare_with_lines(&loader);
}
END_TEST

/* Of the processor: how busy the machine is must not matter. */
static uint64_t used_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

START_TEST(planning_all_allocator_functions_costs_less_than_a_second)
{
	uint64_t begin = used_ns();
	window_survey_deinit(&libc.survey);
	survey(&libc);
	for (size_t i = 0; i < sizeof allocators / sizeof *allocators; i++)
		window_count_of(allocators[i]);
	uint64_t taken = used_ns() - begin;
	printf("%zu windows in %zu bytes of text planned in %" PRIu64 " us\n",
	       sizeof allocators / sizeof *allocators, libc.text_count, taken / 1000);
	ck_assert_uint_lt(taken, 1000000000);
}
END_TEST

int main(void)
{
	if (system("objdump --version >/dev/null 2>&1"))
		return 77;
	load(&libc, "/libc.so.6");
	load(&loader, "/ld-linux");
	Suite *suite = suite_create("windows in libraries");
	TCase *tests = tcase_create("libraries");
	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, every_allocator_function_of_the_c_library_can_be_patched, 0,
			    sizeof allocators / sizeof *allocators);
	tcase_add_test(tests, the_windows_of_debian_12_are_those_known);
	tcase_add_test(tests, the_place_where_the_dynamic_linker_tells_of_modules_can_be_patched);
	tcase_add_test(tests, windows_in_the_c_library_are_what_objdump_shows);
	tcase_add_test(tests, windows_in_the_dynamic_linker_are_what_objdump_shows);
	tcase_add_test(tests, planning_all_allocator_functions_costs_less_than_a_second);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
