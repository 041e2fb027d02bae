#include "report/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/process.h"

struct text_number text_bytes(uint64_t n) {
    static const char *const unit[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    struct text_number t;
    if (n < 1000) {
        snprintf(t.s, sizeof t.s, "%" PRIu64 " byte%s", n, n == 1 ? "" : "s");
        return t;
    }
    double x = (double)n / 1000;
    size_t u = 0;
    for (; x >= 999.95; u++) x /= 1000; /* what would print as 1000.0 */
    snprintf(t.s, sizeof t.s, "%.1f %s", x, unit[u]);
    return t;
}

struct text_number text_count(uint64_t n) {
    struct text_number t = {{0}};
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n);
    char *out = t.s;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0) *out++ = ',';
        *out++ = digits[i];
    }
    return t;
}

struct text_number text_plural(uint64_t n, const char *one) {
    struct text_number t;
    snprintf(t.s, sizeof t.s, "%.26s %.10s%s", text_count(n).s, one, n == 1 ? "" : "s");
    return t;
}

/* Characters, not bytes: every byte but the continuations of UTF-8. */
static int characters(const char *s, size_t n) {
    int count = 0;
    for (size_t i = 0; i < n; i++) count += ((unsigned char)s[i] & 0xC0) != 0x80;
    return count;
}

void text_wrap(FILE *fp, const char *text, int column, int indent) {
    enum { WIDTH = 80 };
    bool first = true;
    for (const char *word = text; *word;) {
        size_t len = strcspn(word, " ");
        int wide = characters(word, len);
        if (!first && column + 1 + wide >= WIDTH) {
            fprintf(fp, "\n%*s", indent, "");
            column = indent;
            first = true;
        }
        fprintf(fp, "%s%.*s", first ? "" : " ", (int)len, word);
        column += wide + !first;
        first = false;
        word += len;
        word += strspn(word, " ");
    }
    fputc('\n', fp);
}

void text_escaped(FILE *fp, const uint8_t *s, size_t n) {
    for (size_t i = 0, len; i < n; i += len) {
        bool valid, shown = printable_step(s + i, n - i, &len, &valid);
        const char *named = s[i] == '\n'   ? "\\n"
                            : s[i] == '\t' ? "\\t"
                            : s[i] == '\r' ? "\\r"
                            : s[i] == '\\' ? "\\\\"
                                           : NULL;
        if (named)
            fputs(named, fp);
        else if (!shown)
            for (size_t k = 0; k < len; k++) fprintf(fp, "\\x%02X", s[i + k]);
        else
            fwrite(s + i, 1, len, fp);
    }
}

void text_csv(FILE *fp, const char *s) {
    fputc('"', fp);
    for (size_t left = strlen(s), n; left; s += n, left -= n) {
        bool valid, shown = printable_step((const uint8_t *)s, left, &n, &valid);
        if (*s == '"')
            fputs("\"\"", fp);
        else
            fwrite(shown ? s : "?", 1, shown ? n : 1, fp);
    }
    fputc('"', fp);
}

void table_begin(struct text_table *t, const char *align, struct arena *arena) {
    *t = (struct text_table){.arena = arena, .align = align};
}

void table_cell(struct text_table *t, const char *fmt, ...) {
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    printable(text);
    if (t->n == t->room) {
        size_t room = t->room ? 2 * t->room : 64;
        char **more = arena_alloc(t->arena, room, sizeof *more);
        if (more && t->n) memcpy(more, t->cells, t->n * sizeof *more);
        if (!more) t->failed = true;
        if (t->failed) return;
        t->cells = more;
        t->room = room;
    }
    char *copy = arena_copy(t->arena, text,
                            len < 0                     ? 0
                            : (size_t)len < sizeof text ? (size_t)len
                                                        : sizeof text - 1);
    if (!copy) t->failed = true;
    t->cells[t->n++] = copy;
}

static int width(const char *s) { return characters(s, strlen(s)); }

static int column_width(const struct text_table *t, size_t column, size_t columns) {
    int most = 0;
    for (size_t i = column; i < t->n; i += columns)
        if (width(t->cells[i]) > most) most = width(t->cells[i]);
    return most;
}

enum { COLUMNS_MAX = 64, LINE = 80, GAP = 2 };

/* Of the columns 0 .. lead - 1 and from .. to - 1. */
static void print_block(const struct text_table *t, FILE *fp, const int *widths, size_t lead,
                        size_t from, size_t to) {
    size_t columns = strlen(t->align);
    for (size_t row = 0; row < t->n; row += columns)
        for (size_t c = 0; c < to; c++) {
            if (c >= lead && c < from) continue;
            const char *cell = row + c < t->n ? t->cells[row + c] : "";
            int pad = widths[c] - width(cell);
            bool last = c + 1 == to || row + c + 1 >= t->n;
            if (t->align[c] == 'r') fprintf(fp, "%*s", pad, "");
            fputs(cell, fp);
            if (t->align[c] == 'l' && !last) fprintf(fp, "%*s", pad, "");
            fprintf(fp, "%*s", last ? 0 : GAP, "");
            if (last) fputc('\n', fp);
            if (row + c + 1 >= t->n) break;
        }
}

static int span(const int *widths, size_t from, size_t to) {
    int sum = 0;
    for (size_t c = from; c < to; c++) sum += widths[c] + GAP;
    return sum;
}

int table_print(const struct text_table *t, FILE *fp, struct err *e) {
    size_t columns = strlen(t->align), lead = 0;
    int widths[COLUMNS_MAX];
    if (t->failed || columns > COLUMNS_MAX)
        return err_set(e, ERR_FAILED, "out of memory for a table");
    for (size_t c = 0; c < columns; c++) widths[c] = column_width(t, c, columns);
    while (lead < 2 && lead < columns && t->align[lead] == 'l') lead++;
    if (lead == 2 && span(widths, 0, 2) > LINE / 2) lead = 1;
    if (!lead) lead = 1; /* a number of a layer, say */
    bool fits = t->one_row || strspn(t->align, "l") == columns ||
                span(widths, 0, columns) - GAP <= LINE || span(widths, 0, lead) > LINE / 2;
    for (size_t from = fits ? columns : lead, to; from < columns; from = to) {
        int at = span(widths, 0, lead) + widths[from];
        for (to = from + 1; to < columns && at + GAP + widths[to] <= LINE; to++)
            at += GAP + widths[to];
        if (from > lead) fputc('\n', fp);
        print_block(t, fp, widths, lead, from, to);
    }
    if (fits) print_block(t, fp, widths, columns, columns, columns);
    return OK;
}

void table_common(struct text_table *t, const char *const *titles, size_t n, FILE *fp) {
    size_t columns = strlen(t->align), kept = 0, left = 0;
    bool drop[COLUMNS_MAX] = {false}, any = false;
    char *align = arena_copy(t->arena, t->align, columns);
    int widths[COLUMNS_MAX];
    if (t->failed || !align || columns > COLUMNS_MAX || t->n < 2 * columns) return;
    for (size_t c = 0; c < columns; c++) widths[c] = column_width(t, c, columns);
    if (span(widths, 0, columns) - GAP <= LINE) return;
    for (size_t c = 0; c < n; c++) {
        drop[c] = true;
        for (size_t i = 2 * columns + c; i < t->n; i += columns)
            drop[c] = drop[c] && strcmp(t->cells[i], t->cells[columns + c]) == 0;
        if (drop[c]) fprintf(fp, "%s%s %s", any ? ", " : "", titles[c], t->cells[columns + c]);
        any = any || drop[c];
    }
    if (any) fputc('\n', fp);
    for (size_t i = 0; i < t->n; i++)
        if (!drop[i % columns]) t->cells[kept++] = t->cells[i];
    for (size_t c = 0; c < columns; c++)
        if (!drop[c]) align[left++] = t->align[c];
    align[left] = 0;
    t->n = kept;
    t->align = align;
}

void progress_begin(struct text_progress *p, const char *what) {
    *p = (struct text_progress){.what = what, .start = clock_now()};
    p->shown = p->start;
}

/* Time as "0:07", "12:34" or "1:02:03". */
static struct text_number text_clock(double seconds) {
    struct text_number t;
    unsigned long s = seconds < 1e7 ? (unsigned long)(seconds + 0.5) : 10000000;
    if (s < 3600)
        snprintf(t.s, sizeof t.s, "%lu:%02lu", s / 60, s % 60);
    else
        snprintf(t.s, sizeof t.s, "%lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
    return t;
}

static void show_progress(struct text_progress *p, uint64_t done, uint64_t total, bool bytes) {
    bool terminal = isatty(STDERR_FILENO);
    double now = clock_now(), seconds = now - p->start;
    bool last = done >= total;
    if (seconds < 1 || (!last && (!terminal || now - p->shown < 0.1))) return;
    double share = total ? (double)done / (double)total : 1;
    fprintf(stderr, "%s%s %3.0f %%", terminal ? "\r" : "", p->what, 100 * share);
    if (bytes) fprintf(stderr, "  %s/s", text_bytes((uint64_t)((double)done / seconds)).s);
    if (last)
        fprintf(stderr, "  %s    ", text_clock(seconds).s);
    else if (done)
        fprintf(stderr, "  %s left ", text_clock(seconds / share - seconds).s);
    fputs(terminal ? "  " : "\n", stderr);
    p->shown = now;
    p->any = terminal;
}

void progress_share(struct text_progress *p, uint64_t done, uint64_t total) {
    show_progress(p, done, total, false);
}

static void hear_share(void *line, uint64_t done, uint64_t total) {
    show_progress(line, done, total, false);
}
static void hear_bytes(void *line, uint64_t done, uint64_t total) {
    show_progress(line, done, total, true);
}

struct progress progress_shares(struct text_progress *p, bool quiet) {
    return (struct progress){quiet ? NULL : hear_share, p};
}
struct progress progress_bytes(struct text_progress *p, bool quiet) {
    return (struct progress){quiet ? NULL : hear_bytes, p};
}

void progress_end(struct text_progress *p) {
    if (p->any) fputc('\n', stderr);
    p->any = false;
}
