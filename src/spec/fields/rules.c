// SPDX-License-Identifier: Apache-2.0
#include "spec/fields/rules.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "spec/value/name.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool is_among(const char *text, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(text, words[i]) == 0) /* ASCII: nobody here sets a locale */
            return true;
    }
    return false;
}

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

int spec_check_not_empty(const char *text, struct spec_flaw *flaw)
{
    return *text ? 0 : spec_flaw_set(flaw, "it is empty", 0);
}

/* ---- names ----------------------------------------------------------------------------------- */

/* Lower-case letters, digits and '-', not at either end. */
static int check_label(const char *name, size_t max, const char *first, const char *too_long,
                       struct spec_flaw *flaw)
{
    size_t n = strlen(name), good = strspn(name, LOWER DIGITS "-");
    if (name[good])
        return spec_flaw_set(flaw, "only lower-case letters, digits and '-' are allowed", good);
    if (!n || n > max)
        return spec_flaw_set(flaw, too_long, 0);
    if (!strchr(first, name[0]))
        return spec_flaw_set(flaw, "its first character is not allowed there", 0);
    if (name[n - 1] == '-')
        return spec_flaw_set(flaw, "the last character must be a letter or a digit", n - 1);
    return 0;
}

int spec_check_role(const char *role, struct spec_flaw *flaw)
{
    if (check_label(role, 30, LOWER, "1 to 30 characters are allowed", flaw) < 0)
        return -1;
    if (strcmp(role, "default") == 0)
        return spec_flaw_set_strict(flaw, "'default' is the role of replicas without groups", 0);
    return 0;
}

int spec_check_volume_name(const char *name, struct spec_flaw *flaw)
{
    return check_label(name, 63, LOWER DIGITS, "1 to 63 characters are allowed", flaw);
}

int spec_check_secret_name(const char *name, struct spec_flaw *flaw)
{
    size_t good = strspn(name, LOWER UPPER DIGITS "-_");
    if (!*name || !strchr(LOWER UPPER, name[0]))
        return spec_flaw_set(flaw, "it must begin with a letter", 0);
    if (name[good])
        return spec_flaw_set(flaw, "only letters, digits, '-' and '_' are allowed", good);
    return 0;
}

int spec_check_capability(const char *name, struct spec_flaw *flaw)
{
    /* capabilities(7), as of Linux 6.x; the order is the kernel's */
    static const char *const known[] = {
        "ALL",
        "CHOWN",
        "DAC_OVERRIDE",
        "DAC_READ_SEARCH",
        "FOWNER",
        "FSETID",
        "KILL",
        "SETGID",
        "SETUID",
        "SETPCAP",
        "LINUX_IMMUTABLE",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_ADMIN",
        "NET_RAW",
        "IPC_LOCK",
        "IPC_OWNER",
        "SYS_MODULE",
        "SYS_RAWIO",
        "SYS_CHROOT",
        "SYS_PTRACE",
        "SYS_PACCT",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_NICE",
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "MKNOD",
        "LEASE",
        "AUDIT_WRITE",
        "AUDIT_CONTROL",
        "SETFCAP",
        "MAC_OVERRIDE",
        "MAC_ADMIN",
        "SYSLOG",
        "WAKE_ALARM",
        "BLOCK_SUSPEND",
        "AUDIT_READ",
        "PERFMON",
        "BPF",
        "CHECKPOINT_RESTORE",
    };
    const char *bare = strncasecmp(name, "CAP_", 4) == 0 ? name + 4 : name;
    if (is_among(bare, known, ZL_ARRAY_LEN(known)))
        return 0;
    return spec_flaw_set(flaw, "Linux has no such capability; see capabilities(7)", 0);
}

int spec_check_ulimit_name(const char *name, struct spec_flaw *flaw)
{
    static const char *const known[] = {
        "cpu",     "fsize", "data",  "stack",      "core",     "rss",  "nproc",  "nofile",
        "memlock", "as",    "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime",
    };
    if (is_among(name, known, ZL_ARRAY_LEN(known)))
        return 0;
    return spec_flaw_set(flaw,
                         "cpu, fsize, data, stack, core, rss, nproc, nofile, memlock, as, locks, "
                         "sigpending, msgqueue, nice, rtprio and rttime are allowed",
                         0);
}

/* ---- security -------------------------------------------------------------------------------- */

int spec_check_security_opt(const char *option, struct spec_flaw *flaw)
{
    static const char *const words[] = { "no-new-privileges", "no-new-privileges:true",
                                         "no-new-privileges:false", "label=disable" };
    static const char *const kinds[] = { "seccomp=",    "apparmor=",   "label=user:",
                                         "label=role:", "label=type:", "label=level:" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(words); i++) {
        if (strcmp(option, words[i]) == 0)
            return 0;
    }
    for (size_t i = 0; i < ZL_ARRAY_LEN(kinds); i++) {
        if (begins_with(option, kinds[i]) && option[strlen(kinds[i])])
            return 0;
    }
    return spec_flaw_set(
        flaw,
        "no-new-privileges[:true], seccomp=…, apparmor=…, label=disable and label=user:…, role:…, "
        "type:… or level:… are allowed",
        0);
}

int spec_check_sysctl(const char *key, struct spec_flaw *flaw)
{
    /* namespaces(7): what the IPC and network namespaces keep apart */
    static const char *const ipc[] = {
        "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
        "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
    };
    if (strchr(key, '/') || strstr(key, ".."))
        return spec_flaw_set(flaw, "a name with dots is expected, such as net.core.somaxconn", 0);
    bool of_net = begins_with(key, "net.") && key[4];
    bool of_mqueue = begins_with(key, "fs.mqueue.") && key[10];
    if (of_net || of_mqueue || is_among(key, ipc, ZL_ARRAY_LEN(ipc)))
        return 0;
    return spec_flaw_set(flaw,
                         "it would change the whole host; net.*, fs.mqueue.*, kernel.msg*, "
                         "kernel.sem and kernel.shm* belong to a container",
                         0);
}

static int check_ns_mode(const char *text, const char *const *words, size_t n, const char *allowed,
                         struct spec_flaw *flaw)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(text, words[i]) == 0)
            return 0;
    }
    if (begins_with(text, "container:") && text[10])
        return 0;
    return spec_flaw_set(flaw, allowed, 0);
}

int spec_check_pid_mode(const char *text, struct spec_flaw *flaw)
{
    static const char *const words[] = { "host" };
    return check_ns_mode(text, words, ZL_ARRAY_LEN(words), "host and container:<id> are allowed",
                         flaw);
}

int spec_check_ipc_mode(const char *text, struct spec_flaw *flaw)
{
    static const char *const words[] = { "host", "shareable", "private" };
    return check_ns_mode(text, words, ZL_ARRAY_LEN(words),
                         "host, shareable, private and container:<id> are allowed", flaw);
}

/* ---- addresses ------------------------------------------------------------------------------- */

/* The number of a decimal port 1 to 65535 at the start of text, *end behind it; 0: none. */
static unsigned port_of(const char *text, const char **end)
{
    unsigned n = 0;
    size_t digits = strspn(text, DIGITS);
    *end = text + digits;
    for (size_t i = 0; i < digits && n <= 65535; i++)
        n = n * 10 + (unsigned)(text[i] - '0');
    return n > 65535 ? 0 : n;
}

int spec_check_exposed_port(const char *text, struct spec_flaw *flaw)
{
    const char *rest;
    if (port_of(text, &rest) && (!*rest || strcmp(rest, "/tcp") == 0 || strcmp(rest, "/udp") == 0))
        return 0;
    return spec_flaw_set(flaw, "a port from 1 to 65535 is expected, with /tcp or /udp or alone", 0);
}

static bool is_ip(const char *text)
{
    struct in6_addr out; /* the larger of the two */
    return inet_pton(AF_INET, text, &out) == 1 || inet_pton(AF_INET6, text, &out) == 1;
}

int spec_check_ip(const char *text, struct spec_flaw *flaw)
{
    return is_ip(text) ? 0 : spec_flaw_set(flaw, "an IPv4 or IPv6 address is expected", 0);
}

int spec_check_host_ip(const char *text, struct spec_flaw *flaw)
{
    return *text ? spec_check_ip(text, flaw) : 0;
}

int spec_check_extra_host(const char *text, struct spec_flaw *flaw)
{
    static const char form[] = "name:ip or name:host-gateway is expected";
    char name[65];
    const char *colon = strchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;
    if (!n || n >= sizeof name)
        return spec_flaw_set(flaw, form, 0);
    memcpy(name, text, n);
    name[n] = '\0';
    if (spec_check_hostname(name, flaw) < 0)
        return -1;
    if (strcmp(colon + 1, "host-gateway") != 0 && !is_ip(colon + 1))
        return spec_flaw_set(flaw, form, n + 1);
    return 0;
}

/* Splits "host:port" or "[ipv6]:port"; the host goes to out. */
static bool split_address(const char *text, char *out, size_t size)
{
    const char *rest, *colon = strrchr(text, ':');
    if (!colon || !port_of(colon + 1, &rest) || *rest)
        return false;
    size_t n = (size_t)(colon - text);
    bool brackets = n > 2 && text[0] == '[' && text[n - 1] == ']';
    if (brackets) {
        text++;
        n -= 2;
    }
    if (!n || n >= size || (!brackets && memchr(text, ':', n)))
        return false;
    memcpy(out, text, n);
    out[n] = '\0';
    return !brackets || strchr(out, ':');
}

int spec_check_backend(const char *text, struct spec_flaw *flaw)
{
    char host[256];
    struct spec_flaw ignored;
    if (split_address(text, host, sizeof host) &&
        (is_ip(host) || spec_check_endpoint_host(host, &ignored) == 0) && host[0] != '*')
        return 0;
    return spec_flaw_set(flaw, "host:port is expected, an IPv6 address in brackets", 0);
}

int spec_check_bind(const char *text, struct spec_flaw *flaw)
{
    char host[64];
    if (split_address(text, host, sizeof host) && is_ip(host))
        return 0;
    return spec_flaw_set(flaw, "address:port is expected, such as 127.0.0.1:3669", 0);
}

/* ---- words ----------------------------------------------------------------------------------- */

int spec_check_log_destination(const char *text, struct spec_flaw *flaw)
{
    if (strcmp(text, "disk") == 0 || strcmp(text, "memory") == 0)
        return 0;
    return spec_flaw_set(flaw, "disk and memory are allowed", 0);
}

int spec_check_gpu_backend(const char *text, struct spec_flaw *flaw)
{
    if (strcmp(text, "nccl") == 0 || strcmp(text, "gloo") == 0 || strcmp(text, "mpi") == 0)
        return 0;
    return spec_flaw_set(flaw, "nccl, gloo and mpi are allowed", 0);
}
