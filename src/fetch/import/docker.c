// SPDX-License-Identifier: Apache-2.0
/*
 * What `docker save` and `podman save` write: a tar with manifest.json, which lists images by the
 * path of their config and of each layer's tar (moby, image/spec/v1.2.md, "Combined Image JSON +
 * Filesystem Changeset Format"). Layers are checked against the diff ids of the config. The
 * manifest that names the image in the store is made here: the archive has none.
 */
#include <stdio.h>
#include <string.h>

#include "base/imageref.h"
#include "fetch/import/import.h"

enum { NAMES_MAX = 64 };

static int read_list(const struct work *w, const struct source *s, struct reading *r,
                     struct docker_images *ret, struct zl_error *err)
{
    zl_autobuf struct zl_buf list = ZL_BUF(OCI_DOCUMENT_MAX);
    return source_read(s, "manifest.json", &list, err) < 0
               ? -1
               : reading_docker(w->crew, &list, "manifest.json", r, ret, err);
}

/* ---- one image ------------------------------------------------------------------------------- */

static int set_layers(struct import_job *j, const struct docker_image *d,
                      const struct oci_image_config *c, struct zl_error *err)
{
    if (c->diff_ids.n != d->layers.n)
        return zl_fail(err, ZL_ERR_INVALID, "the image has %zu layers, but its config lists %zu",
                       d->layers.n, c->diff_ids.n);
    for (size_t i = 0; i < j->n; i++) {
        if (strlen(d->layers.v[i]) >= PATH_MAX)
            return zl_fail(err, ZL_ERR_INVALID, "the path of layer %zu is too long", i + 1);
        memcpy(j->paths[i], d->layers.v[i], strlen(d->layers.v[i]) + 1);
        (void)snprintf(j->layers[i].diff_id, DIGEST_SIZE, "%s", c->diff_ids.v[i]); /* checked */
    }
    return 0;
}

static int import_parts(struct import_job *j, const struct docker_image *d,
                        char digest[DIGEST_SIZE], struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    autoreading struct reading r = READING;
    struct oci_image_config c;
    char config[DIGEST_SIZE];
    if (source_read(j->s, d->config, &text, err) < 0 ||
        reading_config(j->w->crew, &text, "the image config", &r, &c, err) < 0 ||
        import_check_platform(&c, err) < 0 || set_layers(j, d, &c, err) < 0 ||
        import_layers(j, err) < 0 || work_put_blob(j->w, text.data, text.len, config, err) < 0 ||
        import_put_manifest(j->w, config, text.len, j->layers, j->n, digest, err) < 0)
        return -1;
    return import_commit(j->w, digest, j->layers, j->n, err);
}

static int import_one(struct work *w, const struct source *s, const struct docker_image *d,
                      char digest[DIGEST_SIZE], struct zl_error *err)
{
    size_t n = d->layers.n;
    if (!n || n > OCI_LAYERS_MAX)
        return zl_fail(err, ZL_ERR_UNSUPPORTED, "it has %zu layers; 1 to %d are supported", n,
                       OCI_LAYERS_MAX);
    struct import_job j = {
        .w = w, .s = s, .n = n, .layers = layers_new(n, err), .paths = calloc(n, sizeof *j.paths)
    };
    int rc = !j.layers || !j.paths ? zl_fail_errno(err, "import an image")
                                   : import_parts(&j, d, digest, err);
    layers_free(j.layers, n);
    free(j.paths);
    return rc;
}

/* ---- the archive ----------------------------------------------------------------------------- */

/* Whether the image is called this, in whatever spelling. */
static bool has_name(const struct docker_image *d, const char *wanted)
{
    char a[ZL_IMAGEREF_MAX], b[ZL_IMAGEREF_MAX];
    const char *why;
    for (size_t i = 0; i < d->names.n; i++) {
        if (strcmp(d->names.v[i], wanted) == 0)
            return true;
        if (zl_imageref_normalize(wanted, a, &why) == 0 &&
            zl_imageref_normalize(d->names.v[i], b, &why) == 0 && strcmp(a, b) == 0)
            return true;
    }
    return false;
}

static int import_images(struct work *w, const struct source *s, const struct docker_images *list,
                         import_fn done, void *arg, struct zl_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        const struct docker_image *d = &list->v[i];
        const char *names[NAMES_MAX + 1];
        char digest[DIGEST_SIZE];
        size_t n_names = d->names.n < NAMES_MAX ? d->names.n : NAMES_MAX;
        if (s->tag && !has_name(d, s->tag))
            continue;
        for (size_t k = 0; k < n_names; k++)
            names[k] = d->names.v[k];
        names[n_names] = NULL;
        if (import_one(w, s, d, digest, err) < 0)
            return names[0] ? zl_wrap(err, "image '%.200s'", names[0]) : -1;
        if (done(arg, digest, names, err) < 0)
            return -1;
        n++;
    }
    return n ? 0
             : zl_fail(err, ZL_ERR_NOT_FOUND, "the archive holds no image%s%s",
                       s->tag ? " called " : "", s->tag ? s->tag : "");
}

int import_docker(struct work *w, const struct source *s, bool all, import_fn done, void *arg,
                  struct zl_error *err)
{
    autoreading struct reading r = READING;
    struct docker_images list;
    int rc = read_list(w, s, &r, &list, err);
    if (rc == 0 && !all && !s->tag && list.n > 1)
        rc = zl_fail(err, ZL_ERR_CONFLICT,
                     "the archive holds several images; say which by docker-archive:FILE:NAME, or "
                     "load them all");
    if (rc == 0)
        rc = import_images(w, s, &list, done, arg, err);
    return rc < 0 ? zl_wrap(err, "import '%s'", s->path) : 0;
}
