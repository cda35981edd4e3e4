/* SPDX-License-Identifier: MIT */
/*
 * An ordinary C++ program: counts made-up words and keeps where each stands. dictionary WORDS.
 */
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

static std::string word(unsigned number)
{
	std::string text = "a word that is longer than the string's own room: ";

	for (; number; number /= 7)
		text += static_cast<char>('a' + number % 7);
	return text;
}

int main(int argc, char **argv)
{
	unsigned count = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 1000;
	std::map<std::string, std::vector<unsigned>> places;
	std::unordered_map<std::string, std::unique_ptr<unsigned>> counts;

	for (unsigned i = 0; i < count; i++) {
		std::string one = word(i * 2654435761u % (count / 3 + 1));
		places[one].push_back(i);
		auto &counter = counts[one];
		if (!counter)
			counter = std::make_unique<unsigned>(0);
		++*counter;
	}
	std::printf("%zu words, %zu counted\n", places.size(), counts.size());
	return places.size() == counts.size() ? 0 : 1;
}
