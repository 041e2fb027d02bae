#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/guard.h"
#include "base/interrupt.h"
#include "base/process.h"

static bool guarded;

void file_guard(bool on) { guarded = on; }

/* Maps the first `size` bytes of fd, 1 or more. */
static int map_bytes(struct file *f, int fd, size_t size, struct err *e) {
    if (guarded) {
        f->data = guard_map(fd, size, &f->map, &f->map_bytes);
    } else {
        void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        f->data = p == MAP_FAILED ? NULL : p;
        f->map = (void *)(uintptr_t)f->data;
        f->map_bytes = size;
        if (f->data) memory_large_pages(p, size); /* of what is not in memory yet */
    }
    if (!f->data) {
        int rc = err_file(e, ERR_FAILED, f->path, "cannot map: %s", strerror(errno));
        *f = (struct file){.path = f->path, .data = (const uint8_t *)""};
        return rc;
    }
    f->size = size;
    return OK;
}

int file_map(struct file *f, const char *path, struct err *e) {
    *f = (struct file){.path = path, .data = (const uint8_t *)""};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_file(e, ERR_FAILED, path, "cannot open: %s", strerror(errno));
    struct stat st;
    int rc = OK;
    if (fstat(fd, &st) != 0)
        rc = err_file(e, ERR_FAILED, path, "cannot read: %s", strerror(errno));
    else if (S_ISDIR(st.st_mode))
        rc = err_file(e, ERR_REFUSED, path, "is a folder, expected a file");
    else if (!S_ISREG(st.st_mode))
        rc = err_file(e, ERR_REFUSED, path, "is not a regular file");
    else if ((uintmax_t)st.st_size > SIZE_MAX)
        rc = err_file(e, ERR_REFUSED, path, "is too large for this machine's address space");
    else if (st.st_size > 0)
        rc = map_bytes(f, fd, (size_t)st.st_size, e);
    close(fd);
    return rc;
}

void file_unmap(struct file *f) {
    if (f->map) munmap(f->map, f->map_bytes);
    *f = (struct file){0};
}

int file_read(const char *path, struct arena *a, uint8_t **data, size_t *size, struct err *e) {
    bool is_stdin = strcmp(path, "-") == 0;
    const char *name = is_stdin ? "standard input" : path;
    if (!is_stdin && file_is_folder(path)) return err_file(e, ERR_REFUSED, name, "is a folder, expected a file");
    FILE *fp = is_stdin ? stdin : fopen(path, "rb");
    if (!fp) return err_file(e, ERR_FAILED, name, "cannot open: %s", strerror(errno));
    size_t n = 0, room = 64 * 1024;
    uint8_t *buf = malloc(room);
    while (buf) {
        n += fread(buf + n, 1, room - n, fp);
        if (n < room) break;
        uint8_t *more = room > SIZE_MAX / 2 ? NULL : realloc(buf, room *= 2);
        if (!more) free(buf);
        buf = more;
    }
    int rc = OK;
    if (!buf)
        rc = err_file(e, ERR_FAILED, name, "out of memory after %zu bytes", n);
    else if (ferror(fp))
        rc = err_file(e, ERR_FAILED, name, "cannot read: %s", strerror(errno));
    else if (!(*data = (uint8_t *)arena_copy(a, buf, n)))
        rc = err_file(e, ERR_FAILED, name, "out of memory for %zu bytes", n);
    *size = n;
    free(buf);
    if (!is_stdin) fclose(fp);
    return rc;
}

int file_flush(FILE *fp, const char *name, struct err *e) {
    int why = errno; /* some C libraries drop what they could not write: then the flush succeeds */
    if (!ferror(fp)) {
        errno = 0;
        if (fflush(fp) == 0 && !ferror(fp)) return OK;
        why = errno;
    }
    return err_set(e, ERR_FAILED, "cannot write to %s: %s", name, why ? strerror(why) : "write error");
}

bool file_is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool file_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0;
}

char *path_join(struct arena *a, const char *folder, const char *name) {
    size_t nf = strlen(folder), nn = strlen(name);
    char *p = arena_alloc(a, nf + nn + 2, 1);
    if (!p) return NULL;
    while (nf > 1 && folder[nf - 1] == '/') nf--;
    memcpy(p, folder, nf);
    p[nf] = '/';
    memcpy(p + nf + 1, name, nn + 1);
    return p;
}

char *path_folder(struct arena *a, const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return arena_copy(a, ".", 1);
    return arena_copy(a, path, slash == path ? 1 : (size_t)(slash - path));
}

const char *path_base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int out_open(struct out_file *o, const char *path, bool force, struct err *e) {
    *o = (struct out_file){.path = path};
    if (file_is_folder(path)) return err_file(e, ERR_USAGE, path, "is a folder, expected a file name to write");
    if (!force && file_exists(path)) return err_file(e, ERR_USAGE, path, "exists already; --force overwrites it");
    int n = snprintf(o->tmp, sizeof o->tmp, "%s.tmp-%ld", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof o->tmp) return err_file(e, ERR_USAGE, path, "the path is too long");
    int fd = open(o->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return err_file(e, ERR_FAILED, path, "cannot write: %s", strerror(errno));
    o->fp = fdopen(fd, "wb");
    if (!o->fp) {
        int why = errno;
        close(fd);
        unlink(o->tmp);
        return err_file(e, ERR_FAILED, path, "cannot write: %s", strerror(why));
    }
    interrupt_unlink(o->tmp);
    return OK;
}

int out_write(struct out_file *o, const void *data, size_t n, struct err *e) {
    if (n && fwrite(data, 1, n, o->fp) != n)
        return err_file(e, ERR_FAILED, o->path, "cannot write: %s", strerror(errno));
    return OK;
}

int out_commit(struct out_file *o, struct err *e) {
    int why = 0; /* of the first step that failed */
    if (fflush(o->fp) != 0 || ferror(o->fp) || fsync(fileno(o->fp)) != 0) why = errno ? errno : EIO;
    if (fclose(o->fp) != 0 && !why) why = errno;
    o->fp = NULL;
    if (!why && rename(o->tmp, o->path) != 0) why = errno;
    if (why) unlink(o->tmp);
    interrupt_unlink(NULL);
    return why ? err_file(e, ERR_FAILED, o->path, "cannot write: %s", strerror(why)) : OK;
}

void out_abort(struct out_file *o) {
    if (!o->fp) return;
    fclose(o->fp);
    o->fp = NULL;
    unlink(o->tmp);
    interrupt_unlink(NULL);
}
