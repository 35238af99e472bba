// SPDX-License-Identifier: Apache-2.0
#include "fetch/registry/talk.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "fetch/crew/confine.h"
#include "fetch/registry/push.h"
#include "fetch/registry/talker.h"

enum { GOODBYE_MS = 2000 };          /* for who has ended to be seen off */
enum { PUBLIC_ORDER_MAX = 1 << 20 }; /* without credentials and certificates */
enum { SEND_BUFFER = 1 << 20 };      /* bytes on their way: more of them, fewer waits */

/* ---- the process ----------------------------------------------------------------------------- */

/* We hear it for no longer than a turn, then look at what else there is. */
static int set_turn(int sock, struct zl_error *err)
{
    const struct timeval turn = { .tv_usec = TALK_TURN_MS * 1000 };
    return setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &turn, sizeof turn) < 0
               ? zl_fail_errno(err, "limit the waits for the registry")
               : 0;
}

static int start(const int pair[2], const char *root, const struct zl_imageref *ref,
                 const char *access, struct talk *t, struct zl_error *err)
{
    const int room = SEND_BUFFER;
    /* less will do, where that is not allowed */
    (void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
    if (!t->packet || set_turn(pair[0], err) < 0)
        return t->packet ? -1 : zl_fail_errno(err, "talk with a registry");
    pid_t pid = fork();
    if (pid == 0)
        talker_main(pair[1], root, ref, access);
    if (pid < 0)
        return zl_fail_errno(err, "fork");
    t->process = (int)syscall(SYS_pidfd_open, pid, 0);
    if (t->process < 0)
        return zl_fail_errno(err, "open process %d", (int)pid);
    return confine_stdin(err); /* whose credentials are not ours */
}

int talk_start(const char *root, const struct zl_imageref *ref, const char *access,
               struct talk *ret, struct zl_error *err)
{
    ZL_CLEANUP(talk_end) struct talk t = TALK_NONE;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return zl_fail_errno(err, "make a socket");
    t.sock = pair[0];
    t.packet = malloc(ZL_MSG_MAX);
    int rc = start(pair, root, ref, access, &t, err);
    (void)close(pair[1]);
    if (rc < 0)
        return -1;
    *ret = t;
    t = (struct talk)TALK_NONE;
    return 0;
}

/* It ends when the socket is closed, and is killed when we end (talker.c): one that does neither is
 * not waited for. */
void talk_end(struct talk *t)
{
    struct pollfd p = { .fd = t->process, .events = POLLIN };
    siginfo_t end;
    zl_closep(&t->sock);
    if (t->process >= 0 && poll(&p, 1, GOODBYE_MS) == 1)
        (void)waitid(P_PIDFD, (id_t)t->process, &end, WEXITED); /* it has ended */
    zl_closep(&t->process);
    free(t->packet);
    *t = (struct talk)TALK_NONE;
}

/* ---- packets --------------------------------------------------------------------------------- */

static int ask(struct talk *t, enum talk_question question, const void *body, size_t n,
               struct zl_error *err)
{
    const struct zl_msg m = {
        .head = { .version = 1, .type = (uint16_t)question, .length = (uint32_t)n, .op = ++t->op },
        .body = body,
    };
    return zl_msg_send(t->sock, &m, err) < 0
               ? zl_wrap(err, "ask the process that talks with the registry")
               : 0;
}

static int nonsense(struct zl_error *err)
{
    return zl_fail(err, ZL_ERR_PROTOCOL, "the process that talks with the registry talks nonsense");
}

/* Texts end, and mean no more than what they say. */
static int take_end(const struct zl_msg *m, struct talk_end *ret, struct zl_error *err)
{
    if (m->head.length != sizeof *ret)
        return nonsense(err);
    zl_msg_body(m, ret, sizeof *ret);
    ret->msg[sizeof ret->msg - 1] = ret->digest[sizeof ret->digest - 1] = '\0';
    ret->type[sizeof ret->type - 1] = ret->host[sizeof ret->host - 1] = '\0';
    if (ret->kind >= ZL_ERR_KINDS)
        ret->kind = ZL_ERR_INTERNAL;
    return 0;
}

/* One packet, which is an answer. 0: none within a turn. No descriptor comes from there. */
static int hear(struct talk *t, struct zl_msg *m, struct zl_error *err)
{
    int rc = zl_msg_recv(t->sock, t->packet, ZL_MSG_MAX, m, err);
    if (rc < 0)
        return err->errnum == EAGAIN || err->errnum == EWOULDBLOCK ? 0 : -1;
    zl_msg_close_fds(m);
    if (rc == 0)
        return zl_fail(err, ZL_ERR_SYSTEM, "the process that talks with the registry has died");
    return m->head.type < TALK_BYTES || m->head.type > TALK_END ? nonsense(err) : 1;
}

static int fail_as(const struct talk_end *end, struct zl_error *err)
{
    (void)zl_fail(err, (enum zl_err_kind)end->kind, "%s", end->msg);
    if (err)
        err->errnum = end->errnum;
    return -1;
}

/* The next packet of the only question there is, whose answer may take long to begin. */
static int hear_answer(struct talk *t, struct zl_msg *m, struct zl_error *err)
{
    int rc;
    do {
        rc = hear(t, m, err);
    } while (rc == 0);
    return rc > 0 && m->head.op != t->op ? nonsense(err) : rc;
}

/* How it ended: what the talker says of it, or its error. */
static int take_outcome(const struct zl_msg *m, struct talk_end *ret, struct zl_error *err)
{
    if (take_end(m, ret, err) < 0)
        return -1;
    return ret->kind != ZL_OK ? fail_as(ret, err) : 0;
}

static int keep_bytes(const struct zl_msg *m, struct zl_buf *body, struct zl_error *err)
{
    if (m->head.type != TALK_BYTES || !body)
        return nonsense(err);
    zl_buf_add(body, m->body, m->head.length);
    return zl_buf_check(body, "the answer", err);
}

/* Its bytes go to body, NULL: there are to be none. */
static int answer(struct talk *t, struct zl_buf *body, struct talk_end *ret, struct zl_error *err)
{
    struct zl_msg m;
    if (body)
        zl_buf_reset(body);
    while (hear_answer(t, &m, err) > 0) {
        if (m.head.type == TALK_END)
            return take_outcome(&m, ret, err);
        if (keep_bytes(&m, body, err) < 0)
            return -1;
    }
    return -1;
}

/* ---- documents ------------------------------------------------------------------------------- */

int talk_order(struct talk *t, struct zl_json *doc, struct order *ret, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(PUBLIC_ORDER_MAX);
    struct talk_end end = { .kind = ZL_OK };
    if (ask(t, TALK_ORDER, NULL, 0, err) < 0 || answer(t, &text, &end, err) < 0)
        return -1;
    return order_parse(text.data, text.len, doc, ret, err);
}

int talk_check(struct talk *t, struct zl_error *err)
{
    struct talk_end end = { .kind = ZL_OK };
    return ask(t, TALK_CHECK, NULL, 0, err) < 0 ? -1 : answer(t, NULL, &end, err);
}

int talk_resolve(struct talk *t, const char *tag, char digest[DIGEST_SIZE], struct zl_error *err)
{
    struct talk_end end = { .kind = ZL_OK };
    if (ask(t, TALK_RESOLVE, tag, strlen(tag) + 1, err) < 0 || answer(t, NULL, &end, err) < 0)
        return -1;
    if (strncmp(end.digest, "sha256:", 7) != 0 || !zl_digest_valid(end.digest))
        return nonsense(err);
    memcpy(digest, end.digest, DIGEST_SIZE);
    return 0;
}

/* What was said to be right by who compared it first. */
static int check_again(const struct zl_buf *body, const char *wanted, struct zl_error *err)
{
    int fits = digest_fits(body->data, body->len, wanted, err);
    return fits < 0 ? -1 : fits ? 0 : nonsense(err);
}

int talk_manifest(struct talk *t, const char *reference, struct zl_buf *body,
                  char digest[DIGEST_SIZE], char type[128], struct zl_error *err)
{
    struct talk_end end = { .kind = ZL_OK };
    if (ask(t, TALK_MANIFEST, reference, strlen(reference) + 1, err) < 0 ||
        answer(t, body, &end, err) < 0 ||
        (strchr(reference, ':') && check_again(body, reference, err) < 0))
        return -1;
    memcpy(type, end.type, sizeof end.type);
    return digest_of(body->data, body->len, digest, err);
}

int talk_document(struct talk *t, const char *digest, uint64_t size, struct zl_buf *body,
                  struct zl_error *err)
{
    struct talk_end end = { .kind = ZL_OK };
    struct talk_blob blob = { .size = size };
    (void)snprintf(blob.digest, sizeof blob.digest, "%s", digest); /* checked: fits */
    if (ask(t, TALK_DOCUMENT, &blob, sizeof blob, err) < 0 || answer(t, body, &end, err) < 0)
        return -1;
    return body->len != size ? nonsense(err) : check_again(body, digest, err);
}

/* ---- blobs ----------------------------------------------------------------------------------- */

int talk_blob(struct talk *t, const struct talk_blob *blob, uint64_t *ret_op, struct zl_error *err)
{
    if (ask(t, TALK_BLOB, blob, sizeof *blob, err) < 0)
        return -1;
    *ret_op = t->op;
    return 0;
}

int talk_next(struct talk *t, struct talk_event *ret, struct zl_error *err)
{
    struct zl_msg m;
    int rc = hear(t, &m, err);
    if (rc <= 0)
        return rc;
    *ret = (struct talk_event){ .op = m.head.op };
    if (m.head.type == TALK_BYTES) {
        ret->bytes = m.body;
        ret->n = m.head.length;
        return 1;
    }
    if (m.head.type == TALK_SENT)
        return nonsense(err);
    return take_end(&m, &ret->end, err) < 0 ? -1 : 1;
}

/* ---- a push ---------------------------------------------------------------------------------- */

static int ask_push(struct talk *t, const struct push_parts *p, struct zl_error *err)
{
    zl_autobuf struct zl_buf body = ZL_BUF(ZL_MSG_MAX);
    struct talk_push head = { .n_sources = (uint32_t)p->sources.len };
    (void)snprintf(head.digest, sizeof head.digest, "%s", p->digest); /* checked: fits */
    zl_buf_add(&body, &head, sizeof head);
    zl_buf_add(&body, p->sources.data, p->sources.len);
    if (zl_buf_check(&body, "what to push", err) < 0)
        return -1;
    struct zl_msg m = {
        .head = { .version = 1, .type = TALK_PUSH, .length = (uint32_t)body.len, .op = ++t->op },
        .body = body.data,
        .n_fds = (int)p->n_fds
    };
    memcpy(m.fds, p->fds, p->n_fds * sizeof *p->fds);
    return zl_msg_send(t->sock, &m, err);
}

int talk_push(struct talk *t, const struct push_parts *parts,
              void (*on_sent)(void *arg, size_t part, uint64_t bytes), void *arg,
              struct zl_error *err)
{
    struct zl_msg m;
    struct talk_sent sent;
    struct talk_end end = { .kind = ZL_OK };
    if (ask_push(t, parts, err) < 0)
        return -1;
    while (hear_answer(t, &m, err) > 0) {
        if (m.head.type == TALK_END)
            return take_outcome(&m, &end, err);
        zl_msg_body(&m, &sent, sizeof sent);
        if (m.head.type != TALK_SENT || (size_t)sent.part + 1 >= parts->n_fds)
            return nonsense(err);
        on_sent(arg, sent.part, sent.bytes);
    }
    return -1;
}
