// SPDX-License-Identifier: Apache-2.0
/* Rows about the image, its command, and what a container may use. */
#include "spec/dump/dump_value.h"
#include "spec/fields/fields.h"

#include <string.h>

#include "spec/fields/rules.h"
#include "spec/fields/schema.h"
#include "spec/value/name.h"

/* clang-format off */

/* ---- image, command --------------------------------------------------------------------------- */

static const struct walk_word pull_words[] = {
    { "if_not_present", SPEC_PULL_IF_NOT_PRESENT, NULL },
    { "always",         SPEC_PULL_ALWAYS, NULL },
    { "newer",          SPEC_PULL_NEWER, NULL },
    { "never",          SPEC_PULL_NEVER, NULL },
    { 0 },
};
static const struct walk_word source_policy_words[] = {
    { "local_first", SPEC_LOCAL_FIRST, NULL },
    { "s3_first",    SPEC_S3_FIRST, NULL },
    { "remote_only", SPEC_REMOTE_ONLY, NULL },
    { "local_only",  SPEC_LOCAL_ONLY, NULL },
    { 0 },
};
static const struct walk_field image_fields[] = {
    { "name",          &type_image, AT(spec_image, name), WALK_REQUIRED, NULL,
      .doc = "an image reference" },
    { "pull_policy",   &type_enum,  AT(spec_image, pull), WALK_LIVE, pull_words,
      .doc = "when a registry is asked" },
    { "source_policy", &type_enum,  AT(spec_image, source_policy), WALK_LIVE, source_policy_words,
      .doc = "where the image is looked for" },
    { 0 },
};
const struct walk_shape spec_image_shape = {
    .noun = "image", .fields = image_fields, .shorthand = "image: {name: REFERENCE}"
};
const struct walk_list spec_image_part = PART(spec_image, &spec_image_shape, NULL);

static const struct decode_checked workdir = { spec_check_abs_path, "E-WORKDIR", "directory" };
static const struct walk_field command_fields[] = {
    { "entrypoint", &type_texts,   AT(spec_command, entrypoint), 0, NULL,
      .doc = "instead of the image's; its arguments go, too" },
    { "args",       &type_texts,   AT(spec_command, args),       0, NULL,
      .doc = "instead of the image's arguments; empty counts as absent" },
    { "workdir",    &type_checked, AT(spec_command, workdir),    0, &workdir,
      .doc = "absolute; absent is the image's, else `/`" },
    { 0 },
};
const struct walk_shape spec_command_shape = {
    .noun = "command", .fields = command_fields,
    .shorthand = "command: {entrypoint: [PROGRAM], args: [ARGUMENT]}"
};
const struct walk_list spec_command_part = PART(spec_command, &spec_command_shape, NULL);

/* ---- gpu -------------------------------------------------------------------------------------- */

static const struct decode_integer gpu_count = { 4, false, 1, UINT32_MAX, "E-GPU-COUNT" };
static const struct decode_integer master_port = { 2, false, 1, UINT16_MAX, "E-RANGE", true };
static const struct decode_checked gpu_backend = {
    spec_check_gpu_backend, "E-GPU-BACKEND", "backend"
};
static const struct walk_word gpu_scheduling_words[] = {
    { "best-effort", SPEC_GPU_BEST_EFFORT, NULL },
    { "gang",        SPEC_GPU_GANG, NULL },
    { "spread",      SPEC_GPU_SPREAD, NULL },
    { 0 },
};
static const struct walk_word gpu_sharing_words[] = {
    { "exclusive",  SPEC_GPU_EXCLUSIVE, NULL },
    { "mps",        SPEC_GPU_MPS, NULL },
    { "time-slice", SPEC_GPU_TIME_SLICE, NULL },
    { 0 },
};
static const struct walk_field distributed_fields[] = {
    { "backend",     &type_checked, AT(spec_gpu_distributed, backend), 0, &gpu_backend,
      .doc = "`nccl`, `gloo` or `mpi`" },
    { "master_port", &type_integer, AT(spec_gpu_distributed, master_port), 0, &master_port,
      .doc = "of rank 0" },
    { 0 },
};
static const struct spec_gpu_distributed distributed_initial = { "nccl", 29500 };
static const struct walk_list distributed_part =
    PART(spec_gpu_distributed, SHAPE(distributed_fields, .noun = "distributed"), &distributed_initial);
static const struct walk_field gpu_fields[] = {
    { "count",        &type_integer,  AT(spec_gpu, count),        0, &gpu_count,
      .doc = "devices wanted" },
    { "vendor",       &type_text,     AT(spec_gpu, vendor),       0, NULL,
      .doc = "`nvidia`, `amd`, `intel`; another text is tried at /dev/dri" },
    { "mode",         &type_text,     AT(spec_gpu, mode),         0, NULL,
      .doc = "of macOS" },
    { "model",        &type_text,     AT(spec_gpu, model),        0, NULL,
      .doc = "a part of the model's name" },
    { "scheduling",   &type_enum,     AT(spec_gpu, scheduling),   0, gpu_scheduling_words,
      .doc = "`gang`: all or none" },
    { "distributed",  &type_optional, AT(spec_gpu, distributed),  0, &distributed_part,
      .doc = "variables for training on several" },
    { "sharing",      &type_enum,     AT(spec_gpu, sharing),      0, gpu_sharing_words,
      .doc = "how one device is shared" },
    { "mps_pipe_dir", &type_text,     AT(spec_gpu, mps_pipe_dir), 0, NULL,
      .doc = "with `mps`: a folder of the host; absent is /tmp/nvidia-mps" },
    { "mps_log_dir",  &type_text,     AT(spec_gpu, mps_log_dir),  0, NULL,
      .doc = "with `mps`: a folder of the host; absent is /tmp/nvidia-log" },
    { "time_slice_index", &type_integer, AT(spec_gpu, time_slice_index), 0, &spec_any_u32,
      AT(spec_gpu, has_time_slice_index),
      .doc = "with `time-slice`: which device is visible" },
    { "time_slicing_config_path", &type_text, AT(spec_gpu, time_slicing_config_path), 0, NULL,
      .doc = "with `time-slice`: a file of the host" },
    { 0 },
};
static const struct spec_gpu gpu_initial = { .count = 1, .vendor = "nvidia" };
static const struct walk_list gpu_part =
    PART(spec_gpu, SHAPE(gpu_fields, .noun = "gpu", .shorthand = "gpu: {count: 1}"), &gpu_initial);

/* ---- resources -------------------------------------------------------------------------------- */

static const struct decode_integer pids = { 8, true, -1, INT64_MAX, "E-PIDS" };
static const struct decode_integer shares = { 4, false, 2, UINT32_MAX, "E-CPU-SHARES" };
static const struct decode_integer oom_adj = { 4, true, -1000, 1000, "E-OOM-ADJ" };
static const struct decode_integer swappiness = { 1, false, 0, 100, "E-SWAPPINESS" };
static const struct decode_checked cpuset = { spec_check_cpuset, "E-CPUSET", "list of CPUs" };

/* 0 is another way to write "unlimited"; in the struct it means that nothing was said. */
static DECODE(decode_pids)
{
    struct spec_resources *r = owner;
    decode_integer(w, f, n, owner);
    if (!r->pids_limit)
        r->pids_limit = -1;
}
static const struct walk_type type_pids = { "a whole number", decode_pids, value_nonzero, schema_integer };

/* 10 to 1000, or 0: not set. */
static const struct decode_integer blkio = { 2, false, 10, 1000, "E-BLKIO" };
static DECODE(decode_blkio)
{
    if (n->kind != DOC_SCALAR || !n->plain || strcmp(n->scalar.text, "0") != 0)
        decode_integer(w, f, n, owner);
}
static const struct walk_type type_blkio = { "a whole number", decode_blkio, value_nonzero, schema_weight };

static const struct walk_field resources_fields[] = {
    { "cpu",                &type_cpu,     AT(spec_resources, cpu),                0, NULL,
      .doc = "cores, more than 0; below 0.01 is raised to it" },
    { "memory",             &type_size,    AT(spec_resources, memory),             0, "E-MEMORY",
      .doc = "the hard limit" },
    { "memory_swap",        &type_swap,    AT(spec_resources, memory_swap),        WALK_UNCHECKED, NULL,
      .doc = "memory and swap together, at least `memory`; -1 is unlimited" },
    { "memory_reservation", &type_size,    AT(spec_resources, memory_reservation), WALK_UNCHECKED, "E-MEMORY",
      .doc = "the soft limit, at most `memory`" },
    { "memory_swappiness",  &type_integer, AT(spec_resources, memory_swappiness),  0, &swappiness,
      AT(spec_resources, has_memory_swappiness),
      .doc = "how readily memory is swapped" },
    { "pids_limit",         &type_pids,    AT(spec_resources, pids_limit),         0, &pids,
      .doc = "processes; -1 and 0 are unlimited" },
    { "cpuset",             &type_checked, AT(spec_resources, cpuset),             0, &cpuset,
      .doc = "processors: `0-3,6`" },
    { "cpu_shares",         &type_integer, AT(spec_resources, cpu_shares),         0, &shares,
      .doc = "relative weight; the kernel's default is 1024" },
    { "oom_score_adj",      &type_integer, AT(spec_resources, oom_score_adj),      0, &oom_adj,
      AT(spec_resources, has_oom_score_adj),
      .doc = "how readily it is killed when memory is short" },
    { "oom_kill_disable",   &type_bool,    AT(spec_resources, oom_kill_disable),   0, NULL,
      .doc = "wait instead of being killed" },
    { "blkio_weight",       &type_blkio,   AT(spec_resources, blkio_weight),       0, &blkio,
      .doc = "relative weight of disk access; 0 is unset" },
    { "gpu",                &type_optional, AT(spec_resources, gpu),               0, &gpu_part,
      .doc = "graphics processors; `{}` is one of NVIDIA's" },
    { 0 },
};
const struct walk_shape spec_resources_shape = { .noun = "resources", .fields = resources_fields };
const struct walk_list spec_resources_part = PART(spec_resources, &spec_resources_shape, NULL);

/* ---- devices, ulimits ------------------------------------------------------------------------- */

static const struct decode_checked device_path = { spec_check_abs_path, "E-DEVICE-PATH", "path" };
static const struct walk_field device_fields[] = {
    { "path",  &type_checked, AT(spec_device, path),  WALK_REQUIRED, &device_path,
      .doc = "absolute, of the host" },
    { "read",  &type_bool,    AT(spec_device, read),  0, NULL,
      .doc = "may be read" },
    { "write", &type_bool,    AT(spec_device, write), 0, NULL,
      .doc = "may be written" },
    { "mknod", &type_bool,    AT(spec_device, mknod), 0, NULL,
      .doc = "its node may be made" },
    { 0 },
};
static const struct spec_device device_initial = { .read = true, .write = true };
const struct walk_list spec_device_list = {
    .shape = SHAPE(device_fields, .noun = "a device", .shorthand = "devices: [{path: /dev/NAME}]"),
    .item_size = sizeof(struct spec_device), .initial = &device_initial,
    .count_offset = AT(spec_service, n_devices),
};

static const struct decode_integer limit = { 8, true, -1, INT64_MAX, "E-ULIMIT-RANGE" };
static const struct decode_checked ulimit_name = {
    spec_check_ulimit_name, "E-ULIMIT-NAME", "name of a limit"
};
static const struct walk_field ulimit_fields[] = {
    { "soft", &type_integer, AT(spec_ulimit, soft), 0, &limit, AT(spec_ulimit, has_soft),
      .doc = "absent is `hard`; -1 is unlimited" },
    { "hard", &type_integer, AT(spec_ulimit, hard), 0, &limit, AT(spec_ulimit, has_hard),
      .doc = "absent is `soft`; -1 is unlimited" },
    { 0 },
};
const struct decode_map spec_ulimit_map = {
    .list = { .shape = SHAPE(ulimit_fields, .noun = "a limit",
                             .shorthand = "ulimits: {NAME: {soft: N, hard: N}}"),
              .item_size = sizeof(struct spec_ulimit),
              .count_offset = AT(spec_service, n_ulimits) },
    .key = &ulimit_name,
};
/* clang-format on */
