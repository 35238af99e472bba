// SPDX-License-Identifier: Apache-2.0
/*
 * What pulling cannot do without: of each layer file given, SHA-256 of its bytes, inflate, SHA-256
 * of what comes out, and the tar's entries as files. One thread, one pass, no network, no sync, no
 * checks. pull_floor DIR LAYER.tar.gz …
 */
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IN = 256 * 1024, OUT = 256 * 1024 };

struct layer {
    int fd;
    EVP_MD_CTX *raw, *diff;
    struct inflate_state state;
    unsigned char in[IN], out[OUT];
};

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

static la_ssize_t on_read(struct archive *a, void *arg, const void **bytes)
{
    struct layer *l = arg;
    (void)a;
    l->state.next_out = l->out;
    l->state.avail_out = OUT;
    while (l->state.avail_out && l->state.block_state != ISAL_BLOCK_FINISH) {
        if (!l->state.avail_in) {
            ssize_t n = read(l->fd, l->in, IN);
            if (n < 0)
                die("read");
            if (n == 0)
                break;
            EVP_DigestUpdate(l->raw, l->in, (size_t)n);
            l->state.next_in = l->in;
            l->state.avail_in = (uint32_t)n;
        }
        if (isal_inflate(&l->state) != ISAL_DECOMP_OK)
            die("inflate");
    }
    size_t n = OUT - l->state.avail_out;
    EVP_DigestUpdate(l->diff, l->out, n);
    *bytes = l->out;
    return (la_ssize_t)n;
}

static void extract(struct archive *in, struct archive *disk, struct archive_entry *e)
{
    const void *bytes;
    size_t n;
    la_int64_t at;
    if (archive_write_header(disk, e) < ARCHIVE_WARN)
        die(archive_entry_pathname(e));
    while (archive_read_data_block(in, &bytes, &n, &at) == ARCHIVE_OK)
        if (archive_write_data_block(disk, bytes, n, at) < ARCHIVE_WARN)
            die(archive_entry_pathname(e));
    archive_write_finish_entry(disk);
}

static void one_layer(const char *path)
{
    struct layer *l = calloc(1, sizeof *l);
    struct archive *in = archive_read_new(), *disk = archive_write_disk_new();
    struct archive_entry *e;
    if (!l || (l->fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        die(path);
    l->raw = EVP_MD_CTX_new();
    l->diff = EVP_MD_CTX_new();
    EVP_DigestInit_ex(l->raw, EVP_sha256(), NULL);
    EVP_DigestInit_ex(l->diff, EVP_sha256(), NULL);
    isal_inflate_init(&l->state);
    l->state.crc_flag = ISAL_GZIP;
    archive_read_support_format_tar(in);
    archive_write_disk_set_options(disk, ARCHIVE_EXTRACT_OWNER | ARCHIVE_EXTRACT_PERM |
                                             ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_XATTR);
    if (archive_read_open(in, l, NULL, on_read, NULL) != ARCHIVE_OK)
        die("open");
    while (archive_read_next_header(in, &e) == ARCHIVE_OK)
        extract(in, disk, e);
    archive_read_free(in);
    archive_write_free(disk);
    EVP_MD_CTX_free(l->raw);
    EVP_MD_CTX_free(l->diff);
    close(l->fd);
    free(l);
}

int main(int argc, char **argv)
{
    if (argc < 3 || chdir(argv[1]) < 0)
        die("usage: pull_floor DIR LAYER…");
    for (int i = 2; i < argc; i++)
        one_layer(argv[i]);
    return 0;
}
