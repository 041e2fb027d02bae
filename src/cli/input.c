#include "cli/input.h"

#include <string.h>

#include "base/file.h"

int input_text(const struct args *a, struct arena *arena, const uint8_t **text, size_t *n, struct err *e) {
    size_t sources = (a->prompt != NULL) + a->files.n + (size_t)a->argc + (a->ids != NULL);
    if (sources > 1)
        return err_set(e, ERR_USAGE, "%s: expected one text, got %zu (-p, -f%s or an argument)", command_name(a->command), sources,
                       a->command == CMD_GENERATE ? ", --ids" : "");
    const char *literal = a->prompt ? a->prompt : a->argc && strcmp(a->argv[0], "-") != 0 ? a->argv[0] : NULL;
    *text = (const uint8_t *)literal;
    *n = literal ? strlen(literal) : 0;
    if (literal || (!a->files.n && !a->argc)) return OK;
    uint8_t *data = NULL;
    int rc = file_read(a->files.n ? a->files.item[0] : "-", arena, &data, n, e);
    *text = data;
    return rc;
}

static bool is_separator(uint8_t c) { return c == ' ' || c == ',' || c == '\n' || c == '\t' || c == '\r'; }

int input_ids(const uint8_t *text, size_t n, uint32_t n_vocab, const char *where, struct arena *arena, int32_t **ids, size_t *n_ids,
              struct err *e) {
    *n_ids = 0;
    *ids = arena_alloc(arena, n / 2 + 1, sizeof **ids); /* at least a digit and a separator for each but the last */
    if (!*ids) return err_set(e, ERR_FAILED, "out of memory for token ids");
    for (size_t i = 0; i < n;) {
        if (is_separator(text[i])) {
            i++;
            continue;
        }
        size_t begin = i;
        uint64_t id = 0;
        bool digits = true;
        for (; i < n && !is_separator(text[i]); i++) {
            digits = digits && text[i] >= '0' && text[i] <= '9';
            if (digits && id < n_vocab) id = 10 * id + (text[i] - '0');
        }
        int shown = (int)(i - begin < 30 ? i - begin : 30);
        if (!digits) return err_set(e, ERR_USAGE, "%s: expected token ids, got '%.*s' at byte %zu", where, shown, text + begin, begin);
        if (id >= n_vocab)
            return err_set(e, ERR_USAGE, "%s: there is no token %.*s, ids go from 0 to %lu", where, shown, text + begin,
                           (unsigned long)n_vocab - (n_vocab > 0));
        (*ids)[(*n_ids)++] = (int32_t)id;
    }
    return OK;
}
