/* SPDX-License-Identifier: MIT */
#include "probe/ring_reader.h"

#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#define NUMBER	    UINT64_C(0xffffffffffff)
#define ALL	    UINT64_MAX
#define NO_ADDRESS  UINT64_C(0x0fff800000000000) /* bits that a record's word 0 never has */
#define ADDRESS_END (UINT64_C(1) << 47)
#define SIZE_HIGH   (UINT64_C(1) << (64 - RING_SIZE_BITS)) /* of what RING_WIDE may say */
#define NO_SITE	    UINT32_MAX

/*
 * How the words of a record become an event: masks in place of branches, since which kind comes
 * next is as random as the program.
 */
struct shape {
	uint8_t words; /* 0: not a record */
	uint8_t event; /* enum event_kind */
	bool needs_old;
	int8_t effect;
	bool suspect;
	uint64_t address; /* of word 0 */
	uint64_t old;	  /* of word 0 */
	uint64_t moved;	  /* of word 1: the address it has now */
	uint64_t size;
	uint64_t site; /* all ones: it has a stack; 0: none */
};

/*
 * In the order of the fields above. Two kinds are out of step with reason, so no suspects: an
 * allocator gives chunks of a dying thread's cache to `free` a second time, and what is cancelled,
 * which is no event, only brings back what its begin took.
 */
static const struct shape shapes[16] = {
	[RING_CREATE] = {2, EVENT_CREATE, false, 1, true, NUMBER, 0, 0, ALL, ALL},
	[RING_RELEASE] = {1, EVENT_RELEASE, false, -1, true, NUMBER, 0, 0, 0, 0},
	[RING_RELEASE_INNER] = {2, EVENT_RELEASE, false, -1, false, NUMBER, 0, 0, 0, ALL},
	[RING_RESIZE_BEGIN] = {1, EVENT_RESIZE_BEGIN, true, -1, true, 0, NUMBER, 0, 0, 0},
	[RING_RESIZE_END] = {3, EVENT_RESIZE_END, true, 1, true, 0, NUMBER, ALL, ALL, ALL},
	[RING_RESIZE_RELEASED] = {1, EVENT_RESIZE_RELEASED, true, 0, false, 0, NUMBER, 0, 0, 0},
	[RING_RESIZE_CANCELLED] = {1, EVENT_RESIZE_BEGIN, true, 1, false, 0, NUMBER, 0, 0, 0},
	[RING_FAILED] = {2, EVENT_FAILED, false, 0, false, 0, 0, 0, ALL, ALL},
};

static void forget_stacks(struct ring_reader *reader)
{
	memset(reader->sites, 0xff, sizeof reader->sites);
}

struct error *ring_reader_create(struct agent_thread *area, unsigned level, struct ring_pool *pool,
				 struct ring_reader **ret)
{
	struct ring_reader *reader = calloc(1, sizeof *reader);
	if (!reader)
		return error_no_memory();
	const uint8_t *base = (const uint8_t *)area;
	uint64_t offset = AGENT_AREA_WORDS;
	reader->capacity = AGENT_RING_WORDS;
	if (level > 0) {
		offset = AGENT_AREA_INNER +
			 (level - 1) * (uint64_t)AGENT_INNER_RING_WORDS * sizeof(uint64_t);
		reader->capacity = AGENT_INNER_RING_WORDS;
	}
	reader->words = (const uint64_t *)(const void *)(base + offset);
	reader->ring = &area->rings[level];
	reader->backlog.pool = pool;
	forget_stacks(reader);
	*ret = reader;
	return NULL;
}

void ring_reader_destroy(struct ring_reader *reader)
{
	free(reader);
}

void ring_reader_assign(struct ring_reader *reader, space_id space, uint32_t thread)
{
	reader->space = space;
	reader->thread = thread;
	reader->at.stamp = 0;
	reader->at.wide = 0;
	forget_stacks(reader);
}

static void close_ring(struct ring_reader *reader)
{
	reader->closed = true;
	reader->head = reader->at.position;
	ring_backlog_clear(&reader->backlog);
}

void ring_reader_advance(struct ring_reader *reader, uint64_t head)
{
	if (reader->closed)
		return;
	if (head < reader->head || head - reader->released > reader->capacity)
		close_ring(reader);
	else
		reader->head = head;
}

/* Up to where words were taken out of the ring. */
static inline uint64_t taken_to(const struct ring_reader *reader)
{
	return reader->at.position > reader->backlog.end ? reader->at.position
							 : reader->backlog.end;
}

static void choose_view(struct ring_reader *reader)
{
	uint64_t head = reader->head;
	ring_backlog_drop(&reader->backlog, reader->at.position);
	const struct ring_piece *piece = reader->backlog.oldest;
	if (piece)
		reader->view = (struct ring_view){piece->words, piece->first, ALL,
						  piece->end < head ? piece->end : head};
	else
		reader->view = (struct ring_view){reader->words, 0, reader->capacity - 1, head};
}

/* What becomes of a word in the target after it was read here changes nothing that came of it. */
static inline uint64_t word_at(const struct ring_reader *reader, uint64_t position)
{
	const struct ring_view *view = &reader->view;
	return __atomic_load_n(&view->words[(position - view->first) & view->mask],
			       __ATOMIC_RELAXED);
}

static inline uint64_t record_time(const struct ring_cursor *at, const struct ring_context *context)
{
	uint64_t known_ns = at->stamp ? ring_context_time(context, at->stamp) : context->floor_ns;
	/* A thread that moves to another CPU may see the counter a little back. */
	return known_ns > at->time_ns ? known_ns : at->time_ns;
}

static inline void classify(struct ring_record *record, const struct shape *shape,
			    enum ring_kind kind)
{
	record->kind = (uint8_t)kind;
	record->effect = shape->effect;
	record->suspect = shape->suspect;
	record->delayed = false;
	record->event.kind = (enum event_kind)shape->event;
	/* Some allocators succeed in giving out nothing. */
	if (__builtin_expect((kind == RING_CREATE) & (record->event.address.v == 0), 0))
		record->event.kind = EVENT_FAILED;
}

/* Decodes the record at the cursor, whose first word is `word`; false if it cannot be. */
static inline bool decode_record(const struct ring_reader *reader, struct ring_cursor *at,
				 const struct ring_context *context, uint64_t word,
				 struct ring_record *record)
{
	const struct shape *shape = &shapes[ring_kind_of(word)];
	uint64_t second = word_at(reader, at->position + 1);
	uint64_t third = word_at(reader, at->position + 2);
	uint64_t sized = shape->words == 3 ? third : second;
	uint64_t moved = second & shape->moved;
	uint64_t old = word & shape->old;
	uint64_t stack = (sized >> RING_SIZE_BITS) & shape->site;
	uint32_t site = reader->sites[stack < RING_STACKS ? stack : 0];
	bool bad = ((word & NO_ADDRESS) != 0) | (moved >= ADDRESS_END) |
		   (shape->needs_old & (old == 0)) | (stack >= RING_STACKS) |
		   ((site == NO_SITE) & (shape->site != 0)) |
		   ((at->wide != 0) & (shape->size == 0)) |
		   (at->position + shape->words > reader->view.end);
	if (__builtin_expect(bad, 0))
		return false;
	at->time_ns = record_time(at, context);
	record->event.space = reader->space;
	record->event.thread = reader->thread;
	record->event.site.v = site & (uint32_t)shape->site;
	record->event.address.v = (word & shape->address) | moved;
	record->event.old_address.v = old;
	record->event.size_bytes = (ring_size_of(sized) | at->wide << RING_SIZE_BITS) & shape->size;
	record->event.time_ns = at->time_ns;
	record->stamp = at->stamp;
	classify(record, shape, ring_kind_of(word));
	at->stamp = 0;
	at->wide = 0;
	at->position += shape->words;
	return true;
}

static struct error *define_stack(struct ring_reader *reader, struct ring_context *context,
				  uint64_t word)
{
	uint64_t number = ring_number_of(word);
	uint64_t stack = number & ((1u << RING_STACK_BITS) - 1);
	uint64_t stop = number >> RING_STACK_BITS;
	uint32_t count = ring_extra_of(word);
	if (stack >= RING_STACKS || stop > UNWIND_STOP_LOST || count > AGENT_DEPTH_MAX ||
	    count >= reader->view.end - reader->at.position) {
		close_ring(reader);
		return NULL;
	}
	for (uint32_t i = 0; i < count; i++)
		context->frames[i] = word_at(reader, reader->at.position + 1 + i);
	site_id site;
	struct error *err =
		context->sink.stack(context->sink.context, reader->space, context->frames, count,
				    (enum unwind_stop)stop, &site);
	if (err)
		return err;
	reader->sites[stack] = site.v;
	reader->at.position += 1 + count;
	return NULL;
}

/* What stopped decode_records: a definition, or what cannot be. */
static struct error *decode_definition(struct ring_reader *reader, struct ring_context *context)
{
	uint64_t word = word_at(reader, reader->at.position);
	uint64_t number = ring_number_of(word);
	switch (ring_kind_of(word)) {
	case RING_STACK:
		return define_stack(reader, context, word);
	case RING_WIDE:
		if (number < SIZE_HIGH && ring_extra_of(word) == 0) {
			reader->at.wide = number;
			reader->at.position++;
			return NULL;
		}
		__attribute__((fallthrough));
	default:
		close_ring(reader);
		return NULL;
	}
}

/* Announces the records from `record` up to end. */
static void announce(const struct ring_reader *reader, const struct ring_context *context,
		     const struct ring_record *record, const struct ring_record *end)
{
	uint64_t addresses[RINGS_AHEAD];
	while (record < end) {
		size_t count = 0;
		for (; record < end && count < RINGS_AHEAD; record++) {
			addresses[count] = ring_record_address(record).v;
			count += addresses[count] != 0;
		}
		context->sink.soon(context->sink.context, reader->space, addresses, count);
	}
}

/*
 * Decodes stamps and records up to `want` pending ones, into items, as far as neither a definition
 * nor anything that cannot be comes.
 */
static void decode_records(struct ring_reader *reader, const struct ring_context *context,
			   uint32_t want)
{
	struct ring_cursor at = reader->at;
	struct ring_record *record = &reader->items[reader->first + reader->count];
	const struct ring_record *end = &reader->items[reader->first + want];
	while (record < end && at.position < reader->view.end) {
		uint64_t word = word_at(reader, at.position);
		if (ring_kind_of(word) == RING_TIME) {
			uint64_t stamp = ring_time_of(word);
			if (stamp > context->latest)
				break;
			at.stamp = stamp;
			at.position++;
			continue;
		}
		if (shapes[ring_kind_of(word)].words == 0 ||
		    !decode_record(reader, &at, context, word, record))
			break;
		record++;
	}
	announce(reader, context, ring_reader_front(reader) + reader->count, record);
	reader->count = (uint32_t)(record - ring_reader_front(reader));
	reader->at = at;
}

/* Makes room for so many pending records; an empty reader uses the same memory again. */
static void make_room(struct ring_reader *reader, uint32_t want)
{
	if (reader->count && reader->first + want <= RING_PENDING_MAX)
		return;
	memmove(reader->items, ring_reader_front(reader), reader->count * sizeof *reader->items);
	reader->first = 0;
}

enum { RELEASES_A_RING = 64, WAKES_A_RING = 2, RELIEFS_A_RING = 2 };

/*
 * Moves tail, and wakes who waits for it if so many words were released since he was woken last:
 * whoever is woken for a little room waits again at once.
 */
static void release(struct ring_reader *reader, uint64_t room)
{
	uint64_t taken = taken_to(reader);
	if (reader->woken == taken || taken < reader->released)
		return; /* closed, with more taken out of the ring than was decoded */
	reader->released = taken;
	/* Sequentially consistent: the agent says that it waits, then looks at tail once more. */
	__atomic_store_n(&reader->ring->tail, reader->released, __ATOMIC_SEQ_CST);
	if (reader->released - reader->woken < room ||
	    !__atomic_load_n(&reader->ring->waiting, __ATOMIC_SEQ_CST))
		return;
	reader->woken = reader->released;
	syscall(SYS_futex, (void *)&reader->ring->tail, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

struct error *ring_reader_fill(struct ring_reader *reader, struct ring_context *context,
			       uint32_t want)
{
	uint64_t begin = reader->at.position;
	struct error *err = NULL;
	make_room(reader, want);
	while (!err && reader->count < want && reader->at.position < reader->head) {
		choose_view(reader);
		decode_records(reader, context, want);
		if (reader->count < want && reader->at.position < reader->view.end)
			err = decode_definition(reader, context);
	}
	context->taken_words += reader->at.position - begin;
	if (taken_to(reader) >= reader->released + reader->capacity / RELEASES_A_RING)
		release(reader, reader->capacity / WAKES_A_RING);
	return err;
}

void ring_reader_release(struct ring_reader *reader)
{
	/* A ring that holds nothing more is not looked at: its pieces would be nobody's. */
	ring_backlog_drop(&reader->backlog, reader->at.position);
	release(reader, 0);
}

_Static_assert((int)AGENT_RING_WORDS <= (int)RING_PIECE_WORDS, "a full ring can be relieved");

bool ring_reader_relieve(struct ring_reader *reader)
{
	uint64_t from = taken_to(reader);
	uint64_t head = __atomic_load_n(&reader->ring->head, __ATOMIC_ACQUIRE);
	uint64_t count = head - from;
	if (reader->closed || count < reader->capacity / RELIEFS_A_RING || count > reader->capacity)
		return false;
	ring_backlog_drop(&reader->backlog, reader->at.position);
	if (!ring_backlog_add(&reader->backlog, reader->words, reader->capacity, from, head))
		return false;
	release(reader, reader->capacity / WAKES_A_RING);
	return true;
}
