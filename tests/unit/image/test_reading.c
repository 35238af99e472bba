// SPDX-License-Identifier: Apache-2.0
/* Documents that a hand reads: what it says of them, what it cannot say, and its death. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "fetch/crew/crew.h"

#define A16 "aaaaaaaaaaaaaaaa"
#define DIGEST "sha256:" A16 A16 A16 A16
#define DESCRIPTOR "{\"mediaType\":\"m/t\",\"digest\":\"" DIGEST "\",\"size\":7"
#define MANIFEST                                                                                   \
    "{\"mediaType\":\"of/it\",\"config\":" DESCRIPTOR "},\"layers\":[" DESCRIPTOR                  \
    ",\"annotations\":{\"other\":\"x\",\"dev.cosignproject.cosign/signature\":\"c2ln\"}}]}"

static const char *const documents[READING_KINDS] = {
    [READING_INDEX] = "{\"manifests\":[" DESCRIPTOR
                      ",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\"}"
                      ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"latest\"}}]}",
    [READING_MANIFEST] = MANIFEST,
    [READING_CONFIG] =
        "{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"Cmd\":[\"/a\",\"b\"]}"
        ",\"rootfs\":{\"diff_ids\":[\"" DIGEST "\"]}}",
    [READING_DOCKER] =
        "[{\"Config\":\"c.json\",\"RepoTags\":[\"a:1\",\"b:2\"],\"Layers\":[\"l\"]}]",
};

union document {
    struct oci_index index;
    struct oci_manifest manifest;
    struct oci_image_config config;
    struct docker_images docker;
};

static void find(enum reading_kind kind, const char *text, struct reading *r)
{
    struct zl_error err;
    zl_buf_reset(&r->found);
    if (reading_find(kind, text, strlen(text), "it", &r->found, &err) < 0)
        fail_msg("%s", err.msg);
}

static void take(enum reading_kind kind, struct reading *r, union document *ret)
{
    struct zl_error err;
    find(kind, documents[kind], r);
    if (reading_take(kind, r, ret, &err) < 0)
        fail_msg("%s", err.msg);
}

static void what_an_index_says_arrives(void **unused)
{
    autoreading struct reading r = READING;
    union document d;
    (void)unused;
    take(READING_INDEX, &r, &d);
    assert_int_equal(d.index.manifests.n, 1);
    const struct oci_descriptor *e = d.index.manifests.v;
    assert_string_equal(e->digest, DIGEST);
    assert_string_equal(e->media_type, "m/t");
    assert_int_equal(e->size, 7);
    assert_string_equal(e->platform.os, "linux");
    assert_string_equal(e->platform.architecture, "arm");
    assert_string_equal(e->platform.variant, "v7");
    assert_string_equal(oci_annotation(e, OCI_REF_NAME), "latest");
    assert_null(oci_annotation(e, COSIGN_KIND));
}

static void what_a_manifest_says_arrives(void **unused)
{
    autoreading struct reading r = READING;
    union document d;
    (void)unused;
    take(READING_MANIFEST, &r, &d);
    assert_string_equal(d.manifest.media_type, "of/it");
    assert_null(d.manifest.artifact_type);
    assert_string_equal(d.manifest.config.digest, DIGEST);
    assert_int_equal(d.manifest.layers.n, 1);
    assert_string_equal(oci_annotation(d.manifest.layers.v, COSIGN_SIGNATURE), "c2ln");
    assert_null(oci_annotation(d.manifest.layers.v, "other"));
}

static void what_a_config_says_arrives(void **unused)
{
    autoreading struct reading r = READING;
    union document d;
    (void)unused;
    take(READING_CONFIG, &r, &d);
    assert_string_equal(d.config.os, "linux");
    assert_string_equal(d.config.architecture, "amd64");
    assert_int_equal(d.config.config.entrypoint.n, 1);
    assert_string_equal(d.config.config.entrypoint.v[0], "/a");
    assert_int_equal(d.config.diff_ids.n, 1);
    assert_string_equal(d.config.diff_ids.v[0], DIGEST);
}

static void what_dockers_list_says_arrives(void **unused)
{
    autoreading struct reading r = READING;
    union document d;
    (void)unused;
    take(READING_DOCKER, &r, &d);
    assert_int_equal(d.docker.n, 1);
    assert_string_equal(d.docker.v[0].config, "c.json");
    assert_int_equal(d.docker.v[0].names.n, 2);
    assert_string_equal(d.docker.v[0].names.v[1], "b:2");
    assert_string_equal(d.docker.v[0].layers.v[0], "l");
}

/* ---- lies ------------------------------------------------------------------------------------ */

static void refuse(enum reading_kind kind, struct reading *r)
{
    union document d;
    struct zl_error err;
    assert_int_equal(reading_take(kind, r, &d, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_PROTOCOL);
    assert_string_equal(err.msg, "the process that reads the document talks nonsense");
}

static void what_ends_too_early_or_too_late_is_refused(void **unused)
{
    autoreading struct reading whole = READING;
    (void)unused;
    for (int kind = 0; kind < READING_KINDS; kind++) {
        find(kind, documents[kind], &whole);
        for (size_t n = 0; n < whole.found.len; n++) {
            autoreading struct reading part = READING;
            zl_buf_add(&part.found, whole.found.data, n);
            refuse(kind, &part);
        }
        zl_buf_addc(&whole.found, 'x');
        refuse(kind, &whole);
    }
}

/* The first occurrence of these bytes becomes others. */
static void change(struct reading *r, const void *from, const void *to, size_t n)
{
    char *at = memmem(r->found.data, r->found.len, from, n);
    assert_non_null(at);
    memcpy(at, to, n);
}

static void what_no_document_can_say_is_refused(void **unused)
{
    const uint64_t seven = 7, one = 1, none = 0, huge = UINT64_MAX, negative = UINT64_C(1) << 63;
    autoreading struct reading r = READING;
    (void)unused;
    find(READING_MANIFEST, MANIFEST, &r);
    change(&r, "sha256:aaaa", "sha256:/../", 11);
    refuse(READING_MANIFEST, &r);
    find(READING_MANIFEST, MANIFEST, &r);
    change(&r, "sha256:aaaa", "sha256:AAAA", 11);
    refuse(READING_MANIFEST, &r);
    find(READING_MANIFEST, MANIFEST, &r);
    change(&r, &seven, &negative, sizeof seven); /* a size */
    refuse(READING_MANIFEST, &r);
    find(READING_INDEX, documents[READING_INDEX], &r);
    change(&r, &one, &huge, sizeof one); /* how many */
    refuse(READING_INDEX, &r);
    find(READING_MANIFEST, MANIFEST, &r);
    change(&r, "of/it", "of\0it", 5); /* a text that ends before its end */
    refuse(READING_MANIFEST, &r);
    zl_buf_reset(&r.found); /* a manifest without layers: two texts that are not there, a config */
    zl_buf_add(&r.found, &none, sizeof none);
    autoreading struct reading index = READING;
    find(READING_INDEX, documents[READING_INDEX], &index);
    zl_buf_add(&r.found, index.found.data + sizeof one, index.found.len - sizeof one);
    zl_buf_add(&r.found, &none, sizeof none);
    refuse(READING_MANIFEST, &r);
}

static void a_manifest_has_no_more_layers_than_can_be_mounted(void **unused)
{
    zl_autobuf struct zl_buf text = ZL_BUF(1 << 20);
    autoreading struct reading r = READING;
    struct zl_error err;
    uint64_t most = OCI_LAYERS_MAX, more = OCI_LAYERS_MAX + 1;
    (void)unused;
    zl_buf_adds(&text, "{\"config\":" DESCRIPTOR "},\"layers\":[" DESCRIPTOR "}");
    for (int i = 1; i < OCI_LAYERS_MAX; i++)
        zl_buf_adds(&text, "," DESCRIPTOR "}");
    zl_buf_adds(&text, "]}");
    assert_int_equal(zl_buf_check(&text, "the manifest", &err), 0);
    find(READING_MANIFEST, text.data, &r);
    size_t before = r.found.len;
    zl_buf_adds(&text, " ");
    /* one more, as only somebody who is no parser of ours can say it */
    autoreading struct reading one = READING;
    find(READING_INDEX, documents[READING_INDEX], &one);
    zl_buf_add(&r.found, one.found.data + sizeof(uint64_t), one.found.len - sizeof(uint64_t));
    assert_true(r.found.len > before);
    change(&r, &most, &more, sizeof most);
    refuse(READING_MANIFEST, &r);
}

/* ---- a hand ---------------------------------------------------------------------------------- */

static void fill(struct zl_buf *b, const char *text)
{
    zl_buf_adds(b, text);
    assert_false(b->failed);
}

static void a_hand_says_what_is_wrong_with_a_document(void **unused)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        { "{\"layers\":[]}", "the manifest: config: required, but missing" },
        { "{", "the manifest:1:1: string or '}' expected near end of file" },
        { "", "the manifest:1:0: '[' or '{' expected near end of file" },
    };
    ZL_CLEANUP(crew_end) struct crew crew = CREW_NONE;
    struct zl_error err;
    (void)unused;
    assert_int_equal(crew_start(&crew, &err), 0);
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
        autoreading struct reading r = READING;
        struct oci_manifest m;
        fill(&text, cases[i].text);
        assert_int_equal(reading_manifest(&crew, &text, "the manifest", &r, &m, &err), -1);
        assert_int_equal(err.kind, ZL_ERR_INVALID);
        assert_string_equal(err.msg, cases[i].said);
    }
}

static void a_document_as_large_as_there_may_be_is_read(void **unused)
{
    ZL_CLEANUP(crew_end) struct crew crew = CREW_NONE;
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    autoreading struct reading r = READING;
    struct oci_index index;
    struct zl_error err;
    size_t n = 1;
    (void)unused;
    fill(&text, "{\"manifests\":[" DESCRIPTOR "}");
    for (; text.len < OCI_DOCUMENT_MAX - 200; n++)
        fill(&text, "," DESCRIPTOR "}");
    fill(&text, "]}");
    assert_int_equal(crew_start(&crew, &err), 0);
    if (reading_index(&crew, &text, "the index", &r, &index, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(index.manifests.n, n);
}

/* Follows the foreman and its hands; the n-th of them is killed at its n-th stop at a system call.
 * In a process of its own, since it waits for whatever there is. Exits with how many it killed. */
static _Noreturn void kill_hands(const struct crew *crew, int ready)
{
    const pid_t foreman = crew->pid;
    const long options = PTRACE_O_TRACEFORK | PTRACE_O_TRACESYSGOOD;
    pid_t hand = 0;
    int status, hands = 0, stops = 0, killed = 0;
    (void)close(crew->foreman); /* it ends when the reader closes his */
    if (ptrace(PTRACE_SEIZE, foreman, 0, options) < 0 || write(ready, "r", 1) != 1)
        _exit(255);
    for (pid_t pid; (pid = waitpid(-1, &status, __WALL)) > 0;) {
        if (!WIFSTOPPED(status))
            continue;
        int number = WSTOPSIG(status);
        bool is_call = number == (SIGTRAP | 0x80), is_event = status >> 16;
        if (pid != foreman && pid != hand) {
            hand = pid;
            hands++;
            stops = 0;
        }
        stops += is_call && pid == hand;
        if (is_call && stops == hands)
            killed += kill(hand, SIGKILL) == 0;
        (void)ptrace(pid == foreman ? PTRACE_CONT : PTRACE_SYSCALL, pid, 0,
                     is_event || is_call ? 0 : number); /* who is killed does not go on */
    }
    _exit(killed);
}

static void a_hand_that_is_killed_anywhere_is_told(void **unused)
{
    enum { UNHARMED = 5 };
    struct crew crew = CREW_NONE;
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    struct zl_error err;
    int ready[2], status, failed = 0, whole = 0;
    char byte;
    (void)unused;
    fill(&text, MANIFEST);
    assert_int_equal(crew_start(&crew, &err), 0);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t killer = fork();
    if (killer == 0)
        kill_hands(&crew, ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    while (whole < UNHARMED) {
        autoreading struct reading r = READING;
        struct oci_manifest m;
        if (reading_manifest(&crew, &text, "the manifest", &r, &m, &err) == 0) {
            assert_int_equal(m.layers.n, 1); /* it had said everything */
            whole++;
            continue;
        }
        assert_int_equal(err.kind, ZL_ERR_SYSTEM);
        assert_string_equal(err.msg, "the manifest: the process that was to do it has died");
        assert_int_equal(whole, 0);
        failed++;
    }
    crew_end(&crew);
    assert_int_equal(waitpid(killer, &status, 0), killer);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 255);
    assert_true(failed > 20 && WEXITSTATUS(status) >= failed);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

/* A crew of which nobody does anything: what is asked lies in its socket, with the pipes. */
static struct crew idle_crew(int *ret_foreman)
{
    struct crew crew = CREW_NONE;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    crew.foreman = pair[0];
    crew.document_ms = crew.silence_ms = 20;
    *ret_foreman = pair[1];
    return crew;
}

static void a_hand_that_does_not_read_its_document_is_given_up(void **unused)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    struct zl_error err;
    int foreman;
    ZL_CLEANUP(crew_end) struct crew crew = idle_crew(&foreman);
    (void)unused;
    fill(&text, MANIFEST);
    for (int large = 0; large < 2; large++) { /* and one that is larger than the pipe */
        autoreading struct reading r = READING;
        struct oci_manifest m;
        assert_int_equal(reading_manifest(&crew, &text, "the manifest", &r, &m, &err), -1);
        assert_int_equal(err.kind, ZL_ERR_TIMEOUT);
        assert_string_equal(err.msg,
                            large ? "the manifest: wait for the process that does it: it took too "
                                    "long"
                                  : "the manifest: wait for the end of 'what was read': it took "
                                    "too long");
        while (text.len < 3 << 20)
            zl_buf_addc(&text, ' ');
    }
    (void)close(foreman);
}

/* One that reads, says what it found, and does not end; and one that says it byte by byte. */
static void a_hand_that_does_not_end_is_given_up(void **unused)
{
    static char buf[ZL_MSG_MAX];
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    struct zl_error err;
    int foreman;
    ZL_CLEANUP(crew_end) struct crew crew = idle_crew(&foreman);
    (void)unused;
    fill(&text, MANIFEST);
    for (int drips = 0; drips < 2; drips++) {
        autoreading struct reading r = READING;
        struct oci_manifest m;
        struct zl_msg order;
        pid_t hand = fork();
        if (hand == 0) {
            (void)close(crew.foreman);
            if (zl_msg_recv(foreman, buf, sizeof buf, &order, &err) != 1)
                _exit(1);
            if (!drips)
                (void)close(order.fds[1]);
            /* It is to be slow: a byte a millisecond is the hostility that is tested. */
            while (write(drips ? order.fds[1] : order.fds[0], "x", 1) == 1)
                (void)usleep(1000);
            _exit(0);
        }
        assert_int_equal(reading_manifest(&crew, &text, "the manifest", &r, &m, &err), -1);
        assert_int_equal(err.kind, ZL_ERR_TIMEOUT);
        assert_int_equal(kill(hand, SIGKILL), 0);
        assert_int_equal(waitpid(hand, NULL, 0), hand);
    }
    (void)close(foreman);
}

static void a_hand_that_takes_nothing_more_of_a_layer_is_given_up(void **unused)
{
    static char piece[3 << 20]; /* more than the pipe holds */
    struct crew_job job = CREW_NO_JOB;
    struct unpacked layer;
    struct zl_error err;
    int foreman;
    ZL_CLEANUP(crew_end) struct crew crew = idle_crew(&foreman);
    (void)unused;
    assert_int_equal(crew_unpack(&crew, foreman, foreman, &job, &err), 0);
    assert_int_equal(crew_feed(&job, piece, sizeof piece, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_TIMEOUT);
    assert_int_equal(crew_finish(&job, &layer, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_TIMEOUT);
    assert_int_equal(crew_list(&crew, foreman, foreman, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_TIMEOUT);
    assert_string_equal(err.msg, "wait for the process that does it: it took too long");
    (void)close(foreman);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_index_says_arrives),
        cmocka_unit_test(what_a_manifest_says_arrives),
        cmocka_unit_test(what_a_config_says_arrives),
        cmocka_unit_test(what_dockers_list_says_arrives),
        cmocka_unit_test(what_ends_too_early_or_too_late_is_refused),
        cmocka_unit_test(what_no_document_can_say_is_refused),
        cmocka_unit_test(a_manifest_has_no_more_layers_than_can_be_mounted),
        cmocka_unit_test(a_hand_says_what_is_wrong_with_a_document),
        cmocka_unit_test(a_document_as_large_as_there_may_be_is_read),
        cmocka_unit_test(a_hand_that_is_killed_anywhere_is_told),
        cmocka_unit_test(a_hand_that_does_not_read_its_document_is_given_up),
        cmocka_unit_test(a_hand_that_does_not_end_is_given_up),
        cmocka_unit_test(a_hand_that_takes_nothing_more_of_a_layer_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
