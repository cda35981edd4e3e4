/* SPDX-License-Identifier: MIT */
#include "cli/completion.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/help.h"
#include "cli/options.h"

/* What the words before the last one say about it. */
struct place {
	const struct help_command *command; /* NULL: none yet */
	const struct options_row *wants;    /* the option whose value it is; NULL: none */
	bool no_options;		    /* "--" has been there */
	size_t operands;		    /* of the command, so far */
};

static const struct help_command *find_command(const char *name)
{
	size_t count, length = strlen(name);
	const struct help_command *commands = help_commands(&count);
	for (size_t i = 0; i < count; i++)
		if (strcspn(commands[i].usage, " ") == length &&
		    strncmp(commands[i].usage, name, length) == 0)
			return &commands[i];
	return NULL;
}

/* The row of "--name" or "--name=value". */
static const struct options_row *find_long(const char *word)
{
	size_t count, length = strcspn(word + 2, "=");
	const struct options_row *rows = options_rows(&count);
	for (size_t i = 0; i < count; i++)
		if (strlen(rows[i].name) == length && strncmp(rows[i].name, word + 2, length) == 0)
			return &rows[i];
	return NULL;
}

static const struct options_row *find_letter(char letter)
{
	size_t count;
	const struct options_row *rows = options_rows(&count);
	for (size_t i = 0; letter && i < count; i++)
		if (rows[i].short_name == letter)
			return &rows[i];
	return NULL;
}

/* The option whose value must follow this word of options, NULL where none must. */
static const struct options_row *wanting(const char *word)
{
	const struct options_row *row = NULL;
	if (word[1] == '-') {
		row = find_long(word);
		return row && row->value && !strchr(word, '=') ? row : NULL;
	}
	for (const char *letter = word + 1; *letter; letter++) {
		row = find_letter(*letter);
		if (row && row->value)
			return letter[1] ? NULL : row;
	}
	return NULL;
}

/* False where the program of `run` has come: the rest is its own. */
static bool note_word(struct place *place, const char *word)
{
	if (place->wants) {
		place->wants = NULL;
	} else if (word[0] == '-' && word[1] && !place->no_options) {
		place->no_options = strcmp(word, "--") == 0;
		place->wants = place->no_options ? NULL : wanting(word);
	} else if (!place->command) {
		place->command = find_command(word);
		return place->command != NULL;
	} else {
		place->operands++;
		return place->command->command != OPTIONS_RUN;
	}
	return true;
}

/* A line; of text what stands before any of the characters in stops. */
static void offer(struct buffer *out, const char *prefix, const char *word, size_t length,
		  const char *suffix, const char *text, const char *stops)
{
	buffer_string(out, prefix);
	buffer_append(out, word, length);
	buffer_string(out, suffix);
	if (text) {
		buffer_char(out, '\t');
		buffer_append(out, text, strcspn(text, stops));
	}
	buffer_char(out, '\n');
}

/* Each of the words in "a|b c|d", of "b c" the first alone; stops at what begins with a capital. */
static void offer_choices(struct buffer *out, const char *prefix, const char *words,
			  const char *suffix)
{
	while (*words) {
		size_t length = strcspn(words, "| ");
		if (islower((unsigned char)*words))
			offer(out, prefix, words, length, suffix, NULL, "");
		words += strcspn(words, "|");
		words += *words == '|';
	}
}

static bool is_ours(const char *pid)
{
	char path[64], target[8];
	struct stat status;
	snprintf(path, sizeof path, "/proc/%.20s", pid);
	if (stat(path, &status) != 0 || (geteuid() != 0 && status.st_uid != geteuid()))
		return false;
	/* Threads of the kernel run no file. */
	snprintf(path, sizeof path, "/proc/%.20s/exe", pid);
	return readlink(path, target, sizeof target) > 0 && strtol(pid, NULL, 10) != getpid();
}

static void offer_process(struct buffer *out, const char *pid)
{
	char path[64], name[64] = "";
	snprintf(path, sizeof path, "/proc/%.20s/comm", pid);
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	if (!file || !fgets(name, sizeof name, file))
		return;
	name[strcspn(name, "\n")] = '\0';
	buffer_printf(out, "%s\t", pid);
	buffer_escaped(out, name);
	buffer_char(out, '\n');
}

static void offer_processes(struct buffer *out)
{
	DIR *directory = opendir("/proc");
	struct dirent *entry;
	while (directory && (entry = readdir(directory)))
		if (isdigit((unsigned char)entry->d_name[0]) && is_ours(entry->d_name))
			offer_process(out, entry->d_name);
	if (directory)
		closedir(directory);
}

static void offer_commands(struct buffer *out, unsigned among)
{
	size_t count;
	const struct help_command *commands = help_commands(&count);
	for (size_t i = 0; i < count; i++)
		if (commands[i].command & among)
			offer(out, "", commands[i].usage, strcspn(commands[i].usage, " "), "",
			      commands[i].text, ".,;:");
}

static void offer_options(struct buffer *out, unsigned command)
{
	size_t count;
	const struct options_row *rows = options_rows(&count);
	for (size_t i = 0; i < count; i++)
		if (rows[i].commands & command)
			offer(out, "--", rows[i].name, strlen(rows[i].name), "", rows[i].text, "");
}

/* The table says "a|b", or its complaint "one of a|b", or "KIND=PATTERN, ... one of a|b". */
static void offer_value(struct buffer *out, const char *prefix, const struct options_row *row)
{
	static const char one_of[] = "one of ";
	const char *choices = row->expects ? strstr(row->expects, one_of) : NULL;
	if (!row->expects && strchr(row->value, '|'))
		offer_choices(out, prefix, row->value, "");
	else if (choices)
		offer_choices(out, prefix, choices + strlen(one_of),
			      strchr(row->value, '=') ? "=" : "");
	else if (strstr(row->value, "FILE"))
		buffer_string(out, ":files\n");
}

/* The part of a usage that stands for the operand of that number; the last one may repeat. */
static const char *operand_usage(const char *usage, size_t operand)
{
	const char *found = NULL;
	for (usage += strcspn(usage, " "); *usage; usage += strcspn(usage, " ")) {
		usage += strspn(usage, " ");
		if (strncmp(usage, "[OPTIONS]", 9) == 0 || strncmp(usage, "[--]", 4) == 0 ||
		    strncmp(usage, "--", 2) == 0)
			continue;
		found = usage;
		if (operand-- == 0)
			return found;
	}
	return found && strstr(found, "...") ? found : NULL;
}

static void offer_operand(struct buffer *out, const struct place *place)
{
	const char *usage = operand_usage(place->command->usage, place->operands);
	if (!usage)
		return;
	if (strncmp(usage, "PID", 3) == 0)
		offer_processes(out);
	else if (strncmp(usage, "[COMMAND]", 9) == 0)
		offer_commands(out, OPTIONS_TOPICS);
	else if (islower((unsigned char)*usage))
		offer_choices(out, "", usage, "");
	else
		buffer_string(out, ":files\n");
}

static void offer_at(const struct place *place, const char *word, struct buffer *out)
{
	const char *equals = strchr(word, '=');
	unsigned command = place->command ? place->command->command : OPTIONS_HELP;
	if (place->wants) {
		offer_value(out, "", place->wants);
	} else if (strncmp(word, "--", 2) == 0 && equals && !place->no_options) {
		const struct options_row *row = find_long(word);
		_cleanup_buffer_ struct buffer prefix = {0};
		buffer_append(&prefix, word, (size_t)(equals - word) + 1);
		if (row && row->value)
			offer_value(out, buffer_text(&prefix), row);
	} else if (word[0] == '-' && !place->no_options) {
		offer_options(out, command);
	} else if (!place->command) {
		offer_commands(out, ~0u);
	} else {
		offer_operand(out, place);
	}
}

void completion_offer(char *const words[], size_t count, struct buffer *out)
{
	struct place place = {0};
	for (size_t i = 0; i + 1 < count; i++) {
		if (note_word(&place, words[i]))
			continue;
		if (place.command)
			buffer_printf(out, ":program\t%zu\n", i);
		return;
	}
	if (place.command && place.command->command == OPTIONS_RUN && !place.wants &&
	    (words[count - 1][0] != '-' || place.no_options))
		buffer_printf(out, ":program\t%zu\n", count - 1);
	else
		offer_at(&place, words[count - 1], out);
}
