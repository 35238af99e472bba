// SPDX-License-Identifier: Apache-2.0
#include "fetch/layer/growing.h"

#include <stdlib.h>

/* Locks and conditions of this kind, used as they are here, cannot fail (pthreads(7)). */

void growing_init(struct growing *g)
{
    *g = (struct growing){ .state = GROWING };
    (void)pthread_mutex_init(&g->lock, NULL);
    (void)pthread_cond_init(&g->changed, NULL);
}

void growing_done(struct growing *g)
{
    (void)pthread_cond_destroy(&g->changed);
    (void)pthread_mutex_destroy(&g->lock);
}

/* ---- the writer ------------------------------------------------------------------------------ */

void growing_add(struct growing *g, uint64_t n)
{
    (void)pthread_mutex_lock(&g->lock);
    g->have += n;
    (void)pthread_cond_broadcast(&g->changed);
    (void)pthread_mutex_unlock(&g->lock);
}

void growing_restart(struct growing *g)
{
    (void)pthread_mutex_lock(&g->lock);
    g->have = 0;
    g->round++;
    (void)pthread_cond_broadcast(&g->changed);
    (void)pthread_mutex_unlock(&g->lock);
}

void growing_end(struct growing *g, bool failed)
{
    (void)pthread_mutex_lock(&g->lock);
    if (g->state == GROWING)
        g->state = failed ? GROWING_FAILED : GROWN;
    (void)pthread_cond_broadcast(&g->changed);
    (void)pthread_mutex_unlock(&g->lock);
}

/* ---- the reader ------------------------------------------------------------------------------ */

/* How much there is behind i->at; 0: there will be no more in this round. */
static uint64_t wait_for_more(const struct growing_input *i)
{
    struct growing *g = i->growing;
    (void)pthread_mutex_lock(&g->lock);
    while (g->round == i->round && g->state == GROWING && g->have <= i->at)
        (void)pthread_cond_wait(&g->changed, &g->lock);
    bool is_good = g->round == i->round && g->state != GROWING_FAILED && g->have > i->at;
    uint64_t more = is_good ? g->have - i->at : 0;
    (void)pthread_mutex_unlock(&g->lock);
    return more;
}

static ssize_t growing_read(void *arg, const void **bytes, struct zl_error *err)
{
    struct growing_input *i = arg;
    ssize_t n;
    if (i->at == i->size)
        return 0;
    if (!i->piece && !(i->piece = malloc(INPUT_PIECE)))
        return zl_fail_errno(err, "read the download");
    uint64_t more = wait_for_more(i);
    if (!more)
        return zl_fail(err, ZL_ERR_CANCELLED, "the download is not going on");
    if (more > i->size - i->at)
        more = i->size - i->at;
    do {
        n = pread(i->fd, i->piece, more < INPUT_PIECE ? (size_t)more : INPUT_PIECE, (off_t)i->at);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return zl_fail_errno(err, "read the download");
    if (n == 0) /* it was emptied under our hands */
        return zl_fail(err, ZL_ERR_CANCELLED, "the download begins anew");
    i->at += (uint64_t)n;
    *bytes = i->piece;
    return n;
}

struct input growing_input(struct growing_input *i, struct growing *g, int fd, uint64_t size)
{
    *i = (struct growing_input){ .growing = g, .fd = fd, .size = size };
    (void)pthread_mutex_lock(&g->lock);
    i->round = g->round;
    (void)pthread_mutex_unlock(&g->lock);
    return (struct input){ growing_read, NULL, i, true }; /* by the download */
}

void growing_input_done(struct growing_input *i)
{
    free(i->piece);
    i->piece = NULL;
}

bool growing_is_anew(const struct growing_input *i)
{
    struct growing *g = i->growing;
    (void)pthread_mutex_lock(&g->lock);
    while (g->round == i->round && g->state == GROWING)
        (void)pthread_cond_wait(&g->changed, &g->lock);
    bool anew = g->round != i->round && g->state != GROWING_FAILED;
    (void)pthread_mutex_unlock(&g->lock);
    return anew;
}
