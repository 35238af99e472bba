// SPDX-License-Identifier: Apache-2.0
/* Layers: any bytes as a tar archive, packed or not, unpacked over themselves. Nothing may appear
 * beside the folder. Needs root. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "../memory_input.h"
#include "base/fd.h"
#include "fetch/tar/decompress.h"
#include "fetch/unpack/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Refusing is fine. */
static void unpack(const uint8_t *bytes, size_t len, int root)
{
    struct zl_error err;
    struct memory m = { (const char *)bytes, len, len % 7 ? 4096 : 100 };
    const struct input raw = memory_input(&m);
    autodecompress struct decompress *d = NULL;
    autotar struct tar *tar = NULL;
    zl_autoclose int notes = memfd_create("notes", MFD_CLOEXEC);
    bool unsettled;
    if (decompress_new(&raw, &d, &err) < 0)
        abort();
    const struct input in = decompress_input(d);
    if (tar_new(&in, &tar, &err) < 0)
        abort();
    if (unpack_tar(tar, root, notes, &unsettled, &err) == 0)
        (void)unpack_settle(root, notes, &root, 1, &err); /* the layer is its own lower one */
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char path[] = "/tmp/zlayer-fuzz.XXXXXX";
    struct zl_error err;
    struct stat st;
    zl_autoclose int outer = mkdtemp(path) ? zl_open_dir(AT_FDCWD, path, &err) : -1;
    zl_autoclose int root = outer >= 0 ? zl_mkdir_p(outer, "a/b/c", 0755, &err) : -1;
    (void)umask(0);
    if (root < 0)
        abort();
    unpack(bytes, len, root);
    if (fstatat(outer, "a/b", &st, 0) < 0 || st.st_nlink != 3 || fstatat(outer, "a", &st, 0) < 0 ||
        st.st_nlink != 3 || zl_remove_tree(AT_FDCWD, path, &err) < 0)
        abort();
    return 0;
}
