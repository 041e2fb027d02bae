/* The lines of a share, each described once for both directions: the same function writes a line
 * and reads it, so that the two cannot disagree about a field, its place or its type. What may be
 * in which share, and what adds up, is for compare_share.c (which writes) and compare_merge.c
 * (which reads) to say. schema.md lists the fields.
 *
 * A file of shares:
 *     {"schema", share, of, lines, file, name, book, texts, "setup":{...}}       share_head, _setup
 *     {"run", text, chunk, n, decoded, ...}     one for each run and chunk      share_chunk_*
 *     {"free", text, first_difference, ...}     one for each run and text       share_free_*
 *
 * Everything that is read is untrusted: a description returns false at the first thing that does
 * not belong there, with the reason in in->error. */
#ifndef LOOKAT_REPORT_SHARE_FIELDS_H
#define LOOKAT_REPORT_SHARE_FIELDS_H

#include "base/json.h"
#include "report/compare_out.h"
#include "report/json_out.h"

/* The direction: exactly one of out and in is set. */
struct share_fields {
    struct json_out *out; /* writes a line that json_put_begin began */
    struct json *in;      /* reads it, from before its first byte */
    struct arena *arena;  /* reading: where strings and arrays go */
};

/* Which share it is, and the paths, which may differ from machine to machine. */
struct share_head {
    uint64_t number, of, lines;
    const char *file, *name, *book;
    struct comparison_text *texts; /* [n_texts] only .file */
    size_t n_texts;
};

/* Opens the line and describes it as far as "setup", whose value comes next. */
bool share_head(const struct share_fields *f, struct share_head *h);

/* The value of "setup": all that two shares must have in common, so that they may be compared byte
 * by byte. Reading needs c->texts[c->n_texts] from the head and makes c->runs without titles; an
 * r->book that it makes has no file. */
bool share_setup(const struct share_fields *f, struct compare_report *r, struct comparison *c);

/* Closes a line: nothing may follow. */
bool share_end_line(const struct share_fields *f);

/* A chunk: which it is, then what was measured. `forced`: it has predictions. A chunk that is read
 * has no room before: all arrays are made. */
bool share_chunk_place(const struct share_fields *f, size_t *run, size_t *text, size_t *chunk);
bool share_chunk(const struct share_fields *f, const struct gpt2_config *g, bool forced,
                 struct comparison_chunk *x);

/* A free text: which it is, then the text. */
bool share_free_place(const struct share_fields *f, size_t *run, size_t *text);
bool share_free(const struct share_fields *f, struct compare_free *x);

#endif
