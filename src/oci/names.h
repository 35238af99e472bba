// SPDX-License-Identifier: Apache-2.0
/* Names of config.json to numbers of the kernel. -1: not known. */
#ifndef ZL_OCI_NAMES_H
#define ZL_OCI_NAMES_H

int capability_number(const char *name); /* "CAP_CHOWN" */
int rlimit_number(const char *name);     /* "RLIMIT_NOFILE" */
/* The n-th name, NULL after the last. */
const char *capability_name(int number);

#endif
