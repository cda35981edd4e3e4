/* SPDX-License-Identifier: MIT */
/*
 * What the agent inside a target and the tracer outside share: the only border between them.
 *
 * Owns: the layout of three pieces of the target's memory and who writes what in them, in which
 * order. Does not: the words in a ring (ring.h). Includes nothing with code behind it: it is
 * compiled into the agent, which has no libc, and into probe, which knows no agent code.
 *
 *   code     AGENT_CODE_BYTES, private, r-x, within 2 GiB of the probed module: the agent's flat
 *            image at its start, then one agent_stub a probed function. Filled by the tracer
 *            through /proc/PID/mem, never writable for the target.
 *
 *   outposts private, r-x: up to AGENT_OUTPOSTS more pieces for the stubs of modules that are out
 *            of reach from the code: struct agent_outpost, then stubs. A program and its libraries
 *            may lie terabytes apart.
 *
 *   private  struct agent_private, rw-, right behind the code, MADV_WIPEONFORK: a child of fork
 *            reads zeroes, so that its agent is off until the tracer arms it.
 *
 *   shared   struct agent_shared, rw-, anywhere: a sealed memfd that the tracer maps, too. A child
 *            of fork shares it with its parent; every thread has an area of its own in it.
 *
 * All of it lies in the target's hands: the tracer believes nothing it reads there without a check.
 *
 * Memory order: x86-64 keeps stores in order and loads in order (Intel SDM volume 3, 9.2), so
 * "release" and "acquire" below are plain accesses the compiler may not reorder (__ATOMIC_RELEASE,
 * __ATOMIC_ACQUIRE). "tracer" is the tracer's side, whichever of its threads.
 */
#ifndef AGENT_ABI_H
#define AGENT_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unwind/cache.h"
#include "unwind/walk.h"

#define AGENT_MAGIC	 0x6c6c616563617274ull /* "tracealloc" cut to eight letters */
#define AGENT_MEMFD_NAME "tracealloc"	       /* seen in /proc/PID/maps as /memfd:tracealloc */

enum {
	AGENT_ABI_VERSION = 5,
	AGENT_CODE_BYTES = 96 << 10,
	AGENT_IMAGE_MAX_BYTES = 32 << 10, /* stubs begin here */
	AGENT_STUBS_MAX = 256,		  /* in the code, and in an outpost */
	AGENT_OUTPOSTS = 3,
	AGENT_OUTPOST_BYTES = 64 << 10,
	AGENT_OUTPOST_HEAD_BYTES = 64, /* stubs begin here */
	AGENT_SLOTS = 4096,	       /* a power of two */
	AGENT_AREAS = 512,	       /* threads at a time */
	AGENT_MODULES = 1024,
	AGENT_MODULE_LISTS = 2,
	AGENT_TABLE_BYTES = 256 << 20, /* room for unwind rows and module lists */
	AGENT_LEVELS = 3,	    /* a thread, a handler that interrupted the agent, one in it */
	AGENT_RING_WORDS = 1 << 17, /* of level 0; a power of two */
	AGENT_INNER_RING_WORDS = 1 << 13, /* of the others */
	AGENT_DEPTH_MAX = 1024,
	AGENT_PATIENCE_MS = 100,	 /* with a tracer that gives no sign of life */
	AGENT_LIVING_PATIENCE_MS = 5000, /* with one that does */
};

/* ---- code */

/* At the start of the agent's image (offsets from it). Constant. */
struct agent_header {
	uint64_t magic;
	uint32_t version;
	uint32_t image_bytes;
	uint32_t enter; /* where stubs jump to: see agent_stub */
	uint32_t leave;
	uint32_t find; /* where those of AGENT_UNWINDER do */
	/* Written by the tracer: stubs [0, stub_count) are valid. An outpost at 0 is none. */
	uint32_t stub_count;
	uint64_t outposts[AGENT_OUTPOSTS];
	uint32_t outpost_stub_counts[AGENT_OUTPOSTS];
	uint32_t pad;
};

/* At the start of an outpost: addresses in the image. Its stubs jump through them. */
struct agent_outpost {
	uint64_t enter;
	uint64_t leave;
	uint64_t find;
};
_Static_assert(sizeof(struct agent_outpost) <= AGENT_OUTPOST_HEAD_BYTES, "stubs come behind it");

enum agent_role {
	AGENT_CREATE = 0,
	AGENT_RESIZE = 1,
	AGENT_RELEASE = 2,
	AGENT_HIDE = 3,	  /* what it calls is not recorded, and neither is it */
	AGENT_LINKER = 4, /* modules come or go: the tracer is told and waited for */
	/*
	 * A system call is made whose number is in size_argument (0: it is prctl(2)) and its option
	 * in pointer_argument. If it takes the agent's system calls or the time stamp counter away,
	 * as seccomp(2) does, the agent gives up before.
	 */
	AGENT_CONFINEMENT = 5,
	/*
	 * _Unwind_Find_FDE(pc, bases) of libgcc: exceptions and backtraces find the way over a
	 * frame of ours.
	 */
	AGENT_UNWINDER = 6,
};

enum agent_result {
	AGENT_RETURNS_ADDRESS = 0, /* 0: refused */
	AGENT_STORES_ADDRESS = 1,  /* through result_argument, and returns 0; else refused */
	AGENT_RETURNS_SIZE = 2,	   /* of a block that stays where it is; too little: refused */
};

/*
 * What the jump at a probed function leads to, written whole by the tracer before the jump is.
 * Constant from then on. The jump goes to `enter_code`, entered with every register and the stack
 * as at the function's entry.
 *
 * (In an outpost both jumps to the image go through a pointer.)
 *
 *   enter_code  push %r11; lea <this stub>(%rip),%r11; jmp <image + enter>, or find
 *   plain_code  pop %r11; jmp <window>         to go on as if there were no probe
 *   call_code   mov AGENT_FRAME_R11(%rsp),%r11; call <window>; jmp <image + leave>
 *   window      the relocated instructions, then a jump to behind those replaced
 *
 * The agent comes to plain_code (rsp as enter_code left it) and call_code (rsp at a struct
 * agent_frame) by their fixed offsets from the stub, with every other register as at the entry.
 *
 * A stub with role AGENT_CREATE and leaf set has its arguments among the first three.
 */
enum {
	AGENT_WINDOW_MAX_BYTES = 128,
	AGENT_FRAME_R11 = 32,
	AGENT_CALL_RETURN =
		10, /* where in call_code its call returns to: 5 bytes of mov, 5 of call */
};

/*
 * What stands on the target's stack while a call whose end is to be seen is under way, right below
 * its return address. Of a leaf creation, size_bytes, old and outer are the first three arguments.
 */
struct agent_frame {
	uint64_t stub;
	uint64_t size_bytes; /* UINT64_MAX: size x count is more */
	uint64_t old;	     /* the old address of a resize, or where the result is stored */
	uint64_t outer; /* what agent_thread.outer_sp was before; bit 0: it had begun a resize */
	uint64_t r11;
};
_Static_assert(offsetof(struct agent_frame, r11) == AGENT_FRAME_R11, "call_code knows it");

struct agent_stub {
	uint8_t enter_code[16];
	uint8_t plain_code[8];
	uint8_t call_code[16];
	uint8_t role;	       /* enum agent_role */
	uint8_t leaf;	       /* 1: calls no probed function; read together with role */
	uint8_t result;	       /* enum agent_result */
	uint8_t size_argument; /* arguments count from 1 (psABI 3.2.3), 0: there is none */
	uint8_t count_argument;
	uint8_t pointer_argument;
	uint8_t result_argument;
	uint8_t replaced_count; /* bytes of the function that the tracer planned over */
	uint64_t site;		/* the function's entry */
	uint8_t replaced[16];	/* what stood there */
	uint64_t size_constant; /* another factor of the size, 0: there is none */
	uint64_t module_start,
		module_end; /* text of the allocator's module: see RING_RELEASE_INNER */
	uint8_t window[AGENT_WINDOW_MAX_BYTES];
};
_Static_assert(sizeof(struct agent_stub) == 40 + 8 + 8 + 16 + 8 + 16 + AGENT_WINDOW_MAX_BYTES,
	       "stubs have no holes");
_Static_assert(AGENT_OUTPOST_HEAD_BYTES + AGENT_STUBS_MAX * sizeof(struct agent_stub) <=
		       AGENT_OUTPOST_BYTES,
	       "an outpost holds as many");
_Static_assert(AGENT_IMAGE_MAX_BYTES + AGENT_STUBS_MAX * sizeof(struct agent_stub) <=
		       AGENT_CODE_BYTES,
	       "the code holds image and stubs");

/* ---- private: read as zeroes by a child of fork */

enum agent_state {
	AGENT_OFF = 0, /* pass by: nothing is recorded */
	AGENT_ON = 1,
	AGENT_GAVE_UP =
		2, /* no system call any more: events are only counted (agent_shared.lost) */
};

/*
 * A thread is known by its thread pointer (fs base) and the word at tid_offset from it, where the C
 * library keeps the thread's id: the next thread at the same place is another one.
 * Claimed by the agent (compare-and-swap of thread_pointer from 0), never given back but to a
 * thread with the same thread pointer, or when its area has another owner.
 */
struct agent_slot {
	uint64_t thread_pointer; /* 0: free */
	uint32_t tid;
	uint32_t area; /* index; valid once tid is not 0 (written last, release) */
};

enum { AGENT_NOBODY = 1 }; /* no thread pointer */

struct agent_private {
	uint32_t state;	 /* enum agent_state; tracer: OFF, ON (last). Agent: ON -> GAVE_UP */
	uint32_t space;	 /* tracer, before state: whose blocks these are */
	uint64_t shared; /* tracer, before state: address of struct agent_shared in the target */
	uint32_t tid_offset; /* tracer, before state; 0: not known, the thread pointer must do */
	uint32_t pid;	     /* tracer, before state: the process, as it sees itself (getpid) */
	uint64_t modules; /* tracer, before state: address of struct agent_modules in the target */
	uint64_t stalled_beat; /* agent: 1 + the beat at which a thread waited in vain; 0: none */
	/*
	 * Agent: the thread that recorded first, and the address of its area: in most programs the
	 * one that nearly all calls are of, found without a slot. AGENT_NOBODY: somebody writes
	 * them. The area says, as with a slot, whether it is right.
	 */
	uint64_t first_pointer, first_area;
	uint64_t reserved;
	struct agent_slot slots[AGENT_SLOTS];
};
_Static_assert(offsetof(struct agent_private, slots) == 64, "slots begin on a line of their own");

/* ---- shared */

/*
 * A ring of words for one level of one thread. head and tail count words ever written and taken.
 * Invariant: tail <= head <= tail + capacity. Words [tail, head) belong to the tracer, the rest to
 * the agent. Only whole records lie before head.
 */
struct agent_ring {
	uint64_t head;	     /* agent (release, after the words) */
	uint64_t known_tail; /* agent's own copy of tail */
	uint64_t busy_sp;    /* agent: rsp of the activation at work on this level, 0: none */
	uint64_t unstamped;  /* agent's own: records since the last time stamp */
	uint64_t stalled;    /* agent's own: 1 + the tail at which it waited in vain; 0: none */
	uint64_t pad[3];
	uint64_t tail;	  /* tracer (release) */
	uint32_t waiting; /* agent: it waits for room, on the low half of tail (futex(2)) */
	uint32_t pad2[13];
};
_Static_assert(sizeof(struct agent_ring) == 128, "head and tail on lines of their own");

/* Where a thread's stack lies. Both 0: not known. Tracer writes high last, clears it first. */
struct agent_bounds {
	uint64_t low, high;
};

enum { AGENT_BOUNDS = 4 };

/*
 * What one level of one thread works in, so as not to need the target's stack for it: the record
 * that is on its way, and the walk that it needs. Memory of the stack below direct_low or from
 * direct_high on is not known to be readable.
 */
struct agent_scratch {
	struct agent_thread *thread;
	uint64_t level;
	struct unwind_registers registers;	/* sp: where the call's return address stands */
	uint64_t word, new_address, size_bytes; /* word: the first of the record (ring.h) */
	struct unwind_memory memory;
	struct unwind_space space;
	uint64_t direct_low, direct_high;
	uint64_t generation; /* of agent_modules, before the walk */
	uint64_t tries;
	size_t count;
	enum unwind_stop stop;
	struct unwind_reads reads;
	uint64_t frames[AGENT_DEPTH_MAX];
};

/*
 * One thread. Fields without a note are the agent's own. The tracer may take an area back when its
 * thread has ended and the rings are empty: first no bounds and tid = 0, so that its slots are
 * known to be stale, then area_state = 0. The next owner goes on with head, known_tail and lost as
 * they are; its tid is valid once a ring holds something.
 */
struct agent_thread {
	uint64_t thread_pointer; /* written when claimed, before the slot */
	uint32_t tid;		 /* the same; as the kernel of the target's namespace counts */
	uint32_t space;		 /* the same; as in agent_private */
	uint64_t outer_sp; /* the outermost call under way: where its return address stands, or 0 */
	uint64_t lost;	   /* events that found no room at any level */
	uint64_t unknown_sp; /* a stack the tracer should look up; tracer sets 0 when done */
	uint64_t failed_walks;
	uint64_t outer_old; /* the old address of the resize that the call at outer_sp has begun, or
			       0 */
	uint64_t pad;
	struct agent_ring rings[AGENT_LEVELS];
	struct agent_bounds bounds[AGENT_BOUNDS]; /* tracer */
	struct agent_scratch scratch;		  /* of level 0 */
};

enum {
	AGENT_AREA_STRIDE = 5 << 20,
	AGENT_AREA_CACHE = 64 << 10,  /* struct unwind_cache of level 0 */
	AGENT_AREA_INNER = 2 << 20,   /* words of rings 1.. */
	AGENT_AREA_SCRATCH = 3 << 20, /* per level above 0: struct agent_scratch */
	AGENT_AREA_WORDS = 4 << 20,   /* words of ring 0 */
};
_Static_assert(sizeof(struct agent_thread) <= AGENT_AREA_CACHE, "an area's parts do not overlap");
_Static_assert(AGENT_AREA_CACHE + sizeof(struct unwind_cache) <= AGENT_AREA_INNER,
	       "an area's parts do not overlap");
_Static_assert(AGENT_AREA_INNER + (AGENT_LEVELS - 1) * AGENT_INNER_RING_WORDS * 8 <=
		       AGENT_AREA_SCRATCH,
	       "an area's parts do not overlap");

_Static_assert(AGENT_AREA_SCRATCH + (AGENT_LEVELS - 1) * sizeof(struct agent_scratch) <=
		       AGENT_AREA_WORDS,
	       "an area's parts do not overlap");
_Static_assert(AGENT_AREA_WORDS + AGENT_RING_WORDS * 8 <= AGENT_AREA_STRIDE,
	       "an area's parts do not overlap");

/*
 * The modules of one process with their unwind tables, as addresses in the target: at
 * agent_private.modules, inside the shared memory. Of a process, not of the shared memory: a child
 * of fork loads modules of its own. There are lists to take turns: `generation` is odd while the
 * tracer writes; list generation / 2 % AGENT_MODULE_LISTS is the one to use. A walk is good if
 * generation was even and the same before and after it.
 */
struct agent_modules {
	uint64_t generation; /* tracer */
	uint64_t pad[7];
	struct {
		uint64_t count;
		struct unwind_module items[AGENT_MODULES]; /* as unwind_space wants them */
	} lists[AGENT_MODULE_LISTS];
};

struct agent_shared {
	uint64_t magic;	  /* tracer, once */
	uint32_t version; /* tracer, once */
	uint32_t depth;	  /* tracer, once: frames a stack may have, at most AGENT_DEPTH_MAX */
	uint32_t many;	  /* agent: a second ring is in use: every record is stamped from now on */
	uint32_t pad;
	uint64_t code; /* tracer, once: where the agent's code lies */
	uint64_t pad0[4];
	/* Apart from what agents read at every call. */
	uint32_t beat; /* tracer: changes as long as the thread lives that reads the rings */
	uint32_t linker_asked;	/* agent (atomic add, then futex wake): modules change */
	uint32_t linker_served; /* tracer (release, then futex wake): all up to here were looked at
				 */
	uint32_t linker_space;	/* agent, before linker_asked: whose */
	uint64_t lost; /* agent (atomic add): events that found no area, no room, or an agent that
			  gave up */
	uint32_t gave_up; /* agent: 1 once any has become AGENT_GAVE_UP or waited in vain */
	uint32_t vacated; /* tracer, last of all: no thread is in the agent any more */
	uint64_t pad2[4];
	uint32_t area_state[AGENT_AREAS]; /* agent: 0 -> 1 (claim). Tracer: 1 -> 0 */
};

enum {
	AGENT_SHARED_TABLES =
		1 << 20, /* struct agent_modules and rows of unwind tables: the tracer's */
	AGENT_SHARED_AREAS = (1 << 20) + AGENT_TABLE_BYTES,
};
#define AGENT_SHARED_BYTES                                                                         \
	((uint64_t)AGENT_SHARED_AREAS + (uint64_t)AGENT_AREAS * AGENT_AREA_STRIDE)
_Static_assert(offsetof(struct agent_shared, beat) == 64, "on a line of its own");
_Static_assert(sizeof(struct agent_shared) <= 4096, "one page survives when the rest is emptied");

#endif
