/* SPDX-License-Identifier: MIT */
/*
 * Static probes: the notes that sys/sdt.h leaves, one a probe (systemtap's wiki,
 * UserSpaceProbeImplementation). An ELF note (elf(5), Nhdr) "stapsdt" of type 3, whose descriptor
 * is pc, base and semaphore as addresses, then provider, name and arguments as strings.
 */
#include <string.h>

#include "image/cursor.h"
#include "image/private.h"

enum { NOTE_TYPE = 3, ADDRESS_BYTES = 8, ALIGNMENT_BYTES = 4 };

static const char owner[] = "stapsdt";

/* A note's name and descriptor are followed by zeroes up to the next multiple of 4. */
static const uint8_t *take_padded(struct cursor *cursor, uint64_t count)
{
	const uint8_t *start = cursor_skip(cursor, count);
	uint64_t rest = -count & (ALIGNMENT_BYTES - 1);
	cursor_skip(cursor, rest);
	return start;
}

/* The descriptor of the next note, failed if there is no whole one; *ours_ret: it is a probe's. */
static struct cursor next_note(struct cursor *notes, bool *ours_ret)
{
	uint64_t name_bytes = cursor_fixed(notes, 4);
	uint64_t descriptor_bytes = cursor_fixed(notes, 4);
	uint64_t type = cursor_fixed(notes, 4);
	const uint8_t *name = take_padded(notes, name_bytes);
	const uint8_t *descriptor = cursor_skip(notes, descriptor_bytes);
	struct cursor ret = {.failed = !descriptor};
	*ours_ret = false;
	if (!descriptor)
		return ret;
	*ours_ret = type == NOTE_TYPE && name_bytes == sizeof owner &&
		    memcmp(name, owner, sizeof owner) == 0;
	ret.at = descriptor;
	ret.end = descriptor + descriptor_bytes;
	uint64_t padding = -descriptor_bytes & (ALIGNMENT_BYTES - 1);
	cursor_skip(notes, padding);
	return ret;
}

/*
 * What else a note's addresses are held against. base: where the section .stapsdt.base lies, which
 * prelinking moves together with what the notes speak of; each has its former address. 0: it is not
 * there. Semaphores lie in the section .probes, and nothing else does.
 */
struct places {
	uint64_t base;
	uint64_t semaphores, semaphore_bytes;
};

static struct places find_places(const struct image *image)
{
	struct places places = {0};
	const Elf_Data *semaphores = image_section(image->elf, ".probes", &places.semaphores);
	image_section(image->elf, ".stapsdt.base", &places.base);
	places.semaphore_bytes = semaphores ? semaphores->d_size : 0;
	return places;
}

static bool is_semaphore(const struct places *places, uint64_t address)
{
	uint64_t offset = address - places->semaphores;
	return offset < places->semaphore_bytes &&
	       places->semaphore_bytes - offset >= sizeof(uint16_t);
}

/* False: the note is malformed. */
static bool read_probe(struct cursor *cursor, const struct places *places,
		       struct image_static_probe *ret)
{
	uint64_t pc = cursor_fixed(cursor, ADDRESS_BYTES);
	uint64_t former_base = cursor_fixed(cursor, ADDRESS_BYTES);
	uint64_t semaphore = cursor_fixed(cursor, ADDRESS_BYTES);
	uint64_t moved = places->base ? places->base - former_base : 0;
	ret->address.v = pc + moved;
	ret->semaphore.v = semaphore ? semaphore + moved : 0;
	ret->provider = cursor_string(cursor);
	ret->name = cursor_string(cursor);
	ret->arguments = cursor_string(cursor);
	return !cursor->failed && (!semaphore || is_semaphore(places, ret->semaphore.v));
}

void image_static_probes_visit(const struct image *image,
			       bool (*visit)(void *context, const struct image_static_probe *probe),
			       void *context)
{
	const Elf_Data *data = image_section(image->elf, ".note.stapsdt", NULL);
	if (!data)
		return;
	const struct places places = find_places(image);
	struct cursor notes = {.at = data->d_buf, .end = (uint8_t *)data->d_buf + data->d_size};
	while (notes.at < notes.end) {
		bool ours;
		struct image_static_probe probe;
		struct cursor note = next_note(&notes, &ours);
		if (note.failed ||
		    (ours && read_probe(&note, &places, &probe) && !visit(context, &probe)))
			return;
	}
}
