// SPDX-License-Identifier: Apache-2.0
#include "fetch/registry/talker.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/msg.h"
#include "base/weaken.h"
#include "fetch/crew/confine.h"
#include "fetch/registry/download.h"
#include "fetch/registry/push.h"
#include "fetch/registry/talkwire.h"

enum { FIRST_OF_OURS = 3, PIECE = 64 * 1024, TURN_MS = 1000 };

struct talker;

struct job { /* a blob on its way */
    struct talker *talker;
    uint64_t op;
    struct download download;
    bool opened;
};

struct talker {
    int sock;
    struct zl_error unable; /* why nothing can be asked; kind ZL_OK: everything can */
    struct zl_json doc;
    struct order order;
    struct http *http;
    struct registry registry;
    struct job jobs[OCI_LAYERS_MAX];
    char packet[ZL_MSG_MAX];
};

/* ---- packets --------------------------------------------------------------------------------- */

/* The keeper has gone when it cannot be told anything, and then we are not needed. */
static int say(const struct talker *t, uint64_t op, enum talk_answer type, const void *body,
               size_t n, struct zl_error *err)
{
    const struct zl_msg m = {
        .head = { .version = 1, .type = (uint16_t)type, .length = (uint32_t)n, .op = op },
        .body = body,
    };
    return zl_msg_send(t->sock, &m, err);
}

static int say_bytes(const struct talker *t, uint64_t op, const char *bytes, size_t n,
                     struct zl_error *err)
{
    for (size_t piece; n; bytes += piece, n -= piece) {
        piece = n < PIECE ? n : PIECE;
        if (say(t, op, TALK_BYTES, bytes, piece, err) < 0)
            return -1;
    }
    return 0;
}

static int say_end(const struct talker *t, uint64_t op, struct talk_end *end,
                   const struct zl_error *failed, struct zl_error *err)
{
    if (failed) {
        end->kind = failed->kind;
        end->errnum = failed->errnum;
        (void)snprintf(end->msg, sizeof end->msg, "%s", failed->msg);
    }
    return say(t, op, TALK_END, end, sizeof *end, err);
}

/* ---- questions with one answer --------------------------------------------------------------- */

/* What of the order is no secret, and for the keeper. */
static int do_order(struct talker *t, const struct zl_msg *m, struct talk_end *end,
                    struct zl_error *err)
{
    json_t *public = t->doc.root ? json_copy(t->doc.root) : json_object();
    (void)end;
    (void)json_object_del(public, "login"); /* there may be none */
    (void)json_object_del(public, "registries");
    zl_autofree char *text = json_dumps(public, JSON_COMPACT);
    json_decref(public);
    if (!text)
        return zl_fail(err, ZL_ERR_SYSTEM, "hand the order on: out of memory");
    return say_bytes(t, m->head.op, text, strlen(text), err);
}

static int do_check(struct talker *t, const struct zl_msg *m, struct talk_end *end,
                    struct zl_error *err)
{
    (void)m;
    (void)end;
    return registry_check(&t->registry, err);
}

static int do_resolve(struct talker *t, const struct zl_msg *m, struct talk_end *end,
                      struct zl_error *err)
{
    return registry_manifest_digest(&t->registry, m->body, end->digest, err);
}

static int do_manifest(struct talker *t, const struct zl_msg *m, struct talk_end *end,
                       struct zl_error *err)
{
    zl_autobuf struct zl_buf body = ZL_BUF(OCI_DOCUMENT_MAX);
    if (registry_manifest(&t->registry, m->body, &body, end->digest, end->type, err) < 0)
        return -1;
    return say_bytes(t, m->head.op, body.data, body.len, err);
}

static int do_document(struct talker *t, const struct zl_msg *m, struct talk_end *end,
                       struct zl_error *err)
{
    zl_autobuf struct zl_buf body = ZL_BUF(OCI_DOCUMENT_MAX);
    struct talk_blob blob;
    (void)end;
    zl_msg_body(m, &blob, sizeof blob);
    if (registry_document(&t->registry, blob.digest, blob.size, &body, err) < 0)
        return -1;
    return say_bytes(t, m->head.op, body.data, body.len, err);
}

struct pushing {
    const struct talker *talker;
    uint64_t op;
};

static int tell_sent(void *arg, size_t part, uint64_t bytes, struct zl_error *err)
{
    const struct pushing *p = arg;
    const struct talk_sent sent = { .part = (uint32_t)part, .bytes = bytes };
    return say(p->talker, p->op, TALK_SENT, &sent, sizeof sent, err);
}

static int do_push(struct talker *t, const struct zl_msg *m, struct talk_end *end,
                   struct zl_error *err)
{
    struct pushing pushing = { t, m->head.op };
    struct talk_push head;
    (void)end;
    zl_msg_body(m, &head, sizeof head);
    struct push_parts parts = { .n_fds = (size_t)m->n_fds, .sources = ZL_BUF(TALK_SOURCES_MAX) };
    memcpy(parts.digest, head.digest, sizeof parts.digest);
    memcpy(parts.fds, m->fds, (size_t)m->n_fds * sizeof *m->fds);
    zl_buf_add(&parts.sources, (const char *)m->body + sizeof head, head.n_sources);
    int rc = push_image(&parts, &t->registry, tell_sent, &pushing, err);
    zl_buf_done(&parts.sources);
    return rc;
}

/* ---- blobs ----------------------------------------------------------------------------------- */

static int pass_on(void *arg, const char *bytes, size_t n, struct zl_error *err)
{
    const struct job *j = arg;
    return say_bytes(j->talker, j->op, bytes, n, err);
}

static int begin_blob(struct talker *t, const struct zl_msg *m, struct zl_error *err)
{
    struct talk_blob blob;
    struct job *j = t->jobs;
    zl_msg_body(m, &blob, sizeof blob);
    while (j < t->jobs + OCI_LAYERS_MAX && j->opened)
        j++;
    if (j == t->jobs + OCI_LAYERS_MAX)
        return zl_fail(err, ZL_ERR_PROTOCOL, "too many blobs are asked for");
    *j = (struct job){ .talker = t, .op = m->head.op, .opened = true };
    download_open(&j->download, &t->registry, &blob, pass_on, j);
    return 0;
}

static int end_blob(struct job *j, struct zl_error *err)
{
    struct download *d = &j->download;
    const struct registry *r = &j->talker->registry;
    struct talk_end end = { .endpoint = (uint32_t)d->endpoint,
                            .left = (uint32_t)(r->n - 1 - d->endpoint) };
    const struct zl_error *failed = d->state == DOWNLOAD_FAILED ? &d->err : NULL;
    (void)snprintf(end.host, sizeof end.host, "%s", r->v[d->endpoint].host);
    int rc = say_end(j->talker, j->op, &end, failed, err);
    download_close(d);
    j->opened = false;
    return rc;
}

/* Each a step further, no more than the order's streams at the same time. How many are there. */
static int step_blobs(struct talker *t, struct zl_error *err)
{
    unsigned running = 0;
    int open = 0;
    for (size_t i = 0; i < OCI_LAYERS_MAX; i++) {
        struct job *j = &t->jobs[i];
        struct download *d = &j->download;
        if (!j->opened)
            continue;
        if (running < t->order.streams)
            download_step(d, zl_mono_ms());
        running += d->state == DOWNLOAD_RUNNING;
        open++;
        if (d->state != DOWNLOAD_COMPLETE && d->state != DOWNLOAD_FAILED)
            continue;
        open--;
        if (end_blob(j, err) < 0)
            return -1;
    }
    return open;
}

static int turn_ms(const struct talker *t)
{
    uint64_t now = zl_mono_ms(), until = now + TURN_MS;
    for (size_t i = 0; i < OCI_LAYERS_MAX; i++) {
        const struct download *d = &t->jobs[i].download;
        if (t->jobs[i].opened && d->state == DOWNLOAD_WAITING && d->wait_until_ms < until)
            until = d->wait_until_ms;
    }
    return until > now ? (int)(until - now) : 0;
}

/* ---- serving --------------------------------------------------------------------------------- */

static int (*const questions[TALK_QUESTIONS])(struct talker *t, const struct zl_msg *m,
                                              struct talk_end *end, struct zl_error *err) = {
    [TALK_ORDER] = do_order,       [TALK_CHECK] = do_check,       [TALK_RESOLVE] = do_resolve,
    [TALK_MANIFEST] = do_manifest, [TALK_DOCUMENT] = do_document, [TALK_PUSH] = do_push,
};

/* -1: the keeper cannot be told. */
static int take_question(struct talker *t, const struct zl_msg *m, struct zl_error *err)
{
    struct zl_error why = t->unable;
    struct talk_end end;
    memset(&end, 0, sizeof end); /* padding, too: it is sent as it lies */
    int rc = why.kind != ZL_OK ? -1 : 0;
    if (rc == 0 && m->head.type == TALK_BLOB) {
        rc = begin_blob(t, m, &why);
        if (rc == 0)
            return 0;
    } else if (rc == 0) {
        rc = questions[m->head.type](t, m, &end, &why);
    }
    return say_end(t, m->head.op, &end, rc < 0 ? &why : NULL, err);
}

static int hear_question(struct talker *t, struct zl_error *err)
{
    struct zl_msg m;
    int rc = zl_msg_recv(t->sock, t->packet, sizeof t->packet, &m, err);
    if (rc > 0 && m.head.type >= TALK_QUESTIONS)
        rc = zl_fail(err, ZL_ERR_PROTOCOL, "there is no question %u", m.head.type);
    else if (rc > 0)
        rc = take_question(t, &m, err) < 0 ? -1 : 1;
    zl_msg_close_fds(&m);
    return rc;
}

static void serve(struct talker *t)
{
    struct zl_error err;
    for (int rc = 1; rc > 0;) {
        bool asked = true;
        int open = step_blobs(t, &err);
        if (open < 0 || (open && http_turn(t->http, &t->sock, &asked, 1, turn_ms(t), &err) < 0))
            return;
        if (asked)
            rc = hear_question(t, &err);
    }
}

/* ---- the process ----------------------------------------------------------------------------- */

static int open_registry(struct talker *t, const struct zl_imageref *ref, const char *access,
                         struct zl_error *err)
{
    if (order_read(STDIN_FILENO, &t->doc, &t->order, err) < 0)
        return -1;
    const struct http_settings settings = { t->order.connect_s, t->order.stall_s };
    if (!http_new(&settings, &t->http, err))
        return -1;
    return registry_open(t->http, &t->order, ref, access, &t->registry, err);
}

/* Credentials and certificates are files of the host: they are read before it is out of sight. */
static int begin(struct talker *t, const char *root, const struct zl_imageref *ref,
                 const char *access, struct zl_error *err)
{
    if (open_registry(t, ref, access, err) < 0)
        return -1;
    if (!zl_weaken(STDIO) && confine_stdio(err) < 0) /* what is said on ours, the agent believes */
        return -1;
    unsigned view = zl_weaken(STORE) ? CONFINE_STORE | CONFINE_RESOLVER : CONFINE_RESOLVER;
    return confine_view(root, view, err) < 0 ? -1 : confine_role(CONFINE_TALKER, err);
}

_Noreturn void talker_main(int sock, const char *root, const struct zl_imageref *ref,
                           const char *access)
{
    struct zl_error err;
    struct talker *t = calloc(1, sizeof *t);
    if (!t || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        _exit(1);
    t->sock = sock;
    if (zl_close_others(FIRST_OF_OURS, &t->sock, 1) < 0)
        (void)zl_fail_errno(&t->unable, "close what is not its own");
    else if (begin(t, root, ref, access, &err) < 0)
        t->unable = err;
    serve(t);
    _exit(0);
}
