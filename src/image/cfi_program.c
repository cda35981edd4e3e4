/* SPDX-License-Identifier: MIT */
#include <dwarf.h>
#include <string.h>

#include "image/cfi.h"

enum {
	/* DWARF register numbers of x86-64: psABI figure 3.36 */
	REGISTER_BP = 6,
	REGISTER_SP = 7,
	REGISTER_RA = CFI_RETURN_REGISTER,
	STATES_MAX = 8, /* remembered; compilers nest them once */
	OPERAND_MASK = 0x3f,
};

enum place {
	PLACE_UNKNOWN,	 /* the program never said */
	PLACE_SAME,	 /* DW_CFA_same_value */
	PLACE_UNDEFINED, /* DW_CFA_undefined */
	PLACE_AT_CFA,	 /* saved at CFA + offset */
	PLACE_AT_BP,	 /* saved at rbp + offset */
	PLACE_OTHER,	 /* anything else */
};

struct saved {
	enum place place;
	int64_t offset;
};

/* The rules of one row, as far as they matter to an unwind rule. */
struct state {
	enum unwind_kind kind; /* of the CFA: SP, BP, BP_DEREF, PLT or UNSUPPORTED */
	bool by_register;      /* kind follows from cfa_register: its parts may change alone */
	uint64_t cfa_register;
	int64_t cfa_offset;
	struct saved bp;
	struct saved sp; /* the caller's rsp is the CFA unless this is set */
	struct saved ra;
};

/* Invariant: location <= entry->end; remembered_count <= STATES_MAX. */
struct program {
	const struct cfi_entry *entry;
	const struct cfi_common *common;
	cfi_row_function *row;
	void *context;
	uint64_t location;
	struct state now;
	struct state initial; /* after the CIE's instructions */
	struct state remembered[STATES_MAX];
	size_t remembered_count;
};

static void set_cfa(struct state *state, uint64_t reg, int64_t offset)
{
	state->by_register = true;
	state->cfa_register = reg;
	state->cfa_offset = offset;
	state->kind = reg == REGISTER_SP   ? UNWIND_SP
		      : reg == REGISTER_BP ? UNWIND_BP
					   : UNWIND_UNSUPPORTED;
}

/* [breg6 offset] or, for a CFA, [breg6 offset; deref]. */
static bool is_at_bp(const uint8_t *bytes, size_t count, bool deref, int64_t *offset_ret)
{
	struct cursor cursor = {.at = bytes, .end = bytes + count};
	if (cursor_byte(&cursor) != DW_OP_breg6)
		return false;
	*offset_ret = cursor_sleb(&cursor);
	if (deref && cursor_byte(&cursor) != DW_OP_deref)
		return false;
	return !cursor.failed && cursor.at == cursor.end;
}

/*
 * What linkers write for lazy PLT entries: rsp + 8 + (((rip & 15) >= N) << 3). N depends on the
 * layout of an entry: 11 with `jmp; push; jmp`, 5, 9 or 10 in the variants for MPX and IBT.
 */
static bool is_plt(const uint8_t *bytes, size_t count, int64_t *offset_ret)
{
	static const uint8_t pattern[] = {DW_OP_breg7, 8,	  DW_OP_breg16, 0,
					  DW_OP_lit15, DW_OP_and, DW_OP_lit0,	DW_OP_ge,
					  DW_OP_lit3,  DW_OP_shl, DW_OP_plus};
	enum { VARIABLE = 6 };
	if (count != sizeof pattern || memcmp(bytes, pattern, VARIABLE) != 0 ||
	    memcmp(bytes + VARIABLE + 1, pattern + VARIABLE + 1, count - VARIABLE - 1) != 0)
		return false;
	*offset_ret = bytes[VARIABLE] - DW_OP_lit0;
	return *offset_ret >= 0 && *offset_ret <= 15;
}

static void set_cfa_expression(struct state *state, const uint8_t *bytes, size_t count)
{
	state->by_register = false;
	if (is_at_bp(bytes, count, true, &state->cfa_offset))
		state->kind = UNWIND_BP_DEREF;
	else if (is_plt(bytes, count, &state->cfa_offset))
		state->kind = UNWIND_PLT;
	else
		state->kind = UNWIND_UNSUPPORTED;
}

/* What state knows of a register; NULL for those that do not matter. */
static struct saved *find_saved(struct state *state, uint64_t reg)
{
	switch (reg) {
	case REGISTER_BP:
		return &state->bp;
	case REGISTER_SP:
		return &state->sp;
	case REGISTER_RA:
		return &state->ra;
	default:
		return NULL;
	}
}

static void set_place(struct program *program, uint64_t reg, enum place place, int64_t offset)
{
	struct saved *saved = find_saved(&program->now, reg);
	if (saved)
		*saved = (struct saved){place, offset};
}

/* An offset in units of data_alignment; out of range it becomes one that no rule can say. */
static int64_t scale(const struct program *program, int64_t factored)
{
	int64_t offset;
	return __builtin_mul_overflow(factored, program->common->data_alignment, &offset)
		       ? INT64_MAX
		       : offset;
}

static void set_at_cfa(struct program *program, uint64_t reg, int64_t factored)
{
	set_place(program, reg, PLACE_AT_CFA, scale(program, factored));
}

static void set_expression(struct program *program, uint64_t reg, const uint8_t *bytes,
			   size_t count)
{
	int64_t offset = 0;
	bool at_bp = is_at_bp(bytes, count, false, &offset);
	set_place(program, reg, at_bp ? PLACE_AT_BP : PLACE_OTHER, at_bp ? offset : 0);
}

static void restore(struct program *program, uint64_t reg)
{
	struct saved *saved = find_saved(&program->now, reg);
	if (saved)
		*saved = *find_saved(&program->initial, reg);
}

static bool fits_rule(int64_t offset)
{
	return offset >= INT32_MIN && offset <= INT32_MAX;
}

static void convert_bp(const struct state *state, struct unwind_rule *rule)
{
	rule->bp = UNWIND_BP_LOST;
	if (state->bp.place == PLACE_UNKNOWN || state->bp.place == PLACE_SAME) {
		rule->bp = UNWIND_BP_SAME;
	} else if (fits_rule(state->bp.offset)) {
		if (state->bp.place == PLACE_AT_CFA)
			rule->bp = UNWIND_BP_SAVED;
		else if (state->bp.place == PLACE_AT_BP)
			rule->bp = UNWIND_BP_SAVED_AT_BP;
	}
	if (rule->bp == UNWIND_BP_SAVED || rule->bp == UNWIND_BP_SAVED_AT_BP)
		rule->bp_offset = (int32_t)state->bp.offset;
}

static struct unwind_rule convert(const struct program *program)
{
	const struct state *state = &program->now;
	const struct unwind_rule unsupported = {.kind = UNWIND_UNSUPPORTED};
	if (program->common->signal)
		return (struct unwind_rule){.kind = UNWIND_SIGNAL};
	if (state->ra.place == PLACE_UNDEFINED)
		return (struct unwind_rule){.kind = UNWIND_END};
	if (state->ra.place != PLACE_AT_CFA || state->ra.offset != -8 ||
	    state->sp.place != PLACE_UNKNOWN || state->kind == UNWIND_UNSUPPORTED ||
	    !fits_rule(state->cfa_offset))
		return unsupported;
	struct unwind_rule rule = {.kind = state->kind, .cfa_offset = (int32_t)state->cfa_offset};
	convert_bp(state, &rule);
	return rule;
}

static uint32_t pack(struct unwind_rule rule)
{
	uint32_t packed = 0;
	if (unwind_rule_pack(&rule, &packed))
		return packed;
	/* without rbp the caller can still be found */
	rule.bp = UNWIND_BP_LOST;
	rule.bp_offset = 0;
	if (unwind_rule_pack(&rule, &packed))
		return packed;
	rule = (struct unwind_rule){.kind = UNWIND_UNSUPPORTED};
	(void)unwind_rule_pack(&rule, &packed);
	return packed;
}

/* Ends the present row at location. */
static struct error *advance_to(struct program *program, uint64_t location)
{
	if (location > program->entry->end)
		location = program->entry->end;
	if (location <= program->location)
		return NULL;
	struct error *err =
		program->row(program->context, program->location, pack(convert(program)));
	program->location = location;
	return err;
}

static struct error *advance_by(struct program *program, uint64_t delta)
{
	uint64_t bytes, location;
	if (__builtin_mul_overflow(delta, program->common->code_alignment, &bytes) ||
	    __builtin_add_overflow(program->location, bytes, &location))
		location = program->entry->end;
	return advance_to(program, location);
}

static bool remember(struct program *program)
{
	if (program->remembered_count == STATES_MAX)
		return false;
	program->remembered[program->remembered_count++] = program->now;
	return true;
}

static bool recall(struct program *program)
{
	if (program->remembered_count == 0)
		return false;
	program->now = program->remembered[--program->remembered_count];
	return true;
}

static bool change_cfa(struct program *program, uint64_t reg, int64_t offset)
{
	if (!program->now.by_register)
		return false;
	set_cfa(&program->now, reg, offset);
	return true;
}

static bool is_location(uint8_t code)
{
	return (code & ~OPERAND_MASK) == DW_CFA_advance_loc ||
	       (code >= DW_CFA_set_loc && code <= DW_CFA_advance_loc4);
}

static struct error *run_location(struct program *program, uint8_t code, struct cursor *cursor)
{
	switch (code) {
	case DW_CFA_set_loc: {
		uint64_t location = cfi_pointer_read(cursor, program->entry->section,
						     program->common->encoding);
		return cursor->failed ? NULL : advance_to(program, location);
	}
	case DW_CFA_advance_loc1: {
		uint8_t delta = cursor_byte(cursor);
		return cursor->failed ? NULL : advance_by(program, delta);
	}
	case DW_CFA_advance_loc2:
	case DW_CFA_advance_loc4: {
		uint64_t delta = cursor_fixed(cursor, (size_t)1 << (code - DW_CFA_advance_loc1));
		return cursor->failed ? NULL : advance_by(program, delta);
	}
	default:
		return advance_by(program, code & OPERAND_MASK);
	}
}

/* The instructions that change the CFA's rule; false if it is none of them or malformed. */
static bool run_cfa(struct program *program, uint8_t code, struct cursor *cursor)
{
	struct state *now = &program->now;
	switch (code) {
	case DW_CFA_def_cfa: {
		uint64_t reg = cursor_uleb(cursor);
		set_cfa(now, reg, (int64_t)cursor_uleb(cursor));
		return true;
	}
	case DW_CFA_def_cfa_sf: {
		uint64_t reg = cursor_uleb(cursor);
		set_cfa(now, reg, scale(program, cursor_sleb(cursor)));
		return true;
	}
	case DW_CFA_def_cfa_register:
		return change_cfa(program, cursor_uleb(cursor), now->cfa_offset);
	case DW_CFA_def_cfa_offset:
		return change_cfa(program, now->cfa_register, (int64_t)cursor_uleb(cursor));
	case DW_CFA_def_cfa_offset_sf:
		return change_cfa(program, now->cfa_register, scale(program, cursor_sleb(cursor)));
	case DW_CFA_def_cfa_expression: {
		uint64_t count = cursor_uleb(cursor);
		const uint8_t *bytes = cursor_skip(cursor, count);
		if (bytes)
			set_cfa_expression(now, bytes, count);
		return bytes;
	}
	default:
		return false;
	}
}

/* The instructions that change a register's rule; false if it is none of them or malformed. */
static bool run_register(struct program *program, uint8_t code, struct cursor *cursor)
{
	uint64_t reg = cursor_uleb(cursor);
	switch (code) {
	case DW_CFA_offset_extended:
		set_at_cfa(program, reg, (int64_t)cursor_uleb(cursor));
		return true;
	case DW_CFA_offset_extended_sf:
		set_at_cfa(program, reg, cursor_sleb(cursor));
		return true;
	case DW_CFA_GNU_negative_offset_extended:
		set_at_cfa(program, reg, (int64_t)-cursor_uleb(cursor));
		return true;
	case DW_CFA_restore_extended:
		restore(program, reg);
		return true;
	case DW_CFA_undefined:
		set_place(program, reg, PLACE_UNDEFINED, 0);
		return true;
	case DW_CFA_same_value:
		set_place(program, reg, PLACE_SAME, 0);
		return true;
	case DW_CFA_register:
	case DW_CFA_val_offset:
		cursor_uleb(cursor);
		set_place(program, reg, PLACE_OTHER, 0);
		return true;
	case DW_CFA_val_offset_sf:
		cursor_sleb(cursor);
		set_place(program, reg, PLACE_OTHER, 0);
		return true;
	case DW_CFA_expression:
	case DW_CFA_val_expression: {
		uint64_t count = cursor_uleb(cursor);
		const uint8_t *bytes = cursor_skip(cursor, count);
		if (bytes && code == DW_CFA_expression)
			set_expression(program, reg, bytes, count);
		else
			set_place(program, reg, PLACE_OTHER, 0);
		return bytes;
	}
	default:
		return false;
	}
}

/* Any instruction but those that move the location; false if it is unknown or malformed. */
static bool run_instruction(struct program *program, uint8_t code, struct cursor *cursor)
{
	switch (code & ~OPERAND_MASK) {
	case DW_CFA_offset:
		set_at_cfa(program, code & OPERAND_MASK, (int64_t)cursor_uleb(cursor));
		return true;
	case DW_CFA_restore:
		restore(program, code & OPERAND_MASK);
		return true;
	}
	switch (code) {
	case DW_CFA_nop:
		return true;
	case DW_CFA_remember_state:
		return remember(program);
	case DW_CFA_restore_state:
		return recall(program);
	case DW_CFA_GNU_args_size:
		cursor_uleb(cursor);
		return true;
	case DW_CFA_def_cfa:
	case DW_CFA_def_cfa_sf:
	case DW_CFA_def_cfa_register:
	case DW_CFA_def_cfa_offset:
	case DW_CFA_def_cfa_offset_sf:
	case DW_CFA_def_cfa_expression:
		return run_cfa(program, code, cursor);
	default:
		return run_register(program, code, cursor);
	}
}

/* Runs instructions until they end; *ok_ret false if one is malformed or unknown. */
static struct error *run(struct program *program, const uint8_t *bytes, size_t count, bool *ok_ret)
{
	struct cursor cursor = {.at = bytes, .end = bytes + count};
	*ok_ret = true;
	while (*ok_ret && cursor.at < cursor.end && program->location < program->entry->end) {
		uint8_t code = cursor_byte(&cursor);
		if (is_location(code)) {
			struct error *err = run_location(program, code, &cursor);
			if (err)
				return err;
		} else {
			*ok_ret = run_instruction(program, code, &cursor);
		}
		if (cursor.failed)
			*ok_ret = false;
	}
	return NULL;
}

struct error *cfi_program_run(const struct cfi_entry *entry, const struct cfi_common *common,
			      cfi_row_function *row, void *context)
{
	struct program program = {
		.entry = entry,
		.common = common,
		.row = row,
		.context = context,
		.location = entry->start,
		.now = {.kind = UNWIND_UNSUPPORTED},
	};
	bool ok;
	struct error *err = run(&program, common->program, common->program_bytes, &ok);
	if (err)
		return err;
	/* a CIE that moves the location describes no function */
	ok = ok && program.location == entry->start;
	program.initial = program.now;
	if (ok)
		err = run(&program, entry->program, entry->program_bytes, &ok);
	if (err)
		return err;
	if (!ok)
		program.now = (struct state){.kind = UNWIND_UNSUPPORTED};
	return advance_to(&program, entry->end);
}
