/* SPDX-License-Identifier: MIT */
#include "report/report.h"

#include <string.h>

static const struct report_format formats[] = {
	{"text", true, report_text, NULL, NULL},
	{"json", true, report_json, NULL, NULL},
	{"csv", true, report_csv, NULL, NULL},
	{"pprof", false, NULL, report_pprof, NULL},
	{"dhat", false, NULL, report_dhat, NULL},
	{"massif", false, NULL, report_massif, NULL},
	{"callgrind", false, NULL, report_callgrind, NULL},
	{"folded", false, NULL, report_folded, NULL},
	{"speedscope", false, NULL, report_speedscope, NULL},
	{"html", false, NULL, NULL, report_html},
};

const struct report_format *report_formats(size_t *count_ret)
{
	*count_ret = sizeof formats / sizeof *formats;
	return formats;
}

const struct report_format *report_format(const char *name)
{
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
		if (strcmp(formats[i].name, name) == 0)
			return &formats[i];
	return NULL;
}
