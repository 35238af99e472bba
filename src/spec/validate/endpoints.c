// SPDX-License-Identifier: Apache-2.0
/* Rules about endpoints, of services and of externals alike: within one owner, and between all. */
#include "spec/validate/validate.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "spec/validate/claims.h"

static bool is_l7(enum spec_protocol p)
{
    return p == SPEC_HTTP || p == SPEC_HTTPS || p == SPEC_WEBSOCKET;
}

/* ---- one owner ------------------------------------------------------------------------------- */

static const struct doc_node *item(const struct validate_owner *o, size_t i, const char *field)
{
    return validate_field(validate_item(o->node, "endpoints", i), field);
}

static void warn_at(struct walk *w, const struct validate_owner *o, size_t i, const char *id,
                    const char *field, const char *text)
{
    validate_report_item(w, SPEC_WARNING, id, item(o, i, field), "endpoints", i, field, text);
}

static void check_protocol(struct walk *w, const struct validate_owner *o, size_t i)
{
    static const char l7_only[] = "only http, https and websocket are routed by path and host";
    const struct spec_endpoint *e = &o->endpoints[i];
    if (!validate_written(validate_item(o->node, "endpoints", i), "protocol"))
        return; /* reported; what it is cannot be known */
    if (!is_l7(e->protocol) && e->path)
        warn_at(w, o, i, "W-L7-FIELD-ON-STREAM", "path", l7_only);
    if (!is_l7(e->protocol) && e->host)
        warn_at(w, o, i, "W-L7-FIELD-ON-STREAM", "host", l7_only);
    if (is_l7(e->protocol) && e->stream)
        warn_at(w, o, i, "W-STREAM-ON-L7", "stream",
                "stream options have an effect on tcp and udp only");
}

static bool has_role(const struct spec_service *s, const char *role)
{
    for (size_t i = 0; s && i < s->n_groups; i++) {
        if (s->groups[i].role && strcmp(s->groups[i].role, role) == 0)
            return true;
    }
    return s && !s->n_groups && strcmp(role, "default") == 0;
}

static void unknown_role(struct walk *w, const struct validate_owner *o, size_t i)
{
    enum { NAMED = 20 };
    zl_autobuf struct zl_buf text = ZL_BUF(8192);
    const struct spec_service *s = o->service;
    const char *role = walk_show(w, o->endpoints[i].target_role);
    if (!s)
        zl_buf_addf(&text, "the role %s: an external has backends, and no replicas", role);
    else if (!s->n_groups)
        zl_buf_addf(&text,
                    "the role %s is not declared: there are no replica_groups, and every replica "
                    "has the role default",
                    role);
    else
        zl_buf_addf(&text, "the role %s is not among replica_groups:", role);
    for (size_t k = 0; s && k < s->n_groups && k < NAMED; k++)
        zl_buf_addf(&text, " %s", s->groups[k].role ? s->groups[k].role : "?");
    validate_report_item(w, SPEC_ERROR, "E-TARGET-ROLE", item(o, i, "target_role"), "endpoints", i,
                         "target_role", text.data);
}

struct names {
    struct walk *w;
    const struct validate_owner *owner;
};

static void repeated_name(void *arg, const struct claim *first, const struct claim *again)
{
    const struct names *n = arg;
    char text[300];
    (void)snprintf(text, sizeof text, "%s stands here and in line %d", walk_show(n->w, again->what),
                   first->node->line);
    validate_report_item(n->w, n->owner->service ? SPEC_ERROR : SPEC_STRICT, "E-DUP-ENDPOINT",
                         again->node, "endpoints", again->index, "name", text);
}

void validate_endpoints(struct walk *w, const struct validate_owner *o)
{
    struct claims names = { .arena = w->arena };
    for (size_t i = 0; i < o->n; i++) {
        check_protocol(w, o, i);
        if (o->endpoints[i].target_role && !has_role(o->service, o->endpoints[i].target_role))
            unknown_role(w, o, i);
        if (o->endpoints[i].name)
            claims_add(&names, o->endpoints[i].name, 0, i, item(o, i, "name"));
    }
    claims_check(&names, repeated_name, &(struct names){ w, o });
}

/* ---- between owners -------------------------------------------------------------------------- */

struct document {
    struct walk *w;
    const struct validate_owner *owners;
};

static const struct spec_endpoint *claimed_by(const struct document *d, const struct claim *c)
{
    return &d->owners[c->owner].endpoints[c->index];
}

static void report(const struct document *d, enum spec_severity severity, const char *id,
                   const struct claim *at, const char *field, const char *text)
{
    const struct validate_owner *o = &d->owners[at->owner];
    struct walk_path list = { .key = o->service ? "services" : "externals" };
    struct walk_path owner = { .up = &list, .key = o->name };
    d->w->path = &owner;
    validate_report_item(d->w, severity, id, at->node, "endpoints", at->index, field, text);
    d->w->path = NULL;
}

static void port_clash(void *arg, const struct claim *first, const struct claim *again)
{
    const struct document *d = arg;
    const struct spec_endpoint *e = claimed_by(d, again);
    char text[512];
    bool route = again->what[0] == 'r';
    (void)snprintf(text, sizeof text, "%s %u is already taken in line %d by '%s' of '%s'",
                   route ? "the same route on port" : "the public port", e->port, first->node->line,
                   claimed_by(d, first)->name, d->owners[first->owner].name);
    report(d, SPEC_ERROR, route ? "E-ROUTE-CLASH" : "E-PORT-CLASH", again, "port", text);
}

/* Hosts are compared without case. */
static const char *route_claim(struct walk *w, const struct spec_endpoint *e)
{
    char *host = zl_arena_strdup(w->arena, e->host ? e->host : "");
    for (char *p = host; p && *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return zl_arena_printf(w->arena, "r%u %d %s %s", e->port, e->protocol == SPEC_HTTPS,
                           host ? host : "", e->path ? e->path : "/");
}

/*
 * Public endpoints bind the same address. A tcp or udp port is one endpoint's; L7 endpoints share
 * theirs if all are https or none is, and differ in host or path. In claims: tcp takes the port for
 * itself, and so does the first endpoint of each L7 family against the other and against tcp.
 */
static void claim_public(const struct document *d, size_t owner, size_t i, struct claims *claims,
                         unsigned char *seen)
{
    enum { FAMILY_PLAIN = 1, FAMILY_TLS = 2 };
    const struct spec_endpoint *e = &d->owners[owner].endpoints[i];
    unsigned family = !is_l7(e->protocol)         ? 0
                      : e->protocol == SPEC_HTTPS ? FAMILY_TLS
                                                  : FAMILY_PLAIN;
    const struct doc_node *n = item(&d->owners[owner], i, "port");
    const char *port =
        zl_arena_printf(d->w->arena, "p%s:%u", e->protocol == SPEC_UDP ? "udp" : "tcp", e->port);
    const char *route = route_claim(d->w, e);
    if (e->expose != SPEC_PUBLIC || !e->port || !e->name || !port || !route)
        return;
    if (!family || !(seen[e->port] & family)) /* the first of a family speaks for it */
        claims_add(claims, port, owner, i, n);
    seen[e->port] |= (unsigned char)family;
    if (family)
        claims_add(claims, route, owner, i, n);
}

static void check_public(struct document *d, size_t n)
{
    struct claims claims = { .arena = d->w->arena };
    zl_autofree unsigned char *seen = calloc(UINT16_MAX + 1, 1); /* families, by port */
    if (!seen) {
        d->w->arena->failed = true;
        return;
    }
    for (size_t k = 0; k < n; k++) {
        for (size_t i = 0; i < d->owners[k].n; i++)
            claim_public(d, k, i, &claims, seen);
    }
    claims_check(&claims, port_clash, d);
}

/* Whether there is never more than one replica of it. */
static bool is_single_member(const struct spec_service *s)
{
    if (s->n_groups)
        return s->n_groups == 1 && s->groups[0].count <= 1;
    switch (s->scale_mode) {
    case SPEC_SCALE_FIXED:
        return s->replicas <= 1;
    case SPEC_SCALE_ADAPTIVE:
        return s->scale_max <= 1;
    case SPEC_SCALE_MANUAL:
        break;
    }
    return true;
}

static bool is_on_loopback(const struct spec_service *s)
{
    return s && (s->localhost == SPEC_LOCALHOST_ALWAYS ||
                 (s->localhost == SPEC_LOCALHOST_AUTO && is_single_member(s)));
}

static void loopback_clash(void *arg, const struct claim *first, const struct claim *again)
{
    const struct document *d = arg;
    const struct spec_endpoint *a = claimed_by(d, first), *b = claimed_by(d, again);
    char text[400];
    bool one_listener = first->owner == again->owner && is_l7(a->protocol) && is_l7(b->protocol) &&
                        (a->protocol == SPEC_HTTPS) == (b->protocol == SPEC_HTTPS);
    if (one_listener)
        return;
    (void)snprintf(text, sizeof text,
                   "the internal port %u is used twice, so neither '%s' of '%s' in line %d nor "
                   "'%s' of '%s' is published on 127.0.0.1",
                   a->port, a->name, d->owners[first->owner].name, first->node->line, b->name,
                   d->owners[again->owner].name);
    report(d, SPEC_WARNING, "W-LOOPBACK-CLASH", again, NULL, text);
}

static void check_loopback(struct document *d, size_t n)
{
    struct claims claims = { .arena = d->w->arena };
    for (size_t k = 0; k < n; k++) {
        const struct validate_owner *o = &d->owners[k];
        for (size_t i = 0; is_on_loopback(o->service) && i < o->n; i++) {
            const struct spec_endpoint *e = &o->endpoints[i];
            const char *what =
                zl_arena_printf(d->w->arena, "%d %u", e->protocol == SPEC_UDP, e->port);
            if (e->expose == SPEC_INTERNAL && e->port && e->name && what)
                claims_add(&claims, what, k, i, validate_item(o->node, "endpoints", i));
        }
    }
    claims_check(&claims, loopback_clash, d);
}

void validate_shared_ports(struct walk *w, const struct validate_owner *owners, size_t n)
{
    struct document d = { w, owners };
    check_public(&d, n);
    check_loopback(&d, n);
}
