/* What the system says of this process, and what a write that failed says of itself. */
#define _XOPEN_SOURCE 700 /* realpath */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/out_file.h"
#include "base/process.h"
#include "test.h"

static const char *program; /* argv[0] */
static char folder[] = "/tmp/lookat_process_XXXXXX";

static bool same_file(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static void program_is_found(void) {
    char path[4096];
    bool emulated = getenv("RUN") && *getenv("RUN"); /* the system knows the emulator */
    if (!emulated)
        CHECK(process_program(NULL, path, sizeof path) && same_file(path, program),
              "'%s' is not '%s'", path, program);
    CHECK(process_program_called(program, path, sizeof path) && same_file(path, program),
          "'%s' is not '%s'", path, program);
    CHECK(!process_program_called(program, path, 4), "a path fits into 4 bytes");
    CHECK(!process_program_called("/nowhere/lookat", path, sizeof path), "found '%s'", path);
    CHECK(!process_program_called("", path, sizeof path) &&
              !process_program_called(NULL, path, sizeof path),
          "found '%s'", path);
}

/* By its name alone a program is the first of PATH; through a link it is what the link leads to. */
static void program_in_path(void) {
    char path[4096], link[64], here[4096], list[8192];
    const char *before = getenv("PATH");
    char *kept = before ? strdup(before) : NULL;
    snprintf(link, sizeof link, "%s/tool", folder);
    CHECK(realpath(program, here) && symlink(here, link) == 0, "a link cannot be made");
    snprintf(list, sizeof list, "/nowhere:%s:%s", folder, kept ? kept : "");
    setenv("PATH", list, 1);
    CHECK(process_program_called("tool", path, sizeof path) && same_file(path, program),
          "'%s' is not '%s'", path, program);
    CHECK(process_program_called(link, path, sizeof path) && strcmp(path, here) == 0,
          "'%s' is not '%s'", path, here);
    CHECK(!process_program_called("no such tool", path, sizeof path), "found '%s'", path);
    setenv("PATH", "", 1); /* an empty folder is the current one */
    CHECK(!process_program_called("tool", path, sizeof path), "found '%s'", path);
    if (kept) setenv("PATH", kept, 1);
    free(kept);
    unlink(link);
}

static void memory_and_processors(void) {
    size_t page = memory_page();
    CHECK(page >= 512 && (page & (page - 1)) == 0, "a page of %zu bytes", page);
    CHECK(process_cpus() > 0, "%d processors", process_cpus());
    CHECK(machine_memory_bytes() == 0 || machine_memory_bytes() > page, "%zu bytes of memory",
          machine_memory_bytes());
    CHECK(process_peak_bytes() == 0 || process_peak_bytes() > page, "%zu bytes at the peak",
          process_peak_bytes());
}

/* The reason of the write that failed, though later calls succeed or fail for reasons of their own.
 */
static void full_stream(void) {
    struct err e = {0};
    FILE *fp = fopen("/dev/full", "w");
    if (!fp) SKIP("no /dev/full");
    for (int i = 0; i < 3 * BUFSIZ; i++) fputc('x', fp);
    CHECK(file_flush(fp, "a device", &e) == ERR_FAILED, "%d", e.code);
    CHECK(strstr(e.msg, "cannot write to a device: ") && strstr(e.msg, strerror(ENOSPC)), "%s",
          e.msg);
    fclose(fp);
    fp = fopen("/dev/null", "w");
    errno = ENOENT;
    CHECK(fp && fputs("x", fp) >= 0 && file_flush(fp, "a device", &e) == OK, "%s", e.msg);
    if (fp) fclose(fp);
}

/* A file that may not grow: every step of an output names that, and nothing is left of it. */
static void limited_output(void) {
    static char block[1 << 16];
    char path[64];
    struct rlimit before, small;
    snprintf(path, sizeof path, "%s/out", folder);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 4096;
    for (size_t n = 4097; n <= sizeof block; n = n * 2 - 1) {
        struct out_file o;
        struct err e = {0};
        CHECK(out_open(&o, path, false, &e) == OK, "%s", e.msg);
        setrlimit(RLIMIT_FSIZE, &small);
        int rc = out_write(&o, block, n, &e);
        if (rc)
            out_abort(&o);
        else
            rc = out_commit(&o, &e);
        setrlimit(RLIMIT_FSIZE, &before);
        CHECK(rc == ERR_FAILED && strstr(e.msg, strerror(EFBIG)) && strstr(e.msg, path),
              "%zu bytes: %d %s", n, rc, e.msg);
        CHECK(!file_exists(path) && !file_exists(o.tmp), "%zu bytes: something is left", n);
    }
    signal(SIGXFSZ, SIG_DFL);
}

/* Does reading p[at] end a process? */
static bool cannot_be_read(const uint8_t *p, size_t at) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        volatile uint8_t byte;
        if (!freopen("/dev/null", "w", stderr)) _exit(0); /* a sanitizer's report */
        byte = *(const volatile uint8_t *)(p + at);
        _exit(byte & 0);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child &&
           !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A guarded map holds the file, and nothing behind its last byte. */
static void guarded_map(void) {
    static uint8_t block[3 << 16];
    const size_t page = memory_page(),
                 sizes[] = {1, page - 1, page, page + 1, 2 * page + 777, 2 * page};
    char path[64];
    snprintf(path, sizeof path, "%s/mapped", folder);
    for (size_t i = 0; i < sizeof block; i++) block[i] = (uint8_t)(i * 2654435761u >> 24);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct file f;
        struct err e = {0};
        size_t n = sizes[i];
        FILE *fp = fopen(path, "wb");
        CHECK(fp && n <= sizeof block && fwrite(block, 1, n, fp) == n && fclose(fp) == 0,
              "%zu bytes cannot be written", n);
        file_guard(true);
        CHECK(file_map(&f, path, &e) == OK && f.size == n && memcmp(f.data, block, n) == 0,
              "%zu bytes: %zu, %s", n, f.size, e.msg);
        CHECK(cannot_be_read(f.data, n) && cannot_be_read(f.data, n + 4096),
              "%zu bytes: there is more", n);
        CHECK(!cannot_be_read(f.data, n - 1), "%zu bytes: the last cannot be read", n);
        file_unmap(&f);
        file_guard(false);
        CHECK(file_map(&f, path, &e) == OK && f.size == n && memcmp(f.data, block, n) == 0,
              "%zu bytes: %zu, %s", n, f.size, e.msg);
        file_unmap(&f);
    }
    unlink(path);
}

/* What is no terminal has the size that the environment says, where that is a number. */
static void size_of_a_terminal(void) {
    static const struct {
        const char *columns, *lines;
        size_t want[2];
    } t[] = {{NULL, NULL, {80, 24}}, {"33", "7", {33, 7}},      {"0", "x", {80, 24}},
             {"-5", "", {80, 24}},   {"99999", "2x", {80, 24}}, {"9999", "1", {9999, 1}}};
    int fd = open("/dev/null", O_RDWR);
    CHECK(fd >= 0 && !terminal_same(fd, fd), "/dev/null is a terminal");
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        size_t columns = 0, rows = 0;
        if (t[i].columns) setenv("COLUMNS", t[i].columns, 1), setenv("LINES", t[i].lines, 1);
        terminal_size(fd, &columns, &rows);
        CHECK(columns == t[i].want[0] && rows == t[i].want[1], "%zu: %zu by %zu", i, columns, rows);
        unsetenv("COLUMNS"), unsetenv("LINES");
    }
    close(fd);
}

int main(int argc, char **argv) {
    program = argc ? argv[0] : "";
    if (!mkdtemp(folder)) {
        printf("FAIL folder: cannot be made\n");
        return 1;
    }
    RUN(program_is_found);
    RUN(program_in_path);
    RUN(memory_and_processors);
    RUN(full_stream);
    RUN(limited_output);
    RUN(guarded_map);
    rmdir(folder);
    RUN(size_of_a_terminal);
    return TEST_RESULT;
}
