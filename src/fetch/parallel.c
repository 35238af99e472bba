// SPDX-License-Identifier: Apache-2.0
#include "fetch/parallel.h"

#include <pthread.h>
#include <sched.h>

enum { THREADS_MAX = 8 };

struct team {
    pthread_mutex_t lock; /* of next, failed, first */
    size_t n, next;
    int (*fn)(void *arg, size_t i, struct zl_error *err);
    void *arg;
    atomic_bool *stop;
    bool failed;
    struct zl_error first;
};

static bool next_job(struct team *t, size_t *i)
{
    (void)pthread_mutex_lock(
        &t->lock); /* cannot fail for a lock of this kind that we do not hold */
    bool is = !t->failed && t->next < t->n;
    if (is)
        *i = t->next++;
    (void)pthread_mutex_unlock(&t->lock);
    return is;
}

static void note_failure(struct team *t, const struct zl_error *err)
{
    (void)pthread_mutex_lock(&t->lock);
    if (!t->failed)
        t->first = *err;
    t->failed = true;
    (void)pthread_mutex_unlock(&t->lock);
    atomic_store(t->stop, true);
}

static void *work_off(void *arg)
{
    struct team *t = arg;
    size_t i;
    while (next_job(t, &i)) {
        struct zl_error err = { 0 };
        if (t->fn(t->arg, i, &err) < 0)
            note_failure(t, &err);
    }
    return NULL;
}

/* How many of our cores; the caller's thread is one of them. */
static size_t helpers_wanted(size_t n)
{
    cpu_set_t set;
    size_t cores = sched_getaffinity(0, sizeof set, &set) == 0 ? (size_t)CPU_COUNT(&set) : 1;
    size_t most = cores < THREADS_MAX ? cores : THREADS_MAX;
    return (n < most ? n : most) - (n > 0);
}

int parallel(size_t n, int (*fn)(void *arg, size_t i, struct zl_error *err), void *arg,
             atomic_bool *stop, struct zl_error *err)
{
    struct team t = { .n = n, .fn = fn, .arg = arg, .stop = stop };
    pthread_t helpers[THREADS_MAX];
    size_t started = 0, wanted = helpers_wanted(n);
    (void)pthread_mutex_init(&t.lock, NULL); /* always 0 on Linux */
    while (started < wanted && pthread_create(&helpers[started], NULL, work_off, &t) == 0)
        started++; /* with fewer threads it takes longer, no more */
    (void)work_off(&t);
    for (size_t i = 0; i < started; i++)
        (void)pthread_join(helpers[i], NULL); /* ours, and joined once */
    (void)pthread_mutex_destroy(&t.lock);
    if (t.failed && err)
        *err = t.first;
    return t.failed ? -1 : 0;
}
