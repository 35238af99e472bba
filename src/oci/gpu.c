// SPDX-License-Identifier: Apache-2.0
#include "oci/gpu.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "oci/cdi.h"
#include "oci/part.h"

enum { GPUS_MAX = 64, RENDER_FIRST = 128 /* minor of the first: drivers/gpu/drm/drm_drv.c */ };

/* What the vendors differ in. Nodes: "%u" is the number, "%r" the number of its render node. */
static const struct vendor {
    const char *name, *cdi_kind;
    const char *visible_host;       /* variable with the host's numbers */
    const char *visible_here[3];    /* variables with those inside, which begin at 0 */
    const char *shared[4], *own[3]; /* nodes for all, and for each GPU */
    const char *counted;            /* a node that every GPU has */
    bool optional_shared;
} vendors[] = {
    { .name = "nvidia",
      .cdi_kind = "nvidia.com/gpu",
      .visible_host = "NVIDIA_VISIBLE_DEVICES",
      .visible_here = { "CUDA_VISIBLE_DEVICES" },
      .shared = { "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools" },
      .own = { "/dev/nvidia%u" },
      .counted = "/dev/nvidia%u",
      .optional_shared = true }, /* the uvm module is loaded when it is first used */
    { .name = "amd",
      .cdi_kind = "amd.com/gpu",
      .visible_here = { "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES" },
      .shared = { "/dev/kfd" },
      .own = { "/dev/dri/renderD%r", "/dev/dri/card%u" },
      .counted = "/dev/dri/renderD%r" },
    { .name = "intel",
      .cdi_kind = "intel.com/gpu",
      .visible_here = { "ZE_AFFINITY_MASK" },
      .own = { "/dev/dri/renderD%r", "/dev/dri/card%u" },
      .counted = "/dev/dri/renderD%r" },
    { .name = NULL, .own = { "/dev/dri/renderD%r" }, .counted = "/dev/dri/renderD%r" },
};

static const struct vendor *vendor_of(const struct spec_gpu *g)
{
    const struct vendor *v = vendors;
    while (v->name && strcmp(v->name, g->vendor ? g->vendor : "nvidia") != 0)
        v++;
    return v;
}

static void node_path(const char *form, uint32_t gpu, char out[64])
{
    size_t n = strcspn(form, "%");
    if (form[n])
        (void)snprintf(out, 64, "%.*s%u", (int)n, form,
                       form[n + 1] == 'r' ? RENDER_FIRST + gpu : gpu);
    else
        (void)snprintf(out, 64, "%s", form);
}

static bool exists(const struct oci_host *host, const char *path, mode_t type)
{
    struct stat st;
    zl_autoclose int fd = zl_open_in_root(host->root_fd, path, O_PATH, NULL);
    return fd >= 0 && fstat(fd, &st) == 0 && (!type || (st.st_mode & S_IFMT) == type);
}

/* ---- environment -------------------------------------------------------------------------- */

static int put_env(struct oci_gpu_edits *e, const char *key, const char *value,
                   struct zl_error *err)
{
    return oci_part_append(e->env, json_sprintf("%s=%s", key, value), err);
}

static int put_visible(const struct oci_bundle *b, const struct vendor *v, struct oci_gpu_edits *e,
                       struct zl_error *err)
{
    zl_autobuf struct zl_buf host = ZL_BUF(1024), here = ZL_BUF(1024);
    for (uint32_t i = 0; i < b->service->resources.gpu->count; i++) {
        zl_buf_addf(&host, "%s%u", i ? "," : "", b->gpus[i]);
        zl_buf_addf(&here, "%s%u", i ? "," : "", i);
    }
    if (zl_buf_check(&host, "the list of GPUs", err) < 0)
        return -1;
    if (v->visible_host && put_env(e, v->visible_host, host.data, err) < 0)
        return -1;
    for (size_t i = 0; v->visible_here[i]; i++)
        if (put_env(e, v->visible_here[i], here.data, err) < 0)
            return -1;
    return 0;
}

/* What the libraries for distributed training read; the interface is the one that a container of
 * its own network has. */
static int put_distributed(const struct oci_bundle *b, struct oci_gpu_edits *e,
                           struct zl_error *err)
{
    const struct spec_gpu_distributed *d = b->service->resources.gpu->distributed;
    char port[8], world[12], rank[12];
    if (!d)
        return 0;
    (void)snprintf(port, sizeof port, "%u", d->master_port);
    (void)snprintf(world, sizeof world, "%u", b->service->replicas ? b->service->replicas : 1);
    (void)snprintf(rank, sizeof rank, "%u", b->rank);
    const char *const pairs[][2] = {
        { "MASTER_PORT", port },
        { "MASTER_ADDR", b->service->name },
        { "WORLD_SIZE", world },
        { "RANK", rank },
        { "LOCAL_RANK", "0" },
        { strcmp(d->backend, "gloo") == 0 ? "GLOO_SOCKET_IFNAME" : "NCCL_SOCKET_IFNAME", "eth0" },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(pairs); i++)
        if (put_env(e, pairs[i][0], pairs[i][1], err) < 0)
            return -1;
    return 0;
}

/* ---- sharing ------------------------------------------------------------------------------ */

static int unavailable(const char *id, const char *mode, const char *what, const char *path,
                       struct zl_error *err)
{
    return zl_fail(err, ZL_ERR_CONFIGURATION,
                   "%s: resources.gpu: sharing mode '%s' is unavailable: %s '%s' is not there", id,
                   mode, what, path);
}

static int put_bind(struct oci_gpu_edits *e, const char *source, const char *target,
                    const char *mode, struct zl_error *err)
{
    return oci_part_append(e->mounts,
                           json_pack("{s:s, s:s, s:s, s:[s,s]}", "destination", target, "type",
                                     "bind", "source", source, "options", "rbind", mode),
                           err);
}

static int share_mps(const struct oci_bundle *b, struct oci_gpu_edits *e, struct zl_error *err)
{
    const struct spec_gpu *g = b->service->resources.gpu;
    const struct {
        const char *path, *variable;
    } dirs[] = {
        { g->mps_pipe_dir ? g->mps_pipe_dir : "/tmp/nvidia-mps", "CUDA_MPS_PIPE_DIRECTORY" },
        { g->mps_log_dir ? g->mps_log_dir : "/tmp/nvidia-log", "CUDA_MPS_LOG_DIRECTORY" },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(dirs); i++) {
        if (!exists(b->host, dirs[i].path, S_IFDIR))
            return unavailable("E-GPU-MPS-DIR", "mps", "directory", dirs[i].path, err);
        if (put_bind(e, dirs[i].path, dirs[i].path, "rw", err) < 0 ||
            put_env(e, dirs[i].variable, dirs[i].path, err) < 0)
            return -1;
    }
    return 0;
}

static int share_time_slice(const struct oci_bundle *b, struct oci_gpu_edits *e,
                            struct zl_error *err)
{
    const struct spec_gpu *g = b->service->resources.gpu;
    char index[16];
    if (g->has_time_slice_index) {
        (void)snprintf(index, sizeof index, "%u", g->time_slice_index);
        if (put_env(e, "CUDA_VISIBLE_DEVICES", index, err) < 0)
            return -1;
    }
    if (!g->time_slicing_config_path)
        return 0;
    if (!exists(b->host, g->time_slicing_config_path, S_IFREG))
        return unavailable("E-MOUNT-SOURCE", "time-slice", "file", g->time_slicing_config_path,
                           err);
    return put_bind(e, g->time_slicing_config_path, "/etc/nvidia/gpu-time-slicing.yaml", "ro", err);
}

static int share_nothing(const struct oci_bundle *b, struct oci_gpu_edits *e, struct zl_error *err)
{
    (void)b;
    (void)e;
    (void)err;
    return 0;
}

static int (*const share[])(const struct oci_bundle *, struct oci_gpu_edits *,
                            struct zl_error *) = {
    [SPEC_GPU_EXCLUSIVE] = share_nothing,
    [SPEC_GPU_MPS] = share_mps,
    [SPEC_GPU_TIME_SLICE] = share_time_slice,
};

/* ---- nodes -------------------------------------------------------------------------------- */

static int add_nodes(const struct oci_bundle *b, const struct vendor *v,
                     struct oci_devices *devices, struct zl_error *err)
{
    const struct spec_gpu *g = b->service->resources.gpu;
    char path[64];
    for (size_t i = 0; v->shared[i]; i++) {
        bool needed = i == 0 || !v->optional_shared;
        if ((needed || exists(b->host, v->shared[i], 0)) &&
            oci_devices_add(devices, b->host->root_fd, v->shared[i], v->shared[i], "rw", err) < 0)
            return -1;
    }
    for (uint32_t k = 0; k < g->count; k++) {
        for (size_t i = 0; v->own[i]; i++) {
            node_path(v->own[i], b->gpus[k], path);
            if (oci_devices_add(devices, b->host->root_fd, path, path, "rw", err) < 0)
                return -1;
        }
    }
    return 0;
}

/* ---- CDI ---------------------------------------------------------------------------------- */

static int take_node(const struct oci_bundle *b, const json_t *node, struct oci_devices *devices,
                     struct zl_error *err)
{
    const char *path = json_string_value(json_object_get(node, "path"));
    const char *host_path = json_string_value(json_object_get(node, "hostPath"));
    const char *access = json_string_value(json_object_get(node, "permissions"));
    const json_t *mode = json_object_get(node, "fileMode"), *uid = json_object_get(node, "uid"),
                 *gid = json_object_get(node, "gid");
    if (!path || *path != '/')
        return zl_fail(err, ZL_ERR_INVALID, "a CDI device node has no absolute path");
    size_t before = devices->n;
    if (oci_devices_add(devices, b->host->root_fd, host_path ? host_path : path, path,
                        access && *access ? access : "rwm", err) < 0)
        return -1;
    for (size_t i = before; i < devices->n; i++) {
        struct oci_host_device *d = &devices->v[i];
        d->mode = json_is_integer(mode) ? (mode_t)json_integer_value(mode) & 07777 : d->mode;
        d->uid = json_is_integer(uid) ? (uid_t)json_integer_value(uid) : d->uid;
        d->gid = json_is_integer(gid) ? (gid_t)json_integer_value(gid) : d->gid;
    }
    return 0;
}

static bool has_bind(const json_t *options)
{
    size_t i;
    json_t *o;
    json_array_foreach(options, i, o)
    {
        const char *text = json_string_value(o);
        if (text && (strcmp(text, "bind") == 0 || strcmp(text, "rbind") == 0))
            return true;
    }
    return false;
}

static int take_mount(const json_t *mount, struct oci_gpu_edits *e, struct zl_error *err)
{
    const char *from = json_string_value(json_object_get(mount, "hostPath"));
    const char *to = json_string_value(json_object_get(mount, "containerPath"));
    const char *type = json_string_value(json_object_get(mount, "type"));
    json_t *said = json_object_get(mount, "options");
    if (!from || !to || *to != '/')
        return zl_fail(err, ZL_ERR_INVALID, "a CDI mount has no hostPath or containerPath");
    json_t *options = json_is_array(said) ? json_copy(said) : json_array();
    if (options && !has_bind(options) && json_array_append_new(options, json_string("rbind")) < 0) {
        json_decref(options);
        options = NULL;
    }
    return oci_part_append(e->mounts,
                           options
                               ? json_pack("{s:s, s:s, s:s, s:o}", "destination", to, "type",
                                           type ? type : "bind", "source", from, "options", options)
                               : NULL,
                           err);
}

static int take_hook(const json_t *hook, struct oci_gpu_edits *e, struct zl_error *err)
{
    static const char *const stages[] = { "prestart",       "createRuntime", "createContainer",
                                          "startContainer", "poststart",     "poststop" };
    static const char *const kept[] = { "path", "args", "env", "timeout" };
    const char *name = json_string_value(json_object_get(hook, "hookName"));
    size_t stage = 0;
    while (name && stage < ZL_ARRAY_LEN(stages) && strcmp(stages[stage], name) != 0)
        stage++;
    if (!name || stage == ZL_ARRAY_LEN(stages))
        return zl_fail(err, ZL_ERR_INVALID, "a CDI hook has the name '%s'", name ? name : "");
    json_t *list = json_object_get(e->hooks, name), *copy = json_object();
    if (!list) {
        list = json_array();
        if (json_object_set_new(e->hooks, name, list) < 0)
            list = NULL;
    }
    for (size_t i = 0; copy && i < ZL_ARRAY_LEN(kept); i++) {
        json_t *value = json_object_get(hook, kept[i]);
        if (value && json_object_set(copy, kept[i], value) < 0) {
            json_decref(copy);
            copy = NULL;
        }
    }
    return oci_part_append(list, copy, err);
}

static int take_edits(const struct oci_bundle *b, const json_t *edits, struct oci_devices *devices,
                      struct oci_gpu_edits *e, struct zl_error *err)
{
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(edits, "deviceNodes"), i, v)
    {
        if (take_node(b, v, devices, err) < 0)
            return -1;
    }
    json_array_foreach(json_object_get(edits, "mounts"), i, v)
    {
        if (take_mount(v, e, err) < 0)
            return -1;
    }
    json_array_foreach(json_object_get(edits, "hooks"), i, v)
    {
        if (take_hook(v, e, err) < 0)
            return -1;
    }
    if (json_array_extend(e->env, json_object_get(edits, "env")) < 0)
        return zl_fail(err, ZL_ERR_SYSTEM, "take CDI edits: out of memory");
    return 0;
}

/* 1: taken; 0: CDI does not describe them, and nobody said that it must. */
static int try_cdi(const struct oci_bundle *b, const struct vendor *v, struct oci_devices *devices,
                   struct oci_gpu_edits *e, struct zl_error *err)
{
    const struct spec_gpu *g = b->service->resources.gpu;
    char texts[GPUS_MAX][12];
    const char *names[GPUS_MAX];
    autocdi struct cdi *cdi = NULL;
    json_t *edits = NULL;
    if (!v->cdi_kind)
        return 0;
    if (cdi_read(b->host->root_fd, b->host->cdi_dirs, &cdi, err) < 0)
        return -1;
    for (uint32_t i = 0; i < g->count; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "%u", b->gpus[i]);
        names[i] = texts[i];
    }
    struct zl_error why = { 0 };
    enum cdi_result r = cdi_edits(cdi, v->cdi_kind, names, g->count, &edits, &why);
    if (r == CDI_FOUND) {
        int rc = take_edits(b, edits, devices, e, err);
        json_decref(edits);
        return rc < 0 ? -1 : 1;
    }
    if (r == CDI_FAILED || r == CDI_CONFLICT ||
        b->host->cdi_dirs) { /* who says where the files are relies on them */
        if (err)
            *err = why;
        return -1;
    }
    if (r != CDI_SPEC_MISSING)
        oci_note(b, "GPU: %s; its device nodes are used", why.msg);
    return 0;
}

/* ---- the whole ---------------------------------------------------------------------------- */

void oci_gpu_edits_done(struct oci_gpu_edits *e)
{
    json_decref(e->env);
    json_decref(e->mounts);
    json_decref(e->hooks);
}

int oci_gpu_edit(const struct oci_bundle *b, struct oci_devices *devices, struct oci_gpu_edits *ret,
                 struct zl_error *err)
{
    const struct spec_gpu *g = b->service->resources.gpu;
    if (!g)
        return 0;
    const struct vendor *v = vendor_of(g);
    if (!b->gpus || g->count > GPUS_MAX)
        return zl_fail(err, ZL_ERR_UNSUPPORTED, "resources.gpu: %u GPUs cannot be given", g->count);
    *ret = (struct oci_gpu_edits){ json_array(), json_array(), json_object() };
    if (!ret->env || !ret->mounts || !ret->hooks)
        return zl_fail(err, ZL_ERR_SYSTEM, "resources.gpu: out of memory");
    int cdi = try_cdi(b, v, devices, ret, err);
    if (cdi < 0 || (cdi == 0 && add_nodes(b, v, devices, err) < 0) ||
        put_visible(b, v, ret, err) < 0)
        return zl_wrap(err, "%sresources.gpu",
                       err && err->kind == ZL_ERR_NOT_FOUND ? "E-GPU-ABSENT: " : "");
    return share[g->sharing](b, ret, err) < 0 ? -1 : put_distributed(b, ret, err);
}

int oci_gpu_count(const struct spec_gpu *g, const struct oci_host *host, uint32_t *ret,
                  struct zl_error *err)
{
    const struct vendor *v = vendor_of(g);
    autocdi struct cdi *cdi = NULL;
    char path[64];
    uint32_t n = 0;
    if (v->cdi_kind && cdi_read(host->root_fd, host->cdi_dirs, &cdi, err) < 0)
        return -1;
    n = cdi ? (uint32_t)cdi_count(cdi, v->cdi_kind) : 0;
    while (n < GPUS_MAX) { /* the larger of both: a CDI file may be older than the hardware */
        node_path(v->counted, n, path);
        if (!exists(host, path, S_IFCHR))
            break;
        n++;
    }
    *ret = n < GPUS_MAX ? n : GPUS_MAX;
    return 0;
}
