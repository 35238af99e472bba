// SPDX-License-Identifier: Apache-2.0
/*
 * The process that talks with a registry: names are looked up, TLS and HTTP are spoken and the
 * registry's answers are read here, and the credentials are nowhere else. It has no file of the
 * store open and sees none, so whoever takes it over can send the keeper (talk.h) what a registry
 * could send as well, and nothing more.
 */
#ifndef ZL_FETCH_REGISTRY_TALKER_H
#define ZL_FETCH_REGISTRY_TALKER_H

#include "base/imageref.h"

/* The child's part of talk_start(): reads the order on standard input, finds credentials, confines
 * itself, and answers the keeper at sock until that is closed. */
_Noreturn void talker_main(int sock, const char *root, const struct zl_imageref *ref,
                           const char *access);

#endif
