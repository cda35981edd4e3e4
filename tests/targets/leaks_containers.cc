/* SPDX-License-Identifier: MIT */
/*
 * What the containers of C++ and its objects do with pointers: vectors of pointers, strings in
 * maps, arrays with a count before them, pointers to the second base of an object. Lines whose
 * blocks are lost say so, as in leaks.c.
 */
#include <map>
#include <memory>
#include <pthread.h>
#include <string>
#include <vector>

#include "scrub.h"

#define FAR __attribute__((noinline))

struct first {
	virtual ~first() = default;
	long a = 1;
};

struct second {
	virtual ~second() = default;
	long b = 2;
};

struct both : first, second {
	long c[4] = {3};
};

struct counted {
	~counted()
	{
		value = 0;
	}
	long value = 1;
};

std::vector<long *> *volatile kept_vector;
std::map<std::string, std::string> *volatile kept_map;
second *volatile kept_second;
counted *volatile kept_array;
counted *volatile kept_nothing;
std::shared_ptr<both> *volatile kept_shared;
std::vector<long>::iterator kept_iterator;
void *volatile spare;

/* By threads that end: nothing of them stays in registers or on a stack. */
static FAR void *keep(void *unused)
{
	kept_vector = new std::vector<long *>;
	for (long i = 0; i < 100; i++)
		kept_vector->push_back(new long(i));
	kept_map = new std::map<std::string, std::string>;
	(*kept_map)["a key too long to be stored in place"] = std::string(100, 'x');
	kept_second = new both;
	kept_array = new counted[5];
	kept_nothing = new counted[0];
	kept_shared = new std::shared_ptr<both>(std::make_shared<both>());
	auto *numbers = new std::vector<long>(50, 7); /* LOST 1 0 */
	spare = numbers;
	kept_iterator = numbers->begin() + 20;
	spare = nullptr;
	return unused;
}

static FAR void *lose(void *unused)
{
	auto *vector = new std::vector<long *>; /* LOST 1 0 */
	for (long i = 0; i < 10; i++)
		vector->push_back(new long(i)); /* LOST 0 11 */
	spare = new std::string(200, 'y');	/* LOST 1 1 */
	spare = new counted[5];			/* LOST 1 0 */
	second *lost = new both;		/* LOST 1 0 */
	spare = lost;
	spare = nullptr;
	return unused;
}

static void perform(void *(*work)(void *))
{
	pthread_t thread;
	if (pthread_create(&thread, nullptr, work, nullptr) == 0)
		pthread_join(thread, nullptr);
}

int main()
{
	perform(keep);
	perform(lose);
	scrub();
	return 0;
}
