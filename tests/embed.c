/* A program that has lookat inside of it: the example of lookat.h. It writes what
 *
 *     lookat -m MODEL -a ATTENTION -s SEED -n N -p PROMPT -q
 *
 * writes, and on standard error what the cache cost. It is C11 and C++ at once.
 *
 *     cc embed.c $(pkg-config --cflags --libs lookat) -o embed
 *     ./embed MODEL ATTENTION SEED N PROMPT
 *
 * MODEL may be - for the model that is found without a name. */
#include <lookat.h>

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the program holds, so that one function can close it. */
struct embed {
    lookat_model *model;
    lookat_session *session;
    lookat_sampler *sampler;
    int32_t *ids;
    size_t n; /* tokens of the prompt */
    lookat_error error;
};

static int finish(struct embed *x, int status) {
    if (status) fprintf(stderr, "embed: %s\n", x->error.text);
    free(x->ids);
    lookat_sampler_close(x->sampler);
    lookat_session_close(x->session);
    lookat_close(x->model);
    return status;
}

/* Sets x->ids to the tokens of a text. An empty text has none: the model's start token is its
 * beginning. */
static int read_prompt(struct embed *x, const char *text) {
    size_t room = strlen(text) + 1;
    lookat_facts facts;
    x->ids = (int32_t *)malloc(room * sizeof *x->ids);
    if (!x->ids) {
        strcpy(x->error.text, "out of memory");
        return 1;
    }
    if (lookat_tokenize(x->model, text, strlen(text), 0, x->ids, room, &x->n, &x->error)) return 1;
    lookat_model_facts(x->model, &facts);
    if (x->n == 0) x->ids[x->n++] = facts.start_token;
    return 0;
}

static int open_all(struct embed *x, char **argv) {
    lookat_setup setup;
    lookat_sampling sampling = lookat_sampling_default();
    const char *path = strcmp(argv[1], "-") == 0 ? NULL : argv[1];
    memset(&setup, 0, sizeof setup);
    setup.attention = argv[2];
    sampling.seed = strtoull(argv[3], NULL, 10);
    if (lookat_open(&x->model, path, NULL, &x->error)) return 1;
    if (lookat_session_open(&x->session, x->model, &setup, &x->error)) return 1;
    return lookat_sampler_open(&x->sampler, x->model, &sampling, &x->error);
}

/* Writes up to n tokens behind the prompt, as they come. */
static int tell(struct embed *x, size_t n) {
    lookat_facts facts;
    lookat_model_facts(x->model, &facts);
    if (lookat_step(x->session, 0, x->ids, x->n, NULL, &x->error)) return 1;
    while (n-- > 0) {
        char text[256];
        size_t bytes;
        int32_t id = lookat_sample(x->sampler, x->session, 0);
        if (id == facts.end_token) break;
        if (lookat_detokenize(x->model, &id, 1, 0, text, sizeof text, &bytes, &x->error)) return 1;
        fwrite(text, 1, bytes < sizeof text ? bytes : sizeof text, stdout);
        fflush(stdout);
        if (n > 0 && lookat_step(x->session, 0, &id, 1, NULL, &x->error)) return 1;
    }
    return 0;
}

int main(int argc, char **argv) {
    struct embed x;
    lookat_counters cost;
    memset(&x, 0, sizeof x);
    setlocale(LC_ALL, ""); /* as many programs do; the library reads numbers as C has them */
    if (argc != 6) {
        fprintf(stderr, "usage: embed MODEL ATTENTION SEED N PROMPT (lookat %s)\n",
                lookat_version());
        return 2;
    }
    if (open_all(&x, argv) || read_prompt(&x, argv[5])) return finish(&x, 1);
    fputs(argv[5], stdout);
    if (tell(&x, (size_t)strtoull(argv[4], NULL, 10))) return finish(&x, 1);
    lookat_session_counters(x.session, &cost);
    fprintf(stderr, "%s: %lu tokens, %.0f bytes stored, %.0f streamed, %.0f at hand\n",
            lookat_attention(x.session), (unsigned long)lookat_length(x.session, 0),
            (double)cost.stored, (double)cost.streamed, (double)cost.at_hand);
    return finish(&x, 0);
}
