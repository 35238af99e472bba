// SPDX-License-Identifier: Apache-2.0
/* What a run of zlayer-fetch says, by a stand-in that says it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "runtime/fetch.h"

struct said {
    unsigned lines;
    bool ended;
    struct zl_error failed;
    char digest[80];
};

static void on_line(void *arg, const char *line)
{
    struct said *s = arg;
    (void)line;
    s->lines++;
}

static void on_end(void *arg, const struct zl_error *failed, const struct fetch_end *end)
{
    struct said *s = arg;
    s->ended = true;
    if (failed)
        s->failed = *failed;
    else
        (void)snprintf(s->digest, sizeof s->digest, "%s", end->digest);
}

/* A zlayer-fetch that is this script. */
static void stand_in(char dir[], const char *script)
{
    struct zl_error err;
    char path[100];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/zlayer-fetch", dir);
    zl_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    assert_true(fd >= 0);
    assert_int_equal(zl_write_all(fd, script, strlen(script), path, &err), 0);
    assert_int_equal(setenv("ZLAYER_LIBEXEC", dir, 1), 0);
}

static void remove_stand_in(const char *dir)
{
    char path[100];
    (void)snprintf(path, sizeof path, "%s/zlayer-fetch", dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

/* All of it is in the pipe, and the process has ended, before it is looked at. */
static struct said hear(const char *script)
{
    char dir[] = "/tmp/test_fetch.XXXXXX";
    struct said said = { 0 };
    struct fetch *run;
    struct zl_error err;
    siginfo_t info;
    struct event_base *base = event_base_new();
    assert_non_null(base);
    stand_in(dir, script);
    const struct fetch_task task = { .base = base,
                                     .root_dir = dir,
                                     .command = "pull",
                                     .on_line = on_line,
                                     .on_end = on_end,
                                     .arg = &said };
    assert_int_equal(fetch_begin(&task, &run, &err), 0);
    assert_int_equal(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0);
    while (!said.ended)
        assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
    event_base_free(base);
    remove_stand_in(dir);
    return said;
}

/* The pieces that are read end where lines end: what is left of each is as long as before. */
static void the_last_word_is_heard_behind_many_lines(void **state)
{
    (void)state;
    struct said s = hear(
        "#!/bin/sh\n"
        "for i in $(seq 1000 1199); do\n"
        "printf '{\"status\":\"layer\",\"digest\":\"0123456789012345678901234567 %d\"}\\n' $i\n"
        "done\n"
        "echo '{\"status\":\"done\",\"digest\":\"sha256:1\"}'\n");
    assert_int_equal(s.lines, 200);
    assert_int_equal(s.failed.kind, ZL_OK);
    assert_string_equal(s.digest, "sha256:1");
}

static void who_ends_without_a_word_has_failed(void **state)
{
    (void)state;
    struct said s = hear("#!/bin/sh\necho '{\"status\":\"layer\"}'\n");
    assert_int_equal(s.lines, 1);
    assert_int_equal(s.failed.kind, ZL_ERR_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_word_is_heard_behind_many_lines),
        cmocka_unit_test(who_ends_without_a_word_has_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
