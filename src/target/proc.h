/* SPDX-License-Identifier: MIT */
/*
 * What /proc/PID says: proc(5), parsed by field, tolerant of what a kernel leaves out.
 *
 * Does not: use ptrace or keep state. Names in it are the target's choice: print them escaped.
 */
#ifndef TARGET_PROC_H
#define TARGET_PROC_H

#include <sys/types.h>

#include "base/error.h"
#include "base/types.h"

struct proc_status {
	char state; /* R S D T t Z X ... */
	pid_t tgid;
	pid_t parent;
	pid_t tracer;	 /* 0: none */
	pid_t inner_pid; /* in the target's own pid namespace */
	uint32_t real_uid, effective_uid, saved_uid;
	uint32_t real_gid, effective_gid, saved_gid;
	uint64_t signals_blocked; /* bit n-1: signal n */
	uint64_t signals_ignored;
	uint64_t signals_caught;
	uint64_t signals_pending; /* of the thread or of its process */
	uint64_t capabilities;	  /* effective */
	int seccomp;		  /* 0 off, 1 strict, 2 filter */
	bool has_memory;	  /* false: a kernel thread or a zombie */
	bool shadow_stack;	  /* x86_Thread_features */
};

/* ERROR_GONE if there is no such process or thread. tid may be a thread of any process. */
struct error *proc_status(pid_t tid, struct proc_status *ret);

/* State letter and start time (clock ticks since boot) of a thread. ERROR_GONE. */
struct error *proc_stat(pid_t tid, char *state_ret, uint64_t *start_ret);

/* The resident memory of a process, 0 if that cannot be known. */
uint64_t proc_resident_bytes(pid_t pid);

/* The tids of a process, in one pass. *tids_ret is owned by the caller. ERROR_GONE. */
struct error *proc_tasks(pid_t pid, pid_t **tids_ret, size_t *count_ret);

/*
 * Whether the thread is asleep inside a system call (not running, not faulting, not stopped). If it
 * is, *fd_ret (fd_ret may be NULL) is what proc_resting_place_of wants, to be closed; else -1.
 */
bool proc_asleep_in_call(pid_t pid, pid_t tid, int *fd_ret);

/* The number of the system call that the thread is asleep in; false if it is in none, or runs. */
bool proc_system_call(pid_t pid, pid_t tid, uint64_t *number_ret);

/* Where in its code, and on its stack, a thread rests that does not run; false if it runs. */
bool proc_resting_place(pid_t pid, pid_t tid, uint64_t *sp_ret, uint64_t *pc_ret);
/* The same for the thread whose file was opened before, which takes a third of the time. */
bool proc_resting_place_of(int fd, uint64_t *sp_ret, uint64_t *pc_ret);

struct proc_mapping {
	uint64_t start, end;
	uint64_t file_offset;
	uint64_t inode; /* 0: no file */
	uint64_t device;
	bool readable, writable, executable, shared;
	char *path; /* as the kernel prints it, "" if none; owned by the list */
};

struct proc_maps {
	struct proc_mapping *items;
	size_t count, capacity;
	char *text;
};

/* Reads /proc/PID/maps. ERROR_GONE. */
struct error *proc_maps_read(pid_t pid, struct proc_maps *ret);
void proc_maps_deinit(struct proc_maps *maps);
/* The mapping that holds address, NULL if none. */
const struct proc_mapping *proc_maps_find(const struct proc_maps *maps, uint64_t address);

/* A value of the auxiliary vector (getauxval(3)); false if absent. */
bool proc_auxiliary(pid_t pid, uint64_t type, uint64_t *ret);

/*
 * The command line, as a NULL-terminated array in one allocation owned by the caller (free the
 * array); a process without one gives its comm. Two and more empty arguments at its end are left
 * out.
 */
struct error *proc_command(pid_t pid, char ***argv_ret, size_t *count_ret);

/*
 * What a file that a mapping names is called below the process's own root: the rest of path, or
 * path itself.
 */
const char *proc_path_in_root(pid_t pid, const char *path);

/* Whether a process looks files up elsewhere than we do: in another root or mount namespace. */
bool proc_has_own_root(pid_t pid);

/* The path of the executable, named as a mapping of it is; owned by the caller. ERROR_GONE. */
struct error *proc_program(pid_t pid, char **ret);

/* The name of a thread (comm, proc(5)); left as it is where the thread has gone. */
void proc_comm(pid_t pid, pid_t tid, char name[16]);

/*
 * Opens a file that a target names, below the target's own root, following only links inside it;
 * or, where the name leads elsewhere meanwhile, the mapped file itself (/proc/PID/map_files). Only
 * a regular file with the mapping's inode is accepted. ERROR_NOT_FOUND otherwise.
 */
struct error *proc_open_mapped(pid_t pid, const struct proc_mapping *mapping, int *fd_ret);

/* Whether a mapping is the code that the kernel gives to every process (vdso(7)). */
bool proc_is_vdso(const struct proc_mapping *mapping);

/* Copies the memory of a mapping that is no file's into a file of its own. */
struct error *proc_copy_mapped(pid_t pid, const struct proc_mapping *mapping, int *fd_ret);

#define _cleanup_proc_maps_ __attribute__((__cleanup__(proc_maps_deinit)))

#endif
