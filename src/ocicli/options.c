// SPDX-License-Identifier: Apache-2.0
#include "ocicli/options.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { FLAG, TEXT, COUNT };

struct option {
    const char *name;
    char letter;
    enum kind kind;
    size_t offset;     /* in struct options */
    const char *of;    /* commands that take it, "" before the command */
    const char *value; /* its name in --help */
    const char *help;
};
#define O(name, letter, kind, member, of, value, help)                                             \
    {                                                                                              \
        name, letter, kind, offsetof(struct options, member), of, value, help                      \
    }

/* clang-format off */
static const struct option table[] = {
    O("root",              0,  TEXT,  root,           "",           "DIR",    "where containers' states are kept (/run/zlayer-oci)"),
    O("log",               0,  TEXT,  log,            "",           "FILE",   "errors are appended to FILE as well"),
    O("log-format",        0,  TEXT,  log_format,     "",           "FORMAT", "of FILE: text or json"),
    O("cgroup-manager",    0,  TEXT,  cgroup_manager, "",           "NAME",   "cgroupfs; systemd is not supported"),
    O("systemd-cgroup",    0,  FLAG,  systemd_cgroup, "",           NULL,     "not supported"),
    O("rootless",          0,  TEXT,  rootless,       "",           "BOOL",   "false or auto"),
    O("debug",             0,  FLAG,  debug,          "",           NULL,     "accepted and ignored"),
    O("help",             'h', FLAG,  help,           "*",          NULL,     "this text"),
    O("version",          'v', FLAG,  version,        "",           NULL,     "the version"),
    O("bundle",           'b', TEXT,  bundle,         "create run", "DIR",    "the folder of config.json (.)"),
    O("pid-file",          0,  TEXT,  pid_file,       "create run", "FILE",   "gets the pid of the first process"),
    O("console-socket",    0,  TEXT,  console_socket, "create run", "SOCKET", "gets the terminal's master"),
    O("detach",           'd', FLAG,  detach,         "run",        NULL,     "do not wait for the container's end"),
    O("keep",              0,  FLAG,  keep,           "run",        NULL,     "do not delete the container after its end"),
    O("preserve-fds",      0,  COUNT, preserve_fds,   "create run", "N",      "descriptors 3 to 2+N stay open in the container"),
    O("no-pivot",          0,  FLAG,  no_pivot,       "create run", NULL,     "MS_MOVE and chroot instead of pivot_root"),
    O("no-new-keyring",    0,  FLAG,  no_new_keyring, "create run", NULL,     "keep the caller's session keyring"),
    O("no-subreaper",      0,  FLAG,  no_subreaper,   "run",        NULL,     "accepted and ignored"),
    O("all",              'a', FLAG,  all,            "kill",       NULL,     "signal every process of the container"),
    O("force",            'f', FLAG,  force,          "delete",     NULL,     "kill it if it runs; an unknown container is no error"),
};
/* clang-format on */

static bool applies(const struct option *o, const struct command *c)
{
    if (strcmp(o->of, "*") == 0)
        return true;
    if (!c || !o->of[0])
        return !c && !o->of[0];
    size_t n = strlen(c->name);
    for (const char *at = o->of; *at; at += strcspn(at, " "), at += *at == ' ')
        if (strncmp(at, c->name, n) == 0 && (at[n] == ' ' || !at[n]))
            return true;
    return false;
}

static const struct option *find(const char *name, size_t n, char letter, const struct command *c)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(table); i++)
        if (applies(&table[i], c) &&
            (letter ? table[i].letter == letter
                    : strncmp(table[i].name, name, n) == 0 && !table[i].name[n]))
            return &table[i];
    return NULL;
}

static int set_count(unsigned *out, const char *name, const char *value, struct zl_error *err)
{
    char *end;
    unsigned long n;

    errno = 0;
    n = strtoul(value, &end, 10);
    if (errno || end == value || *end || n > 1024)
        return zl_fail(err, ZL_ERR_INVALID, "--%s: expected a number up to 1024, found '%s'", name,
                       value);
    *out = (unsigned)n;
    return 0;
}

static int set(struct options *o, const struct option *row, const char *value, struct zl_error *err)
{
    void *member = (char *)o + row->offset;

    switch (row->kind) {
    case FLAG:
        *(bool *)member = !value || strcmp(value, "false") != 0;
        return 0;
    case TEXT:
        *(const char **)member = value;
        return 0;
    case COUNT:
        return set_count(member, row->name, value, err);
    }
    return 0;
}

/* One "--name[=value]" or "-x"; may take the word after it. */
static int take_option(struct options *o, char **argv, int argc, int *at, struct zl_error *err)
{
    const char *word = argv[*at];
    bool is_long = word[1] == '-';
    const char *name = word + 1 + is_long;
    size_t n = strcspn(name, "=");
    const char *value = name[n] ? name + n + 1 : NULL;
    char letter = '\0';

    if (!is_long && n == 1)
        letter = *name;
    const struct option *row = find(name, n, letter, o->command);

    if (!row)
        return zl_fail(err, ZL_ERR_INVALID, "unknown option '%s'%s%s", word,
                       o->command ? " of " : "", o->command ? o->command->name : "");
    if (row->kind != FLAG && !value) {
        if (*at + 1 >= argc)
            return zl_fail(err, ZL_ERR_INVALID, "option '%s' wants a %s", word, row->value);
        value = argv[++*at];
    }
    return set(o, row, value, err);
}

static int take_word(struct options *o, const char *word, struct zl_error *err)
{
    if (o->command) {
        if (o->n_words == o->command->max_words)
            return zl_fail(err, ZL_ERR_INVALID, "%s: one word too many: '%s'", o->command->name,
                           word);
        o->words[o->n_words++] = word;
        return 0;
    }
    for (const struct command *c = commands; c->name; c++)
        if (strcmp(c->name, word) == 0) {
            o->command = c;
            return 0;
        }
    return zl_fail(err, ZL_ERR_INVALID, "unknown command '%s'; see zlayer-oci --help", word);
}

int options_parse(int argc, char **argv, struct options *o, struct zl_error *err)
{
    bool words_only = false;

    *o = (struct options){ .root = "/run/zlayer-oci", .log_format = "text", .bundle = "." };
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (!words_only && strcmp(word, "--") == 0) {
            words_only = true;
            continue;
        }
        bool option = !words_only && word[0] == '-' && word[1];
        if ((option ? take_option(o, argv, argc, &i, err) : take_word(o, word, err)) < 0)
            return -1;
    }
    if (o->help || o->version)
        return 0;
    if (!o->command)
        return zl_fail(err, ZL_ERR_INVALID, "no command; see zlayer-oci --help");
    if (o->n_words < o->command->min_words)
        return zl_fail(err, ZL_ERR_INVALID, "%s: expected %s", o->command->name, o->command->words);
    return 0;
}

static void add_options(const struct command *c, struct zl_buf *out)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(table); i++) {
        const struct option *o = &table[i];
        char left[64];
        if (!applies(o, c))
            continue;
        (void)snprintf(left, sizeof left, "%s%c%s--%s%s%s", o->letter ? "-" : " ",
                       o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name,
                       o->value ? " " : "", o->value ? o->value : "");
        zl_buf_addf(out, "  %-30s %s\n", left, o->help);
    }
}

void options_help(const struct command *c, struct zl_buf *out)
{
    if (c) {
        zl_buf_addf(out, "usage: zlayer-oci [options] %s [options] %s\n\n%s\n\n", c->name, c->words,
                    c->help);
        add_options(c, out);
        return;
    }
    zl_buf_adds(out, "usage: zlayer-oci [options] COMMAND [options] …\n\n"
                     "An OCI runtime (runtime-spec "
                     "1.2"
                     "). Exit status: 0; 1 when a command "
                     "failed; for run the\ncontainer's own (128 + signal), 127 for a command that "
                     "is not there, 126 for one that\ncannot be executed, 125 for any other "
                     "failure.\n\nCommands:\n");
    for (c = commands; c->name; c++)
        zl_buf_addf(out, "  %-8s %-14s %s\n", c->name, c->words, c->help);
    zl_buf_adds(out, "\nOptions before the command:\n");
    add_options(NULL, out);
}
