// SPDX-License-Identifier: Apache-2.0
/*
 * A service that says all that can be said, and the config.json it becomes: golden/everything.yml
 * and .json. ZLAYER_TEST_WRITE=1 writes the latter anew, for a look at the difference. The machine
 * is a folder of the test's: device nodes, a CDI file, a seccomp profile of Docker's form.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "oci/bundle.h"
#include "oci/cdi.h"
#include "oci/gpu.h"

static int golden = -1; /* the folder */
static char folder[] = "/tmp/zlayer-golden.XXXXXX";

/* ---- the machine --------------------------------------------------------------------------- */

static void put_file(int root, const char *dir, const char *name, const char *text)
{
    struct zl_error err;
    zl_autoclose int fd = zl_mkdir_p(root, dir, 0755, &err);
    if (fd < 0 || zl_write_atomic(fd, name, text, strlen(text), 0644, false, &err) < 0)
        fail_msg("%s", err.msg);
}

static const struct {
    const char *path;
    mode_t mode;
    unsigned major, minor;
} nodes[] = {
    { "dev/fuse", S_IFCHR | 0600, 10, 229 },       { "dev/big", S_IFBLK | 0640, 600, 70000 },
    { "dev/nvidiactl", S_IFCHR | 0666, 195, 255 }, { "dev/nvidia0", S_IFCHR | 0666, 195, 0 },
    { "dev/nvidia1", S_IFCHR | 0666, 195, 1 },     { "dev/nvidia2", S_IFCHR | 0666, 195, 2 },
};

/* GPU 0 is as the file says; of the two edits of PATH_SUFFIX the device's own wins. */
static const char cdi_file[] =
    "cdiVersion: 0.6.0\n"
    "kind: nvidia.com/gpu\n"
    "containerEdits:\n"
    "  env: [CUDA_HOME=/usr/local/cuda, CDI=file]\n"
    "  deviceNodes: [{path: /dev/nvidiactl}]\n"
    "  mounts: [{hostPath: /usr/lib/libcuda.so, containerPath: /usr/lib/libcuda.so, options: [ro, "
    "nosuid]}]\n"
    "devices:\n"
    "- name: \"1\"\n"
    "  containerEdits: {env: [CDI=one], deviceNodes: [{path: /dev/nvidia1, permissions: rw, "
    "fileMode: 0660, gid: 44}]}\n"
    "- name: \"2\"\n"
    "  containerEdits: {deviceNodes: [{path: /dev/gpu2, hostPath: /dev/nvidia2}]}\n";

static const char docker_profile[] =
    "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 38,\n"
    " \"architectures\": [\"SCMP_ARCH_X86_64\"],\n"
    " \"syscalls\": [\n"
    "  {\"names\": [\"read\", \"write\"], \"action\": \"SCMP_ACT_ALLOW\"},\n"
    "  {\"name\": \"ptrace\", \"action\": \"SCMP_ACT_ALLOW\", \"includes\": {\"caps\": "
    "[\"CAP_SYS_PTRACE\"]}},\n"
    "  {\"names\": [\"mount\"], \"action\": \"SCMP_ACT_ALLOW\", \"includes\": {\"caps\": "
    "[\"CAP_SYS_ADMIN\"]}},\n"
    "  {\"names\": [\"clone\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{\"index\": 0, "
    "\"value\": 2114060288, \"op\": \"SCMP_CMP_MASKED_EQ\"}],\n"
    "   \"excludes\": {\"caps\": [\"CAP_SYS_ADMIN\"], \"arches\": [\"s390\", \"s390x\"]}},\n"
    "  {\"names\": [\"kill\"], \"action\": \"SCMP_ACT_ALLOW\", \"excludes\": {\"caps\": "
    "[\"CAP_NET_ADMIN\"]}},\n"
    "  {\"names\": [\"pidfd_open\"], \"action\": \"SCMP_ACT_ALLOW\", \"includes\": {\"minKernel\": "
    "\"4.8\"}},\n"
    "  {\"names\": [\"future\"], \"action\": \"SCMP_ACT_ALLOW\", \"includes\": {\"minKernel\": "
    "\"99.0\"}}]}\n";

static const char of_each_machine[] = "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [],\n"
                                      " \"archMap\": [{\"architecture\": \"SCMP_ARCH_X86_64\", "
                                      "\"subArchitectures\": [\"SCMP_ARCH_X86\"]},\n"
                                      "             {\"architecture\": \"SCMP_ARCH_AARCH64\", "
                                      "\"subArchitectures\": [\"SCMP_ARCH_ARM\"]}]}\n";

static int make_machine(void **state)
{
    struct zl_error err;
    (void)state;
    assert_non_null(mkdtemp(folder));
    int root = zl_open_dir(AT_FDCWD, folder, &err);
    assert_true(root >= 0);
    put_file(root, "etc", "profile.json", docker_profile);
    put_file(root, "etc", "arches.json", of_each_machine);
    put_file(root, "etc/cdi", "nvidia.yaml", cdi_file);
    put_file(root, "dev", "not-a-device", "");
    put_file(root, "tmp/mps", ".keep", "");
    put_file(root, "tmp/mps-log", ".keep", "");
    for (size_t i = 0; i < ZL_ARRAY_LEN(nodes); i++) {
        if (mknodat(root, nodes[i].path, nodes[i].mode, makedev(nodes[i].major, nodes[i].minor)))
            fail_msg("mknod %s: %s (these tests need root)", nodes[i].path, strerror(errno));
        assert_int_equal(fchmodat(root, nodes[i].path, nodes[i].mode & 07777, 0), 0);
    }
    (void)close(root);
    return 0;
}

static int remove_machine(void **state)
{
    (void)state;
    return zl_remove_tree(AT_FDCWD, folder, NULL);
}

static struct oci_host machine(void)
{
    struct oci_host h = {
        .rlimit_max = { [RLIMIT_NOFILE] = 65536,
                        [RLIMIT_CORE] = RLIM_INFINITY,
                        [RLIMIT_NPROC] = 4000 },
        .capabilities = (UINT64_C(1) << 41) - 1,
    };
    h.root_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(h.root_fd >= 0);
    return h;
}

static int open_etc(void *arg, const char *path, struct zl_error *err)
{
    const char *text = strcmp(path, "/etc/passwd") == 0 ? "web:x:1000:1001::/srv/web:/bin/sh\n"
                                                        : "audio:x:29:web\nvideo:x:44:\n";
    int fd = memfd_create("etc", MFD_CLOEXEC);
    (void)arg;
    (void)err;
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

/* ---- the golden file ----------------------------------------------------------------------- */

static struct spec *read_spec(const char *name)
{
    zl_autobuf struct zl_buf text = ZL_BUF(1 << 20), said = ZL_BUF(1 << 20);
    autodiags struct spec_diags diags;
    struct zl_error err;
    spec_diags_init(&diags);
    if (zl_read_file(golden, name, &text, &err) < 0)
        fail_msg("%s", err.msg);
    struct spec *spec = spec_parse(text.data, text.len, name, "/", &diags);
    spec_diags_print(&diags, NULL, false, &said);
    if (!spec)
        fail_msg("%s", said.data);
    return spec;
}

static void check_golden(const char *name, const char *found)
{
    zl_autobuf struct zl_buf wanted = ZL_BUF(1 << 20);
    struct zl_error err;
    if (getenv("ZLAYER_TEST_WRITE")) {
        if (zl_write_atomic(golden, name, found, strlen(found), 0644, false, &err) < 0)
            fail_msg("%s", err.msg);
        return;
    }
    if (zl_read_file(golden, name, &wanted, &err) < 0)
        fail_msg("%s", err.msg);
    assert_string_equal(found, wanted.data);
}

static void a_service_that_says_everything_becomes_the_golden_document(void **unused)
{
    static const uint32_t gpus[] = { 1, 2 };
    static const char *const image_env[] = { "PATH=/bin", NULL };
    (void)unused;
    autospec struct spec *spec = read_spec("everything.yml");
    zl_autobuf struct zl_buf notes = ZL_BUF(4096);
    struct oci_host host = machine();
    const struct oci_bundle b = {
        .service = &spec->services[0],
        .env = &spec->services[0].env,
        .image = { .env = image_env, .user = "root", .workdir = "/" },
        .host = &host,
        .name = "web-rep-2",
        .cgroups_path = "/zlayer/c/2k7qabcdefghi",
        .etc_dir = "/var/lib/zlayer/containers/2k7qabcdefghi",
        .join = { .pid = "/proc/4711/ns/pid" },
        .shm_dir = "/run/zlayer/c/2k7qabcdefghi/shm",
        .gpus = gpus,
        .rank = 1,
        .open_file = open_etc,
        .notes = &notes,
    };
    struct zl_error err = { 0 };
    json_t *config = NULL;
    if (oci_bundle_make(&b, &config, &err) < 0)
        fail_msg("%s", err.msg);
    char *text = json_dumps(config, JSON_INDENT(1));
    check_golden("everything.json", text);
    assert_string_equal(notes.data, "ulimit RLIMIT_NOFILE: 100000 is more than the agent's own "
                                    "limit, which holds: 65536\n");
    free(text);
    json_decref(config);
    (void)close(host.root_fd);
}

/* ---- privileged, and what the host lacks --------------------------------------------------- */

static json_t *make(const struct spec_service *s, const struct oci_host *host, struct zl_error *err)
{
    static const uint32_t gpus[] = { 0 };
    const struct oci_bundle b = { .service = s,
                                  .host = host,
                                  .name = "x",
                                  .cgroups_path = "/c/x",
                                  .gpus = gpus,
                                  .open_file = open_etc };
    json_t *config = NULL;
    return oci_bundle_make(&b, &config, err) < 0 ? NULL : config;
}

static const json_t *part(const json_t *config, const char *a, const char *b)
{
    return json_object_get(json_object_get(config, a), b);
}

static void privileged_has_all_and_hides_nothing(void **unused)
{
    (void)unused;
    struct oci_host host = machine();
    struct zl_error err = { 0 };
    const struct spec_service s = { .privileged = true };
    json_t *config = make(&s, &host, &err);
    if (!config)
        fail_msg("%s", err.msg);
    assert_null(part(config, "linux", "maskedPaths"));
    assert_null(part(config, "linux", "readonlyPaths"));
    assert_string_equal(
        json_string_value(json_object_get(part(config, "linux", "seccomp"), "defaultAction")),
        "SCMP_ACT_ALLOW");
    assert_false(json_boolean_value(part(config, "process", "noNewPrivileges")));
    assert_int_equal(
        json_array_size(json_object_get(part(config, "process", "capabilities"), "bounding")), 41);
    /* the six nodes of the machine, as they are there */
    const json_t *devices = part(config, "linux", "devices");
    assert_int_equal(json_array_size(devices), ZL_ARRAY_LEN(nodes));
    assert_int_equal(json_integer_value(json_object_get(json_array_get(devices, 0), "fileMode")),
                     0640);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(devices, 0), "minor")),
                     70000);
    char *rules =
        json_dumps(json_object_get(part(config, "linux", "resources"), "devices"), JSON_COMPACT);
    assert_string_equal(rules, "[{\"allow\":true,\"access\":\"rwm\"}]");
    free(rules);
    json_decref(config);
    (void)close(host.root_fd);
}

static void the_architectures_of_a_docker_profile_are_this_machines(void **unused)
{
    (void)unused;
    static const char *const option[] = { "seccomp=/etc/arches.json" };
    struct oci_host host = machine();
    struct zl_error err = { 0 };
    const struct spec_service s = { .security_opt = { option, 1, true } };
    json_t *config = make(&s, &host, &err);
    if (!config)
        fail_msg("%s", err.msg);
    assert_int_equal(
        json_array_size(json_object_get(part(config, "linux", "seccomp"), "architectures")), 2);
    json_decref(config);
    (void)close(host.root_fd);
}

static void expect_refusal(const struct spec_service *s, enum zl_err_kind kind, const char *text)
{
    struct oci_host host = machine();
    struct zl_error err = { 0 };
    assert_null(make(s, &host, &err));
    assert_string_equal(err.msg, text);
    assert_int_equal(err.kind, kind);
    (void)close(host.root_fd);
}

static void what_the_host_lacks_is_refused_by_name(void **unused)
{
    (void)unused;
    const struct spec_device missing = { .path = "/dev/none", .read = true };
    const struct spec_device file = { .path = "/dev/not-a-device", .read = true };
    expect_refusal(&(struct spec_service){ .devices = &missing, .n_devices = 1 }, ZL_ERR_NOT_FOUND,
                   "E-DEVICE-ABSENT: device '/dev/none': the host has none");
    expect_refusal(&(struct spec_service){ .devices = &file, .n_devices = 1 }, ZL_ERR_INVALID,
                   "device '/dev/not-a-device': it is none");
    const struct spec_gpu mps = { .count = 1, .vendor = "nvidia", .sharing = SPEC_GPU_MPS };
    expect_refusal(&(struct spec_service){ .resources.gpu = &mps }, ZL_ERR_CONFIGURATION,
                   "E-GPU-MPS-DIR: resources.gpu: sharing mode 'mps' is unavailable: directory "
                   "'/tmp/nvidia-mps' is not there");
    const struct spec_gpu slice = { .count = 1,
                                    .vendor = "nvidia",
                                    .sharing = SPEC_GPU_TIME_SLICE,
                                    .time_slicing_config_path = "/etc/slices.yaml" };
    expect_refusal(&(struct spec_service){ .resources.gpu = &slice }, ZL_ERR_CONFIGURATION,
                   "E-MOUNT-SOURCE: resources.gpu: sharing mode 'time-slice' is unavailable: file "
                   "'/etc/slices.yaml' is not there");
    const struct spec_gpu amd = { .count = 1, .vendor = "amd" };
    expect_refusal(&(struct spec_service){ .resources.gpu = &amd }, ZL_ERR_NOT_FOUND,
                   "E-GPU-ABSENT: resources.gpu: device '/dev/kfd': the host has none");
    static const char *const no_profile[] = { "seccomp=/etc/none.json" };
    expect_refusal(&(struct spec_service){ .security_opt = { no_profile, 1, true } }, ZL_ERR_SYSTEM,
                   "security_opt seccomp: open '/etc/none.json' in the root filesystem: No such "
                   "file or directory");
}

static void without_a_cdi_description_a_gpu_is_its_nodes(void **unused)
{
    (void)unused;
    struct oci_host host = machine();
    struct zl_error err = { 0 };
    /* GPU 0 is on the machine, but not in the CDI file */
    const struct spec_gpu gpu = { .count = 1, .vendor = "nvidia" };
    const struct spec_service s = { .resources.gpu = &gpu };
    json_t *config = make(&s, &host, &err);
    if (!config)
        fail_msg("%s", err.msg);
    const json_t *devices = part(config, "linux", "devices");
    assert_int_equal(json_array_size(devices), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(devices, 1), "path")),
                        "/dev/nvidia0");
    json_decref(config);
    /* whoever says where the CDI files are relies on them */
    host.cdi_dirs = "/etc/more-cdi";
    assert_null(make(&s, &host, &err));
    assert_string_equal(err.msg, "E-GPU-ABSENT: resources.gpu: no CDI file has a device of kind "
                                 "'nvidia.com/gpu': 0");
    uint32_t n = 0;
    assert_int_equal(oci_gpu_count(&gpu, &host, &n, &err), 0);
    assert_int_equal(n, 3);
    (void)close(host.root_fd);
}

static void put_cdi(const struct oci_host *host, const char *dir, const char *name,
                    const char *devices, const char *mark)
{
    char text[512];
    (void)snprintf(text, sizeof text,
                   "{\"cdiVersion\": \"0.6.0\", \"kind\": \"amd.com/gpu\", \"containerEdits\": "
                   "{\"env\": [\"FILE=%s\"]}, \"devices\": [%s]}",
                   mark, devices);
    put_file(host->root_fd, dir, name, text);
}

/* The environment that GPUs 1 and 2 of AMD bring, as one line; NULL with *err. */
static char *env_of_amd(const struct oci_host *host, struct zl_error *err)
{
    const char *const names[] = { "1", "2" };
    autocdi struct cdi *cdi = NULL;
    json_t *edits = NULL;
    char *text = NULL;
    if (cdi_read(host->root_fd, NULL, &cdi, err) == 0 &&
        cdi_edits(cdi, "amd.com/gpu", names, 2, &edits, err) == CDI_FOUND)
        text = json_dumps(json_object_get(edits, "env"), JSON_COMPACT);
    json_decref(edits);
    return text;
}

static void expect_amd(const struct oci_host *host, const char *wanted)
{
    struct zl_error err = { 0 };
    char *text = env_of_amd(host, &err);
    assert_string_equal(text ? text : err.msg, wanted);
    free(text);
}

/* CDI's SPEC.md: a file for each device is usual, and what lies in /var/run/cdi is newer. */
static void devices_of_a_kind_come_from_all_cdi_files(void **unused)
{
    static const char one[] = "{\"name\": \"1\", \"containerEdits\": {\"env\": [\"D=one\"]}}";
    static const char two[] = "{\"name\": \"2\", \"containerEdits\": {\"env\": [\"D=two\"]}}";
    struct oci_host host = machine();
    (void)unused;
    put_cdi(&host, "etc/cdi", "amd-1.json", one, "a");
    put_cdi(&host, "etc/cdi", "amd-2.json", two, "b");
    expect_amd(&host, "[\"FILE=a\",\"D=one\",\"FILE=b\",\"D=two\"]");
    put_cdi(&host, "var/run/cdi", "amd.json", two, "newer");
    expect_amd(&host, "[\"FILE=a\",\"D=one\",\"FILE=newer\",\"D=two\"]");
    put_cdi(&host, "var/run/cdi", "amd-again.json", two, "other");
    expect_amd(&host,
               "CDI files '/var/run/cdi/amd-again.json' and '/var/run/cdi/amd.json' have the "
               "same device '2'");
    put_cdi(&host, "var/run/cdi", "amd-again.json", "{}", "other");
    expect_amd(&host, "CDI file '/var/run/cdi/amd-again.json': devices[0] has no name");
    put_cdi(&host, "var/run/cdi", "amd-again.json", "", "other");
    for (int i = 0; i < 256; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "more%d.json", i);
        put_cdi(&host, "var/run/cdi", name, "", "more");
    }
    expect_amd(&host, "read the CDI files in '/var/run/cdi': there are 258, not up to 256");
    (void)close(host.root_fd);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_service_that_says_everything_becomes_the_golden_document),
        cmocka_unit_test(privileged_has_all_and_hides_nothing),
        cmocka_unit_test(the_architectures_of_a_docker_profile_are_this_machines),
        cmocka_unit_test(what_the_host_lacks_is_refused_by_name),
        cmocka_unit_test(without_a_cdi_description_a_gpu_is_its_nodes),
        cmocka_unit_test(devices_of_a_kind_come_from_all_cdi_files),
    };
    golden = open(argc > 1 ? argv[1] : "golden", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (golden < 0)
        return 1;
    return cmocka_run_group_tests(tests, make_machine, remove_machine);
}
