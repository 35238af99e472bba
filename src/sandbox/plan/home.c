// SPDX-License-Identifier: Apache-2.0
/*
 * HOME, which engines leave to the runtime: of the user's line in the container's /etc/passwd, "/"
 * when there is none. Only of a root that is a directory: who makes an overlay of layers knows its
 * image.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/weaken.h"
#include "sandbox/plan/parts.h"

enum { PASSWD_MAX = 1 << 20 };

/* The n-th field of a line of passwd(5) that begins at line; its length in *ret_n. */
static const char *field(const char *line, int n, size_t *ret_n)
{
    for (; n > 0; n--) {
        line += strcspn(line, ":\n");
        if (*line != ':')
            return NULL;
        line++;
    }
    *ret_n = strcspn(line, ":\n");
    return line;
}

static bool is_user(const char *line, uint32_t uid)
{
    size_t n = 0;
    char digits[16];
    const char *at = field(line, 2, &n);
    int want = snprintf(digits, sizeof digits, "%u", uid);

    return at && n == (size_t)want && memcmp(at, digits, n) == 0;
}

/* What an image may have there, instead of a file that we can read. */
static bool is_no_file(int why)
{
    return why == ENOENT || why == ENOTDIR || why == ELOOP || why == EACCES;
}

/*
 * The image's list of users, read; 0 there is none, 1, -1. It is looked at first and then opened:
 * to open a device that an image has under this name would be an act upon the host.
 */
static int read_passwd(int root_fd, struct zl_buf *text, struct zl_error *err)
{
    zl_autoclose int found = zl_open_in_root(root_fd, "/etc/passwd", O_PATH, err);
    zl_autoclose int fd = -1;
    char path[32];
    struct stat st;

    if (found < 0)
        return is_no_file(errno) ? 0 : -1;
    if (fstat(found, &st) < 0)
        return zl_fail_errno(err, "look at '/etc/passwd'");
    if (!zl_weaken(PASSWD) && (!S_ISREG(st.st_mode) || st.st_size > PASSWD_MAX))
        return 0;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", found);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return is_no_file(errno) ? 0 : zl_fail_errno(err, "open '/etc/passwd'");
    return zl_read_fd(fd, text, "/etc/passwd", err) < 0 ? -1 : 1;
}

static int home_of(struct build *b, int root_fd, uint32_t uid, plan_str *ret)
{
    zl_autobuf struct zl_buf text = ZL_BUF(PASSWD_MAX);
    size_t n = 0;
    int rc = read_passwd(root_fd, &text, b->err);

    for (const char *line = text.data; rc > 0 && *line;
         line += strcspn(line, "\n"), line += *line == '\n') {
        const char *home = is_user(line, uid) ? field(line, 5, &n) : NULL;
        if (home && n) {
            *ret = writer_textf(&b->w, "HOME=%.*s", (int)n, home);
            return 0;
        }
    }
    *ret = writer_text(&b->w, "HOME=/");
    return rc < 0 ? zl_wrap(b->err, "process: find $HOME") : 0;
}

/* Where the container's files are now; "": not known here. */
static int root_path(const struct build *b, char *path, size_t size)
{
    const char *root = b->options->root ? b->options->root : "";
    const char *of_bundle = b->config->root.path;
    int n;

    if (!b->layout || b->options->n_lower)
        n = snprintf(path, size, "%s", root);
    else if (of_bundle[0] == '/') /* a container of a directory */
        n = snprintf(path, size, "%s", of_bundle);
    else
        n = b->options->bundle ? snprintf(path, size, "%s/%s", b->options->bundle, of_bundle)
                               : snprintf(path, size, "%s", "");
    return n < 0 || (size_t)n >= size ? zl_fail(b->err, ZL_ERR_INVALID, "root.path: it is too long")
                                      : 0;
}

int build_home(struct build *b, const struct oci_process *x, plan_str *ret)
{
    char path[4096];

    *ret = 0;
    for (size_t i = 0; i < x->env.n; i++)
        if (strncmp(x->env.v[i], "HOME=", 5) == 0)
            return 0;
    if (root_path(b, path, sizeof path) < 0)
        return -1;
    zl_autoclose int fd = path[0] ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0)
        return home_of(b, fd, x->user.uid, ret);
    /* a root that is not there yet may be a hook's to mount */
    return !path[0] || is_no_file(errno) ? 0 : zl_fail_errno(b->err, "open root '%s'", path);
}
