// SPDX-License-Identifier: Apache-2.0
/*
 * From text to struct spec: the tree (base/doc), the tables (fields.c) through the walker, the
 * rules that no field knows alone (validate.c), defaults, hashes. All steps run even when one of
 * them found errors, so that one run reports all.
 */
#include "spec/spec.h"

#include <limits.h>
#include <string.h>

#include "base/doc.h"
#include "spec/fields/fields.h"
#include "spec/hash.h"
#include "spec/time/zones.h"
#include "spec/validate/validate.h"
#include "spec/value/name.h"

struct shared_spec {
    struct spec spec; /* first: the public pointer is this one's */
    struct zl_arena arena;
    struct spec_zones zones;
    unsigned refs;
};

struct parse { /* one document on its way */
    struct shared_spec *out;
    struct zl_arena tree; /* of the nodes; gone when the spec is made */
    struct walk w;
    const struct doc_node *root;
};

static const char *const problem_ids[] = {
    [DOC_BAD_UTF8] = "E-UTF8",   [DOC_BAD_SYNTAX] = "E-YAML-SYNTAX", [DOC_LIMIT] = "E-YAML-LIMIT",
    [DOC_MULTI] = "E-MULTI-DOC", [DOC_NO_MEMORY] = "E-IO",
};

static void out_of_memory(struct spec_diags *diags)
{
    spec_diags_add(diags, SPEC_ERROR, "E-IO", 0, 0, "", "out of memory");
}

static int parse_tree(struct parse *p, const char *text, size_t len, struct spec_diags *diags)
{
    struct doc_error e;
    if (doc_parse(text, len, &p->tree, &p->root, &e) == 0)
        return 0;
    spec_diags_add(diags, SPEC_ERROR, problem_ids[e.problem], e.line, e.column, "", "%s", e.text);
    if (memmem(text, len, "jwt_secret", 10)) /* somewhere: there is no tree to ask where */
        spec_diags_hide(diags, 1, INT_MAX);
    return -1;
}

/* A new spec with its text, and the tree of it. On failure diags say why. */
static int begin(struct parse *p, const char *text, size_t len, const char *name,
                 const char *base_dir, struct spec_diags *diags)
{
    *p = (struct parse){ .tree = ZL_ARENA(DOC_MAX_MEMORY) };
    if (!diags->name)
        diags->name = strdup(name); /* without memory, messages say "-" */
    p->out = calloc(1, sizeof *p->out);
    if (!p->out) {
        out_of_memory(diags);
        return -1;
    }
    p->out->refs = 1;
    p->out->arena = (struct zl_arena)ZL_ARENA(DOC_MAX_MEMORY);
    p->w = (struct walk){ .arena = &p->out->arena, .diags = diags, .base_dir = base_dir };
    p->out->spec.text = zl_arena_strndup(p->w.arena, text, len);
    p->out->spec.text_len = len;
    return parse_tree(p, text, len, diags);
}

/* The spec, if nothing was found that forbids it. */
static struct spec *finish(struct parse *p)
{
    struct shared_spec *out = zl_take_ptr(p->out);
    struct spec_diags *diags = p->w.diags;
    zl_arena_done(&p->tree);
    if (out && out->arena.failed)
        out_of_memory(diags);
    spec_diags_sort(diags);
    if (out && !diags->n_errors)
        return &out->spec;
    spec_unref(out ? &out->spec : NULL);
    return NULL;
}

/* An endpoint's port in the container is the one it listens on, unless it says otherwise. */
static void complete_endpoints(const struct spec_endpoint *endpoints, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        /* of this arena, and const for everybody else */
        struct spec_endpoint *e = (struct spec_endpoint *)(uintptr_t)&endpoints[i];
        if (!e->target_port)
            e->target_port = e->port;
    }
}

/* What depends on other fields of the same service. */
static void complete_service(struct spec_service *s)
{
    if (s->stop_grace_ms == UINT64_MAX)
        s->stop_grace_ms = s->rtype == SPEC_SERVICE ? SPEC_GRACE_SERVICE_MS : SPEC_GRACE_JOB_MS;
    if (!s->health.retries) /* 0 acts as 1 */
        s->health.retries = 1;
    if (s->scale_mode == SPEC_SCALE_ADAPTIVE)
        s->replicas = s->scale_min;
    if (s->host_network && s->network == SPEC_NET_DEFAULT)
        s->network = SPEC_NET_HOST;
    complete_endpoints(s->endpoints, s->n_endpoints);
}

static void decode_service(struct walk *w, const struct spec_source *s)
{
    struct spec_flaw flaw;
    *s->service = spec_service_initial;
    s->service->name = zl_arena_strdup(w->arena, s->key->scalar.text);
    if (!s->service->name)
        return;
    if (spec_check_service_name(s->service->name, &flaw) < 0)
        walk_error(w, "E-SERVICE-NAME", s->key, "the service name %s is not valid: %s",
                   walk_show(w, s->service->name), flaw.why);
    walk_struct(w, &spec_service_shape, s->node, s->service);
    complete_service(s->service);
    if (s->node->kind == DOC_MAP)
        spec_validate_service(w, s);
}

struct services {
    struct spec_service *v;
    struct spec_source *sources;
};

static void service_member(struct walk *w, const struct doc_pair *p, void *arg, size_t i)
{
    struct services *s = arg;
    s->sources[i] = (struct spec_source){ &s->v[i], p->key, p->value };
    decode_service(w, &s->sources[i]);
}

/* Members that were passed over (a repeated name, a tag) still need to be something. */
static void fill_gaps(struct services *s, const struct doc_node *map)
{
    for (size_t i = 0; i < map->map.n; i++) {
        if (s->sources[i].service)
            continue;
        s->v[i] = spec_service_initial;
        s->v[i].name = "?";
        s->sources[i] = (struct spec_source){ &s->v[i], map->map.v[i].key, map->map.v[i].value };
    }
}

/* Returns where the services stand, as many as the spec has then. */
static const struct spec_source *decode_all_services(struct parse *p, const struct doc_node *root,
                                                     const struct doc_node *map)
{
    struct walk *w = &p->w;
    struct walk_path at = { .key = "services" };
    size_t n = map->map.n;
    struct services s = { .v = zl_arena_array(w->arena, n, sizeof *s.v),
                          .sources = zl_arena_array(&p->tree, n, sizeof *s.sources) };
    if (!s.v || !s.sources) {
        w->arena->failed = true;
        return NULL;
    }
    w->path = &at;
    walk_members(w, map, service_member, &s);
    w->path = NULL;
    fill_gaps(&s, map);
    p->out->spec.services = s.v;
    p->out->spec.n_services = n;
    p->out->spec.start_order = spec_validate_services(w, root, s.sources, n);
    return s.sources;
}

static void decode_rest(struct spec *spec, const struct spec_document *document)
{
    spec->deployment = document->deployment;
    spec->externals = document->externals;
    spec->n_externals = document->n_externals;
    spec->tunnels = document->tunnels;
    spec->n_tunnels = document->n_tunnels;
    spec->api = document->api;
    for (size_t i = 0; i < spec->n_externals; i++)
        complete_endpoints(spec->externals[i].endpoints, spec->externals[i].n_endpoints);
}

static void hash_services(struct parse *p)
{
    const struct spec *spec = &p->out->spec;
    for (size_t i = 0; i < spec->n_services; i++)
        spec_hash_service((struct spec_service *)(uintptr_t)&spec->services[i]);
}

static void decode_document(struct parse *p)
{
    const struct doc_node empty = { .kind = DOC_MAP, .line = 1, .column = 1 };
    struct spec *spec = &p->out->spec;
    struct spec_document document = { 0 };
    const struct spec_source *sources = NULL;
    const struct doc_node *root = p->root && !doc_is_null(p->root) ? p->root : &empty;
    if (walk_tag_is_usable(&p->w, root))
        walk_struct(&p->w, &spec_document_shape, root, &document);
    decode_rest(spec, &document);
    if (document.services)
        sources = decode_all_services(p, root, document.services);
    spec_validate_document(&p->w, root, spec, sources, sources ? spec->n_services : 0);
    if (p->w.diags->n_errors || p->w.arena->failed)
        return;
    if (!p->w.compat) {
        hash_services(p);
        spec_zones_load(&p->out->zones, spec->services, spec->n_services, p->w.arena);
    }
    const struct doc_node *at = document.services ? document.services : root;
    if (!spec->n_services)
        spec_diags_add(p->w.diags, SPEC_INFO, "I-NO-SERVICES", at->line, at->column, "",
                       "the document has no services: deploying it removes what runs");
}

struct spec *spec_parse(const char *text, size_t len, const char *name, const char *base_dir,
                        struct spec_diags *diags)
{
    struct parse p;
    if (begin(&p, text, len, name, base_dir, diags) == 0)
        decode_document(&p);
    return finish(&p);
}

bool spec_check_compat(const char *text, size_t len, const char *name, const char *base_dir,
                       struct spec_diags *diags)
{
    struct parse p;
    int rc = begin(&p, text, len, name, base_dir, diags);
    p.w.compat = true;
    if (rc == 0)
        decode_document(&p);
    struct spec *spec = finish(&p);
    spec_unref(spec);
    return spec;
}

struct spec *spec_parse_service(const char *text, size_t len, const char *service_name,
                                struct spec_diags *diags)
{
    struct parse p;
    if (begin(&p, text, len, service_name, NULL, diags) < 0)
        return finish(&p);
    p.w.alone = true;
    if (!p.root) {
        spec_diags_add(diags, SPEC_ERROR, "E-MISSING-FIELD", 0, 0, "image", "the service is empty");
        return finish(&p);
    }
    struct spec_service *service = zl_arena_alloc(p.w.arena, sizeof *service);
    size_t *order = zl_arena_alloc(p.w.arena, sizeof *order); /* one service: its index, 0 */
    struct doc_node key = { .kind = DOC_SCALAR,
                            .scalar = { .text = service_name, .len = strlen(service_name) } };
    if (service && order) {
        decode_service(&p.w, &(struct spec_source){ service, &key, p.root });
        if (service->n_depends)
            spec_diags_add(diags, SPEC_ERROR, "E-DEP-UNKNOWN", 0, 0, "depends",
                           "a container on its own has nobody to depend on");
        if (!diags->n_errors && !p.w.arena->failed)
            spec_hash_service(service);
        p.out->spec.deployment = "-";
        p.out->spec.services = service;
        p.out->spec.n_services = 1;
        p.out->spec.start_order = order;
    }
    return finish(&p);
}

static struct shared_spec *shared(const struct spec *s)
{
    return (struct shared_spec *)(uintptr_t)s; /* the count is the one thing that changes */
}

struct spec *spec_ref(const struct spec *s)
{
    shared(s)->refs++;
    return &shared(s)->spec;
}

void spec_unref(const struct spec *s)
{
    if (!s || --shared(s)->refs > 0)
        return;
    spec_zones_done(&shared(s)->zones);
    zl_arena_done(&shared(s)->arena);
    free(shared(s));
}

/* ---- looking up ------------------------------------------------------------------------------ */

const struct spec_service *spec_find(const struct spec *s, const char *service)
{
    for (size_t i = 0; i < s->n_services; i++) {
        if (strcmp(s->services[i].name, service) == 0)
            return &s->services[i];
    }
    return NULL;
}

static const char *word_name(const struct walk_word *words, int value)
{
    for (; words->name; words++) {
        if (words->value == value)
            return words->name;
    }
    return "unknown";
}

const char *spec_rtype_name(enum spec_rtype t)
{
    return word_name(spec_rtype_words, t);
}

const char *spec_protocol_name(enum spec_protocol p)
{
    return word_name(spec_protocol_words, p);
}

const char *spec_condition_name(enum spec_condition c)
{
    return word_name(spec_condition_words, c);
}
