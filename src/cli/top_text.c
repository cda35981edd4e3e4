/* SPDX-License-Identifier: MIT */
#include "cli/top_text.h"

#include <string.h>

#include "report/units.h"

/* Widths of terminals from which on a column is shown, and that of the figures themselves. */
enum { RATE_FROM = 76, MARK_FROM = 62, BLOCKS_FROM = 46, FIGURE = 12, ELLIPSIS = 3 };

static const char *const group_names[] = {"line",      "file",	  "function", "module",
					  "traceback", "process", "size",     "thread"};
static const char *const order_names[] = {"bytes", "blocks", "change", "change since the mark"};

static void write_count(struct buffer *out, double count)
{
	if (count < 1e4)
		buffer_printf(out, "%.0f", count);
	else if (count < 1e6)
		buffer_printf(out, "%.0f k", count / 1e3);
	else
		buffer_printf(out, "%.1f M", count / 1e6);
}

static void write_time(struct buffer *out, uint64_t time_ns)
{
	unsigned long long seconds = time_ns / 1000000000u;
	if (seconds >= 3600)
		buffer_printf(out, "%llu:%02llu:%02llu", seconds / 3600, seconds / 60 % 60,
			      seconds % 60);
	else
		buffer_printf(out, "%llu:%02llu", seconds / 60, seconds % 60);
}

/* The process that was started or attached to; of one that is not listed only its number. */
static const struct snapshot_process *process_of(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->process_count; i++)
		if (snapshot->processes[i].pid == snapshot->pid)
			return &snapshot->processes[i];
	return NULL;
}

void top_text_title(const struct top_model *model, bool ended, struct buffer *out)
{
	const struct snapshot *snapshot = model->now->snapshot;
	const struct snapshot_process *process = process_of(snapshot);
	buffer_printf(out, "tracealloc  %sprocess %u", ended ? "TRACING HAS ENDED  " : "",
		      snapshot->pid);
	if (snapshot->process_count > 1)
		buffer_printf(out, " and %zu more", snapshot->process_count - 1);
	if (process && process->engine)
		buffer_printf(out, ", %s", process->engine);
	buffer_string(out, ", ");
	write_time(out, snapshot->duration_ns);
	/* Last, for it may be long. */
	if (process && process->command) {
		buffer_string(out, "  ");
		buffer_escaped(out, process->command);
	}
}

void top_text_totals(const struct top_model *model, struct buffer *out)
{
	const struct total_counters *totals = &model->now->snapshot->totals;
	buffer_string(out, "live ");
	units_size(out, totals->current_bytes);
	buffer_string(out, " in ");
	units_count(out, totals->current_blocks, "block");
	buffer_string(out, ", peak ");
	units_size(out, totals->peak_bytes);
	buffer_string(out, ", ");
	write_count(out, top_model_events_per_s(model));
	buffer_printf(out, " events/s, tracer %.0f %% of a CPU", top_model_cpu_percent(model));
	if (model->now->snapshot->lost_events)
		buffer_printf(out, ", %llu LOST",
			      (unsigned long long)model->now->snapshot->lost_events);
}

void top_text_course(const struct top_model *model, size_t columns, bool blocks, struct buffer *out)
{
	static const char *const bars[] = {"\u2581", "\u2582", "\u2583", "\u2584",
					   "\u2585", "\u2586", "\u2587", "\u2588"};
	static const char *const plain[] = {"_", ".", ",", "-", "=", "+", "*", "#"};
	size_t count = model->history_count < columns ? model->history_count : columns;
	const uint64_t *course = model->history + model->history_count - count;
	uint64_t most = 1;
	for (size_t i = 0; i < count; i++)
		most = course[i] > most ? course[i] : most;
	for (size_t i = 0; i < count; i++) {
		size_t level = (size_t)((double)course[i] * 7 / (double)most + 0.5);
		buffer_string(out, blocks ? bars[level] : plain[level]);
	}
}

void top_text_settings(const struct top_model *model, struct buffer *out)
{
	uint64_t now_ns = model->now->snapshot->duration_ns;
	uint64_t mark_ns = model->mark->snapshot->duration_ns;
	buffer_printf(out, "by %s, most %s first, mark ", group_names[model->query.group_by],
		      order_names[model->order]);
	write_time(out, now_ns > mark_ns ? now_ns - mark_ns : 0);
	buffer_printf(out, " ago, %zu row%s", model->count, model->count == 1 ? "" : "s");
	if (*model->pattern) {
		buffer_string(out, " with '");
		buffer_escaped(out, model->pattern);
		buffer_char(out, '\'');
	}
}

static void put_right(struct buffer *out, size_t width, const char *text)
{
	buffer_printf(out, "%*s", (int)width, text);
}

/* The heads that the order is by stand in brackets. */
static void put_head(struct buffer *out, size_t width, const char *name, bool chosen)
{
	char text[FIGURE + 1] = "";
	_cleanup_buffer_ struct buffer head = {0};
	buffer_printf(&head, chosen ? "[%s]" : "%s", name);
	strncpy(text, buffer_text(&head), FIGURE);
	put_right(out, width, text);
}

void top_text_heads(const struct top_model *model, size_t columns, struct buffer *out)
{
	enum top_order order = model->order;
	put_head(out, FIGURE, "bytes", order == TOP_BY_BYTES);
	if (columns >= BLOCKS_FROM)
		put_head(out, FIGURE, "blocks", order == TOP_BY_BLOCKS);
	put_head(out, FIGURE, "change", order == TOP_BY_CHANGE);
	if (columns >= MARK_FROM)
		put_head(out, FIGURE, "mark", order == TOP_BY_MARK);
	if (columns >= RATE_FROM)
		put_head(out, FIGURE, "per second", false);
	buffer_string(out, "  where");
}

static void put_size(struct buffer *out, uint64_t bytes)
{
	_cleanup_buffer_ struct buffer figure = {0};
	units_size(&figure, bytes);
	put_right(out, FIGURE, buffer_text(&figure));
}

/* What has not changed is a dash, so that the eye finds what has. */
static void put_change(struct buffer *out, uint64_t old, uint64_t new)
{
	_cleanup_buffer_ struct buffer figure = {0};
	if (old == new)
		buffer_char(&figure, '-');
	else
		units_size_change(&figure, old, new);
	put_right(out, FIGURE, buffer_text(&figure));
}

/* Of a path that is too long its end is what tells it from others, and has the line. */
static void put_end(struct buffer *out, const struct buffer *path, size_t room)
{
	const char *text = buffer_text(path);
	if (path->count > room && room > ELLIPSIS) {
		buffer_string(out, "...");
		text += path->count - room + ELLIPSIS;
		while (((unsigned char)*text & 0xc0) == 0x80) /* within a character of UTF-8 */
			text++;
	}
	buffer_string(out, text);
}

static size_t room_in(const struct buffer *line, size_t columns)
{
	return line->count < columns ? columns - line->count : 0;
}

void top_text_label(const struct table_row *row, size_t columns, struct buffer *out)
{
	_cleanup_buffer_ struct buffer label = {0};
	buffer_escaped(&label, row->label);
	if (row->line)
		put_end(out, &label, room_in(out, columns));
	else
		buffer_string(out, buffer_text(&label));
}

static void put_place(struct buffer *out, const struct table_row *row, size_t columns)
{
	buffer_string(out, "  ");
	top_text_label(row, columns, out);
	if (row->function && row->line) {
		buffer_string(out, "  ");
		buffer_escaped(out, row->function);
	}
}

void top_text_row(const struct top_row *row, size_t columns, struct buffer *out)
{
	put_size(out, row->bytes);
	if (columns >= BLOCKS_FROM)
		buffer_printf(out, "%*llu", (int)FIGURE, (unsigned long long)row->blocks);
	put_change(out, row->before_bytes, row->bytes);
	if (columns >= MARK_FROM)
		put_change(out, row->mark_bytes, row->bytes);
	if (columns >= RATE_FROM)
		put_size(out, (uint64_t)row->bytes_per_s);
	put_place(out, row->source, columns);
}

static void put_frame(struct buffer *out, const struct snapshot_frame *frame, size_t columns)
{
	_cleanup_buffer_ struct buffer line = {0}, place = {0};
	buffer_string(&line, "    ");
	buffer_escaped(&line, frame->function ? frame->function : "<unknown>");
	if (frame->inlined)
		buffer_string(&line, " (inlined)");
	buffer_string(&line, "  ");
	if (frame->line) {
		buffer_escaped(&place, frame->label ? frame->label : frame->file);
		buffer_printf(&place, ":%u", frame->line);
	} else if (frame->module) {
		buffer_escaped(&place, frame->module);
		buffer_printf(&place, "+0x%llx", (unsigned long long)frame->offset);
	}
	put_end(&line, &place, room_in(&line, columns));
	buffer_string(out, buffer_text(&line));
}

void top_text_stack(const struct table_row *stack, size_t columns, struct buffer *out)
{
	units_size(out, stack->bytes);
	buffer_string(out, " in ");
	units_count(out, stack->blocks, "block");
	for (size_t i = stack->frame_count; i > 0; i--) {
		buffer_char(out, '\n');
		put_frame(out, &stack->snapshot->frames[stack->stack[i - 1]], columns);
	}
}

const char *top_text_help(void)
{
	return "Keys\n"
	       "\n"
	       "  b  most bytes first             n  most blocks first\n"
	       "  d  most change since the last refresh first\n"
	       "  m  most change since the mark first\n"
	       "  space  set the mark: what is live now counts as unchanged\n"
	       "  g  next kind of row: line, function, file, module\n"
	       "  /  show rows with a text alone (Enter; an empty one shows all)\n"
	       "  arrows, PgUp, PgDn, Home, End  select a row\n"
	       "  Enter  the call stacks of the selected row; Esc goes back\n"
	       "  r  reset the peak               w  save a snapshot here\n"
	       "  q  quit (Ctrl-C too)            ?  this help\n"
	       "\n"
	       "Columns\n"
	       "\n"
	       "  bytes, blocks  live now         change  since the last refresh\n"
	       "  mark  change since the mark     per second  allocated, released or not\n"
	       "\n"
	       "Any key goes back.";
}
