// SPDX-License-Identifier: Apache-2.0
/* Layers: any bytes as a tar archive, unpacked. Nothing may appear beside the folder. Needs root.
 */
#include <archive.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "fetch/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char path[] = "/tmp/zlayer-fuzz.XXXXXX";
    struct zl_error err;
    struct stat st;
    zl_autoclose int outer = mkdtemp(path) ? zl_open_dir(AT_FDCWD, path, &err) : -1;
    zl_autoclose int root = outer >= 0 ? zl_mkdir_p(outer, "a/b/c", 0755, &err) : -1;
    struct archive *a = archive_read_new();
    struct tree tree = TREE(root, NULL, 0);
    if (root < 0 || !a || archive_read_support_format_tar(a) != ARCHIVE_OK)
        abort();
    if (archive_read_open_memory(a, bytes, len) == ARCHIVE_OK)
        (void)unpack_tar(a, &tree, &err); /* refusing is fine */
    tree_done(&tree);
    (void)archive_read_free(a);
    if (fstatat(outer, "a/b", &st, 0) < 0 || st.st_nlink != 3 || fstatat(outer, "a", &st, 0) < 0 ||
        st.st_nlink != 3 || zl_remove_tree(AT_FDCWD, path, &err) < 0)
        abort();
    return 0;
}
