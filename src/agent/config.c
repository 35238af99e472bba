// SPDX-License-Identifier: Apache-2.0
#include "agent/config.h"

#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/imageref.h"
#include "spec/fields/decode.h"
#include "spec/value/duration.h"

enum { FILE_MAX = 64 * 1024, MEMORY_MAX = 1 << 20 };
#define DEFAULT_FILE "/etc/zlayer/agent.yml"

/* One row a setting: the whole truth about its names and its default. */
static const struct setting {
    const char *flag, *env[2], *fallback; /* env: the first one that is set and not empty */
    size_t offset;                        /* of a const char * */
    const char *argument, *help;
} settings[] = {
    /* clang-format off */
    { "root-dir",      { "ZLAYER_DATA_DIR", "ZLAYER_ROOT_DIR" }, "/var/lib/zlayer",
      offsetof(struct agent_config, root_dir), "DIR", "images, containers, state" },
    { "runtime-dir",   { "ZLAYER_RUNTIME_DIR", NULL }, "/var/run/zlayer",
      offsetof(struct agent_config, run_dir), "DIR", "sockets and what ends with the boot" },
    { "socket",        { NULL, NULL }, NULL,
      offsetof(struct agent_config, socket), "PATH", "of the API [RUNTIME_DIR/zlayer.sock]" },
    { "cgroup-parent", { "ZLAYER_CGROUP_PARENT", NULL }, "/zlayer",
      offsetof(struct agent_config, cgroup_parent), "PATH", "containers are PATH/c/<id> in each hierarchy" },
    { "wasm-cache-dir", { "ZLAYER_WASM_CACHE_DIR", NULL }, NULL,
      offsetof(struct agent_config, wasm.cache_dir), "DIR", "compiled modules [ROOT_DIR/wasm]" },
    { "wasm-max-execution-time", { "ZLAYER_WASM_MAX_EXECUTION_TIME", NULL }, "3600s",
      offsetof(struct agent_config, wasm.max_execution_time_word), "TIME", "of jobs and runs that are WebAssembly; 0s: no limit" },
    { "wasm-epoch-deadline", { "ZLAYER_WASM_EPOCH_DEADLINE", NULL }, "1000000",
      offsetof(struct agent_config, wasm.epoch_deadline_word), "TICKS", "the same in ticks of 10 ms: the smaller one holds" },
    { "wasm-enable-epochs", { "ZLAYER_WASM_ENABLE_EPOCHS", NULL }, "true",
      offsetof(struct agent_config, wasm.enable_epochs_word), "BOOL", "guests look at the time; else they can only be killed" },
    { "log-level",     { "ZLAYER_LOG_LEVEL", NULL }, "info",
      offsetof(struct agent_config, log_level_word), "LEVEL", "error, warn, info, debug, trace" },
    /* clang-format on */
};

enum { OPT_CONFIG = 256, OPT_READY_FD, OPT_FOREGROUND, OPT_HELP, OPT_VERSION, OPT_SETTING = 512 };

static const struct {
    const char *flag, *argument, *help;
    int opt;
} actions[] = {
    { "config", "FILE", "settings [" DEFAULT_FILE "]", OPT_CONFIG },
    { "ready-fd", "FD", "one byte is written to FD when the agent serves", OPT_READY_FD },
    { "foreground", NULL, "the default, and the only way: who wants more starts it detached",
      OPT_FOREGROUND },
    { "help", NULL, "this text", OPT_HELP },
    { "version", NULL, "the version", OPT_VERSION },
};

static const char **slot_of(struct agent_config *c, const struct setting *s)
{
    return (const char **)(void *)((char *)c + s->offset);
}

void agent_config_help(void)
{
    (void)printf("zlayerd: runs the deployments of this host. Usually started by `zlayer`.\n\n");
    for (size_t i = 0; i < ZL_ARRAY_LEN(settings); i++) {
        const struct setting *s = &settings[i];
        (void)printf("  --%-24s %-6s %s%s%s%s\n", s->flag, s->argument, s->help,
                     s->fallback ? " [" : "", s->fallback ? s->fallback : "",
                     s->fallback ? "]" : "");
    }
    for (size_t i = 0; i < ZL_ARRAY_LEN(actions); i++)
        (void)printf("  --%-24s %-6s %s\n", actions[i].flag,
                     actions[i].argument ? actions[i].argument : "", actions[i].help);
}

/* ---- the file ----------------------------------------------------------------------------- */

struct file { /* what agent.yml may say; the members of the same names */
    const char *version;
    struct agent_config said;
};

#define IN_FILE(member) (offsetof(struct file, said) + offsetof(struct agent_config, member))
static const struct decode_integer streams_integer = {
    .size = sizeof(uint16_t), .lo = 1, .hi = 16, .id = "E-RANGE"
};
static const struct walk_field registry_fields[] = {
    { "host", &type_text, offsetof(struct agent_registry, host), WALK_REQUIRED, NULL },
    { "insecure", &type_bool, offsetof(struct agent_registry, insecure), 0, NULL },
    { "ca_file", &type_text, offsetof(struct agent_registry, ca_file), 0, NULL },
    { "mirrors", &type_texts, offsetof(struct agent_registry, mirrors), 0, NULL },
    { 0 },
};
static const struct walk_shape registry_shape = { .noun = "a registry", .fields = registry_fields };
static const struct walk_list registry_list = {
    .shape = &registry_shape,
    .item_size = sizeof(struct agent_registry),
    .count_offset = IN_FILE(n_registries),
};

static const struct walk_field signature_fields[] = {
    { "prefix", &type_text, offsetof(struct agent_signature, prefix), WALK_REQUIRED, NULL },
    { "key_files", &type_texts, offsetof(struct agent_signature, key_files), 0, NULL },
    { "unsigned", &type_bool, offsetof(struct agent_signature, is_unsigned), 0, NULL },
    { 0 },
};
static const struct walk_shape signature_shape = { .noun = "a rule for signatures",
                                                   .fields = signature_fields };
static const struct walk_list signature_list = {
    .shape = &signature_shape,
    .item_size = sizeof(struct agent_signature),
    .count_offset = IN_FILE(n_signatures),
};

static const struct walk_field file_fields[] = {
    { "version", &type_text, offsetof(struct file, version), WALK_REQUIRED, NULL },
    { "root_dir", &type_text, IN_FILE(root_dir), 0, NULL },
    { "runtime_dir", &type_text, IN_FILE(run_dir), 0, NULL },
    { "socket", &type_text, IN_FILE(socket), 0, NULL },
    { "cgroup_parent", &type_text, IN_FILE(cgroup_parent), 0, NULL },
    { "wasm_cache_dir", &type_text, IN_FILE(wasm.cache_dir), 0, NULL },
    { "wasm_max_execution_time", &type_text, IN_FILE(wasm.max_execution_time_word), 0, NULL },
    { "wasm_epoch_deadline", &type_text, IN_FILE(wasm.epoch_deadline_word), 0, NULL },
    { "wasm_enable_epochs", &type_text, IN_FILE(wasm.enable_epochs_word), 0, NULL },
    { "log_level", &type_text, IN_FILE(log_level_word), 0, NULL },
    { "registries", &type_list, IN_FILE(registries), 0, &registry_list },
    { "signatures", &type_list, IN_FILE(signatures), 0, &signature_list },
    { "pull_connect_timeout", &type_positive, IN_FILE(pull_connect_ms), 0, "E-RANGE" },
    { "pull_stall_timeout", &type_positive, IN_FILE(pull_stall_ms), 0, "E-RANGE" },
    { "pull_streams", &type_integer, IN_FILE(pull_streams), 0, &streams_integer },
    { 0 },
};
static const struct walk_shape file_shape = { .noun = "the configuration", .fields = file_fields };

static int fail_with(const struct spec_diags *diags, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(1 << 20);
    spec_diags_print(diags, NULL, false, &text);
    while (text.len > 0 && text.data[text.len - 1] == '\n')
        text.data[--text.len] = '\0';
    return zl_fail(err, ZL_ERR_INVALID, "%s", text.data);
}

static int decode_file(struct agent_config *c, const char *text, size_t len, const char *path,
                       struct file *ret, struct zl_error *err)
{
    const struct doc_node *root = NULL;
    struct doc_error bad;
    autodiags struct spec_diags diags;
    struct walk w = { .arena = &c->memory, .diags = &diags };

    spec_diags_init(&diags);
    diags.name = strdup(path);
    if (doc_parse(text, len, &c->memory, &root, &bad) < 0)
        return zl_fail(err, ZL_ERR_INVALID, "%s:%d:%d: %s", path, bad.line, bad.column, bad.text);
    if (!root)
        return zl_fail(err, ZL_ERR_INVALID, "%s: it is empty: write `version: v1`", path);
    walk_struct(&w, &file_shape, root, ret);
    if (diags.n_errors == 0 && strcmp(ret->version, "v1") != 0)
        walk_error(&w, "E-VERSION", root, "version '%s' is not known: write v1", ret->version);
    return diags.n_errors > 0 ? fail_with(&diags, err) : 0;
}

/* Read once, here: whoever may change agent.yml may change them, and neither counts before the next
 * start. */
static int read_key_files(struct agent_config *c, struct agent_signature *s, struct zl_error *err)
{
    s->keys = zl_arena_array(&c->memory, s->key_files.n, sizeof *s->keys);
    for (size_t i = 0; s->keys && i < s->key_files.n; i++) {
        zl_autobuf struct zl_buf text = ZL_BUF(FILE_MAX);
        if (zl_read_file(AT_FDCWD, s->key_files.v[i], &text, err) < 0)
            return zl_wrap(err, "the keys for '%s'", s->prefix);
        s->keys[i] = zl_arena_strdup(&c->memory, text.len ? text.data : "");
    }
    return 0;
}

/* Whether names can begin with it, as they are compared: in full, in lower case. A rule that never
 * fits would ask for nothing, and nobody would be told. */
static bool is_prefix(const char *text)
{
    char below[ZL_IMAGEREF_MAX], name[ZL_IMAGEREF_MAX];
    struct zl_imageref ref;
    const char *why;
    if (strcmp(text, "*") == 0)
        return true;
    int n = snprintf(below, sizeof below, "%s/x/x", text); /* of two parts nothing is completed */
    if (n < 0 || (size_t)n >= sizeof below || zl_imageref_parse(below, &ref, &why) < 0)
        return false;
    (void)snprintf(name, sizeof name, "%s/%s", ref.registry, ref.repository); /* fits */
    return strcmp(name, below) == 0;
}

static int read_keys(struct agent_config *c, const char *path, struct zl_error *err)
{
    for (size_t i = 0; i < c->n_signatures; i++) {
        struct agent_signature *s = &c->signatures[i];
        if (!is_prefix(s->prefix))
            return zl_fail(err, ZL_ERR_INVALID,
                           "%s: signatures: '%s' is not the beginning of an image's name: write a "
                           "registry, and perhaps a part of the repository behind it, in lower "
                           "case and in full (docker.io/library/nginx)",
                           path, s->prefix);
        if (s->is_unsigned == (s->key_files.n > 0))
            return zl_fail(err, ZL_ERR_INVALID,
                           "%s: signatures: '%s' needs either key_files or `unsigned: true`", path,
                           s->prefix);
        if (read_key_files(c, s, err) < 0)
            return zl_wrap(err, "%s", path);
    }
    return 0;
}

static int read_settings_file(struct agent_config *c, const char *named, struct zl_error *err)
{
    const char *path = named ? named : DEFAULT_FILE;
    zl_autobuf struct zl_buf text = ZL_BUF(FILE_MAX);
    zl_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct file f = { 0 };

    if (fd < 0 && errno == ENOENT && !named)
        return 0;
    if (fd < 0 && errno == ENOENT)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "there is no '%s'", path);
    if (fd < 0)
        return zl_fail_errno(err, "open '%s'", path);
    if (zl_read_fd(fd, &text, path, err) < 0 ||
        decode_file(c, text.data, text.len, path, &f, err) < 0)
        return -1;
    for (size_t i = 0; i < ZL_ARRAY_LEN(settings); i++)
        if (!*slot_of(c, &settings[i]))
            *slot_of(c, &settings[i]) = *slot_of(&f.said, &settings[i]);
    c->registries = f.said.registries;
    c->n_registries = f.said.n_registries;
    c->signatures = f.said.signatures;
    c->n_signatures = f.said.n_signatures;
    c->pull_connect_ms = f.said.pull_connect_ms;
    c->pull_stall_ms = f.said.pull_stall_ms;
    c->pull_streams = f.said.pull_streams;
    return read_keys(c, path, err);
}

static json_t *signature_json(const struct agent_signature *s)
{
    json_t *keys = s->is_unsigned ? NULL : json_array();
    for (size_t i = 0; keys && i < s->key_files.n; i++)
        (void)json_array_append_new(keys, json_string(s->keys[i])); /* one less denies more */
    return json_pack("{s:s, s:b, s:o*}", "prefix", s->prefix, "unsigned", s->is_unsigned, "keys",
                     keys);
}

static json_t *registry_json(const struct agent_registry *r)
{
    json_t *mirrors = json_array();
    for (size_t i = 0; mirrors && i < r->mirrors.n; i++)
        (void)json_array_append_new(mirrors, json_string(r->mirrors.v[i])); /* decoded: UTF-8 */
    return json_pack("{s:s, s:b, s:s*, s:o*}", "host", r->host, "insecure", r->insecure, "ca_file",
                     r->ca_file, "mirrors", mirrors);
}

/* Whole seconds, and at least one. */
static json_int_t seconds(uint64_t ms)
{
    return (json_int_t)((ms + 999) / 1000);
}

char *agent_config_order(const struct agent_config *c)
{
    json_t *o = json_object(), *list = json_array(), *signatures = json_array();
    int rc = o && list && signatures ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < c->n_registries; i++)
        rc = json_array_append_new(list, registry_json(&c->registries[i]));
    for (size_t i = 0; rc == 0 && i < c->n_signatures; i++)
        rc = json_array_append_new(signatures, signature_json(&c->signatures[i]));
    if (rc == 0)
        rc = json_object_set(o, "registries", list);
    if (rc == 0)
        rc = json_object_set(o, "signatures", signatures);
    if (rc == 0 && c->pull_connect_ms)
        rc = json_object_set_new(o, "connect_s", json_integer(seconds(c->pull_connect_ms)));
    if (rc == 0 && c->pull_stall_ms)
        rc = json_object_set_new(o, "stall_s", json_integer(seconds(c->pull_stall_ms)));
    if (rc == 0 && c->pull_streams)
        rc = json_object_set_new(o, "streams", json_integer(c->pull_streams));
    char *text = rc == 0 ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(list);
    json_decref(signatures);
    json_decref(o);
    return text;
}

/* ---- flags, environment, defaults --------------------------------------------------------- */

static int read_number(const char *text, int *ret, struct zl_error *err)
{
    char *end;
    errno = 0;
    long v = strtol(text, &end, 10);
    if (errno || end == text || *end || v < 0 || v > INT_MAX)
        return zl_fail(err, ZL_ERR_INVALID, "--ready-fd: '%s' is no descriptor", text);
    *ret = (int)v;
    return 0;
}

static size_t fill_options(struct option *options)
{
    size_t n = 0;
    for (size_t i = 0; i < ZL_ARRAY_LEN(settings); i++)
        options[n++] =
            (struct option){ settings[i].flag, required_argument, NULL, OPT_SETTING + (int)i };
    for (size_t i = 0; i < ZL_ARRAY_LEN(actions); i++)
        options[n++] =
            (struct option){ actions[i].flag, actions[i].argument ? required_argument : no_argument,
                             NULL, actions[i].opt };
    return n;
}

static int read_flags(int argc, char **argv, struct agent_config *c, const char **ret_file,
                      struct zl_error *err)
{
    struct option options[ZL_ARRAY_LEN(settings) + ZL_ARRAY_LEN(actions) + 1] = { 0 };
    int opt;
    (void)fill_options(options);
    opterr = 0;
    optind = 0; /* GNU: begin anew, however often this was called */
    while ((opt = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        if (opt >= OPT_SETTING)
            *slot_of(c, &settings[opt - OPT_SETTING]) = optarg;
        else if (opt == OPT_CONFIG)
            *ret_file = optarg;
        else if (opt == OPT_READY_FD && read_number(optarg, &c->ready_fd, err) < 0)
            return -1;
        else if (opt == '?')
            return zl_fail(err, ZL_ERR_INVALID,
                           "%s: no such option, or no value for it (see --help)", argv[optind - 1]);
        c->help |= opt == OPT_HELP;
        c->version |= opt == OPT_VERSION;
    }
    if (optind < argc)
        return zl_fail(err, ZL_ERR_INVALID, "'%s': zlayerd takes options only (see --help)",
                       argv[optind]);
    return 0;
}

static void read_environment(struct agent_config *c)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(settings); i++) {
        const char **slot = slot_of(c, &settings[i]);
        for (size_t j = 0; j < ZL_ARRAY_LEN(settings[i].env) && settings[i].env[j]; j++) {
            const char *value = getenv(settings[i].env[j]);
            if (!*slot && value && *value)
                *slot = value;
        }
    }
}

static int check_wasm(struct agent_config *c, struct zl_error *err)
{
    struct spec_flaw flaw;
    const char *ticks = c->wasm.epoch_deadline_word, *epochs = c->wasm.enable_epochs_word;
    uint64_t ns;
    char *end;

    if (spec_parse_duration(c->wasm.max_execution_time_word, &ns, &flaw) < 0)
        return zl_fail(err, ZL_ERR_INVALID, "wasm-max-execution-time: '%s' is no duration",
                       c->wasm.max_execution_time_word);
    c->wasm.max_execution_ms = ns / 1000000;
    errno = 0;
    c->wasm.epoch_deadline = strtoull(ticks, &end, 10);
    if (errno || end == ticks || *end || *ticks == '-' || !c->wasm.epoch_deadline ||
        c->wasm.epoch_deadline > UINT64_MAX / 10)
        return zl_fail(err, ZL_ERR_INVALID, "wasm-epoch-deadline: '%s' is no number of ticks",
                       ticks);
    c->wasm.enable_epochs = strcmp(epochs, "true") == 0;
    if (!c->wasm.enable_epochs && strcmp(epochs, "false") != 0)
        return zl_fail(err, ZL_ERR_INVALID, "wasm-enable-epochs: '%s' is neither true nor false",
                       epochs);
    return 0;
}

static int check(struct agent_config *c, struct zl_error *err)
{
    const char *const absolute[] = { c->root_dir, c->run_dir, c->socket, c->cgroup_parent,
                                     c->wasm.cache_dir };
    for (size_t i = 0; i < ZL_ARRAY_LEN(absolute); i++)
        if (*absolute[i] != '/')
            return zl_fail(err, ZL_ERR_INVALID, "'%s' is not an absolute path", absolute[i]);
    int level = zl_log_level_parse(c->log_level_word);
    if (level < 0)
        return zl_fail(err, ZL_ERR_INVALID,
                       "log level '%s' is none of error, warn, info, debug, trace",
                       c->log_level_word);
    c->log_level = (enum zl_log_level)level;
    return check_wasm(c, err);
}

int agent_config_read_file(const char *path, struct agent_config *ret, struct zl_error *err)
{
    *ret = (struct agent_config){ .ready_fd = -1, .memory = ZL_ARENA(MEMORY_MAX) };
    return read_settings_file(ret, path, err);
}

int agent_config_read(int argc, char **argv, struct agent_config *ret, struct zl_error *err)
{
    const char *file = NULL;
    *ret = (struct agent_config){ .ready_fd = -1, .memory = ZL_ARENA(MEMORY_MAX) };
    if (read_flags(argc, argv, ret, &file, err) < 0)
        return -1;
    if (ret->help || ret->version)
        return 0;
    read_environment(ret);
    if (read_settings_file(ret, file, err) < 0)
        return -1;
    for (size_t i = 0; i < ZL_ARRAY_LEN(settings); i++)
        if (!*slot_of(ret, &settings[i]))
            *slot_of(ret, &settings[i]) = settings[i].fallback;
    if (!ret->socket)
        ret->socket = zl_arena_printf(&ret->memory, "%s/zlayer.sock", ret->run_dir);
    if (!ret->wasm.cache_dir)
        ret->wasm.cache_dir = zl_arena_printf(&ret->memory, "%s/wasm", ret->root_dir);
    if (ret->memory.failed)
        return zl_fail(err, ZL_ERR_SYSTEM, "read the settings: out of memory");
    return check(ret, err);
}

void agent_config_done(struct agent_config *c)
{
    zl_arena_done(&c->memory);
}
