// SPDX-License-Identifier: Apache-2.0
/*
 * The foreman has one thread, forks for each order, and reads nothing but orders. What it holds is
 * what all hands share: an empty root and the locks of the work folder.
 */
#include "fetch/crew/hand.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/weaken.h"
#include "fetch/crew/confine.h"
#include "fetch/crew/reading.h"
#include "fetch/room.h"
#include "fetch/tar/members.h"
#include "fetch/unpack/pipeline.h"
#include "fetch/unpack/unpack.h"
#include "image/layout.h"

enum { ANSWER, FOLDER, NOTES, PIPE, BELOW = PIPE };
enum { PLAIN = 1, PACKED = 2 }; /* of DECOMPRESS */
enum { LIST = 1, ARCHIVE = 2 };
enum { FOUND = 1, DOCUMENT = 2 };
enum { FIRST_OF_OURS = 3 };

/* ---- orders ---------------------------------------------------------------------------------- */

struct pipe_input {
    int fd;
    char *piece; /* ours */
};

static ssize_t read_pipe(void *arg, const void **bytes, struct zl_error *err)
{
    struct pipe_input *p = arg;
    ssize_t n;
    do {
        n = read(p->fd, p->piece, INPUT_PIECE);
    } while (n < 0 && errno == EINTR);
    *bytes = p->piece;
    return n < 0 ? zl_fail_errno(err, "read the layer") : n;
}

static int do_unpack(const struct zl_msg *m, struct hand_answer *a, struct zl_error *err)
{
    zl_autofree char *piece = malloc(INPUT_PIECE);
    struct pipe_input from = { m->fds[PIPE], piece };
    const struct input in = { read_pipe, NULL, &from, false };
    if (!piece)
        return zl_fail_errno(err, "read the layer");
    return pipeline_unpack(&in, m->fds[FOLDER], m->fds[NOTES], &a->layer, err);
}

/* Nothing is written when it turns out to be packed in no way. */
static int do_decompress(const struct zl_msg *m, struct hand_answer *a, struct zl_error *err)
{
    zl_autofree char *piece = malloc(INPUT_PIECE);
    autodecompress struct decompress *d = NULL;
    struct pipe_input from = { m->fds[PACKED], piece };
    const struct input packed = { read_pipe, NULL, &from, false };
    const void *bytes;
    ssize_t n;
    if (!piece)
        return zl_fail_errno(err, "read the archive");
    if (decompress_new(&packed, &d, err) < 0)
        return -1;
    const struct input plain = decompress_input(d);
    while ((n = plain.read(plain.arg, &bytes, err)) > 0) {
        a->layer.packing = decompress_packing(d);
        if (a->layer.packing == PACKED_NOT)
            return 0;
        if (room_left(m->fds[PLAIN], err) < 0 ||
            zl_write_all(m->fds[PLAIN], bytes, (size_t)n, "the decompressed archive", err) < 0)
            return -1;
    }
    return (int)n;
}

static int do_list(const struct zl_msg *m, struct hand_answer *a, struct zl_error *err)
{
    (void)a;
    return members_list(m->fds[ARCHIVE], m->fds[LIST], err);
}

static int do_read(const struct zl_msg *m, struct hand_answer *a, struct zl_error *err)
{
    enum reading_kind kind = (enum reading_kind)(m->head.type - HAND_INDEX);
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX), found = ZL_BUF(READING_FOUND_MAX);
    (void)a;
    if (zl_read_fd(m->fds[DOCUMENT], &text, m->body, err) < 0 ||
        reading_find(kind, text.data, text.len, m->body, &found, err) < 0)
        return -1;
    return zl_write_all(m->fds[FOUND], found.data, found.len, m->body, err);
}

static int do_settle(const struct zl_msg *m, struct hand_answer *a, struct zl_error *err)
{
    (void)a;
    return unpack_settle(m->fds[FOLDER], m->fds[NOTES], m->fds + BELOW, (size_t)(m->n_fds - BELOW),
                         err);
}

static int do_remove(const struct zl_msg *m, struct hand_answer *a, struct zl_error *err)
{
    a->bytes = layout_tree_bytes(m->fds[FOLDER], m->body);
    return zl_remove_tree(m->fds[FOLDER], m->body, err);
}

static int do_measure(const struct zl_msg *m, struct hand_answer *a, struct zl_error *err)
{
    (void)err;
    a->bytes = layout_tree_bytes(m->fds[FOLDER], m->body);
    return 0;
}

/* clang-format off */
static const struct {
    int n_fds; /* at least */
    bool has_name;
    bool in_folder; /* which becomes its root; the others have none, but what they are given */
    enum confine_role role;
    int (*run)(const struct zl_msg *m, struct hand_answer *a, struct zl_error *err);
} orders[HAND_ORDERS] = {
    [HAND_HOLD]       = { 1,           false, false, CONFINE_READER, NULL },
    [HAND_UNPACK]     = { PIPE + 1,    false, true,  CONFINE_HAND,   do_unpack },
    [HAND_DECOMPRESS] = { PACKED + 1,  false, false, CONFINE_READER, do_decompress },
    [HAND_LIST]       = { ARCHIVE + 1, false, false, CONFINE_READER, do_list },
    [HAND_INDEX]      = { DOCUMENT + 1, true, false, CONFINE_READER, do_read },
    [HAND_MANIFEST]   = { DOCUMENT + 1, true, false, CONFINE_READER, do_read },
    [HAND_CONFIG]     = { DOCUMENT + 1, true, false, CONFINE_READER, do_read },
    [HAND_DOCKER]     = { DOCUMENT + 1, true, false, CONFINE_READER, do_read },
    [HAND_SETTLE]     = { BELOW,       false, false, CONFINE_HAND,   do_settle },
    [HAND_REMOVE]     = { FOLDER + 1,  true,  true,  CONFINE_HAND,   do_remove },
    [HAND_MEASURE]    = { FOLDER + 1,  true,  true,  CONFINE_HAND,   do_measure },
};
/* clang-format on */

static bool is_order(const struct zl_msg *m)
{
    if (m->head.type >= HAND_ORDERS || m->n_fds < orders[m->head.type].n_fds)
        return false;
    const char *name = m->body;
    return !orders[m->head.type].has_name ||
           (m->head.length > 1 && memchr(name, '\0', m->head.length) == name + m->head.length - 1);
}

/* ---- a hand ---------------------------------------------------------------------------------- */

static int obey(const struct zl_msg *m, struct hand_answer *a, struct zl_error *err)
{
    int kept[ZL_MSG_FDS];
    memcpy(kept, m->fds, (size_t)m->n_fds * sizeof *kept);
    if (zl_close_others(FIRST_OF_OURS, kept, (size_t)m->n_fds) < 0)
        return zl_fail_errno(err, "close what is not its own");
    if (orders[m->head.type].in_folder && confine_folder(m->fds[FOLDER], err) < 0)
        return -1;
    if (confine_role(orders[m->head.type].role, err) < 0)
        return -1;
    return orders[m->head.type].run(m, a, err);
}

static _Noreturn void hand_main(const struct zl_msg *m)
{
    struct zl_error err = { 0 };
    struct hand_answer a;
    memset(&a, 0, sizeof a); /* padding, too: it is sent as it lies */
    if (obey(m, &a, &err) < 0) {
        a.kind = (uint32_t)err.kind;
        a.errnum = err.errnum;
        (void)snprintf(a.msg, sizeof a.msg, "%s", err.msg);
    }
    (void)!write(m->fds[ANSWER], &a, sizeof a); /* whoever does not want it has left */
    _exit(0);
}

/* ---- the foreman ----------------------------------------------------------------------------- */

static int confine_foreman(int sock, struct zl_error *err)
{
    if (!zl_weaken(STDIO) && confine_stdio(err) < 0)
        return -1;
    if (zl_close_others(FIRST_OF_OURS, &sock, 1) < 0)
        return zl_fail_errno(err, "close what is not its own");
    if (confine_view("/", CONFINE_NOTHING, err) < 0)
        return -1;
    return confine_role(CONFINE_FOREMAN, err);
}

/* Says it instead of a hand: what was asked for cannot be done. Who wants something held hears it
 * when he asks for more: what he gave is no socket. */
static void refuse(struct zl_msg *m, const struct zl_error *err)
{
    struct hand_answer a;
    memset(&a, 0, sizeof a);
    a.kind = (uint32_t)err->kind;
    a.errnum = err->errnum;
    (void)snprintf(a.msg, sizeof a.msg, "%s", err->msg);
    if (m->head.type != HAND_HOLD && m->n_fds > 0)
        (void)!write(m->fds[ANSWER], &a, sizeof a); /* as above */
}

static void take_order(struct zl_msg *m, const struct zl_error *unable)
{
    struct zl_error err;
    if (unable->kind != ZL_OK) {
        refuse(m, unable);
    } else if (!is_order(m)) {
        (void)zl_fail(&err, ZL_ERR_PROTOCOL, "there is no order %u of this form", m->head.type);
        refuse(m, &err);
    } else if (m->head.type == HAND_HOLD) {
        m->n_fds = 0; /* never closed by us */
    } else {
        while (waitpid(-1, NULL, WNOHANG) >
               0) /* who has ended: the time that it took becomes ours */
            ;
        pid_t pid = fork();
        if (pid == 0)
            hand_main(m);
        if (pid < 0) {
            (void)zl_fail_errno(&err, "fork");
            refuse(m, &err);
        }
    }
}

_Noreturn void hand_foreman(int sock)
{
    char buf[ZL_MSG_MAX];
    struct zl_msg m;
    struct zl_error unable = { 0 }, err;
    if (confine_foreman(sock, &unable) < 0)
        (void)zl_wrap(&unable, "start the processes that unpack");
    while (zl_msg_recv(sock, buf, sizeof buf, &m, &err) > 0) {
        take_order(&m, &unable);
        zl_msg_close_fds(&m);
    }
    if (getpid() == 1)           /* of a PID namespace, else this would be for everybody */
        (void)kill(-1, SIGKILL); /* all but us; there may be none */
    while (wait(NULL) > 0 || errno == EINTR)
        ;
    _exit(0);
}
