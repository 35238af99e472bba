// SPDX-License-Identifier: Apache-2.0
/* What can be said about and done with a file, without an agent. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "wasm/compile.h"
#include "wasm/engine.h"
#include "wasm/file.h"
#include "wasm/probe.h"

enum { WRONG = 1, BROKEN = 125 };

int wasm_file_open(const char *path, struct wasm_file *ret, struct zl_error *err)
{
    struct stat st;
    zl_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) < 0)
        return zl_fail_errno(err, "open '%s'", path);
    if (!S_ISREG(st.st_mode) || st.st_size == 0 || st.st_size > WASM_SOURCE_MAX)
        return zl_fail(err, ZL_ERR_INVALID, "'%s' is not a file of 1 byte to %d MiB", path,
                       WASM_SOURCE_MAX >> 20);
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return zl_fail_errno(err, "read '%s'", path);
    *ret = (struct wasm_file){ bytes, (size_t)st.st_size };
    return 0;
}

void wasm_file_close(struct wasm_file *f)
{
    if (f->bytes)
        (void)munmap(f->bytes, f->n); /* cannot fail for what mmap gave */
    f->bytes = NULL;
}

static int fail(const char *path, int code, const struct zl_error *err)
{
    (void)fprintf(stderr, "zlayer-wasm: %s: %s\n", path, err->msg);
    return code;
}

/* ---- info ---- */

static void print_import(void *arg, struct probe_name module, struct probe_name name,
                         const char *what)
{
    (void)arg;
    if (module.n)
        (void)printf("import  %-10s %.*s %.*s\n", what, (int)module.n, module.v, (int)name.n,
                     name.v);
    else
        (void)printf("import  %-10s %.*s\n", what, (int)name.n, name.v);
}

static void print_export(void *arg, struct probe_name name, const char *what)
{
    (void)arg;
    (void)printf("export  %-10s %.*s\n", what, (int)name.n, name.v);
}

static void print_memory(const struct probe *p)
{
    if (!p->has_memory)
        return;
    (void)printf("memory  %" PRIu64 " KiB at first, ", p->memory_min * 64);
    if (p->memory_max == UINT64_MAX)
        (void)printf("no maximum of its own\n");
    else
        (void)printf("at most %" PRIu64 " KiB\n", p->memory_max * 64);
}

static const struct probe_events printing = { print_import, print_export };
static const char *const kinds[] = {
    [PROBE_MODULE] = "core module (WASI preview 1)",
    [PROBE_COMPONENT] = "component (WASI preview 2)",
    [PROBE_TEXT] = "text format",
};

static int print_binary(const void *bytes, size_t n, struct zl_error *err)
{
    struct probe p;
    if (probe_bytes(bytes, n, NULL, NULL, &p, err) < 0) /* says nothing of what is broken */
        return -1;
    (void)printf("kind    %s\nsize    %zu bytes\n", kinds[p.kind], n);
    print_memory(&p);
    (void)probe_bytes(bytes, n, &printing, NULL, &p, err); /* as before */
    if (p.partial)
        (void)printf("note    a section holds what this version cannot name\n");
    return 0;
}

static int print_text(const struct wasm_file *f, struct zl_error *err)
{
    zl_autoclose int fd = zl_memory_file("module", NULL, 0, err);
    struct stat st;
    if (fd < 0 || compile_assemble(f->bytes, f->n, fd, err) < 0)
        return -1;
    if (fstat(fd, &st) < 0)
        return zl_fail_errno(err, "hold the module in memory");
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return zl_fail_errno(err, "hold the module in memory");
    (void)printf("text    %zu bytes\n", f->n);
    int rc = print_binary(bytes, (size_t)st.st_size, err);
    (void)munmap(bytes, (size_t)st.st_size); /* cannot fail for what mmap gave */
    return rc;
}

int command_info(const char *path)
{
    struct wasm_file f = { 0 };
    enum probe_kind kind;
    struct zl_error err;

    if (wasm_file_open(path, &f, &err) < 0)
        return fail(path, BROKEN, &err);
    int rc = probe_kind_of(f.bytes, f.n, &kind, &err);
    if (rc == 0) {
        (void)printf("file    %s\n", path);
        rc = kind == PROBE_TEXT ? print_text(&f, &err) : print_binary(f.bytes, f.n, &err);
    }
    wasm_file_close(&f);
    (void)fflush(stdout); /* before what is said on stderr */
    return rc < 0 ? fail(path, WRONG, &err) : 0;
}

/* ---- validate, compile, assemble ---- */

int command_validate(const char *path)
{
    struct wasm_file f = { 0 };
    struct zl_error err;

    if (wasm_file_open(path, &f, &err) < 0)
        return fail(path, BROKEN, &err);
    int rc = compile_validate(f.bytes, f.n, &err);
    wasm_file_close(&f);
    if (rc < 0)
        return fail(path, WRONG, &err);
    (void)printf("%s: valid\n", path);
    return 0;
}

static int compile_to(const struct wasm_file *f, const char *out, struct zl_error *err)
{
    char tmp[CACHE_TMP_SIZE];
    zl_autofree char *folder = strdup(out);
    if (!folder)
        return zl_fail_errno(err, "make '%s'", out);
    char *slash = strrchr(folder, '/');
    const char *name = slash ? out + (slash - folder) + 1 : out;
    if (slash)
        *slash = '\0';
    zl_autoclose int dir = zl_open_dir(AT_FDCWD, slash ? (*folder ? folder : "/") : ".", err);
    zl_autoclose int fd = dir < 0 ? -1 : cache_begin(dir, name, tmp, err);
    if (fd < 0)
        return -1;
    if (compile_into(f->bytes, f->n, WASM_EPOCHS, fd, err) < 0) {
        cache_abandon(dir, tmp);
        return -1;
    }
    return cache_commit(dir, tmp, name, UINT64_MAX, err);
}

int command_compile(const char *path, const char *out)
{
    struct wasm_file f = { 0 };
    struct zl_error err;

    if (wasm_file_open(path, &f, &err) < 0)
        return fail(path, BROKEN, &err);
    int rc = compile_to(&f, out, &err);
    wasm_file_close(&f);
    if (rc < 0)
        return fail(path, WRONG, &err);
    (void)printf("%s: compiled to %s\n", path, out);
    return 0;
}

int command_assemble(const char *path, const char *out)
{
    struct wasm_file f = { 0 };
    struct zl_error err;

    if (wasm_file_open(path, &f, &err) < 0)
        return fail(path, BROKEN, &err);
    zl_autoclose int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int rc =
        fd < 0 ? zl_fail_errno(&err, "make '%s'", out) : compile_assemble(f.bytes, f.n, fd, &err);
    wasm_file_close(&f);
    return rc < 0 ? fail(path, WRONG, &err) : 0;
}
