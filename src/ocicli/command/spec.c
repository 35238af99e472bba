// SPDX-License-Identifier: Apache-2.0
/* spec: a config.json to begin with, of a shell in a read-only root; the defaults are runc's. */
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/json.h"
#include "oci/state.h"
#include "ocicli/ocicli.h"

struct spec_options {
    const char *bundle, *config;
    bool rootless;
};

static const char template[] =
    "{\n"
    "  'ociVersion': '" OCI_VERSION "',\n"
    "  'process': {\n"
    "    'terminal': true,\n"
    "    'user': { 'uid': 0, 'gid': 0 },\n"
    "    'args': ['sh'],\n"
    "    'env': ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', "
    "'TERM=xterm'],\n"
    "    'cwd': '/',\n"
    "    'capabilities': {\n"
    "      'bounding': ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE'],\n"
    "      'effective': ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE'],\n"
    "      'permitted': ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE']\n"
    "    },\n"
    "    'rlimits': [{ 'type': 'RLIMIT_NOFILE', 'hard': 1024, 'soft': 1024 }],\n"
    "    'noNewPrivileges': true\n"
    "  },\n"
    "  'root': { 'path': 'rootfs', 'readonly': true },\n"
    "  'hostname': 'zlayer',\n"
    "  'mounts': [\n"
    "    { 'destination': '/proc', 'type': 'proc', 'source': 'proc' },\n"
    "    { 'destination': '/dev', 'type': 'tmpfs', 'source': 'tmpfs',\n"
    "      'options': ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },\n"
    "    { 'destination': '/dev/pts', 'type': 'devpts', 'source': 'devpts',\n"
    "      'options': ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'] "
    "},\n"
    "    { 'destination': '/dev/shm', 'type': 'tmpfs', 'source': 'shm',\n"
    "      'options': ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'] },\n"
    "    { 'destination': '/dev/mqueue', 'type': 'mqueue', 'source': 'mqueue',\n"
    "      'options': ['nosuid', 'noexec', 'nodev'] },\n"
    "    { 'destination': '/sys', 'type': 'sysfs', 'source': 'sysfs',\n"
    "      'options': ['nosuid', 'noexec', 'nodev', 'ro'] },\n"
    "    { 'destination': '/sys/fs/cgroup', 'type': 'cgroup', 'source': 'cgroup',\n"
    "      'options': ['nosuid', 'noexec', 'nodev', 'relatime', 'ro'] }\n"
    "  ],\n"
    "  'linux': {\n"
    "    'resources': { 'devices': [{ 'allow': false, 'access': 'rwm' }] },\n"
    "    'namespaces': [{ 'type': 'pid' }, { 'type': 'network' }, { 'type': 'ipc' }, { 'type': "
    "'uts' },\n"
    "      { 'type': 'mount' }, { 'type': 'cgroup' }],\n"
    "    'maskedPaths': ['/proc/acpi', '/proc/asound', '/proc/kcore', '/proc/keys', "
    "'/proc/latency_stats',\n"
    "      '/proc/timer_list', '/proc/timer_stats', '/proc/sched_debug', '/sys/firmware', "
    "'/proc/scsi'],\n"
    "    'readonlyPaths': ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', "
    "'/proc/sysrq-trigger']\n"
    "  }\n"
    "}\n";

/* ---- for users that are not root ---- */

static json_t *mapping(uint32_t id)
{
    return json_pack("[{si sI si}]", "containerID", 0, "hostID", (json_int_t)id, "size", 1);
}

/* A network namespace of a user's own would need a helper to be of use: the host's is taken. */
static json_t *rootless_namespaces(void)
{
    return json_pack("[{ss} {ss} {ss} {ss} {ss} {ss}]", "type", "pid", "type", "ipc", "type", "uts",
                     "type", "mount", "type", "cgroup", "type", "user");
}

/* gid=5 is not among the ids of the container, and sysfs belongs to its network namespace's owner.
 */
static json_t *rootless_mount(json_t *mount)
{
    const char *type = json_string_value(json_object_get(mount, "type"));
    json_t *options = json_object_get(mount, "options");
    json_t *option;
    size_t i;

    if (strcmp(type, "sysfs") == 0)
        return json_pack("{ss ss ss s[sssss]}", "destination", "/sys", "type", "none", "source",
                         "/sys", "options", "rbind", "nosuid", "noexec", "nodev", "ro");
    json_array_foreach(options, i, option) if (strcmp(json_string_value(option), "gid=5") == 0)
    {
        (void)json_array_remove(options, i);
        break;
    }
    return json_incref(mount);
}

static void make_rootless(json_t *root)
{
    json_t *linux_ = json_object_get(root, "linux");
    json_t *mounts = json_object_get(root, "mounts");

    for (size_t i = 0; i < json_array_size(mounts); i++)
        (void)json_array_set_new(mounts, i, rootless_mount(json_array_get(mounts, i)));
    (void)json_object_set_new(linux_, "namespaces", rootless_namespaces());
    (void)json_object_set_new(linux_, "uidMappings", mapping(geteuid()));
    (void)json_object_set_new(linux_, "gidMappings", mapping(getegid()));
    (void)json_object_del(linux_, "resources");
}

/* ---- the file ---- */

static int make_text(bool rootless, struct zl_buf *out, struct zl_error *err)
{
    zl_autobuf struct zl_buf source = ZL_BUF(sizeof template);
    json_t *root;
    int rc;

    zl_buf_adds(&source, template);
    for (char *at = source.data; *at; at++)
        if (*at == '\'')
            *at = '"';
    root = json_loadb(source.data, source.len, 0, NULL);
    if (root && rootless)
        make_rootless(root);
    rc = root ? zl_json_dump(root, JSON_INDENT(2), out, err)
              : zl_fail(err, ZL_ERR_SYSTEM, "make a config.json: out of memory");
    json_decref(root);
    zl_buf_addc(out, '\n');
    return rc;
}

static int spec(struct cli *cli, const void *options, int argc, char **argv, struct zl_error *err)
{
    const struct spec_options *o = options;
    const char *bundle = o->bundle ? o->bundle : ".";
    const char *name = o->config ? o->config : "config.json";
    zl_autobuf struct zl_buf text = ZL_BUF(1 << 20);
    zl_autoclose int dir = zl_open_dir(AT_FDCWD, bundle, err);
    zl_autoclose int fd = -1;

    (void)cli, (void)argc, (void)argv;
    if (dir < 0 || make_text(o->rootless, &text, err) < 0)
        return -1;
    fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return zl_fail_errno(err, "make '%s/%s'", bundle, name);
    return zl_write_all(fd, text.data, text.len, name, err);
}

/* clang-format off */
static const struct cli_option spec_options[] = {
    { 'b', "bundle",   CLI_STRING, offsetof(struct spec_options, bundle),   "DIR",  "where to write it [.]", NULL },
    { 'f', "file",     CLI_STRING, offsetof(struct spec_options, config),   "FILE", "its name [config.json]", NULL },
    { 0,   "rootless", CLI_FLAG,   offsetof(struct spec_options, rootless), NULL,   "for a user who is not root", NULL },
    { 0 },
};
/* clang-format on */

const struct cli_command spec_command = {
    .name = "spec",
    .group = GROUP_OTHER,
    .summary = "Write a config.json to begin with",
    .about = "Writes the configuration of a shell in a read-only root file system, rootfs beside "
             "it. A file "
             "that is there is kept.",
    .examples = "zlayer-oci spec --bundle /bundles/hello\tthen put a root file system into "
                "/bundles/hello/rootfs",
    .options = spec_options,
    .options_size = sizeof(struct spec_options),
    .act = spec,
};
