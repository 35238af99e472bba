// SPDX-License-Identifier: Apache-2.0
/* config.json → plan, what is refused and why; and that no torn plan makes its reader look outside.
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "oci/config.h"
#include "sandbox/kernel.h"
#include "sandbox/plan.h"

#define NAMESPACES                                                                                 \
    "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"uts\"},{\"type\":"        \
    "\"ipc\"}]"
#define ONE_MAP "{\"containerID\":0,\"hostID\":1000,\"size\":10}"
#define PROCESS "\"process\":{\"cwd\":\"/\",\"args\":[\"/bin/x\"],\"env\":[\"A=1\"]}"

struct made {
    struct oci_config *config;
    struct zl_buf bytes;
    const struct plan *plan;
    char notes[1024];
};

static int build_with(struct made *m, const char *rest, struct plan_options *o,
                      struct zl_error *err)
{
    char text[8192];
    zl_autobuf struct zl_buf notes = ZL_BUF(sizeof m->notes - 1);

    *m = (struct made){ 0 };
    zl_buf_init(&m->bytes, PLAN_MAX);
    (void)snprintf(text, sizeof text,
                   "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"rootfs\"},%s}", rest);
    assert_int_equal(oci_config_parse(text, strlen(text), "config.json", &m->config, err), 0);
    o->id = "c1";
    o->bundle = "/b";
    o->notes = &notes;
    int rc = plan_build(m->config, o, &m->bytes, err);
    (void)snprintf(m->notes, sizeof m->notes, "%s", notes.data);
    if (rc == 0)
        assert_int_equal(plan_check(m->bytes.data, m->bytes.len, &m->plan, err), 0);
    return rc;
}

static int build(struct made *m, const char *rest, struct zl_error *err)
{
    struct plan_options o = { 0 };
    return build_with(m, rest, &o, err);
}

static void done(struct made *m)
{
    oci_config_free(m->config);
    zl_buf_done(&m->bytes);
}
#define automade __attribute__((cleanup(done)))

static const char *text(const struct made *m, plan_str s)
{
    return plan_text(m->plan, s);
}

/* ---- what a plan says ---- */

static void the_command_and_its_surroundings_are_in_the_plan(void **unused)
{
    automade struct made m;
    (void)unused;

    assert_int_equal(build(&m,
                           "\"hostname\":\"h\",\"process\":{\"cwd\":\"/w\",\"args\":[\"a\",\"b\"],"
                           "\"env\":[\"A=1\"],\"user\":{\"uid\":5,\"gid\":6,\"umask\":63,"
                           "\"additionalGids\":[9]},\"noNewPrivileges\":true},"
                           "\"linux\":{" NAMESPACES "}",
                           NULL),
                     0);
    const struct plan_process *p = &m.plan->process;
    const plan_str *argv = plan_table(m.plan, p->argv);
    const uint32_t *groups = plan_table(m.plan, p->groups);
    assert_int_equal(p->argv.n, 2);
    assert_string_equal(text(&m, argv[1]), "b");
    assert_string_equal(text(&m, p->cwd), "/w");
    assert_int_equal(p->uid, 5);
    assert_int_equal(groups[0], 9);
    assert_int_equal(p->flags, PLAN_NO_NEW_PRIVS | PLAN_HAS_UMASK);
    assert_int_equal(p->umask, 077);
    assert_string_equal(text(&m, m.plan->hostname), "h");
    assert_string_equal(text(&m, m.plan->root_path), "/b/rootfs");
    assert_int_equal(m.plan->namespaces, CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC);
    assert_int_equal(p->seccomp.n, 0);
}

static void mount_options_become_flags_and_data(void **unused)
{
    automade struct made m;
    (void)unused;

    assert_int_equal(
        build(&m,
              PROCESS
              ",\"mounts\":[{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"t\","
              "\"options\":[\"nosuid\",\"strictatime\",\"ro\",\"mode=755\",\"size=1k\"]},"
              "{\"destination\":\"/data/\",\"source\":\"vol\",\"options\":[\"rbind\",\"ro\","
              "\"nodev\",\"rslave\",\"rro\"]}],\"linux\":{" NAMESPACES "}",
              NULL),
        0);
    const struct plan_mount *v = plan_table(m.plan, m.plan->mounts);
    const struct plan_mount *late = plan_table(m.plan, m.plan->late_mounts);
    assert_int_equal(m.plan->mounts.n, 2);
    assert_int_equal(v[0].kind, PLAN_MOUNT_FS);
    assert_int_equal(v[0].flags, MS_NOSUID | MS_STRICTATIME);
    assert_string_equal(text(&m, v[0].data), "mode=755,size=1k");
    assert_int_equal(late[0].kind, PLAN_MOUNT_REMOUNT); /* read-only after the devices are there */
    assert_int_equal(late[0].attr_set, K_ATTR_RDONLY);
    assert_int_equal(v[1].kind, PLAN_MOUNT_BIND);
    assert_int_equal(v[1].recursive, 1);
    assert_int_equal(v[1].attr_set, K_ATTR_RDONLY | K_ATTR_NODEV);
    assert_int_equal(v[1].rec_attr_set, K_ATTR_RDONLY);
    assert_int_equal(v[1].propagation, MS_SLAVE | MS_REC);
    assert_string_equal(text(&m, v[1].source), "/b/vol");
    assert_string_equal(text(&m, v[1].target), "/data");
    assert_true(m.plan->flags & PLAN_SETUP_DEV);
}

/* A remount for its propagation must not make it read-only before it is filled. */
static void the_propagation_of_a_file_system_changes_nothing_else(void **unused)
{
    automade struct made m;
    (void)unused;

    assert_int_equal(
        build(&m,
              PROCESS ",\"mounts\":[{\"destination\":\"/x\",\"type\":\"tmpfs\","
                      "\"options\":[\"ro\",\"nodev\",\"rprivate\"]}],\"linux\":{" NAMESPACES "}",
              NULL),
        0);
    const struct plan_mount *v = plan_table(m.plan, m.plan->mounts);
    assert_int_equal(v[0].flags, MS_RDONLY | MS_NODEV);
    assert_int_equal(v[0].propagation, MS_PRIVATE | MS_REC);
    assert_int_equal(v[0].attr_set, 0);
}

static void a_dev_of_the_host_gets_no_devices(void **unused)
{
    automade struct made m;
    (void)unused;

    assert_int_equal(build(&m,
                           PROCESS ",\"mounts\":[{\"destination\":\"/dev\",\"source\":\"/dev\","
                                   "\"options\":[\"bind\"]}],\"linux\":{" NAMESPACES "}",
                           NULL),
                     0);
    assert_false(m.plan->flags & PLAN_SETUP_DEV);
    assert_int_equal(m.plan->devices.n, 0);
}

static void a_configured_device_replaces_the_default_one(void **unused)
{
    automade struct made m;
    (void)unused;

    assert_int_equal(build(&m,
                           PROCESS ",\"linux\":{" NAMESPACES
                                   ",\"devices\":[{\"path\":\"/dev/null\","
                                   "\"type\":\"c\",\"major\":1,\"minor\":3,\"fileMode\":384,"
                                   "\"uid\":7}]}",
                           NULL),
                     0);
    const struct plan_device *v = plan_table(m.plan, m.plan->devices);
    const struct plan_device *last = &v[m.plan->devices.n - 1];
    assert_int_equal(m.plan->devices.n, 6);
    assert_string_equal(text(&m, last->path), "/dev/null");
    assert_int_equal(last->mode, S_IFCHR | 0600);
    assert_int_equal(last->uid, 7);
    assert_true(last->rdev == makedev(1, 3));
}

static void layers_make_an_overlay_of_descriptors(void **unused)
{
    automade struct made m;
    struct plan_options o = {
        .n_lower = 3, .has_upper = true, .upper_volatile = true, .mount_point = "/m"
    };
    (void)unused;

    assert_int_equal(build_with(&m, PROCESS ",\"linux\":{" NAMESPACES "}", &o, NULL), 0);
    assert_int_equal(m.plan->root_kind, PLAN_ROOT_OVERLAY);
    assert_int_equal(m.plan->n_fds, 5);
    assert_int_equal(m.plan->flags & (PLAN_HAS_UPPER | PLAN_OVERLAY_VOLATILE),
                     PLAN_HAS_UPPER | PLAN_OVERLAY_VOLATILE);
    assert_string_equal(text(&m, m.plan->root_path), "/m");
}

static void the_default_profile_is_there_when_it_is_asked_for(void **unused)
{
    automade struct made m;
    struct plan_options o = { .seccomp = PLAN_SECCOMP_DEFAULT };
    (void)unused;

    assert_int_equal(build_with(&m, PROCESS ",\"linux\":{" NAMESPACES "}", &o, NULL), 0);
    assert_true(m.plan->process.seccomp.n > 100);
}

static void capabilities_that_nobody_knows_are_left_out_with_a_note(void **unused)
{
    automade struct made m;
    (void)unused;

    assert_int_equal(build(&m,
                           "\"process\":{\"cwd\":\"/\",\"args\":[\"x\"],\"capabilities\":{"
                           "\"bounding\":[\"CAP_NONSENSE\"]}},\"linux\":{" NAMESPACES "}",
                           NULL),
                     0);
    assert_string_equal(m.notes, "process.capabilities: 'CAP_NONSENSE' is not known: left out\n");
    assert_true(m.plan->process.caps[PLAN_CAP_BOUNDING] == 0);
}

static void an_exec_plan_takes_what_it_lacks_from_the_container(void **unused)
{
    automade struct made m;
    struct plan_options o = { .id = "c1", .bundle = "/b" };
    const char *args[] = { "sh", NULL };
    struct oci_process p = { .cwd = "/", .args = { args, 1 } };
    zl_autobuf struct zl_buf out = ZL_BUF(PLAN_MAX);
    const struct plan_exec *x = NULL;
    (void)unused;

    assert_int_equal(build(&m,
                           "\"process\":{\"cwd\":\"/\",\"args\":[\"x\"],\"noNewPrivileges\":true,"
                           "\"rlimits\":[{\"type\":\"RLIMIT_CORE\",\"soft\":0,\"hard\":0}]},"
                           "\"linux\":{" NAMESPACES "}",
                           NULL),
                     0);
    assert_int_equal(plan_exec_build(m.config, &o, &p, &out, NULL), 0);
    assert_int_equal(plan_exec_check(out.data, out.len, &x, NULL), 0);
    assert_int_equal(x->process.flags, PLAN_NO_NEW_PRIVS);
    assert_int_equal(x->process.rlimits.n, 1);
    assert_int_equal(x->process.argv.n, 1);
}

static void scheduling_becomes_numbers_of_the_kernel(void **unused)
{
    automade struct made m;
    (void)unused;

    assert_int_equal(
        build(&m,
              "\"process\":{\"cwd\":\"/"
              "\",\"args\":[\"x\"],\"scheduler\":{\"policy\":\"SCHED_DEADLINE\","
              "\"flags\":[\"SCHED_FLAG_RECLAIM\",\"SCHED_FLAG_DL_OVERRUN\"],\"runtime\":1,"
              "\"deadline\":2,"
              "\"period\":3},\"ioPriority\":{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":6}},"
              "\"linux\":{" NAMESPACES ",\"personality\":{\"domain\":\"LINUX32\"}}",
              NULL),
        0);
    const struct plan_process *p = &m.plan->process;
    const struct plan_scheduler *s = plan_table(m.plan, p->scheduler);
    assert_int_equal(p->scheduler.n, 1);
    assert_int_equal(s->policy, 6);
    assert_int_equal(s->flags, 2 | 4);
    assert_int_equal(s->runtime * 100 + s->deadline * 10 + s->period, 123);
    assert_int_equal(p->flags, PLAN_HAS_IO_PRIORITY | PLAN_HAS_PERSONALITY);
    assert_int_equal(p->io_priority, 2 << 13 | 6);
    assert_int_equal(p->personality, 8);
    assert_string_equal(text(&m, p->keyring), "_ses.c1");
}

static void a_filter_that_asks_somebody_is_loaded_with_a_listener(void **unused)
{
    automade struct made m;
    (void)unused;

    assert_int_equal(
        build(&m,
              PROCESS
              ",\"linux\":{" NAMESPACES
              ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/s\","
              "\"flags\":[\"SECCOMP_FILTER_FLAG_TSYNC\",\"SECCOMP_FILTER_FLAG_LOG\","
              "\"SECCOMP_FILTER_FLAG_SPEC_ALLOW\",\"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\"],"
              "\"syscalls\":[{\"names\":[\"mkdir\"],\"action\":\"SCMP_ACT_NOTIFY\"}]}}",
              NULL),
        0);
    assert_int_equal(m.plan->process.flags, PLAN_SECCOMP_LISTENER);
    assert_int_equal(m.plan->process.seccomp_flags, 2 | 4 | 8 | 32);
}

static void a_listener_that_nobody_asks_is_not_wanted(void **unused)
{
    automade struct made m;
    (void)unused;

    assert_int_equal(
        build(&m,
              PROCESS ",\"linux\":{" NAMESPACES
                      ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/s\","
                      "\"flags\":[\"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\"],"
                      "\"syscalls\":[{\"names\":[\"mkdir\"],\"action\":\"SCMP_ACT_LOG\"}]}}",
              NULL),
        0);
    assert_int_equal(m.plan->process.flags, 0);
    assert_int_equal(m.plan->process.seccomp_flags, 0);
}

static void user_and_time_namespaces_bring_their_maps_and_offsets(void **unused)
{
    automade struct made m;
    (void)unused;

    assert_int_equal(build(&m,
                           PROCESS
                           ",\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"user\"},"
                           "{\"type\":\"time\"}],\"uidMappings\":[" ONE_MAP
                           "],\"gidMappings\":[" ONE_MAP "],\"timeOffsets\":{\"monotonic\":"
                           "{\"secs\":-5,\"nanosecs\":7},\"boottime\":{\"secs\":2}}}",
                           NULL),
                     0);
    const struct plan_id_map *map = plan_table(m.plan, m.plan->uid_map);
    assert_int_equal(m.plan->namespaces, CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWTIME);
    assert_int_equal(m.plan->uid_map.n, 1);
    assert_int_equal(m.plan->gid_map.n, 1);
    assert_int_equal(map->host, 1000);
    assert_int_equal(map->size, 10);
    assert_string_equal(text(&m, m.plan->time_offsets), "monotonic -5 7\nboottime 2 0\n");
    assert_true(m.plan->process.flags & PLAN_USER_NS);
}

static void mounts_have_maps_of_their_own_or_the_containers(void **unused)
{
    automade struct made m;
    (void)unused;

    assert_int_equal(build(&m,
                           PROCESS
                           ",\"mounts\":[{\"destination\":\"/a\",\"source\":\"/"
                           "\",\"options\":[\"bind\",\"ridmap\"]},"
                           "{\"destination\":\"/b\",\"source\":\"/"
                           "\",\"options\":[\"bind\"],\"uidMappings\":[" ONE_MAP "," ONE_MAP
                           "],\"gidMappings\":[" ONE_MAP "]}],"
                           "\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"user\"}],"
                           "\"uidMappings\":[" ONE_MAP "],\"gidMappings\":[" ONE_MAP "]}",
                           NULL),
                     0);
    const struct plan_mount *mount = plan_table(m.plan, m.plan->mounts);
    assert_int_equal(mount[0].uid_map.n, 1);
    assert_int_equal(mount[0].idmap_recursive, 1);
    assert_int_equal(mount[1].uid_map.n, 2);
    assert_int_equal(mount[1].idmap_recursive, 0);
}

/* Both kinds of hosts are right; which one this is, the kernel tells. */
static void a_profile_is_planned_where_the_kernel_has_apparmor(void **unused)
{
    automade struct made m;
    struct zl_error err = { 0 };
    bool here = access("/sys/module/apparmor/parameters/enabled", F_OK) == 0;
    (void)unused;

    int rc = build(&m,
                   "\"process\":{\"cwd\":\"/\",\"args\":[\"x\"],\"apparmorProfile\":\"p\"},"
                   "\"linux\":{" NAMESPACES "}",
                   &err);
    assert_int_equal(rc, here ? 0 : -1);
    if (here)
        assert_string_equal(text(&m, m.plan->process.apparmor), "p");
    else
        assert_string_equal(err.msg,
                            "config.json: process.apparmorProfile: 'p': this host has no AppArmor");
}

static void labels_of_selinux_are_refused_where_there_is_none(void **unused)
{
    static const char *const rests[] = {
        "\"process\":{\"cwd\":\"/"
        "\",\"args\":[\"x\"],\"selinuxLabel\":\"a:b:c\"},\"linux\":{" NAMESPACES "}",
    };
    static const char *const messages[] = {
        "config.json: process.selinuxLabel: 'a:b:c': this host has no SELinux",
    };
    (void)unused;

    /* A label is refused where SELinux is absent only. */
    if (access("/sys/fs/selinux/enforce", F_OK) == 0)
        skip();
    for (size_t i = 0; i < ZL_ARRAY_LEN(rests); i++) {
        automade struct made m;
        struct zl_error err = { 0 };
        assert_int_equal(build(&m, rests[i], &err), -1);
        assert_string_equal(err.msg, messages[i]);
    }
}

static void cpus_of_a_further_process_are_a_set_of_bits(void **unused)
{
    automade struct made m;
    struct plan_options o = { .id = "c1", .bundle = "/b" };
    const char *args[] = { "sh", NULL };
    struct oci_process p = { .cwd = "/",
                             .args = { args, 1 },
                             .exec_cpu_affinity = { .initial = "1", .final = "0-2,65" } };
    zl_autobuf struct zl_buf out = ZL_BUF(PLAN_MAX);
    const struct plan_exec *x = NULL;
    const uint64_t *bits;
    (void)unused;

    assert_int_equal(build(&m, PROCESS ",\"linux\":{" NAMESPACES "}", NULL), 0);
    assert_int_equal(plan_exec_build(m.config, &o, &p, &out, NULL), 0);
    assert_int_equal(plan_exec_check(out.data, out.len, &x, NULL), 0);
    bits = plan_table(x, x->cpus_before);
    assert_int_equal(x->cpus_before.n, 1);
    assert_int_equal(bits[0], 2);
    bits = plan_table(x, x->process.cpus);
    assert_int_equal(x->process.cpus.n, 2);
    assert_int_equal(bits[0], 7);
    assert_int_equal(bits[1], 2);
}

/* ---- what is refused ---- */

/* clang-format off */
static const struct { const char *rest, *message; enum zl_err_kind kind; } bad[] = {
    { PROCESS ",\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"user\"}]}",
      "config.json: linux.uidMappings: a new user namespace needs them", ZL_ERR_INVALID },
    { PROCESS ",\"linux\":{" NAMESPACES ",\"uidMappings\":[" ONE_MAP "]}",
      "config.json: linux.uidMappings, linux.gidMappings: need a user namespace", ZL_ERR_INVALID },
    { PROCESS ",\"linux\":{" NAMESPACES ",\"timeOffsets\":{\"boottime\":{\"secs\":1}}}",
      "config.json: linux.timeOffsets: need a new time namespace", ZL_ERR_INVALID },
    { PROCESS ",\"mounts\":[{\"destination\":\"/x\",\"source\":\"/\",\"options\":[\"bind\",\"idmap\"]}],\"linux\":{" NAMESPACES "}",
      "config.json: mounts[0].options: idmap without uidMappings and gidMappings, and the container has none either", ZL_ERR_INVALID },
    { PROCESS ",\"mounts\":[{\"destination\":\"/x\",\"source\":\"/\",\"options\":[\"bind\"],\"uidMappings\":[" ONE_MAP "]}],\"linux\":{" NAMESPACES "}",
      "config.json: mounts[0]: uidMappings and gidMappings go together", ZL_ERR_INVALID },
    { PROCESS ",\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"mount\"}]}",
      "config.json: linux.namespaces[1]: the same type again", ZL_ERR_INVALID },
    { PROCESS ",\"linux\":{\"namespaces\":[]}",
      "config.json: linux.namespaces: a container without a mount namespace of its own is not supported here", ZL_ERR_UNSUPPORTED },
    { "\"hostname\":\"h\",\"linux\":{\"namespaces\":[{\"type\":\"mount\"}]}",
      "config.json: hostname: needs a UTS namespace of the container's own", ZL_ERR_INVALID },
    { PROCESS ",\"mounts\":[{\"destination\":\"/x\",\"options\":[\"bind\"]}],\"linux\":{" NAMESPACES "}",
      "config.json: mounts[0].source: required for a bind", ZL_ERR_INVALID },
    { PROCESS ",\"mounts\":[{\"destination\":\"/x\"}],\"linux\":{" NAMESPACES "}",
      "config.json: mounts[0].type: required", ZL_ERR_INVALID },
    { PROCESS ",\"mounts\":[{\"destination\":\"/x\",\"type\":\"proc\",\"options\":[\"ro\",\"tmpcopyup\"]}],"
      "\"linux\":{" NAMESPACES "}",
      "config.json: mounts[0].options: tmpcopyup is for a tmpfs", ZL_ERR_INVALID },
    { "\"process\":{\"cwd\":\"/\",\"args\":[\"x\"],\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"flags\":[\"X\"]}},"
      "\"linux\":{" NAMESPACES "}",
      "config.json: process.scheduler.flags[0]: unknown 'X'", ZL_ERR_INVALID },
    { "\"process\":{\"cwd\":\"/\",\"args\":[\"x\"],\"ioPriority\":{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":8}},"
      "\"linux\":{" NAMESPACES "}",
      "config.json: process.ioPriority.priority: 8 is not in 0 … 7", ZL_ERR_INVALID },
    { PROCESS ",\"linux\":{" NAMESPACES ",\"intelRdt\":{}}",
      "config.json: linux.intelRdt: Intel's resource director technology is not supported", ZL_ERR_UNSUPPORTED },
    { PROCESS ",\"linux\":{" NAMESPACES ",\"personality\":{\"domain\":\"BSD\"}}",
      "config.json: linux.personality.domain: expected LINUX or LINUX32, found 'BSD'", ZL_ERR_INVALID },
    { PROCESS ",\"linux\":{" NAMESPACES ",\"sysctl\":{\"net.ipv4.ip_forward\":\"1\"}}",
      "config.json: linux.sysctl: 'net.ipv4.ip_forward' is not of a namespace of the container, which shares the network namespace of the host", ZL_ERR_INVALID },
    { PROCESS ",\"linux\":{" NAMESPACES ",\"sysctl\":{\"kernel.panic\":\"1\"}}",
      "config.json: linux.sysctl: 'kernel.panic' is of the whole host: it is not of a namespace of the container", ZL_ERR_INVALID },
    { PROCESS ",\"linux\":{" NAMESPACES ",\"sysctl\":{\"kernel/../vm/x\":\"1\"}}",
      "config.json: linux.sysctl: 'kernel/../vm/x' is of the whole host: it is not of a namespace of the container", ZL_ERR_INVALID },
    { PROCESS ",\"linux\":{" NAMESPACES ",\"rootfsPropagation\":\"upwards\"}",
      "config.json: linux.rootfsPropagation: unknown 'upwards'", ZL_ERR_INVALID },
    { PROCESS ",\"linux\":{" NAMESPACES ",\"cgroupsPath\":\"/a/../../b\"}",
      "config.json: linux.cgroupsPath: 'a/../../b' cannot be used", ZL_ERR_INVALID },
    { PROCESS ",\"linux\":{" NAMESPACES ",\"cgroupsPath\":\"/.\"}",
      "config.json: linux.cgroupsPath: '.' cannot be used", ZL_ERR_INVALID },
    { PROCESS ",\"linux\":{\"namespaces\":[{\"type\":\"mount\",\"path\":\"/proc/1/ns/mnt\"}]}",
      "config.json: linux.namespaces: a container without a mount namespace of its own is not supported here", ZL_ERR_UNSUPPORTED },
    { PROCESS ",\"linux\":{" NAMESPACES ",\"cgroupsPath\":\"system.slice:docker:x\"}",
      "config.json: linux.cgroupsPath: 'system.slice:docker:x' is meant for systemd: use --systemd-cgroup", ZL_ERR_INVALID },
    { PROCESS ",\"linux\":{" NAMESPACES ",\"devices\":[{\"path\":\"/dev/x\",\"type\":\"z\"}]}",
      "config.json: linux.devices[0].type: expected c, b, u or p, found 'z'", ZL_ERR_INVALID },
    { "\"process\":{\"cwd\":\"/\",\"args\":[\"x\"],\"rlimits\":[{\"type\":\"RLIMIT_X\",\"soft\":1,\"hard\":1}]},"
      "\"linux\":{" NAMESPACES "}",
      "config.json: process.rlimits[0].type: unknown 'RLIMIT_X'", ZL_ERR_INVALID },
    { PROCESS ",\"linux\":{" NAMESPACES ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}}",
      "config.json: linux.seccomp: SCMP_ACT_NOTIFY: listenerPath must tell who is asked", ZL_ERR_INVALID },
    { PROCESS ",\"linux\":{" NAMESPACES ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_X86\"],\"listenerMetadata\":\"x\"}}",
      "config.json: linux.seccomp.listenerMetadata: there is no listenerPath", ZL_ERR_INVALID },
    { PROCESS ",\"linux\":{" NAMESPACES ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_LOG\",\"flags\":[\"SECCOMP_FILTER_FLAG_X\"]}}",
      "config.json: linux.seccomp.flags[0]: 'SECCOMP_FILTER_FLAG_X'", ZL_ERR_UNSUPPORTED },
};
/* clang-format on */

static void what_cannot_be_done_is_refused_by_its_name(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ZL_ARRAY_LEN(bad); i++) {
        automade struct made m;
        struct zl_error err = { 0 };
        assert_int_equal(build(&m, bad[i].rest, &err), -1);
        assert_string_equal(err.msg, bad[i].message);
        assert_int_equal(err.kind, bad[i].kind);
    }
}

/* ---- hostile plans ---- */

static size_t sum; /* so that no reading is optimized away */

static void read_texts(const void *base, struct plan_tab t)
{
    const plan_str *v = plan_table(base, t);
    for (uint32_t i = 0; i < t.n; i++)
        sum += strlen(plan_text(base, v[i]));
}

static void read_mounts(const struct plan *p, struct plan_tab t)
{
    const struct plan_mount *v = plan_table(p, t);
    for (uint32_t i = 0; i < t.n; i++) {
        sum += strlen(plan_text(p, v[i].target)) + v[i].flags;
        sum += v[i].data ? strlen(plan_text(p, v[i].data)) : 0;
        sum += v[i].kind == PLAN_MOUNT_FS ? strlen(plan_text(p, v[i].type))
               : v[i].source              ? strlen(plan_text(p, v[i].source))
                                          : 0;
    }
}

static void read_files(const struct plan *p, struct plan_tab t)
{
    const struct plan_file *v = plan_table(p, t);
    for (uint32_t i = 0; i < t.n; i++)
        sum += strlen(plan_text(p, v[i].path)) + strlen(plan_text(p, v[i].value));
}

static void read_bytes(const void *base, struct plan_tab t, size_t size)
{
    const unsigned char *v = plan_table(base, t);
    for (size_t i = 0; i < t.n * size; i++)
        sum += v[i];
}

/* All that carry/ would look at. */
static void read_everything(const struct plan *p)
{
    const struct plan_cgroup *c = plan_table(p, p->cgroups);
    const struct plan_device *d = plan_table(p, p->devices);
    const struct plan_link *l = plan_table(p, p->links);
    const struct plan_process *x = &p->process;

    sum += strlen(plan_text(p, p->root_path));
    sum += p->hostname ? strlen(plan_text(p, p->hostname)) : 0;
    read_mounts(p, p->mounts);
    read_mounts(p, p->late_mounts);
    read_texts(p, p->masked);
    read_texts(p, p->readonly);
    read_files(p, p->sysctls);
    for (uint32_t i = 0; i < p->cgroups.n; i++) {
        sum += strlen(plan_text(p, c[i].mount)) + strlen(plan_text(p, c[i].path));
        read_files(p, c[i].files);
        read_bytes(p, c[i].device_bpf, sizeof(uint64_t));
    }
    for (uint32_t i = 0; i < p->devices.n; i++)
        sum += strlen(plan_text(p, d[i].path));
    read_bytes(p, p->uid_map, sizeof(struct plan_id_map));
    read_bytes(p, p->gid_map, sizeof(struct plan_id_map));
    for (uint32_t i = 0; i < p->links.n; i++)
        sum += strlen(plan_text(p, l[i].path)) + strlen(plan_text(p, l[i].target));
    read_texts(p, x->argv);
    read_texts(p, x->env);
    read_bytes(p, x->groups, sizeof(uint32_t));
    read_bytes(p, x->rlimits, sizeof(struct plan_rlimit));
    read_bytes(p, x->seccomp, sizeof(uint64_t));
    sum += x->argv.n ? strlen(plan_text(p, x->cwd)) : 0;
}

static void full_plan(struct made *m)
{
    struct plan_options o = { .seccomp = PLAN_SECCOMP_DEFAULT, .join_all = true };
    assert_int_equal(
        build_with(m,
                   "\"hostname\":\"h\"," PROCESS ",\"mounts\":[{\"destination\":\"/proc\",\"type\":"
                   "\"proc\",\"source\":\"proc\"},{\"destination\":\"/x\",\"source\":\"/y\","
                   "\"options\":[\"bind\"]}],\"linux\":{" NAMESPACES
                   ",\"maskedPaths\":[\"/proc/kcore\"],\"readonlyPaths\":[\"/proc/sys\"],"
                   "\"sysctl\":{\"kernel.shmmax\":\"1\"}}",
                   &o, NULL),
        0);
}

static void a_plan_that_ends_early_is_refused(void **unused)
{
    automade struct made m;
    const struct plan *p;
    (void)unused;

    full_plan(&m);
    for (size_t n = 0; n < m.bytes.len; n += 8) {
        zl_autofree char *copy = malloc(n ? n : 1); /* of that size, so that ASan watches its end */
        memcpy(copy, m.bytes.data, n);
        assert_int_equal(plan_check(copy, n, &p, NULL), -1);
    }
}

static void a_plan_with_any_number_changed_is_refused_or_harmless(void **unused)
{
    static const uint32_t numbers[] = {
        0, 1, 7, 8, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff8
    };
    automade struct made m;
    size_t taken = 0;
    (void)unused;

    full_plan(&m);
    zl_autofree char *copy = malloc(m.bytes.len);
    for (size_t at = 0; at + 4 <= m.bytes.len; at += 4)
        for (size_t i = 0; i < ZL_ARRAY_LEN(numbers); i++) {
            const struct plan *p;
            memcpy(copy, m.bytes.data, m.bytes.len);
            memcpy(copy + at, &numbers[i], 4);
            if (plan_check(copy, m.bytes.len, &p, NULL) < 0)
                continue;
            read_everything(p);
            taken++;
        }
    assert_true(taken > 0);
}

static void a_plan_of_another_version_is_refused_by_name(void **unused)
{
    automade struct made m;
    const struct plan *p;
    struct zl_error err = { 0 };
    char message[128];
    (void)unused;

    full_plan(&m);
    ((uint32_t *)(void *)m.bytes.data)[1] = 99;
    assert_int_equal(plan_check(m.bytes.data, m.bytes.len, &p, &err), -1);
    (void)snprintf(message, sizeof message, "check plan: it is of version 99, this reads %d",
                   PLAN_VERSION);
    assert_string_equal(err.msg, message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_command_and_its_surroundings_are_in_the_plan),
        cmocka_unit_test(mount_options_become_flags_and_data),
        cmocka_unit_test(the_propagation_of_a_file_system_changes_nothing_else),
        cmocka_unit_test(a_dev_of_the_host_gets_no_devices),
        cmocka_unit_test(a_configured_device_replaces_the_default_one),
        cmocka_unit_test(layers_make_an_overlay_of_descriptors),
        cmocka_unit_test(the_default_profile_is_there_when_it_is_asked_for),
        cmocka_unit_test(capabilities_that_nobody_knows_are_left_out_with_a_note),
        cmocka_unit_test(an_exec_plan_takes_what_it_lacks_from_the_container),
        cmocka_unit_test(scheduling_becomes_numbers_of_the_kernel),
        cmocka_unit_test(a_filter_that_asks_somebody_is_loaded_with_a_listener),
        cmocka_unit_test(a_listener_that_nobody_asks_is_not_wanted),
        cmocka_unit_test(user_and_time_namespaces_bring_their_maps_and_offsets),
        cmocka_unit_test(mounts_have_maps_of_their_own_or_the_containers),
        cmocka_unit_test(a_profile_is_planned_where_the_kernel_has_apparmor),
        cmocka_unit_test(labels_of_selinux_are_refused_where_there_is_none),
        cmocka_unit_test(cpus_of_a_further_process_are_a_set_of_bits),
        cmocka_unit_test(what_cannot_be_done_is_refused_by_its_name),
        cmocka_unit_test(a_plan_that_ends_early_is_refused),
        cmocka_unit_test(a_plan_with_any_number_changed_is_refused_or_harmless),
        cmocka_unit_test(a_plan_of_another_version_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
