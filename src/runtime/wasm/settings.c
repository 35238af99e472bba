// SPDX-License-Identifier: Apache-2.0
/* What a service says about a guest, in the words of its monitor. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "oci/bundle.h"
#include "oci/etc.h"
#include "runtime/wasm/inner.h"

enum { TICK_MS = 10, REQUEST_TIMEOUT_MS = 30 * 1000, MAX_REQUESTS = 10 };
enum { ETC_MAX = 256 << 10, SETTINGS_MAX = 1 << 20 };

/* ---- limits ------------------------------------------------------------------------------- */

unsigned wasm_variant(const struct wasm_config *c, const struct spec_service *s)
{
    return (c->disable_epochs ? 0U : WASM_VARIANT_TIMED) |
           (s->wasm && s->wasm->max_fuel ? WASM_VARIANT_METERED : 0U);
}

/* A replica is expected to run for ever, and a handler of requests has a limit for each of them. */
static uint64_t time_limit(const struct wasm_config *c, const struct inst_label *label,
                           enum mon_wasm_serves serves)
{
    uint64_t ticks = c->epoch_deadline * TICK_MS;

    if (label->owner == OWNER_REPLICA || serves == WASM_HTTP || c->unlimited)
        return 0;
    return c->disable_epochs || c->max_execution_ms < ticks ? c->max_execution_ms : ticks;
}

static bool said_no(enum spec_said said)
{
    return said == SPEC_SAID_FALSE;
}

/* A switch holds only with its capability; without a block of its own the kind's defaults hold,
 * which for an ordinary service are none (deployment-spec 5.15). */
static uint32_t flags_of(const struct spec_service *s)
{
    const struct spec_wasm *w = s->wasm;
    uint32_t flags = wasm_needs_network(s) ? WASM_OWN_NETWORK : 0;

    if (!w)
        return flags;
    if (w->allow_http_outgoing && !said_no(w->caps.http_client))
        flags |= WASM_OUTGOING_HTTP;
    /* sockets are no capability of any kind: these two alone decide */
    return flags | (w->allow_tcp ? WASM_TCP : 0U) | (w->allow_udp ? WASM_UDP : 0U);
}

/* ---- network ------------------------------------------------------------------------------ */

static bool listens(const struct spec_endpoint *e)
{
    return e->protocol != SPEC_UDP;
}

static size_t count_listen(const struct spec_service *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_endpoints; i++)
        n += listens(&s->endpoints[i]);
    return n;
}

bool wasm_needs_network(const struct spec_service *s)
{
    const struct spec_wasm *w = s->wasm;
    bool probed = s->health.written && s->health.check != SPEC_CHECK_COMMAND;

    return s->network != SPEC_NET_NONE &&
           (count_listen(s) > 0 || probed || (w && (w->allow_tcp || w->allow_udp)) ||
            s->type == SPEC_WASM_HTTP || s->type == SPEC_WASM_ROUTER);
}

/* In a network of its own a guest listens on all addresses, in the host's only where it is said to.
 */
static struct wasm_listen listen_of(const struct spec_service *s, const struct spec_endpoint *e)
{
    struct wasm_listen l = { .port = e->target_port ? e->target_port : e->port };

    if (s->network == SPEC_NET_HOST && e->expose != SPEC_PUBLIC) {
        l.address[0] = 127;
        l.address[3] = 1;
    }
    return l;
}

/* ---- names -------------------------------------------------------------------------------- */

/* As a container's, which has them as files. */
static int add_names(const struct spec_service *s, const char *name, struct wasm_guest *g,
                     struct zl_buf *out, struct zl_error *err)
{
    char hostname[OCI_HOSTNAME_MAX + 1];
    zl_autobuf struct zl_buf hosts = ZL_BUF(ETC_MAX), resolv_conf = ZL_BUF(ETC_MAX);
    const struct oci_etc etc = {
        .hostname = hostname,
        .host_network = s->network == SPEC_NET_HOST,
        .dns = &s->dns,
        .extra_hosts = &s->extra_hosts,
    };

    if (!wasm_needs_network(s))
        return 0;
    oci_bundle_hostname(s, name, hostname);
    if (oci_etc_text(&etc, OCI_ETC_HOSTS, &hosts, err) < 0 ||
        oci_etc_text(&etc, OCI_ETC_RESOLV_CONF, &resolv_conf, err) < 0)
        return -1;
    zl_buf_add(out, hosts.data, hosts.len);
    zl_buf_add(out, resolv_conf.data, resolv_conf.len);
    g->etc_hosts = (uint32_t)hosts.len;
    g->etc_resolv_conf = (uint32_t)resolv_conf.len;
    return 0;
}

/* ---- the settings ------------------------------------------------------------------------- */

static int add_all(const struct spec_service *s, const char *name, struct wasm_guest *g,
                   struct zl_buf *out, struct zl_error *err)
{
    const struct spec_strings *hosts = s->wasm ? &s->wasm->allowed_hosts : NULL;

    zl_buf_add(out, g, sizeof *g);
    for (size_t i = 0; i < s->n_endpoints; i++) {
        const struct wasm_listen l = listen_of(s, &s->endpoints[i]);
        if (listens(&s->endpoints[i]) && g->n_listen++ < WASM_LISTEN_MAX)
            zl_buf_add(out, &l, sizeof l);
    }
    for (size_t i = 0; hosts && i < hosts->n; i++, g->n_hosts++)
        zl_buf_add(out, hosts->v[i], strlen(hosts->v[i]) + 1);
    if (g->n_listen > WASM_LISTEN_MAX || g->n_hosts > WASM_HOSTS_MAX)
        return zl_fail(err, ZL_ERR_INVALID,
                       "a guest has at most %d endpoints to listen on and %d allowed hosts",
                       WASM_LISTEN_MAX, WASM_HOSTS_MAX);
    if (add_names(s, name, g, out, err) < 0 ||
        zl_buf_check(out, "the settings of the guest", err) < 0)
        return -1;
    g->size = (uint32_t)out->len;
    (void)memcpy(out->data, g, sizeof *g);
    return 0;
}

int wasm_settings_make(const struct spec_service *s, const char *name, struct zl_error *err)
{
    const struct spec_wasm *w = s->wasm;
    zl_autobuf struct zl_buf text = ZL_BUF(SETTINGS_MAX);
    struct wasm_guest g = {
        .magic = WASM_GUEST_MAGIC,
        .version = WASM_GUEST_VERSION,
        .flags = flags_of(s),
        .max_memory = w && w->max_memory ? w->max_memory : s->resources.memory,
        .max_fuel = w ? w->max_fuel : 0,
        .request_timeout_ms = w ? w->request_timeout_ms : REQUEST_TIMEOUT_MS,
        .max_requests = w ? w->max_instances : MAX_REQUESTS,
    };

    g.max_tables = g.max_memory / WASM_TABLE_ELEMENT; /* they are outside of the linear memory */
    if (add_all(s, name, &g, &text, err) < 0)
        return -1;
    return zl_memory_file("guest", text.data, text.len, err);
}

int wasm_settings_finish(int fd, const struct wasm_config *c, const struct inst_label *label,
                         enum mon_wasm_serves serves, struct zl_error *err)
{
    uint64_t limit = time_limit(c, label, serves);
    if (pwrite(fd, &limit, sizeof limit, offsetof(struct wasm_guest, time_ms)) !=
        (ssize_t)sizeof limit)
        return zl_fail_errno(err, "write the guest's settings");
    return zl_seal(fd, "guest", err);
}

/* ---- config.json -------------------------------------------------------------------------- */

/* What a container has and a guest has no use for. */
static bool is_containers_own(const char *target)
{
    static const char *const prefixes[] = { "/proc",      "/dev",          "/sys",
                                            "/etc/hosts", "/etc/hostname", "/etc/resolv.conf" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(prefixes); i++) {
        size_t n = strlen(prefixes[i]);
        if (strncmp(target, prefixes[i], n) == 0 && (target[n] == '\0' || target[n] == '/'))
            return true;
    }
    return false;
}

static int add_preopens(json_t *mounts, const struct spec_service *s, struct zl_error *err)
{
    for (size_t i = 0; s->wasm && i < s->wasm->n_preopens; i++) {
        const struct spec_preopen *p = &s->wasm->preopens[i];
        json_t *m = json_pack("{s:s, s:s, s:s, s:[s,s]}", "destination", p->target, "type", "bind",
                              "source", p->source, "options", "rbind", p->readonly ? "ro" : "rw");
        if (!m || json_array_append_new(mounts, m) < 0)
            return zl_fail(err, ZL_ERR_INVALID, "preopen '%s': not UTF-8, or out of memory",
                           p->target);
    }
    return 0;
}

static int strip_mounts(json_t *config, const struct spec_service *s, struct zl_error *err)
{
    json_t *mounts = json_object_get(config, "mounts");
    for (size_t i = json_array_size(mounts); i > 0; i--) {
        const char *target =
            json_string_value(json_object_get(json_array_get(mounts, i - 1), "destination"));
        if (target && is_containers_own(target))
            (void)json_array_remove(mounts, i - 1);
    }
    return add_preopens(mounts, s, err);
}

/* A mount namespace has to stand there; the empty one is the host's affair. */
static int strip_namespaces(json_t *config, const struct spec_service *s, struct zl_error *err)
{
    bool own = wasm_needs_network(s) && s->network != SPEC_NET_HOST;
    json_t *list = own ? json_pack("[{s:s},{s:s}]", "type", "mount", "type", "network")
                       : json_pack("[{s:s}]", "type", "mount");
    if (!list || json_object_set_new(json_object_get(config, "linux"), "namespaces", list) < 0)
        return zl_fail(err, ZL_ERR_SYSTEM, "make config.json: out of memory");
    return 0;
}

/* Where its sockets are, as systemd's LISTEN_FDS: behind its folders. */
static int tell_sockets(json_t *config, const struct spec_service *s, struct zl_error *err)
{
    enum { FIRST_FOLDER = 3 };
    json_t *env = json_object_get(json_object_get(config, "process"), "env");
    size_t folders = json_array_size(json_object_get(config, "mounts")), n = count_listen(s);
    char count[32], first[48];

    if (!n)
        return 0;
    (void)snprintf(count, sizeof count, "LISTEN_FDS=%zu", n);
    (void)snprintf(first, sizeof first, "LISTEN_FDS_START=%zu", FIRST_FOLDER + folders);
    if (json_array_append_new(env, json_string(count)) < 0 ||
        json_array_append_new(env, json_string(first)) < 0)
        return zl_fail(err, ZL_ERR_SYSTEM, "make config.json: out of memory");
    return 0;
}

int wasm_config_strip(json_t *config, const struct spec_service *s, struct zl_error *err)
{
    static const char *const of_linux[] = { "maskedPaths", "readonlyPaths", "rootfsPropagation",
                                            "sysctl",      "devices",       "seccomp" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(of_linux); i++)
        (void)json_object_del(json_object_get(config, "linux"), of_linux[i]); /* or not there */
    (void)json_object_del(config, "hostname");
    json_t *root = json_pack("{s:s}", "path", "/");
    if (!root || json_object_set_new(config, "root", root) < 0)
        return zl_fail(err, ZL_ERR_SYSTEM, "make config.json: out of memory");
    if (strip_mounts(config, s, err) < 0 || strip_namespaces(config, s, err) < 0)
        return -1;
    return tell_sockets(config, s, err);
}
