/* SPDX-License-Identifier: MIT */
/*
 * C++: the library's containers ask for memory on behalf of a line here. Sizes of containers are
 * those that their own capacity states.
 */
#include <memory>
#include <string>
#include <vector>

#include "truth.h"

struct alignas(64) wide {
	char bytes[128];
};

/* A container's block was made on that line: its data is the block, its capacity the size. */
static void made(const void *data, size_t size, int line)
{
	truth_created(const_cast<void *>(data), size, __FILE__, line);
}

template <typename T> static void gone(const T *data)
{
	truth_released(reinterpret_cast<uintptr_t>(data));
}

static void grow(std::vector<int> &numbers, int count)
{
	for (int i = 0; i < count; i++) {
		const int *before = numbers.capacity() ? numbers.data() : nullptr;

		numbers.push_back(i);
		if (numbers.data() != before) {
			made(numbers.data(), numbers.capacity() * sizeof(int), __LINE__ - 2);
			gone(before);
		}
	}
}

static void contain()
{
	std::vector<int> numbers;
	grow(numbers, 1000);

	std::string text;
	text.reserve(500);
	made(text.data(), text.capacity() + 1, __LINE__ - 1);

	auto single = std::make_unique<long>(5);
	made(single.get(), sizeof(long), __LINE__ - 1);

	gone(single.get());
	gone(text.data());
	gone(numbers.data());
}

int main()
{
	int *one = new int(3);
	made(one, sizeof(int), __LINE__ - 1);
	char *many = new char[4000];
	made(many, 4000, __LINE__ - 1);
	wide *aligned = new wide;
	made(aligned, sizeof(wide), __LINE__ - 1);
	contain();
	char *kept = new char[60](); /* its first byte is read below */
	made(kept, 60, __LINE__ - 1);
	gone(aligned);
	delete aligned;
	gone(one);
	delete one;
	gone(many);
	delete[] many;
	truth_print();
	return kept[0] == 1 ? 1 : 0;
}
