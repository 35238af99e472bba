// SPDX-License-Identifier: Apache-2.0
/* What a good document becomes: values, defaults, order, hashes; and finding the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "spec/spec.h"
#include "spec/validate/order.h"

static struct spec *parse(const char *text)
{
    zl_autobuf struct zl_buf found = ZL_BUF(1 << 20);
    autodiags struct spec_diags diags;
    spec_diags_init(&diags);
    struct spec *s = spec_parse(text, strlen(text), "t.yml", "/srv", &diags);
    if (!s) {
        spec_diags_print(&diags, text, false, &found);
        fail_msg("%s", found.data);
    }
    return s;
}

/* A document with one service that has these fields besides its image. */
static struct spec *parse_with(const char *fields)
{
    char text[2000];
    (void)snprintf(text, sizeof text,
                   "version: v1\ndeployment: abc\nservices: {web: {image: {name: nginx}%s%s}}\n",
                   *fields ? ", " : "", fields);
    return parse(text);
}

static void every_field_of_this_version_is_decoded(void **unused)
{
    (void)unused;
    autospec struct spec *s = parse(
        "version: v1\n"
        "deployment: bookshop\n"
        "services:\n"
        "  web:\n"
        "    image: {name: 'example.net/web:2', pull_policy: never}\n"
        "    command: {entrypoint: [/bin/web], args: [], workdir: /srv}\n"
        "    env: {PORT: 8080, NAME: \"a b\", BLANK: }\n"
        "    labels: {tier: front}\n"
        "    resources: {cpu: 0.75, memory: 384Mi, memory_swap: -1, memory_reservation: 1Mi,\n"
        "                pids_limit: 256, cpu_shares: 512, cpuset: '0-1', oom_score_adj: -5}\n"
        "    scale: {replicas: 3, mode: fixed}\n"
        "    health: {interval: 15s, timeout: 2s, retries: 0, start_grace: 1500us,\n"
        "             check: {expect_status: 204, url: /healthz, type: http}}\n"
        "    depends: [{service: db, condition: started, timeout: 2m, on_timeout: warn}]\n"
        "    restart_policy: {kind: on_failure, max_attempts: 4, delay: 1s}\n"
        "    errors: {on_panic: {action: isolate}}\n"
        "    endpoints:\n"
        "      - {name: web, protocol: http, port: 80, target_port: 8080, path: /shop,\n"
        "         host: '*.example.net', expose: public}\n"
        "      - {name: raw, protocol: tcp, port: 0x50}\n"
        "    storage:\n"
        "      - {type: bind, source: data/x, target: /data, readonly: true}\n"
        "      - {type: tmpfs, target: /tmp, size: 64Mi, mode: 1777}\n"
        "    user: 1000:www-data\n"
        "    hostname: web-1\n"
        "    network_mode: none\n"
        "    stop_signal: QUIT\n"
        "    stop_grace_period: 45s\n"
        "    tty: true\n"
        "    stdin_open: True\n"
        "    read_only_root_fs: TRUE\n"
        "    lifecycle: {delete_on_exit: true}\n"
        "  db: {image: {name: postgres}, rtype: job}\n");
    const struct spec_service *web = spec_find(s, "web"), *db = spec_find(s, "db");
    assert_string_equal(s->deployment, "bookshop");
    assert_int_equal(s->n_services, 2);
    assert_ptr_equal(web, &s->services[0]);
    assert_null(spec_find(s, "w"));

    assert_string_equal(web->image.name, "example.net/web:2");
    assert_int_equal(web->image.pull, SPEC_PULL_NEVER);
    assert_int_equal(web->command.entrypoint.n, 1);
    assert_true(web->command.args.written && web->command.args.n == 0);
    assert_string_equal(web->command.workdir, "/srv");
    assert_int_equal(web->env.n, 3);
    assert_string_equal(web->env.v[0].value, "8080");
    assert_string_equal(web->env.v[2].value, "");
    assert_string_equal(web->labels.v[0].key, "tier");
    assert_true(web->resources.cpu == 0.75);
    assert_true(web->resources.memory == 384 << 20);
    assert_true(web->resources.memory_swap == -1);
    assert_true(web->resources.pids_limit == 256);
    assert_int_equal(web->resources.cpu_shares, 512);
    assert_int_equal(web->resources.oom_score_adj, -5);
    assert_true(web->resources.has_oom_score_adj);
    assert_int_equal(web->replicas, 3);
    assert_int_equal(web->health.check, SPEC_CHECK_HTTP);
    assert_int_equal(web->health.expect_status, 204);
    assert_int_equal(web->health.interval_ms, 15000);
    assert_int_equal(web->health.start_grace_ms, 2); /* rounded up */
    assert_int_equal(web->health.retries, 1);
    assert_int_equal(web->depends[0].index, 1);
    assert_int_equal(web->depends[0].timeout_ms, 120000);
    assert_int_equal(web->depends[0].on_timeout, SPEC_TIMEOUT_WARN);
    assert_int_equal(web->restart.kind, SPEC_RESTART_ON_FAILURE);
    assert_int_equal(web->restart.max_attempts, 4);
    assert_int_equal(web->on_panic, SPEC_PANIC_ISOLATE);
    assert_int_equal(web->endpoints[0].target_port, 8080);
    assert_int_equal(web->endpoints[0].expose, SPEC_PUBLIC);
    assert_string_equal(web->endpoints[0].path, "/shop");
    assert_int_equal(web->endpoints[1].port, 80);
    assert_int_equal(web->endpoints[1].target_port, 80);
    assert_string_equal(web->storage[0].source, "/srv/data/x");
    assert_true(web->storage[0].readonly);
    assert_int_equal(web->storage[1].mode, 01777);
    assert_int_equal(web->network, SPEC_NET_NONE);
    assert_int_equal(web->stop_signal, SIGQUIT);
    assert_int_equal(web->stop_grace_ms, 45000);
    assert_true(web->tty && web->stdin_open && web->read_only_root_fs && web->delete_on_exit);
    assert_int_equal(db->rtype, SPEC_JOB);
    assert_int_equal(s->start_order[0], 1);
}

static void what_is_not_written_has_the_documented_default(void **unused)
{
    (void)unused;
    autospec struct spec *s = parse_with("depends: ~, health: {check: {type: tcp, port: 0}}");
    const struct spec_service *web = &s->services[0];
    assert_int_equal(web->rtype, SPEC_SERVICE);
    assert_int_equal(web->image.pull, SPEC_PULL_IF_NOT_PRESENT);
    assert_int_equal(web->replicas, 1);
    assert_int_equal(web->health.start_grace_ms, 5000);
    assert_int_equal(web->health.interval_ms, 10000);
    assert_int_equal(web->health.timeout_ms, 5000);
    assert_int_equal(web->health.retries, 3);
    assert_int_equal(web->restart.kind, SPEC_RESTART_NONE_WRITTEN);
    assert_int_equal(web->on_panic, SPEC_PANIC_RESTART);
    assert_int_equal(web->network, SPEC_NET_DEFAULT);
    assert_int_equal(web->stop_signal, 0);
    assert_int_equal(web->stop_grace_ms, 30000);
    assert_null(web->user);
    assert_false(web->command.entrypoint.written);
    autospec struct spec *job = parse_with("rtype: job");
    assert_int_equal(job->services[0].stop_grace_ms, 10000);
    assert_false(job->services[0].health.written);
}

static void dependencies_start_first_and_ties_as_in_the_file(void **unused)
{
    (void)unused;
    autospec struct spec *s =
        parse("version: v1\ndeployment: abc\nservices:\n"
              "  a: {image: {name: x}, depends: [{service: d}]}\n"
              "  b: {image: {name: x}}\n"
              "  c: {image: {name: x}, depends: [{service: a}, {service: b}]}\n"
              "  d: {image: {name: x}}\n"
              "  e: {image: {name: x}}\n");
    static const size_t wanted[] = { 1, 3, 0, 2, 4 }; /* b d a c e */
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(s->start_order[i], wanted[i]);
}

static void count_cycle(void *arg, const size_t *members, size_t n)
{
    size_t *seen = arg;
    *seen += n;
    assert_int_equal(members[0], 0);
}

static void a_chain_of_a_hundred_thousand_is_ordered_and_a_ring_of_them_is_found(void **unused)
{
    (void)unused;
    enum { N = 100000 };
    struct order_edge *edges = calloc(N, sizeof *edges);
    size_t *order = calloc(N, sizeof *order), seen = 0;
    assert_true(edges && order);
    for (size_t i = 0; i < N; i++)
        edges[i] = (struct order_edge){ .from = i, .to = (i + 1) % N };
    assert_int_equal(order_compute(edges, N - 1, N, order, count_cycle, &seen), ORDER_OK);
    assert_int_equal(order[0], N - 1);
    assert_int_equal(order[N - 1], 0);
    assert_int_equal(order_compute(edges, N, N, order, count_cycle, &seen), ORDER_CYCLES);
    assert_int_equal(seen, N);
    free(edges);
    free(order);
}

/* What a change of fields changes: the container, or only what is done with it, or nothing. */
enum change { NOTHING, OUTSIDE, CONTAINER };

static void hashes_tell_what_shapes_a_container_from_what_does_not(void **unused)
{
    (void)unused;
    static const struct {
        const char *a, *b;
        enum change change;
    } cases[] = {
        { "env: {A: 1, B: 2}", "env: {B: 2, A: 1}", NOTHING },
        { "labels: {}", "", NOTHING },
        { "user: '0'", "user: 0", NOTHING },
        { "stop_grace_period: 30s", "", NOTHING },
        { "stop_grace_period: 1m", "stop_grace_period: 60 s", NOTHING },
        { "resources: {memory: 1Gi}", "resources: {memory: 1024Mi}", NOTHING },
        { "network_mode: default", "", NOTHING },
        { "scale: {mode: fixed, replicas: 2}", "", OUTSIDE },
        { "health: {check: {type: tcp, port: 1}}", "", OUTSIDE },
        { "restart_policy: {kind: always}", "", OUTSIDE },
        { "stop_grace_period: 31s", "", OUTSIDE },
        { "endpoints: [{name: a, protocol: tcp, port: 1}]", "", OUTSIDE },
        { "errors: {on_panic: {action: shutdown}}", "", OUTSIDE },
        { "env: {A: 1}", "env: {A: 2}", CONTAINER },
        { "env: {AB: C}", "env: {A: BC}", CONTAINER },
        { "labels: {A: x}", "env: {A: x}", CONTAINER },
        { "command: {args: [a, b]}", "command: {args: [b, a]}", CONTAINER },
        { "command: {args: [ab]}", "command: {args: [a, b]}", CONTAINER },
        { "command: {entrypoint: []}", "", CONTAINER },
        { "resources: {oom_score_adj: 0}", "", CONTAINER },
        { "storage: [{type: tmpfs, target: /a}]", "storage: [{type: tmpfs, target: /b}]",
          CONTAINER },
        { "stop_signal: INT", "", CONTAINER },
        { "tty: true", "", CONTAINER },
        { "network_mode: host", "", CONTAINER },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        autospec struct spec *a = parse_with(cases[i].a), *b = parse_with(cases[i].b);
        const struct spec_service *x = &a->services[0], *y = &b->services[0];
        enum change change = x->full_hash == y->full_hash             ? NOTHING
                             : x->container_hash == y->container_hash ? OUTSIDE
                                                                      : CONTAINER;
        if (change != cases[i].change)
            fail_msg("%s | %s: %d, not %d", cases[i].a, cases[i].b, change, cases[i].change);
    }
}

static void a_hash_never_changes_between_versions(void **unused)
{
    (void)unused;
    /* Stored beside running containers: a new value would replace them all after an upgrade. */
    autospec struct spec *s =
        parse_with("env: {A: b}, command: {args: [x]}, resources: {cpu: 0.5}");
    assert_int_equal(s->services[0].container_hash, UINT64_C(0xa9fb3777fbba9498));
    autospec struct spec *same =
        parse("version: v1\ndeployment: other\nservices: {web: {env: {A: b}, "
              "image: {name: 'docker.io/library/nginx:latest'}, "
              "command: {args: [x]}, resources: {cpu: 5e-1}}}\n");
    assert_true(s->services[0].container_hash == same->services[0].container_hash);
}

static void a_service_on_its_own_is_a_spec_without_deployment(void **unused)
{
    (void)unused;
    static const char text[] = "{\"image\": {\"name\": \"busybox\"}, \"tty\": true}";
    autodiags struct spec_diags diags;
    spec_diags_init(&diags);
    autospec struct spec *s = spec_parse_service(text, strlen(text), "box-1", &diags);
    assert_non_null(s);
    assert_string_equal(s->deployment, "-");
    assert_string_equal(s->services[0].name, "box-1");
    assert_int_equal(s->start_order[0], 0);
    assert_true(s->services[0].tty);
    assert_true(s->services[0].container_hash != 0);

    static const char *const bad[] = { "", "[]", "{image: {name: x}, depends: [{service: a}]}",
                                       "{}", "{image: {name: x}, colour: red}" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        autodiags struct spec_diags found;
        spec_diags_init(&found);
        assert_null(spec_parse_service(bad[i], strlen(bad[i]), "x", &found));
        assert_true(found.n_errors > 0);
    }
}

static void a_reference_keeps_a_spec_alive(void **unused)
{
    (void)unused;
    struct spec *s = parse_with("");
    struct spec *other = spec_ref(s);
    spec_unref(s);
    assert_string_equal(other->services[0].name, "web");
    spec_unref(other);
    spec_unref(NULL);
}

static void a_finding_does_not_steer_the_terminal(void **unused)
{
    (void)unused;
    static const char text[] = "a: \033[2J\a\xc2\x9b\t\x7f x\n";
    zl_autobuf struct zl_buf out = ZL_BUF(10000);
    autodiags struct spec_diags diags;
    spec_diags_init(&diags);
    spec_diags_add(&diags, SPEC_ERROR, "E-X", 1, 12, "a\033b", "no '%s'", "\033]0;\a");
    spec_diags_print(&diags, text, false, &out);
    assert_string_equal(out.data, "error E-X -:1:12 a?b: no '?]0;?'\n"
                                  "    1 | a: ?[2J??\t? x\n"
                                  "      |          \t ^\n");
}

static void a_relative_profile_without_a_file_starts_nowhere(void **unused)
{
    static const char text[] =
        "version: v1\ndeployment: abc\nservices:\n"
        "  web: {image: {name: x}, security_opt: [seccomp=unconfined, seccomp=p.json]}\n";
    zl_autobuf struct zl_buf out = ZL_BUF(10000);
    autodiags struct spec_diags diags;
    (void)unused;
    spec_diags_init(&diags);
    assert_null(spec_parse(text, strlen(text), "f.yml", NULL, &diags));
    spec_diags_print(&diags, NULL, false, &out);
    assert_string_equal(out.data, "error E-SECURITY-OPT f.yml:4:62 services.web.security_opt[1]: "
                                  "the path of 'seccomp=p.json' is relative, and there is no file "
                                  "whose directory it could start from\n");
}

static void findings_print_with_their_line_and_as_json(void **unused)
{
    (void)unused;
    static const char text[] = "version: v1\ndeployment: \"\xc3\xa9\xc3\xa9\xc3\xa9\" # name\n";
    zl_autobuf struct zl_buf out = ZL_BUF(10000);
    autodiags struct spec_diags diags;
    spec_diags_init(&diags);
    assert_null(spec_parse(text, strlen(text), "f.yml", NULL, &diags));
    spec_diags_print(&diags, text, false, &out);
    assert_non_null(strstr(out.data, "error E-DEPLOYMENT-NAME f.yml:2:13 deployment: "));
    assert_non_null(strstr(out.data, "\n    2 | deployment: \"\xc3\xa9\xc3\xa9\xc3\xa9\" # name\n"
                                     "      |             ^\n"));
    zl_buf_reset(&out);
    spec_diags_json(&diags, &out);
    static const char start[] =
        "[{\"severity\":\"error\",\"id\":\"E-DEPLOYMENT-NAME\",\"file\":\"f.yml\",\"line\":2,"
        "\"column\":13,\"path\":\"deployment\",\"message\":\"";
    assert_int_equal(strncmp(out.data, start, strlen(start)), 0);
}

static void a_secret_is_not_shown_with_the_line_of_a_finding(void **unused)
{
    (void)unused;
    static const char *const documents[] = {
        "api: {jwt_secret: hunter2, bind: x}\n",
        "api: {jwt_secret: 'abc\n  hunter2', bind: x}\n",
        "api: {jwt_secret: hunter1, jwt_secret: hunter2}\n",
        "api: {jwt-secret: hunter2}\n",
        "api:\n  bind: x\n  jwt_secret: [hunter2, bind]\n",
        "api:\n  jwt_secret: |\n    hunter2\n  bind: x\n",
        "api: {jwt_secret: hunter2\n",
        "{api: {jwt_secret: hunter2}, services: {a: {}}}\n",
        "services: {a: {labels: {l: &s hunter2}, colour: x}}\napi: {jwt_secret: *s}\n",
    };
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        zl_autobuf struct zl_buf out = ZL_BUF(100000);
        autodiags struct spec_diags diags;
        spec_diags_init(&diags);
        assert_null(spec_parse(documents[i], strlen(documents[i]), "f.yml", NULL, &diags));
        spec_diags_print(&diags, documents[i], false, &out);
        if (strstr(out.data, "hunter"))
            fail_msg("%s", out.data);
    }
}

/* ---- discovery ------------------------------------------------------------------------------- */

static void touch(int dir, const char *name)
{
    struct zl_error err;
    assert_int_equal(zl_write_atomic(dir, name, "", 0, 0644, false, &err), 0);
}

static void the_file_is_found_by_its_name_and_several_are_listed(void **unused)
{
    (void)unused;
    struct zl_error err;
    char path[] = "/tmp/zlayer-unit.XXXXXX", wanted[100];
    char *found = NULL;
    assert_non_null(mkdtemp(path));
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(spec_discover(path, &found, &err), -1);
    assert_int_equal(err.kind, ZL_ERR_NOT_FOUND);

    touch(dir, "notes.yml");
    touch(dir, "shop.zlayer.yml");
    assert_int_equal(mkdirat(dir, "d.zlayer.yml", 0755), 0); /* folders and links do not count */
    assert_int_equal(symlinkat("notes.yml", dir, "l.zlayer.yml"), 0);
    assert_int_equal(spec_discover(path, &found, &err), 0);
    (void)snprintf(wanted, sizeof wanted, "%s/shop.zlayer.yml", path);
    assert_string_equal(found, wanted);
    free(found);

    touch(dir, "zlayer.prod.yaml");
    assert_int_equal(spec_discover(path, &found, &err), -1);
    assert_non_null(strstr(err.msg, "E-SPEC-AMBIGUOUS"));
    assert_non_null(strstr(err.msg, "shop.zlayer.yml, zlayer.prod.yaml"));

    touch(dir, "zlayer.yml"); /* wins over all others */
    assert_int_equal(spec_discover(path, &found, &err), 0);
    (void)snprintf(wanted, sizeof wanted, "%s/zlayer.yml", path);
    assert_string_equal(found, wanted);
    free(found);
    (void)close(dir);
    assert_int_equal(zl_remove_tree(AT_FDCWD, path, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_of_this_version_is_decoded),
        cmocka_unit_test(what_is_not_written_has_the_documented_default),
        cmocka_unit_test(dependencies_start_first_and_ties_as_in_the_file),
        cmocka_unit_test(a_chain_of_a_hundred_thousand_is_ordered_and_a_ring_of_them_is_found),
        cmocka_unit_test(hashes_tell_what_shapes_a_container_from_what_does_not),
        cmocka_unit_test(a_hash_never_changes_between_versions),
        cmocka_unit_test(a_service_on_its_own_is_a_spec_without_deployment),
        cmocka_unit_test(a_reference_keeps_a_spec_alive),
        cmocka_unit_test(a_finding_does_not_steer_the_terminal),
        cmocka_unit_test(findings_print_with_their_line_and_as_json),
        cmocka_unit_test(a_relative_profile_without_a_file_starts_nowhere),
        cmocka_unit_test(a_secret_is_not_shown_with_the_line_of_a_finding),
        cmocka_unit_test(the_file_is_found_by_its_name_and_several_are_listed),
    };
    return cmocka_run_group_tests_name("spec", tests, NULL, NULL);
}
