/* Tells how the tensors of one Hugging Face file are named, and refuses files that are adapters. */
#include "checkpoint/hf_names.h"

#include <stdio.h>
#include <string.h>

/* torch.compile, DataParallel and FSDP, models that hold another as .model, PEFT
 * (base_model.model.), and the model inside its class with a head. */
static const char *const PREFIXES[] = {"_orig_mod.",  "module.", "_fsdp_wrapped_module.", "model.",
                                       "base_model.", "gpt2.",   "transformer."};

/* Of transformers' classes for GPT-2 (score, classifier, qa_outputs, multiple_choice_head) and of
 * reward and policy models. */
static const char *const OTHER_HEADS[] = {
    "score.",  "classifier.", "qa_outputs.",  "multiple_choice_head.",
    "v_head.", "value_head.", "reward_head.", "ilql_heads."};

/* Parts of names that PEFT gives to what it adds. */
static const char *const ADAPTERS[] = {
    "lora_", "ia3_", "hada_w", "lokr_", "oft_", "prompt_embeddings", "prompt_encoder", "adapter"};

/* The length of the first of n strings that s begins with, or 0. */
static size_t begins(const char *s, const char *const *with, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strncmp(s, with[i], strlen(with[i])) == 0) return strlen(with[i]);
    return 0;
}

/* The part of a name behind any chain of prefixes: "h.0.ln_1.bias" of
 * "_orig_mod.transformer.h.0.ln_1.bias". */
static const char *core_name(const char *name) {
    for (size_t n; (n = begins(name, PREFIXES, sizeof PREFIXES / sizeof *PREFIXES)) > 0;) name += n;
    return name;
}

bool hf_is_other_head(const struct named_tensor *t) {
    return begins(core_name(t->name), OTHER_HEADS, sizeof OTHER_HEADS / sizeof *OTHER_HEADS) > 0;
}

static bool is_adapter(const struct named_tensor *t) {
    for (size_t i = 0; i < sizeof ADAPTERS / sizeof *ADAPTERS; i++)
        if (strstr(t->name, ADAPTERS[i])) return true;
    return false;
}

static bool is_any(const struct named_tensor *t) {
    (void)t;
    return true;
}

size_t hf_list_names(const struct named_set *set, bool (*take)(const struct named_tensor *t),
                     char out[HF_LISTED]) {
    enum { SHOWN = 3, ROOM = HF_LISTED - 6 };
    size_t n = 0, at = 0;
    out[0] = 0;
    for (size_t i = 0; i < set->n; i++) {
        if (!take(named_at(set, i))) continue;
        if (n++ < SHOWN && at < ROOM)
            at += (size_t)snprintf(out + at, ROOM - at, "%s%s", n > 1 ? ", " : "",
                                   named_at(set, i)->name);
    }
    if (n > SHOWN || at >= ROOM) strcat(out, ", ...");
    return n;
}

int hf_missing(const struct named_set *set, const char *name, struct err *e) {
    const char *path = set->path;
    return err_file(e, ERR_REFUSED, path, "tensor %s is missing%s", name,
                    strstr(path_base(path), "-of-")
                        ? ": this is one part of a model that is split into several files"
                        : "");
}

/* The one tensor of this name behind any prefixes, or NULL. */
static int find_core(const struct named_set *set, const char *core, const struct named_tensor **out,
                     struct err *e) {
    *out = NULL;
    for (size_t i = 0; i < set->n; i++) {
        const struct named_tensor *t = named_at(set, i);
        if (strcmp(core_name(t->name), core) != 0 || strlen(t->name) != t->name_len) continue;
        if (*out)
            return err_file(e, ERR_REFUSED, set->path,
                            "tensors %s and %s: expected one model in a file", (*out)->name,
                            t->name);
        *out = t;
    }
    return OK;
}

/* No wte.weight: says what the file holds in its place. */
static int no_embedding(const struct named_set *set, struct err *e) {
    char found[HF_LISTED];
    if (strstr(path_base(set->path), "-of-")) return hf_missing(set, "wte.weight", e);
    return err_file(e, ERR_REFUSED, set->path,
                    "tensor wte.weight is missing, also behind transformer. or model.; found: %s",
                    hf_list_names(set, is_any, found) ? found : "no tensors");
}

static int refuse_adapter(const struct named_set *set, struct err *e) {
    char found[HF_LISTED];
    hf_list_names(set, is_adapter, found);
    return err_file(e, ERR_REFUSED, set->path,
                    "an adapter is not merged into the weights, merge it first (LoRA: PEFT's "
                    "merge_and_unload): %s",
                    found);
}

int hf_find_names(struct hf_names *n, const struct named_set *set, bool untied, struct err *e) {
    const struct named_tensor *wpe, *first;
    *n = (struct hf_names){.wte = NULL};
    for (size_t i = 0; i < set->n; i++)
        if (is_adapter(named_at(set, i))) return refuse_adapter(set, e);
    int rc = find_core(set, "wte.weight", &n->wte, e);
    if (!rc) rc = find_core(set, "wpe.weight", &wpe, e);
    if (!rc) rc = find_core(set, "lm_head.weight", &n->head, e);
    if (rc) return rc;
    if (!n->wte && n->head && untied)
        return hf_missing(set, "wte.weight (tie_word_embeddings is false)", e);
    first = n->wte ? n->wte : wpe;
    if (!n->wte) n->wte = n->head; /* safetensors keeps the first name of what is tied */
    if (!n->wte) return no_embedding(set, e);
    if (first) memcpy(n->prefix, first->name, (size_t)(core_name(first->name) - first->name));
    return OK;
}
