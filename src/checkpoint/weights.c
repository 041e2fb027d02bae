#include "checkpoint/weights.h"

#include <math.h>

uint64_t gpt2_parameters(const struct gpt2_weights *w) {
    const struct gpt2_config *s = &w->config;
    uint64_t C = s->n_embd, F = s->n_inner, V = s->n_vocab;
    uint64_t attention = 3 * C * C + 3 * C + C * C + C, mlp = F * C + F + C * F + C, norms = 4 * C;
    return V * C + s->n_ctx * C + s->n_layer * (attention + mlp + norms) + 2 * C + (w->tied ? 0 : V * C);
}

int gpt2_config_check(const struct gpt2_config *c, const char *path, struct err *e) {
    const size_t many = (size_t)1 << 24, some = (size_t)1 << 20;
    const struct {
        const char *name;
        size_t value, limit;
    } sizes[] = {{"number of layers", c->n_layer, some}, {"number of heads", c->n_head, many}, {"width", c->n_embd, many},
                 {"MLP width", c->n_inner, many},        {"context length", c->n_ctx, some},   {"vocabulary size", c->n_vocab, many}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i].value < 1 || sizes[i].value > sizes[i].limit)
            return err_file(e, ERR_REFUSED, path, "the %s is %zu, expected 1 to %zu", sizes[i].name, sizes[i].value, sizes[i].limit);
    if (c->n_embd % c->n_head)
        return err_file(e, ERR_REFUSED, path, "the width is %zu, expected a multiple of the %zu heads", c->n_embd, c->n_head);
    if (c->n_embd / c->n_head % 4)
        return err_file(e, ERR_REFUSED, path, "the head dimension is %zu, expected a multiple of 4", c->n_embd / c->n_head);
    if (!isfinite(c->norm_eps) || !(c->norm_eps > 0))
        return err_file(e, ERR_REFUSED, path, "the LayerNorm epsilon is %g, expected a small positive number", (double)c->norm_eps);
    return OK;
}
