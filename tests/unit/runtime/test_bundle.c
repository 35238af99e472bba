// SPDX-License-Identifier: Apache-2.0
/* Service + image -> config.json, part by part: the tables of src/oci/bundle.c and process.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "oci/bundle.h"

static const char *const no_args[] = { NULL };

/* An image of two files; either may be missing. */
struct etc {
    const char *passwd, *group;
};

static int open_etc(void *arg, const char *path, struct zl_error *err)
{
    const struct etc *etc = arg;
    const char *text = strcmp(path, "/etc/passwd") == 0 ? etc->passwd : etc->group;
    if (!text)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "no '%s'", path);
    int fd = memfd_create("etc", MFD_CLOEXEC);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static struct etc usual_etc = {
    .passwd = "root:x:0:0:root:/root:/bin/sh\n"
              "daemon:x:1:1::/usr/sbin:/bin/false\n"
              "# a line that is none\n"
              "web:x:1000:1001:Web:/srv/web:/bin/sh\n",
    .group = "root:x:0:\nwww:x:33:daemon,web\nweb:x:1001:\nlog:x:44:web\n",
};

static json_t *make(const struct oci_bundle *b)
{
    struct zl_error err = { 0 };
    json_t *config = NULL;
    if (oci_bundle_make(b, &config, &err) < 0)
        fail_msg("%s", err.msg);
    return config;
}

/* A machine that allows everything, but not more than 4096 open files; nothing is on it. */
static struct oci_host host = {
    .root_fd = -1,
    .rlimit_max = { [RLIMIT_NOFILE] = 4096, [RLIMIT_CORE] = RLIM_INFINITY },
    .capabilities = ~UINT64_C(0),
};

static struct oci_bundle bundle_of(const struct spec_service *s)
{
    return (struct oci_bundle){
        .service = s,
        .env = &s->env,
        .host = &host,
        .name = "web-rep-1",
        .cgroups_path = "/zlayer/c/x",
        .open_file = open_etc,
        .arg = &usual_etc,
    };
}

/* The value at "process.user.uid", as compact JSON. Freed by the caller. */
static char *at(const json_t *config, const char *path)
{
    char copy[128], *rest = copy;
    (void)snprintf(copy, sizeof copy, "%s", path);
    const json_t *v = config;
    for (char *key; v && (key = strsep(&rest, "."));)
        v = json_object_get(v, key);
    return v ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS) : strdup("absent");
}

static void expect(const struct oci_bundle *b, const char *path, const char *wanted)
{
    json_t *config = make(b);
    char *found = at(config, path);
    assert_string_equal(found, wanted);
    free(found);
    json_decref(config);
}

static void expect_failure(const struct oci_bundle *b, enum zl_err_kind kind, const char *text)
{
    struct zl_error err = { 0 };
    json_t *config = NULL;
    assert_int_equal(oci_bundle_make(b, &config, &err), -1);
    assert_string_equal(err.msg, text);
    assert_int_equal(err.kind, kind);
    assert_null(config);
}

static void arguments_follow_the_rules_of_docker(void **unused)
{
    (void)unused;
    static const char *const e[] = { "/e" }, *const a[] = { "a", "b" };
    static const char *const ie[] = { "/ie", NULL }, *const ic[] = { "ic", NULL };
    static const struct spec_strings unsaid = { 0 }, empty = { .written = true };
    static const struct spec_strings E = { e, 1, true }, A = { a, 2, true };
    const struct {
        const struct spec_strings *entrypoint, *args;
        const char *const *image_entrypoint, *const *image_cmd;
        const char *wanted;
    } rows[] = {
        { &E, &A, ie, ic, "[\"/e\",\"a\",\"b\"]" },
        { &E, &unsaid, ie, ic, "[\"/e\"]" },
        { &unsaid, &A, ie, ic, "[\"/ie\",\"a\",\"b\"]" },
        { &unsaid, &A, NULL, ic, "[\"a\",\"b\"]" },
        { &unsaid, &unsaid, ie, ic, "[\"/ie\",\"ic\"]" },
        { &unsaid, &empty, ie, ic, "[\"/ie\",\"ic\"]" },
        { &empty, &unsaid, ie, ic, "[\"ic\"]" },
        { &unsaid, &unsaid, no_args, NULL, "[\"/bin/sh\"]" },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(rows); i++) {
        struct spec_service s = { .command = { *rows[i].entrypoint, *rows[i].args, NULL } };
        struct oci_bundle b = bundle_of(&s);
        b.image.entrypoint = rows[i].image_entrypoint;
        b.image.cmd = rows[i].image_cmd;
        expect(&b, "process.args", rows[i].wanted);
    }
}

static void later_environment_wins_and_keeps_the_first_place(void **unused)
{
    (void)unused;
    static const char *const image_env[] = { "A=1", "B=2", "TERM=dumb", "nameonly", NULL };
    const struct spec_pair env[] = { { "A", "3" }, { "C", "x=y" }, { "HOME", "/h" } };
    struct spec_service s = { .env = { env, 3 } };
    struct oci_bundle b = bundle_of(&s);
    b.image.env = image_env;
    expect(&b, "process.env",
           "[\"A=3\",\"B=2\",\"TERM=xterm\","
           "\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\"HOME=/h\","
           "\"C=x=y\"]");
}

static void an_image_that_has_a_path_keeps_it_and_home_comes_from_passwd(void **unused)
{
    (void)unused;
    static const char *const image_env[] = { "PATH=/bin", NULL };
    struct spec_service s = { .user = "web" };
    struct oci_bundle b = bundle_of(&s);
    b.image.env = image_env;
    expect(&b, "process.env", "[\"PATH=/bin\",\"TERM=xterm\",\"HOME=/srv/web\"]");
}

static void users_are_found_by_name_and_number(void **unused)
{
    (void)unused;
    const struct {
        const char *spec, *image, *wanted;
    } rows[] = {
        { NULL, NULL, "{\"additionalGids\":[],\"gid\":0,\"uid\":0}" },
        { NULL, "web", "{\"additionalGids\":[33,44],\"gid\":1001,\"uid\":1000}" },
        { "daemon", "web", "{\"additionalGids\":[33],\"gid\":1,\"uid\":1}" },
        { "1000", NULL, "{\"additionalGids\":[33,44],\"gid\":1001,\"uid\":1000}" },
        { "4711", NULL, "{\"additionalGids\":[],\"gid\":0,\"uid\":4711}" },
        { "4711:4712", NULL, "{\"additionalGids\":[],\"gid\":4712,\"uid\":4711}" },
        { "web:www", NULL, "{\"additionalGids\":[],\"gid\":33,\"uid\":1000}" },
        { "0:0", NULL, "{\"additionalGids\":[],\"gid\":0,\"uid\":0}" },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(rows); i++) {
        struct spec_service s = { .user = rows[i].spec };
        struct oci_bundle b = bundle_of(&s);
        b.image.user = rows[i].image;
        expect(&b, "process.user", rows[i].wanted);
    }
}

static void an_unknown_name_is_refused_and_a_missing_passwd_is_not(void **unused)
{
    (void)unused;
    struct etc none = { 0 };
    struct spec_service s = { .user = "nobody" };
    struct oci_bundle b = bundle_of(&s);
    expect_failure(&b, ZL_ERR_NOT_FOUND, "no user 'nobody' in /etc/passwd of the image");
    s.user = "web:staff";
    expect_failure(&b, ZL_ERR_NOT_FOUND, "no group 'staff' in /etc/group of the image");
    s.user = "4294967295";
    expect_failure(&b, ZL_ERR_NOT_FOUND, "no user '4294967295' in /etc/passwd of the image");
    s.user = "7";
    b.arg = &none;
    expect(&b, "process.user", "{\"additionalGids\":[],\"gid\":0,\"uid\":7}");
}

static void only_root_holds_capabilities(void **unused)
{
    (void)unused;
    struct spec_service s = { 0 };
    struct oci_bundle b = bundle_of(&s);
    json_t *config = make(&b);
    const json_t *caps = json_object_get(json_object_get(config, "process"), "capabilities");
    assert_int_equal(json_array_size(json_object_get(caps, "bounding")), 14);
    assert_int_equal(json_array_size(json_object_get(caps, "effective")), 14);
    assert_int_equal(json_array_size(json_object_get(caps, "ambient")), 0);
    json_decref(config);
    s.user = "web";
    expect(&b, "process.capabilities.effective", "[]");
    expect(&b, "process.capabilities.permitted", "[]");
}

static void capabilities_are_dropped_first_and_then_added(void **unused)
{
    (void)unused;
    static const char *const all[] = { "ALL" }, *const kill[] = { "cap_kill" },
                             *const net[] = { "NET_ADMIN", "CAP_NET_RAW" },
                             *const unknown[] = { "FLY" };
    static const struct spec_strings none = { 0 }, All = { all, 1, true }, Kill = { kill, 1, true },
                                     Net = { net, 2, true }, Unknown = { unknown, 1, true };
    const struct {
        const struct spec_strings *add, *drop;
        size_t n;
    } rows[] = {
        { &none, &none, 14 }, { &Net, &none, 15 }, { &none, &Net, 13 }, { &none, &All, 0 },
        { &Kill, &All, 1 },   { &All, &none, 41 }, { &All, &Kill, 41 }, { &Net, &Kill, 14 },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(rows); i++) {
        struct spec_service s = { .cap_add = *rows[i].add, .cap_drop = *rows[i].drop };
        struct oci_bundle b = bundle_of(&s);
        json_t *config = make(&b);
        const json_t *caps = json_object_get(json_object_get(config, "process"), "capabilities");
        assert_int_equal(json_array_size(json_object_get(caps, "bounding")), rows[i].n);
        json_decref(config);
    }
    struct spec_service s = { .cap_add = Unknown };
    struct oci_bundle b = bundle_of(&s);
    expect_failure(&b, ZL_ERR_INVALID, "cap_add: there is no capability 'FLY'");
    s = (struct spec_service){ .cap_add = Kill, .cap_drop = All };
    expect(&b, "process.capabilities.bounding", "[\"CAP_KILL\"]");
}

static void ulimits_have_two_sides_and_a_ceiling(void **unused)
{
    (void)unused;
    const struct {
        struct spec_ulimit u;
        const char *wanted;
    } rows[] = {
        { { "nofile", 100, 200, true, true },
          "[{\"hard\":200,\"soft\":100,\"type\":\"RLIMIT_NOFILE\"}]" },
        { { "NoFile", 100, 0, true, false },
          "[{\"hard\":100,\"soft\":100,\"type\":\"RLIMIT_NOFILE\"}]" },
        { { "nofile", 0, 200, false, true },
          "[{\"hard\":200,\"soft\":200,\"type\":\"RLIMIT_NOFILE\"}]" },
        { { "nofile", -1, -1, true, true },
          "[{\"hard\":4096,\"soft\":4096,\"type\":\"RLIMIT_NOFILE\"}]" },
        { { "core", -1, -1, true, true },
          "[{\"hard\":1.8446744073709552e19,\"soft\":1.8446744073709552e19,\"type\":"
          "\"RLIMIT_CORE\"},{\"hard\":4096,\"soft\":1024,\"type\":\"RLIMIT_NOFILE\"}]" },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(rows); i++) {
        struct spec_service s = { .ulimits = &rows[i].u, .n_ulimits = 1 };
        struct oci_bundle b = bundle_of(&s);
        expect(&b, "process.rlimits", rows[i].wanted);
    }
    const struct spec_ulimit unknown = { "speed", 1, 1, true, true };
    struct spec_service s = { .ulimits = &unknown, .n_ulimits = 1 };
    struct oci_bundle b = bundle_of(&s);
    expect_failure(&b, ZL_ERR_INVALID, "ulimits: there is no limit 'speed'");
}

static void extra_groups_are_found_like_the_users_own(void **unused)
{
    (void)unused;
    static const char *const groups[] = { "www", "77", "44" }, *const bad[] = { "none" };
    struct spec_service s = { .user = "web", .extra_groups = { groups, 3, true } };
    struct oci_bundle b = bundle_of(&s);
    expect(&b, "process.user", "{\"additionalGids\":[33,44,77],\"gid\":1001,\"uid\":1000}");
    s.extra_groups = (struct spec_strings){ bad, 1, true };
    expect_failure(&b, ZL_ERR_NOT_FOUND, "no group 'none' in /etc/group of the image");
}

static void security_options_change_the_document(void **unused)
{
    (void)unused;
    const struct {
        const char *option, *path, *wanted;
    } rows[] = {
        { "no-new-privileges:false", "process.noNewPrivileges", "false" },
        { "no-new-privileges", "process.noNewPrivileges", "true" },
        { "seccomp=unconfined", "linux.seccomp", "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}" },
        { "apparmor=web", "process.apparmorProfile", "\"web\"" },
        { "apparmor=unconfined", "process.apparmorProfile", "absent" },
        { "label=level:s0:c1", "process.selinuxLabel", "\"system_u:system_r:container_t:s0:c1\"" },
        { "label=disable", "process.selinuxLabel", "absent" },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(rows); i++) {
        struct spec_service s = { .security_opt = { &rows[i].option, 1, true } };
        struct oci_bundle b = bundle_of(&s);
        expect(&b, rows[i].path, rows[i].wanted);
    }
    const struct {
        const char *option, *why;
    } bad[] = {
        { "seccomp=profile.json",
          "security_opt 'seccomp=profile.json': unconfined or an absolute path is expected" },
        { "label=x", "security_opt 'label=x': disable, user:…, role:…, type:… or level:… is "
                     "expected" },
        { "magic", "security_opt 'magic': there is no such option" },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(bad); i++) {
        struct spec_service s = { .security_opt = { &bad[i].option, 1, true } };
        struct oci_bundle b = bundle_of(&s);
        expect_failure(&b, ZL_ERR_INVALID, bad[i].why);
    }
}

static void namespaces_of_others_are_joined_by_the_path_that_was_found(void **unused)
{
    (void)unused;
    struct spec_service s = { .pid_mode = "host", .ipc_mode = "container:db" };
    struct oci_bundle b = bundle_of(&s);
    expect_failure(&b, ZL_ERR_NOT_FOUND, "ipc namespace: container 'db' does not run");
    b.join.ipc = "/proc/7/ns/ipc";
    expect(&b, "linux.namespaces",
           "[{\"path\":\"/proc/7/ns/ipc\",\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":"
           "\"mount\"},{\"type\":\"cgroup\"},{\"type\":\"network\"}]");
    s = (struct spec_service){ .network = SPEC_NET_CONTAINER, .network_name = "db" };
    expect_failure(&b, ZL_ERR_NOT_FOUND, "network namespace: container 'db' does not run");
}

static void limits_of_the_spec_become_resources(void **unused)
{
    (void)unused;
    struct spec_service s = {
        .resources = { .cpu = 0.5,
                       .memory = 16 << 20,
                       .memory_swap = -1,
                       .pids_limit = 32,
                       .cpu_shares = 512,
                       .cpuset = "0-1",
                       .oom_score_adj = -5,
                       .has_oom_score_adj = true },
    };
    struct oci_bundle b = bundle_of(&s);
    expect(&b, "linux.resources.cpu",
           "{\"cpus\":\"0-1\",\"period\":100000,\"quota\":50000,\"shares\":512}");
    expect(&b, "linux.resources.memory", "{\"limit\":16777216,\"swap\":-1}");
    expect(&b, "linux.resources.pids", "{\"limit\":32}");
    expect(&b, "process.oomScoreAdj", "-5");
    s.resources = (struct spec_resources){ .cpu = 0.001 };
    expect(&b, "linux.resources.cpu", "{\"period\":100000,\"quota\":1000}");
    expect(&b, "linux.resources.memory", "absent");
    expect(&b, "process.oomScoreAdj", "absent");
    expect(&b, "process.rlimits", "[{\"hard\":4096,\"soft\":1024,\"type\":\"RLIMIT_NOFILE\"}]");
}

static void only_host_network_has_no_network_namespace(void **unused)
{
    (void)unused;
    static const char with[] = "[{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},"
                               "{\"type\":\"mount\"},{\"type\":\"cgroup\"},{\"type\":\"network\"}]";
    static const char without[] = "[{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},"
                                  "{\"type\":\"mount\"},{\"type\":\"cgroup\"}]";
    struct spec_service s = { 0 };
    struct oci_bundle b = bundle_of(&s);
    expect(&b, "linux.namespaces", with);
    s.network = SPEC_NET_NONE;
    expect(&b, "linux.namespaces", with);
    s.network = SPEC_NET_HOST;
    expect(&b, "linux.namespaces", without);
    s.network = SPEC_NET_BRIDGE;
    expect_failure(&b, ZL_ERR_UNSUPPORTED, "network_mode bridge is not supported by this version");
}

static const json_t *mount_at(const json_t *config, const char *target)
{
    size_t i;
    const json_t *m;
    json_array_foreach(json_object_get(config, "mounts"), i, m)
    {
        if (strcmp(json_string_value(json_object_get(m, "destination")), target) == 0)
            return m;
    }
    return NULL;
}

static void expect_mount(const json_t *config, const char *target, const char *wanted)
{
    const json_t *m = mount_at(config, target);
    assert_non_null(m);
    char *found = json_dumps(m, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(found, wanted);
    free(found);
}

static void mounts_are_the_standard_ones_etc_and_the_storage_of_the_spec(void **unused)
{
    (void)unused;
    const struct spec_storage storage[] = {
        { SPEC_MOUNT_BIND, "/host", "/in", true, 0, 0 },
        { SPEC_MOUNT_TMPFS, NULL, "/tmp", false, 65536, 0700 },
    };
    struct spec_service s = { .storage = storage, .n_storage = 2 };
    struct oci_bundle b = bundle_of(&s);
    b.etc_dir = "/state/x";
    json_t *config = make(&b);
    assert_int_equal(json_array_size(json_object_get(config, "mounts")), 7 + 3 + 2);
    expect_mount(config, "/sys/fs/cgroup",
                 "{\"destination\":\"/sys/fs/cgroup\",\"options\":[\"nosuid\",\"noexec\",\"nodev\","
                 "\"relatime\",\"ro\"],\"source\":\"cgroup\",\"type\":\"cgroup\"}");
    expect_mount(config, "/etc/hosts",
                 "{\"destination\":\"/etc/hosts\",\"options\":[\"bind\",\"rprivate\",\"nosuid\","
                 "\"nodev\",\"noexec\",\"ro\"],\"source\":\"/state/x/hosts\",\"type\":\"bind\"}");
    expect_mount(config, "/in",
                 "{\"destination\":\"/in\",\"options\":[\"rbind\",\"rprivate\",\"ro\"],"
                 "\"source\":\"/host\",\"type\":\"bind\"}");
    expect_mount(config, "/tmp",
                 "{\"destination\":\"/tmp\",\"options\":[\"nosuid\",\"nodev\",\"mode=700\","
                 "\"size=65536\"],\"source\":\"tmpfs\",\"type\":\"tmpfs\"}");
    json_decref(config);
}

static void a_storage_that_cannot_be_mounted_is_refused(void **unused)
{
    (void)unused;
    const struct spec_storage storage = { SPEC_MOUNT_S3, NULL, "/s3", false, 0, 0 };
    struct spec_service s = { .storage = &storage, .n_storage = 1 };
    struct oci_bundle b = bundle_of(&s);
    expect_failure(&b, ZL_ERR_UNSUPPORTED,
                   "the storage for '/s3' is of a type that this version cannot mount");
}

static void hidden_paths_and_rights_are_always_there(void **unused)
{
    (void)unused;
    struct spec_service s = { .read_only_root_fs = true, .tty = true };
    struct oci_bundle b = bundle_of(&s);
    expect(&b, "root", "{\"path\":\"rootfs\",\"readonly\":true}");
    expect(&b, "process.terminal", "true");
    expect(&b, "process.noNewPrivileges", "true");
    expect(&b, "linux.cgroupsPath", "\"/zlayer/c/x\"");
    expect(&b, "linux.readonlyPaths",
           "[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sys\",\"/proc/sysrq-trigger\"]");
    json_t *config = make(&b);
    const json_t *linux_part = json_object_get(config, "linux");
    assert_int_equal(json_array_size(json_object_get(linux_part, "maskedPaths")), 10);
    const json_t *rules = json_object_get(json_object_get(linux_part, "resources"), "devices");
    assert_int_equal(json_array_size(rules), 10);
    assert_false(json_boolean_value(json_object_get(json_array_get(rules, 0), "allow")));
    json_decref(config);
}

static void names_and_directories_have_their_defaults(void **unused)
{
    (void)unused;
    struct spec_service s = { 0 };
    struct oci_bundle b = bundle_of(&s);
    expect(&b, "hostname", "\"web-rep-1\"");
    expect(&b, "process.cwd", "\"/\"");
    b.image.workdir = "app";
    expect(&b, "process.cwd", "\"/app\"");
    s.hostname = "front";
    s.command.workdir = "/srv";
    expect(&b, "hostname", "\"front\"");
    expect(&b, "process.cwd", "\"/srv\"");
    s.command.workdir = "srv";
    expect_failure(&b, ZL_ERR_INVALID, "the working directory 'srv' is not absolute");
}

static void text_that_is_not_utf8_is_refused(void **unused)
{
    (void)unused;
    const struct spec_pair env[] = { { "A", "\xff" } };
    struct spec_service s = { .env = { env, 1 } };
    struct oci_bundle b = bundle_of(&s);
    expect_failure(&b, ZL_ERR_INVALID, "an environment variable is not valid UTF-8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_follow_the_rules_of_docker),
        cmocka_unit_test(later_environment_wins_and_keeps_the_first_place),
        cmocka_unit_test(an_image_that_has_a_path_keeps_it_and_home_comes_from_passwd),
        cmocka_unit_test(users_are_found_by_name_and_number),
        cmocka_unit_test(an_unknown_name_is_refused_and_a_missing_passwd_is_not),
        cmocka_unit_test(only_root_holds_capabilities),
        cmocka_unit_test(capabilities_are_dropped_first_and_then_added),
        cmocka_unit_test(ulimits_have_two_sides_and_a_ceiling),
        cmocka_unit_test(extra_groups_are_found_like_the_users_own),
        cmocka_unit_test(security_options_change_the_document),
        cmocka_unit_test(namespaces_of_others_are_joined_by_the_path_that_was_found),
        cmocka_unit_test(limits_of_the_spec_become_resources),
        cmocka_unit_test(only_host_network_has_no_network_namespace),
        cmocka_unit_test(mounts_are_the_standard_ones_etc_and_the_storage_of_the_spec),
        cmocka_unit_test(a_storage_that_cannot_be_mounted_is_refused),
        cmocka_unit_test(hidden_paths_and_rights_are_always_there),
        cmocka_unit_test(names_and_directories_have_their_defaults),
        cmocka_unit_test(text_that_is_not_utf8_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
