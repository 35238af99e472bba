// SPDX-License-Identifier: Apache-2.0
/* Calls of org.freedesktop.systemd1(5). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sd/sd.h"

#define SERVICE "org.freedesktop.systemd1"
#define OBJECT "/org/freedesktop/systemd1"
#define INTERFACE "org.freedesktop.systemd1.Manager"

enum { CALL_MS = 30000 };

static void unref_message(sd_bus_message **m)
{
    sd_bus_message_unref(*m);
}
#define automessage ZL_CLEANUP(unref_message)

static void unref_slot(sd_bus_slot **s)
{
    sd_bus_slot_unref(*s);
}
#define autoslot ZL_CLEANUP(unref_slot)

int manager_open(bool user, struct manager *ret, struct zl_error *err)
{
    int rc = user ? sd_bus_open_user(&ret->bus) : sd_bus_open_system(&ret->bus);

    errno = -rc;
    return rc < 0 ? zl_fail_errno(err, "connect to systemd of the %s", user ? "user" : "system")
                  : 0;
}

void manager_done(struct manager *m)
{
    sd_bus_flush_close_unref(m->bus);
}

static int bus_fail(struct zl_error *err, int rc, const sd_bus_error *why, const char *act,
                    const char *name)
{
    if (why && sd_bus_error_is_set(why))
        return zl_fail(err, ZL_ERR_SYSTEM, "%s '%s': %s", act, name, why->message);
    errno = -rc;
    return zl_fail_errno(err, "%s '%s'", act, name);
}

/* ---- jobs ---- */

struct job {
    char path[256];                       /* "": its number is not known yet */
    char last_path[256], last_result[32]; /* what ended while it was not known */
    bool removed;
    char result[32]; /* "done", "failed", … */
};

static void copy(char *out, size_t size, const char *text)
{
    size_t n = strnlen(text, size - 1);

    memcpy(out, text, n);
    out[n] = '\0';
}

/* JobRemoved(u id, o job, s unit, s result) */
static int on_removed(sd_bus_message *m, void *arg, sd_bus_error *unused)
{
    struct job *j = arg;
    const char *path, *unit, *result;
    uint32_t id;

    (void)unused;
    if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) < 0)
        return 0;
    if (!j->path[0]) {
        copy(j->last_path, sizeof j->last_path, path);
        copy(j->last_result, sizeof j->last_result, result);
    } else if (strcmp(path, j->path) == 0) {
        j->removed = true;
        copy(j->result, sizeof j->result, result);
    }
    return 0;
}

static int expect_jobs(struct manager *m, struct job *j, sd_bus_slot **ret, struct zl_error *err)
{
    int rc =
        sd_bus_match_signal(m->bus, ret, SERVICE, OBJECT, INTERFACE, "JobRemoved", on_removed, j);

    errno = -rc;
    return rc < 0 ? zl_fail_errno(err, "listen to systemd's jobs") : 0;
}

/* reply: the job's object. */
static int wait_for_job(struct manager *m, struct job *j, sd_bus_message *reply, const char *act,
                        const char *name, struct zl_error *err)
{
    uint64_t deadline = zl_mono_ms() + CALL_MS;
    const char *path;
    int rc = sd_bus_message_read(reply, "o", &path);

    if (rc < 0)
        return bus_fail(err, rc, NULL, act, name);
    copy(j->path, sizeof j->path, path);
    if (strcmp(j->last_path, j->path) == 0) {
        j->removed = true;
        copy(j->result, sizeof j->result, j->last_result);
    }
    while (!j->removed) {
        uint64_t now = zl_mono_ms();
        rc = sd_bus_process(m->bus, NULL);
        if (rc == 0 && now < deadline)
            rc = sd_bus_wait(m->bus, (deadline - now) * 1000);
        if (rc < 0)
            return bus_fail(err, rc, NULL, act, name);
        if (now >= deadline)
            return zl_fail(err, ZL_ERR_TIMEOUT, "%s '%s': systemd is not done in %d s", act, name,
                           CALL_MS / 1000);
    }
    if (strcmp(j->result, "done") != 0)
        return zl_fail(err, ZL_ERR_SYSTEM, "%s '%s': systemd's job ended as %s", act, name,
                       j->result);
    return 0;
}

/* ---- calls ---- */

static int new_call(struct manager *m, const char *member, sd_bus_message **ret)
{
    return sd_bus_message_new_method_call(m->bus, ret, SERVICE, OBJECT, INTERFACE, member);
}

static int append_list(sd_bus_message *call, const struct cli_list *properties,
                       struct zl_error *err)
{
    for (size_t i = 0; i < properties->n; i++)
        if (value_append(call, properties->v[i], err) < 0)
            return -1;
    return 0;
}

/* What every scope of ours has; a failed one is forgotten as well as one that ended. */
static int append_scope(sd_bus_message *call, const struct scope *s)
{
    int rc = sd_bus_message_append(call, "(sv)(sv)(sv)(sv)", "Delegate", "b", 1,
                                   "DefaultDependencies", "b", 0, "CollectMode", "s",
                                   "inactive-or-failed", "PIDs", "au", 1, s->pid);

    if (rc >= 0 && s->description)
        rc = sd_bus_message_append(call, "(sv)", "Description", "s", s->description);
    if (rc >= 0 && s->slice)
        rc = sd_bus_message_append(call, "(sv)", "Slice", "s", s->slice);
    return rc;
}

static int build_scope(sd_bus_message *call, const struct scope *s, struct zl_error *err)
{
    int rc = sd_bus_message_append(call, "ss", s->name, "fail");

    if (rc >= 0)
        rc = sd_bus_message_open_container(call, 'a', "(sv)");
    if (rc >= 0)
        rc = append_scope(call, s);
    if (rc >= 0 && append_list(call, s->properties, err) < 0)
        return -1;
    if (rc >= 0)
        rc = sd_bus_message_close_container(call);
    if (rc >= 0)
        rc = sd_bus_message_append(call, "a(sa(sv))", 0);
    return rc < 0 ? bus_fail(err, rc, NULL, "start scope", s->name) : 0;
}

int manager_start_scope(struct manager *m, const struct scope *s, struct zl_error *err)
{
    automessage sd_bus_message *call = NULL;
    automessage sd_bus_message *reply = NULL;
    autoslot sd_bus_slot *slot = NULL;
    sd_bus_error why = SD_BUS_ERROR_NULL;
    struct job job = { 0 };
    int rc = new_call(m, "StartTransientUnit", &call);

    if (rc < 0)
        return bus_fail(err, rc, NULL, "start scope", s->name);
    if (build_scope(call, s, err) < 0 || expect_jobs(m, &job, &slot, err) < 0)
        return -1;
    rc = sd_bus_call(m->bus, call, (uint64_t)CALL_MS * 1000, &why, &reply);
    rc = rc < 0 ? bus_fail(err, rc, &why, "start scope", s->name)
                : wait_for_job(m, &job, reply, "start scope", s->name, err);
    sd_bus_error_free(&why);
    return rc;
}

int manager_stop(struct manager *m, const char *name, struct zl_error *err)
{
    automessage sd_bus_message *reply = NULL;
    autoslot sd_bus_slot *slot = NULL;
    sd_bus_error why = SD_BUS_ERROR_NULL;
    struct job job = { 0 };
    int rc;

    if (expect_jobs(m, &job, &slot, err) < 0)
        return -1;
    rc = sd_bus_call_method(m->bus, SERVICE, OBJECT, INTERFACE, "StopUnit", &why, &reply, "ss",
                            name, "replace");
    if (rc < 0 && sd_bus_error_has_name(&why, SERVICE ".NoSuchUnit"))
        rc = 0;
    else if (rc < 0)
        rc = bus_fail(err, rc, &why, "stop", name);
    else
        rc = wait_for_job(m, &job, reply, "stop", name, err);
    sd_bus_error_free(&why);
    return rc;
}

int manager_set(struct manager *m, const char *name, const struct cli_list *properties,
                struct zl_error *err)
{
    automessage sd_bus_message *call = NULL;
    sd_bus_error why = SD_BUS_ERROR_NULL;
    int rc = new_call(m, "SetUnitProperties", &call);

    if (rc >= 0)
        rc = sd_bus_message_append(call, "sb", name, 1); /* until the unit ends */
    if (rc >= 0)
        rc = sd_bus_message_open_container(call, 'a', "(sv)");
    if (rc >= 0 && append_list(call, properties, err) < 0)
        return -1;
    if (rc >= 0)
        rc = sd_bus_message_close_container(call);
    if (rc >= 0)
        rc = sd_bus_call(m->bus, call, (uint64_t)CALL_MS * 1000, &why, NULL);
    if (rc < 0)
        (void)bus_fail(err, rc, &why, "set properties of", name);
    sd_bus_error_free(&why);
    return rc < 0 ? -1 : 0;
}

int manager_control_group(struct manager *m, const char *name, char **ret, struct zl_error *err)
{
    sd_bus_error why = SD_BUS_ERROR_NULL;
    zl_autofree char *path = NULL;
    int rc = sd_bus_path_encode(OBJECT "/unit", name, &path);

    if (rc >= 0)
        rc = sd_bus_get_property_string(m->bus, SERVICE, path, SERVICE ".Scope", "ControlGroup",
                                        &why, ret);
    if (rc < 0)
        (void)bus_fail(err, rc, &why, "find the cgroup of", name);
    sd_bus_error_free(&why);
    return rc < 0 ? -1 : 0;
}
