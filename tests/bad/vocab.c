/* Broken vocab.json, merges.txt and tokenizer.json files; the name is that of the test only. */
#include "bad.h"

#define GOOD_VOCAB "{\"a\":0,\"b\":1,\"ab\":2,\"\\u0120\":3,\"<|endoftext|>\":4}"
#define GOOD_MERGES "#version: 0.2\na b\n"

struct bad_text {
    const char *name, *expect, *text;
};

static void bad_texts(const struct bad_text *bad, size_t n, bad_fn fn, void *ctx) {
    for (size_t i = 0; i < n; i++)
        fn(&(struct bad_file){bad[i].name, bad[i].expect, (const uint8_t *)bad[i].text,
                              strlen(bad[i].text)},
           ctx);
}

void bad_vocab_json(bad_fn fn, void *ctx);
void bad_merges(bad_fn fn, void *ctx);
void bad_tokenizer_json(bad_fn fn, void *ctx);

/* To stand beside GOOD_MERGES. */
void bad_vocab_json(bad_fn fn, void *ctx) {
    static const struct bad_text bad[] = {
        {"empty", "is empty", ""},
        {"list", "is not a JSON object of tokens and ids", "[\"a\",\"b\"]"},
        {"none", "the vocabulary has no tokens", "{}"},
        {"cut", "expected ',' or '}'", "{\"a\":0,\"b\":1"},
        {"trailing", "something follows the end", "{\"a\":0,\"b\":1,\"ab\":2}!"},
        {"text-id", "byte 11: expected a number", "{\"a\":0,\"b\":\"1\",\"ab\":2}"},
        {"sign", "byte 11: expected a whole number", "{\"a\":0,\"b\":-1,\"ab\":2}"},
        {"fraction", "byte 11: expected a whole number", "{\"a\":0,\"b\":1.0,\"ab\":2}"},
        {"overflow", "byte 11: a number above 2^64 - 1",
         "{\"a\":0,\"b\":99999999999999999999,\"ab\":2}"},
        {"out-of-range", "token id 3 is out of range, expected less than 3",
         "{\"a\":0,\"b\":1,\"ab\":3}"},
        {"id-twice", "token id 1 is given twice", "{\"a\":0,\"b\":1,\"ab\":1}"},
        {"token-twice", "tokens 0 and 2 are the same (\"a\")",
         "{\"a\":0,\"b\":1,\"\\u0061\":2,\"ab\":3}"},
        {"space", "has a character outside the byte-to-unicode alphabet",
         "{\"a\":0,\"b\":1,\"ab\":2,\" a\":3}"},
        {"beyond", "has a character outside the byte-to-unicode alphabet",
         "{\"a\":0,\"b\":1,\"ab\":2,\"\xc5\x84\":3}"},
        {"raw-control", "a control character in a string", "{\"a\":0,\"b\":1,\"a\nb\":2}"},
        {"lone-surrogate", "not a valid escape", "{\"a\":0,\"b\":1,\"\\udc00\":2}"},
        {"not-utf8", "not valid UTF-8", "{\"a\":0,\"b\":1,\"\xff\":2}"},
    };
    bad_texts(bad, sizeof bad / sizeof *bad, fn, ctx);
    struct bytes b = {0};
    put_text(&b, "{\"a\":0,\"b\":1,\"");
    for (int i = 0; i < 5000; i++) put_u8(&b, 'x');
    put_text(&b, "\":2}");
    fn(&(struct bad_file){"long-token", "a token of more than 4096 bytes", b.data, b.size}, ctx);
    bytes_free(&b);
}

/* To stand beside GOOD_VOCAB. */
void bad_merges(bad_fn fn, void *ctx) {
    static const struct bad_text bad[] = {
        {"one-part", "merge 1 is \"ab\", expected two tokens", "#version: 0.2\na b\nab\n"},
        {"no-right", "merge 0 is \"a \", expected two tokens", "#version: 0.2\na \n"},
        {"no-left", "merge 0 is \" b\", expected two tokens", " b\n"},
        {"empty-line", "merge 0 is \"\", expected two tokens", "#version: 0.2\n\na b\n"},
        {"three-parts", "has a character outside the byte-to-unicode alphabet", "a b c\n"},
        {"version-later", "merge 1: \"#version:\" is not a token", "a b\n#version: 0.2\n"},
        {"left-unknown", "merge 0: \"x\" is not a token", "x b\n"},
        {"right-unknown", "merge 0: \"x\" is not a token", "a x\n"},
        {"joined-unknown", "merge 1: \"ba\" is not a token", "a b\nb a\n"},
        {"alphabet", "has a character outside the byte-to-unicode alphabet", "a \xe2\x82\xac\n"},
    };
    bad_texts(bad, sizeof bad / sizeof *bad, fn, ctx);
}

#define MODEL \
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}"

void bad_tokenizer_json(bad_fn fn, void *ctx) {
    static const struct bad_text bad[] = {
        {"nothing", "model.vocab is missing", "{}"},
        {"cut", "expected ',' or '}'", "{" MODEL},
        {"trailing", "something follows the end", "{" MODEL "}]"},
        {"model-type", "the tokenizer's model is \"Unigram\", expected \"BPE\"",
         "{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}"},
        {"vocab-list", "model.vocab is missing or not an object",
         "{\"model\":{\"vocab\":[],\"merges\":[]}}"},
        {"no-merges", "model.merges is missing", "{\"model\":{\"vocab\":{\"a\":0}}}"},
        {"merges-object", "model.merges is missing or not an array",
         "{\"model\":{\"vocab\":{\"a\":0},\"merges\":{}}}"},
        {"merge-number", "expected a string",
         "{\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[1]}}"},
        {"merge-of-one", "a merge of fewer than two tokens",
         "{\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[[\"a\"]]}}"},
        {"merge-of-three", "a merge of more than two tokens",
         "{\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[[\"a\",\"b\",\"a\"]]}}"},
        {"merge-unknown", "merge 0: \"c\" is not a token",
         "{\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[[\"a\",\"c\"]]}}"},
        {"merge-line", "merge 0 is \"ab\", expected two tokens",
         "{\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"ab\"]}}"},
        {"prefix", "continuing_subword_prefix, which is not supported",
         "{\"model\":{\"continuing_subword_prefix\":\"##\",\"vocab\":{\"a\":0},\"merges\":[]}}"},
        {"suffix", "end_of_word_suffix, which is not supported",
         "{\"model\":{\"end_of_word_suffix\":\"</w>\",\"vocab\":{\"a\":0},\"merges\":[]}}"},
        {"dropout", "the tokenizer's model has a dropout",
         "{\"model\":{\"dropout\":0.1,\"vocab\":{\"a\":0},\"merges\":[]}}"},
        {"normalizer", "the tokenizer has a normalizer (\"NFC\")",
         "{\"normalizer\":{\"type\":\"NFC\"}," MODEL "}"},
        {"normalizers", "the tokenizer has a normalizer (\"Sequence\")",
         "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Lowercase\"}]}," MODEL
         "}"},
        {"pre-tokenizer", "the pre_tokenizer is \"Metaspace\", expected \"ByteLevel\"",
         "{\"pre_tokenizer\":{\"type\":\"Metaspace\"}," MODEL "}"},
        {"pre-tokenizer-null", "the pre_tokenizer is \"null\"",
         "{\"pre_tokenizer\":null," MODEL "}"},
        {"prefix-space", "add_prefix_space, which is not supported",
         "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true}," MODEL "}"},
        {"split", "the pre_tokenizer splits by \"a|b\", expected GPT-2",
         "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a|b\"},"
         "\"behavior\":\"Isolated\",\"invert\":false}," MODEL "}"},
        {"split-string", "the pre_tokenizer splits by \"\", expected GPT-2",
         "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\" \"},"
         "\"behavior\":\"Isolated\",\"invert\":false}," MODEL "}"},
        {"split-merged", "behavior \"MergedWithNext\", expected \"Isolated\"",
         "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"'s|'t|'re|'ve|'m|'ll|'d"
         "| ?\\\\p{L}+| ?\\\\p{N}+| ?[^\\\\s\\\\p{L}\\\\p{N}]+|\\\\s+(?!\\\\S)|\\\\s+\"},"
         "\"behavior\":\"MergedWithNext\",\"invert\":false}," MODEL "}"},
        {"split-inverted", "behavior \"Isolated\" inverted",
         "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"'s|'t|'re|'ve|'m|'ll|'d"
         "| ?\\\\p{L}+| ?\\\\p{N}+| ?[^\\\\s\\\\p{L}\\\\p{N}]+|\\\\s+(?!\\\\S)|\\\\s+\"},"
         "\"behavior\":\"Isolated\",\"invert\":true}," MODEL "}"},
        {"split-alone", "the pre_tokenizer has no ByteLevel",
         "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"'s|'t|'re|'ve|'m|'ll|'d"
         "| ?\\\\p{L}+| ?\\\\p{N}+| ?[^\\\\s\\\\p{L}\\\\p{N}]+|\\\\s+(?!\\\\S)|\\\\s+\"},"
         "\"behavior\":\"Isolated\",\"invert\":false}," MODEL "}"},
        {"sequence-empty", "the pre_tokenizer has no ByteLevel",
         "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[]}," MODEL "}"},
        {"sequence-digits", "the pre_tokenizer is \"Digits\", expected",
         "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\","
         "\"individual_digits\":true},{\"type\":\"ByteLevel\","
         "\"add_prefix_space\":false}]}," MODEL "}"},
        {"sequence-behind", "has a \"Whitespace\" behind its ByteLevel",
         "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\","
         "\"add_prefix_space\":false},{\"type\":\"Whitespace\"}]}," MODEL "}"},
        {"sequence-none", "expected an array",
         "{\"pre_tokenizer\":{\"type\":\"Sequence\"}," MODEL "}"},
        {"regex-text", "expected true or false",
         "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
         "\"use_regex\":\"no\"}," MODEL "}"},
        {"post-roberta", "the post_processor is \"RobertaProcessing\"",
         "{\"post_processor\":{\"type\":\"RobertaProcessing\","
         "\"sep\":[\"b\",1],\"cls\":[\"a\",0]}," MODEL "}"},
        {"post-behind", "the post_processor puts tokens around a text",
         "{\"post_processor\":{\"type\":\"TemplateProcessing\","
         "\"single\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},"
         "{\"SpecialToken\":{\"id\":\"a\",\"type_id\":0}}],"
         "\"pair\":[],\"special_tokens\":{\"a\":{\"id\":\"a\","
         "\"ids\":[0],\"tokens\":[\"a\"]},\"b\":{\"id\":\"b\","
         "\"ids\":[0,1],\"tokens\":[\"a\",\"b\"]}}}," MODEL "}"},
        {"post-around", "the post_processor puts tokens around a text",
         "{\"post_processor\":{\"type\":\"TemplateProcessing\","
         "\"single\":[{\"SpecialToken\":{\"id\":\"a\",\"type_id\":0}},"
         "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"a\","
         "\"type_id\":0}}],\"pair\":[],\"special_tokens\":{\"a\":{\"id\":\"a\","
         "\"ids\":[0],\"tokens\":[\"a\"]},\"b\":{\"id\":\"b\","
         "\"ids\":[0,1],\"tokens\":[\"a\",\"b\"]}}}," MODEL "}"},
        {"post-two", "the post_processor puts tokens around a text",
         "{\"post_processor\":{\"type\":\"TemplateProcessing\","
         "\"single\":[{\"SpecialToken\":{\"id\":\"a\",\"type_id\":0}},"
         "{\"SpecialToken\":{\"id\":\"a\",\"type_id\":0}},"
         "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[],"
         "\"special_tokens\":{\"a\":{\"id\":\"a\",\"ids\":[0],"
         "\"tokens\":[\"a\"]},\"b\":{\"id\":\"b\",\"ids\":[0,"
         "1],\"tokens\":[\"a\",\"b\"]}}}," MODEL "}"},
        {"post-no-text", "the post_processor puts tokens around a text",
         "{\"post_processor\":{\"type\":\"TemplateProcessing\","
         "\"single\":[{\"SpecialToken\":{\"id\":\"a\",\"type_id\":0}}],"
         "\"pair\":[],\"special_tokens\":{\"a\":{\"id\":\"a\","
         "\"ids\":[0],\"tokens\":[\"a\"]},\"b\":{\"id\":\"b\","
         "\"ids\":[0,1],\"tokens\":[\"a\",\"b\"]}}}," MODEL "}"},
        {"post-two-ids", "\"b\" stands for 2 ids, expected 1",
         "{\"post_processor\":{\"type\":\"TemplateProcessing\","
         "\"single\":[{\"SpecialToken\":{\"id\":\"b\",\"type_id\":0}},"
         "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[],"
         "\"special_tokens\":{\"a\":{\"id\":\"a\",\"ids\":[0],"
         "\"tokens\":[\"a\"]},\"b\":{\"id\":\"b\",\"ids\":[0,"
         "1],\"tokens\":[\"a\",\"b\"]}}}," MODEL "}"},
        {"post-unknown", "\"c\" stands for 0 ids, expected 1",
         "{\"post_processor\":{\"type\":\"TemplateProcessing\","
         "\"single\":[{\"SpecialToken\":{\"id\":\"c\",\"type_id\":0}},"
         "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[],"
         "\"special_tokens\":{\"a\":{\"id\":\"a\",\"ids\":[0],"
         "\"tokens\":[\"a\"]},\"b\":{\"id\":\"b\",\"ids\":[0,"
         "1],\"tokens\":[\"a\",\"b\"]}}}," MODEL "}"},
        {"post-sequence", "the post_processor is \"BertProcessing\"",
         "{\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":\"ByteLevel\"},"
         "{\"type\":\"BertProcessing\"}]}," MODEL "}"},
        {"added-object", "added_tokens is not an array", "{\"added_tokens\":{}," MODEL "}"},
        {"added-no-id", "an added token without id",
         "{\"added_tokens\":[{\"content\":\"x\",\"special\":true}]," MODEL "}"},
        {"added-no-content", "an added token without content",
         "{\"added_tokens\":[{\"id\":3,\"special\":true}]," MODEL "}"},
        {"added-far", "token id 5 is too large for 4 tokens",
         "{\"added_tokens\":[{\"id\":5,\"content\":\"x\",\"special\":true}]," MODEL "}"},
        {"added-other", "token id 1 is given twice",
         "{\"added_tokens\":[{\"id\":1,\"content\":\"x\",\"special\":true}]," MODEL "}"},
        {"id-missing", "token id 1 of 3 is missing",
         "{\"added_tokens\":[{\"id\":0,\"content\":\"a\",\"special\":true}],\"model\":{\"vocab\":{"
         "\"a\":0,\"ab\":2},\"merges\":[]}}"},
    };
    bad_texts(bad, sizeof bad / sizeof *bad, fn, ctx);
}
