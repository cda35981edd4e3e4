/* SPDX-License-Identifier: MIT */
#include "report/units.h"

void units_kib(struct buffer *out, uint64_t bytes)
{
	buffer_printf(out, "%.1f KiB", (double)bytes / 1024);
}

void units_size(struct buffer *out, uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double size = (double)bytes;
	size_t unit = 0;
	/* From KiB on every size below 10240 is below the limit, those below 100 included. */
	for (; unit < 4 && size >= 10 * 1024; unit++)
		size /= 1024;
	buffer_printf(out, unit > 0 && size < 100 ? "%.1f %s" : "%.0f %s", size, units[unit]);
}

void units_count(struct buffer *out, uint64_t count, const char *noun)
{
	buffer_printf(out, "%llu %s%s", (unsigned long long)count, noun, count == 1 ? "" : "s");
}

void units_duration(struct buffer *out, uint64_t duration_ns)
{
	if (duration_ns < 1000000000)
		buffer_printf(out, "%.1f ms", (double)duration_ns / 1e6);
	else
		buffer_printf(out, "%.3f s", (double)duration_ns / 1e9);
}
