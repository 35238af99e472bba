// SPDX-License-Identifier: Apache-2.0
#include "fetch/import/wasmfile.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "image/wasm.h"

enum { MODULE_MAX = 512 << 20, HEAD = 8 };
static const unsigned char magic[4] = { 0, 'a', 's', 'm' };

bool wasmfile_is(int fd)
{
    unsigned char head[HEAD];

    return pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head &&
           memcmp(head, magic, sizeof magic) == 0;
}

/* The layer of the binary's head: 0 is a core module, anything newer a component. */
static bool is_component(const unsigned char *bytes)
{
    return bytes[6] != 0 || bytes[7] != 0;
}

static int put_artifact(struct work *w, const unsigned char *bytes, size_t n, const char *path,
                        char digest[DIGEST_SIZE], struct zl_error *err)
{
    const char *slash = strrchr(path, '/'), *title = slash ? slash + 1 : path;
    char config[DIGEST_SIZE], module[DIGEST_SIZE];
    uint64_t config_size, manifest_size;

    if (work_put_blob(w, bytes, n, module, err) < 0 ||
        import_put_document(w, json_object(), config, &config_size, err) < 0)
        return -1;
    json_t *manifest = json_pack(
        "{s:i, s:s, s:s, s:{s:s, s:s, s:I}, s:[{s:s, s:s, s:I, s:{s:s}}]}", "schemaVersion", 2,
        "mediaType", OCI_MANIFEST_TYPE, "artifactType",
        is_component(bytes) ? WASM_COMPONENT_TYPE : WASM_MODULE_TYPE, "config", "mediaType",
        WASM_CONFIG_TYPE, "digest", config, "size", (json_int_t)config_size, "layers", "mediaType",
        WASM_LAYER_TYPE, "digest", module, "size", (json_int_t)n, "annotations", OCI_TITLE, title);
    if (import_put_document(w, manifest, digest, &manifest_size, err) < 0 ||
        work_commit(w, NULL, 0, err) < 0)
        return -1;
    return layout_write_layers(&w->store, digest, NULL, 0, err); /* nothing of it is unpacked */
}

int wasmfile_import(struct work *w, const struct source *s, import_fn done, void *arg,
                    struct zl_error *err)
{
    static const char *const no_names[] = { NULL };
    char digest[DIGEST_SIZE];
    struct stat st;

    if (fstat(s->fd, &st) < 0)
        return zl_fail_errno(err, "import '%s'", s->path);
    if (st.st_size > MODULE_MAX)
        return zl_fail(err, ZL_ERR_INVALID, "import '%s': a module has at most %d MiB", s->path,
                       MODULE_MAX >> 20);
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, s->fd, 0);
    if (bytes == MAP_FAILED)
        return zl_fail_errno(err, "import '%s'", s->path);
    int rc = put_artifact(w, bytes, (size_t)st.st_size, s->path, digest, err);
    (void)munmap(bytes, (size_t)st.st_size); /* cannot fail for what mmap gave */
    return rc < 0 ? zl_wrap(err, "import '%s'", s->path) : done(arg, digest, no_names, err);
}
