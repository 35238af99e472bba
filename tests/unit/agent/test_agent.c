// SPDX-License-Identifier: Apache-2.0
/*
 * The whole agent but the containers: its socket, API, core, store and recovery are the real ones,
 * the runtime is the test double. "Killed" means that it is dropped with nothing said, and that
 * what ran in its double goes on in the next one's.
 */
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "agent/agent.h"
#include "agent/store.h"
#include "api/client.h"
#include "base/clock.h"
#include "base/fd.h"
#include "core/view.h"
#include "disk.h"
#include "runtime/double.h"

enum { SURVIVORS = 16, PATIENCE_MS = 20000 };

struct survivor {
    struct inst_id id;
    struct inst_label label;
    char names[3][64];
    enum found_state state;
    int64_t pid;
};

struct world {
    char dir[64], root[96], run[96], socket[128];
    struct agent a;
    struct survivor survivors[SURVIVORS];
    size_t n_survivors;
    bool all_is_stored;
};

static struct world *the_world; /* make_runtime has no argument of ours */

static int make_double(struct agent *a, struct runtime **ret, struct zl_error *err)
{
    if (double_new(a->base, ret, err) < 0)
        return -1;
    for (size_t i = 0; i < the_world->n_survivors; i++) {
        const struct survivor *s = &the_world->survivors[i];
        double_add(*ret, s->id, &s->label, s->state, s->pid);
    }
    return 0;
}

static struct agent agent_of(const struct world *w)
{
    return (struct agent){
        .make_runtime = make_double,
        .cfg = { .root_dir = w->root,
                 .run_dir = w->run,
                 .socket = w->socket,
                 .cgroup_parent = "/none",
                 .ready_fd = -1 },
    };
}

static void start(struct world *w)
{
    struct zl_error err = { 0 };
    w->a = agent_of(w);
    if (agent_start(&w->a, &err) < 0)
        fail_msg("%s", err.msg);
}

static int make_world(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    (void)snprintf(w->dir, sizeof w->dir, "/tmp/zlayer-unit.XXXXXX");
    if (!mkdtemp(w->dir))
        return -1;
    (void)snprintf(w->root, sizeof w->root, "%s/root", w->dir);
    (void)snprintf(w->run, sizeof w->run, "%s/run", w->dir);
    (void)snprintf(w->socket, sizeof w->socket, "%s/zlayer.sock", w->run);
    *state = the_world = w;
    return 0;
}

static int drop_world(void **state)
{
    struct world *w = *state;
    disk_set(DISK_WORKS);
    if (w->a.base)
        agent_stop(&w->a);
    int rc = zl_remove_tree(AT_FDCWD, w->dir, NULL);
    free(w);
    return rc;
}

static bool take_along(void *arg, const struct double_container *c)
{
    struct world *w = arg;
    struct survivor *s = &w->survivors[w->n_survivors++];
    *s = (struct survivor){ .id = c->id, .label = c->label, .state = c->state, .pid = c->pid };
    const char **texts[] = { &s->label.deployment, &s->label.service, &s->label.role };
    for (size_t i = 0; i < ZL_ARRAY_LEN(texts); i++) {
        (void)snprintf(s->names[i], sizeof s->names[i], "%s", *texts[i]);
        *texts[i] = s->names[i];
    }
    return w->n_survivors < SURVIVORS;
}

/* The agent is gone at once; its containers are not. */
static void kill_agent(struct world *w)
{
    w->n_survivors = 0;
    double_each(w->a.rt, take_along, w);
    agent_stop(&w->a);
    w->a = (struct agent){ 0 };
}

static void run_until(struct world *w, bool (*condition)(struct world *))
{
    const struct timeval turn = { 0, 20000 };
    uint64_t end = zl_mono_ms() + PATIENCE_MS;
    while (!condition(w)) {
        if (zl_mono_ms() > end)
            fail_msg("it does not come");
        assert_int_equal(event_base_loopexit(w->a.base, &turn), 0);
        assert_true(event_base_loop(w->a.base, EVLOOP_ONCE) >= 0);
    }
}

/* ---- a client, in a process of its own ---------------------------------------------------- */

struct asking {
    const char *method, *target;
    const char *body; /* JSON */
    int status;       /* that is expected */
};

static int ask_as_client(const char *socket, const struct asking *q)
{
    auto_api_client struct api_client *c = NULL;
    struct zl_error err = { 0 };
    json_t *answer = NULL, *body = *q->body ? json_loads(q->body, 0, NULL) : NULL;
    int status = 0;
    if (api_client_open(socket, &c, &err) == 0)
        (void)api_client_call(c, q->method, q->target, body, &answer, &status, &err);
    if (status != q->status)
        (void)fprintf(stderr, "%s %s: status %d: %s\n", q->method, q->target, status, err.msg);
    json_decref(answer);
    json_decref(body);
    return status == q->status ? 0 : 1;
}

static void on_client_end(int fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    *(bool *)arg = true;
}

/* This program once more: a child of fork(2) alone would wait for ever when the thread that writes
 * had the lock of an allocator then. */
static pid_t begin_asking(const struct world *w, const struct asking *q)
{
    char of[5][1024], verb[] = "ask", *argv[8] = { verb, verb };
    const char *const texts[] = { w->socket, q->method, q->target, q->body ? q->body : "" };
    pid_t child;
    for (size_t i = 0; i < ZL_ARRAY_LEN(texts); i++)
        assert_true((size_t)snprintf(argv[i + 2] = of[i], sizeof of[i], "%s", texts[i]) <
                    sizeof of[i]);
    (void)snprintf(argv[6] = of[4], sizeof of[4], "%d", q->status);
    assert_int_equal(posix_spawn(&child, "/proc/self/exe", NULL, NULL, argv, environ), 0);
    return child;
}

/* Serves until the client has what it came for. */
static void await_client(struct world *w, pid_t child)
{
    bool ended = false;
    int status;
    int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    struct event *end = event_new(w->a.base, pidfd, EV_READ, on_client_end, &ended);
    assert_int_equal(event_add(end, NULL), 0);
    while (!ended)
        assert_true(event_base_loop(w->a.base, EVLOOP_ONCE) >= 0);
    event_free(end);
    (void)close(pidfd);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void ask(struct world *w, const struct asking *q)
{
    await_client(w, begin_asking(w, q));
}

static const char two_webs[] =
    "{\"spec\": \"version: v1\\ndeployment: shop\\nservices:\\n  web:\\n    image: {name: box}\\n"
    "    scale: {mode: fixed, replicas: 2}\\n\", \"name\": \"shop.yml\"}";

static void deploy(struct world *w)
{
    const struct asking q = { "POST", "/api/v1/deployments", two_webs, 201 };
    ask(w, &q);
}

static bool count_running(void *arg, const struct double_container *c)
{
    *(size_t *)arg += c->state == FOUND_RUNNING;
    return true;
}

static size_t running(struct world *w)
{
    size_t n = 0;
    double_each(w->a.rt, count_running, &n);
    return n;
}

static bool two_run(struct world *w)
{
    return running(w) == 2;
}

static bool exists_no_more(void *arg, const struct double_container *c)
{
    (void)c;
    *(bool *)arg = false;
    return false;
}

static bool nothing_is_left(struct world *w)
{
    bool empty = true;
    double_each(w->a.rt, exists_no_more, &empty);
    return empty;
}

/* ---- tests -------------------------------------------------------------------------------- */

static void what_is_deployed_runs_and_what_is_removed_goes(void **state)
{
    struct world *w = *state;
    start(w);
    deploy(w);
    run_until(w, two_run);
    const struct asking down = { "DELETE", "/api/v1/deployments/shop", NULL, 202 };
    ask(w, &down);
    run_until(w, nothing_is_left);
}

static void containers_that_survived_a_killed_agent_are_adopted(void **state)
{
    struct world *w = *state;
    start(w);
    deploy(w);
    run_until(w, two_run);
    kill_agent(w);
    assert_int_equal(w->n_survivors, 2);

    start(w);
    deploy(w); /* the same document: nothing to do */
    run_until(w, two_run);
    assert_int_equal(double_count(w->a.rt, RT_CREATE), 0);
    assert_int_equal(double_count(w->a.rt, RT_STOP), 0);
}

static void what_ended_while_no_agent_was_there_is_started_again(void **state)
{
    struct world *w = *state;
    start(w);
    deploy(w);
    run_until(w, two_run);
    kill_agent(w);
    w->survivors[0].state = FOUND_DEBRIS;
    start(w);
    run_until(w, two_run);
    assert_int_equal(double_count(w->a.rt, RT_CREATE), 1);
    assert_int_equal(double_count(w->a.rt, RT_REMOVE), 1);
}

static void a_container_that_nobody_asked_for_is_removed(void **state)
{
    struct world *w = *state;
    w->survivors[0] = (struct survivor){
        .id = { 77 },
        .label = { OWNER_REPLICA, "gone", "svc", "default", 1, 0, 5 },
        .state = FOUND_RUNNING,
        .pid = 4,
    };
    w->n_survivors = 1;
    start(w);
    run_until(w, nothing_is_left);
}

/* What a newer version may have stored: a field that this one does not know. */
static void store_newer_document(const struct world *w)
{
    char path[128];
    sqlite3 *db;
    (void)snprintf(path, sizeof path, "%s/" STORE_FILE, w->root);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "UPDATE deployment SET text = text || '    not_yet_known: 1\n'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_changes(db), 1);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void what_a_newer_version_stored_is_left_alone(void **state)
{
    struct world *w = *state;
    start(w);
    deploy(w);
    run_until(w, two_run);
    kill_agent(w);
    store_newer_document(w);

    start(w);
    const struct asking again = { "POST", "/api/v1/deployments", two_webs, 409 };
    ask(w, &again);
    const struct asking down = { "DELETE", "/api/v1/deployments/shop", NULL, 409 };
    ask(w, &down);
    assert_int_equal(running(w), 2);
    assert_int_equal(double_count(w->a.rt, RT_STOP), 0);
    assert_int_equal(double_count(w->a.rt, RT_REMOVE), 0);
}

static void set_boot_id(const struct world *w, const char *boot_id)
{
    struct store *s = NULL;
    struct zl_error err = { 0 };
    struct stored *st = NULL;
    if (store_open(w->root, &s, &err) < 0 || store_load(s, &st, &err) < 0 ||
        store_put_boot_id(s, boot_id, &err) < 0)
        fail_msg("%s", err.msg);
    stored_free(st);
    store_free(s); /* writes what is queued */
}

static void after_a_reboot_everything_is_started_anew(void **state)
{
    struct world *w = *state;
    start(w);
    deploy(w);
    run_until(w, two_run);
    kill_agent(w);
    set_boot_id(w, "another-boot");
    w->n_survivors = 0;
    start(w);
    assert_true(w->a.rebooted);
    run_until(w, two_run);
    assert_int_equal(double_count(w->a.rt, RT_CREATE), 2);
}

/* Somebody else holds the database's write lock: what is decided cannot even be written. */
static sqlite3 *block_store(const struct world *w)
{
    char path[128];
    sqlite3 *db;
    (void)snprintf(path, sizeof path, "%s/" STORE_FILE, w->root);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, 10000); /* the agent may be storing its boot right now */
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static void free_store(sqlite3 *other)
{
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(other);
}

static bool one_runs(struct world *w)
{
    return running(w) == 1;
}

static bool one_is_made(struct world *w)
{
    return double_count(w->a.rt, RT_CREATE) == 1;
}

static void serve_for(struct world *w, uint64_t ms)
{
    uint64_t end = zl_mono_ms() + ms;
    while (zl_mono_ms() < end) {
        const struct timeval turn = { 0, 10000 };
        assert_int_equal(event_base_loopexit(w->a.base, &turn), 0);
        assert_true(event_base_loop(w->a.base, EVLOOP_ONCE) >= 0);
    }
}

static void a_container_is_made_but_not_started_before_it_is_written(void **state)
{
    struct world *w = *state;
    start(w);
    sqlite3 *other = block_store(w);
    const struct asking q = { "POST", "/api/v1/containers",
                              "{\"spec\": \"image: {name: box}\\n\", \"name\": \"one\"}", 201 };
    pid_t child = begin_asking(w, &q);
    run_until(w, one_is_made);
    serve_for(w, 100);
    assert_int_equal(double_count(w->a.rt, RT_START), 0);
    assert_int_equal(waitpid(child, NULL, WNOHANG), 0); /* nor is the client told */

    free_store(other);
    await_client(w, child);
    run_until(w, one_runs);
}

/* What was made of it, nobody knows after a kill: it goes. */
static void a_container_that_was_made_and_never_stored_is_removed(void **state)
{
    struct world *w = *state;
    start(w);
    sqlite3 *other = block_store(w);
    const struct asking q = { "POST", "/api/v1/containers",
                              "{\"spec\": \"image: {name: box}\\n\", \"name\": \"one\"}", 201 };
    pid_t child = begin_asking(w, &q);
    run_until(w, one_is_made);
    kill_agent(w);
    assert_int_equal(w->n_survivors, 1);
    free_store(other);
    assert_int_equal(waitpid(child, NULL, 0), child);
    start(w);
    run_until(w, nothing_is_left);
    assert_int_equal(double_count(w->a.rt, RT_START), 0);
}

static void note_stored(void *arg)
{
    struct world *w = arg;
    w->all_is_stored = true;
}

static bool all_is_stored(struct world *w)
{
    return w->all_is_stored;
}

/* That a container runs is stored a moment later. Answers come in the order of steps: at this one
 * all that was before it is stored, and the agent knows. */
static void let_be_stored(struct world *w)
{
    struct zl_error err = { 0 };
    ask(w, &(struct asking){ "DELETE", "/api/v1/deployments/nothing", NULL, 404 });
    w->all_is_stored = false; /* nobody is answered of the boot, whose row is as old as the agent */
    assert_int_equal(store_queue(w->a.store, NULL, 0, 0, note_stored, w, &err), 0);
    store_flush(w->a.store);
    run_until(w, all_is_stored);
}

static bool note_first(void *arg, const struct double_container *c)
{
    *(struct inst_id *)arg = c->id;
    return false;
}

static bool count_one(void *arg, const struct view_container *v)
{
    (void)v;
    ++*(size_t *)arg;
    return true;
}

static size_t known(const struct world *w)
{
    size_t n = 0;
    core_each_container(w->a.core, "-", count_one, &n);
    return n;
}

static bool none_is_known(struct world *w)
{
    return known(w) == 0;
}

static bool two_were_made(struct world *w)
{
    return double_count(w->a.rt, RT_CREATE) == 2;
}

/* What a container's monitor does when it is made. */
static void begin_log(const struct world *w, char path[256])
{
    (void)snprintf(path, 256, "%s/logs/-/one", w->root);
    int dir = zl_mkdir_p(AT_FDCWD, path, 0755, NULL);
    assert_true(dir >= 0);
    (void)close(dir);
    (void)snprintf(path, 256, "%s/logs/-/one/default-0.log", w->root);
    int log = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    assert_true(log >= 0);
    (void)close(log);
}

static void the_log_of_a_container_does_not_go_with_that_of_an_earlier_one(void **state)
{
    static const struct asking run = {
        "POST", "/api/v1/containers",
        "{\"spec\": \"image: {name: box}\\nlifecycle: {delete_on_exit: true}\\n\", "
        "\"name\": \"one\"}",
        201
    };
    struct world *w = *state;
    struct inst_id first = { 0 };
    char path[256];
    start(w);
    ask(w, &run);
    run_until(w, one_runs);
    begin_log(w, path);
    let_be_stored(w);
    disk_let_pass(1); /* its end is told, but not that it is forgotten */
    disk_set(DISK_WAITS);
    double_each(w->a.rt, note_first, &first);
    double_exit(w->a.rt, first, 0);
    run_until(w, none_is_known); /* but its log is still there */
    pid_t child = begin_asking(w, &run);
    serve_for(w, 200);
    if (two_were_made(w))
        begin_log(w, path);
    disk_set(DISK_WORKS);
    run_until(w, two_were_made);
    if (access(path, F_OK) < 0)
        begin_log(w, path);
    await_client(w, child);
    run_until(w, one_runs);
    assert_int_equal(access(path, F_OK), 0);
}

static bool nothing_runs(struct world *w)
{
    return running(w) == 0;
}

/* Were it removed first, a kill would leave a row of a container that never ended. */
static void a_container_is_not_removed_before_its_end_is_written(void **state)
{
    struct world *w = *state;
    start(w);
    const struct asking make = { "POST", "/api/v1/containers",
                                 "{\"spec\": \"image: {name: box}\\n\", \"name\": \"one\"}", 201 };
    await_client(w, begin_asking(w, &make));
    run_until(w, one_runs);
    let_be_stored(w);
    sqlite3 *other = block_store(w);
    struct inst_id id = { 0 };
    double_each(w->a.rt, note_first, &id);
    double_exit(w->a.rt, id, 0);
    run_until(w, nothing_runs);
    const struct asking remove = { "DELETE", "/api/v1/containers/one?wait=1", NULL, 204 };
    pid_t child = begin_asking(w, &remove);
    serve_for(w, 200);
    assert_int_equal(double_count(w->a.rt, RT_REMOVE), 0);
    assert_int_equal(waitpid(child, NULL, WNOHANG), 0);

    free_store(other);
    await_client(w, child);
    assert_int_equal(double_count(w->a.rt, RT_REMOVE), 1);
}

static bool one_is_removed(struct world *w)
{
    return double_count(w->a.rt, RT_REMOVE) == 1;
}

static void a_container_runs_and_goes_while_a_slow_disk_takes_its_rows(void **state)
{
    struct world *w = *state;
    struct inst_id id = { 0 };
    start(w);
    let_be_stored(w); /* the boot */
    disk_set(DISK_WAITS);
    const struct asking make = { "POST", "/api/v1/containers",
                                 "{\"spec\": \"image: {name: box}\\n\", \"name\": \"one\"}", 201 };
    pid_t child = begin_asking(w, &make);
    run_until(w, one_runs);
    serve_for(w, 50);
    assert_int_equal(waitpid(child, NULL, WNOHANG), 0); /* a power cut would make it untrue */
    disk_set(DISK_WORKS);
    await_client(w, child);

    double_each(w->a.rt, note_first, &id);
    double_exit(w->a.rt, id, 0);
    run_until(w, nothing_runs);
    let_be_stored(w);
    disk_set(DISK_WAITS);
    const struct asking remove = { "DELETE", "/api/v1/containers/one?wait=1", NULL, 204 };
    child = begin_asking(w, &remove);
    run_until(w, one_is_removed);
    serve_for(w, 50);
    assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
    disk_set(DISK_WORKS);
    await_client(w, child);
}

/* Else who asks for the end in that moment hears that there is no such container. */
static void who_is_removed_is_known_until_its_end_was_told(void **state)
{
    struct world *w = *state;
    struct inst_id id = { 0 };
    start(w);
    ask(w, &(struct asking){
               "POST", "/api/v1/containers",
               "{\"spec\": \"image: {name: box}\\nlifecycle: {delete_on_exit: true}\\n\", "
               "\"name\": \"one\"}",
               201 });
    run_until(w, one_runs);
    let_be_stored(w);
    disk_set(DISK_WAITS);
    double_each(w->a.rt, note_first, &id);
    double_exit(w->a.rt, id, 0);
    run_until(w, one_is_removed);
    serve_for(w, 50);
    assert_int_equal(known(w), 1);
    disk_set(DISK_WORKS);
    run_until(w, none_is_known);
}

static void a_deployment_waits_for_a_slow_disk(void **state)
{
    struct world *w = *state;
    start(w);
    let_be_stored(w);
    disk_set(DISK_WAITS);
    const struct asking q = { "POST", "/api/v1/deployments", two_webs, 201 };
    pid_t child = begin_asking(w, &q);
    serve_for(w, 200);
    assert_int_equal(double_count(w->a.rt, RT_PULL), 0);
    disk_set(DISK_WORKS);
    await_client(w, child);
    run_until(w, two_run);
}

static void nothing_begins_before_the_decision_is_durable(void **state)
{
    struct world *w = *state;
    start(w);
    sqlite3 *other = block_store(w);
    const struct asking q = { "POST", "/api/v1/deployments", two_webs, 201 };
    pid_t child = begin_asking(w, &q);
    /* The request is in, core has decided, the store cannot write. */
    serve_for(w, 300);
    assert_int_equal(double_count(w->a.rt, RT_PULL), 0);
    assert_int_equal(waitpid(child, NULL, WNOHANG), 0); /* nor is the client told */

    free_store(other);
    await_client(w, child);
    run_until(w, two_run);
}

static void a_failing_start_is_tried_again_later(void **state)
{
    struct world *w = *state;
    start(w);
    double_fail_next(w->a.rt, RT_START, ZL_ERR_NOT_FOUND, "start: no such file");
    deploy(w);
    run_until(w, two_run);
    assert_int_equal(double_count(w->a.rt, RT_START), 3);
}

static void an_agent_that_shares_only_the_root_folder_is_refused(void **state)
{
    struct world *w = *state;
    char run[128];
    struct zl_error err = { 0 };
    start(w);
    struct agent second = agent_of(w);
    (void)snprintf(run, sizeof run, "%s/other-run", w->dir);
    second.cfg.run_dir = run;
    assert_int_equal(agent_start(&second, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_CONFLICT);
    assert_non_null(strstr(err.msg, "/root': another agent serves these folders: process "));
    agent_stop(&second);
}

static void a_second_agent_is_refused_and_told_who_is_first(void **state)
{
    struct world *w = *state;
    struct zl_error err = { 0 };
    char wanted[96];
    start(w);
    struct agent second = agent_of(w);
    assert_int_equal(agent_start(&second, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_CONFLICT);
    (void)snprintf(wanted, sizeof wanted, "/run': another agent serves these folders: process %d",
                   (int)getpid());
    assert_non_null(strstr(err.msg, wanted));
    agent_stop(&second);
    deploy(w); /* the first one has noticed nothing */
}

static void a_dead_socket_is_replaced_by_one_of_mode_0660(void **state)
{
    struct world *w = *state;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct zl_error err = { 0 };
    struct stat st;
    zl_autoclose int run = zl_mkdir_p(AT_FDCWD, w->run, 0755, &err);
    zl_autoclose int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%.100s", w->socket);
    assert_int_equal(bind(dead, (const struct sockaddr *)&address, sizeof address), 0);
    start(w);
    const struct asking info = { "GET", "/api/v1/info", NULL, 200 };
    ask(w, &info);
    assert_int_equal(stat(w->socket, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    assert_true(run >= 0);
}

static void who_waits_for_it_hears_when_it_serves(void **state)
{
    struct world *w = *state;
    struct zl_error err = { 0 };
    int ready[2];
    char byte;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    w->a = agent_of(w);
    w->a.cfg.ready_fd = ready[1];
    assert_int_equal(agent_start(&w->a, &err), 0);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(read(ready[0], &byte, 1), 0); /* and it is closed */
    (void)close(ready[0]);
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, make_world, drop_world)

int main(int argc, char **argv)
{
    if (argc == 7 && strcmp(argv[1], "ask") == 0)
        return ask_as_client(argv[2], &(struct asking){ .method = argv[3],
                                                        .target = argv[4],
                                                        .body = argv[5],
                                                        .status = (int)strtol(argv[6], NULL, 10) });
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(what_is_deployed_runs_and_what_is_removed_goes),
        IN_A_WORLD(containers_that_survived_a_killed_agent_are_adopted),
        IN_A_WORLD(what_ended_while_no_agent_was_there_is_started_again),
        IN_A_WORLD(a_container_that_nobody_asked_for_is_removed),
        IN_A_WORLD(what_a_newer_version_stored_is_left_alone),
        IN_A_WORLD(after_a_reboot_everything_is_started_anew),
        IN_A_WORLD(nothing_begins_before_the_decision_is_durable),
        IN_A_WORLD(a_container_is_made_but_not_started_before_it_is_written),
        IN_A_WORLD(a_container_that_was_made_and_never_stored_is_removed),
        IN_A_WORLD(the_log_of_a_container_does_not_go_with_that_of_an_earlier_one),
        IN_A_WORLD(a_container_is_not_removed_before_its_end_is_written),
        IN_A_WORLD(a_container_runs_and_goes_while_a_slow_disk_takes_its_rows),
        IN_A_WORLD(who_is_removed_is_known_until_its_end_was_told),
        IN_A_WORLD(a_deployment_waits_for_a_slow_disk),
        IN_A_WORLD(a_failing_start_is_tried_again_later),
        IN_A_WORLD(an_agent_that_shares_only_the_root_folder_is_refused),
        IN_A_WORLD(a_second_agent_is_refused_and_told_who_is_first),
        IN_A_WORLD(a_dead_socket_is_replaced_by_one_of_mode_0660),
        IN_A_WORLD(who_waits_for_it_hears_when_it_serves),
    };
    (void)alarm(100); /* whatever hangs */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
