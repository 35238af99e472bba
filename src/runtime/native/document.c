// SPDX-License-Identifier: Apache-2.0
/*
 * From a service and an image to config.json: whose namespaces are shared, which GPUs are free, the
 * files of /etc. What is shared with another container is held by a descriptor from here on, so
 * that its number cannot become another process's before it is joined.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "oci/etc.h"
#include "oci/gpu.h"
#include "runtime/native/making.h"

enum { CONFIG_MAX = 8 << 20 };

/* ---- whose namespaces ---------------------------------------------------------------------- */

/* By id, name, or the beginning of an id when that is one container's only. */
static struct container *find_named(struct native *n, const char *name, struct zl_error *err)
{
    struct container *found = NULL;
    size_t len = strlen(name);
    for (struct container *c = n->containers; c; c = c->next) {
        if (strcmp(c->id_text, name) == 0 || strcmp(c->name, name) == 0)
            return c;
        if (strncmp(c->id_text, name, len) != 0)
            continue;
        if (found) {
            (void)zl_fail(err, ZL_ERR_INVALID, "'%s' is the beginning of more than one id", name);
            return NULL;
        }
        found = c;
    }
    if (!found)
        (void)zl_fail(err, ZL_ERR_NOT_FOUND, "there is no container '%s'", name);
    return found;
}

static int join(struct making *m, const char *kind, struct container *of, struct zl_error *err)
{
    size_t n = m->n_joins;
    (void)snprintf(m->joins[n].path, sizeof m->joins[n].path, "/proc/%lld/ns/%s",
                   (long long)of->pid, kind);
    char name[32];
    (void)snprintf(name, sizeof name, "ns/%s", kind);
    int fd = container_open_proc(of, name, O_RDONLY, err);
    if (fd < 0)
        return zl_wrap(err, "share the %s namespace", kind);
    m->joins[n].fd = (uint32_t)m->n_fds;
    m->fds[m->n_fds++] = fd;
    m->n_joins++;
    return 0;
}

/* Joins of->kind when mode says container:NAME. */
static int join_mode(struct making *m, const char *kind, const char *mode, struct container **ret,
                     struct zl_error *err)
{
    const char *name = oci_bundle_joins(mode);
    struct container *of = name ? find_named(m->n, name, err) : NULL;
    if (!name)
        return 0;
    if (!of)
        return zl_wrap(err, "share the %s namespace", kind);
    if (ret)
        *ret = of;
    return join(m, kind, of, err);
}

int making_join(struct making *m, struct zl_error *err)
{
    const struct spec_service *s = m->service;
    if (join_mode(m, "pid", s->pid_mode, NULL, err) < 0 ||
        join_mode(m, "ipc", s->ipc_mode, &m->ipc_of, err) < 0)
        return -1;
    if (m->ipc_of && !m->ipc_of->record.shareable)
        return zl_fail(err, ZL_ERR_CONFLICT,
                       "share the ipc namespace: '%s' was not made with ipc_mode: shareable",
                       m->ipc_of->name);
    if (s->network != SPEC_NET_CONTAINER)
        return 0;
    m->network_of = find_named(m->n, s->network_name, err);
    if (!m->network_of)
        return zl_wrap(err, "share the network");
    return join(m, "net", m->network_of, err);
}

static const char *joined_path(const struct making *m, const char *kind)
{
    for (size_t i = 0; i < m->n_joins; i++) {
        const char *slash = strrchr(m->joins[i].path, '/');
        if (strcmp(slash + 1, kind) == 0)
            return m->joins[i].path;
    }
    return NULL;
}

/* ---- GPUs ---------------------------------------------------------------------------------- */

static bool is_leased(const struct native *n, const char *vendor, uint32_t gpu)
{
    for (const struct container *c = n->containers; c; c = c->next) {
        const struct record *r = &c->record;
        for (size_t i = 0; !c->has_exit && r->gpu_vendor && i < r->gpus.n; i++)
            if (r->gpus.v[i] == gpu && strcmp(r->gpu_vendor, vendor) == 0)
                return true;
    }
    return false;
}

int making_gpus(struct making *m, struct zl_error *err)
{
    const struct spec_gpu *g = m->service->resources.gpu;
    uint32_t present = 0;
    if (!g)
        return 0;
    if (oci_gpu_count(g, &m->n->host, &present, err) < 0)
        return -1;
    if (g->count > present || g->count > MAKING_GPUS)
        return zl_fail(err, ZL_ERR_NOT_FOUND,
                       "E-GPU-ABSENT: resources.gpu: %u of %s asked for, the host has %u", g->count,
                       g->vendor, present);
    for (uint32_t i = 0; i < present && m->n_gpus < g->count; i++)
        if (g->sharing != SPEC_GPU_EXCLUSIVE || !is_leased(m->n, g->vendor, i))
            m->gpus[m->n_gpus++] = i;
    if (m->n_gpus < g->count)
        return zl_fail(err, ZL_ERR_CONFLICT,
                       "resources.gpu: %u of %s asked for, %zu of %u are free", g->count, g->vendor,
                       m->n_gpus, present);
    return 0;
}

/* ---- what is mounted ----------------------------------------------------------------------- */

int making_sources(struct making *m, struct zl_error *err)
{
    if (storage_plan(m->n, m->c->id_text, m->service, &m->storage, err) < 0)
        return -1;
    for (size_t i = 0; i < m->service->n_storage; i++) {
        const struct spec_storage *s = &m->service->storage[i];
        if (s->type != SPEC_MOUNT_BIND)
            continue;
        zl_autoclose int fd = zl_open_in_root(m->n->host.root_fd, s->source, O_PATH, err);
        if (fd < 0 && errno == ENOENT)
            return zl_fail(err, ZL_ERR_NOT_FOUND,
                           "E-MOUNT-SOURCE: '%s', to be mounted on '%s', is not there", s->source,
                           s->target);
        if (fd < 0)
            return zl_wrap(err, "mount on '%s'", s->target);
    }
    return 0;
}

/* ---- the document -------------------------------------------------------------------------- */

static int open_image_file(void *arg, const char *path, struct zl_error *err)
{
    const struct making *m = arg;
    return image_open_file(m->n->images, m->image, path, err);
}

/* Who shares a network shares the names that go with it. */
static int write_etc(struct making *m, struct zl_error *err)
{
    char hostname[OCI_HOSTNAME_MAX + 1];
    const struct oci_etc etc = {
        .hostname = hostname,
        .host_network = m->service->network == SPEC_NET_HOST,
        .dns = &m->service->dns,
        .extra_hosts = &m->service->extra_hosts,
    };
    oci_bundle_hostname(m->service, m->c->name, hostname);
    /* on tmpfs: nobody needs them after a reboot */
    return m->network_of ? 0 : oci_etc_write(m->run_fd, &etc, err);
}

/* What is shared as /dev/shm lies on the tmpfs of the run directory and goes with it. */
static int make_shm(struct making *m, char *out, size_t size, const char **ret,
                    struct zl_error *err)
{
    const char *mode = m->service->ipc_mode;
    const struct container *of = m->ipc_of ? m->ipc_of : m->c;
    *ret = NULL;
    if (mode && strcmp(mode, "host") == 0)
        *ret = "/dev/shm";
    if (!m->ipc_of && !making_is_shareable(m->service))
        return 0;
    if (snprintf(out, size, "%s/c/%s/shm", m->n->run_dir, of->id_text) >= (int)size)
        return zl_fail(err, ZL_ERR_CONFIGURATION, "the path of the runtime directory is too long");
    *ret = out;
    if (m->ipc_of)
        return 0;
    zl_autoclose int dir = zl_make_dir(m->run_fd, "shm", 01777, err);
    return dir < 0 ? -1 : 0;
}

static int make_bundle(struct making *m, const struct oci_bundle *b, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(CONFIG_MAX);
    if (oci_bundle_make(b, &m->config, err) < 0 ||
        zl_json_dump(m->config, JSON_COMPACT, &text, err) < 0)
        return -1;
    /* On tmpfs, for root only: it holds the environment with its secrets. */
    return zl_write_new(m->run_fd, "config.json", text.data, text.len, 0600, err);
}

int making_document(struct making *m, struct zl_error *err)
{
    zl_autofree char *cgroups_path = NULL, *etc_dir = NULL;
    const struct container *etc_of = m->network_of ? m->network_of : m->c;
    const struct image_config *ic = &m->image->config;
    char shm[512];
    if (asprintf(&cgroups_path, "%s/c/%s", m->n->cgroup_parent, m->c->id_text) < 0 ||
        asprintf(&etc_dir, "%s/c/%s", m->n->run_dir, etc_of->id_text) < 0)
        return zl_fail_errno(err, "make config.json");
    struct oci_bundle bundle = {
        .service = m->service,
        .env = m->env,
        .image = { ic->entrypoint, ic->cmd, ic->env, ic->user, ic->workdir },
        .host = &m->n->host,
        .name = m->c->name,
        .cgroups_path = cgroups_path,
        .volumes = (const char *const *)m->storage.sources,
        .etc_dir = etc_dir,
        .join = { joined_path(m, "pid"), joined_path(m, "ipc"), joined_path(m, "net") },
        .gpus = m->n_gpus ? m->gpus : NULL,
        .rank = m->label->index ? m->label->index - 1 : 0,
        .open_file = open_image_file,
        .arg = m,
        .notes = &m->notes,
    };
    if (write_etc(m, err) < 0 || make_shm(m, shm, sizeof shm, &bundle.shm_dir, err) < 0)
        return -1;
    return make_bundle(m, &bundle, err);
}
