/* SPDX-License-Identifier: MIT */
/*
 * The options: one table that feeds the parser and the help, and through the help the check of the
 * man page.
 *
 * Owns: which options there are, what they set, their defaults, and the complaints about their
 * values. Does not: read argv (command_line does), print, or exit. Private to cli; main thread.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"
#include "cli/limits.h"
#include "cli/lookup.h"
#include "cli/suppressions.h"
#include "cli/words.h"
#include "report/report.h"
#include "session/control_message.h"
#include "session/session.h"
#include "snapshot/query.h"

enum {
	OPTIONS_TOP_DEFAULT = 10,
	OPTIONS_TOP_MAX = 1000000000,
	OPTIONS_DEPTH_DEFAULT = 64,
	OPTIONS_DEPTH_MAX = 1024,
};

/* What was asked for. Bits, so that a row of the table can name several. */
enum options_command {
	OPTIONS_RUN = 1,
	OPTIONS_ATTACH = 2,
	OPTIONS_REPORT = 4,
	OPTIONS_DIFF = 8,
	OPTIONS_EXPORT = 16,
	OPTIONS_DOCTOR = 32,
	OPTIONS_CTL = 64,
	OPTIONS_TOP = 128,
	OPTIONS_COMPLETION = 256,
	OPTIONS_HELP = 512, /* of help_topic: one of those above, or 0 for everything */
	OPTIONS_VERSION = 1024,
};

/* The names of the commands, in the order of their bits; those that help can be about. */
#define OPTIONS_COMMANDS "run|attach|report|diff|export|doctor|ctl|top|completion|help"
enum {
	OPTIONS_TOPICS = OPTIONS_RUN | OPTIONS_ATTACH | OPTIONS_REPORT | OPTIONS_DIFF |
			 OPTIONS_EXPORT | OPTIONS_DOCTOR | OPTIONS_CTL | OPTIONS_TOP |
			 OPTIONS_COMPLETION
};

enum options_color { OPTIONS_COLOR_AUTO, OPTIONS_COLOR_ALWAYS, OPTIONS_COLOR_NEVER };
enum options_status { OPTIONS_STATUS_AUTO, OPTIONS_STATUS_YES, OPTIONS_STATUS_NO };

/* Strings point into argv, which must live as long, and into defaults. */
struct options {
	enum options_command command;
	unsigned help_topic;
	struct session_options session; /* but for log, which is the command's to give */
	struct query query;		/* skip and filters point to the arrays below */
	const struct report_format *format;
	const char *report_path; /* NULL: the command's standard stream */
	const char *output_path; /* where the snapshot goes; NULL: nowhere */
	bool show_given;	 /* --show was there: else the command decides */
	bool format_given;	 /* likewise --format, which export cannot do without */
	enum options_status status;
	enum options_color color;
	bool quiet; /* quiet implies verbose == 0: the later of the two wins */
	unsigned verbose;
	char **program;	       /* run: its argv, NULL-terminated */
	size_t shell;	       /* completion: of COMPLETION_SHELLS, where words is NULL */
	char **words;	       /* completion: those to complete, NULL-terminated */
	struct words defaults; /* of TRACEALLOC_OPTIONS; others point into it */
	pid_t pid;	       /* attach, doctor, ctl, top */
	const char *examined;  /* doctor: a program instead; NULL: the process */
	enum control_verb ctl_verb;
	const char *ctl_text; /* ctl: the file or the name of a mark */
	target_addr ctl_address;
	bool clean;	    /* doctor: remove what a session that was killed has left */
	const char **paths; /* report, diff, export: the snapshots */
	size_t path_count, path_capacity;
	struct session_watch *watches; /* session.watches points to them */
	size_t watch_capacity;
	struct allocator_rules rules; /* session.rules points to it once there is one */
	const char **skip;
	size_t skip_capacity;
	struct lookup lookup;		  /* session.debug_paths points to its own */
	struct limits limits;		  /* --fail-on */
	struct suppressions suppressions; /* query.suppressions points to them */
	struct query_filter *filters;	  /* query.filters points to them */
	size_t filter_capacity;
};

enum options_group { OPTIONS_TRACING, OPTIONS_ANSWER, OPTIONS_GENERAL };

struct options_row {
	char short_name; /* 0: none */
	const char *name;
	const char *value;   /* how help calls it: "N", or the choices "a|b"; NULL: takes none */
	const char *expects; /* what a complaint asks for; NULL: one of the choices */
	unsigned commands;   /* those it belongs to; OPTIONS_HELP: also before any command */
	enum options_group group;
	const char *text; /* help: what it does and its default */
	/* Takes the value (NULL where the row has none). ERROR_USAGE, or out of memory. */
	struct error *(*set)(struct options *options, const struct options_row *row,
			     const char *value);
};

/* The table, in the order help shows it. */
const struct options_row *options_rows(size_t *count_ret);

void options_init(struct options *options);
void options_deinit(struct options *options);

#define _cleanup_options_ __attribute__((__cleanup__(options_deinit)))

#endif
