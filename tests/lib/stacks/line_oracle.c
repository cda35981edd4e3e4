/* SPDX-License-Identifier: MIT */
#include "lib/stacks/line_oracle.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"

static void clear(struct line_oracle *oracle)
{
	for (size_t i = 0; i < oracle->count; i++) {
		free(oracle->positions[i].function);
		free(oracle->positions[i].file);
	}
	oracle->count = 0;
}

static void read_ahead(struct line_oracle *oracle)
{
	if (getline(&oracle->next, &oracle->next_bytes, oracle->output) > 0)
		oracle->next[strcspn(oracle->next, "\n")] = '\0';
	else if (oracle->next)
		oracle->next[0] = '\0';
}

void line_oracle_start(const struct scratch *scratch, const char *tool, const char *file,
		       const uint64_t *addresses, size_t count, struct line_oracle *ret)
{
	_cleanup_free_ char *list_path = scratch_file(scratch, "addresses"), *command = NULL;
	_cleanup_fclose_ FILE *list = fopen(list_path, "we");

	if (!list)
		ck_abort_msg("cannot write %s", list_path);
	for (size_t i = 0; i < count; i++)
		fprintf(list, "%#jx\n", (uintmax_t)addresses[i]);
	if (fflush(list) != 0 ||
	    asprintf(&command, "%s -a -i -f -e '%s' < %s", tool, file, list_path) < 0)
		ck_abort_msg("cannot write %s", list_path);
	*ret = (struct line_oracle){.tool = tool, .output = popen(command, "re")};
	if (!ret->output)
		ck_abort_msg("cannot start %s", command);
	read_ahead(ret);
}

/* Cuts every WHAT out of path but for its last character. */
static void contract(char *path, const char *what)
{
	size_t surplus = strlen(what) - 1;

	for (char *at; (at = strstr(path, what));)
		memmove(at, at + surplus, strlen(at + surplus) + 1);
}

/* "FILE:LINE" or "FILE:LINE:COLUMN"; a line that is not known is "?" or 0. */
static void parse_place(const char *text, struct line_oracle_position *position)
{
	size_t length = strcspn(text, ":");

	position->file = strndup(text, length);
	contract(position->file, "//");
	contract(position->file, "/./");
	position->line = text[length] ? (unsigned int)strtoul(text + length + 1, NULL, 10) : 0;
}

static bool at_position(const struct line_oracle *oracle)
{
	return oracle->next && oracle->next[0] && strncmp(oracle->next, "0x", 2) != 0;
}

/* The function's line may go on with where it is inlined, which the next position says again. */
static void read_position(struct line_oracle *oracle)
{
	if (!array_reserve(&oracle->positions, &oracle->capacity, oracle->count + 1,
			   sizeof *oracle->positions))
		ck_abort_msg("no memory");
	struct line_oracle_position *position = &oracle->positions[oracle->count++];
	const char *inlined = strstr(oracle->next, " inlined at ");
	position->function = inlined ? strndup(oracle->next, (size_t)(inlined - oracle->next))
				     : strdup(oracle->next);
	read_ahead(oracle);
	ck_assert_msg(at_position(oracle), "%s says no line for %s", oracle->tool,
		      position->function);
	parse_place(oracle->next, position);
	read_ahead(oracle);
}

void line_oracle_next(struct line_oracle *oracle, uint64_t address)
{
	clear(oracle);
	ck_assert_msg(oracle->next && strtoull(oracle->next, NULL, 16) == address,
		      "%s is asked for %#jx and says: %s", oracle->tool, (uintmax_t)address,
		      oracle->next ? oracle->next : "nothing");
	read_ahead(oracle);
	while (at_position(oracle))
		read_position(oracle);
}

void line_oracle_end(struct line_oracle *oracle)
{
	ck_assert_msg(!oracle->next || !oracle->next[0], "%s says more than it was asked for: %s",
		      oracle->tool, oracle->next);
	clear(oracle);
	free(oracle->positions);
	free(oracle->next);
	pclose(oracle->output);
	*oracle = (struct line_oracle){0};
}
