/* SPDX-License-Identifier: MIT */
#include <gelf.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "image/private.h"
#include "image/symbol_layout.h"

enum {
	NAME_MAX_BYTES = 1 << 14, /* longer names would let a file make comparing them our work */
	VERSION_HIDDEN = 0x8000,  /* in .gnu.version: not the default version of its symbol */
};

enum level { LEVEL_NONE, LEVEL_DYNAMIC, LEVEL_ALL };

/*
 * all[0 .. all_count): in order of preference, see image_symbol_find; what level says is loaded.
 * buckets[0 .. bucket_count), a power of 2 or none, and next[0 .. all_count): chains of the
 * functions whose names hash alike, as their indices + 1, ascending; 0 ends one. layout: of its
 * functions; made on first use at LEVEL_ALL.
 */
struct image_symbols {
	enum level level;
	struct image_symbol *all;
	size_t all_count;
	size_t all_capacity;

	uint32_t *buckets;
	uint32_t *next;
	size_t bucket_count;

	bool layout_known;
	struct symbol_layout layout;
};

struct table {
	Elf *elf;
	uint64_t bias; /* to be taken from its values */
	GElf_Word type;
	bool exported;
};

void image_symbols_destroy(struct image_symbols *symbols)
{
	if (!symbols)
		return;
	free(symbols->all);
	free(symbols->buckets);
	free(symbols->next);
	symbol_layout_deinit(&symbols->layout);
	free(symbols);
}

/* Fills *ret from a symbol; false for what is undefined, no code or data, or out of range. */
static bool convert(const struct image *image, const struct table *table, const GElf_Sym *symbol,
		    const char *name, struct image_symbol *ret)
{
	int type = GELF_ST_TYPE(symbol->st_info);
	bool code = type == STT_FUNC || type == STT_GNU_IFUNC;
	if (symbol->st_shndx == SHN_UNDEF || symbol->st_shndx == SHN_ABS ||
	    symbol->st_shndx == SHN_COMMON || (!code && type != STT_OBJECT && type != STT_NOTYPE))
		return false;
	if (!name || name[0] == '\0' || strnlen(name, NAME_MAX_BYTES) == NAME_MAX_BYTES)
		return false;
	*ret = (struct image_symbol){
		.name = name,
		.start = {symbol->st_value - table->bias},
		.size_bytes = symbol->st_size,
		.function = type == STT_FUNC,
		.ifunc = type == STT_GNU_IFUNC,
		.exported = table->exported,
	};
	if (!code)
		return true;
	const struct image_segment *segment = image_code_segment(image, ret->start);
	if (!segment)
		return false;
	uint64_t rest = segment->memory_bytes - (ret->start.v - segment->start.v);
	if (ret->size_bytes > rest)
		ret->size_bytes = rest;
	return true;
}

static Elf_Scn *find_by_type(Elf *elf, GElf_Word type, GElf_Shdr *header_ret)
{
	Elf_Scn *section = NULL;
	while ((section = elf_nextscn(elf, section)))
		if (gelf_getshdr(section, header_ret) && header_ret->sh_type == type)
			return section;
	return NULL;
}

/* Whether symbol number i is a non-default version. */
static bool is_hidden(Elf_Data *versions, size_t i)
{
	GElf_Versym version;
	return versions && gelf_getversym(versions, (int)i, &version) && (version & VERSION_HIDDEN);
}

/* Appends those symbols of a table whose versions are (or are not) hidden. */
static struct error *append(const struct image *image, struct image_symbols *symbols,
			    const struct table *table, bool hidden)
{
	GElf_Shdr header, version_header;
	Elf_Scn *section = find_by_type(table->elf, table->type, &header);
	Elf_Data *data = section ? elf_getdata(section, NULL) : NULL;
	if (!data)
		return NULL;
	Elf_Data *versions = NULL;
	if (table->type == SHT_DYNSYM) {
		Elf_Scn *scn = find_by_type(table->elf, SHT_GNU_versym, &version_header);
		versions = scn ? elf_getdata(scn, NULL) : NULL;
	}
	size_t count = data->d_size / sizeof(Elf64_Sym);
	for (size_t i = 1; i < count && i < INT32_MAX; i++) {
		GElf_Sym symbol;
		struct image_symbol converted;
		if (is_hidden(versions, i) != hidden || !gelf_getsym(data, (int)i, &symbol))
			continue;
		const char *name = elf_strptr(table->elf, header.sh_link, symbol.st_name);
		if (!convert(image, table, &symbol, name, &converted))
			continue;
		if (!array_reserve(&symbols->all, &symbols->all_capacity, symbols->all_count + 1,
				   sizeof *symbols->all))
			return error_no_memory();
		symbols->all[symbols->all_count++] = converted;
	}
	return NULL;
}

static struct error *append_dynamic(const struct image *image, struct image_symbols *symbols)
{
	struct table table = {.elf = image->elf, .type = SHT_DYNSYM, .exported = true};
	struct error *err = append(image, symbols, &table, false);
	return err ? err : append(image, symbols, &table, true);
}

/*
 * The local symbols: what was stripped from the image's own table stands in .gnu_debugdata or the
 * separate debug file, which therefore are asked only where that table is missing.
 */
static struct error *append_local(struct image *image, struct image_symbols *symbols)
{
	GElf_Shdr header;
	struct table table = {.elf = image->elf, .type = SHT_SYMTAB};
	if (find_by_type(image->elf, SHT_SYMTAB, &header))
		return append(image, symbols, &table, false);
	struct error *err = image_mini_elf(image, &table.elf);
	if (!err && table.elf)
		err = append(image, symbols, &table, false);
	if (!err)
		err = image_debug_elf(image, &table.elf, &table.bias);
	if (!err && table.elf)
		err = append(image, symbols, &table, false);
	return err;
}

static bool is_code(const struct image_symbol *symbol)
{
	return symbol->function || symbol->ifunc;
}

/* The indices of all functions; *ret is new. */
static struct error *list_functions(const struct image_symbols *symbols, uint32_t **ret,
				    size_t *count_ret)
{
	uint32_t *list = calloc(symbols->all_count + 1, sizeof *list);
	if (!list || symbols->all_count > UINT32_MAX) {
		free(list);
		return error_no_memory();
	}
	size_t count = 0;
	for (size_t i = 0; i < symbols->all_count; i++)
		if (is_code(&symbols->all[i]))
			list[count++] = (uint32_t)i;
	*ret = list;
	*count_ret = count;
	return NULL;
}

/* FNV-1a */
static size_t hash_name(const char *name)
{
	uint32_t hash = 2166136261u;
	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return hash;
}

/* Few names are ever looked up, so that sorting them all would cost more than all look-ups. */
static struct error *index_names(struct image_symbols *symbols)
{
	size_t bucket_count = 16;
	while (bucket_count < symbols->all_count)
		bucket_count *= 2;
	_cleanup_free_ uint32_t *buckets = calloc(bucket_count, sizeof *buckets);
	_cleanup_free_ uint32_t *next = calloc(symbols->all_count + 1, sizeof *next);
	if (!buckets || !next || symbols->all_count >= UINT32_MAX)
		return error_no_memory();
	for (size_t i = symbols->all_count; i-- > 0;) {
		const struct image_symbol *symbol = &symbols->all[i];
		if (!is_code(symbol))
			continue;
		uint32_t *bucket = &buckets[hash_name(symbol->name) & (bucket_count - 1)];
		next[i] = *bucket;
		*bucket = (uint32_t)i + 1;
	}
	free(symbols->buckets);
	free(symbols->next);
	symbols->buckets = take_ptr(buckets);
	symbols->next = take_ptr(next);
	symbols->bucket_count = bucket_count;
	return NULL;
}

static struct error *load(struct image *image, enum level level)
{
	if (!image->symbols)
		image->symbols = calloc(1, sizeof *image->symbols);
	struct image_symbols *symbols = image->symbols;
	if (!symbols)
		return error_no_memory();
	while (symbols->level < level) {
		size_t count = symbols->all_count;
		struct error *err = symbols->level == LEVEL_NONE ? append_dynamic(image, symbols)
								 : append_local(image, symbols);
		if (!err)
			err = index_names(symbols);
		if (err) {
			symbols->all_count = count;
			return err;
		}
		symbols->level++;
	}
	return NULL;
}

static bool find_name(const struct image_symbols *symbols, const char *name,
		      struct image_symbol *ret)
{
	uint32_t i = symbols->buckets[hash_name(name) & (symbols->bucket_count - 1)];
	while (i && strcmp(symbols->all[i - 1].name, name) != 0)
		i = symbols->next[i - 1];
	if (!i)
		return false;
	*ret = symbols->all[i - 1];
	return true;
}

static struct error *find_up_to(struct image *image, const char *name, enum level last,
				struct image_symbol *ret)
{
	for (enum level level = LEVEL_DYNAMIC; level <= last; level++) {
		struct error *err = load(image, level);
		if (err)
			return err;
		if (find_name(image->symbols, name, ret))
			return NULL;
	}
	return error_new(ERROR_NOT_FOUND, "\"%s\": has no function \"%s\"", image->path, name);
}

struct error *image_symbol_find(struct image *image, const char *name, struct image_symbol *ret)
{
	return find_up_to(image, name, LEVEL_ALL, ret);
}

struct error *image_symbol_find_here(struct image *image, const char *name,
				     struct image_symbol *ret)
{
	GElf_Shdr header;
	bool is_whole = find_by_type(image->elf, SHT_SYMTAB, &header) != NULL;
	return find_up_to(image, name, is_whole ? LEVEL_ALL : LEVEL_DYNAMIC, ret);
}

struct error *image_symbols_visit(struct image *image,
				  bool (*visit)(void *context, const struct image_symbol *symbol),
				  void *context)
{
	struct error *err = load(image, LEVEL_ALL);
	if (err)
		return err;
	for (size_t i = 0; i < image->symbols->all_count; i++)
		if (!visit(context, &image->symbols->all[i]))
			break;
	return NULL;
}

static struct error *lay_out(const struct image *image, struct image_symbols *symbols)
{
	_cleanup_free_ uint32_t *list = NULL;
	size_t count = 0;
	struct error *err = list_functions(symbols, &list, &count);
	if (!err)
		err = symbol_layout_init(&symbols->layout, image, symbols->all, list, count);
	symbols->layout_known = !err;
	return err;
}

bool image_symbol_at(struct image *image, image_addr address, struct image_symbol *ret)
{
	_cleanup_error_ struct error *err = load(image, LEVEL_ALL);
	if (!err && !image->symbols->layout_known)
		err = lay_out(image, image->symbols);
	uint32_t function;
	if (err || !symbol_layout_find(&image->symbols->layout, address, &function))
		return false;
	*ret = image->symbols->all[function];
	return true;
}
