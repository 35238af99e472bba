// SPDX-License-Identifier: Apache-2.0
/*
 * The command line of `zlayer-fetch archive`. `pack` and `unpack` are for the command line of a
 * user and have the user's rights: a tree of the user's as an archive on stdout, an archive on
 * stdin into a folder of the user's, below which everything stays whatever the archive says.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "fetch/files/archive.h"
#include "fetch/files/place.h"
#include "fetch/tar/pack.h"

enum { MOUNTS_MAX = 256, PIECE = 256 * 1024, EXIT_USAGE = 2 };

static const char usage[] =
    "usage: zlayer-fetch archive get|put|stat|export|changes --root DIR --id ID --layers N,… …\n"
    "       zlayer-fetch archive pack|unpack --path PATH …\n"
    "\n"
    "  --root DIR     the state folder\n"
    "  --id ID        of the container\n"
    "  --layers N,…   of its image, lowest first\n"
    "  --path PATH    in the container; of pack and unpack: here\n"
    "  --name NAME    pack, unpack: what the first folder of each path becomes\n"
    "  --mount PATH   changes: a mount, of which nothing is told; may be repeated\n"
    "  --keep-owner   files keep the owners that the archive says\n"
    "  --same-types   a folder replaces nothing but a folder\n";

struct command {
    struct archive_options o;
    const char *mounts[MOUNTS_MAX];
    const char *name;
};

enum { OPT_ROOT = 1, OPT_ID, OPT_LAYERS, OPT_PATH, OPT_NAME, OPT_MOUNT, OPT_KEEP, OPT_SAME };
static const struct option option_table[] = {
    { "root", required_argument, NULL, OPT_ROOT },
    { "id", required_argument, NULL, OPT_ID },
    { "layers", required_argument, NULL, OPT_LAYERS },
    { "path", required_argument, NULL, OPT_PATH },
    { "name", required_argument, NULL, OPT_NAME },
    { "mount", required_argument, NULL, OPT_MOUNT },
    { "keep-owner", no_argument, NULL, OPT_KEEP },
    { "same-types", no_argument, NULL, OPT_SAME },
    { 0 },
};

/* False: getopt said why on stderr, or there are too many mounts. */
static bool parse(int argc, char **argv, struct command *c)
{
    const char **texts[] = { [OPT_ROOT] = &c->o.root,
                             [OPT_ID] = &c->o.id,
                             [OPT_LAYERS] = &c->o.layers,
                             [OPT_PATH] = &c->o.path,
                             [OPT_NAME] = &c->name };
    int option;
    c->o.mounts = c->mounts;
    while ((option = getopt_long(argc, argv, "", option_table, NULL)) != -1) {
        if (option >= OPT_ROOT && option <= OPT_NAME)
            *texts[option] = optarg;
        else if (option == OPT_MOUNT && c->o.n_mounts < MOUNTS_MAX)
            c->mounts[c->o.n_mounts++] = optarg;
        else if (option == OPT_KEEP)
            c->o.keep_owner = true;
        else if (option == OPT_SAME)
            c->o.same_types = true;
        else
            return false;
    }
    c->o.op = argc - optind == 1 ? argv[optind] : "";
    return true;
}

/* ---- pack, unpack -------------------------------------------------------------------------- */

static int write_out(void *arg, const void *bytes, size_t n, struct zl_error *err)
{
    (void)arg;
    return zl_write_all(STDOUT_FILENO, bytes, n, "the archive", err);
}

static int pack(const struct command *c, struct zl_error *err)
{
    const struct pack_out out = { .write = write_out };
    zl_autoclose int fds = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fds < 0)
        return zl_fail_errno(err, "open /proc/self/fd");
    if (pack_tree(AT_FDCWD, c->o.path, c->name ? c->name : ".", c->name ? 0 : PACK_CONTENT, fds,
                  &out, err) < 0)
        return -1;
    return pack_end(&out, err);
}

static ssize_t read_in(void *arg, const void **bytes, struct zl_error *err)
{
    ssize_t n;
    do
        n = read(STDIN_FILENO, arg, PIECE);
    while (n < 0 && errno == EINTR);
    *bytes = arg;
    return n < 0 ? zl_fail_errno(err, "read the archive") : n;
}

static int unpack_here(const struct command *c, struct zl_error *err)
{
    const struct place_options how = { .keep_owner = c->o.keep_owner,
                                       .same_types = c->o.same_types,
                                       .uid = geteuid(),
                                       .gid = getegid(),
                                       .name = c->name };
    zl_autofree char *piece = malloc(PIECE);
    const struct input in = { .read = read_in, .arg = piece };
    autotar struct tar *tar = NULL;
    if (!piece)
        return zl_fail_errno(err, "copy into '%s'", c->o.path);
    zl_autoclose int root = zl_open_dir(AT_FDCWD, c->o.path, err);
    if (root < 0 || tar_new(&in, &tar, err) < 0)
        return -1;
    return place_tar(tar, root, "/", &how, err);
}

int archive_command(int argc, char **argv)
{
    struct command c = { 0 };
    struct zl_error err = { 0 };
    bool usable = parse(argc, argv, &c) && c.o.path;
    int rc;
    if (usable && strcmp(c.o.op, "pack") == 0) {
        rc = pack(&c, &err);
    } else if (usable && strcmp(c.o.op, "unpack") == 0) {
        rc = unpack_here(&c, &err);
    } else if (usable && *c.o.op && c.o.root && c.o.id) {
        rc = archive_serve(&c.o, &err);
    } else {
        (void)fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (rc < 0)
        (void)fprintf(stderr, "%s\n", err.msg);
    return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
