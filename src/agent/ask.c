// SPDX-License-Identifier: Apache-2.0
/*
 * Requests of clients that go to the runtime as they are. What changed the container is told as an
 * event, so that whoever follows them sees all that was done to it.
 */
#include "agent/ask.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "api/find.h"
#include "base/clock.h"

struct asked {
    struct agent *a;
    struct inst_id id;
    const char *event; /* its type, when it succeeded; NULL: none */
    char text[64];     /* of the event, behind the container's name */
    api_done_fn done;  /* one of the two */
    api_told_fn told;
    void *arg;
};

void agent_tell_container(struct agent *a, struct inst_id id, const char *type, const char *text)
{
    struct view_container v;
    char line[256];
    if (!a->api || find_container_id(a->core, id, &v) < 0)
        return;
    (void)snprintf(line, sizeof line, "%s%s%s", v.name, *text ? ": " : "", text);
    const struct effect e = {
        .kind = EFF_EVENT,
        .inst = id,
        .event = { .type = type,
                   .deployment = v.label.deployment,
                   .service = v.label.service,
                   .text = line,
                   .inst = id },
    };
    api_server_event(a->api, &e, zl_wall_ms());
}

static void on_answer(void *arg, const struct rt_answer *a)
{
    const struct asked asked = *(const struct asked *)arg;
    const struct zl_error *failed = a->err.kind == ZL_OK ? NULL : &a->err;
    const bool has_where =
        !failed && (a->kind == RT_ATTACH || a->kind == RT_EXEC || a->kind == RT_ARCHIVE);
    const struct api_where where = { a->where.socket, a->where.token };
    free(arg);
    if (!failed && asked.event)
        agent_tell_container(asked.a, asked.id, asked.event, asked.text);
    if (asked.told)
        asked.told(asked.arg, failed, failed ? NULL : &a->fact);
    else
        asked.done(asked.arg, failed, 0, has_where ? &where : NULL);
}

static void ask(const struct asked *how, struct rt_request *rq)
{
    struct asked *asked = malloc(sizeof *asked);
    if (!asked)
        return; /* the client's own time-out is all that is left */
    *asked = *how;
    rq->id = how->id;
    if (!runtime_submit(how->a->rt, rq, on_answer, asked))
        free(asked);
}

void ask_attach(void *agent, struct inst_id id, api_done_fn done, void *arg)
{
    struct rt_request rq = { .kind = RT_ATTACH };
    ask(&(struct asked){ .a = agent, .id = id, .done = done, .arg = arg }, &rq);
}

void ask_exec(void *agent, struct inst_id id, const struct api_exec *x, api_done_fn done, void *arg)
{
    struct rt_request rq = {
        .kind = RT_EXEC,
        .exec = { .argv = x->argv,
                  .env = x->env,
                  .user = x->user,
                  .cwd = x->cwd,
                  .tty = x->tty,
                  .stdin_open = x->stdin_open,
                  .rows = x->rows,
                  .cols = x->cols },
    };
    ask(&(struct asked){ .a = agent, .id = id, .done = done, .arg = arg }, &rq);
}

void ask_archive(void *agent, struct inst_id id, const struct api_archive *x, api_done_fn done,
                 void *arg)
{
    struct rt_request rq = {
        .kind = RT_ARCHIVE,
        .archive = { .op = x->op,
                     .path = x->path,
                     .keep_owner = x->keep_owner,
                     .same_types = x->same_types },
    };
    ask(&(struct asked){ .a = agent, .id = id, .done = done, .arg = arg }, &rq);
}

void ask_kill(void *agent, struct inst_id id, int signal, api_done_fn done, void *arg)
{
    struct rt_request rq = { .kind = RT_KILL, .kill = { .signal = signal } };
    struct asked asked = { .a = agent, .id = id, .event = "kill", .done = done, .arg = arg };
    const char *name = sigabbrev_np(signal);
    if (name)
        (void)snprintf(asked.text, sizeof asked.text, "SIG%s", name);
    else
        (void)snprintf(asked.text, sizeof asked.text, "signal %d", signal);
    ask(&asked, &rq);
}

void ask_pause(void *agent, struct inst_id id, bool pause, api_done_fn done, void *arg)
{
    struct rt_request rq = { .kind = RT_PAUSE, .pause = { .pause = pause } };
    struct asked asked = { .a = agent, .id = id, .done = done, .arg = arg };
    asked.event = pause ? "pause" : "unpause";
    ask(&asked, &rq);
}

void ask_update(void *agent, struct inst_id id, const struct fact_limits *limits, api_told_fn told,
                void *arg)
{
    struct rt_request rq = { .kind = RT_UPDATE, .update = { .limits = limits } };
    ask(&(struct asked){ .a = agent, .id = id, .event = "update", .told = told, .arg = arg }, &rq);
}

void ask_stats(void *agent, struct inst_id id, api_told_fn told, void *arg)
{
    struct rt_request rq = { .kind = RT_STATS };
    ask(&(struct asked){ .a = agent, .id = id, .told = told, .arg = arg }, &rq);
}

void ask_top(void *agent, struct inst_id id, const char *columns, api_told_fn told, void *arg)
{
    struct rt_request rq = { .kind = RT_TOP, .top = { .columns = columns } };
    ask(&(struct asked){ .a = agent, .id = id, .told = told, .arg = arg }, &rq);
}

void ask_details(void *agent, struct inst_id id, api_told_fn told, void *arg)
{
    struct rt_request rq = { .kind = RT_DETAILS };
    ask(&(struct asked){ .a = agent, .id = id, .told = told, .arg = arg }, &rq);
}
