// SPDX-License-Identifier: Apache-2.0
/* The store on a real database in a scratch directory. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "agent/store.h"
#include "agent/store_schema.h"
#include "base/fd.h"
#include "disk.h"

struct scratch {
    char dir[64];
};

static int make_scratch(void **state)
{
    struct scratch *s = calloc(1, sizeof *s);
    (void)snprintf(s->dir, sizeof s->dir, "/tmp/zlayer-unit.XXXXXX");
    *state = s;
    return mkdtemp(s->dir) ? 0 : -1;
}

static int drop_scratch(void **state)
{
    disk_set(DISK_WORKS);
    struct scratch *s = *state;
    int rc = zl_remove_tree(AT_FDCWD, s->dir, NULL);
    free(s);
    return rc;
}

static struct store *open_store(const char *dir)
{
    struct store *s = NULL;
    struct zl_error err = { 0 };
    if (store_open(dir, &s, &err) < 0)
        fail_msg("%s", err.msg);
    return s;
}

static void count_done(void *arg)
{
    ++*(int *)arg;
}

/* Waits until `wanted` transactions are durable. */
static void reap_until(struct store *s, const int *done, int wanted)
{
    while (*done < wanted) {
        struct pollfd p = { .fd = store_fd(s), .events = POLLIN };
        assert_true(poll(&p, 1, 10000) == 1);
        store_reap(s);
    }
}

static void queue(struct store *s, const struct effect *v, size_t n, int *done)
{
    struct zl_error err = { 0 };
    if (store_queue(s, v, n, 1000, count_done, done, &err) < 0)
        fail_msg("%s", err.msg);
}

static void commit(struct store *s, const struct effect *v, size_t n, int *done)
{
    queue(s, v, n, done);
    store_flush(s);
}

static void commit_and_wait(struct store *s, const struct effect *v, size_t n)
{
    int done = 0;
    commit(s, v, n, &done);
    reap_until(s, &done, 1);
}

static struct stored *load(struct store *s)
{
    struct stored *st = NULL;
    struct zl_error err = { 0 };
    if (store_load(s, &st, &err) < 0)
        fail_msg("%s", err.msg);
    return st;
}

static struct spec some_spec = { .deployment = "shop", .text = "version: v1\n", .text_len = 12 };
static const struct row_attempts attempts[] = { { 2, 3, { UINT64_MAX - 4 } }, { 1, 1, { 5 } } };
static const struct row_service services[] = {
    { .name = "web",
      .created_ms = 7,
      .digest = "sha256:1",
      .previous_digest = "sha256:2",
      .renewals = 3,
      .renew = true,
      .attempts = attempts,
      .n_attempts = 2 },
    { .name = "with \"quotes\"", .created_ms = 8, .stopped = true },
};

static struct effect put_deployment(void)
{
    return (struct effect){
        .kind = EFF_PUT_DEPLOYMENT,
        .deployment = { .name = "shop",
                        .revision = 3,
                        .spec = &some_spec,
                        .base_dir = "/srv",
                        .removing = true,
                        .services = services,
                        .n_services = 2,
                        .created_ms = 11,
                        .updated_ms = 12 },
    };
}

static struct effect put_execution(uint64_t id, enum execution_status status)
{
    return (struct effect){
        .kind = EFF_PUT_EXECUTION,
        .execution = { .id = id,
                       .deployment = "shop",
                       .job = "backup",
                       .revision = 3,
                       .status = status,
                       .reason = "",
                       .digest = "sha256:3",
                       .exit_code = -1,
                       .created_ms = (int64_t)(id & 0xffff) },
    };
}

static void what_is_queued_is_written_with_what_follows_or_when_that_is_asked_for(void **state)
{
    const struct scratch *sc = *state;
    const struct effect first = put_execution(1, EXEC_RUNNING), second = put_deployment();
    int done = 0;

    autostore struct store *s = open_store(sc->dir);
    stored_free(load(s));
    queue(s, &first, 1, &done);
    commit(s, &second, 1, &done);
    reap_until(s, &done, 2);
    queue(s, &first, 1, &done);
    store_flush(s);
    reap_until(s, &done, 3);
}

static void what_was_committed_is_there_after_a_restart(void **state)
{
    const struct scratch *sc = *state;
    const uint64_t big = UINT64_MAX - 5; /* ids use all 64 bits */
    const struct effect v[] = {
        put_deployment(),
        put_execution(big, EXEC_FAILED),
        { .kind = EFF_PUT_STANDALONE,
          .standalone = { .id = { big - 1 },
                          .name = "box",
                          .text = "image: {}",
                          .stop_wanted = true,
                          .exited = true,
                          .exit = { 137, 9, true, false, 77 },
                          .created_ms = 5 } },
        { .kind = EFF_EVENT, .event = { "exit", "shop", "web", "exited 0", { 7 } } },
        { .kind = EFF_PUT_CRON,
          .cron = { "shop", "nightly", true, -5, 6, big, 8, big - 2, 10, 11, 12 } },
        { .kind = EFF_PUT_EXECUTION,
          .execution = { .id = 4,
                         .deployment = "shop",
                         .job = "nightly",
                         .created_ms = 1,
                         .cause = CAUSE_SCHEDULE,
                         .due_ms = 1767225600000 } },
    };
    struct store *s = open_store(sc->dir);
    commit_and_wait(s, v, ZL_ARRAY_LEN(v));
    store_free(s);

    s = open_store(sc->dir);
    struct stored *st = load(s);
    assert_int_equal(st->n_deployments, 1);
    assert_string_equal(st->deployments[0].name, "shop");
    assert_int_equal(st->deployments[0].revision, 3);
    assert_string_equal(st->deployments[0].base_dir, "/srv");
    assert_true(st->deployments[0].removing);
    assert_int_equal(st->deployments[0].n_services, 2);
    assert_false(st->deployments[0].services[0].stopped);
    assert_int_equal(st->deployments[0].services[0].created_ms, 7);
    assert_string_equal(st->deployments[0].services[0].digest, "sha256:1");
    assert_string_equal(st->deployments[0].services[0].previous_digest, "sha256:2");
    assert_int_equal(st->deployments[0].services[0].renewals, 3);
    assert_true(st->deployments[0].services[0].renew);
    assert_int_equal(st->deployments[0].services[0].n_attempts, 2);
    assert_memory_equal(st->deployments[0].services[0].attempts, attempts, sizeof attempts);
    assert_int_equal(st->deployments[0].services[1].n_attempts, 0);
    assert_string_equal(st->deployments[0].services[1].digest, "");
    assert_false(st->deployments[0].services[1].renew);
    assert_string_equal(st->deployments[0].services[1].name, "with \"quotes\"");
    assert_true(st->deployments[0].services[1].stopped);
    assert_int_equal(st->deployments[0].services[1].created_ms, 8);
    assert_int_equal(st->deployments[0].updated_ms, 12);
    assert_string_equal(st->texts[0], some_spec.text);
    assert_int_equal(st->n_executions, 2); /* by age */
    assert_int_equal(st->executions[0].cause, CAUSE_SCHEDULE);
    assert_int_equal(st->executions[0].due_ms, 1767225600000);
    assert_true(st->executions[1].id == big);
    assert_int_equal(st->executions[1].status, EXEC_FAILED);
    assert_int_equal(st->executions[1].exit_code, -1);
    assert_int_equal(st->executions[1].cause, CAUSE_USER);
    assert_string_equal(st->executions[1].digest, "sha256:3");
    assert_int_equal(st->n_crons, 1);
    assert_string_equal(st->crons[0].deployment, "shop");
    assert_string_equal(st->crons[0].cron, "nightly");
    assert_true(st->crons[0].disabled);
    assert_int_equal(st->crons[0].cursor_s, -5);
    assert_int_equal(st->crons[0].high_s, 6);
    assert_true(st->crons[0].jitter_seed == big);
    assert_int_equal(st->crons[0].last_run_ms, 8);
    assert_true(st->crons[0].last_execution == big - 2);
    assert_int_equal(st->crons[0].runs, 10);
    assert_int_equal(st->crons[0].missed, 11);
    assert_int_equal(st->crons[0].skipped, 12);
    assert_int_equal(st->n_standalones, 1);
    assert_true(st->standalones[0].id.v == big - 1);
    assert_true(st->standalones[0].exit.oom);
    assert_int_equal(st->standalones[0].exit.signal, 9);
    assert_false(st->standalones[0].remove_wanted);
    stored_free(st);
    store_free(s);
}

static void what_was_deleted_stays_away(void **state)
{
    const struct scratch *sc = *state;
    const struct effect put[] = {
        put_deployment(),
        put_execution(9, EXEC_RUNNING),
        { .kind = EFF_PUT_CRON, .cron = { .deployment = "shop", .cron = "nightly" } },
        { .kind = EFF_PUT_CRON, .cron = { .deployment = "shop", .cron = "hourly" } },
    };
    const struct effect del[] = {
        { .kind = EFF_DEL_DEPLOYMENT, .deployment = { .name = "shop" } },
        { .kind = EFF_DEL_EXECUTION, .execution = { .id = 9 } },
        { .kind = EFF_DEL_CRON, .cron = { .deployment = "shop", .cron = "nightly" } },
    };
    struct store *s = open_store(sc->dir);
    commit_and_wait(s, put, ZL_ARRAY_LEN(put));
    commit_and_wait(s, del, ZL_ARRAY_LEN(del));
    struct stored *st = load(s); /* the writer is idle: nothing is queued */
    assert_int_equal(st->n_deployments + st->n_executions, 0);
    assert_int_equal(st->n_crons, 1);
    assert_string_equal(st->crons[0].cron, "hourly");
    stored_free(st);
    store_free(s);
}

static void many_transactions_become_durable_in_order(void **state)
{
    const struct scratch *sc = *state;
    struct store *s = open_store(sc->dir);
    int done = 0;
    for (uint64_t i = 1; i <= 300; i++) {
        const struct effect e = put_execution(i, EXEC_PENDING);
        commit(s, &e, 1, &done);
    }
    reap_until(s, &done, 300);
    store_free(s);
    s = open_store(sc->dir);
    struct stored *st = load(s);
    assert_int_equal(st->n_executions, 300);
    for (uint64_t i = 1; i <= 300; i++)
        assert_true(st->executions[i - 1].id == i);
    stored_free(st);
    store_free(s);
}

static void only_recent_events_are_kept(void **state)
{
    const struct scratch *sc = *state;
    const struct effect e = { .kind = EFF_EVENT, .event = { "exit", NULL, NULL, "x", { 7 } } };
    struct store *s = open_store(sc->dir);
    int done = 0;
    enum { WRITTEN = STORE_EVENTS_KEPT + 3 * STORE_TRIM_EVERY };
    for (int i = 0; i < WRITTEN; i++)
        commit(s, &e, 1, &done);
    reap_until(s, &done, WRITTEN);
    store_free(s);

    char path[96];
    sqlite3 *db;
    sqlite3_stmt *stmt;
    (void)snprintf(path, sizeof path, "%s/" STORE_FILE, sc->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*), max(seq) FROM event", -1, &stmt, 0),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_in_range(sqlite3_column_int(stmt, 0), STORE_EVENTS_KEPT,
                    STORE_EVENTS_KEPT + STORE_TRIM_EVERY - 1);
    assert_int_equal(sqlite3_column_int(stmt, 1), WRITTEN);
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
}

/* Commits for ever, telling each durable execution by one byte, until it is killed. */
static _Noreturn void commit_until_killed(const char *dir, int tell)
{
    struct store *s = open_store(dir);
    int done = 0, told = 0;
    for (uint64_t id = 1;; id++) {
        const struct effect e[] = { put_execution(id, EXEC_PENDING), put_deployment() };
        commit(s, e, 2, &done);
        if (id % 7 == 0) /* batches of several, and the kill comes anywhere in them */
            reap_until(s, &done, told + 1);
        for (; told < done; told++)
            if (write(tell, "x", 1) != 1)
                _exit(1);
    }
}

static void what_was_told_durable_survives_a_kill_at_any_point(void **state)
{
    const struct scratch *sc = *state;
    for (int round = 0; round < 8; round++) {
        int told[2];
        char byte;
        assert_int_equal(pipe2(told, O_CLOEXEC), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)close(told[0]);
            commit_until_killed(sc->dir, told[1]);
        }
        (void)close(told[1]);
        int heard = 0, until = 3 + 11 * round;
        while (heard < until && read(told[0], &byte, 1) == 1)
            heard++;
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        while (read(told[0], &byte, 1) == 1)
            heard++;
        (void)close(told[0]);
        assert_true(heard >= until);

        struct store *s = open_store(sc->dir);
        struct stored *st = load(s);
        assert_true(st->n_executions >= (size_t)heard);
        assert_int_equal(st->n_deployments, 1);
        stored_free(st);
        store_free(s);
    }
}

/* One whose log has been begun: its head is synced in any case, when it is written anew. */
static struct store *open_begun(const char *dir)
{
    const struct effect e = put_execution(0, EXEC_RUNNING);
    struct store *s = open_store(dir);
    stored_free(load(s));
    commit_and_wait(s, &e, 1);
    return s;
}

static void wait_until_written(struct store *s, uint64_t n)
{
    while (!store_await_written(s, n)) {
        struct pollfd p = { .fd = store_fd(s), .events = POLLIN };
        assert_true(poll(&p, 1, 10000) == 1);
        store_reap(s);
    }
}

static void what_is_written_is_told_before_a_slow_disk_has_it(void **state)
{
    const struct scratch *sc = *state;
    const struct effect first = put_execution(1, EXEC_RUNNING), second = put_deployment();
    int done = 0;

    autostore struct store *s = open_begun(sc->dir);
    disk_set(DISK_WAITS);
    commit(s, &first, 1, &done);
    commit(s, &second, 1, &done);
    assert_int_equal(store_queued(s), 3);
    wait_until_written(s, 2);
    assert_true(store_written(s) >= 2);
    store_reap(s);
    assert_int_equal(done, 0);

    disk_set(DISK_WORKS);
    reap_until(s, &done, 2);
    assert_int_equal(store_written(s), 3);
}

/* Tells when it is written, which is all that ever happens with this disk. */
static _Noreturn void commit_on_a_slow_disk(const char *dir, int tell)
{
    const struct effect e = put_deployment();
    int done = 0;
    struct store *s = open_begun(dir);
    disk_set(DISK_WAITS);
    commit(s, &e, 1, &done);
    wait_until_written(s, 2);
    if (write(tell, "x", 1) != 1)
        _exit(1);
    for (;;)
        (void)pause();
}

static void what_is_written_survives_a_kill(void **state)
{
    const struct scratch *sc = *state;
    int told[2];
    char byte;
    assert_int_equal(pipe2(told, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        commit_on_a_slow_disk(sc->dir, told[1]);
    (void)close(told[1]);
    assert_int_equal(read(told[0], &byte, 1), 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    (void)close(told[0]);

    autostore struct store *s = open_store(sc->dir);
    autostored struct stored *st = load(s);
    assert_int_equal(st->n_deployments, 1);
}

static void nothing_is_durable_that_the_disk_refused(void **state)
{
    const struct scratch *sc = *state;
    const struct effect e = put_deployment();
    int done = 0;

    struct store *s = open_begun(sc->dir);
    disk_set(DISK_FAILS);
    commit(s, &e, 1, &done);
    while (disk_failures() == 0)
        (void)poll(NULL, 0, 1);
    wait_until_written(s, 2);
    store_reap(s);
    assert_int_equal(done, 0);

    disk_set(DISK_WORKS);
    reap_until(s, &done, 1);
    store_free(s);
    autostore struct store *again = open_store(sc->dir);
    autostored struct stored *st = load(again);
    assert_int_equal(st->n_deployments, 1);
}

static void run_sql(const struct store_db *d, const char *sql)
{
    assert_int_equal(sqlite3_exec(d->db, sql, NULL, NULL, NULL), SQLITE_OK);
}

/* However long the log is: no failure is anybody else's than the sync's, who says it and writes all
 * of it anew. */
static void a_sync_that_fails_once_is_told_however_long_the_log_is(void **state)
{
    const struct scratch *sc = *state;
    struct zl_error err = { 0 };
    struct store_db d;
    char path[96];
    (void)snprintf(path, sizeof path, "%s/" STORE_FILE, sc->dir);
    assert_int_equal(store_db_open(path, &d, &err), 0);
    /* a log that begins anew is synced by the commit */
    run_sql(&d, "CREATE TABLE many(bytes BLOB)");
    assert_int_equal(store_db_sync(&d, &err), 0);

    unsigned before = disk_failures();
    disk_set(DISK_FAILS_ONCE);
    run_sql(&d, "INSERT INTO many VALUES(zeroblob(4194304))");
    assert_int_equal(store_db_sync(&d, &err), -1);
    assert_int_equal(disk_failures(), before + 1);
    assert_int_equal(store_db_sync(&d, &err), 0);
    store_db_close(&d);
}

static void the_log_does_not_grow_for_ever(void **state)
{
    static const char one[] = "DROP TABLE IF EXISTS many; CREATE TABLE many(bytes BLOB);"
                              "INSERT INTO many VALUES(zeroblob(1500000));";
    const struct scratch *sc = *state;
    struct zl_error err = { 0 };
    struct store_db d;
    struct stat st;
    char path[96];
    (void)snprintf(path, sizeof path, "%s/" STORE_FILE, sc->dir);
    assert_int_equal(store_db_open(path, &d, &err), 0);
    for (int i = 0; i < 8; i++) {
        run_sql(&d, one);
        assert_int_equal(store_db_sync(&d, &err), 0);
    }
    (void)snprintf(path, sizeof path, "%s/" STORE_FILE "-wal", sc->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size < 4 * 1500000);
    store_db_close(&d);
}

/* The statements as version 1 had them: never changed, since such databases exist. */
static void a_database_of_version_1_is_brought_up_to_date(void **state)
{
    const struct scratch *sc = *state;
    char path[96];
    sqlite3 *db;
    (void)snprintf(path, sizeof path, "%s/" STORE_FILE, sc->dir);
    store_free(open_store(sc->dir));
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db,
                     "DROP TABLE deployment; DROP TABLE execution; DROP TABLE cron;"
                     "CREATE TABLE execution(id INTEGER PRIMARY KEY, deployment TEXT NOT NULL,"
                     " job TEXT NOT NULL, revision INTEGER NOT NULL, status TEXT NOT NULL,"
                     " reason TEXT NOT NULL, exit_code INTEGER NOT NULL,"
                     " created_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL,"
                     " finished_ms INTEGER NOT NULL);"
                     "INSERT INTO execution VALUES(5, 'shop', 'backup', 3, 'completed', '', 0,"
                     " 1, 2, 3);"
                     "CREATE TABLE deployment(name TEXT PRIMARY KEY, revision INTEGER NOT NULL,"
                     " text TEXT NOT NULL, base_dir TEXT, removing INTEGER NOT NULL,"
                     " stopped TEXT NOT NULL, created_ms INTEGER NOT NULL,"
                     " updated_ms INTEGER NOT NULL);"
                     "INSERT INTO deployment VALUES('shop', 3, 'version: v1', '/srv', 0,"
                     " '[\"web\", \"d\"]', 11, 12), ('idle', 1, 'version: v1', NULL, 0, '[]',"
                     " 13, 14); PRAGMA user_version = 1",
                     0, 0, 0),
        SQLITE_OK);
    (void)sqlite3_close(db);

    struct store *s = open_store(sc->dir);
    struct stored *st = load(s);
    assert_int_equal(st->n_deployments, 2);
    assert_int_equal(st->deployments[0].n_services, 0);
    assert_int_equal(st->deployments[1].n_services, 2);
    assert_string_equal(st->deployments[1].services[0].name, "web");
    assert_true(st->deployments[1].services[0].stopped);
    assert_int_equal(st->deployments[1].services[0].created_ms, 11);
    assert_int_equal(st->deployments[1].updated_ms, 12);
    assert_int_equal(st->n_executions, 1);
    assert_int_equal(st->executions[0].cause, CAUSE_USER);
    assert_int_equal(st->executions[0].due_ms, 0);
    assert_string_equal(st->executions[0].digest, "");
    assert_int_equal(st->n_crons, 0);
    stored_free(st);
    store_free(s);
}

static void a_newer_database_is_refused_and_left_alone(void **state)
{
    const struct scratch *sc = *state;
    char path[96], wanted[256];
    sqlite3 *db;
    struct store *s = NULL;
    struct zl_error err = { 0 };
    (void)snprintf(path, sizeof path, "%s/" STORE_FILE, sc->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 99; CREATE TABLE t(x)", 0, 0, 0),
                     SQLITE_OK);
    (void)sqlite3_close(db);

    assert_int_equal(store_open(sc->dir, &s, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_UNSUPPORTED);
    (void)snprintf(wanted, sizeof wanted,
                   "the database '%s' is of version 99 and this zlayer knows 4: a newer one wrote "
                   "it",
                   path);
    assert_string_equal(err.msg, wanted);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "SELECT x FROM t", 0, 0, 0), SQLITE_OK);
    (void)sqlite3_close(db);
}

static void a_file_that_is_no_database_is_refused_and_left_alone(void **state)
{
    const struct scratch *sc = *state;
    static const char text[] = "this is a poem, not a database, and long enough to be read as one";
    struct store *s = NULL;
    struct zl_error err = { 0 };
    zl_autoclose int dir = zl_open_dir(AT_FDCWD, sc->dir, &err);
    assert_int_equal(zl_write_atomic(dir, STORE_FILE, text, sizeof text, 0600, false, &err), 0);
    assert_int_equal(store_open(sc->dir, &s, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_INVALID);
    assert_non_null(strstr(err.msg, "file is not a database"));
    zl_autobuf struct zl_buf found = ZL_BUF(4096);
    assert_int_equal(zl_read_file(dir, STORE_FILE, &found, &err), 0);
    assert_memory_equal(found.data, text, sizeof text);
}

static void the_boot_is_remembered(void **state)
{
    const struct scratch *sc = *state;
    struct store *s = open_store(sc->dir);
    struct stored *st = load(s);
    assert_string_equal(st->boot_id, "");
    stored_free(st);
    assert_int_equal(store_put_boot_id(s, "b1", NULL), 0);
    store_free(s);
    s = open_store(sc->dir);
    st = load(s);
    assert_string_equal(st->boot_id, "b1");
    stored_free(st);
    store_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            what_is_queued_is_written_with_what_follows_or_when_that_is_asked_for, make_scratch,
            drop_scratch),
        cmocka_unit_test_setup_teardown(what_was_committed_is_there_after_a_restart, make_scratch,
                                        drop_scratch),
        cmocka_unit_test_setup_teardown(what_was_deleted_stays_away, make_scratch, drop_scratch),
        cmocka_unit_test_setup_teardown(many_transactions_become_durable_in_order, make_scratch,
                                        drop_scratch),
        cmocka_unit_test_setup_teardown(only_recent_events_are_kept, make_scratch, drop_scratch),
        cmocka_unit_test_setup_teardown(what_was_told_durable_survives_a_kill_at_any_point,
                                        make_scratch, drop_scratch),
        cmocka_unit_test_setup_teardown(what_is_written_is_told_before_a_slow_disk_has_it,
                                        make_scratch, drop_scratch),
        cmocka_unit_test_setup_teardown(what_is_written_survives_a_kill, make_scratch,
                                        drop_scratch),
        cmocka_unit_test_setup_teardown(nothing_is_durable_that_the_disk_refused, make_scratch,
                                        drop_scratch),
        cmocka_unit_test_setup_teardown(a_sync_that_fails_once_is_told_however_long_the_log_is,
                                        make_scratch, drop_scratch),
        cmocka_unit_test_setup_teardown(the_log_does_not_grow_for_ever, make_scratch, drop_scratch),
        cmocka_unit_test_setup_teardown(a_database_of_version_1_is_brought_up_to_date, make_scratch,
                                        drop_scratch),
        cmocka_unit_test_setup_teardown(a_newer_database_is_refused_and_left_alone, make_scratch,
                                        drop_scratch),
        cmocka_unit_test_setup_teardown(a_file_that_is_no_database_is_refused_and_left_alone,
                                        make_scratch, drop_scratch),
        cmocka_unit_test_setup_teardown(the_boot_is_remembered, make_scratch, drop_scratch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
