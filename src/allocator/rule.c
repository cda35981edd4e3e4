/* SPDX-License-Identifier: MIT */
#include "allocator/rule.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"

enum { RULE_MAX_BYTES = 4096, ARGUMENTS_MAX = 6 };

struct reader {
	const char *text;
	const char *at;
};

static struct error *complain(const struct reader *reader, const char *at, const char *what)
{
	return error_new(ERROR_USAGE, "column %zu: %s", (size_t)(at - reader->text) + 1, what);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void skip_blanks(struct reader *reader)
{
	while (is_blank(*reader->at))
		reader->at++;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Takes a word or sign if it comes next. */
static bool take(struct reader *reader, const char *word)
{
	size_t count = strlen(word);
	skip_blanks(reader);
	if (strncmp(reader->at, word, count) != 0 ||
	    (is_word(word[0]) && is_word(reader->at[count])))
		return false;
	reader->at += count;
	return true;
}

static bool digits(struct reader *reader, unsigned base, uint64_t *ret)
{
	static const char all[] = "0123456789abcdef";
	const char *start = reader->at;
	*ret = 0;
	for (;; reader->at++) {
		char c = *reader->at;
		if (c >= 'A' && c <= 'F')
			c += 'a' - 'A';
		const char *digit = c ? memchr(all, c, base) : NULL;
		if (!digit)
			return reader->at > start && !is_word(*reader->at);
		if (__builtin_mul_overflow(*ret, base, ret) ||
		    __builtin_add_overflow(*ret, (uint64_t)(digit - all), ret))
			return false;
	}
}

static struct error *read_argument(struct reader *reader, unsigned char *ret)
{
	static const char expected[] = "expected an argument, arg1 to arg6";
	skip_blanks(reader);
	const char *start = reader->at;
	uint64_t number;
	if (strncmp(start, "arg", 3) != 0)
		return complain(reader, start, expected);
	reader->at += 3;
	if (!digits(reader, 10, &number) || number < 1 || number > ARGUMENTS_MAX)
		return complain(reader, start, expected);
	*ret = (unsigned char)number;
	return NULL;
}

static struct error *read_constant(struct reader *reader, struct allocator_function *function)
{
	const char *start = reader->at;
	uint64_t number;
	if (!digits(reader, 10, &number) || number == 0 || number > INT64_MAX)
		return complain(reader, start, "expected a number of bytes above zero");
	if (function->size_constant)
		return complain(reader, start, "there is a number already: multiply them yourself");
	function->size_constant = number;
	return NULL;
}

static struct error *read_factor(struct reader *reader, struct allocator_function *function)
{
	skip_blanks(reader);
	if (is_digit(*reader->at))
		return read_constant(reader, function);
	return read_argument(reader, function->size_argument ? &function->count_argument
							     : &function->size_argument);
}

static struct error *read_size(struct reader *reader, struct allocator_function *function)
{
	struct error *err = read_factor(reader, function);
	return err || !take(reader, "*") ? err : read_factor(reader, function);
}

static struct error *read_parameter(struct reader *reader, struct allocator_function *function)
{
	skip_blanks(reader);
	const char *start = reader->at;
	bool size = take(reader, "size");
	if (!size && !take(reader, "ptr"))
		return complain(reader, start, "expected 'size=' or 'ptr='");
	if (size ? function->size_argument || function->size_constant : function->pointer_argument)
		return complain(reader, start, size ? "a second size" : "a second ptr");
	if (!take(reader, "="))
		return complain(reader, reader->at, "expected '='");
	return size ? read_size(reader, function)
		    : read_argument(reader, &function->pointer_argument);
}

static struct error *read_parameters(struct reader *reader, struct allocator_function *function)
{
	if (take(reader, ")"))
		return NULL;
	for (;;) {
		struct error *err = read_parameter(reader, function);
		if (err)
			return err;
		if (take(reader, ")"))
			return NULL;
		if (!take(reader, ","))
			return complain(reader, reader->at, "expected ',' or ')'");
	}
}

/* What the function gives; *given_ret false: nothing is said of it. */
static struct error *read_result(struct reader *reader, struct allocator_function *function,
				 bool *given_ret)
{
	*given_ret = take(reader, "->");
	if (!*given_ret || take(reader, "ptr"))
		return NULL;
	if (!take(reader, "*"))
		return complain(reader, reader->at, "expected 'ptr' or, for example, '*arg1'");
	function->result = ALLOCATOR_STORES_ADDRESS;
	return read_argument(reader, &function->result_argument);
}

/* Sets the role by what was said; arrow: where the result stands or should. */
static struct error *decide(const struct reader *reader, const char *arrow, bool gives,
			    struct allocator_function *function)
{
	bool sized = function->size_argument || function->size_constant;
	if (gives && !sized)
		return complain(reader, arrow,
				"what gives a block needs a size in its parentheses");
	if (!gives && sized)
		return complain(reader, arrow, "expected '-> ptr' or, for example, '-> *arg1'");
	if (function->pointer_argument && function->result == ALLOCATOR_STORES_ADDRESS)
		return complain(reader, arrow, "what resizes a block must return it: '-> ptr'");
	function->role = gives ? function->pointer_argument ? ALLOCATOR_RESIZE : ALLOCATOR_CREATE
			 : function->pointer_argument ? ALLOCATOR_RELEASE
						      : ALLOCATOR_HIDE;
	return NULL;
}

/* ---- names */

/* The ':' that ends a module's name: not one of the two in "Pool::get". NULL if there is none. */
static const char *find_colon(const char *start, const char *end)
{
	for (const char *at = start; at < end; at++) {
		if (*at != ':')
			continue;
		if (at + 1 < end && at[1] == ':')
			at++;
		else
			return at;
	}
	return NULL;
}

static struct error *copy_trimmed(const char *start, const char *end, char **ret)
{
	while (start < end && is_blank(*start))
		start++;
	while (end > start && is_blank(end[-1]))
		end--;
	*ret = strndup(start, (size_t)(end - start));
	return *ret ? NULL : error_no_memory();
}

static struct error *read_address(struct reader *reader, const char *end,
				  struct allocator_rule *rule)
{
	skip_blanks(reader);
	const char *start = reader->at;
	reader->at += 2;
	if (!digits(reader, 16, &rule->address))
		return complain(reader, start, "expected an address such as 0x4a10");
	skip_blanks(reader);
	if (reader->at != end)
		return complain(reader, reader->at, "expected '('");
	rule->by_address = true;
	return NULL;
}

static struct error *read_function(struct reader *reader, const char *end,
				   struct allocator_rule *rule)
{
	skip_blanks(reader);
	if (reader->at[0] == '0' && reader->at[1] == 'x')
		return read_address(reader, end, rule);
	if (reader->at == end)
		return complain(reader, reader->at, "expected the name of a function");
	struct error *err = copy_trimmed(reader->at, end, &rule->name);
	reader->at = end;
	return err;
}

static struct error *read_names(struct reader *reader, struct allocator_rule *rule)
{
	const char *end = strchr(reader->at, '(');
	if (!end)
		return complain(reader, reader->at + strlen(reader->at), "expected '('");
	const char *colon = find_colon(reader->at, end);
	if (colon) {
		struct error *err = copy_trimmed(reader->at, colon, &rule->module);
		if (err)
			return err;
		if (!*rule->module)
			return complain(reader, colon, "expected the name of a module before ':'");
		reader->at = colon + 1;
	}
	struct error *err = read_function(reader, end, rule);
	reader->at = end + 1;
	return err;
}

static struct error *read_rule(struct reader *reader, struct allocator_rule *rule)
{
	bool gives;
	rule->function.whole = true;
	struct error *err = read_names(reader, rule);
	if (!err)
		err = read_parameters(reader, &rule->function);
	if (err)
		return err;
	skip_blanks(reader);
	const char *arrow = reader->at;
	err = read_result(reader, &rule->function, &gives);
	if (err)
		return err;
	skip_blanks(reader);
	if (*reader->at)
		return complain(reader, reader->at, gives ? "expected the end" : "expected '->'");
	return decide(reader, arrow, gives, &rule->function);
}

static void rule_deinit(struct allocator_rule *rule)
{
	free(rule->text);
	free(rule->module);
	free(rule->name);
}

struct error *allocator_rules_add(struct allocator_rules *rules, const char *text)
{
	struct reader reader = {.text = text, .at = text};
	__attribute__((__cleanup__(rule_deinit))) struct allocator_rule rule = {0};
	if (strnlen(text, RULE_MAX_BYTES + 1) > RULE_MAX_BYTES)
		return complain(&reader, text + RULE_MAX_BYTES, "the rule is too long");
	struct error *err = read_rule(&reader, &rule);
	if (err)
		return err;
	rule.text = strdup(text);
	if (!rule.text ||
	    !array_reserve(&rules->items, &rules->capacity, rules->count + 1, sizeof *rules->items))
		return error_no_memory();
	rules->items[rules->count++] = rule;
	rule = (struct allocator_rule){0};
	return NULL;
}

static struct error *add_line(struct allocator_rules *rules, const char *start, const char *end,
			      size_t number)
{
	_cleanup_free_ char *line = strndup(start, (size_t)(end - start));
	if (!line)
		return error_no_memory();
	const char *first = line;
	while (is_blank(*first))
		first++;
	if (!*first || *first == '#')
		return NULL;
	struct error *err = allocator_rules_add(rules, line);
	return err ? error_wrap(err, "line %zu", number) : NULL;
}

struct error *allocator_rules_add_lines(struct allocator_rules *rules, const char *text)
{
	for (size_t number = 1; *text; number++) {
		const char *end = text + strcspn(text, "\n");
		struct error *err = add_line(rules, text, end, number);
		if (err)
			return err;
		text = *end ? end + 1 : end;
	}
	return NULL;
}

void allocator_rules_deinit(struct allocator_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++)
		rule_deinit(&rules->items[i]);
	free(rules->items);
	*rules = (struct allocator_rules){0};
}

bool allocator_rule_means_module(const struct allocator_rule *rule, const char *path,
				 bool is_program)
{
	if (!rule->module)
		return !rule->by_address || is_program;
	const char *slash = strrchr(path, '/');
	if (!strchr(rule->module, '/') && slash)
		path = slash + 1;
	return fnmatch(rule->module, path, 0) == 0;
}

/*
 * Link-time optimization of gcc and of clang gives a function that was local to its file another
 * name; it is the same function.
 */
static bool matches_renamed(const char *pattern, const char *linkage)
{
	static const char *const suffixes[] = {".lto_priv.", ".llvm."};
	const char *end = NULL;
	for (size_t i = 0; !end && i < sizeof suffixes / sizeof suffixes[0]; i++)
		end = strstr(linkage, suffixes[i]);
	_cleanup_free_ char *name = end ? strndup(linkage, (size_t)(end - linkage)) : NULL;
	return name && fnmatch(pattern, name, 0) == 0;
}

/* Parts of functions, and copies that take other arguments: meant by whoever names them as such. */
static bool is_changed(const char *linkage)
{
	static const char *const suffixes[] = {".cold", ".part.", ".isra.", ".constprop."};
	for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
		if (strstr(linkage, suffixes[i]))
			return true;
	return false;
}

bool allocator_rule_means_function(const struct allocator_rule *rule, const char *linkage,
				   const char *readable)
{
	if (rule->by_address || (is_changed(linkage) && !strchr(rule->name, '.')))
		return false;
	return fnmatch(rule->name, linkage, 0) == 0 ||
	       (readable && fnmatch(rule->name, readable, 0) == 0) ||
	       matches_renamed(rule->name, linkage);
}
