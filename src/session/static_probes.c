/* SPDX-License-Identifier: MIT */
#include "session/static_probes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "session/space.h"
#include "target/proc.h"

/* More in one image are no program's, but a file's that was made to keep us busy. */
enum { PROBES_MAX = 1024 };

void static_probes_deinit(struct static_probes *probes)
{
	free(probes->items);
	map_deinit(&probes->searched);
	*probes = (struct static_probes){0};
}

void static_semaphores_deinit(struct static_semaphores *semaphores)
{
	free(semaphores->items);
	*semaphores = (struct static_semaphores){0};
}

struct error *static_semaphores_copy(const struct static_semaphores *semaphores,
				     struct static_semaphores *ret)
{
	*ret = (struct static_semaphores){0};
	if (!array_reserve(&ret->items, &ret->capacity, semaphores->count, sizeof *ret->items))
		return error_no_memory();
	if (semaphores->count)
		memcpy(ret->items, semaphores->items, semaphores->count * sizeof *ret->items);
	ret->count = semaphores->count;
	return NULL;
}

/* ---- finding them in an image */

struct search {
	const struct session_space *space;
	const struct module *module;
	struct static_probes *probes;
	size_t first; /* the image's own begin here */
	struct error *error;
};

static bool act_of(const struct image_static_probe *found, enum static_probe_act *ret)
{
	static const char *const names[] = {
		[STATIC_PROBE_RESET_PEAK] = "reset_peak",
		[STATIC_PROBE_MARK] = "mark",
		[STATIC_PROBE_SNAPSHOT] = "snapshot",
	};
	for (size_t i = 0; strcmp(found->provider, "tracealloc") == 0 && i < 3; i++)
		if (strcmp(found->name, names[i]) == 0) {
			*ret = (enum static_probe_act)i;
			return true;
		}
	return false;
}

struct symbol_search {
	const struct operand *operand;
	image_addr address;
	bool found;
};

static bool is_symbol(void *context, const struct image_symbol *symbol)
{
	struct symbol_search *search = context;
	const struct operand *operand = search->operand;
	search->found = strlen(symbol->name) == operand->symbol_length &&
			memcmp(symbol->name, operand->symbol, operand->symbol_length) == 0;
	search->address = symbol->start;
	return !search->found;
}

/* What an argument's symbol means. ERROR_NOT_FOUND: the file has it no more. */
static struct error *find_symbol(struct image *image, struct static_probe *probe)
{
	struct symbol_search search = {.operand = &probe->argument};
	if (!probe->argument.symbol_length)
		return NULL;
	struct error *err = image_symbols_visit(image, is_symbol, &search);
	probe->symbol = search.address;
	if (!err && !search.found)
		err = error_new(ERROR_NOT_FOUND, "its argument's symbol '%.*s' was stripped",
				(int)(probe->argument.symbol_length & 0xff),
				probe->argument.symbol);
	return err;
}

static void tell_nameless(const struct search *search, const struct image_static_probe *found,
			  const struct error *err)
{
	log_write(search->space->log, LOG_WARNING,
		  "static probe 'tracealloc:%s' in \"%s\" has no name: %s", found->name,
		  image_path(search->module->image), error_message(err));
}

/* Without an argument of use it is a probe all the same. */
static struct error *read_argument(const struct search *search,
				   const struct image_static_probe *found,
				   struct static_probe *probe)
{
	if (probe->act == STATIC_PROBE_RESET_PEAK)
		return NULL;
	struct error *err = operand_parse(found->arguments, &probe->argument);
	if (!err)
		err = find_symbol(search->module->image, probe);
	probe->has_argument = !err;
	if (err && error_kind_of(err) == ERROR_NO_MEMORY)
		return err;
	if (err)
		tell_nameless(search, found, err);
	error_free(err);
	return NULL;
}

static bool is_known(const struct search *search, image_addr address)
{
	for (size_t i = search->first; i < search->probes->count; i++)
		if (search->probes->items[i].address.v == address.v)
			return true;
	return false;
}

static bool consider(void *context, const struct image_static_probe *found)
{
	struct search *search = context;
	struct static_probes *probes = search->probes;
	struct static_probe probe = {.image = search->module->image_id,
				     .address = found->address,
				     .semaphore = found->semaphore};
	if (!act_of(found, &probe.act) || is_known(search, found->address))
		return true;
	if (probes->count - search->first == PROBES_MAX) {
		log_write(
			search->space->log, LOG_WARNING,
			"\"%s\" has more than %d static probes of ours: the others are not heeded",
			image_path(search->module->image), PROBES_MAX);
		return false;
	}
	search->error = read_argument(search, found, &probe);
	if (!search->error && !array_reserve(&probes->items, &probes->capacity, probes->count + 1,
					     sizeof *probes->items))
		search->error = error_no_memory();
	if (!search->error)
		probes->items[probes->count++] = probe;
	return !search->error;
}

static struct error *find(struct session_space *space, const struct module *module)
{
	struct static_probes *probes = &space->probe_list->static_probes;
	struct search search = {
		.space = space, .module = module, .probes = probes, .first = probes->count};
	if (map_get(&probes->searched, module->image_id.v))
		return NULL;
	image_static_probes_visit(module->image, consider, &search);
	if (!search.error && !map_put(&probes->searched, module->image_id.v, probes))
		search.error = error_no_memory();
	return search.error;
}

/* ---- semaphores */

static bool is_counter(const struct proc_maps *maps, target_addr address)
{
	const struct proc_mapping *mapping = proc_maps_find(maps, address.v);
	return mapping && mapping->writable && !mapping->executable && !mapping->shared &&
	       mapping->end - address.v >= sizeof(uint16_t);
}

/*
 * Others may count there, too (the kernel's uprobes, a second tracer), so it is no matter of saving
 * and restoring. The target only reads it. False: it cannot be, or would leave its range.
 */
static bool count(const struct session_space *space, target_addr address, int step)
{
	uint16_t value, limit = step > 0 ? UINT16_MAX : 0;
	if (target_read_some(space->target, address, &value, sizeof value) != sizeof value ||
	    value == limit)
		return false;
	value = (uint16_t)(value + step);
	_cleanup_error_ struct error *err =
		target_write(space->target, address, &value, sizeof value);
	return !err;
}

static bool is_raised(const struct session_space *space, target_addr address)
{
	for (size_t i = 0; i < space->semaphores.count; i++)
		if (space->semaphores.items[i].address.v == address.v)
			return true;
	return false;
}

static struct error *raise_semaphore(struct session_space *space, const struct module *module,
				     const struct static_probe *probe)
{
	struct static_semaphores *list = &space->semaphores;
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	target_addr address = {probe->semaphore.v + module->bias};
	if (!probe->semaphore.v || is_raised(space, address))
		return NULL;
	if (!array_reserve(&list->items, &list->capacity, list->count + 1, sizeof *list->items))
		return error_no_memory();
	struct error *err = proc_maps_read(space->target->pid, &maps);
	if (!err && (!is_counter(&maps, address) || !count(space, address, 1)))
		err = error_new(ERROR_UNSUPPORTED,
				"its semaphore at 0x%" PRIx64 " cannot be raised", address.v);
	if (!err)
		list->items[list->count++] =
			(struct static_semaphore){.address = address, .module = module->start};
	return err;
}

void static_probes_forget(struct session_space *space, const struct module *module)
{
	struct static_semaphores *list = &space->semaphores;
	size_t kept = 0;
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].module.v != module->start.v)
			list->items[kept++] = list->items[i];
	list->count = kept;
}

void static_probes_release(struct session_space *space)
{
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	struct static_semaphores *list = &space->semaphores;
	if (!list->count)
		return;
	_cleanup_error_ struct error *err = proc_maps_read(space->target->pid, &maps);
	for (size_t i = 0; !err && i < list->count; i++)
		if (is_counter(&maps, list->items[i].address))
			count(space, list->items[i].address, -1);
	list->count = 0;
}

/* ---- placing them */

static bool is_nop_in_file(const struct module *module, image_addr address, uint8_t byte)
{
	uint8_t first;
	_cleanup_error_ struct error *err = image_read(module->image, address, &first, 1);
	return !err && first == byte;
}

static struct error *watch(struct session_space *space, const struct module *module,
			   const struct static_probe *probe, unsigned number)
{
	target_addr address = {probe->address.v + module->bias};
	const struct code_reader *reader = probe_set_reader(space->probes);
	const struct probe_request request = {.purpose = PROBE_WATCH,
					      .watch = number,
					      .entry = address,
					      .text_start = module->start,
					      .text_end = module->end,
					      .image = module->image_id,
					      .bias = module->bias};
	uint8_t byte;
	if (!reader->read(reader->context, address, &byte, 1) ||
	    !is_nop_in_file(module, probe->address, byte) || !code_is_nop(reader, address))
		return error_new(ERROR_UNSUPPORTED, "there is no nop at 0x%" PRIx64, address.v);
	if (jumps_cover(space->jumps, address))
		return error_new(ERROR_UNSUPPORTED, "a jump into the agent stands there");
	return probe_insert(space->probes, &request);
}

static struct error *place(struct session_space *space, const struct module *module, size_t i)
{
	struct static_probe *probe = &space->probe_list->static_probes.items[i];
	target_addr address = {probe->address.v + module->bias};
	if (probe->image.v != module->image_id.v || address.v < module->start.v ||
	    address.v >= module->end.v)
		return NULL;
	struct error *err =
		watch(space, module, probe, (unsigned)(space->probe_list->watches.count + i));
	space->watched |= !err;
	if (!err)
		err = raise_semaphore(space, module, probe);
	if (err && error_kind_of(err) == ERROR_NO_MEMORY)
		return err;
	if (err && !probe->told)
		log_write(space->log, LOG_WARNING,
			  "process %d: a static probe of \"%s\" is not heeded: %s",
			  space->target->pid, image_path(module->image), error_message(err));
	probe->told |= err != NULL;
	error_free(err);
	return NULL;
}

struct error *static_probes_place(struct session_space *space, const struct module *module)
{
	struct static_probes *probes = &space->probe_list->static_probes;
	if (space->examined || probes->ignored)
		return NULL;
	struct error *err = find(space, module);
	for (size_t i = 0; !err && i < probes->count; i++)
		err = place(space, module, i);
	return err;
}

/* ---- names */

static bool read_string(const struct target_space *space, target_addr address,
			char ret[STATIC_PROBE_NAME_BYTES])
{
	size_t got = target_read_some(space, address, ret, STATIC_PROBE_NAME_BYTES - 1);
	ret[got] = '\0';
	return got > 0 && *ret;
}

/* Whether the argument itself could be read. */
static bool read_argument_value(const struct static_probe *probe,
				const struct target_thread *thread, target_addr site, uint64_t *ret)
{
	const struct operand *operand = &probe->argument;
	target_addr symbol = {probe->symbol.v + site.v - probe->address.v};
	uint64_t raw = 0;
	if (operand->kind != OPERAND_MEMORY) {
		*ret = operand_value(operand, &thread->registers);
		return true;
	}
	target_addr at = operand_address(operand, &thread->registers, symbol);
	if (target_read_some(thread->process->space, at, &raw, operand->size_bytes) !=
	    operand->size_bytes)
		return false;
	*ret = operand_extend(operand, raw);
	return true;
}

static bool is_pointer(const struct operand *operand)
{
	return operand->size_bytes == sizeof(uint64_t) && !operand->is_signed;
}

bool static_probe_name(const struct static_probe *probe, const struct target_thread *thread,
		       target_addr site, char ret[STATIC_PROBE_NAME_BYTES])
{
	uint64_t value;
	if (!probe->has_argument || !read_argument_value(probe, thread, site, &value))
		return false;
	if (is_pointer(&probe->argument))
		return read_string(thread->process->space, (target_addr){value}, ret);
	snprintf(ret, STATIC_PROBE_NAME_BYTES, probe->argument.is_signed ? "%" PRId64 : "%" PRIu64,
		 value);
	return true;
}
