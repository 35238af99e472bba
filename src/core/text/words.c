// SPDX-License-Identifier: Apache-2.0
/* The words of every enum that is shown. */
#include "core/view.h"

/* clang-format off */
static const char *const inst_state_names[INST_STATES] = {
    [INST_WAITING] = "waiting",   [INST_PULLING] = "pulling",   [INST_CREATING] = "creating",
    [INST_STARTING] = "starting", [INST_UP] = "running",        [INST_STOPPING] = "stopping",
    [INST_REMOVING] = "removing", [INST_EXITED] = "exited",
};
static const char *const health_state_names[] = {
    [HEALTH_UNKNOWN] = "unknown", [HEALTH_CHECKING] = "checking",
    [HEALTH_HEALTHY] = "healthy", [HEALTH_UNHEALTHY] = "unhealthy",
};
static const char *const deployment_status_names[] = {
    [DEP_DEPLOYING] = "deploying", [DEP_RUNNING] = "running",
    [DEP_FAILED] = "failed",       [DEP_STOPPING] = "stopping",
};
static const char *const execution_status_names[] = {
    [EXEC_PENDING] = "pending", [EXEC_RUNNING] = "running",     [EXEC_COMPLETED] = "completed",
    [EXEC_FAILED] = "failed",   [EXEC_CANCELLED] = "cancelled",
};
static const char *const execution_cause_names[CAUSES] = {
    [CAUSE_USER] = "cli", [CAUSE_SCHEDULE] = "scheduler", [CAUSE_DEPENDENT] = "internal(dependency)",
};
static const char *const effect_kind_names[EFF_KINDS] = {
    [EFF_PUT_DEPLOYMENT] = "put_deployment", [EFF_DEL_DEPLOYMENT] = "del_deployment",
    [EFF_PUT_EXECUTION] = "put_execution",   [EFF_DEL_EXECUTION] = "del_execution",
    [EFF_PUT_CRON] = "put_cron",             [EFF_DEL_CRON] = "del_cron",
    [EFF_PUT_STANDALONE] = "put_standalone", [EFF_DEL_STANDALONE] = "del_standalone",
    [EFF_EVENT] = "event",   [EFF_PULL] = "pull",     [EFF_CREATE] = "create",
    [EFF_START] = "start",   [EFF_STOP] = "stop",     [EFF_KILL] = "kill",
    [EFF_REMOVE] = "remove", [EFF_PROBE] = "probe",   [EFF_PROBE_CANCEL] = "probe_cancel",
};
/* clang-format on */

static const char *name_of(const char *const *names, size_t n, unsigned value)
{
    return value < n && names[value] ? names[value] : "?";
}

const char *inst_state_name(enum inst_state s)
{
    return name_of(inst_state_names, ZL_ARRAY_LEN(inst_state_names), s);
}

const char *health_state_name(enum health_state s)
{
    return name_of(health_state_names, ZL_ARRAY_LEN(health_state_names), s);
}

const char *deployment_status_name(enum deployment_status s)
{
    return name_of(deployment_status_names, ZL_ARRAY_LEN(deployment_status_names), s);
}

const char *execution_status_name(enum execution_status s)
{
    return name_of(execution_status_names, ZL_ARRAY_LEN(execution_status_names), s);
}

const char *execution_cause_name(enum execution_cause cause)
{
    return name_of(execution_cause_names, ZL_ARRAY_LEN(execution_cause_names), cause);
}

const char *effect_kind_name(enum effect_kind k)
{
    return name_of(effect_kind_names, ZL_ARRAY_LEN(effect_kind_names), k);
}

const char *inst_exit_note(const struct inst_exit *e)
{
    static const char *const notes[] = {
        [EXIT_UNSAID] = "",
        [EXIT_TIMEOUT] = " (its time was over)",
        [EXIT_TRAP] = " (trap)",
        [EXIT_BROKEN] = " (it could not be entered)",
    };
    if (e->lost)
        return " (its monitor was lost)";
    return e->oom ? " (out of memory)" : notes[e->why];
}
