/* SPDX-License-Identifier: MIT */
/*
 * Random C functions for compilers to make code of: each takes six integers and gives one, ends
 * soon whatever they are, and reads and writes a table of its own. Included once by a test program.
 */
#ifndef TESTS_UNIT_ARCH_GENERATED_H
#define TESTS_UNIT_ARCH_GENERATED_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

struct generator {
	FILE *file;
	uint64_t seed;
	int number; /* of the function */
};

static inline unsigned pick(struct generator *generator, unsigned limit)
{
	generator->seed ^= generator->seed >> 12;
	generator->seed ^= generator->seed << 25;
	generator->seed ^= generator->seed >> 27;
	return (unsigned)((generator->seed * 0x2545f4914f6cdd1du) >> 40) % limit;
}

static inline void put_variable(struct generator *generator)
{
	static const char *const names[] = {"a", "a", "b", "c", "d", "e", "f", "x", "y", "z"};
	fputs(names[pick(generator, 10)], generator->file);
}

static inline void put_expression(struct generator *generator, int depth)
{
	static const char *const binary[] = {"+", "-", "*", "^", "&", "|"};
	FILE *file = generator->file;
	switch (depth > 2 ? pick(generator, 2) : pick(generator, 9)) {
	case 0:
	case 3:
	case 4:
		put_variable(generator);
		return;
	case 1:
		fprintf(file, "%uL",
			pick(generator, 2) ? pick(generator, 100) : pick(generator, 1u << 20));
		return;
	case 2:
		fputs("table[63 & ", file);
		put_variable(generator);
		fputs("]", file);
		return;
	case 5:
		fputs("(long)(((unsigned __int128)(unsigned long)", file);
		put_variable(generator);
		fprintf(file, " * %uUL) >> 61)", 3 + pick(generator, 1u << 20));
		return;
	case 6:
		fputs("(long)((unsigned long)", file);
		put_variable(generator);
		fputs(" / (1 + (unsigned long)(15 & ", file);
		put_variable(generator);
		fputs(")))", file);
		return;
	default:
		fputs("(", file);
		put_expression(generator, depth + 1);
		fputs(binary[pick(generator, 6)], file);
		put_expression(generator, depth + 1);
		fputs(")", file);
	}
}

static inline void put_condition(struct generator *generator)
{
	static const char *const relations[] = {"<", ">=", "==", "!="};
	put_expression(generator, 2);
	fputs(relations[pick(generator, 4)], generator->file);
	put_expression(generator, 2);
}

static inline void put_block(struct generator *generator, int depth, int loops);

static inline void put_assignment(struct generator *generator)
{
	fputs("\t", generator->file);
	put_variable(generator);
	fputs(" = ", generator->file);
	put_expression(generator, 0);
	fputs(";\n", generator->file);
}

static inline void put_call(struct generator *generator, int loops)
{
	fputs("\t", generator->file);
	put_variable(generator);
	if (loops || pick(generator, 3) || generator->number == 0)
		fprintf(generator->file, " = helper%u(", pick(generator, 3));
	else
		fprintf(generator->file, " = f%d(a, 3, x, d, ", generator->number - 1);
	put_expression(generator, 1);
	fputs(", ", generator->file);
	put_expression(generator, 1);
	fputs(");\n", generator->file);
}

static inline void put_branch(struct generator *generator, int depth, int loops)
{
	fputs("\tif (", generator->file);
	put_condition(generator);
	fputs(") {\n", generator->file);
	put_block(generator, depth + 1, loops);
	if (pick(generator, 2)) {
		fputs("\t} else {\n", generator->file);
		put_block(generator, depth + 1, loops);
	}
	fputs("\t}\n", generator->file);
}

static inline void put_loop(struct generator *generator, int depth, int loops)
{
	fprintf(generator->file, "\tfor (long i%d = 7 & ", depth);
	put_variable(generator);
	fprintf(generator->file, "; i%d > 0; i%d--) {\n", depth, depth);
	put_block(generator, depth + 1, loops + 1);
	fputs("\t}\n", generator->file);
}

static inline void put_statement(struct generator *generator, int depth, int loops)
{
	FILE *file = generator->file;
	unsigned kind = pick(generator, 14);
	if (kind < 4 || depth > 3) {
		put_assignment(generator);
	} else if (kind < 6) {
		put_call(generator, loops);
	} else if (kind < 9) {
		put_branch(generator, depth, loops);
	} else if (kind < 10 && loops < 2) {
		put_loop(generator, depth, loops);
	} else if (kind < 11) {
		fputs("\tif (", file);
		put_condition(generator);
		fputs(")\n\t\treturn ", file);
		put_expression(generator, 0);
		fputs(";\n", file);
	} else if (kind < 12) {
		fputs("\ttable[63 & ", file);
		put_variable(generator);
		fputs("] = ", file);
		put_expression(generator, 0);
		fputs(";\n", file);
	} else if (kind < 13) {
		fputs("\tif (never)\n\t\tstop();\n", file);
	} else {
		fprintf(file, "\tif (f > 0 && f < 4 && !%d)\n\t\tx = f%d(y, b, c, a, e, f - 1);\n",
			loops, generator->number);
	}
}

static inline void put_block(struct generator *generator, int depth, int loops)
{
	for (unsigned i = 1 + pick(generator, depth ? 2 : 5); i > 0; i--)
		put_statement(generator, depth, loops);
}

static inline void put_function(struct generator *generator)
{
	fprintf(generator->file,
		"__attribute__((noinline)) long f%d(long a, long b, long c, long d, long e, long "
		"f)\n"
		"{\n\tlong x = 1, y = b, z = a;\n",
		generator->number);
	put_block(generator, 0, 0);
	fputs("\treturn ", generator->file);
	put_expression(generator, 1);
	fputs(";\n}\n\n", generator->file);
}

/* Writes count functions f0, f1, ... */
static inline void put_functions(FILE *file, uint64_t seed, int count)
{
	struct generator generator = {.file = file, .seed = seed};
	fputs("#include <stdlib.h>\n"
	      "static volatile long table[64];\nint never;\n"
	      "__attribute__((noinline, noreturn)) static void stop(void) { abort(); }\n",
	      file);
	for (int i = 0; i < 3; i++)
		fprintf(file,
			"__attribute__((noinline)) static long helper%d(long a, long b)\n"
			"{\n\tfor (int i = 0; i < %d; i++)\n\t\ttable[i] += a - b;\n"
			"\treturn table[63 & b] ^ a;\n}\n\n",
			i, i * 2);
	for (generator.number = 0; generator.number < count; generator.number++)
		put_function(&generator);
}

#endif
