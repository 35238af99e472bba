// SPDX-License-Identifier: Apache-2.0
/*
 * Blob by blob: is it there? can it be mounted? else it is uploaded, a small one in one request, a
 * large one in pieces, each of which may be sent again. The manifest comes last, so that the
 * registry never shows half an image. Source: OCI distribution-spec v1.1, "Push".
 */
#include "fetch/registry/push.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "image/document.h"

enum { PIECE = 8 << 20, ANSWER_MAX = 64 * 1024, STEPS_BACK_MAX = 5 };

struct push {
    const struct push_parts *parts;
    push_sent_fn on_sent;
    void *arg; /* of on_sent */
    struct registry *r;
    struct endpoint *e;
    struct http_answer a;                 /* the last one */
    struct zl_buf body;                   /* of it */
    char upload[HTTP_LOCATION_MAX + 300]; /* where the upload in hand goes on */
};

static int ask(struct push *p, const char *method, const char *path,
               const struct http_request *more, struct zl_error *err)
{
    struct http_request rq = more ? *more : (struct http_request){ 0 };
    rq.method = method;
    return registry_ask(p->r, p->e, path, &rq, &p->body, &p->a, err);
}

static int refused(struct push *p, const char *what, struct zl_error *err)
{
    return registry_refusal(p->e, &p->a, &p->body, what, err);
}

/* ---- what need not be sent ------------------------------------------------------------------- */

/* 1: the registry has it. */
static int is_there(struct push *p, const char *digest, struct zl_error *err)
{
    char path[100];
    (void)snprintf(path, sizeof path, "blobs/%s", digest);
    if (ask(p, "HEAD", path, NULL, err) < 0)
        return -1;
    if (p->a.status == 200 || p->a.status == 404)
        return p->a.status == 200;
    return refused(p, digest, err);
}

/* ---- an upload ------------------------------------------------------------------------------- */

static int take_location(struct push *p, struct zl_error *err)
{
    const char *where = p->a.location;
    bool absolute = strstr(where, "://") != NULL;
    if (!*where)
        return zl_fail(err, ZL_ERR_PROTOCOL, "%s does not say where the upload goes", p->e->host);
    int n = snprintf(p->upload, sizeof p->upload, "%s%s%s%s",
                     absolute      ? ""
                     : p->e->plain ? "http://"
                                   : "https://",
                     absolute ? "" : p->e->host, absolute || *where == '/' ? "" : "/", where);
    return n < (int)sizeof p->upload ? 0 : zl_fail(err, ZL_ERR_PROTOCOL, "its URL is too long");
}

/* 1: mounted, nothing is to be sent; 0: p->upload is where to send it. */
static int begin_upload(struct push *p, const char *digest, const char *source,
                        struct zl_error *err)
{
    char path[512] = "blobs/uploads/";
    const struct http_request empty = { .body = "", .size = 0 };
    if (*source)
        (void)snprintf(path, sizeof path, "blobs/uploads/?mount=%s&from=%s", digest, source);
    if (ask(p, "POST", path, &empty, err) < 0)
        return -1;
    if (p->a.status == 201)
        return 1;
    return p->a.status == 202 ? take_location(p, err) : refused(p, "begin an upload", err);
}

/* How far the registry has got, after a piece that it did not take. */
static int ask_where(struct push *p, uint64_t *at, struct zl_error *err)
{
    if (ask(p, "GET", p->upload, NULL, err) < 0)
        return -1;
    if (p->a.status != 204 && p->a.status != 202)
        return refused(p, "go on with an upload", err);
    *at = p->a.range_to > 0 ? (uint64_t)p->a.range_to + 1 : 0;
    return *p->a.location ? take_location(p, err) : 0;
}

static int send_piece(struct push *p, const char *bytes, uint64_t at, size_t n,
                      struct zl_error *err)
{
    char range[64];
    (void)snprintf(range, sizeof range, "%llu-%llu", (unsigned long long)at,
                   (unsigned long long)(at + n - 1));
    const struct http_request rq = {
        .content_type = "application/octet-stream", .content_range = range, .body = bytes, .size = n
    };
    return ask(p, "PATCH", p->upload, &rq, err);
}

static int send_pieces(struct push *p, size_t part, int fd, uint64_t size, struct zl_error *err)
{
    int back = 0;
    for (uint64_t at = 0; at < size;) {
        size_t n = size - at < PIECE ? (size_t)(size - at) : PIECE;
        off_t page = (off_t)(at & ~UINT64_C(4095));
        size_t lead = (size_t)(at & 4095);
        char *bytes = mmap(NULL, lead + n, PROT_READ, MAP_PRIVATE, fd, page);
        if (bytes == MAP_FAILED)
            return zl_fail_errno(err, "read the blob");
        int rc = send_piece(p, bytes + lead, at, n, err);
        (void)munmap(bytes, lead + n); /* cannot fail for what mmap gave */
        if (rc < 0)
            return -1;
        if (p->a.status == 202) {
            at += n;
            if (p->on_sent(p->arg, part, n, err) < 0 || take_location(p, err) < 0)
                return -1;
        } else if (p->a.status != 416 || ++back > STEPS_BACK_MAX) {
            return refused(p, "upload a piece", err);
        } else if (ask_where(p, &at, err) < 0) {
            return -1;
        }
    }
    return 0;
}

/* What the registry says that it has taken. */
static int check_told(const struct push *p, const char *digest, struct zl_error *err)
{
    if (!p->a.digest[0] || strcmp(p->a.digest, digest) == 0)
        return 0;
    return zl_fail(err, ZL_ERR_PROTOCOL, "%s took %s for %.100s", p->e->host, digest, p->a.digest);
}

static int ended_before(struct push *p, const char *digest, struct zl_error *err)
{
    struct zl_error why;
    (void)refused(p, "end an upload", &why);
    int rc = is_there(p, digest, err);
    return rc == 0 ? zl_fail(err, why.kind, "%s", why.msg) : rc < 0 ? -1 : 0;
}

/* The last request of an upload: the digest, and the bytes if they were not sent before. */
static int end_upload(struct push *p, const char *digest, const char *bytes, size_t n,
                      struct zl_error *err)
{
    char url[sizeof p->upload + 100];
    const struct http_request rq = { .content_type = "application/octet-stream",
                                     .body = bytes,
                                     .size = n };
    (void)snprintf(url, sizeof url, "%s%cdigest=%s", p->upload, strchr(p->upload, '?') ? '&' : '?',
                   digest);
    if (ask(p, "PUT", url, &rq, err) < 0)
        return -1;
    if (p->a.status == 404) /* an answer that was lost: that upload is over, and the blob there */
        return ended_before(p, digest, err);
    if (p->a.status != 201 && p->a.status != 204)
        return refused(p, "end an upload", err);
    return check_told(p, digest, err);
}

static int upload(struct push *p, size_t part, int fd, const char *digest, uint64_t size,
                  struct zl_error *err)
{
    if (size > PIECE)
        return send_pieces(p, part, fd, size, err) < 0 ? -1 : end_upload(p, digest, "", 0, err);
    if (!size)
        return end_upload(p, digest, "", 0, err);
    char *bytes = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return zl_fail_errno(err, "read the blob");
    int rc = end_upload(p, digest, bytes, (size_t)size, err);
    (void)munmap(bytes, (size_t)size); /* cannot fail for what mmap gave */
    return rc;
}

/* The text of this number in what the keeper said, or "". */
static const char *source_of(const struct push *p, size_t part)
{
    const struct zl_buf *all = &p->parts->sources;
    const char *text = all->data, *end = all->data ? all->data + all->len : NULL;
    for (; text < end && part; part--)
        text += strlen(text) + 1;
    return text < end ? text : "";
}

static int push_blob(struct push *p, size_t part, const struct oci_descriptor *d,
                     struct zl_error *err)
{
    int fd = p->parts->fds[part + 1]; /* the first one is the manifest's */
    struct stat st;
    int rc = is_there(p, d->digest, err);
    if (rc == 0)
        rc = begin_upload(p, d->digest, source_of(p, part), err);
    if (rc < 0)
        return zl_wrap(err, "push %s", d->digest);
    if (rc > 0)
        return p->on_sent(p->arg, part, d->size, err);
    if (fstat(fd, &st) < 0)
        return zl_fail_errno(err, "look at blob %s", d->digest);
    uint64_t size = (uint64_t)st.st_size;
    if (upload(p, part, fd, d->digest, size, err) < 0)
        return zl_wrap(err, "push %s", d->digest);
    return size > PIECE ? 0 : p->on_sent(p->arg, part, size, err); /* else told piece by piece */
}

/* ---- the manifest ---------------------------------------------------------------------------- */

struct typed {
    const char *media_type;
};
static const struct zl_field typed_fields[] = {
    { "mediaType", zl_json_string, offsetof(struct typed, media_type), 0, NULL },
    { 0 },
};

static int push_manifest(struct push *p, struct zl_json *doc, const struct zl_buf *text,
                         const char *reference, const char *digest, struct zl_error *err)
{
    struct typed t = { .media_type = OCI_MANIFEST_TYPE };
    char path[300];
    if (zl_json_decode(doc, typed_fields, &t, err) < 0)
        return -1;
    const struct http_request rq = { .content_type = t.media_type,
                                     .body = text->data,
                                     .size = text->len };
    (void)snprintf(path, sizeof path, "manifests/%s", reference);
    if (ask(p, "PUT", path, &rq, err) < 0)
        return -1;
    if (p->a.status != 201)
        return refused(p, "the manifest", err);
    return check_told(p, digest, err) < 0 ? zl_wrap(err, "the manifest") : 0;
}

static int push_all(struct push *p, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    zl_autojson struct zl_json doc = { 0 };
    struct oci_manifest m;
    const char *digest = p->parts->digest;
    if (zl_read_fd(p->parts->fds[0], &text, "the manifest", err) < 0 ||
        oci_manifest_parse(&doc, text.data, text.len, "the manifest", &m, err) < 0)
        return -1;
    if (p->parts->n_fds != m.layers.n + 2)
        return zl_fail(err, ZL_ERR_INTERNAL, "%zu files were opened for the manifest's %zu layers",
                       p->parts->n_fds, m.layers.n);
    for (size_t i = 0; i < m.layers.n; i++) {
        if (push_blob(p, i + 1, &m.layers.v[i], err) < 0)
            return zl_wrap(err, "layer %zu of %zu", i + 1, m.layers.n);
    }
    if (push_blob(p, 0, &m.config, err) < 0)
        return zl_wrap(err, "the config");
    return push_manifest(p, &doc, &text, p->r->tag[0] ? p->r->tag : digest, digest, err);
}

int push_image(const struct push_parts *parts, struct registry *r, push_sent_fn on_sent, void *arg,
               struct zl_error *err)
{
    struct push *p = calloc(1, sizeof *p);
    if (!p)
        return zl_fail_errno(err, "push");
    p->parts = parts;
    p->on_sent = on_sent;
    p->arg = arg;
    p->r = r;
    p->e = &r->v[r->n - 1];
    p->body = (struct zl_buf)ZL_BUF(ANSWER_MAX);
    int rc = push_all(p, err);
    zl_buf_done(&p->body);
    free(p);
    return rc;
}
