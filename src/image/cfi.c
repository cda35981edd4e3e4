/* SPDX-License-Identifier: MIT */
#include "image/cfi.h"

#include <dwarf.h>
#include <gelf.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "image/private.h"

enum { LOADED_MAX_BYTES = 512 << 20 }; /* of an .eh_frame without a section header */

/* The code [base + start, base + end) of one FDE. */
struct range {
	uint32_t start;
	uint32_t end;
};

/*
 * ranges[i].start < ranges[i].end <= ranges[i + 1].start, relative to table.base
 * table.rows == rows, table.count == rows_count
 */
struct image_cfi {
	struct range *ranges;
	size_t ranges_count;
	struct unwind_row *rows;
	size_t rows_count;
	size_t rows_capacity;
	struct unwind_table table;
};

void image_cfi_destroy(struct image_cfi *cfi)
{
	if (!cfi)
		return;
	free(cfi->ranges);
	free(cfi->rows);
	free(cfi);
}

static void destroyp(struct image_cfi **cfi)
{
	image_cfi_destroy(*cfi);
}

/* From the first executable byte to the last; false if there is none. */
static bool find_code(const struct image *image, uint64_t *start_ret, uint64_t *end_ret)
{
	bool found = false;
	for (size_t i = 0; i < image->segments_count; i++) {
		const struct image_segment *segment = &image->segments[i];
		uint64_t end = segment->start.v + segment->memory_bytes;
		if (!segment->executable || segment->memory_bytes == 0)
			continue;
		if (!found || segment->start.v < *start_ret)
			*start_ret = segment->start.v;
		if (!found || end > *end_ret)
			*end_ret = end;
		found = true;
	}
	return found;
}

static bool has_section(Elf *elf, const char *name, struct cfi_section *section)
{
	const Elf_Data *data = elf ? image_section(elf, name, &section->address) : NULL;
	if (!data)
		return false;
	section->bytes = data->d_buf;
	section->count = data->d_size;
	return true;
}

/* The address of .eh_frame as .eh_frame_hdr states it (LSB 5.0 core, 10.6.2); false if none. */
static struct error *find_loaded(const struct image *image, uint64_t *ret, bool *found_ret)
{
	size_t count;
	uint8_t bytes[12];
	GElf_Phdr header = {0};
	*found_ret = false;
	if (elf_getphdrnum(image->elf, &count) != 0)
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (gelf_getphdr(image->elf, (int)i, &header) && header.p_type == PT_GNU_EH_FRAME)
			break;
	if (header.p_type != PT_GNU_EH_FRAME)
		return NULL;
	struct error *err = image_read(image, (image_addr){header.p_vaddr}, bytes, sizeof bytes);
	if (error_catch(&err, ERROR_FAULT) || err)
		return err;
	struct cfi_section section = {
		.bytes = bytes, .count = sizeof bytes, .address = header.p_vaddr};
	struct cursor cursor = {.at = bytes + 4, .end = bytes + sizeof bytes};
	*ret = cfi_pointer_read(&cursor, &section, bytes[1]);
	*found_ret = bytes[0] == 1 && !cursor.failed;
	return NULL;
}

/* Reads .eh_frame of an image without section headers, up to the end of its segment. */
static struct error *load_frames(const struct image *image, uint8_t **bytes_ret,
				 struct cfi_section *section)
{
	uint64_t address;
	bool found;
	struct error *err = find_loaded(image, &address, &found);
	if (err || !found)
		return err;
	for (size_t i = 0; i < image->segments_count; i++) {
		const struct image_segment *segment = &image->segments[i];
		if (address < segment->start.v || address - segment->start.v >= segment->file_bytes)
			continue;
		uint64_t count = segment->file_bytes - (address - segment->start.v);
		if (count > LOADED_MAX_BYTES)
			return NULL;
		*bytes_ret = malloc(count);
		if (!*bytes_ret)
			return error_no_memory();
		err = image_read(image, (image_addr){address}, *bytes_ret, count);
		if (error_catch(&err, ERROR_FAULT) || err)
			return err;
		section->bytes = *bytes_ret;
		section->count = count;
		section->address = address;
		return NULL;
	}
	return NULL;
}

static int compare_entries(const void *a, const void *b)
{
	const struct cfi_entry *left = a;
	const struct cfi_entry *right = b;
	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	/* of two for one address the first in the file counts */
	return left->program < right->program ? -1 : left->program > right->program;
}

/* Keeps the entries that lie in code, sorted, each cut where the next one starts. */
static void tidy(const struct image *image, struct cfi_entries *list)
{
	size_t kept = 0;
	for (size_t i = 0; i < list->count; i++) {
		struct cfi_entry entry = list->entries[i];
		const struct image_segment *segment =
			image_code_segment(image, (image_addr){entry.start});
		if (!segment)
			continue;
		uint64_t end = segment->start.v + segment->memory_bytes;
		if (entry.end > end)
			entry.end = end;
		list->entries[kept++] = entry;
	}
	list->count = kept;
	if (kept == 0)
		return;
	qsort(list->entries, kept, sizeof *list->entries, compare_entries);
	size_t last = 0;
	for (size_t i = 1; i < kept; i++) {
		struct cfi_entry *previous = &list->entries[last];
		if (list->entries[i].start == previous->start)
			continue;
		if (previous->end > list->entries[i].start)
			previous->end = list->entries[i].start;
		list->entries[++last] = list->entries[i];
	}
	list->count = last + 1;
}

/* Whether one of the first count entries, which are tidy, reaches into entry. */
static bool is_covered(const struct cfi_entries *list, size_t count, const struct cfi_entry *entry)
{
	size_t low = 0;
	size_t high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (list->entries[middle].end <= entry->start)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && list->entries[low].start < entry->end;
}

/* Adds what .debug_frame knows of code that .eh_frame does not describe. */
static struct error *add_debug_frames(const struct image *image, struct cfi_entries *list,
				      const struct cfi_section *section)
{
	size_t count = list->count;
	struct error *err = cfi_entries_read(list, section);
	if (err)
		return err;
	size_t kept = count;
	for (size_t i = count; i < list->count; i++)
		if (!is_covered(list, count, &list->entries[i]))
			list->entries[kept++] = list->entries[i];
	list->count = kept;
	tidy(image, list);
	return NULL;
}

/*
 * Lists every FDE of the image. The sections must outlive the list; *bytes_ret, NULL or new, holds
 * the bytes of the first where libelf does not.
 */
static struct error *list_entries(struct image *image, struct cfi_section sections[2],
				  uint8_t **bytes_ret, struct cfi_entries *list)
{
	struct error *err = NULL;
	if (!has_section(image->elf, ".eh_frame", &sections[0]))
		err = load_frames(image, bytes_ret, &sections[0]);
	if (!err && sections[0].bytes)
		err = cfi_entries_read(list, &sections[0]);
	if (err)
		return err;
	tidy(image, list);
	sections[1].debug_frame = true;
	if (!has_section(image->elf, ".debug_frame", &sections[1]) && list->count == 0) {
		Elf *elf;
		err = image_debug_elf(image, &elf, &sections[1].bias);
		if (err)
			return err;
		has_section(elf, ".debug_frame", &sections[1]);
	}
	/* in a relocated file the addresses are final, so where the section lies is of no use */
	sections[1].address = 0;
	return sections[1].bytes ? add_debug_frames(image, list, &sections[1]) : NULL;
}

/* Appends a row unless it says what the one before it says. */
static struct error *add_row(void *context, uint64_t address, uint32_t rule)
{
	struct image_cfi *cfi = context;
	if (cfi->rows_count > 0 && cfi->rows[cfi->rows_count - 1].rule == rule)
		return NULL;
	if (cfi->rows_count == UINT32_MAX ||
	    !array_reserve(&cfi->rows, &cfi->rows_capacity, cfi->rows_count + 1, sizeof *cfi->rows))
		return error_no_memory();
	cfi->rows[cfi->rows_count++] =
		(struct unwind_row){(uint32_t)(address - cfi->table.base), rule};
	return NULL;
}

/* Ends the table's last function at address; the all-zero rule is kind NONE. */
static struct error *add_gap(struct image_cfi *cfi, uint64_t address)
{
	static const struct unwind_rule none = {.kind = UNWIND_NONE};
	uint32_t packed = 0;
	(void)unwind_rule_pack(&none, &packed);
	return cfi->rows_count > 0 ? add_row(cfi, address, packed) : NULL;
}

static struct error *compile(struct image_cfi *cfi, const struct cfi_entries *list)
{
	cfi->ranges = calloc(list->count + 1, sizeof *cfi->ranges);
	if (!cfi->ranges)
		return error_no_memory();
	for (size_t i = 0; i < list->count; i++) {
		const struct cfi_entry *entry = &list->entries[i];
		struct error *err = NULL;
		if (i > 0 && list->entries[i - 1].end < entry->start)
			err = add_gap(cfi, list->entries[i - 1].end);
		if (!err)
			err = cfi_program_run(entry, &list->commons[entry->common], add_row, cfi);
		if (err)
			return err;
		cfi->ranges[cfi->ranges_count++] =
			(struct range){(uint32_t)(entry->start - cfi->table.base),
				       (uint32_t)(entry->end - cfi->table.base)};
	}
	return list->count > 0 ? add_gap(cfi, list->entries[list->count - 1].end) : NULL;
}

static struct error *build(struct image *image, struct image_cfi *cfi, uint64_t end)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	__attribute__((__cleanup__(cfi_entries_deinit))) struct cfi_entries list = {0};
	struct cfi_section sections[2] = {0};
	/* the last address is the row that ends the table */
	if (end - cfi->table.base > UINT32_MAX)
		return error_new(ERROR_UNSUPPORTED, "\"%s\": has more than 4 GiB of code",
				 image->path);
	struct error *err = list_entries(image, sections, &bytes, &list);
	if (!err)
		err = compile(cfi, &list);
	cfi->table.rows = cfi->rows;
	cfi->table.count = (uint32_t)cfi->rows_count;
	return err;
}

static struct error *load(struct image *image)
{
	if (image->cfi)
		return NULL;
	__attribute__((__cleanup__(destroyp))) struct image_cfi *cfi = calloc(1, sizeof *cfi);
	uint64_t end;
	if (!cfi)
		return error_no_memory();
	if (find_code(image, &cfi->table.base, &end)) {
		struct error *err = build(image, cfi, end);
		if (err)
			return err;
	}
	image->cfi = take_ptr(cfi);
	return NULL;
}

struct error *image_unwind_table(struct image *image, const struct unwind_table **ret)
{
	struct error *err = load(image);
	if (!err)
		*ret = &image->cfi->table;
	return err;
}

static bool find_range(const struct image_cfi *cfi, uint64_t address, struct range *ret)
{
	uint64_t offset = address - cfi->table.base;
	size_t low = 0;
	size_t high = cfi->ranges_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (cfi->ranges[middle].end <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	if (address < cfi->table.base || low == cfi->ranges_count ||
	    cfi->ranges[low].start > offset)
		return false;
	*ret = cfi->ranges[low];
	return true;
}

bool image_function_bounds(struct image *image, image_addr address, image_addr *start_ret,
			   image_addr *end_ret)
{
	_cleanup_error_ struct error *err = load(image);
	struct range range;
	if (!err && find_range(image->cfi, address.v, &range)) {
		*start_ret = (image_addr){image->cfi->table.base + range.start};
		*end_ret = (image_addr){image->cfi->table.base + range.end};
		return true;
	}
	struct image_symbol symbol;
	if (!image_symbol_at(image, address, &symbol) || symbol.size_bytes == 0)
		return false;
	*start_ret = symbol.start;
	*end_ret = image_addr_add(symbol.start, (int64_t)symbol.size_bytes);
	return true;
}
