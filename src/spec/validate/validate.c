// SPDX-License-Identifier: Apache-2.0
#include "spec/validate/validate.h"

#include <stdio.h>
#include <string.h>

#include "spec/fields/fields.h"
#include "spec/validate/claims.h"
#include "spec/validate/order.h"
#include "spec/value/suggest.h"

/* ---- where things stand ---------------------------------------------------------------------- */

/* The node of a field of a mapping, or the mapping itself. */
const struct doc_node *validate_field(const struct doc_node *map, const char *name)
{
    const struct doc_pair *p = doc_find(map, name);
    return p ? p->value : map;
}

const struct doc_node *validate_item(const struct doc_node *service, const char *list, size_t i)
{
    const struct doc_node *n = validate_field(service, list);
    return n->kind == DOC_SEQ && i < n->seq.n ? n->seq.v[i] : n;
}

/* Paths for reports about what was decoded before: services.<name>.<list>[i].<field>. */
struct place {
    struct walk_path service_list, service, list, item, field;
};

static void push(struct walk *w, struct walk_path *p, const char *key, size_t index)
{
    *p = (struct walk_path){ .up = w->path, .key = key, .index = index };
    w->path = p;
}

void validate_report_item(struct walk *w, enum spec_severity severity, const char *id,
                          const struct doc_node *at, const char *list, size_t i, const char *field,
                          const char *text)
{
    struct place p;
    const struct walk_path *saved = w->path;
    push(w, &p.list, list, 0);
    push(w, &p.item, NULL, i);
    if (field)
        push(w, &p.field, field, 0);
    walk_report(w, severity, id, at, "%s", text);
    w->path = saved;
}

void validate_report_field(struct walk *w, enum spec_severity severity, const char *id,
                           const struct doc_node *map, const char *field, const char *text)
{
    struct walk_path p;
    push(w, &p, field, 0);
    const struct doc_pair *pair = doc_find(map, field);
    walk_report(w, severity, id, pair ? pair->key : map, "%s", text);
    w->path = p.up;
}

const struct doc_node *validate_written(const struct doc_node *map, const char *name)
{
    const struct doc_pair *p = doc_find(map, name);
    return p && !doc_is_null(p->value) ? p->value : NULL;
}

/* ---- one service ----------------------------------------------------------------------------- */

struct service_claims {
    struct walk *w;
    const struct spec_source *source;
    const char *id, *list, *field;
};

static void claimed_in_service(void *arg, const struct claim *first, const struct claim *again)
{
    const struct service_claims *c = arg;
    char text[512];
    (void)snprintf(text, sizeof text, "%s stands here and in line %d", walk_show(c->w, again->what),
                   first->node->line);
    validate_report_item(c->w, SPEC_ERROR, c->id, again->node, c->list, again->index, c->field,
                         text);
}

static void check_dependency_names(struct walk *w, const struct spec_source *s)
{
    struct claims claims = { .arena = w->arena };
    struct service_claims arg = { w, s, "E-DEP-DUP", "depends", "service" };
    for (size_t i = 0; i < s->service->n_depends; i++) {
        const char *name = s->service->depends[i].service;
        if (name)
            claims_add(&claims, name, 0, i,
                       validate_field(validate_item(s->node, "depends", i), "service"));
    }
    claims_check(&claims, claimed_in_service, &arg);
}

/* The path without empty and "." components, so that /a/ and //a/. are one target. */
static const char *tidy_path(struct zl_arena *arena, const char *path)
{
    char *out = zl_arena_alloc(arena, strlen(path) + 2), *end = out;
    if (!out)
        return path;
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        if (n && !(n == 1 && *p == '.')) {
            *end++ = '/';
            end = (char *)memcpy(end, p, n) + n;
        }
        p += n + (p[n] == '/');
    }
    return out;
}

static void check_mount_targets(struct walk *w, const struct spec_source *s)
{
    struct claims claims = { .arena = w->arena };
    struct service_claims arg = { w, s, "E-DUP-MOUNT", "storage", "target" };
    for (size_t i = 0; i < s->service->n_storage; i++) {
        const char *target = s->service->storage[i].target;
        if (target)
            claims_add(&claims, tidy_path(w->arena, target), 0, i,
                       validate_field(validate_item(s->node, "storage", i), "target"));
    }
    claims_check(&claims, claimed_in_service, &arg);
}

/* Of a service or of a replica group, whose mapping is `owner`. */
static void check_resources(struct walk *w, const struct spec_resources *r,
                            const struct doc_node *owner)
{
    const struct doc_node *n = validate_field(owner, "resources");
    struct walk_path p;
    push(w, &p, "resources", 0);
    if (r->memory && r->memory_swap > 0 && (uint64_t)r->memory_swap < r->memory)
        validate_report_field(
            w, SPEC_STRICT, "E-MEMORY", n, "memory_swap",
            "memory_swap counts memory and swap together: it must be at least memory");
    if (r->memory && r->memory_reservation > r->memory)
        validate_report_field(w, SPEC_STRICT, "E-MEMORY", n, "memory_reservation",
                              "memory_reservation must not be more than memory");
    if (r->gpu)
        validate_gpu(w, r->gpu, validate_field(n, "gpu"));
    w->path = p.up;
}

static void check_group_resources(struct walk *w, const struct spec_source *s)
{
    struct walk_path list, item;
    push(w, &list, "replica_groups", 0);
    for (size_t i = 0; i < s->service->n_groups; i++) {
        const struct spec_resources *r = s->service->groups[i].resources;
        push(w, &item, NULL, i);
        if (r)
            check_resources(w, r, validate_item(s->node, "replica_groups", i));
        w->path = item.up;
    }
    w->path = list.up;
}

void validate_health(struct walk *w, const struct spec_health *h, const struct doc_node *owner)
{
    const struct doc_node *n = validate_field(validate_field(owner, "health"), "check");
    struct walk_path health, check;
    if (!h->written)
        return;
    push(w, &health, "health", 0);
    push(w, &check, "check", 0);
    if (h->check == SPEC_CHECK_HTTP && h->url) {
        if (strncmp(h->url, "https://", 8) != 0 && strncmp(h->url, "http://", 7) != 0 &&
            h->url[0] != '/')
            validate_report_field(w, SPEC_ERROR, "E-HEALTH-URL", n, "url",
                                  "the url must begin with http://, https:// or '/'");
    }
    if (h->check == SPEC_CHECK_COMMAND && h->command && !*h->command)
        validate_report_field(w, SPEC_ERROR, "E-HEALTH-COMMAND", n, "command",
                              "the command is empty");
    w->path = health.up;
}

static void check_job(struct walk *w, const struct spec_source *s)
{
    static const char *const ignored[] = { "scale", "replica_groups", "health", "endpoints",
                                           "update" };
    if (s->service->rtype == SPEC_SERVICE)
        return;
    for (size_t i = 0; i < ZL_ARRAY_LEN(ignored); i++) {
        const struct doc_pair *p = doc_find(s->node, ignored[i]);
        if (p && !doc_is_null(p->value))
            validate_report_field(w, SPEC_WARNING, "W-IGNORED-FOR-JOB", s->node, ignored[i],
                                  "this has no effect on a job or cron");
    }
}

void spec_validate_service(struct walk *w, const struct spec_source *s)
{
    validate_endpoints(w, &(struct validate_owner){ .name = s->service->name,
                                                    .node = s->node,
                                                    .service = s->service,
                                                    .endpoints = s->service->endpoints,
                                                    .n = s->service->n_endpoints });
    check_dependency_names(w, s);
    check_mount_targets(w, s);
    check_resources(w, &s->service->resources, s->node);
    check_group_resources(w, s);
    validate_health(w, &s->service->health, s->node);
    check_job(w, s);
    const struct spec_restart_policy *r = &s->service->restart;
    if (r->max_attempts && r->kind && r->kind != SPEC_RESTART_ON_FAILURE)
        validate_report_field(w, SPEC_WARNING, "W-RESTART-ATTEMPTS", s->node, "restart_policy",
                              "max_attempts has an effect with kind: on_failure only");
    spec_validate_parts(w, s);
    spec_validate_wasm(w, s);
}

/* ---- between services ------------------------------------------------------------------------ */

struct document {
    struct walk *w;
    const struct doc_node *services, *externals; /* mappings, or the root where there is none */
    const struct spec_source *sources;
    size_t n;
};

/* Reports at element i of a list of a service. */
static void report_in_service(const struct document *d, enum spec_severity severity, const char *id,
                              const struct doc_node *at, size_t service, const char *list, size_t i,
                              const char *field, const char *text)
{
    struct place p;
    const struct walk_path *saved = d->w->path;
    push(d->w, &p.service_list, "services", 0);
    push(d->w, &p.service, d->sources[service].service->name, 0);
    validate_report_item(d->w, severity, id, at, list, i, field, text);
    d->w->path = saved;
}

static const struct doc_node *dependency_node(const struct document *d, size_t service, size_t i)
{
    return validate_field(validate_item(d->sources[service].node, "depends", i), "service");
}

static void unknown_dependency(const struct document *d, size_t service, size_t i)
{
    enum { NAMED = 20 }; /* of the services there are */
    zl_autobuf struct zl_buf text = ZL_BUF(8192);
    const char *wanted = d->sources[service].service->depends[i].service;
    struct spec_nearest near = { .typed = wanted };
    zl_buf_addf(&text, "'%s' depends on %s, which is %snot among the services",
                d->sources[service].service->name, walk_show(d->w, wanted),
                doc_find(d->externals, wanted) ? "an external and " : "");
    for (size_t k = 0; k < d->n && k < NAMED; k++) {
        const char *name = d->sources[k].service->name;
        zl_buf_addf(&text, "%s%s", k ? ", " : ": ", name);
        spec_nearest_try(&near, name);
    }
    zl_buf_adds(&text, d->n > NAMED ? ", …" : "");
    if (near.word)
        zl_buf_addf(&text, "; did you mean '%s'?", near.word);
    report_in_service(d, SPEC_ERROR, "E-DEP-UNKNOWN", dependency_node(d, service, i), service,
                      "depends", i, "service", text.data);
}

/* The edges of all services, and the index of each dependency. */
static size_t resolve_dependencies(const struct document *d, struct order_edge *edges)
{
    size_t n_edges = 0;
    for (size_t s = 0; s < d->n; s++) {
        /* decoded into memory of ours; const for everybody else */
        struct spec_depends *depends =
            (struct spec_depends *)(uintptr_t)d->sources[s].service->depends;
        for (size_t i = 0; i < d->sources[s].service->n_depends; i++) {
            const struct doc_pair *p =
                depends[i].service ? doc_find(d->services, depends[i].service) : NULL;
            if (!depends[i].service)
                continue; /* reported already */
            if (!p) {
                unknown_dependency(d, s, i);
                continue;
            }
            depends[i].index = (size_t)(p - d->services->map.v);
            if (d->sources[depends[i].index].service->rtype != SPEC_SERVICE)
                report_in_service(d, SPEC_WARNING, "W-DEP-ON-JOB", dependency_node(d, s, i), s,
                                  "depends", i, "service",
                                  "a job or cron ends: waiting for it may well time out");
            if (depends[i].index == s)
                report_in_service(d, SPEC_ERROR, "E-DEP-SELF", dependency_node(d, s, i), s,
                                  "depends", i, "service", "a service cannot depend on itself");
            else
                edges[n_edges++] = (struct order_edge){ .from = s, .to = depends[i].index };
        }
    }
    return n_edges;
}

static void report_cycle(void *arg, const size_t *members, size_t n)
{
    enum { NAMED = 20 };
    const struct document *d = arg;
    zl_autobuf struct zl_buf text = ZL_BUF(8192);
    const struct spec_service *first = d->sources[members[0]].service;
    zl_buf_adds(&text, "the dependencies run in a circle: ");
    for (size_t i = 0; i < n && i < NAMED; i++)
        zl_buf_addf(&text, "%s -> ", d->sources[members[i]].service->name);
    zl_buf_addf(&text, "%s%s", n > NAMED ? "… -> " : "", first->name);
    size_t i = 0;
    while (first->depends[i].index != members[1] || !first->depends[i].service)
        i++;
    report_in_service(d, SPEC_ERROR, "E-DEP-CYCLE", dependency_node(d, members[0], i), members[0],
                      "depends", i, "service", text.data);
}

static const size_t *start_order(const struct document *d)
{
    size_t n_edges = 0;
    for (size_t s = 0; s < d->n; s++)
        n_edges += d->sources[s].service->n_depends;
    struct order_edge *edges = zl_arena_array(d->w->arena, n_edges, sizeof *edges);
    size_t *order = zl_arena_array(d->w->arena, d->n, sizeof *order);
    if (!edges || !order)
        return NULL;
    n_edges = resolve_dependencies(d, edges);
    struct document copy = *d;
    enum order_result rc = order_compute(edges, n_edges, d->n, order, report_cycle, &copy);
    if (rc == ORDER_NO_MEMORY)
        d->w->arena->failed = true;
    return rc == ORDER_OK ? order : NULL;
}

const size_t *spec_validate_services(struct walk *w, const struct doc_node *root,
                                     const struct spec_source *sources, size_t n)
{
    struct document d = { w, validate_field(root, "services"), validate_field(root, "externals"),
                          sources, n };
    spec_validate_shared(w, sources, n);
    return start_order(&d);
}
