// SPDX-License-Identifier: Apache-2.0
/*
 * Runs a program to which the kernel refuses one system call, and to all that it starts.
 *
 *   refuse CALL[:ARGUMENT=VALUE] PROGRAM ARG...   CALL answers EPERM (where its ARGUMENT, counted
 *                                                 from 0, has that VALUE)
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int refuse(char *what)
{
    char *when = strchr(what, ':'), *value = when ? strchr(when, '=') : NULL;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

    if (when)
        *when++ = '\0';
    int call = seccomp_syscall_resolve_name(what);
    if (!filter || call == __NR_SCMP_ERROR || (when && !value))
        return -1;
    const struct scmp_arg_cmp one = {
        .arg = when ? (unsigned)strtoul(when, NULL, 10) : 0,
        .op = SCMP_CMP_EQ,
        .datum_a = value ? strtoull(value + 1, NULL, 0) : 0,
    };
    if (seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), call, when ? 1 : 0, &one) < 0)
        return -1;
    return seccomp_load(filter);
}

int main(int argc, char **argv)
{
    if (argc < 3 || refuse(argv[1]) < 0) {
        (void)fprintf(stderr, "usage: refuse CALL[:ARGUMENT=VALUE] PROGRAM ARG...\n");
        return 125;
    }
    (void)execv(argv[2], argv + 2);
    perror(argv[2]);
    return 125;
}
