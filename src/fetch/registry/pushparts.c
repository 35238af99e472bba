// SPDX-License-Identifier: Apache-2.0
/* What of the store goes to who talks with the registry: files that are open for reading, by way of
 * a mount on which nothing can be written, whatever rights a descriptor on it is used with. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "fetch/progress.h"
#include "fetch/registry/push.h"
#include "image/document.h"

static void parts_done(struct push_parts *p)
{
    while (p->n_fds)
        zl_closep(&p->fds[--p->n_fds]);
    zl_buf_done(&p->sources);
}

/* ---- what the registry may have already ------------------------------------------------------ */

struct sources {
    const struct oci_manifest *wanted;
    char v[TALK_PARTS][256]; /* a repository for the config and each layer; "": none is known */
};

static void note_source(struct sources *s, size_t part, const char *wanted, const struct zl_buf *of,
                        const char *repository)
{
    if (!s->v[part][0] && memmem(of->data, of->len, wanted, strlen(wanted)))
        (void)snprintf(s->v[part], sizeof s->v[part], "%s", repository); /* checked: fits */
}

/* What of the wanted image this one has, too: its manifest names it. Nobody parses it for that, and
 * if it is named otherwise, the registry says that it does not have it. */
static void look_at_image(struct sources *s, const struct layout *store, const char *digest,
                          const char *repository)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    struct zl_error ignored; /* a damaged image is no source */
    if (layout_read_blob(store, digest, &text, &ignored) < 0)
        return;
    note_source(s, 0, s->wanted->config.digest, &text, repository);
    for (size_t i = 0; i < s->wanted->layers.n; i++)
        note_source(s, i + 1, s->wanted->layers.v[i].digest, &text, repository);
}

static void look_at_store(struct sources *s, const struct layout *store,
                          const struct zl_imageref *ref)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    zl_autojson struct zl_json doc = { 0 };
    struct oci_index index;
    struct zl_error ignored; /* it is only a short cut */
    if (zl_read_file(store->images, LAYOUT_INDEX, &text, &ignored) < 0 ||
        oci_index_parse(&doc, text.data, text.len, "the index", &index, &ignored) < 0)
        return;
    for (size_t i = 0; i < index.manifests.n; i++) {
        const char *name = oci_annotation(&index.manifests.v[i], OCI_REF_NAME), *why;
        struct zl_imageref other;
        if (name && zl_imageref_parse(name, &other, &why) == 0 &&
            strcmp(other.registry, ref->registry) == 0 &&
            strcmp(other.repository, ref->repository) != 0)
            look_at_image(s, store, index.manifests.v[i].digest, other.repository);
    }
}

static int find_sources(const struct layout *store, const struct zl_imageref *ref,
                        const struct oci_manifest *m, struct zl_buf *out, struct zl_error *err)
{
    zl_autofree struct sources *s = calloc(1, sizeof *s);
    if (!s)
        return zl_fail_errno(err, "push");
    s->wanted = m;
    look_at_store(s, store, ref);
    for (size_t i = 0; i < m->layers.n + 1; i++)
        zl_buf_add(out, s->v[i], strlen(s->v[i]) + 1);
    return zl_buf_check(out, "the names of repositories", err);
}

/* ---- files ----------------------------------------------------------------------------------- */

static int add_part(struct push_parts *p, const struct work *w, const char *digest,
                    struct zl_error *err)
{
    int fd =
        openat(w->seen_blobs, layout_hex(digest), O_RDONLY | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return zl_fail_errno(err, "open blob %s", digest);
    p->fds[p->n_fds++] = fd;
    return 0;
}

static int open_parts(const struct work *w, const struct zl_imageref *ref,
                      const struct oci_manifest *m, struct push_parts *p, struct zl_error *err)
{
    if (add_part(p, w, p->digest, err) < 0 || add_part(p, w, m->config.digest, err) < 0)
        return -1;
    for (size_t i = 0; i < m->layers.n; i++) {
        if (add_part(p, w, m->layers.v[i].digest, err) < 0)
            return zl_wrap(err, "layer %zu of %zu", i + 1, m->layers.n);
    }
    return find_sources(&w->store, ref, m, &p->sources, err);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void tell_progress(void *arg, size_t part, uint64_t bytes)
{
    struct progress *all = arg;
    progress_layer(&all[part], bytes);
}

int push_by_talker(struct work *w, struct talk *t, const struct zl_imageref *ref,
                   const char *digest, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    autoreading struct reading r = READING;
    ZL_CLEANUP(parts_done)
    struct push_parts parts = { .sources = ZL_BUF(TALK_SOURCES_MAX) };
    struct progress progress[TALK_PARTS] = { { .digest = NULL } };
    struct oci_manifest m;
    (void)snprintf(parts.digest, sizeof parts.digest, "%s", digest); /* checked: fits */
    if (layout_read_blob(&w->store, digest, &text, err) < 0 ||
        reading_manifest(w->crew, &text, "the manifest", &r, &m, err) < 0 ||
        open_parts(w, ref, &m, &parts, err) < 0)
        return -1;
    progress[0] = (struct progress){ .digest = m.config.digest, .total = m.config.size };
    for (size_t i = 0; i < m.layers.n; i++)
        progress[i + 1] =
            (struct progress){ .digest = m.layers.v[i].digest, .total = m.layers.v[i].size };
    return talk_push(t, &parts, tell_progress, progress, err);
}
