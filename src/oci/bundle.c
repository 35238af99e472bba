// SPDX-License-Identifier: Apache-2.0
/* The document as a whole; its larger parts have files of their own (part.h). */
#include "oci/bundle.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/fd.h"
#include "oci/names.h"
#include "oci/part.h"

static json_t *make_version(const struct oci_making *m, struct zl_error *err)
{
    (void)m;
    return oci_part_checked(json_string("1.0.2"), err);
}

static json_t *make_root(const struct oci_making *m, struct zl_error *err)
{
    return oci_part_checked(
        json_pack("{s:s, s:b}", "path", "rootfs", "readonly", m->b->service->read_only_root_fs),
        err);
}

void oci_bundle_hostname(const struct spec_service *service, const char *name, char *out)
{
    const char *from = service->hostname ? service->hostname : name;
    (void)snprintf(out, OCI_HOSTNAME_MAX + 1, "%s", from); /* cut: a long name is still a name */
}

const char *oci_bundle_joins(const char *mode)
{
    static const char prefix[] = "container:";
    bool joins = mode && strncmp(mode, prefix, sizeof prefix - 1) == 0;
    return joins ? mode + sizeof prefix - 1 : NULL;
}

static json_t *make_hostname(const struct oci_making *m, struct zl_error *err)
{
    char name[OCI_HOSTNAME_MAX + 1];
    oci_bundle_hostname(m->b->service, m->b->name, name);
    return oci_part_text("the hostname", name, err);
}

static json_t *make_hooks(const struct oci_making *m, struct zl_error *err)
{
    (void)err;
    return json_object_size(m->gpu.hooks) ? json_incref(m->gpu.hooks) : json_null();
}

/* ---- what the parts are made from --------------------------------------------------------- */

static int look_up(struct oci_making *m, struct zl_error *err)
{
    const struct oci_bundle *b = m->b;
    const char *who = b->service->user ? b->service->user : b->image.user;

    if (oci_user_find(who, b->open_file, b->arg, &m->user, err) < 0 ||
        oci_user_add_groups(&b->service->extra_groups, b->open_file, b->arg, &m->user, err) < 0 ||
        oci_bounding_find(b->service, b->host, &m->bounding, err) < 0 ||
        oci_security_read(b->service, &m->security, err) < 0)
        return -1;
    /* GPUs first: a node that both name is the GPU's, with its rights. */
    if (oci_gpu_edit(b, &m->devices, &m->gpu, err) < 0)
        return -1;
    return oci_devices_find(b->service, b->host->root_fd, &m->devices, err);
}

static void look_up_done(struct oci_making *m)
{
    oci_devices_done(&m->devices);
    oci_gpu_edits_done(&m->gpu);
}

int oci_bundle_make(const struct oci_bundle *b, json_t **ret, struct zl_error *err)
{
    static const struct oci_part parts[] = {
        { "ociVersion", make_version }, { "process", oci_process_make },
        { "root", make_root },          { "hostname", make_hostname },
        { "mounts", oci_mounts_make },  { "hooks", make_hooks },
        { "linux", oci_linux_make },    { 0 },
    };
    struct oci_making m = { .b = b };
    json_t *config = look_up(&m, err) < 0 ? NULL : oci_part_object(&m, parts, err);
    look_up_done(&m);
    if (!config)
        return -1;
    *ret = config;
    return 0;
}

/* ---- this machine ------------------------------------------------------------------------- */

static bool holds_sys_resource(void)
{
    enum { SYS_RESOURCE = 24 }; /* CAP_SYS_RESOURCE of linux/capability.h */
    return prctl(PR_CAPBSET_READ, SYS_RESOURCE, 0, 0, 0) == 1 && geteuid() == 0;
}

int oci_host_read(struct oci_host *ret, struct zl_error *err)
{
    struct oci_host h = { .raises_limits = holds_sys_resource(),
                          .cdi_dirs = getenv("CDI_SPEC_DIRS") };
    for (int i = 0; i < (int)RLIM_NLIMITS; i++) {
        struct rlimit own = { .rlim_max = 0 };
        (void)getrlimit((__rlimit_resource_t)i, &own); /* cannot fail with these arguments */
        h.rlimit_max[i] = own.rlim_max;
    }
    for (int cap = 0; capability_name(cap); cap++)
        if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
            h.capabilities |= UINT64_C(1) << cap;
    h.root_fd = zl_open_dir(AT_FDCWD, "/", err);
    if (h.root_fd < 0)
        return -1;
    *ret = h;
    return 0;
}
