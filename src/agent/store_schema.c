// SPDX-License-Identifier: Apache-2.0
#include "agent/store_schema.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Version n is made from version n - 1 by upgrades[n]. Never changed once released, only added to.
 * 64-bit ids are stored as SQLite's signed integers, bit by bit. */
static const char *const upgrades[STORE_VERSION + 1] = {
    [1] = "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
          "CREATE TABLE deployment(name TEXT PRIMARY KEY, revision INTEGER NOT NULL,"
          " text TEXT NOT NULL, base_dir TEXT, removing INTEGER NOT NULL, stopped TEXT NOT NULL,"
          " created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL);"
          "CREATE TABLE execution(id INTEGER PRIMARY KEY, deployment TEXT NOT NULL,"
          " job TEXT NOT NULL, revision INTEGER NOT NULL, status TEXT NOT NULL,"
          " reason TEXT NOT NULL, exit_code INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
          " started_ms INTEGER NOT NULL, finished_ms INTEGER NOT NULL);"
          "CREATE TABLE standalone(name TEXT PRIMARY KEY, id INTEGER NOT NULL, text TEXT NOT NULL,"
          " remove_wanted INTEGER NOT NULL, stop_wanted INTEGER NOT NULL, exited INTEGER NOT NULL,"
          " exit_code INTEGER NOT NULL, exit_signal INTEGER NOT NULL, exit_oom INTEGER NOT NULL,"
          " exit_lost INTEGER NOT NULL, exit_ms INTEGER NOT NULL, error TEXT NOT NULL,"
          " created_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL);"
          "CREATE TABLE event(seq INTEGER PRIMARY KEY AUTOINCREMENT, wall_ms INTEGER NOT NULL,"
          " type TEXT NOT NULL, deployment TEXT, service TEXT, id INTEGER NOT NULL,"
          " text TEXT NOT NULL);",
    /* services: [{name, created_ms, stopped}, …]; before, only the names of the stopped ones.
     * Members that were added since, and what they are when missing: store_rows.c. */
    [2] = "ALTER TABLE deployment ADD COLUMN services TEXT NOT NULL DEFAULT '[]';"
          "UPDATE deployment SET services = (SELECT json_group_array(json_object('name', value,"
          " 'created_ms', deployment.created_ms, 'stopped', json('true')))"
          " FROM json_each(deployment.stopped));"
          "ALTER TABLE deployment DROP COLUMN stopped;",
    [3] = "ALTER TABLE execution ADD COLUMN cause TEXT NOT NULL DEFAULT 'cli';"
          "ALTER TABLE execution ADD COLUMN due_ms INTEGER NOT NULL DEFAULT 0;"
          "CREATE TABLE cron(deployment TEXT NOT NULL, name TEXT NOT NULL,"
          " disabled INTEGER NOT NULL, cursor_s INTEGER NOT NULL, high_s INTEGER NOT NULL,"
          " jitter_seed INTEGER NOT NULL, last_run_ms INTEGER NOT NULL,"
          " last_execution INTEGER NOT NULL, runs INTEGER NOT NULL, missed INTEGER NOT NULL,"
          " skipped INTEGER NOT NULL, PRIMARY KEY(deployment, name)) WITHOUT ROWID;",
    [4] = "ALTER TABLE execution ADD COLUMN digest TEXT NOT NULL DEFAULT '';",
};

static const char *const statements[STORE_STMTS] = {
    [STORE_PUT_DEPLOYMENT] = "INSERT OR REPLACE INTO deployment(name, revision, text, base_dir,"
                             " removing, services, created_ms, updated_ms)"
                             " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [STORE_DEL_DEPLOYMENT] = "DELETE FROM deployment WHERE name = ?1",
    [STORE_PUT_EXECUTION] =
        "INSERT OR REPLACE INTO execution(id, deployment, job, revision, status,"
        " reason, exit_code, created_ms, started_ms, finished_ms, cause, due_ms,"
        " digest) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    [STORE_DEL_EXECUTION] = "DELETE FROM execution WHERE id = ?1",
    [STORE_PUT_CRON] = "INSERT OR REPLACE INTO cron(deployment, name, disabled, cursor_s, high_s,"
                       " jitter_seed, last_run_ms, last_execution, runs, missed, skipped)"
                       " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [STORE_DEL_CRON] = "DELETE FROM cron WHERE deployment = ?1 AND name = ?2",
    [STORE_PUT_STANDALONE] = "INSERT OR REPLACE INTO standalone(name, id, text, remove_wanted,"
                             " stop_wanted, exited, exit_code, exit_signal, exit_oom, exit_lost,"
                             " exit_ms, error, created_ms, started_ms)"
                             " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    [STORE_DEL_STANDALONE] = "DELETE FROM standalone WHERE name = ?1",
    [STORE_PUT_EVENT] = "INSERT INTO event(wall_ms, type, deployment, service, id, text)"
                        " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
    [STORE_TRIM_EVENTS] = "DELETE FROM event WHERE seq <= (SELECT max(seq) FROM event) - ?1",
    [STORE_PUT_META] = "INSERT OR REPLACE INTO meta(key, value) VALUES(?1, ?2)",
    [STORE_BEGIN] = "BEGIN IMMEDIATE",
    [STORE_COMMIT] = "COMMIT",
    [STORE_ROLLBACK] = "ROLLBACK",
    [STORE_ALL_DEPLOYMENTS] =
        "SELECT name, revision, text, base_dir, removing, services, created_ms,"
        " updated_ms FROM deployment ORDER BY name",
    [STORE_ALL_EXECUTIONS] = "SELECT id, deployment, job, revision, status, reason, exit_code,"
                             " created_ms, started_ms, finished_ms, cause, due_ms, digest FROM"
                             " execution"
                             " ORDER BY created_ms, id",
    [STORE_ALL_CRONS] = "SELECT deployment, name, disabled, cursor_s, high_s, jitter_seed,"
                        " last_run_ms, last_execution, runs, missed, skipped FROM cron",
    [STORE_ALL_STANDALONES] =
        "SELECT name, id, text, remove_wanted, stop_wanted, exited, exit_code,"
        " exit_signal, exit_oom, exit_lost, exit_ms, error, created_ms,"
        " started_ms FROM standalone ORDER BY name",
    [STORE_ALL_META] = "SELECT key, value FROM meta",
};

/* FULL: what is committed is on the disk, so a power cut loses nothing that was answered for. With
 * a write-ahead log we sync that ourselves (sync_late()). The cache is small because rows are few
 * and read once. */
static const char settings[] = "PRAGMA journal_mode = WAL;"
                               "PRAGMA synchronous = FULL;"
                               "PRAGMA cache_size = -256;"
                               "PRAGMA wal_autocheckpoint = 256;"
                               "PRAGMA journal_size_limit = 1048576;";

int store_db_fail(const struct store_db *d, const char *what, struct zl_error *err)
{
    int code = sqlite3_errcode(d->db);
    bool damaged = code == SQLITE_NOTADB || code == SQLITE_CORRUPT;
    return zl_fail(err, damaged ? ZL_ERR_INVALID : ZL_ERR_SYSTEM, "%s '%s': %s", what, d->path,
                   sqlite3_errmsg(d->db));
}

int store_db_run(struct store_db *d, enum store_stmt which, struct zl_error *err)
{
    sqlite3_stmt *stmt = d->stmt[which];
    int rc = sqlite3_step(stmt) == SQLITE_DONE ? 0 : store_db_fail(d, "write", err);
    (void)sqlite3_reset(stmt); /* repeats the step's answer, which is known */
    (void)sqlite3_clear_bindings(stmt);
    return rc;
}

/* One word that a PRAGMA answers. */
static int ask(const struct store_db *d, const char *sql, char *out, size_t size,
               struct zl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = 0;
    if (sqlite3_prepare_v2(d->db, sql, -1, &stmt, NULL) != SQLITE_OK ||
        sqlite3_step(stmt) != SQLITE_ROW)
        rc = store_db_fail(d, "read", err);
    else
        (void)snprintf(out, size, "%s", (const char *)sqlite3_column_text(stmt, 0));
    (void)sqlite3_finalize(stmt);
    return rc;
}

static int check(const struct store_db *d, struct zl_error *err)
{
    char answer[256];
    if (ask(d, "PRAGMA quick_check(1)", answer, sizeof answer, err) < 0)
        return -1;
    if (strcmp(answer, "ok") != 0)
        return zl_fail(
            err, ZL_ERR_INVALID,
            "the database '%s' is damaged (%s): restore a copy of it, or move it away to "
            "start with nothing deployed",
            d->path, answer);
    return 0;
}

static int upgrade_to(const struct store_db *d, int version, struct zl_error *err)
{
    char mark[64];
    (void)snprintf(mark, sizeof mark, "PRAGMA user_version = %d; COMMIT", version);
    if (sqlite3_exec(d->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK &&
        sqlite3_exec(d->db, upgrades[version], NULL, NULL, NULL) == SQLITE_OK &&
        sqlite3_exec(d->db, mark, NULL, NULL, NULL) == SQLITE_OK)
        return 0;
    return store_db_fail(d, "bring the schema up to date in", err);
}

static int upgrade(const struct store_db *d, struct zl_error *err)
{
    char answer[32];
    if (ask(d, "PRAGMA user_version", answer, sizeof answer, err) < 0)
        return -1;
    long found = strtol(answer, NULL, 10); /* SQLite's own integer */
    if (found > STORE_VERSION)
        return zl_fail(err, ZL_ERR_UNSUPPORTED,
                       "the database '%s' is of version %ld and this zlayer knows %d: a newer one "
                       "wrote it",
                       d->path, found, STORE_VERSION);
    for (int v = (int)found + 1; v <= STORE_VERSION; v++)
        if (upgrade_to(d, v, err) < 0)
            return -1;
    return 0;
}

enum { LOG_PAGES = 256 }; /* then what is in the log is brought into the database */

static int note_log(void *arg, sqlite3 *db, const char *name, int pages)
{
    struct store_db *d = arg;
    (void)db;
    (void)name;
    d->log_pages = pages;
    return SQLITE_OK;
}

/* In place of SQLite's own checkpoints, that come with a commit until the database is open: these
 * sync the log, and keep a failure of that to themselves, which the kernel tells only once. Ours
 * come behind a sync that worked; one that fails is tried again after the next. */
static void shorten_log(struct store_db *d)
{
    if (d->log_pages >= LOG_PAGES)
        (void)sqlite3_wal_checkpoint_v2(d->db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    d->log_pages = 0; /* until the next commit */
}

/* NORMAL commits into the log without a sync: it is store_db_sync() that waits for the disk. Where
 * there can be no log (a file system without shared memory), FULL stays. */
static int sync_late(struct store_db *d, struct zl_error *err)
{
    char mode[16];
    if (ask(d, "PRAGMA journal_mode", mode, sizeof mode, err) < 0)
        return -1;
    if (strcmp(mode, "wal") != 0)
        return 0;
    if (sqlite3_exec(d->db, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL) != SQLITE_OK)
        return store_db_fail(d, "set up", err);
    d->syncs_late = true;
    return 0;
}

static int sync_log(const struct store_db *d)
{
    sqlite3_file *log = NULL;
    int rc = sqlite3_file_control(d->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    if (rc != SQLITE_OK || !log || !log->pMethods)
        return SQLITE_IOERR_FSYNC;
    return log->pMethods->xSync(log, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);
}

/* After a sync that failed the kernel takes for clean what never reached the disk (fsync(2)), and
 * the next would succeed: all of it is written anew, into the database. */
int store_db_sync(struct store_db *d, struct zl_error *err)
{
    int rc = SQLITE_OK;
    if (d->sync_failed)
        rc = sqlite3_wal_checkpoint_v2(d->db, "main", SQLITE_CHECKPOINT_RESTART, NULL, NULL);
    else if (d->syncs_late)
        rc = sync_log(d);
    d->sync_failed = rc != SQLITE_OK;
    if (rc != SQLITE_OK)
        return zl_fail(err, ZL_ERR_SYSTEM, "bring '%s' to the disk: %s", d->path,
                       sqlite3_errstr(rc));
    shorten_log(d);
    return 0;
}

/* ---- room that a full disk cannot take away ----
 * Free pages inside the database, which SQLite keeps and fills first, and a write-ahead log that
 * has its size already and is written over from its beginning: neither needs a block of the disk
 * any more, where blocks are written in place. So what the agent decides on a full disk can be
 * stored, an `zlayer down` above all. */
enum { RESERVE_BYTES = 1 << 20, PAGE_BYTES = 4096 };

static bool has_reserve(const struct store_db *d)
{
    char pages[32], wal[PATH_MAX];
    struct stat st;
    (void)snprintf(wal, sizeof wal, "%s-wal", d->path);
    return ask(d, "PRAGMA freelist_count", pages, sizeof pages, NULL) == 0 &&
           strtol(pages, NULL, 10) >= RESERVE_BYTES / PAGE_BYTES / 2 && stat(wal, &st) == 0 &&
           st.st_size >= RESERVE_BYTES;
}

/* A table as large as the reserve, through the log into the database, and away again. Where there
 * is no room for it, the state can still be written as long as that lasts: no failure. */
static void make_reserve(const struct store_db *d)
{
    static const char fill[] = "CREATE TABLE IF NOT EXISTS reserve(bytes BLOB);"
                               "INSERT INTO reserve VALUES(zeroblob(1048576));"
                               "PRAGMA wal_checkpoint(PASSIVE);"
                               "DROP TABLE reserve;";
    int keep_log = 1;
    (void)sqlite3_file_control(d->db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep_log);
    if (!has_reserve(d))
        (void)sqlite3_exec(d->db, fill, NULL, NULL, NULL);
}

static int prepare(struct store_db *d, struct zl_error *err)
{
    for (int i = 0; i < STORE_STMTS; i++)
        if (sqlite3_prepare_v3(d->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &d->stmt[i],
                               NULL) != SQLITE_OK)
            return store_db_fail(d, "prepare a statement for", err);
    return 0;
}

/* Made here, because SQLite would let everybody read it; its side files copy the mode. */
static int make_private(const char *path, struct zl_error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return zl_fail_errno(err, "open '%s'", path);
    (void)close(fd); /* nothing was written */
    return 0;
}

int store_db_open(const char *path, struct store_db *ret, struct zl_error *err)
{
    /* NOMUTEX: the loop's thread until store_load is over, then the writer's; never both. */
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    struct store_db d = { .path = path };
    int rc = 0;

    if (make_private(path, err) < 0)
        return -1;
    if (sqlite3_open_v2(path, &d.db, flags, NULL) != SQLITE_OK)
        rc = d.db ? store_db_fail(&d, "open", err)
                  : zl_fail(err, ZL_ERR_SYSTEM, "open '%s': out of memory", path);
    /* The version first: nothing may be changed in a newer database, not even its journal mode. */
    if (rc == 0 && (check(&d, err) < 0 || upgrade(&d, err) < 0))
        rc = -1;
    if (rc == 0 && sqlite3_exec(d.db, settings, NULL, NULL, NULL) != SQLITE_OK)
        rc = store_db_fail(&d, "set up", err);
    if (rc == 0)
        rc = sync_late(&d, err);
    if (rc == 0) {
        make_reserve(&d);
        rc = prepare(&d, err);
    }
    if (rc < 0)
        store_db_close(&d);
    else
        *ret = d;
    if (rc == 0 && d.syncs_late)
        (void)sqlite3_wal_hook(ret->db, note_log, ret);
    return rc;
}

void store_db_close(struct store_db *d)
{
    for (int i = 0; i < STORE_STMTS; i++)
        (void)sqlite3_finalize(d->stmt[i]); /* repeats an error that was told */
    (void)sqlite3_close(d->db);
    *d = (struct store_db){ 0 };
}
