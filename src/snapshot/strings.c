/* SPDX-License-Identifier: MIT */
#include "snapshot/strings.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 1 << 16, FIRST_SLOTS = 256 };

void strings_deinit(struct snapshot_strings *strings)
{
	while (strings->pieces) {
		struct snapshot_string_piece *piece = strings->pieces;
		strings->pieces = piece->next;
		free(piece);
	}
	free(strings->slots);
	*strings = (struct snapshot_strings){0};
}

/* FNV-1a, begun from what a target or file that makes strings collide cannot know: our address. */
static uint64_t hash_of(const struct snapshot_strings *strings, const char *string)
{
	uint64_t hash = 0xcbf29ce484222325u ^ (uintptr_t)strings;
	for (; *string; string++)
		hash = (hash ^ (unsigned char)*string) * 0x100000001b3u;
	return hash ^ hash >> 32;
}

/* The slot of string, else the free slot where it belongs. There is always a free one. */
static struct snapshot_string_slot *slot_of(const struct snapshot_strings *strings, uint64_t hash,
					    const char *string)
{
	size_t mask = strings->slot_count - 1;
	size_t i = (size_t)hash & mask;
	while (strings->slots[i].string &&
	       (strings->slots[i].hash != hash || strcmp(strings->slots[i].string, string) != 0))
		i = (i + 1) & mask;
	return &strings->slots[i];
}

static int grow(struct snapshot_strings *strings)
{
	struct snapshot_strings larger = *strings;
	larger.slot_count = strings->slot_count ? strings->slot_count * 2 : FIRST_SLOTS;
	larger.slots = calloc(larger.slot_count, sizeof *larger.slots);
	if (!larger.slots)
		return -1;
	for (size_t i = 0; i < strings->slot_count; i++) {
		const struct snapshot_string_slot *slot = &strings->slots[i];
		if (slot->string)
			*slot_of(&larger, slot->hash, slot->string) = *slot;
	}
	free(strings->slots);
	*strings = larger;
	return 0;
}

static const char *keep(struct snapshot_strings *strings, const char *string)
{
	size_t need = strlen(string) + 1;
	struct snapshot_string_piece *piece = strings->pieces;
	if (!piece || piece->size_bytes - piece->used < need) {
		size_t size_bytes = need > PIECE_BYTES ? need : PIECE_BYTES;
		piece = malloc(sizeof *piece + size_bytes);
		if (!piece)
			return NULL;
		*piece = (struct snapshot_string_piece){.next = strings->pieces,
							.size_bytes = size_bytes};
		strings->pieces = piece;
	}
	char *copy = memcpy(piece->bytes + piece->used, string, need);
	piece->used += need;
	return copy;
}

const char *strings_intern(struct snapshot_strings *strings, const char *string)
{
	if ((strings->count + 1) * 4 > strings->slot_count * 3 && grow(strings) < 0)
		return NULL;
	uint64_t hash = hash_of(strings, string);
	struct snapshot_string_slot *slot = slot_of(strings, hash, string);
	if (slot->string)
		return slot->string;
	const char *copy = keep(strings, string);
	if (copy) {
		*slot = (struct snapshot_string_slot){hash, copy};
		strings->count++;
	}
	return copy;
}
