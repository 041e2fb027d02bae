/* lookat as a library: GPT-2 (and models of its shape) on the CPU, with a choice of ways to keep
 * the KV cache. This header is all of the interface. It needs nothing beside the C library, and
 * also serves C++.
 *
 *     lookat_model *m;
 *     lookat_session *s;
 *     lookat_error e;
 *     const float *logits;
 *     int32_t ids[1024];
 *     size_t n;
 *
 *     if (lookat_open(&m, "weights/stories6M.gguf", NULL, &e) ||
 *         lookat_tokenize(m, "Once upon a time", 16, 0, ids, 1024, &n, &e) ||
 *         lookat_session_open(&s, m, NULL, &e) ||
 *         lookat_step(s, 0, ids, n, &logits, &e)) {
 *         fprintf(stderr, "%s\n", e.text);
 *         exit(1);
 *     }
 *
 * A whole program is tests/embed.c. Build with `cc prog.c $(pkg-config --cflags --libs lookat)`.
 *
 * Words. A *token* is a piece of text that the vocabulary has a number for, its id, 0 to V - 1. A
 * *sequence* is a text at work: tokens at positions 0, 1, 2 and so on, whose keys and values are
 * stored (the KV cache). A *session* has one or several sequences. *Logits* are V numbers, one for
 * each token of the vocabulary: the softmax of them is the probability of the next token.
 *
 * Errors. A function that can fail returns an int: LOOKAT_OK, or another LOOKAT_ code. The code and
 * one English sentence without a newline are then also in *error; after LOOKAT_OK *error is as it
 * was. Every `error` may be NULL. A function that fails to make an object sets it to NULL. Wrong
 * arguments that can be told (a sequence that is not there, a token beyond the vocabulary, NULL
 * where an object is wanted) are LOOKAT_USAGE, and nothing has then changed.
 *
 * Ownership. What a ..._open function makes, the function of the same name with ..._close frees;
 * NULL may be closed. A session and a sampler use their model, which is to be closed after them.
 * Pointers that are handed out belong to the object that was asked, and each says how long they are
 * valid.
 *
 * Threads. Inside, work is spread over threads, and results have the same bits for any number of
 * them. From outside, only one thread may be inside of the library at a time, whatever objects it
 * works on: the threads inside are shared by all. lookat_token, lookat_logits and the other
 * functions that take a const object and fill or return facts may be called at any time from any
 * thread, as long as nobody changes or closes that object.
 *
 * The host program. The library installs no signal handlers, never ends the process, writes nothing
 * to standard output or standard error, and leaves the locale as it is. It reads one environment
 * variable, LOOKAT_MODEL, and only where lookat_open is given no path (the OpenMP build also sets
 * OMP_WAIT_POLICY, unless it is set). Threads inside block all signals but SIGBUS. After a fork the
 * child may go on using its copies; the threads are made anew there. Model files are mapped into
 * memory: a file that is cut short while it is open ends the process with SIGBUS, as any mapped
 * file does, unless the program has a handler for it. */
#ifndef LOOKAT_H
#define LOOKAT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header; LOOKAT_VERSION_NUMBER grows from version to version. */
#define LOOKAT_VERSION "0.1.0"
#define LOOKAT_VERSION_NUMBER 100 /* 10000 major + 100 minor + patch */

/* Returns the version of the library that was linked, such as "0.1.0". */
const char *lookat_version(void);

/* ---- errors ---- */

enum {
    LOOKAT_OK = 0,
    LOOKAT_FAILED = 1, /* the machine refused (memory, a file that cannot be opened), or the model's
                          numbers are not finite */
    LOOKAT_USAGE = 2,  /* what was asked for cannot be */
    LOOKAT_REFUSED = 3 /* a file is not what it should be */
};

typedef struct lookat_error {
    int code;
    char text[256]; /* one sentence, terminated: the file, the thing, expected and got */
} lookat_error;

/* ---- models ---- */

typedef struct lookat_model lookat_model;

/* Opens the model at `path`: a GGUF file, a Hugging Face folder, a .safetensors or PyTorch file, or
 * an llm.c .bin. NULL opens the file that the environment variable LOOKAT_MODEL names, else
 * weights/stories6M.gguf in the folder of the running program, else
 * ../share/lookat/stories6M.gguf from there. (Where lookat was installed,
 * `pkg-config --variable=model lookat` names its model.) `tokenizer` is a file or folder that
 * replaces the model's own tokenizer, or NULL. A model without a tokenizer is fine, too: it takes
 * token ids. *model is set in any case. */
int lookat_open(lookat_model **model, const char *path, const char *tokenizer, lookat_error *error);
void lookat_close(lookat_model *model);

/* What a model is. The texts belong to the model. */
typedef struct lookat_facts {
    size_t layers, heads; /* L, H */
    size_t width;         /* C, a multiple of H */
    size_t inner;         /* F, the width of the MLP */
    size_t context;       /* T, the most tokens of a sequence */
    size_t vocabulary;    /* V, the logits of a row; ids go from 0 to V - 1 */
    size_t tokens;        /* of the tokenizer; 0 where the model has none */
    uint64_t parameters;  /* weights and biases, each once */
    int32_t start_token;  /* what an empty text starts with, or -1 */
    int32_t end_token;    /* the end of a text, or -1 */
    const char *name;     /* as the file has it, else the file's name without folder and ending */
    const char *path;     /* of the file or folder that was opened */
    const char *format;   /* such as "GGUF v3" */
    const char *kernels;  /* the instruction set that is used: "scalar", "avx2" and so on */
    const char *fingerprint; /* 64 hex digits; conversions of one model have the same */
} lookat_facts;

/* Fills *facts; for NULL as the model with zeros, and -1 for the tokens. */
void lookat_model_facts(const lookat_model *model, lookat_facts *facts);

/* ---- text and tokens ---- */

/* Cuts text[bytes] into tokens. It may hold any bytes; text is UTF-8 by custom. With `special` not
 * 0, special tokens written out in the text (<|endoftext|>) become their ids; with 0 they are
 * ordinary text. *n is how many tokens there are, and ids[room] receives the first of them. Where
 * *n is greater than room, the others are not written: call again with more room. Room for
 * bytes + 1 ids is always enough. ids may be NULL where room is 0. LOOKAT_USAGE where the model has
 * no tokenizer. */
int lookat_tokenize(const lookat_model *model, const char *text, size_t bytes, int special,
                    int32_t *ids, size_t room, size_t *n, lookat_error *error);

/* Returns the bytes of one token, *bytes of them, not terminated. One character may be spread over
 * several tokens, so they need not be valid UTF-8 alone; put one behind the other they give the
 * text. Special tokens are spelt out. Without a tokenizer, or for an id that it does not have,
 * *bytes is 0. The bytes are valid as long as the model. `bytes` may not be NULL. */
const char *lookat_token(const lookat_model *model, int32_t id, size_t *bytes);

/* Writes the text of ids[n] to text[room], and a zero behind it where there is room. *bytes is the
 * length of the whole text; where it is greater than room, the rest was left out. text may be NULL
 * where room is 0. Special tokens are left out unless `special` is not 0. LOOKAT_USAGE where the
 * model has no tokenizer, or an id is not one of its tokens. */
int lookat_detokenize(const lookat_model *model, const int32_t *ids, size_t n, int special,
                      char *text, size_t room, size_t *bytes, lookat_error *error);

/* ---- sessions ---- */

typedef struct lookat_session lookat_session;

/* How a session is made. A field that is 0 or NULL means what stands behind "else". */
typedef struct lookat_setup {
    /* How keys and values are kept, as the command's --attn has it, such as "int8/int8",
     * "int4:sink=1,window=32/int4" or "lookat4/pq8" (`lookat help attn` lists all); else "fp16". */
    const char *attention;
    /* A file with codebooks, for lookat keys and pq values; else those inside of the model's GGUF
     * file, or those of MODEL.book.gguf beside it. */
    const char *book;
    size_t context;   /* the most tokens of a sequence, 1 to the model's; else the model's */
    size_t sequences; /* how many; else 1 */
    /* So many of the last tokens lookat_truncate takes back without a trace, whatever `attention`
     * is: windows of exact keys hold as many keys more; else 0. */
    size_t take_back;
    int threads; /* at most 1024; else one for each processor that the process may use */
} lookat_setup;

/* Makes a session of empty sequences. setup may be NULL: all fields 0. LOOKAT_USAGE for an
 * attention that cannot be read or needs codebooks that are not there, LOOKAT_REFUSED for a file of
 * codebooks that is broken or of another model, LOOKAT_FAILED without memory. */
int lookat_session_open(lookat_session **session, const lookat_model *model,
                        const lookat_setup *setup, lookat_error *error);
void lookat_session_close(lookat_session *session);

/* Returns the attention in full, with every option that is in effect, such as
 * "int4:group=32/fp16"; valid as long as the session. NULL for NULL. */
const char *lookat_attention(const lookat_session *session);

/* Appends tokens[n], n >= 1, to a sequence (numbers count from 0) and runs them through the model.
 * *logits, where logits is not NULL, is then lookat_logits. Many tokens at once (a prompt) cost
 * much less than one by one; the last bits of the logits may depend on how a prompt was cut into
 * calls. LOOKAT_USAGE, and nothing is stored, for a token beyond the vocabulary or more tokens than
 * the context has left. LOOKAT_FAILED where the logits are not finite, because the weights hold NaN
 * or infinity: the tokens are stored then, but there are no logits. */
int lookat_step(lookat_session *session, size_t sequence, const int32_t *tokens, size_t n,
                const float **logits, lookat_error *error);

/* Appends one token to each of n different sequences: tokens[i] to sequences[i]. All run together,
 * so the weights are read once for all of them. Errors are as in lookat_step. */
int lookat_step_each(lookat_session *session, const size_t *sequences, const int32_t *tokens,
                     size_t n, lookat_error *error);

/* Returns the logits [V] after the last token of a sequence; NULL where there are none: it is
 * empty, its last tokens were taken back, or there is no such sequence. They are valid until the
 * next call that changes this sequence. */
const float *lookat_logits(const lookat_session *session, size_t sequence);

/* Return how many tokens a sequence holds, 0 where there is no such sequence; and which, in an
 * array that is valid until the next call that changes the sequence. */
size_t lookat_length(const lookat_session *session, size_t sequence);
const int32_t *lookat_tokens(const lookat_session *session, size_t sequence);

/* Forgets the tokens of a sequence from position n on; n = 0 makes it empty. There are no logits
 * then until the next step, unless n is the length and nothing happens. With exact keys
 * (window=), keys that had left the window come back as codes, unless no more than
 * take_back tokens are forgotten. LOOKAT_USAGE where the sequence holds fewer than n. */
int lookat_truncate(lookat_session *session, size_t sequence, size_t n, lookat_error *error);

/* Makes sequence `to` a copy of the first n tokens of `from`, and of its logits where these are all
 * its tokens. It costs a copy of memory, and no work of the model. */
int lookat_fork(lookat_session *session, size_t to, size_t from, size_t n, lookat_error *error);

/* What attention read and holds, in bytes, of all layers, heads and sequences. */
typedef struct lookat_counters {
    uint64_t streamed; /* read since the session began: rows of keys and values, which every token
                          brings in anew, and codebooks too large to stay in a core's cache */
    uint64_t at_hand;  /* read from registers and caches: lookup tables, and small codebooks */
    uint64_t stored;   /* of keys and values that the sequences hold now */
} lookat_counters;

/* Fills *counters; with zeros for NULL as the session. */
void lookat_session_counters(const lookat_session *session, lookat_counters *counters);

/* ---- sampling ---- */

typedef struct lookat_sampler lookat_sampler;

/* How a token is chosen. The filters are llama.cpp's, in its default order: repetition penalty,
 * top-k, top-p, min-p, temperature. */
typedef struct lookat_sampling {
    double temperature;    /* logits are divided by it; 0: always the most likely token */
    long top_k;            /* the k most likely are kept; 0: all */
    double top_p;          /* the smallest set of at least this probability is kept; 1: all */
    double min_p;          /* tokens of at least this share of the best one's are kept; 0: all */
    double repeat_penalty; /* above 1, recent tokens become less likely; 1: nothing changes */
    long repeat_last;      /* so many tokens are recent; -1: all */
    uint64_t seed;         /* of the random numbers */
    uint64_t stream;       /* of one seed: text i of --num-samples takes i */
    int32_t banned;        /* a token that must not come, or -1 */
} lookat_sampling;

/* Returns what the command does without options, with seed 0: temperature 0.8, top_k 40, top_p
 * 0.95, min_p 0.05, no penalty (over the last 64 tokens), nothing banned. */
lookat_sampling lookat_sampling_default(void);

/* Makes a sampler for sessions of this model. sampling may be NULL: the default. LOOKAT_USAGE for a
 * number out of range: temperature 0 to 100, top_k 0 or more, top_p and min_p 0 to 1,
 * repeat_penalty 0.01 to 100, repeat_last -1 or more. */
int lookat_sampler_open(lookat_sampler **sampler, const lookat_model *model,
                        const lookat_sampling *sampling, lookat_error *error);
void lookat_sampler_close(lookat_sampler *sampler);

/* Returns the next token of a sequence, chosen by its logits; the sequence is not changed. -1 where
 * it has no logits. Draws one random number, or none at temperature 0. Rows of the vocabulary that
 * are no tokens (padding) are never chosen; facts.end_token may be. With the same seed and stream,
 * a sampler and a session give the same tokens as `lookat generate --seed` on the same machine. */
int32_t lookat_sample(lookat_sampler *sampler, const lookat_session *session, size_t sequence);

#ifdef __cplusplus
}
#endif

#endif
