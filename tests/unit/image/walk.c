/* SPDX-License-Identifier: MIT */
/*
 * The unwinder with the tables of real images, on this process's own stack, against backtrace(3).
 */
#include <execinfo.h>
#include <link.h>
#include <signal.h>

#include "unit/image/fixture.h"
#include "unwind/cache.h"

enum { FRAMES_MAX = 128, MODULES_MAX = 64 };

struct modules {
	struct unwind_module all[MODULES_MAX];
	struct image *images[MODULES_MAX];
	size_t count;
};

/* Filled where the stack is looked at, compared afterwards. */
struct record {
	const struct modules *modules;
	uint64_t ours[FRAMES_MAX];
	size_t ours_count;
	enum unwind_stop stop;
	void *theirs[FRAMES_MAX];
	int theirs_count;
};

static struct record *current; /* signal handlers and comparison functions get no argument */

static int add_module(struct dl_phdr_info *info, size_t size, void *context)
{
	struct modules *modules = context;
	const char *path = info->dlpi_name[0] ? info->dlpi_name : "/proc/self/exe";
	const struct unwind_table *table;
	(void)size;
	if (access(path, R_OK) != 0)
		return 0; /* the vDSO */
	ck_assert_uint_lt(modules->count, MODULES_MAX);
	struct image *image = fixture_open(path);
	fixture_no_error(image_unwind_table(image, &table));
	struct unwind_module *module = &modules->all[modules->count];
	*module = (struct unwind_module){
		.start = UINT64_MAX, .bias = info->dlpi_addr, .table = *table};
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + header->p_vaddr;
		if (header->p_type != PT_LOAD || !(header->p_flags & PF_X))
			continue;
		if (start < module->start)
			module->start = start;
		module->end = start + header->p_memsz;
	}
	modules->images[modules->count++] = image;
	return 0;
}

static int compare_modules(const void *a, const void *b)
{
	const struct unwind_module *left = a;
	const struct unwind_module *right = b;
	return left->start < right->start ? -1 : left->start > right->start;
}

static bool read_own(void *context, uint64_t address, uint64_t *ret)
{
	(void)context;
	*ret = *(const uint64_t *)address;
	return true;
}

static uint64_t stack_end(void)
{
	unsigned long start, end = 0;
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");
	while (fgets(line, sizeof line, maps))
		if (strstr(line, "[stack]") && sscanf(line, "%lx-%lx", &start, &end) == 2)
			break;
	fclose(maps);
	ck_assert_uint_ne(end, 0);
	return end;
}

/* Called by look with the registers it was entered with. */
void look_here(uint64_t sp, uint64_t bp);
void look_here(uint64_t sp, uint64_t bp)
{
	struct record *record = current;
	struct unwind_space space = {record->modules->all, record->modules->count};
	struct unwind_memory memory = {.read = read_own, .low = sp, .high = stack_end()};
	struct unwind_registers registers = {.sp = sp, .bp = bp};
	record->stop = unwind_walk(&space, &memory, registers, record->ours, FRAMES_MAX,
				   &record->ours_count);
	record->theirs_count = backtrace(record->theirs, FRAMES_MAX);
}

/* Stands as a probed function: its return address is at *rsp when the registers are taken. */
void look(void);
__asm__(".text\n	.globl look\n	.type look, @function\n"
	"look:	.cfi_startproc\n"
	"	mov %rsp, %rdi\n	mov %rbp, %rsi\n"
	"	sub $8, %rsp\n	.cfi_adjust_cfa_offset 8\n"
	"	call look_here\n"
	"	add $8, %rsp\n	.cfi_adjust_cfa_offset -8\n"
	"	ret\n	.cfi_endproc\n	.size look, . - look\n");

/* Calls run with the modules of this process, and compares what was recorded in it. */
static size_t check(void (*run)(int), int argument)
{
	struct modules modules = {0};
	struct record record = {.modules = &modules};
	dl_iterate_phdr(add_module, &modules);
	qsort(modules.all, modules.count, sizeof *modules.all, compare_modules);
	/* backtrace loads its unwinder at its first call */
	backtrace(record.theirs, 1);
	current = &record;
	run(argument);
	ck_assert_uint_gt(record.ours_count, 0);
	int first = 0;
	while (first < record.theirs_count && (uint64_t)record.theirs[first] != record.ours[0])
		first++;
	ck_assert_int_lt(first, record.theirs_count);
	ck_assert_int_eq(record.stop, UNWIND_STOP_END);
	ck_assert_uint_eq(record.ours_count, (size_t)(record.theirs_count - first));
	size_t signals = 0;
	for (size_t i = 0; i < record.ours_count; i++) {
		uint64_t theirs = (uint64_t)record.theirs[(size_t)first + i];
		/* backtrace gives the interrupted address itself */
		if (record.ours[i] == theirs + 1)
			signals++;
		else
			ck_assert_uint_eq(record.ours[i], theirs);
	}
	for (size_t i = 0; i < modules.count; i++)
		image_close(modules.images[i]);
	return signals;
}

__attribute__((noinline)) static void descend(int depth)
{
	if (depth > 0)
		descend(depth - 1);
	else
		look();
	__asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) static void descend_realigned(int depth)
{
	_Alignas(64) volatile char wide[64];
	volatile char *more = __builtin_alloca((size_t)depth * 16 + 16);
	wide[0] = more[0] = 1;
	if (depth > 0)
		descend_realigned(depth - 1);
	else
		look();
	wide[1] = more[1] + wide[0];
}

static int compare_looking(const void *a, const void *b)
{
	if (*(const int *)a == 0)
		descend(2);
	return *(const int *)a - *(const int *)b;
}

__attribute__((noinline)) static void sort_looking(int count)
{
	int numbers[16] = {0, 5, 3};
	qsort(numbers, (size_t)count, sizeof *numbers, compare_looking);
	__asm__ volatile("" ::: "memory");
}

static void handle(int signal_number)
{
	(void)signal_number;
	descend(3);
}

__attribute__((noinline)) static void raise_looking(int signal_number)
{
	struct sigaction action = {.sa_handler = handle};
	sigaction(signal_number, &action, NULL);
	raise(signal_number);
	__asm__ volatile("" ::: "memory");
}

START_TEST(a_plain_stack_equals_backtrace)
{
	ck_assert_uint_eq(check(descend, 20), 0);
}
END_TEST

START_TEST(a_stack_with_realigned_frames_equals_backtrace)
{
	ck_assert_uint_eq(check(descend_realigned, 5), 0);
}
END_TEST

START_TEST(a_stack_through_the_c_library_equals_backtrace)
{
	ck_assert_uint_eq(check(sort_looking, 3), 0);
}
END_TEST

START_TEST(a_stack_through_a_signal_handler_equals_backtrace)
{
	ck_assert_uint_eq(check(raise_looking, SIGUSR1), 1);
}
END_TEST

enum { WANDER_LOOKS = 20000, STACK_COPY_WORDS = 1 << 15 };

/* A program that allocates here and there, by a cache and by walks. */
struct wandering {
	struct modules modules;
	struct unwind_cache cache;
	struct unwind_reads reads;
	uint64_t high;
	uint64_t copy[STACK_COPY_WORDS];
	struct {
		size_t count;
		uint64_t frames[FRAMES_MAX];
	} known[UNWIND_CACHE_ENTRIES];
	uint64_t state;
	size_t looks, hits;
};

static struct wandering *wandering;

/* The words between those of frames are AddressSanitizer's own. */
__attribute__((no_sanitize("address"))) static size_t copy_stack(uint64_t sp)
{
	size_t words = (wandering->high - sp) / 8;
	ck_assert_uint_lt(words, STACK_COPY_WORDS);
	for (size_t i = 0; i < words; i++)
		wandering->copy[i] = ((const uint64_t *)sp)[i];
	return words;
}

static size_t walk_copy(struct unwind_registers registers, uint64_t *frames, bool noted)
{
	struct unwind_space space = {wandering->modules.all, wandering->modules.count};
	struct unwind_memory memory = {.read = read_own,
				       .low = registers.sp,
				       .high = wandering->high,
				       .rules = noted ? &wandering->cache.rules : NULL,
				       .reads = noted ? &wandering->reads : NULL};
	size_t count;
	ck_assert_int_eq(unwind_walk(&space, &memory, registers, frames, FRAMES_MAX, &count),
			 UNWIND_STOP_END);
	return count;
}

/* Called by look_cached with the registers it was entered with. */
void look_up_here(uint64_t sp, uint64_t bp);
void look_up_here(uint64_t sp, uint64_t bp)
{
	struct unwind_registers registers = {.sp = sp, .bp = bp};
	uint64_t fresh[FRAMES_MAX];
	size_t words = copy_stack(sp);
	size_t count = walk_copy(registers, fresh, false);
	int32_t entry = unwind_cache_find(&wandering->cache, registers, wandering->copy, words * 8);
	wandering->looks++;
	if (entry != UNWIND_CACHE_NONE) {
		wandering->hits++;
	} else {
		uint64_t frames[FRAMES_MAX];
		size_t noted = walk_copy(registers, frames, true);
		entry = unwind_cache_store(&wandering->cache, registers, &wandering->reads);
		ck_assert_int_ge(entry, 0);
		wandering->known[entry].count = noted;
		memcpy(wandering->known[entry].frames, frames, noted * sizeof *frames);
	}
	ck_assert_uint_eq(wandering->known[entry].count, count);
	ck_assert_mem_eq(wandering->known[entry].frames, fresh, count * sizeof *fresh);
}

void look_cached(void);
__asm__(".text\n	.globl look_cached\n	.type look_cached, @function\n"
	"look_cached:	.cfi_startproc\n"
	"	mov %rsp, %rdi\n	mov %rbp, %rsi\n"
	"	sub $8, %rsp\n	.cfi_adjust_cfa_offset 8\n"
	"	call look_up_here\n"
	"	add $8, %rsp\n	.cfi_adjust_cfa_offset -8\n"
	"	ret\n	.cfi_endproc\n	.size look_cached, . - look_cached\n");

static uint64_t draw(uint64_t limit)
{
	wandering->state = wandering->state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (wandering->state >> 33) % limit;
}

static void wander(int depth);

/* Has a frame pointer, and a frame of changing size. */
__attribute__((noinline)) static void wander_sized(int depth)
{
	volatile char *more = __builtin_alloca(16 + 16 * draw(3));
	more[0] = 1;
	wander(depth);
	more[1] = more[0];
}

__attribute__((noinline)) static void wander_realigned(int depth)
{
	_Alignas(64) volatile char wide[64];
	volatile char *more = __builtin_alloca(16 + 16 * draw(2));
	wide[0] = more[0] = 1;
	wander(depth);
	wide[1] = more[1] = wide[0];
}

/* Has none, and keeps data in all registers that are saved, rbp with them. */
__attribute__((noinline)) static void wander_busy(int depth)
{
	uint64_t a = draw(9), b = draw(9), c = draw(9), d = draw(9), e = draw(9), f = draw(9);
	wander(depth);
	wandering->state ^= (a ^ b ^ c) & (d ^ e ^ f);
}

static int compare_wandering(const void *a, const void *b)
{
	wander(2);
	return *(const int *)a - *(const int *)b;
}

/* The same return address and the same place of it, from wherever it is called. */
__attribute__((noinline)) static void wrap_look(void)
{
	look_cached();
	__asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) static void wander(int depth)
{
	int numbers[3] = {3, 1, 2};
	if (draw(2) == 0)
		wrap_look();
	if (depth == 0 || wandering->looks >= WANDER_LOOKS)
		return;
	switch (draw(5)) {
	case 0:
		wander_sized(depth - 1);
		break;
	case 1:
		wander_realigned(depth - 1);
		break;
	case 2:
		wander_busy(depth - 1);
		break;
	case 3:
		wander(depth - 1);
		break;
	default:
		if (depth > 2)
			qsort(numbers, 3, sizeof *numbers, compare_wandering);
		break;
	}
	look_cached();
}

START_TEST(a_stack_found_in_the_cache_is_what_a_walk_says)
{
	wandering = calloc(1, sizeof *wandering);
	dl_iterate_phdr(add_module, &wandering->modules);
	qsort(wandering->modules.all, wandering->modules.count, sizeof *wandering->modules.all,
	      compare_modules);
	wandering->high = stack_end();
	while (wandering->looks < WANDER_LOOKS)
		wander(5);
	ck_assert_uint_gt(wandering->hits, WANDER_LOOKS / 2);
	ck_assert_uint_lt(wandering->hits, WANDER_LOOKS - 100);
	for (size_t i = 0; i < wandering->modules.count; i++)
		image_close(wandering->modules.images[i]);
	free(wandering);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("image/walk");
	TCase *own = tcase_create("own stack");
	tcase_set_timeout(own, 60);
	tcase_add_test(own, a_plain_stack_equals_backtrace);
	tcase_add_test(own, a_stack_with_realigned_frames_equals_backtrace);
	tcase_add_test(own, a_stack_through_the_c_library_equals_backtrace);
	tcase_add_test(own, a_stack_through_a_signal_handler_equals_backtrace);
	tcase_add_test(own, a_stack_found_in_the_cache_is_what_a_walk_says);
	suite_add_tcase(suite, own);
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
