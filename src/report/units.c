/* SPDX-License-Identifier: MIT */
#include "report/units.h"

#include <math.h>
#include <stdbool.h>

void units_kib(struct buffer *out, uint64_t bytes)
{
	buffer_printf(out, "%.1f KiB", (double)bytes / 1024);
}

/* sign: as printf's flag +. */
static void write_size(struct buffer *out, double size, bool sign)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	size_t unit = 0;
	/* From KiB on every size below 10240 is below the limit, those below 100 included. */
	for (; unit < 4 && fabs(size) >= 10 * 1024; unit++)
		size /= 1024;
	int decimals = unit > 0 && fabs(size) < 100;
	buffer_printf(out, sign ? "%+.*f %s" : "%.*f %s", decimals, size, units[unit]);
}

void units_size(struct buffer *out, uint64_t bytes)
{
	write_size(out, (double)bytes, false);
}

void units_mean_size(struct buffer *out, double bytes)
{
	write_size(out, bytes, false);
}

void units_size_change(struct buffer *out, uint64_t old, uint64_t new)
{
	write_size(out, new >= old ? (double)(new - old) : -(double)(old - new), true);
}

void units_count_change(struct buffer *out, uint64_t old, uint64_t new)
{
	buffer_printf(out, new >= old ? "+%llu" : "-%llu",
		      (unsigned long long)(new >= old ? new - old : old - new));
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

void units_mean_duration(struct buffer *out, uint64_t sum_ns, uint64_t count)
{
	uint64_t mean_ns = count ? sum_ns / count : 0;
	if (!count)
		buffer_char(out, '-');
	else if (mean_ns < 1000)
		buffer_printf(out, "%llu ns", (unsigned long long)mean_ns);
	else if (mean_ns < 1000000)
		buffer_printf(out, "%.1f us", (double)mean_ns / 1e3);
	else
		units_duration(out, mean_ns);
}

void units_border(struct buffer *out, uint64_t time_ns)
{
	static const struct {
		uint64_t ns;
		const char *name;
	} units[] = {
		{1000000000, "s"},
		{1000000, "ms"},
		{1000, "us"},
		{1, "ns"},
	};
	size_t i = 0;
	while (units[i].ns > 1 && (!time_ns || time_ns % units[i].ns))
		i++;
	if (time_ns)
		buffer_printf(out, "%llu %s", (unsigned long long)(time_ns / units[i].ns),
			      units[i].name);
	else
		buffer_char(out, '0');
}
