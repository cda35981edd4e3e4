// SPDX-License-Identifier: MIT
// A pool that is a C++ class, and throws when it is asked for too much: through whatever sees it.
#include <cstdio>
#include <cstdlib>
#include <new>

#include "truth.h"

namespace
{

class Arena
{
      public:
	__attribute__((noinline, noclone)) void *get(size_t size)
	{
		if (size > 10000)
			throw std::bad_alloc();
		calls++;
		return malloc(size);
	}
	__attribute__((noinline, noclone)) void put(void *block)
	{
		calls++;
		free(block);
	}
	size_t calls = 0;
};

} // namespace

int main()
{
	static Arena arena;
	int caught = 0;

	for (size_t size = 100; size < 200; size++) {
		void *block = TRUTH_CREATED(arena.get(size), size);
		if (size % 2) {
			truth_released((uintptr_t)block);
			arena.put(block);
		}
		try {
			arena.get(20000);
		} catch (const std::bad_alloc &) {
			caught++;
		}
	}
	printf("caught %d\n", caught);
	fflush(stdout);
	truth_print();
	return 0;
}
