/* SPDX-License-Identifier: MIT */
#include "report/json_histogram.h"

#include "report/json_value.h"

static json_t *size_object(const struct snapshot_size_class *one, bool *failed)
{
	json_t *object = json_object();
	json_value_set_number(object, "low_bytes", one->size.low_bytes, failed);
	json_value_set_number(object, "high_bytes", one->size.high_bytes, failed);
	json_value_set_number(object, "total_bytes", one->total_bytes, failed);
	json_value_set_number(object, "total_blocks", one->total_blocks, failed);
	json_value_set_number(object, "current_bytes", one->current_bytes, failed);
	json_value_set_number(object, "current_blocks", one->current_blocks, failed);
	return object;
}

static json_t *lifetime_object(const struct snapshot_lifetime_class *one, bool *failed)
{
	uint64_t high_ns = one->lifetime.high_ns;
	json_t *object = json_object();
	json_value_set_number(object, "low_ns", one->lifetime.low_ns, failed);
	json_value_set(object, "high_ns",
		       high_ns == UINT64_MAX ? json_null() : json_value_number(high_ns), failed);
	json_value_set_number(object, "bytes", one->bytes, failed);
	json_value_set_number(object, "blocks", one->blocks, failed);
	return object;
}

json_t *json_histogram(const struct table *table, bool *failed)
{
	const struct snapshot_kept *histogram = &table->histogram;
	bool sizes = table->query.histogram == QUERY_SIZE_HISTOGRAM;
	if (!table->query.histogram)
		return json_null();
	json_t *object = json_object(), *classes = json_array();
	for (size_t i = 0; i < histogram->size_count; i++)
		json_value_append(classes, size_object(&histogram->sizes[i], failed), failed);
	for (size_t i = 0; i < histogram->lifetime_count; i++)
		json_value_append(classes, lifetime_object(&histogram->lifetimes[i], failed),
				  failed);
	json_value_set_text(object, "of", sizes ? "size" : "lifetime", failed);
	json_value_set(object, "classes", classes, failed);
	return object;
}
