// SPDX-License-Identifier: Apache-2.0
/* kill, pause, unpause, update, wait: what is done to containers that run, of whatever owner. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/container/ended.h"
#include "cli/container/runspec.h"
#include "cli/output.h"
#include "cli/resolve.h"

/* What is asked for each container; answer is the caller's and may be NULL. */
typedef void (*answered_fn)(const json_t *container, const json_t *answer);

static int post_one(struct cli *cli, const json_t *container, const char *path, const json_t *body,
                    answered_fn answered)
{
    struct zl_error err = { 0 };
    json_t *answer = NULL;
    int rc = cli_call(cli, "POST", path, jstr(container, "id"), NULL, body, &answer, &err);
    if (rc == 0 && answered)
        answered(container, answer);
    json_decref(answer);
    return rc < 0 ? cli_fail(&err) : CLI_OK;
}

/* The containers of each argument, one after the other; goes on after a failure, and reports it. */
static int post_all(struct cli *cli, int argc, char **argv, const char *path, const json_t *body,
                    answered_fn answered)
{
    int code = CLI_OK;
    for (int i = 0; i < argc; i++) {
        struct zl_error err = { 0 };
        json_t *found = NULL;
        int worst = CLI_OK;
        if (resolve_containers(cli, argv[i], &found, &err) < 0) {
            code = cli_fail(&err);
            continue;
        }
        for (size_t n = 0; n < json_array_size(found); n++) {
            int rc = post_one(cli, json_array_get(found, n), path, body, answered);
            worst = rc ? rc : worst;
        }
        if (worst == CLI_OK)
            (void)printf("%s\n", argv[i]);
        code = worst ? worst : code;
        json_decref(found);
    }
    return code;
}

/* ---- kill, pause, unpause ------------------------------------------------------------------ */

struct kill_options {
    const char *signal;
};

static int kill_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct kill_options *o = options;
    json_t *body = json_pack("{s:s}", "signal", o->signal ? o->signal : "KILL");
    if (!body) /* and a request without a body kills */
        return cli_failf(CLI_FAILED, "what is not UTF-8 is not a signal");
    int code = post_all(cli, argc, argv, "/api/v1/containers/{}/kill", body, NULL);
    json_decref(body);
    return code;
}

static int pause_run(struct cli *cli, const void *options, int argc, char **argv)
{
    (void)options;
    return post_all(cli, argc, argv, "/api/v1/containers/{}/pause", NULL, NULL);
}

static int unpause_run(struct cli *cli, const void *options, int argc, char **argv)
{
    (void)options;
    return post_all(cli, argc, argv, "/api/v1/containers/{}/unpause", NULL, NULL);
}

/* clang-format off */
static const struct cli_option kill_options[] = {
    { 's', "signal", CLI_STRING, offsetof(struct kill_options, signal), "SIGNAL", "by name or number, HUP, SIGHUP, 1 [KILL]", NULL },
    { 0 },
};
/* clang-format on */

const struct cli_command kill_command = {
    .name = "kill",
    .group = GROUP_CONTAINER,
    .args = "CONTAINER|[DEPLOYMENT/]SERVICE…",
    .summary = "Send a signal to the first process of containers",
    .about = "KILL goes to all of their processes. A service restarts what was killed as its\n"
             "restart policy says; `zlayer stop` keeps it down.",
    .examples = "zlayer kill -s hup web\tmany servers read their configuration again",
    .options = kill_options,
    .options_size = sizeof(struct kill_options),
    .min_args = 1,
    .max_args = -1,
    .completes = "container",
    .run = kill_run,
};

const struct cli_command pause_command = {
    .name = "pause",
    .group = GROUP_CONTAINER,
    .args = "CONTAINER|[DEPLOYMENT/]SERVICE…",
    .summary = "Stop all processes of containers where they are",
    .about = "They keep their memory and get no CPU until `zlayer unpause`. Meanwhile health is\n"
             "not judged; a stop or a kill lets them go on for that.",
    .min_args = 1,
    .max_args = -1,
    .completes = "container",
    .run = pause_run,
};

const struct cli_command unpause_command = {
    .name = "unpause",
    .group = GROUP_CONTAINER,
    .args = "CONTAINER|[DEPLOYMENT/]SERVICE…",
    .summary = "Let paused containers go on",
    .min_args = 1,
    .max_args = -1,
    .completes = "container",
    .run = unpause_run,
};

/* ---- update -------------------------------------------------------------------------------- */

struct update_options {
    const char *memory, *memory_reservation, *memory_swap, *cpus, *cpu_shares, *cpu_period,
        *cpu_quota, *cpuset_cpus, *cpuset_mems, *pids, *blkio_weight;
};

enum update_kind { UPDATE_SIZE, UPDATE_NUMBER, UPDATE_TEXT, UPDATE_CPUS };
enum { CPU_PERIOD_US = 100000 };

/* clang-format off */
static const struct {
    size_t offset; /* of the option's text */
    const char *option, *key;
    enum update_kind kind;
} update_members[] = {
    { offsetof(struct update_options, memory),             "--memory",             "memory",             UPDATE_SIZE },
    { offsetof(struct update_options, memory_reservation), "--memory-reservation", "memory_reservation", UPDATE_SIZE },
    { offsetof(struct update_options, memory_swap),        "--memory-swap",        "memory_swap",        UPDATE_SIZE },
    { offsetof(struct update_options, cpus),               "--cpus",               "cpu_quota",          UPDATE_CPUS },
    { offsetof(struct update_options, cpu_shares),         "--cpu-shares",         "cpu_shares",         UPDATE_NUMBER },
    { offsetof(struct update_options, cpu_period),         "--cpu-period",         "cpu_period",         UPDATE_NUMBER },
    { offsetof(struct update_options, cpu_quota),          "--cpu-quota",          "cpu_quota",          UPDATE_NUMBER },
    { offsetof(struct update_options, cpuset_cpus),        "--cpuset-cpus",        "cpuset_cpus",        UPDATE_TEXT },
    { offsetof(struct update_options, cpuset_mems),        "--cpuset-mems",        "cpuset_mems",        UPDATE_TEXT },
    { offsetof(struct update_options, pids),               "--pids-limit",         "pids_limit",         UPDATE_NUMBER },
    { offsetof(struct update_options, blkio_weight),       "--blkio-weight",       "blkio_weight",       UPDATE_NUMBER },
};
/* clang-format on */

/* The text is a whole number; its sign is the agent's to judge. */
static bool is_number(const char *text, long long *ret)
{
    char *end;
    errno = 0;
    *ret = strtoll(text, &end, 10);
    return *text && !*end && !errno;
}

/* NULL: it is no such value. */
static json_t *update_value(enum update_kind kind, const char *text)
{
    long long n;
    char *end;
    if (kind == UPDATE_TEXT)
        return json_string(text);
    if (kind == UPDATE_CPUS) {
        double cpus = strtod(text, &end);
        bool sane = *text && !*end && cpus > 0 && cpus < 1e6;
        return sane ? json_integer((json_int_t)(cpus * CPU_PERIOD_US)) : NULL;
    }
    if (is_number(text, &n))
        return json_integer(n);
    uint64_t bytes;
    if (kind == UPDATE_SIZE && runspec_parse_size(text, &bytes, NULL) == 0)
        return json_integer((json_int_t)bytes);
    return NULL;
}

static json_t *update_body(const struct update_options *o, struct zl_error *err)
{
    json_t *body = json_object();
    for (size_t i = 0; i < ZL_ARRAY_LEN(update_members); i++) {
        const char *text = *(const char *const *)((const char *)o + update_members[i].offset);
        json_t *value = text ? update_value(update_members[i].kind, text) : NULL;
        if (!text)
            continue;
        if (!value || json_object_set_new(body, update_members[i].key, value) < 0) {
            (void)zl_fail(err, ZL_ERR_INVALID, "%s: '%s' is no such value",
                          update_members[i].option, text);
            json_decref(body);
            return NULL;
        }
    }
    if (o->cpus)
        (void)json_object_set_new(body, "cpu_period", json_integer(CPU_PERIOD_US));
    return body;
}

static void print_warnings(const json_t *container, const json_t *answer)
{
    const json_t *list = json_object_get(answer, "warnings");
    for (size_t i = 0; i < json_array_size(list); i++)
        (void)fprintf(stderr, "Warning: %s: %s\n", jstr(container, "name"),
                      json_string_value(json_array_get(list, i)));
}

static int update_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct update_options *o = options;
    struct zl_error err = { 0 };
    if (o->cpus && (o->cpu_quota || o->cpu_period))
        return cli_failf(CLI_USAGE, "--cpus says the same as --cpu-quota and --cpu-period");
    json_t *body = update_body(o, &err);
    if (!body)
        return cli_fail(&err);
    int code = post_all(cli, argc, argv, "/api/v1/containers/{}/update", body, print_warnings);
    json_decref(body);
    return code;
}

/* clang-format off */
static const struct cli_option update_options[] = {
    { 'm', "memory",             CLI_STRING, offsetof(struct update_options, memory),             "SIZE", "limit: 512Mi, -1 for none", NULL },
    { 0,   "memory-reservation", CLI_STRING, offsetof(struct update_options, memory_reservation), "SIZE", "what is left to it when memory is short", NULL },
    { 0,   "memory-swap",        CLI_STRING, offsetof(struct update_options, memory_swap),        "SIZE", "limit of memory and swap together", NULL },
    { 0,   "cpus",               CLI_STRING, offsetof(struct update_options, cpus),               "N",    "how many CPUs' time: 0.5", NULL },
    { 0,   "cpu-shares",         CLI_STRING, offsetof(struct update_options, cpu_shares),         "N",    "weight against others, 1024 is usual", NULL },
    { 0,   "cpu-period",         CLI_STRING, offsetof(struct update_options, cpu_period),         "US",   "microseconds in which", NULL },
    { 0,   "cpu-quota",          CLI_STRING, offsetof(struct update_options, cpu_quota),          "US",   "so many may be used; -1 for all", NULL },
    { 0,   "cpuset-cpus",        CLI_STRING, offsetof(struct update_options, cpuset_cpus),        "LIST", "on which CPUs: 0-3,8", NULL },
    { 0,   "cpuset-mems",        CLI_STRING, offsetof(struct update_options, cpuset_mems),        "LIST", "memory of which nodes", NULL },
    { 0,   "pids-limit",         CLI_STRING, offsetof(struct update_options, pids),               "N",    "how many processes; -1 for any number", NULL },
    { 0,   "blkio-weight",       CLI_STRING, offsetof(struct update_options, blkio_weight),       "N",    "weight of block I/O, 10 to 1000", NULL },
    { 0 },
};
/* clang-format on */

const struct cli_command update_command = {
    .name = "update",
    .group = GROUP_CONTAINER,
    .args = "CONTAINER|[DEPLOYMENT/]SERVICE…",
    .summary = "Change the limits of containers that run",
    .about = "What is not said stays as it is. All of it is set, or the old limits stay. The next\n"
             "container of a service is made as its document says: to keep a limit, deploy it.",
    .examples = "zlayer update --memory 512Mi --cpus 1.5 db",
    .options = update_options,
    .options_size = sizeof(struct update_options),
    .min_args = 1,
    .max_args = -1,
    .completes = "container",
    .run = update_run,
};

/* ---- wait ---------------------------------------------------------------------------------- */

struct wait_options {
    bool removed, next;
    uint64_t timeout_ms;
};

static int wait_one(struct cli *cli, const struct wait_options *o, const char *what,
                    struct zl_error *err)
{
    zl_autobuf struct zl_buf path = ZL_BUF(256);
    json_t *end = NULL;
    zl_buf_addf(&path, "/api/v1/containers/{}/wait?removed=%d&next=%d&timeout_ms=%" PRIu64,
                o->removed, o->next, o->timeout_ms);
    int rc = cli_call(cli, "POST", path.data, what, NULL, NULL, &end, err);
    const json_t *exit = json_object_get(end, "exit");
    if (rc == 0 && json_object_get(end, "state"))
        rc = zl_fail(err, ZL_ERR_TIMEOUT, "'%s' has not ended", what);
    else if (rc == 0 && cli->format == CLI_JSON && end)
        (void)json_dumpf(end, stdout, JSON_COMPACT);
    else if (rc == 0 && json_is_object(exit))
        (void)printf("%lld", (long long)jint(exit, "code"));
    else if (rc == 0)
        (void)printf("removed");
    if (rc == 0)
        (void)printf("\n");
    json_decref(end);
    return rc;
}

static int wait_run(struct cli *cli, const void *options, int argc, char **argv)
{
    int code = CLI_OK;
    for (int i = 0; i < argc; i++) {
        struct zl_error err = { 0 };
        if (wait_one(cli, options, argv[i], &err) < 0)
            code = err.kind == ZL_ERR_TIMEOUT ? (int)CLI_NOT_READY : cli_fail(&err);
        if (err.kind == ZL_ERR_TIMEOUT)
            (void)cli_fail(&err);
    }
    return code;
}

/* clang-format off */
static const struct cli_option wait_options[] = {
    { 0, "next",    CLI_FLAG,     offsetof(struct wait_options, next),       NULL,   "of one that has ended already, until the next of its name has", NULL },
    { 0, "removed", CLI_FLAG,     offsetof(struct wait_options, removed),    NULL,   "until it is gone", NULL },
    { 0, "timeout", CLI_DURATION, offsetof(struct wait_options, timeout_ms), "TIME", "at most so long [for ever]", NULL },
    { 0 },
};
/* clang-format on */

const struct cli_command wait_command = {
    .name = "wait",
    .group = GROUP_CONTAINER,
    .args = "CONTAINER…",
    .summary = "Wait for the end of containers and print their exit codes",
    .about = "One that has ended already is told at once, also when it was removed lately.",
    .examples = "zlayer wait --next web-rep-1\tthe next crash of a replica, though it is down now",
    .options = wait_options,
    .options_size = sizeof(struct wait_options),
    .min_args = 1,
    .max_args = -1,
    .completes = "container",
    .run = wait_run,
};
