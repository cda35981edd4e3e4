/* SPDX-License-Identifier: MIT */
/*
 * The manual page of the format is right: a reader that knows nothing else finds every figure of a
 * snapshot in it.
 */
#include <unistd.h>

#include "base/cleanup.h"
#include "snapshot/body.h"
#include "unit/snapshot/sample.h"

static void put_number(struct buffer *out, uint64_t number)
{
	buffer_printf(out, " %llu", (unsigned long long)number);
}

static void put_string(struct buffer *out, const char *string)
{
	if (string)
		buffer_printf(out, " [%s]", string);
	else
		buffer_string(out, " -");
}

static void put_numbers(struct buffer *out, const uint64_t *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		put_number(out, numbers[i]);
}

static void expect_session(const struct snapshot *s, struct buffer *out)
{
	const struct total_counters *t = &s->totals;
	const struct snapshot_cost *c = &s->cost;
	buffer_printf(out, "SESS %d %u %u %u %lld", s->origin, s->pid, s->depth, s->part_count,
		      (long long)s->started_unix_ns);
	put_numbers(out,
		    (const uint64_t[]){s->duration_ns,
				       t->current_bytes,
				       t->current_blocks,
				       t->peak_bytes,
				       t->peak_blocks,
				       t->peak_at_ns,
				       t->total_bytes,
				       t->total_blocks,
				       t->released_bytes,
				       t->released_blocks,
				       t->ended_bytes,
				       t->ended_blocks,
				       t->temporary_blocks,
				       t->failed_calls,
				       t->unknown_releases,
				       t->inherited_releases,
				       t->null_releases,
				       t->implied_releases,
				       t->events,
				       s->lost_events,
				       s->truncated_stacks,
				       s->incomplete_stacks,
				       c->target_stopped_ns,
				       c->stops,
				       c->install_freeze_ns,
				       c->remove_freeze_ns,
				       c->tracer_cpu_ns,
				       c->tracer_rss_bytes},
		    28);
	put_string(out, s->machine.host);
	put_string(out, s->machine.system);
	put_string(out, s->machine.architecture);
	put_string(out, s->machine.producer);
	buffer_char(out, '\n');
	for (size_t i = 0; i < s->command_count; i++)
		buffer_printf(out, "ARGV [%s]\n", s->command[i]);
}

static void expect_processes(const struct snapshot *s, struct buffer *out)
{
	for (size_t i = 0; i < s->process_count; i++) {
		const struct snapshot_process *p = &s->processes[i];
		buffer_printf(out, "PROC %u %u %u", p->pid, p->parent, p->tree);
		put_string(out, p->command);
		put_string(out, p->engine);
		buffer_printf(out, " %d %d %d\n", p->exit_status, p->signal,
			      p->exited + 2 * p->signalled);
	}
	for (size_t i = 0; i < s->probe_count; i++) {
		const struct snapshot_probe *p = &s->probes[i];
		buffer_printf(out, "PROB %u", p->pid);
		put_string(out, p->function);
		put_string(out, p->module);
		put_string(out, p->kind);
		put_string(out, p->reason);
		buffer_char(out, '\n');
	}
}

static void expect_modules(const struct snapshot *s, struct buffer *out)
{
	for (size_t i = 0; i < s->module_count; i++) {
		buffer_string(out, "MODU");
		put_string(out, s->modules[i].path);
		put_string(out, s->modules[i].build_id);
		buffer_char(out, '\n');
	}
	for (size_t i = 0; i < s->blind_module_count; i++) {
		buffer_string(out, "BLND");
		put_string(out, s->blind_modules[i].module);
		put_string(out, s->blind_modules[i].build_id);
		put_number(out, s->blind_modules[i].sites);
		buffer_char(out, '\n');
	}
}

static void expect_frames(const struct snapshot *s, struct buffer *out)
{
	for (size_t i = 0; i < s->frame_count; i++) {
		const struct snapshot_frame *f = &s->frames[i];
		buffer_string(out, "FRAM");
		put_string(out, f->file);
		put_string(out, f->label);
		put_string(out, f->function);
		put_string(out, f->linkage);
		put_string(out, f->module);
		buffer_printf(out, " %u %llu %d\n", f->line, (unsigned long long)f->offset,
			      f->inlined);
	}
	for (size_t i = 0; i < s->stack_count; i++)
		buffer_printf(out, "STAK %u\n", s->stacks[i]);
}

static void expect_sites(const struct snapshot *s, struct buffer *out)
{
	for (size_t i = 0; i < s->site_count; i++) {
		const struct snapshot_site *site = &s->sites[i];
		const struct site_counters *c = &site->counters;
		buffer_printf(out, "SITE %zu %u %d", site->frame_count, site->process,
			      site->truncated);
		put_numbers(out,
			    (const uint64_t[]){c->current_bytes, c->current_blocks, c->total_bytes,
					       c->total_blocks, c->released_bytes,
					       c->released_blocks, c->ended_bytes, c->ended_blocks,
					       c->peak_bytes, c->peak_blocks, c->largest_bytes,
					       c->temporary_blocks, c->lifetime_ns,
					       c->failed_calls},
			    14);
		buffer_char(out, '\n');
	}
}

static void expect_rest(const struct snapshot *s, struct buffer *out)
{
	for (size_t i = 0; i < s->timeline_count; i++)
		buffer_printf(out, "TIME %llu %llu %llu\n",
			      (unsigned long long)s->timeline[i].time_ns,
			      (unsigned long long)s->timeline[i].current_bytes,
			      (unsigned long long)s->timeline[i].current_blocks);
	for (size_t i = 0; i < s->source_line_count; i++)
		buffer_printf(out, "SRCE [%s] [%s] %u\n", s->source_lines[i].file,
			      s->source_lines[i].text, s->source_lines[i].line);
	for (size_t i = 0; i < s->detail_point_count; i++) {
		buffer_string(out, "DTLP");
		put_number(out, s->detail_points[i].time_ns);
		put_number(out, s->detail_points[i].current_bytes);
		put_number(out, s->detail_points[i].current_blocks);
		put_number(out, s->detail_points[i].site_count);
		buffer_char(out, '\n');
	}
	for (size_t i = 0; i < s->detail_site_count; i++)
		buffer_printf(out, "DTLS %u %llu %llu\n", s->detail_sites[i].site,
			      (unsigned long long)s->detail_sites[i].bytes,
			      (unsigned long long)s->detail_sites[i].blocks);
}

static void expect_threads(const struct snapshot *s, struct buffer *out)
{
	buffer_printf(out, "KEPT %u\n", s->kept.flags);
	for (size_t i = 0; i < s->kept.thread_count; i++) {
		buffer_printf(out, "THRD %u %u", s->kept.threads[i].pid, s->kept.threads[i].tid);
		put_string(out, s->kept.threads[i].name);
		buffer_char(out, '\n');
	}
	for (size_t i = 0; i < s->site_count; i++) {
		const struct snapshot_traits *traits = &s->sites[i].traits;
		buffer_printf(out, "TRAI %u %u", traits->thread, traits->waste_bytes);
		put_number(out, traits->size.low_bytes);
		put_number(out, traits->size.high_bytes);
		buffer_char(out, '\n');
	}
}

static void expect_scan(const struct snapshot *s, struct buffer *out)
{
	buffer_printf(out, "SCAN %u %u", s->scan.looked_at, s->scan.missed);
	put_numbers(out, (const uint64_t[]){s->scan.blocks, s->scan.frozen_ns}, 2);
	buffer_char(out, '\n');
	for (size_t i = 0; i < s->site_count; i++) {
		const struct reach_counters *c = &s->sites[i].counters.unreachable;
		if (!c->direct_blocks && !c->indirect_blocks)
			continue;
		buffer_printf(out, "LOST %zu", i);
		put_numbers(out,
			    (const uint64_t[]){c->direct_bytes, c->direct_blocks, c->indirect_bytes,
					       c->indirect_blocks},
			    4);
		buffer_char(out, '\n');
	}
}

static void expect_kept(const struct snapshot *s, struct buffer *out)
{
	for (size_t i = 0; i < s->kept.age_count; i++) {
		const struct snapshot_age *one = &s->kept.ages[i];
		buffer_printf(out, "AGES %u", one->site);
		put_numbers(out,
			    (const uint64_t[]){one->age.low_ns, one->age.high_ns, one->bytes,
					       one->blocks},
			    4);
		buffer_char(out, '\n');
	}
	for (size_t i = 0; i < s->kept.size_count; i++) {
		const struct snapshot_size_class *one = &s->kept.sizes[i];
		buffer_string(out, "SIZE");
		put_numbers(out,
			    (const uint64_t[]){one->size.low_bytes, one->size.high_bytes,
					       one->total_bytes, one->total_blocks,
					       one->current_bytes, one->current_blocks},
			    6);
		buffer_char(out, '\n');
	}
	for (size_t i = 0; i < s->kept.lifetime_count; i++) {
		const struct snapshot_lifetime_class *one = &s->kept.lifetimes[i];
		buffer_string(out, "LIFE");
		put_numbers(out,
			    (const uint64_t[]){one->lifetime.low_ns, one->lifetime.high_ns,
					       one->bytes, one->blocks},
			    4);
		buffer_char(out, '\n');
	}
}

static void expect_heap(const struct snapshot *s, struct buffer *out)
{
	const struct snapshot_heap *h = &s->heap;
	buffer_printf(out, "HEAP %d", h->before_known + 2 * h->known);
	put_numbers(out,
		    (const uint64_t[]){h->before_bytes, h->before_blocks, h->before_heap_bytes,
				       h->heap_bytes, h->used_bytes, h->used_blocks, h->free_bytes,
				       h->overhead_bytes, h->resident_bytes},
		    9);
	buffer_char(out, '\n');
}

static void expect_marks(const struct snapshot *s, struct buffer *out)
{
	for (size_t i = 0; i < s->mark_count; i++) {
		const struct snapshot_mark *mark = &s->marks[i];
		buffer_printf(out, "MARK %u ", mark->kind);
		if (mark->name)
			buffer_printf(out, "[%s]", mark->name);
		else
			buffer_char(out, '-');
		put_number(out, mark->time_ns);
		put_number(out, mark->current_bytes);
		buffer_char(out, '\n');
	}
}

static void expect_inner_pids(const struct snapshot *s, struct buffer *out)
{
	for (size_t i = 0; i < s->process_count; i++)
		buffer_printf(out, "NSPD %u\n", s->processes[i].inner_pid);
}

static void read_by_page(const struct buffer *body, struct buffer *ret)
{
	char path[] = "/tmp/tracealloc-body-XXXXXX", command[256], piece[4096];
	_cleanup_close_ int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, body->bytes, body->count), (ssize_t)body->count);
	snprintf(command, sizeof command,
		 "python3 tests/unit/snapshot/read_body.py man/tracealloc-snapshot.5 %s", path);
	FILE *pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	for (size_t count; (count = fread(piece, 1, sizeof piece, pipe));)
		buffer_append(ret, piece, count);
	int status = pclose(pipe);
	unlink(path);
	ck_assert_int_eq(status, 0);
}

START_TEST(the_page_describes_every_figure)
{
	if (system("command -v python3 >/dev/null") != 0) {
		printf("SKIP: python3 is not installed\n");
		fflush(stdout);
		return;
	}
	struct snapshot *snapshot = sample_random(11, 30);
	_cleanup_buffer_ struct buffer body = {0}, got = {0}, want = {0};
	ck_assert_ptr_null(body_encode(snapshot, &body));
	read_by_page(&body, &got);
	expect_session(snapshot, &want);
	expect_processes(snapshot, &want);
	expect_modules(snapshot, &want);
	expect_frames(snapshot, &want);
	expect_sites(snapshot, &want);
	expect_rest(snapshot, &want);
	expect_threads(snapshot, &want);
	expect_kept(snapshot, &want);
	expect_scan(snapshot, &want);
	expect_heap(snapshot, &want);
	expect_marks(snapshot, &want);
	expect_inner_pids(snapshot, &want);
	ck_assert_str_eq(buffer_text(&got), buffer_text(&want));
	snapshot_destroy(snapshot);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("page");
	TCase *cases = tcase_create("page");
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, the_page_describes_every_figure);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
