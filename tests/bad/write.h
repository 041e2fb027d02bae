/* The whole of the broken files on disk: DIR/GROUP/NAME/ holds one of them, with what stands beside
 * it. */
#ifndef LOOKAT_TESTS_WRITE_H
#define LOOKAT_TESTS_WRITE_H

#include <sys/stat.h>
#include <sys/types.h>

#include "all.h"

struct bad_writer {
    const char *dir;
    FILE *list; /* a line for each: "model PATH" or "vocab PATH", what is to be opened */
    struct bytes tiny;
    size_t n;
};

static void bad_put(const char *dir, const char *name, const void *data, size_t n) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *fp = fopen(path, "wb");
    if (!fp || fwrite(data, 1, n, fp) != n || fclose(fp) != 0) {
        perror(path);
        exit(1);
    }
}

static void bad_write_one(const struct bad_place *place, const struct bad_file *file, void *ctx) {
    struct bad_writer *w = ctx;
    const char *name = place->file ? place->file : file->name;
    char group[600], dir[800];
    snprintf(group, sizeof group, "%s/%s", w->dir, place->group);
    snprintf(dir, sizeof dir, "%s/%s", group, file->name);
    mkdir(group, 0777); /* there already but for the first */
    if (mkdir(dir, 0777) != 0) {
        perror(dir);
        exit(1);
    }
    bad_put(dir, name, file->data, file->size);
    if (place->beside[0])
        bad_put(dir, place->beside[0], place->beside[1], strlen(place->beside[1]));
    if (place->tiny) bad_put(dir, "model.safetensors", w->tiny.data, w->tiny.size);
    fprintf(w->list, "%s %s%s%s\n", place->use == BAD_MODEL ? "model" : "vocab", dir,
            place->open ? "" : "/", place->open ? place->open : name);
    w->n++;
}

/* Writes all into dir, which is there and empty, and their list to DIR/list; returns how many. */
static size_t bad_write_all(const char *dir) {
    char path[600];
    snprintf(path, sizeof path, "%s/list", dir);
    struct bad_writer w = {.dir = dir, .list = fopen(path, "w"), .tiny = bad_tiny_model()};
    if (!w.list) {
        perror(path);
        exit(1);
    }
    bad_all(bad_write_one, &w);
    bytes_free(&w.tiny);
    if (fclose(w.list) != 0) exit(1);
    return w.n;
}

#endif
