// SPDX-License-Identifier: Apache-2.0
/* Rules that tie the rarer fields of one service together. */
#include "spec/validate/validate.h"

#include <stdio.h>
#include <string.h>

#include "spec/validate/claims.h"

static void report(struct walk *w, enum spec_severity severity, const char *id,
                   const struct spec_source *s, const char *field, const char *text)
{
    validate_report_field(w, severity, id, s->node, field, text);
}

/* ---- schedules, runs, updates -----------------------------------------------------------------
 */

/* Fields that only one kind of service knows; written with another they are errors. */
static void check_rtype(struct walk *w, const struct spec_source *s)
{
    enum { ON_SERVICE = 1 << SPEC_SERVICE, ON_JOB = 1 << SPEC_JOB, ON_CRON = 1 << SPEC_CRON };
    static const struct {
        const char *field, *id, *text;
        unsigned on;
    } rows[] = {
        { "schedule", "E-SCHEDULE-NOT-CRON", "a schedule belongs to rtype: cron; the rtype is ",
          ON_CRON },
        { "schedule_options", "E-OPTION-RTYPE",
          "schedule_options belong to rtype: cron; the rtype is ", ON_CRON },
        { "job_options", "E-OPTION-RTYPE",
          "job_options belong to rtype: job or cron; the rtype is ", ON_JOB | ON_CRON },
    };
    const struct spec_service *x = s->service;
    char text[200];
    for (size_t i = 0; i < ZL_ARRAY_LEN(rows); i++) {
        if (rows[i].on & 1U << x->rtype || !validate_written(s->node, rows[i].field))
            continue;
        (void)snprintf(text, sizeof text, "%s%s", rows[i].text, spec_rtype_name(x->rtype));
        report(w, SPEC_ERROR, rows[i].id, s, rows[i].field, text);
    }
    if (x->rtype == SPEC_CRON && !validate_written(s->node, "schedule"))
        report(w, SPEC_ERROR, "E-CRON-NO-SCHEDULE", s, "rtype",
               "a service of rtype: cron needs the field 'schedule'");
    if (x->update && !x->update->max_surge && !x->update->max_unavailable)
        report(w, SPEC_ERROR, "E-UPDATE", s, "update",
               "with max_surge and max_unavailable both 0 no replica could ever be replaced");
}

/* ---- limits, devices --------------------------------------------------------------------------
 */

static void check_ulimits(struct walk *w, const struct spec_source *s)
{
    const struct doc_node *map = validate_field(s->node, "ulimits");
    struct walk_path at = { .up = w->path, .key = "ulimits" };
    char text[200];
    for (size_t i = 0; i < s->service->n_ulimits; i++) {
        /* decoded into memory of ours; const for everybody else */
        struct spec_ulimit *u = (struct spec_ulimit *)(uintptr_t)&s->service->ulimits[i];
        if (!u->has_hard)
            u->hard = u->soft;
        if (!u->has_soft)
            u->soft = u->hard;
        u->has_hard = u->has_soft = true;
        bool no_ceiling = u->hard == -1;
        if (no_ceiling || (u->soft != -1 && u->soft <= u->hard))
            continue;
        (void)snprintf(text, sizeof text, "the soft limit %lld is more than the hard one, %lld",
                       (long long)u->soft, (long long)u->hard);
        w->path = &at;
        validate_report_field(w, SPEC_ERROR, "E-ULIMIT-RANGE", map, u->name, text);
        w->path = at.up;
    }
}

static void check_devices(struct walk *w, const struct spec_source *s)
{
    for (size_t i = 0; i < s->service->n_devices; i++) {
        const struct spec_device *d = &s->service->devices[i];
        if (!d->read && !d->write && !d->mknod)
            validate_report_item(w, SPEC_ERROR, "E-DEVICE-ACCESS",
                                 validate_item(s->node, "devices", i), "devices", i, NULL,
                                 "read, write and mknod are all false; one of them must be true");
    }
}

void validate_gpu(struct walk *w, const struct spec_gpu *g, const struct doc_node *n)
{
    static const char *const known[] = { "nvidia", "amd", "intel", "apple" };
    const struct {
        const char *field;
        bool written;
        enum spec_gpu_sharing with;
    } rows[] = {
        { "mps_pipe_dir", g->mps_pipe_dir, SPEC_GPU_MPS },
        { "mps_log_dir", g->mps_log_dir, SPEC_GPU_MPS },
        { "time_slice_index", g->has_time_slice_index, SPEC_GPU_TIME_SLICE },
        { "time_slicing_config_path", g->time_slicing_config_path, SPEC_GPU_TIME_SLICE },
    };
    struct walk_path gpu = { .up = w->path, .key = "gpu" };
    bool is_known = false;
    w->path = &gpu;
    for (size_t i = 0; i < ZL_ARRAY_LEN(rows); i++) {
        if (rows[i].written && rows[i].with != g->sharing)
            validate_report_field(w, SPEC_WARNING, "W-GPU-UNUSED", n, rows[i].field,
                                  rows[i].with == SPEC_GPU_MPS
                                      ? "it has an effect with sharing: mps only"
                                      : "it has an effect with sharing: time-slice only");
    }
    for (size_t i = 0; i < ZL_ARRAY_LEN(known); i++)
        is_known |= strcmp(g->vendor, known[i]) == 0;
    if (!is_known)
        validate_report_field(
            w, SPEC_WARNING, "W-GPU-UNUSED", n, "vendor",
            "the vendor is none of nvidia, amd, intel and apple; render nodes are tried");
    w->path = gpu.up;
}

static void check_tiers(struct walk *w, const struct spec_source *s)
{
    struct walk_path list = { .up = w->path, .key = "storage" };
    w->path = &list;
    for (size_t i = 0; i < s->service->n_storage; i++) {
        struct walk_path at = { .up = &list, .index = i };
        w->path = &at;
        if (s->service->storage[i].tier == SPEC_TIER_NETWORK)
            validate_report_field(w, SPEC_WARNING, "W-STORAGE-TIER",
                                  validate_item(s->node, "storage", i), "tier",
                                  "a database such as SQLite is not safe on a network tier");
    }
    w->path = list.up;
}

/* ---- network ----------------------------------------------------------------------------------
 */

static void check_overlay(struct walk *w, const struct spec_source *s)
{
    const struct spec_overlay *o = s->service->overlay;
    struct walk_path at = { .up = w->path, .key = "overlay" };
    w->path = &at;
    if (o && o->parent && strcmp(o->parent, "cluster") != 0)
        validate_report_field(w, SPEC_WARNING, "W-OVERLAY-PARENT",
                              validate_field(s->node, "overlay"), "parent",
                              "only 'cluster' is a parent; it is as if nothing were said");
    w->path = at.up;
}

static void network_conflict(struct walk *w, const struct spec_source *s)
{
    const struct doc_node *mode = validate_written(s->node, "network_mode");
    bool word = mode && mode->kind == DOC_SCALAR && !mode->tag;
    char text[200];
    (void)snprintf(text, sizeof text,
                   "host_network: true contradicts the network_mode %.80s in line %d; leave one of "
                   "them out",
                   word ? mode->scalar.text : "", mode ? mode->line : 0);
    report(w, SPEC_ERROR, "E-NETWORK-CONFLICT", s, "host_network", text);
}

static void check_host_network(struct walk *w, const struct spec_source *s)
{
    static const char *const ignored[] = { "port_mappings", "dns", "extra_hosts", "hostname" };
    const struct spec_service *x = s->service;
    if (x->host_network && x->network != SPEC_NET_HOST)
        network_conflict(w, s);
    for (size_t i = 0; x->network == SPEC_NET_HOST && i < ZL_ARRAY_LEN(ignored); i++) {
        if (validate_written(s->node, ignored[i]))
            report(w, SPEC_WARNING, "W-HOST-NET-PORTS", s, ignored[i],
                   "this is ignored with the network of the host");
    }
}

/* ---- scale, groups, steps ---------------------------------------------------------------------
 */

static void check_scale(struct walk *w, const struct spec_source *s)
{
    const struct spec_service *x = s->service;
    const struct spec_targets *t = &x->scale_targets;
    char text[200];
    const struct doc_node *n = validate_field(s->node, "scale");
    const struct doc_node *targets = validate_written(n, "targets");
    bool whole = validate_written(n, "min") && validate_written(n, "max");
    bool refused =
        targets && (validate_written(targets, "cpu") || validate_written(targets, "memory"));
    if (x->scale_mode != SPEC_SCALE_ADAPTIVE || !x->scale_written || !whole)
        return; /* what is missing in it has been reported */
    (void)snprintf(text, sizeof text, "min is %u, and max is %u", x->scale_min, x->scale_max);
    if (x->scale_min > x->scale_max)
        report(w, SPEC_ERROR, "E-SCALE-RANGE", s, "scale", text);
    else if (x->scale_min < x->scale_max && !t->cpu && !t->memory && !t->rps && !refused)
        report(w, SPEC_WARNING, "W-SCALE-NO-TARGETS", s, "scale",
               "without targets it never scales up");
}

struct unique { /* a list of the service whose elements must differ in a field */
    struct walk *w;
    const char *id, *list, *field;
};

static void claimed(void *arg, const struct claim *first, const struct claim *again)
{
    const struct unique *u = arg;
    char text[200];
    (void)snprintf(text, sizeof text, "%s stands here and in line %d", walk_show(u->w, again->what),
                   first->node->line);
    validate_report_item(u->w, SPEC_ERROR, u->id, again->node, u->list, again->index, u->field,
                         text);
}

static void check_groups(struct walk *w, const struct spec_source *s)
{
    const struct spec_service *x = s->service;
    const struct doc_node *n = validate_written(s->node, "replica_groups");
    struct claims claims = { .arena = w->arena };
    struct unique roles = { w, "E-DUP-ROLE", "replica_groups", "role" };
    if (!n || n->kind != DOC_SEQ)
        return;
    if (!n->seq.n)
        report(w, SPEC_ERROR, "E-GROUPS-EMPTY", s, "replica_groups",
               "the list is empty; leave it out, or name at least one group");
    if (x->scale_written)
        report(w, SPEC_WARNING, "W-GROUPS-OVERRIDE-SCALE", s, "scale",
               "the counts of replica_groups decide; scale has no effect");
    for (size_t i = 0; i < x->n_groups; i++) {
        if (x->groups[i].role)
            claims_add(&claims, x->groups[i].role, 0, i,
                       validate_field(validate_item(s->node, "replica_groups", i), "role"));
    }
    claims_check(&claims, claimed, &roles);
}

static void check_steps(struct walk *w, const struct spec_source *s)
{
    const struct spec_service *x = s->service;
    const struct doc_node *init = validate_field(s->node, "init");
    struct walk_path at = { .up = w->path, .key = "init" };
    struct claims claims = { .arena = w->arena };
    struct unique ids = { w, "E-STEP-ID", "steps", "id" };
    w->path = &at;
    for (size_t i = 0; i < x->n_init; i++) {
        const struct doc_node *step = validate_item(init, "steps", i);
        if (x->init[i].id)
            claims_add(&claims, x->init[i].id, 0, i, validate_field(step, "id"));
        if (x->init[i].known && !validate_written(step, "with")) /* every action needs some */
            validate_report_item(
                w, SPEC_ERROR, "E-INIT-PARAM", step, "steps", i, NULL,
                "the step has no 'with', where the parameters of its action stand");
    }
    claims_check(&claims, claimed, &ids);
    w->path = at.up;
}

void spec_validate_parts(struct walk *w, const struct spec_source *s)
{
    check_rtype(w, s);
    check_ulimits(w, s);
    check_devices(w, s);
    check_host_network(w, s);
    check_overlay(w, s);
    check_tiers(w, s);
    check_scale(w, s);
    check_groups(w, s);
    check_steps(w, s);
    if (s->service->type == SPEC_TYPE_JOB)
        report(w, SPEC_WARNING, "W-SERVICE-TYPE-JOB", s, "service_type",
               "service_type: job has no effect; rtype: job makes a job");
}
