// SPDX-License-Identifier: Apache-2.0
/*
 * One table: where a field stands, when it matters, and what to say. The document is looked at as
 * it was written, since only what somebody wrote is worth telling, with its line. A row goes when
 * the agent learns to act on its field.
 */
#include "spec/acted.h"

#include <string.h>
#include <strings.h>
#include <sys/utsname.h>

#include "base/doc.h"
#include "spec/fields/walk.h"
#include "spec/time/tzif.h"

struct acted {
    struct walk w;
    const struct spec *spec;
    const struct spec_host *host;
    const struct spec_service *service; /* NULL: at the top level */
    const struct acted_row *row;
};

typedef bool (*acted_when)(const struct acted *a, const struct doc_node *n);

struct acted_row {
    const char *field;  /* "endpoints[].tunnel", "env.*" */
    const char *unless; /* a text that asks for nothing; NULL: there is none */
    acted_when when;    /* NULL: always */
    enum spec_severity severity;
    const char *id, *text;
    const char *(*present)(const struct acted *a); /* instead of text: what this host has */
};

/* ---- conditions -------------------------------------------------------------------------------
 */

static bool begins_with(const struct doc_node *n, const char *start)
{
    return n->kind == DOC_SCALAR && strncmp(n->scalar.text, start, strlen(start)) == 0;
}

static bool is_word(const struct doc_node *n, const char *word)
{
    return n->kind == DOC_SCALAR && strcmp(n->scalar.text, word) == 0;
}

static bool is_https(const struct acted *a, const struct doc_node *n)
{
    (void)a;
    return begins_with(n, "https://");
}

static const char *host_arch(const struct spec_host *host)
{
    static const struct {
        const char *machine, *arch;
    } names[] = { { "x86_64", "amd64" }, { "aarch64", "arm64" } };
    struct utsname u;
    if (host && host->arch)
        return host->arch;
    for (size_t i = 0; uname(&u) == 0 && i < ZL_ARRAY_LEN(names); i++) {
        if (strcmp(u.machine, names[i].machine) == 0)
            return names[i].arch;
    }
    return "another";
}

static bool is_other_arch(const struct acted *a, const struct doc_node *n)
{
    return !is_word(n, host_arch(a->host));
}

static const char *present_arch(const struct acted *a)
{
    return host_arch(a->host);
}

static const char *present_os(const struct acted *a)
{
    (void)a;
    return "linux";
}

static bool is_enabled(const struct acted *a, const struct doc_node *n)
{
    (void)a;
    const struct doc_pair *p = doc_find(n, "enabled");
    return p && p->value->kind == DOC_SCALAR &&
           (is_word(p->value, "true") || is_word(p->value, "True") || is_word(p->value, "TRUE"));
}

static bool joins_network(const struct acted *a, const struct doc_node *n)
{
    (void)n;
    return a->service->network == SPEC_NET_BRIDGE;
}

static bool has_range(const struct acted *a, const struct doc_node *n)
{
    (void)n;
    return a->service->scale_mode == SPEC_SCALE_ADAPTIVE &&
           a->service->scale_max > a->service->scale_min;
}

static bool wants_nodes(const struct acted *a, const struct doc_node *n)
{
    return (is_word(n, "dedicated") && a->service->replicas > 1) ||
           (is_word(n, "exclusive") && a->spec->n_services > 1);
}

static bool wants_one_node(const struct acted *a, const struct doc_node *n)
{
    return !is_word(n, "shared") && !wants_nodes(a, n);
}

static bool is_pin(const struct acted *a, const struct doc_node *n)
{
    (void)n;
    return a->service->affinity.kind == SPEC_AFFINITY_PIN;
}

static bool is_no_pin(const struct acted *a, const struct doc_node *n)
{
    return !is_pin(a, n);
}

static bool is_apple(const struct acted *a, const struct doc_node *n)
{
    (void)a;
    return is_word(n, "apple");
}

static bool is_not_apples(const struct acted *a, const struct doc_node *n)
{
    (void)n;
    return strcmp(a->service->resources.gpu->vendor, "apple") != 0;
}

static bool is_spread(const struct acted *a, const struct doc_node *n)
{
    (void)a;
    return is_word(n, "spread");
}

static bool is_dedicated(const struct acted *a, const struct doc_node *n)
{
    (void)a;
    return is_word(n, "dedicated");
}

/* The kinds whose worlds are of plugins and pipelines; those that serve requests are one world. */
static bool is_other_wasm(const struct acted *a, const struct doc_node *n)
{
    (void)a;
    return begins_with(n, "wasm_") && !is_word(n, "wasm_http") && !is_word(n, "wasm_router");
}

static bool lacks_zone(const struct acted *a, const struct doc_node *n)
{
    const struct spec_schedule_options *o = a->service->schedule_options;
    (void)n;
    return o && !o->zone && !tz_name_is_utc(o->time_zone);
}

static bool is_gateway(const struct acted *a, const struct doc_node *n)
{
    static const char end[] = ":host-gateway";
    if (n->kind != DOC_SCALAR || a->service->network == SPEC_NET_HOST)
        return false;
    size_t len = strlen(n->scalar.text), want = sizeof end - 1;
    return len > want && strcmp(n->scalar.text + len - want, end) == 0;
}

static bool is_too_many(const struct acted *a, const struct doc_node *n)
{
    (void)n;
    return a->service->replicas > SPEC_REPLICAS_MAX;
}

static bool is_too_little(const struct acted *a, const struct doc_node *n)
{
    (void)n;
    return a->service->resources.memory < SPEC_MEMORY_MIN;
}

static bool is_unmountable(const struct acted *a, const struct doc_node *n)
{
    (void)a;
    return is_word(n, "s3");
}

/* Of a volume; a tmpfs has its size from the kernel. */
static bool is_of_volume(const struct acted *a, const struct doc_node *n)
{
    for (size_t i = 0; i < a->service->n_storage; i++)
        if (a->w.path->up->index == i && a->w.path->up->key == NULL)
            return a->service->storage[i].type == SPEC_MOUNT_NAMED;
    (void)n;
    return false;
}

/* ---- the table --------------------------------------------------------------------------------
 */

/* clang-format off */
#define WARN  SPEC_WARNING, "W-NOT-ACTED-ON"
#define NOTE  SPEC_INFO, "I-NOT-ACTED-ON"
#define ERROR SPEC_ERROR, "E-NOT-SUPPORTED"
#define PLACE SPEC_ERROR, "E-PLACEMENT"

static const struct acted_row document_rows[] = {
    { "externals", NULL, NULL, WARN, "this version does not route to externals" },
    { "tunnels",   NULL, NULL, WARN, "this version opens no tunnels" },
    { "api",       NULL, NULL, WARN, "the API is set up by the agent's own configuration" },
    { 0 },
};

static const struct acted_row service_rows[] = {
    { "image.source_policy", "local_first", NULL, WARN, "images come from the agent's store" },
    { "schedule_options.time_zone", NULL, lacks_zone, ERROR, "this host has no table of that time zone: install tzdata" },
    { "job_options.timeout", "none", NULL, WARN, "this version does not end an execution that takes long" },
    { "job_options.retries", "0", NULL, WARN, "this version runs an execution once" },
    { "job_options.retry_delay", NULL, NULL, WARN, "this version runs an execution once" },
    { "update",              NULL, NULL, WARN, "this version replaces replicas in its own way" },
    { "service_type",        NULL, is_other_wasm, ERROR, "this version serves wasm_http and wasm_router; a module that is a command needs no service_type" },
    { "wasm.min_instances",  NULL, NULL, WARN, "an instance is made for each request, and no other waits for one" },
    { "wasm.idle_timeout",   NULL, NULL, WARN, "no instance outlives its request" },
    { "wasm.epoch_interval", NULL, NULL, WARN, "time is looked at without an interval of one's own" },
    { "wasm.kv_enabled",     NULL, NULL, WARN, "this version links no key-value store" },
    { "wasm.kv_namespace",   NULL, NULL, WARN, "this version links no key-value store" },
    { "wasm.kv_max_value_size", NULL, NULL, WARN, "this version links no key-value store" },
    { "wasm.secrets",        NULL, NULL, WARN, "this version links no interface for secrets: use env" },
    { "platform.os",         "linux", NULL, SPEC_ERROR, "E-PLATFORM", NULL, present_os },
    { "platform.arch",       NULL, is_other_arch, SPEC_ERROR, "E-PLATFORM", NULL, present_arch },
    { "platform.osVersion",  NULL, NULL, WARN, "it chooses among Windows images only" },
    { "logs",                NULL, NULL, WARN, "this version keeps all logs on disk, by its own limits" },
    { "restart_policy.max_delay",   NULL, NULL, WARN, "the back-off has a ceiling of its own" },
    { "restart_policy.reset_after", NULL, NULL, WARN, "the count of restarts starts anew by a rule of its own" },
    { "resources.gpu.vendor", NULL, is_apple, SPEC_ERROR, "E-GPU-ABSENT", "there is no such GPU on Linux" },
    { "resources.gpu.mode",  NULL, is_not_apples, WARN, "it has no effect on Linux" },
    { "resources.gpu.scheduling", NULL, is_spread, WARN, "there is one node" },
    { "userns_mode",         "host", NULL, ERROR, "this version does not map users" },
    { "isolation",           "auto", NULL, WARN, "it has no effect on Linux" },
    { "endpoints",           NULL, NULL, WARN, "endpoints are checked, and pick the port of a health check, but this version does not listen on them" },
    { "endpoints[].tunnel",  NULL, is_enabled, WARN, "this version opens no tunnels" },
    { "port_mappings",       NULL, NULL, WARN, "this version publishes no ports" },
    { "network_mode",        NULL, joins_network, ERROR, "this version has no networks to join; default, host, none and container:<id> it does" },
    { "extra_hosts[]",       NULL, is_gateway, ERROR, "this version has no network that leads to the host" },
    { "network.overlays",    NULL, NULL, WARN, "there is no overlay on one host: its traffic does not leave it" },
    { "network.join.mode",   "token", NULL, WARN, "no node joins this host" },
    { "overlay.mode",        NULL, is_dedicated, WARN, "there is no overlay on one host" },
    { "overlay.parent",      NULL, NULL, WARN, "there is no overlay on one host" },
    { "localhost_reachability", "auto", NULL, WARN, "this version does not listen on endpoints" },
    { "resources.memory",    NULL, is_too_little, SPEC_ERROR, "E-MEMORY", "no process starts in so little memory: at least 256Ki" },
    { "scale.replicas",      NULL, is_too_many, SPEC_ERROR, "E-RANGE", "one host can be asked for at most 1000 replicas of a service" },
    { "scale.min",           NULL, is_too_many, SPEC_ERROR, "E-RANGE", "one host can be asked for at most 1000 replicas of a service" },
    { "scale",               NULL, has_range, ERROR, "this version has no autoscaler: write fixed, or min and max alike" },
    { "replica_groups",      NULL, NULL, ERROR, "this version starts replicas that are all alike" },
    { "health.check.url",    NULL, is_https, ERROR, "this version probes http:// only" },
    { "health.on_unhealthy", "none", NULL, WARN, "this version only marks an unhealthy replica" },
    { "init.steps",          NULL, NULL, ERROR, "this version carries out no steps before a start" },
    { "errors.on_init_failure", NULL, NULL, WARN, "this version carries out no steps before a start" },
    { "storage[].type",      NULL, is_unmountable, ERROR, "this version has no s3 mounts: copy the bucket into a named volume" },
    { "storage[].size",      NULL, is_of_volume, ERROR, "this version sets no limit to a named volume: leave size out" },
    { "storage[].tier",      "local", NULL, WARN, "the plain disk is used, as with local" },
    { "node_mode",           NULL, wants_nodes, PLACE, "this needs more nodes than the one there is" },
    { "node_mode",           NULL, wants_one_node, WARN, "there is one node" },
    { "node_selector.labels", NULL, NULL, PLACE, "this host has no labels" },
    { "node_selector.prefer_labels", NULL, NULL, NOTE, "there is one node" },
    { "affinity",            NULL, is_pin, PLACE, "this host has no labels, and no number" },
    { "affinity",            NULL, is_no_pin, NOTE, "there is one node" },
    { 0 },
};
/* clang-format on */

/* ---- walking ----------------------------------------------------------------------------------
 */

static bool asks_for_something(const struct acted *a, const struct doc_node *n)
{
    const struct acted_row *row = a->row;
    if (doc_is_null(n) || (n->kind == DOC_SEQ && !n->seq.n) || (n->kind == DOC_MAP && !n->map.n))
        return false;
    if (row->unless && n->kind == DOC_SCALAR && strcasecmp(n->scalar.text, row->unless) == 0)
        return false;
    return !row->when || row->when(a, n);
}

static void tell(struct acted *a, const struct doc_node *n, const struct doc_node *key)
{
    const struct acted_row *row = a->row;
    if (row->present)
        walk_report(&a->w, row->severity, row->id, key, "%s is wanted, and this host is %s",
                    walk_show(&a->w, n->kind == DOC_SCALAR ? n->scalar.text : ""), row->present(a));
    else
        walk_report(&a->w, row->severity, row->id, key, "%s", row->text);
}

/* The rest of a row's path below node n, which key or element led to. */
static void follow(struct acted *a, const char *rest, const struct doc_node *n,
                   const struct doc_node *key);

static void follow_element(struct acted *a, const char *rest, const struct doc_node *list, size_t i)
{
    struct walk_path at = { .up = a->w.path, .index = i };
    a->w.path = &at;
    follow(a, rest, list->seq.v[i], list->seq.v[i]);
    a->w.path = at.up;
}

static void follow_member(struct acted *a, const char *rest, const struct doc_pair *p)
{
    struct walk_path at = { .up = a->w.path, .key = p->key->scalar.text };
    if (p->key->kind != DOC_SCALAR)
        return;
    a->w.path = &at;
    follow(a, rest, p->value, p->key);
    a->w.path = at.up;
}

static void follow(struct acted *a, const char *rest, const struct doc_node *n,
                   const struct doc_node *key)
{
    char name[64];
    if (!*rest) {
        if (asks_for_something(a, n))
            tell(a, n, key);
        return;
    }
    if (strncmp(rest, "[]", 2) == 0) {
        for (size_t i = 0; n->kind == DOC_SEQ && i < n->seq.n; i++)
            follow_element(a, rest + 2, n, i);
        return;
    }
    rest += *rest == '.';
    if (*rest == '*') {
        for (size_t i = 0; n->kind == DOC_MAP && i < n->map.n; i++)
            follow_member(a, rest + 1, &n->map.v[i]);
        return;
    }
    size_t len = strcspn(rest, ".[");
    memcpy(name, rest, len); /* the table has no longer one */
    name[len] = '\0';
    const struct doc_pair *p = doc_find(n, name);
    if (p)
        follow_member(a, rest + len, p);
}

static void check_rows(struct acted *a, const struct acted_row *rows, const struct doc_node *n)
{
    for (a->row = rows; a->row->field; a->row++)
        follow(a, a->row->field, n, n);
}

static void check_document(struct acted *a, const struct doc_node *root)
{
    const struct doc_pair *services = doc_find(root, "services");
    struct walk_path list = { .key = "services" };
    check_rows(a, document_rows, root);
    for (size_t i = 0; services && i < a->spec->n_services; i++) {
        struct walk_path at = { .up = &list, .key = a->spec->services[i].name };
        const struct doc_pair *p = doc_find(services->value, at.key);
        a->service = &a->spec->services[i];
        a->w.path = &at;
        if (p)
            check_rows(a, service_rows, p->value);
    }
    a->w.path = NULL;
}

bool spec_check_apply(const struct spec *spec, const struct spec_host *host,
                      struct spec_diags *diags)
{
    struct zl_arena arena = ZL_ARENA(DOC_MAX_MEMORY);
    struct acted a = { .w = { .arena = &arena, .diags = diags }, .spec = spec, .host = host };
    const struct doc_node *root = NULL;
    struct doc_error error;
    if (doc_parse(spec->text, spec->text_len, &arena, &root, &error) < 0) {
        spec_diags_add(diags, SPEC_ERROR, "E-IO", 0, 0, "", "%s", error.text);
    } else if (root && strcmp(spec->deployment, "-") == 0) { /* a service on its own */
        a.service = &spec->services[0];
        check_rows(&a, service_rows, root);
    } else if (root) {
        check_document(&a, root);
    }
    zl_arena_done(&arena);
    spec_diags_sort(diags);
    return !diags->n_errors;
}
