/* SPDX-License-Identifier: MIT */
#include "session/pools.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"

/* What one agent has room for, with something left for the allocators themselves. */
enum { FUNCTIONS_MAX = 200 };

/* A family of one group. */
struct pool_group {
	struct allocator_family family;
	struct allocator_group group;
	const struct allocator_group *groups[2];
};

/* Invariant: family, if not NULL, holds functions[0 .. count), whose names and rules lie beside. */
struct pool_family {
	image_id image;
	struct pool_group *family;
	struct allocator_function *functions;
	const struct allocator_rule **rules;
	size_t count, capacity, rule_capacity;
};

/* A look at one image's symbols. */
struct search {
	const struct pools *pools;
	const struct module *module;
	bool is_program;
	struct pool_family *found;
	struct error *error;
};

static void family_deinit(struct pool_family *one)
{
	for (size_t i = 0; i < one->count; i++)
		free((char *)one->functions[i].name);
	free(one->functions);
	free(one->rules);
	free(one->family);
}

static bool is_found(const struct pool_family *found, image_addr address)
{
	for (size_t i = 0; i < found->count; i++)
		if (found->functions[i].address.v == address.v)
			return true;
	return false;
}

/* Consumes name. */
static struct error *add(struct pool_family *found, const struct allocator_rule *rule, char *name,
			 image_addr address)
{
	_cleanup_free_ char *guarded = name;
	if (!name)
		return error_no_memory();
	if (found->count == FUNCTIONS_MAX)
		return error_new(ERROR_USAGE,
				 "rule '%s' means more than %d functions: name them more closely",
				 rule->text, FUNCTIONS_MAX);
	if (!array_reserve(&found->functions, &found->capacity, found->count + 1,
			   sizeof *found->functions) ||
	    !array_reserve(&found->rules, &found->rule_capacity, found->count + 1,
			   sizeof *found->rules))
		return error_no_memory();
	struct allocator_function *function = &found->functions[found->count];
	*function = rule->function;
	function->name = take_ptr(guarded);
	function->address = address;
	found->rules[found->count++] = rule;
	return NULL;
}

static bool means(const struct search *search, const struct allocator_rule *rule)
{
	return allocator_rule_means_module(rule, image_path(search->module->image),
					   search->is_program);
}

/* The first rule that means a function is the one that counts. */
static bool consider(void *context, const struct image_symbol *symbol)
{
	struct search *search = context;
	const struct allocator_rules *rules = search->pools->rules;
	/* Of an IFUNC the resolver's address is known, not what it will choose. */
	if (!symbol->function || symbol->ifunc || is_found(search->found, symbol->start))
		return true;
	_cleanup_free_ char *readable = image_demangle(symbol->name);
	for (size_t i = 0; i < rules->count && !search->error; i++) {
		const struct allocator_rule *rule = &rules->items[i];
		if (rule->by_address || !means(search, rule) ||
		    !allocator_rule_means_function(rule, symbol->name, readable))
			continue;
		search->error = add(search->found, rule, strdup(readable ? readable : symbol->name),
				    symbol->start);
		break;
	}
	return !search->error;
}

static bool is_code(const struct image *image, uint64_t address)
{
	size_t count;
	const struct image_segment *segments = image_segments(image, &count);
	for (size_t i = 0; i < count; i++)
		if (segments[i].executable && address >= segments[i].start.v &&
		    address - segments[i].start.v < segments[i].file_bytes)
			return true;
	return false;
}

static struct error *add_address(struct search *search, const struct allocator_rule *rule)
{
	char name[32];
	const struct image *image = search->module->image;
	if (!is_code(image, rule->address))
		return error_new(ERROR_USAGE,
				 "rule '%s': there is no code at that address of \"%s\": give one "
				 "as 'objdump -d' shows them",
				 rule->text, image_path(image));
	if (is_found(search->found, (image_addr){rule->address}))
		return NULL;
	snprintf(name, sizeof name, "0x%lx", (unsigned long)rule->address);
	return add(search->found, rule, strdup(name), (image_addr){rule->address});
}

static struct error *find(struct search *search)
{
	const struct allocator_rules *rules = search->pools->rules;
	struct error *err = NULL;
	bool by_name = false;
	for (size_t i = 0; !err && i < rules->count; i++) {
		if (!means(search, &rules->items[i]))
			continue;
		if (rules->items[i].by_address)
			err = add_address(search, &rules->items[i]);
		else
			by_name = true;
	}
	if (err || !by_name)
		return err;
	err = image_symbols_visit(search->module->image, consider, search);
	return err ? err : search->error;
}

static struct error *make_family(struct pool_family *one)
{
	if (!one->count)
		return NULL;
	one->family = calloc(1, sizeof *one->family);
	if (!one->family)
		return error_no_memory();
	struct pool_group *family = one->family;
	family->group = (struct allocator_group){one->functions, one->count};
	family->groups[0] = &family->group;
	family->family = (struct allocator_family){.name = "rules", .groups = family->groups};
	return NULL;
}

static const struct allocator_family *family_of(const struct pool_family *one)
{
	return one->family ? &one->family->family : NULL;
}

struct error *pools_family(struct pools *pools, const struct module *module, bool is_program,
			   const struct allocator_family **ret)
{
	*ret = NULL;
	if (!pools->rules || !pools->rules->count)
		return NULL;
	for (size_t i = 0; i < pools->count; i++)
		if (pools->items[i].image.v == module->image_id.v) {
			*ret = family_of(&pools->items[i]);
			return NULL;
		}
	if (!array_reserve(&pools->items, &pools->capacity, pools->count + 1, sizeof *pools->items))
		return error_no_memory();
	__attribute__((__cleanup__(family_deinit))) struct pool_family found = {
		.image = module->image_id};
	struct search search = {
		.pools = pools, .module = module, .is_program = is_program, .found = &found};
	struct error *err = find(&search);
	if (!err)
		err = make_family(&found);
	if (err)
		return err;
	*ret = family_of(&found);
	pools->items[pools->count++] = found;
	found = (struct pool_family){0};
	return NULL;
}

bool pools_hold(const struct pools *pools, const struct allocator_family *family)
{
	for (size_t i = 0; family && i < pools->count; i++)
		if (family_of(&pools->items[i]) == family)
			return true;
	return false;
}

static bool is_met(const struct pools *pools, const struct allocator_rule *rule)
{
	for (size_t i = 0; i < pools->count; i++)
		for (size_t j = 0; j < pools->items[i].count; j++)
			if (pools->items[i].rules[j] == rule)
				return true;
	return false;
}

const struct allocator_rule *pools_next_idle(const struct pools *pools, size_t *index)
{
	while (pools->rules && *index < pools->rules->count) {
		const struct allocator_rule *rule = &pools->rules->items[(*index)++];
		if (!is_met(pools, rule))
			return rule;
	}
	return NULL;
}

void pools_deinit(struct pools *pools)
{
	for (size_t i = 0; i < pools->count; i++)
		family_deinit(&pools->items[i]);
	free(pools->items);
	*pools = (struct pools){0};
}
