// SPDX-License-Identifier: Apache-2.0
#include "oci/state.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"

enum { STATE_MAX = 1 << 20 };

static const char *const status_names[] = {
    [OCI_CREATING] = "creating", [OCI_CREATED] = "created", [OCI_RUNNING] = "running",
    [OCI_PAUSED] = "paused",     [OCI_STOPPED] = "stopped",
};

const char *oci_status_name(enum oci_status s)
{
    return status_names[s];
}

static const struct zl_field fields[] = {
    { "id", zl_json_string, offsetof(struct oci_state, id), ZL_REQUIRED, NULL },
    { "bundle", zl_json_string, offsetof(struct oci_state, bundle), ZL_REQUIRED, NULL },
    { "created", zl_json_string, offsetof(struct oci_state, created), ZL_REQUIRED, NULL },
    { "rootfs", zl_json_string, offsetof(struct oci_state, rootfs), 0, NULL },
    { "pid", zl_json_i64, offsetof(struct oci_state, pid), 0, NULL },
    { "pidStart", zl_json_u64, offsetof(struct oci_state, pid_start), 0, NULL },
    { "cgroup", zl_json_string, offsetof(struct oci_state, cgroup), 0, NULL },
    { "annotations", zl_json_pairs, offsetof(struct oci_state, annotations), 0, NULL },
    { 0 },
};

static json_t *annotations(const struct oci_state *s)
{
    json_t *object = json_object();

    for (size_t i = 0; i < s->annotations.n; i++)
        (void)json_object_set_new(object, s->annotations.v[i].key,
                                  json_string(s->annotations.v[i].value));
    return object;
}

static int dump(json_t *root, size_t flags, struct zl_buf *out, struct zl_error *err)
{
    int rc = root ? zl_json_dump(root, flags, out, err)
                  : zl_fail(err, ZL_ERR_SYSTEM,
                            "write state: a path in it is not UTF-8, or out of memory");
    json_decref(root);
    return rc;
}

int oci_state_write(int dir_fd, const struct oci_state *s, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(STATE_MAX);
    json_t *root = json_pack("{ss ss ss ss sI sI so}", "ociVersion", OCI_VERSION, "id", s->id,
                             "bundle", s->bundle, "created", s->created, "pid", (json_int_t)s->pid,
                             "pidStart", (json_int_t)s->pid_start, "annotations", annotations(s));

    if (root && s->rootfs)
        (void)json_object_set_new(root, "rootfs", json_string(s->rootfs));
    if (root && s->cgroup)
        (void)json_object_set_new(root, "cgroup", json_string(s->cgroup));
    if (dump(root, JSON_COMPACT, &text, err) < 0)
        return -1;
    return zl_write_atomic(dir_fd, "state.json", text.data, text.len, 0600, false, err);
}

int oci_state_read(int dir_fd, struct oci_state *ret, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(STATE_MAX);

    *ret = (struct oci_state){ 0 };
    if (zl_read_file(dir_fd, "state.json", &text, err) < 0 ||
        zl_json_parse(&ret->document, text.data, text.len, "state.json", err) < 0)
        return -1;
    return zl_json_decode(&ret->document, fields, ret, err);
}

void oci_state_done(struct oci_state *s)
{
    zl_json_done(&s->document);
}

json_t *oci_state_json(const struct oci_state *s, enum oci_status status)
{
    json_t *root = json_pack("{ss ss ss ss ss so}", "ociVersion", OCI_VERSION, "id", s->id,
                             "status", oci_status_name(status), "bundle", s->bundle, "created",
                             s->created, "annotations", annotations(s));

    /* runtime-spec: the pid is REQUIRED when created or running, OPTIONAL otherwise */
    if (root && status != OCI_STOPPED)
        (void)json_object_set_new(root, "pid", json_integer((json_int_t)s->pid));
    return root;
}

int oci_state_print(const struct oci_state *s, enum oci_status status, struct zl_buf *out,
                    struct zl_error *err)
{
    if (dump(oci_state_json(s, status), JSON_INDENT(2), out, err) < 0)
        return -1;
    zl_buf_addc(out, '\n');
    return zl_buf_check(out, "state", err);
}

/* proc(5): the name in field 2 may hold anything, so the last ')' begins the rest. */
uint64_t oci_pid_start(pid_t pid)
{
    char path[32], text[1024];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    zl_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    const char *at;

    if (n <= 0)
        return 0;
    text[n] = '\0';
    at = strrchr(text, ')');
    if (!at || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X')
        return 0;
    for (int field = 2; field < 22 && at; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at + 1, NULL, 10) : 0;
}

bool oci_state_alive(const struct oci_state *s)
{
    return s->pid > 0 && s->pid_start && oci_pid_start((pid_t)s->pid) == s->pid_start;
}
