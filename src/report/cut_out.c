#include "report/cut_out.h"

#include "kernels/dtype.h"
#include "report/text.h"

static uint64_t sum(const uint64_t *cut, size_t n_layer) {
    uint64_t all = 0;
    for (size_t l = 0; l < n_layer; l++) all += cut[l];
    return all;
}

uint64_t *cut_take(const struct attn *a, struct arena *arena) {
    uint64_t *cut = arena_alloc(arena, a->shape.n_layer, sizeof *cut);
    for (size_t l = 0; cut && l < a->shape.n_layer; l++) cut[l] = attn_take_cut(a, l);
    return cut;
}

void cut_warn(FILE *fp, const char *attn, const uint64_t *cut, size_t n_layer) {
    uint64_t all = sum(cut, n_layer);
    const char *lead = "";
    if (!all) return;
    fprintf(fp,
            "lookat: warning: attention %s: %s row%s of keys or values (of a head and token) do "
            "not fit f16, whose largest number is %d, "
            "and were cut short to it; layers ",
            attn, text_count(all).s, all == 1 ? "" : "s", F16_MOST);
    for (size_t first = 0, next; first < n_layer; first = next) {
        for (next = first + 1; next < n_layer && (cut[next] > 0) == (cut[first] > 0); next++) {}
        if (!cut[first]) continue;
        fprintf(fp, next == first + 1 ? "%s%zu" : "%s%zu-%zu", lead, first, next - 1);
        lead = ", ";
    }
    fputs("; --attn fp32 holds them\n", fp);
}

void json_put_cut(struct json_out *j, const uint64_t *cut, size_t n_layer) {
    json_put_uint(j, "rows_cut_short", sum(cut, n_layer));
    json_put_array(j, "layers_cut_short");
    for (size_t l = 0; l < n_layer; l++)
        if (cut[l]) json_put_uint(j, NULL, l);
    json_put_close(j);
}
