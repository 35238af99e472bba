// SPDX-License-Identifier: Apache-2.0
/*
 * A world for tests with real containers: a folder with a root file system made here, whose one
 * program is contained.c, and cgroups below a parent of our own. Mounts stay in the containers'
 * namespaces. Needs root; every test has its own world by box_set_up() and box_tear_down().
 */
#ifndef ZL_TESTS_SANDBOX_BOX_H
#define ZL_TESTS_SANDBOX_BOX_H

#include "base/fd.h"
#include "oci/config.h"
#include "sandbox/carry/carry.h"

struct world {
    char path[64], parent[64];
    int dir;
    int fds[8];
    size_t n_fds;
    struct oci_config *config;
    struct zl_buf bytes;
    const struct plan *plan;
    struct carry *carry;
    struct zl_error err;
};

/* main() of such a test: 77 when it cannot run here; argv[1] is the program. */
bool box_possible(int argc, char **argv);
enum { BOX_SKIPPED = 77 };

int box_set_up(void **state);
int box_tear_down(void **state);
#define BOX_TEST(name) cmocka_unit_test_setup_teardown(name, box_set_up, box_tear_down)

/* The whole configuration; what was planned is in w. 0, or -1 and w->err of carry_prepare(). */
int box_prepare_text(struct world *w, const char *text, struct plan_options *o);
/* args as JSON strings; process, rest (of linux): further members, each with a comma before it. */
int box_prepare(struct world *w, const char *args, const char *process, const char *rest,
                struct plan_options *o);

extern const struct carry_start box_plainly; /* no input, no output */
int box_wait(struct carry_proc *p);          /* the exit code, 128 + signal; closes the pidfd */
/* The exit code; what it printed in out. */
int box_run(struct world *w, char *out, size_t size);
/* A container that holds, with further members of linux, and its first process. */
void box_hold(struct world *w, const char *rest, struct carry_proc *p);
/* A further process `x what arg`: its exit code; -1 and w->err. */
int box_exec(struct world *w, int init, const char *what, const char *arg);

#endif
