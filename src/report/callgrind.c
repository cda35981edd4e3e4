/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/callgrind_costs.h"
#include "report/names.h"
#include "report/report.h"

/* Names as valgrind's own heap tools have them, where they have such an event. */
static const struct {
	const char *name;
	const char *text;
	enum query_show show;
	bool is_bytes;
} events[] = {
	{"peakB", "Bytes at the Peak", QUERY_PEAK, true},
	{"peakBk", "Blocks at the Peak", QUERY_PEAK, false},
	{"curB", "current Bytes", QUERY_CURRENT, true},
	{"curBk", "current Blocks", QUERY_CURRENT, false},
	{"totB", "total Bytes", QUERY_TOTAL, true},
	{"totBk", "total Blocks", QUERY_COUNT, false},
	{"totFdB", "total Freed Bytes", QUERY_LIFETIME, true},
	{"totFdBk", "total Freed Blocks", QUERY_LIFETIME, false},
	{"leakB", "Bytes never freed", QUERY_LEAKED, true},
	{"leakBk", "Blocks never freed", QUERY_LEAKED, false},
	{"tmpBk", "temporary Blocks", QUERY_TEMPORARY, false},
};
enum { EVENTS = sizeof events / sizeof *events };

/* The three names of a function, in the order in which callgrind_costs.h has them. */
enum { NAME_MODULE, NAME_FILE, NAME_FUNCTION, NAMES };

struct callgrind {
	const struct callgrind_costs *costs;
	struct texts names[NAMES]; /* numbered each for itself */
	bool *written[NAMES];	   /* of each of these, whether the reader knows its number */
	size_t (*numbers)[NAMES];  /* of each function, those of its names */
	size_t order[EVENTS];	   /* what the query shows comes first: readers sort by it */
	struct buffer *out;
};

static void callgrind_deinit(struct callgrind *callgrind)
{
	for (size_t i = 0; i < NAMES; i++) {
		texts_deinit(&callgrind->names[i]);
		free(callgrind->written[i]);
	}
	free(callgrind->numbers);
}

static struct error *number_names(struct callgrind *callgrind)
{
	const struct texts *functions = &callgrind->costs->functions;
	bool failed = false;
	callgrind->numbers = calloc(functions->count, sizeof *callgrind->numbers);
	for (size_t i = 0; callgrind->numbers && i < functions->count; i++) {
		_cleanup_free_ char *copy = strdup(texts_get(functions, i));
		char *rest = copy;
		for (size_t k = 0; copy && k < NAMES; k++)
			callgrind->numbers[i][k] =
				texts_add(&callgrind->names[k], strsep(&rest, "\n"));
		failed |= !copy;
	}
	for (size_t k = 0; k < NAMES; k++) {
		callgrind->written[k] = calloc(callgrind->names[k].count + 1, sizeof(bool));
		failed |= callgrind->names[k].failed || !callgrind->written[k];
	}
	return failed || !callgrind->numbers ? error_no_memory() : NULL;
}

static void set_order(struct callgrind *callgrind, enum query_show show)
{
	size_t count = 0;
	for (size_t i = 0; i < EVENTS; i++)
		if (events[i].show == show)
			callgrind->order[count++] = i;
	for (size_t i = 0; i < EVENTS; i++)
		if (events[i].show != show)
			callgrind->order[count++] = i;
}

static void write_values(struct callgrind *callgrind, const struct site_counters *counters)
{
	for (size_t i = 0; i < EVENTS; i++) {
		size_t event = callgrind->order[i];
		uint64_t bytes, blocks;
		query_quantity(events[event].show, counters, &bytes, &blocks);
		buffer_printf(callgrind->out, " %" PRIu64, events[event].is_bytes ? bytes : blocks);
	}
	buffer_char(callgrind->out, '\n');
}

static void write_header(struct callgrind *callgrind, const struct snapshot *snapshot)
{
	struct buffer *out = callgrind->out;
	const char *producer = snapshot->machine.producer;
	buffer_string(out, "# callgrind format\nversion: 1\ncreator: ");
	buffer_escaped(out, producer ? producer : "tracealloc");
	buffer_printf(out, "\npid: %u\ncmd: ", snapshot->pid);
	names_command(out, snapshot);
	buffer_string(out, "\npositions: line\n");
	for (size_t i = 0; i < EVENTS; i++)
		buffer_printf(out, "event: %s : %s\n", events[i].name, events[i].text);
	buffer_string(out, "events:");
	for (size_t i = 0; i < EVENTS; i++)
		buffer_printf(out, " %s", events[callgrind->order[i]].name);
	buffer_char(out, '\n');
}

/* "fn=(3) name", the name only when it is new. */
static void write_names(struct callgrind *callgrind, size_t function, const char *const keys[NAMES])
{
	for (size_t k = 0; k < NAMES; k++) {
		size_t number = callgrind->numbers[function][k];
		buffer_printf(callgrind->out, "%s=(%zu)", keys[k], number + 1);
		if (!callgrind->written[k][number])
			buffer_printf(callgrind->out, " %s",
				      texts_get(&callgrind->names[k], number));
		callgrind->written[k][number] = true;
		buffer_char(callgrind->out, '\n');
	}
}

static void write_cost(struct callgrind *callgrind, const struct callgrind_cost *cost)
{
	static const char *const keys[] = {"cob", "cfi", "cfn"};
	if (cost->callee != CALLGRIND_OWN) {
		write_names(callgrind, cost->callee - 1, keys);
		buffer_printf(callgrind->out, "calls=%" PRIu64 " 0\n", cost->counters.total_blocks);
	}
	buffer_printf(callgrind->out, "%u", cost->line);
	write_values(callgrind, &cost->counters);
}

static void write_costs(struct callgrind *callgrind)
{
	static const char *const keys[] = {"ob", "fl", "fn"};
	const struct callgrind_costs *costs = callgrind->costs;
	for (size_t i = 0; i < costs->count; i++) {
		if (!i || costs->items[i].function != costs->items[i - 1].function) {
			buffer_char(callgrind->out, '\n');
			write_names(callgrind, costs->items[i].function, keys);
		}
		write_cost(callgrind, &costs->items[i]);
	}
}

struct error *report_callgrind(const struct selection *selection,
			       const struct report_source *source, struct buffer *out)
{
	(void)source;
	_cleanup_callgrind_costs_ struct callgrind_costs costs = {0};
	__attribute__((__cleanup__(callgrind_deinit))) struct callgrind callgrind = {
		.costs = &costs, .out = out};
	struct error *err = callgrind_costs_make(selection, &costs);
	if (!err)
		err = number_names(&callgrind);
	if (err)
		return err;
	const struct site_counters sums = selection_sums(selection);
	set_order(&callgrind, selection->query->show);
	write_header(&callgrind, selection->snapshot);
	write_costs(&callgrind);
	buffer_string(out, "\ntotals:");
	write_values(&callgrind, &sums);
	return buffer_failed(out) ? error_no_memory() : NULL;
}
