// SPDX-License-Identifier: Apache-2.0
/* `linux.resources`: the limits of the service, and which devices may be used. */
#include <math.h>

#include "oci/part.h"

static int put_i64(json_t *to, const char *key, bool said, int64_t value)
{
    return said ? oci_part_put(to, key, json_integer((json_int_t)value)) : 0;
}

/* The object when all went in, JSON null when nothing did. */
static json_t *finish(json_t *made, int rc, struct zl_error *err)
{
    if (!made || rc < 0) {
        json_decref(made);
        return oci_part_no_memory(err);
    }
    if (json_object_size(made) > 0)
        return made;
    json_decref(made);
    return json_null();
}

static json_t *make_cpu(const struct oci_making *m, struct zl_error *err)
{
    enum { PERIOD = 100000, LEAST = 1000 }; /* µs; the kernel refuses a smaller quota */
    const struct spec_resources *r = &m->b->service->resources;
    double quota = round(r->cpu * PERIOD);
    json_t *cpu = json_object();
    int rc = cpu ? 0 : -1;
    rc = rc < 0 ? rc : put_i64(cpu, "quota", r->cpu > 0, quota < LEAST ? LEAST : (int64_t)quota);
    rc = rc < 0 ? rc : put_i64(cpu, "period", r->cpu > 0, PERIOD);
    rc = rc < 0 ? rc : put_i64(cpu, "shares", r->cpu_shares, r->cpu_shares);
    if (rc == 0 && r->cpuset)
        rc = oci_part_put(cpu, "cpus", json_string(r->cpuset));
    return finish(cpu, rc, err);
}

static json_t *make_memory(const struct oci_making *m, struct zl_error *err)
{
    const struct spec_resources *r = &m->b->service->resources;
    json_t *memory = json_object();
    int rc = memory ? 0 : -1;
    rc = rc < 0 ? rc : put_i64(memory, "limit", r->memory, (int64_t)r->memory);
    rc = rc < 0 ? rc
                : put_i64(memory, "reservation", r->memory_reservation,
                          (int64_t)r->memory_reservation);
    rc = rc < 0 ? rc : put_i64(memory, "swap", r->memory_swap, r->memory_swap);
    rc =
        rc < 0 ? rc : put_i64(memory, "swappiness", r->has_memory_swappiness, r->memory_swappiness);
    if (rc == 0 && r->oom_kill_disable)
        rc = oci_part_put(memory, "disableOOMKiller", json_true());
    return finish(memory, rc, err);
}

static json_t *make_pids(const struct oci_making *m, struct zl_error *err)
{
    int64_t limit = m->b->service->resources.pids_limit;
    return limit ? oci_part_checked(json_pack("{s:I}", "limit", (json_int_t)limit), err)
                 : json_null();
}

static json_t *make_block_io(const struct oci_making *m, struct zl_error *err)
{
    int weight = m->b->service->resources.blkio_weight;
    return weight ? oci_part_checked(json_pack("{s:i}", "weight", weight), err) : json_null();
}

/* ---- devices ------------------------------------------------------------------------------ */

/* All of them character devices; minor -1 is any. */
static const struct {
    int major, minor;
} allowed_devices[] = {
    { 1, 3 }, { 1, 5 }, { 1, 7 }, { 1, 8 },    { 1, 9 }, /* null zero full random urandom */
    { 5, 0 }, { 5, 1 }, { 5, 2 }, { 136, -1 },           /* tty console ptmx pts */
};

static json_t *device_rule(char type, int major, int minor, const char *access)
{
    const char text[] = { type, '\0' };
    if (minor < 0)
        return json_pack("{s:b, s:s, s:i, s:s}", "allow", 1, "type", text, "major", major, "access",
                         access);
    return json_pack("{s:b, s:s, s:i, s:i, s:s}", "allow", 1, "type", text, "major", major, "minor",
                     minor, "access", access);
}

static json_t *make_device_rules(const struct oci_making *m, struct zl_error *err)
{
    if (m->b->service->privileged)
        return oci_part_checked(json_pack("[{s:b, s:s}]", "allow", 1, "access", "rwm"), err);
    json_t *rules = json_pack("[{s:b, s:s}]", "allow", 0, "access", "rwm");
    int rc = rules ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < ZL_ARRAY_LEN(allowed_devices); i++)
        rc = json_array_append_new(
            rules, device_rule('c', allowed_devices[i].major, allowed_devices[i].minor, "rwm"));
    for (size_t i = 0; rc == 0 && i < m->devices.n; i++) {
        const struct oci_host_device *d = &m->devices.v[i];
        rc = json_array_append_new(rules,
                                   device_rule(d->type, (int)d->major, (int)d->minor, d->access));
    }
    if (rc == 0)
        return rules;
    json_decref(rules);
    return oci_part_no_memory(err);
}

json_t *oci_resources_make(const struct oci_making *m, struct zl_error *err)
{
    static const struct oci_part parts[] = {
        { "devices", make_device_rules },
        { "memory", make_memory },
        { "cpu", make_cpu },
        { "pids", make_pids },
        { "blockIO", make_block_io },
        { 0 },
    };
    return oci_part_object(m, parts, err);
}
