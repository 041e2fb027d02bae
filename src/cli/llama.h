/* What llama.cpp's programs are told that lookat has no option of its own for: who types it out of
 * habit gets an answer. */
#ifndef LOOKAT_CLI_LLAMA_H
#define LOOKAT_CLI_LLAMA_H

#include "cli/options.h"

enum llama_value {
    LLAMA_FLAG,
    LLAMA_VALUE,
    LLAMA_SWITCH /* perhaps followed by on, off, auto, 0 or 1 */
};

struct llama_option {
    const char *names; /* with their dashes, separated by spaces */
    enum llama_value value;
    const char *neutral; /* a number that asks for nothing, so that the option has no effect then;
                            NULL: none */
    const char *what;    /* what it is there; of one without effect, why there is none here */
    const char *instead; /* what to do here, for the message that refuses it; NULL: it is read and
                            has no effect */
};

/* Rows of one name do not repeat. The last row has names == NULL. */
extern const struct llama_option llama_options[];

/* Returns the row that the word given[n] names; NULL where there is none. An underscore of a name
 * with two dashes is a dash. */
const struct llama_option *llama_find(const char *given, size_t n);

/* Says whether the word behind a LLAMA_SWITCH belongs to it. */
bool llama_is_switch(const char *word);

/* Says whether the option has no effect with this value (NULL: none). */
bool llama_no_effect(const struct llama_option *o, const char *value);

/* Returns what to type instead of a command of llama.cpp and its like ("quantize"); NULL where the
 * word is none. */
const char *llama_command(const char *word);

#endif
