// SPDX-License-Identifier: Apache-2.0
/* The keeper against a talker that a registry has taken over: whatever it says, nothing wrong is
 * believed. */
#include "shelf.h"

#include <sys/socket.h>
#include <sys/time.h>

#include "base/msg.h"
#include "fetch/registry/arrival.h"
#include "fetch/registry/push.h"
#include "fetch/registry/talk.h"

/* Of "hello". */
#define HELLO "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

struct scene {
    struct talk talk;
    int talker; /* the other end: what is said there lies ready before it is asked for */
};

static struct scene scene_open(void)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    struct scene s = { .talk = TALK_NONE, .talker = pair[1] };
    s.talk.sock = pair[0];
    const struct timeval turn = { .tv_usec = 1000 }; /* what is said is there, or will not be */
    assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &turn, sizeof turn), 0);
    s.talk.packet = malloc(ZL_MSG_MAX);
    assert_non_null(s.talk.packet);
    return s;
}

static void scene_close(struct scene *s)
{
    talk_end(&s->talk);
    (void)close(s->talker);
}

static void say(struct scene *s, uint64_t op, unsigned type, const void *body, size_t n)
{
    struct zl_error err;
    const struct zl_msg m = {
        .head = { .version = 1, .type = (uint16_t)type, .length = (uint32_t)n, .op = op },
        .body = body,
    };
    assert_int_equal(zl_msg_send(s->talker, &m, &err), 0);
}

static void say_end(struct scene *s, uint64_t op, unsigned kind)
{
    struct talk_end end = { .kind = kind };
    say(s, op, TALK_END, &end, sizeof end);
}

static enum zl_err_kind ask_for_hello(struct scene *s)
{
    zl_autobuf struct zl_buf body = ZL_BUF(64);
    struct zl_error err = { 0 };
    int rc = talk_document(&s->talk, HELLO, 5, &body, &err);
    scene_close(s);
    if (rc == 0)
        assert_string_equal(body.data, "hello");
    return rc < 0 ? err.kind : ZL_OK;
}

static void a_document_that_is_right_is_taken(void **unused)
{
    (void)unused;
    struct scene s = scene_open();
    say(&s, 1, TALK_BYTES, "hel", 3);
    say(&s, 1, TALK_BYTES, "lo", 2);
    say_end(&s, 1, ZL_OK);
    assert_int_equal(ask_for_hello(&s), ZL_OK);
}

static void a_document_with_another_digest_is_refused(void **unused)
{
    (void)unused;
    struct scene s = scene_open();
    say(&s, 1, TALK_BYTES, "jello", 5);
    say_end(&s, 1, ZL_OK);
    assert_int_equal(ask_for_hello(&s), ZL_ERR_PROTOCOL);
}

static void a_document_of_another_size_is_refused(void **unused)
{
    (void)unused;
    struct scene s = scene_open();
    say(&s, 1, TALK_BYTES, "hell", 4);
    say_end(&s, 1, ZL_OK);
    assert_int_equal(ask_for_hello(&s), ZL_ERR_PROTOCOL);
}

static void more_than_a_document_may_have_is_not_kept(void **unused)
{
    (void)unused;
    struct scene s = scene_open();
    static const char much[100];
    say(&s, 1, TALK_BYTES, much, sizeof much);
    assert_int_not_equal(ask_for_hello(&s), ZL_OK);
}

static void packets_of_no_kind_or_of_other_questions_end_it(void **unused)
{
    (void)unused;
    static const struct {
        uint64_t op;
        unsigned type;
        size_t n;
    } wrong[] = {
        { 2, TALK_BYTES, 5 },
        { 0, TALK_END, sizeof(struct talk_end) },
        { 1, TALK_BYTES - 1, 5 },
        { 1, TALK_END + 1, 5 },
        { 1, TALK_SENT, 16 },
        { 1, TALK_END, 0 },
        { 1, TALK_END, sizeof(struct talk_end) - 1 },
        { 1, TALK_DOCUMENT, 5 },
    };
    static const char body[sizeof(struct talk_end)];
    for (size_t i = 0; i < ZL_ARRAY_LEN(wrong); i++) {
        struct scene s = scene_open();
        say(&s, wrong[i].op, wrong[i].type, body, wrong[i].n);
        if (ask_for_hello(&s) != ZL_ERR_PROTOCOL)
            fail_msg("packet %zu was taken", i);
    }
}

static void an_error_of_no_kind_and_without_an_end_is_an_error(void **unused)
{
    (void)unused;
    struct scene s = scene_open();
    struct talk_end end;
    memset(&end, 'x', sizeof end);
    say(&s, 1, TALK_END, &end, sizeof end);
    assert_int_equal(ask_for_hello(&s), ZL_ERR_INTERNAL);
}

static void descriptors_that_come_along_are_closed(void **unused)
{
    (void)unused;
    struct scene s = scene_open();
    struct zl_error err;
    int pair[2];
    char byte;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    const struct zl_msg m = {
        .head = { .version = 1, .type = TALK_BYTES, .length = 5, .op = 1 },
        .body = "hello",
        .fds = { pair[1] },
        .n_fds = 1,
    };
    assert_int_equal(zl_msg_send(s.talker, &m, &err), 0);
    (void)close(pair[1]);
    say_end(&s, 1, ZL_OK);
    assert_int_equal(ask_for_hello(&s), ZL_OK);
    assert_int_equal(read(pair[0], &byte, 1), 0);
    (void)close(pair[0]);
}

static void one_that_dies_is_an_error(void **unused)
{
    (void)unused;
    struct scene s = scene_open();
    assert_int_equal(shutdown(s.talker, SHUT_WR), 0);
    assert_int_equal(ask_for_hello(&s), ZL_ERR_SYSTEM);
}

static void a_tag_means_nothing_but_a_digest(void **unused)
{
    (void)unused;
    static const char *const wrong[] = { "", "sha256:", "sha256:../../../index.json",
                                         "sha512:2cf24dba", "2cf24dba" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(wrong); i++) {
        struct scene s = scene_open();
        struct talk_end end = { .kind = ZL_OK };
        struct zl_error err = { 0 };
        char digest[DIGEST_SIZE] = "";
        (void)snprintf(end.digest, sizeof end.digest, "%s", wrong[i]);
        say(&s, 1, TALK_END, &end, sizeof end);
        assert_int_equal(talk_resolve(&s.talk, "latest", digest, &err), -1);
        assert_int_equal(err.kind, ZL_ERR_PROTOCOL);
        assert_string_equal(digest, "");
        scene_close(&s);
    }
}

static void a_manifest_that_is_asked_for_by_digest_has_it(void **unused)
{
    (void)unused;
    zl_autobuf struct zl_buf body = ZL_BUF(64);
    struct scene s = scene_open();
    struct zl_error err = { 0 };
    char digest[DIGEST_SIZE], type[128];
    say(&s, 1, TALK_BYTES, "jello", 5);
    say_end(&s, 1, ZL_OK);
    assert_int_equal(talk_manifest(&s.talk, HELLO, &body, digest, type, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_PROTOCOL);
    scene_close(&s);
}

/* ---- a push ---------------------------------------------------------------------------------- */

static void note_part(void *arg, size_t part, uint64_t bytes)
{
    (void)bytes;
    *(size_t *)arg = part;
}

/* Progress is told of the config (0) and of one layer (1); there is no other part. */
static void progress_is_told_of_parts_that_there_are(void **unused)
{
    (void)unused;
    static const struct {
        uint32_t part;
        bool is_one;
    } told[] = {
        { 0, true }, { 1, true }, { 2, false }, { UINT32_MAX - 1, false }, { UINT32_MAX, false }
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(told); i++) {
        struct scene s = scene_open();
        struct zl_error err = { 0 };
        struct push_parts parts = {
            .digest = HELLO, .fds = { 0, 0, 0 }, .n_fds = 3, .sources = ZL_BUF(2)
        };
        struct talk_sent sent = { .part = told[i].part, .bytes = 5 };
        size_t part = SIZE_MAX;
        say(&s, 1, TALK_SENT, &sent, sizeof sent);
        say_end(&s, 1, ZL_OK);
        assert_int_equal(talk_push(&s.talk, &parts, note_part, &part, &err),
                         told[i].is_one ? 0 : -1);
        assert_true(part == (told[i].is_one ? told[i].part : SIZE_MAX));
        assert_int_equal(err.kind, told[i].is_one ? ZL_OK : ZL_ERR_PROTOCOL);
        zl_buf_done(&parts.sources);
        scene_close(&s);
    }
}

/* ---- blobs ----------------------------------------------------------------------------------- */

static void count(void *arg, uint64_t n)
{
    *(uint64_t *)arg += n;
}

struct shipment {
    struct scratch dir;
    struct work work;
    struct scene scene;
    struct arrival arrival;
    uint64_t bytes;
};

static void shipment_open(struct shipment *s)
{
    struct zl_error err;
    memset(s, 0, sizeof *s);
    s->dir = scratch_open();
    s->work = (struct work)WORK_CLOSED;
    s->work.store.partial = s->dir.fd;
    s->scene = scene_open();
    assert_int_equal(arrival_open(&s->arrival, &s->work, HELLO, 5, count, &s->bytes, &err), 0);
    assert_int_equal(arrival_ask(&s->arrival, &s->scene.talk, &err), 0);
}

/* All that was said, to the arrival. */
static void deliver(struct shipment *s)
{
    struct talk_event e;
    struct zl_error err;
    while (s->arrival.state == ARRIVAL_COMING && talk_next(&s->scene.talk, &e, &err) > 0)
        arrival_take(&s->arrival, &e);
}

static void shipment_close(struct shipment *s)
{
    arrival_close(&s->arrival);
    free(s->work.blobs);
    scene_close(&s->scene);
    scratch_remove(&s->dir);
}

static void a_blob_is_complete_when_its_digest_is_right(void **unused)
{
    (void)unused;
    struct shipment s;
    shipment_open(&s);
    say(&s.scene, 1, TALK_BYTES, "hello", 5);
    deliver(&s);
    assert_int_equal(s.arrival.state, ARRIVAL_COMING); /* nobody has said that this is all */
    say_end(&s.scene, 1, ZL_OK);
    deliver(&s);
    assert_int_equal(s.arrival.state, ARRIVAL_COMPLETE);
    assert_int_equal(s.work.n_blobs, 1);
    assert_int_equal(s.bytes, 5);
    shipment_close(&s);
}

static void a_blob_that_is_another_never_becomes_one(void **unused)
{
    (void)unused;
    struct shipment s;
    shipment_open(&s);
    say(&s.scene, 1, TALK_BYTES, "jello", 5);
    say_end(&s.scene, 1, ZL_OK);
    deliver(&s);
    assert_int_equal(s.arrival.state, ARRIVAL_WRONG);
    arrival_again(&s.arrival); /* there is no other endpoint */
    assert_int_equal(s.arrival.state, ARRIVAL_FAILED);
    assert_int_equal(s.work.n_blobs, 0);
    shipment_close(&s);
}

static void a_blob_gets_no_byte_more_than_its_size(void **unused)
{
    (void)unused;
    struct shipment s;
    shipment_open(&s);
    say(&s.scene, 1, TALK_BYTES, "hello, world", 12);
    deliver(&s);
    assert_int_equal(s.arrival.state, ARRIVAL_FAILED);
    assert_int_equal(s.arrival.err.kind, ZL_ERR_PROTOCOL);
    assert_int_equal(s.bytes, 0);
    shipment_close(&s);
}

static void a_blob_that_ends_early_is_not_one(void **unused)
{
    (void)unused;
    struct shipment s;
    shipment_open(&s);
    say(&s.scene, 1, TALK_BYTES, "hell", 4);
    say_end(&s.scene, 1, ZL_OK);
    deliver(&s);
    assert_int_equal(s.arrival.state, ARRIVAL_FAILED);
    assert_int_equal(s.work.n_blobs, 0);
    shipment_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_that_is_right_is_taken),
        cmocka_unit_test(a_document_with_another_digest_is_refused),
        cmocka_unit_test(a_document_of_another_size_is_refused),
        cmocka_unit_test(more_than_a_document_may_have_is_not_kept),
        cmocka_unit_test(packets_of_no_kind_or_of_other_questions_end_it),
        cmocka_unit_test(an_error_of_no_kind_and_without_an_end_is_an_error),
        cmocka_unit_test(descriptors_that_come_along_are_closed),
        cmocka_unit_test(one_that_dies_is_an_error),
        cmocka_unit_test(a_tag_means_nothing_but_a_digest),
        cmocka_unit_test(a_manifest_that_is_asked_for_by_digest_has_it),
        cmocka_unit_test(progress_is_told_of_parts_that_there_are),
        cmocka_unit_test(a_blob_is_complete_when_its_digest_is_right),
        cmocka_unit_test(a_blob_that_is_another_never_becomes_one),
        cmocka_unit_test(a_blob_gets_no_byte_more_than_its_size),
        cmocka_unit_test(a_blob_that_ends_early_is_not_one),
    };
    return cmocka_run_group_tests_name("talk", tests, NULL, NULL);
}
