/* lookat info --check-weights: are all weights of a model finite, and where are they not? */
#ifndef LOOKAT_CLI_INFO_WEIGHTS_H
#define LOOKAT_CLI_INFO_WEIGHTS_H

#include "base/arena.h"
#include "checkpoint/checkpoint.h"
#include "report/json_out.h"

struct bad_tensor;

struct weights_check {
    const struct checkpoint *model;
    struct arena *arena;
    struct bad_tensor *first,
        **end;    /* tensors with numbers that are not finite, in the model's order */
    uint64_t bad; /* such numbers in all */
    bool no_memory;
};

/* Looks at every number. The list lies in the arena. ERR_FAILED without memory, ERR_INTERRUPTED
 * after Ctrl-C. */
int weights_check(struct weights_check *w, const struct checkpoint *c, struct arena *arena,
                  struct err *e);

/* Prints a line for each tensor on standard output, or one that says that all is well. */
void weights_check_text(const struct weights_check *w);

/* Writes the member "not_finite": {"count": N, "tensors": [{"tensor": NAME, "count": N, "text": the
 * line}]} */
void weights_check_json(const struct weights_check *w, struct json_out *j);

/* Returns ERR_FAILED where a weight is not finite, else OK. */
int weights_check_result(const struct weights_check *w, struct err *e);

#endif
