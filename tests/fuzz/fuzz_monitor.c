// SPDX-License-Identifier: Apache-2.0
/*
 * What comes to a monitor and what comes from one: packets, {u8 length / 4, bytes} each, to a shim
 * that holds nothing yet, and the same packets as answers to a client.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "monitor/client.h"
#include "shim/shim.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void on_closed(void *arg, unsigned left)
{
    (void)arg;
    (void)left;
}
static const struct server_events events = { .closed = on_closed };

/* The next packet of the input into `sock`; false: there is none. */
static bool send_packet(int sock, const uint8_t **at, const uint8_t *end)
{
    if (*at == end)
        return false;
    size_t n = (size_t) * (*at)++ * 4;
    if (n > (size_t)(end - *at))
        n = (size_t)(end - *at);
    (void)send(sock, *at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    *at += n;
    return true;
}

static void feed_shim(const uint8_t *at, const uint8_t *end)
{
    struct shim s = { .run_fd = -1, .state_fd = -1, .init.pidfd = -1 };
    char answers[MON_ANSWER_MAX];
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ||
        loop_init(&s.loop, NULL) < 0 ||
        server_new(&s.loop, shim_rows, shim_n_rows, &events, &s, &s.server, NULL) < 0 ||
        server_adopt(s.server, pair[1], NULL) < 0)
        abort();
    while (send_packet(pair[0], &at, end)) {
        (void)loop_step(&s.loop, 0, NULL);
        while (recv(pair[0], answers, sizeof answers, MSG_DONTWAIT) > 0)
            ;
    }
    exec_done_all(&s);
    container_done(&s);
    server_free(s.server);
    loop_done(&s.loop);
    (void)close(pair[0]);
}

static void feed_client(const uint8_t *at, const uint8_t *end)
{
    auto_mon_client struct mon_client *c = NULL;
    struct mon_message m;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ||
        mon_client_adopt(pair[1], &c, NULL) < 0)
        abort();
    while (send_packet(pair[0], &at, end))
        (void)mon_client_recv(c, &m, NULL);
    (void)close(pair[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    feed_shim(bytes, bytes + len);
    feed_client(bytes, bytes + len);
    return 0;
}
