/* The registry of codecs, and the choice that a --attn spec makes from it. */
#include <stdio.h>
#include <string.h>

#include "attention/codecs.h"

static const struct kv_codec *const registry[] = {
    &codec_fp32,
    &codec_fp16,
};

const struct kv_codec *kv_codec_at(size_t index) { return index < sizeof registry / sizeof *registry ? registry[index] : NULL; }

static const struct kv_codec *find(const char *name, size_t n) {
    for (size_t i = 0; kv_codec_at(i); i++)
        if (strlen(registry[i]->name) == n && memcmp(registry[i]->name, name, n) == 0) return registry[i];
    return NULL;
}

static int unknown(const char *spec, const char *name, size_t n, const char *role, struct err *e) {
    char known[128] = "";
    for (size_t i = 0, at = 0; kv_codec_at(i); i++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "", registry[i]->name);
    return err_set(e, ERR_USAGE, "--attn %.60s: '%.*s' is not a codec for %s; known: %s", spec, (int)(n < 30 ? n : 30), name, role, known);
}

int attn_init(struct attn *a, const struct attn_shape *shape, const char *spec, const struct kernels *k, struct err *e) {
    const char *slash = strchr(spec, '/');
    size_t nk = slash ? (size_t)(slash - spec) : strlen(spec);
    const char *values = slash ? slash + 1 : spec;
    size_t nv = slash ? strlen(values) : nk;
    *a = (struct attn){.k = k, .shape = *shape, .key = find(spec, nk), .value = find(values, nv)};
    if (!a->key || !a->key->score) return unknown(spec, spec, nk, "keys", e);
    if (!a->value || !a->value->mix) return unknown(spec, values, nv, "values", e);
    snprintf(a->name, sizeof a->name, "%s/%s", a->key->name, a->value->name);
    return OK;
}
