// SPDX-License-Identifier: Apache-2.0
/*
 * Two lists and one lock: `queued`, from the loop to the writer, and `durable`, back again. The
 * writer takes the whole of `queued`, writes it as one SQLite transaction, counts it as written,
 * brings it to the disk and moves it to `durable`; the eventfd wakes the loop, where store_reap()
 * calls back.
 */
#include "agent/store.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "agent/store_rows.h"
#include "base/log.h"

enum {
    TXN_MEMORY =
        64 << 20, /* of one transaction: a spec is at most 8 MiB, with room for many rows */
    LOAD_MEMORY = 512 << 20,   /* of all rows */
    WRITER_STACK = 256 * 1024, /* bytes; SQLite needs some tens of KiB */
    RETRY_SECONDS = 1,
};

struct txn {
    struct txn *next;
    struct zl_arena arena;
    struct store_write *writes;
    size_t n;
    store_done_fn done;
    void *arg;
};

struct txn_list {
    struct txn *head, **tail;
};

struct store {
    struct store_db db; /* the writer's from its start on */
    char *path;
    char boot_id[40];
    int wake_fd;
    pthread_t writer;
    bool has_writer;
    uint64_t n_queued;    /* transactions ever; the loop's */
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct txn_list queued, durable;
    uint64_t n_written, awaited; /* of n_queued; 0: nobody waits for any to be written */
    bool stopping;
};

static void list_init(struct txn_list *l)
{
    l->head = NULL;
    l->tail = &l->head;
}

static void list_add(struct txn_list *l, struct txn *t)
{
    t->next = NULL;
    *l->tail = t;
    l->tail = &t->next;
}

static struct txn_list list_take(struct txn_list *l)
{
    struct txn_list taken = *l;
    if (!taken.head)
        taken.tail = &taken.head;
    list_init(l);
    return taken;
}

static void txn_free(struct txn *t)
{
    if (!t)
        return;
    zl_arena_done(&t->arena);
    free(t);
}
ZL_DEFINE_CLEANUP(struct txn *, txn_free)

static void list_free(struct txn *head)
{
    while (head) {
        struct txn *t = head;
        head = t->next;
        txn_free(t);
    }
}

/* ---- the writer's thread ------------------------------------------------------------------ */

/* Old events go when there are some more than are kept: not in each transaction. */
static int trim_events(struct store_db *d, unsigned written, struct zl_error *err)
{
    const struct store_write trim = { STORE_TRIM_EVENTS,
                                      1,
                                      { { .type = STORE_INT, .i = STORE_EVENTS_KEPT } } };
    d->untrimmed += written;
    if (d->untrimmed < STORE_TRIM_EVERY)
        return 0;
    d->untrimmed = 0;
    return store_write_run(d, &trim, err);
}

static int write_all(struct store_db *d, const struct txn *head, struct zl_error *err)
{
    unsigned events = 0;
    if (store_db_run(d, STORE_BEGIN, err) < 0)
        return -1;
    for (const struct txn *t = head; t; t = t->next) {
        for (size_t i = 0; i < t->n; i++) {
            events += t->writes[i].stmt == STORE_PUT_EVENT;
            if (store_write_run(d, &t->writes[i], err) < 0)
                return -1;
        }
    }
    if (trim_events(d, events, err) < 0)
        return -1;
    return store_db_run(d, STORE_COMMIT, err);
}

/* When it fails nothing of it is written. */
static int write_or_nothing(struct store_db *d, const struct txn *head, struct zl_error *err)
{
    if (write_all(d, head, err) == 0)
        return 0;
    if (!sqlite3_get_autocommit(d->db))
        (void)store_db_run(d, STORE_ROLLBACK, NULL); /* the first failure is the one to tell */
    return -1;
}

static int sync_all(struct store_db *d, const struct txn *head, struct zl_error *err)
{
    (void)head; /* with all that was written before */
    return store_db_sync(d, err);
}

/* Called with the lock; true when a second passed, false when the store is to end. */
static bool wait_for_retry(struct store *s)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until); /* cannot fail for a clock that exists */
    until.tv_sec += RETRY_SECONDS;
    while (!s->stopping)
        if (pthread_cond_timedwait(&s->changed, &s->lock, &until) == ETIMEDOUT)
            return true;
    return false;
}

static void wake_loop(const struct store *s)
{
    const uint64_t one = 1;
    ssize_t n;
    do { /* an eventfd takes 2^64 - 2 wake-ups before it would block, eventfd(2) */
        n = write(s->wake_fd, &one, sizeof one);
    } while (n < 0 && errno == EINTR);
}

typedef int (*store_try_fn)(struct store_db *d, const struct txn *head, struct zl_error *err);

/* Called with the lock, which is free meanwhile. Tries until it works; false when the store is to
 * end and the disk still refuses. */
static bool insist(struct store *s, store_try_fn try, const struct txn *head)
{
    struct zl_error err = { 0 };
    bool told = false;
    for (;;) {
        (void)pthread_mutex_unlock(&s->lock);
        bool works = try(&s->db, head, &err) == 0;
        if (works && told)
            zl_log(ZL_LOG_INFO, "the state is stored again");
        if (!works && !told)
            zl_log_error(ZL_LOG_ERROR, &err,
                         "store the state; nothing new begins until that works");
        told = true;
        (void)pthread_mutex_lock(&s->lock);
        if (works || !wait_for_retry(s))
            return works;
    }
}

static void count_written(struct store *s, const struct txn *head)
{
    for (; head; head = head->next)
        s->n_written++;
    if (s->awaited && s->awaited <= s->n_written) {
        s->awaited = 0;
        wake_loop(s);
    }
}

static void tell_durable(struct store *s, struct txn *head)
{
    for (struct txn *t = head, *next; t; t = next) {
        next = t->next;
        list_add(&s->durable, t);
    }
    wake_loop(s);
}

static void *writer_main(void *arg)
{
    struct store *s = arg;

    (void)pthread_mutex_lock(&s->lock); /* cannot fail for a plain mutex */
    for (;;) {
        while (!s->queued.head && !s->stopping)
            (void)pthread_cond_wait(&s->changed, &s->lock);
        if (!s->queued.head)
            break;
        struct txn_list batch = list_take(&s->queued);
        bool written = insist(s, write_or_nothing, batch.head);
        if (written)
            count_written(s, batch.head);
        if (!written || !insist(s, sync_all, batch.head)) {
            list_free(batch.head);
            break;
        }
        tell_durable(s, batch.head);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return NULL;
}

static int start_writer(struct store *s, struct zl_error *err)
{
    pthread_attr_t attr;
    pthread_condattr_t clock;
    sigset_t all, before;

    (void)pthread_condattr_init(&clock); /* none of these can fail on Linux with valid arguments */
    (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->changed, &clock);
    (void)pthread_condattr_destroy(&clock);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, WRITER_STACK);
    (void)sigfillset(&all); /* signals are the loop's */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    errno = pthread_create(&s->writer, &attr, writer_main, s);
    s->has_writer = errno == 0;
    int failed = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    errno = failed;
    return failed ? zl_fail_errno(err, "start the thread that writes '%s'", s->path) : 0;
}

/* ---- the loop's side ---------------------------------------------------------------------- */

int store_open(const char *root_dir, struct store **ret, struct zl_error *err)
{
    autostore struct store *s = calloc(1, sizeof *s);
    if (!s)
        return zl_fail_errno(err, "open the state in '%s'", root_dir);
    (void)pthread_mutex_init(&s->lock, NULL);
    list_init(&s->queued);
    list_init(&s->durable);
    s->wake_fd = -1;
    if (asprintf(&s->path, "%s/" STORE_FILE, root_dir) < 0) {
        s->path = NULL;
        return zl_fail_errno(err, "open the state in '%s'", root_dir);
    }
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->wake_fd < 0)
        return zl_fail_errno(err, "open the state in '%s'", root_dir);
    if (store_db_open(s->path, &s->db, err) < 0)
        return -1;
    *ret = zl_take_ptr(s);
    return 0;
}

void store_free(struct store *s)
{
    if (!s)
        return;
    if (s->has_writer) {
        (void)pthread_mutex_lock(&s->lock);
        s->stopping = true;
        (void)pthread_cond_signal(&s->changed);
        (void)pthread_mutex_unlock(&s->lock);
        (void)pthread_join(s->writer, NULL);
        (void)pthread_cond_destroy(&s->changed);
    }
    list_free(s->queued.head);
    list_free(s->durable.head);
    store_db_close(&s->db);
    (void)pthread_mutex_destroy(&s->lock);
    zl_closep(&s->wake_fd);
    free(s->path);
    free(s);
}

int store_load(struct store *s, struct stored **ret, struct zl_error *err)
{
    autostored struct stored *st = calloc(1, sizeof *st);
    if (!st || !(st->memory = malloc(sizeof *st->memory)))
        return zl_fail_errno(err, "read '%s'", s->path);
    *st->memory = (struct zl_arena)ZL_ARENA(LOAD_MEMORY);
    if (store_read_all(&s->db, st, err) < 0)
        return -1;
    (void)memcpy(s->boot_id, st->boot_id, sizeof s->boot_id);
    *ret = zl_take_ptr(st);
    return 0;
}

void stored_free(struct stored *st)
{
    if (!st)
        return;
    if (st->memory)
        zl_arena_done(st->memory);
    free(st->memory);
    free(st);
}

static struct txn *txn_new(size_t n, store_done_fn done, void *arg)
{
    struct txn *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->arena = (struct zl_arena)ZL_ARENA(TXN_MEMORY);
    t->writes = zl_arena_array(&t->arena, n, sizeof *t->writes);
    t->n = n;
    t->done = done;
    t->arg = arg;
    return t;
}

/* The writer is not told of it yet. */
static int enqueue(struct store *s, struct txn **t, struct zl_error *err)
{
    if (!*t || (*t)->arena.failed) {
        errno = ENOMEM;
        return zl_fail_errno(err, "queue a change of '%s'", s->path);
    }
    if (!s->has_writer && start_writer(s, err) < 0)
        return -1;
    (void)pthread_mutex_lock(&s->lock);
    list_add(&s->queued, zl_take_ptr(*t));
    s->n_queued++;
    (void)pthread_mutex_unlock(&s->lock);
    return 0;
}

/* Without the lock: the writer would be woken only to wait for it. */
void store_flush(struct store *s)
{
    (void)pthread_cond_signal(&s->changed);
}

int store_queue(struct store *s, const struct effect *v, size_t n, int64_t wall_ms,
                store_done_fn done, void *arg, struct zl_error *err)
{
    ZL_CLEANUP(txn_freep) struct txn *t = txn_new(n, done, arg);
    for (size_t i = 0; t && t->writes && i < n; i++)
        if (store_write_of(&v[i], wall_ms, &t->arena, &t->writes[i], err) < 0)
            return -1;
    return enqueue(s, &t, err);
}

int store_put_boot_id(struct store *s, const char *boot_id, struct zl_error *err)
{
    if (strcmp(s->boot_id, boot_id) == 0)
        return 0;
    ZL_CLEANUP(txn_freep) struct txn *t = txn_new(1, NULL, NULL);
    if (t && t->writes)
        t->writes[0] = (struct store_write){
            STORE_PUT_META,
            2,
            { { .type = STORE_TEXT, .text = "boot_id" },
              { .type = STORE_TEXT, .text = zl_arena_strdup(&t->arena, boot_id) } },
        };
    if (enqueue(s, &t, err) < 0)
        return -1;
    store_flush(s);
    (void)snprintf(s->boot_id, sizeof s->boot_id, "%s", boot_id);
    return 0;
}

uint64_t store_queued(const struct store *s)
{
    return s->n_queued;
}

uint64_t store_written(struct store *s)
{
    (void)pthread_mutex_lock(&s->lock);
    uint64_t n = s->n_written;
    (void)pthread_mutex_unlock(&s->lock);
    return n;
}

bool store_await_written(struct store *s, uint64_t n)
{
    (void)pthread_mutex_lock(&s->lock);
    bool there = n <= s->n_written;
    if (!there)
        s->awaited = s->awaited && s->awaited < n ? s->awaited : n;
    (void)pthread_mutex_unlock(&s->lock);
    return there;
}

int store_fd(const struct store *s)
{
    return s->wake_fd;
}

void store_reap(struct store *s)
{
    uint64_t count;
    if (read(s->wake_fd, &count, sizeof count) < 0)
        return; /* EAGAIN: nothing was written since */
    (void)pthread_mutex_lock(&s->lock);
    struct txn_list durable = list_take(&s->durable);
    (void)pthread_mutex_unlock(&s->lock);
    while (durable.head) {
        struct txn *t = durable.head;
        durable.head = t->next;
        if (t->done)
            t->done(t->arg);
        txn_free(t);
    }
}
