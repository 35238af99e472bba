// SPDX-License-Identifier: Apache-2.0
/* What the containers of test_carry.c execute; static, so that it needs nothing around it. */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void print_file(const char *path, const char *prefix)
{
    char line[512];
    FILE *f = fopen(path, "re");

    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, prefix, strlen(prefix)) == 0)
            fputs(line, stdout);
    if (f)
        fclose(f);
}

static void print_fds(void)
{
    int n = 0;
    for (int fd = 3; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    printf("fds=%d\n", n);
}

static int facts(void)
{
    char name[256] = "", cwd[256] = "";
    mode_t mask = umask(0);

    print_fds();
    gethostname(name, sizeof name);
    printf("pid=%d uid=%d gid=%d host=%s cwd=%s umask=%o\n", (int)getpid(), (int)getuid(),
           (int)getgid(), name, getcwd(cwd, sizeof cwd), (unsigned)mask);
    print_file("/proc/self/status", "Sig");
    print_file("/proc/self/status", "NoNewPrivs");
    print_file("/proc/self/status", "Cap");
    print_file("/proc/self/status", "Seccomp:");
    return 0;
}

static int write_to(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    return fd < 0 || write(fd, "x", 1) != 1;
}

static int eat(size_t bytes)
{
    char *p = malloc(bytes);
    for (size_t i = 0; p && i < bytes; i += 4096)
        ((volatile char *)p)[i] = 1;
    return 0;
}

/* As many CPUs as that may be used. */
static int cpus(long n)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof set, &set) < 0 || CPU_COUNT(&set) != n;
}

static int fork_for_ever(void)
{
    for (;;) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        if (pid > 0)
            waitpid(pid, NULL, 0);
    }
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    const char *arg = argc > 2 ? argv[2] : "0";

    if (strcmp(what, "exit") == 0)
        return (int)strtol(arg, NULL, 10);
    if (strcmp(what, "facts") == 0)
        return facts();
    if (strcmp(what, "write") == 0)
        return write_to(arg);
    if (strcmp(what, "there") == 0)
        return access(arg, F_OK) != 0;
    if (strcmp(what, "size") == 0) {
        struct stat st;
        return stat(arg, &st) < 0 || st.st_size != 0;
    }
    if (strcmp(what, "eat") == 0)
        return eat((size_t)strtoul(arg, NULL, 10) << 20);
    if (strcmp(what, "tty") == 0) {
        printf("%d %s\n", isatty(0) && isatty(1) && isatty(2), ttyname(0));
        return 0;
    }
    if (strcmp(what, "open") == 0)
        return open(arg, O_RDWR | O_CLOEXEC) < 0;
    if (strcmp(what, "cpus") == 0)
        return cpus(strtol(arg, NULL, 10));
    if (strcmp(what, "fork") == 0)
        return fork_for_ever();
    if (strcmp(what, "hold") == 0) {
        printf("ready\n");
        fflush(stdout);
        pause();
    }
    return 99;
}
