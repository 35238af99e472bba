// SPDX-License-Identifier: Apache-2.0
/* One program for containers and for WebAssembly guests: what it does says its first argument. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifndef __wasi__
#include <netinet/in.h>
#endif

static void nap(long ms)
{
    const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
    (void)nanosleep(&t, NULL);
}

static int fails(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    return 1;
}

static int cat(const char *path)
{
    char buf[4096];
    int fd = path ? open(path, O_RDONLY) : 0;
    if (fd < 0)
        return fails(path);
    for (ssize_t n; (n = read(fd, buf, sizeof buf)) != 0;)
        if (n < 0 || write(1, buf, (size_t)n) != n)
            return fails("copy");
    return 0;
}

static int put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd) < 0)
        return fails(path);
    return 0;
}

static int forever(void)
{
    for (unsigned n = 0;; n++) {
        printf("tick %u\n", n);
        fflush(stdout);
        nap(100);
    }
    return 0;
}

/* Until the file is there. */
static int await(const char *path, int code)
{
    while (access(path, F_OK) < 0)
        nap(10);
    puts("it is there");
    return code;
}

/* A container listens by itself; a guest has what its endpoints say, as systemd tells it. */
static int listener(int port)
{
#ifdef __wasi__
    const char *first = getenv("LISTEN_FDS_START");
    (void)port;
    return first ? atoi(first) : -1;
#else
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((unsigned short)port) };
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    return bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 16) < 0 ? -1 : fd;
#endif
}

static int serve(int port)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfine\n";
    int fd = listener(port);
    if (fd < 0)
        return fails("listen");
    for (;;) {
        char request[1024];
        int c = accept(fd, NULL, NULL);
        if (c < 0)
            return fails("accept");
        if (recv(c, request, sizeof request, 0) > 0)
            (void)send(c, answer, sizeof answer - 1, 0);
        (void)shutdown(c, SHUT_RDWR);
        (void)close(c);
    }
}

/* How much memory it gets, in MiB, at most so much. */
static int hog(int mib)
{
    int got = 0;
    for (volatile char *p; got < mib && (p = malloc(1 << 20)); got++)
        for (int i = 0; i < 1 << 20; i += 4096)
            p[i] = 1;
    printf("%d MiB\n", got);
    return 0;
}

static int terminal(void)
{
    printf("%d %d\n", isatty(0), isatty(1));
    return 0;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "", *a = argc > 2 ? argv[2] : NULL;
    const char *b = argc > 3 ? argv[3] : "";
    if (strcmp(verb, "exit") == 0)
        return a ? atoi(a) : 0;
    if (strcmp(verb, "args") == 0)
        for (int i = 2; i < argc; i++)
            puts(argv[i]);
    else if (strcmp(verb, "env") == 0)
        puts(getenv(a) ? getenv(a) : "(unset)");
    else if (strcmp(verb, "say") == 0)
        printf("%s\n", a), fprintf(stderr, "%s\n", b);
    else if (strcmp(verb, "lines") == 0)
        for (int i = 1; i <= atoi(a); i++)
            printf("line %d\n", i);
    else if (strcmp(verb, "cat") == 0)
        return cat(a);
    else if (strcmp(verb, "put") == 0)
        return put(a, b);
    else if (strcmp(verb, "hog") == 0)
        return hog(atoi(a));
    else if (strcmp(verb, "nap") == 0)
        nap(atol(a));
    else if (strcmp(verb, "await") == 0)
        return await(a, atoi(b));
    else if (strcmp(verb, "tty") == 0)
        return terminal();
    else if (strcmp(verb, "forever") == 0)
        return forever();
    else if (strcmp(verb, "serve") == 0)
        return serve(atoi(a));
    else if (strcmp(verb, "lines-forever") == 0) {
        for (int i = 1; i <= atoi(a); i++)
            printf("line %d\n", i);
        fflush(stdout);
        return forever();
    } else if (strcmp(verb, "env-forever") == 0) {
        puts(getenv(a) ? getenv(a) : "(unset)");
        return forever();
    } else
        return fprintf(stderr, "no such verb: %s\n", verb), 64;
    return 0;
}
