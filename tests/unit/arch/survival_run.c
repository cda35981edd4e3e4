/* SPDX-License-Identifier: MIT */
/*
 * The processor as judge of survival_find: functions that compilers make of random C, and functions
 * of this machine's libraries, are run step by step, and what is claimed must hold at every step.
 * malloc of Debian 12's C library, besides, must have the points that a reader of objdump finds.
 */
#include <gnu/libc-version.h>

#include "unit/arch/generated.h"
#include "unit/arch/steps.h"

enum {
	FUNCTIONS = 60,
	CALLS = 6,
	LIBRARY_CALLS = 12,
};

static const struct compiler {
	const char *name, *flags;
} compilers[] = {
	{"gcc", "-O0"},
	{"gcc", "-O1"},
	{"gcc", "-O1 -fno-omit-frame-pointer"},
	{"gcc", "-O2"},
	{"gcc", "-O2 -fno-optimize-sibling-calls -fcf-protection"},
	{"gcc", "-O3 -march=haswell"},
	{"gcc", "-Os"},
	{"clang", "-O1"},
	{"clang", "-O2 -fno-optimize-sibling-calls"},
	{"clang", "-Oz"},
};

/* Compiles FUNCTIONS random functions; NULL where that compiler is not installed. */
static void *compile(const struct compiler *compiler, uint64_t seed)
{
	char directory[] = "/tmp/survival.XXXXXX", source[64], library[64], command[512];
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(source, sizeof source, "%s/f.c", directory);
	snprintf(library, sizeof library, "%s/f.so", directory);
	FILE *file = fopen(source, "w");
	ck_assert_ptr_nonnull(file);
	put_functions(file, seed, FUNCTIONS);
	fclose(file);
	snprintf(command, sizeof command,
		 "%s -w -shared -fPIC -fwrapv -fno-semantic-interposition %s -o %s %s 2>/dev/null",
		 compiler->name, compiler->flags, library, source);
	bool made = system(command) == 0;
	void *handle = made ? dlopen(library, RTLD_NOW | RTLD_LOCAL) : NULL;
	unlink(source);
	unlink(library);
	rmdir(directory);
	return handle;
}

/* Small numbers, negative ones, flags, and noise. */
static uint64_t random_integer(struct stepper *stepper)
{
	uint64_t word = steps_random(stepper) >> 8;
	switch (word % 5) {
	case 0:
		return word >> 8 & 7;
	case 1:
		return word >> 8 & 0xffff;
	case 2:
		return 0 - (word >> 8 & 0xff);
	case 3:
		return (uint64_t)1 << (word >> 8 & 63);
	default:
		return steps_random(stepper);
	}
}

static void run_generated(struct stepper *stepper, const struct subject *subject)
{
	stepper_add(stepper, subject);
	for (int i = 0; i < CALLS; i++) {
		uint64_t arguments[ARGUMENTS];
		for (int j = 0; j < ARGUMENTS; j++)
			arguments[j] = random_integer(stepper);
		stepper_call(stepper, subject, arguments);
	}
}

START_TEST(compiled_functions_do_what_is_claimed_of_them)
{
	const struct compiler *compiler = &compilers[_i];
	const char *seed = getenv("SEED");
	void *handle =
		compile(compiler, (seed ? strtoull(seed, NULL, 0) : 77) * 100 + (uint64_t)_i + 1);
	if (!handle)
		return;
	char origin[128];
	snprintf(origin, sizeof origin, "%s %s", compiler->name, compiler->flags);
	struct stepper stepper;
	stepper_start(&stepper);
	for (int i = 0; i < FUNCTIONS; i++) {
		char name[16];
		struct subject subject;
		snprintf(name, sizeof name, "f%d", i);
		if (subject_open(handle, name, origin, &subject)) {
			run_generated(&stepper, &subject);
			subject_deinit(&subject);
		}
	}
	if (getenv("VERBOSE"))
		printf("%s: ", origin);
	stepper_stop(&stepper);
	dlclose(handle);
	ck_assert_uint_gt(stepper.functions, FUNCTIONS / 16);
	ck_assert_uint_gt(stepper.returns, stepper.functions * CALLS / 2);
	ck_assert_uint_le(stepper.unfinished, stepper.runs / 5);
}
END_TEST

/*
 * Functions that may be called with: i an integer, c a character or another small number, s a size,
 * p a text, b room for bytes, n fewer than 64, 0 nothing, 1 one, t ten.
 */
static const struct library_function {
	const char *library, *name, *arguments;
} library_functions[] = {
	{"libc.so.6", "malloc", "s"},
	{"libc.so.6", "calloc", "nn"},
	{"libc.so.6", "valloc", "s"},
	{"libc.so.6", "pvalloc", "s"},
	{"libc.so.6", "memalign", "ns"},
	{"libc.so.6", "posix_memalign", "bns"},
	{"libc.so.6", "realloc", "0s"},
	{"libc.so.6", "free", "0"},
	{"libc.so.6", "malloc_usable_size", "0"},
	{"libc.so.6", "abs", "i"},
	{"libc.so.6", "labs", "i"},
	{"libc.so.6", "div", "i1"},
	{"libc.so.6", "ldiv", "it"},
	{"libc.so.6", "ffs", "i"},
	{"libc.so.6", "ffsl", "i"},
	{"libc.so.6", "toupper", "c"},
	{"libc.so.6", "tolower", "c"},
	{"libc.so.6", "isalpha", "c"},
	{"libc.so.6", "isdigit", "c"},
	{"libc.so.6", "iswalpha", "c"},
	{"libc.so.6", "towupper", "c"},
	{"libc.so.6", "wcwidth", "c"},
	{"libc.so.6", "btowc", "c"},
	{"libc.so.6", "wctob", "c"},
	{"libc.so.6", "htonl", "i"},
	{"libc.so.6", "htons", "i"},
	{"libc.so.6", "gnu_dev_major", "i"},
	{"libc.so.6", "gnu_dev_minor", "i"},
	{"libc.so.6", "gnu_dev_makedev", "ii"},
	{"libc.so.6", "a64l", "p"},
	{"libc.so.6", "l64a", "i"},
	{"libc.so.6", "atoi", "p"},
	{"libc.so.6", "atol", "p"},
	{"libc.so.6", "strtol", "p0t"},
	{"libc.so.6", "strtoul", "p0t"},
	{"libc.so.6", "rand_r", "b"},
	{"libc.so.6", "rand", ""},
	{"libc.so.6", "lrand48", ""},
	{"libc.so.6", "memfrob", "bn"},
	{"libc.so.6", "swab", "pbn"},
	{"libc.so.6", "strverscmp", "pp"},
	{"libc.so.6", "basename", "p"},
	{"libc.so.6", "getenv", "p"},
	{"libc.so.6", "inet_addr", "p"},
	{"libc.so.6", "inet_network", "p"},
	{"libc.so.6", "strsignal", "1"},
	{"libc.so.6", "strdup", "p"},
	{"libc.so.6", "strndup", "pn"},
	{"libc.so.6", "mblen", "pn"},
	{"libc.so.6", "sysconf", "c"},
	{"libc.so.6", "hcreate", "n"},
	{"libc.so.6", "sigaddset", "b1"},
	{"libc.so.6", "sigismember", "b1"},
	{"libc.so.6", "mmap", "0s1c00"},
	{"libc.so.6", "sbrk", "n"},
	{"libstdc++.so.6", "_Znwm", "s"},
	{"libstdc++.so.6", "_Znam", "s"},
	{"libstdc++.so.6", "_ZnwmRKSt9nothrow_t", "s"},
	{"libstdc++.so.6", "_ZdlPv", "0"},
	{"libstdc++.so.6", "__cxa_allocate_exception", "s"},
	{"libstdc++.so.6", "__cxa_get_globals", ""},
	{"libstdc++.so.6", "_ZSt11_Hash_bytesPKvmm", "pni"},
	{"libstdc++.so.6", "_ZSt15_Fnv_hash_bytesPKvmm", "pni"},
	{"libcrypto.so.3", "CRYPTO_malloc", "sp1"},
	{"libcrypto.so.3", "CRYPTO_zalloc", "sp1"},
	{"libcrypto.so.3", "CRYPTO_strdup", "pp1"},
	{"libcrypto.so.3", "CRYPTO_memcmp", "ppn"},
	{"libcrypto.so.3", "OPENSSL_hexchar2int", "c"},
	{"libcrypto.so.3", "OPENSSL_strlcpy", "bpn"},
	{"libcrypto.so.3", "OPENSSL_strnlen", "pn"},
	{"libcrypto.so.3", "OPENSSL_LH_strhash", "p"},
	{"libcrypto.so.3", "OPENSSL_sk_new_null", ""},
	{"libcrypto.so.3", "BN_num_bits_word", "i"},
	{"libcrypto.so.3", "ASN1_tag2bit", "c"},
	{"libcrypto.so.3", "ASN1_STRING_type_new", "c"},
	{"libcrypto.so.3", "BUF_MEM_new", ""},
	{"libcrypto.so.3", "BN_new", ""},
};

/* Shared by both processes' images; the child changes its own copy. */
static char text[] = "0123 of words, and more of them than 64 bytes hold: 10.1.2.3/8 ....";
static char room[256];

static uint64_t argument_of(struct stepper *stepper, char kind)
{
	uint64_t word = steps_random(stepper) >> 8;
	switch (kind) {
	case 'i':
		return random_integer(stepper);
	case 'c':
		return word % 128;
	case 's':
		return word % 4 ? word % 2000 : word % 300000;
	case 'p':
		return (uint64_t)(uintptr_t)text + word % 8;
	case 'b':
		return (uint64_t)(uintptr_t)room;
	case 'n':
		return word % 64;
	case 't':
		return 10;
	default:
		return (uint64_t)(kind - '0');
	}
}

static void run_library_function(struct stepper *stepper, const struct library_function *function)
{
	struct subject subject;
	void *handle = dlopen(function->library, RTLD_NOW);
	if (!handle || !subject_open(handle, function->name, function->library, &subject))
		return;
	stepper_add(stepper, &subject);
	for (int i = 0; i < LIBRARY_CALLS; i++) {
		uint64_t arguments[ARGUMENTS];
		size_t count = strlen(function->arguments);
		for (size_t j = 0; j < ARGUMENTS; j++)
			arguments[j] = j < count ? argument_of(stepper, function->arguments[j])
						 : steps_random(stepper);
		stepper_call(stepper, &subject, arguments);
	}
	subject_deinit(&subject);
}

START_TEST(functions_of_libraries_do_what_is_claimed_of_them)
{
	/* Before the fork, so that both have them in one place. */
	dlopen("libstdc++.so.6", RTLD_NOW);
	dlopen("libcrypto.so.3", RTLD_NOW);
	struct stepper stepper;
	stepper_start(&stepper);
	size_t count = sizeof library_functions / sizeof *library_functions;
	for (size_t i = 0; i < count; i++)
		run_library_function(&stepper, &library_functions[i]);
	stepper_stop(&stepper);
	ck_assert_uint_gt(stepper.functions, 20);
	ck_assert_uint_gt(stepper.returns, stepper.functions * LIBRARY_CALLS);
	ck_assert_uint_le(stepper.unfinished, stepper.runs / 10);
}
END_TEST

struct line {
	uint64_t address;
	char text[64];
};

/* The lines of objdump for malloc in the C library; their number. */
static size_t disassemble(const struct subject *subject, uint64_t base, const char *path,
			  struct line *lines, size_t count_max)
{
	char command[512];
	snprintf(command, sizeof command,
		 "objdump -d --no-show-raw-insn --start-address=0x%" PRIx64
		 " --stop-address=0x%" PRIx64 " %s 2>/dev/null",
		 subject->start - base, subject->end - base, path);
	FILE *output = popen(command, "r");
	ck_assert_ptr_nonnull(output);
	size_t count = 0;
	char line[512];
	while (count < count_max && fgets(line, sizeof line, output))
		if (line[0] == ' ' && sscanf(line, " %" SCNx64 ": %63[^\n]", &lines[count].address,
					     lines[count].text) == 2)
			lines[count++].address += base;
	pclose(output);
	return count;
}

static const struct survival_point *point_at(const struct survival *survival, uint64_t address)
{
	for (size_t i = 0; i < survival->count; i++)
		if (survival->points[i].address.v == address)
			return &survival->points[i];
	return NULL;
}

static bool is(const struct line *line, const char *mnemonic)
{
	return !strncmp(line->text, mnemonic, strlen(mnemonic));
}

/* The epilogue that ends with lines[ret]: its first pop is the exit, which must restore rbx. */
static void check_epilogue(const struct survival *survival, const struct line *lines, size_t ret)
{
	size_t first = ret;
	while (first > 0 && is(&lines[first - 1], "pop "))
		first--;
	const struct survival_point *point = point_at(survival, lines[first].address);
	ck_assert_str_eq(lines[first].text, "pop    %rbx");
	ck_assert_ptr_nonnull(point);
	ck_assert_int_eq(point->kind, SURVIVAL_EXIT);
	ck_assert(point->readable);
	ck_assert_uint_eq(point->register_number, 3);
	ck_assert_uint_eq(point->returns_at.v, lines[ret].address);
	ck_assert_uint_eq(point->depth_bytes, 8 * (ret - first));
}

/* rbx, which holds the size, is overwritten; the call that follows takes the copy in rsi. */
static void check_loss(const struct survival *survival, const struct line *lines, size_t lea)
{
	size_t call = lea;
	ck_assert_str_eq(lines[lea - 1].text, "mov    %rbx,%rsi");
	while (!is(&lines[call], "call "))
		call++;
	const struct survival_point *point = point_at(survival, lines[call].address);
	ck_assert_ptr_nonnull(point);
	ck_assert_int_eq(point->kind, SURVIVAL_LOST);
	ck_assert_uint_eq(point->register_number, 6);
}

START_TEST(the_points_of_malloc_are_what_objdump_shows)
{
	Dl_info info;
	struct subject subject;
	struct line lines[1000];
	void *handle = dlopen("libc.so.6", RTLD_NOW);
	if (strcmp(gnu_get_libc_version(), "2.36") || system("objdump --version >/dev/null 2>&1"))
		return;
	ck_assert(subject_open(handle, "malloc", "libc.so.6", &subject));
	ck_assert(subject.accepted[0]);
	ck_assert(dladdr((void *)(uintptr_t)subject.start, &info));
	size_t count = disassemble(&subject, (uint64_t)(uintptr_t)info.dli_fbase, info.dli_fname,
				   lines, sizeof lines / sizeof *lines);
	size_t found = 0;
	for (size_t i = 1; i < count; i++) {
		bool loss = is(&lines[i], "lea ") && strstr(lines[i].text, ",%rbx");
		if (is(&lines[i], "ret"))
			check_epilogue(&subject.points[0], lines, i);
		if (loss)
			check_loss(&subject.points[0], lines, i);
		found += loss || is(&lines[i], "ret");
	}
	ck_assert_uint_gt(found, 3);
	ck_assert_uint_eq(found, subject.points[0].count);
	subject_deinit(&subject);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("survival, run");
	TCase *tests = tcase_create("run");
	tcase_set_timeout(tests, 240);
	if (system("gcc --version >/dev/null 2>&1"))
		return 77;
	tcase_add_loop_test(tests, compiled_functions_do_what_is_claimed_of_them, 0,
			    sizeof compilers / sizeof *compilers);
	tcase_add_test(tests, functions_of_libraries_do_what_is_claimed_of_them);
	tcase_add_test(tests, the_points_of_malloc_are_what_objdump_shows);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
