/* SPDX-License-Identifier: MIT */
#include "probe/jump_stub.h"

#include <string.h>

#include "agent/image.h"

static uint32_t header_field(size_t offset)
{
	uint32_t value;
	memcpy(&value, agent_image + offset, sizeof value);
	return value;
}

/* A 4-byte displacement at code + offset that ends its instruction, relative to the next one. */
static void put_relative(uint8_t *code, size_t offset, target_addr code_address, target_addr to)
{
	int32_t relative = (int32_t)(to.v - (code_address.v + offset + 4));
	memcpy(code + offset, &relative, sizeof relative);
}

/* The border between a stub and the image: by displacements, or from an outpost by pointers. */
struct passage {
	size_t image_field;   /* of struct agent_header */
	size_t outpost_field; /* of struct agent_outpost */
};

static const struct passage enter_passage = {.image_field = offsetof(struct agent_header, enter),
					     .outpost_field =
						     offsetof(struct agent_outpost, enter)};
static const struct passage leave_passage = {.image_field = offsetof(struct agent_header, leave),
					     .outpost_field =
						     offsetof(struct agent_outpost, leave)};
static const struct passage find_passage = {.image_field = offsetof(struct agent_header, find),
					    .outpost_field = offsetof(struct agent_outpost, find)};

/* A jump at stub + offset, of 5 bytes or 6. */
static void put_passage(uint8_t *stub, size_t offset, target_addr address,
			const struct passage *passage, target_addr code, target_addr outpost)
{
	if (outpost.v) {
		memcpy(stub + offset, "\xff\x25", 2); /* jmp *(%rip) */
		put_relative(stub, offset + 2, address,
			     target_addr_add(outpost, (int64_t)passage->outpost_field));
		return;
	}
	stub[offset] = 0xe9;
	put_relative(stub, offset + 1, address,
		     target_addr_add(code, header_field(passage->image_field)));
}

static void write_code(struct agent_stub *stub, target_addr code, target_addr outpost,
		       target_addr address)
{
	enum { CALL_OFFSET = offsetof(struct agent_stub, call_code) };
	target_addr window = target_addr_add(address, offsetof(struct agent_stub, window));
	uint8_t *bytes = (uint8_t *)stub;
	/* push %r11; lea stub(%rip),%r11; jmp enter (or find) */
	memcpy(stub->enter_code, "\x41\x53\x4c\x8d\x1d", 5);
	put_relative(bytes, 5, address, address);
	put_passage(bytes, 9, address,
		    stub->role == AGENT_UNWINDER ? &find_passage : &enter_passage, code, outpost);
	/* pop %r11; jmp window */
	memcpy(stub->plain_code, "\x41\x5b\xe9", 3);
	put_relative(bytes, offsetof(struct agent_stub, plain_code) + 3, address, window);
	/* mov AGENT_FRAME_R11(%rsp),%r11; call window; jmp leave */
	memcpy(stub->call_code, "\x4c\x8b\x5c\x24", 4);
	stub->call_code[4] = AGENT_FRAME_R11;
	stub->call_code[5] = 0xe8;
	put_relative(bytes, CALL_OFFSET + 6, address, window);
	put_passage(bytes, CALL_OFFSET + AGENT_CALL_RETURN, address, &leave_passage, code, outpost);
}

static void describe(struct agent_stub *stub, const struct probe_request *request)
{
	static const uint8_t roles[] = {
		[ALLOCATOR_CREATE] = AGENT_CREATE,
		[ALLOCATOR_RESIZE] = AGENT_RESIZE,
		[ALLOCATOR_RELEASE] = AGENT_RELEASE,
		[ALLOCATOR_HIDE] = AGENT_HIDE,
	};
	static const uint8_t results[] = {
		[ALLOCATOR_RETURNS_ADDRESS] = AGENT_RETURNS_ADDRESS,
		[ALLOCATOR_STORES_ADDRESS] = AGENT_STORES_ADDRESS,
		[ALLOCATOR_RETURNS_SIZE] = AGENT_RETURNS_SIZE,
	};
	const struct allocator_function *function = request->function;
	stub->module_start = request->text_start.v;
	stub->module_end = request->text_end.v;
	if (request->purpose == PROBE_LINKER) {
		stub->role = AGENT_LINKER;
		return;
	}
	if (request->purpose == PROBE_UNWINDER) {
		stub->role = AGENT_UNWINDER;
		return;
	}
	if (request->purpose == PROBE_CONFINEMENT) {
		stub->role = AGENT_CONFINEMENT;
		stub->size_argument = request->number_argument;
		stub->pointer_argument = request->option_argument;
		return;
	}
	stub->role = roles[function->role];
	stub->result = results[function->result];
	stub->size_argument = function->size_argument;
	stub->count_argument = function->count_argument;
	stub->size_constant = function->size_constant;
	stub->pointer_argument = function->pointer_argument;
	stub->result_argument = function->result_argument;
	stub->leaf = request->leaf;
}

struct error *jump_stub_build(const struct code_reader *reader, const struct probe_request *request,
			      const struct window *window, target_addr code, target_addr outpost,
			      target_addr address, struct agent_stub *ret)
{
	uint8_t copy[WINDOW_COPY_MAX_BYTES];
	size_t count;
	_Static_assert((int)WINDOW_COPY_MAX_BYTES <= (int)AGENT_WINDOW_MAX_BYTES,
		       "every copy has room in a stub");
	struct agent_stub stub;
	memset(&stub, 0xcc, sizeof stub); /* int3 where nothing is to run */
	struct error *err = window_relocate(
		reader, window, target_addr_add(address, offsetof(struct agent_stub, window)), copy,
		&count);
	if (err)
		return err;
	memcpy(stub.window, copy, count);
	memset(&stub.role, 0,
	       offsetof(struct agent_stub, window) - offsetof(struct agent_stub, role));
	describe(&stub, request);
	write_code(&stub, code, outpost, address);
	stub.site = window->entry.v;
	stub.replaced_count = CODE_JUMP_BYTES;
	memcpy(stub.replaced, window->bytes, CODE_JUMP_BYTES);
	*ret = stub;
	return NULL;
}
