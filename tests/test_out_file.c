/* Outputs: what is kept, what is refused, what signals leave behind; and what makes the bytes safe
 * before the name: fsync is this program's own. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bad/folder.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/inputs.h"
#include "base/interrupt.h"
#include "base/out_file.h"
#include "base/printable.h"
#include "base/threads.h"
#include "test.h"

static struct err e;

/* ---- fsync ---- */

static int synced, sync_error;
static const char
    *sync_place; /* what must not be there yet, or still be old, when the bytes are synced */
static off_t sync_size, place_size;

int fsync(int fd) {
    struct stat st;
    synced++;
    sync_size = fstat(fd, &st) == 0 ? st.st_size : -1;
    place_size = sync_place && stat(sync_place, &st) == 0 ? st.st_size : -1;
    errno = sync_error;
    return sync_error ? -1 : 0;
}

/* ---- helpers ---- */

static size_t files_in_folder(void) {
    size_t n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *f; d && (f = readdir(d));) n += f->d_name[0] != '.';
    if (d) closedir(d);
    return n;
}

static bool holds(const char *path, const char *text) {
    char buf[256] = "";
    FILE *fp = fopen(path, "rb");
    size_t n = fp ? fread(buf, 1, sizeof buf - 1, fp) : 0;
    if (fp) fclose(fp);
    return n == strlen(text) && memcmp(buf, text, n) == 0;
}

static int write_text(const char *path, bool force, const char *text) {
    struct out_file o;
    int rc = out_open(&o, path, force, &e);
    if (!rc) rc = out_write(&o, text, strlen(text), &e);
    return rc ? rc : out_commit(&o, &e);
}

static mode_t mode_of(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

static const char *put(const char *name, const char *text) {
    return folder_write(name, text, strlen(text));
}
static void clear(void) {
    char path[600];
    inputs_forget();
    snprintf(path, sizeof path, "%s", folder);
    folder_remove();
    CHECK(mkdir(path, 0700) == 0, "%s", strerror(errno));
}

/* ---- tests ---- */

static void synced_before_renamed(void) {
    const char *path = put("a", "old");
    synced = 0, sync_place = path;
    CHECK(write_text(path, true, "newer") == OK, "%s", e.msg);
    CHECK(synced == 1 && sync_size == 5 && place_size == 3,
          "synced %d times, %ld bytes, the old file had %ld", synced, (long)sync_size,
          (long)place_size);
    CHECK(holds(path, "newer") && files_in_folder() == 1, "%zu files", files_in_folder());
    sync_error = EIO;
    CHECK(write_text(path, true, "lost") == ERR_FAILED && strstr(e.msg, strerror(EIO)), "%s",
          e.msg);
    CHECK(holds(path, "newer") && files_in_folder() == 1,
          "a failed sync changes the file or leaves one");
    sync_error = 0, sync_place = NULL;
    clear();
}

static void permissions_are_kept(void) {
    mode_t before = umask(022);
    const char *path = put("a", "old");
    for (size_t i = 0; i < 3; i++) {
        const mode_t modes[] = {0600, 0640, 0755};
        chmod(path, modes[i]);
        CHECK(write_text(path, true, "new") == OK && mode_of(path) == modes[i], "%o became %o: %s",
              (unsigned)modes[i], (unsigned)mode_of(path), e.msg);
    }
    CHECK(write_text(folder_path("fresh"), false, "new") == OK &&
              mode_of(folder_path("fresh")) == 0644,
          "a new file: %o", (unsigned)mode_of(folder_path("fresh")));
    umask(077);
    CHECK(write_text(folder_path("own"), false, "new") == OK && mode_of(folder_path("own")) == 0600,
          "with a mask: %o", (unsigned)mode_of(folder_path("own")));
    umask(before);
    if (getuid() == 0) {
        struct stat st = {0};
        CHECK(chown(path, 12, 34) == 0 && write_text(path, true, "root's") == OK &&
                  stat(path, &st) == 0 && st.st_uid == 12 && st.st_gid == 34,
              "the owner is %ld, the group %ld", (long)st.st_uid, (long)st.st_gid);
    }
    clear();
}

static void links_are_followed(void) {
    const char *file = put("file", "old"), *link = folder_path("link"),
               *second = folder_path("second");
    struct stat st;
    chmod(file, 0600);
    CHECK(symlink("file", link) == 0 && symlink(link, second) == 0, "%s", strerror(errno));
    CHECK(write_text(second, false, "no") == ERR_USAGE && strstr(e.msg, "exists already"), "%s",
          e.msg);
    CHECK(write_text(second, true, "new") == OK, "%s", e.msg);
    CHECK(lstat(second, &st) == 0 && S_ISLNK(st.st_mode) && lstat(link, &st) == 0 &&
              S_ISLNK(st.st_mode),
          "a link became a file");
    CHECK(holds(file, "new") && mode_of(file) == 0600, "the file behind it");
    CHECK(unlink(file) == 0 && write_text(second, false, "born") == OK && holds(file, "born"),
          "a link to nothing: %s", e.msg);
    CHECK(files_in_folder() == 3, "%zu files", files_in_folder());
    CHECK(symlink("round", folder_path("round")) == 0 &&
              write_text(folder_path("round"), true, "x") == ERR_FAILED,
          "a link to itself");
    clear();
}

/* Devices, pipes and what is open already keep what they are. */
static void written_to_as_it_is(void) {
    const char *fifo = folder_path("fifo"), *open_file = put("open", "first ");
    struct stat st;
    char got[16] = "";
    CHECK(mkfifo(fifo, 0600) == 0, "%s", strerror(errno));
    int reader = open(fifo, O_RDONLY | O_NONBLOCK);
    CHECK(out_check(fifo, false, &e) == OK && write_text(fifo, false, "through") == OK, "%s",
          e.msg);
    CHECK(read(reader, got, sizeof got) == 7 && memcmp(got, "through", 7) == 0,
          "the pipe gives '%s'", got);
    close(reader);
    CHECK(lstat(fifo, &st) == 0 && S_ISFIFO(st.st_mode), "no pipe any more");
    CHECK(write_text("/dev/null", false, "gone") == OK && stat("/dev/null", &st) == 0 &&
              S_ISCHR(st.st_mode),
          "%s", e.msg);
    int fd = open(open_file, O_WRONLY | O_APPEND);
    ino_t before = fstat(fd, &st) == 0 ? st.st_ino : 0;
    CHECK(write_text(open_file, false, "second ") == OK && write(fd, "third", 5) == 5, "%s", e.msg);
    close(fd);
    CHECK(holds(open_file, "first second third") && stat(open_file, &st) == 0 &&
              st.st_ino == before,
          "a file that is open was replaced");
    CHECK(files_in_folder() == 2, "%zu files", files_in_folder());
    clear();
}

static void inputs_are_not_overwritten(void) {
    const char *model = put("model", "mapped"), *text = put("text", "read");
    char other[1100];
    struct file f;
    struct arena a = {0};
    uint8_t *data;
    size_t n;
    snprintf(other, sizeof other, "%s/../%s/model", folder, strrchr(folder, '/') + 1);
    CHECK(file_map(&f, model, &e) == OK, "%s", e.msg);
    CHECK(file_read(text, &a, &data, &n, &e) == OK && n == 4, "%s", e.msg);
    CHECK(link(model, folder_path("hard")) == 0 && symlink("text", folder_path("soft")) == 0, "%s",
          strerror(errno));
    const char *names[] = {model, text, other, folder_path("hard"), folder_path("soft")};
    for (size_t i = 0; i < 5; i++) {
        CHECK(out_check(names[i], true, &e) == ERR_USAGE &&
                  strstr(e.msg, "is a file that this command reads"),
              "%s: %s", names[i], e.msg);
        CHECK(write_text(names[i], true, "x") == ERR_USAGE, "%s", names[i]);
    }
    file_unmap(&f);
    CHECK(write_text(model, true, "x") == ERR_USAGE && holds(model, "mapped") &&
              holds(text, "read"),
          "a file is an input after it was closed too");
    inputs_may_replace(model);
    CHECK(write_text(model, true, "said so") == OK && holds(model, "said so"), "%s", e.msg);
    arena_free(&a);
    clear();
}

static void found_before(void) {
    char deep[1200], name[301] = "";
    const char *file = put("file", "x");
    snprintf(deep, sizeof deep, "%s/none/x", folder);
    CHECK(out_check(deep, true, &e) == ERR_FAILED && strstr(e.msg, strerror(ENOENT)), "%s", e.msg);
    CHECK(out_check(folder, true, &e) == ERR_USAGE && strstr(e.msg, "is a folder"), "%s", e.msg);
    snprintf(deep, sizeof deep, "%s/x", file);
    CHECK(out_check(deep, true, &e) == ERR_FAILED && strstr(e.msg, strerror(ENOTDIR)), "%s", e.msg);
    CHECK(out_check("", true, &e) == ERR_FAILED, "an empty name");
    CHECK(out_check(file, false, &e) == ERR_USAGE && out_check(file, true, &e) == OK, "%s", e.msg);
    memset(name, 'n', 300);
    CHECK(out_check(folder_path(name), true, &e) == ERR_FAILED &&
              strstr(e.msg, strerror(ENAMETOOLONG)),
          "%s", e.msg);
    name[255] = 0; /* as long as names may be: the temporary's is no longer */
    CHECK(write_text(folder_path(name), false, "x") == OK && holds(folder_path(name), "x"), "%s",
          e.msg);
    unlink(folder_path(name));
    if (getuid() != 0) {
        chmod(file, 0400);
        CHECK(out_check(file, true, &e) == ERR_FAILED && strstr(e.msg, strerror(EACCES)),
              "a file that may not be written: %s", e.msg);
        chmod(folder, 0500);
        CHECK(out_check(folder_path("new"), true, &e) == ERR_FAILED &&
                  strstr(e.msg, strerror(EACCES)),
              "%s", e.msg);
        chmod(folder, 0700);
    }
    CHECK(files_in_folder() == 1, "%zu files: asking leaves one", files_in_folder());
    clear();
}

/* A file that is written to while it is mapped: what depends on it is not kept. */
static void changed_inputs(void) {
    const char *model = put("model", "mapped"), *out = folder_path("out");
    struct file f;
    struct out_file o;
    CHECK(file_map(&f, model, &e) == OK && inputs_unchanged(&e) == OK, "%s", e.msg);
    CHECK(out_open(&o, out, false, &e) == OK, "%s", e.msg);
    put("model", "overwritten");
    CHECK(out_commit(&o, &e) == ERR_FAILED &&
              strstr(e.msg, "model: was written to while it was read"),
          "%s", e.msg);
    CHECK(files_in_folder() == 1 && inputs_unchanged(&e) == ERR_FAILED, "%zu files",
          files_in_folder());
    file_unmap(&f);
    unlink(model);
    put("model", "another file of that name");
    inputs_forget();
    CHECK(file_map(&f, model, &e) == OK && rename(put("new", "newer"), model) == 0 &&
              inputs_unchanged(&e) == OK,
          "a replaced file is as it was: %s", e.msg);
    file_unmap(&f);
    clear();
}

/* ---- signals ---- */

/* Runs fn in a child; its wait status. */
static int in_child(void (*fn)(void *), void *ctx) {
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        fn(ctx);
        _exit(99);
    }
    waitpid(pid, &status, 0);
    return status;
}

struct signals {
    int n, sig[2];
};

static void raise_while_writing(void *ctx) {
    const struct signals *s = ctx;
    struct out_file o;
    for (int i = 1; i < 32; i++)
        if (i != SIGKILL && i != SIGSTOP) signal(i, SIG_DFL);
    interrupt_install();
    if (out_open(&o, folder_path("out"), false, &e)) _exit(98);
    for (int i = 0; i < s->n; i++) raise(s->sig[i]);
    _exit(interrupt_pending() && files_in_folder() == 1
              ? 97
              : 96); /* still running, the temporary is there */
}

static void signals_leave_nothing(void) {
    const int stop[] = {SIGINT, SIGTERM, SIGHUP};
    const int fatal[] = {SIGQUIT, SIGPIPE,   SIGALRM, SIGXCPU, SIGUSR1,
                         SIGUSR2, SIGVTALRM, SIGPROF, SIGABRT};
    for (size_t i = 0; i < 3; i++) {
        int status = in_child(raise_while_writing, &(struct signals){1, {stop[i]}});
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 97, "the first signal %d: status %x",
              stop[i], (unsigned)status);
        clear(); /* that child ended without tidying up */
        status = in_child(raise_while_writing, &(struct signals){2, {stop[i], SIGINT}});
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 130,
              "a second signal after %d: status %x", stop[i], (unsigned)status);
        CHECK(files_in_folder() == 0, "a second signal after %d leaves a file", stop[i]);
    }
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
        int status = in_child(raise_while_writing, &(struct signals){1, {fatal[i]}});
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == fatal[i], "signal %d: status %x", fatal[i],
              (unsigned)status);
        CHECK(files_in_folder() == 0, "signal %d leaves a file", fatal[i]);
    }
}

static void ignore_all(void *ctx) {
    (void)ctx;
    const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1};
    for (size_t i = 0; i < 6; i++) signal(ignored[i], SIG_IGN);
    interrupt_install();
    for (size_t i = 0; i < 6; i++) raise(ignored[i]);
    _exit(interrupt_pending() ? 1 : 0);
}

static void ignored_signals_stay_ignored(void) {
    int status = in_child(ignore_all, NULL);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
}

static void write_too_much(void *ctx) {
    (void)ctx;
    struct rlimit few = {1000, 1000};
    struct out_file o;
    static char data[5000];
    signal(SIGXFSZ, SIG_DFL);
    interrupt_install();
    setrlimit(RLIMIT_FSIZE, &few);
    if (out_open(&o, folder_path("out"), false, &e)) _exit(98);
    int rc = out_write(&o, data, sizeof data, &e);
    if (!rc) rc = out_commit(&o, &e);
    out_abort(&o);
    _exit(rc == ERR_FAILED && strstr(e.msg, strerror(EFBIG)) ? 0 : 97);
}

static void file_size_limit(void) {
    int status = in_child(write_too_much, NULL);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
    CHECK(files_in_folder() == 0, "a file is left");
}

/* ---- a mapped file that is cut short ---- */

enum { PAGES = 1 << 20 };
static uint64_t sum;

static void add_bytes(void *ctx, size_t begin, size_t end, int thread) {
    const struct file *f = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++) sum += ((const volatile uint8_t *)f->data)[i];
}

/* 0: this thread reads the bytes; 1: several do; 2: the system does, for a write */
static void read_cut_file(void *ctx) {
    int way = *(int *)ctx;
    struct file f;
    struct out_file o;
    dup2(open(folder_path("said"), O_WRONLY | O_CREAT, 0600), STDERR_FILENO);
    interrupt_install();
    threads_set(3);
    if (file_map(&f, folder_path("model"), &e) || out_open(&o, folder_path("out"), false, &e) ||
        truncate(folder_path("model"), 0))
        _exit(98);
    if (way == 0) add_bytes(&f, 0, f.size, 0);
    if (way == 1) threads_ranges(f.size, add_bytes, &f);
    int rc = out_write(&o, f.data, f.size, &e);
    if (rc) fprintf(stderr, "lookat: %s\n", e.msg);
    out_abort(&o);
    _exit(rc);
}

static void cut_while_mapped(void) {
    static char zeros[PAGES];
    for (int way = 0; way < 3; way++) {
        folder_write("model", zeros, sizeof zeros);
        int status = in_child(read_cut_file, &way);
        char said[512] = "";
        FILE *fp = fopen(folder_path("said"), "rb");
        if (fp) {
            if (!fgets(said, sizeof said, fp)) said[0] = 0;
            fclose(fp);
        }
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1, "way %d: status %x", way,
              (unsigned)status);
        CHECK(strstr(said, "model: was cut short or overwritten while it was read\n"), "way %d: %s",
              way, said);
        CHECK(files_in_folder() == 2, "way %d: %zu files", way, files_in_folder());
        clear();
    }
}

static void read_nothing(void *ctx) {
    (void)ctx;
    signal(SIGBUS, SIG_DFL);
    interrupt_install();
    raise(SIGBUS);
}

static void other_bus_errors(void) {
    int status = in_child(read_nothing, NULL);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "status %x", (unsigned)status);
}

static void fault_names_files(void) {
    static const char data[2][100];
    char path[400];
    memset(path, 'p', sizeof path - 1);
    path[399] = 0;
    strcpy(path + 390, "end\x1b");
    fault_add(data[0], 100, "a");
    fault_add(data[1], 100, path);
    const char *first = fault_file(data[0] + 5), *second = fault_file(data[1] + 99);
    CHECK(first && strcmp(first, "a") == 0, "%s", first ? first : "none");
    CHECK(second && strlen(second) < 200 && strcmp(second + strlen(second) - 4, "end?") == 0, "%s",
          second ? second : "none");
    fault_remove(data[0]);
    fault_remove(data[1]);
    CHECK(!fault_file(data[0]) && !fault_file(data[1]), "removed");
}

/* ---- inputs of other kinds ---- */

static void kinds_of_inputs(void) {
    const char *fifo = folder_path("fifo");
    struct file f;
    struct arena a = {0};
    uint8_t *data;
    size_t n;
    CHECK(mkfifo(fifo, 0600) == 0, "%s", strerror(errno));
    CHECK(file_map(&f, fifo, &e) == ERR_REFUSED && strstr(e.msg, "is a pipe"), "%s", e.msg);
    CHECK(file_map(&f, folder, &e) == ERR_REFUSED && strstr(e.msg, "is a folder"), "%s", e.msg);
    CHECK(file_map(&f, "/dev/null", &e) == ERR_REFUSED && strstr(e.msg, "is a device"), "%s",
          e.msg);
    CHECK(file_read(fifo, &a, &data, &n, &e) == ERR_REFUSED && strstr(e.msg, "nobody writes"), "%s",
          e.msg);
    CHECK(file_read("/dev/zero", &a, &data, &n, &e) == ERR_REFUSED && strstr(e.msg, "is a device"),
          "%s", e.msg);
    CHECK(file_read(folder, &a, &data, &n, &e) == ERR_REFUSED && strstr(e.msg, "is a folder"), "%s",
          e.msg);
    CHECK(file_read("/dev/null", &a, &data, &n, &e) == OK && n == 0, "%s", e.msg);
    int fd = open(fifo, O_RDWR);
    CHECK(write(fd, "written", 7) == 7, "%s", strerror(errno));
    CHECK(file_read_most(fifo, 6, &a, &data, &n, &e) == OK && n == 7 &&
              memcmp(data, "written", 7) == 0,
          "%s", e.msg);
    close(fd);
    put("text", "0123456789");
    CHECK(file_read_most(folder_path("text"), 4, &a, &data, &n, &e) == OK && n == 5 &&
              memcmp(data, "01234", 6) == 0,
          "%zu bytes", n);
    CHECK(file_read_most(folder_path("text"), 10, &a, &data, &n, &e) == OK && n == 10 &&
              memcmp(data, "0123456789", 11) == 0,
          "%zu bytes", n);
    arena_free(&a);
    clear();
}

/* ---- what the terminal gets ---- */

static void steering_characters(void) {
    static const char *const cases[][2] = {
        {"plain", "plain"},
        {"", ""},
        {"a\x1b[31mb\n\tc\x7f", "a?[31mb??c?"},
        {"\xC2\x9B"
         "31m",
         "?31m"},
        {"\xC2\x80\xC2\x9F\xC2\xA0", "??\xC2\xA0"},
        {"\x9B"
         "31m",
         "?31m"},
        {"caf\xC3\xA9", "caf\xC3\xA9"},
        {"cut \xE2\x80", "cut "},
        {"a\xE2\x80\xAE"
         "b\xE2\x81\xA6"
         "c\xD8\x9C",
         "a?b?c?"},
        {"\xE2\x80\xA8\xE2\x80\xA9\xE2\x80\x8E\xE2\x80\x8F\xE2\x80\xAA", "?????"},
        {"\xE2\x80\x94\xE2\x81\xA5\xE2\x81\xAA", "\xE2\x80\x94\xE2\x81\xA5\xE2\x81\xAA"},
        {"\xF0\x9F\x91\x8D", "\xF0\x9F\x91\x8D"},
        {"\xED\xA0\x80", "???"},
        {"\xC0\x9B", "??"}};
    char long_name[400];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64];
        strcpy(text, cases[i][0]);
        printable(text);
        CHECK(strcmp(text, cases[i][1]) == 0, "case %zu: '%s'", i, text);
        CHECK(strcmp(printable_copy(cases[i][0]).s, cases[i][1]) == 0, "case %zu, copied", i);
        err_set(&e, ERR_FAILED, "x%sy", cases[i][0]);
        CHECK(!strpbrk(e.msg, "\x1b\n\t\x7f") && e.msg[0] == 'x', "case %zu in a message: %s", i,
              e.msg);
    }
    memset(long_name, 'n', 399);
    long_name[399] = 0;
    struct printable_text t = printable_copy(long_name);
    CHECK(strlen(t.s) == 255 && strcmp(t.s + 252, "...") == 0, "%zu bytes", strlen(t.s));
}

int main(void) {
    if (!folder_make()) return 1;
    RUN(synced_before_renamed);
    RUN(permissions_are_kept);
    RUN(links_are_followed);
    RUN(written_to_as_it_is);
    RUN(inputs_are_not_overwritten);
    RUN(found_before);
    RUN(changed_inputs);
    RUN(signals_leave_nothing);
    RUN(ignored_signals_stay_ignored);
    RUN(file_size_limit);
    RUN(cut_while_mapped);
    RUN(other_bus_errors);
    RUN(fault_names_files);
    RUN(kinds_of_inputs);
    RUN(steering_characters);
    folder_remove();
    return TEST_RESULT;
}
