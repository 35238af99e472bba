// SPDX-License-Identifier: Apache-2.0
/*
 * zlayer-fetch: everything that touches foreign bytes. One run per task, started by the agent; how
 * it reports is in progress.h. This process is the keeper, who alone has the store; who talks with
 * a registry and who reads what came of it are others, which hold nothing of value (crew/crew.h,
 * registry/talker.h).
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/imageref.h"
#include "base/stdfds.h"
#include "base/weaken.h"
#include "fetch/crew/confine.h"
#include "fetch/files/archive.h"
#include "fetch/files/fill.h"
#include "fetch/import/import.h"
#include "fetch/import/save.h"
#include "fetch/layer/verify.h"
#include "fetch/ordered.h"
#include "fetch/progress.h"
#include "fetch/registry/pull.h"
#include "fetch/registry/push.h"
#include "fetch/registry/talk.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
/* The leak check of a sanitized build reads /proc at exit, which a confined process does not have.
 */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void)
{
    return 1;
}
#endif

enum { EXIT_USAGE = 2, ARCHIVE_FD = 3 }; /* of `save`: the agent gives it */

static const char usage[] =
    "usage: zlayer-fetch import --root DIR --reference NAME SOURCE [< ORDER]\n"
    "       zlayer-fetch pull --root DIR --reference NAME < ORDER\n"
    "       zlayer-fetch push --root DIR --reference NAME < ORDER\n"
    "       zlayer-fetch login --root DIR --reference REGISTRY/any < ORDER\n"
    "       zlayer-fetch load --root DIR SOURCE [< ORDER]\n"
    "       zlayer-fetch save --root DIR < IMAGES 3> ARCHIVE\n"
    "       zlayer-fetch verify --root DIR < IMAGES\n"
    "       zlayer-fetch fill --root DIR < VOLUMES\n"
    "       zlayer-fetch archive ...    for the agent and the command line: "
    "src/fetch/files/archive.h\n"
    "\n"
    "SOURCE is /abs/rootfs.tar[.gz|.zst], /abs/module.wasm, oci:/abs/DIR[:TAG], "
    "oci-archive:/abs/FILE[:TAG],\n"
    "docker-archive:/abs/FILE[:REFERENCE], dir:/abs/DIR, or archive:/abs/FILE, which is one of the "
    "two. ORDER, IMAGES and VOLUMES are JSON objects: src/fetch/order.h, ordered.h, fill.h.\n"
    "\n"
    "  --root DIR        the state folder, which holds images/ and layers/\n"
    "  --reference NAME  what the image will be called; repeated in the last line\n"
    "  --help            this text\n"
    "  --version         the version\n"
    "\n"
    "Progress goes to stdout, one JSON object a line; the last says done or error.\n";

struct options {
    const char *root, *reference;
    bool help, version;
};

enum { OPT_ROOT = 1, OPT_REFERENCE, OPT_HELP, OPT_VERSION };
static const struct option option_table[] = {
    { "root", required_argument, NULL, OPT_ROOT },
    { "reference", required_argument, NULL, OPT_REFERENCE },
    { "help", no_argument, NULL, OPT_HELP },
    { "version", no_argument, NULL, OPT_VERSION },
    { 0 },
};

/* False: getopt said why on stderr. */
static bool parse_options(int argc, char **argv, struct options *o)
{
    int c;
    while ((c = getopt_long(argc, argv, "", option_table, NULL)) != -1) {
        switch (c) {
        case OPT_ROOT:
            o->root = optarg;
            break;
        case OPT_REFERENCE:
            o->reference = optarg;
            break;
        case OPT_HELP:
            o->help = true;
            break;
        case OPT_VERSION:
            o->version = true;
            break;
        default:
            return false;
        }
    }
    return true;
}

struct outcome {                /* of a command; "": not of this one */
    char digest[DIGEST_SIZE];   /* of the manifest */
    char resolved[DIGEST_SIZE]; /* of a pull: what the reference means */
};

/* Leaves the host's files, opens the work folder, and gives up what this process, the keeper, does
 * not need any more. */
static int open_work(const char *root, const struct crew *crew, struct work *ret,
                     struct zl_error *err)
{
    if (confine_view(root, CONFINE_STORE, err) < 0)
        return -1;
    zl_autoclose int fd = zl_open_dir(AT_FDCWD, ".", err); /* what is seen of the state folder */
    zl_autoclose int seen =
        fd < 0 ? -1
               : zl_open_dir(fd, zl_weaken(VIEW) || zl_weaken(LINKS) ? "." : CONFINE_SEEN, err);
    return seen < 0 || work_open(fd, seen, crew, ret, err) < 0 ? -1
                                                               : confine_role(CONFINE_KEEPER, err);
}

/* The agent gives it as a file; by hand there may be a terminal, and no order. */
static int import_order(struct zl_json *doc, struct order *ret, struct zl_error *err)
{
    struct stat st;
    if (fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode))
        return order_read(STDIN_FILENO, doc, ret, err);
    return order_parse("", 0, doc, ret, err);
}

/* What lies on this host: one image, or all with the names that they bring. */
static int bring(const struct options *o, const char *source_text, bool all, import_fn done,
                 struct outcome *ret, struct zl_error *err)
{
    zl_autojson struct zl_json doc = { 0 };
    struct order order;
    ZL_CLEANUP(crew_end) struct crew crew = CREW_NONE;
    ZL_CLEANUP(source_close) struct source source = SOURCE_CLOSED;
    ZL_CLEANUP(work_close) struct work work = WORK_CLOSED;
    if (crew_start(&crew, err) < 0 || import_order(&doc, &order, err) < 0 ||
        source_open(source_text, &source, err) < 0 || open_work(o->root, &crew, &work, err) < 0)
        return -1;
    source.keys = order.keys;
    return import_source(&work, &source, all, done, ret->digest, err) < 0 ? work_fail(&work, err)
                                                                          : 0;
}

/* import_fn: the only image. */
static int keep_digest(void *arg, const char *digest, const char *const *names,
                       struct zl_error *err)
{
    (void)names;
    (void)err;
    memcpy(arg, digest, DIGEST_SIZE);
    return 0;
}

static int import(const struct options *o, const char *source_text, struct outcome *ret,
                  struct zl_error *err)
{
    return bring(o, source_text, false, keep_digest, ret, err);
}

/* import_fn: one of several; arg takes the last one's digest. */
static int tell_image(void *arg, const char *digest, const char *const *names, struct zl_error *err)
{
    char name[ZL_IMAGEREF_MAX];
    const char *why;
    size_t told = 0;
    (void)err;
    memcpy(arg, digest, DIGEST_SIZE);
    for (; *names; names++) {
        if (zl_imageref_normalize(*names, name, &why) == 0) {
            progress_image(digest, name);
            told++;
        }
    }
    if (!told)
        progress_image(digest, NULL);
    return 0;
}

static int load(const struct options *o, const char *source_text, struct outcome *ret,
                struct zl_error *err)
{
    return bring(o, source_text, true, tell_image, ret, err);
}

/* A registry, by way of who talks with it. */
struct conversation {
    struct talk talk;
    struct zl_json doc;
    struct order order;
    struct zl_imageref ref;
};
#define NO_CONVERSATION                                                                            \
    {                                                                                              \
        .talk = TALK_NONE                                                                          \
    }

static int converse(const struct options *o, const char *access, struct conversation *c,
                    struct zl_error *err)
{
    const char *why;
    (void)zl_imageref_parse(o->reference, &c->ref, &why); /* was looked at already */
    return talk_start(o->root, &c->ref, access, &c->talk, err) < 0
               ? -1
               : talk_order(&c->talk, &c->doc, &c->order, err);
}

static void end_conversation(struct conversation *c)
{
    talk_end(&c->talk);
    zl_json_done(&c->doc);
}

/* What no process but who talks does: the order lies in our memory, and in that of who is forked.
 */
static int read_order_here(struct zl_error *err)
{
    struct zl_json doc = { 0 }; /* and stays */
    struct order order;
    if (order_read(STDIN_FILENO, &doc, &order, err) < 0)
        return -1;
    return lseek(STDIN_FILENO, 0, SEEK_SET) < 0 ? zl_fail_errno(err, "rewind the order") : 0;
}

static int pull(const struct options *o, const char *unused, struct outcome *ret,
                struct zl_error *err)
{
    struct pulled pulled;
    ZL_CLEANUP(crew_end) struct crew crew = CREW_NONE;
    ZL_CLEANUP(end_conversation) struct conversation c = NO_CONVERSATION;
    ZL_CLEANUP(work_close) struct work work = WORK_CLOSED;
    (void)unused;
    if ((zl_weaken(LATE) && read_order_here(err) < 0) || crew_start(&crew, err) < 0 ||
        converse(o, "pull", &c, err) < 0)
        return -1;
    if (open_work(o->root, &crew, &work, err) < 0 ||
        pull_image(&work, &c.talk, &c.order, &c.ref, &pulled, err) < 0)
        return work_fail(&work, err);
    memcpy(ret->digest, pulled.digest, DIGEST_SIZE);
    memcpy(ret->resolved, pulled.resolved, DIGEST_SIZE);
    return 0;
}

static int push(const struct options *o, const char *unused, struct outcome *ret,
                struct zl_error *err)
{
    ZL_CLEANUP(crew_end) struct crew crew = CREW_NONE;
    ZL_CLEANUP(end_conversation) struct conversation c = NO_CONVERSATION;
    ZL_CLEANUP(work_close) struct work work = WORK_CLOSED;
    (void)unused;
    if (crew_start(&crew, err) < 0 || converse(o, "pull,push", &c, err) < 0)
        return -1;
    if (!c.order.have || strncmp(c.order.have, "sha256:", 7) != 0 || !zl_digest_valid(c.order.have))
        return zl_fail(err, ZL_ERR_INVALID, "the order does not say which manifest to push");
    if (open_work(o->root, &crew, &work, err) < 0 ||
        push_by_talker(&work, &c.talk, &c.ref, c.order.have, err) < 0)
        return -1;
    (void)snprintf(ret->digest, DIGEST_SIZE, "%s", c.order.have); /* checked: fits */
    return 0;
}

/* Whether the credentials of the order open the registry of the reference. */
static int login(const struct options *o, const char *unused, struct outcome *ret,
                 struct zl_error *err)
{
    ZL_CLEANUP(end_conversation) struct conversation c = NO_CONVERSATION;
    (void)unused;
    (void)ret;
    if (converse(o, "pull", &c, err) < 0 || confine_view(o->root, CONFINE_NOTHING, err) < 0 ||
        confine_role(CONFINE_KEEPER, err) < 0)
        return -1;
    return talk_check(&c.talk, err);
}

/* Of images of the store, which the order names. */
static int on_ordered(const struct options *o,
                      int (*fn)(struct work *w, const struct ordered *order, struct zl_error *err),
                      struct zl_error *err)
{
    zl_autojson struct zl_json doc = { 0 };
    ZL_CLEANUP(crew_end) struct crew crew = CREW_NONE;
    ZL_CLEANUP(work_close) struct work work = WORK_CLOSED;
    struct ordered order;
    if (crew_start(&crew, err) < 0 || open_work(o->root, &crew, &work, err) < 0 ||
        ordered_read(STDIN_FILENO, &doc, &order, err) < 0)
        return -1;
    return fn(&work, &order, err);
}

static int save_ordered(struct work *w, const struct ordered *order, struct zl_error *err)
{
    return save_images(w, order, ARCHIVE_FD, err);
}

static int save(const struct options *o, const char *unused, struct outcome *ret,
                struct zl_error *err)
{
    (void)unused;
    (void)ret;
    return on_ordered(o, save_ordered, err);
}

/* Says of each image whether it is whole; one that is not does not stop the others. */
static int verify_ordered(struct work *w, const struct ordered *order, struct zl_error *err)
{
    size_t bad = 0;
    for (size_t i = 0; i < order->images.n; i++) {
        const struct ordered_image *image = &order->images.v[i];
        struct zl_error why;
        bool is_whole = verify_image(w, image->digest, &why) == 0;
        progress_verified(image->digest, image->names.n ? image->names.v[0] : NULL,
                          is_whole ? NULL : why.msg);
        bad += !is_whole;
    }
    return bad ? zl_fail(err, ZL_ERR_INVALID, "%zu of %zu images are damaged", bad, order->images.n)
               : 0;
}

static int verify(const struct options *o, const char *unused, struct outcome *ret,
                  struct zl_error *err)
{
    (void)unused;
    (void)ret;
    return on_ordered(o, verify_ordered, err);
}

static int fill(const struct options *o, const char *unused, struct outcome *ret,
                struct zl_error *err)
{
    (void)unused;
    (void)ret;
    return fill_volumes(o->root, STDIN_FILENO, err);
}

static const struct command {
    const char *name;
    int n_args;
    bool needs_reference;
    int (*run)(const struct options *o, const char *arg, struct outcome *ret, struct zl_error *err);
} commands[] = {
    { "import", 1, true, import },  { "pull", 0, true, pull },  { "push", 0, true, push },
    { "login", 0, true, login },    { "load", 1, false, load }, { "save", 0, false, save },
    { "verify", 0, false, verify }, { "fill", 0, false, fill },
};

/* NULL: there is none of these words. */
static const struct command *find_command(int n, char **words)
{
    for (size_t i = 0; n > 0 && i < ZL_ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i].name, words[0]) == 0 && commands[i].n_args == n - 1)
            return &commands[i];
    }
    return NULL;
}

static int run(const struct options *o, const struct command *c, const char *arg,
               struct zl_error *err)
{
    char reference[ZL_IMAGEREF_MAX];
    struct outcome done = { "", "" };
    const char *why;
    reference[0] = '\0';
    if (o->reference && zl_imageref_normalize(o->reference, reference, &why) < 0)
        return zl_fail(err, ZL_ERR_INVALID, "'%s' is not an image reference: %s", o->reference,
                       why);
    if (c->run(o, arg, &done, err) < 0) /* and its work is closed: see below */
        return -1;
    progress_done(done.digest, reference,
                  done.resolved[0] ? done.resolved
                                   : NULL); /* whoever reads it may collect garbage at once */
    return 0;
}

int main(int argc, char **argv)
{
    struct options o = { 0 };
    struct zl_error err = { 0 };
    if (zl_fill_standard_fds(&err) < 0) {
        progress_error(&err);
        return EXIT_FAILURE;
    }
    if (argc > 1 && strcmp(argv[1], "archive") == 0) {
        (void)umask(0); /* modes are the archive's */
        return archive_command(argc - 1, argv + 1);
    }
    if (!parse_options(argc, argv, &o))
        return EXIT_USAGE;
    if (o.help || o.version) {
        (void)fputs(o.help ? usage : "zlayer-fetch " ZL_VERSION "\n", stdout);
        return EXIT_SUCCESS;
    }
    const struct command *command = find_command(argc - optind, argv + optind);
    if (!command || !o.root || command->needs_reference != (o.reference != NULL)) {
        (void)fputs(usage, stderr);
        return EXIT_USAGE;
    }
    (void)umask(0); /* modes are the archive's, or written out */

    if (run(&o, command, argv[optind + 1], &err) < 0) {
        progress_error(&err);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
