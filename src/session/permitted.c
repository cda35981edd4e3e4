/* SPDX-License-Identifier: MIT */
#include "session/permitted.h"

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "target/proc.h"
#include "target/target.h"

enum { YAMA_CHILDREN = 1, YAMA_ROOT = 2, YAMA_NOBODY = 3 };

/* The first pid namespace has a number of its own: PROC_PID_INIT_INO of the kernel. */
static bool is_contained(void)
{
	char name[64] = "";
	ssize_t count = readlink("/proc/self/ns/pid", name, sizeof name - 1);
	return count > 0 && strcmp(name, "pid:[4026531836]") != 0;
}

struct error *permitted_look(struct permitted_circumstances *ret)
{
	struct proc_status own;
	struct error *err = proc_status(getpid(), &own);
	if (err)
		return err;
	*ret = (struct permitted_circumstances){
		.yama_scope = target_yama_scope(),
		.seccomp = own.seccomp,
		.capable = own.capabilities & 1ul << CAP_SYS_PTRACE,
		.root = own.effective_uid == 0,
		.contained = is_contained(),
	};
	return target_try(&ret->trial);
}

static const char *const as_root = "use sudo";
static const char *const in_container =
	"start the container with --cap-add=SYS_PTRACE --security-opt seccomp=unconfined";

static void refuse(struct permitted_row *row, const char *reason, const char *remedy)
{
	row->permitted = false;
	row->reason = reason;
	row->remedy = remedy;
}

/* What forbids all tracing; false: nothing does. */
static bool refuse_all(const struct permitted_circumstances *now, struct permitted_row *row)
{
	if (now->yama_scope == YAMA_NOBODY)
		refuse(row, "Yama's ptrace_scope is 3, which holds until the next boot",
		       "boot with another value of kernel.yama.ptrace_scope in /etc/sysctl.d");
	else if (now->trial && (now->seccomp || now->contained))
		refuse(row, "a seccomp filter or the container forbids ptrace", in_container);
	else if (now->trial)
		refuse(row, "the kernel or a security module forbids ptrace",
		       "look for the refusal with 'journalctl -k'");
	return !row->permitted;
}

static void judge_own(const struct permitted_circumstances *now, struct permitted_row *row)
{
	if (refuse_all(now, row) || now->capable)
		return;
	if (now->yama_scope == YAMA_CHILDREN)
		refuse(row, "Yama's ptrace_scope is 1, so only ancestors may attach",
		       "use sudo, or 'sudo sysctl kernel.yama.ptrace_scope=0'");
	else if (now->yama_scope == YAMA_ROOT && now->root)
		refuse(row, "Yama's ptrace_scope is 2 and we lack CAP_SYS_PTRACE", in_container);
	else if (now->yama_scope == YAMA_ROOT)
		refuse(row, "Yama's ptrace_scope is 2, so only root may attach", as_root);
}

static void judge_others(const struct permitted_circumstances *now, struct permitted_row *row)
{
	if (refuse_all(now, row) || now->capable)
		return;
	refuse(row, "we lack CAP_SYS_PTRACE", now->root ? in_container : as_root);
}

void permitted_judge(const struct permitted_circumstances *now, struct permitted_row *ret)
{
	static const char *const whats[PERMITTED_ROWS] = {
		"run a program", "attach to a process of your own", "attach to any process"};
	for (size_t i = 0; i < PERMITTED_ROWS; i++)
		ret[i] = (struct permitted_row){.what = whats[i], .permitted = true};
	refuse_all(now, &ret[0]);
	judge_own(now, &ret[1]);
	judge_others(now, &ret[2]);
}
