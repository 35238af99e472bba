// SPDX-License-Identifier: Apache-2.0
/* Rules about externals and tunnels, and what several services claim. */
#include "spec/validate/validate.h"

#include <stdio.h>
#include <string.h>

#include "spec/validate/claims.h"

/* ---- externals, tunnels -----------------------------------------------------------------------
 */

static void check_external_health(struct walk *w, const struct spec_external *e,
                                  const struct doc_node *n)
{
    struct walk_path health = { .up = w->path, .key = "health" };
    const struct doc_node *check = validate_field(validate_field(n, "health"), "check");
    if (!e->health.written)
        return;
    w->path = &health;
    if (e->health.check == SPEC_CHECK_COMMAND)
        validate_report_field(w, SPEC_ERROR, "E-HEALTH-EXTERNAL", validate_field(n, "health"),
                              "check", "an external has no container that a command could run in");
    else if (e->health.check == SPEC_CHECK_TCP && !e->health.port &&
             validate_written(check, "port"))
        validate_report_field(w, SPEC_STRICT, "E-PORT", validate_field(n, "health"), "check",
                              "port 0 picks an endpoint's port; an external needs a real one");
    w->path = health.up;
}

static struct validate_owner external_owner(const struct spec_external *e,
                                            const struct doc_node *externals)
{
    const struct doc_pair *self = doc_find(externals, e->name);
    return (struct validate_owner){ .name = e->name,
                                    .node = self ? self->value : externals,
                                    .endpoints = e->endpoints,
                                    .n = e->n_endpoints };
}

static void check_external(struct walk *w, const struct spec_external *e,
                           const struct doc_node *externals, const struct doc_node *services)
{
    struct walk_path at = { .up = w->path, .key = e->name };
    const struct validate_owner owner = external_owner(e, externals);
    const struct doc_pair *service = doc_find(services, e->name);
    const struct doc_pair *self = doc_find(externals, e->name);
    char text[200];
    w->path = &at;
    if (service) {
        (void)snprintf(text, sizeof text, "the service in line %d has the same name",
                       service->key->line);
        walk_report(w, SPEC_ERROR, "E-NAME-CLASH", self ? self->key : externals, "%s", text);
    }
    if (e->backends.written && !e->backends.n)
        validate_report_field(w, SPEC_ERROR, "E-EXT-BACKENDS", owner.node, "backends",
                              "at least one backend is needed");
    validate_endpoints(w, &owner);
    validate_health(w, &e->health, owner.node);
    check_external_health(w, e, owner.node);
    w->path = at.up;
}

static void check_tunnel(struct walk *w, const struct spec_tunnel *t, const struct doc_node *n)
{
    struct walk_path at = { .up = w->path, .key = t->name };
    w->path = &at;
    if (t->from && t->to && strcmp(t->from, t->to) == 0)
        validate_report_field(w, SPEC_ERROR, "E-TUNNEL-NODE", validate_field(n, t->name), "to",
                              "'to' is the node that 'from' names");
    w->path = at.up;
}

static void check_api(struct walk *w, const struct spec_api *api, const struct doc_node *n)
{
    struct walk_path at = { .key = "api" };
    w->path = &at;
    if (api->jwt_secret)
        validate_report_field(w, SPEC_WARNING, "W-SECRET-IN-CLEAR", n, "jwt_secret",
                              "the secret stands in clear text in this file");
    w->path = NULL;
}

static void check_ports(struct walk *w, const struct doc_node *externals, const struct spec *spec,
                        const struct spec_source *sources, size_t n)
{
    struct validate_owner *owners =
        zl_arena_array(w->arena, n + spec->n_externals + 1, sizeof *owners);
    if (!owners)
        return; /* the arena has noted it, and fails the document */
    for (size_t i = 0; i < n; i++) {
        const struct spec_service *s = sources[i].service;
        owners[i] =
            (struct validate_owner){ s->name, sources[i].node, s, s->endpoints, s->n_endpoints };
    }
    for (size_t i = 0; i < spec->n_externals; i++)
        owners[n + i] = external_owner(&spec->externals[i], externals);
    validate_shared_ports(w, owners, n + spec->n_externals);
}

void spec_validate_document(struct walk *w, const struct doc_node *root, const struct spec *spec,
                            const struct spec_source *sources, size_t n)
{
    struct walk_path externals = { .key = "externals" }, tunnels = { .key = "tunnels" };
    const struct doc_node *services = validate_field(root, "services");
    w->path = &externals;
    for (size_t i = 0; i < spec->n_externals; i++)
        check_external(w, &spec->externals[i], validate_field(root, "externals"), services);
    w->path = &tunnels;
    for (size_t i = 0; i < spec->n_tunnels; i++)
        check_tunnel(w, &spec->tunnels[i], validate_field(root, "tunnels"));
    w->path = NULL;
    check_ports(w, validate_field(root, "externals"), spec, sources, n);
    if (spec->api)
        check_api(w, spec->api, validate_field(root, "api"));
}

/* ---- between services -------------------------------------------------------------------------
 */

struct services {
    struct walk *w;
    const struct spec_source *sources;
    const char *id, *list, *what;
    enum spec_severity severity;
};

static void clash(void *arg, const struct claim *first, const struct claim *again)
{
    const struct services *d = arg;
    char text[400];
    struct walk_path services = { .key = "services" };
    struct walk_path service = { &services, d->sources[again->owner].service->name, 0, NULL };
    (void)snprintf(text, sizeof text, "%s, as '%s' in line %d", d->what,
                   d->sources[first->owner].service->name, first->node->line);
    d->w->path = &service;
    validate_report_item(d->w, d->severity, d->id, again->node, d->list, again->index, NULL, text);
    d->w->path = NULL;
}

static void check_host_ports(struct walk *w, const struct spec_source *sources, size_t n)
{
    struct claims claims = { .arena = w->arena };
    struct services arg = { w,
                            sources,
                            "E-HOST-PORT-CLASH",
                            "port_mappings",
                            "this port of the host is published twice",
                            SPEC_ERROR };
    for (size_t s = 0; s < n; s++) {
        for (size_t i = 0; i < sources[s].service->n_port_mappings; i++) {
            const struct spec_port_mapping *m = &sources[s].service->port_mappings[i];
            const char *ip = m->host_ip && *m->host_ip ? m->host_ip : "0.0.0.0";
            const char *what =
                zl_arena_printf(w->arena, "%s %d %u", ip, (int)m->protocol, m->host_port);
            if (m->host_port && what)
                claims_add(&claims, what, s, i, validate_item(sources[s].node, "port_mappings", i));
        }
    }
    claims_check(&claims, clash, &arg);
}

static void storage_clash(void *arg, const struct claim *first, const struct claim *again)
{
    const struct services *d = arg;
    const struct spec_storage *a = &d->sources[first->owner].service->storage[first->index];
    const struct spec_storage *b = &d->sources[again->owner].service->storage[again->index];
    if (a->tier != b->tier || a->size != b->size)
        clash(arg, first, again);
}

static void check_volumes(struct walk *w, const struct spec_source *sources, size_t n)
{
    struct claims claims = { .arena = w->arena };
    struct services arg = { w,
                            sources,
                            "E-STORAGE-CONFLICT",
                            "storage",
                            "the same volume with another tier or size",
                            SPEC_ERROR };
    for (size_t s = 0; s < n; s++) {
        for (size_t i = 0; i < sources[s].service->n_storage; i++) {
            const struct spec_storage *x = &sources[s].service->storage[i];
            if (x->type == SPEC_MOUNT_NAMED && x->name)
                claims_add(&claims, x->name, s, i, validate_item(sources[s].node, "storage", i));
        }
    }
    claims_check(&claims, storage_clash, &arg);
}

void spec_validate_shared(struct walk *w, const struct spec_source *sources, size_t n)
{
    check_host_ports(w, sources, n);
    check_volumes(w, sources, n);
}
