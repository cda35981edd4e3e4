/* SPDX-License-Identifier: MIT */
#include "agent/system.h"

/* Numbers of the kernel's interface: uapi/asm/unistd_64.h, uapi/linux/futex.h, errno-base.h. */
enum {
	CALL_GETTID = 186,
	CALL_FUTEX = 202,
	CALL_PROCESS_VM_READV = 310,
	FUTEX_WAIT = 0,
	FUTEX_WAKE = 1,
	ERROR_TIMED_OUT = -110,
};

struct duration {
	int64_t seconds;
	int64_t nanoseconds;
};

struct vector {
	uint64_t start;
	uint64_t bytes;
};

static int64_t call(int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
		    uint64_t f)
{
	int64_t result;
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = e;
	register uint64_t r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

int64_t system_gettid(void)
{
	return call(CALL_GETTID, 0, 0, 0, 0, 0, 0);
}

bool system_futex_wait(const void *word, uint32_t expected, uint32_t milliseconds)
{
	struct duration limit = {.nanoseconds = (int64_t)milliseconds * 1000000};
	return call(CALL_FUTEX, (uint64_t)word, FUTEX_WAIT, expected, (uint64_t)&limit, 0, 0) ==
	       ERROR_TIMED_OUT;
}

void system_futex_wake_all(const void *word)
{
	call(CALL_FUTEX, (uint64_t)word, FUTEX_WAKE, INT32_MAX, 0, 0, 0);
}

bool system_read_word(uint64_t address, uint64_t *ret)
{
	struct vector to = {(uint64_t)ret, sizeof *ret};
	struct vector from = {address, sizeof *ret};
	/* Of the process that we are: a child of vfork(2) has its parent's memory and a pid of its
	   own, which a number written down by the tracer would not be. */
	return call(CALL_PROCESS_VM_READV, (uint64_t)system_gettid(), (uint64_t)&to, 1,
		    (uint64_t)&from, 1, 0) == sizeof *ret;
}
