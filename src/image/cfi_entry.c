/* SPDX-License-Identifier: MIT */
#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "image/cfi.h"

enum {
	ADDRESS_BYTES = 8,
	FORMAT_MASK = 0x0f,
	RELATION_MASK = 0x70,
	/* it runs again for every FDE; real ones have 8 bytes */
	COMMON_PROGRAM_MAX_BYTES = 1024,
};

/* One length-delimited record of a section. */
struct record {
	size_t offset;
	bool is_common;
	size_t common_offset; /* of an FDE: where its CIE stands */
	struct cursor body;   /* what follows the CIE pointer */
};

void cfi_entries_deinit(struct cfi_entries *entries)
{
	free(entries->commons);
	free(entries->entries);
	*entries = (struct cfi_entries){0};
}

static uint64_t read_value(struct cursor *cursor, uint8_t format)
{
	switch (format) {
	case DW_EH_PE_absptr:
	case DW_EH_PE_udata8:
	case DW_EH_PE_sdata8:
		return cursor_fixed(cursor, 8);
	case DW_EH_PE_uleb128:
		return cursor_uleb(cursor);
	case DW_EH_PE_sleb128:
		return (uint64_t)cursor_sleb(cursor);
	case DW_EH_PE_udata2:
		return cursor_fixed(cursor, 2);
	case DW_EH_PE_sdata2:
		return (uint64_t)(int16_t)cursor_fixed(cursor, 2);
	case DW_EH_PE_udata4:
		return cursor_fixed(cursor, 4);
	case DW_EH_PE_sdata4:
		return (uint64_t)(int32_t)cursor_fixed(cursor, 4);
	default:
		cursor->failed = true;
		return 0;
	}
}

uint64_t cfi_pointer_read(struct cursor *cursor, const struct cfi_section *section,
			  uint8_t encoding)
{
	uint64_t base = 0;
	if ((encoding & RELATION_MASK) == DW_EH_PE_pcrel)
		base = section->address + (uint64_t)(cursor->at - section->bytes);
	else if ((encoding & RELATION_MASK) != 0)
		cursor->failed = true;
	if (encoding & DW_EH_PE_indirect)
		cursor->failed = true;
	return base + read_value(cursor, encoding & FORMAT_MASK) - section->bias;
}

/* Reads a record's header and moves past the record; false at the end of the section. */
static bool next_record(const struct cfi_section *section, struct cursor *cursor,
			struct record *ret)
{
	ret->offset = (size_t)(cursor->at - section->bytes);
	uint64_t length = cursor_fixed(cursor, 4);
	size_t id_bytes = 4;
	if (length == UINT32_MAX) {
		length = cursor_fixed(cursor, 8);
		/* .eh_frame keeps a pointer of 4 bytes even then */
		id_bytes = section->debug_frame ? 8 : 4;
	}
	const uint8_t *start = cursor_skip(cursor, length);
	/* a length of 0 ends .eh_frame */
	if (!start || length == 0)
		return false;
	ret->body = (struct cursor){.at = start, .end = start + length};
	size_t id_offset = (size_t)(start - section->bytes);
	uint64_t id = cursor_fixed(&ret->body, id_bytes);
	if (section->debug_frame) {
		ret->is_common = id == (id_bytes == 8 ? UINT64_MAX : UINT32_MAX);
		ret->common_offset = id;
	} else {
		ret->is_common = id == 0;
		ret->common_offset = id_offset - id;
	}
	return true;
}

/* The letters of a "z" augmentation; false if one is unknown, for its data cannot be skipped. */
static bool read_augmentation(const char *letters, const struct cfi_section *section,
			      struct cursor data, struct cfi_common *common)
{
	for (; *letters; letters++) {
		switch (*letters) {
		case 'R':
			common->encoding = cursor_byte(&data);
			break;
		case 'P': {
			uint8_t encoding = cursor_byte(&data);
			if ((encoding & RELATION_MASK) == DW_EH_PE_aligned)
				return false;
			/* not followed, so what it is relative to does not matter */
			cfi_pointer_read(&data, section, encoding & FORMAT_MASK);
			break;
		}
		case 'L':
			cursor_byte(&data);
			break;
		case 'S':
			common->signal = true;
			break;
		case 'B':
			break;
		default:
			return false;
		}
	}
	return !data.failed;
}

static bool read_common(const struct cfi_section *section, struct record *record,
			struct cfi_common *ret)
{
	struct cursor *body = &record->body;
	*ret = (struct cfi_common){.offset = record->offset, .encoding = DW_EH_PE_absptr};
	uint64_t version = cursor_byte(body);
	const char *letters = cursor_string(body);
	if (!letters || (version != 1 && version != 3 && version != 4))
		return false;
	/* version 4 adds the sizes of an address and of a segment selector */
	if (version == 4 && (cursor_byte(body) != ADDRESS_BYTES || cursor_byte(body) != 0))
		return false;
	ret->code_alignment = cursor_uleb(body);
	ret->data_alignment = cursor_sleb(body);
	uint64_t column = version == 1 ? cursor_byte(body) : cursor_uleb(body);
	if (column != CFI_RETURN_REGISTER)
		return false;
	if (letters[0] == 'z') {
		uint64_t count = cursor_uleb(body);
		const uint8_t *data = cursor_skip(body, count);
		if (!data ||
		    !read_augmentation(letters + 1, section,
				       (struct cursor){.at = data, .end = data + count}, ret))
			return false;
		ret->augmented = true;
	} else if (letters[0] != '\0') {
		return false;
	}
	ret->program = body->at;
	ret->program_bytes = (size_t)(body->end - body->at);
	return !body->failed && ret->program_bytes <= COMMON_PROGRAM_MAX_BYTES;
}

static bool read_entry(const struct cfi_section *section, struct record *record,
		       const struct cfi_common *common, struct cfi_entry *ret)
{
	struct cursor *body = &record->body;
	ret->section = section;
	ret->start = cfi_pointer_read(body, section, common->encoding);
	uint64_t bytes = read_value(body, common->encoding & FORMAT_MASK);
	if (common->augmented)
		cursor_skip(body, cursor_uleb(body));
	ret->program = body->at;
	ret->program_bytes = (size_t)(body->end - body->at);
	return !body->failed && bytes != 0 && !__builtin_add_overflow(ret->start, bytes, &ret->end);
}

/* Finds a CIE among those from first on, which are of one section. */
static bool find_common(const struct cfi_entries *entries, size_t first, size_t offset, size_t *ret)
{
	size_t low = first;
	size_t high = entries->commons_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (entries->commons[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	*ret = low;
	return low < entries->commons_count && entries->commons[low].offset == offset;
}

static struct error *append_common(struct cfi_entries *entries, const struct cfi_common *common)
{
	if (!array_reserve(&entries->commons, &entries->commons_capacity,
			   entries->commons_count + 1, sizeof *entries->commons))
		return error_no_memory();
	entries->commons[entries->commons_count++] = *common;
	return NULL;
}

static struct error *append_entry(struct cfi_entries *entries, const struct cfi_entry *entry)
{
	if (!array_reserve(&entries->entries, &entries->capacity, entries->count + 1,
			   sizeof *entries->entries))
		return error_no_memory();
	entries->entries[entries->count++] = *entry;
	return NULL;
}

struct error *cfi_entries_read(struct cfi_entries *entries, const struct cfi_section *section)
{
	size_t first = entries->commons_count;
	struct cursor cursor = {.at = section->bytes, .end = section->bytes + section->count};
	struct record record;
	struct error *err = NULL;
	/* the CIEs first: in .debug_frame they may stand behind the FDEs that name them */
	while (!err && next_record(section, &cursor, &record)) {
		struct cfi_common common;
		if (record.is_common && read_common(section, &record, &common))
			err = append_common(entries, &common);
	}
	cursor = (struct cursor){.at = section->bytes, .end = section->bytes + section->count};
	while (!err && next_record(section, &cursor, &record)) {
		struct cfi_entry entry;
		if (!record.is_common &&
		    find_common(entries, first, record.common_offset, &entry.common) &&
		    read_entry(section, &record, &entries->commons[entry.common], &entry))
			err = append_entry(entries, &entry);
	}
	return err;
}
