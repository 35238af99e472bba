// SPDX-License-Identifier: Apache-2.0
#include "fetch/unpack/pipeline.h"

#include "fetch/room.h"
#include "fetch/tar/decompress.h"
#include "fetch/unpack/unpack.h"

/* An input that counts and sums what passes. */
struct summed {
    const struct input *in;
    struct digest *sum;
    const struct decompress
        *from; /* when it unpacks nothing, who sends the bytes has summed them */
    int root;  /* on the disk that must not fill up */
    uint64_t size, looked;
};

static ssize_t summed_read(void *arg, const void **bytes, struct zl_error *err)
{
    struct summed *s = arg;
    ssize_t n = s->in->read(s->in->arg, bytes, err);
    if (n <= 0)
        return n;
    s->size += (uint64_t)n;
    if (s->size > UNPACK_MAX_STREAM)
        return zl_fail(err, ZL_ERR_INVALID, "it is larger than %llu GiB",
                       (unsigned long long)(UNPACK_MAX_STREAM >> 30));
    if (s->size - s->looked >= ROOM_STEP) {
        s->looked = s->size;
        if (room_left(s->root, err) < 0)
            return -1;
    }
    if (decompress_packing(s->from) == PACKED_NOT)
        return n;
    return digest_add(s->sum, *bytes, (size_t)n, err) < 0 ? -1 : n;
}

/* What follows the archive's end belongs to the sum. */
static int drain(const struct input *in, struct zl_error *err)
{
    const void *bytes;
    ssize_t n;
    do {
        n = in->read(in->arg, &bytes, err);
    } while (n > 0);
    return (int)n;
}

int pipeline_unpack(const struct input *in, int root, int notes, struct unpacked *ret,
                    struct zl_error *err)
{
    autodecompress struct decompress *d = NULL;
    autodigest struct digest *sum = digest_new(err);
    autotar struct tar *tar = NULL;
    if (!sum || decompress_new(in, &d, err) < 0)
        return -1;
    const struct input plain = decompress_input(d);
    struct summed s = { .in = &plain, .sum = sum, .from = d, .root = root };
    const struct input diff = { summed_read, NULL, &s };
    if (tar_new(&diff, &tar, err) < 0 || unpack_tar(tar, root, notes, &ret->unsettled, err) < 0 ||
        drain(&diff, err) < 0 || digest_end(sum, ret->diff_id, err) < 0)
        return -1;
    ret->diff_size = s.size;
    ret->packing = decompress_packing(d);
    if (ret->packing == PACKED_NOT)
        ret->diff_id[0] = '\0';
    return 0;
}
