/* SPDX-License-Identifier: MIT */
#include "image/line_skim.h"

#include <dwarf.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "image/private.h"

/* More than any compiler gives one DIE, where the pass ends; each is looked for from the first. */
enum { ATTRIBUTES_MAX = 256 };

/* How the bytes of an attribute are passed over: DWARF 5, 7.5.5 and 7.5.6. */
enum skim_kind {
	SKIM_FIXED, /* so many bytes */
	SKIM_LEB,
	SKIM_STRING,
	SKIM_BLOCK,	/* their number stands before them, in so many bytes */
	SKIM_LEB_BLOCK, /* the same, as a LEB128 */
	SKIM_INDIRECT,	/* the form stands before the value */
	SKIM_UNKNOWN,
};

struct skim_form {
	uint8_t kind; /* enum skim_kind */
	uint8_t bytes;
};

/* forms[first_form .. first_form + form_count); fixed_bytes: of all of them, 0: they vary. */
struct skim_abbreviation {
	uint64_t code;
	bool wanted; /* a function or an inlined call */
	bool inlined;
	bool children;
	bool descends; /* into what may hold one */
	bool fixed;
	uint32_t fixed_bytes;
	uint32_t first_form, form_count;
	uint32_t sibling; /* the form that leads past its children, of those before; UINT32_MAX */
};

void line_skim_deinit(struct line_skim *skim)
{
	free(skim->abbreviations);
	free(skim->forms);
}

static struct skim_form fixed(unsigned bytes)
{
	return (struct skim_form){SKIM_FIXED, (uint8_t)bytes};
}

static struct skim_form form_of(const struct line_skim *skim, unsigned int form)
{
	switch (form) {
	case DW_FORM_flag_present:
	case DW_FORM_implicit_const:
		return fixed(0);
	case DW_FORM_data1:
	case DW_FORM_ref1:
	case DW_FORM_flag:
	case DW_FORM_strx1:
	case DW_FORM_addrx1:
		return fixed(1);
	case DW_FORM_data2:
	case DW_FORM_ref2:
	case DW_FORM_strx2:
	case DW_FORM_addrx2:
		return fixed(2);
	case DW_FORM_strx3:
	case DW_FORM_addrx3:
		return fixed(3);
	case DW_FORM_data4:
	case DW_FORM_ref4:
	case DW_FORM_strx4:
	case DW_FORM_addrx4:
	case DW_FORM_ref_sup4:
		return fixed(4);
	case DW_FORM_data8:
	case DW_FORM_ref8:
	case DW_FORM_ref_sig8:
	case DW_FORM_ref_sup8:
		return fixed(8);
	case DW_FORM_data16:
		return fixed(16);
	case DW_FORM_addr:
		return fixed(skim->address_size);
	case DW_FORM_ref_addr:
		return fixed(skim->version <= 2 ? skim->address_size : skim->offset_size);
	case DW_FORM_strp:
	case DW_FORM_line_strp:
	case DW_FORM_strp_sup:
	case DW_FORM_sec_offset:
	case DW_FORM_GNU_ref_alt:
	case DW_FORM_GNU_strp_alt:
		return fixed(skim->offset_size);
	case DW_FORM_sdata:
	case DW_FORM_udata:
	case DW_FORM_ref_udata:
	case DW_FORM_strx:
	case DW_FORM_addrx:
	case DW_FORM_loclistx:
	case DW_FORM_rnglistx:
	case DW_FORM_GNU_addr_index:
	case DW_FORM_GNU_str_index:
		return (struct skim_form){SKIM_LEB, 0};
	case DW_FORM_string:
		return (struct skim_form){SKIM_STRING, 0};
	case DW_FORM_block1:
		return (struct skim_form){SKIM_BLOCK, 1};
	case DW_FORM_block2:
		return (struct skim_form){SKIM_BLOCK, 2};
	case DW_FORM_block4:
		return (struct skim_form){SKIM_BLOCK, 4};
	case DW_FORM_block:
	case DW_FORM_exprloc:
		return (struct skim_form){SKIM_LEB_BLOCK, 0};
	case DW_FORM_indirect:
		return (struct skim_form){SKIM_INDIRECT, 0};
	default:
		return (struct skim_form){SKIM_UNKNOWN, 0};
	}
}

/* Signed and unsigned ones end alike, but are not too long for the same numbers. */
static void skip_leb(struct cursor *bytes)
{
	while (bytes->at < bytes->end && *bytes->at & 0x80)
		bytes->at++;
	cursor_skip(bytes, 1);
}

static void skip_form(const struct line_skim *skim, struct cursor *bytes, struct skim_form form)
{
	if (form.kind == SKIM_INDIRECT)
		form = form_of(skim, (unsigned int)cursor_uleb(bytes));
	switch ((enum skim_kind)form.kind) {
	case SKIM_FIXED:
		cursor_skip(bytes, form.bytes);
		return;
	case SKIM_LEB:
		skip_leb(bytes);
		return;
	case SKIM_STRING:
		cursor_string(bytes);
		return;
	case SKIM_BLOCK:
		cursor_skip(bytes, cursor_fixed(bytes, form.bytes));
		return;
	case SKIM_LEB_BLOCK:
		cursor_skip(bytes, cursor_uleb(bytes));
		return;
	case SKIM_INDIRECT:
	case SKIM_UNKNOWN:
		bytes->failed = true;
	}
}

/* ---- abbreviations */

static void set_tag(struct skim_abbreviation *one, unsigned int tag)
{
	one->inlined = tag == DW_TAG_inlined_subroutine;
	one->wanted = one->inlined || tag == DW_TAG_subprogram;
	one->descends = line_walk_descends(tag);
}

static struct error *add_forms(struct line_skim *skim, Dwarf_Abbrev *abbreviation,
			       struct skim_abbreviation *one)
{
	one->fixed = true;
	one->sibling = UINT32_MAX;
	one->first_form = (uint32_t)skim->form_count;
	for (size_t i = 0; i <= ATTRIBUTES_MAX; i++) {
		unsigned int name, form;
		/* Not dwarf_getattrcnt: that of libdw 0.188 counts constants of DWARF 5 as more. */
		if (dwarf_getabbrevattr_data(abbreviation, i, &name, &form, NULL, NULL) != 0)
			break;
		if (!array_reserve(&skim->forms, &skim->form_capacity, skim->form_count + 1,
				   sizeof *skim->forms))
			return error_no_memory();
		struct skim_form known = form_of(skim, form);
		if (i == ATTRIBUTES_MAX)
			known.kind = SKIM_UNKNOWN;
		if (name == DW_AT_sibling && known.kind == SKIM_FIXED)
			one->sibling = (uint32_t)i;
		one->fixed &= known.kind == SKIM_FIXED;
		one->fixed_bytes += known.bytes;
		skim->forms[skim->form_count++] = known;
	}
	one->form_count = (uint32_t)skim->form_count - one->first_form;
	return NULL;
}

static int compare(const void *left, const void *right)
{
	const struct skim_abbreviation *a = left, *b = right;
	return (a->code > b->code) - (a->code < b->code);
}

static struct error *read_abbreviations(struct line_skim *skim, Dwarf_Die *root)
{
	Dwarf_Off offset = 0;
	size_t length;
	Dwarf_Abbrev *abbreviation;
	while ((abbreviation = dwarf_getabbrev(root, offset, &length)) &&
	       abbreviation != DWARF_END_ABBREV && length) {
		if (!array_reserve(&skim->abbreviations, &skim->abbreviation_capacity,
				   skim->abbreviation_count + 1, sizeof *skim->abbreviations))
			return error_no_memory();
		struct skim_abbreviation *one = &skim->abbreviations[skim->abbreviation_count++];
		*one = (struct skim_abbreviation){
			.code = dwarf_getabbrevcode(abbreviation),
			.children = dwarf_abbrevhaschildren(abbreviation) > 0};
		set_tag(one, dwarf_getabbrevtag(abbreviation));
		struct error *err = add_forms(skim, abbreviation, one);
		if (err)
			return err;
		offset += length;
	}
	if (skim->abbreviation_count)
		qsort(skim->abbreviations, skim->abbreviation_count, sizeof *skim->abbreviations,
		      compare);
	return NULL;
}

static __attribute__((noinline)) const struct skim_abbreviation *
find_unusual(const struct line_skim *skim, uint64_t code)
{
	const struct skim_abbreviation wanted = {.code = code};
	return skim->abbreviation_count ? bsearch(&wanted, skim->abbreviations,
						  skim->abbreviation_count, sizeof wanted, compare)
					: NULL;
}

/* Compilers number them from 1. */
static inline const struct skim_abbreviation *find(const struct line_skim *skim, uint64_t code)
{
	uint64_t i = code - 1;
	return i < skim->abbreviation_count && skim->abbreviations[i].code == code
		       ? &skim->abbreviations[i]
		       : find_unusual(skim, code);
}

/* ---- the pass */

/* Reads a code, most of which have one byte. */
static inline uint64_t read_code(struct cursor *bytes)
{
	if (bytes->at < bytes->end && !(*bytes->at & 0x80))
		return *bytes->at++;
	return cursor_uleb(bytes);
}

static inline void skip_attributes(const struct line_skim *skim, struct cursor *bytes,
				   const struct skim_abbreviation *one)
{
	if (__builtin_expect(one->fixed, 1)) {
		if ((size_t)(bytes->end - bytes->at) >= one->fixed_bytes)
			bytes->at += one->fixed_bytes;
		else
			bytes->failed = true;
		return;
	}
	for (uint32_t i = 0; i < one->form_count && !bytes->failed; i++)
		skip_form(skim, bytes, skim->forms[one->first_form + i]);
}

/* Where DW_AT_sibling of the DIE with these attributes leads; NULL: it has none of use.
 */
static const uint8_t *sibling_of(const struct line_skim *skim, const uint8_t *attributes,
				 const struct skim_abbreviation *one)
{
	struct cursor bytes = {.at = attributes, .end = skim->bytes.end};
	if (one->sibling == UINT32_MAX)
		return NULL;
	for (uint32_t i = 0; i < one->sibling; i++)
		skip_form(skim, &bytes, skim->forms[one->first_form + i]);
	uint64_t offset = cursor_fixed(&bytes, skim->forms[one->first_form + one->sibling].bytes);
	if (bytes.failed || offset > (uint64_t)(bytes.end - skim->unit))
		return NULL;
	return skim->unit + offset;
}

/* Passes over all children of a DIE, whose attributes were passed over. */
static void skip_children(const struct line_skim *skim, struct cursor *bytes)
{
	uint64_t open = 1;
	while (open && !bytes->failed) {
		uint64_t code = read_code(bytes);
		if (code == 0) {
			open--;
			continue;
		}
		const struct skim_abbreviation *one = find(skim, code);
		if (!one) {
			bytes->failed = true;
			return;
		}
		skip_attributes(skim, bytes, one);
		open += one->children;
	}
}

/* What comes next are the children, or what follows them where nobody is to be met among them. */
static void enter_or_skip(struct line_skim *skim, const struct skim_abbreviation *one,
			  const uint8_t *attributes)
{
	if (one->descends && skim->depth + 1 < LINE_DEPTH_MAX) {
		skim->enclosing[skim->depth + 1] = skim->enclosing[skim->depth];
		skim->depth++;
		return;
	}
	const uint8_t *sibling = sibling_of(skim, attributes, one);
	if (sibling && sibling > skim->bytes.at)
		skim->bytes.at = sibling;
	else
		skip_children(skim, &skim->bytes);
}

static void meet(struct line_skim *skim, const struct skim_abbreviation *one, const uint8_t *at)
{
	skim->die.addr = (void *)(uintptr_t)at;
	skim->die.abbrev = NULL;
	skim->inlined = one->inlined;
	skim->parent = skim->enclosing[skim->depth];
	skim->inside = &skim->enclosing[LINE_DEPTH_MAX]; /* nobody's */
}

bool line_skim_next(struct line_skim *skim)
{
	struct cursor *bytes = &skim->bytes;
	while (!bytes->failed && bytes->at < bytes->end) {
		const uint8_t *at = bytes->at;
		uint64_t code = read_code(bytes);
		if (code == 0) {
			if (!skim->depth)
				return false;
			skim->depth--;
			continue;
		}
		const struct skim_abbreviation *one = find(skim, code);
		if (!one)
			return false;
		const uint8_t *attributes = bytes->at;
		skip_attributes(skim, bytes, one);
		if (bytes->failed)
			return false;
		if (!one->wanted && !one->children)
			continue;
		if (one->wanted)
			meet(skim, one, at);
		size_t depth = skim->depth;
		if (one->children)
			enter_or_skip(skim, one, attributes);
		if (!one->wanted)
			continue;
		if (skim->depth > depth)
			skim->inside = &skim->enclosing[skim->depth];
		return true;
	}
	return false;
}

/* ---- the unit's bytes */

/* The section's bytes as libdw has them, if the address lies in them. */
static bool find_section(Elf *elf, const uint8_t *address, const uint8_t **end_ret)
{
	static const char *const names[] = {".debug_info", ".zdebug_info", ".debug_info.dwo",
					    ".zdebug_info.dwo"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const Elf_Data *data = image_section(elf, names[i], NULL);
		const uint8_t *start = data ? data->d_buf : NULL;
		if (!start || address < start || address >= start + data->d_size)
			continue;
		*end_ret = start + data->d_size;
		return true;
	}
	return false;
}

/* The bytes of the unit, which its header says it has. */
static bool find_bytes(struct line_skim *skim, Dwarf_Die *root)
{
	const uint8_t *address = root->addr, *end;
	if (!find_section(dwarf_getelf(dwarf_cu_getdwarf(root->cu)), address, &end))
		return false;
	uint64_t before = dwarf_cuoffset(root);
	skim->unit = address - before;
	struct cursor header = {.at = skim->unit, .end = end};
	uint64_t length = cursor_fixed(&header, 4);
	if (length == UINT32_MAX)
		length = cursor_fixed(&header, 8);
	if (header.failed || length > (uint64_t)(end - header.at) || header.at + length <= address)
		return false;
	skim->bytes = (struct cursor){.at = address, .end = header.at + length};
	return true;
}

/* The unit's own DIE; false: it has no children. */
static bool skip_root(struct line_skim *skim)
{
	const struct skim_abbreviation *root = find(skim, read_code(&skim->bytes));
	if (!root || !root->children)
		return false;
	skip_attributes(skim, &skim->bytes, root);
	return !skim->bytes.failed;
}

struct error *line_skim_init(struct line_skim *skim, const Dwarf_Die *root, uint32_t outermost,
			     bool *known_ret)
{
	Dwarf_Half version;
	Dwarf_Die own = *root;
	skim->abbreviations = NULL;
	skim->abbreviation_count = skim->abbreviation_capacity = 0;
	skim->forms = NULL;
	skim->form_count = skim->form_capacity = 0;
	skim->depth = 0;
	skim->enclosing[0] = outermost;
	skim->die = *root;
	*known_ret = dwarf_cu_info(root->cu, &version, NULL, NULL, NULL, NULL, &skim->address_size,
				   &skim->offset_size) == 0 &&
		     find_bytes(skim, &own);
	skim->version = *known_ret ? (uint8_t)version : 0;
	struct error *err = *known_ret ? read_abbreviations(skim, &own) : NULL;
	if (!err && *known_ret)
		*known_ret = skip_root(skim);
	return err;
}
