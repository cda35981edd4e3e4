/* SPDX-License-Identifier: MIT */
/*
 * A target: processes and threads under ptrace, and the stream of what happens to them.
 *
 * Owns: tids, their states, address spaces, the wait loop, resuming and detaching. Does not: know
 * what a probe or an allocator is; whoever drives it decides what a trap means.
 *
 * target.c: the object, its threads, processes and spaces.    wait.c: wait status to event.
 * arrivals.c, tree.c, permission.c: private to this folder.
 * start.c, attach.c: the two beginnings.    detach.c: the one end.
 * pause.c: a stop of all threads after which they go on.    leave.c: the last moment of a process.
 * memory.c: bytes of a space.    proc.c: what /proc says.    remote.c: system calls made inside.
 * sigtrap.c: keeps the target's SIGTRAP mask and disposition as they were.
 *
 * Thread rule: everything here is called by the one tracer thread (ptrace(2) binds tracees to it).
 *
 * A process may share its space with others (vfork, CLONE_VM): what is written into the memory of
 * one is in the memory of all, so probes belong to spaces, never to processes.
 */
#ifndef TARGET_TARGET_H
#define TARGET_TARGET_H

#include <signal.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <sys/user.h>

#include "base/array.h"
#include "base/error.h"
#include "base/log.h"
#include "base/map.h"
#include "base/types.h"

struct target_space {
	space_id id;
	int memory_fd; /* /proc/PID/mem of one of its processes */
	pid_t pid;     /* a living process in it, for /proc */
	size_t process_count;
	target_addr remote_call; /* remote_code.h: where to find them, as last seen; 0: unknown */
	target_addr remote_restore; /* the same */
	void *owner_data;	    /* of whoever drives the target */
};

/* How a process treats SIGTRAP, which an int3 may destroy: see sigtrap.h. */
enum target_sigtrap { TARGET_SIGTRAP_DEFAULT, TARGET_SIGTRAP_IGNORED, TARGET_SIGTRAP_HANDLED };

/* The kernel's struct sigaction of x86-64 (rt_sigaction(2)). */
struct target_sigaction {
	uint64_t handler;
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;
};

struct target_process {
	pid_t pid;
	pid_t parent;	 /* 0: not in this tree */
	pid_t inner_pid; /* in its own pid namespace; pid where that is ours, or not known */
	struct target_space *space;
	size_t thread_count;
	bool unfollowed; /* detached at the first stop of its first thread, if that comes late */
	bool gathered;	 /* its last moment was looked for, and is not looked for again */
	enum target_sigtrap sigtrap;
	struct target_sigaction sigtrap_action; /* HANDLED: what to restore, if action_known */
	bool sigtrap_action_known;
	void *owner_data;
};

enum target_thread_state {
	TARGET_THREAD_RUNNING,
	TARGET_THREAD_STOPPED,	 /* in a ptrace-stop, waits for target_resume */
	TARGET_THREAD_LISTENING, /* in group-stop (PTRACE_LISTEN) */
};

/*
 * Invariants: process == NULL exactly while parked (its creator's event has not come yet);
 * registers_valid only while STOPPED.
 */
struct target_thread {
	pid_t tid;
	pid_t inner_tid; /* as inner_pid; set with process */
	struct target_process *process;
	enum target_thread_state state;
	bool parked;
	bool born;	     /* its first stop is over */
	bool from_before;    /* it was running when we attached */
	bool trap_pending;   /* LISTENING with an int3's SIGTRAP still queued */
	bool interrupted;    /* its stop has not come: after PTRACE_INTERRUPT, or to an int3 */
	bool paused;	     /* STOPPED by our interrupt, and by nothing else */
	bool roused;	     /* and it was asleep in a system call */
	int call_fd;	     /* asleep as a pause began: see pause.h. Else -1 */
	bool leaving;	     /* it has come to PTRACE_EVENT_EXIT, or beyond */
	int parked_status;   /* a stop that came before the creator's event, else 0 */
	int resume_signal;   /* while draining: what target_resume asked for */
	pid_t awaited_child; /* STOPPED until it is let go (target_await_child); else 0 */
	bool registers_valid;
	struct user_regs_struct registers;
	uint64_t mask;	      /* signals blocked, as last known; see sigtrap.h */
	bool sigtrap_blocked; /* SIGTRAP's bit of it, which an int3 clears */
	uint64_t stopped_since_ns;
	struct target_thread *next_ready;
	void *owner_data;
};

enum target_event_kind {
	TARGET_EVENT_TRAP,    /* SIGTRAP: if an int3 was hit, rip is the byte after it */
	TARGET_EVENT_SIGNAL,  /* about to be delivered: resume with it, or with 0 to swallow it */
	TARGET_EVENT_PROCESS, /* a new process, not running yet; `parent` says of whom */
	TARGET_EVENT_EXEC,    /* a process has a new, empty space; `old_space` is the former */
	TARGET_EVENT_LEAVING, /* all threads of a process stand still, about to end: its last moment
			       */
	TARGET_EVENT_PROCESS_EXIT, /* exit_status or signal say how */
	TARGET_EVENT_POKED,	   /* nothing happened: somebody interrupted the wait */
	TARGET_EVENT_QUIET,	   /* draining is over: every thread is stopped or asleep */
	TARGET_EVENT_EMPTY,	   /* no thread is left */
};

/*
 * After SIGNAL, TRAP, PROCESS and EXEC `thread` must be resumed by target_resume (PROCESS: the
 * creator; the new one starts by itself), after LEAVING the process is let go by target_let_leave.
 * Threads come and go without events: owner_data is made
 * when needed and given back through thread_gone.
 */
struct target_event {
	enum target_event_kind kind;
	struct target_thread *thread;
	struct target_process *process;
	struct target_process *parent;	/* PROCESS */
	struct target_space *old_space; /* EXEC, PROCESS_EXIT */
	bool old_space_ended;		/* nobody lives in it any more; freed at the next event */
	bool shares_space;		/* PROCESS: a vfork or CLONE_VM child */
	bool creator_waits;		/* PROCESS: until the child calls exec or ends (vfork) */
	int signal;
	int exit_status;
};

struct target_statistics {
	uint64_t stops;
	uint64_t stopped_ns; /* from the moment we learnt of a stop to the resume, summed */
};

/* A wait status that was taken from the kernel and not looked at yet. */
struct target_arrival {
	pid_t tid;
	int status;
};

struct target {
	struct map threads;   /* tid -> struct target_thread */
	struct map processes; /* pid -> struct target_process */
	uint32_t spaces_issued;
	const struct log *log;
	bool draining;
	bool watches_exits; /* LEAVING events are wanted; set before target_start or target_attach
			     */
	/* target_next returns QUIET where it would have to wait, or to take more lots of statuses.
	 */
	bool impatient;
	unsigned lots_left;
	int policy;	 /* the tracer thread's own, while a pause has it changed; -1: it has not */
	size_t call_fds; /* threads that have a call_fd */
	uint64_t drain_until_ns;
	uint64_t paused_since_ns; /* when the last drain or pause began to stop threads */
	uint64_t paused_ns;	  /* how long the last pause, or the last drain, was */
	_Atomic bool *poke;	  /* looked at when a signal interrupts a wait; may not be NULL */
	struct target_statistics statistics;
	bool pinned;	 /* target and tracer on one CPU: never spin */
	uint64_t gap_ns; /* running mean of the time between a resume and the next stop */
	pid_t last_tid;
	uint64_t last_resume_ns;
	struct target_arrival *arrived; /* [arrived_first, arrived_count) are to be looked at */
	size_t arrived_first, arrived_count, arrived_capacity;
	struct target_thread *ready; /* adopted with a stop not looked at yet */
	/* Freed only when the next event is asked for, so that its reader may look at them. */
	struct target_process *dead_process;
	struct target_space *dead_space;
	/* Called for every thread that ends or is released, before its struct is freed. */
	void (*thread_gone)(void *context, struct target_thread *thread);
	void *thread_gone_context;
};

/* Sets up an empty target. The caller may set thread_gone and pinned afterwards. */
void target_init(struct target *target, const struct log *log, _Atomic bool *poke);
/* Frees memory; threads must be gone or released. */
void target_deinit(struct target *target);

/* What a program is to inherit: how signals stood in our process before we changed anything. */
struct target_signals {
	sigset_t mask;
	uint64_t ignored; /* bit n-1: signal n, libc's own two included */
};

/* How they stand now. Must be asked before the process has a second thread. */
struct error *target_signals_read(struct target_signals *ret);

/*
 * Traces a child of our own for a moment, which is then killed: *failure_ret is the errno of
 * ptrace(2), 0 if it may be done. Errors: ERROR_SYSTEM where there can be no child.
 */
struct error *target_try(int *failure_ret);

/* Yama's ptrace_scope, 0 where there is none. */
int target_yama_scope(void);

/*
 * The file that a program's name leads to: itself if it has a slash, else the first executable of
 * PATH, as execvp(3) looks for it. Errors: ERROR_NOT_FOUND, ERROR_DENIED.
 */
struct error *target_find_program(const char *name, char *path, size_t path_bytes);

/*
 * Starts argv[0] (PATH is searched) with the environment envp and signals as given, seized before
 * its exec. On return *ret is its EXEC event, to be handled as any. Errors: ERROR_NOT_FOUND,
 * ERROR_DENIED, ERROR_SYSTEM with what execve(2) said; nothing of it ran.
 */
struct error *target_start(struct target *target, char *const argv[], char *const envp[],
			   const struct target_signals *signals, struct target_event *ret);

/*
 * Seizes every thread of process pid (PTRACE_SEIZE; nothing is stopped or interrupted) until two
 * passes over /proc/PID/task find nothing new. Errors: ERROR_NOT_FOUND, ERROR_DENIED naming the
 * rule that refused, ERROR_UNSUPPORTED (zombie, kernel thread, 32 bit): nothing was written.
 */
struct error *target_attach(struct target *target, pid_t pid);

/* Waits for the next event. Errors are ours alone; what happens to the target is an event. */
struct error *target_next(struct target *target, struct target_event *ret);

/*
 * Resumes a stopped thread, delivering signal (0: none). A thread that died meanwhile is no error:
 * its end comes as an event. While draining the thread stays and the signal is kept for detach.
 */
struct error *target_resume(struct target *target, struct target_thread *thread, int signal);

/* The registers of a stopped thread; NULL if it is gone. Read once a stop. */
struct user_regs_struct *target_registers(struct target_thread *thread);
/*
 * Whether the SIGTRAP that a thread stopped with is that of an int3 (SI_KERNEL, arch/x86
 * kernel/traps.c) and not one sent by kill(2).
 */
bool target_hit_int3(const struct target_thread *thread);
/*
 * The state of a stopped thread that is no general register (PTRACE_GETREGSET with NT_X86_XSTATE),
 * where pointers may be too: returns how many bytes of it there are, 0 if they cannot be had.
 */
size_t target_vector_state(const struct target_thread *thread, void *bytes, size_t count);
/* Writes one register back: rip, by far the most frequent. False if the thread is gone. */
bool target_set_pc(struct target_thread *thread, uint64_t pc);

/*
 * Begins the end: interrupts every thread that is not asleep inside a system call. From here on
 * target_resume keeps threads stopped and target_next ends in QUIET (at the latest after two
 * seconds, with those in the state that no signal can end left as they are). Called again after
 * the probes are out, it collects those that woke up meanwhile.
 */
void target_drain(struct target *target);

/*
 * Stops every thread of space (NULL: of all) that is not asleep inside a system call; or `only` one
 * thread, asleep or not. What happens meanwhile waits for the next target_next, and its thread
 * stays stopped until then. Where it may, the tracer runs ahead of all others during a pause
 * (SCHED_FIFO), so that what it wakes does not keep it from waking the rest. Threads that cannot be
 * stopped in a fifth of a second, or without memory, are left as they are: whoever relies on it
 * looks at `state`.
 */
void target_pause(struct target *target, const struct target_space *space,
		  const struct target_thread *only);

/*
 * The same for every thread of every space, those asleep inside system calls included. The calls
 * that a stop would end with EINTR (signal(7)) are made again at target_go_on, from their
 * beginning; that waits until all have come back to rest, a twentieth of a second at most.
 */
void target_pause_all(struct target *target);

/*
 * In a pause: where in its code and on its stack a thread rests that is asleep; false if it is not,
 * or cannot be looked at any more.
 */
bool target_resting_place(const struct target_thread *thread, uint64_t *sp_ret, uint64_t *pc_ret);

/*
 * In a pause: lets some of those that it has stopped run for run_ns, all others standing still, and
 * stops them again, but for those that are asleep in a system call by then.
 */
void target_let_run(struct target *target, struct target_thread *const *threads, size_t count,
		    uint64_t run_ns);

/* Ends a pause: lets those go on that it has stopped. */
void target_go_on(struct target *target);

/* After a LEAVING event: the threads of the process end. */
void target_let_leave(struct target *target, struct target_process *process);

/*
 * Detaches every stopped thread. Those asleep in system calls, or in a group-stop, stay seized
 * until the tracer thread ends: the kernel then detaches them without waking them, which is the
 * only way that no system call of theirs sees EINTR.
 */
void target_release(struct target *target);

/*
 * A new process (PROCESS event) that is not to be followed: detached at its first stop, which is
 * waited for here; where it does not come, whenever it does. The process may be gone after this.
 */
void target_unfollow(struct target *target, struct target_process *process);

/*
 * In place of target_resume, after a PROCESS event with creator_waits: the creator stands in its
 * stop instead of in vfork(2), and goes on once the child was abandoned or has ended. Else it would
 * go on in the middle of the child's execve(2), when the child is still traced by us, and could not
 * trace it itself.
 */
void target_await_child(struct target_thread *creator, const struct target_process *child);

/* Detaches a process whose `thread` is its only one and stopped (after EXEC). */
void target_abandon(struct target *target, struct target_thread *thread);

/* Calls visit for every thread of space (NULL: of all). */
void target_visit_threads(struct target *target, const struct target_space *space,
			  void (*visit)(void *context, struct target_thread *thread),
			  void *context);

/* ---- memory.c: bytes of a space. Short transfers are ERROR_FAULT; no partial result counts. */
struct error *target_read(const struct target_space *space, target_addr address, void *bytes,
			  size_t count);
/* Reads up to count bytes and returns how many could be read, 0 if none. */
size_t target_read_some(const struct target_space *space, target_addr address, void *bytes,
			size_t count);
/* One write; read-only and executable pages are written too (they become private copies). */
struct error *target_write(const struct target_space *space, target_addr address, const void *bytes,
			   size_t count);

#endif
