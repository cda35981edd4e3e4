/* SPDX-License-Identifier: MIT */
/* What the page says of the session as a whole, and what was live over time. */
#include <inttypes.h>
#include <string.h>

#include "report/html.h"

static void put_texts(struct html_json *json, const char *key, const char *const *texts,
		      size_t count)
{
	html_json_key(json, key);
	buffer_char(json->out, '[');
	for (size_t i = 0; i < count; i++) {
		if (i)
			buffer_char(json->out, ',');
		html_json_text(json->out, texts[i]);
	}
	buffer_char(json->out, ']');
}

static void put_totals(struct html_json *json, const struct snapshot *snapshot)
{
	const struct total_counters *t = &snapshot->totals;
	const struct snapshot_cost *c = &snapshot->cost;
	const struct {
		const char *name;
		uint64_t value;
	} figures[] = {
		{"current_bytes", t->current_bytes},
		{"current_blocks", t->current_blocks},
		{"peak_bytes", t->peak_bytes},
		{"peak_blocks", t->peak_blocks},
		{"peak_at_ns", t->peak_at_ns},
		{"total_bytes", t->total_bytes},
		{"total_blocks", t->total_blocks},
		{"ended_bytes", t->ended_bytes},
		{"ended_blocks", t->ended_blocks},
		{"temporary_blocks", t->temporary_blocks},
		{"failed_calls", t->failed_calls},
		{"unknown_releases", t->unknown_releases},
		{"inherited_releases", t->inherited_releases},
		{"implied_releases", t->implied_releases},
		{"events", t->events},
		{"lost_events", snapshot->lost_events},
		{"truncated_stacks", snapshot->truncated_stacks},
		{"incomplete_stacks", snapshot->incomplete_stacks},
		{"target_stopped_ns", c->target_stopped_ns},
		{"tracer_cpu_ns", c->tracer_cpu_ns},
		{"tracer_rss_bytes", c->tracer_rss_bytes},
	};
	html_json_key(json, "totals");
	for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
		buffer_char(json->out, i ? ',' : '{');
		html_json_set_number(json, figures[i].name, figures[i].value);
	}
	buffer_char(json->out, '}');
}

static const char *group_name(enum query_group group)
{
	switch (group) {
	case QUERY_FILE:
		return "file";
	case QUERY_FUNCTION:
		return "function";
	case QUERY_MODULE:
		return "module";
	default:
		return "line";
	}
}

static const char *show_name(enum query_show show)
{
	static const char *const names[] = {
		[QUERY_PEAK] = "peak",	       [QUERY_CURRENT] = "current",
		[QUERY_TOTAL] = "total",       [QUERY_LEAKED] = "leaked",
		[QUERY_COUNT] = "count",       [QUERY_TEMPORARY] = "temporary",
		[QUERY_LIFETIME] = "lifetime", [QUERY_WASTE] = "waste",
	};
	return names[show];
}

/* What the page shows at first, and what is left out of it for good. */
static void put_query(struct html_json *json, const struct snapshot *snapshot,
		      const struct query *query)
{
	html_json_key(json, "query");
	buffer_char(json->out, '{');
	html_json_set_text(json, "show", show_name(query->show));
	buffer_char(json->out, ',');
	html_json_set_text(json, "group", group_name(query->group_by));
	buffer_char(json->out, ',');
	html_json_set_text(json, "charge",
			   query->charge == QUERY_CHARGE_CALLEE ? "callee" : "caller");
	buffer_char(json->out, ',');
	html_json_set_number(json, "cumulative", query->cumulative);
	buffer_char(json->out, ',');
	html_json_set_number(json, "top", query->top);
	buffer_char(json->out, ',');
	html_json_set_number(json, "min_bytes", query->min_bytes);
	buffer_char(json->out, ',');
	html_json_set_number(json, "waste", (snapshot->kept.flags & KEPT_WASTE) != 0);
	buffer_char(json->out, ',');
	put_texts(json, "skip", query->skip, query->skip_count);
	buffer_string(json->out, ",\"filters\":[");
	for (size_t i = 0; i < query->filter_count; i++) {
		static const char *const kinds[] = {
			[FILTER_FILE] = "file",	    [FILTER_FUNCTION] = "function",
			[FILTER_MODULE] = "module", [FILTER_LINE] = "line",
			[FILTER_THREAD] = "thread", [FILTER_SIZE] = "size",
			[FILTER_AGE] = "age",
		};
		const struct query_filter *filter = &query->filters[i];
		_cleanup_buffer_ struct buffer text = {0};
		buffer_printf(&text, "%s %s=%s", filter->inclusive ? "only" : "without",
			      kinds[filter->kind], filter->pattern);
		if (i)
			buffer_char(json->out, ',');
		html_json_text(json->out, buffer_text(&text));
		json->failed |= buffer_failed(&text);
	}
	buffer_string(json->out, "]}");
}

static void put_processes(struct html_json *json, const struct snapshot *snapshot)
{
	html_json_key(json, "processes");
	buffer_char(json->out, '[');
	for (size_t i = 0; i < snapshot->process_count; i++) {
		const struct snapshot_process *one = &snapshot->processes[i];
		buffer_printf(json->out, "%s{\"pid\":%u,\"parent\":%u,\"status\":", i ? "," : "",
			      one->pid, one->parent);
		if (one->exited)
			buffer_printf(json->out, "\"exit status %d\",", one->exit_status);
		else if (one->signalled)
			buffer_printf(json->out, "\"signal %d\",", one->signal);
		else
			buffer_string(json->out, "null,");
		html_json_set_text(json, "command", one->command);
		buffer_char(json->out, ',');
		html_json_set_text(json, "engine", one->engine);
		buffer_char(json->out, '}');
	}
	buffer_char(json->out, ']');
}

/* Allocator functions whose calls were not seen, and modules without lines. */
static void put_unknown(struct html_json *json, const struct snapshot *snapshot)
{
	html_json_key(json, "unseen_functions");
	buffer_char(json->out, '[');
	for (size_t i = 0, put = 0; i < snapshot->probe_count; i++) {
		const struct snapshot_probe *probe = &snapshot->probes[i];
		if (!probe->kind || strcmp(probe->kind, "none") != 0)
			continue;
		buffer_string(json->out, put++ ? ",{" : "{");
		html_json_set_text(json, "function", probe->function);
		buffer_char(json->out, ',');
		html_json_set_text(json, "module", probe->module);
		buffer_char(json->out, ',');
		html_json_set_text(json, "reason", probe->reason);
		buffer_char(json->out, '}');
	}
	buffer_string(json->out, "],\"blind_modules\":[");
	for (size_t i = 0; i < snapshot->blind_module_count; i++) {
		const struct snapshot_blind_module *blind = &snapshot->blind_modules[i];
		buffer_printf(json->out, "%s{\"sites\":%" PRIu64 ",", i ? "," : "", blind->sites);
		html_json_set_text(json, "module", blind->module);
		buffer_char(json->out, ',');
		html_json_set_text(json, "build_id", blind->build_id);
		buffer_char(json->out, '}');
	}
	buffer_char(json->out, ']');
}

static void put_origin(struct html_json *json, const struct snapshot *snapshot)
{
	html_json_key(json, "session");
	buffer_char(json->out, '{');
	put_texts(json, "command", snapshot->command, snapshot->command_count);
	buffer_printf(json->out,
		      ",\"origin\":\"%s\",\"pid\":%u,\"depth\":%u,\"snapshots\":%u,"
		      "\"started_ms\":%" PRId64 ",\"duration_ns\":%" PRIu64 ",",
		      snapshot->origin == SNAPSHOT_RUN ? "run" : "attach", snapshot->pid,
		      snapshot->depth, snapshot->part_count, snapshot->started_unix_ns / 1000000,
		      snapshot->duration_ns);
	html_json_set_text(json, "host", snapshot->machine.host);
	buffer_char(json->out, ',');
	html_json_set_text(json, "system", snapshot->machine.system);
	buffer_char(json->out, ',');
	html_json_set_text(json, "architecture", snapshot->machine.architecture);
	buffer_char(json->out, ',');
	html_json_set_text(json, "producer", snapshot->machine.producer);
	buffer_char(json->out, '}');
}

void html_session(struct html_page *page)
{
	struct html_json *json = &page->json;
	put_origin(json, page->snapshot);
	buffer_char(json->out, ',');
	put_totals(json, page->snapshot);
	buffer_char(json->out, ',');
	put_query(json, page->snapshot, page->query);
	buffer_char(json->out, ',');
	put_processes(json, page->snapshot);
	buffer_char(json->out, ',');
	put_unknown(json, page->snapshot);
}

static uint64_t time_of(const void *snapshot, size_t i)
{
	return ((const struct snapshot *)snapshot)->timeline[i].time_ns;
}

static uint64_t bytes_of(const void *snapshot, size_t i)
{
	return ((const struct snapshot *)snapshot)->timeline[i].current_bytes;
}

static uint64_t blocks_of(const void *snapshot, size_t i)
{
	return ((const struct snapshot *)snapshot)->timeline[i].current_blocks;
}

void html_timeline(struct html_page *page)
{
	const struct snapshot *snapshot = page->snapshot;
	struct html_json *json = &page->json;
	html_json_key(json, "timeline");
	buffer_printf(json->out, "{\"count\":%zu,", snapshot->timeline_count);
	html_json_column(json, "time_ns", snapshot->timeline_count, time_of, snapshot);
	buffer_char(json->out, ',');
	html_json_column(json, "bytes", snapshot->timeline_count, bytes_of, snapshot);
	buffer_char(json->out, ',');
	html_json_column(json, "blocks", snapshot->timeline_count, blocks_of, snapshot);
	buffer_char(json->out, '}');
}

void html_marks(struct html_page *page)
{
	static const char *const kinds[] = {
		[SNAPSHOT_MARK_NAMED] = "mark",
		[SNAPSHOT_MARK_PEAK_RESET] = "reset-peak",
		[SNAPSHOT_MARK_TAKEN] = "snapshot",
	};
	struct html_json *json = &page->json;
	html_json_key(json, "marks");
	buffer_char(json->out, '[');
	for (size_t i = 0; i < page->snapshot->mark_count; i++) {
		const struct snapshot_mark *mark = &page->snapshot->marks[i];
		buffer_string(json->out, i ? ",{" : "{");
		html_json_set_text(json, "kind", kinds[mark->kind]);
		buffer_char(json->out, ',');
		html_json_set_text(json, "name", mark->name);
		buffer_char(json->out, ',');
		html_json_set_number(json, "time_ns", mark->time_ns);
		buffer_char(json->out, ',');
		html_json_set_number(json, "bytes", mark->current_bytes);
		buffer_char(json->out, '}');
	}
	buffer_char(json->out, ']');
}

/* "[row,bytes,row,bytes,...]" of the sites that stand on the page. */
static void put_detail_sites(struct buffer *out, const struct snapshot *snapshot,
			     const struct snapshot_detail_point *point, const uint32_t *numbers)
{
	buffer_char(out, '[');
	for (size_t i = 0, put = 0; i < point->site_count; i++) {
		const struct snapshot_detail_site *one =
			&snapshot->detail_sites[point->first_site + i];
		if (numbers[one->site] != UINT32_MAX)
			buffer_printf(out, "%s%u,%" PRIu64, put++ ? "," : "", numbers[one->site],
				      one->bytes);
	}
	buffer_char(out, ']');
}

void html_details(struct html_page *page, const uint32_t *numbers)
{
	const struct snapshot *snapshot = page->snapshot;
	struct buffer *out = page->json.out;
	html_json_key(&page->json, "details");
	buffer_char(out, '[');
	for (size_t i = 0; i < snapshot->detail_point_count; i++) {
		const struct snapshot_detail_point *point = &snapshot->detail_points[i];
		buffer_printf(out, "%s{\"time_ns\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"sites\":",
			      i ? "," : "", point->time_ns, point->current_bytes);
		put_detail_sites(out, snapshot, point, numbers);
		buffer_char(out, '}');
	}
	buffer_char(out, ']');
}

static uint64_t size_low(const void *kept, size_t i)
{
	return ((const struct snapshot_kept *)kept)->sizes[i].size.low_bytes;
}

static uint64_t size_high(const void *kept, size_t i)
{
	return ((const struct snapshot_kept *)kept)->sizes[i].size.high_bytes;
}

static uint64_t size_total(const void *kept, size_t i)
{
	return ((const struct snapshot_kept *)kept)->sizes[i].total_blocks;
}

static uint64_t size_current(const void *kept, size_t i)
{
	return ((const struct snapshot_kept *)kept)->sizes[i].current_blocks;
}

static uint64_t lifetime_low(const void *kept, size_t i)
{
	return ((const struct snapshot_kept *)kept)->lifetimes[i].lifetime.low_ns;
}

static uint64_t lifetime_high(const void *kept, size_t i)
{
	return ((const struct snapshot_kept *)kept)->lifetimes[i].lifetime.high_ns;
}

static uint64_t lifetime_blocks(const void *kept, size_t i)
{
	return ((const struct snapshot_kept *)kept)->lifetimes[i].blocks;
}

/* They are of the whole session, and say nothing of a part of it. */
void html_histograms(struct html_page *page)
{
	const struct snapshot_kept *kept = &page->snapshot->kept;
	struct html_json *json = &page->json;
	bool known = kept->flags & KEPT_HISTOGRAMS && !page->query->filter_count;
	size_t sizes = known ? kept->size_count : 0, lifetimes = known ? kept->lifetime_count : 0;
	html_json_key(json, "sizes");
	buffer_printf(json->out, "{\"count\":%zu,", sizes);
	html_json_column(json, "low", sizes, size_low, kept);
	buffer_char(json->out, ',');
	html_json_column(json, "high", sizes, size_high, kept);
	buffer_char(json->out, ',');
	html_json_column(json, "total", sizes, size_total, kept);
	buffer_char(json->out, ',');
	html_json_column(json, "current", sizes, size_current, kept);
	buffer_printf(json->out, "},\"lifetimes\":{\"count\":%zu,", lifetimes);
	html_json_column(json, "low", lifetimes, lifetime_low, kept);
	buffer_char(json->out, ',');
	html_json_column(json, "high", lifetimes, lifetime_high, kept);
	buffer_char(json->out, ',');
	html_json_column(json, "blocks", lifetimes, lifetime_blocks, kept);
	buffer_char(json->out, '}');
}
