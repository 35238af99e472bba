// SPDX-License-Identifier: Apache-2.0
#ifndef ZL_CLI_IMAGE_IMAGEFILE_H
#define ZL_CLI_IMAGE_IMAGEFILE_H

#include "cli/cli.h"

/* `image verify` */
int image_verify_run(struct cli *cli, const void *options, int argc, char **argv);

#endif
