// SPDX-License-Identifier: Apache-2.0
/*
 * The form: numbers of 64 bits as they lie, texts as a number of 32 bits, how many bytes with the
 * NUL, 0 for none at all, and the bytes; lists as their count and their elements. Which follow each
 * other is the order of the put_ and take_ functions, which stand in pairs.
 */
#include "fetch/crew/reading.h"

#include <string.h>

#include "fetch/crew/crew.h"

/* What of annotations is looked at; the others stay behind. */
static const char *const annotations[] = { OCI_REF_NAME, OCI_CONTAINERD_NAME, COSIGN_SIGNATURE,
                                           COSIGN_KIND };

enum { TEXT_BYTES = sizeof(uint32_t) };

/* ---- numbers and texts ----------------------------------------------------------------------- */

static void put_number(struct zl_buf *b, uint64_t v)
{
    zl_buf_add(b, &v, sizeof v);
}

static void put_text(struct zl_buf *b, const char *text)
{
    uint32_t n = text ? (uint32_t)strlen(text) + 1 : 0; /* of a document: 4 MiB at most */
    zl_buf_add(b, &n, sizeof n);
    zl_buf_add(b, text, n);
}

struct cursor {
    const char *at;
    size_t left;
    struct zl_arena *arena;
    bool damaged; /* then nothing that was taken means anything */
};

static bool take(struct cursor *c, void *to, size_t n)
{
    if (c->damaged || c->left < n) {
        c->damaged = true;
        return false;
    }
    memcpy(to, c->at, n);
    c->at += n;
    c->left -= n;
    return true;
}

static uint64_t take_number(struct cursor *c)
{
    uint64_t v = 0;
    return take(c, &v, sizeof v) ? v : 0;
}

/* NULL: there is none. */
static const char *take_text(struct cursor *c)
{
    uint32_t n = 0;
    const char *text;
    if (!take(c, &n, sizeof n) || n == 0)
        return NULL;
    if (n > c->left || strnlen(c->at, n) != n - 1) {
        c->damaged = true;
        return NULL;
    }
    text = c->at;
    c->at += n;
    c->left -= n;
    return text;
}

/* One that has to be there: never NULL. */
static const char *take_some(struct cursor *c)
{
    const char *text = take_text(c);
    c->damaged |= !text;
    return text ? text : "";
}

static const char *take_digest(struct cursor *c)
{
    const char *text = take_some(c);
    c->damaged |= !oci_digest_valid(text);
    return text;
}

/* How many elements follow, each of which takes `least` bytes or more, and room for them and one
 * more, size bytes each; NULL: damaged. */
static void *take_count(struct cursor *c, size_t least, size_t size, size_t *ret)
{
    uint64_t n = take_number(c);
    void *room =
        !c->damaged && n <= c->left / least ? zl_arena_array(c->arena, (size_t)n + 1, size) : NULL;
    c->damaged |= !room;
    *ret = room ? (size_t)n : 0;
    return room;
}

static void put_texts(struct zl_buf *b, const struct zl_strs *s)
{
    put_number(b, s->n);
    for (size_t i = 0; i < s->n; i++)
        put_text(b, s->v[i]);
}

static void take_texts(struct cursor *c, const char *(*one)(struct cursor *c), struct zl_strs *ret)
{
    ret->v = take_count(c, TEXT_BYTES, sizeof *ret->v, &ret->n);
    for (size_t i = 0; i < ret->n; i++)
        ret->v[i] = one(c);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static void put_descriptor(struct zl_buf *b, const struct oci_descriptor *d)
{
    put_number(b, d->size);
    put_text(b, d->digest);
    put_text(b, d->media_type);
    put_text(b, d->platform.architecture);
    put_text(b, d->platform.os);
    put_text(b, d->platform.variant);
    for (size_t i = 0; i < ZL_ARRAY_LEN(annotations); i++)
        put_text(b, oci_annotation(d, annotations[i]));
}

enum { DESCRIPTOR_BYTES = sizeof(uint64_t) + (5 + ZL_ARRAY_LEN(annotations)) * TEXT_BYTES };

static void take_annotations(struct cursor *c, struct zl_pairs *ret)
{
    ret->n = 0;
    ret->v = zl_arena_array(c->arena, ZL_ARRAY_LEN(annotations), sizeof *ret->v);
    c->damaged |= !ret->v;
    for (size_t i = 0; i < ZL_ARRAY_LEN(annotations); i++) {
        const char *value = take_text(c);
        if (value && !c->damaged)
            ret->v[ret->n++] = (struct zl_pair){ annotations[i], value };
    }
}

static void take_descriptor(struct cursor *c, struct oci_descriptor *ret)
{
    ret->size = take_number(c);
    c->damaged |= ret->size > INT64_MAX; /* offsets of files are signed */
    ret->digest = take_digest(c);
    ret->media_type = take_text(c);
    ret->platform.architecture = take_text(c);
    ret->platform.os = take_text(c);
    ret->platform.variant = take_text(c);
    take_annotations(c, &ret->annotations);
}

static void put_descriptors(struct zl_buf *b, const struct oci_descriptors *d)
{
    put_number(b, d->n);
    for (size_t i = 0; i < d->n; i++)
        put_descriptor(b, &d->v[i]);
}

static void take_descriptors(struct cursor *c, struct oci_descriptors *ret)
{
    ret->v = take_count(c, DESCRIPTOR_BYTES, sizeof *ret->v, &ret->n);
    for (size_t i = 0; i < ret->n && !c->damaged; i++)
        take_descriptor(c, &ret->v[i]);
}

/* ---- documents ------------------------------------------------------------------------------- */

static int put_index(const char *bytes, size_t n, const char *what, struct zl_buf *found,
                     struct zl_error *err)
{
    zl_autojson struct zl_json doc = { 0 };
    struct oci_index index;
    if (oci_index_parse(&doc, bytes, n, what, &index, err) < 0)
        return -1;
    put_descriptors(found, &index.manifests);
    return 0;
}

static void take_index(struct cursor *c, void *ret)
{
    struct oci_index *index = ret;
    take_descriptors(c, &index->manifests);
}

static int put_manifest(const char *bytes, size_t n, const char *what, struct zl_buf *found,
                        struct zl_error *err)
{
    zl_autojson struct zl_json doc = { 0 };
    struct oci_manifest m;
    if (oci_manifest_parse(&doc, bytes, n, what, &m, err) < 0)
        return -1;
    put_text(found, m.media_type);
    put_text(found, m.artifact_type);
    put_descriptor(found, &m.config);
    put_descriptors(found, &m.layers);
    return 0;
}

static void take_manifest(struct cursor *c, void *ret)
{
    struct oci_manifest *m = ret;
    m->media_type = take_text(c);
    m->artifact_type = take_text(c);
    take_descriptor(c, &m->config);
    take_descriptors(c, &m->layers);
    c->damaged |= m->layers.n == 0 || m->layers.n > OCI_LAYERS_MAX;
}

static int put_config(const char *bytes, size_t n, const char *what, struct zl_buf *found,
                      struct zl_error *err)
{
    zl_autojson struct zl_json doc = { 0 };
    struct oci_image_config config;
    if (oci_image_config_parse(&doc, bytes, n, what, &config, err) < 0)
        return -1;
    const struct zl_strs *command =
        config.config.entrypoint.n ? &config.config.entrypoint : &config.config.cmd;
    const struct zl_strs first = { command->v, command->n ? 1 : 0 };
    put_text(found, config.architecture);
    put_text(found, config.os);
    put_texts(found, &first);
    put_texts(found, &config.diff_ids);
    return 0;
}

static void take_config(struct cursor *c, void *ret)
{
    struct oci_image_config *config = ret;
    config->architecture = take_text(c);
    config->os = take_text(c);
    take_texts(c, take_some, &config->config.entrypoint);
    take_texts(c, take_digest, &config->diff_ids);
}

static int put_docker(const char *bytes, size_t n, const char *what, struct zl_buf *found,
                      struct zl_error *err)
{
    zl_autojson struct zl_json doc = { 0 };
    struct docker_images images;
    if (docker_images_parse(&doc, bytes, n, what, &images, err) < 0)
        return -1;
    put_number(found, images.n);
    for (size_t i = 0; i < images.n; i++) {
        put_text(found, images.v[i].config);
        put_texts(found, &images.v[i].names);
        put_texts(found, &images.v[i].layers);
    }
    return 0;
}

static void take_docker(struct cursor *c, void *ret)
{
    enum { IMAGE_BYTES = TEXT_BYTES + 2 * sizeof(uint64_t) };
    struct docker_images *images = ret;
    images->v = take_count(c, IMAGE_BYTES, sizeof *images->v, &images->n);
    for (size_t i = 0; i < images->n && !c->damaged; i++) {
        images->v[i].config = take_some(c);
        take_texts(c, take_some, &images->v[i].names);
        take_texts(c, take_some, &images->v[i].layers);
    }
}

/* ---- the halves ------------------------------------------------------------------------------ */

union document {
    struct oci_index index;
    struct oci_manifest manifest;
    struct oci_image_config config;
    struct docker_images docker;
};

/* clang-format off */
static const struct {
    int (*put)(const char *bytes, size_t n, const char *what, struct zl_buf *found, struct zl_error *err);
    void (*take)(struct cursor *c, void *ret);
    size_t size; /* of the struct */
} kinds[READING_KINDS] = {
    [READING_INDEX]    = { put_index,    take_index,    sizeof(struct oci_index) },
    [READING_MANIFEST] = { put_manifest, take_manifest, sizeof(struct oci_manifest) },
    [READING_CONFIG]   = { put_config,   take_config,   sizeof(struct oci_image_config) },
    [READING_DOCKER]   = { put_docker,   take_docker,   sizeof(struct docker_images) },
};
/* clang-format on */

int reading_find(enum reading_kind kind, const char *bytes, size_t n, const char *what,
                 struct zl_buf *found, struct zl_error *err)
{
    return kinds[kind].put(bytes, n, what, found, err) < 0 ? -1 : zl_buf_check(found, what, err);
}

int reading_take(enum reading_kind kind, struct reading *r, void *ret, struct zl_error *err)
{
    struct cursor c = { r->found.data, r->found.len, &r->arena, false };
    union document document;
    memset(&document, 0, sizeof document);
    kinds[kind].take(&c, &document);
    if (r->arena.failed)
        return zl_fail(err, ZL_ERR_SYSTEM, "read a document: out of memory");
    if (c.damaged || c.left)
        return zl_fail(err, ZL_ERR_PROTOCOL, "the process that reads the document talks nonsense");
    memcpy(ret, &document, kinds[kind].size);
    return 0;
}

/* ---- by a hand ------------------------------------------------------------------------------- */

static int read_by_hand(const struct crew *c, enum reading_kind kind, const struct zl_buf *text,
                        const char *what, struct reading *r, void *ret, struct zl_error *err)
{
    if (crew_read(c, kind, text, what, &r->found, err) < 0)
        return -1;
    return reading_take(kind, r, ret, err) < 0 ? zl_wrap(err, "%s", what) : 0;
}

int reading_index(const struct crew *c, const struct zl_buf *text, const char *what,
                  struct reading *r, struct oci_index *ret, struct zl_error *err)
{
    return read_by_hand(c, READING_INDEX, text, what, r, ret, err);
}

int reading_manifest(const struct crew *c, const struct zl_buf *text, const char *what,
                     struct reading *r, struct oci_manifest *ret, struct zl_error *err)
{
    return read_by_hand(c, READING_MANIFEST, text, what, r, ret, err);
}

int reading_config(const struct crew *c, const struct zl_buf *text, const char *what,
                   struct reading *r, struct oci_image_config *ret, struct zl_error *err)
{
    return read_by_hand(c, READING_CONFIG, text, what, r, ret, err);
}

int reading_docker(const struct crew *c, const struct zl_buf *text, const char *what,
                   struct reading *r, struct docker_images *ret, struct zl_error *err)
{
    return read_by_hand(c, READING_DOCKER, text, what, r, ret, err);
}
