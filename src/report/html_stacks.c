/* SPDX-License-Identifier: MIT */
/* Frames, the tree of stacks, and the sites that hang on it. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/html.h"

/* Calls: up[i] <= i, the caller of node i is node i - up[i]. */
struct tree {
	uint32_t *up;
	uint32_t *frame;
	size_t count;
	uint32_t *leaves; /* by site: its innermost node + 1, 0: none */
};

static void tree_deinit(struct tree *tree)
{
	free(tree->up);
	free(tree->frame);
	free(tree->leaves);
}

/* How many of the outermost frames two sites have in common. */
static size_t common(const struct html_page *page, const struct snapshot_site *a,
		     const struct snapshot_site *b)
{
	const uint32_t *stacks = page->snapshot->stacks;
	size_t count = 0, i = a->frame_count, j = b->frame_count;
	while (i && j && stacks[a->first_frame + --i] == stacks[b->first_frame + --j])
		count++;
	return count;
}

/* path: the nodes of the last site's stack, the outermost first. */
static void add_stack(struct tree *tree, const struct html_page *page,
		      const struct snapshot_site *site, size_t known, uint32_t *path)
{
	const uint32_t *stack = page->snapshot->stacks + site->first_frame;
	for (size_t depth = known; depth < site->frame_count; depth++) {
		uint32_t node = (uint32_t)tree->count++;
		tree->frame[node] = stack[site->frame_count - 1 - depth];
		tree->up[node] = depth ? node - path[depth - 1] : 0;
		path[depth] = node;
	}
}

static struct error *tree_make(struct tree *tree, struct html_page *page)
{
	size_t frames = 0, deepest = 0;
	for (size_t i = 0; i < page->site_count; i++) {
		frames += page->sites[i].site->frame_count;
		if (page->sites[i].site->frame_count > deepest)
			deepest = page->sites[i].site->frame_count;
	}
	_cleanup_free_ uint32_t *path = calloc(deepest + 1, sizeof *path);
	tree->up = calloc(frames + 1, sizeof *tree->up);
	tree->frame = calloc(frames + 1, sizeof *tree->frame);
	tree->leaves = calloc(page->site_count + 1, sizeof *tree->leaves);
	if (!path || !tree->up || !tree->frame || !tree->leaves)
		return error_no_memory();
	for (size_t i = 0; i < page->site_count; i++) {
		const struct snapshot_site *site = page->sites[i].site;
		size_t known = i ? common(page, page->sites[i - 1].site, site) : 0;
		add_stack(tree, page, site, known, path);
		tree->leaves[i] = site->frame_count ? path[site->frame_count - 1] + 1 : 0;
	}
	return NULL;
}

static uint64_t item_of(const void *items, size_t i)
{
	return ((const uint32_t *)items)[i];
}

static uint64_t byte_of(const void *items, size_t i)
{
	return ((const uint8_t *)items)[i];
}

static uint64_t charged_of(const void *sites, size_t i)
{
	const struct html_site *site = (const struct html_site *)sites + i;
	return site->charged == SIZE_MAX ? 0 : site->charged;
}

static uint64_t truncated_of(const void *sites, size_t i)
{
	return ((const struct html_site *)sites + i)->site->truncated;
}

/* A figure of every site, by its place among the counters. */
struct figure {
	const struct html_site *sites;
	size_t offset;
};

static uint64_t figure_of(const void *context, size_t i)
{
	const struct figure *figure = context;
	uint64_t value;
	memcpy(&value, (const char *)&figure->sites[i].counters + figure->offset, sizeof value);
	return value;
}

static void put_figures(struct html_page *page)
{
#define FIGURE(name)                                                                               \
	{                                                                                          \
#name, offsetof(struct site_counters, name)                                        \
	}
	static const struct {
		const char *name;
		size_t offset;
	} figures[] = {
		FIGURE(current_bytes), FIGURE(current_blocks),	 FIGURE(total_bytes),
		FIGURE(total_blocks),  FIGURE(released_blocks),	 FIGURE(ended_bytes),
		FIGURE(ended_blocks),  FIGURE(peak_bytes),	 FIGURE(peak_blocks),
		FIGURE(largest_bytes), FIGURE(temporary_blocks), FIGURE(lifetime_ns),
		FIGURE(failed_calls),  FIGURE(waste_bytes),
	};
#undef FIGURE
	for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
		struct figure figure = {page->sites, figures[i].offset};
		buffer_char(page->json.out, ',');
		html_json_column(&page->json, figures[i].name, page->site_count, figure_of,
				 &figure);
	}
}

struct error *html_stacks(struct html_page *page)
{
	__attribute__((cleanup(tree_deinit))) struct tree tree = {0};
	struct html_json *json = &page->json;
	struct error *err = tree_make(&tree, page);
	if (err)
		return err;
	html_json_key(json, "nodes");
	buffer_printf(json->out, "{\"count\":%zu,", tree.count);
	html_json_column(json, "up", tree.count, item_of, tree.up);
	buffer_char(json->out, ',');
	html_json_column(json, "frame", tree.count, item_of, tree.frame);
	buffer_printf(json->out, "},\"sites\":{\"count\":%zu,", page->site_count);
	html_json_column(json, "leaf", page->site_count, item_of, tree.leaves);
	buffer_char(json->out, ',');
	html_json_column(json, "charged", page->site_count, charged_of, page->sites);
	buffer_char(json->out, ',');
	html_json_column(json, "truncated", page->site_count, truncated_of, page->sites);
	put_figures(page);
	buffer_char(json->out, '}');
	return NULL;
}

/* Which string of a frame a column holds. */
struct name {
	struct html_page *page;
	size_t offset;
};

static uint64_t name_of(const void *context, size_t i)
{
	const struct name *name = context;
	const char *string;
	memcpy(&string, (const char *)&name->page->snapshot->frames[i] + name->offset,
	       sizeof string);
	return html_json_number_of(&name->page->json, string);
}

static uint64_t line_of(const void *snapshot, size_t i)
{
	return ((const struct snapshot *)snapshot)->frames[i].line;
}

/* Only a frame without a function is called by its address. It may need more than 53 bits. */
static void put_offsets(struct html_page *page)
{
	const struct snapshot *snapshot = page->snapshot;
	html_json_key(&page->json, "offset");
	buffer_char(page->json.out, '{');
	for (size_t i = 0, put = 0; i < snapshot->frame_count; i++) {
		const struct snapshot_frame *frame = &snapshot->frames[i];
		if (!frame->function)
			buffer_printf(page->json.out, "%s\"%zu\":\"0x%llx\"", put++ ? "," : "", i,
				      (unsigned long long)frame->offset);
	}
	buffer_char(page->json.out, '}');
}

void html_frames(struct html_page *page, const uint8_t *own)
{
	static const struct {
		const char *name;
		size_t offset;
	} names[] = {
		{"file", offsetof(struct snapshot_frame, file)},
		{"label", offsetof(struct snapshot_frame, label)},
		{"function", offsetof(struct snapshot_frame, function)},
		{"module", offsetof(struct snapshot_frame, module)},
	};
	const struct snapshot *snapshot = page->snapshot;
	struct html_json *json = &page->json;
	html_json_key(json, "frames");
	buffer_printf(json->out, "{\"count\":%zu,", snapshot->frame_count);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct name name = {page, names[i].offset};
		html_json_column(json, names[i].name, snapshot->frame_count, name_of, &name);
		buffer_char(json->out, ',');
	}
	html_json_column(json, "line", snapshot->frame_count, line_of, snapshot);
	buffer_char(json->out, ',');
	html_json_column(json, "own", snapshot->frame_count, byte_of, own);
	buffer_char(json->out, ',');
	put_offsets(page);
	buffer_char(json->out, '}');
}
