/* SPDX-License-Identifier: MIT */
/* Rules: what each form means, where complaints point, and which functions a rule is about. */
#include "allocator/rule.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static struct allocator_rule *only(struct allocator_rules *rules, const char *text)
{
	struct error *err = allocator_rules_add(rules, text);
	ck_assert_msg(!err, "%s: %s", text, err ? error_message(err) : "");
	ck_assert_uint_eq(rules->count, 1);
	ck_assert_str_eq(rules->items[0].text, text);
	ck_assert(rules->items[0].function.whole);
	return &rules->items[0];
}

static const struct {
	const char *text;
	struct allocator_function function;
} forms[] = {
	{"f(size=arg1) -> ptr", {.role = ALLOCATOR_CREATE, .size_argument = 1}},
	{"f(size=arg2*arg3) -> ptr",
	 {.role = ALLOCATOR_CREATE, .size_argument = 2, .count_argument = 3}},
	{"f(size=48) -> ptr", {.role = ALLOCATOR_CREATE, .size_constant = 48}},
	{"f(size=48*arg6) -> ptr",
	 {.role = ALLOCATOR_CREATE, .size_constant = 48, .size_argument = 6}},
	{"f(size=arg6*48) -> ptr",
	 {.role = ALLOCATOR_CREATE, .size_constant = 48, .size_argument = 6}},
	{"f(size=arg3) -> *arg1",
	 {.role = ALLOCATOR_CREATE,
	  .result = ALLOCATOR_STORES_ADDRESS,
	  .size_argument = 3,
	  .result_argument = 1}},
	{"f(ptr=arg1, size=arg2) -> ptr",
	 {.role = ALLOCATOR_RESIZE, .pointer_argument = 1, .size_argument = 2}},
	{"f(size=arg2,ptr=arg1)->ptr",
	 {.role = ALLOCATOR_RESIZE, .pointer_argument = 1, .size_argument = 2}},
	{" f ( ptr = arg4 ) ", {.role = ALLOCATOR_RELEASE, .pointer_argument = 4}},
	{"f()", {.role = ALLOCATOR_HIDE}},
};

START_TEST(each_form_of_a_rule_means_what_it_says)
{
	_cleanup_allocator_rules_ struct allocator_rules rules = {0};
	const struct allocator_function *read = &only(&rules, forms[_i].text)->function;
	const struct allocator_function *meant = &forms[_i].function;
	ck_assert_int_eq(read->role, meant->role);
	ck_assert_int_eq(read->result, meant->result);
	ck_assert_uint_eq(read->size_argument, meant->size_argument);
	ck_assert_uint_eq(read->count_argument, meant->count_argument);
	ck_assert_uint_eq(read->size_constant, meant->size_constant);
	ck_assert_uint_eq(read->pointer_argument, meant->pointer_argument);
	ck_assert_uint_eq(read->result_argument, meant->result_argument);
	ck_assert_str_eq(rules.items[0].name, "f");
	ck_assert_ptr_null(rules.items[0].module);
}
END_TEST

static const struct {
	const char *text, *complaint;
} faults[] = {
	{"", "column 1: expected '('"},
	{"f", "column 2: expected '('"},
	{"(ptr=arg1)", "column 1: expected the name of a function"},
	{"  (ptr=arg1)", "column 3: expected the name of a function"},
	{"m:(ptr=arg1)", "column 3: expected the name of a function"},
	{":f(ptr=arg1)", "column 1: expected the name of a module before ':'"},
	{"0x(ptr=arg1)", "column 1: expected an address such as 0x4a10"},
	{"0x12g(ptr=arg1)", "column 1: expected an address such as 0x4a10"},
	{"0x11112222333344445(ptr=arg1)", "column 1: expected an address such as 0x4a10"},
	{"0x12 x(ptr=arg1)", "column 6: expected '('"},
	{"f(", "column 3: expected 'size=' or 'ptr='"},
	{"f(sizes=arg1) -> ptr", "column 3: expected 'size=' or 'ptr='"},
	{"f(sze=arg1) -> ptr", "column 3: expected 'size=' or 'ptr='"},
	{"f(size arg1) -> ptr", "column 8: expected '='"},
	{"f(size=arg0) -> ptr", "column 8: expected an argument, arg1 to arg6"},
	{"f(size=arg7) -> ptr", "column 8: expected an argument, arg1 to arg6"},
	{"f(size=arg18446744073709551617) -> ptr", "column 8: expected an argument, arg1 to arg6"},
	{"f(size=rdi) -> ptr", "column 8: expected an argument, arg1 to arg6"},
	{"f(size=arg1*) -> ptr", "column 13: expected an argument, arg1 to arg6"},
	{"f(size=0) -> ptr", "column 8: expected a number of bytes above zero"},
	{"f(size=9223372036854775808) -> ptr", "column 8: expected a number of bytes above zero"},
	{"f(size=8*6) -> ptr", "column 10: there is a number already: multiply them yourself"},
	{"f(size=arg1, size=arg2) -> ptr", "column 14: a second size"},
	{"f(ptr=arg1, ptr=arg2)", "column 13: a second ptr"},
	{"f(ptr=48)", "column 7: expected an argument, arg1 to arg6"},
	{"f(size=arg1 -> ptr", "column 13: expected ',' or ')'"},
	{"f(size=arg1,) -> ptr", "column 13: expected 'size=' or 'ptr='"},
	{"f(size=arg1)", "column 13: expected '-> ptr' or, for example, '-> *arg1'"},
	{"f(size=arg1) -> block", "column 17: expected 'ptr' or, for example, '*arg1'"},
	{"f(size=arg1) -> *ptr", "column 18: expected an argument, arg1 to arg6"},
	{"f(size=arg1) -> ptr ptr", "column 21: expected the end"},
	{"f(ptr=arg1) x", "column 13: expected '->'"},
	{"f(ptr=arg1) -> ptr", "column 13: what gives a block needs a size in its parentheses"},
	{"f() -> ptr", "column 5: what gives a block needs a size in its parentheses"},
	{"f(ptr=arg1, size=arg2) -> *arg3",
	 "column 24: what resizes a block must return it: '-> ptr'"},
};

START_TEST(a_complaint_names_the_column_and_leaves_the_list_alone)
{
	_cleanup_allocator_rules_ struct allocator_rules rules = {0};
	_cleanup_error_ struct error *err = allocator_rules_add(&rules, faults[_i].text);
	ck_assert_msg(err, "'%s' was taken", faults[_i].text);
	ck_assert_int_eq(error_kind_of(err), ERROR_USAGE);
	ck_assert_str_eq(error_message(err), faults[_i].complaint);
	ck_assert_uint_eq(rules.count, 0);
}
END_TEST

START_TEST(a_rule_that_is_far_too_long_is_refused)
{
	_cleanup_allocator_rules_ struct allocator_rules rules = {0};
	static char text[8192];
	memset(text, 'f', sizeof text - 1);
	_cleanup_error_ struct error *err = allocator_rules_add(&rules, text);
	ck_assert_ptr_nonnull(err);
	ck_assert_str_eq(error_message(err), "column 4097: the rule is too long");
}
END_TEST

START_TEST(a_module_is_told_from_the_colons_of_a_cxx_name)
{
	_cleanup_allocator_rules_ struct allocator_rules rules = {0};
	const struct allocator_rule *rule = only(&rules, "lib*.so : Pool<int>::get (ptr=arg2)");
	ck_assert_str_eq(rule->module, "lib*.so");
	ck_assert_str_eq(rule->name, "Pool<int>::get");
	allocator_rules_deinit(&rules);
	rule = only(&rules, "Pool::get(ptr=arg2)");
	ck_assert_ptr_null(rule->module);
	ck_assert_str_eq(rule->name, "Pool::get");
}
END_TEST

START_TEST(an_address_stands_in_place_of_a_name)
{
	_cleanup_allocator_rules_ struct allocator_rules rules = {0};
	const struct allocator_rule *rule = only(&rules, "libx.so:0x4A1f(ptr=arg1)");
	ck_assert(rule->by_address);
	ck_assert_uint_eq(rule->address, 0x4a1f);
	ck_assert_ptr_null(rule->name);
	ck_assert(allocator_rule_means_module(rule, "/lib/libx.so", false));
	ck_assert(!allocator_rule_means_function(rule, "f", NULL));
	allocator_rules_deinit(&rules);
	rule = only(&rules, "0x10(ptr=arg1)");
	ck_assert(allocator_rule_means_module(rule, "/bin/x", true));
	ck_assert(!allocator_rule_means_module(rule, "/bin/x", false));
}
END_TEST

START_TEST(a_rule_means_modules_by_their_last_part_or_whole_path)
{
	_cleanup_allocator_rules_ struct allocator_rules rules = {0};
	const struct allocator_rule *rule = only(&rules, "libx.so*:f(ptr=arg1)");
	ck_assert(allocator_rule_means_module(rule, "/usr/lib/libx.so.2", false));
	ck_assert(allocator_rule_means_module(rule, "libx.so", false));
	ck_assert(!allocator_rule_means_module(rule, "/usr/lib/libxx.so", false));
	allocator_rules_deinit(&rules);
	rule = only(&rules, "/opt/*/libx.so:f(ptr=arg1)");
	ck_assert(allocator_rule_means_module(rule, "/opt/here/libx.so", false));
	ck_assert(!allocator_rule_means_module(rule, "/usr/lib/libx.so", false));
}
END_TEST

START_TEST(a_rule_means_functions_as_linked_or_as_read)
{
	_cleanup_allocator_rules_ struct allocator_rules rules = {0};
	const struct allocator_rule *rule = only(&rules, "Pool::g*(ptr=arg2)");
	ck_assert(allocator_rule_means_function(rule, "_ZN4Pool3getEm", "Pool::get"));
	ck_assert(!allocator_rule_means_function(rule, "_ZN4Pool3putEm", "Pool::put"));
	allocator_rules_deinit(&rules);
	rule = only(&rules, "_ZN4Pool3getE?(ptr=arg2)");
	ck_assert(allocator_rule_means_function(rule, "_ZN4Pool3getEm", NULL));
	ck_assert(allocator_rule_means_module(rule, "/any/thing", false));
}
END_TEST

START_TEST(what_link_time_optimization_has_renamed_is_meant_and_changed_copies_are_not)
{
	_cleanup_allocator_rules_ struct allocator_rules rules = {0};
	const struct allocator_rule *rule = only(&rules, "pool_get(ptr=arg2)");
	ck_assert(allocator_rule_means_function(rule, "pool_get.lto_priv.0", NULL));
	ck_assert(allocator_rule_means_function(rule, "pool_get.llvm.1234567890", NULL));
	ck_assert(!allocator_rule_means_function(rule, "pool_get_all.lto_priv.0", NULL));
	ck_assert(!allocator_rule_means_function(rule, "pool_get.constprop.0", NULL));
	ck_assert(!allocator_rule_means_function(rule, "pool_get.isra.0", NULL));
	ck_assert(!allocator_rule_means_function(rule, "pool_get.lto_priv.0.cold", NULL));
	allocator_rules_deinit(&rules);
	rule = only(&rules, "pool_*(ptr=arg2)");
	ck_assert(allocator_rule_means_function(rule, "pool_get.lto_priv.0", NULL));
	ck_assert(!allocator_rule_means_function(rule, "pool_get.cold", NULL));
	ck_assert(!allocator_rule_means_function(rule, "pool_get.part.0", NULL));
	allocator_rules_deinit(&rules);
	rule = only(&rules, "pool_get.isra.*(ptr=arg2)");
	ck_assert(allocator_rule_means_function(rule, "pool_get.isra.0", NULL));
	allocator_rules_deinit(&rules);
	rule = only(&rules, "Pool::get(ptr=arg2)");
	ck_assert(!allocator_rule_means_function(rule, "_ZN4Pool3getEm.cold", "Pool::get"));
}
END_TEST

START_TEST(a_file_of_rules_has_one_a_line_with_comments)
{
	_cleanup_allocator_rules_ struct allocator_rules rules = {0};
	ck_assert_ptr_null(allocator_rules_add_lines(
		&rules, "# ours\n\n  f(ptr=arg1)\r\n\t# more\ng(size=arg1) -> ptr"));
	ck_assert_uint_eq(rules.count, 2);
	ck_assert_str_eq(rules.items[0].name, "f");
	ck_assert_str_eq(rules.items[1].name, "g");
	_cleanup_error_ struct error *err =
		allocator_rules_add_lines(&rules, "f()\n\n g(size)\nh()\n");
	ck_assert_str_eq(error_message(err), "line 3: column 8: expected '='");
}
END_TEST

/* ---- rules made at random */

static uint64_t state = 0x9e3779b97f4a7c15;

static unsigned pick(unsigned below)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % below;
}

static const char *blank(void)
{
	static const char *const blanks[] = {"", "", " ", "\t", "  "};
	return blanks[pick(5)];
}

/* A rule that is right, its parts chosen at random, and what it means. */
static void make_rule(char *text, size_t bytes, struct allocator_function *ret)
{
	size_t used = 0;
	*ret = (struct allocator_function){.role = (enum allocator_role)pick(4)};
	bool sized = ret->role == ALLOCATOR_CREATE || ret->role == ALLOCATOR_RESIZE;
	bool pointed = ret->role == ALLOCATOR_RESIZE || ret->role == ALLOCATOR_RELEASE;
#define PUT(...) (used += (size_t)snprintf(text + used, bytes - used, __VA_ARGS__))
	PUT("%spool_*%s(%s", blank(), blank(), blank());
	if (pointed) {
		ret->pointer_argument = (unsigned char)(1 + pick(6));
		PUT("ptr%s=%sarg%d%s", blank(), blank(), ret->pointer_argument, blank());
	}
	if (pointed && sized)
		PUT(",%s", blank());
	if (sized && pick(3) == 0) {
		ret->size_constant = 1 + pick(1 << 20);
		PUT("size=%s%lu%s", blank(), (unsigned long)ret->size_constant, blank());
	} else if (sized) {
		ret->size_argument = (unsigned char)(1 + pick(6));
		PUT("size%s=arg%d%s", blank(), ret->size_argument, blank());
	}
	if (sized && ret->size_argument && pick(2)) {
		ret->count_argument = (unsigned char)(1 + pick(6));
		PUT("*%sarg%d", blank(), ret->count_argument);
	}
	PUT("%s)%s", blank(), blank());
	if (ret->role == ALLOCATOR_CREATE && pick(2)) {
		ret->result = ALLOCATOR_STORES_ADDRESS;
		ret->result_argument = (unsigned char)(1 + pick(6));
		PUT("->%s*%sarg%d", blank(), blank(), ret->result_argument);
	} else if (sized) {
		PUT("->%sptr", blank());
	}
	PUT("%s", blank());
#undef PUT
}

START_TEST(whatever_is_right_is_read_as_it_was_meant)
{
	for (int round = 0; round < 20000; round++) {
		_cleanup_allocator_rules_ struct allocator_rules rules = {0};
		struct allocator_function meant;
		char text[256];
		make_rule(text, sizeof text, &meant);
		const struct allocator_function *read = &only(&rules, text)->function;
		ck_assert_msg(read->role == meant.role && read->result == meant.result &&
				      read->size_argument == meant.size_argument &&
				      read->size_constant == meant.size_constant &&
				      read->count_argument == meant.count_argument &&
				      read->pointer_argument == meant.pointer_argument &&
				      read->result_argument == meant.result_argument,
			      "'%s' was read as something else", text);
	}
}
END_TEST

/* The column of a complaint, 0 if it names none. */
static size_t column_of(const struct error *err)
{
	const char *message = error_message(err);
	return strncmp(message, "column ", 7) == 0 ? strtoul(message + 7, NULL, 10) : 0;
}

START_TEST(whatever_is_wrong_is_complained_of_within_its_text)
{
	static const char alphabet[] = "argsizeptr123456*=,()->:x0f \t\r\x80\xff_";
	for (int round = 0; round < 100000; round++) {
		_cleanup_allocator_rules_ struct allocator_rules rules = {0};
		struct allocator_function meant;
		char text[256];
		make_rule(text, sizeof text, &meant);
		for (unsigned changes = 1 + pick(3); changes; changes--) {
			size_t length = strlen(text), at = length ? pick((unsigned)length) : 0;
			if (pick(3) == 0)
				text[at] = '\0';
			else if (pick(2))
				text[at] = alphabet[pick(sizeof alphabet - 1)];
			else
				memmove(text + at, text + at + (length > 0), length - at);
		}
		_cleanup_error_ struct error *err = allocator_rules_add(&rules, text);
		ck_assert_uint_eq(rules.count, !err);
		if (err)
			ck_assert_msg(column_of(err) >= 1 && column_of(err) <= strlen(text) + 1,
				      "'%s': %s", text, error_message(err));
	}
}
END_TEST

static Suite *rule_suite(void)
{
	Suite *suite = suite_create("rule");
	TCase *tests = tcase_create("rule");
	suite_add_tcase(suite, tests);
	tcase_add_loop_test(tests, each_form_of_a_rule_means_what_it_says, 0,
			    sizeof forms / sizeof forms[0]);
	tcase_add_loop_test(tests, a_complaint_names_the_column_and_leaves_the_list_alone, 0,
			    sizeof faults / sizeof faults[0]);
	tcase_add_test(tests, a_rule_that_is_far_too_long_is_refused);
	tcase_add_test(tests, a_module_is_told_from_the_colons_of_a_cxx_name);
	tcase_add_test(tests, an_address_stands_in_place_of_a_name);
	tcase_add_test(tests, a_rule_means_modules_by_their_last_part_or_whole_path);
	tcase_add_test(tests, a_rule_means_functions_as_linked_or_as_read);
	tcase_add_test(tests,
		       what_link_time_optimization_has_renamed_is_meant_and_changed_copies_are_not);
	tcase_add_test(tests, a_file_of_rules_has_one_a_line_with_comments);
	tcase_add_test(tests, whatever_is_right_is_read_as_it_was_meant);
	tcase_add_test(tests, whatever_is_wrong_is_complained_of_within_its_text);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(rule_suite());
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
