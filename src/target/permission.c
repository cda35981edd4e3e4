/* SPDX-License-Identifier: MIT */
#include "target/permission.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "target/proc.h"
#include "target/target.h"

struct error *permission_check_machine(pid_t pid)
{
	char path[64];
	Elf64_Ehdr header;
	snprintf(path, sizeof path, "/proc/%d/exe", pid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, &header, sizeof header, 0) != sizeof header)
		return NULL; /* not permitted to look: seizing will fail with a better reason */
	if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
		return NULL;
	if (header.e_ident[EI_CLASS] != ELFCLASS64)
		return error_new(
			ERROR_UNSUPPORTED,
			"process %d is a 32-bit program: only 64-bit x86-64 programs can be "
			"traced",
			pid);
	if (header.e_machine != EM_X86_64)
		return error_new(ERROR_UNSUPPORTED,
				 "process %d is for another machine (ELF machine %u): only x86-64 "
				 "programs can be traced",
				 pid, header.e_machine);
	return NULL;
}

/* The kernel names the tracing thread; people look for its process. */
static struct error *traced_by(pid_t pid, pid_t tracer)
{
	_cleanup_free_ char **command = NULL;
	size_t count = 0;
	struct proc_status status;
	_cleanup_error_ struct error *err = proc_status(tracer, &status);
	if (!err) {
		tracer = status.tgid;
		err = proc_command(tracer, &command, &count);
	}
	return error_new(ERROR_DENIED,
			 "process %d is already traced by process %d (%s): end that one first", pid,
			 tracer, !err && count ? command[0] : "unknown");
}

struct error *permission_check_target(pid_t pid)
{
	struct proc_status status;
	struct error *err = proc_status(pid, &status);
	if (error_catch(&err, ERROR_GONE))
		return error_new(ERROR_NOT_FOUND, "no process %d: check the pid with ps", pid);
	if (err)
		return err;
	if (status.tgid != pid)
		return error_new(ERROR_NOT_FOUND,
				 "%d is a thread of process %d: attach to the process", pid,
				 status.tgid);
	if (status.tgid == getpid())
		return error_new(ERROR_UNSUPPORTED, "process %d is tracealloc itself", pid);
	if (status.tracer)
		return traced_by(pid, status.tracer);
	if (status.state == 'Z' || status.state == 'X') {
		/* The leader may have ended before its other threads, which then go on. */
		_cleanup_free_ pid_t *tids = NULL;
		size_t count = 0;
		err = proc_tasks(pid, &tids, &count);
		error_free(err);
		if (count <= 1)
			return error_new(ERROR_UNSUPPORTED,
					 "process %d has ended already (a zombie): nothing is left "
					 "to trace",
					 pid);
	} else if (!status.has_memory) {
		return error_new(ERROR_UNSUPPORTED,
				 "process %d is a kernel thread: it has no heap of its own", pid);
	}
	return permission_check_machine(pid);
}

int target_yama_scope(void)
{
	char digit = '0';
	_cleanup_close_ int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, &digit, 1) != 1)
		return 0;
	return digit - '0';
}

static struct error *explain_yama(pid_t pid, int scope)
{
	if (scope == 3)
		return error_new(
			ERROR_DENIED,
			"cannot trace process %d: Yama's ptrace_scope is 3, which forbids all "
			"attaching until the next boot: use 'tracealloc run'",
			pid);
	if (scope == 2)
		return error_new(ERROR_DENIED,
				 "cannot trace process %d: Yama's ptrace_scope is 2, so only root "
				 "(CAP_SYS_PTRACE) may attach: use sudo",
				 pid);
	return error_new(ERROR_DENIED,
			 "cannot trace process %d: Yama's ptrace_scope is 1, so only ancestors may "
			 "attach: use sudo, or 'sysctl kernel.yama.ptrace_scope=0'",
			 pid);
}

struct error *permission_explain(pid_t pid, int failure)
{
	struct proc_status theirs, ours;
	struct error *err = proc_status(pid, &theirs);
	if (!err)
		err = proc_status(getpid(), &ours);
	if (error_catch(&err, ERROR_GONE))
		return error_new(ERROR_NOT_FOUND, "process %d has ended", pid);
	if (err)
		return err;
	if (failure != EPERM && failure != EACCES)
		return error_system(failure, "cannot trace process %d", pid);
	if (theirs.tracer)
		return traced_by(pid, theirs.tracer);
	if (ours.capabilities & 1ul << CAP_SYS_PTRACE)
		return error_new(
			ERROR_DENIED,
			"cannot trace process %d although we have CAP_SYS_PTRACE: it lives in "
			"another user namespace or a security module (SELinux, AppArmor) "
			"forbids it",
			pid);
	bool same_user = ours.effective_uid == theirs.real_uid &&
			 ours.effective_uid == theirs.effective_uid &&
			 ours.effective_uid == theirs.saved_uid &&
			 ours.effective_gid == theirs.real_gid &&
			 ours.effective_gid == theirs.effective_gid &&
			 ours.effective_gid == theirs.saved_gid;
	if (ours.effective_uid == 0)
		return error_new(
			ERROR_DENIED,
			"cannot trace process %d: we are root without CAP_SYS_PTRACE, as in a "
			"container: start it with --cap-add=SYS_PTRACE",
			pid);
	if (!same_user)
		return error_new(
			ERROR_DENIED,
			"cannot trace process %d: it belongs to uid %u, we are uid %u: use "
			"sudo",
			pid, theirs.real_uid, ours.effective_uid);
	int scope = target_yama_scope();
	if (scope)
		return explain_yama(pid, scope);
	return error_new(
		ERROR_DENIED,
		"cannot trace process %d: it is not dumpable (it has or had privileges, or "
		"asked for it with prctl): use sudo",
		pid);
}
