// SPDX-License-Identifier: Apache-2.0
/*
 * RT_ARCHIVE: zlayer-fetch reads and writes the files of a container for one client, with whom it
 * talks itself: the answer is the path of a socket that only who was told it can know. A container
 * that runs is seen as its processes see it, volumes and all; one that does not, as its overlay.
 */
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/helper.h"
#include "base/launch.h"
#include "oci/config.h"
#include "runtime/native/inner.h"
#include "runtime/reap.h"

enum { ARCHIVES_MAX = 32, ARGS_MAX = 512, LAYERS_TEXT = 2048 };

struct archive { /* one helper */
    struct archive *next, **link;
    struct event *ended;
    int pidfd, dir_fd; /* dir_fd: where its socket lies */
    char socket[64];
};

static void archive_free(struct archive *a)
{
    if (!a)
        return;
    if (a->link) {
        *a->link = a->next;
        if (a->next)
            a->next->link = a->link;
    }
    if (a->ended)
        event_free(a->ended);
    if (a->socket[0])
        (void)unlinkat(a->dir_fd, a->socket, 0); /* or it went with its folder */
    zl_closep(&a->dir_fd);
    zl_closep(&a->pidfd);
    free(a);
}

void archives_free(struct archive *first)
{
    for (struct archive *a = first, *next; a; a = next) {
        next = a->next;
        a->link = NULL;
        archive_free(a);
    }
}

static void on_ended(int fd, short what, void *arg)
{
    struct archive *a = arg;
    siginfo_t info;
    (void)fd;
    (void)what;
    (void)waitid(P_PIDFD, (id_t)a->pidfd, &info, WEXITED | WNOHANG); /* it has ended */
    archive_free(a);
}

/* ---- its socket ---------------------------------------------------------------------------- */

static int open_socket(struct archive *a, const struct container *c, struct zl_error *err)
{
    char token[MON_TOKEN_LEN + 1];
    struct sockaddr_un address;
    mon_token_make(token);
    (void)snprintf(a->socket, sizeof a->socket, "io-%s", token);
    a->dir_fd = container_open_run_dir(c, err);
    if (a->dir_fd < 0 || zl_unix_address(a->dir_fd, a->socket, &address, err) < 0)
        return -1;
    zl_autoclose int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (sock < 0)
        return zl_fail_errno(err, "make a socket");
    if (bind(sock, (const struct sockaddr *)&address, sizeof address) < 0 || listen(sock, 1) < 0)
        return zl_fail_errno(err, "listen on a socket");
    /* Whoever was told the name may come; the folder's mode lets nobody list it. */
    if (fchmodat(a->dir_fd, a->socket, 0666, 0) < 0)
        return zl_fail_errno(err, "open the socket for clients");
    return zl_take_fd(&sock);
}

/* ---- its command line ---------------------------------------------------------------------- */

struct words {
    char *v[ARGS_MAX + 1]; /* borrowed */
    size_t n;
};

/* Texts are only read: the type is what exec wants. */
static void add(struct words *w, const char *text)
{
    if (w->n < ARGS_MAX)
        w->v[w->n++] = (char *)(uintptr_t)text;
}

static void add_option(struct words *w, const char *name, const char *value)
{
    add(w, name);
    add(w, value);
}

static void list_layers(const struct container *c, struct zl_buf *out)
{
    for (size_t i = 0; i < c->record.layers.n; i++)
        zl_buf_addf(out, "%s%u", i ? "," : "", c->record.layers.v[i]);
}

/* Of what the runtime itself made room for nothing is told as changed. */
static void add_mounts(struct words *w, const struct oci_config *config)
{
    for (size_t i = 0; config && i < config->mounts.n; i++)
        add_option(w, "--mount", config->mounts.v[i].destination);
}

static int launch(struct archive *a, const struct container *c, const struct rt_request *rq,
                  int sock, int root, struct zl_error *err)
{
    zl_autofree char *program = NULL;
    autociconfig struct oci_config *config = NULL;
    zl_autobuf struct zl_buf layers = ZL_BUF(LAYERS_TEXT);
    struct words w = { .n = 0 };
    struct zl_child child;
    if (zl_helper_path("zlayer-fetch", &program, err) < 0)
        return -1;
    list_layers(c, &layers);
    add(&w, program);
    add(&w, "archive");
    add(&w, rq->archive.op);
    add_option(&w, "--root", c->n->root_dir);
    add_option(&w, "--id", c->id_text);
    add_option(&w, "--layers", layers.data);
    add_option(&w, "--path", rq->archive.path ? rq->archive.path : "/");
    if (rq->archive.keep_owner)
        add(&w, "--keep-owner");
    if (rq->archive.same_types)
        add(&w, "--same-types");
    if (oci_config_load(a->dir_fd, &config, NULL) == 0)
        add_mounts(&w, config);
    struct zl_launch fetch = {
        .program = program, .argv = w.v, .fds = { -1, -1, 2, sock, root }, .n_fds = 5
    };
    if (zl_launch(&fetch, &child, err) < 0)
        return -1;
    a->pidfd = child.pidfd;
    return 0;
}

static int begin(const struct container *c, const struct rt_request *rq,
                 struct rt_stream_where *ret, struct zl_error *err)
{
    struct native *n = c->n;
    size_t many = 0;
    for (const struct archive *i = n->archives; i; i = i->next)
        many++;
    if (many >= ARCHIVES_MAX)
        return zl_fail(err, ZL_ERR_CONFLICT, "%d copies are under way", ARCHIVES_MAX);
    zl_autoclose int root =
        -1; /* of one that runs: a second mount of its layers would break them */
    if (c->started && !c->has_exit) {
        root = container_open_proc(c, "root", O_PATH | O_DIRECTORY, err);
        if (root < 0)
            return -1;
    }
    struct archive *a = calloc(1, sizeof *a);
    if (!a)
        return zl_fail_errno(err, "copy files");
    a->pidfd = a->dir_fd = -1;
    zl_autoclose int sock = open_socket(a, c, err);
    int rc = sock < 0 ? -1 : 0;
    if (rc == 0 && snprintf(ret->socket, sizeof ret->socket, "%s/c/%s/%s", n->run_dir, c->id_text,
                            a->socket) >= (int)sizeof ret->socket)
        rc = zl_fail(err, ZL_ERR_CONFIGURATION, "the path of the runtime directory is too long");
    if (rc == 0)
        rc = launch(a, c, rq, sock, root, err);
    if (rc == 0) {
        a->ended = event_new(n->rt.base, a->pidfd, EV_READ, on_ended, a);
        if (!a->ended || event_add(a->ended, NULL) < 0)
            rc = zl_fail(err, ZL_ERR_SYSTEM, "watch zlayer-fetch: out of memory");
    }
    if (rc < 0) {
        if (a->ended)
            event_free(a->ended);
        a->ended = NULL;
        reap_killed(n->rt.base, zl_take_fd(&a->pidfd)); /* nobody will hear of it */
        archive_free(a);
        return -1;
    }
    a->next = n->archives;
    a->link = &n->archives;
    if (a->next)
        a->next->link = &a->next;
    n->archives = a;
    return 0;
}

int native_archive(struct native_call *k, const struct rt_request *rq, struct zl_error *err)
{
    struct rt_answer a = { 0 };
    if (native_call_container(k, err) < 0 || begin(k->c, rq, &a.where, err) < 0)
        return -1;
    rt_call_answer_soon(&k->call, &a);
    return 0;
}
