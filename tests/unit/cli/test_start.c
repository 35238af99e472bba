// SPDX-License-Identifier: Apache-2.0
/* Starting an agent, with scripts in the place of zlayerd. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "cli/start.h"

static char dir[64], root[96], run[96], sock[128];

static struct cli folders(void)
{
    return (struct cli){ .root_dir = root, .runtime_dir = run, .socket = sock };
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/zlayer-start.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(root, sizeof root, "%s/root", dir);
    (void)snprintf(run, sizeof run, "%s/run", dir);
    (void)snprintf(sock, sizeof sock, "%s/zlayer.sock", run);
    return setenv("ZLAYER_LIBEXEC", dir, 1);
}

static int teardown(void **state)
{
    (void)state;
    return zl_remove_tree(AT_FDCWD, dir, NULL);
}

static void agent_is(const char *script)
{
    struct zl_error err = { 0 };
    zl_autoclose int fd = zl_open_dir(AT_FDCWD, dir, &err);
    assert_int_equal(zl_write_atomic(fd, "zlayerd", script, strlen(script), 0755, false, &err), 0);
}

static void an_agent_that_is_ready_ends_the_waiting(void **unused)
{
    (void)unused;
    struct cli cli = folders();
    struct zl_error err = { 0 };
    agent_is("#!/bin/sh\necho \"$@\" >&2\nprintf x >&3\n");
    if (agent_start(&cli, &err) < 0)
        fail_msg("%s", err.msg);
    char path[128], want[512];
    zl_autobuf struct zl_buf log = ZL_BUF(4096);
    (void)snprintf(path, sizeof path, "%s/agent.log", root);
    assert_int_equal(zl_read_file(AT_FDCWD, path, &log, &err), 0);
    (void)snprintf(want, sizeof want, "--root-dir %s --runtime-dir %s --socket %s --ready-fd 3\n",
                   root, run, sock);
    assert_string_equal(log.data, want);
}

static void the_last_words_of_one_that_ends_are_told(void **unused)
{
    (void)unused;
    struct cli cli = folders();
    struct zl_error err = { 0 };
    agent_is("#!/bin/sh\necho '{\"level\":\"error\",\"msg\":\"no luck today\"}' >&2\n"
             "echo plain words >&2\nexit 1\n");
    assert_int_equal(agent_start(&cli, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_UNREACHABLE);
    assert_non_null(strstr(err.msg, "start the agent: the agent ended at its start"));
    assert_non_null(strstr(err.msg, "\n  error: no luck today\n  plain words"));
    assert_null(strstr(err.msg, "--ready-fd")); /* words of an earlier one */
}

static void one_that_cannot_be_executed_is_told(void **unused)
{
    (void)unused;
    struct cli cli = folders();
    struct zl_error err = { 0 };
    agent_is("no program at all");
    assert_int_equal(agent_start(&cli, &err), -1);
    assert_non_null(strstr(err.msg, "zlayerd': Exec format error"));
}

static void it_starts_with_default_signals_and_no_descriptors_of_ours(void **unused)
{
    (void)unused;
    struct cli cli = folders();
    struct zl_error err = { 0 };
    zl_autoclose int stray = dup(1); /* without close-on-exec */
    sigset_t usr1, before;
    (void)sigemptyset(&usr1);
    (void)sigaddset(&usr1, SIGUSR1);
    assert_true(stray >= 0);
    assert_int_equal(sigprocmask(SIG_BLOCK, &usr1, &before), 0);
    (void)signal(SIGPIPE, SIG_IGN);
    /* libc's own: a raw call, as what make(1) starts inherits it from posix_spawn(3) */
    uintptr_t ignored[4] = { (uintptr_t)SIG_IGN }, by_default[4] = { 0 };
    assert_int_equal(syscall(SYS_rt_sigaction, 32, ignored, NULL, 8), 0);
    agent_is("#!/bin/sh\ngrep -E 'Sig(Blk|Ign)' /proc/$$/status | tr -d '\\n\\t' >&2\n"
             "ls /proc/$$/fd | tr '\\n' ' ' >&2\nexit 1\n");
    assert_int_equal(agent_start(&cli, &err), -1);
    assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
    (void)signal(SIGPIPE, SIG_DFL);
    assert_int_equal(syscall(SYS_rt_sigaction, 32, by_default, NULL, 8), 0);
    assert_non_null(strstr(err.msg, "SigBlk:0000000000000000SigIgn:0000000000000000"));
    /* 0, 1, 2, the pipe, and the script itself */
    assert_non_null(strstr(err.msg, "0 1 10 2 3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_agent_that_is_ready_ends_the_waiting),
        cmocka_unit_test(the_last_words_of_one_that_ends_are_told),
        cmocka_unit_test(one_that_cannot_be_executed_is_told),
        cmocka_unit_test(it_starts_with_default_signals_and_no_descriptors_of_ours),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
