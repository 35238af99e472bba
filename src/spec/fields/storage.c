// SPDX-License-Identifier: Apache-2.0
/* Rows about what is mounted into a container. */
#include "spec/fields/fields.h"

#include "spec/fields/rules.h"
#include "spec/value/name.h"

/* clang-format off */

static const struct walk_word storage_words[] = {
    { "bind",      SPEC_MOUNT_BIND, NULL },
    { "named",     SPEC_MOUNT_NAMED, NULL },
    { "anonymous", SPEC_MOUNT_ANONYMOUS, NULL },
    { "tmpfs",     SPEC_MOUNT_TMPFS, NULL },
    { "s3",        SPEC_MOUNT_S3, NULL },
    { 0 },
};
static const struct walk_word tier_words[] = {
    { "local",   SPEC_TIER_LOCAL, NULL },
    { "cached",  SPEC_TIER_CACHED, NULL },
    { "network", SPEC_TIER_NETWORK, NULL },
    { 0 },
};
static const struct decode_checked mount_target = {
    spec_check_mount_target, "E-MOUNT-TARGET", "target"
};
static const struct decode_checked volume = {
    spec_check_volume_name, "E-STORAGE-NAME", "name of a volume"
};
static const struct decode_checked bucket = { spec_check_not_empty, "E-MOUNT-SOURCE", "bucket" };

#define TARGET   { "target",   &type_target,  AT(spec_storage, target), WALK_REQUIRED, &mount_target, \
      .doc = "where it is mounted: absolute, not `/`, once" }
#define READONLY { "readonly", &type_bool,    AT(spec_storage, readonly), 0, NULL, \
      .doc = "it cannot be written" }
#define TIER     { "tier",     &type_enum,    AT(spec_storage, tier), 0, tier_words, \
      .doc = "the kind of disk; `network` is not safe for SQLite" }
#define SIZE     { "size",     &type_size,    AT(spec_storage, size), 0, "E-STORAGE-SIZE", \
      .doc = "the most it may hold" }

static const struct walk_field bind_fields[] = {
    { "source", &type_source, AT(spec_storage, source), WALK_REQUIRED, NULL,
      .doc = "a folder or file of the host, with what is mounted below; a relative one starts at the file's folder" },
    TARGET,
    READONLY,
    { 0 },
};
static const struct walk_field named_fields[] = {
    { "name", &type_checked, AT(spec_storage, name), WALK_REQUIRED, &volume,
      .doc = "of the volume, shared by name" },
    TARGET,
    READONLY,
    TIER,
    SIZE,
    { 0 },
};
static const struct walk_field anonymous_fields[] = { TARGET, TIER, { 0 } };
static const struct walk_field tmpfs_fields[] = {
    TARGET,
    SIZE,
    { "mode", &type_tmpfs_mode, AT(spec_storage, mode), 0, NULL,
      .doc = "octal digits: `1777`, `0o1777`" },
    { 0 },
};
static const struct walk_field s3_fields[] = {
    { "bucket",      &type_checked, AT(spec_storage, bucket), WALK_REQUIRED, &bucket,
      .doc = "what is mounted" },
    TARGET,
    { "prefix",      &type_text, AT(spec_storage, prefix), 0, NULL,
      .doc = "only keys that begin with it" },
    { "endpoint",    &type_text, AT(spec_storage, endpoint), 0, NULL,
      .doc = "of another provider" },
    { "credentials", &type_text, AT(spec_storage, credentials), 0, NULL,
      .doc = "of the bucket" },
    READONLY,
    { 0 },
};
static const struct walk_habit storage_habits[] = {
    { "read_only", "'readonly'" }, { "ro", "'readonly'" }, { "destination", "'target'" }, { 0 },
};
static const struct walk_shape storage_shapes[] = {
    [SPEC_MOUNT_BIND]      = { "a bind mount", bind_fields, storage_habits,
                               "storage: [{type: bind, source: /here, target: /there}]", "type" },
    [SPEC_MOUNT_NAMED]     = { "a named volume", named_fields, storage_habits, NULL, "type" },
    [SPEC_MOUNT_ANONYMOUS] = { "an anonymous volume", anonymous_fields, storage_habits, NULL, "type" },
    [SPEC_MOUNT_TMPFS]     = { "a tmpfs mount", tmpfs_fields, storage_habits, NULL, "type" },
    [SPEC_MOUNT_S3]        = { "an s3 mount", s3_fields, storage_habits, NULL, "type" },
};
static const struct walk_variants storage_kinds = {
    "a mount", "type", storage_words, storage_shapes, AT(spec_storage, type)
};
const struct walk_list spec_storage_list = {
    .variants = &storage_kinds, .item_size = sizeof(struct spec_storage),
    .count_offset = AT(spec_service, n_storage),
};
/* clang-format on */
