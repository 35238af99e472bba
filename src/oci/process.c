// SPDX-License-Identifier: Apache-2.0
/* The `process` of config.json: who runs what, where, with which environment and rights. */
#include <stdio.h>
#include <string.h>

#include "oci/part.h"

static int append_text(json_t *list, const char *what, const char *text, struct zl_error *err)
{
    json_t *s = oci_part_text(what, text, err);
    if (!s)
        return -1;
    if (json_array_append_new(list, s) == 0)
        return 0;
    (void)oci_part_no_memory(err);
    return -1;
}

static int append_all(json_t *args, const char *what, const char *const *v, struct zl_error *err)
{
    for (; v && *v; v++)
        if (append_text(args, what, *v, err) < 0)
            return -1;
    return 0;
}

static int append_written(json_t *args, const char *what, const struct spec_strings *s,
                          struct zl_error *err)
{
    for (size_t i = 0; i < s->n; i++)
        if (append_text(args, what, s->v[i], err) < 0)
            return -1;
    return 0;
}

static int fill_args(const struct oci_bundle *b, json_t *args, struct zl_error *err)
{
    const struct spec_command *c = &b->service->command;

    /* As Docker: an entrypoint of one's own drops the image's and its Cmd; args replace Cmd. An
     * entrypoint that is written but empty drops the image's entrypoint only. */
    if (c->entrypoint.written) {
        if (append_written(args, "command.entrypoint", &c->entrypoint, err) < 0)
            return -1;
    } else if (append_all(args, "the image's entrypoint", b->image.entrypoint, err) < 0) {
        return -1;
    }
    if (c->args.n > 0)
        return append_written(args, "command.args", &c->args, err);
    if (c->entrypoint.n == 0)
        return append_all(args, "the image's command", b->image.cmd, err);
    return 0;
}

static json_t *make_args(const struct oci_making *m, struct zl_error *err)
{
    json_t *args = json_array();
    if (!args)
        return oci_part_no_memory(err);
    if (fill_args(m->b, args, err) < 0 ||
        (json_array_size(args) == 0 && append_text(args, "the shell", "/bin/sh", err) < 0)) {
        json_decref(args);
        return NULL;
    }
    return args;
}

struct env {
    json_t *list; /* of "KEY=value", in the order the keys came first */
    bool failed;
    struct zl_error *err;
};

/* The index of key's entry, or SIZE_MAX. */
static size_t env_find(const struct env *e, const char *key, size_t key_len)
{
    for (size_t i = 0; i < json_array_size(e->list); i++) {
        const char *have = json_string_value(json_array_get(e->list, i));
        if (strncmp(have, key, key_len) == 0 && have[key_len] == '=')
            return i;
    }
    return SIZE_MAX;
}

/* entry is "KEY=value"; a later one replaces the value of an earlier one of the same key. */
static void env_put(struct env *e, const char *entry)
{
    size_t key_len = strcspn(entry, "=");
    if (e->failed || entry[key_len] != '=')
        return; /* images have been seen with names only: nothing to set */
    json_t *s = oci_part_text("an environment variable", entry, e->err);
    size_t at = s ? env_find(e, entry, key_len) : 0;
    if (!s || (at == SIZE_MAX ? json_array_append_new(e->list, s)
                              : json_array_set_new(e->list, at, s)) < 0)
        e->failed = true;
}

static void env_set(struct env *e, const char *key, const char *value)
{
    zl_autofree char *entry = NULL;
    if (asprintf(&entry, "%s=%s", key, value) < 0) {
        entry = NULL;
        e->failed = true;
        (void)oci_part_no_memory(e->err);
        return;
    }
    env_put(e, entry);
}

static void env_default(struct env *e, const char *key, const char *value)
{
    if (env_find(e, key, strlen(key)) == SIZE_MAX)
        env_set(e, key, value);
}

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static void env_put_gpu(struct env *e, const json_t *list)
{
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry)
    {
        if (json_is_string(entry))
            env_put(e, json_string_value(entry));
    }
}

static json_t *make_env(const struct oci_making *m, struct zl_error *err)
{
    const struct oci_bundle *b = m->b;
    const struct oci_account *user = &m->user;
    struct env e = { .list = json_array(), .err = err };
    if (!e.list)
        return oci_part_no_memory(err);
    for (const char *const *v = b->image.env; v && *v; v++)
        env_put(&e, *v);
    if (!b->is_module)
        env_default(&e, "PATH", DEFAULT_PATH);
    if (!b->is_module || b->service->tty)
        env_set(&e, "TERM", "xterm");
    if (!b->is_module)
        env_default(&e, "HOME", *user->home ? user->home : "/");
    for (size_t i = 0; b->env && i < b->env->n; i++)
        env_set(&e, b->env->v[i].key, b->env->v[i].value);
    env_put_gpu(&e, m->gpu.env);
    if (!e.failed)
        return e.list;
    json_decref(e.list);
    return NULL;
}

static json_t *make_cwd(const struct oci_making *m, struct zl_error *err)
{
    const struct oci_bundle *b = m->b;
    const char *said = b->service->command.workdir;
    const char *of_image = b->image.workdir && *b->image.workdir ? b->image.workdir : "/";
    const char *cwd = said ? said : of_image;
    zl_autofree char *rooted = NULL;
    if (*cwd == '/')
        return oci_part_text("the working directory", cwd, err);
    if (said) {
        (void)zl_fail(err, ZL_ERR_INVALID, "the working directory '%s' is not absolute", cwd);
        return NULL;
    }
    /* Some builders leave out the slash; Docker adds it. */
    if (asprintf(&rooted, "/%s", cwd) < 0) {
        rooted = NULL;
        return oci_part_no_memory(err);
    }
    return oci_part_text("the image's working directory", rooted, err);
}

static json_t *make_user(const struct oci_making *m, struct zl_error *err)
{
    const struct oci_account *user = &m->user;
    json_t *groups = json_array();
    for (size_t i = 0; groups && i < user->n_groups; i++) {
        if (json_array_append_new(groups, json_integer(user->groups[i])) < 0) {
            json_decref(groups);
            groups = NULL;
        }
    }
    return oci_part_checked(json_pack("{s:I, s:I, s:o}", "uid", (json_int_t)user->uid, "gid",
                                      (json_int_t)user->gid, "additionalGids", groups),
                            err);
}

static json_t *make_terminal(const struct oci_making *m, struct zl_error *err)
{
    (void)err;
    return json_boolean(m->b->service->tty);
}

static json_t *make_oom_score_adj(const struct oci_making *m, struct zl_error *err)
{
    const struct spec_resources *r = &m->b->service->resources;
    return r->has_oom_score_adj ? oci_part_checked(json_integer(r->oom_score_adj), err)
                                : json_null();
}

static json_t *make_no_new_privileges(const struct oci_making *m, struct zl_error *err)
{
    (void)err;
    return json_boolean(m->security.no_new_privileges);
}

static json_t *make_apparmor(const struct oci_making *m, struct zl_error *err)
{
    const char *profile = m->security.apparmor;
    return profile ? oci_part_text("the name of the AppArmor profile", profile, err) : json_null();
}

static json_t *make_label(const struct oci_making *m, struct zl_error *err)
{
    char label[1024];
    return oci_security_label(&m->security, label, sizeof label)
               ? oci_part_text("the SELinux label", label, err)
               : json_null();
}

json_t *oci_process_make(const struct oci_making *m, struct zl_error *err)
{
    static const struct oci_part parts[] = {
        { "terminal", make_terminal },
        { "args", make_args },
        { "cwd", make_cwd },
        { "user", make_user },
        { "env", make_env },
        { "capabilities", oci_capabilities_make },
        { "rlimits", oci_rlimits_make },
        { "oomScoreAdj", make_oom_score_adj },
        { "noNewPrivileges", make_no_new_privileges },
        { "apparmorProfile", make_apparmor },
        { "selinuxLabel", make_label },
        { 0 },
    };
    return oci_part_object(m, parts, err);
}
