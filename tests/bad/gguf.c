/* Every rule of a GGUF file that a file can break, one broken file each, made from the tiny
 * model. */
#include <math.h>

#include "bad.h"
#include "tiny_gguf.h"

#define STRS(t, key, ...)                                                     \
    tiny_strs(t, key, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), \
              (const char *const[]){__VA_ARGS__})
#define EDIT(name) static void name(struct tiny *t)
#define LAST(t) ((t)->tensors[(t)->n_tensors - 1])

/* ---- the container ---- */

EDIT(magic) { memcpy(t->magic, "GGUG", 4); }
EDIT(version_1) { t->version = 1; }
EDIT(version_4) { t->version = 4; }
EDIT(big_endian) { t->version = 0x03000000; }
EDIT(many_tensors) { t->more_tensors = UINT64_MAX - TINY_TENSORS; }
EDIT(many_keys) { t->more_kv = UINT64_MAX - t->n_kv; }
EDIT(some_more_keys) { t->more_kv = 100; }
EDIT(key_length) { t->kv[0].key_len = UINT64_MAX; }
EDIT(key_empty) { tiny_u32(t, "", 1); }
EDIT(key_long) {
    static char key[70001];
    memset(key, 'k', 70000);
    tiny_u32(t, key, 1);
}
EDIT(value_type) { tiny_kv(t, "general.x", 13); }
EDIT(item_type) { tiny_array(t, "general.x", 99, 0); }
EDIT(nested) { tiny_array(t, "general.x", T_ARR, 0); }
EDIT(array_count) { tiny_array(t, "general.x", T_U32, (uint64_t)1 << 62); }
EDIT(array_count_strings) { tiny_array(t, "general.x", T_STR, UINT64_MAX); }
EDIT(string_length) { put_u64(tiny_kv(t, "general.x", T_STR), UINT64_MAX - 7); }
EDIT(item_length) { put_u64(tiny_array(t, "general.x", T_STR, 1), (uint64_t)1 << 40); }
EDIT(key_twice) {
    put_u32(tiny_kv(t, "general.x", T_U32), 1);
    put_u32(tiny_kv(t, "general.y", T_U32), 1);
    t->kv[t->n_kv - 1].key = "general.x";
}
EDIT(bool_2) { put_u8(tiny_kv(t, "general.x", T_BOOL), 2); }
EDIT(alignment_0) { tiny_u32(t, "general.alignment", 0); }
EDIT(alignment_33) { tiny_u32(t, "general.alignment", 33); }
EDIT(alignment_large) { tiny_u32(t, "general.alignment", 131072); }
EDIT(alignment_type) { put_u64(tiny_kv(t, "general.alignment", T_U64), 32); }

EDIT(name_length) { t->tensors[0].name_len = UINT64_MAX; }
EDIT(name_empty) { tiny_tensor(t, "", 4, 0, G_F32); }
EDIT(name_64) {
    tiny_tensor(t, "0123456789012345678901234567890123456789012345678901234567890123", 4, 0, G_F32);
}
EDIT(dims_0) { LAST(t).n_dims = 0; }
EDIT(dims_5) { LAST(t).n_dims = 5; }
EDIT(dim_0) { LAST(t).dims[0] = 0; }
EDIT(dims_overflow) {
    LAST(t).n_dims = 3;
    LAST(t).dims[0] = LAST(t).dims[1] = LAST(t).dims[2] = (uint64_t)1 << 32;
}
EDIT(bytes_overflow) { LAST(t).dims[0] = (uint64_t)1 << 62; }
EDIT(type_iq2_xs) { LAST(t).type = 17; }
EDIT(type_99) { LAST(t).type = 99; }
EDIT(type_huge) { LAST(t).type = UINT32_MAX; }
EDIT(block) { tiny_tensor(t, "blk.0.ffn_up.weight", 4, 32, G_Q8_0); }
EDIT(tensor_twice) {
    memcpy(t->tensors[3].name, "blk.0.attn_qkv.bias\0", 20), t->tensors[3].name_len = 19;
}
EDIT(offset_odd) { t->tensors[2].shift = 8; }
EDIT(offset_hole) { t->tensors[2].shift = 32; }
EDIT(offset_overlap) { t->tensors[2].shift = (uint64_t)-32; }
EDIT(offset_first) {
    for (size_t i = 0; i < t->n_tensors; i++) t->tensors[i].shift = 32;
}
EDIT(offset_huge) { LAST(t).shift = (uint64_t)1 << 63; }
EDIT(tensor_large) { LAST(t).dims[0] = (uint64_t)1 << 58; }
EDIT(tensor_past_end) { t->cut = 1; }
EDIT(no_data) { t->cut = 100 + TINY_TENSORS * 32; }
EDIT(tail) { put_zeros(&t->tail, 48); }

/* ---- the model ---- */

EDIT(arch_missing) { tiny_drop_kv(t, "general.architecture"); }
EDIT(arch_llama) { tiny_str(t, "general.architecture", "llama"); }
EDIT(arch_type) { tiny_u32(t, "general.architecture", 2); }
EDIT(no_context) { tiny_drop_kv(t, "gpt2.context_length"); }
EDIT(no_width) { tiny_drop_kv(t, "gpt2.embedding_length"); }
EDIT(no_inner) { tiny_drop_kv(t, "gpt2.feed_forward_length"); }
EDIT(no_layers) { tiny_drop_kv(t, "gpt2.block_count"); }
EDIT(no_heads) { tiny_drop_kv(t, "gpt2.attention.head_count"); }
EDIT(no_eps) { tiny_drop_kv(t, "gpt2.attention.layer_norm_epsilon"); }
EDIT(context_string) { tiny_str(t, "gpt2.context_length", "8"); }
EDIT(context_negative) { put_u32(tiny_kv(t, "gpt2.context_length", T_I32), (uint32_t)-8); }
EDIT(context_0) { tiny_u32(t, "gpt2.context_length", 0); }
EDIT(context_large) { put_u64(tiny_kv(t, "gpt2.context_length", T_U64), UINT64_MAX); }
EDIT(width_large) { tiny_u32(t, "gpt2.embedding_length", 1u << 25); }
EDIT(layers_0) { tiny_u32(t, "gpt2.block_count", 0); }
EDIT(layers_many) { tiny_u32(t, "gpt2.block_count", 1u << 20); }
EDIT(layers_2) { tiny_u32(t, "gpt2.block_count", 2); }
EDIT(heads_0) { tiny_u32(t, "gpt2.attention.head_count", 0); }
EDIT(heads_3) { tiny_u32(t, "gpt2.attention.head_count", 3); }

EDIT(eps_0) { tiny_f32(t, "gpt2.attention.layer_norm_epsilon", 0); }
EDIT(eps_negative) { tiny_f32(t, "gpt2.attention.layer_norm_epsilon", -1e-5f); }
EDIT(eps_nan) { tiny_f32(t, "gpt2.attention.layer_norm_epsilon", NAN); }
EDIT(eps_infinite) { tiny_f32(t, "gpt2.attention.layer_norm_epsilon", INFINITY); }
EDIT(eps_integer) { tiny_u32(t, "gpt2.attention.layer_norm_epsilon", 1); }
EDIT(activation) { tiny_str(t, "lookat.activation_function", "mish"); }
EDIT(activation_type) { tiny_u32(t, "lookat.activation_function", 1); }
EDIT(grouped_heads) { tiny_u32(t, "gpt2.attention.head_count_kv", 2); }
EDIT(key_dim) { tiny_u32(t, "gpt2.attention.key_length", 8); }
EDIT(value_dim) { tiny_u32(t, "gpt2.attention.value_length", 8); }
EDIT(bias_q8_0) { tiny_tensor(t, "blk.0.ffn_up.bias", 32, 0, G_Q8_0); }
EDIT(split_first) {
    put_u16(tiny_kv(t, "split.count", T_U16), 3);
    put_u16(tiny_kv(t, "split.no", T_U16), 0);
    put_u32(tiny_kv(t, "split.tensors.count", T_I32), 40);
    tiny_drop_tensor(t, 9);
}
EDIT(split_second) { /* only the keys of the split */
    while (t->n_kv) tiny_drop_kv(t, t->kv[0].key);
    put_u16(tiny_kv(t, "split.no", T_U16), 1);
    put_u32(tiny_kv(t, "split.count", T_U32), 2);
}
EDIT(split_string) { tiny_str(t, "split.count", "3"); }
EDIT(split_name) { tiny_drop_tensor(t, 9); }
EDIT(block_norm) { tiny_tensor(t, "blk.0.attn_q_norm.weight", 4, 0, G_F32); }
EDIT(block_7) { tiny_tensor(t, "blk.7.ffn_up.bias", 4, 0, G_F32); }
EDIT(head_bias) { tiny_tensor(t, "output.bias", 5, 0, G_F32); }
EDIT(head_shape) { tiny_tensor(t, "output.weight", 4, 6, G_F32); }

/* ---- the vocabulary ---- */

EDIT(tokenizer_llama) { tiny_str(t, "tokenizer.ggml.model", "llama"); }
EDIT(tokenizer_type) { tiny_u32(t, "tokenizer.ggml.model", 1); }
EDIT(pre_llama) { tiny_str(t, "tokenizer.ggml.pre", "llama-bpe"); }
EDIT(no_tokens) { tiny_drop_kv(t, "tokenizer.ggml.tokens"); }
EDIT(no_merges) { tiny_drop_kv(t, "tokenizer.ggml.merges"); }
EDIT(tokens_u32) { put_u32(tiny_array(t, "tokenizer.ggml.tokens", T_U32, 1), 1); }
EDIT(tokens_string) { tiny_str(t, "tokenizer.ggml.tokens", "a"); }
EDIT(tokens_none) {
    tiny_array(t, "tokenizer.ggml.tokens", T_STR, 0);
    tiny_drop_kv(t, "tokenizer.ggml.token_type");
}
EDIT(token_twice) { STRS(t, "tokenizer.ggml.tokens", "a", "b", "ab", "a", "e"); }
EDIT(token_space) { STRS(t, "tokenizer.ggml.tokens", "a", "b", "ab", " c", "e"); }
EDIT(token_utf8) { STRS(t, "tokenizer.ggml.tokens", "a", "b", "ab", "c\xc4", "e"); }
EDIT(types_few) {
    struct bytes *b = tiny_array(t, "tokenizer.ggml.token_type", T_I32, 4);
    for (int i = 0; i < 4; i++) put_u32(b, 1);
}
EDIT(types_u8) { put_zeros(tiny_array(t, "tokenizer.ggml.token_type", T_U8, 5), 5); }
static void set_type(struct tiny *t, uint32_t last) {
    struct bytes *b = tiny_array(t, "tokenizer.ggml.token_type", T_I32, 5);
    for (int i = 0; i < 5; i++) put_u32(b, i == 3 ? last : 1);
}
EDIT(type_byte) { set_type(t, 6); }
EDIT(type_0) { set_type(t, 0); }
EDIT(type_negative) { set_type(t, (uint32_t)-1); }
EDIT(add_bos_u32) { tiny_u32(t, "tokenizer.ggml.add_bos_token", 1); }
EDIT(use_regex_str) { tiny_str(t, "lookat.tokenizer.use_regex", "no"); }
EDIT(match_few) { put_u32(tiny_array(t, "lookat.tokenizer.token_match", T_I32, 1), 1); }
EDIT(match_bits) {
    struct bytes *b = tiny_array(t, "lookat.tokenizer.token_match", T_I32, 5);
    for (uint32_t i = 0; i < 5; i++) put_u32(b, i == 2 ? 64 : 1);
}
EDIT(rows_few) { tiny_tensor(t, "token_embd.weight", 4, 2, G_F32); }
EDIT(merges_u32) { put_u32(tiny_array(t, "tokenizer.ggml.merges", T_U32, 1), 1); }
EDIT(merge_word) { STRS(t, "tokenizer.ggml.merges", "ab"); }
EDIT(merge_empty) { STRS(t, "tokenizer.ggml.merges", ""); }
EDIT(merge_half) { STRS(t, "tokenizer.ggml.merges", "a b", "a "); }
EDIT(merge_unknown) { STRS(t, "tokenizer.ggml.merges", "a z"); }
EDIT(merge_result) { STRS(t, "tokenizer.ggml.merges", "b a"); }
EDIT(merge_three) { STRS(t, "tokenizer.ggml.merges", "a b b"); }
EDIT(eos_type) { tiny_str(t, "tokenizer.ggml.eos_token_id", "4"); }

static const struct {
    const char *name, *expect;
    void (*edit)(struct tiny *);
} edits[] = {
    {"magic", "not a GGUF file", magic},
    {"version-1", "GGUF version 1, expected 2 or 3", version_1},
    {"version-4", "GGUF version 4", version_4},
    {"big-endian", "big-endian", big_endian},
    {"many-tensors", "counts 18446744073709551615 tensors", many_tensors},
    {"many-keys", "counts 18446744073709551615 keys", many_keys},
    {"some-more-keys", "key", some_more_keys},
    {"key-length", "the name of a key at byte 24 has length 18446744073709551615", key_length},
    {"key-empty", "a name of 0 bytes", key_empty},
    {"key-long", "a name of 70000 bytes, expected 1 to 65535", key_long},
    {"value-type", "\"general.x\" has value type 13", value_type},
    {"item-type", "\"general.x\" has value type 99", item_type},
    {"nested", "\"general.x\" is an array of arrays", nested},
    {"array-count", "\"general.x\" counts 4611686018427387904 items of type u32", array_count},
    {"array-count-strings", "\"general.x\" counts 18446744073709551615 items of type string",
     array_count_strings},
    {"string-length", "a string value at byte", string_length},
    {"item-length", "a string in an array at byte", item_length},
    {"key-twice", "key \"general.x\" is there twice", key_twice},
    {"bool-2", "\"general.x\" is the bool 2", bool_2},
    {"alignment-0", "general.alignment is 0", alignment_0},
    {"alignment-33", "general.alignment is 33", alignment_33},
    {"alignment-large", "general.alignment is 131072", alignment_large},
    {"alignment-type", "general.alignment is u64, expected u32", alignment_type},
    {"name-length", "the name of a tensor at byte", name_length},
    {"name-empty", "tensor number 16 has a name of 0 bytes", name_empty},
    {"name-64", "tensor number 16 has a name of 64 bytes, expected 1 to 63", name_64},
    {"dims-0", "\"output_norm.bias\" has 0 dimensions", dims_0},
    {"dims-5", "\"output_norm.bias\" has 5 dimensions", dims_5},
    {"dim-0", "\"output_norm.bias\": dimension 0 is 0", dim_0},
    {"dims-overflow", "\"output_norm.bias\": the product of its dimensions overflows",
     dims_overflow},
    {"bytes-overflow", "\"output_norm.bias\": the product of its dimensions overflows",
     bytes_overflow},
    {"type-iq2_xs",
     "\"output_norm.bias\" is iq2_xs (type 17), which lookat cannot read; from the original "
     "model: lookat convert",
     type_iq2_xs},
    {"type-99", "is unknown (type 99), which lookat cannot read", type_99},
    {"type-huge", "is unknown (type 4294967295), which", type_huge},
    {"block", "\"blk.0.ffn_up.weight\" is q8_0 with rows of 4, expected a multiple of 32", block},
    {"tensor-twice", "tensor \"blk.0.attn_qkv.bias\" is there twice", tensor_twice},
    {"offset-odd", "is at offset 232, expected a multiple of 32", offset_odd},
    {"offset-hole", "is at offset 256, expected 224", offset_hole},
    {"offset-overlap", "is at offset 192, expected 224", offset_overlap},
    {"offset-first", "\"token_embd.weight\" is at offset 32, expected 0", offset_first},
    {"offset-huge", "\"output_norm.bias\" is at offset", offset_huge},
    {"tensor-large",
     "\"output_norm.bias\"" OF_64_OR_32(" has 1152921504606846976 bytes at offset",
                                        ": the product of its dimensions overflows"),
     tensor_large},
    {"tensor-past-end", "\"output_norm.bias\" ends at byte", tensor_past_end},
    {"no-data", "ends at byte", no_data},
    {"tail", "bytes follow the last tensor", tail},

    {"arch-missing", "\"general.architecture\" is missing", arch_missing},
    {"arch-llama", "the architecture is \"llama\", expected \"gpt2\"", arch_llama},
    {"arch-type", "\"general.architecture\" is u32, expected a string", arch_type},
    {"no-context", "\"gpt2.context_length\" is missing", no_context},
    {"no-width", "\"gpt2.embedding_length\" is missing", no_width},
    {"no-inner", "\"gpt2.feed_forward_length\" is missing", no_inner},
    {"no-layers", "\"gpt2.block_count\" is missing", no_layers},
    {"no-heads", "\"gpt2.attention.head_count\" is missing", no_heads},
    {"no-eps", "\"gpt2.attention.layer_norm_epsilon\" is missing", no_eps},
    {"context-string", "\"gpt2.context_length\" is string, expected an integer", context_string},
    {"context-negative", "\"gpt2.context_length\" is -8, expected at least 0", context_negative},
    {"context-0", "the context length is 0", context_0},
    {"context-large", "18446744073709551615", context_large},
    {"width-large", "the width is 33554432", width_large},
    {"layers-0", "the number of layers is 0", layers_0},
    {"layers-many", "gpt2.block_count is 1048576, and 16 tensors cannot be", layers_many},
    {"layers-2", "tensor \"blk.1.attn_norm.weight\" is missing", layers_2},
    {"heads-0", "the number of heads is 0", heads_0},
    {"heads-3", "the width is 4, expected a multiple of the 3 heads", heads_3},
    {"eps-0", "the LayerNorm epsilon is 0", eps_0},
    {"eps-negative", "the LayerNorm epsilon is -1e-05", eps_negative},
    {"eps-nan", "the LayerNorm epsilon is", eps_nan},
    {"eps-infinite", "the LayerNorm epsilon is inf", eps_infinite},
    {"eps-integer", "\"gpt2.attention.layer_norm_epsilon\" is u32", eps_integer},
    {"activation",
     "lookat.activation_function is \"mish\", expected \"gelu_new\", \"gelu\", \"relu\" or "
     "\"silu\"",
     activation},
    {"activation-type", "\"lookat.activation_function\" is u32, expected a string",
     activation_type},
    {"grouped-heads", "gpt2.attention.head_count_kv is 2, expected 1", grouped_heads},
    {"key-dim", "gpt2.attention.key_length is 8, expected 4", key_dim},
    {"value-dim", "gpt2.attention.value_length is 8, expected 4", value_dim},
    {"bias-q8_0", "\"blk.0.ffn_up.bias\" is q8_0, expected f32, f16 or bf16", bias_q8_0},
    {"split-first",
     "is the first of 3 files that the model is split into: expected a name that ends in "
     "-00001-of-00003.gguf",
     split_first},
    {"x-00001-of-00003.gguf",
     "the model is split into 3 files, and x-00002-of-00003.gguf is not beside it", split_first},
    {"split-second", "is part 2 of the 2 that the model is split into: name the first one",
     split_second},
    {"split-string", "\"split.count\" is string, expected an integer", split_string},
    {"m-00001-of-00003.gguf",
     "\"blk.0.ffn_norm.bias\" is missing: by its name, this is one of several files", split_name},
    {"block-norm", "tensor \"blk.0.attn_q_norm.weight\" is not part of GPT-2 with 1 blocks",
     block_norm},
    {"block-7", "tensor \"blk.7.ffn_up.bias\" is not part of GPT-2 with 1 blocks", block_7},
    {"head-bias", "tensor \"output.bias\" is not part of GPT-2", head_bias},
    {"head-shape", "\"output.weight\" is 4 x 6, expected 4 x 5", head_shape},

    {"tokenizer-llama", "tokenizer.ggml.model is \"llama\", expected \"gpt2\"", tokenizer_llama},
    {"tokenizer-type", "\"tokenizer.ggml.model\" is u32, expected a string", tokenizer_type},
    {"pre-llama", "tokenizer.ggml.pre is \"llama-bpe\", expected \"gpt-2\"", pre_llama},
    {"no-tokens", "\"tokenizer.ggml.tokens\" is missing", no_tokens},
    {"no-merges", "\"tokenizer.ggml.merges\" is missing", no_merges},
    {"tokens-u32", "\"tokenizer.ggml.tokens\" is not an array of strings", tokens_u32},
    {"tokens-string", "\"tokenizer.ggml.tokens\" is not an array of strings", tokens_string},
    {"tokens-none", "the vocabulary has no tokens", tokens_none},
    {"token-twice", "tokens 0 and 3 are the same", token_twice},
    {"token-space", "token 3 (\" c\") has a character outside the byte-to-unicode alphabet",
     token_space},
    {"token-utf8", "token 3 (", token_utf8},
    {"types-few", "tokenizer.ggml.token_type has 4 items, expected 5", types_few},
    {"types-u8", "\"tokenizer.ggml.token_type\" is not an array of i32", types_u8},
    {"type-byte", "token 3 has type 6", type_byte},
    {"type-0", "token 3 has type 0", type_0},
    {"type-negative", "token 3 has type -1", type_negative},
    {"add-bos-u32", "\"tokenizer.ggml.add_bos_token\" is not a bool", add_bos_u32},
    {"use-regex-string", "\"lookat.tokenizer.use_regex\" is not a bool", use_regex_str},
    {"match-few", "lookat.tokenizer.token_match has 1 items, expected 5", match_few},
    {"match-bits", "lookat.tokenizer.token_match of token 2 is 64", match_bits},
    {"rows-few", "5 tokens and the model 2 rows: expected a row for each token of plain text",
     rows_few},
    {"merges-u32", "\"tokenizer.ggml.merges\" is not an array of strings", merges_u32},
    {"merge-word", "merge 0 is \"ab\", expected two tokens", merge_word},
    {"merge-empty", "merge 0 is \"\", expected two tokens", merge_empty},
    {"merge-half", "merge 1 is \"a \", expected two tokens", merge_half},
    {"merge-unknown", "merge 0: \"z\" is not a token", merge_unknown},
    {"merge-result", "merge 0: \"ba\" is not a token", merge_result},
    {"merge-three", "merge 0: \"b b\" has a character outside", merge_three},
    {"eos-type", "\"tokenizer.ggml.eos_token_id\" is string, expected an integer", eos_type},
};

static void emit(struct tiny *t, const char *name, const char *expect, bad_fn fn, void *ctx) {
    struct bytes b = tiny_bytes(t);
    fn(&(struct bad_file){name, expect, b.data, b.size}, ctx);
    bytes_free(&b);
    tiny_free(t);
}

/* Each tensor left out, and each with one more row (or number). */
static void bad_tensors(bad_fn fn, void *ctx) {
    struct tiny t;
    char name[96], expect[160];
    for (size_t i = 0; i < TINY_TENSORS; i++) {
        tiny_init(&t);
        tiny_drop_tensor(&t, i);
        snprintf(name, sizeof name, "without-%s", tiny_shapes[i].name);
        snprintf(expect, sizeof expect, "tensor \"%s\" is missing", tiny_shapes[i].name);
        emit(&t, name, expect, fn, ctx);
    }
    for (size_t i = 1; i < TINY_TENSORS;
         i++) { /* a longer token_embd is one with more rows than tokens */
        uint64_t cols = tiny_shapes[i].cols, rows = tiny_shapes[i].rows;
        tiny_init(&t);
        tiny_tensor(&t, tiny_shapes[i].name, cols + !rows, rows ? rows + 1 : 0, G_F32);
        snprintf(name, sizeof name, "shape-%s", tiny_shapes[i].name);
        if (rows)
            snprintf(expect, sizeof expect, "tensor \"%s\" is %d x %d, expected %d x %d",
                     tiny_shapes[i].name, (int)cols, (int)rows + 1, (int)cols, (int)rows);
        else
            snprintf(expect, sizeof expect, "tensor \"%s\" is %d, expected %d", tiny_shapes[i].name,
                     (int)cols + 1, (int)cols);
        emit(&t, name, expect, fn, ctx);
    }
    tiny_init(&t);
    tiny_tensor(&t, "token_embd.weight", 8, 5, G_F32);
    emit(&t, "shape-token_embd.weight", "tensor \"token_embd.weight\" is 8 x 5, expected 4 x 5", fn,
         ctx);
    tiny_init(&t);
    tiny_tensor(&t, "blk.0.attn_output.weight", 4, 4, G_F32)->n_dims = 3;
    t.tensors[6].dims[2] = 2;
    t.tensors[6].bytes *= 2;
    emit(&t, "shape-3d", "tensor \"blk.0.attn_output.weight\" is 4 x 4 x 2, expected 4 x 4", fn,
         ctx);
}

/* Calls fn with each broken file; it lives until fn returns. */
static void bad_gguf(bad_fn fn, void *ctx) {
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        struct tiny t;
        tiny_init(&t);
        edits[i].edit(&t);
        emit(&t, edits[i].name, edits[i].expect, fn, ctx);
    }
    bad_tensors(fn, ctx);
    fn(&(struct bad_file){"empty", "the file ends at byte 0, inside the header",
                          (const uint8_t *)"", 0},
       ctx);
}
