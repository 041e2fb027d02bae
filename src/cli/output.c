/* Checks that a command may write its file. How a file is replaced is base/out_file.c. */
#include "cli/output.h"

#include <stdlib.h>
#include <string.h>

#include "base/inputs.h"
#include "base/out_file.h"
#include "checkpoint/checkpoint.h"

static int claim_models(const struct args *a, struct err *e) {
    const char *named = a->model ? a->model : getenv("LOOKAT_MODEL");
    int rc = named && *named && !a->embed ? checkpoint_claim(named, e) : OK;
    if (!rc && a->tokenizer) rc = checkpoint_claim(a->tokenizer, e);
    if (!rc && a->command == CMD_CONVERT && a->argc) rc = checkpoint_claim(a->argv[0], e);
    return rc;
}

/* -o names a form of standard output in most commands, and a file in those that make one. */
static int check_name(const struct args *a, const char *path, struct err *e) {
    static const char *const forms[] = {"text", "json", "jsonl", "csv", "md"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (a->output == path && strcmp(path, forms[i]) == 0)
            return err_set(
                e, ERR_USAGE, "-o %s: -o of %s names the file to write%s; -o ./%s is a file", path,
                command_name(a->command),
                a->command == CMD_CALIBRATE ? ", and --format what is printed" : "", path);
    return OK;
}

int output_check(const struct args *a, const char *path, bool force, struct err *e) {
    int rc = check_name(a, path, e);
    if (!rc) rc = claim_models(a, e);
    if (!rc && a->book) rc = inputs_add_path(a->book, e);
    if (!rc && a->load_state) rc = inputs_add_path(a->load_state, e);
    if (!rc && a->prompts) rc = inputs_add_path(a->prompts, e);
    for (size_t i = 0; i < a->files.n && !rc; i++) rc = inputs_add_path(a->files.item[i], e);
    return rc ? rc : out_check(path, force, e);
}
