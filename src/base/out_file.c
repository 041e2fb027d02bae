/* Writes a file under a temporary name and renames it when it is complete. */
#include "base/out_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/inputs.h"
#include "base/interrupt.h"
#include "base/rng.h"

static int cannot_write(const char *path, int error, struct err *e) {
    return err_file(e, ERR_FAILED, path, "cannot write: %s", strerror(error));
}

/* ---- where the bytes go ---- */

/* Puts `target`, which a link at `place` points to, in the place of `place`; false where that is
 * too long. */
static bool replace_name(char *place, const char *target) {
    char *slash = strrchr(place, '/');
    size_t folder = slash && target[0] != '/' ? (size_t)(slash + 1 - place) : 0, n = strlen(target);
    if (folder + n >= OUT_PATH_MAX) return false;
    memcpy(place + folder, target, n + 1);
    return true;
}

/* o->place: the path with the links at its end followed, whether there is a file behind them or
 * not. */
static int follow_links(struct out_file *o, struct err *e) {
    enum { LINKS_MAX = 40 }; /* as Linux has it */
    if (strlen(o->path) >= OUT_PATH_MAX) return cannot_write(o->path, ENAMETOOLONG, e);
    strcpy(o->place, o->path);
    for (int links = 0; links <= LINKS_MAX; links++) {
        char target[OUT_PATH_MAX];
        ssize_t n = readlink(o->place, target, sizeof target - 1);
        if (n < 0) return OK; /* no link, or nothing there */
        target[n] = 0;
        if (!replace_name(o->place, target)) return cannot_write(o->path, ENAMETOOLONG, e);
    }
    return cannot_write(o->path, ELOOP, e);
}

/* A descriptor of this process that writes to the file already, or -1. Standard error sent to a
 * file is an example: /dev/stderr is then that file, and replacing it would lose what others write
 * there. */
static int open_descriptor(const struct stat *st) {
    enum { DESCRIPTORS = 256 };
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        struct stat own;
        if (fstat(fd, &own) != 0 || own.st_dev != st->st_dev || own.st_ino != st->st_ino) continue;
        int flags = fcntl(fd, F_GETFL);
        if (flags != -1 && (flags & O_ACCMODE) != O_RDONLY) return fd;
    }
    return -1;
}

/* What is at the path, and how it is to be written. */
struct target {
    struct stat st;
    bool exists; /* a regular file that is to be replaced */
    int fd;      /* of a file that is open already; else -1 */
};

/* Of a file that is there. */
static int look_at(struct out_file *o, struct target *t, bool force, struct err *e) {
    mode_t mode = t->st.st_mode;
    struct stat found;
    if (S_ISDIR(mode))
        return err_file(e, ERR_USAGE, o->path, "is a folder, expected a file name to write");
    if (S_ISBLK(mode) || S_ISSOCK(mode))
        return err_file(e, ERR_USAGE, o->path, "is a %s, expected a file name to write",
                        S_ISBLK(mode) ? "block device" : "socket");
    if (S_ISREG(mode) && inputs_has(&t->st))
        return err_file(e, ERR_USAGE, o->path,
                        "is a file that this command reads: choose another name to write to");
    t->fd = S_ISREG(mode) ? open_descriptor(&t->st) : -1;
    o->direct = !S_ISREG(mode) || t->fd >= 0;
    if (!o->direct && !force)
        return err_file(e, ERR_USAGE, o->path, "exists already; --force overwrites it");
    if (t->fd < 0 && access(o->path, W_OK) != 0) return cannot_write(o->path, errno, e);
    if (o->direct) return OK;
    t->exists = true;
    int rc = follow_links(o, e);
    if (rc) return rc;
    bool same =
        stat(o->place, &found) == 0 && found.st_dev == t->st.st_dev && found.st_ino == t->st.st_ino;
    return same ? OK
                : err_file(e, ERR_USAGE, o->path,
                           "leads to a file without a name, which cannot be replaced");
}

static int find_place(struct out_file *o, struct target *t, const char *path, bool force,
                      struct err *e) {
    *o = (struct out_file){.path = path};
    *t = (struct target){.fd = -1};
    if (stat(path, &t->st) == 0) return look_at(o, t, force, e);
    if (errno != ENOENT || !*path) return cannot_write(path, errno, e);
    return follow_links(o, e);
}

/* ---- opening ---- */

/* "folder/name" -> "folder/name.tmp-1a2b3c4d": another name each time, so that none that a killed
 * process left is in the way. */
static bool name_temporary(struct out_file *o) {
    enum { NAME_ROOM = 200 }; /* of the 255 bytes that file systems allow a name */
    const char *slash = strrchr(o->place, '/'), *name = slash ? slash + 1 : o->place;
    int n = snprintf(o->tmp, sizeof o->tmp, "%.*s%.*s.tmp-%08lx", (int)(name - o->place), o->place,
                     (int)NAME_ROOM, name, (unsigned long)(rng_entropy() & 0xFFFFFFFF));
    return n > 0 && (size_t)n < sizeof o->tmp;
}

/* Gives the new file what the old one has. Where the owner cannot be kept, the permissions are kept
 * all the same. */
static void keep_owner_and_mode(int fd, const struct stat *old) {
    struct stat own;
    if (fstat(fd, &own) == 0 && (own.st_uid != old->st_uid || own.st_gid != old->st_gid)) {
        int failed = fchown(fd, old->st_uid, old->st_gid);
        if (failed) failed = fchown(fd, (uid_t)-1, old->st_gid);
        (void)failed;
    }
    (void)fchmod(fd, old->st_mode & 0777);
}

/* The temporary's descriptor, or -1 and errno. It is to be removed by a signal before it is there:
 * the signal may come in between. */
static int create_temporary(struct out_file *o, const struct target *t) {
    enum { TRIES = 100 };
    int fd = -1;
    for (int i = 0; i < TRIES && fd < 0; i++) {
        if (!name_temporary(o)) {
            errno = ENAMETOOLONG;
            return -1;
        }
        interrupt_remove_file(o->tmp);
        fd = open(o->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, t->exists ? 0600 : 0666);
        if (fd >= 0) break;
        int error = errno;
        interrupt_keep_file(o->tmp);
        errno = error;
        if (error != EEXIST) return -1;
    }
    if (fd >= 0 && t->exists) keep_owner_and_mode(fd, &t->st);
    return fd;
}

static void remove_temporary(struct out_file *o) {
    if (o->direct) return;
    unlink(o->tmp);
    interrupt_keep_file(o->tmp);
}

/* What is written to as it is. */
static int open_direct(const char *path, int fd) {
    if (fd < 0) return open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
    fflush(NULL);
    return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

int out_check(const char *path, bool force, struct err *e) {
    struct out_file o;
    struct target t;
    int rc = find_place(&o, &t, path, force, e);
    if (rc || o.direct) return rc;
    int fd = create_temporary(&o, &t);
    if (fd < 0) return cannot_write(path, errno, e);
    close(fd);
    remove_temporary(&o);
    return OK;
}

int out_open(struct out_file *o, const char *path, bool force, struct err *e) {
    struct target t;
    int rc = find_place(o, &t, path, force, e);
    if (rc) return rc;
    int fd = o->direct ? open_direct(path, t.fd) : create_temporary(o, &t);
    if (fd < 0 && errno == EINTR && interrupt_pending())
        return err_set(e, ERR_INTERRUPTED, "interrupted");
    if (fd < 0) return cannot_write(path, errno, e);
    o->fp = fdopen(fd, "wb");
    if (o->fp) return OK;
    rc = cannot_write(path, errno, e);
    close(fd);
    remove_temporary(o);
    return rc;
}

/* ---- writing ---- */

int out_write(struct out_file *o, const void *data, size_t n, struct err *e) {
    if (!n || fwrite(data, 1, n, o->fp) == n) return OK;
    /* The system reads mapped bytes itself, and reports a page that is gone as a bad address. */
    const char *source = errno == EFAULT ? fault_file(data) : NULL;
    if (source)
        return err_file(e, ERR_FAILED, source, "was cut short or overwritten while it was read");
    return cannot_write(o->path, errno, e);
}

int out_commit(struct out_file *o, struct err *e) {
    int error = 0; /* of the first step that failed */
    if (fflush(o->fp) != 0 || ferror(o->fp) || (!o->direct && fsync(fileno(o->fp)) != 0))
        error = errno ? errno : EIO;
    if (fclose(o->fp) != 0 && !error) error = errno;
    o->fp = NULL;
    int rc = error ? cannot_write(o->path, error, e) : inputs_unchanged(e);
    if (!rc && !o->direct && rename(o->tmp, o->place) != 0) rc = cannot_write(o->path, errno, e);
    if (rc)
        remove_temporary(o);
    else if (!o->direct)
        interrupt_keep_file(o->tmp);
    return rc;
}

void out_abort(struct out_file *o) {
    if (!o->fp) return;
    fclose(o->fp);
    o->fp = NULL;
    remove_temporary(o);
}
