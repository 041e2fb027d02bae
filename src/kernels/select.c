/* Choosing a set of kernels when the program starts. */
#include <stdio.h>
#include <string.h>

#include "base/suggest.h"
#include "kernels/sets.h"

/* Slowest first. */
static const struct kernels *const *const sets[] = {&kernels_scalar, &kernels_plain, &kernels_avx2,
                                                    &kernels_avx512, &kernels_neon};
enum { SETS = sizeof sets / sizeof *sets };

const struct kernels *kernels_at(size_t index) {
    for (size_t i = 0; i < SETS; i++)
        if (*sets[i] && index-- == 0) return *sets[i];
    return NULL;
}

/* "scalar, avx2" */
static void list_names(char *out, size_t room) {
    const struct kernels *kn;
    size_t at = 0;
    for (size_t i = 0; (kn = kernels_at(i)) && at < room; i++)
        at += (size_t)snprintf(out + at, room - at, "%s%s", i ? ", " : "", kn->name);
}

int kernels_get(const struct kernels **out, const char *name, struct err *e) {
    const struct kernels *kn, *found = NULL;
    for (size_t i = 0; (kn = kernels_at(i)); i++) {
        if (name ? strcmp(name, kn->name) != 0 : kn->by_name_only) continue;
        if (kn->supported())
            found = kn;
        else if (name)
            return err_set(e, ERR_USAGE, "this CPU cannot run the %s kernels", name);
    }
    if (!found) {
        char names[64];
        struct suggestion near = {0};
        list_names(names, sizeof names);
        for (size_t i = 0; name && (kn = kernels_at(i)); i++)
            suggest(&near, name, kn->name, strlen(kn->name));
        return err_set(e, ERR_USAGE, "no kernels are called \"%s\"; there are %s%s", name, names,
                       suggestion_note(&near).s);
    }
    *out = found;
    return OK;
}
