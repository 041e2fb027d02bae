#include "report/generation_out.h"

#include <errno.h>
#include <string.h>

#include "base/utf8.h"
#include "report/cut_out.h"
#include "report/model_out.h"
#include "report/text.h"

int generation_out_open(struct generation_out *o, size_t limit, struct err *e) {
    o->samples = arena_zalloc(o->arena, o->n_samples, sizeof *o->samples);
    o->echoed.steps = arena_alloc(o->arena, o->n_prompt, sizeof *o->echoed.steps);
    bool ok = o->samples && o->echoed.steps;
    for (size_t i = 0; ok && i < o->n_samples; i++) {
        o->samples[i].steps = arena_alloc(o->arena, limit, sizeof *o->samples[i].steps);
        ok = o->samples[i].steps != NULL;
    }
    return ok ? OK
              : err_set(e, ERR_FAILED, "out of memory for %zu samples of %zu tokens", o->n_samples,
                        limit);
}

/* ---- text ---- */

static void put(struct generation_out *o, const uint8_t *s, size_t n) {
    o->wrote = o->wrote || n > 0;
    if (!o->hold_utf8) {
        fwrite(s, 1, n, o->fp);
        return;
    }
    for (size_t i = 0; i < n; i++) { /* a token at a time: a few bytes */
        o->held[o->n_held++] = s[i];
        if (o->n_held < sizeof o->held && utf8_unfinished(o->held, o->n_held)) continue;
        fwrite(o->held, 1, o->n_held, o->fp);
        o->n_held = 0;
    }
}

static void put_token(struct generation_out *o, int32_t id) {
    if (!o->bpe) {
        fprintf(o->fp, "%s%d", o->wrote ? " " : "", id);
        o->wrote = true;
        return;
    }
    size_t n;
    const uint8_t *s = bpe_token(o->bpe, id, &n);
    if (bpe_is_hidden(o->bpe, id) && !o->show_special) return;
    put(o, s, n);
}

static void flush_held(struct generation_out *o) {
    fwrite(o->held, 1, o->n_held, o->fp);
    o->n_held = 0;
}

void generation_out_prompt(struct generation_out *o) {
    if (o->format != GENERATION_TEXT || o->n_samples > 1 || !o->show_prompt) return;
    for (size_t i = 0; i < o->n_prompt; i++) put_token(o, o->prompt[i]);
    fflush(o->fp);
}

/* Several samples cannot stream side by side: they are written one after the other when all are
 * done. */
static void write_samples(struct generation_out *o) {
    for (size_t i = 0; i < o->n_samples; i++) {
        fprintf(o->fp, "%s--- sample %zu of %zu ---\n", i ? "\n" : "", i + 1, o->n_samples);
        o->wrote = false;
        for (size_t t = 0; o->show_prompt && t < o->n_prompt; t++) put_token(o, o->prompt[t]);
        for (size_t t = 0; t < o->samples[i].n; t++) put_token(o, o->samples[i].steps[t].id);
        flush_held(o);
        fputc('\n', o->fp);
    }
}

/* ---- JSON ---- */

static void write_top(struct json_out *j, const struct kept_step *s) {
    if (!s->has_logprob) return;
    json_put_float(j, "logprob", (float)s->logprob);
    json_put_array(j, "top");
    for (size_t i = 0; i < s->n_top; i++) {
        json_put_array(j, NULL);
        json_put_int(j, NULL, s->top[i].id);
        json_put_float(j, NULL, s->top[i].logit);
        json_put_close(j);
    }
    json_put_close(j);
}

static void write_steps(struct json_out *j, const struct kept_sample *s) {
    json_put_array(j, "steps");
    for (size_t i = 0; i < s->n; i++) {
        json_put_object(j, NULL);
        json_put_int(j, "id", s->steps[i].id);
        write_top(j, &s->steps[i]);
        json_put_close(j);
    }
    json_put_close(j);
}

/* "text" and "ids" of n tokens; `ids` may be scattered over steps. */
static void write_tokens(struct generation_out *o, struct json_out *j, const int32_t *ids,
                         size_t n) {
    if (o->bpe) {
        size_t bytes = 0, len;
        for (size_t i = 0; i < n; i++) bpe_token(o->bpe, ids[i], &len), bytes += len;
        char *text = arena_alloc(o->arena, bytes, 1), *at = text;
        for (size_t i = 0; text && i < n; i++) {
            const uint8_t *s = bpe_token(o->bpe, ids[i], &len);
            if (bpe_is_hidden(o->bpe, ids[i]) && !o->show_special) continue;
            memcpy(at, s, len);
            at += len;
        }
        json_put_text(j, "text", text, (size_t)(at - text));
    } else {
        json_put_null(j, "text");
    }
    json_put_ids(j, "ids", ids, n);
}

static double rate(size_t n, double seconds) { return seconds > 0 ? (double)n / seconds : 0; }

/* Tokens of the prompt that went through the model. */
static size_t prefilled(const struct generation_stats *s) { return s->prompt_tokens - s->held; }

static void write_object(struct generation_out *o, const struct generation_figures *f) {
    struct json_out j;
    json_put_begin(&j, o->fp);
    json_put_object(&j, NULL);
    json_put_cstr(&j, "schema", "lookat.generate/1");
    json_put_model(&j, "model", o->model, NULL);
    json_put_cstr(&j, "attn", o->attn);
    json_put_uint(&j, "seed", o->seed);
    json_put_object(&j, "prompt");
    write_tokens(o, &j, o->prompt, o->n_prompt);
    if (o->echoed.n) write_steps(&j, &o->echoed);
    json_put_close(&j);
    json_put_array(&j, "samples");
    for (size_t i = 0; i < o->n_samples; i++) {
        const struct kept_sample *s = &o->samples[i];
        int32_t *ids = arena_alloc(o->arena, s->n, sizeof *ids);
        for (size_t t = 0; ids && t < s->n; t++) ids[t] = s->steps[t].id;
        json_put_object(&j, NULL);
        write_tokens(o, &j, ids, ids ? s->n : 0);
        json_put_cstr(&j, "stop", s->stop);
        if (o->logprobs) write_steps(&j, s);
        json_put_close(&j);
    }
    json_put_close(&j);
    json_put_object(&j, "stats");
    json_put_double(&j, "load_s", f->load_s);
    json_put_uint(&j, "prefill_tokens", prefilled(&f->run));
    json_put_double(&j, "prefill_tokens_per_s", rate(prefilled(&f->run), f->run.prefill_s));
    json_put_double(&j, "decode_tokens_per_s", rate(f->run.tokens, f->run.decode_s));
    json_put_uint(&j, "peak_bytes", f->peak_bytes);
    json_put_uint(&j, "stored_bytes_per_token", f->stored_bytes_per_token);
    json_put_int(&j, "threads", f->threads);
    json_put_cstr(&j, "kernels", f->kernels);
    json_put_cstr(&j, "effective_attn", o->effective);
    json_put_uint(&j, "decode_steps", f->run.steps);
    json_put_uint(&j, "draft_proposed", f->run.proposed);
    json_put_uint(&j, "draft_kept", f->run.kept);
    json_put_cut(&j, f->cut, o->model->weights.config.n_layer);
    json_put_close(&j);
    json_put_close(&j);
}

static void write_step_line(struct generation_out *o, const struct generation_step *step,
                            const struct kept_step *kept, size_t number) {
    struct json_out j;
    size_t n;
    json_put_begin(&j, o->fp);
    json_put_object(&j, NULL);
    json_put_cstr(&j, "schema", "lookat.step/1");
    if (step->prompt)
        json_put_bool(&j, "prompt", true);
    else
        json_put_uint(&j, "sample", step->sample);
    json_put_uint(&j, "step", number);
    json_put_int(&j, "id", step->id);
    if (o->bpe) {
        const uint8_t *s = bpe_token(o->bpe, step->id, &n);
        json_put_text(&j, "text", s, n);
    }
    write_top(&j, kept);
    json_put_close(&j);
}

/* ---- events ---- */

/* errno is 0 before the writing that this is asked about. */
static int check_written(const struct generation_out *o, struct err *e) {
    if (!ferror(o->fp)) return OK;
    return err_set(e, ERR_FAILED, "cannot write to standard output: %s",
                   errno ? strerror(errno) : "write error");
}

static int keep(struct generation_out *o, struct kept_sample *to,
                const struct generation_step *step, struct err *e) {
    struct kept_step *kept = &to->steps[to->n++];
    *kept = (struct kept_step){.id = step->id,
                               .has_logprob = step->has_logprob,
                               .logprob = step->logprob,
                               .n_top = step->n_top};
    if (!step->n_top) return OK;
    kept->top = arena_alloc(o->arena, step->n_top, sizeof *kept->top);
    if (!kept->top) return err_set(e, ERR_FAILED, "out of memory for the log-probabilities");
    memcpy(kept->top, step->top, step->n_top * sizeof *kept->top);
    return OK;
}

int generation_out_step(void *ctx, const struct generation_step *step, struct err *e) {
    struct generation_out *o = ctx;
    struct kept_sample *to = step->prompt ? &o->echoed : &o->samples[step->sample];
    int rc = keep(o, to, step, e);
    if (rc) return rc;
    errno = 0;
    if (o->format == GENERATION_JSONL)
        write_step_line(o, step, &to->steps[to->n - 1], to->n - 1);
    else if (o->format == GENERATION_TEXT && o->n_samples == 1 && !step->prompt)
        put_token(o, step->id);
    if (o->format != GENERATION_JSON && o->n_samples == 1) fflush(o->fp);
    return check_written(o, e);
}

void generation_out_stopped(void *ctx, uint32_t sample, enum generation_stop why) {
    struct generation_out *o = ctx;
    o->samples[sample].stop = why == STOP_EOS     ? "eos"
                              : why == STOP_ASKED ? "reverse-prompt"
                              : o->full_context   ? "context"
                                                  : "length";
}

int generation_out_close(struct generation_out *o, const struct generation_figures *f,
                         struct err *e) {
    errno = 0;
    if (o->format != GENERATION_TEXT) {
        write_object(o, f);
    } else if (o->n_samples > 1) {
        write_samples(o);
    } else {
        flush_held(o);
        if (o->hold_utf8 || !o->bpe || o->end_line)
            fputc('\n', o->fp); /* the shell's prompt starts on a line of its own */
    }
    fflush(o->fp);
    return check_written(o, e);
}

void generation_print_figures(FILE *fp, const struct generation_figures *f, const char *attn,
                              uint64_t seed) {
    fprintf(fp, "load %.3f s, prefill %s at %.0f tokens/s", f->load_s,
            text_plural(prefilled(&f->run), "token").s, rate(prefilled(&f->run), f->run.prefill_s));
    if (f->run.held) fprintf(fp, " behind %zu held", f->run.held);
    fprintf(fp, ", decode %s at %.1f tokens/s, peak memory %s\n",
            text_plural(f->run.tokens, "token").s, rate(f->run.tokens, f->run.decode_s),
            text_bytes(f->peak_bytes).s);
    fprintf(fp, "attention %s, %s bytes of cache per token, seed %llu, kernels %s, %d thread%s",
            attn, text_count(f->stored_bytes_per_token).s, (unsigned long long)seed, f->kernels,
            f->threads, f->threads == 1 ? "" : "s");
    if (f->run.drafts && f->run.steps)
        fprintf(fp, ", drafts: %zu of %zu proposed tokens kept, %.2f tokens a step", f->run.kept,
                f->run.proposed, (double)f->run.decoded / (double)f->run.steps);
    fputc('\n', fp);
}
