/* SPDX-License-Identifier: MIT */
/*
 * operator new that cannot: once throwing, once not. Each refusal costs the C++ library an
 * exception object, whose size is the library's business. Prints "caught N".
 */
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <new>
#include <unistd.h>

static volatile size_t far_too_much = SIZE_MAX / 4;

int main()
{
	char text[32];
	int caught = 0;

	for (int i = 0; i < 10; i++) {
		try {
			char *never = new char[far_too_much];
			never[0] = 1;
		} catch (const std::bad_alloc &) {
			caught++;
		}
	}
	if (!new (std::nothrow) char[far_too_much])
		caught++;
	int length = snprintf(text, sizeof(text), "caught %d\n", caught);
	return write(1, text, (size_t)length) == length ? 0 : 1;
}
