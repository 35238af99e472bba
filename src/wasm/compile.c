// SPDX-License-Identifier: Apache-2.0
#include "wasm/compile.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "wasm/component.h"
#include "wasm/confine.h"
#include "wasm/engine.h"
#include "wasm/error.h"
#include "wasm/probe.h"

enum { OUT_FD = 3 };

/* Text becomes binary in place of the bytes; binary stays. */
static int assemble(const void **bytes, size_t *n, wasm_byte_vec_t *binary, enum probe_kind *kind,
                    struct zl_error *err)
{
    if (probe_kind_of(*bytes, *n, kind, err) < 0)
        return -1;
    if (*kind != PROBE_TEXT)
        return 0;
    wasmtime_error_t *failed = wasmtime_wat2wasm(*bytes, *n, binary);
    if (failed)
        return wasm_fail_consume(failed, err, "assemble the text");
    *bytes = binary->data;
    *n = binary->size;
    return probe_kind_of(*bytes, *n, kind, err);
}

static int serialize(wasm_engine_t *engine, enum probe_kind kind, const void *bytes, size_t n,
                     wasm_byte_vec_t *code, struct zl_error *err)
{
    wasmtime_module_t *module;

    if (kind == PROBE_COMPONENT)
        return component_compile(engine, bytes, n, code, err);
    wasmtime_error_t *failed = wasmtime_module_new(engine, bytes, n, &module);
    if (!failed) {
        failed = wasmtime_module_serialize(module, code);
        wasmtime_module_delete(module);
    }
    return failed ? wasm_fail_consume(failed, err, "compile") : 0;
}

int compile_into(const void *bytes, size_t n, unsigned variant, int fd, struct zl_error *err)
{
    wasm_byte_vec_t binary = { 0 }, code = { 0 };
    enum probe_kind kind;
    struct probe p;
    wasm_engine_t *engine = engine_new(variant);
    int rc = assemble(&bytes, &n, &binary, &kind, err);

    /* the prober's words are clearer than the compiler's where a file is cut off */
    rc = rc < 0 ? rc : probe_bytes(bytes, n, NULL, NULL, &p, err);
    rc = rc < 0 ? rc : serialize(engine, kind, bytes, n, &code, err);
    rc = rc < 0 ? rc : zl_write_all(fd, code.data, code.size, "compiled module", err);
    const struct cache_entry entry = {
        .kind = kind == PROBE_COMPONENT ? CACHE_COMPONENT : CACHE_MODULE,
        .has_start = rc == 0 && p.has_start,
    };
    rc = rc < 0 ? rc : cache_seal(fd, &entry, err);
    wasm_byte_vec_delete(&code);
    wasm_byte_vec_delete(&binary);
    wasm_engine_delete(engine);
    return rc;
}

int compile_assemble(const void *bytes, size_t n, int fd, struct zl_error *err)
{
    wasm_byte_vec_t binary = { 0 };
    enum probe_kind kind;
    int rc = assemble(&bytes, &n, &binary, &kind, err);

    rc = rc < 0 ? rc : zl_write_all(fd, bytes, n, "module", err);
    wasm_byte_vec_delete(&binary);
    return rc;
}

int compile_validate(const void *bytes, size_t n, struct zl_error *err)
{
    wasm_byte_vec_t binary = { 0 }, code = { 0 };
    enum probe_kind kind;
    struct probe p;
    wasm_engine_t *engine = engine_new(0);
    int rc = assemble(&bytes, &n, &binary, &kind, err);

    rc = rc < 0 ? rc : probe_bytes(bytes, n, NULL, NULL, &p, err);
    if (rc == 0 && kind == PROBE_MODULE) {
        wasmtime_error_t *failed = wasmtime_module_validate(engine, bytes, n);
        rc = failed ? wasm_fail_consume(failed, err, "validate") : 0;
    } else if (rc == 0) { /* the C API validates a component by compiling it */
        rc = serialize(engine, kind, bytes, n, &code, err);
        wasm_byte_vec_delete(&code);
    }
    wasm_byte_vec_delete(&binary);
    wasm_engine_delete(engine);
    return rc;
}

/* ---- the process ---- */

static int map_source(int fd, const void **ret, size_t *ret_n, struct zl_error *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return zl_fail_errno(err, "read the module");
    if (st.st_size <= 0 || st.st_size > WASM_SOURCE_MAX)
        return zl_fail(err, ZL_ERR_INVALID,
                       "it has %jd bytes; at least 1 and at most %d MiB can be compiled",
                       (intmax_t)st.st_size, WASM_SOURCE_MAX >> 20);
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return zl_fail_errno(err, "read the module");
    *ret = bytes;
    *ret_n = (size_t)st.st_size;
    return 0;
}

/* What it works on: 0 the source, 1 what is wrong, 2 the host's stderr, 3 the
 * entry. */
static int settle(const struct compiling *c, struct zl_error *err)
{
    enum { HIGH = 100 };
    int source = fcntl(c->source, F_DUPFD, HIGH), problem = fcntl(c->problem, F_DUPFD, HIGH);
    int out = fcntl(c->out, F_DUPFD, HIGH);

    if (source < 0 || problem < 0 || out < 0 || dup2(problem, 1) < 0 || dup2(source, 0) < 0 ||
        dup2(out, OUT_FD) < 0)
        return zl_fail_errno(err, "keep its files");
    return 0;
}

static int compile_here(const struct compiling *c, struct zl_error *err)
{
    const void *bytes = NULL;
    sigset_t none;
    size_t n = 0;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* nobody would take what it makes */
    if (settle(c, err) < 0 || map_source(0, &bytes, &n, err) < 0 ||
        confine_compiler(c->empty, OUT_FD + 1, err) < 0)
        return -1;
    return compile_into(bytes, n, c->variant, OUT_FD, err);
}

int compile_fork(const struct compiling *c, struct zl_error *err)
{
    struct zl_error why;
    pid_t pid = fork();

    if (pid < 0)
        return zl_fail_errno(err, "fork a compiler");
    if (pid > 0)
        return pid;
    if (compile_here(c, &why) == 0)
        _exit(0);
    (void)zl_write_all(1, why.msg, strlen(why.msg), "stdout", NULL);
    _exit(1);
}
