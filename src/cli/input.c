/* Reads the text of a command from where it was named, and token ids from text. */
#include "cli/input.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/interrupt.h"

int input_text(const struct args *a, size_t most, struct arena *arena, const uint8_t **text,
               size_t *n, struct err *e) {
    size_t sources = (a->prompt != NULL) + a->files.n + (size_t)a->argc + (a->ids != NULL);
    if (sources > 1)
        return err_set(e, ERR_USAGE, "%s: expected one text, got %zu (-p, -f%s or an argument)",
                       command_name(a->command), sources,
                       a->command == CMD_GENERATE ? ", --ids" : "");
    const char *literal = a->prompt                                 ? a->prompt
                          : a->argc && strcmp(a->argv[0], "-") != 0 ? a->argv[0]
                                                                    : NULL;
    *text = (const uint8_t *)literal;
    *n = literal ? strlen(literal) : 0;
    if (literal || (!a->files.n && !a->argc)) return OK;
    uint8_t *data = NULL;
    const char *file = a->files.n ? a->files.item[0] : "-";
    int rc = file_read_most(file, most, arena, &data, n, e);
    *text = data;
    if (!rc) input_drop_mark(file, a->quiet, text, n);
    return rc;
}

void input_drop_mark(const char *file, bool quiet, const uint8_t **text, size_t *n) {
    static const uint8_t mark[] = {0xEF, 0xBB, 0xBF}; /* U+FEFF */
    if (*n < sizeof mark || memcmp(*text, mark, sizeof mark) != 0) return;
    *text += sizeof mark;
    *n -= sizeof mark;
    if (!quiet)
        fprintf(stderr,
                "lookat: %s: the byte-order mark at its beginning is no text, and left out\n",
                strcmp(file, "-") == 0 ? "standard input" : file);
}

static bool is_separator(uint8_t c) {
    return c == ' ' || c == ',' || c == '\n' || c == '\t' || c == '\r';
}

int input_ids(const uint8_t *text, size_t n, uint32_t n_vocab, const char *where,
              struct arena *arena, int32_t **ids, size_t *n_ids, struct err *e) {
    *n_ids = 0;
    *ids = arena_alloc(arena, n / 2 + 1,
                       sizeof **ids); /* at least a digit and a separator for each but the last */
    if (!*ids) return err_set(e, ERR_FAILED, "out of memory for token ids");
    for (size_t i = 0; i < n;) {
        if (is_separator(text[i])) {
            i++;
            continue;
        }
        if (interrupt_pending()) return err_set(e, ERR_INTERRUPTED, "interrupted");
        size_t begin = i;
        uint64_t id = 0;
        bool digits = true;
        for (; i < n && !is_separator(text[i]); i++) {
            digits = digits && text[i] >= '0' && text[i] <= '9';
            if (digits && id < n_vocab) id = 10 * id + (text[i] - '0');
        }
        int shown = (int)(i - begin < 30 ? i - begin : 30);
        if (!digits)
            return err_set(e, ERR_USAGE, "%s: expected token ids, got '%.*s' at byte %zu", where,
                           shown, text + begin, begin);
        if (id >= n_vocab)
            return err_set(e, ERR_USAGE, "%s: there is no token %.*s, ids go from 0 to %lu", where,
                           shown, text + begin, (unsigned long)n_vocab - (n_vocab > 0));
        (*ids)[(*n_ids)++] = (int32_t)id;
    }
    return OK;
}
