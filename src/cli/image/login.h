// SPDX-License-Identifier: Apache-2.0
/* What the user of the command line is known by at registries, for the agent, which may run as
 * somebody else. */
#ifndef ZL_CLI_IMAGE_LOGIN_H
#define ZL_CLI_IMAGE_LOGIN_H

#include <jansson.h>

#include "base/error.h"

/* For the registry of an image: an object as the API wants it, new; NULL: nobody knows it. */
int login_for_image(const char *reference, json_t **ret, struct zl_error *err);

#endif
