// SPDX-License-Identifier: Apache-2.0
/*
 * Reading the image store: an OCI image layout (image-spec v1.1, image-layout.md) under
 * <root>/images with blobs by digest, and unpacked layers under <root>/layers/<n>. Light: the agent
 * links it. What writes blobs and layers is zlayer-fetch; the index is written by image_tag() and
 * image_remove() here, by the agent alone, under images/lock.
 */
#ifndef ZL_IMAGE_STORE_H
#define ZL_IMAGE_STORE_H

#include <stdint.h>
#include <sys/types.h>

#include <stdbool.h>

#include "base/error.h"
#include "base/json.h"

struct image_store;

/* root_fd is borrowed for the life of the store; images/ and layers/ are made when missing. */
int image_store_open(int root_fd, struct image_store **ret, struct zl_error *err);
void image_store_free(struct image_store *s);

struct image_config { /* what of the OCI image config shapes a process; strings owned by the image
                       */
    const char *const *entrypoint, *const *cmd, *const *env; /* NULL-terminated; NULL: absent */
    const char *user, *workdir, *stop_signal;                /* NULL: absent */
    const char *architecture, *os;
};

struct image {
    const char *reference;  /* as it was asked for */
    const char *normalized; /* "docker.io/library/busybox:latest" */
    char digest[80];        /* of the manifest, "sha256:…" */
    char resolved[80];      /* what image_tag() kept with the name; "" */
    struct image_config config;
    struct {              /* of a WebAssembly module (wasm.h); digest "": a container's image */
        char digest[80];  /* what names the module: of itself, or of the manifest that has it */
        const char *file; /* in the image; NULL: the module is a blob of its own */
    } wasm;
    const uint32_t *layers; /* short numbers, lowest first */
    size_t n_layers;
    uint64_t size; /* of blobs, bytes */
    int64_t created_ms;
};

/* An image by reference or digest (or a unique prefix of 6 or more hex digits of it). NOT_FOUND
 * when it is not stored; an image whose layers are not all unpacked is INVALID and named. */
int image_find(struct image_store *s, const char *reference, struct image **ret,
               struct zl_error *err);
void image_free(struct image *i);
ZL_DEFINE_CLEANUP(struct image *, image_free)
#define autoimage ZL_CLEANUP(image_freep)

/* O_PATH fd of layers/<n>. */
int image_layer_fd(struct image_store *s, uint32_t layer, struct zl_error *err);
/*
 * A regular file of the image as its first process would see it: the highest layer that has the
 * path wins, whiteouts hide. For /etc/passwd and the like. An O_RDONLY fd, or NOT_FOUND.
 */
int image_open_file(struct image_store *s, const struct image *i, const char *path,
                    struct zl_error *err);

/* The module of an image that is one: an O_RDONLY fd. */
int image_wasm_open(struct image_store *s, const struct image *i, struct zl_error *err);

/* Whether zlayer-fetch has verified a signature of the manifest by this key (signed.h). */
bool image_is_signed(struct image_store *s, const char *digest, const char *key_body);

/* Each entry of the index, until fn answers other than 0. A damaged image comes with its names and
 * digest only: n_layers 0. */
typedef int (*image_fn)(void *arg, const struct image *i);
int image_each(struct image_store *s, image_fn fn, void *arg, struct zl_error *err);

/* Points reference at a manifest that zlayer-fetch stored. What it meant before stays in the index
 * without a name, until image_prune(): a service may still need it. resolved is kept with the name:
 * what the registry means by it, perhaps an index that lists this manifest; NULL: not known. */
int image_tag(struct image_store *s, const char *reference, const char *digest,
              const char *resolved, struct zl_error *err);
/* Forgets the reference; blobs and layers that nothing needs any more go too, but not the layers
 * for which in_use answers true. */
int image_remove(struct image_store *s, const char *reference,
                 int (*in_use)(void *arg, uint32_t layer), void *arg, struct zl_error *err);

struct image_freed { /* or what would be */
    uint64_t bytes;  /* of the disk */
    unsigned images, blobs, layers;
    bool postponed; /* a zlayer-fetch runs: only names went; a later removal takes the rest */
};

struct image_prune {
    bool all;  /* images with names, too */
    bool plan; /* change nothing */
    /* Whether a service, a container or a revision to return to needs it. name NULL: it has none.
     */
    bool (*needed)(void *arg, const char *name, const char *digest);
    int (*in_use)(void *arg, uint32_t layer);
    /* One that goes, or would. */
    void (*gone)(void *arg, const char *name, const char *digest);
    void *arg;
};
/* Forgets images that nobody needs: those without a name, or `all`; and takes all garbage. */
int image_prune(struct image_store *s, const struct image_prune *how, struct image_freed *ret,
                struct zl_error *err);

/*
 * Everything there is to know about an image, for people: names, digest, platform, the config as
 * the image has it, history, and its layers with digest, size, diff id and folder. The caller's to
 * json_decref().
 */
int image_inspect(struct image_store *s, const char *reference, json_t **ret, struct zl_error *err);

#endif
