// SPDX-License-Identifier: Apache-2.0
/*
 * Runs a fuzz target over the files of its corpus, as a plain test: replay DIRECTORY...
 * Whatever a fuzzer once found lies there, so it stays fixed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>

#include "base/fd.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { INPUT_MAX = 16 * 1024 * 1024 };

static int replay_file(int dir_fd, const char *name, struct zl_error *err)
{
    zl_autobuf struct zl_buf input = ZL_BUF(INPUT_MAX);
    if (zl_read_file(dir_fd, name, &input, err) < 0)
        return -1;
    /* A copy of exactly its size, so that a sanitizer sees a read behind the end. */
    zl_autofree uint8_t *bytes = malloc(input.len ? input.len : 1);
    if (!bytes)
        return zl_fail_errno(err, "replay '%s'", name);
    for (size_t i = 0; i < input.len; i++)
        bytes[i] = (uint8_t)input.data[i];
    (void)LLVMFuzzerTestOneInput(bytes, input.len);
    return 0;
}

/* How many files; -1 with err filled. */
static int replay_directory(const char *path, struct zl_error *err)
{
    int n = 0, rc = 0;
    DIR *dir = opendir(path);
    if (!dir)
        return zl_fail_errno(err, "open '%s'", path);
    for (struct dirent *e = readdir(dir); e && rc == 0; e = readdir(dir)) {
        if (e->d_name[0] == '.')
            continue;
        rc = replay_file(dirfd(dir), e->d_name, err);
        n++;
    }
    (void)closedir(dir);
    return rc < 0 ? -1 : n;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct zl_error err = { 0 };
        int n = replay_directory(argv[i], &err);
        if (n <= 0) {
            (void)fprintf(stderr, "replay: %s\n", n < 0 ? err.msg : "the corpus is empty");
            return 1;
        }
        (void)printf("%s: %d inputs\n", argv[i], n);
    }
    return argc < 2;
}
