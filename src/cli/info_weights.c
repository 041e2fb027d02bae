/* lookat info --check-weights: looks at every weight and prints the tensors that are not finite. */
#include "cli/info_weights.h"

#include <stdio.h>

#include "checkpoint/tensors.h"
#include "report/text.h"

/* A tensor that holds numbers that are not finite. */
struct bad_tensor {
    struct gpt2_tensor t;
    struct tensor_range r;
    struct bad_tensor *next;
};

static void add_bad(void *ctx, const struct gpt2_tensor *t, const struct tensor_range *r) {
    struct weights_check *w = ctx;
    struct bad_tensor *b = arena_alloc(w->arena, 1, sizeof *b);
    if (!b) {
        w->no_memory = true;
        return;
    }
    *b = (struct bad_tensor){*t, *r, NULL};
    *w->end = b;
    w->end = &b->next;
}

int weights_check(struct weights_check *w, const struct checkpoint *c, struct arena *arena,
                  struct err *e) {
    *w = (struct weights_check){.model = c, .arena = arena};
    w->end = &w->first;
    int rc = gpt2_check_finite(&c->weights, add_bad, w, &w->bad, e);
    return !rc && w->no_memory ? err_set(e, ERR_FAILED, "no memory for the list of tensors") : rc;
}

void weights_check_text(const struct weights_check *w) {
    const struct text_number all = text_count(gpt2_parameters(&w->model->weights));
    char said[TENSOR_SAID];
    if (!w->bad) {
        printf("\nAll %s weights are finite.\n", all.s);
        return;
    }
    printf("\n%s of %s weights are not finite:\n", text_count(w->bad).s, all.s);
    for (const struct bad_tensor *b = w->first; b; b = b->next) {
        tensor_say_bad(&b->t, &b->r, said);
        puts(said);
    }
}

void weights_check_json(const struct weights_check *w, struct json_out *j) {
    char said[TENSOR_SAID];
    json_put_object(j, "not_finite");
    json_put_uint(j, "count", w->bad);
    json_put_array(j, "tensors");
    for (const struct bad_tensor *b = w->first; b; b = b->next) {
        tensor_say_bad(&b->t, &b->r, said);
        json_put_object(j, NULL);
        json_put_cstr(j, "tensor", b->t.shown);
        json_put_uint(j, "count", b->r.bad);
        json_put_cstr(j, "text", said);
        json_put_close(j);
    }
    json_put_close(j);
    json_put_close(j);
}

int weights_check_result(const struct weights_check *w, struct err *e) {
    if (!w->bad) return OK;
    return err_file(e, ERR_FAILED, w->model->path, "%s %s not finite", text_count(w->bad).s,
                    w->bad == 1 ? "weight is" : "weights are");
}
