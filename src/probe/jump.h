/* SPDX-License-Identifier: MIT */
/*
 * Jump probes: the agent in one space, and the jumps that lead into it.
 *
 * Owns: where agent and stubs lie in the target, which bytes were replaced and what they were. Does
 * not: stop threads, borrow one, or read rings (session does; rings). Tracer thread.
 *
 * The order, so that at every step the target can go on alone:
 *     plan      decode and decide; nothing is touched
 *     settle    map agent and rings through a borrowed thread; nothing leads there yet
 *     prepare   write stubs with the relocated instructions
 *     write     with every running thread stopped, none of them within the bytes: one write a jump
 *     remove    with every running thread stopped: one write a jump; the agent stays mapped, for a
 *               thread may be in it
 */
#ifndef PROBE_JUMP_H
#define PROBE_JUMP_H

#include "agent/abi.h"
#include "probe/channel.h"
#include "probe/precedents.h"
#include "probe/probe.h"
#include "target/remote.h"

struct jumps;

/* precedents: the session's, which outlives the jumps; plans are looked up there, and noted. */
struct error *jumps_create(const struct target_space *space, const struct code_reader *reader,
			   struct precedents *precedents, struct jumps **ret);

/*
 * Those of a forked child: same places, same bytes. Its agent is off until jumps_arm; the channel,
 * which has room for one process more then, is its parent's.
 */
struct error *jumps_copy(const struct jumps *jumps, const struct target_space *space,
			 const struct code_reader *reader, struct jumps **ret);

/* Frees the description; what is in the target stays. NULL is legal. */
void jumps_destroy(struct jumps *jumps);

/*
 * Looks for an agent that an earlier session left in the space: the predecessor. Its jumps, if any
 * are in place, are from now on undone in what jumps_undo gives. An agent of this very version is
 * used again. *found_ret: how many jumps stand.
 */
struct error *jumps_adopt(struct jumps *jumps, size_t *found_ret);

/* Whether there is something of a predecessor that is not known to be at rest. */
bool jumps_have_predecessor(const struct jumps *jumps);

/* With every running thread stopped: takes its jumps out, and turns it off. Idempotent. */
struct error *jumps_retire_predecessor(struct jumps *jumps);

/*
 * With every running thread stopped, none of them in the agent (jumps_hold): whether nobody, not
 * even a handler's interrupted thread, is at work in it. It is then at rest, and its memory
 * replaced.
 */
bool jumps_predecessor_rests(struct jumps *jumps);

/*
 * Plans a jump. ERROR_UNSUPPORTED with the reason where there can be none; an alias of a planned
 * function is no error.
 */
struct error *jumps_plan(struct jumps *jumps, const struct probe_request *request);

/* Withdraws what is planned and not written, for [start, end). */
void jumps_withdraw(struct jumps *jumps, target_addr start, target_addr end);

/* Whether something is planned that is not written. */
bool jumps_are_pending(const struct jumps *jumps);

/* Whether the agent is in place. */
bool jumps_are_settled(const struct jumps *jumps);

/*
 * Maps agent and rings; depth: frames of a stack. ERROR_UNSUPPORTED with the reason: a limit of the
 * target's, no room within reach.
 */
struct error *jumps_settle(struct jumps *jumps, struct remote *remote, uint32_t depth);
/* Whether something is planned that is out of the agent's reach: jumps_extend can mend that. */
bool jumps_lack_room(const struct jumps *jumps);

/* Maps outposts for what is planned out of reach. ERROR_UNSUPPORTED with the reason. */
struct error *jumps_extend(struct jumps *jumps, struct remote *remote);
struct channel *jumps_channel(const struct jumps *jumps);

/* Tells the agent what modules there are. */
struct error *jumps_publish(struct jumps *jumps, const struct unwind_module *modules, size_t count);

/* Finds the C library's place for thread ids by a stopped thread, if it shows. */
void jumps_learn_threads(struct jumps *jumps, struct target_thread *thread);

/* Lets the agent record. Jumps may be written before or after. */
struct error *jumps_arm(struct jumps *jumps);
struct error *jumps_disarm(struct jumps *jumps);

/* Where the C library keeps thread ids, if no thread has shown it yet. 0: not known either. */
struct error *jumps_hint_threads(struct jumps *jumps, uint32_t tid_offset);

/* Writes the stubs of what is planned. ERROR_UNSUPPORTED: out of reach, too many. */
struct error *jumps_prepare(struct jumps *jumps);

/*
 * Whether a thread with this pc, or with one of these words on its stack (it may be the pc of an
 * interrupted context), stands in the way of a pending jump.
 */
bool jumps_block_pc(const struct jumps *jumps, uint64_t pc);
/* Where a thread at a pc that blocks may go on instead, in the stub; false if there is no such
 * place. */
bool jumps_resume(const struct jumps *jumps, uint64_t pc, uint64_t *ret);
bool jumps_block_stack(const struct jumps *jumps, const uint64_t *words, size_t count);

/* Writes every pending jump. What cannot be written is an error after the others were. */
struct error *jumps_write(struct jumps *jumps);
struct error *jumps_remove(struct jumps *jumps);

/* Whether a thread with this pc is in the agent, so that its memory must stay as it is. */
bool jumps_hold(const struct jumps *jumps, uint64_t pc);

/* Whether the address is the agent's or a stub's: a call that came through one returns there. */
bool jumps_own(const struct jumps *jumps, uint64_t address);

/* A range of the space was unmapped: what was in it is gone without our doing. */
void jumps_forget(struct jumps *jumps, target_addr start, target_addr end);

/* Makes bytes read from the target what they were before any jump. */
void jumps_undo(const struct jumps *jumps, target_addr address, void *bytes, size_t count);

/* Whether any jump of ours stands in an allocator function. */
bool jumps_have_allocator(const struct jumps *jumps);

/* Whether a jump of ours stands (or is planned) at this entry. */
bool jumps_has(const struct jumps *jumps, target_addr entry);

/* Whether the instruction at address is one that a jump replaces, or is planned to. */
bool jumps_cover(const struct jumps *jumps, target_addr address);

#endif
