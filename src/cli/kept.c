/* generate --save-state and --load-state: a prompt that is read once and continued often. */
#include <stdio.h>
#include <string.h>

#include "cli/generate.h"
#include "cli/output.h"

int kept_check(const struct args *args, struct err *e) {
    const char *option = args->save_state   ? "--save-state"
                         : args->load_state ? "--load-state"
                                            : NULL;
    if (!option) return OK;
    if (args->prompts)
        return err_set(e, ERR_USAGE, "%s is of one prompt: it does not go with --prompts", option);
    if (args->save_state && args->interactive)
        return err_set(e, ERR_USAGE, "--save-state is of one prompt: it does not go with -i");
    if (args->load_state && args->fidelity)
        return err_set(e, ERR_USAGE,
                       "--fidelity sees the keys of the whole prompt: it does not go with "
                       "--load-state");
    if (args->save_state && args->log && strcmp(args->save_state, args->log) == 0)
        return err_set(e, ERR_USAGE, "--save-state and --log: expected two files, got one");
    return args->save_state ? output_check(args, args->save_state, true, e) : OK;
}

void generate_drop_start(const struct generate_job *j, struct generate_prompt *p) {
    const struct vocab *v = &j->g.model.vocab;
    if (!v->n || !v->add_bos || !p->n || p->ids[0] != v->bos) return;
    p->ids++;
    p->n--;
}

int kept_open(struct state_file *f, const struct generate_job *j, struct generate_prompt *p,
              struct err *e) {
    *f = (struct state_file){0};
    if (!j->args->load_state) return OK;
    int rc = state_file_open(f, j->args->load_state, e);
    if (rc) return rc;
    if (!j->args->ids) generate_drop_start(j, p);
    int32_t *all = arena_alloc(&f->arena, f->n + p->n, sizeof *all);
    if (!all) {
        state_file_close(f);
        return err_set(e, ERR_FAILED, "out of memory for the prompt");
    }
    memcpy(all, f->tokens, f->n * sizeof *all);
    if (p->n) memcpy(all + f->n, p->ids, p->n * sizeof *all);
    p->logits = p->n ? NULL : f->logits;
    p->ids = all;
    p->held = f->n;
    p->n += f->n;
    return OK;
}

int kept_restore(const struct state_file *f, const struct generate_job *j, struct gpt2_session *s,
                 struct err *e) {
    if (j->args->load_state) return state_file_restore(f, s, e);
    if (j->args->save_state) state_file_begin(s);
    return OK;
}
