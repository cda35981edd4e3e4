/* SPDX-License-Identifier: MIT */
#include "lib/stacks/stack_oracle.h"

#include <check.h>

static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_linux_proc_find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
};

/* Modules that are still where they were are kept with all that is known of them. */
static void read_modules(struct stack_oracle *oracle, pid_t pid)
{
	dwfl_report_begin(oracle->dwfl);
	int failure = dwfl_linux_proc_report(oracle->dwfl, pid);
	if (failure || dwfl_report_end(oracle->dwfl, NULL, NULL) != 0)
		ck_abort_msg("libdwfl cannot read the modules of process %d: %s", pid,
			     dwfl_errmsg(-1));
}

void stack_oracle_open(pid_t pid, struct stack_oracle *ret)
{
	ret->dwfl = dwfl_begin(&callbacks);
	if (!ret->dwfl)
		ck_abort_msg("libdwfl: %s", dwfl_errmsg(-1));
	read_modules(ret, pid);
	if (dwfl_linux_proc_attach(ret->dwfl, pid, true) != 0)
		ck_abort_msg("libdwfl cannot look at process %d: %s", pid, dwfl_errmsg(-1));
}

void stack_oracle_close(struct stack_oracle *oracle)
{
	dwfl_end(oracle->dwfl);
	oracle->dwfl = NULL;
}

static void find_place(Dwfl *dwfl, struct stack_oracle_frame *frame)
{
	/* A call may be the last instruction of its file. */
	Dwfl_Module *module = dwfl_addrmodule(dwfl, frame->interrupted ? frame->pc : frame->pc - 1);
	GElf_Addr bias;

	if (module && dwfl_module_getelf(module, &bias)) {
		frame->address = frame->pc - bias;
		dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, &frame->file, NULL);
	}
}

static int add_frame(Dwfl_Frame *state, void *context)
{
	struct stack_oracle_walk *walk = context;
	struct stack_oracle_frame *frame = &walk->frames[walk->count];
	Dwarf_Addr pc;
	bool activation;

	if (walk->count == STACK_ORACLE_FRAMES_MAX)
		ck_abort_msg("a stack of more than %d frames", STACK_ORACLE_FRAMES_MAX);
	if (!dwfl_frame_pc(state, &pc, &activation)) {
		walk->failure = dwfl_errmsg(-1);
		return DWARF_CB_ABORT;
	}
	/* libdwfl calls both a signal's trampoline and what the signal came upon activations. */
	bool after_trampoline = walk->count > 0 && frame[-1].trampoline;
	bool interrupted = activation && (walk->count == 0 || after_trampoline);
	*frame = (struct stack_oracle_frame){
		.pc = pc, .interrupted = interrupted, .trampoline = activation && !interrupted};
	find_place(dwfl_thread_dwfl(dwfl_frame_thread(state)), frame);
	walk->count++;
	return DWARF_CB_OK;
}

void stack_oracle_walk(struct stack_oracle *oracle, pid_t tid, struct stack_oracle_walk *ret)
{
	ret->count = 0;
	ret->failure = NULL;
	read_modules(oracle, dwfl_pid(oracle->dwfl));
	if (dwfl_getthread_frames(oracle->dwfl, tid, add_frame, ret) != 0 && !ret->failure)
		ret->failure = dwfl_errmsg(-1);
}
