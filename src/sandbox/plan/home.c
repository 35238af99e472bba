// SPDX-License-Identifier: Apache-2.0
/*
 * HOME, which engines leave to the runtime: of the user's line in the container's /etc/passwd, "/"
 * when there is none. Only of a root that is a directory: who makes an overlay of layers knows its
 * image.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
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

static plan_str home_of(struct build *b, int root_fd, uint32_t uid)
{
    zl_autobuf struct zl_buf text = ZL_BUF(PASSWD_MAX);
    zl_autoclose int fd = zl_open_in_root(root_fd, "/etc/passwd", O_RDONLY | O_NONBLOCK, NULL);
    size_t n = 0;

    if (fd < 0 || zl_read_fd(fd, &text, "/etc/passwd", NULL) < 0)
        return writer_text(&b->w, "HOME=/");
    for (const char *line = text.data; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        const char *home = is_user(line, uid) ? field(line, 5, &n) : NULL;
        if (home && n)
            return writer_textf(&b->w, "HOME=%.*s", (int)n, home);
    }
    return writer_text(&b->w, "HOME=/");
}

/* Where the container's files are now; -1: not known here. */
static int open_root(struct build *b)
{
    const char *root = b->options->root;
    char path[4096];

    if (b->layout && !b->options->n_lower) { /* a container of a directory */
        const char *of_bundle = b->config->root.path;
        const char *bundle = of_bundle[0] == '/' ? "" : b->options->bundle;
        if (!bundle ||
            (size_t)snprintf(path, sizeof path, "%s/%s", bundle, of_bundle) >= sizeof path)
            return -1;
        root = path;
    }
    return root ? open(root, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
}

plan_str build_home(struct build *b, const struct oci_process *x)
{
    for (size_t i = 0; i < x->env.n; i++)
        if (strncmp(x->env.v[i], "HOME=", 5) == 0)
            return 0;
    zl_autoclose int fd = open_root(b);
    return fd < 0 ? 0 : home_of(b, fd, x->user.uid);
}
