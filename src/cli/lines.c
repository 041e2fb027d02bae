/* Reads lines of any length, up to the length that the caller has a use for. */
#include "cli/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/inputs.h"
#include "base/interrupt.h"
#include "cli/input.h"

int lines_open(struct lines *l, const char *file, bool quiet, struct err *e) {
    *l = (struct lines){.file = file, .quiet = quiet};
    if (strcmp(file, "-") == 0) {
        l->fp = stdin;
        return OK;
    }
    struct stat st;
    int rc = inputs_add_path(file, e);
    if (rc) return rc;
    l->fp = fopen(file, "rb");
    if (!l->fp) {
        if (interrupt_pending()) return err_set(e, ERR_INTERRUPTED, "interrupted");
        return err_file(e, ERR_FAILED, file, "cannot open: %s", strerror(errno));
    }
    if (fstat(fileno(l->fp), &st) == 0 && S_ISDIR(st.st_mode)) {
        lines_close(l);
        return err_file(e, ERR_REFUSED, file, "is a folder");
    }
    return OK;
}

void lines_close(struct lines *l) {
    if (l->fp && l->fp != stdin) fclose(l->fp);
    free(l->line);
    l->fp = NULL, l->line = NULL;
}

static bool grow(struct lines *l) {
    size_t room = l->room ? 2 * l->room : 256;
    uint8_t *more = room > l->room ? realloc(l->line, room) : NULL;
    if (!more) return false;
    l->line = more;
    l->room = room;
    return true;
}

int lines_next(struct lines *l, size_t most, bool *got, struct err *e) {
    const char *name = strcmp(l->file, "-") == 0 ? "standard input" : l->file;
    int c;
    l->n = 0;
    if (!l->room && !grow(l)) return err_file(e, ERR_FAILED, name, "out of memory for a line");
    errno = 0;
    while ((c = getc(l->fp)) != EOF && c != '\n') {
        if (l->n > most) continue;
        if (l->n == l->room && !grow(l))
            return err_file(e, ERR_FAILED, name, "out of memory for line %zu", l->number + 1);
        l->line[l->n++] = (uint8_t)c;
    }
    if (interrupt_pending()) return err_set(e, ERR_INTERRUPTED, "interrupted");
    if (c == EOF && ferror(l->fp))
        return err_file(e, ERR_FAILED, name, "cannot read: %s", strerror(errno));
    *got = c != EOF || l->n;
    if (!*got) return OK;
    if (c == '\n' && l->n && l->n <= most && l->line[l->n - 1] == '\r') l->n--;
    if (++l->number == 1) {
        const uint8_t *text = l->line;
        input_drop_mark(l->file, l->quiet, &text, &l->n);
        memmove(l->line, text, l->n);
    }
    return OK;
}
