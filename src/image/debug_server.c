/* SPDX-License-Identifier: MIT */
#include "image/debug_server.h"

#include <dlfcn.h>
#include <elfutils/debuginfod.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"

static const uint64_t PROGRESS_NS = 500000000, QUIET_NS = 1000000000;

/* The functions of the library that are used. */
struct functions {
	__typeof__(debuginfod_begin) *begin;
	__typeof__(debuginfod_end) *end;
	__typeof__(debuginfod_find_debuginfo) *find;
	__typeof__(debuginfod_set_progressfn) *set_progress;
	__typeof__(debuginfod_set_user_data) *set_context;
};

/*
 * client: NULL before the first question. name to gave_up: of the question under way. spent_ns: by
 * those before it. failed: no more is asked.
 */
struct debug_server {
	void *library;
	struct functions call;
	debuginfod_client *client;
	struct debug_server_progress progress;
	uint64_t limit_ns;
	uint64_t spent_ns;
	bool failed;

	const char *name;
	uint64_t begun_ns;
	uint64_t shown_ns;
	bool gave_up;
};

static bool load(struct debug_server *server)
{
	const struct {
		const char *name;
		void *pointer;
	} wanted[] = {
		{"debuginfod_begin", &server->call.begin},
		{"debuginfod_end", &server->call.end},
		{"debuginfod_find_debuginfo", &server->call.find},
		{"debuginfod_set_progressfn", &server->call.set_progress},
		{"debuginfod_set_user_data", &server->call.set_context},
	};
	/* What it loads in turn, TLS libraries among them, is not made to be unloaded. */
	server->library = dlopen(DEBUGINFOD_SONAME, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	for (size_t i = 0; server->library && i < sizeof wanted / sizeof *wanted; i++) {
		void *found = dlsym(server->library, wanted[i].name);
		if (!found)
			return false;
		memcpy(wanted[i].pointer, &found, sizeof found);
	}
	return server->library;
}

static void destroyp(struct debug_server **server)
{
	debug_server_destroy(*server);
}

struct error *debug_server_create(uint64_t limit_ns, struct debug_server **ret)
{
	const char *urls = getenv(DEBUGINFOD_URLS_ENV_VAR);
	if (!urls || !urls[strspn(urls, " ")])
		return error_new(ERROR_USAGE, "no server to ask for debug files: set "
					      "DEBUGINFOD_URLS to one's address, such as "
					      "https://debuginfod.debian.net");
	__attribute__((__cleanup__(destroyp))) struct debug_server *server =
		calloc(1, sizeof *server);
	if (!server)
		return error_no_memory();
	server->limit_ns = limit_ns;
	if (!load(server))
		return error_new(ERROR_UNSUPPORTED,
				 "cannot load " DEBUGINFOD_SONAME ", which asks servers for debug "
				 "files: install it (on Debian, the package libdebuginfod1)");
	*ret = take_ptr(server);
	return NULL;
}

void debug_server_destroy(struct debug_server *server)
{
	if (!server)
		return;
	if (server->client)
		server->call.end(server->client);
	if (server->library)
		dlclose(server->library);
	free(server);
}

void debug_server_set_limit(struct debug_server *server, uint64_t limit_ns)
{
	server->limit_ns = limit_ns;
}

void debug_server_set_progress(struct debug_server *server,
			       const struct debug_server_progress *progress)
{
	server->progress = *progress;
}

static void show(struct debug_server *server, uint64_t now_ns, long done, long total)
{
	uint64_t since_ns = now_ns - server->begun_ns;
	if (!server->progress.show || since_ns < QUIET_NS ||
	    (server->shown_ns && now_ns - server->shown_ns < PROGRESS_NS))
		return;
	server->shown_ns = now_ns;
	server->progress.show(server->progress.context, server->name, done > 0 ? (uint64_t)done : 0,
			      total > 0 ? (uint64_t)total : 0);
}

/* The library gives its client and nothing else, and is known by its name alone here. */
static struct debug_server *server_of(debuginfod_client *client)
{
	__typeof__(debuginfod_get_user_data) *get_context = NULL;
	void *library = dlopen(DEBUGINFOD_SONAME, RTLD_NOW | RTLD_NOLOAD);
	void *found = library ? dlsym(library, "debuginfod_get_user_data") : NULL;
	memcpy(&get_context, &found, sizeof found);
	struct debug_server *server = get_context ? get_context(client) : NULL;
	if (library)
		dlclose(library);
	return server;
}

/* Called by the library at least each second; what is not 0 ends the question. */
static int on_progress(debuginfod_client *client, long done, long total)
{
	struct debug_server *server = server_of(client);
	if (!server)
		return 0;
	uint64_t now_ns = clock_now_ns();
	server->gave_up = server->spent_ns + (now_ns - server->begun_ns) >= server->limit_ns;
	if (!server->gave_up)
		show(server, now_ns, done, total);
	return server->gave_up;
}

static struct error *begin(struct debug_server *server)
{
	server->client = server->call.begin();
	if (!server->client)
		return error_no_memory();
	server->call.set_context(server->client, server);
	server->call.set_progress(server->client, on_progress);
	return NULL;
}

static struct error *fail(struct debug_server *server, int error_number)
{
	server->failed = true;
	if (server->gave_up)
		return error_new(ERROR_UNSUPPORTED,
				 "debug files take too long to fetch: no more are asked for; "
				 "--debuginfod-limit gives them more time");
	return error_new(ERROR_UNSUPPORTED,
			 "cannot fetch debug files from '%s': %s: no more are asked for",
			 getenv(DEBUGINFOD_URLS_ENV_VAR), strerror(error_number));
}

struct error *debug_server_fetch(struct debug_server *server, const uint8_t *build_id, size_t count,
				 const char *name, int *fd_ret, char **path_ret)
{
	*fd_ret = -1;
	*path_ret = NULL;
	if (server->failed || !count)
		return NULL;
	struct error *err = server->client ? NULL : begin(server);
	if (err)
		return err;
	server->name = name;
	server->begun_ns = clock_now_ns();
	server->shown_ns = 0;
	server->gave_up = false;
	int result = server->call.find(server->client, build_id, (int)count, path_ret);
	server->spent_ns += clock_now_ns() - server->begun_ns;
	*fd_ret = result < 0 ? -1 : result;
	bool none = result == -ENOENT && !server->gave_up;
	return result < 0 && !none ? fail(server, -result) : NULL;
}
