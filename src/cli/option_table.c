#include <unistd.h>

#include "cli/options.h"

#define GEN (1u << CMD_GENERATE)
#define EVAL (1u << CMD_EVAL)
#define CALIB (1u << CMD_CALIBRATE)
#define COMP (1u << CMD_COMPARE)
#define CONV (1u << CMD_CONVERT)
#define INFO (1u << CMD_INFO)
#define TOK (1u << CMD_TOKENIZE)
#define BENCH (1u << CMD_BENCH)
#define ALL ((1u << CMD_COUNT) - 1)
#define EXPLAIN (1u << CMD_EXPLAIN)
#define AT(field) offsetof(struct args, field)
#define INT_LIMIT 2147483647.0

/* Names and short forms are llama.cpp's where it has the option. */
const struct option option_table[] = {
    {"model", 'm', NULL, "MODEL", OPT_STRING, AT(model), 0, 0,
     GEN | COMP | EVAL | CALIB | INFO | TOK, "Model",
     "GGUF file, Hugging Face folder, .safetensors file or llm.c .bin; without it LOOKAT_MODEL, "
     "then weights/stories6M.gguf beside the "
     "program",
     NULL},
    {"model", 'm', NULL, "MODEL", OPT_LIST, AT(models), 0, 0, BENCH, "Model",
     "model to measure, in any format; repeat it for several; without it LOOKAT_MODEL, then "
     "weights/stories6M.gguf beside the program",
     NULL},
    {"tokenizer", 'z', NULL, "FILE", OPT_STRING, AT(tokenizer), 0, 0, ALL & ~EXPLAIN, "Model",
     "folder or file with a tokenizer (vocab.json + merges.txt, tokenizer.json, llm.c .bin, GGUF), "
     "instead of the model's own",
     NULL},
    {"random", 0, NULL, "SHAPE", OPT_STRING, AT(random), 0, 0, CONV, "Model",
     "random weights instead of SRC, for benchmarks: gpt2, gpt2-medium, gpt2-large, gpt2-xl, or "
     "L,H,C,T,V (layers, heads, width, context, "
     "vocabulary)",
     NULL},
    {"seed", 's', NULL, "N", OPT_SEED, AT(seed), 0, 0, CONV, "Model", "seed of --random", "0"},

    {"file", 'f', NULL, "FILE", OPT_LIST, AT(files), 0, 0, COMP, "Texts",
     "text to measure on; may be repeated", NULL},
    {"predict", 'n', "n-predict", "N", OPT_INT, AT(n_predict), -1, INT_LIMIT, COMP, "Texts",
     "tokens to take from each text; -1: all, with --paper 8192", "-1"},
    {"ctx-size", 'c', NULL, "N", OPT_INT, AT(n_ctx), 0, 1048576, COMP, "Texts",
     "tokens of a window: each is run on its own, and its second half is scored; 0: the model's "
     "context, at most 1024",
     "0"},
    {"chunks", 0, NULL, "I/N", OPT_STRING, AT(chunks), 0, 0, COMP, "Texts",
     "only windows I, I + N, I + 2N, ... of all, I from 0 to N - 1: one share of the work, for "
     "--merge",
     NULL},
    {"merge", 0, NULL, NULL, OPT_FLAG, AT(merge), 0, 0, COMP, "Texts",
     "measure nothing; add up the shares in the files that -o jsonl wrote", NULL},

    {"mode", 0, NULL, "shadow|forced|free|all", OPT_CHOICE, AT(mode), 0, 0, COMP, "What to compare",
     "shadow: attention alone, on the baseline's own queries, keys and values; forced: the same "
     "tokens, each with its own hidden states; free: each "
     "writes its own text; without it shadow and forced",
     NULL},
    {"heads", 0, NULL, NULL, OPT_FLAG, AT(heads), 0, 0, COMP, "What to compare",
     "shadow: also a row for each head", NULL},
    {"layers", 0, NULL, "N[-M]", OPT_STRING, AT(layers), 0, 0, COMP, "What to compare",
     "shadow: only this layer, or these", NULL},
    {"lengths", 0, NULL, "N,N,...", OPT_STRING, AT(lengths), 0, 0, COMP, "What to compare",
     "also shadow with windows of each of these lengths", NULL},
    {"paper", 0, NULL, NULL, OPT_FLAG, AT(paper), 0, 0, COMP, "What to compare",
     "the table of arXiv 2601.10155 (layer 0; INT8, INT4, LOOKAT-2 to 16; lengths 64 to 1024) "
     "beside its figures, and a test of its law",
     NULL},
    {"check", 0, NULL, "EXPR", OPT_LIST, AT(check), 0, 0, COMP, "What to compare",
     "such as lookat8.kld<0.05 (BACKEND.METRIC, then <, <=, > or >=): exit status 4 unless it "
     "holds for every text; "
     "a figure that is NaN, or of keys and values that f16 cannot hold, meets nothing",
     NULL},
    {"explain-columns", 0, NULL, NULL, OPT_FLAG, AT(explain_columns), 0, 0, COMP, "What to compare",
     "say what each column of the tables is, behind them; without a text, only that", NULL},
    {"seed", 's', NULL, "N", OPT_SEED, AT(seed), 0, 0, COMP, "What to compare",
     "free: the seed that all backends draw with", "1"},

    {"prompt", 'p', NULL, "TEXT", OPT_STRING, AT(prompt), 0, 0, GEN, "Prompt", "text to continue",
     NULL},
    {"file", 'f', NULL, "FILE", OPT_LIST, AT(files), 0, 0, GEN, "Prompt",
     "file with the text to continue; - is standard input", NULL},
    {"ids", 0, NULL, "IDS", OPT_STRING, AT(ids), 0, 0, GEN, "Prompt",
     "token ids to continue, such as 464,12734,389", NULL},
    {"special", 0, "sp", NULL, OPT_FLAG, AT(special), 0, 0, GEN, "Prompt",
     "<|endoftext|> in the prompt is the token, not plain text; and control tokens are shown where "
     "the model writes them",
     NULL},
    {"prompt", 'p', NULL, "TEXT", OPT_STRING, AT(prompt), 0, 0, TOK, "Input",
     "text to encode, or ids to decode", NULL},
    {"file", 'f', NULL, "FILE", OPT_LIST, AT(files), 0, 0, TOK, "Input",
     "file with the text or the ids; - is standard input", NULL},
    {"decode", 0, NULL, NULL, OPT_FLAG, AT(decode), 0, 0, TOK, "Input",
     "the other way: ids, separated by spaces, commas or newlines, to bytes", NULL},
    {"special", 0, NULL, NULL, OPT_FLAG, AT(special), 0, 0, TOK, "Input",
     "<|endoftext|> in the text is the token, not letters", NULL},

    {"file", 'f', NULL, "FILE", OPT_LIST, AT(files), 0, 0, CALIB, "Texts",
     "text to learn from; - is standard input; may be repeated", NULL},
    {"tokens", 'n', NULL, "N", OPT_INT, AT(n_predict), 1, INT_LIMIT, CALIB, "Texts",
     "tokens to run, taken evenly from the texts and spread over each", "65536"},
    {"ctx-size", 'c', NULL, "N", OPT_INT, AT(n_ctx), 0, 1048576, CALIB, "Texts",
     "tokens of a window, each run on its own; 0: the model's context", "0"},
    {"attn", 'a', NULL, "SPEC,...", OPT_LIST, AT(attn), 0, 0, CALIB, "Codebooks",
     "what they are for: lookat4, lookat:bytes=4, lookat16x4, lookat4:plain, values as in "
     "fp16/pq16, and the like, separated by commas",
     "lookat4"},
    {"auto", 0, NULL, NULL, OPT_FLAG, AT(search), 0, 0, CALIB, "Codebooks",
     "try the ways to make keys of --budget bytes on text kept apart, and keep the one that costs "
     "the text least",
     NULL},
    {"budget", 0, NULL, "N,...", OPT_LIST, AT(budgets), 0, 0, CALIB, "Codebooks",
     "--auto: bytes of codes a key, 1 to 32, separated by commas", "4"},
    {"learn", 0, NULL, "PART,...", OPT_STRING, AT(learn), 0, 0, CALIB, "Codebooks",
     "what learned codebooks are made of, of metric, weights, directions, ranges, rotation; or "
     "none; all without it",
     NULL},
    {"seed", 's', NULL, "N", OPT_SEED, AT(seed), 0, 0, CALIB, "Codebooks",
     "seed of the sample and of k-means", "0"},

    {"predict", 'n', "n-predict", "N", OPT_INT, AT(n_predict), -2, INT_LIMIT, GEN, "Length",
     "tokens to write, or until the context is full; -1 and -2: until the end of text or of the "
     "context",
     "-1"},
    {"ctx-size", 'c', NULL, "N", OPT_INT, AT(n_ctx), 0, 1048576, GEN, "Length",
     "tokens of context; 0: as many as the model has", "0"},
    {"ignore-eos", 0, NULL, NULL, OPT_FLAG, AT(ignore_eos), 0, 0, GEN, "Length",
     "never choose the end-of-text token", NULL},
    {"num-samples", 0, NULL, "N", OPT_INT, AT(num_samples), 1, 4096, GEN, "Length",
     "how many continuations of the prompt to write, each with its own random draws", "1"},

    {"file", 'f', NULL, "FILE", OPT_LIST, AT(files), 0, 0, EVAL, "Texts",
     "text to measure on; - is standard input; may be repeated", NULL},
    {"predict", 'n', "n-predict", "N", OPT_INT, AT(n_predict), -1, INT_LIMIT, EVAL, "Texts",
     "tokens to take from each text; -1: all", "-1"},
    {"ctx-size", 'c', NULL, "N", OPT_INT, AT(n_ctx), 0, 1048576, EVAL, "Texts",
     "tokens of a window, each run on its own; 0: the model's context", "0"},
    {"stride", 0, "ppl-stride", "N", OPT_INT, AT(stride), 0, 1048576, EVAL, "Texts",
     "tokens from one window to the next, of which the last N are scored; 0: windows side by side, "
     "the second half scored",
     "0"},

    {"n-prompt", 'p', NULL, "N,...", OPT_LIST, AT(prompt_lengths), 0, 0, BENCH, "Tests",
     "lengths of the prompts to run; 0: none", "512"},
    {"n-gen", 'n', NULL, "N,...", OPT_LIST, AT(gen_lengths), 0, 0, BENCH, "Tests",
     "tokens to generate; 0: none", "128"},
    {"n-depth", 'd', NULL, "N,...", OPT_LIST, AT(depths), 0, 0, BENCH, "Tests",
     "tokens that the cache holds before the generated ones; prompts begin at 0", "0"},
    {"batch", 'b', NULL, "N,...", OPT_LIST, AT(batches), 0, 0, BENCH, "Tests",
     "sequences generated together (not llama-bench's -b, which is how many tokens of a prompt go "
     "at once); prompts are of one",
     "1"},
    {"ctx-size", 'c', NULL, "N", OPT_INT, AT(n_ctx), 0, 1048576, BENCH, "Tests",
     "tokens of context of a sequence; 0: as many as the model has", "0"},
    {"repetitions", 'r', NULL, "N", OPT_INT, AT(repetitions), 1, 1000, BENCH, "Tests",
     "times that every row is measured, after one that is not; all rows in turn, so that a slow "
     "minute hits them alike",
     "5"},
    {"roofline", 0, NULL, NULL, OPT_FLAG, AT(roofline), 0, 0, BENCH, "Tests",
     "measure the machine's limits too, and give each row as a share of the one that binds it",
     NULL},
    {"attention", 0, NULL, NULL, OPT_FLAG, AT(attention), 0, 0, BENCH, "Tests",
     "instead of all that, attention alone at the depths (without -d: from a sixteenth of the "
     "context to all of it): "
     "nanoseconds for a head and key, by stage, on one thread",
     NULL},

    {"temp", 0, "temperature", "X", OPT_DOUBLE, AT(temp), 0, 100, GEN, "Sampling",
     "temperature; 0: always the most likely token", "0.8"},
    {"top-k", 0, NULL, "N", OPT_INT, AT(top_k), 0, INT_LIMIT, GEN, "Sampling",
     "only the N most likely tokens; 0: all", "40"},
    {"top-p", 0, NULL, "P", OPT_DOUBLE, AT(top_p), 0, 1, GEN, "Sampling",
     "only the most likely tokens that reach probability P together", "0.95"},
    {"min-p", 0, NULL, "P", OPT_DOUBLE, AT(min_p), 0, 1, GEN, "Sampling",
     "only tokens with at least P times the probability of the most likely one", "0.05"},
    {"repeat-penalty", 0, NULL, "X", OPT_DOUBLE, AT(repeat_penalty), 0.01, 100, GEN, "Sampling",
     "makes tokens that occurred less likely; 1: off", "1"},
    {"repeat-last-n", 0, NULL, "N", OPT_INT, AT(repeat_last_n), -1, INT_LIMIT, GEN, "Sampling",
     "how many tokens --repeat-penalty looks back; -1: all", "64"},
    {"seed", 's', NULL, "N", OPT_SEED, AT(seed), 0, 0, GEN, "Sampling",
     "the same seed gives the same text; -1: a new one each time", "-1"},

    {"attn", 'a', NULL, "SPEC", OPT_LIST, AT(attn), 0, 0, GEN | EVAL, "Engine",
     "attention backend, KEYS or KEYS/VALUES: how they are stored and read; lookat help attn lists "
     "them",
     "fp16"},
    {"attn", 'a', NULL, "SPEC,...", OPT_LIST, AT(attn), 0, 0, COMP, "Engine",
     "attention backends, KEYS or KEYS/VALUES, separated by commas (one followed by a codec's name "
     "begins the next); may be repeated; the first is the baseline; without it fp16, int8, int4, "
     "lookat4; lookat help attn lists them",
     NULL},
    {"attn", 'a', NULL, "SPEC,...", OPT_LIST, AT(attn), 0, 0, BENCH, "Engine",
     "attention backends, KEYS or KEYS/VALUES; a comma followed by a codec's name begins the next "
     "one, so int4:rotate,center,lookat4 are two; may be repeated",
     "fp16"},
    {"cache-type-k", 0, "ctk", "KEYS", OPT_STRING, AT(cache_k), 0, 0, GEN | COMP | EVAL, "Engine",
     "or -ctk: llama.cpp's name for the first half of --attn KEYS/VALUES", NULL},
    {"cache-type-v", 0, "ctv", "VALUES", OPT_STRING, AT(cache_v), 0, 0, GEN | COMP | EVAL, "Engine",
     "or -ctv: llama.cpp's name for the second half", NULL},
    {"book", 0, NULL, "FILE", OPT_STRING, AT(book), 0, 0, GEN | COMP | EVAL | BENCH, "Engine",
     "codebooks of lookat and pq, instead of those inside the model's file or beside it "
     "(MODEL.book.gguf)",
     NULL},
    {"kernels", 0, NULL, "SET", OPT_STRING, AT(kernels), 0, 0, GEN | COMP | EVAL | CALIB, "Engine",
     "arithmetic: auto, scalar, or the name of an instruction set, such as avx2, avx512 or neon",
     "auto"},
    {"kernels", 0, NULL, "SET,...", OPT_STRING, AT(kernels), 0, 0, BENCH, "Engine",
     "arithmetic: auto (the best of this CPU), all (every set it can run), or names of instruction "
     "sets, such as scalar,avx2",
     "auto"},
    {"threads", 't', NULL, "N,...", OPT_LIST, AT(thread_counts), 0, 0, BENCH, "Engine",
     "threads; 0: all that this process may use", "0"},
    {"threads", 't', NULL, "N", OPT_INT, AT(threads), 0, 1024, GEN | COMP | EVAL | CALIB, "Engine",
     "threads; 0: all that this process may use", "0"},

    {"output", 'o', NULL, "FILE", OPT_STRING, AT(output), 0, 0, CALIB | CONV, "Output",
     "GGUF file to write", NULL},
    {"type", 0, "outtype", "f32|f16|bf16|q8_0|q4_0", OPT_CHOICE, AT(type), 0, 0, CONV, "Output",
     "number type of the matrices", "f16"},
    {"force", 0, NULL, NULL, OPT_FLAG, AT(force), 0, 0, CALIB | CONV, "Output",
     "overwrite an existing file", NULL},
    {"add", 0, NULL, NULL, OPT_FLAG, AT(add), 0, 0, CALIB, "Output",
     "keep the codebooks inside the model that are not learned anew; their texts are named beside "
     "the new ones",
     NULL},
    {"embed", 0, NULL, NULL, OPT_FLAG, AT(embed), 0, 0, CALIB, "Output",
     "write a copy of the model with the codebooks inside, instead of a file with codebooks alone",
     NULL},
    {"output", 'o', NULL, "text|json|jsonl", OPT_CHOICE, AT(format), 0, 0, GEN, "Output",
     "text as it comes, one JSON object at the end, or a JSON object for each step", "text"},
    {"output", 'o', NULL, "text|md|csv|json|jsonl", OPT_CHOICE, AT(format), 0, 0, COMP, "Output",
     "tables for a terminal, the same in Markdown, CSV with a row for each text, backend and "
     "layer, one JSON object, or (jsonl) the raw sums for --merge",
     "text"},
    {"output", 'o', NULL, "md|csv|json|jsonl|text", OPT_CHOICE, AT(format), 0, 0, BENCH, "Output",
     "Markdown, a line of CSV for each row, one JSON object, one for each row and one for the "
     "rest, or text for a terminal; text where "
     "standard output is one, else Markdown, if none is given",
     NULL},
    {"output", 'o', NULL, "text|json", OPT_CHOICE, AT(format), 0, 0, EVAL | INFO | TOK, "Output",
     "for people or for programs", "text"},
    {"logprobs", 0, NULL, "K", OPT_INT, AT(logprobs), 0, 16777216, GEN, "Output",
     "with json: the K most likely tokens and their log-probabilities at each step", NULL},
    {"echo", 0, NULL, NULL, OPT_FLAG, AT(echo), 0, 0, GEN, "Output",
     "with --logprobs: the prompt's tokens too", NULL},
    {"counters", 0, NULL, NULL, OPT_FLAG, AT(counters), 0, 0, GEN, "Output",
     "bytes that attention loaded per decoded token, by layer", NULL},
    {"fidelity", 0, NULL, NULL, OPT_FLAG, AT(fidelity), 0, 0, GEN, "Output",
     "keeps an FP16 shadow of the cache and says how close the attention backend came to it, by "
     "layer",
     NULL},
    {"log", 0, NULL, "FILE", OPT_STRING, AT(log), 0, 0, GEN, "Output",
     "--counters and --fidelity as JSON lines into FILE", NULL},
    {"no-display-prompt", 0, NULL, NULL, OPT_FLAG, AT(no_display_prompt), 0, 0, GEN, "Output",
     "write only the continuation", NULL},
    {"check-weights", 0, NULL, NULL, OPT_FLAG, AT(check_weights), 0, 0, INFO, "Output",
     "look at every weight, and say which tensors hold infinities or NaN and where: exit status 1 "
     "if "
     "one does",
     NULL},
    {"sha256", 0, NULL, NULL, OPT_FLAG, AT(sha256), 0, 0, INFO, "Output",
     "also the SHA-256 of the file", NULL},
    {"quiet", 'q', "log-disable", NULL, OPT_FLAG, AT(quiet), 0, 0,
     GEN | COMP | EVAL | CALIB | CONV | BENCH, "Output", "nothing on standard error but errors",
     NULL},
    {"verbose", 'v', NULL, NULL, OPT_FLAG, AT(verbose), 0, 0, GEN, "Output",
     "say more on standard error", NULL},
    {"verbose", 'v', NULL, NULL, OPT_FLAG, AT(verbose), 0, 0, TOK, "Output",
     "a table of id, bytes (in hex) and text", NULL},

    {"help", 'h', "usage", NULL, OPT_FLAG, AT(help), 0, 0, ALL, "General", "this text", NULL},
    {"version", 0, NULL, NULL, OPT_FLAG, AT(version), 0, 0, ALL, "General",
     "the version of the program", NULL},
    {0}};

void args_init(struct args *a, enum command_id command) {
    *a = (struct args){
        .command = command,
        .n_predict = command == CMD_CALIBRATE ? 65536 : -1,
        .num_samples = 1,
        .temp = 0.8,
        .top_k = 40,
        .top_p = 0.95,
        .min_p = 0.05,
        .repeat_penalty = 1,
        .repeat_last_n = 64,
        .seed = command == CMD_COMPARE, /* what is measured twice should be the same twice */
        .repetitions = 5,
        .format = command == CMD_BENCH && !isatty(STDOUT_FILENO) ? "md" : "text",
        .type = "f16",
    };
}
