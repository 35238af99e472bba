// SPDX-License-Identifier: Apache-2.0
/*
 * Labels of security modules. What a kernel does not have cannot be promised: a profile or label of
 * a process is refused then. A label of mounts says what confined processes may do there; where
 * none is confined it says nothing, and is left out with a note (the validation suite wants it so).
 * Looked for only when one is asked for.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/fd.h"
#include "sandbox/plan/parts.h"

enum { SELINUX_FS = 0xf97cff8c /* SELINUX_MAGIC of linux/magic.h */ };

static bool has_apparmor(void)
{
    zl_autobuf struct zl_buf text = ZL_BUF(64);

    return zl_read_file(AT_FDCWD, "/sys/module/apparmor/parameters/enabled", &text, NULL) == 0 &&
           text.data[0] == 'Y';
}

static bool has_selinux(void)
{
    struct statfs fs;

    return statfs("/sys/fs/selinux", &fs) == 0 && (unsigned)fs.f_type == (unsigned)SELINUX_FS;
}

static bool is_said(const char *text)
{
    return text && text[0];
}

int build_labels(struct build *b, const struct oci_process *x, struct plan_process *p)
{
    bool profile = is_said(x->apparmor_profile), label = is_said(x->selinux_label);

    if (profile && !has_apparmor()) {
        if (strcmp(x->apparmor_profile, "unconfined") != 0) /* which everything is then */
            return zl_fail(b->err, ZL_ERR_UNSUPPORTED,
                           "process.apparmorProfile: '%s': this host has no AppArmor",
                           x->apparmor_profile);
        profile = false;
    }
    if (label && !has_selinux())
        return zl_fail(b->err, ZL_ERR_UNSUPPORTED,
                       "process.selinuxLabel: '%s': this host has no SELinux", x->selinux_label);
    p->apparmor = profile ? writer_text(&b->w, x->apparmor_profile) : 0;
    p->selinux = label ? writer_text(&b->w, x->selinux_label) : 0;
    return 0;
}

int build_mount_label(struct build *b, const char *type, struct zl_buf *data)
{
    /* what the kernel shows of itself is labelled by the policy */
    static const char *const by_policy[] = { "proc", "sysfs", "mqueue", "cgroup", "cgroup2" };
    const char *label = b->config->linux_.mount_label;

    if (!is_said(label))
        return 0;
    if (!has_selinux()) {
        build_note(b, "linux.mountLabel is left out: this host has no SELinux");
        return 0;
    }
    for (size_t i = 0; i < ZL_ARRAY_LEN(by_policy); i++)
        if (strcmp(by_policy[i], type) == 0)
            return 0;
    zl_buf_addf(data, "%scontext=\"%s\"", data->len ? "," : "", label);
    return 0;
}
