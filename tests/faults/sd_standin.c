// SPDX-License-Identifier: Apache-2.0
/*
 * zlayer-sd's commands where there is no systemd. A scope is a folder of the hierarchy that systemd
 * would have, and goes when nobody is in it any more, as systemd sees to it: also one that is made
 * when delete has looked already, for who was killed asked for it, and hears the answer no more.
 *
 *     zlayer-sd scope NAME …     makes it, says where it is, and holds it until standard input ends
 *     zlayer-sd set NAME WORD…   writes the words into the file "told"
 *     zlayer-sd stop NAME …      ends it with all in it
 *
 * A copy of this program stands in a folder of its own, for "told" and for the file "parent", which
 * holds the path below which scopes are made.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HIERARCHY "/sys/fs/cgroup/systemd"

/* Where we stand, with a slash at its end. */
static int own_folder(char *folder, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", folder, size - 1);
    if (n < 0)
        return -1;
    folder[n] = '\0';
    strrchr(folder, '/')[1] = '\0';
    return 0;
}

static ssize_t read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, text, size - 1);
    (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n;
}

static int write_file(const char *path, int flags, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0644);
    if (fd < 0)
        return -1;
    ssize_t n = write(fd, text, strlen(text));
    return close(fd) < 0 || n < 0 ? -1 : 0;
}

static int enter(const char *folder)
{
    char procs[PATH_MAX + 32];

    (void)snprintf(procs, sizeof procs, "%s/cgroup.procs", folder);
    return write_file(procs, 0, "0");
}

static int make_folders(char *path)
{
    for (char *slash = path + strlen(HIERARCHY) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        int rc = mkdir(path, 0755);
        *slash = '/';
        if (rc < 0 && errno != EEXIST)
            return -1;
    }
    return mkdir(path, 0755) < 0 && errno != EEXIST ? -1 : 0;
}

static int hold_scope(char *folder)
{
    char end;

    if (make_folders(folder) < 0 || enter(folder) < 0)
        return 1;
    (void)signal(SIGPIPE, SIG_IGN); /* who asked may have been killed */
    const char *path = folder + strlen(HIERARCHY);
    if (write(STDOUT_FILENO, path, strlen(path)) > 0 && write(STDOUT_FILENO, "\n", 1) > 0)
        while (read(STDIN_FILENO, &end, 1) < 0 && errno == EINTR)
            ;
    if (enter(HIERARCHY) == 0)
        (void)rmdir(folder);
    return 0;
}

static int note_words(const char *own, char **words)
{
    char told[PATH_MAX + 8], text[65536];
    size_t n = 0;

    (void)snprintf(told, sizeof told, "%stold", own);
    text[0] = '\0';
    for (; *words && n < sizeof text; words++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s\n", *words);
    return n >= sizeof text || write_file(told, O_CREAT | O_APPEND, text) < 0;
}

static int end_scope(const char *folder)
{
    char procs[PATH_MAX + 32], pids[65536];

    (void)snprintf(procs, sizeof procs, "%s/cgroup.procs", folder);
    while (rmdir(folder) < 0 && errno != ENOENT) {
        if (read_file(procs, pids, sizeof pids) <= 0)
            continue; /* who has ended is there a moment longer */
        for (char *pid = strtok(pids, "\n"); pid; pid = strtok(NULL, "\n"))
            (void)kill(atoi(pid), SIGKILL);
    }
    return 0;
}

int main(int argc, char **argv)
{
    char own[PATH_MAX / 2], file[PATH_MAX], below[512], folder[PATH_MAX];

    if (argc < 3 || own_folder(own, sizeof own) < 0)
        return 2;
    (void)snprintf(file, sizeof file, "%sparent", own);
    if (read_file(file, below, sizeof below) <= 0)
        return 2;
    (void)snprintf(folder, sizeof folder, HIERARCHY "%s/%s", below, argv[2]);
    if (strcmp(argv[1], "scope") == 0)
        return hold_scope(folder);
    return strcmp(argv[1], "set") == 0 ? note_words(own, argv + 3) : end_scope(folder);
}
