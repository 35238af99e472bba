// SPDX-License-Identifier: Apache-2.0
/* wasm info, validate, compile: zlayer-wasm does it, which holds the compiler. */
#include "cli/image/wasm.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/hash.h"
#include "base/helper.h"
#include "base/imageref.h"
#include "cli/output.h"

/* ---- zlayer-wasm --------------------------------------------------------------------------- */

static int find_program(char **ret, struct zl_error *err)
{
    if (zl_helper_path("zlayer-wasm", ret, err) == 0)
        return 0;
    return zl_wrap(err, "WebAssembly is not part of this build (meson option wasm)");
}

/* In our place: what it prints and its exit code are ours. */
static int become(const char *verb, const char *a, const char *b)
{
    struct zl_error err;
    zl_autofree char *program = NULL;
    if (find_program(&program, &err) < 0)
        return cli_fail(&err);
    (void)execl(program, "zlayer-wasm", verb, a, b, (char *)NULL);
    (void)zl_fail_errno(&err, "execute '%s'", program);
    return cli_fail(&err);
}

static int assemble(const char *text, const char *out, struct zl_error *err)
{
    zl_autofree char *program = NULL;
    int status = -1;
    if (find_program(&program, err) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        (void)execl(program, "zlayer-wasm", "assemble", text, out, (char *)NULL);
        _exit(CLI_RUN_OURS);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return zl_fail_errno(err, "assemble '%s'", text);
    return status == 0 ? 0 : zl_fail(err, ZL_ERR_INVALID, "'%s' is not the text of a module", text);
}

/* ---- run FILE.wasm ------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

static bool is_plain(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* "My  App" as a part of an image's name: "my-app"; a name that has no end of its own: "module". */
static void add_plain(struct zl_buf *out, const char *name, size_t n)
{
    if (n == 0 || !is_plain(name[0]) || !is_plain(name[n - 1])) {
        zl_buf_adds(out, "module");
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (is_plain(name[i]))
            zl_buf_addc(out, (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 0x20 : name[i]));
        else if (is_plain(name[i - 1]))
            zl_buf_addc(out, '-');
}

static int hash_of(const char *path, int fd, uint64_t *ret, struct zl_error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return zl_fail_errno(err, "read '%s'", path);
    if (!S_ISREG(st.st_mode) || st.st_size <= 0)
        return zl_fail(err, ZL_ERR_INVALID, "'%s' is not a file with a module", path);
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return zl_fail_errno(err, "read '%s'", path);
    *ret = zl_hash_bytes(ZL_HASH_START, bytes, (size_t)st.st_size);
    (void)munmap(bytes, (size_t)st.st_size); /* cannot fail for what mmap gave */
    return 0;
}

/* Of a name that ends so nobody expects another kind of image. */
static int check_magic(const char *path, int fd, struct zl_error *err)
{
    static const char magic[] = { '\0', 'a', 's', 'm' };
    char begin[sizeof magic];
    if (!ends_with(path, ".wasm") || (pread(fd, begin, sizeof begin, 0) == (ssize_t)sizeof begin &&
                                      memcmp(begin, magic, sizeof magic) == 0))
        return 0;
    return zl_fail(err, ZL_ERR_INVALID, "'%s' is no WebAssembly: it does not begin with \"\\0asm\"",
                   path);
}

/* "/srv/My App.wasm" and its bytes: "localhost/my-app:<hash>". The hash keeps versions of a file
 * apart; which one is meant says the digest of what is imported. */
static int name_of(const char *path, int fd, struct zl_buf *out, struct zl_error *err)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    uint64_t hash = 0;
    if (hash_of(path, fd, &hash, err) < 0)
        return -1;
    zl_buf_adds(out, "localhost/");
    add_plain(out, name, strcspn(name, "."));
    zl_buf_addf(out, ":%016" PRIx64, hash);
    return zl_buf_check(out, path, err);
}

static int on_progress(void *arg, const json_t *line, struct zl_error *err)
{
    (void)arg;
    (void)line;
    (void)err;
    return 0; /* too soon over to be worth a word */
}

static int import(struct cli *cli, const char *path, const char *name, struct zl_error *err)
{
    zl_autofree char *real = realpath(path, NULL);
    if (!real)
        return zl_fail_errno(err, "find '%s'", path);
    if (cli_connect(cli, err) < 0)
        return -1;
    json_t *body = json_pack("{s:s, s:s}", "source", real, "reference", name);
    int rc = body ? api_client_stream(cli->client, "POST", "/api/v1/images/import", body,
                                      on_progress, NULL, err)
                  : zl_fail(err, ZL_ERR_INVALID, "the path is not UTF-8");
    json_decref(body);
    return rc;
}

static int import_text(struct cli *cli, const char *path, const char *name, struct zl_error *err)
{
    const char *folder = getenv("TMPDIR");
    zl_autofree char *out = NULL;
    if (asprintf(&out, "%s/zlayer-XXXXXX.wasm", folder && *folder ? folder : "/tmp") < 0)
        return zl_fail_errno(err, "assemble '%s'", path);
    zl_autoclose int fd = mkostemps(out, (int)strlen(".wasm"), O_CLOEXEC);
    if (fd < 0)
        return zl_fail_errno(err, "make '%s'", out);
    int rc = assemble(path, out, err);
    rc = rc < 0 ? rc : import(cli, out, name, err);
    (void)unlink(out); /* nobody else knows it */
    return rc;
}

static int import_file(struct cli *cli, const char *path, char **ret, struct zl_error *err)
{
    zl_autobuf struct zl_buf name = ZL_BUF(ZL_IMAGEREF_MAX);
    zl_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return zl_fail_errno(err, "open '%s'", path);
    if (name_of(path, fd, &name, err) < 0 || check_magic(path, fd, err) < 0)
        return -1;
    int rc = ends_with(path, ".wat") ? import_text(cli, path, name.data, err)
                                     : import(cli, path, name.data, err);
    if (rc < 0)
        return -1;
    *ret = strdup(name.data);
    return *ret ? 0 : zl_fail_errno(err, "run '%s'", path);
}

/* ---- run IMAGE ----------------------------------------------------------------------------- */

static const json_t *find_image(const json_t *list, const char *name)
{
    char normalized[ZL_IMAGEREF_MAX];
    const char *why;
    if (zl_imageref_normalize(name, normalized, &why) < 0)
        return NULL; /* the agent says what is wrong with it */
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(jstr(json_array_get(list, i), "normalized"), normalized) == 0)
            return json_array_get(list, i);
    return NULL;
}

static int check_image(struct cli *cli, const char *name, enum cli_runtime runtime,
                       struct zl_error *err)
{
    json_t *list = NULL;
    if (cli_call(cli, "GET", "/api/v1/images", NULL, NULL, NULL, &list, err) < 0)
        return -1;
    const json_t *image = find_image(list, name);
    bool wasm = image && jbool(image, "wasm");
    int rc = 0;
    if (!image && runtime == CLI_RUNTIME_WASM)
        rc = zl_fail(err, ZL_ERR_NOT_FOUND,
                     "'%s' is neither a file nor an image of the store, so that it is not known "
                     "whether it is WebAssembly",
                     name);
    else if (image && wasm != (runtime == CLI_RUNTIME_WASM))
        rc =
            zl_fail(err, ZL_ERR_INVALID,
                    wasm ? "image '%s' is a WebAssembly module: the native runtime runs containers"
                         : "image '%s' is a container's: the wasm runtime runs WebAssembly modules",
                    name);
    json_decref(list);
    return rc;
}

int wasm_resolve(struct cli *cli, const char *what, enum cli_runtime runtime, char **ret,
                 struct zl_error *err)
{
    bool suits = ends_with(what, ".wasm") || ends_with(what, ".wat");
    bool is_file = (suits || runtime == CLI_RUNTIME_WASM) && access(what, F_OK) == 0;
    if (is_file && runtime == CLI_RUNTIME_NATIVE)
        return zl_fail(err, ZL_ERR_INVALID,
                       "'%s' is a WebAssembly module: the native runtime runs containers", what);
    if (is_file)
        return import_file(cli, what, ret, err);
    if (suits && (*what == '/' || *what == '.')) /* no image is called so */
        return zl_fail_errno(err, "open '%s'", what);
    if (runtime != CLI_RUNTIME_AUTO && check_image(cli, what, runtime, err) < 0)
        return -1;
    *ret = strdup(what);
    return *ret ? 0 : zl_fail_errno(err, "run '%s'", what);
}

/* ---- the commands -------------------------------------------------------------------------- */

struct wasm_options {
    const char *out;
};

static int info_run(struct cli *cli, const void *options, int argc, char **argv)
{
    (void)cli;
    (void)options;
    (void)argc;
    return become("info", argv[0], NULL);
}

static int validate_run(struct cli *cli, const void *options, int argc, char **argv)
{
    (void)cli;
    (void)options;
    (void)argc;
    return become("validate", argv[0], NULL);
}

static int compile_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct wasm_options *o = options;
    char *out = NULL;
    (void)cli;
    (void)argc;
    const char *dot = strrchr(argv[0], '.'), *slash = strrchr(argv[0], '/');
    size_t n = dot && (!slash || dot > slash) ? (size_t)(dot - argv[0]) : strlen(argv[0]);
    if (o->out)
        out = strdup(o->out);
    else if (asprintf(&out, "%.*s.cwasm", (int)n, argv[0]) < 0)
        out = NULL;
    if (!out)
        return cli_failf(CLI_FAILED, "no memory for a name");
    int rc = become("compile", argv[0], out);
    free(out);
    return rc;
}

/* clang-format off */
static const struct cli_option compile_options[] = {
    { 'o', "output", CLI_STRING, offsetof(struct wasm_options, out), "FILE", "where to [FILE with .cwasm]", NULL },
    { 0 },
};

static const struct cli_command wasm_commands[] = {
    { .name = "info", .args = "FILE", .summary = "What a module or component imports and exports", .min_args = 1,
      .max_args = 1, .run = info_run },
    { .name = "validate", .args = "FILE", .summary = "Check a module, a component or their text", .min_args = 1,
      .max_args = 1, .run = validate_run },
    { .name = "compile", .args = "FILE", .summary = "Compile ahead of time, for a look at the result",
      .about = "The agent compiles what it runs by itself, and keeps what it compiled.",
      .options = compile_options, .options_size = sizeof(struct wasm_options), .min_args = 1, .max_args = 1,
      .run = compile_run },
    { 0 },
};
/* clang-format on */

const struct cli_command wasm_command = {
    .name = "wasm",
    .group = GROUP_IMAGE,
    .summary = "Look at, check and compile WebAssembly modules",
    .sub = wasm_commands,
};
