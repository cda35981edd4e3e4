/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "report/names.h"
#include "report/pprof_tables.h"
#include "report/report.h"

/* The values of a sample, in this order; the first four are those of Go's heap profiles. */
static const struct {
	const char *type;
	enum query_show show;
	bool is_bytes;
} types[] = {
	{"alloc_objects", QUERY_TOTAL, false},	       {"alloc_space", QUERY_TOTAL, true},
	{"inuse_objects", QUERY_CURRENT, false},       {"inuse_space", QUERY_CURRENT, true},
	{"peak_objects", QUERY_PEAK, false},	       {"peak_space", QUERY_PEAK, true},
	{"leaked_objects", QUERY_LEAKED, false},       {"leaked_space", QUERY_LEAKED, true},
	{"temporary_objects", QUERY_TEMPORARY, false},
};
enum { TYPES = sizeof types / sizeof *types };

static void destroy_profilep(Pprof__Profile **profile)
{
	pprof__profile__free_unpacked(*profile, NULL);
}

static Pprof__ValueType *value_type(struct pprof_tables *tables, const char *type, const char *unit)
{
	Pprof__ValueType *value = malloc(sizeof *value);
	if (!value)
		return NULL;
	pprof__value_type__init(value);
	value->type = pprof_tables_text(tables, type);
	value->unit = pprof_tables_text(tables, unit);
	return value;
}

/* What the query shows is what is seen first. */
static void add_types(struct pprof_tables *tables, enum query_show show)
{
	Pprof__Profile *profile = tables->profile;
	size_t capacity = 0;
	for (size_t i = 0; i < TYPES; i++) {
		pprof_tables_append(
			tables, &profile->sample_type, &profile->n_sample_type, &capacity,
			value_type(tables, types[i].type, types[i].is_bytes ? "bytes" : "count"));
		if (types[i].show == show)
			profile->default_sample_type = pprof_tables_text(tables, types[i].type);
	}
	if (show == QUERY_COUNT)
		profile->default_sample_type = pprof_tables_text(tables, types[0].type);
	profile->period_type = value_type(tables, "space", "bytes");
	profile->period = 1;
	tables->failed |= !profile->period_type;
}

/* Where it comes from, as lines for people. */
static void add_comments(struct pprof_tables *tables)
{
	const struct snapshot *snapshot = tables->snapshot;
	Pprof__Profile *profile = tables->profile;
	_cleanup_buffer_ struct buffer command = {0};
	names_command(&command, snapshot);
	const char *producer = snapshot->machine.producer;
	int64_t comments[] = {
		pprof_tables_text(tables, buffer_text(&command)),
		pprof_tables_name(tables, producer ? producer : "tracealloc"),
	};
	tables->failed |= buffer_failed(&command);
	profile->comment = malloc(sizeof comments);
	tables->failed |= !profile->comment;
	for (size_t i = 0; profile->comment && i < sizeof comments / sizeof *comments; i++)
		profile->comment[profile->n_comment++] = comments[i];
}

/* False where all are 0. */
static bool fill_values(int64_t *values, const struct site_counters *counters)
{
	bool any = false;
	for (size_t i = 0; i < TYPES; i++) {
		uint64_t bytes, blocks;
		query_quantity(types[i].show, counters, &bytes, &blocks);
		uint64_t value = types[i].is_bytes ? bytes : blocks;
		values[i] = value > INT64_MAX ? INT64_MAX : (int64_t)value;
		any |= value != 0;
	}
	return any;
}

/* Inlined frames share the location of the frame that they are inlined into. */
static void add_locations(struct pprof_tables *tables, const struct selection_stack *stack,
			  Pprof__Sample *sample)
{
	static const struct snapshot_frame unknown = {0};
	const struct snapshot_frame *frames = tables->snapshot->frames;
	for (size_t i = 0; i < stack->frame_count;) {
		size_t end = i;
		while (end + 1 < stack->frame_count && frames[stack->frames[end]].inlined)
			end++;
		sample->location_id[sample->n_location_id++] =
			pprof_tables_location(tables, &stack->frames[i], end + 1 - i);
		i = end + 1;
	}
	if (!stack->frame_count)
		sample->location_id[sample->n_location_id++] =
			pprof_tables_placeless(tables, &unknown);
	if (stack->truncated)
		sample->location_id[sample->n_location_id++] =
			pprof_tables_placeless(tables, &names_truncated);
}

static Pprof__Sample *make_sample(struct pprof_tables *tables, const struct selection_stack *stack,
				  const int64_t *values)
{
	Pprof__Sample *sample = malloc(sizeof *sample);
	if (!sample)
		return NULL;
	pprof__sample__init(sample);
	sample->location_id = calloc(stack->frame_count + 2, sizeof *sample->location_id);
	sample->value = calloc(TYPES, sizeof *sample->value);
	if (!sample->location_id || !sample->value) {
		pprof__sample__free_unpacked(sample, NULL);
		return NULL;
	}
	add_locations(tables, stack, sample);
	for (; sample->n_value < TYPES; sample->n_value++)
		sample->value[sample->n_value] = values[sample->n_value];
	return sample;
}

/* Room for a label, NULL without memory; capacity is that of the sample's labels. */
static Pprof__Label *add_label(struct pprof_tables *tables, Pprof__Sample *sample, const char *key,
			       size_t *capacity)
{
	Pprof__Label *label = malloc(sizeof *label);
	if (label) {
		pprof__label__init(label);
		label->key = pprof_tables_text(tables, key);
	}
	pprof_tables_append(tables, &sample->label, &sample->n_label, capacity, label);
	return tables->failed ? NULL : label;
}

/* "worker (thread 12)" */
static void add_named(struct pprof_tables *tables, Pprof__Sample *sample, size_t *capacity,
		      const char *key, const char *name, const char *noun, uint32_t number)
{
	_cleanup_buffer_ struct buffer text = {0};
	Pprof__Label *label = add_label(tables, sample, key, capacity);
	buffer_escaped(&text, name ? name : "<unknown>");
	buffer_printf(&text, " (%s %u)", noun, number);
	tables->failed |= buffer_failed(&text);
	if (label)
		label->str = pprof_tables_text(tables, buffer_text(&text));
}

/* Whose a sample is, as far as that was kept or there are several. */
static void add_labels(struct pprof_tables *tables, Pprof__Sample *sample,
		       const struct snapshot_site *site)
{
	const struct snapshot *snapshot = tables->snapshot;
	unsigned flags = snapshot->kept.flags;
	size_t capacity = 0;
	if (!tables->failed && snapshot->part_count > 1 && site->process != SNAPSHOT_NO_PROCESS) {
		const struct snapshot_process *process = &snapshot->processes[site->process];
		add_named(tables, sample, &capacity, "process", process->command, "pid",
			  process->pid);
	}
	if (!tables->failed && flags & KEPT_THREADS && site->traits.thread) {
		const struct snapshot_thread *thread =
			&snapshot->kept.threads[site->traits.thread - 1];
		add_named(tables, sample, &capacity, "thread", thread->name, "thread", thread->tid);
	}
	if (!tables->failed && flags & KEPT_SIZES) {
		Pprof__Label *label = add_label(tables, sample, "bytes", &capacity);
		uint64_t size = site->traits.size.high_bytes;
		if (label) {
			label->num = size > INT64_MAX ? INT64_MAX : (int64_t)size;
			label->num_unit = pprof_tables_text(tables, "bytes");
		}
	}
}

static void add_sample(struct pprof_tables *tables, const struct selection_stack *stack,
		       const struct snapshot_site *site, const struct site_counters *counters,
		       size_t *capacity)
{
	Pprof__Profile *profile = tables->profile;
	int64_t values[TYPES];
	if (tables->failed || !fill_values(values, counters))
		return;
	Pprof__Sample *sample = make_sample(tables, stack, values);
	pprof_tables_append(tables, &profile->sample, &profile->n_sample, capacity, sample);
	add_labels(tables, sample, site);
}

/* A sample a stack; where threads or sizes are told apart, a sample a site. */
static void add_samples(struct pprof_tables *tables, const struct selection *selection)
{
	const struct snapshot *snapshot = selection->snapshot;
	bool apart = snapshot->kept.flags & (KEPT_THREADS | KEPT_SIZES);
	size_t capacity = 0;
	for (size_t i = 0; !apart && i < selection->count; i++) {
		const struct selection_stack *stack = &selection->stacks[i];
		add_sample(tables, stack, &snapshot->sites[stack->site], &stack->counters,
			   &capacity);
	}
	for (size_t i = 0; apart && i < snapshot->site_count; i++) {
		const struct snapshot_site *site = &snapshot->sites[i];
		if (selection->stack_of_site[i] != SELECTION_NO_STACK)
			add_sample(tables, &selection->stacks[selection->stack_of_site[i]], site,
				   &site->counters, &capacity);
	}
}

/* RFC 1952, with neither name nor time: the same profile gives the same bytes. */
static struct error *compress_to(struct buffer *out, uint8_t *bytes, size_t count)
{
	enum { GZIP_WINDOW_BITS = 15 + 16, MEMORY_LEVEL = 8 };
	uint8_t piece[1 << 14];
	z_stream stream = {.next_in = bytes, .avail_in = 0};
	if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW_BITS, MEMORY_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return error_no_memory();
	int status = Z_OK;
	while (status != Z_STREAM_END) {
		if (!stream.avail_in) {
			stream.avail_in = count > UINT_MAX ? UINT_MAX : (uInt)count;
			count -= stream.avail_in;
		}
		stream.next_out = piece;
		stream.avail_out = sizeof piece;
		status = deflate(&stream, count ? Z_NO_FLUSH : Z_FINISH);
		buffer_append(out, piece, sizeof piece - stream.avail_out);
	}
	deflateEnd(&stream);
	return buffer_failed(out) ? error_no_memory() : NULL;
}

static struct error *write_profile(const Pprof__Profile *profile, struct buffer *out)
{
	size_t count = pprof__profile__get_packed_size(profile);
	_cleanup_free_ uint8_t *bytes = malloc(count + 1);
	if (!bytes)
		return error_no_memory();
	pprof__profile__pack(profile, bytes);
	return compress_to(out, bytes, count);
}

struct error *report_pprof(const struct selection *selection, const struct report_source *source,
			   struct buffer *out)
{
	(void)source;
	const struct snapshot *snapshot = selection->snapshot;
	__attribute__((__cleanup__(destroy_profilep))) Pprof__Profile *profile =
		malloc(sizeof *profile);
	__attribute__((__cleanup__(pprof_tables_deinit))) struct pprof_tables tables = {0};
	if (!profile)
		return error_no_memory();
	pprof__profile__init(profile);
	pprof_tables_init(&tables, snapshot, profile);
	profile->time_nanos = snapshot->started_unix_ns;
	profile->duration_nanos =
		snapshot->duration_ns > INT64_MAX ? INT64_MAX : (int64_t)snapshot->duration_ns;
	add_types(&tables, selection->query->show);
	add_comments(&tables);
	/* The first mapping is taken for the program. */
	if (snapshot->module_count)
		pprof_tables_mapping(&tables, snapshot->modules[0].path);
	add_samples(&tables, selection);
	pprof_tables_finish(&tables);
	return tables.failed ? error_no_memory() : write_profile(profile, out);
}
