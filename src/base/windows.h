/* What Windows lacks of POSIX, or means otherwise. The program is written for POSIX; the Makefile
 * puts this header in front of every source where the compiler is one for Windows (mingw-w64), and
 * windows.c has what it declares. Nothing else in the program asks which system it runs on but
 * process.c, which does so for the POSIX systems.
 *
 * File names are UTF-8, as everywhere in the program: they are turned into Windows' 16-bit units
 * for each call. "/dev/null" is NUL, and "/dev/urandom" gives some bytes from the system. Files are
 * read and written as they are: no byte is added or left out at the end of a line. */
#ifndef LOOKAT_BASE_WINDOWS_H
#define LOOKAT_BASE_WINDOWS_H

/* The C library's own declarations come before the names below take their place. */
#include <direct.h>
#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <locale.h>
#include <process.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* printf is mingw-w64's own, which knows %zu and %lld. */
#define ERR_PRINTF_KIND gnu_printf

/* ---- the program ---- */

/* windows.c has main, which calls the program's with words in UTF-8. */
#define main windows_program
int windows_program(); /* with int argc, char **argv, or without */

char *windows_getenv(const char *name);
#define getenv windows_getenv

/* ---- files ---- */

#define O_CLOEXEC _O_NOINHERIT
#define O_NONBLOCK 0
#define O_NOCTTY 0

/* A file is known by its volume and index; ino_t of the C library has 16 bits. */
typedef uint64_t windows_ino_t;
struct windows_stat {
    dev_t st_dev, st_rdev;
    windows_ino_t st_ino;
    mode_t st_mode;
    off_t st_size;
    time_t st_mtime;
    int st_uid, st_gid;
};
int windows_stat(const char *path, struct windows_stat *st);
int windows_fstat(int fd, struct windows_stat *st);
#undef stat
#undef fstat
#define stat windows_stat
#define fstat windows_fstat
#define ino_t windows_ino_t
typedef int uid_t;
typedef int gid_t;
#ifndef S_ISSOCK
#define S_ISSOCK(mode) ((void)(mode), 0)
#endif

FILE *windows_fopen(const char *path, const char *mode);
int windows_fclose(FILE *fp);
int windows_open(const char *path, int flags, ...);
int windows_access(const char *path, int mode);
int windows_unlink(const char *path);
int windows_rename(const char *from, const char *to);
int windows_mkdir(const char *path);
int windows_isatty(int fd);
#define fopen windows_fopen
#define fclose windows_fclose
#define open windows_open
#define access windows_access
#define unlink windows_unlink
#define rename windows_rename
#define mkdir(path, mode) windows_mkdir(path)
#define isatty windows_isatty

/* A stream into memory; as in POSIX, *text and *n are there after fclose. One at a time. */
FILE *open_memstream(char **text, size_t *n);

static inline int fsync(int fd) { return _commit(fd); }
static inline int fchmod(int fd, int mode) { return (void)fd, (void)mode, 0; }
static inline int fchown(int fd, uid_t u, gid_t g) { return (void)fd, (void)u, (void)g, 0; }

/* There are links, but none that this program follows. */
static inline ssize_t readlink(const char *path, char *to, size_t n) {
    return (void)path, (void)to, (void)n, errno = EINVAL, -1;
}

/* The whole path, with / between its parts; resolved must be NULL. */
char *realpath(const char *path, char *resolved);

/* F_GETFD says whether a descriptor is open; what else can be asked for is refused. */
enum { F_GETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC };
int fcntl(int fd, int what, ...);

/* ---- folders ---- */

struct dirent {
    char d_name[800]; /* 260 units of 16 bits, in UTF-8 */
};
typedef struct windows_folder DIR;
DIR *opendir(const char *path);
struct dirent *readdir(DIR *d);
int closedir(DIR *d);

/* ---- memory ---- */

enum { PROT_NONE = 0, PROT_READ = 1, PROT_WRITE = 2 };
enum { MAP_PRIVATE = 1, MAP_FIXED = 2 };
#define MAP_ANONYMOUS 4
#define MAP_FAILED ((void *)-1)
void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset);
int munmap(void *p, size_t n);
int mprotect(void *p, size_t n, int protection);

/* ---- what the system knows ---- */

#define _SC_PAGESIZE 1
#define _SC_PHYS_PAGES 2
#define _SC_NPROCESSORS_ONLN 3
long sysconf(int name);

enum { RUSAGE_SELF };
struct rusage {
    long ru_maxrss; /* KiB */
};
int getrusage(int who, struct rusage *ru);

struct utsname {
    char sysname[16], release[32], machine[16];
};
int uname(struct utsname *u);

/* ---- standard input ---- */

struct pollfd {
    int fd;
    short events, revents;
};
enum { POLLIN = 1, POLLHUP = 2 };
/* Of one descriptor, for POLLIN. */
int poll(struct pollfd *p, unsigned long n, int ms);

/* ---- signals ---- */

/* Ctrl-C is SIGINT; Ctrl-Break and a console that is closed are SIGTERM. The other signals here
 * never come. Those that the C library knows are its own. */
#define SIGHUP 1001
#define SIGQUIT 1002
#define SIGTRAP 1003
#define SIGPIPE 1004
#define SIGALRM 1005
#define SIGUSR1 1006
#define SIGUSR2 1007
#define SIGXCPU 1008
#define SIGSYS 1009
#define SIGVTALRM 1010
#define SIGPROF 1011
#define SIGXFSZ 1012
#define SIGBUS 1013
#define SA_SIGINFO 4
typedef struct {
    int si_code;
    void *si_addr;
} siginfo_t;
typedef unsigned windows_sigset_t;
#define sigset_t windows_sigset_t
struct sigaction {
    void (*sa_handler)(int);
    void (*sa_sigaction)(int, siginfo_t *, void *);
    int sa_flags;
    windows_sigset_t sa_mask;
};
int sigaction(int sig, const struct sigaction *to, struct sigaction *was);
void pause(void);
static inline int sigemptyset(sigset_t *s) { return *s = 0, 0; }
static inline int sigfillset(sigset_t *s) { return *s = ~0u, 0; }
static inline int sigdelset(sigset_t *s, int sig) { return (void)s, (void)sig, 0; }
#undef pthread_sigmask
#undef pthread_atfork
#define pthread_sigmask windows_sigmask
#define pthread_atfork windows_atfork
static inline int pthread_sigmask(int how, const sigset_t *set, sigset_t *was) {
    return (void)how, (void)set, (void)was, 0;
}
static inline int pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void)) {
    return (void)prepare, (void)parent, (void)child, 0;
}

/* ---- locales ---- */

/* The program never leaves the C locale. */
#define locale_t void *
#define LC_ALL_MASK 0
static inline locale_t newlocale(int mask, const char *name, locale_t base) {
    return (void)mask, (void)name, base;
}
static inline locale_t uselocale(locale_t l) { return l; }
static inline void freelocale(locale_t l) { (void)l; }

#endif
