// SPDX-License-Identifier: Apache-2.0
/*
 * What security modules shall execute the command as. A process writes that into its own
 * /proc/self/attr; the file is opened in the host's /proc, before the container's tree, whose /proc
 * may be anything, becomes ours (CVE-2019-16884), and written when nothing is mounted any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/carry/child.h"

enum { LABEL_MAX = 4096 }; /* proc_pid_attr(5): a page at most */

int child_open_label(struct child *k)
{
    const struct plan_process *p = k->process;
    const char *name = plan_text(k->base, p->apparmor ? p->apparmor : p->selinux);

    if (!name)
        return 0;
    /* several modules at once: Linux 5.1; `exec` alone is that of the first of them */
    k->label_fd = p->apparmor ? open("/proc/self/attr/apparmor/exec", O_WRONLY | O_CLOEXEC) : -1;
    if (k->label_fd < 0)
        k->label_fd = open("/proc/self/attr/exec", O_WRONLY | O_CLOEXEC);
    return k->label_fd < 0 ? child_fail(k, STEP_LABEL, name, NULL) : 0;
}

int child_label(struct child *k)
{
    static const char to[] = "exec "; /* AppArmor's word: from the next execve on */
    const struct plan_process *p = k->process;
    const char *name = plan_text(k->base, p->apparmor ? p->apparmor : p->selinux);
    char text[LABEL_MAX];
    size_t at = 0, n;

    if (!name)
        return 0;
    n = strlen(name);
    if (p->apparmor) {
        memcpy(text, to, sizeof to - 1);
        at = sizeof to - 1;
    }
    errno = ENAMETOOLONG;
    if (at + n > sizeof text)
        return child_fail(k, STEP_LABEL, name, NULL);
    memcpy(text + at, name, n);
    if (write(k->label_fd, text, at + n) != (ssize_t)(at + n))
        return child_fail(k, STEP_LABEL, name, NULL);
    (void)close(k->label_fd); /* write() told all */
    return 0;
}
