/* SPDX-License-Identifier: MIT */
/*
 * The unwind table against libdw's interpreter of call frame information, row by row.
 *
 * Both are applied to the same invented registers and stack, and must find the same CFA, the same
 * return address slot and the same slot of rbp.
 */
#include <dwarf.h>
#include <elf.h>
#include <elfutils/libdw.h>
#include <gelf.h>

#include "base/clock.h"
#include "unit/image/fixture.h"

enum { REGISTER_BP = 6, REGISTER_SP = 7, REGISTER_RA = 16 };

/* Invented values: any will do that do not coincide. */
static const uint64_t sp_value = 0x7ffe00001000;
static const uint64_t bp_value = 0x7ffe00420040;

/* A word of the invented stack. */
static uint64_t word_at(uint64_t address)
{
	return address * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

/* What is known at one pc: the outcome of a rule, or of libdw's expressions. */
struct outcome {
	enum { OUTCOME_NONE, OUTCOME_FOUND, OUTCOME_END, OUTCOME_SIGNAL, OUTCOME_UNKNOWN } kind;
	uint64_t cfa;
	enum { BP_SAME, BP_SLOT, BP_UNKNOWN } bp;
	uint64_t bp_slot;
};

struct tally {
	size_t rows;	    /* compared */
	size_t unsupported; /* among them: neither side's rule fits the format */
	size_t gaps;	    /* addresses without any rule */
};

/* A tiny stack machine, enough for what stands in call frame information. */
struct machine {
	uint64_t stack[32];
	size_t count;
	uint64_t pc;
	uint64_t cfa;
	bool value; /* DW_OP_stack_value: the result is no address */
};

static bool step_machine(struct machine *machine, const Dwarf_Op *op)
{
	uint64_t *top = machine->count > 0 ? &machine->stack[machine->count - 1] : NULL;
	uint64_t *below = machine->count > 1 ? &machine->stack[machine->count - 2] : NULL;
	uint64_t reg = op->atom == DW_OP_bregx ? op->number : (uint64_t)(op->atom - DW_OP_breg0);
	uint64_t offset = op->atom == DW_OP_bregx ? op->number2 : op->number;
	if (machine->count >= 31)
		return false;
	if (op->atom == DW_OP_bregx || (op->atom >= DW_OP_breg0 && op->atom <= DW_OP_breg31)) {
		if (reg != REGISTER_BP && reg != REGISTER_SP && reg != REGISTER_RA)
			return false;
		uint64_t base = reg == REGISTER_BP   ? bp_value
				: reg == REGISTER_SP ? sp_value
						     : machine->pc;
		machine->stack[machine->count++] = base + offset;
		return true;
	}
	if (op->atom >= DW_OP_lit0 && op->atom <= DW_OP_lit31) {
		machine->stack[machine->count++] = op->atom - DW_OP_lit0;
		return true;
	}
	switch (op->atom) {
	case DW_OP_call_frame_cfa:
		machine->stack[machine->count++] = machine->cfa;
		return true;
	case DW_OP_plus_uconst:
		*top += op->number;
		return true;
	case DW_OP_deref:
		*top = word_at(*top);
		return true;
	case DW_OP_stack_value:
		machine->value = true;
		return true;
	case DW_OP_and:
		*below &= *top;
		break;
	case DW_OP_ge:
		*below = (int64_t)*below >= (int64_t)*top;
		break;
	case DW_OP_shl:
		*below <<= *top;
		break;
	case DW_OP_plus:
		*below += *top;
		break;
	default:
		return false;
	}
	machine->count--;
	return true;
}

static bool evaluate(struct machine *machine, const Dwarf_Op *ops, size_t count, uint64_t *ret)
{
	for (size_t i = 0; i < count; i++)
		if (!step_machine(machine, &ops[i]))
			return false;
	*ret = machine->stack[machine->count - 1];
	return true;
}

/* Where libdw says a register was saved: BP_UNKNOWN for undefined and for computed values. */
static int find_register(Dwarf_Frame *frame, int number, uint64_t pc, uint64_t cfa,
			 uint64_t *slot_ret, bool *undefined_ret)
{
	Dwarf_Op memory[3], *ops;
	size_t count;
	if (dwarf_frame_register(frame, number, memory, &ops, &count) != 0)
		ck_abort_msg("libdw: %s", dwarf_errmsg(-1));
	*undefined_ret = count == 0 && ops == memory;
	if (count == 0)
		return ops == memory ? BP_UNKNOWN : BP_SAME;
	struct machine machine = {.pc = pc, .cfa = cfa};
	if (!evaluate(&machine, ops, count, slot_ret) || machine.value)
		return BP_UNKNOWN;
	return BP_SLOT;
}

/* Whether the format has a kind for a CFA of this form. */
static bool has_kind(const Dwarf_Op *ops, size_t count)
{
	bool by_bp = ops[0].atom == DW_OP_breg6;
	bool by_sp = ops[0].atom == DW_OP_breg7;
	if (ops[0].atom == DW_OP_bregx) {
		by_bp = ops[0].number == REGISTER_BP;
		by_sp = ops[0].number == REGISTER_SP;
	}
	return (count == 1 && (by_bp || by_sp)) ||
	       (count == 2 && by_bp && ops[1].atom == DW_OP_deref) ||
	       (count > 2 && by_sp && ops[1].atom == DW_OP_breg16);
}

static struct outcome ask_libdw(Dwarf_Frame *frame, uint64_t pc, bool signal)
{
	struct outcome outcome = {.kind = OUTCOME_UNKNOWN};
	Dwarf_Op *ops;
	size_t count;
	uint64_t ra_slot;
	bool undefined;
	if (signal)
		return (struct outcome){.kind = OUTCOME_SIGNAL};
	struct machine machine = {.pc = pc};
	bool cfa_found = dwarf_frame_cfa(frame, &ops, &count) == 0 && count > 0 &&
			 has_kind(ops, count) && evaluate(&machine, ops, count, &outcome.cfa);
	int ra = find_register(frame, REGISTER_RA, pc, outcome.cfa, &ra_slot, &undefined);
	if (undefined)
		return (struct outcome){.kind = OUTCOME_END};
	if (!cfa_found || ra != BP_SLOT || ra_slot != outcome.cfa - 8)
		return (struct outcome){.kind = OUTCOME_UNKNOWN};
	outcome.kind = OUTCOME_FOUND;
	outcome.bp =
		find_register(frame, REGISTER_BP, pc, outcome.cfa, &outcome.bp_slot, &undefined);
	return outcome;
}

static struct outcome ask_table(const struct unwind_table *table, uint64_t pc)
{
	struct unwind_rule rule = unwind_table_find(table, pc - table->base);
	struct outcome outcome = {.kind = OUTCOME_FOUND};
	uint64_t offset = (uint64_t)(int64_t)rule.cfa_offset;
	switch (rule.kind) {
	case UNWIND_NONE:
		return (struct outcome){.kind = OUTCOME_NONE};
	case UNWIND_UNSUPPORTED:
		return (struct outcome){.kind = OUTCOME_UNKNOWN};
	case UNWIND_END:
		return (struct outcome){.kind = OUTCOME_END};
	case UNWIND_SIGNAL:
		return (struct outcome){.kind = OUTCOME_SIGNAL};
	case UNWIND_SP:
		outcome.cfa = sp_value + offset;
		break;
	case UNWIND_BP:
		outcome.cfa = bp_value + offset;
		break;
	case UNWIND_BP_DEREF:
		outcome.cfa = word_at(bp_value + offset);
		break;
	case UNWIND_PLT:
		outcome.cfa = sp_value + 8 + ((pc & 15) >= offset ? 8 : 0);
		break;
	}
	outcome.bp = rule.bp == UNWIND_BP_SAME ? BP_SAME : BP_SLOT;
	if (rule.bp == UNWIND_BP_LOST)
		outcome.bp = BP_UNKNOWN;
	if (rule.bp == UNWIND_BP_SAVED)
		outcome.bp_slot = outcome.cfa + (uint64_t)(int64_t)rule.bp_offset;
	if (rule.bp == UNWIND_BP_SAVED_AT_BP)
		outcome.bp_slot = bp_value + (uint64_t)(int64_t)rule.bp_offset;
	return outcome;
}

static void compare(const char *path, uint64_t pc, const struct outcome *ours,
		    const struct outcome *theirs)
{
	bool same = ours->kind == theirs->kind && ours->cfa == theirs->cfa &&
		    ours->bp == theirs->bp && ours->bp_slot == theirs->bp_slot;
	if (!same)
		ck_abort_msg("%s: at %#lx: kind %d, CFA %#lx, bp %d at %#lx; libdw: kind %d, CFA "
			     "%#lx, bp "
			     "%d at %#lx",
			     path, pc, ours->kind, ours->cfa, ours->bp, ours->bp_slot, theirs->kind,
			     theirs->cfa, theirs->bp, theirs->bp_slot);
}

/* Compares every row between start and end, at every address unless it is very long. */
static void compare_range(const char *path, Dwarf_CFI *cfi, const struct unwind_table *table,
			  uint64_t start, uint64_t end, struct tally *tally)
{
	uint64_t pc = start;
	while (pc < end) {
		Dwarf_Frame *frame = NULL;
		Dwarf_Addr row_start, row_end;
		bool signal;
		struct outcome none = {.kind = OUTCOME_NONE};
		if (dwarf_cfi_addrframe(cfi, pc, &frame) != 0) {
			struct outcome ours = ask_table(table, pc);
			compare(path, pc, &ours, &none);
			tally->gaps++;
			pc++;
			continue;
		}
		dwarf_frame_info(frame, &row_start, &row_end, &signal);
		if (row_end <= pc)
			ck_abort_msg("libdw: a row ends at %#lx, before %#lx", row_end, pc);
		struct outcome theirs = ask_libdw(frame, pc, signal);
		tally->unsupported += theirs.kind == OUTCOME_UNKNOWN;
		tally->rows++;
		/* the rule of a PLT depends on the address */
		uint64_t stride = row_end - pc > 4096 ? 61 : 1;
		for (uint64_t at = pc; at < row_end; at += stride) {
			struct outcome ours = ask_table(table, at);
			theirs = ask_libdw(frame, at, signal);
			compare(path, at, &ours, &theirs);
		}
		free(frame);
		pc = row_end;
	}
}

static void check_invariants(const struct unwind_table *table)
{
	for (uint32_t i = 1; i < table->count; i++)
		if (table->rows[i - 1].pc >= table->rows[i].pc ||
		    table->rows[i - 1].rule == table->rows[i].rule)
			ck_abort_msg("rows %u and %u: pc %#x and %#x, rules %#x and %#x", i - 1, i,
				     table->rows[i - 1].pc, table->rows[i].pc,
				     table->rows[i - 1].rule, table->rows[i].rule);
}

static const struct unwind_table *table_of(struct image *image)
{
	const struct unwind_table *table;
	fixture_no_error(image_unwind_table(image, &table));
	check_invariants(table);
	return table;
}

/* Compares all code of a file; debug: by .debug_frame, else by .eh_frame. */
static struct tally compare_file(const char *path, bool debug)
{
	struct tally tally = {0};
	struct image *image = fixture_open(path);
	uint64_t start_ns = clock_now_ns();
	const struct unwind_table *table = table_of(image);
	uint64_t table_ns = clock_now_ns() - start_ns;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	elf_version(EV_CURRENT);
	Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	Dwarf *dwarf = debug ? dwarf_begin_elf(elf, DWARF_C_READ, NULL) : NULL;
	Dwarf_CFI *cfi = debug ? dwarf_getcfi(dwarf) : dwarf_getcfi_elf(elf);
	ck_assert_msg(cfi, "%s: libdw finds no frames", path);
	size_t count;
	const struct image_segment *segments = image_segments(image, &count);
	for (size_t i = 0; i < count; i++)
		if (segments[i].executable)
			compare_range(path, cfi, table, segments[i].start.v,
				      segments[i].start.v + segments[i].memory_bytes, &tally);
	printf("%s: %zu rows equal (%zu of them beyond the format), %zu bytes in gaps; table of "
	       "%u rows in %.1f ms\n",
	       path, tally.rows, tally.unsupported, tally.gaps, table->count,
	       (double)table_ns / 1e6);
	if (debug)
		dwarf_end(dwarf);
	else
		dwarf_cfi_end(cfi);
	elf_end(elf);
	close(fd);
	image_close(image);
	return tally;
}

START_TEST(every_row_of_the_c_library_equals_libdw)
{
	struct tally tally = compare_file(LIBC_PATH, false);
	ck_assert_uint_gt(tally.rows, 10000);
	ck_assert_uint_lt(tally.unsupported, 100);
}
END_TEST

START_TEST(every_row_of_other_files_equals_libdw)
{
	static const char *const paths[] = {
		"/lib64/ld-linux-x86-64.so.2",
		"/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
		"/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
		"/usr/bin/perl",
		"/usr/bin/python3",
		"/usr/lib/gcc/x86_64-linux-gnu/12/cc1",
	};
	size_t compared = 0;
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		if (access(paths[i], R_OK) == 0)
			compared += compare_file(paths[i], false).rows > 1000;
	ck_assert_uint_ge(compared, 1);
}
END_TEST

/* Compiles a source to directory/name. */
static char *build(const char *directory, const char *name, const char *flags, const char *source)
{
	char *path, *source_path;
	ck_assert_int_gt(asprintf(&path, "%s/%s", directory, name), 0);
	ck_assert_int_gt(asprintf(&source_path, "%s/%s.source", directory, name), 0);
	fixture_write(source_path, "%s", source);
	fixture_run("cc %s -o '%s' '%s' 2>'%s.errors' || { cat '%s.errors'; false; }", flags, path,
		    source_path, path, path);
	free(source_path);
	return path;
}

/* The number of instructions' addresses at which a rule of that kind holds. */
static size_t count_kind(const struct unwind_table *table, enum unwind_kind kind)
{
	size_t count = 0;
	for (uint32_t i = 0; i < table->count; i++)
		count += unwind_rule_unpack(table->rows[i].rule).kind == kind;
	return count;
}

static struct unwind_rule rule_at(struct image *image, uint64_t address)
{
	const struct unwind_table *table = table_of(image);
	return unwind_table_find(table, address - table->base);
}

static image_addr address_of(struct image *image, const char *name)
{
	struct image_symbol symbol;
	fixture_no_error(image_symbol_find(image, name, &symbol));
	return symbol.start;
}

static const char realigned_source[] =
	"#include <stdlib.h>\n"
	"#include <string.h>\n"
	"__attribute__((noinline)) void keep(void *p) { __asm__ volatile(\"\" :: \"r\"(p) : "
	"\"memory\"); }\n"
	"__attribute__((noinline)) int realigned(int n, int a, int b, int c, int d, int e, int f, "
	"int g)\n"
	"{\n"
	"	_Alignas(64) char wide[64];\n"
	"	char *more = __builtin_alloca(n + 16);\n"
	"	memset(wide, n, sizeof wide);\n"
	"	keep(wide); keep(more); keep(malloc(n));\n"
	"	return wide[0] + more[0] + a + b + c + d + e + f + g;\n"
	"}\n"
	"int main(int c, char **v) { (void)v; return realigned(c, 1, 2, 3, 4, 5, 6, 7); }\n";

START_TEST(realigned_stacks_lazy_plts_signal_frames_and_the_outermost_frame_have_their_kinds)
{
	char *directory = fixture_directory();
	char *path =
		build(directory, "realigned",
		      "-O2 -Wl,-z,lazy -mstackrealign -fcf-protection=none -x c", realigned_source);
	compare_file(path, false);
	struct image *image = fixture_open(path);
	const struct unwind_table *table = table_of(image);
	ck_assert_uint_ge(count_kind(table, UNWIND_BP_DEREF), 1);
	ck_assert_uint_ge(count_kind(table, UNWIND_PLT), 1);
	ck_assert_int_eq(rule_at(image, address_of(image, "_start").v).kind, UNWIND_END);
	image_close(image);
	image = fixture_open(LIBC_PATH);
	ck_assert_uint_ge(count_kind(table_of(image), UNWIND_SIGNAL), 1);
	image_close(image);
	free(path);
	fixture_remove(directory);
}
END_TEST

START_TEST(plts_with_branch_tracking_and_clang_s_realigned_stacks_equal_libdw)
{
	char *directory = fixture_directory();
	char *path =
		build(directory, "tracked",
		      "-O2 -Wl,-z,lazy -fcf-protection=full -Wl,-z,ibtplt -x c", realigned_source);
	compare_file(path, false);
	struct image *image = fixture_open(path);
	ck_assert_uint_ge(count_kind(table_of(image), UNWIND_PLT), 1);
	image_close(image);
	free(path);
	if (system("clang --version >/dev/null 2>&1") == 0) {
		fixture_run("cd '%s' && clang -O2 -o clang -x c tracked.source", directory);
		ck_assert_int_gt(asprintf(&path, "%s/clang", directory), 0);
		compare_file(path, false);
		free(path);
	}
	fixture_remove(directory);
}
END_TEST

START_TEST(a_file_without_section_headers_has_the_same_table)
{
	char *directory = fixture_directory();
	char *path;
	size_t count;
	unsigned char *bytes = fixture_read(LIBC_PATH, &count);
	Elf64_Ehdr *header = (Elf64_Ehdr *)bytes;
	header->e_shoff = 0;
	header->e_shnum = 0;
	header->e_shstrndx = 0;
	ck_assert_int_gt(asprintf(&path, "%s/headless", directory), 0);
	FILE *file = fopen(path, "w");
	ck_assert_uint_eq(fwrite(bytes, 1, count, file), count);
	ck_assert_int_eq(fclose(file), 0);
	struct image *whole = fixture_open(LIBC_PATH);
	struct image *headless = fixture_open(path);
	const struct unwind_table *expected = table_of(whole);
	const struct unwind_table *table = table_of(headless);
	ck_assert_uint_eq(table->base, expected->base);
	ck_assert_uint_eq(table->count, expected->count);
	ck_assert_mem_eq(table->rows, expected->rows, table->count * sizeof *table->rows);
	image_close(headless);
	image_close(whole);
	free(bytes);
	free(path);
	fixture_remove(directory);
}
END_TEST

#define NO_UNWIND "-fno-asynchronous-unwind-tables -fno-unwind-tables -fno-exceptions "

START_TEST(frames_that_only_debug_information_describes_are_found)
{
	static const char *const flags[] = {
		"-g -O2 -shared -fPIC -nostdlib " NO_UNWIND "-x c",
		"-g -gz=zlib -O2 -shared -fPIC -nostdlib " NO_UNWIND "-x c",
	};
	char *directory = fixture_directory();
	for (size_t i = 0; i < 2; i++) {
		char *path = build(directory, "debug", flags[i], realigned_source);
		struct tally tally = compare_file(path, true);
		ck_assert_uint_gt(tally.rows, 10);
		free(path);
	}
	fixture_remove(directory);
}
END_TEST

START_TEST(frames_in_the_separate_debug_file_are_found)
{
	char *directory = fixture_directory();
	char *path = build(directory, "lib.so", "-g -O2 -shared -fPIC -nostdlib " NO_UNWIND "-x c",
			   realigned_source);
	struct image *image = fixture_open(path);
	const struct unwind_table *expected = table_of(image);
	fixture_run("cd '%s' && objcopy --only-keep-debug lib.so lib.debug && cp lib.so bare.so && "
		    "strip bare.so && objcopy --add-gnu-debuglink=lib.debug bare.so",
		    directory);
	char *bare_path;
	ck_assert_int_gt(asprintf(&bare_path, "%s/bare.so", directory), 0);
	struct image *bare = fixture_open(bare_path);
	const struct unwind_table *table = table_of(bare);
	ck_assert_uint_gt(table->count, 10);
	ck_assert_uint_eq(table->count, expected->count);
	ck_assert_mem_eq(table->rows, expected->rows, table->count * sizeof *table->rows);
	image_close(bare);
	image_close(image);
	free(bare_path);
	free(path);
	fixture_remove(directory);
}
END_TEST

/*
 * A shared object whose .eh_frame is written by hand. CIEs: `good` (CFA = rsp + 8, return address
 * at CFA - 8). An FDE is given as: start, length, then its instructions.
 */
#define RAW_HEAD                                                                                   \
	"	.text\n	.globl code\n	.type code, @function\n	.p2align 12\n"                             \
	"code:\nhere:	.fill 4096, 1, 0xc3\n	.size code, 4096\n"                                    \
	"	.section .eh_frame, \"a\", @progbits\n"                                                  \
	"	.macro cie label, letters, column, more:vararg\n"                                        \
	"\\label: .long 2f - 1f\n1:	.long 0\n	.byte 1\n	.asciz \"\\letters\"\n"                    \
	"	.uleb128 1\n	.sleb128 -8\n	.byte \\column\n	.byte \\more\n2:\n	"                         \
	".endm\n"                                                                                  \
	"	.macro fde common, start, length, more:vararg\n"                                         \
	"	.long 4f - 3f\n3:	.long 3b - \\common\n	.long here + \\start - .\n	"                     \
	".long \\length\n"                                                                         \
	"	.uleb128 0\n	.byte \\more\n4:\n	.endm\n"                                                 \
	"	cie good, \"zR\", 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1\n"

/* Where the code of a hand-written object stands. */
static struct image *open_raw(const char *directory, const char *frames, uint64_t *code_ret)
{
	char *source;
	ck_assert_int_gt(asprintf(&source, "%s%s	.long 0\n", RAW_HEAD, frames), 0);
	char *path = build(directory, "raw.so",
			   "-shared -nostdlib -Wl,--no-eh-frame-hdr -x assembler", source);
	struct image *image = fixture_open(path);
	*code_ret = address_of(image, "code").v;
	free(path);
	free(source);
	return image;
}

static void check_rule(struct image *image, uint64_t address, enum unwind_kind kind, int32_t offset)
{
	struct unwind_rule rule = rule_at(image, address);
	ck_assert_msg(rule.kind == kind && rule.cfa_offset == offset,
		      "at %#lx: kind %d, offset %d instead of %d, %d", address, rule.kind,
		      rule.cfa_offset, kind, offset);
}

START_TEST(functions_may_be_unsorted_and_overlap)
{
	char *directory = fixture_directory();
	uint64_t code;
	struct image *image = open_raw(directory,
				       "	fde good, 512, 256, 0x0e, 64\n"
				       "	fde good, 0, 128, 0x0e, 16\n"
				       "	fde good, 64, 128, 0x0e, 32\n"
				       "	fde good, 512, 300, 0x0e, 80\n"
				       "	fde good, 4000, 100000, 0x0e, 48\n",
				       &code);
	image_addr start, end;
	check_rule(image, code, UNWIND_SP, 16);
	check_rule(image, code + 63, UNWIND_SP, 16);
	check_rule(image, code + 64, UNWIND_SP, 32);
	check_rule(image, code + 191, UNWIND_SP, 32);
	check_rule(image, code + 192, UNWIND_NONE, 0);
	check_rule(image, code + 767, UNWIND_SP, 64);
	check_rule(image, code + 768, UNWIND_NONE, 0);
	check_rule(image, code + 4095, UNWIND_SP, 48);
	check_rule(image, code - 1, UNWIND_NONE, 0);
	ck_assert(image_function_bounds(image, (image_addr){code + 10}, &start, &end));
	ck_assert_uint_eq(start.v, code);
	ck_assert_uint_eq(end.v, code + 64);
	/* no further than the segment */
	ck_assert(image_function_bounds(image, (image_addr){code + 4000}, &start, &end));
	ck_assert_uint_eq(start.v, code + 4000);
	ck_assert_uint_eq(end.v, code + 4096);
	/* no frame knows it: the symbol does */
	ck_assert(image_function_bounds(image, (image_addr){code + 300}, &start, &end));
	ck_assert_uint_eq(start.v, code);
	ck_assert_uint_eq(end.v, code + 4096);
	image_close(image);
	fixture_remove(directory);
}
END_TEST

START_TEST(what_the_format_cannot_say_is_unsupported_from_there_on)
{
	char *directory = fixture_directory();
	uint64_t code;
	struct image *image = open_raw(
		directory,
		/* an unknown instruction after one byte of code */
		"	fde good, 0, 16, 0x41, 0x3c, 0x41, 0x0e, 16\n"
		/* an instruction whose operand is missing */
		"	fde good, 16, 16, 0x41, 0x0e\n"
		/* more remembered states than there is room, and one too many restored */
		"	fde good, 32, 16, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a\n"
		"	fde good, 48, 16, 0x0a, 0x0b, 0x0b\n"
		/* CFA by r10; the return address elsewhere; rsp elsewhere; an offset of 12 */
		"	fde good, 64, 16, 0x0c, 10, 0\n"
		"	fde good, 80, 16, 0x90, 2\n"
		"	fde good, 96, 16, 0x87, 2\n"
		"	fde good, 112, 16, 0x0e, 12\n"
		/* an expression that is none of ours, and one that is longer than the entry */
		"	fde good, 128, 16, 0x0f, 2, 0x76, 8\n"
		"	fde good, 144, 16, 0x0f, 0xff, 0xff, 0x03, 0x76\n"
		/* an offset of 2^40, and one whose LEB128 has more than 64 bits */
		"	fde good, 160, 16, 0x0e, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20\n"
		"	fde good, 176, 16, 0x0e, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, "
		"0x80, "
		"0x80, 0x80, 0x80, 1\n"
		/* an offset changed where the CFA is an expression */
		"	fde good, 192, 16, 0x0f, 3, 0x76, 0x78, 6, 0x41, 0x0e, 16\n",
		&code);
	check_rule(image, code, UNWIND_SP, 8);
	for (uint64_t at = 1; at < 16; at++)
		check_rule(image, code + at, UNWIND_UNSUPPORTED, 0);
	check_rule(image, code + 16, UNWIND_SP, 8);
	check_rule(image, code + 17, UNWIND_UNSUPPORTED, 0);
	for (uint64_t at = 32; at < 192; at++)
		check_rule(image, code + at, UNWIND_UNSUPPORTED, 0);
	check_rule(image, code + 192, UNWIND_BP_DEREF, -8);
	check_rule(image, code + 193, UNWIND_UNSUPPORTED, 0);
	image_close(image);
	fixture_remove(directory);
}
END_TEST

START_TEST(entries_that_cannot_be_trusted_are_left_out)
{
	char *directory = fixture_directory();
	uint64_t code;
	struct image *image =
		open_raw(directory,
			 "	cie unknown, \"zX\", 16, 1, 0, 0x0c, 7, 8, 0x90, 1\n"
			 "	cie eh, \"eh\", 16, 0, 0, 0, 0, 0, 0, 0, 0, 0x0c, 7, 8, 0x90, 1\n"
			 "	cie indirect, \"zR\", 16, 1, 0x9b, 0x0c, 7, 8, 0x90, 1\n"
			 "	cie relative, \"zR\", 16, 1, 0x3b, 0x0c, 7, 8, 0x90, 1\n"
			 "	cie column, \"zR\", 6, 1, 0x1b, 0x0c, 7, 8, 0x90, 1\n"
			 "	cie moving, \"zR\", 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1, 0x44\n"
			 "	fde unknown, 0, 16, 0\n	fde eh, 16, 16, 0\n"
			 "	fde indirect, 32, 16, 0\n	fde relative, 48, 16, 0\n"
			 "	fde column, 64, 16, 0\n	fde moving, 80, 16, 0\n"
			 /* of no length, and outside of all code */
			 "	fde good, 96, 0, 0\n	fde good, 0x100000, 16, 0\n"
			 "	fde good, 112, 16, 0\n"
			 /* a length beyond the section ends the reading */
			 "	.long 0x00ffffff, 0\n	fde good, 128, 16, 0\n",
			 &code);
	for (uint64_t at = 0; at < 80; at++)
		check_rule(image, code + at, UNWIND_NONE, 0);
	check_rule(image, code + 84, UNWIND_UNSUPPORTED, 0);
	check_rule(image, code + 96, UNWIND_NONE, 0);
	check_rule(image, code + 112, UNWIND_SP, 8);
	check_rule(image, code + 128, UNWIND_NONE, 0);
	image_close(image);
	fixture_remove(directory);
}
END_TEST

START_TEST(instructions_that_compilers_seldom_use_are_understood)
{
	char *directory = fixture_directory();
	uint64_t code;
	struct image *image = open_raw(
		directory,
		/* def_cfa_sf rbp -2; offset_extended_sf rbp 2; then same_value, restore_extended */
		"	fde good, 0, 16, 0x12, 6, 0x7e, 0x11, 6, 2, 0x41, 0x08, 6, 0x41, 0x06, 6\n"
		/* remember; def_cfa_offset_sf -3; args_size; restore after advance_loc1 */
		"	fde good, 16, 16, 0x0a, 0x13, 0x7d, 0x2e, 8, 0x02, 4, 0x0b\n"
		/* GNU_negative_offset_extended rbp 2: at CFA + 16 */
		"	fde good, 32, 16, 0x2f, 6, 2\n"
		/* expression rbp at rbp - 16; undefined rbp; register rbp = rax */
		"	fde good, 48, 16, 0x10, 6, 2, 0x76, 0x70, 0x41, 0x07, 6, 0x41, 0x09, 6, 0\n"
		/* rbp saved too far away to say */
		"	fde good, 64, 16, 0x05, 6, 0x80, 0x80, 1\n"
		/* undefined return address */
		"	fde good, 80, 16, 0x07, 16\n"
		/* advance_loc2, advance_loc4 and a location beyond the end */
		"	fde good, 96, 16, 0x03, 2, 0, 0x0e, 16, 0x04, 2, 0, 0, 0, 0x0e, 24, 0x04, "
		"0xff, "
		"0xff, 0xff, 0xff, 0x0e, 32\n"
		/* restore: what the CIE said */
		"	cie saving, \"zR\", 16, 1, 0x1b, 0x0c, 7, 32, 0x90, 1, 0x86, 2\n"
		"	fde saving, 112, 16, 0x08, 6, 0x41, 0xc6\n",
		&code);
	struct unwind_rule rule = rule_at(image, code);
	check_rule(image, code, UNWIND_BP, 16);
	ck_assert_int_eq(rule.bp, UNWIND_BP_SAVED);
	ck_assert_int_eq(rule.bp_offset, -16);
	ck_assert_int_eq(rule_at(image, code + 1).bp, UNWIND_BP_SAME);
	ck_assert_int_eq(rule_at(image, code + 2).bp, UNWIND_BP_SAME);
	check_rule(image, code + 16, UNWIND_SP, 24);
	check_rule(image, code + 20, UNWIND_SP, 8);
	rule = rule_at(image, code + 32);
	ck_assert_int_eq(rule.bp, UNWIND_BP_SAVED);
	ck_assert_int_eq(rule.bp_offset, 16);
	rule = rule_at(image, code + 48);
	ck_assert_int_eq(rule.bp, UNWIND_BP_SAVED_AT_BP);
	ck_assert_int_eq(rule.bp_offset, -16);
	ck_assert_int_eq(rule_at(image, code + 49).bp, UNWIND_BP_LOST);
	ck_assert_int_eq(rule_at(image, code + 50).bp, UNWIND_BP_LOST);
	check_rule(image, code + 64, UNWIND_SP, 8);
	ck_assert_int_eq(rule_at(image, code + 64).bp, UNWIND_BP_LOST);
	check_rule(image, code + 80, UNWIND_END, 0);
	check_rule(image, code + 97, UNWIND_SP, 8);
	check_rule(image, code + 98, UNWIND_SP, 16);
	check_rule(image, code + 99, UNWIND_SP, 16);
	check_rule(image, code + 100, UNWIND_SP, 24);
	check_rule(image, code + 111, UNWIND_SP, 24);
	ck_assert_int_eq(rule_at(image, code + 112).bp, UNWIND_BP_SAME);
	ck_assert_int_eq(rule_at(image, code + 113).bp, UNWIND_BP_SAVED);
	ck_assert_int_eq(rule_at(image, code + 113).bp_offset, -16);
	image_close(image);
	fixture_remove(directory);
}
END_TEST

START_TEST(debug_information_adds_frames_and_replaces_none)
{
	char *directory = fixture_directory();
	uint64_t code;
	struct image *image = open_raw(
		directory,
		"	fde good, 64, 64, 0x0e, 16\n	.long 0\n"
		"	.section .debug_frame, \"\", @progbits\n"
		"	.macro plain start, length, offset\n"
		"	.long 6f - 5f\n5:	.long 0\n	.quad here + \\start\n	.quad "
		"\\length\n"
		"	.byte 0x0e, \\offset\n6:\n	.endm\n"
		"	.long 8f - 7f\n7:	.long 0xffffffff\n	.byte 1, 0, 1, 0x78, 16\n"
		"	.byte 0x0c, 7, 8, 0x90, 1\n8:\n"
		/* beside, around, within, and from within the frame that is known */
		"	plain 0, 32, 24\n	plain 32, 96, 32\n	plain 80, 8, 40\n"
		"	plain 120, 16, 48\n	plain 128, 16, 56\n",
		&code);
	check_rule(image, code, UNWIND_SP, 24);
	check_rule(image, code + 31, UNWIND_SP, 24);
	check_rule(image, code + 32, UNWIND_NONE, 0);
	check_rule(image, code + 63, UNWIND_NONE, 0);
	for (uint64_t at = 64; at < 128; at++)
		check_rule(image, code + at, UNWIND_SP, 16);
	check_rule(image, code + 128, UNWIND_SP, 56);
	check_rule(image, code + 144, UNWIND_NONE, 0);
	image_close(image);
	fixture_remove(directory);
}
END_TEST

START_TEST(a_function_s_bounds_are_those_of_its_symbol)
{
	static const char *const names[] = {"malloc", "free", "realloc", "calloc",
					    "posix_memalign"};
	struct image *image = fixture_open(LIBC_PATH);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char *command;
		unsigned long address, size;
		ck_assert_int_gt(
			asprintf(&command, "nm -D -S " LIBC_PATH " | grep ' %s@@'", names[i]), 0);
		FILE *pipe = popen(command, "r");
		ck_assert_int_eq(fscanf(pipe, "%lx %lx", &address, &size), 2);
		pclose(pipe);
		free(command);
		image_addr start, end;
		ck_assert(image_function_bounds(image, (image_addr){address + size / 2}, &start,
						&end));
		ck_assert_uint_eq(start.v, address);
		ck_assert_uint_eq(end.v, address + size);
	}
	image_close(image);
}
END_TEST

/* xorshift64: the mutants must be the same in every run. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

START_TEST(mutants_of_the_frames_give_a_sound_table)
{
	enum { MUTANTS = 1500, CHANGES = 6 };
	char *directory = fixture_directory();
	char *path = build(directory, "seed", "-O2 -g -Wl,-z,lazy -mstackrealign -x c",
			   realigned_source);
	size_t count;
	unsigned char *seed = fixture_read(path, &count);
	unsigned char *bytes = malloc(count);
	unsigned long offset, size;
	FILE *pipe;
	char *command;
	ck_assert_int_gt(asprintf(&command,
				  "readelf -SW '%s' | sed -n 's/.* \\.eh_frame  *//p' | "
				  "awk '{print $3, $4}'",
				  path),
			 0);
	pipe = popen(command, "r");
	ck_assert_int_eq(fscanf(pipe, "%lx %lx", &offset, &size), 2);
	pclose(pipe);
	free(command);
	uint64_t random = 20;
	size_t rows = 0;
	for (int i = 0; i < MUTANTS; i++) {
		memcpy(bytes, seed, count);
		for (int j = 0; j < CHANGES; j++)
			bytes[offset + next_random(&random) % size] =
				(unsigned char)next_random(&random);
		FILE *file = fopen(path, "w");
		fwrite(bytes, 1, count, file);
		fclose(file);
		struct image *image = fixture_open(path);
		rows += table_of(image)->count;
		image_close(image);
	}
	ck_assert_uint_gt(rows, MUTANTS);
	free(bytes);
	free(seed);
	free(path);
	fixture_remove(directory);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("image/cfi");
	TCase *libdw = tcase_create("against libdw");
	tcase_set_timeout(libdw, 120);
	tcase_add_test(libdw, every_row_of_the_c_library_equals_libdw);
	tcase_add_test(libdw, every_row_of_other_files_equals_libdw);
	tcase_add_test(
		libdw,
		realigned_stacks_lazy_plts_signal_frames_and_the_outermost_frame_have_their_kinds);
	tcase_add_test(libdw, plts_with_branch_tracking_and_clang_s_realigned_stacks_equal_libdw);
	tcase_add_test(libdw, frames_that_only_debug_information_describes_are_found);
	suite_add_tcase(suite, libdw);
	TCase *sources = tcase_create("where frames come from");
	tcase_set_timeout(sources, 60);
	tcase_add_test(sources, a_file_without_section_headers_has_the_same_table);
	tcase_add_test(sources, frames_in_the_separate_debug_file_are_found);
	tcase_add_test(sources, a_function_s_bounds_are_those_of_its_symbol);
	suite_add_tcase(suite, sources);
	TCase *written = tcase_create("frames written by hand");
	tcase_set_timeout(written, 60);
	tcase_add_test(written, functions_may_be_unsorted_and_overlap);
	tcase_add_test(written, what_the_format_cannot_say_is_unsupported_from_there_on);
	tcase_add_test(written, debug_information_adds_frames_and_replaces_none);
	tcase_add_test(written, entries_that_cannot_be_trusted_are_left_out);
	tcase_add_test(written, instructions_that_compilers_seldom_use_are_understood);
	tcase_add_test(written, mutants_of_the_frames_give_a_sound_table);
	suite_add_tcase(suite, written);
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
