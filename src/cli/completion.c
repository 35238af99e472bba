// SPDX-License-Identifier: Apache-2.0
/*
 * Shell completion from the tables. Names of things (deployments, services, …) are asked of the
 * agent while completing, by `zlayer completion words KIND`, which never starts one.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/output.h"

static void put_words(const struct cli_option *table)
{
    for (; table && table->name; table++)
        (void)printf(" --%s", table->name);
}

static void bash_case(const char *key, const struct cli_command *c)
{
    (void)printf("    \"%s\") kind=%s; words=\"", key, c->completes ? c->completes : "none");
    put_words(c->options);
    put_words(cli_global_options);
    for (const struct cli_command *s = c->sub; s && s->name; s++)
        (void)printf(" %s", s->name);
    (void)printf("\" ;;\n");
}

static void print_bash(void)
{
    char key[64];
    (void)printf("# bash completion of zlayer; made by `zlayer completion bash`\n"
                 "_zlayer() {\n"
                 "  local cur=${COMP_WORDS[COMP_CWORD]} kind=command words= cmd= i\n"
                 "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
                 "    case ${COMP_WORDS[i]} in -*) ;; *) cmd+=${cmd:+ }${COMP_WORDS[i]} ;; esac\n"
                 "  done\n"
                 "  set -- $cmd\n"
                 "  cmd=${1-}\n"
                 "  case $cmd in");
    for (const struct cli_command *const *c = cli_commands(); *c; c++)
        if ((*c)->sub)
            (void)printf(" %s%s", (*c)->name, ") cmd+=${2+ $2} ;;");
    (void)printf(" esac\n"
                 "  case $cmd in\n");
    for (const struct cli_command *const *c = cli_commands(); *c; c++) {
        bash_case((*c)->name, *c);
        for (const struct cli_command *s = (*c)->sub; s && s->name; s++) {
            (void)snprintf(key, sizeof key, "%s %s", (*c)->name, s->name);
            bash_case(key, s);
        }
    }
    (void)printf("    \"\") words=\"");
    for (const struct cli_command *const *c = cli_commands(); *c; c++)
        (void)printf(" %s", (*c)->name);
    (void)printf("\"; kind=none ;;\n"
                 "  esac\n"
                 "  if [[ $cur != -* && $kind == spec ]]; then\n"
                 "    COMPREPLY=($(compgen -f -X '!*.y*ml' -- \"$cur\")); return\n"
                 "  fi\n"
                 "  [[ $cur != -* && $kind != none ]] && words+=\" $(zlayer completion words $kind "
                 "2>/dev/null)\"\n"
                 "  [[ $cur != -* ]] && words=$(printf '%%s\\n' $words | grep -v '^-')\n"
                 "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                 "}\n"
                 "complete -o default -F _zlayer zlayer\n");
}

static void print_zsh(void)
{
    (void)printf("#compdef zlayer\nautoload -U +X bashcompinit && bashcompinit\n");
    print_bash();
}

static void fish_options(const char *condition, const struct cli_option *table)
{
    for (; table && table->name; table++) {
        (void)printf("complete -c zlayer -n '%s' -l %s", condition, table->name);
        if (table->letter)
            (void)printf(" -s %c", table->letter);
        (void)printf("%s -d \"%s\"\n", table->kind == CLI_FLAG ? "" : " -r", table->help);
    }
}

static void fish_command(const struct cli_command *c)
{
    char condition[96];
    (void)printf("complete -c zlayer -n __fish_use_subcommand -a %s -d \"%s\"\n", c->name,
                 c->summary);
    (void)snprintf(condition, sizeof condition, "__fish_seen_subcommand_from %s", c->name);
    fish_options(condition, c->options);
    for (const struct cli_command *s = c->sub; s && s->name; s++)
        (void)printf("complete -c zlayer -n '%s' -a %s -d \"%s\"\n", condition, s->name,
                     s->summary);
    if (c->completes && strcmp(c->completes, "spec") != 0)
        (void)printf("complete -c zlayer -n '%s' -a '(zlayer completion words %s 2>/dev/null)'\n",
                     condition, c->completes);
}

static void print_fish(void)
{
    (void)printf("# fish completion of zlayer; made by `zlayer completion fish`\n");
    for (const struct cli_command *const *c = cli_commands(); *c; c++)
        fish_command(*c);
    fish_options("true", cli_global_options);
}

/* clang-format off */
static const struct { const char *name; void (*print)(void); } shells[] = {
    { "bash", print_bash }, { "zsh", print_zsh }, { "fish", print_fish },
};

static const struct { const char *kind, *path, *key; } word_sources[] = {
    { "deployment", "/api/v1/deployments", "name" },
    { "service",    "/api/v1/services",    "name" },
    { "container",  "/api/v1/containers",  "name" },
    { "image",      "/api/v1/images",      "reference" },
    { "job",        "/api/v1/jobs",        "name" },
};
/* clang-format on */

static int print_words(struct cli *cli, const char *kind)
{
    for (const struct cli_command *const *c = cli_commands(); *c; c++)
        if (strcmp(kind, "command") == 0)
            (void)printf("%s\n", (*c)->name);
    for (size_t i = 0; i < ZL_ARRAY_LEN(word_sources); i++) {
        json_t *list = NULL;
        if (strcmp(word_sources[i].kind, kind) != 0 || cli_connect_running(cli, NULL) < 0)
            continue;
        if (api_client_call(cli->client, "GET", word_sources[i].path, NULL, &list, NULL, NULL) == 0)
            for (size_t n = 0; n < json_array_size(list); n++)
                (void)printf("%s\n", jstr(json_array_get(list, n), word_sources[i].key));
        json_decref(list);
    }
    return CLI_OK; /* nothing to offer is no failure */
}

int cli_print_completion(const char *shell)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(shells); i++) {
        if (strcmp(shells[i].name, shell) == 0) {
            shells[i].print();
            return CLI_OK;
        }
    }
    return cli_failf(CLI_USAGE, "there is completion for bash, zsh and fish, not for '%s'", shell);
}

static int completion_run(struct cli *cli, const void *options, int argc, char **argv)
{
    (void)options;
    if (argc == 2 && strcmp(argv[0], "words") == 0)
        return print_words(cli, argv[1]);
    if (argc == 2)
        return cli_failf(CLI_USAGE, "'%s' is one argument too many", argv[1]);
    return cli_print_completion(argv[0]);
}

const struct cli_command completion_command = {
    .name = "completion",
    .group = GROUP_OTHER,
    .args = "bash|zsh|fish",
    .summary = "Print a script that completes commands in a shell",
    .examples = "source <(zlayer completion bash)\tfor this shell\n"
                "zlayer completion fish > ~/.config/fish/completions/zlayer.fish\tfor good",
    .min_args = 1,
    .max_args = 2,
    .run = completion_run,
};
