// SPDX-License-Identifier: Apache-2.0
/*
 * linux.resources → files of cgroups: a table of properties with what each version gets, whatever
 * this host has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "sandbox/plan/limits/limits.h"

static const struct cgroup_layout v1 = {
    .mode = CGROUP_V1,
    .root = "/cg",
    .v = { { .name = "blkio" },
           { .name = "cpu", .link_to = "cpu,cpuacct" },
           { .name = "cpu,cpuacct" },
           { .name = "cpuacct", .link_to = "cpu,cpuacct" },
           { .name = "cpuset" },
           { .name = "devices" },
           { .name = "freezer" },
           { .name = "hugetlb" },
           { .name = "memory" },
           { .name = "net_cls" },
           { .name = "net_prio" },
           { .name = "pids" },
           { .name = "rdma" } },
    .n = 13,
};
static const struct cgroup_layout v2 = { .mode = CGROUP_V2, .root = "/cg" };
static const struct cgroup_layout few = {
    .mode = CGROUP_V1, .root = "/cg", .v = { { .name = "pids" } }, .n = 1
};

static const struct cgroup_layout none = { .mode = CGROUP_NONE, .root = "/cg" };

struct made {
    struct zl_json doc;
    struct oci_config config;
    struct zl_buf bytes, notes;
    struct plan plan;
};

static void done(struct made *m)
{
    zl_json_done(&m->doc);
    zl_buf_done(&m->bytes);
    zl_buf_done(&m->notes);
}
#define automade __attribute__((cleanup(done)))

static int build(struct made *m, const struct cgroup_layout *layout, const char *text,
                 struct zl_error *err)
{
    struct plan_options o = { .id = "c1", .cgroup_parent = "/p", .notes = &m->notes };
    struct build b = { .config = &m->config, .options = &o, .layout = layout, .err = err };
    struct oci_resources *r = NULL;

    *m = (struct made){ .doc = { 0 } };
    zl_buf_init(&m->bytes, PLAN_MAX);
    zl_buf_init(&m->notes, 4096);
    if (oci_resources_parse(&m->doc, text, strlen(text), "resources", &r, err) < 0)
        fail_msg("%s: %s", text, err->msg);
    m->config.linux_.resources = *r;
    writer_begin(&b.w, &m->bytes, sizeof m->plan);
    return build_cgroups(&b, &m->plan);
}

/* "memory/memory.max=1\n…" of all that are joined; late ones by name in brackets. */
static void print(const struct made *m, struct zl_buf *out)
{
    const void *base = m->bytes.data;
    const struct plan_cgroup *c = plan_table(base, m->plan.cgroups);

    for (uint32_t i = 0; i < m->plan.cgroups.n; i++) {
        const struct plan_file *f = plan_table(base, c[i].files);
        if (c[i].flags & PLAN_CGROUP_LATE)
            continue;
        for (uint32_t k = 0; k < c[i].files.n; k++)
            zl_buf_addf(out, "%s%s%s=%s%s\n", f[k].flags & PLAN_FILE_OPTIONAL ? "?" : "",
                        f[k].flags & PLAN_FILE_NOT_BELOW_USAGE ? "!" : "",
                        plan_text(base, f[k].path), plan_text(base, f[k].value),
                        f[k].flags & PLAN_FILE_OR_NEXT ? " or" : "");
    }
}

/* clang-format off */
static const struct { const char *resources, *v1, *v2; } good[] = {
    { "{}", "", "" },
    { "{\"memory\":{\"limit\":67108864,\"swap\":134217728,\"reservation\":1048576}}",
      "memory.limit_in_bytes=67108864\nmemory.memsw.limit_in_bytes=134217728\nmemory.soft_limit_in_bytes=1048576\n",
      "memory.max=67108864\nmemory.swap.max=67108864\nmemory.low=1048576\n" },
    { "{\"memory\":{\"limit\":-1,\"swap\":-1,\"reservation\":-1,\"kernelTCP\":-1}}",
      "memory.limit_in_bytes=-1\n?memory.memsw.limit_in_bytes=-1\nmemory.soft_limit_in_bytes=-1\n"
      "?memory.kmem.tcp.limit_in_bytes=-1\n",
      "memory.max=max\n?memory.swap.max=max\nmemory.low=max\n" },
    { "{\"memory\":{\"limit\":4096,\"swap\":4096,\"checkBeforeUpdate\":true}}",
      "memory.limit_in_bytes=4096\nmemory.memsw.limit_in_bytes=4096\n",
      "!memory.max=4096\n?memory.swap.max=0\n" },
    { "{\"memory\":{\"swappiness\":0,\"disableOOMKiller\":true,\"useHierarchy\":true}}",
      "memory.swappiness=0\nmemory.oom_control=1\n?memory.use_hierarchy=1\n", "" },
    /* engines write all they know: 0 is not said */
    { "{\"memory\":{\"limit\":0,\"swap\":0},\"cpu\":{\"shares\":0,\"quota\":0,\"period\":0},\"blockIO\":{\"weight\":0}}",
      "", "" },
    { "{\"cpu\":{\"shares\":1024,\"quota\":50000,\"period\":100000,\"burst\":1000,\"cpus\":\"0-1\",\"mems\":\"0\"}}",
      "cpu.shares=1024\ncpu.cfs_period_us=100000\ncpu.cfs_quota_us=50000\ncpu.cfs_burst_us=1000\n"
      "cpuset.cpus=0-1\ncpuset.mems=0\n",
      "cpu.weight=39\ncpu.max=50000 100000\ncpu.max.burst=1000\ncpuset.cpus=0-1\ncpuset.mems=0\n" },
    { "{\"cpu\":{\"quota\":-1}}", "cpu.cfs_quota_us=-1\n", "cpu.max=max 100000\n" },
    { "{\"cpu\":{\"quota\":20000}}", "cpu.cfs_quota_us=20000\n", "cpu.max=20000 100000\n" },
    { "{\"cpu\":{\"shares\":1}}", "cpu.shares=1\n", "cpu.weight=1\n" },
    { "{\"cpu\":{\"shares\":262144}}", "cpu.shares=262144\n", "cpu.weight=10000\n" },
    { "{\"cpu\":{\"idle\":1,\"shares\":512}}", "cpu.idle=1\n", "cpu.idle=1\n" },
    { "{\"pids\":{\"limit\":7}}", "pids.max=7\n", "pids.max=7\n" },
    { "{\"pids\":{\"limit\":-1}}", "pids.max=max\n", "pids.max=max\n" },
    { "{\"blockIO\":{\"weight\":100,\"weightDevice\":[{\"major\":8,\"minor\":0,\"weight\":1000}]}}",
      "blkio.weight=100 or\nblkio.bfq.weight=100\nblkio.weight_device=8:0 1000 or\nblkio.bfq.weight_device=8:0 1000\n",
      "io.bfq.weight=100 or\nio.weight=default 910\nio.bfq.weight=8:0 1000 or\nio.weight=8:0 10000\n" },
    { "{\"blockIO\":{\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":600}],"
      "\"throttleWriteBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":700}],"
      "\"throttleReadIOPSDevice\":[{\"major\":8,\"minor\":16,\"rate\":8}],"
      "\"throttleWriteIOPSDevice\":[{\"major\":8,\"minor\":16,\"rate\":0}]}}",
      "blkio.throttle.read_bps_device=8:0 600\nblkio.throttle.write_bps_device=8:0 700\n"
      "blkio.throttle.read_iops_device=8:16 8\nblkio.throttle.write_iops_device=8:16 0\n",
      "io.max=8:0 rbps=600\nio.max=8:0 wbps=700\nio.max=8:16 riops=8\nio.max=8:16 wiops=max\n" },
    { "{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":4194304}]}",
      "?hugetlb.2MB.rsvd.limit_in_bytes=4194304\nhugetlb.2MB.limit_in_bytes=4194304\n",
      "?hugetlb.2MB.rsvd.max=4194304\nhugetlb.2MB.max=4194304\n" },
    { "{\"rdma\":{\"mlx5_1\":{\"hcaHandles\":3,\"hcaObjects\":10000},\"rxe3\":{\"hcaObjects\":1}}}",
      "rdma.max=mlx5_1 hca_handle=3 hca_object=10000\nrdma.max=rxe3 hca_object=1\n",
      "rdma.max=mlx5_1 hca_handle=3 hca_object=10000\nrdma.max=rxe3 hca_object=1\n" },
    { "{\"network\":{\"classID\":1048577,\"priorities\":[{\"name\":\"eth0\",\"priority\":500}]}}",
      "net_cls.classid=1048577\nnet_prio.ifpriomap=eth0 500\n", NULL },
    { "{\"cpu\":{\"realtimeRuntime\":950000,\"realtimePeriod\":1000000}}",
      "cpu.rt_period_us=1000000\ncpu.rt_runtime_us=950000\n", NULL },
    { "{\"devices\":[{\"allow\":false,\"access\":\"rwm\"},{\"allow\":true,\"type\":\"c\",\"major\":10,\"access\":\"rw\"},"
      "{\"allow\":true,\"major\":8,\"minor\":0}]}",
      "devices.deny=a\ndevices.allow=c 10:* rw\ndevices.allow=c 8:0 rwm\ndevices.allow=b 8:0 rwm\n"
      "devices.allow=c *:* m\ndevices.allow=b *:* m\ndevices.allow=c 1:3 rwm\ndevices.allow=c 1:5 rwm\n"
      "devices.allow=c 1:7 rwm\ndevices.allow=c 1:8 rwm\ndevices.allow=c 1:9 rwm\ndevices.allow=c 5:0 rwm\n"
      "devices.allow=c 5:2 rwm\ndevices.allow=c 136:* rwm\n", "" },
    /* "a" of v1 would give more than is said */
    { "{\"devices\":[{\"allow\":true,\"access\":\"mrw\"},{\"allow\":true,\"access\":\"r\"}]}",
      "devices.allow=a\ndevices.allow=c *:* r\ndevices.allow=b *:* r\n", "" },
};

static const struct { const struct cgroup_layout *layout; const char *resources, *message; } bad[] = {
    { &v2, "{\"network\":{\"classID\":1}}",
      "linux.resources.network: cgroup v2 has neither net_cls nor net_prio" },
    { &v2, "{\"cpu\":{\"realtimeRuntime\":1}}", "linux.resources.cpu.realtimeRuntime: cgroup v2 has no realtime limits" },
    { &v2, "{\"blockIO\":{\"leafWeight\":10}}", "linux.resources.blockIO.leafWeight: cgroup v2 has none" },
    { &v2, "{\"memory\":{\"swap\":10}}",
      "linux.resources.memory.swap: it counts memory as well: memory.limit is required" },
    { &v2, "{\"memory\":{\"swap\":10,\"limit\":20}}", "linux.resources.memory.swap: 10 is less than memory.limit" },
    { &v2, "{\"unified\":{\"../memory.max\":\"1\"}}", "linux.resources.unified: '../memory.max' is no file of a cgroup" },
    { &v2, "{\"unified\":{\"memory\":\"1\"}}", "linux.resources.unified: 'memory' is no file of a cgroup" },
    { &v2, "{\"unified\":{\"nonsense.max\":\"1\"}}",
      "linux.resources.unified.nonsense.max: cgroup v2 of this host has no controller 'nonsense'" },
    { &none, "{\"blockIO\":{\"weight\":10}}", "linux.resources: no cgroups are mounted at '/cg'" },
    { &none, "{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":0}]}",
      "linux.resources: no cgroups are mounted at '/cg'" },
    { &v1, "{\"unified\":{\"memory.high\":\"1\"}}",
      "linux.resources.unified.memory.high: cgroup v2 of this host has no controller 'memory'" },
    { &few, "{\"memory\":{\"limit\":1}}", "linux.resources: this host has no cgroup controller 'memory'" },
    { &few, "{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":1}]}",
      "linux.resources: this host has no cgroup controller 'hugetlb'" },
    { &v1, "{\"hugepageLimits\":[{\"pageSize\":\"2/../MB\",\"limit\":1}]}",
      "linux.resources.hugepageLimits[0].pageSize: expected 2MB or the like, found '2/../MB'" },
    { &v1, "{\"rdma\":{\"x\":{}}}", "linux.resources.rdma.x: hcaHandles or hcaObjects is required" },
    { &v1, "{\"devices\":[{\"allow\":true,\"type\":\"u\"}]}",
      "linux.resources.devices[0].type: expected a, b or c, found 'u'" },
    { &v1, "{\"devices\":[{\"allow\":true,\"access\":\"rx\"}]}",
      "linux.resources.devices[0].access: expected letters of rwm, found 'rx'" },
};
/* clang-format on */

static void expect(const struct cgroup_layout *layout, const char *resources, const char *wanted)
{
    automade struct made m;
    struct zl_error err = { 0 };
    zl_autobuf struct zl_buf out = ZL_BUF(8192);

    if (!wanted) /* the next table has its message */
        return;
    if (build(&m, layout, resources, &err) < 0)
        fail_msg("%s: %s", resources, err.msg);
    print(&m, &out);
    assert_string_equal(out.data, wanted);
}

static void every_limit_has_its_file_in_both_versions(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ZL_ARRAY_LEN(good); i++) {
        expect(&v1, good[i].resources, good[i].v1);
        expect(&v2, good[i].resources, good[i].v2);
    }
}

static void what_has_no_place_is_refused_by_its_name(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ZL_ARRAY_LEN(bad); i++) {
        automade struct made m;
        struct zl_error err = { 0 };
        assert_int_equal(build(&m, bad[i].layout, bad[i].resources, &err), -1);
        assert_string_equal(err.msg, bad[i].message);
    }
}

static void what_v2_does_not_count_is_left_out_with_a_note(void **unused)
{
    automade struct made m;
    (void)unused;

    assert_int_equal(
        build(&m, &v2, "{\"memory\":{\"swappiness\":10,\"disableOOMKiller\":true,\"kernel\":1}}",
              NULL),
        0);
    assert_string_equal(m.notes.data,
                        "linux.resources.memory.swappiness: cgroup v2 has none: left out\n"
                        "linux.resources.memory.disableOOMKiller: cgroup v2 has none: left out\n"
                        "linux.resources.memory.kernel: cgroup v2 has none: left out\n");
}

static const struct plan_cgroup *row(const struct made *m, const char *controller)
{
    const struct plan_cgroup *c = plan_table(m->bytes.data, m->plan.cgroups);

    for (uint32_t i = 0; i < m->plan.cgroups.n; i++)
        if (strcmp(plan_text(m->bytes.data, c[i].controller), controller) == 0)
            return &c[i];
    fail_msg("no row of '%s'", controller);
    return NULL;
}

/* cpu and cpuacct are one hierarchy here: joined once, with the files of both. */
static void hierarchies_of_two_controllers_are_one_row(void **unused)
{
    automade struct made m;
    (void)unused;

    assert_int_equal(build(&m, &v1, "{\"cpu\":{\"shares\":7}}", NULL), 0);
    const struct plan_cgroup *c = row(&m, "cpu,cpuacct");
    assert_int_equal(c->flags, 0);
    assert_int_equal(c->files.n, 1);
    assert_string_equal(plan_text(m.bytes.data, c->mount), "/cg/cpu,cpuacct");
    assert_string_equal(plan_text(m.bytes.data, c->path), "p/c/c1");
    assert_ptr_equal(plan_table(m.bytes.data, m.plan.cgroups), c); /* joined ones come first */
}

static void unlimited_hierarchies_are_late_but_one(void **unused)
{
    automade struct made m;
    (void)unused;

    assert_int_equal(build(&m, &v1, "{}", NULL), 0);
    assert_int_equal(m.plan.cgroups.n, 11); /* cpu, cpuacct: one */
    assert_int_equal(row(&m, "pids")->flags, 0);
    assert_int_equal(row(&m, "memory")->flags, PLAN_CGROUP_LATE);
    assert_int_equal(row(&m, "freezer")->flags, PLAN_CGROUP_LATE);
}

static void the_controllers_of_the_files_are_switched_on_above(void **unused)
{
    automade struct made m;
    (void)unused;

    assert_int_equal(build(&m, &v2,
                           "{\"cpu\":{\"cpus\":\"0\"},\"hugepageLimits\":[{\"pageSize\":"
                           "\"2MB\",\"limit\":1}]}",
                           NULL),
                     0);
    assert_string_equal(plan_text(m.bytes.data, row(&m, "")->enable),
                        "+memory +pids +cpu +cpuset +hugetlb");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_limit_has_its_file_in_both_versions),
        cmocka_unit_test(what_has_no_place_is_refused_by_its_name),
        cmocka_unit_test(what_v2_does_not_count_is_left_out_with_a_note),
        cmocka_unit_test(hierarchies_of_two_controllers_are_one_row),
        cmocka_unit_test(unlimited_hierarchies_are_late_but_one),
        cmocka_unit_test(the_controllers_of_the_files_are_switched_on_above),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
