// SPDX-License-Identifier: Apache-2.0
/* login, logout. */
#include "cli/image/login.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>

#include "base/fd.h"
#include "base/imageref.h"
#include "cli/cli.h"
#include "image/credentials.h"

#define HUB "docker.io"
enum { PASSWORD_MAX = 64 * 1024 };

struct login_options {
    const char *username, *password;
    bool from_stdin;
};

static json_t *as_json(const struct credentials *c)
{
    return json_pack("{s:s*, s:s*, s:s*}", "username", c->username, "password", c->password,
                     "identity_token", c->identity_token);
}

int login_for_image(const char *reference, json_t **ret, struct zl_error *err)
{
    struct zl_imageref r;
    const char *why;
    autocredentials struct credentials c = { 0 };
    *ret = NULL;
    if (zl_imageref_parse(reference, &r, &why) < 0) /* the agent says what is wrong with it */
        return 0;
    const char *by_default = getenv("ZLAYER_DEFAULT_REGISTRY");
    const char *registry = !r.qualified && by_default && *by_default ? by_default : r.registry;
    if (credentials_find(registry, &c, err) < 0)
        return zl_wrap(err, "find the credentials for %s", registry);
    if (!c.username && !c.identity_token)
        return 0;
    *ret = as_json(&c);
    return *ret ? 0
                : zl_fail(err, ZL_ERR_INVALID, "the credentials for %s are not UTF-8", registry);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static int read_line(struct zl_buf *out, struct zl_error *err)
{
    char c;
    ssize_t n;
    while ((n = read(STDIN_FILENO, &c, 1)) > 0 && c != '\n')
        zl_buf_addc(out, c);
    if (n < 0)
        return zl_fail_errno(err, "read from stdin");
    return zl_buf_check(out, "the answer", err);
}

/* Until a line was typed, or one of the blocked signals waits. */
static int await_line(const sigset_t *blocked, struct zl_error *err)
{
    zl_autoclose int signals = signalfd(-1, blocked, SFD_CLOEXEC);
    struct pollfd p[] = { { .fd = STDIN_FILENO, .events = POLLIN },
                          { .fd = signals, .events = POLLIN } };
    if (signals < 0 || poll(p, ZL_ARRAY_LEN(p), -1) < 0)
        return zl_fail_errno(err, "wait for the password");
    return p[1].revents ? zl_fail(err, ZL_ERR_CANCELLED, "interrupted") : 0;
}

/* What is typed is not shown. A signal that ends us does so when the terminal shows again. */
static int read_secret(const struct termios *shown, struct zl_buf *out, struct zl_error *err)
{
    static const int ends[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP };
    struct termios hidden = *shown;
    sigset_t blocked, before;
    (void)sigemptyset(&blocked);
    for (size_t i = 0; i < ZL_ARRAY_LEN(ends); i++)
        (void)sigaddset(&blocked, ends[i]);
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    (void)sigprocmask(SIG_BLOCK, &blocked, &before);   /* cannot fail with these arguments */
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden); /* else it is seen: still a password */
    int rc = await_line(&blocked, err);
    if (rc == 0)
        rc = read_line(out, err);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, shown);
    (void)fputc('\n', stderr);
    (void)sigprocmask(SIG_SETMASK, &before, NULL); /* what waits ends us here */
    return rc;
}

/* Asks on the terminal. */
static int ask(const char *what, bool secret, struct zl_buf *out, struct zl_error *err)
{
    struct termios shown;
    bool is_terminal = tcgetattr(STDIN_FILENO, &shown) == 0;
    if (!is_terminal)
        return zl_fail(err, ZL_ERR_INVALID,
                       "there is no terminal to ask for the %s on: use -u and --password-stdin",
                       what);
    (void)fprintf(stderr, "%s: ", what);
    return secret ? read_secret(&shown, out, err) : read_line(out, err);
}

static int ask_for_credentials(const struct login_options *o, struct credentials *c,
                               struct zl_error *err)
{
    zl_autobuf struct zl_buf name = ZL_BUF(1024), password = ZL_BUF(PASSWORD_MAX);
    if (o->username)
        zl_buf_adds(&name, o->username);
    else if (ask("user name", false, &name, err) < 0)
        return -1;
    if (o->password)
        zl_buf_adds(&password, o->password);
    else if (o->from_stdin ? zl_read_fd(STDIN_FILENO, &password, "stdin", err) < 0
                           : ask("password", true, &password, err) < 0)
        return -1;
    while (o->from_stdin && password.len && strchr("\r\n", password.data[password.len - 1]))
        password.data[--password.len] = '\0';
    if (!name.len || !password.len)
        return zl_fail(err, ZL_ERR_INVALID, "the %s is empty", name.len ? "password" : "user name");
    if (strchr(name.data, ':'))
        return zl_fail(err, ZL_ERR_INVALID, "a user name holds no ':'");
    c->username = zl_buf_steal(&name);
    c->password = zl_buf_steal(&password);
    return c->username && c->password ? 0 : zl_fail(err, ZL_ERR_SYSTEM, "out of memory");
}

/* ---- the commands ---------------------------------------------------------------------------- */

static const char *registry_of(int argc, char **argv)
{
    const char *said = argc ? argv[0] : HUB;
    return strcmp(said, "index.docker.io") == 0 ? HUB : said;
}

static int check_registry(const char *registry, struct zl_error *err)
{
    zl_autofree char *reference = NULL;
    struct zl_imageref r;
    const char *why = "out of memory";
    if (asprintf(&reference, "%s/login", registry) < 0 ||
        zl_imageref_parse(reference, &r, &why) < 0 || strcmp(r.registry, registry) != 0)
        return zl_fail(err, ZL_ERR_INVALID, "'%s' is no registry: HOST[:PORT]", registry);
    return 0;
}

static int login_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const char *registry = registry_of(argc, argv);
    autocredentials struct credentials c = { 0 };
    struct zl_error err = { 0 };
    char where[4200];
    if (check_registry(registry, &err) < 0 || ask_for_credentials(options, &c, &err) < 0)
        return cli_fail(&err);
    json_t *body = json_pack("{s:s, s:o}", "registry", registry, "login", as_json(&c));
    int rc = body ? cli_call(cli, "POST", "/api/v1/registries/login", NULL, NULL, body, NULL, &err)
                  : zl_fail(&err, ZL_ERR_INVALID, "the name or the password is not UTF-8");
    json_decref(body);
    if (rc < 0 || credentials_keep(registry, &c, where, sizeof where, &err) < 0)
        return cli_fail(&err);
    (void)printf("logged in to %s; kept in %s\n", registry, where);
    return CLI_OK;
}

static int logout_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const char *registry = registry_of(argc, argv);
    struct zl_error err = { 0 };
    (void)cli;
    (void)options;
    if (credentials_forget(registry, &err) < 0)
        return cli_fail(&err);
    (void)printf("logged out of %s\n", registry);
    return CLI_OK;
}

/* clang-format off */
static const struct cli_option login_options[] = {
    { 'u', "username",       CLI_STRING, offsetof(struct login_options, username),   "NAME", "instead of asking", NULL },
    { 'p', "password",       CLI_STRING, offsetof(struct login_options, password),   "TEXT", "instead of asking; others see it in the list of processes", NULL },
    { 0,   "password-stdin", CLI_FLAG,   offsetof(struct login_options, from_stdin), NULL,   "read it from stdin", NULL },
    { 0 },
};
/* clang-format on */

const struct cli_command login_command = {
    .name = "login",
    .group = GROUP_IMAGE,
    .args = "[REGISTRY]",
    .summary = "Check a name and password at a registry, and keep them",
    .examples = "zlayer login registry.example.net\n"
                "pass show registry | zlayer login -u me --password-stdin registry.example.net",
    .options = login_options,
    .options_size = sizeof(struct login_options),
    .max_args = 1,
    .run = login_run,
};

const struct cli_command logout_command = {
    .name = "logout",
    .group = GROUP_IMAGE,
    .args = "[REGISTRY]",
    .summary = "Forget the name and password for a registry",
    .max_args = 1,
    .run = logout_run,
};
