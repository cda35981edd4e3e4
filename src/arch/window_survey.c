/* SPDX-License-Identifier: MIT */
#include "arch/window_survey.h"

#include <emmintrin.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"

enum {
	BLOCK_BYTES = sizeof(__m128i),
	SHORT_BYTES = 2,		     /* of a branch of 8 bits */
	SHORT_BACK = SHORT_BYTES + INT8_MAX, /* how far before its target it can stand */
	SHORT_AHEAD = -INT8_MIN - SHORT_BYTES,
	NEAR_MIN_BYTES = 5,
	TEXT_BYTES_A_BRANCH = 4,
	FREE_BRANCHES = 4096, /* so that a text of a few bytes may consist of branches */
};

/*
 * Intel SDM volume 2: call rel32 is e8, jmp rel32 e9, jcc rel32 0f 80-8f, xbegin rel32 c7 f8, jmp
 * rel8 eb, jcc rel8 70-7f, loopcc and jrcxz rel8 e0-e3. Prefixes stand before and change no
 * distance.
 */
static size_t near_opcode_bytes(const uint8_t *bytes)
{
	if (bytes[0] == 0xe8 || bytes[0] == 0xe9)
		return 1;
	bool wide = (bytes[0] == 0x0f && (bytes[1] & 0xf0) == 0x80) ||
		    (bytes[0] == 0xc7 && bytes[1] == 0xf8);
	return wide ? 2 : 0;
}

static bool is_short_opcode(uint8_t byte)
{
	return byte == 0xeb || (byte & 0xf0) == 0x70 || (byte & 0xfc) == 0xe0;
}

static __m128i equal(__m128i bytes, int mask, int value)
{
	return _mm_cmpeq_epi8(_mm_and_si128(bytes, _mm_set1_epi8((char)mask)),
			      _mm_set1_epi8((char)value));
}

/* Bit i: bytes[i] is, with bytes[i + 1], an opcode of near_opcode_bytes. One byte more is read. */
static uint32_t near_opcodes(const uint8_t *bytes)
{
	__m128i first = _mm_loadu_si128((const __m128i *)bytes);
	__m128i second = _mm_loadu_si128((const __m128i *)(bytes + 1));
	__m128i jumps = equal(first, 0xfe, 0xe8);
	__m128i conditional = _mm_and_si128(equal(first, 0xff, 0x0f), equal(second, 0xf0, 0x80));
	__m128i begins = _mm_and_si128(equal(first, 0xff, 0xc7), equal(second, 0xff, 0xf8));
	return (uint32_t)_mm_movemask_epi8(_mm_or_si128(jumps, _mm_or_si128(conditional, begins)));
}

/* Adds the branch at an offset, if there is one; there is room for it. */
static void add_near(struct window_survey *survey, size_t at)
{
	const uint8_t *bytes = survey->text + at;
	size_t left = survey->count - at;
	size_t opcode_bytes = left < NEAR_MIN_BYTES ? 0 : near_opcode_bytes(bytes);
	struct window_branch *branch = &survey->branches[survey->branch_count];
	if (!opcode_bytes || left - opcode_bytes < sizeof branch->distance)
		return;
	branch->next = (uint32_t)(at + opcode_bytes + sizeof branch->distance);
	memcpy(&branch->distance, bytes + opcode_bytes, sizeof branch->distance);
	survey->branch_count++;
}

/* Makes room for as many branches as a block can hold. */
static struct error *reserve_block(struct window_survey *survey)
{
	if (survey->branch_count > survey->count / TEXT_BYTES_A_BRANCH + FREE_BRANCHES)
		return error_new(ERROR_UNSUPPORTED,
				 "too many bytes of its module look like branches");
	return array_reserve(&survey->branches, &survey->branch_capacity,
			     survey->branch_count + BLOCK_BYTES, sizeof *survey->branches)
		       ? NULL
		       : error_no_memory();
}

static struct error *add_all(struct window_survey *survey)
{
	for (size_t block = 0; block < survey->count; block += BLOCK_BYTES) {
		/* At the end every byte is looked at singly. */
		size_t left = survey->count - block;
		uint32_t marks = left > BLOCK_BYTES ? near_opcodes(survey->text + block)
						    : ((uint32_t)1 << left) - 1;
		struct error *err = marks ? reserve_block(survey) : NULL;
		if (err)
			return err;
		for (; marks; marks &= marks - 1)
			add_near(survey, block + (size_t)__builtin_ctz(marks));
	}
	return NULL;
}

struct error *window_survey_make(const uint8_t *text, size_t count, target_addr start,
				 struct window_survey *ret)
{
	_cleanup_window_survey_ struct window_survey survey = {
		.text = text, .count = count, .start = start};
	if (count > UINT32_MAX)
		return error_new(ERROR_UNSUPPORTED, "its module has 4 GiB of text or more");
	struct error *err = add_all(&survey);
	if (err)
		return err;
	*ret = survey;
	survey = (struct window_survey){0};
	return NULL;
}

void window_survey_deinit(struct window_survey *survey)
{
	free(survey->branches);
	*survey = (struct window_survey){0};
}

/*
 * One question. Offsets are relative to the text's start, modulo 2^64.
 *
 * Invariant: count > 0; an offset lies inside the range behind its first byte if it is one of
 * [inside, inside + count).
 */
struct question {
	const struct window_survey *survey;
	uint64_t inside, count;
	bool (*known)(void *context, target_addr jump);
	void *context;
};

static bool leads_inside(const struct question *question, uint64_t target)
{
	return target - question->inside < question->count;
}

/* Whether the branch at an offset stands outside of the range and is not accepted. */
static bool is_stranger(const struct question *question, uint64_t at)
{
	bool own = at - (question->inside - 1) <= question->count;
	return !own &&
	       !question->known(question->context, (target_addr){question->survey->start.v + at});
}

static bool has_near(const struct question *question)
{
	const struct window_survey *survey = question->survey;
	for (size_t i = 0; i < survey->branch_count; i++) {
		const struct window_branch *branch = &survey->branches[i];
		if (!leads_inside(question, branch->next + (uint64_t)(int64_t)branch->distance))
			continue;
		/* The second byte of a longer opcode is no opcode of its own. */
		uint32_t at = branch->next - NEAR_MIN_BYTES;
		if (near_opcode_bytes(survey->text + at) != 1)
			at--;
		if (is_stranger(question, at))
			return true;
	}
	return false;
}

static bool has_short(const struct question *question)
{
	const struct window_survey *survey = question->survey;
	uint64_t from = question->inside - SHORT_BACK;
	uint64_t count = question->count + SHORT_BACK + SHORT_AHEAD;
	if (question->count > INT64_MAX) { /* it may come round to where it began */
		from = 0;
		count = survey->count;
	}
	uint64_t before = from < survey->count ? 0 : -from; /* the text begins this much later */
	from += before;
	if (before >= count)
		return false;
	for (count -= before; count > 0 && from + 1 < survey->count; from++, count--) {
		const uint8_t *bytes = survey->text + from;
		if (is_short_opcode(bytes[0]) &&
		    leads_inside(question, from + SHORT_BYTES + (uint64_t)(int8_t)bytes[1]) &&
		    is_stranger(question, from))
			return true;
	}
	return false;
}

bool window_survey_is_entered(const struct window_survey *survey, target_addr start,
			      target_addr end, bool (*known)(void *context, target_addr jump),
			      void *context)
{
	struct question question = {.survey = survey,
				    .inside = start.v + 1 - survey->start.v,
				    .count = end.v - start.v - 1,
				    .known = known,
				    .context = context};
	if (end.v <= start.v || question.count == 0)
		return false;
	return has_near(&question) || has_short(&question);
}
