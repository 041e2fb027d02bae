#include "report/compare_table.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/printable.h"

void page_heading(const struct page *p, int level, const char *fmt, ...) {
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    printable(text);
    if (p->markdown) {
        fprintf(p->fp, "\n%s %s\n\n", level == 1 ? "##" : "###", text);
        return;
    }
    fprintf(p->fp, "\n%s", level == 1 ? "== " : "");
    text_wrap(p->fp, text, level == 1 ? 3 : 0, 0);
}

void page_line(const struct page *p, const char *fmt, ...) {
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    printable(text);
    if (p->markdown)
        fprintf(p->fp, "\n%s\n", text);
    else
        text_wrap(p->fp, text, 0, 0);
}

static void markdown_cell(FILE *fp, const char *s) {
    fputs(" ", fp);
    for (; *s; s++) fprintf(fp, *s == '|' ? "\\|" : "%c", *s);
    fputs(" |", fp);
}

int page_table(const struct page *p, const struct text_table *t, struct err *e) {
    if (!p->markdown) return table_print(t, p->fp, e);
    if (t->failed) return err_set(e, ERR_FAILED, "out of memory for a table");
    size_t columns = strlen(t->align);
    for (size_t i = 0; i < t->n; i++) {
        if (i % columns == 0) fputc('|', p->fp);
        markdown_cell(p->fp, t->cells[i]);
        if ((i + 1) % columns) continue;
        fputc('\n', p->fp);
        if (i + 1 != columns) continue;
        fputc('|', p->fp);
        for (size_t c = 0; c < columns; c++)
            fputs(t->align[c] == 'r' ? " ---: |" : " --- |", p->fp);
        fputc('\n', p->fp);
    }
    return OK;
}

static int number_text(char out[32], double x) {
    if (!isfinite(x)) return snprintf(out, 32, "%s", isnan(x) ? "NaN" : x < 0 ? "-inf" : "inf");
    return snprintf(out, 32,
                    x != 0 && fabs(x) < 5e-5 ? "%.1e"
                    : fabs(x) >= 1000        ? "%.1f"
                                             : "%.4f",
                    x);
}

void cell_number(struct text_table *t, double x) {
    char s[32];
    number_text(s, x);
    table_cell(t, "%s", s);
}

void cell_pair(struct text_table *t, double mean, double error) {
    char a[32], b[32];
    number_text(a, mean);
    number_text(b, error);
    if (isfinite(mean) && isfinite(error))
        table_cell(t, "%s ± %s", a, b);
    else
        table_cell(t, "%s", a);
}

void cell_estimate(struct text_table *t, const struct estimate *m) {
    if (m->n)
        cell_pair(t, estimate_mean(m), estimate_error(m));
    else
        table_cell(t, "-");
}

struct error_note error_note(uint64_t windows) {
    struct error_note n;
    if (windows > 1)
        snprintf(n.s, sizeof n.s, "± standard error over %s windows", text_count(windows).s);
    else
        snprintf(n.s, sizeof n.s, "one window, so there is no ±");
    return n;
}

void cell_bytes(struct text_table *t, double x) {
    table_cell(t, "%s", isfinite(x) ? text_count((uint64_t)(x + 0.5)).s : "-");
}

void cell_times(struct text_table *t, double base, double x) {
    if (isfinite(base) && x > 0)
        table_cell(t, "%.2fx", base / x);
    else
        table_cell(t, "-");
}

/* ---- two columns ---- */

enum { COLUMN = 58, LINES_MAX = 512 };
static const char mark[] = ">>>";

/* A text cut into lines of at most COLUMN characters. */
struct lines {
    char *text; /* with the mark put in, characters that steer as spaces, broken UTF-8 as '?' */
    size_t n, begin[LINES_MAX], end[LINES_MAX];
};

static bool put_mark(struct lines *l, const struct page_column *c, struct arena *arena) {
    l->text = arena_alloc(arena, c->n + sizeof mark + 1, 1);
    if (!l->text) return false;
    char *out = l->text;
    for (size_t i = 0; i <= c->n;) {
        bool valid;
        if (i == c->mark) {
            memcpy(out, mark, sizeof mark - 1);
            out += sizeof mark - 1;
        }
        if (i == c->n) break;
        size_t len;
        bool shown = printable_step((const uint8_t *)c->text + i, c->n - i, &len, &valid);
        bool crosses =
            i < c->mark &&
            c->mark < i + len; /* the mark falls inside a character that two tokens share */
        if (crosses || (!shown && c->text[i] != '\n')) {
            if (crosses) len = c->mark - i;
            *out++ = valid && !crosses ? ' ' : '?';
        } else {
            memcpy(out, c->text + i, len);
            out += len;
        }
        i += len;
    }
    *out = 0;
    return true;
}

/* Breaks at newlines and, where a line is full, at the last space of it. */
static void wrap(struct lines *l) {
    size_t at = 0, n = strlen(l->text);
    while (at < n && l->n < LINES_MAX) {
        size_t end = at, space = 0;
        int width = 0;
        for (; end < n && l->text[end] != '\n'; end++) {
            if (((unsigned char)l->text[end] & 0xC0) != 0x80 && ++width > COLUMN) break;
            if (l->text[end] == ' ') space = end;
        }
        bool full = end < n && l->text[end] != '\n';
        if (full && space > at) end = space;
        l->begin[l->n] = at;
        l->end[l->n++] = end;
        at = end + (end < n && (l->text[end] == '\n' || l->text[end] == ' '));
    }
}

static int line_out(FILE *fp, const struct lines *l, size_t i) {
    int width = 0;
    for (size_t b = i < l->n ? l->begin[i] : 0; i < l->n && b < l->end[i]; b++) {
        fputc(l->text[b], fp);
        width += ((unsigned char)l->text[b] & 0xC0) != 0x80;
    }
    return width;
}

static void markdown_text(FILE *fp, const char *s) {
    for (; *s; s++)
        if (*s == '\n')
            fputs("<br>", fp);
        else if (strchr("|*_`<\\[]", *s))
            fprintf(fp, "\\%c", *s);
        else
            fputc(*s, fp);
}

int page_columns(const struct page *p, const struct page_column *left,
                 const struct page_column *right, struct err *e) {
    struct lines *l = arena_zalloc(p->arena, 2, sizeof *l), *r = l + 1;
    if (!l || !put_mark(l, left, p->arena) || !put_mark(r, right, p->arena))
        return err_set(e, ERR_FAILED, "out of memory for two texts");
    if (p->markdown) {
        fprintf(p->fp, "| %s | %s |\n| --- | --- |\n| ", printable_copy(left->title).s,
                printable_copy(right->title).s);
        markdown_text(p->fp, l->text);
        fputs(" | ", p->fp);
        markdown_text(p->fp, r->text);
        fputs(" |\n", p->fp);
        return OK;
    }
    wrap(l);
    wrap(r);
    fprintf(p->fp, "%-*s | %s\n", COLUMN, printable_copy(left->title).s,
            printable_copy(right->title).s);
    for (size_t i = 0; i < l->n || i < r->n; i++) {
        int width = line_out(p->fp, l, i);
        fprintf(p->fp, "%*s |%s", COLUMN - width, "", i < r->n ? " " : "");
        line_out(p->fp, r, i);
        fputc('\n', p->fp);
    }
    return OK;
}
