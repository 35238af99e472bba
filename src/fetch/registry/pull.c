// SPDX-License-Identifier: Apache-2.0
/*
 * Digest first, once: the tag is resolved to a manifest, and from there on everything is asked for
 * by digest, so that a tag that moves meanwhile cannot mix two images.
 *
 *   index ─▶ manifest ─▶ config ─▶ layers, several at a time ─▶ the list of layers
 *                                     and unpacked while they come
 */
#include "fetch/registry/pull.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "fetch/layer/growing.h"
#include "fetch/layer/layer.h"
#include "fetch/parallel.h"
#include "fetch/progress.h"
#include "fetch/registry/arrival.h"
#include "fetch/registry/platform.h"
#include "fetch/registry/signature.h"
#include "image/signed.h"
#include "image/wasm.h"

enum { NESTED_MAX = 3 };

struct part { /* one layer */
    struct arrival arrival;
    struct growing growing; /* what of it may be unpacked */
    bool opened;
    struct progress progress;
};

struct pull {
    struct work *work;
    struct talk *talk;
    const struct order *order;
    struct platform platform;
    char resolved[DIGEST_SIZE]; /* what the reference means: of the manifest, or of an index */
    char digest[DIGEST_SIZE];   /* of the manifest */
    const char *signer;         /* one of the order's keys; NULL: none was asked for */
    struct zl_buf manifest_text, config_text;
    struct reading manifest_reading, config_reading;
    struct oci_manifest manifest;
    struct oci_image_config config;
    bool is_artifact; /* blobs only: nothing is unpacked */
    struct part parts[OCI_LAYERS_MAX];
    struct layer *layers;
    atomic_bool stop; /* those who unpack have given up */
    int unpacked;
    struct zl_error unpack_error;
};

static void pull_free(struct pull *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < OCI_LAYERS_MAX; i++) {
        if (!p->parts[i].opened)
            continue;
        arrival_close(&p->parts[i].arrival);
        growing_done(&p->parts[i].growing);
    }
    layers_free(p->layers, OCI_LAYERS_MAX);
    zl_buf_done(&p->manifest_text);
    zl_buf_done(&p->config_text);
    reading_done(&p->manifest_reading);
    reading_done(&p->config_reading);
    free(p);
}
ZL_DEFINE_CLEANUP(struct pull *, pull_free)

/* ---- documents ------------------------------------------------------------------------------- */

static bool is_index(const char *type)
{
    return strstr(type, "image.index") || strstr(type, "manifest.list");
}

/* The entry for the platform; its bytes replace those of the index. */
static int choose_manifest(struct pull *p, char type[128], struct zl_error *err)
{
    autoreading struct reading r = READING;
    struct oci_index index;
    char wanted[DIGEST_SIZE];
    if (reading_index(p->work->crew, &p->manifest_text, "the index", &r, &index, err) < 0)
        return -1;
    const struct oci_descriptor *d = platform_choose(&p->platform, &index);
    if (!d)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "it has no image for linux/%s",
                       p->platform.architecture);
    (void)snprintf(wanted, sizeof wanted, "%s", d->digest); /* checked: fits */
    zl_buf_reset(&p->manifest_text);
    return talk_manifest(p->talk, wanted, &p->manifest_text, p->digest, type, err);
}

static int get_manifest(struct pull *p, const char *reference, struct zl_error *err)
{
    char type[128];
    if (talk_manifest(p->talk, reference, &p->manifest_text, p->digest, type, err) < 0)
        return -1;
    memcpy(p->resolved, p->digest, sizeof p->resolved);
    for (int depth = 0; is_index(type); depth++) {
        if (depth == NESTED_MAX)
            return zl_fail(err, ZL_ERR_INVALID, "it nests indexes too deep");
        if (choose_manifest(p, type, err) < 0)
            return -1;
    }
    if (strstr(type, "manifest.v1"))
        if (!strstr(type, "oci.image.manifest.v1"))
            return zl_fail(err, ZL_ERR_UNSUPPORTED,
                           "its manifest is of Docker's schema 1, which is obsolete");
    return reading_manifest(p->work->crew, &p->manifest_text, "the manifest", &p->manifest_reading,
                            &p->manifest, err);
}

static int check_config(const struct pull *p, struct zl_error *err)
{
    const struct oci_image_config *c = &p->config;
    const char *wanted = p->platform.architecture;
    if (c->diff_ids.n != p->manifest.layers.n)
        return zl_fail(err, ZL_ERR_INVALID, "it has %zu layers, but its config lists %zu",
                       p->manifest.layers.n, c->diff_ids.n);
    if (image_wasm_entry(c))
        return 0;
    if (c->os && strcmp(c->os, "linux") != 0)
        return zl_fail(err, ZL_ERR_UNSUPPORTED, "it is for '%s', not for linux", c->os);
    if (c->architecture && strcmp(c->architecture, wanted) != 0)
        return zl_fail(err, ZL_ERR_UNSUPPORTED, "it is for '%s', not for '%s'", c->architecture,
                       wanted);
    return 0;
}

static int get_config(struct pull *p, struct zl_error *err)
{
    const struct oci_descriptor *d = &p->manifest.config;
    if (d->size > OCI_DOCUMENT_MAX)
        return zl_fail(err, ZL_ERR_INVALID, "its config has %llu bytes",
                       (unsigned long long)d->size);
    if (talk_document(p->talk, d->digest, d->size, &p->config_text, err) < 0)
        return zl_wrap(err, "the config");
    p->is_artifact = image_wasm_layer(&p->manifest) != NULL;
    if (p->is_artifact)
        return 0;
    if (reading_config(p->work->crew, &p->config_text, "the image config", &p->config_reading,
                       &p->config, err) < 0)
        return -1;
    return check_config(p, err);
}

/* ---- downloading ----------------------------------------------------------------------------- */

static void on_bytes(void *arg, uint64_t n)
{
    struct part *part = arg;
    progress_layer(&part->progress, n);
    growing_add(&part->growing, n);
}

/* An image may have a layer twice: the first part downloads it. */
static size_t first_of(const struct pull *p, size_t i)
{
    const struct oci_descriptor *v = p->manifest.layers.v;
    size_t j = 0;
    while (strcmp(v[j].digest, v[i].digest) != 0)
        j++;
    return j;
}

static int open_parts(struct pull *p, struct zl_error *err)
{
    for (size_t i = 0; i < p->manifest.layers.n; i++) {
        const struct oci_descriptor *d = &p->manifest.layers.v[i];
        struct part *part = &p->parts[i];
        part->progress = (struct progress){ .digest = d->digest, .total = d->size };
        if (work_has_blob(p->work, d->digest) || first_of(p, i) != i)
            continue;
        growing_init(&part->growing);
        part->opened = true;
        if (arrival_open(&part->arrival, p->work, d->digest, d->size, on_bytes, part, err) < 0)
            return -1;
    }
    return 0;
}

/* Asks for it, at first and when something else has come. */
static int step_part(struct pull *p, struct part *part, struct zl_error *err)
{
    struct arrival *a = &part->arrival;
    if (a->state == ARRIVAL_WRONG) {
        part->progress.current = 0;
        arrival_again(a);
        growing_restart(&part->growing);
    }
    if (a->state == ARRIVAL_WANTED)
        return arrival_ask(a, p->talk, err);
    if (a->state == ARRIVAL_COMPLETE)
        growing_end(&part->growing, false);
    if (a->state != ARRIVAL_FAILED)
        return 0;
    *err = a->err;
    return -1;
}

/* How many parts are not complete yet, or -1. */
static int step_parts(struct pull *p, struct zl_error *err)
{
    int open = 0;
    for (size_t i = 0; i < p->manifest.layers.n; i++) {
        struct part *part = &p->parts[i];
        if (!part->opened)
            continue;
        if (step_part(p, part, err) < 0)
            return zl_wrap(err, "layer %zu of %zu", i + 1, p->manifest.layers.n);
        open += part->arrival.state != ARRIVAL_COMPLETE;
    }
    return open;
}

/* What came, to the part that it is of. 1: something else is to be done now. */
static int take_event(struct pull *p, const struct talk_event *e, struct zl_error *err)
{
    for (size_t i = 0; i < p->manifest.layers.n; i++) {
        struct part *part = &p->parts[i];
        if (!part->opened || part->arrival.state != ARRIVAL_COMING || part->arrival.op != e->op)
            continue;
        arrival_take(&part->arrival, e);
        return part->arrival.state != ARRIVAL_COMING;
    }
    return zl_fail(err, ZL_ERR_PROTOCOL, "something comes that nobody has asked for");
}

/* Until all blobs are there, or those who unpack have given up: they say why. */
static int download_all(struct pull *p, struct zl_error *err)
{
    struct talk_event e;
    int open = step_parts(p, err);
    while (open > 0 && !atomic_load(&p->stop)) {
        int rc = talk_next(p->talk, &e, err);
        if (rc > 0)
            rc = take_event(p, &e, err);
        if (rc < 0)
            return -1;
        if (rc > 0)
            open = step_parts(p, err);
    }
    return open < 0 ? -1 : 0;
}

/* ---- unpacking, meanwhile -------------------------------------------------------------------- */

static int unpack_stored(struct pull *p, size_t i, struct zl_error *err)
{
    struct layer *l = &p->layers[i];
    zl_autoclose int fd =
        openat(p->work->store.blobs, layout_hex(l->digest), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return zl_fail_errno(err, "open blob %s", l->digest);
    ZL_CLEANUP(file_input_done) struct file_input file = FILE_INPUT(fd);
    file.stop = &p->stop;
    const struct input in = file_input(&file);
    return layer_unpack(p->work, i, &in, l, err);
}

static int unpack_growing(struct pull *p, size_t i, struct part *part, struct zl_error *err)
{
    for (;;) {
        ZL_CLEANUP(growing_input_done) struct growing_input growing;
        const struct input in =
            growing_input(&growing, &part->growing, part->arrival.fd, part->arrival.size);
        int rc = layer_unpack(p->work, i, &in, &p->layers[i], err);
        /* Whether these were the bytes, also when they could be unpacked, is known at their end. */
        if (!growing_is_anew(&growing))
            return rc;
        if (layer_reset(p->work, &p->layers[i], err) < 0)
            return -1;
    }
}

static int unpack_one(void *arg, size_t i, struct zl_error *err)
{
    struct pull *p = arg;
    struct part *part = &p->parts[first_of(p, i)];
    if (p->layers[i].number) /* was unpacked before: only its blob was missing, if that */
        return 0;
    int rc = part->opened ? unpack_growing(p, i, part, err) : unpack_stored(p, i, err);
    return rc < 0 ? zl_wrap(err, "layer %zu of %zu", i + 1, p->manifest.layers.n) : 0;
}

static void *unpack_all(void *arg)
{
    struct pull *p = arg;
    size_t n = p->is_artifact ? 0 : p->manifest.layers.n;
    p->unpacked = parallel(n, unpack_one, p, &p->stop, &p->unpack_error);
    return NULL;
}

static int prepare_layers(struct pull *p, struct zl_error *err)
{
    size_t n = p->is_artifact ? 0 : p->manifest.layers.n;
    for (size_t i = 0; i < n; i++) { /* both were checked */
        (void)snprintf(p->layers[i].digest, DIGEST_SIZE, "%s", p->manifest.layers.v[i].digest);
        (void)snprintf(p->layers[i].diff_id, DIGEST_SIZE, "%s", p->config.diff_ids.v[i]);
    }
    return layers_find(p->work, p->layers, n, err);
}

/* Nobody waits for what will not come. */
static void end_parts(struct pull *p)
{
    for (size_t i = 0; i < p->manifest.layers.n; i++) {
        if (p->parts[i].opened)
            growing_end(&p->parts[i].growing, true);
    }
}

static int get_layers(struct pull *p, struct zl_error *err)
{
    pthread_t unpacker;
    if (open_parts(p, err) < 0 || prepare_layers(p, err) < 0)
        return -1;
    int rc = pthread_create(&unpacker, NULL, unpack_all, p);
    if (rc) {
        errno = rc;
        return zl_fail_errno(err, "start a thread");
    }
    rc = download_all(p, err);
    end_parts(p);
    (void)pthread_join(unpacker, NULL); /* ours, and joined once */
    if (rc == 0 && p->unpacked < 0) {
        *err = p->unpack_error;
        rc = -1;
    }
    return rc;
}

/* ---- into the store -------------------------------------------------------------------------- */

static int note_signer(const struct pull *p, struct zl_error *err)
{
    char key[SIGNED_KEY_SIZE];
    if (signed_key_body(p->signer, key, err) < 0)
        return -1;
    return signed_note(&p->work->store, p->digest, key, err);
}

static int commit(struct pull *p, struct zl_error *err)
{
    uint32_t numbers[OCI_LAYERS_MAX];
    size_t n = p->is_artifact ? 0 : p->manifest.layers.n;
    char stored[DIGEST_SIZE];
    if (work_put_blob(p->work, p->config_text.data, p->config_text.len, stored, err) < 0 ||
        work_put_blob(p->work, p->manifest_text.data, p->manifest_text.len, stored, err) < 0 ||
        layers_commit(p->work, p->layers, n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        numbers[i] = p->layers[i].number;
    if (layout_write_layers(&p->work->store, p->digest, numbers, n, err) < 0)
        return -1;
    return p->signer ? note_signer(p, err) : 0;
}

/* Before anything else of it is looked at. Who signs an index signs all that it lists. */
static int check_signature(struct pull *p, struct zl_error *err)
{
    const char *const digests[] = { p->resolved, p->digest };
    size_t n = strcmp(p->resolved, p->digest) == 0 ? 1 : 2;
    if (!p->order->keys.n)
        return 0;
    if (signature_check(p->work->crew, p->talk, &p->order->keys, digests, n, &p->signer, err) < 0)
        return zl_wrap(err, "E-IMAGE-SIGNATURE");
    return 0;
}

static int pull_all(struct pull *p, const char *reference, struct zl_error *err)
{
    if (get_manifest(p, reference, err) < 0)
        return -1;
    if (check_signature(p, err) < 0)
        return -1;
    if (get_config(p, err) < 0)
        return -1;
    if (get_layers(p, err) < 0)
        return -1;
    return commit(p, err);
}

static int parse_platform(struct pull *p, char *text, struct zl_error *err)
{
    p->platform = platform_here();
    return text ? platform_parse(text, &p->platform, err) : 0;
}

/* One question (HEAD) instead of the documents. 1: order->have is it; 0: it is not, or nobody could
 * say; -1: the registry is not reached, and will not be for what would follow. */
static int is_still_it(struct talk *t, const struct order *order, const char *reference,
                       struct pulled *ret, struct zl_error *err)
{
    if (!order->have || !order->have_of)
        return 0;
    if (talk_resolve(t, reference, ret->resolved, err) < 0)
        return err->kind == ZL_ERR_UNREACHABLE ? -1 : 0;
    if (strcmp(ret->resolved, order->have_of) != 0)
        return 0;
    (void)snprintf(ret->digest, sizeof ret->digest, "%s", order->have);
    return 1;
}

int pull_image(struct work *w, struct talk *t, const struct order *order,
               const struct zl_imageref *ref, struct pulled *ret, struct zl_error *err)
{
    ZL_CLEANUP(pull_freep) struct pull *p = calloc(1, sizeof *p);
    zl_autofree char *platform = order->platform ? strdup(order->platform) : NULL;
    const char *reference = ref->digest[0] ? ref->digest : ref->tag;
    int rc = is_still_it(t, order, reference, ret, err);
    if (rc != 0)
        return rc > 0 ? 0 : -1;
    if (!p || (order->platform && !platform))
        return zl_fail_errno(err, "pull");
    p->work = w;
    p->talk = t;
    p->order = order;
    p->manifest_text = p->config_text = (struct zl_buf)ZL_BUF(OCI_DOCUMENT_MAX);
    p->manifest_reading = p->config_reading = (struct reading)READING;
    p->layers = layers_new(OCI_LAYERS_MAX, err);
    if (!p->layers || parse_platform(p, platform, err) < 0 || pull_all(p, reference, err) < 0)
        return -1;
    memcpy(ret->digest, p->digest, DIGEST_SIZE);
    memcpy(ret->resolved, p->resolved, DIGEST_SIZE);
    return 0;
}
