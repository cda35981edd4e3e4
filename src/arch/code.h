/* SPDX-License-Identifier: MIT */
/*
 * Machine code of x86-64 as bytes: decoding, the exits of a function, relocation of instructions,
 * the encodings of patches. Pure functions; decoding is Zydis's.
 *
 * Owns: everything that depends on instruction encodings. Does not: read a target (bytes come
 * through a callback) or write one. Called by: probe planning; any thread. The code that is read
 * may be hostile: every function here ends and stays in bounds whatever the bytes.
 */
#ifndef ARCH_CODE_H
#define ARCH_CODE_H

#include "base/error.h"
#include "base/types.h"

enum {
	CODE_BREAKPOINT = 0xcc,
	CODE_BREAKPOINT_BYTES = 1,
	CODE_JUMP_BYTES = 5, /* jmp rel32 */
	CODE_INSTRUCTION_MAX_BYTES = 15,
	CODE_SLOT_MAX_BYTES = 48, /* holds any relocated instruction with its jumps and literal */
};

/*
 * How planning reads code; no member is NULL.
 *
 * `read` gives count bytes at address as they were before any patch of ours, false if it cannot
 * give all of them (it is then asked for fewer, down to one byte). `bounds` gives the extent
 * [start, end) of the function part around address (an FDE, else a symbol), false if unknown.
 * `pointer` gives the 8-byte word a `jmp *slot(%rip)` jumps through, false if it is unknown or may
 * still change (a lazily bound slot, a hook the program can set): then it is a computed jump.
 */
struct code_reader {
	bool (*read)(void *context, target_addr address, void *bytes, size_t count);
	bool (*bounds)(void *context, target_addr address, target_addr *start_ret,
		       target_addr *end_ret);
	bool (*pointer)(void *context, target_addr slot, target_addr *ret);
	void *context;
};

/*
 * The length in bytes of the instruction at address. Errors: ERROR_BAD_INPUT if it does not decode,
 * ERROR_FAULT if it cannot be read.
 */
struct error *code_length(const struct code_reader *reader, target_addr address,
			  size_t *length_ret);

/* Whether the instruction at address does nothing, as that of a static probe. */
bool code_is_nop(const struct code_reader *reader, target_addr address);

/*
 * The encoding of a `jmp rel32` that stands at `from` and goes to `to`; false, with bytes
 * untouched, where that is out of its reach of 2 GiB (Intel SDM volume 2, JMP).
 */
bool code_encode_jump(target_addr from, target_addr to, uint8_t bytes[CODE_JUMP_BYTES]);

/*
 * Invariant: the arrays are strictly ascending.
 *
 * `returns`: every near `ret` reachable from the entry without entering a call. Some may lie in
 * other functions (a tail jump was followed into them), where other callers run through them too.
 * `handovers`: the addresses stop_at() accepted that control can come to at the same stack level,
 * so that a probe there takes over. The entry itself is among them if the function jumps back to it
 * and stop_at() accepts it.
 *
 * `departures`: jumps that leave through a pointer (directly, or by way of a PLT entry) for a
 * function that others call, too (calloc leaves so for memset). Its returns are not looked for: the
 * call's end must be seen where the caller goes on.
 */
struct code_exits {
	target_addr *returns;
	size_t return_count, return_capacity;
	target_addr *handovers;
	size_t handover_count, handover_capacity;
	target_addr *departures;
	size_t departure_count, departure_capacity;
};

/*
 * Finds every way out of the function at entry: follows both sides of conditional jumps, direct
 * jumps wherever they lead (into a cold part, into the middle of another function), and falls
 * through calls; a call that ends its function part is taken not to return, and ud2, hlt and int3
 * end a path. Where a jump or the way on leads to an address that stop_at() accepts, that becomes a
 * handover and is not followed. stop_at may be NULL: none is accepted. Exceptions, longjmp and the
 * end of the thread are ways out that no code here shows.
 *
 * Errors: ERROR_UNSUPPORTED with the reason where some path cannot be known (a computed jump, a far
 * transfer, a call into the function itself that makes data of its return address, undecodable or
 * unreadable code, more than 4096 instructions): then the caller must use return sites instead.
 * ERROR_NO_MEMORY. *ret is written on success alone.
 */
struct error *code_find_exits(const struct code_reader *reader, target_addr entry,
			      bool (*stop_at)(void *context, target_addr address),
			      void *stop_context, struct code_exits *ret);
void code_exits_deinit(struct code_exits *exits);

#define _cleanup_code_exits_ __attribute__((__cleanup__(code_exits_deinit)))

/*
 * The out-of-line copy of one instruction.
 *
 * Invariant: 0 < count <= CODE_SLOT_MAX_BYTES; finished_offset, taken_offset < count, and differ
 * unless both are 0.
 */
struct code_slot {
	uint8_t bytes[CODE_SLOT_MAX_BYTES];
	size_t count;
	size_t length; /* of the original instruction */
	/* A thread stopped at this offset belongs at site + length; 0: it never falls through. */
	size_t finished_offset;
	/* A thread stopped at this offset belongs at `taken`; 0: there is no such place. */
	size_t taken_offset;
	target_addr taken;
};

/*
 * Builds the out-of-line copy of the instruction at site for execution at slot: rip-relative
 * operands and relative branches are rewritten to mean the same, an instruction that falls through
 * is followed by a jump back to site + length, a call becomes push of the original return address +
 * jump. No register, flag or memory other than the instruction's own is changed. Bytes from the end
 * of the code to `count` are a literal it reads; the slot's memory must be readable.
 *
 * What differs from running in place: a fault shows an address inside the slot (code_slot_resume
 * tells the site); where the target runs with a shadow stack, the copy of a call does not push to
 * it, so that calls must not be relocated there.
 *
 * Errors: ERROR_UNSUPPORTED with the reason: what it refers to is out of reach of 32 bits, or it
 * cannot run elsewhere (interrupts, system calls, far transfers, iret, xbegin, popf, loads of ss,
 * privileged and trapping instructions, those of the x87 unit, which records their address, a near
 * branch with an operand-size prefix, which processors read differently, eip-relative operands, a
 * call through or of the stack pointer that the push would disturb). ERROR_BAD_INPUT, ERROR_FAULT
 * as code_length. *ret is written on success alone.
 */
struct error *code_relocate(const struct code_reader *reader, target_addr site, target_addr slot,
			    struct code_slot *ret);

/*
 * The same for a slot anywhere: where a branch or the jump back is out of reach, it goes through an
 * address behind it. A rip-relative operand must still be in reach.
 */
struct error *code_relocate_far(const struct code_reader *reader, target_addr site,
				target_addr slot, struct code_slot *ret);

/*
 * Where a thread stopped at offset within a slot belongs in the original code; false where the copy
 * is half done (the two halves of a computed call) or offset is no instruction's: the thread must
 * run on first.
 */
bool code_slot_resume(const struct code_slot *slot, size_t offset, target_addr site,
		      target_addr *ret);

#endif
