// SPDX-License-Identifier: Apache-2.0
/* Settings: flag > environment > agent.yml > default, and what is said about wrong ones. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/config.h"
#include "base/fd.h"

static const char *const variables[] = { "ZLAYER_DATA_DIR", "ZLAYER_ROOT_DIR", "ZLAYER_RUNTIME_DIR",
                                         "ZLAYER_CGROUP_PARENT", "ZLAYER_LOG_LEVEL" };

struct scratch {
    char dir[64], file[96];
};

static int make_scratch(void **state)
{
    struct scratch *s = calloc(1, sizeof *s);
    (void)snprintf(s->dir, sizeof s->dir, "/tmp/zlayer-unit.XXXXXX");
    if (!mkdtemp(s->dir))
        return -1;
    (void)snprintf(s->file, sizeof s->file, "%s/agent.yml", s->dir);
    for (size_t i = 0; i < ZL_ARRAY_LEN(variables); i++)
        (void)unsetenv(variables[i]);
    *state = s;
    return 0;
}

static int drop_scratch(void **state)
{
    struct scratch *s = *state;
    int rc = zl_remove_tree(AT_FDCWD, s->dir, NULL);
    free(s);
    return rc;
}

static void write_file(const struct scratch *s, const char *text)
{
    struct zl_error err;
    zl_autoclose int dir = zl_open_dir(AT_FDCWD, s->dir, &err);
    assert_int_equal(zl_write_atomic(dir, "agent.yml", text, strlen(text), 0600, false, &err), 0);
}

/* argv ends with a NULL. getopt(3) permutes the array, never the strings. */
static int read_config(const char *const *argv, struct agent_config *c, struct zl_error *err)
{
    char *copy[16] = { 0 };
    int argc = 0;
    for (; argv[argc]; argc++)
        copy[argc] = (char *)(uintptr_t)argv[argc];
    return agent_config_read(argc, copy, c, err);
}

static void the_defaults_are_those_of_the_documents(void **state)
{
    (void)state;
    struct agent_config c;
    struct zl_error err = { 0 };
    const char *const argv[] = { "zlayerd", NULL };
    assert_int_equal(read_config(argv, &c, &err), 0);
    assert_string_equal(c.root_dir, "/var/lib/zlayer");
    assert_string_equal(c.run_dir, "/var/run/zlayer");
    assert_string_equal(c.socket, "/var/run/zlayer/zlayer.sock");
    assert_string_equal(c.cgroup_parent, "/zlayer");
    assert_int_equal(c.log_level, ZL_LOG_INFO);
    assert_int_equal(c.ready_fd, -1);
    agent_config_done(&c);
}

static void a_flag_beats_the_environment_which_beats_the_file(void **state)
{
    const struct scratch *s = *state;
    struct agent_config c;
    struct zl_error err = { 0 };
    const char *const argv[] = { "zlayerd", "--config", s->file, "--root-dir", "/flag", NULL };
    write_file(s, "version: v1\nroot_dir: /file\nruntime_dir: /file/run\nlog_level: debug\n"
                  "cgroup_parent: /file-cg\n");
    (void)setenv("ZLAYER_ROOT_DIR", "/env", 1);
    (void)setenv("ZLAYER_RUNTIME_DIR", "/env/run", 1);
    assert_int_equal(read_config(argv, &c, &err), 0);
    assert_string_equal(c.root_dir, "/flag");
    assert_string_equal(c.run_dir, "/env/run");
    assert_string_equal(c.socket, "/env/run/zlayer.sock");
    assert_string_equal(c.cgroup_parent, "/file-cg");
    assert_int_equal(c.log_level, ZL_LOG_DEBUG);
    agent_config_done(&c);
}

static void of_two_names_for_the_root_the_data_directory_wins(void **state)
{
    (void)state;
    struct agent_config c;
    struct zl_error err = { 0 };
    const char *const argv[] = { "zlayerd", NULL };
    (void)setenv("ZLAYER_ROOT_DIR", "/root-dir", 1);
    (void)setenv("ZLAYER_DATA_DIR", "/data-dir", 1);
    assert_int_equal(read_config(argv, &c, &err), 0);
    assert_string_equal(c.root_dir, "/data-dir");
    agent_config_done(&c);
}

static void what_is_wrong_is_named_with_its_place(void **state)
{
    const struct scratch *s = *state;
    const struct {
        const char *file;
        const char *argv[4];
        const char *said; /* after the name of the file, when there is one */
    } rows[] = {
        { "version: v1\nroot_dirr: /x\n", { NULL }, ":2:1" },
        { "root_dir: /x\n", { NULL }, "version" },
        { "version: v2\n", { NULL }, "version 'v2' is not known: write v1" },
        { "version: v1\nroot_dir: [\n", { NULL }, ":3:1: flow sequence without a closing bracket" },
        { "version: v1\nroot_dir: relative\n", { NULL }, "'relative' is not an absolute path" },
        { "version: v1\n", { "--log-level", "loud", NULL }, "log level 'loud' is none of" },
        { "version: v1\n", { "--ready-fd", "x", NULL }, "--ready-fd: 'x' is no descriptor" },
        { "version: v1\n", { "--nonsense", NULL }, "--nonsense: no such option" },
        { "version: v1\n", { "word", NULL }, "'word': zlayerd takes options only" },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(rows); i++) {
        const char *argv[8] = { "zlayerd", "--config", s->file };
        struct agent_config c;
        struct zl_error err = { 0 };
        for (size_t j = 0; j < 4 && rows[i].argv[j]; j++)
            argv[3 + j] = rows[i].argv[j];
        write_file(s, rows[i].file);
        assert_int_equal(read_config(argv, &c, &err), -1);
        assert_int_equal(err.kind, ZL_ERR_INVALID);
        if (!strstr(err.msg, rows[i].said))
            fail_msg("'%s' is not said in: %s", rows[i].said, err.msg);
        agent_config_done(&c);
    }
}

static void a_file_that_was_named_must_be_there(void **state)
{
    const struct scratch *s = *state;
    struct agent_config c;
    struct zl_error err = { 0 };
    const char *const argv[] = { "zlayerd", "--config", s->file, NULL };
    assert_int_equal(read_config(argv, &c, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_NOT_FOUND);
    agent_config_done(&c);
}

#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, make_scratch, drop_scratch)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SCRATCH(the_defaults_are_those_of_the_documents),
        WITH_SCRATCH(a_flag_beats_the_environment_which_beats_the_file),
        WITH_SCRATCH(of_two_names_for_the_root_the_data_directory_wins),
        WITH_SCRATCH(what_is_wrong_is_named_with_its_place),
        WITH_SCRATCH(a_file_that_was_named_must_be_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
