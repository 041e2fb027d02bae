/* generate -i: lines are read, and the model goes on behind each of them. The text so far stays in
 * the cache, so that only new tokens run.
 *
 *     text      Once upon a time|, there was a cat.|  The cat|  sat on a mat.|
 *               line 0           answer 0          line 1   answer 1
 *     turn 0    begin = 0, answer = 4
 *     turn 1    begin = 10,                        answer = 13                    (in tokens)
 *
 * A turn is a line and its answer. Turn i draws from stream i of its seed, so an answer that is
 * taken back and made once more, with another backend or the same, has the same random numbers. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attention/spec.h"
#include "base/interrupt.h"
#include "cli/generate.h"
#include "cli/lines.h"
#include "base/suggest.h"
#include "report/cut_out.h"

struct turn {
    size_t begin, answer; /* tokens before the line, and before the answer */
    uint64_t seed;
};

struct interactive {
    struct generate_job *job;
    struct generate_session *x; /* one of the two below: the other is for a change of backend */
    struct generate_session sessions[2];
    int32_t *ids; /* [n_ctx] the text, of n tokens */
    size_t n;
    size_t held;        /* the first tokens of it that the session has too */
    struct turn *turns; /* [n_turns], with room for n_ctx of them */
    size_t n_turns;
    uint64_t seed;
    struct lines lines;
    uint8_t *line; /* [n_line] the line that was read: several lines where they end with \ */
    size_t n_line, room;
    struct generation_figures last; /* of the last answer, where threads is not 0 */
    bool terminal;                  /* somebody types */
};

#define FULL "the context of %zu tokens is full; /undo takes back the last line and its answer"

/* A line on standard error that is no error; nothing with -q. */
#define SAY(t, ...) ((t)->job->args->quiet ? 0 : fprintf(stderr, "lookat: " __VA_ARGS__))

/* ---- answers ---- */

/* The beginning of the text that the session has is kept, as far as the backend can take back what
 * is behind it, and as at least one token must run. */
static void rewind_to_text(struct interactive *t, size_t n) {
    size_t keep = t->held < n ? t->held : n - 1;
    if (!gpt2_rewinds(&t->x->s, 0, (uint32_t)keep)) keep = 0;
    gpt2_rewind(&t->x->s, 0, (uint32_t)keep);
    t->held = keep;
}

/* Adds what was written to the text, and says why it ended where that is not what a reader
 * expects. */
static void take_answer(struct interactive *t, const struct writing *w) {
    const struct kept_sample *answer = &w->out.samples[0];
    const size_t stored = t->x->s.length[0];
    for (size_t i = 0; i < answer->n; i++) t->ids[t->n++] = answer->steps[i].id;
    /* The last token was not run, and proposals behind the text may have been. */
    t->held = stored < t->n ? stored : answer->n ? t->n - 1 : t->n;
    t->last = w->figures;
    t->last.cut = NULL; /* it goes with the arena */
    if (!answer->stop) return;
    if (strcmp(answer->stop, "context") == 0)
        SAY(t, FULL "\n", t->job->n_ctx);
    else if (strcmp(answer->stop, "eos") == 0 && !answer->n)
        SAY(t, "the model ends the text here\n");
}

/* Writes the answer of the last turn, behind the text. Ctrl-C stops it, and is forgotten then. */
static int answer(struct interactive *t, struct err *e) {
    struct arena arena = {0};
    struct generate_prompt p = {.ids = t->ids, .n = t->n, .stream = t->n_turns - 1};
    struct writing w = {.job = t->job,
                        .s = &t->x->s,
                        .prompt = &p,
                        .format = GENERATION_TEXT,
                        .show_progress = !t->job->args->quiet,
                        .end_line = true,
                        .arena = &arena};
    t->job->seed = t->turns[t->n_turns - 1].seed;
    rewind_to_text(t, t->n);
    p.held = t->held;
    int rc = generate_plan(t->job, &p, e);
    if (!rc) {
        rc = writing_close(&w, writing_run(&w, e), e);
        if (w.out.samples && w.figures.cut) {
            take_answer(t, &w);
            if (!t->job->args->quiet)
                cut_warn(stderr, t->x->s.attn.name, w.figures.cut, t->x->s.attn.shape.n_layer);
        }
        watch_close(&w.watch);
    }
    arena_free(&arena);
    if (rc == ERR_INTERRUPTED && interrupt_forget()) rc = OK;
    return rc;
}

/* The line that was read goes behind the text, and is answered. What does not fit is left out, and
 * that is said. */
static int take_line(struct interactive *t, struct err *e) {
    struct arena arena = {0};
    struct generate_prompt p = {0};
    const size_t room = t->job->n_ctx - t->n;
    int rc = OK;
    if (t->n_line || !t->n) rc = generate_encode(t->job, t->line, t->n_line, &arena, &p, e);
    if (t->n) generate_drop_start(t->job, &p);
    if (!rc && room == 0)
        rc = err_set(e, ERR_USAGE, FULL, t->job->n_ctx);
    else if (!rc && p.n > room)
        rc = err_set(e, ERR_USAGE,
                     "the line has %s, and the context of %zu has room for %zu; /undo takes back "
                     "the last line and its answer",
                     text_plural(p.n, "token").s, t->job->n_ctx, room);
    if (!rc) {
        t->turns[t->n_turns++] =
            (struct turn){.begin = t->n, .answer = t->n + p.n, .seed = t->seed};
        memcpy(t->ids + t->n, p.ids ? p.ids : t->ids, p.n * sizeof *t->ids);
        t->n += p.n;
        rc = answer(t, e);
        /* Nothing came, and nothing was said: this is no turn. */
        if (t->n == t->turns[t->n_turns - 1].begin) t->n_turns--;
    } else if (rc == ERR_USAGE || rc == ERR_REFUSED) {
        fprintf(stderr, "lookat: %s\n", e->msg);
        rc = OK;
    }
    arena_free(&arena);
    return rc;
}

/* ---- commands ---- */

/* The end of the text, for somebody who has lost the thread. */
static void say_end(const struct interactive *t) {
    enum { TOKENS = 12 };
    size_t len;
    if (t->job->args->quiet) return;
    if (!t->n) {
        SAY(t, "the text is empty\n");
        return;
    }
    SAY(t, "the text ends with: ");
    for (size_t i = t->n > TOKENS ? t->n - TOKENS : 0; i < t->n; i++) {
        const uint8_t *s = bpe_token(t->job->g.bpe, t->ids[i], &len);
        text_escaped(stderr, s, len);
    }
    fputc('\n', stderr);
}

static int undo(struct interactive *t, const char *unused, struct err *e) {
    (void)unused, (void)e;
    if (!t->n_turns) {
        fprintf(stderr, "lookat: /undo: there is nothing to take back\n");
        return OK;
    }
    t->n = t->turns[--t->n_turns].begin;
    if (t->held > t->n) t->held = t->n;
    say_end(t);
    return OK;
}

/* Switches the backend, and makes the last answer again. A spec that cannot be had changes nothing.
 * The text before it is run under the new backend. */
static int attn(struct interactive *t, const char *spec, struct err *e) {
    if (!*spec) {
        fprintf(stderr, "lookat: attention %s; /attn SPEC switches it (lookat help attn)\n",
                t->x->s.attn.name);
        return OK;
    }
    struct generate_session *next = &t->sessions[t->x == t->sessions];
    const char *kept = arena_copy(&t->job->g.arena, spec, strlen(spec));
    int rc = kept ? OK : err_set(e, ERR_FAILED, "out of memory");
    if (!rc && kept[spec_first(kept)])
        rc = err_set(e, ERR_USAGE, "/attn %.60s: one backend at a time", kept);
    if (!rc) rc = generate_open(next, t->job, kept, t->job->n_ctx, e);
    if (rc == ERR_INTERRUPTED) return rc;
    if (rc) {
        fprintf(stderr, "lookat: %s\n", e->msg);
        return OK;
    }
    generate_close(t->x);
    t->x = next;
    t->held = 0;
    SAY(t, "attention %s\n", next->s.attn.name);
    if (!t->n_turns) return OK;
    t->n = t->turns[t->n_turns - 1].answer;
    return answer(t, e);
}

static int seed(struct interactive *t, const char *value, struct err *e) {
    (void)e;
    size_t digits = strspn(value, "0123456789");
    if (*value && (value[digits] || digits > 19))
        fprintf(stderr, "lookat: /seed: expected a whole number of up to 19 digits, got '%.60s'\n",
                value);
    else if (*value)
        t->seed = strtoull(value, NULL, 10);
    if (!*value) fprintf(stderr, "lookat: seed %llu\n", (unsigned long long)t->seed);
    return OK;
}

static int stats(struct interactive *t, const char *unused, struct err *e) {
    (void)unused, (void)e;
    if (t->last.threads)
        generation_print_figures(stderr, &t->last, t->x->s.attn.name, t->job->seed);
    fprintf(stderr, "context: %zu of %zu tokens, %s\n", t->n, t->job->n_ctx,
            text_plural(t->n_turns, "line").s);
    return OK;
}

static int help(struct interactive *t, const char *unused, struct err *e);

enum { QUIT = -1 };
static int quit(struct interactive *t, const char *unused, struct err *e) {
    (void)t, (void)unused, (void)e;
    return QUIT;
}

static const struct {
    const char *name, *value, *help;
    int (*run)(struct interactive *t, const char *value, struct err *e);
} commands[] = {
    {"attn", " SPEC", "switch the attention backend, and make the last answer again", attn},
    {"undo", "", "take back the last line and its answer", undo},
    {"seed", " N", "the seed of the lines that come", seed},
    {"stats", "", "figures of the last answer, and how full the context is", stats},
    {"help", "", "these lines", help},
    {"quit", "", "end, as the end of input does", quit},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static int help(struct interactive *t, const char *unused, struct err *e) {
    (void)t, (void)unused, (void)e;
    fputs(
        "A line goes behind the text as it is, and the model goes on. An empty line lets it go on\n"
        "alone. Where a line ends with \\, a newline and the next line belong to it. A line that\n"
        "begins with / is a command; Ctrl-C stops an answer.\n",
        stderr);
    for (size_t i = 0; i < N_COMMANDS; i++) {
        int n = fprintf(stderr, "  /%s%s", commands[i].name, commands[i].value);
        fprintf(stderr, "%*s%s\n", 15 - n, "", commands[i].help);
    }
    return OK;
}

/* The line is /NAME or /NAME VALUE, in which spaces around the value do not count. */
static int command(struct interactive *t, struct err *e) {
    char *name = (char *)t->line + 1, *value, *end = (char *)t->line + t->n_line;
    struct suggestion near = {0};
    while (end > name && strchr(" \t\r", end[-1])) end--;
    *end = 0;
    value = name + strcspn(name, " \t");
    if (*value) *value++ = 0;
    value += strspn(value, " \t");
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) return commands[i].run(t, value, e);
        suggest(&near, name, commands[i].name, strlen(commands[i].name));
    }
    fprintf(stderr, "lookat: there is no command /%.40s", name);
    fprintf(stderr, near.word[0] ? "; did you mean /%s?\n" : "%s; /help lists them\n", near.word);
    return OK;
}

/* ---- lines ---- */

/* Adds the line that was read to t->line, with room for a newline and an end behind it. */
static bool append(struct interactive *t) {
    size_t need = t->n_line + t->lines.n + 2;
    if (need > t->room) {
        uint8_t *more = realloc(t->line, 2 * need);
        if (!more) return false;
        t->line = more;
        t->room = 2 * need;
    }
    memcpy(t->line + t->n_line, t->lines.line, t->lines.n);
    t->n_line += t->lines.n;
    return true;
}

/* Waits until a line was typed. A Ctrl-C that comes just before a read would not end it, so the
 * wait looks up now and then. */
static void wait_for_line(void) {
    enum { MILLISECONDS = 200 };
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    while (!interrupt_pending() && poll(&p, 1, MILLISECONDS) <= 0) {}
}

/* Reads a line, and those that belong to it. A text of more bytes than the context has room for
 * ends it: it will be refused whole. */
static int read_line(struct interactive *t, bool *got, struct err *e) {
    const size_t most = generate_too_many_bytes(t->job);
    bool more = true;
    t->n_line = 0;
    for (*got = false; more;) {
        if (t->terminal) {
            fputs(*got ? ". " : "> ", stderr);
            wait_for_line();
            if (interrupt_pending()) return err_set(e, ERR_INTERRUPTED, "interrupted");
        }
        int rc = lines_next(&t->lines, most, &more, e);
        if (rc || !more) return rc;
        *got = true;
        if (!append(t)) return err_set(e, ERR_FAILED, "out of memory for a line");
        more = t->n_line && t->line[t->n_line - 1] == '\\' && t->n_line < most;
        if (more) t->line[t->n_line - 1] = '\n';
    }
    return OK;
}

/* Until the end of input, or a command ends it. */
static int converse(struct interactive *t, struct err *e) {
    for (;;) {
        bool got;
        int rc = read_line(t, &got, e);
        if ((rc || !got) && t->terminal) fputc('\n', stderr);
        if (rc == ERR_INTERRUPTED) e->msg[0] = 0; /* the user knows */
        if (rc || !got) return rc;
        rc = t->n_line && t->line[0] == '/' ? command(t, e) : take_line(t, e);
        if (rc) return rc == QUIT ? OK : rc;
    }
}

/* The text of the command line is the first line; that of --load-state comes before it. */
static int first_line(struct interactive *t, const struct generate_prompt *p,
                      const struct state_file *kept, struct err *e) {
    int rc = kept_restore(kept, t->job, &t->x->s, e);
    if (rc || !p->n) return rc;
    t->held = p->held;
    memcpy(t->ids, p->ids, p->n * sizeof *t->ids);
    t->n = p->n;
    t->turns[t->n_turns++] = (struct turn){.begin = 0, .answer = t->n, .seed = t->seed};
    return answer(t, e);
}

int generate_interactive(struct generate_job *j, const struct generate_prompt *first,
                         const struct state_file *kept, struct err *e) {
    const size_t n_ctx = j->n_ctx;
    struct interactive t = {.job = j,
                            .seed = j->seed,
                            .ids = arena_alloc(&j->g.arena, n_ctx, sizeof *t.ids),
                            .turns = arena_alloc(&j->g.arena, n_ctx, sizeof *t.turns),
                            .terminal = isatty(STDIN_FILENO) && isatty(STDERR_FILENO)};
    t.x = t.sessions;
    if (!t.ids || !t.turns) return err_set(e, ERR_FAILED, "out of memory for the text");
    int rc = lines_open(&t.lines, "-", true, e);
    if (!rc) rc = generate_open(t.x, j, args_attn(j->args), n_ctx, e);
    if (rc) return rc;
    if (t.terminal)
        SAY(&t,
            "type the beginning of a text, and the model goes on; /help explains, Ctrl-D ends\n");
    rc = first_line(&t, first, kept, e);
    if (!rc) rc = converse(&t, e);
    generate_close(t.x);
    lines_close(&t.lines);
    free(t.line);
    return rc;
}
