/* SPDX-License-Identifier: MIT */
#include "report/diagnosis.h"

#include <string.h>

#include "report/json_value.h"

static bool is_missing(const struct diagnosis_function *function)
{
	return strcmp(function->kind, "missing") == 0;
}

/* The functions that a module lacks, on one line. */
static void write_missing(const struct diagnosis *diagnosis, const char *module, struct buffer *out)
{
	const char *before = "  not in it: ";
	for (size_t i = 0; i < diagnosis->function_count; i++) {
		const struct diagnosis_function *one = &diagnosis->functions[i];
		if (!is_missing(one) || strcmp(one->module, module) != 0)
			continue;
		buffer_string(out, before);
		buffer_escaped(out, one->function);
		before = ", ";
	}
	if (*before == ',')
		buffer_char(out, '\n');
}

static void write_function(const struct diagnosis_function *one, struct buffer *out)
{
	buffer_printf(out, "  %-16s %s", one->function, one->kind);
	if (one->reason) {
		buffer_string(out, ": ");
		buffer_escaped(out, one->reason);
	}
	buffer_char(out, '\n');
}

static void write_functions(const struct diagnosis *diagnosis, struct buffer *out)
{
	const char *module = NULL;
	for (size_t i = 0; i < diagnosis->function_count; i++) {
		const struct diagnosis_function *one = &diagnosis->functions[i];
		if (is_missing(one))
			continue;
		if (!module || strcmp(module, one->module) != 0) {
			if (module)
				write_missing(diagnosis, module, out);
			buffer_escaped(out, one->module);
			buffer_char(out, '\n');
		}
		module = one->module;
		write_function(one, out);
	}
	if (module)
		write_missing(diagnosis, module, out);
	else
		buffer_string(out, "no allocator that tracealloc knows\n");
	if (module && diagnosis->program)
		buffer_string(out, "found: by jump or by breakpoint, which is decided once it "
				   "runs ('tracealloc doctor PID')\n");
}

static void write_debug(const struct diagnosis_module *module, struct buffer *out)
{
	if (module->lines && module->debug_file) {
		buffer_string(out, "lines from ");
		buffer_escaped(out, module->debug_file);
	} else if (module->lines) {
		buffer_string(out, "lines of its own");
	} else if (module->debug_file) {
		buffer_string(out, "no lines, not even in ");
		buffer_escaped(out, module->debug_file);
	} else if (module->build_id && strlen(module->build_id) > 2) {
		buffer_printf(out,
			      "no lines: its debug package, or a debuginfod server, brings "
			      ".build-id/%.2s/%s.debug",
			      module->build_id, module->build_id + 2);
	} else {
		buffer_string(out, "no lines: build it with -g");
	}
	if (module->unwind_rows)
		buffer_printf(out, "; unwind table of %zu rows\n", module->unwind_rows);
	else
		buffer_string(out, "; no unwind table: frame pointers are tried\n");
}

static void write_modules(const struct diagnosis *diagnosis, struct buffer *out)
{
	if (diagnosis->module_count)
		buffer_string(out, "debug information:\n");
	for (size_t i = 0; i < diagnosis->module_count; i++) {
		const struct diagnosis_module *module = &diagnosis->modules[i];
		buffer_string(out, "  ");
		buffer_escaped(out, module->path);
		buffer_string(out, ": ");
		if (module->absent)
			buffer_string(out, "not in the standard directories: the program may find "
					   "it elsewhere\n");
		else
			write_debug(module, out);
	}
}

static void write_leftovers(const struct diagnosis *diagnosis, struct buffer *out)
{
	if (diagnosis->program)
		return;
	if (!diagnosis->leftovers)
		buffer_string(out, "nothing left by a tracealloc that was killed\n");
	else if (diagnosis->removed)
		buffer_printf(out, "%zu jumps of a tracealloc that was killed: removed\n",
			      diagnosis->removed);
	else
		buffer_printf(
			out,
			"%zu jumps of a tracealloc that was killed: harmless; the next attach "
			"takes them over, 'tracealloc doctor --clean %u' removes them\n",
			diagnosis->leftovers, diagnosis->pid);
}

void diagnosis_text(const struct diagnosis *diagnosis, struct buffer *out)
{
	write_functions(diagnosis, out);
	write_modules(diagnosis, out);
	write_leftovers(diagnosis, out);
}

void diagnosis_permissions_text(const struct diagnosis_permission *permissions, size_t count,
				bool contained, struct buffer *out)
{
	for (size_t i = 0; i < count; i++) {
		const struct diagnosis_permission *one = &permissions[i];
		if (one->reason)
			buffer_printf(out, "%s: not permitted: %s: %s\n", one->what, one->reason,
				      one->remedy);
		else
			buffer_printf(out, "%s: permitted\n", one->what);
	}
	if (contained)
		buffer_string(out, "this is a container (a pid namespace of its own): processes "
				   "outside of it are traced from outside\n");
	buffer_string(out, "'tracealloc doctor PID|PROGRAM' says what would be traced\n");
}

struct error *diagnosis_permissions_json(const struct diagnosis_permission *permissions,
					 size_t count, bool contained, struct buffer *out)
{
	bool failed = false;
	json_t *root = json_object(), *rows = json_array();
	for (size_t i = 0; i < count; i++) {
		json_t *row = json_object();
		json_value_set_text(row, "what", permissions[i].what, &failed);
		json_value_set(row, "permitted", json_boolean(!permissions[i].reason), &failed);
		json_value_set_text(row, "reason", permissions[i].reason, &failed);
		json_value_set_text(row, "remedy", permissions[i].remedy, &failed);
		json_value_append(rows, row, &failed);
	}
	json_value_set(root, "permissions", rows, &failed);
	json_value_set(root, "container", json_boolean(contained), &failed);
	struct error *err = failed ? error_no_memory() : json_value_write(root, out);
	json_decref(root);
	return err;
}

static json_t *function_value(const struct diagnosis_function *function, bool *failed)
{
	json_t *value = json_object();
	json_value_set_text(value, "function", function->function, failed);
	json_value_set_text(value, "module", function->module, failed);
	json_value_set_text(value, "kind", function->kind, failed);
	json_value_set_text(value, "reason", function->reason, failed);
	return value;
}

static json_t *module_value(const struct diagnosis_module *module, bool *failed)
{
	json_t *value = json_object();
	json_value_set_text(value, "path", module->path, failed);
	json_value_set(value, "found", json_boolean(!module->absent), failed);
	json_value_set_text(value, "build_id", module->build_id, failed);
	json_value_set(value, "lines", module->absent ? json_null() : json_boolean(module->lines),
		       failed);
	json_value_set_text(value, "debug_file", module->debug_file, failed);
	json_value_set(value, "unwind_rows",
		       module->absent ? json_null() : json_value_number(module->unwind_rows),
		       failed);
	return value;
}

struct error *diagnosis_json(const struct diagnosis *diagnosis, struct buffer *out)
{
	bool failed = false;
	json_t *root = json_object(), *functions = json_array(), *modules = json_array();
	for (size_t i = 0; i < diagnosis->function_count; i++)
		json_value_append(functions, function_value(&diagnosis->functions[i], &failed),
				  &failed);
	for (size_t i = 0; i < diagnosis->module_count; i++)
		json_value_append(modules, module_value(&diagnosis->modules[i], &failed), &failed);
	json_value_set(root, "pid",
		       diagnosis->program ? json_null() : json_value_number(diagnosis->pid),
		       &failed);
	json_value_set_text(root, "program", diagnosis->program, &failed);
	json_value_set(root, "functions", functions, &failed);
	json_value_set(root, "modules", modules, &failed);
	json_value_set_number(root, "leftovers", diagnosis->leftovers, &failed);
	json_value_set_number(root, "removed", diagnosis->removed, &failed);
	struct error *err = failed ? error_no_memory() : json_value_write(root, out);
	json_decref(root);
	return err;
}
