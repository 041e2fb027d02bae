/* The list of files that this run has read or will read. */
#include "base/inputs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct input {
    dev_t device;
    ino_t inode;
    off_t size;
    time_t changed; /* st_mtime */
    char *path;     /* of a mapped file, else NULL */
    bool replaceable;
};

static struct input *inputs; /* [n] */
static size_t n_inputs, room;

static struct input *find(const struct stat *st) {
    for (size_t i = 0; i < n_inputs; i++)
        if (inputs[i].device == st->st_dev && inputs[i].inode == st->st_ino) return &inputs[i];
    return NULL;
}

static struct input *add(const struct stat *st) {
    if (n_inputs == room) {
        size_t more = room ? 2 * room : 16;
        struct input *larger = realloc(inputs, more * sizeof *larger);
        if (!larger) return NULL;
        inputs = larger;
        room = more;
    }
    inputs[n_inputs] = (struct input){.device = st->st_dev, .inode = st->st_ino};
    return &inputs[n_inputs++];
}

bool inputs_add(const struct stat *st, const char *mapped) {
    struct input *x = find(st);
    if (!x && !(x = add(st))) return false;
    if (!mapped || x->path) return true; /* what counts is how it was when it was opened first */
    size_t n = strlen(mapped) + 1;
    if (!(x->path = malloc(n))) return false;
    memcpy(x->path, mapped, n);
    x->size = st->st_size;
    x->changed = st->st_mtime;
    return true;
}

int inputs_add_path(const char *path, struct err *e) {
    struct stat st;
    if (stat(path, &st) != 0 || S_ISDIR(st.st_mode) || inputs_add(&st, NULL)) return OK;
    return err_file(e, ERR_FAILED, path, "out of memory for the list of files that are read");
}

void inputs_may_replace(const char *path) {
    struct stat st;
    struct input *x = stat(path, &st) == 0 ? find(&st) : NULL;
    if (x) x->replaceable = true;
}

bool inputs_has(const struct stat *st) {
    const struct input *x = find(st);
    return x && !x->replaceable;
}

int inputs_unchanged(struct err *e) {
    for (size_t i = 0; i < n_inputs; i++) {
        const struct input *x = &inputs[i];
        struct stat st;
        if (!x->path || stat(x->path, &st) != 0) continue;
        bool same =
            st.st_dev == x->device &&
            st.st_ino ==
                x->inode; /* else another file has taken the name, and this one is as it was */
        if (same && (st.st_size != x->size || st.st_mtime != x->changed))
            return err_file(e, ERR_FAILED, x->path,
                            "was written to while it was read: the results are of neither the old "
                            "file nor the new one");
    }
    return OK;
}

void inputs_forget(void) {
    for (size_t i = 0; i < n_inputs; i++) free(inputs[i].path);
    free(inputs);
    inputs = NULL;
    n_inputs = room = 0;
}
