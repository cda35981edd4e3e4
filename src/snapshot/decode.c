/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "snapshot/body.h"
#include "snapshot/decoder.h"

static void decoder_deinit(struct decoder *decoder)
{
	free(decoder->strings);
	snapshot_destroy(decoder->snapshot);
}

struct error *decoder_damaged(const char *what)
{
	return error_new(ERROR_BAD_INPUT, "it is damaged: %s", what);
}

/* Which of the sections we know it is, LAYOUT_SECTIONS for another. */
static enum layout_section section_of(const uint8_t *tag)
{
	enum layout_section section = 0;
	while (section < LAYOUT_SECTIONS &&
	       memcmp(tag, layout_rows[section].tag, LAYOUT_SECTION_TAG_BYTES) != 0)
		section++;
	return section;
}

static struct error *note_section(struct decoder *decoder, const uint8_t *header, size_t rest_bytes,
				  size_t *bytes_ret)
{
	uint64_t record_bytes = decoder_load(header + LAYOUT_SECTION_AT_RECORD_BYTES, 4);
	uint64_t count = decoder_load(header + LAYOUT_SECTION_AT_COUNT, 8), bytes;
	if (__builtin_mul_overflow(record_bytes, count, &bytes) || bytes > rest_bytes)
		return decoder_damaged("a section is longer than the file");
	*bytes_ret = bytes;
	enum layout_section known = section_of(header);
	if (known == LAYOUT_SECTIONS)
		return NULL;
	struct section *section = &decoder->sections[known];
	if (section->found)
		return decoder_damaged("a section stands twice");
	if (record_bytes < layout_rows[known].record_bytes ||
	    (known == LAYOUT_STRINGS && record_bytes != 1))
		return decoder_damaged("the records of a section are too short");
	*section = (struct section){.records = header + LAYOUT_SECTION_BYTES,
				    .record_bytes = record_bytes,
				    .count = count,
				    .found = true};
	return NULL;
}

static struct error *find_sections(struct decoder *decoder, const uint8_t *bytes, size_t count)
{
	while (count > 0) {
		size_t section_bytes = 0;
		if (count < LAYOUT_SECTION_BYTES)
			return decoder_damaged("a section is cut off");
		count -= LAYOUT_SECTION_BYTES;
		struct error *err = note_section(decoder, bytes, count, &section_bytes);
		if (err)
			return err;
		bytes += LAYOUT_SECTION_BYTES + section_bytes;
		count -= section_bytes;
	}
	for (size_t i = 0; i < LAYOUT_OPTIONAL; i++)
		if (!decoder->sections[i].found)
			return decoder_damaged("a section is missing");
	return decoder->sections[LAYOUT_SESSION].count == 1 ? NULL
							    : decoder_damaged("its sessions");
}

static struct error *read_all(struct decoder *decoder)
{
	struct error *err = decoder_read_tables(decoder);
	if (err)
		return err;
	if (decoder->bad_string)
		return decoder_damaged("it names a string that is not there");
	err = snapshot_check(decoder->snapshot);
	return err && error_kind_of(err) == ERROR_BAD_INPUT ? error_wrap(err, "it is damaged")
							    : err;
}

/* mappings: where those go that the body may have; NULL: it may have none. */
static struct error *decode(const uint8_t *bytes, size_t count, struct section *mappings,
			    struct snapshot **ret)
{
	__attribute__((cleanup(decoder_deinit))) struct decoder decoder = {0};
	struct error *err = snapshot_create(&decoder.snapshot);
	if (!err)
		err = find_sections(&decoder, bytes, count);
	if (!err && !mappings && decoder.sections[LAYOUT_MAPPINGS].found)
		err = decoder_damaged("its mappings have mappings");
	if (!err)
		err = read_all(&decoder);
	if (err)
		return err;
	if (mappings)
		*mappings = decoder.sections[LAYOUT_MAPPINGS];
	*ret = take_ptr(decoder.snapshot);
	return NULL;
}

struct error *body_decode(const uint8_t *bytes, size_t count, struct snapshot **ret)
{
	struct section mappings;
	struct snapshot *whole;
	struct error *err = decode(bytes, count, &mappings, &whole);
	if (err)
		return err;
	if (mappings.found && mappings.record_bytes != 1)
		err = decoder_damaged("its mappings");
	if (!err && mappings.found)
		err = decode(mappings.records, mappings.count, NULL, &whole->mappings);
	if (err) {
		snapshot_destroy(whole);
		return err;
	}
	*ret = whole;
	return NULL;
}
