// SPDX-License-Identifier: Apache-2.0
/* The processes of a container of libzlayer, and new limits for them. */
#include <stdio.h>
#include <string.h>

#include "lib/inner.h"

/* What an answer points to goes with it: so it is looked at where it comes in. */
struct asking {
    bool answered, ok;
    struct zl_error err;
    void (*look)(struct asking *a, const struct fact *fact);
    /* top */
    zlayer_row_fn fn;
    void *arg;
    /* update */
    char *warnings;
    size_t size;
};

static void on_answer(void *arg, const struct rt_answer *answer)
{
    struct asking *a = arg;
    a->answered = true;
    a->err = answer->err;
    a->ok = answer->err.kind == ZL_OK;
    if (a->ok)
        a->look(a, &answer->fact);
}

static int ask(zlayer_container *c, const struct rt_request *rq, struct asking *a,
               struct zlayer_error *err)
{
    if (lib_submit(c->owner, rq, on_answer, a, &a->answered, &a->err) < 0)
        return lib_fail(err, &a->err);
    return a->ok ? 0 : lib_fail(err, &a->err);
}

static void look_at_table(struct asking *a, const struct fact *fact)
{
    const struct fact_table *t = &fact->table;
    const char *at = t->cells;
    const char **row = calloc(t->n_columns + 1, sizeof *row);
    if (!row) {
        a->ok = false;
        (void)zl_fail_errno(&a->err, "list processes");
        return;
    }
    for (size_t i = 0; i <= t->n_rows; i++) {
        for (size_t n = 0; n < t->n_columns; n++, at += strlen(at) + 1)
            row[n] = at;
        if (a->fn(a->arg, row, t->n_columns) != 0)
            break;
    }
    free(row);
}

int zlayer_container_top(zlayer_container *c, const char *columns, zlayer_row_fn fn, void *arg,
                         struct zlayer_error *err)
{
    const struct rt_request rq = { .kind = RT_TOP, .id = c->id, .top = { .columns = columns } };
    struct asking a = { .look = look_at_table, .fn = fn, .arg = arg };
    return ask(c, &rq, &a, err);
}

static void look_at_warnings(struct asking *a, const struct fact *fact)
{
    if (a->warnings && a->size)
        (void)snprintf(a->warnings, a->size, "%s", fact->warnings ? fact->warnings : "");
}

static struct zl_opt_i64 limit(int64_t n)
{
    return (struct zl_opt_i64){ .set = n != 0, .v = n };
}

static struct zl_opt_u64 number(uint64_t n)
{
    return (struct zl_opt_u64){ .set = n != 0, .v = n };
}

int zlayer_container_update(zlayer_container *c, const struct zlayer_limits *limits, char *warnings,
                            size_t size, struct zlayer_error *err)
{
    struct zlayer_limits l = { 0 };
    /* an older caller's struct is shorter: the rest are zeros */
    (void)memcpy(&l, limits, limits->size < sizeof l ? limits->size : sizeof l);
    const struct fact_limits all = {
        .memory = limit(l.memory),
        .memory_reservation = limit(l.memory_reservation),
        .memory_swap = limit(l.memory_swap),
        .pids = limit(l.pids),
        .cpu_quota = limit(l.cpu_quota),
        .cpu_period = number(l.cpu_period),
        .cpu_shares = number(l.cpu_shares),
        .blkio_weight = number(l.blkio_weight),
        .cpuset_cpus = l.cpuset_cpus,
        .cpuset_mems = l.cpuset_mems,
    };
    const struct rt_request rq = { .kind = RT_UPDATE, .id = c->id, .update = { .limits = &all } };
    struct asking a = { .look = look_at_warnings, .warnings = warnings, .size = size };
    return ask(c, &rq, &a, err);
}
