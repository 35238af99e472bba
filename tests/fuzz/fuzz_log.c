// SPDX-License-Identifier: Apache-2.0
/*
 * A log file, its index and an exit record with any content are read to their end; a record that is
 * understood is written again as it was.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "monitor/exitrec.h"
#include "monitor/logread.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void read_log(const char *path, const struct logread_opts *o)
{
    autologread struct logread *r = NULL;
    struct logread_line line;
    struct zl_error err;
    if (logread_open(path, o, &r, &err) < 0)
        abort();
    while (logread_next(r, &line, &err) > 0) {
        if (line.length == 0 || line.length > LOGREAD_LINE_MAX + LOG_RECORD_MAX)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const struct logread_opts all = { .tail = LOGREAD_ALL }, last = { .tail = 3 },
                                     late = { .since_ns = 1, .tail = LOGREAD_ALL };
    static const char *const names[] = { "x.log", "x.log.idx", MON_EXIT_RECORD };
    char dir[] = "/tmp/zlayer-fuzz.XXXXXX", path[64];
    struct mon_exit e;
    if (!mkdtemp(dir))
        abort();
    zl_autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < ZL_ARRAY_LEN(names); i++) {
        if (zl_write_atomic(fd, names[i], bytes, len, 0600, false, NULL) < 0)
            abort();
    }
    (void)snprintf(path, sizeof path, "%s/x.log", dir);
    read_log(path, &all);
    read_log(path, &last);
    read_log(path, &late);
    if (exitrec_read(fd, &e, NULL) == 0 && exitrec_write(fd, &e, false, NULL) < 0)
        abort();
    (void)zl_remove_tree(AT_FDCWD, dir, NULL);
    return 0;
}
