// SPDX-License-Identifier: Apache-2.0
/* The guest in this process. Compiles in it too: for files of one's own, not of strangers. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "wasm/compile.h"
#include "wasm/component.h"
#include "wasm/file.h"
#include "wasm/give.h"
#include "wasm/instance.h"

enum { PREOPENS_MAX = 16, ENV_MAX = 64 };

struct direct {
    struct wasi_preopen preopens[PREOPENS_MAX];
    size_t n_preopens, n_env;
    struct given given; /* its sockets */
    bool network;
    uint64_t request_timeout_ms;
    const char *env[ENV_MAX + 1];
    struct instance instance;
    const char *file;
    char **args;
};

static uint64_t number(const char *text)
{
    return strtoull(text, NULL, 10); /* of a developer; nonsense is 0, no limit */
}

/* HOST::GUEST, or HOST::GUEST::ro */
static int add_preopen(struct direct *d, char *text, struct zl_error *err)
{
    char *guest = strstr(text, "::"), *mode = guest ? strstr(guest + 2, "::") : NULL;

    if (!guest || d->n_preopens == PREOPENS_MAX)
        return zl_fail(err, ZL_ERR_INVALID, "--dir '%s' is not HOST::GUEST[::ro]", text);
    *guest = '\0';
    if (mode)
        *mode = '\0';
    struct wasi_preopen *p = &d->preopens[d->n_preopens];
    *p = (struct wasi_preopen){ .name = guest + 2, .readonly = mode != NULL };
    p->fd = open(text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->fd < 0)
        return zl_fail_errno(err, "open '%s'", text);
    d->n_preopens++;
    return 0;
}

static int add_socket(struct direct *d, const char *value, struct zl_error *err)
{
    const struct wasm_listen where = { .address = { 127, 0, 0, 1 },
                                       .port = (uint16_t)number(value) };
    return give_socket(&d->given, &where, err);
}

static void limit_memory(struct instance *i, uint64_t bytes)
{
    i->max_memory = bytes;
    i->max_tables = bytes / WASM_TABLE_ELEMENT;
}

static int take_option(struct direct *d, const char *name, char *value, struct zl_error *err)
{
    if (strcmp(name, "--dir") == 0)
        return add_preopen(d, value, err);
    if (strcmp(name, "--listen") == 0)
        return add_socket(d, value, err);
    if (strcmp(name, "--env") == 0 && d->n_env < ENV_MAX)
        d->env[d->n_env++] = value;
    else if (strcmp(name, "--memory") == 0)
        limit_memory(&d->instance, number(value));
    else if (strcmp(name, "--fuel") == 0)
        d->instance.max_fuel = number(value);
    else if (strcmp(name, "--time") == 0)
        d->instance.time_ms = number(value);
    else if (strcmp(name, "--request-time") == 0)
        d->request_timeout_ms = number(value);
    else if (strcmp(name, "--network") == 0)
        d->network = number(value);
    else
        return zl_fail(err, ZL_ERR_INVALID, "unknown option '%s'", name);
    return 0;
}

static int parse(struct direct *d, int argc, char **argv, struct zl_error *err)
{
    int i = 0;

    for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2)
        if (take_option(d, argv[i], argv[i + 1], err) < 0)
            return -1;
    if (i >= argc)
        return zl_fail(err, ZL_ERR_INVALID, "no file of a module was given");
    d->file = argv[i];
    d->args = argv + i;
    return 0;
}

static int compile_here(const struct direct *d, unsigned variant, struct cache_entry *entry,
                        struct zl_error *err)
{
    struct wasm_file f = { 0 };
    zl_autoclose int fd = zl_memory_file("module", NULL, 0, err);

    if (fd < 0 || wasm_file_open(d->file, &f, err) < 0)
        return -1;
    int rc = compile_into(f.bytes, f.n, variant, fd, err);
    if (rc == 0)
        rc = cache_entry_of(fd, entry, err);
    wasm_file_close(&f);
    return rc < 0 ? -1 : zl_take_fd(&fd);
}

static int run(struct direct *d, struct zl_error *err)
{
    static struct modules modules;
    struct module *module;
    struct cache_entry entry;
    unsigned variant = WASM_EPOCHS | (d->instance.max_fuel ? WASM_FUEL : 0);
    zl_autoclose int code = compile_here(d, variant, &entry, err);

    if (code < 0 || modules_load(&modules, "direct", variant, code, &entry, &module, err) < 0)
        return -1;
    d->instance.module = module;
    d->instance.wasi = (struct wasi_config){ .argv = (const char *const *)d->args,
                                             .env = d->env,
                                             .preopens = d->preopens,
                                             .n_preopens = d->n_preopens,
                                             .sockets = d->given.sockets,
                                             .n_sockets = d->given.n_sockets };
    const struct component_terms terms = {
        .tcp = d->network,
        .udp = d->network,
        .outgoing_http = d->network,
        .request_timeout_ms = d->request_timeout_ms,
        .max_requests = 10,
    };
    if (module->component && component_prepare(&d->instance, &terms, err) < 0)
        return -1;
    instance_run(instance_prepare(&d->instance), -1);
}

int command_direct(int argc, char **argv)
{
    static struct direct d;
    struct zl_error err;

    if (parse(&d, argc, argv, &err) < 0 || run(&d, &err) < 0)
        (void)fprintf(stderr, "zlayer-wasm: %s: %s\n", d.file ? d.file : "direct", err.msg);
    return INSTANCE_BROKEN;
}
