/* Broken safetensors files: every rule of the container, then every rule of the GPT-2 in it; and
 * broken config.json files. */
#include "bad.h"
#include "tiny_hf.h"

#define A8 "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}" /* an entry of 8 bytes */

/* Headers of files with n bytes of data. */
static const struct {
    const char *name, *expect, *header;
    size_t n;
} bad_headers[] = {
    {"no-object.safetensors", "starts with byte 0x5b, expected '{'", "[]", 0},
    {"space-first.safetensors", "starts with byte 0x20", " {\"a\":" A8 "}", 8},
    {"empty-header.safetensors", "the header is empty", "", 8},
    {"cut-json.safetensors", "expected ',' or '}'", "{\"a\":" A8, 8},
    {"trailing.safetensors", "something follows the end", "{\"a\":" A8 "} x", 8},
    {"second-object.safetensors", "byte 62: something follows the end", "{\"a\":" A8 "}{}", 8},
    {"not-utf8.safetensors", "byte 11: not valid UTF-8", "{\"a\xff\":" A8 "}", 8},
    {"lone-surrogate.safetensors", "not a valid escape", "{\"\\ud800\":" A8 "}", 8},
    {"deep.safetensors", "nested too deep", "{\"a\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}", 0},
    {"long-name.safetensors", "the name has 256 bytes, expected at most 255",
     "{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
     "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\":" A8 "}",
     8},
    {"two-names.safetensors", "two tensors are called a", "{\"a\":" A8 ",\"\\u0061\":" A8 "}", 8},
    {"two-dtypes.safetensors", "the key dtype stands twice",
     "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8},
    {"two-shapes.safetensors", "the key shape stands twice",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"shape\":[2],\"data_offsets\":[0,8]}}", 8},
    {"two-offsets.safetensors", "the key data_offsets stands twice",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"data_offsets\":[0,8]}}", 8},
    {"no-dtype.safetensors", "the key dtype is missing",
     "{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8},
    {"no-shape.safetensors", "the key shape is missing",
     "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8},
    {"no-offsets.safetensors", "the key data_offsets is missing",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8},
    {"more-keys.safetensors", "unknown key \"crc\"",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"crc\":0}}", 8},
    {"entry-type.safetensors", "expected an object", "{\"a\":7}", 0},
    {"dtype-unknown.safetensors", "unknown dtype \"F31\"",
     "{\"a\":{\"dtype\":\"F31\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8},
    {"dtype-type.safetensors", "byte 22: expected a string",
     "{\"a\":{\"dtype\":32,\"shape\":[2],\"data_offsets\":[0,8]}}", 8},
    {"shape-type.safetensors", "expected an array",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", 8},
    {"shape-sign.safetensors", "without sign, fraction or exponent",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8},
    {"shape-fraction.safetensors", "without sign, fraction or exponent",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", 8},
    {"shape-exponent.safetensors", "without sign, fraction or exponent",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2e0],\"data_offsets\":[0,8]}}", 8},
    {"shape-overflow.safetensors", "above 2^64 - 1",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[18446744073709551618],\"data_offsets\":[0,8]}}", 8},
    {"product-overflow.safetensors", "the size of its shape overflows",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,2],\"data_offsets\":[0,8]}}", 8},
    {"bytes-overflow.safetensors", "the size of its shape overflows",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387906],\"data_offsets\":[0,8]}}", 8},
    {"rank-9.safetensors", "more than 8 dimensions",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,1,1,1,1,1,1,1,1],\"data_offsets\":[0,8]}}", 8},
    {"one-offset.safetensors", "data_offsets has 1 numbers, expected 2",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8]}}", 8},
    {"three-offsets.safetensors", "data_offsets has 3 numbers, expected 2",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,8]}}", 8},
    {"offset-sign.safetensors", "without sign, fraction or exponent",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-0,8]}}", 8},
    {"offset-order.safetensors", "ends at 0, before its begin at 8",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8},
    {"offset-beyond.safetensors", "ends at 8, beyond the data of 7 bytes", "{\"a\":" A8 "}", 7},
    {"size-small.safetensors", "has 8 bytes, expected 12",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8},
    {"size-large.safetensors", "has 8 bytes, expected 4",
     "{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8},
    {"first-not-0.safetensors", "begins at 4, after a hole that starts at 0",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8},
    {"hole.safetensors", "tensor b: begins at 12, after a hole that starts at 8",
     "{\"a\":" A8 ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[12,16]}}", 16},
    {"overlap.safetensors", "tensor b: begins at 4, inside the one before, which ends at 8",
     "{\"a\":" A8 ",\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12},
    {"same-place.safetensors", "begins at 0, inside the one before", "{\"a\":" A8 ",\"b\":" A8 "}",
     8},
    {"data-after.safetensors", "the tensors end at 8, but the data has 9 bytes", "{\"a\":" A8 "}",
     9},
    {"no-tensors.safetensors", "tensor wte.weight is missing", "{}", 0},
    {"metadata-number.safetensors", "__metadata__ holds something other than a string",
     "{\"__metadata__\":{\"a\":1},\"a\":" A8 "}", 8},
    {"metadata-list.safetensors", "__metadata__ is not an object",
     "{\"__metadata__\":[],\"a\":" A8 "}", 8},
    {"metadata-twice.safetensors", "__metadata__ stands twice",
     "{\"__metadata__\":{},\"__metadata__\":{},\"a\":" A8 "}", 8},
};

/* Changes of the tiny model. */
#define HF_EDIT(name) static void hf_##name(struct st_maker *m)
HF_EDIT(no_wte) { strcpy(st_get(m, "wte.weight")->name, "wtf.weight"); }
HF_EDIT(no_wpe) { strcpy(st_get(m, "wpe.weight")->name, "wpf.weight"); }
static void drop_from(struct st_maker *m, size_t n) {
    while (m->n > n) bytes_free(&m->t[--m->n].data);
}
HF_EDIT(no_ln_f) { drop_from(m, m->n - 1); }
HF_EDIT(half_prefix) { strcpy(st_get(m, "wte.weight")->name, "transformer.wte.weight"); }
HF_EDIT(no_bias) { strcpy(st_get(m, "h.1.mlp.c_proj.bias")->name, "h.1.mlp.c_proj.scale"); }
HF_EDIT(turned) {
    st_get(m, "h.0.mlp.c_fc.weight")->shape[0] = 12;
    st_get(m, "h.0.mlp.c_fc.weight")->shape[1] = 8;
}
HF_EDIT(bias_rank) {
    st_get(m, "h.0.attn.c_attn.bias")->rank = 2;
    st_get(m, "h.0.attn.c_attn.bias")->shape[1] = 1;
}
HF_EDIT(wte_rank) { st_get(m, "wte.weight")->rank = 1, st_get(m, "wte.weight")->shape[0] = 40; }
HF_EDIT(integers) { st_get(m, "h.1.ln_2.bias")->dtype = "I32"; }
HF_EDIT(third_layer) { st_add(m, "h.2.ln_1.weight", "F32", 8, 0); }
HF_EDIT(third_mask) { st_add(m, "h.2.attn.bias", "F32", 3, 3); }
HF_EDIT(cross) { st_add(m, "h.0.crossattention.c_attn.weight", "F32", 8, 16); }
HF_EDIT(critic) { st_add(m, "critic.weight", "F32", 2, 8); }
HF_EDIT(lora) {
    st_add(m, "base_model.model.transformer.h.0.attn.c_attn.lora_A.default.weight", "F32", 2, 8);
}
HF_EDIT(base_layer) {
    strcpy(st_get(m, "h.0.attn.c_attn.weight")->name, "h.0.attn.c_attn.base_layer.weight");
}
HF_EDIT(other_names) {
    strcpy(st_get(m, "wte.weight")->name, "decoder.wte.weight");
    strcpy(st_get(m, "wpe.weight")->name, "decoder.wpe.weight");
}
HF_EDIT(two_models) { st_add(m, "module.transformer.wte.weight", "F32", 5, 8); }
HF_EDIT(two_heads) {
    st_add(m, "lm_head.weight", "F32", 5, 8), st_add(m, "model.lm_head.weight", "F32", 5, 8);
}
HF_EDIT(other_prefix) { strcpy(st_get(m, "h.1.ln_2.bias")->name, "model.h.1.ln_2.bias"); }
HF_EDIT(head_only_shape) {
    strcpy(st_get(m, "wte.weight")->name, "lm_head.weight");
    st_get(m, "lm_head.weight")->shape[0] = 8, st_get(m, "lm_head.weight")->shape[1] = 5;
}
HF_EDIT(zero_byte) { strcpy(st_get(m, "wte.weight")->name, "wte.weight\\u0000"); }
HF_EDIT(head_bias) { st_add(m, "lm_head.bias", "F32", 5, 0); }
HF_EDIT(head_shape) { st_add(m, "lm_head.weight", "F32", 4, 8); }
HF_EDIT(head_type) { st_add(m, "lm_head.weight", "F32", 5, 8)->dtype = "U32"; }
HF_EDIT(few) { drop_from(m, 4); }

static const struct {
    const char *name, *expect;
    void (*edit)(struct st_maker *m);
} bad_models[] = {
    {"no-wte.safetensors", "tensor wte.weight is missing", hf_no_wte},
    {"no-wpe.safetensors", "tensor wpe.weight is missing", hf_no_wpe},
    {"no-ln-f.safetensors", "tensor ln_f.bias is missing", hf_no_ln_f},
    {"half-prefix.safetensors", "tensor transformer.wpe.weight is missing", hf_half_prefix},
    {"no-bias.safetensors", "tensor h.1.mlp.c_proj.bias is missing", hf_no_bias},
    {"turned.safetensors", "tensor h.0.mlp.c_fc.weight: shape [12,8], expected [8,12]", hf_turned},
    {"bias-rank.safetensors", "tensor h.0.attn.c_attn.bias: shape [24,1], expected [24]",
     hf_bias_rank},
    {"wte-rank.safetensors", "tensor wte.weight: shape [40], expected [5,8]", hf_wte_rank},
    {"integers.safetensors", "tensor h.1.ln_2.bias: type I32, expected F32, F16 or BF16",
     hf_integers},
    {"third-layer.safetensors", "tensor h.2.ln_1.weight is not part of GPT-2 with 2 layers",
     hf_third_layer},
    {"third-mask.safetensors", "tensor h.2.attn.bias is not part of GPT-2", hf_third_mask},
    {"cross.safetensors", "tensor h.0.crossattention.c_attn.weight is not part of GPT-2", hf_cross},
    {"critic.safetensors", "tensor critic.weight is not part of GPT-2", hf_critic},
    {"lora.safetensors",
     "merge_and_unload): base_model.model.transformer.h.0.attn.c_attn.lora_A.default.weight",
     hf_lora},
    {"base-layer.safetensors", "tensor h.0.attn.c_attn.weight is missing", hf_base_layer},
    {"other-names.safetensors",
     "tensor wte.weight is missing, also behind transformer. or model.; found: ln_f.bias, "
     "ln_f.weight, ",
     hf_other_names},
    {"two-models.safetensors",
     "tensors module.transformer.wte.weight and wte.weight: expected one model in a file",
     hf_two_models},
    {"two-heads.safetensors", "tensors model.lm_head.weight and lm_head.weight: expected one model",
     hf_two_heads},
    {"other-prefix.safetensors", "tensor h.1.ln_2.bias is missing", hf_other_prefix},
    {"head-only-shape.safetensors", "tensor lm_head.weight: shape [8,5], expected [5,8]",
     hf_head_only_shape},
    {"zero-byte.safetensors", "tensor wte.weight is missing", hf_zero_byte},
    {"head-bias.safetensors", "tensor lm_head.bias is not part of GPT-2", hf_head_bias},
    {"head-shape.safetensors", "tensor lm_head.weight: shape [4,8], expected [5,8]", hf_head_shape},
    {"head-type.safetensors", "tensor lm_head.weight: type U32", hf_head_type},
    {"few.safetensors", "has 4 tensors, too few for 2 layers", hf_few},
    {"x-00001-of-00002.safetensors", "split into several files", hf_no_bias},
};

static void bad_give(bad_fn fn, void *ctx, const char *name, const char *expect, struct bytes b) {
    fn(&(struct bad_file){name, expect, b.data, b.size}, ctx);
    bytes_free(&b);
}

/* The lengths in front of the header, and the number of entries. */
static void bad_st_sizes(bad_fn fn, void *ctx) {
    struct bytes b = {0}, many = {0};
    put_zeros(&b, 7);
    bad_give(fn, ctx, "7-bytes.safetensors", "is 7 bytes long, expected 8 or more", b);
    b = (struct bytes){0};
    put_u64(&b, 100000001);
    put_text(&b, "{}");
    bad_give(fn, ctx, "long-header.safetensors",
             "the header's length is 100000001, expected at most 100000000", b);
    b = (struct bytes){0};
    put_u64(&b, UINT64_MAX);
    put_text(&b, "{}");
    bad_give(fn, ctx, "endless-header.safetensors", "the header's length is 18446744073709551615",
             b);
    b = (struct bytes){0};
    put_u64(&b, 3);
    put_text(&b, "{}");
    bad_give(fn, ctx, "short-header.safetensors", "the header is 3 bytes long, but only 2 follow",
             b);
    for (int i = 0; i < 65537; i++) {
        char text[96];
        snprintf(text, sizeof text,
                 "%s\"%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}", i ? "," : "{",
                 i);
        put_text(&many, text);
    }
    put_text(&many, "}");
    put_u8(&many, 0);
    bad_give(fn, ctx, "65537-tensors.safetensors", "more than 65536 tensors",
             st_file((const char *)many.data, "", 0));
    bytes_free(&many);
}

void bad_safetensors(bad_fn fn, void *ctx);
void bad_configs(bad_fn fn, void *ctx);

/* To be opened with TINY_CONFIG beside them. */
void bad_safetensors(bad_fn fn, void *ctx) {
    static const uint8_t zeros[64];
    bad_st_sizes(fn, ctx);
    for (size_t i = 0; i < sizeof bad_headers / sizeof *bad_headers; i++)
        bad_give(fn, ctx, bad_headers[i].name, bad_headers[i].expect,
                 st_file(bad_headers[i].header, zeros, bad_headers[i].n));
    for (size_t i = 0; i < sizeof bad_models / sizeof *bad_models; i++) {
        static struct st_maker m;
        tiny_hf(&m, TINY, "", "F32");
        bad_models[i].edit(&m);
        bad_give(fn, ctx, bad_models[i].name, bad_models[i].expect, st_bytes(&m));
        st_free(&m);
    }
}

#define CONFIG(rest)                                                                            \
    "{\"n_layer\":2,\"n_head\":2,\"n_embd\":8,\"n_inner\":12,\"n_positions\":3,\"vocab_size\":" \
    "5," rest "}"

/* config.json files, to stand beside the tiny model as it is; the name is that of the test only. */
void bad_configs(bad_fn fn, void *ctx) {
    static const struct {
        const char *name, *expect, *text;
    } bad[] = {
        {"array", "byte 0: expected an object", "[]"},
        {"empty", "byte 0: expected an object", ""},
        {"cut", "expected ',' or '}'", "{\"n_layer\":2"},
        {"trailing", "something follows the end", "{} {}"},
        {"other-model", "model_type is \"llama\", expected \"gpt2\"",
         CONFIG("\"model_type\":\"llama\"")},
        {"mish",
         "activation_function is \"mish\", expected \"gelu_new\", \"gelu\", \"relu\" or \"silu\"",
         CONFIG("\"activation_function\":\"mish\"")},
        {"long-activation", "activation_function is \"(a long name)\"",
         CONFIG("\"activation_function\":\"gelu_new_gelu_new_gelu_new_gelu_new\"")},
        {"by-layer", "\"scale_attn_by_inverse_layer_idx\", byte 113: expected true or false",
         CONFIG("\"scale_attn_by_inverse_layer_idx\":1")},
        {"cross", "add_cross_attention is true", CONFIG("\"add_cross_attention\":true")},
        {"eps-0", "layer_norm_epsilon is 0", CONFIG("\"layer_norm_epsilon\":0")},
        {"eps-negative", "layer_norm_epsilon is -1e-05", CONFIG("\"layer_norm_epsilon\":-1e-5")},
        {"eps-text", "expected a number", CONFIG("\"layer_norm_epsilon\":\"1e-5\"")},
        {"layers-sign", "\"n_layer\", byte 11: expected a whole number, 0 or more",
         "{\"n_layer\":-2}"},
        {"layers-fraction", "\"n_layer\", byte 11: expected a whole number, 0 or more",
         "{\"n_layer\":2.5}"},
        {"layers-nan", "\"n_layer\", byte 11: expected a number", "{\"n_layer\":NaN}"},
        {"layers-text", "\"num_hidden_layers\", byte 21: expected a number",
         "{\"num_hidden_layers\":\"2\"}"},
        {"layers-overflow", "above 2^53", "{\"n_layer\":18446744073709551616}"},
        {"layers-names",
         "n_layer is 2, but num_hidden_layers, another name of the same number, is 3",
         CONFIG("\"num_hidden_layers\":3")},
        {"heads-names",
         "n_head is 2, but num_attention_heads, another name of the same number, is 1",
         CONFIG("\"num_attention_heads\":1")},
        {"width-names", "n_embd is 8, but hidden_size, another name of the same number, is 4",
         CONFIG("\"hidden_size\":4")},
        {"inner-names",
         "n_inner is 12, but intermediate_size, another name of the same number, is 32",
         CONFIG("\"intermediate_size\":32")},
        {"context-names",
         "n_positions is 3, but max_position_embeddings, another name of the same number, is 4",
         CONFIG("\"max_position_embeddings\":4")},
        {"vocab-names", "vocab_size is 5, but n_vocab, another name of the same number, is 6",
         CONFIG("\"n_vocab\":6")},
        {"other-eps",
         "layer_norm_eps is 1e-06, but layer_norm_epsilon, which GPT-2 reads, is 1e-05 as it is "
         "not there",
         CONFIG("\"layer_norm_eps\":1e-6")},
        {"two-eps", "layer_norm_eps is 1e-05, but layer_norm_epsilon, which GPT-2 reads, is 0.001",
         CONFIG("\"layer_norm_epsilon\":1e-3,\"layer_norm_eps\":1e-5")},
        {"other-act",
         "hidden_act is \"gelu\", but activation_function, which GPT-2 reads, is \"gelu_new\" as "
         "it is not there",
         CONFIG("\"hidden_act\":\"gelu\"")},
        {"two-acts",
         "hidden_act is \"gelu_new\", but activation_function, which GPT-2 reads, is \"gelu\"",
         CONFIG("\"activation_function\":\"gelu\",\"hidden_act\":\"gelu_new\"")},
        {"layers-0", "the number of layers is 0", "{\"n_layer\":0,\"n_head\":2}"},
        {"layers-many", "the number of layers is 2000000", "{\"n_layer\":2000000,\"n_head\":2}"},
        {"layers-absent", "has 28 tensors, too few for 1000000 layers",
         "{\"n_layer\":1000000,\"n_head\":2,\"n_inner\":12}"},
        {"layers-3", "tensor h.2.ln_1.weight is missing",
         "{\"n_layer\":3,\"n_head\":2,\"n_inner\":12}"},
        {"layers-1", "tensor h.1.mlp.c_proj.bias is not part of GPT-2 with 1 layers",
         "{\"n_layer\":1,\"n_head\":2,\"n_inner\":12}"},
        {"heads-0", "the number of heads is 0", "{\"n_head\":0,\"n_inner\":12}"},
        {"heads-3", "expected a multiple of the 3 heads", "{\"n_head\":3,\"n_inner\":12}"},
        {"no-heads",
         "does not give the number of heads, which the tensors do not tell: expected n_head or "
         "num_attention_heads",
         "{}"},
        {"null-heads", "does not give the number of heads",
         "{\"n_head\":null,\"num_attention_heads\":null,\"hidden_size\":8}"},
        {"heads-in-words", "does not give the number of heads",
         "{\"n_layer\":2,\"n_embd\":8,\"x\":{\"n_head\":2}}"},
        {"heads-2-to-32", "the number of heads is", "{\"n_head\":4294967298,\"n_inner\":12}"},
        {"width", "tensor wte.weight: shape [5,8], expected [5,16]",
         "{\"n_head\":2,\"n_embd\":16,\"n_inner\":12}"},
        {"inner-null", "tensor h.0.mlp.c_fc.weight: shape [8,12], expected [8,32]",
         "{\"n_head\":2,\"n_inner\":null}"},
        {"context", "tensor wpe.weight: shape [3,8], expected [4,8]",
         "{\"n_head\":2,\"n_inner\":12,\"n_ctx\":4}"},
        {"vocab", "tensor wte.weight: shape [5,8], expected [6,8]",
         "{\"n_head\":2,\"n_inner\":12,\"vocab_size\":6}"},
        {"huge-width", "the width is", "{\"n_head\":2,\"n_embd\":18446744073709551612}"},
        {"untied", "tensor lm_head.weight (tie_word_embeddings is false) is missing",
         CONFIG("\"tie_word_embeddings\":false")},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        fn(&(struct bad_file){bad[i].name, bad[i].expect, (const uint8_t *)bad[i].text,
                              strlen(bad[i].text)},
           ctx);
}
