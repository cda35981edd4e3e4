/* SPDX-License-Identifier: MIT */
/*
 * words FILE: counts the words of a file in a hash table of lists, as many small programs do.
 * words --serve: the same for lines made up on the spot, one every millisecond, until it is killed;
 * it forgets to release the words it has seen before.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BUCKETS = 1024 };

struct entry {
	struct entry *next;
	char *word;
	size_t count;
	size_t line_count;
	size_t *lines;
};

struct index {
	struct entry **buckets;
	size_t line;
};

static size_t hash(const char *word)
{
	size_t value = 5381;
	while (*word)
		value = value * 33 + (unsigned char)*word++;
	return value % BUCKETS;
}

static struct entry *find(const struct index *index, const char *word)
{
	struct entry *entry = index->buckets[hash(word)];
	while (entry && strcmp(entry->word, word) != 0)
		entry = entry->next;
	return entry;
}

static struct entry *insert(struct index *index, char *word)
{
	struct entry **bucket = &index->buckets[hash(word)];
	struct entry *entry = calloc(1, sizeof *entry);
	if (!entry)
		exit(1);
	entry->word = word;
	entry->next = *bucket;
	*bucket = entry;
	return entry;
}

static void note_line(struct entry *entry, size_t line)
{
	entry->count++;
	entry->lines = realloc(entry->lines, (entry->line_count + 1) * sizeof *entry->lines);
	if (!entry->lines)
		exit(1);
	entry->lines[entry->line_count++] = line;
}

static void add_word(struct index *index, const char *word, int forget)
{
	char *copy = strdup(word);
	if (!copy)
		exit(1);
	struct entry *entry = find(index, copy);
	if (!entry)
		entry = insert(index, copy);
	else if (!forget)
		free(copy);
	note_line(entry, index->line);
}

static void add_line(struct index *index, char *text, int forget)
{
	char *rest = NULL;
	index->line++;
	for (char *word = strtok_r(text, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest))
		add_word(index, word, forget);
}

static int count_file(struct index *index, const char *path)
{
	FILE *file = fopen(path, "r");
	if (!file) {
		perror(path);
		return 1;
	}
	char *text = NULL;
	size_t capacity = 0;
	while (getline(&text, &capacity, file) >= 0)
		add_line(index, text, 0);
	free(text);
	fclose(file);
	printf("%zu lines\n", index->line);
	return 0;
}

static void serve(struct index *index)
{
	puts("ready");
	fflush(stdout);
	for (size_t i = 0;; i++) {
		char text[64];
		snprintf(text, sizeof text, "GET /page/%zu from host%zu", i % 50, i % 7);
		add_line(index, text, 1);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: words FILE|--serve\n");
		return 2;
	}
	struct index index = {.buckets = calloc(BUCKETS, sizeof *index.buckets)};
	if (!index.buckets)
		return 1;
	if (strcmp(argv[1], "--serve") == 0)
		serve(&index);
	return count_file(&index, argv[1]);
}
