// SPDX-License-Identifier: Apache-2.0
#include "wasm/module.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/dir.h"
#include "wasm/component.h"
#include "wasm/error.h"
#include "wasm/wasi/wasi.h"

/* ---- entry points ---- */

static const struct {
    const char *name, *params, *results;
    enum module_entry entry;
} entries[] = {
    { "_start", "", "", ENTRY_START },
    { "main", "", "", ENTRY_MAIN },
    { "main", "", "i", ENTRY_MAIN_CODE },
    { "main", "ii", "i", ENTRY_MAIN_ARGS },
};

/* 'i' for each i32, '?' for anything else. */
static void spell(const wasm_valtype_vec_t *types, char *out, size_t size)
{
    size_t n = types->size < size - 1 ? types->size : size - 1;

    for (size_t i = 0; i < n; i++)
        out[i] = wasm_valtype_kind(types->data[i]) == WASM_I32 ? 'i' : '?';
    out[n] = '\0';
}

static bool is_named(const wasm_exporttype_t *e, const char *name)
{
    const wasm_name_t *n = wasm_exporttype_name(e);
    return n->size == strlen(name) && memcmp(n->data, name, n->size) == 0;
}

static bool fits(const wasm_exporttype_t *e, size_t entry)
{
    char params[8], results[8];
    const wasm_functype_t *f = wasm_externtype_as_functype_const(wasm_exporttype_type(e));

    if (!f || !is_named(e, entries[entry].name))
        return false;
    spell(wasm_functype_params(f), params, sizeof params);
    spell(wasm_functype_results(f), results, sizeof results);
    return strcmp(params, entries[entry].params) == 0 &&
           strcmp(results, entries[entry].results) == 0;
}

static int no_entry(const wasm_exporttype_vec_t *exports, struct zl_error *err)
{
    enum { SHOWN = 20 };
    zl_autobuf struct zl_buf list = ZL_BUF(700);

    for (size_t i = 0; i < exports->size && i < SHOWN; i++) {
        const wasm_name_t *n = wasm_exporttype_name(exports->data[i]);
        zl_buf_addf(&list, "%s%.*s", i ? ", " : "", (int)(n->size < 100 ? n->size : 100), n->data);
    }
    if (exports->size > SHOWN)
        zl_buf_addf(&list, " and %zu more", exports->size - SHOWN);
    return zl_fail(
        err, ZL_ERR_INVALID,
        "no _start or main function found (main may be () -> (), () -> i32 or (i32, i32) "
        "-> i32); it exports %s",
        exports->size ? list.data : "nothing");
}

static int find_entry(const wasmtime_module_t *code, enum module_entry *ret, struct zl_error *err)
{
    wasm_exporttype_vec_t exports;
    int rc = -1;

    wasmtime_module_exports(code, &exports);
    for (size_t k = 0; k < ZL_ARRAY_LEN(entries) && rc < 0; k++)
        for (size_t i = 0; i < exports.size && rc < 0; i++)
            if (fits(exports.data[i], k)) {
                *ret = entries[k].entry;
                rc = 0;
            }
    if (rc < 0)
        rc = no_entry(&exports, err);
    wasm_exporttype_vec_delete(&exports);
    return rc;
}

/* ---- loading ---- */

static int need_engine(struct modules *m, unsigned variant, struct zl_error *err)
{
    if (m->engines[variant])
        return 0;
    wasm_engine_t *engine = engine_new(variant);
    wasmtime_linker_t *linker = wasmtime_linker_new(engine);
    if (wasi_define(linker, err) < 0) {
        wasmtime_linker_delete(linker);
        wasm_engine_delete(engine);
        return -1;
    }
    m->engines[variant] = engine;
    m->linkers[variant] = linker;
    return 0;
}

static void module_free(struct module *m)
{
    if (!m)
        return;
    if (m->pre)
        wasmtime_instance_pre_delete(m->pre);
    if (m->code)
        wasmtime_module_delete(m->code);
    if (m->component)
        zl_component_free(m->component);
    free(m);
}
ZL_DEFINE_CLEANUP(struct module *, module_free)
#define automodule ZL_CLEANUP(module_freep)

static int load_core(struct modules *all, struct module *m, const char *path, struct zl_error *err)
{
    wasmtime_error_t *failed = wasmtime_module_deserialize_file(m->engine, path, &m->code);

    if (failed)
        return wasm_fail_consume(failed, err, "load compiled module");
    if (find_entry(m->code, &m->entry, err) < 0)
        return -1;
    failed = wasmtime_linker_instantiate_pre(all->linkers[m->variant], m->code, &m->pre);
    return failed ? wasm_fail_consume(failed, err, "link") : 0;
}

static int load_component(struct module *m, const char *path, struct zl_error *err)
{
    unsigned worlds = 0;
    wasmtime_error_t *failed = zl_component_load(m->engine, path, &m->component, &worlds);

    if (failed)
        return wasm_fail_consume(failed, err, "load component");
    if (!worlds)
        return zl_fail(err, ZL_ERR_INVALID,
                       "a component must export wasi:cli/run or wasi:http/incoming-handler of "
                       "version 0.2; it exports neither");
    m->entry = worlds & ZL_COMPONENT_HTTP ? ENTRY_HTTP : ENTRY_RUN;
    return 0;
}

/* Which descriptors are open, as bits; what is beyond stays unseen. */
enum { FDS_SEEN = 1 << 16 };
static int list_fds(uint8_t *bits, struct zl_error *err)
{
    zl_autodir DIR *dir = zl_dir_open(AT_FDCWD, "/proc/self/fd");
    const struct dirent *d;

    if (!dir)
        return zl_fail_errno(err, "list the open descriptors");
    while ((d = readdir(dir))) {
        long fd = strtol(d->d_name, NULL, 10); /* "." and ".." are 0, which is open anyway */
        if (fd < FDS_SEEN && fd != dirfd(dir))
            bits[fd / 8] |= (uint8_t)(1 << fd % 8);
    }
    return 0;
}

/* The engine keeps files of a module open and does not tell their numbers; a guest's process, which
 * closes everything that is not its own, must not close those. */
static int load_noting_fds(struct modules *all, struct module *m, enum cache_kind kind,
                           const char *path, struct zl_error *err)
{
    zl_autofree uint8_t *before = calloc(1, FDS_SEEN / 8), *after = calloc(1, FDS_SEEN / 8);

    if (!before || !after)
        return zl_fail_errno(err, "load a module");
    if (list_fds(before, err) < 0)
        return -1;
    if (kind == CACHE_MODULE ? load_core(all, m, path, err) < 0 : load_component(m, path, err) < 0)
        return -1;
    if (list_fds(after, err) < 0)
        return -1;
    for (int fd = 0; fd < FDS_SEEN; fd++)
        if (after[fd / 8] & ~before[fd / 8] & 1 << fd % 8) {
            if (m->n_fds == MODULE_FDS_MAX)
                return zl_fail(err, ZL_ERR_UNSUPPORTED, "the module has more than %d memories",
                               MODULE_FDS_MAX);
            m->fds[m->n_fds++] = fd;
        }
    return 0;
}

static void drop_oldest(struct modules *m)
{
    struct module **at = &m->first;

    while (*at && (*at)->next)
        at = &(*at)->next;
    module_free(*at);
    *at = NULL;
    m->n--;
}

int modules_load(struct modules *all, const char *digest, unsigned variant, int fd,
                 const struct cache_entry *entry, struct module **ret, struct zl_error *err)
{
    char path[64];
    automodule struct module *m = calloc(1, sizeof *m);

    if (!m)
        return zl_fail_errno(err, "load a module");
    if (need_engine(all, variant, err) < 0)
        return -1;
    (void)snprintf(m->digest, sizeof m->digest, "%s", digest);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    m->variant = variant;
    m->engine = all->engines[variant];
    m->has_start = entry->has_start;
    if (load_noting_fds(all, m, entry->kind, path, err) < 0)
        return -1;
    while (all->n >= MODULES_MAX)
        drop_oldest(all);
    m->next = all->first;
    all->first = m;
    all->n++;
    *ret = zl_take_ptr(m);
    return 0;
}

struct module *modules_find(struct modules *all, const char *digest, unsigned variant)
{
    for (struct module **at = &all->first; *at; at = &(*at)->next) {
        struct module *m = *at;
        if (m->variant != variant || strcmp(m->digest, digest) != 0)
            continue;
        *at = m->next;
        m->next = all->first;
        all->first = m;
        return m;
    }
    return NULL;
}

void modules_done(struct modules *all)
{
    while (all->n)
        drop_oldest(all);
    for (size_t i = 0; i < WASM_VARIANTS; i++) {
        if (all->linkers[i])
            wasmtime_linker_delete(all->linkers[i]);
        if (all->engines[i])
            wasm_engine_delete(all->engines[i]);
    }
}
