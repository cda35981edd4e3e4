/* SPDX-License-Identifier: MIT */
/*
 * Calls operator new and delete in all their forms, and keeps count by itself (../truth.h). Each
 * line that makes blocks leaves one of them behind. A new handler throws what the standard library
 * never does: it must arrive. THROWS: how often. STATISTICS: jemalloc prints its own at the end.
 */
#include <new>
#include <stdexcept>

#include "../truth.h"

#ifdef STATISTICS
extern "C" {
const char *malloc_conf = "stats_print:true";
}
#endif

#ifndef THROWS
#define THROWS 3
#endif

static void refuse()
{
	throw std::length_error("enough");
}

struct alignas(128) wide {
	char bytes[384];
};

struct counted {
	static int alive;
	counted()
	{
		alive++;
	}
	~counted()
	{
		alive--;
	}
	char bytes[40];
};
int counted::alive;

/* Notes that a block is about to be released, and gives it. */
template <class type> static type *released(type *block)
{
	truth_released((uintptr_t)block);
	return block;
}

static void *kept[256];
static size_t kept_count;

static void keep(void *block)
{
	kept[kept_count++ % 256] = block;
}

static void round_of_plain(size_t size)
{
	keep(TRUTH_CREATED(::operator new(size), size));
	keep(TRUTH_CREATED(::operator new[](size), size));
	keep(TRUTH_CREATED(::operator new(size, std::nothrow), size));
	keep(TRUTH_CREATED(::operator new[](size, std::nothrow), size));
	for (int i = 0; i < 6; i++) {
		void *block = TRUTH_CREATED(::operator new(size), size);
		void *array = TRUTH_CREATED(::operator new[](size), size);
		if (i == 0) {
			keep(block);
			keep(array);
		} else if (i == 1) {
			::operator delete(released(block));
			::operator delete[](released(array));
		} else if (i == 2) {
			::operator delete(released(block), size);
			::operator delete[](released(array), size);
		} else {
			::operator delete(released(block), std::nothrow);
			::operator delete[](released(array), std::nothrow);
		}
	}
	::operator delete(nullptr);
}

/* The sizes are multiples of the alignment: else some libraries ask their allocator for more. */
static void round_of_aligned(size_t size)
{
	const std::align_val_t alignment{64};
	keep(TRUTH_CREATED(::operator new(size, alignment, std::nothrow), size));
	keep(TRUTH_CREATED(::operator new[](size, alignment, std::nothrow), size));
	for (int i = 0; i < 4; i++) {
		void *block = TRUTH_CREATED(::operator new(size, alignment), size);
		void *array = TRUTH_CREATED(::operator new[](size, alignment), size);
		if (i == 0) {
			keep(block);
			keep(array);
		} else if (i == 1) {
			::operator delete(released(block), alignment);
			::operator delete[](released(array), alignment);
		} else if (i == 2) {
			::operator delete(released(block), size, alignment);
			::operator delete[](released(array), size, alignment);
		} else {
			::operator delete(released(block), alignment, std::nothrow);
			::operator delete[](released(array), alignment, std::nothrow);
		}
	}
}

static void round_of_expressions()
{
	for (int i = 0; i < 3; i++) {
		counted *one = static_cast<counted *>(TRUTH_CREATED(new counted, sizeof(counted)));
		wide *broad = static_cast<wide *>(TRUTH_CREATED(new wide[3], sizeof(wide) * 3));
		if (i == 0) {
			keep(one);
			keep(broad);
		} else {
			delete released(one);
			delete[] released(broad);
		}
	}
}

/* The frames between here and the handler are unwound, and their objects destroyed. */
static void __attribute__((noinline)) ask_for_too_much(size_t size)
{
	counted guard;
	keep(::operator new(size));
}

static void round_of_refusals()
{
	volatile size_t huge = (size_t)PTRDIFF_MAX - 4096;
	int alive = counted::alive;
	for (int i = 0; i < THROWS; i++) {
		bool caught = false;
		std::set_new_handler(refuse);
		try {
			ask_for_too_much(huge);
		} catch (const std::length_error &error) {
			caught = strcmp(error.what(), "enough") == 0;
		}
		std::set_new_handler(nullptr);
		if (!caught || counted::alive != alive)
			truth_fail("an exception did not pass\n");
		/* After it, as before. */
		keep(TRUTH_CREATED(::operator new(100), 100));
	}
}

int main()
{
	for (size_t size = 8; size < 3000; size = size * 3 + 1) {
		round_of_plain(size);
		round_of_aligned((size + 63) / 64 * 64);
	}
	round_of_expressions();
	round_of_refusals();
	round_of_expressions();
	truth_print();
	return 0;
}
