/* A folder for a test's files, removed with what is in it at the end. */
#ifndef LOOKAT_TESTS_FOLDER_H
#define LOOKAT_TESTS_FOLDER_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[512];

/* False where no folder can be made. */
static inline int folder_make(void) {
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/lookat-test-XXXXXX",
             tmp && strlen(tmp) < 400 ? tmp : "/tmp");
    return mkdtemp(folder) != NULL;
}

/* The path of a file in it; one of four buffers. */
static inline const char *folder_path(const char *name) {
    static char path[4][1024];
    static int at;
    char *p = path[at++ % 4];
    snprintf(p, 1024, "%s/%s", folder, name);
    return p;
}

static inline const char *folder_write(const char *name, const void *data, size_t size) {
    const char *path = folder_path(name);
    FILE *fp = fopen(path, "wb");
    if (!fp || fwrite(data, 1, size, fp) != size || fclose(fp) != 0) {
        perror(path);
        exit(1);
    }
    return path;
}

static inline void folder_remove(void) {
    DIR *d = opendir(folder);
    for (struct dirent *f; d && (f = readdir(d));)
        if (f->d_name[0] != '.') unlink(folder_path(f->d_name));
    if (d) closedir(d);
    rmdir(folder);
}

#endif
