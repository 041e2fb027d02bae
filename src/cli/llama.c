/* The table of llama.cpp's options that lookat does not have, with an answer for each, and the
 * functions that look into it. */
#include "cli/llama.h"

#include <stdlib.h>
#include <string.h>

/* Why options have no effect. */
#define NO_GPU "no GPU is used"
#define MAPPED "weights are used where the file is mapped"
#define OWN_BATCHES "lookat chooses its batches"
#define PINNING "use taskset or nice"
#define NO_CHAT "there are no conversations and no templates"
#define NO_SHIFT "the text ends where the context is full"
#define PLAIN_LOG "messages are plain lines"

/* What to do instead. */
#define FETCH "fetch the file and use -m FILE (./run.sh gpt2 fetches GPT-2)"
#define ONE_TEXT "give the whole text as the prompt (-p or -f)"
#define SAMPLERS "there are --temp, --top-k, --top-p, --min-p and --repeat-penalty, in that order"
#define PENALTY "use --repeat-penalty"
#define GPT2_ONLY "GPT-2 has no use for it; leave it out"
#define NO_CACHE "use --save-state FILE, and then --load-state FILE"
#define SAVED "convert the adapted model as a whole"
#define NO_CHAT_HERE "lookat continues texts: leave it out, and use -p"

const struct llama_option llama_options[] = {
    /* ---- read, without effect ---- */
    {"-ngl --gpu-layers --n-gpu-layers", LLAMA_VALUE, NULL, NO_GPU, NULL},
    {"-sm --split-mode", LLAMA_VALUE, NULL, NO_GPU, NULL},
    {"-ts --tensor-split", LLAMA_VALUE, NULL, NO_GPU, NULL},
    {"-mg --main-gpu", LLAMA_VALUE, NULL, NO_GPU, NULL},
    {"-dev --device", LLAMA_VALUE, NULL, NO_GPU, NULL},
    {"-ot --override-tensor", LLAMA_VALUE, NULL, NO_GPU, NULL},
    {"-fit --fit", LLAMA_SWITCH, NULL, NO_GPU, NULL},
    {"-fitt --fit-target", LLAMA_VALUE, NULL, NO_GPU, NULL},
    {"-fitc --fit-ctx", LLAMA_VALUE, NULL, NO_GPU, NULL},
    {"-kvo --kv-offload", LLAMA_FLAG, NULL, NO_GPU, NULL},
    {"-nkvo --no-kv-offload", LLAMA_SWITCH, NULL, NO_GPU, NULL},
    {"--op-offload", LLAMA_FLAG, NULL, NO_GPU, NULL},
    {"-nopo --no-op-offload", LLAMA_SWITCH, NULL, NO_GPU, NULL},
    {"--no-host", LLAMA_SWITCH, NULL, NO_GPU, NULL},
    {"-cmoe --cpu-moe", LLAMA_FLAG, NULL, "GPT-2 has no experts", NULL},
    {"-ncmoe --n-cpu-moe", LLAMA_VALUE, NULL, "GPT-2 has no experts", NULL},
    {"-ncffn --n-cpu-ffn", LLAMA_VALUE, NULL, NO_GPU, NULL},
    {"-nr --no-repack --repack", LLAMA_SWITCH, NULL, MAPPED, NULL},
    {"--mlock", LLAMA_FLAG, NULL, MAPPED, NULL},
    {"-mmp --mmap --no-mmap", LLAMA_SWITCH, NULL, MAPPED, NULL},
    {"-dio --direct-io -ndio --no-direct-io", LLAMA_SWITCH, NULL, MAPPED, NULL},
    {"-lm --load-mode", LLAMA_VALUE, NULL, MAPPED, NULL},
    {"-lzm --lazy-mode", LLAMA_VALUE, NULL, MAPPED, NULL},
    {"-fa --flash-attn", LLAMA_SWITCH, NULL, "--attn chooses how attention works", NULL},
    {"-nfa --no-flash-attn", LLAMA_FLAG, NULL, "--attn chooses how attention works", NULL},
    {"--swa-full", LLAMA_FLAG, NULL, "GPT-2's attention sees the whole context", NULL},
    {"-dt --defrag-thold", LLAMA_VALUE, NULL, "the cache has no holes", NULL},
    {"-b --batch-size", LLAMA_VALUE, NULL, OWN_BATCHES, NULL},
    {"-ub --ubatch-size", LLAMA_VALUE, NULL, OWN_BATCHES, NULL},
    {"-cb --cont-batching -nocb --no-cont-batching", LLAMA_FLAG, NULL, OWN_BATCHES, NULL},
    {"-tb --threads-batch", LLAMA_VALUE, NULL, "-t counts for prompts too", NULL},
    {"--numa", LLAMA_VALUE, NULL, PINNING, NULL},
    {"-C --cpu-mask -Cb --cpu-mask-batch", LLAMA_VALUE, NULL, PINNING, NULL},
    {"-Cr --cpu-range -Crb --cpu-range-batch", LLAMA_VALUE, NULL, PINNING, NULL},
    {"--cpu-strict --cpu-strict-batch", LLAMA_VALUE, NULL, PINNING, NULL},
    {"--prio --prio-batch", LLAMA_VALUE, NULL, PINNING, NULL},
    {"--poll --poll-batch", LLAMA_VALUE, NULL, "waiting threads sleep after a while", NULL},
    {"--warmup", LLAMA_FLAG, NULL, "nothing is run before the prompt", NULL},
    {"-w --no-warmup", LLAMA_FLAG, NULL, "nothing is run before the prompt", NULL},
    {"--n-gen-warmup --delay", LLAMA_VALUE, NULL, "every row is run once before it is measured",
     NULL},
    {"--progress", LLAMA_FLAG, NULL, "a terminal shows progress anyway", NULL},
    {"--perf --no-perf", LLAMA_FLAG, NULL, "-q leaves the figures out", NULL},
    {"-co --color", LLAMA_SWITCH, NULL, "the text is not coloured", NULL},
    {"--display-prompt", LLAMA_FLAG, NULL, "the prompt is shown anyway", NULL},
    {"--simple-io", LLAMA_FLAG, NULL, "there is no other kind", NULL},
    {"--no-escape", LLAMA_FLAG, NULL, "backslashes are text anyway", NULL},
    {"-no-cnv --no-conversation -st --single-turn", LLAMA_FLAG, NULL, NO_CHAT, NULL},
    {"--jinja --no-jinja --skip-chat-parsing --no-skip-chat-parsing", LLAMA_FLAG, NULL, NO_CHAT,
     NULL},
    {"--no-context-shift -no-context-shift", LLAMA_FLAG, NULL, NO_SHIFT, NULL},
    {"--keep", LLAMA_VALUE, NULL, NO_SHIFT, NULL},
    {"--offline", LLAMA_FLAG, NULL, "nothing is ever fetched", NULL},
    {"--log-colors", LLAMA_SWITCH, NULL, PLAIN_LOG, NULL},
    {"--log-prefix --no-log-prefix --log-timestamps --no-log-timestamps --no-log-jsonl", LLAMA_FLAG,
     NULL, PLAIN_LOG, NULL},

    /* ---- refused, with what stands here instead ---- */
    {"-hf -hfr --hf-repo", LLAMA_VALUE, NULL, "a model of Hugging Face", FETCH},
    {"-hff --hf-file", LLAMA_VALUE, NULL, "a file of Hugging Face", FETCH},
    {"-hft --hf-token", LLAMA_VALUE, NULL, "the key to Hugging Face", FETCH},
    {"-mu --model-url", LLAMA_VALUE, NULL, "a model's address", FETCH},
    {"-dr --docker-repo", LLAMA_VALUE, NULL, "a model of Docker Hub", FETCH},
    {"-cl --cache-list", LLAMA_FLAG, NULL, "the models fetched", "lookat info FILE shows one"},
    {"-cnv --conversation", LLAMA_FLAG, NULL, "conversations", NO_CHAT_HERE},
    {"-i --interactive", LLAMA_FLAG, NULL, "typing while it writes", NO_CHAT_HERE},
    {"-if --interactive-first", LLAMA_FLAG, NULL, "typing before it writes", "use lookat -i"},
    {"-mli --multiline-input", LLAMA_FLAG, NULL, "typing several lines",
     "with lookat -i a line that ends with \\ goes on"},
    {"-sys --system-prompt", LLAMA_VALUE, NULL, "a prompt in front of a conversation", ONE_TEXT},
    {"-sysf --system-prompt-file", LLAMA_VALUE, NULL, "a prompt in front of a conversation",
     ONE_TEXT},
    {"--in-prefix --in-suffix", LLAMA_VALUE, NULL, "text around what is typed", ONE_TEXT},
    {"--in-prefix-bos", LLAMA_FLAG, NULL, "a token before what is typed", ONE_TEXT},
    {"--chat-template --chat-template-file --chat-template-kwargs", LLAMA_VALUE, NULL,
     "the form of a conversation", ONE_TEXT},
    {"-rea --reasoning", LLAMA_SWITCH, NULL, "thinking in a conversation", NO_CHAT_HERE},
    {"--reasoning-format --reasoning-budget --reasoning-budget-message", LLAMA_VALUE, NULL,
     "thinking in a conversation", NO_CHAT_HERE},
    {"-e --escape", LLAMA_FLAG, NULL, "\\n and the like in the prompt",
     "write them with printf: printf 'a\\nb' | lookat -"},
    {"-bf --binary-file", LLAMA_VALUE, NULL, "a prompt of any bytes", "-f FILE takes any bytes"},
    {"--in-file", LLAMA_VALUE, NULL, "a file with text", "use -f FILE"},
    {"-np --parallel", LLAMA_VALUE, "1", "several sequences",
     "use --num-samples N for several continuations of one prompt"},
    {"-ns --sequences", LLAMA_VALUE, "1", "several sequences",
     "use --num-samples N for several continuations of one prompt"},
    {"--prompt-cache --session", LLAMA_VALUE, NULL, "a file that keeps the prompt's cache",
     NO_CACHE},
    {"--prompt-cache-all --prompt-cache-ro", LLAMA_FLAG, NULL,
     "a file that keeps the prompt's cache", NO_CACHE},
    {"--context-shift", LLAMA_FLAG, NULL, "going on beyond the context", "leave it out: " NO_SHIFT},
    {"-ptc --print-token-count", LLAMA_VALUE, "-1", "a count of tokens now and then",
     "the figures at the end have it"},
    {"--verbose-prompt", LLAMA_FLAG, NULL, "the prompt's tokens", "use lookat tokenize -v -p TEXT"},
    {"-lv --verbosity --log-verbosity", LLAMA_VALUE, NULL, "how much to say", "use -v or -q"},
    {"--log-verbose", LLAMA_FLAG, NULL, "say everything", "use -v"},
    {"--log-file", LLAMA_VALUE, NULL, "messages into a file", "use 2> FILE"},
    {"--log-jsonl", LLAMA_FLAG, NULL, "messages as JSON", "use -o jsonl for the text"},
    {"-oe --output-err", LLAMA_VALUE, NULL, "a second table on standard error",
     "use -o, and run it again for another form"},
    {"--samplers --sampler-seq --sampling-seq", LLAMA_VALUE, NULL, "the order of samplers",
     SAMPLERS},
    {"-l --logit-bias", LLAMA_VALUE, NULL, "likelier tokens", "--ignore-eos is the only one"},
    {"-bs --backend-sampling", LLAMA_FLAG, NULL, "sampling on a device", "leave it out: " NO_GPU},
    {"--grammar --grammar-file -j --json-schema -jf --json-schema-file", LLAMA_VALUE, NULL,
     "text of a form", "leave it out"},
    {"--presence-penalty --frequency-penalty", LLAMA_VALUE, "0", "rarer repetitions", PENALTY},
    {"--mirostat", LLAMA_VALUE, "0", "sampling of a steady surprise", SAMPLERS},
    {"--mirostat-lr --mirostat-ent", LLAMA_VALUE, NULL, "sampling of a steady surprise", SAMPLERS},
    {"--typical --typical-p", LLAMA_VALUE, "1", "sampling of typical tokens", SAMPLERS},
    {"--dynatemp-range", LLAMA_VALUE, "0", "a temperature that changes", "use --temp"},
    {"--dynatemp-exp", LLAMA_VALUE, "1", "a temperature that changes", "use --temp"},
    {"--xtc-probability", LLAMA_VALUE, "0", "leaving out top tokens", SAMPLERS},
    {"--xtc-threshold", LLAMA_VALUE, NULL, "leaving out top tokens", SAMPLERS},
    {"--top-nsigma --top-n-sigma", LLAMA_VALUE, "-1", "a limit in standard deviations", SAMPLERS},
    {"--tfs --tfs-z", LLAMA_VALUE, "1", "tail-free sampling", SAMPLERS},
    {"--adaptive-target --adaptive-decay", LLAMA_VALUE, NULL, "tokens near a probability",
     SAMPLERS},
    {"--dry-multiplier", LLAMA_VALUE, "0", "rarer repetitions", PENALTY},
    {"--dry-base --dry-allowed-length --dry-penalty-last-n --dry-sequence-breaker", LLAMA_VALUE,
     NULL, "rarer repetitions", PENALTY},
    {"--penalize-nl", LLAMA_FLAG, NULL, "rarer newlines", PENALTY},
    {"-gan --grp-attn-n", LLAMA_VALUE, "1", "groups in attention", GPT2_ONLY},
    {"-gaw --grp-attn-w", LLAMA_VALUE, NULL, "groups in attention", GPT2_ONLY},
    {"--rope-scaling --rope-freq-base --yarn-orig-ctx --yarn-ext-factor --yarn-attn-factor "
     "--yarn-beta-slow --yarn-beta-fast",
     LLAMA_VALUE, NULL, "positions by rotation", GPT2_ONLY},
    {"--rope-scale --rope-freq-scale", LLAMA_VALUE, "1", "positions by rotation", GPT2_ONLY},
    {"--override-kv", LLAMA_VALUE, NULL, "other facts than the file's",
     "change the file: lookat convert reads config.json"},
    {"--check-tensors", LLAMA_FLAG, NULL, "a check of the weights",
     "use lookat info --check-weights"},
    {"--lora --lora-scaled --lora-base", LLAMA_VALUE, NULL, "an adapter of the weights", SAVED},
    {"--control-vector --control-vector-scaled", LLAMA_VALUE, NULL, "a vector added to every layer",
     SAVED},
    {"-md --model-draft --draft-p-min --draft-p-split --spec-type", LLAMA_VALUE, NULL,
     "guesses of another model", "use --draft N, which proposes what followed earlier in the text"},
    {"--draft-min --draft-n-min", LLAMA_VALUE, "0", "a least number of guesses",
     "use --draft N, which proposes what is found"},
    {"-lcd --lookup-cache-dynamic", LLAMA_VALUE, NULL, "a file of n-grams that is written",
     "use --draft-from FILE, which reads a text"},
    {"-mm --mmproj --image --audio", LLAMA_VALUE, NULL, "pictures and sound",
     "GPT-2 reads text: use -p or -f"},
    {"--rpc", LLAMA_VALUE, NULL, "other machines",
     "lookat compare --chunks and --merge share work between machines"},
    {"--list-devices", LLAMA_FLAG, NULL, "the devices",
     "there is the CPU; lookat bench -o json names its kernels"},
    {"-ctkd --cache-type-k-draft -ctvd --cache-type-v-draft", LLAMA_VALUE, NULL,
     "the cache of another model", "leave it out: drafts come from the text itself (--draft)"},
    {"--embedding --embeddings --pooling --embd-normalize", LLAMA_FLAG, NULL, "embeddings",
     "lookat has generate, eval and compare"},
    {"--perplexity", LLAMA_FLAG, NULL, "perplexity", "use lookat eval -f TEXT"},
    {"--chunks", LLAMA_VALUE, "-1", "how many windows", "use -n N, in tokens"},
    {"--ppl-output-type", LLAMA_VALUE, "0", "the form of the output", "use -o json"},
    {"--kl-divergence", LLAMA_FLAG, NULL, "distance from another model's predictions",
     "use lookat compare, which measures backends of one model"},
    {"--kl-divergence-base --save-all-logits", LLAMA_VALUE, NULL, "a file with predictions",
     "use lookat compare, which needs none"},
    {"--hellaswag --winogrande --multiple-choice", LLAMA_FLAG, NULL,
     "questions with several answers",
     "lookat generate --echo --logprobs 1 -o json gives a text's probabilities"},
    {"--hellaswag-tasks --winogrande-tasks --multiple-choice-tasks", LLAMA_VALUE, NULL,
     "questions with several answers",
     "lookat generate --echo --logprobs 1 -o json gives a text's probabilities"},
    {"-pg", LLAMA_VALUE, NULL, "a prompt and a text in one row",
     "use -p N -n N, which make two rows"},
    {"-embd", LLAMA_SWITCH, NULL, "embeddings", "leave it out"},
    {"--completion-bash", LLAMA_FLAG, NULL, "completion for bash",
     "lookat help lists what there is"},
    {"--host --port --api-key", LLAMA_VALUE, NULL, "a server's address",
     "there is no server: call lookat generate -o json"},
    {0}};

/* As llama.cpp, an underscore in a long name is a dash. */
static bool same(const char *given, const char *name, size_t n) {
    bool is_long = n > 2 && name[0] == '-' && name[1] == '-';
    for (size_t i = 0; i < n; i++)
        if ((is_long && given[i] == '_' ? '-' : given[i]) != name[i]) return false;
    return true;
}

const struct llama_option *llama_find(const char *given, size_t n) {
    for (const struct llama_option *o = llama_options; o->names; o++)
        for (const char *name = o->names; *name;) {
            size_t len = strcspn(name, " ");
            if (len == n && same(given, name, n)) return o;
            name += len;
            name += *name == ' ';
        }
    return NULL;
}

bool llama_is_switch(const char *word) {
    static const char *const switches[] = {"on",       "off", "auto", "true", "false", "enabled",
                                           "disabled", "0",   "1",    "0,1",  "1,0"};
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
        if (strcmp(word, switches[i]) == 0) return true;
    return false;
}

bool llama_no_effect(const struct llama_option *o, const char *value) {
    char *end;
    if (!o->instead) return true;
    if (!o->neutral || !value || !*value) return false;
    double x = strtod(value, &end);
    return !*end && !(x < strtod(o->neutral, NULL)) && !(x > strtod(o->neutral, NULL));
}

const char *llama_command(const char *word) {
    static const struct {
        const char *word, *instead;
    } known[] = {
        {"quantize", "lookat convert --type q8_0 changes the number type"},
        {"perplexity", "lookat eval measures perplexity"},
        {"ppl", "lookat eval measures perplexity"},
        {"run", "lookat -p TEXT, or lookat generate, continues a text"},
        {"cli", "lookat -p TEXT, or lookat generate, continues a text"},
        {"completion", "lookat -p TEXT, or lookat generate, continues a text"},
        {"complete", "lookat -p TEXT, or lookat generate, continues a text"},
        {"chat", "there are no conversations: lookat -p TEXT continues a text"},
        {"serve", "there is no server: lookat generate -o json is for programs"},
        {"server", "there is no server: lookat generate -o json is for programs"},
        {"embed", "there are no embeddings: lookat help lists the commands"},
        {"embedding", "there are no embeddings: lookat help lists the commands"},
        {"detokenize", "lookat tokenize --decode IDS turns ids into text"},
        {"decode", "lookat tokenize --decode IDS turns ids into text"},
        {"pull", "nothing is fetched: -m names a file; ./run.sh gpt2 fetches GPT-2"},
        {"show", "lookat info shows what a model holds"},
        {"list", "-m names a model's file, and lookat info shows what it holds"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(word, known[i].word) == 0) return known[i].instead;
    return NULL;
}
