// SPDX-License-Identifier: Apache-2.0
#include "monitor/filestream.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fd.h"
#include "monitor/frame.h"

enum { STREAM_BYTES = 1, STREAM_OUTCOME = 4, OUTCOME_MAX = 64 * 1024, PIECE = 64 * 1024 };

static int dial(const char *path, struct zl_error *err)
{
    struct sockaddr_un address;
    const char *slash = strrchr(path, '/');
    zl_autofree char *folder = slash ? strndup(path, (size_t)(slash - path)) : NULL;
    if (!folder)
        return zl_fail(err, ZL_ERR_PROTOCOL, "there is no socket of that name");
    zl_autoclose int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return zl_fail_errno(err, "open '%s'", folder);
    zl_autoclose int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (sock < 0)
        return zl_fail_errno(err, "make a socket");
    if (zl_unix_address(dir, slash + 1, &address, err) < 0)
        return -1;
    if (connect(sock, (const struct sockaddr *)&address, sizeof address) < 0)
        return zl_fail_errno(err, "connect to '%s'", path);
    return zl_take_fd(&sock);
}

/* Until the end of `in`, or until the other side takes no more: why, its outcome says. */
static int send_all(int sock, int in, struct zl_error *err)
{
    char piece[PIECE];
    for (;;) {
        ssize_t n = read(in, piece, sizeof piece), done = 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return zl_fail_errno(err, "read the archive");
        if (n == 0)
            break;
        while (done < n) {
            ssize_t sent = send(sock, piece + done, (size_t)(n - done), MSG_NOSIGNAL);
            if (sent < 0 && errno == EINTR)
                continue;
            if (sent < 0)
                return 0;
            done += sent;
        }
    }
    (void)shutdown(sock, SHUT_WR); /* a helper that is gone shows on reading */
    return 0;
}

static int receive(int sock, int out, struct zl_buf *outcome, struct zl_error *err)
{
    struct mon_frame_reader r;
    struct mon_frame f;
    int rc;
    mon_frame_reader_init(&r);
    while ((rc = mon_frame_read(&r, sock, &f, err)) > 0) {
        if (f.stream == STREAM_OUTCOME)
            zl_buf_add(outcome, f.bytes, f.length);
        else if (f.stream == STREAM_BYTES && out >= 0 &&
                 zl_write_all(out, f.bytes, f.length, "the output", err) < 0)
            return -1;
    }
    return rc;
}

static enum zl_err_kind kind_of(const char *word)
{
    for (int k = ZL_OK + 1; k < ZL_ERR_KINDS; k++)
        if (strcmp(zl_err_kind_name((enum zl_err_kind)k), word) == 0)
            return (enum zl_err_kind)k;
    return ZL_ERR_SYSTEM;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static int judge(const struct zl_buf *outcome, json_t **ret_stat, struct zl_error *err)
{
    json_t *word = json_loadb(outcome->data, outcome->len, 0, NULL);
    int rc = 0;
    if (!word)
        rc = zl_fail(err, ZL_ERR_UNREACHABLE, "the copy was cut off");
    else if (strcmp(text_of(word, "status"), "done") != 0)
        rc = zl_fail(err, kind_of(text_of(word, "kind")), "%s", text_of(word, "message"));
    else if (ret_stat)
        *ret_stat = json_incref(json_object_get(word, "stat"));
    json_decref(word);
    return rc;
}

int filestream_run(const char *socket, int in, int out, json_t **ret_stat, struct zl_error *err)
{
    zl_autobuf struct zl_buf outcome = ZL_BUF(OUTCOME_MAX);
    zl_autoclose int sock = dial(socket, err);
    if (sock < 0 || (in >= 0 && send_all(sock, in, err) < 0) ||
        receive(sock, out, &outcome, err) < 0)
        return -1;
    return judge(&outcome, ret_stat, err);
}
