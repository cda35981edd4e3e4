/* SPDX-License-Identifier: MIT */
#include "cli/status.h"

#include <string.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/terminal.h"
#include "report/units.h"

/* Carriage return, and the control sequence that erases to the line's end (ECMA-48, EL). */
#define ERASE "\r\033[K"

static const double SECOND_NS = 1e9;

/* "0:07", "12:34", "1:02:03". */
static void write_elapsed(struct buffer *out, uint64_t elapsed_ns)
{
	unsigned long long seconds = elapsed_ns / 1000000000u;
	if (seconds >= 3600)
		buffer_printf(out, "%llu:%02llu:%02llu", seconds / 3600, seconds / 60 % 60,
			      seconds % 60);
	else
		buffer_printf(out, "%llu:%02llu", seconds / 60, seconds % 60);
}

static void write_rate(struct buffer *out, double rate)
{
	if (rate < 1e4)
		buffer_printf(out, "%.0f", rate);
	else if (rate < 1e6)
		buffer_printf(out, "%.0f k", rate / 1e3);
	else
		buffer_printf(out, "%.1f M", rate / 1e6);
}

/* Appends a part and what separates it from the one before, if there is room for both. */
static bool add_part(struct buffer *line, size_t columns, const struct buffer *part)
{
	if (line->count + 2 + part->count > columns)
		return false;
	buffer_string(line, ", ");
	buffer_append(line, buffer_text(part), part->count);
	return true;
}

static void render_rates(const struct session_figures *now, const struct session_figures *before,
			 size_t columns, struct buffer *line)
{
	_cleanup_buffer_ struct buffer events = {0}, cost = {0};
	double past_ns = (double)(now->elapsed_ns - before->elapsed_ns);
	if (before->phase != now->phase || now->elapsed_ns <= before->elapsed_ns)
		return;
	write_rate(&events, (double)(now->events - before->events) * SECOND_NS / past_ns);
	buffer_string(&events, " events/s");
	buffer_printf(&cost, "tracer %.0f %% of a CPU",
		      (double)(now->tracer_cpu_ns - before->tracer_cpu_ns) * 100 / past_ns);
	if (add_part(line, columns, &events))
		add_part(line, columns, &cost);
}

static void render_tracing(const struct session_figures *now, const struct session_figures *before,
			   size_t columns, struct buffer *line)
{
	_cleanup_buffer_ struct buffer live = {0}, peak = {0};
	write_elapsed(line, now->elapsed_ns);
	buffer_string(&live, "live ");
	units_size(&live, now->current_bytes);
	buffer_string(&peak, "peak ");
	units_size(&peak, now->peak_bytes);
	if (add_part(line, columns, &live) && add_part(line, columns, &peak))
		render_rates(now, before, columns, line);
}

void status_render(const struct session_figures *now, const struct session_figures *before,
		   size_t columns, struct buffer *out)
{
	_cleanup_buffer_ struct buffer line = {0};
	buffer_string(&line, "tracealloc: ");
	if (now->phase == SESSION_STARTING)
		buffer_string(&line, "putting the probes in");
	else if (now->phase == SESSION_SYMBOLIZING)
		buffer_printf(&line, "symbolizing %llu of %llu call stacks",
			      (unsigned long long)now->done_stacks,
			      (unsigned long long)now->total_stacks);
	else
		render_tracing(now, before, columns, &line);
	buffer_append(out, buffer_text(&line), line.count < columns ? line.count : columns);
}

void status_render_fetching(const char *name, uint64_t done_bytes, uint64_t total_bytes,
			    size_t columns, struct buffer *out)
{
	_cleanup_buffer_ struct buffer line = {0}, sizes = {0};
	buffer_string(&line, "tracealloc: fetching debug information of ");
	buffer_escaped(&line, name);
	units_size(&sizes, done_bytes);
	if (total_bytes) {
		buffer_string(&sizes, " of ");
		units_size(&sizes, total_bytes);
	}
	add_part(&line, columns, &sizes);
	buffer_append(out, buffer_text(&line), line.count < columns ? line.count : columns);
}

static void erase(struct status *status)
{
	if (status->shown && terminal_is_ours(status->fd))
		error_free(output_write(status->fd, ERASE, strlen(ERASE)));
	status->shown = false;
}

/* A line that fills the last column would wrap on some terminals. */
static size_t columns_of(const struct status *status)
{
	return terminal_columns(status->fd) - 1;
}

/* Under the lock, where the terminal is ours. */
static void draw(struct status *status, const struct buffer *line)
{
	_cleanup_buffer_ struct buffer text = {0};
	buffer_string(&text, ERASE);
	buffer_append(&text, buffer_text(line), line->count);
	buffer_char(&text, '\r');
	error_free(output_write(status->fd, buffer_text(&text), text.count));
	status->shown = true;
}

static void show(void *context, const struct session_figures *figures)
{
	struct status *status = context;
	_cleanup_buffer_ struct buffer line = {0};
	bool wanted = !status->only_after || figures->phase == SESSION_SYMBOLIZING;
	pthread_mutex_lock(&status->lock);
	if (wanted && terminal_is_ours(status->fd)) {
		status_render(figures, &status->before, columns_of(status), &line);
		draw(status, &line);
	}
	status->before = *figures;
	pthread_mutex_unlock(&status->lock);
}

static void show_fetching(void *context, const char *name, uint64_t done_bytes,
			  uint64_t total_bytes)
{
	struct status *status = context;
	_cleanup_buffer_ struct buffer line = {0};
	pthread_mutex_lock(&status->lock);
	if (status->fd >= 0 && terminal_is_ours(status->fd)) {
		status_render_fetching(name, done_bytes, total_bytes, columns_of(status), &line);
		draw(status, &line);
	}
	pthread_mutex_unlock(&status->lock);
}

static void show_symbols(void *context, size_t done, size_t total)
{
	struct status *status = context;
	_cleanup_buffer_ struct buffer line = {0};
	pthread_mutex_lock(&status->lock);
	if (status->fd >= 0 && terminal_is_ours(status->fd)) {
		buffer_printf(&line, "tracealloc: symbolizing %zu of %zu frames", done, total);
		if (line.count > columns_of(status))
			line.count = columns_of(status);
		draw(status, &line);
	}
	pthread_mutex_unlock(&status->lock);
}

struct lookup_progress status_symbols(struct status *status)
{
	return (struct lookup_progress){show_symbols, status};
}

void status_follow(struct status *status, struct debug_server *server)
{
	const struct debug_server_progress progress = {show_fetching, status};
	if (server)
		debug_server_set_progress(server, &progress);
}

void status_open(const struct options *options, struct status *ret)
{
	bool wanted = !options->quiet && options->status != OPTIONS_STATUS_NO;
	*ret = (struct status){
		.fd = wanted && terminal_can_move(STDERR_FILENO) ? STDERR_FILENO : -1,
		.only_after =
			options->command == OPTIONS_RUN && options->status != OPTIONS_STATUS_YES,
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	ret->progress = (struct session_progress){.show = show, .context = ret};
}

const struct session_progress *status_progress(const struct status *status)
{
	return status->fd >= 0 ? &status->progress : NULL;
}

void status_hold(struct status *status)
{
	pthread_mutex_lock(&status->lock);
	erase(status);
}

void status_release(struct status *status)
{
	pthread_mutex_unlock(&status->lock);
}

void status_close(struct status *status)
{
	status_hold(status);
	status->fd = -1;
	status_release(status);
}
