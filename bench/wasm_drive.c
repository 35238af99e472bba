// SPDX-License-Identifier: Apache-2.0
/*
 * Starts guests through one `zlayer-wasm host` as the agent does, and says how long each took: a
 * line "create-to-start start-to-exit create-to-exit" in microseconds a start. Limits of memory,
 * processor and processes are set, the log is written.
 *
 *   wasm-drive HOST-PROGRAM RUN-FOLDER ROOT-FOLDER CGROUP-PARENT MODULE DIGEST N GAP-MS [LIVE]
 *
 * With LIVE that many guests are started before and wait for their end (stdin); MODULE must read
 * stdin to its end then.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/launch.h"
#include "monitor/client.h"
#include "oci/config.h"
#include "sandbox/plan.h"

struct drive {
    const char *parent;
    int run_fd, state_fd, log_fd;
    struct mon_client *host;
    struct mon_wasm_module module;
    uint64_t op;
    int guest_fd;
};

struct started {
    char id[16];
    struct mon_client *mon;
};

static _Noreturn void die(const struct zl_error *err)
{
    (void)fprintf(stderr, "wasm-drive: %s\n", err->msg);
    exit(1);
}

static int seal(const char *name, const void *bytes, size_t n)
{
    struct zl_error err;
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || zl_write_all(fd, bytes, n, name, &err) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        die(&err);
    return fd;
}

static int make_plan(const struct drive *d, const char *id)
{
    zl_autobuf struct zl_buf text = ZL_BUF(1 << 16), plan = ZL_BUF(PLAN_MAX);
    struct oci_config *config = NULL;
    const struct plan_options o = {
        .id = id, .bundle = "/", .cgroup_parent = d->parent, .join_all = true
    };
    struct zl_error err;

    zl_buf_addf(&text,
                "{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"hello\"],\"env\":[\"A=b\"],"
                "\"cwd\":\"/\",\"user\":{\"uid\":0,\"gid\":0},\"noNewPrivileges\":true},"
                "\"root\":{\"path\":\"/"
                "\"},\"linux\":{\"namespaces\":[{\"type\":\"mount\"}],\"cgroupsPath\":\"%s/c/"
                "%s\",\"resources\":{"
                "\"memory\":{\"limit\":67108864},\"cpu\":{\"quota\":100000,\"period\":100000},"
                "\"pids\":{\"limit\":64}}}}",
                d->parent, id);
    if (oci_config_parse(text.data, text.len, "config.json", &config, &err) < 0 ||
        plan_build(config, &o, &plan, &err) < 0)
        die(&err);
    oci_config_free(config);
    return seal("plan", plan.data, plan.len);
}

static struct mon_message answer(struct mon_client *c, uint64_t op)
{
    struct mon_message m;
    struct zl_error err;

    if (mon_client_await(c, op, zl_mono_ms() + 20000, &m, &err) < 0)
        die(&err);
    return m;
}

static uint64_t send_create(struct drive *d, struct started *s, bool stdin_open)
{
    struct mon_create create = { .flags = stdin_open ? MON_CREATE_STDIN : 0, .n_plan_fds = 1 };
    struct zl_error err;

    if (mkdirat(d->run_fd, s->id, 0711) < 0 || mkdirat(d->state_fd, s->id, 0700) < 0) {
        (void)zl_fail_errno(&err, "make directories of '%s'", s->id);
        die(&err);
    }
    int fds[] = { make_plan(d, s->id), openat(d->run_fd, s->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                  openat(d->state_fd, s->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC), d->log_fd,
                  d->guest_fd };
    (void)snprintf(create.id, sizeof create.id, "%s", s->id);
    (void)snprintf(create.log_name, sizeof create.log_name, "bench.log");
    uint64_t op = ++d->op;
    if (mon_client_send_hello(s->mon, ++d->op, true, NULL, &err) < 0 ||
        mon_client_send_create(s->mon, op, &create, fds, ZL_ARRAY_LEN(fds), &err) < 0)
        die(&err);
    for (int i = 0; i < 3; i++)
        (void)close(fds[i]);
    return op;
}

static struct started take(struct drive *d)
{
    struct started s = { 0 };
    struct zl_error err;
    uint64_t op = ++d->op;
    static uint64_t n;

    zl_id_format(((uint64_t)getpid() << 32) + ++n, s.id);
    if (mon_client_send_wasm_take(d->host, op, &d->module, &err) < 0)
        die(&err);
    struct mon_message m = answer(d->host, op);
    if (mon_client_adopt(m.fd, &s.mon, &err) < 0)
        die(&err);
    return s;
}

static void forget(struct drive *d, struct started *s)
{
    struct zl_error err;
    uint64_t op = ++d->op;

    if (mon_client_send_forget(s->mon, op, &err) < 0)
        die(&err);
    (void)answer(s->mon, op);
    mon_client_free(s->mon);
    (void)unlinkat(d->state_fd, s->id, AT_REMOVEDIR);
}

static void await_exit(struct started *s)
{
    struct mon_message m;
    struct zl_error err;

    do
        if (mon_client_next(s->mon, zl_mono_ms() + 20000, &m, &err) < 0)
            die(&err);
    while (m.type != MON_EV_EXIT);
    if (m.exit.code != 0) {
        (void)zl_fail(&err, ZL_ERR_INVALID, "the guest ended with %d", m.exit.code);
        die(&err);
    }
}

static void start_one(struct drive *d, bool print)
{
    struct started s = take(d);
    struct zl_error err;
    uint64_t t0 = zl_mono_ns();
    (void)answer(s.mon, send_create(d, &s, false));
    uint64_t t1 = zl_mono_ns();
    if (mon_client_send_start(s.mon, ++d->op, &err) < 0)
        die(&err);
    await_exit(&s);
    uint64_t t2 = zl_mono_ns();
    if (print)
        (void)printf("%.1f %.1f %.1f\n", (double)(t1 - t0) / 1e3, (double)(t2 - t1) / 1e3,
                     (double)(t2 - t0) / 1e3);
    forget(d, &s);
}

static struct started start_live(struct drive *d)
{
    struct started s = take(d);
    struct zl_error err;
    uint64_t began = zl_mono_ns();

    (void)answer(s.mon, send_create(d, &s, true));
    uint64_t op = ++d->op;
    if (mon_client_send_start(s.mon, op, &err) < 0)
        die(&err);
    (void)answer(s.mon, op);
    (void)printf("live-start %.1f\n", (double)(zl_mono_ns() - began) / 1e3);
    return s;
}

static void start_host(struct drive *d, char *program, const char *run, const char *root)
{
    zl_autofree char *cache = NULL, *ctl = NULL;
    char verb[] = "host";
    struct zl_child child;
    struct zl_error err;
    int pair[2];

    if (asprintf(&cache, "%s/cache", root) < 0 || asprintf(&ctl, "%s/wasm", run) < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        exit(1);
    zl_autofree char *parent = strdup(d->parent);
    char *const argv[] = { program, verb, ctl, cache, parent, NULL };
    const struct zl_launch l = {
        .program = program, .argv = argv, .fds = { -1, -1, 2, pair[1] }, .n_fds = 4, .session = true
    };
    if (zl_launch(&l, &child, &err) < 0 || mon_client_adopt(pair[0], &d->host, &err) < 0)
        die(&err);
    (void)close(pair[1]);
    if (mon_client_send_hello(d->host, ++d->op, false, NULL, &err) < 0)
        die(&err);
    (void)answer(d->host, d->op);
}

static void prepare(struct drive *d, const char *path, const char *digest)
{
    struct zl_error err;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t op = ++d->op, began = zl_mono_ns();

    d->module.variant = WASM_VARIANT_TIMED;
    (void)memcpy(d->module.digest, digest, WASM_DIGEST_LEN);
    if (mon_client_send_wasm_prepare(d->host, op, &d->module, fd, &err) < 0)
        die(&err);
    struct mon_message m = answer(d->host, op);
    (void)close(fd);
    (void)printf("prepare %.1f %s\n", (double)(zl_mono_ns() - began) / 1e3,
                 m.prepared.compiled ? "compiled" : "cached");
}

int main(int argc, char **argv)
{
    struct drive d = { 0 };
    struct zl_error err;
    struct wasm_guest guest = {
        .magic = WASM_GUEST_MAGIC,
        .version = WASM_GUEST_VERSION,
        .size = sizeof guest,
        .max_memory = 32 << 20,
        .time_ms = 3600 * 1000,
    };

    if (argc < 9)
        return 2;
    zl_autoclose int run = zl_mkdir_p(AT_FDCWD, argv[2], 0755, &err);
    zl_autoclose int root = zl_mkdir_p(AT_FDCWD, argv[3], 0755, &err);
    d.parent = argv[4];
    d.run_fd = zl_mkdir_p(run, "c", 0711, &err);
    d.state_fd = zl_mkdir_p(root, "containers", 0700, &err);
    d.log_fd = zl_mkdir_p(root, "logs", 0700, &err);
    if (d.log_fd < 0)
        die(&err);
    d.guest_fd = seal("guest", &guest, sizeof guest);
    start_host(&d, argv[1], argv[2], argv[3]);
    prepare(&d, argv[5], argv[6]);
    long n = strtol(argv[7], NULL, 10), gap = strtol(argv[8], NULL, 10);
    long n_live = argc > 9 ? strtol(argv[9], NULL, 10) : 0;
    struct started *live = calloc((size_t)n_live + 1, sizeof *live);
    for (long i = 0; i < n_live; i++)
        live[i] = start_live(&d);
    if (n_live) {
        (void)printf("live\n");
        (void)fflush(stdout);
        (void)getchar(); /* whoever measures says when */
    }
    for (long i = 0; i < n; i++) {
        (void)poll(NULL, 0, (int)gap);
        start_one(&d, true);
    }
    for (long i = 0; i < n_live; i++)
        forget(&d, &live[i]);
    (void)mon_client_send_wasm_end(d.host, ++d.op, &err);
    free(live);
    return 0;
}
