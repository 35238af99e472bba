// SPDX-License-Identifier: Apache-2.0
/*
 * `run` says what a service of a document says, in the words that users of other container tools
 * know. What it makes is checked by the agent as any document is.
 */
#include "cli/container/runspec.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- values -------------------------------------------------------------------------------- */

int runspec_parse_size(const char *text, uint64_t *ret, struct zl_error *err)
{
    static const struct {
        const char *unit;
        int shift;
    } units[] = { { "", 0 },     { "b", 0 },   { "k", 10 },  { "ki", 10 },  { "kb", 10 },
                  { "kib", 10 }, { "m", 20 },  { "mi", 20 }, { "mb", 20 },  { "mib", 20 },
                  { "g", 30 },   { "gi", 30 }, { "gb", 30 }, { "gib", 30 }, { "t", 40 },
                  { "ti", 40 },  { "tb", 40 }, { "tib", 40 } };
    char *unit;
    double n = isdigit((unsigned char)*text) ? strtod(text, &unit) : -1;
    for (size_t i = 0; n > 0 && i < ZL_ARRAY_LEN(units); i++) {
        double bytes = n * (double)(UINT64_C(1) << units[i].shift);
        if (strcasecmp(unit, units[i].unit) == 0 && bytes >= 1 && bytes < 9e18) {
            *ret = (uint64_t)bytes;
            return 0;
        }
    }
    return zl_fail(err, ZL_ERR_INVALID, "'%s' is not a size such as 16m or 1.5g", text);
}

int runspec_add_env(json_t *env, const char *text, struct zl_error *err)
{
    const char *eq = strchr(text, '=');
    zl_autofree char *name = eq ? strndup(text, (size_t)(eq - text)) : strdup(text);
    if (!name)
        return zl_fail_errno(err, "take --env");
    const char *value = eq ? eq + 1 : getenv(name);
    if (!*name)
        return zl_fail(err, ZL_ERR_INVALID, "--env '%s' has no name", text);
    if (value && json_object_set_new(env, name, json_string(value)) < 0)
        return zl_fail(err, ZL_ERR_INVALID, "--env %s is not UTF-8", name);
    return 0;
}

static int add_label(json_t *labels, const char *text, struct zl_error *err)
{
    const char *eq = strchr(text, '=');
    zl_autofree char *name = eq ? strndup(text, (size_t)(eq - text)) : strdup(text);
    if (!name || !*name || json_object_set_new(labels, name, json_string(eq ? eq + 1 : "")) < 0)
        return zl_fail(err, ZL_ERR_INVALID, "--label '%s' is not NAME=VALUE", text);
    return 0;
}

static json_t *not_a_volume(const char *text, struct zl_error *err)
{
    (void)zl_fail(err, ZL_ERR_INVALID,
                  "--volume '%s' is not /TARGET, NAME:/TARGET[:ro] or /SOURCE:/TARGET[:ro]", text);
    return NULL;
}

/* A source that begins with . is relative to the current directory. */
static json_t *bind_mount(const char *source, const char *target, bool readonly,
                          struct zl_error *err)
{
    zl_autofree char *real = *source == '.' ? realpath(source, NULL) : NULL;
    if (*source == '.' && !real) {
        (void)zl_fail_errno(err, "--volume: find '%s'", source);
        return NULL;
    }
    return json_pack("{s:s, s:s, s:s, s:b}", "type", "bind", "source", real ? real : source,
                     "target", target, "readonly", readonly);
}

/* TARGET is an anonymous volume; NAME:TARGET[:ro|rw] one with a name; a SOURCE that begins with /
 * or . is a path of the host. */
static json_t *volume_mount(const char *text, struct zl_error *err)
{
    const char *colon = strchr(text, ':');
    if (!colon)
        return *text == '/' ? json_pack("{s:s, s:s}", "type", "anonymous", "target", text)
                            : not_a_volume(text, err);
    size_t rest = strcspn(colon + 1, ":");
    const char *mode = colon[1 + rest] ? colon + 2 + rest : "rw";
    bool readonly = strcmp(mode, "ro") == 0;
    zl_autofree char *source = strndup(text, (size_t)(colon - text));
    zl_autofree char *target = strndup(colon + 1, rest);
    if (!source || !target || !*source || *target != '/' || (!readonly && strcmp(mode, "rw") != 0))
        return not_a_volume(text, err);
    if (*source == '.' || *source == '/')
        return bind_mount(source, target, readonly, err);
    return json_pack("{s:s, s:s, s:s, s:b}", "type", "named", "name", source, "target", target,
                     "readonly", readonly);
}

/* ---- the mapping --------------------------------------------------------------------------- */

static int put(json_t *object, const char *key, json_t *value, struct zl_error *err)
{
    if (value && json_object_set_new(object, key, value) == 0)
        return 0;
    return zl_fail(err, ZL_ERR_INVALID, "%s is not UTF-8, or there is no memory for it", key);
}

static int put_text(json_t *object, const char *key, const char *value, struct zl_error *err)
{
    return value ? put(object, key, json_string(value), err) : 0;
}

static int put_true(json_t *object, const char *key, bool value, struct zl_error *err)
{
    return value ? put(object, key, json_true(), err) : 0;
}

static int put_command(json_t *s, const struct run_options *o, int argc, char **argv,
                       struct zl_error *err)
{
    json_t *command = json_object();
    int rc = put_text(command, "workdir", o->workdir, err);
    if (rc == 0 && o->entrypoint)
        rc = put(command, "entrypoint",
                 *o->entrypoint ? json_pack("[s]", o->entrypoint) : json_array(), err);
    if (rc == 0 && argc > 0) {
        json_t *args = json_array();
        for (int i = 0; rc == 0 && i < argc; i++)
            if (json_array_append_new(args, json_string(argv[i])) < 0)
                rc = zl_fail(err, ZL_ERR_INVALID, "argument %d is not UTF-8", i + 1);
        if (rc == 0)
            rc = put(command, "args", json_incref(args), err);
        json_decref(args);
    }
    if (rc == 0 && json_object_size(command) > 0)
        rc = put(s, "command", json_incref(command), err);
    json_decref(command);
    return rc;
}

static int put_resources(json_t *s, const struct run_options *o, struct zl_error *err)
{
    char memory[32];
    uint64_t bytes = 0;
    json_t *r = json_object();
    int rc = 0;
    if (o->memory && (rc = runspec_parse_size(o->memory, &bytes, err)) == 0) {
        (void)snprintf(memory, sizeof memory, "%lluKi", (unsigned long long)(bytes + 1023) / 1024);
        rc = put_text(r, "memory", memory, err);
    }
    if (rc == 0 && o->cpus) {
        char *end;
        double cpus = strtod(o->cpus, &end);
        rc = *end || !(cpus > 0 && cpus < 1e6)
                 ? zl_fail(err, ZL_ERR_INVALID, "--cpus '%s' is not a number above 0", o->cpus)
                 : put(r, "cpu", json_real(cpus), err);
    }
    if (rc == 0 && o->pids_limit)
        rc = put(r, "pids_limit", json_integer((json_int_t)o->pids_limit), err);
    if (rc == 0 && json_object_size(r) > 0)
        rc = put(s, "resources", json_incref(r), err);
    json_decref(r);
    return rc;
}

static int put_storage(json_t *s, const struct run_options *o, struct zl_error *err)
{
    json_t *list = json_array();
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < o->volumes.n; i++) {
        json_t *mount = volume_mount(o->volumes.v[i], err);
        rc = mount ? json_array_append_new(list, mount) : -1;
    }
    for (size_t i = 0; rc == 0 && i < o->tmpfs.n; i++)
        rc = json_array_append_new(
            list, json_pack("{s:s, s:s}", "type", "tmpfs", "target", o->tmpfs.v[i]));
    if (rc == 0 && json_array_size(list) > 0)
        rc = put(s, "storage", json_incref(list), err);
    json_decref(list);
    return rc;
}

static int put_pairs(json_t *s, const char *key, const struct cli_list *list,
                     int (*add)(json_t *, const char *, struct zl_error *), struct zl_error *err)
{
    json_t *object = json_object();
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < list->n; i++)
        rc = add(object, list->v[i], err);
    if (rc == 0 && list->n > 0)
        rc = put(s, key, json_incref(object), err);
    json_decref(object);
    return rc;
}

static int put_all(json_t *s, const struct run_options *o, int argc, char **argv,
                   struct zl_error *err)
{
    char grace[32];
    (void)snprintf(grace, sizeof grace, "%llums", (unsigned long long)o->stop_timeout_ms);
    if (put(s, "image", json_pack("{s:s}", "name", argv[0]), err) < 0 ||
        put_command(s, o, argc - 1, argv + 1, err) < 0 || put_resources(s, o, err) < 0 ||
        put_storage(s, o, err) < 0 || put_pairs(s, "env", &o->env, runspec_add_env, err) < 0 ||
        put_pairs(s, "labels", &o->labels, add_label, err) < 0)
        return -1;
    if (o->remove && put(s, "lifecycle", json_pack("{s:b}", "delete_on_exit", true), err) < 0)
        return -1;
    bool failed =
        put_text(s, "user", o->user, err) < 0 || put_text(s, "hostname", o->hostname, err) < 0 ||
        put_text(s, "network_mode", o->network, err) < 0 ||
        put_text(s, "stop_signal", o->stop_signal, err) < 0 ||
        put_text(s, "stop_grace_period", o->stop_timeout_ms ? grace : NULL, err) < 0 ||
        put_true(s, "tty", o->tty, err) < 0 || put_true(s, "stdin_open", o->stdin_open, err) < 0 ||
        put_true(s, "read_only_root_fs", o->read_only, err) < 0;
    return failed ? -1 : 0;
}

json_t *runspec_make(const struct run_options *o, int argc, char **argv, struct zl_error *err)
{
    json_t *s = json_object();
    if (s && put_all(s, o, argc, argv, err) == 0)
        return s;
    if (!s)
        (void)zl_fail_errno(err, "run");
    json_decref(s);
    return NULL;
}

static const char *const runtimes[] = { "auto", "native", "wasm", NULL };

/* clang-format off */
const struct cli_option run_options[] = {
    { 0,   "rm",          CLI_FLAG,   offsetof(struct run_options, remove),      NULL,    "remove the container when it ends", NULL },
    { 'd', "detach",      CLI_FLAG,   offsetof(struct run_options, detach),      NULL,    "leave it in the background and print its id", NULL },
    { 'i', "interactive", CLI_FLAG,   offsetof(struct run_options, stdin_open),  NULL,    "pass standard input on", NULL },
    { 't', "tty",         CLI_FLAG,   offsetof(struct run_options, tty),         NULL,    "give it a terminal", NULL },
    { 'e', "env",         CLI_LIST,   offsetof(struct run_options, env),         "NAME[=VALUE]", "environment variable; without a value, the one it has here", NULL },
    { 'v', "volume",      CLI_LIST,   offsetof(struct run_options, volumes),     "[SOURCE:]TARGET[:ro]", "a volume by its name, or a path of the host; without SOURCE one that goes with the container", NULL },
    { 0,   "tmpfs",       CLI_LIST,   offsetof(struct run_options, tmpfs),       "TARGET", "an empty folder in memory", NULL },
    { 0,   "name",        CLI_STRING, offsetof(struct run_options, name),        "NAME",  "of the container [run-…]", NULL },
    { 'm', "memory",      CLI_STRING, offsetof(struct run_options, memory),      "SIZE",  "limit: 16m, 1.5g", NULL },
    { 0,   "cpus",        CLI_STRING, offsetof(struct run_options, cpus),        "N",     "limit in cores: 0.5", NULL },
    { 0,   "pids-limit",  CLI_NUMBER, offsetof(struct run_options, pids_limit),  "N",     "limit of processes and threads", NULL },
    { 'u', "user",        CLI_STRING, offsetof(struct run_options, user),        "USER[:GROUP]", "name or number", NULL },
    { 'w', "workdir",     CLI_STRING, offsetof(struct run_options, workdir),     "DIR",   "working directory", NULL },
    { 0,   "network",     CLI_STRING, offsetof(struct run_options, network),     "MODE",  "default, host or none", NULL },
    { 0,   "entrypoint",  CLI_STRING, offsetof(struct run_options, entrypoint),  "PROGRAM", "instead of the image's", NULL },
    { 0,   "hostname",    CLI_STRING, offsetof(struct run_options, hostname),    "NAME",  "its host name", NULL },
    { 0,   "read-only",   CLI_FLAG,   offsetof(struct run_options, read_only),   NULL,    "the root file system cannot be written", NULL },
    { 'l', "label",       CLI_LIST,   offsetof(struct run_options, labels),      "NAME=VALUE", "label", NULL },
    { 0,   "stop-signal", CLI_STRING, offsetof(struct run_options, stop_signal), "SIGNAL", "what `stop` sends [the image's, SIGTERM]", NULL },
    { 0,   "stop-timeout", CLI_DURATION, offsetof(struct run_options, stop_timeout_ms), "TIME", "before it is killed after that", NULL },
    { 0,   "runtime",     CLI_CHOICE, offsetof(struct run_options, runtime),     "RUNTIME", "auto, native or wasm: what it has to be [auto]", runtimes },
    { 0,   "detach-keys",  CLI_STRING, offsetof(struct run_options, detach_keys), "KEYS", "leave it by these keys [ctrl-p,ctrl-q]", NULL },
    { 0,   "no-sig-proxy", CLI_FLAG,  offsetof(struct run_options, no_sig_proxy), NULL,   "signals end zlayer, not the command", NULL },
    { 0 },
};
/* clang-format on */
