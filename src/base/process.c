/* POSIX alone hides what these systems add to it. */
#if defined(__linux__)
#define _GNU_SOURCE /* sched_getaffinity, madvise, MAP_ANONYMOUS */
#elif defined(__APPLE__)
#define _DARWIN_C_SOURCE /* _SC_NPROCESSORS_ONLN, MAP_ANON */
#else
#undef _POSIX_C_SOURCE /* the BSDs show everything where nothing is asked for */
#endif

#include "base/process.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#elif defined(__APPLE__)
#include <mach-o/dyld.h>
#elif defined(__FreeBSD__) || defined(__DragonFly__) || defined(__NetBSD__)
#include <sys/sysctl.h>
#endif

#if !defined(MAP_ANONYMOUS) && defined(MAP_ANON)
#define MAP_ANONYMOUS MAP_ANON
#endif

double clock_now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

size_t process_peak_bytes(void) {
    struct rusage ru;
    if (getrusage(RUSAGE_SELF, &ru) != 0) return 0;
#ifdef __APPLE__
    return (size_t)ru.ru_maxrss;
#else
    return (size_t)ru.ru_maxrss * 1024; /* Linux and the BSDs count in KiB */
#endif
}

/* A number from 1 to 9999 in the environment, or `otherwise`. */
static size_t number_named(const char *name, size_t otherwise) {
    const char *s = getenv(name);
    size_t n = s ? strspn(s, "0123456789") : 0;
    if (!n || n > 4 || s[n]) return otherwise;
    long x = strtol(s, NULL, 10);
    return x > 0 ? (size_t)x : otherwise;
}

void terminal_size(int fd, size_t *columns, size_t *rows) {
    *columns = *rows = 0;
#ifdef TIOCGWINSZ
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0) *columns = size.ws_col, *rows = size.ws_row;
#else
    (void)fd;
#endif
    if (!*columns) *columns = number_named("COLUMNS", 80);
    if (!*rows) *rows = number_named("LINES", 24);
}

bool terminal_same(int a, int b) {
    struct stat x, y;
    return isatty(a) && isatty(b) && fstat(a, &x) == 0 && fstat(b, &y) == 0 &&
           x.st_rdev == y.st_rdev;
}

size_t memory_page(void) {
    long page = sysconf(_SC_PAGESIZE);
    return page > 0 ? (size_t)page : 4096;
}

size_t machine_memory_bytes(void) {
#ifdef _SC_PHYS_PAGES
    long pages = sysconf(_SC_PHYS_PAGES);
    size_t page = memory_page();
    if (pages > 0) return (size_t)pages > (size_t)-1 / page ? (size_t)-1 : (size_t)pages * page;
#endif
    return 0;
}

/* Appends ", " and the processor's name to text[at..room), where the system has such a list. */
static void processor_name(char *text, size_t at, size_t room) {
    char line[256];
    FILE *fp = fopen("/proc/cpuinfo", "r");
    while (fp && fgets(line, sizeof line, fp)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(text + at, room - at, ", %s", colon + 1 + strspn(colon + 1, " "));
        break;
    }
    if (fp) fclose(fp);
}

void machine_describe(char *text, size_t room) {
    struct utsname u;
    int n = uname(&u) == 0 ? snprintf(text, room, "%s %s %s", u.sysname, u.release, u.machine)
                           : snprintf(text, room, "unknown");
    if (n > 0 && (size_t)n < room) processor_name(text, (size_t)n, room);
}

/* ---- processors ---- */

#ifdef __linux__
/* Bits of the affinity mask. The kernel refuses a mask that is too short for its processors. */
static int in_mask(void) {
    for (int size = 1024; size <= 1 << 20; size *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)size);
        if (!set) return 0;
        size_t bytes = CPU_ALLOC_SIZE((size_t)size);
        int n = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (n) return n;
    }
    return 0;
}
#else
static int in_mask(void) { return 0; }
#endif

int process_cpus(void) {
    int n = in_mask();
#ifdef _SC_NPROCESSORS_ONLN
    if (!n) n = (int)sysconf(_SC_NPROCESSORS_ONLN);
#endif
    return n < 0 ? 0 : n;
}

/* ---- the program's file ---- */

/* What the system itself says; false where it does not. */
#if defined(__linux__)
static bool known_program(char *path, size_t room) {
    ssize_t n = readlink("/proc/self/exe", path, room);
    if (n <= 0 || (size_t)n >= room) return false;
    path[n] = 0;
    return true;
}
#elif defined(__APPLE__)
static bool known_program(char *path, size_t room) {
    uint32_t n = (uint32_t)room;
    char *real = _NSGetExecutablePath(path, &n) == 0 ? realpath(path, NULL) : NULL;
    bool fits = real && strlen(real) < room;
    if (fits) strcpy(path, real);
    free(real);
    return fits;
}
#elif defined(__FreeBSD__) || defined(__DragonFly__) || defined(__NetBSD__)
static bool known_program(char *path, size_t room) {
#ifdef __NetBSD__
    int name[] = {CTL_KERN, KERN_PROC_ARGS, -1, KERN_PROC_PATHNAME};
#else
    int name[] = {CTL_KERN, KERN_PROC, KERN_PROC_PATHNAME, -1};
#endif
    size_t n = room;
    return sysctl(name, 4, path, &n, NULL, 0) == 0 && n > 1;
}
#else
static bool known_program(char *path, size_t room) {
    (void)path;
    (void)room;
    return false;
}
#endif

static bool is_program(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* The first program called `name` in the folders of PATH; an empty folder is the current one. */
static bool in_path(const char *name, char *path, size_t room) {
    const char *folder = getenv("PATH");
    while (folder) {
        size_t n = strcspn(folder, ":");
        int len = snprintf(path, room, "%.*s%s%s", (int)n, folder, n ? "/" : "./", name);
        if (len > 0 && (size_t)len < room && is_program(path)) return true;
        folder = folder[n] ? folder + n + 1 : NULL;
    }
    return false;
}

bool process_program_called(const char *called, char *path, size_t room) {
    if (!called || !*called) return false;
    if (!strchr(called, '/')) return in_path(called, path, room);
    char *real = realpath(called, NULL); /* a link's own folder holds nothing else */
    bool fits = real && strlen(real) < room;
    if (fits) strcpy(path, real);
    free(real);
    return fits;
}

bool process_program(const char *called, char *path, size_t room) {
    return known_program(path, room) || process_program_called(called, path, room);
}

void process_hold_descriptors(void) {
    /* Each is opened for what it is not used for. open() gives the least number that is free. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return; /* there is no /dev/null */
}

/* ---- memory ---- */

void memory_large_pages(void *p, size_t bytes) {
#ifdef MADV_HUGEPAGE
    size_t page = (size_t)sysconf(_SC_PAGESIZE), lost = (page - (uintptr_t)p % page) % page;
    if (bytes > lost) madvise((unsigned char *)p + lost, bytes - lost, MADV_HUGEPAGE);
#else
    (void)p;
    (void)bytes;
#endif
}

void *memory_reserve(size_t bytes) {
    void *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}
