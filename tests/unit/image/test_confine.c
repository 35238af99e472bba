// SPDX-License-Identifier: Apache-2.0
/* The process that forks those who unpack: processes yes, namespaces no. The other roles are
 * attacked in tests/e2e/test_escape_fetch.py. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "fetch/crew/confine.h"

/* What a child of the foreman would be born with; 0: it was born. */
static int born(unsigned long flags)
{
    long pid = syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0)
        _exit(0);
    if (pid < 0)
        return errno;
    return waitpid((pid_t)pid, NULL, 0) == pid ? 0 : errno;
}

/* In a process of its own: there is no way back. Its exit code is the first thing that is wrong. */
static _Noreturn void foreman(void)
{
    static const unsigned long flags[] = { CLONE_NEWNS,  CLONE_NEWCGROUP, CLONE_NEWUTS,
                                           CLONE_NEWIPC, CLONE_NEWUSER,   CLONE_NEWPID,
                                           CLONE_NEWNET };
    struct zl_error err;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || confine_role(CONFINE_FOREMAN, &err) < 0)
        _exit(1);
    if (born(0) != 0)
        _exit(2);
    for (int i = 0; i < (int)ZL_ARRAY_LEN(flags); i++)
        if (born(flags[i]) != EPERM)
            _exit(10 + i);
    if (born(CLONE_NEWUSER | CLONE_NEWNS) != EPERM || unshare(CLONE_NEWUSER) == 0)
        _exit(3);
    _exit(0);
}

static void who_forks_makes_no_namespace(void **unused)
{
    (void)unused;
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        foreman();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_forks_makes_no_namespace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
