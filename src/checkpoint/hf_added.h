/* Tokens that were added to a Hugging Face tokenizer by hand, and what its settings say of them:
 * tokenizer_config.json, special_tokens_map.json, added_tokens.json, and the list in tokenizer.json
 * (https://huggingface.co/docs/tokenizers/api/added-tokens). */
#ifndef LOOKAT_CHECKPOINT_HF_ADDED_H
#define LOOKAT_CHECKPOINT_HF_ADDED_H

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/vocab.h"

enum {
    HF_TOKEN_MAX = 4096
}; /* bytes of a token as spelled in a file: the longest of GPT-2 has 256 */

struct hf_token {
    char s[HF_TOKEN_MAX];
    size_t n;
};

/* The string at the cursor, or one already read. */
bool hf_token_decode(struct json *j, struct json_str s, struct hf_token *t);
bool hf_token_read(struct json *j, struct hf_token *t);

/* A name of a special token, as bytes. */
struct hf_name {
    const char *s;
    size_t n;
};

/* What stands beside a vocabulary. Without the files nothing is set. */
struct hf_settings {
    const char *path;            /* tokenizer_config.json, for messages */
    struct file config, map;     /* mapped as long as the settings are open */
    struct json decoder;         /* at added_tokens_decoder; text NULL: there is none */
    const struct hf_name *names; /* [n] tokens that are special */
    size_t n;
    struct hf_name bos, eos; /* n 0: not named */
    bool add_bos, add_eos, prefix_space;
};

/* Reads tokenizer_config.json and special_tokens_map.json of a folder, where they are there.
 * ERR_REFUSED for what is no JSON object. On an error nothing is left open. */
int hf_settings_open(struct hf_settings *s, const char *folder, struct arena *a, struct err *e);
void hf_settings_close(struct hf_settings *s);

/* The three forms in which added tokens are listed. */
enum hf_added_form {
    HF_ADDED_LIST,    /* [{"id": 1, "content": "x", "special": false, …}, …] */
    HF_ADDED_DECODER, /* {"1": {"content": "x", "special": false, …}, …} */
    HF_ADDED_NAMES    /* {"x": 1, …} */
};

struct hf_added_source {
    enum hf_added_form form;
    const char *path;
    struct json at; /* at the container; text NULL: no tokens */
};

/* Raises *most to the highest id, and *given by the number of entries. */
int hf_added_count(const struct hf_added_source *from, uint64_t *most, size_t *given,
                   struct err *e);

/* Sets the tokens that are not set yet. One that is special by its own entry or by the settings
 * becomes a control token. */
int hf_added_set(struct vocab_builder *b, const struct hf_added_source *from,
                 const struct hf_settings *s, struct err *e);

/* ERR_REFUSED with the place of the cursor's error. */
int hf_refuse_json(const char *path, const struct json *j, struct err *e);

#endif
