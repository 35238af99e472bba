// SPDX-License-Identifier: Apache-2.0
/* Inside oci/: the tables of config.json, a file for each of its larger parts. */
#ifndef ZL_OCI_TABLES_H
#define ZL_OCI_TABLES_H

#include "oci/config.h"

/* A row: the key, its decoder, where it goes; R required, D with the decoder's detail. */
#define F(key, decode, type, member)                                                               \
    {                                                                                              \
        key, decode, offsetof(struct type, member), 0, NULL                                        \
    }
#define R(key, decode, type, member)                                                               \
    {                                                                                              \
        key, decode, offsetof(struct type, member), ZL_REQUIRED, NULL                              \
    }
#define D(key, decode, type, member, detail)                                                       \
    {                                                                                              \
        key, decode, offsetof(struct type, member), 0, detail                                      \
    }
#define RD(key, decode, type, member, detail)                                                      \
    {                                                                                              \
        key, decode, offsetof(struct type, member), ZL_REQUIRED, detail                            \
    }

extern const struct zl_field oci_process_fields[];   /* config_process.c */
extern const struct zl_field oci_resources_fields[]; /* config_resources.c */
extern const struct zl_field oci_seccomp_fields[];   /* config_seccomp.c */

/* struct zl_strs of "NAME=value" */
int oci_decode_env(const struct zl_json_at *at, const struct zl_field *f, void *out,
                   struct zl_error *err);

#endif
