// SPDX-License-Identifier: Apache-2.0
#include "cmdline/term.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>

static struct { /* of the process's one controlling terminal */
    int fd;
    struct termios before;
    bool raw, at_exit;
} term;

void term_restore(void)
{
    int saved = errno;
    if (term.raw)
        (void)tcsetattr(term.fd, TCSADRAIN, &term.before); /* nothing is left to try */
    term.raw = false;
    errno = saved;
}

int term_raw(int fd, struct zl_error *err)
{
    struct termios raw;
    if (tcgetattr(fd, &term.before) < 0)
        return zl_fail_errno(err, "read the terminal's mode");
    raw = term.before;
    cfmakeraw(&raw);
    if (!term.at_exit && atexit(term_restore) != 0)
        return zl_fail(err, ZL_ERR_SYSTEM, "prepare to restore the terminal");
    term.at_exit = true;
    term.fd = fd;
    if (tcsetattr(fd, TCSADRAIN, &raw) < 0)
        return zl_fail_errno(err, "make the terminal raw");
    term.raw = true;
    return 0;
}

bool term_size(int fd, uint16_t *rows, uint16_t *cols)
{
    struct winsize ws;
    if (ioctl(fd, TIOCGWINSZ, &ws) < 0 || ws.ws_row == 0 || ws.ws_col == 0)
        return false;
    *rows = ws.ws_row;
    *cols = ws.ws_col;
    return true;
}
