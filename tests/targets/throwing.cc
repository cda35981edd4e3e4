/* SPDX-License-Identifier: MIT */
/*
 * Exceptions that pass operator new and come out of it, in several threads. throwing ROUNDS prints
 * "ok CAUGHT": each round of each of four threads catches four. throwing wait prints "ready", goes
 * on until its input ends, and prints "ok CAUGHT ROUNDS", the rounds of all threads.
 */
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <thread>
#include <vector>

enum { THREADS = 4 };

static volatile size_t far_too_much = SIZE_MAX / 4;
static std::atomic<long> caught, rounds_done;
static std::atomic<bool> ended;

struct refusal {
	long why;
};

/* Its memory is there when it refuses: operator delete takes it back. */
struct unwilling {
	char bytes[200];
	explicit unwilling(long why)
	{
		bytes[0] = 1;
		throw refusal{why};
	}
};

static void throw_out_of_new()
{
	try {
		char *volatile never = new char[far_too_much];
		never[0] = 1;
	} catch (const std::bad_alloc &) {
		caught++;
	}
}

static void throw_through_new(long why)
{
	try {
		delete new unwilling(why);
	} catch (const refusal &one) {
		caught += one.why == why;
	}
}

static void throw_with_containers_on_the_way(long why)
{
	std::vector<std::string> words(3, std::string(100, 'a'));

	try {
		std::vector<std::string> more(5, std::string(200, 'b'));
		throw refusal{why + static_cast<long>(more.size())};
	} catch (const refusal &one) {
		caught += one.why == why + 5;
	}
}

static void throw_twice(long why)
{
	try {
		try {
			throw_out_of_new();
			throw refusal{why};
		} catch (const refusal &) {
			throw;
		}
	} catch (const refusal &) {
	}
}

static void work(long rounds)
{
	for (long i = 0; i < rounds; i++) {
		throw_out_of_new();
		throw_through_new(i);
		throw_with_containers_on_the_way(i);
		throw_twice(i);
	}
}

static void work_on()
{
	while (!ended) {
		work(1);
		rounds_done++;
	}
}

static int work_until_input_ends()
{
	std::thread threads[THREADS];

	for (auto &thread : threads)
		thread = std::thread(work_on);
	std::puts("ready");
	std::fflush(stdout);
	while (std::getchar() != EOF)
		;
	ended = true;
	for (auto &thread : threads)
		thread.join();
	std::printf("ok %ld %ld\n", caught.load(), rounds_done.load());
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && std::string(argv[1]) == "wait")
		return work_until_input_ends();
	long rounds = argc > 1 ? std::atol(argv[1]) : 10;
	std::thread threads[THREADS];

	for (auto &thread : threads)
		thread = std::thread(work, rounds);
	for (auto &thread : threads)
		thread.join();
	std::printf("ok %ld\n", caught.load());
	return 0;
}
