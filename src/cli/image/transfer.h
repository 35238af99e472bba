// SPDX-License-Identifier: Apache-2.0
/*
 * The progress of a pull, push or import as people see it: on a terminal a bar per layer and a
 * total, redrawn in place; elsewhere a line per layer when it is done; with --format json the lines
 * of the API as they come.
 */
#ifndef ZL_CLI_IMAGE_TRANSFER_H
#define ZL_CLI_IMAGE_TRANSFER_H

#include "cli/cli.h"

struct transfer_view;
/* quiet: nothing but the last line. NULL: *err says why. */
struct transfer_view *transfer_view_new(const struct cli *cli, bool quiet, struct zl_error *err);
void transfer_view_free(struct transfer_view *v);
ZL_DEFINE_CLEANUP(struct transfer_view *, transfer_view_free)
#define autotransfer ZL_CLEANUP(transfer_view_freep)

/* For api_client_stream(); arg is the view. */
int transfer_view_line(void *arg, const json_t *line, struct zl_error *err);
/* Removes the bars; done: what to say of the success, NULL after a failure. */
void transfer_view_end(struct transfer_view *v, const char *done);

#endif
