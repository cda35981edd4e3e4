/* SPDX-License-Identifier: MIT */
#include "arch/operand.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { REGISTERS = 16, WIDTHS = 4, NAME_MAX_BYTES = 8 };

/* By the numbers that instructions encode; of 8, 4, 2 and 1 bytes. */
static const char names[REGISTERS][WIDTHS][NAME_MAX_BYTES] = {
	{"rax", "eax", "ax", "al"},	 {"rcx", "ecx", "cx", "cl"},
	{"rdx", "edx", "dx", "dl"},	 {"rbx", "ebx", "bx", "bl"},
	{"rsp", "esp", "sp", "spl"},	 {"rbp", "ebp", "bp", "bpl"},
	{"rsi", "esi", "si", "sil"},	 {"rdi", "edi", "di", "dil"},
	{"r8", "r8d", "r8w", "r8b"},	 {"r9", "r9d", "r9w", "r9b"},
	{"r10", "r10d", "r10w", "r10b"}, {"r11", "r11d", "r11w", "r11b"},
	{"r12", "r12d", "r12w", "r12b"}, {"r13", "r13d", "r13w", "r13b"},
	{"r14", "r14d", "r14w", "r14b"}, {"r15", "r15d", "r15w", "r15b"},
};

static const char second_bytes[][NAME_MAX_BYTES] = {"ah", "ch", "dh", "bh"};

/* What is left of one argument. Invariant: at <= end */
struct scan {
	const char *at, *end;
};

static bool take(struct scan *scan, char c)
{
	if (scan->at == scan->end || *scan->at != c)
		return false;
	scan->at++;
	return true;
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '$' || c == '@';
}

static size_t word_length(const struct scan *scan)
{
	size_t length = 0;
	while (scan->at + length < scan->end && is_word(scan->at[length]))
		length++;
	return length;
}

/* A number with its sign, in base 10, 16 or 8 as in C. */
static bool take_number(struct scan *scan, int64_t *ret)
{
	enum { DIGITS_MAX = 32 };
	char text[DIGITS_MAX + 1], *end;
	size_t length = 0;
	while (length < DIGITS_MAX && scan->at + length < scan->end &&
	       (isxdigit((unsigned char)scan->at[length]) ||
		(scan->at[length] != '\0' && strchr("xX", scan->at[length])) ||
		(length == 0 && strchr("+-", scan->at[length]))))
		length++;
	memcpy(text, scan->at, length);
	text[length] = '\0';
	const char *digits = text + (*text == '-' || *text == '+');
	if (!isdigit((unsigned char)*digits))
		return false;
	errno = 0;
	uint64_t magnitude = strtoull(digits, &end, 0);
	if (errno || *end)
		return false;
	*ret = (int64_t)(*text == '-' ? -magnitude : magnitude);
	scan->at += length;
	return true;
}

static bool is_name(const char *name, const char *text, size_t length)
{
	return strlen(name) == length && memcmp(name, text, length) == 0;
}

/* The register that is named next; false where there is none of ours. */
static bool take_register(struct scan *scan, int *ret, bool *second_ret)
{
	if (!take(scan, '%'))
		return false;
	size_t length = word_length(scan);
	const char *text = scan->at;
	scan->at += length;
	*second_ret = false;
	for (int i = 0; i < REGISTERS; i++)
		for (int width = 0; width < WIDTHS; width++)
			if (is_name(names[i][width], text, length)) {
				*ret = i;
				return true;
			}
	*second_ret = true;
	for (size_t i = 0; i < sizeof second_bytes / sizeof *second_bytes; i++)
		if (is_name(second_bytes[i], text, length)) {
			*ret = (int)i;
			return true;
		}
	return false;
}

static bool take_scale(struct scan *scan, unsigned *ret)
{
	int64_t number;
	if (!take_number(scan, &number) ||
	    (number != 1 && number != 2 && number != 4 && number != 8))
		return false;
	*ret = (unsigned)number;
	return true;
}

/* "%rbp)", "%rax,%r15)", "%rax,%rbx,8)", ",%rbx,8)" */
static bool take_registers(struct scan *scan, struct operand *ret)
{
	bool second = false, other = false;
	if (scan->at < scan->end && *scan->at == '%' && !take_register(scan, &ret->base, &second))
		return false;
	if (take(scan, ',') && (!take_register(scan, &ret->index, &other) ||
				(take(scan, ',') && !take_scale(scan, &ret->scale))))
		return false;
	return !second && !other && take(scan, ')') && (ret->base >= 0 || ret->index >= 0);
}

/* "name(%rip)", "name+8(%rip)", "8+name(%rip)" */
static bool take_symbol(struct scan *scan, struct operand *ret)
{
	static const char relative[] = "(%rip)";
	take(scan, '+');
	ret->symbol = scan->at;
	ret->symbol_length = word_length(scan);
	scan->at += ret->symbol_length;
	int64_t more = 0;
	if (scan->at < scan->end && strchr("+-", *scan->at) && !take_number(scan, &more))
		return false;
	ret->number = (int64_t)((uint64_t)ret->number + (uint64_t)more);
	if (!ret->symbol_length || (size_t)(scan->end - scan->at) != strlen(relative) ||
	    memcmp(scan->at, relative, strlen(relative)) != 0)
		return false;
	scan->at = scan->end;
	return true;
}

static bool take_memory(struct scan *scan, struct operand *ret)
{
	ret->kind = OPERAND_MEMORY;
	if (!take_number(scan, &ret->number))
		ret->number = 0;
	return take(scan, '(') ? take_registers(scan, ret) : take_symbol(scan, ret);
}

static bool take_operand(struct scan *scan, struct operand *ret)
{
	if (take(scan, '$')) {
		ret->kind = OPERAND_CONSTANT;
		return take_number(scan, &ret->number);
	}
	if (scan->at < scan->end && *scan->at == '%') {
		ret->kind = OPERAND_REGISTER;
		return take_register(scan, &ret->base, &ret->is_second_byte);
	}
	return take_memory(scan, ret);
}

/* "8@", "-4@": negative for a signed value. */
static bool take_size(struct scan *scan, struct operand *ret)
{
	ret->is_signed = take(scan, '-');
	if (scan->at == scan->end || !strchr("1248", *scan->at))
		return false;
	ret->size_bytes = (unsigned)(*scan->at++ - '0');
	return take(scan, '@');
}

struct error *operand_parse(const char *text, struct operand *ret)
{
	text += strspn(text, " ");
	size_t length = strcspn(text, " ");
	struct scan scan = {text, text + length};
	struct operand operand = {
		.base = OPERAND_NO_REGISTER, .index = OPERAND_NO_REGISTER, .scale = 1};
	if (!length)
		return error_new(ERROR_NOT_FOUND, "it has no argument");
	if (!take_size(&scan, &operand) || !take_operand(&scan, &operand) || scan.at != scan.end)
		return error_new(ERROR_UNSUPPORTED, "its argument '%.*s' is of no known form",
				 length < 256 ? (int)length : 256, text);
	*ret = operand;
	return NULL;
}

static uint64_t register_of(const struct user_regs_struct *registers, int number)
{
	const unsigned long long by_number[REGISTERS] = {
		registers->rax, registers->rcx, registers->rdx, registers->rbx,
		registers->rsp, registers->rbp, registers->rsi, registers->rdi,
		registers->r8,	registers->r9,	registers->r10, registers->r11,
		registers->r12, registers->r13, registers->r14, registers->r15,
	};
	return number < 0 ? 0 : by_number[number];
}

target_addr operand_address(const struct operand *operand, const struct user_regs_struct *registers,
			    target_addr symbol)
{
	uint64_t address = (uint64_t)operand->number;
	if (operand->symbol_length)
		return (target_addr){address + symbol.v};
	return (target_addr){address + register_of(registers, operand->base) +
			     register_of(registers, operand->index) * operand->scale};
}

uint64_t operand_extend(const struct operand *operand, uint64_t raw)
{
	unsigned unused_bits = 64 - 8 * operand->size_bytes;
	uint64_t top = raw << unused_bits;
	return operand->is_signed ? (uint64_t)((int64_t)top >> unused_bits) : top >> unused_bits;
}

uint64_t operand_value(const struct operand *operand, const struct user_regs_struct *registers)
{
	uint64_t raw = operand->kind == OPERAND_CONSTANT ? (uint64_t)operand->number
							 : register_of(registers, operand->base);
	return operand_extend(operand, operand->is_second_byte ? raw >> 8 : raw);
}
