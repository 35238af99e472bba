// SPDX-License-Identifier: Apache-2.0
/*
 * From rows and from what is found on the host to a core that goes on. The rows say what is wanted,
 * the runtime says what is; nothing of what runs is read from the database.
 */
#include <fcntl.h>
#include <string.h>

#include "agent/agent.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"

static int read_boot_id(struct agent *a, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(sizeof a->boot_id - 1);
    if (zl_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &text, err) < 0)
        return -1;
    text.data[strcspn(text.data, "\n")] = '\0';
    (void)memcpy(a->boot_id, text.data, strlen(text.data) + 1);
    return 0;
}

/* A document that was accepted once and is not any more: told, and left in the database for the
 * version that can read it. */
static void tell_unreadable(const char *name, const struct spec_diags *diags)
{
    zl_autobuf struct zl_buf text = ZL_BUF(64 * 1024);
    spec_diags_print(diags, NULL, false, &text);
    zl_log(ZL_LOG_ERROR, "'%s' is stored, but this version cannot read its document: %s", name,
           text.data);
}

/* The rows whose documents can be read, moved to the front; how many goes to *kept. */
static int parse_deployments(struct agent *a, struct stored *st, size_t *kept, struct zl_error *err)
{
    *kept = 0;
    for (size_t i = 0; i < st->n_deployments; i++) {
        struct row_deployment *row = &st->deployments[i];
        autodiags struct spec_diags diags;
        spec_diags_init(&diags);
        row->spec =
            spec_parse(st->texts[i], strlen(st->texts[i]), row->name, row->base_dir, &diags);
        if (row->spec) {
            st->deployments[(*kept)++] = *row;
            continue;
        }
        tell_unreadable(row->name, &diags);
        if (withheld_add(&a->withheld, row->name, NULL, err) < 0)
            return -1;
    }
    return 0;
}

static int parse_standalones(struct agent *a, struct stored *st, size_t *kept, struct zl_error *err)
{
    *kept = 0;
    for (size_t i = 0; i < st->n_standalones; i++) {
        struct row_standalone *row = &st->standalones[i];
        autodiags struct spec_diags diags;
        spec_diags_init(&diags);
        row->spec = spec_parse_service(row->text, strlen(row->text), row->name, &diags);
        if (row->spec) {
            st->standalones[(*kept)++] = *row;
            continue;
        }
        tell_unreadable(row->name, &diags);
        if (withheld_add(&a->withheld, "-", row->name, err) < 0)
            return -1;
    }
    return 0;
}

/* Executions of deployments that core knows, moved to the front; how many. */
static size_t known_executions(const struct agent *a, struct stored *st)
{
    size_t kept = 0;
    for (size_t i = 0; i < st->n_executions; i++)
        if (!withheld_has(&a->withheld, st->executions[i].deployment, NULL))
            st->executions[kept++] = st->executions[i];
    return kept;
}

static int restore_rows(struct agent *a, struct stored *st, struct zl_error *err)
{
    const struct core_now now = { zl_mono_ms(), zl_wall_ms() };
    struct stored_rows rows = {
        .deployments = st->deployments,
        .executions = st->executions,
        .crons = st->crons, /* those of deployments that core does not know are passed over */
        .n_crons = st->n_crons,
        .standalones = st->standalones,
    };
    int rc = -1;
    if (parse_deployments(a, st, &rows.n_deployments, err) == 0 &&
        parse_standalones(a, st, &rows.n_standalones, err) == 0) {
        rows.n_executions = known_executions(a, st);
        rc = core_restore(a->core, &rows, now, err);
    }
    for (size_t i = 0; i < rows.n_deployments; i++)
        spec_unref(rows.deployments[i].spec); /* core has its own references */
    for (size_t i = 0; i < rows.n_standalones; i++)
        spec_unref(rows.standalones[i].spec);
    return rc;
}

static void on_exit_event(struct agent *a, const struct rt_event *ev)
{
    struct event e = { .kind = EV_EXIT };
    e.exit.id = ev->id;
    e.exit.exit = ev->exit;
    (void)step_event(a, &e, NULL, NULL);
}

static void on_found(struct agent *a, const struct rt_event *ev)
{
    struct event e = ev->found;
    const struct inst_label *l = &e.found.label;
    if (!withheld_has(&a->withheld, l->deployment,
                      l->owner == OWNER_STANDALONE ? l->service : NULL))
        (void)step_event(a, &e, NULL, NULL);
}

static void on_found_end(struct agent *a, const struct rt_event *ev)
{
    struct event e = { .kind = EV_FOUND_END };
    (void)ev;
    e.found_end.rebooted = a->rebooted;
    (void)step_event(a, &e, NULL, NULL);
}

static void on_oom(struct agent *a, const struct rt_event *ev)
{
    agent_tell_container(a, ev->id, "oom", "the kernel ended a process of it for lack of memory");
}

static void on_runtime_event(void *arg, const struct rt_event *ev)
{
    static void (*const handle[])(struct agent *, const struct rt_event *) = {
        [RT_EV_EXIT] = on_exit_event,
        [RT_EV_OOM] = on_oom,
        [RT_EV_FOUND] = on_found,
        [RT_EV_FOUND_END] = on_found_end,
    };
    handle[ev->kind](arg, ev);
}

int recover(struct agent *a, struct zl_error *err)
{
    autostored struct stored *st = NULL;
    if (read_boot_id(a, err) < 0 || store_load(a->store, &st, err) < 0)
        return -1;
    a->rebooted = *st->boot_id && strcmp(st->boot_id, a->boot_id) != 0;
    if (restore_rows(a, st, err) < 0)
        return zl_wrap(err, "take up what was stored");
    if (a->rt->ops->watch(a->rt, on_runtime_event, a, err) < 0)
        return zl_wrap(err, "find what runs");
    return store_put_boot_id(a->store, a->boot_id, err);
}
