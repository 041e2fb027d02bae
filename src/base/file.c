/* Maps files, reads them whole, and takes paths apart. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/guard.h"
#include "base/inputs.h"
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
    fault_add(f->data, size, f->path);
    return OK;
}

enum { READ_MOST = 1 << 24 }; /* bytes of one read: Ctrl-C is looked for between them */

/* "a folder" and so on: what a file is that is not regular. */
static const char *kind_of(mode_t mode) {
    if (S_ISDIR(mode)) return "a folder";
    if (S_ISFIFO(mode)) return "a pipe";
    if (S_ISSOCK(mode)) return "a socket";
    return S_ISCHR(mode) || S_ISBLK(mode) ? "a device" : "no regular file";
}

static int refuse_kind(const char *path, mode_t mode, struct err *e) {
    return err_file(e, ERR_REFUSED, path, "is %s, expected a file", kind_of(mode));
}

/* Opens path for reading without waiting: a named pipe would else block until somebody writes to
 * it. -1 and *e where it cannot be opened. */
static int open_input(const char *path, struct stat *st, int *rc, struct err *e) {
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, st) == 0) return fd;
    int error = errno;
    if (fd >= 0) close(fd);
    if (error == ENXIO && stat(path, st) == 0) /* how sockets say so */
        *rc = refuse_kind(path, st->st_mode, e);
    else
        *rc = err_file(e, ERR_FAILED, path, "cannot open: %s", strerror(error));
    return -1;
}

static int no_memory(const char *path, struct err *e) {
    return err_file(e, ERR_FAILED, path, "out of memory for the list of files that are read");
}

int file_map(struct file *f, const char *path, struct err *e) {
    *f = (struct file){.path = path, .data = (const uint8_t *)""};
    struct stat st;
    int rc = OK, fd = open_input(path, &st, &rc, e);
    if (fd < 0) return rc;
    if (!S_ISREG(st.st_mode))
        rc = refuse_kind(path, st.st_mode, e);
    else if ((uintmax_t)st.st_size > SIZE_MAX)
        rc = err_file(e, ERR_REFUSED, path, "is too large for this machine's address space");
    else if (!inputs_add(&st, path))
        rc = no_memory(path, e);
    else if (st.st_size > 0)
        rc = map_bytes(f, fd, (size_t)st.st_size, e);
    close(fd);
    return rc;
}

void file_unmap(struct file *f) {
    if (f->map) {
        fault_remove(f->data);
        munmap(f->map, f->map_bytes);
    }
    *f = (struct file){0};
}

/* ---- whole files ---- */

/* Bytes that are being read. */
struct reading {
    int fd;
    const char *name;
    uint8_t *buf; /* [room], n of it read */
    size_t n, room;
};

static bool is_null_device(const struct stat *st) {
    struct stat null;
    return S_ISCHR(st->st_mode) && stat("/dev/null", &null) == 0 && null.st_rdev == st->st_rdev;
}

/* A pipe that was opened without waiting: a read that finds neither bytes nor a writer says 0 at
 * once. A writer that was started with us may open the pipe a little later, so two seconds pass
 * before the pipe is refused. A read that waits for the writer is wanted then on. */
static int start_pipe(struct reading *r, struct err *e) {
    enum { TRIES = 200 };
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    ssize_t n = read(r->fd, r->buf, r->room);
    for (int i = 0; n == 0 && i < TRIES && !interrupt_pending(); i++) {
        nanosleep(&pause, NULL);
        n = read(r->fd, r->buf, r->room);
    }
    if (n == 0) return err_file(e, ERR_REFUSED, r->name, "is a pipe that nobody writes to");
    if (n > 0) r->n = (size_t)n;
    int flags = fcntl(r->fd, F_GETFL);
    if (flags != -1) fcntl(r->fd, F_SETFL, flags & ~O_NONBLOCK);
    return OK;
}

/* Is the file of a kind that can be read as a text? */
static int check_kind(struct reading *r, const struct stat *st, struct err *e) {
    if (S_ISFIFO(st->st_mode)) return start_pipe(r, e);
    if (!S_ISREG(st->st_mode) && !isatty(r->fd) && !is_null_device(st))
        return refuse_kind(r->name, st->st_mode, e);
    return OK;
}

/* Reads on, up to `most` bytes. */
static int read_on(struct reading *r, size_t most, struct err *e) {
    while (r->n < most) {
        if (interrupt_pending()) return err_set(e, ERR_INTERRUPTED, "interrupted");
        if (r->n == r->room) {
            uint8_t *more = r->room > SIZE_MAX / 2 ? NULL : realloc(r->buf, 2 * r->room);
            if (!more)
                return err_file(e, ERR_FAILED, r->name, "out of memory after %zu bytes", r->n);
            r->buf = more;
            r->room *= 2;
        }
        size_t room = r->room - r->n, wanted = most - r->n < room ? most - r->n : room;
        ssize_t n = read(r->fd, r->buf + r->n, wanted < READ_MOST ? wanted : READ_MOST);
        if (n == 0) return OK;
        if (n < 0 && errno != EINTR)
            return err_file(e, ERR_FAILED, r->name, "cannot read: %s", strerror(errno));
        if (n > 0) r->n += (size_t)n;
    }
    return OK;
}

int file_read_most(const char *path, size_t most, struct arena *a, uint8_t **data, size_t *size,
                   struct err *e) {
    bool is_stdin = strcmp(path, "-") == 0;
    struct reading r = {
        .fd = STDIN_FILENO, .name = is_stdin ? "standard input" : path, .room = 64 * 1024};
    struct stat st;
    int rc = OK;
    *size = 0;
    if (!is_stdin && (r.fd = open_input(path, &st, &rc, e)) < 0) return rc;
    if (is_stdin && fstat(STDIN_FILENO, &st) != 0)
        return err_file(e, ERR_FAILED, r.name, "cannot read: %s", strerror(errno));
    if (!inputs_add(&st, NULL) || !(r.buf = malloc(r.room))) rc = no_memory(r.name, e);
    if (!rc && is_stdin && S_ISDIR(st.st_mode)) rc = refuse_kind(r.name, st.st_mode, e);
    if (!rc && !is_stdin) rc = check_kind(&r, &st, e);
    if (!rc) rc = read_on(&r, most < SIZE_MAX ? most + 1 : most, e);
    if (!rc && !(*data = (uint8_t *)arena_copy(a, r.buf, r.n)))
        rc = err_file(e, ERR_FAILED, r.name, "out of memory for %zu bytes", r.n);
    if (!rc) *size = r.n;
    free(r.buf);
    if (!is_stdin) close(r.fd);
    return rc;
}

int file_flush(FILE *fp, const char *name, struct err *e) {
    int why = errno; /* some C libraries drop what they could not write: then the flush succeeds */
    if (!ferror(fp)) {
        errno = 0;
        if (fflush(fp) == 0 && !ferror(fp)) return OK;
        why = errno;
    }
    return err_set(e, ERR_FAILED, "cannot write to %s: %s", name,
                   why ? strerror(why) : "write error");
}

int file_read(const char *path, struct arena *a, uint8_t **data, size_t *size, struct err *e) {
    return file_read_most(path, SIZE_MAX, a, data, size, e);
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
