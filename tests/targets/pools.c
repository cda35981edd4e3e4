/* SPDX-License-Identifier: MIT */
/*
 * A program with pools of its own, whose functions are made known by --alloc. pools MODE: "pool"
 * (blocks are carved out of chunks from malloc), "wrapper" (functions that end in a jump to the C
 * library's), "serve" (says "ready", and uses the pool at each byte of its input).
 */
#include "truth.h"

#define POOL __attribute__((noinline, noclone, noipa, used))

enum { CHUNK_BYTES = 4096, NODE_BYTES = 48, HEADER_BYTES = 16 };

struct pool {
	char *at, *end;
	size_t chunks;
};

static struct pool pool;

POOL void pool_refill(struct pool *where)
{
	where->at = malloc(CHUNK_BYTES);
	where->end = where->at + CHUNK_BYTES;
	where->chunks++;
}

/* Blocks begin behind a header, so that none has a chunk's address. */
POOL void *pool_get(struct pool *where, size_t size)
{
	size_t whole = (size + HEADER_BYTES + 15) & ~15ul;

	if (size > CHUNK_BYTES - HEADER_BYTES)
		return NULL;
	if ((size_t)(where->end - where->at) < whole)
		pool_refill(where);
	char *block = where->at + HEADER_BYTES;
	where->at += whole;
	return block;
}

POOL void *pool_get_many(size_t count, struct pool *where, size_t size)
{
	return pool_get(where, count * size);
}

POOL int pool_store(void **where, size_t size)
{
	*where = pool_get(&pool, size);
	return *where ? 0 : -1;
}

POOL void *pool_node(void)
{
	return pool_get(&pool, NODE_BYTES);
}

POOL void pool_put(struct pool *where, void *block)
{
	if (block && where->at)
		memset(block, 0x55, 1);
}

POOL void *pool_grow(struct pool *where, void *block, size_t size)
{
	void *grown = pool_get(where, size);

	if (grown && block)
		pool_put(where, block);
	return grown;
}

/* What a compiler makes a tail call of. */
POOL void *wrap_get(size_t size)
{
	return malloc(size);
}

POOL void wrap_put(void *block)
{
	free(block);
}

#define GROW(block, size)                                                                          \
	(truth_resizing(block),                                                                    \
	 truth_resized(pool_grow(&pool, block, size), size, __FILE__, __LINE__))
#define PUT(block) (truth_released((uintptr_t)(block)), pool_put(&pool, block))

static void use_pool(void)
{
	void *blocks[100];
	void *stored;

	for (size_t i = 0; i < 100; i++)
		blocks[i] = TRUTH_CREATED(pool_get(&pool, 100 + i), 100 + i);
	for (size_t i = 0; i < 100; i += 2)
		PUT(blocks[i]);
	void *many = TRUTH_CREATED(pool_get_many(7, &pool, 30), 210);
	void *node = TRUTH_CREATED(pool_node(), NODE_BYTES);
	int refusal = pool_store(&stored, 77);
	stored = truth_created(refusal ? NULL : stored, 77, __FILE__, __LINE__ - 1);
	many = GROW(many, 500);
	node = GROW(node, 10);
	PUT(stored);
	TRUTH_CREATED(pool_get(&pool, 1 << 20), 1 << 20); /* refused */
}

static void use_wrapper(void)
{
	void *blocks[20];

	for (size_t i = 0; i < 20; i++)
		blocks[i] = TRUTH_CREATED(wrap_get(1000 + i), 1000 + i);
	for (size_t i = 0; i < 10; i++)
		truth_released((uintptr_t)blocks[i]), wrap_put(blocks[i]);
	for (size_t i = 10; i < 15; i++)
		FREE(blocks[i]);
	void *between = MALLOC(33);
	FREE(between);
}

/* By read and write alone: streams would allocate beside the pool. */
static void serve(void)
{
	char byte;

	if (write(1, "ready\n", 6) != 6)
		truth_fail("cannot write\n");
	while (read(0, &byte, 1) == 1) {
		use_pool();
		if (write(1, "used\n", 5) != 5)
			truth_fail("cannot write\n");
	}
	truth_print();
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "pool";

	if (strcmp(mode, "serve") == 0) {
		serve();
		return 0;
	}
	if (strcmp(mode, "pool") == 0)
		use_pool();
	else
		use_wrapper();
	truth_print();
	return 0;
}
