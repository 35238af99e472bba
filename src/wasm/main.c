// SPDX-License-Identifier: Apache-2.0
/*
 * zlayer-wasm: everything of ours that holds the WebAssembly engine: the host, which forks
 * monitors, guests and compilers, and commands that look at a file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/stdfds.h"
#include "wasm/file.h"
#include "wasm/host.h"

enum { USAGE = 125 };

static int run_host(int argc, char **argv)
{
    return host_main(argv[0], argv[1], argc > 2 ? argv[2] : NULL);
}

static int run_info(int argc, char **argv)
{
    (void)argc;
    return command_info(argv[0]);
}

static int run_validate(int argc, char **argv)
{
    (void)argc;
    return command_validate(argv[0]);
}

static int run_compile(int argc, char **argv)
{
    (void)argc;
    return command_compile(argv[0], argv[1]);
}

static int run_assemble(int argc, char **argv)
{
    (void)argc;
    return command_assemble(argv[0], argv[1]);
}

/* clang-format off */
static const struct {
    const char *name;
    int min, max;
    int (*run)(int argc, char **argv);
    const char *usage;
} commands[] = {
    { "host",     2, 3, run_host,     "host FOLDER CACHE [CGROUP-PARENT]" },
    { "info",     1, 1, run_info,     "info FILE" },
    { "validate", 1, 1, run_validate, "validate FILE" },
    { "compile",  2, 2, run_compile,  "compile FILE OUT" },
    { "assemble", 2, 2, run_assemble, "assemble FILE OUT" },
    { "direct",   1, 1000000, command_direct,
      "direct [--dir HOST::GUEST[::ro]] [--env K=V] [--memory BYTES] [--time MS] [--fuel N]\n"
      "    [--listen PORT] [--request-time MS] [--network 0|1] FILE [ARG…]" },
};
/* clang-format on */

static int usage(FILE *out)
{
    (void)fprintf(out, "zlayer-wasm is started by zlayer; see `zlayer wasm --help`.\n");
    for (size_t i = 0; i < ZL_ARRAY_LEN(commands); i++)
        (void)fprintf(out, "  zlayer-wasm %s\n", commands[i].usage);
    return USAGE;
}

int main(int argc, char **argv)
{
    struct zl_error err = { 0 };

    if (zl_fill_standard_fds(&err) < 0) {
        (void)fprintf(stderr, "zlayer-wasm: %s\n", err.msg);
        return EXIT_FAILURE;
    }
    if (argc < 2)
        return usage(stderr);
    if (strcmp(argv[1], "--help") == 0)
        return usage(stdout), 0;
    for (size_t i = 0; i < ZL_ARRAY_LEN(commands); i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        if (argc - 2 < commands[i].min || argc - 2 > commands[i].max)
            return usage(stderr);
        return commands[i].run(argc - 2, argv + 2);
    }
    return usage(stderr);
}
