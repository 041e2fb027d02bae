/* What Windows lacks of POSIX (windows.h). The Makefile leaves this file out everywhere else. */
#define WIN32_LEAN_AND_MEAN
#define PSAPI_VERSION 2
#include "base/windows.h"

#include <windows.h>

#include <psapi.h>
#include <shellapi.h>
#include <stdarg.h>

/* The C library's own functions from here on. */
#undef fclose
#undef getenv
#undef isatty
#undef main
#undef open

BOOLEAN NTAPI SystemFunction036(PVOID to, ULONG n); /* RtlGenRandom, of advapi32 */

/* ---- names ---- */

enum { NAME_ROOM = 4096 };

/* A name in 16-bit units; empty where it is too long or no UTF-8. */
struct name {
    wchar_t s[NAME_ROOM];
};

static const struct name *wide(const char *name, struct name *to) {
    if (strcmp(name, "/dev/null") == 0) name = "NUL";
    if (!MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, name, -1, to->s, NAME_ROOM))
        to->s[0] = 0;
    return to;
}

/* A text in UTF-8, to be freed; NULL without memory. */
static char *narrow(const wchar_t *s) {
    int n = WideCharToMultiByte(CP_UTF8, 0, s, -1, NULL, 0, NULL, NULL);
    char *to = n > 0 ? malloc((size_t)n) : NULL;
    if (to) WideCharToMultiByte(CP_UTF8, 0, s, -1, to, n, NULL, NULL);
    return to;
}

static void slashes(char *path) {
    for (; path && *path; path++)
        if (*path == '\\') *path = '/';
}

/* Sets errno to the last error of the system; returns -1. */
static int failed(void) {
    switch (GetLastError()) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_INVALID_NAME:
    case ERROR_BAD_NETPATH: errno = ENOENT; break;
    case ERROR_ACCESS_DENIED:
    case ERROR_SHARING_VIOLATION:
    case ERROR_USER_MAPPED_FILE: errno = EACCES; break;
    case ERROR_ALREADY_EXISTS:
    case ERROR_FILE_EXISTS: errno = EEXIST; break;
    case ERROR_DISK_FULL: errno = ENOSPC; break;
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_COMMITMENT_LIMIT: errno = ENOMEM; break;
    default: errno = EIO;
    }
    return -1;
}

/* ---- files ---- */

/* Of what is not a disk file only its kind is known. */
static int describe(HANDLE h, struct windows_stat *st) {
    BY_HANDLE_FILE_INFORMATION i;
    DWORD type = GetFileType(h);
    *st = (struct windows_stat){0};
    if (type == FILE_TYPE_CHAR || type == FILE_TYPE_PIPE) {
        st->st_mode = type == FILE_TYPE_CHAR ? S_IFCHR | 0666 : S_IFIFO | 0666;
        return 0;
    }
    if (!GetFileInformationByHandle(h, &i)) {
        LARGE_INTEGER size; /* a handle that may only be read tells no more */
        if (!GetFileSizeEx(h, &size)) return failed();
        st->st_mode = S_IFREG | 0666;
        st->st_size = size.QuadPart;
        return 0;
    }
    uint64_t ticks =
        (uint64_t)i.ftLastWriteTime.dwHighDateTime << 32 | i.ftLastWriteTime.dwLowDateTime;
    st->st_dev = i.dwVolumeSerialNumber;
    st->st_ino = (uint64_t)i.nFileIndexHigh << 32 | i.nFileIndexLow;
    st->st_mode = i.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY  ? S_IFDIR | 0777
                  : i.dwFileAttributes & FILE_ATTRIBUTE_READONLY ? S_IFREG | 0444
                                                                 : S_IFREG | 0666;
    st->st_size = (off_t)((uint64_t)i.nFileSizeHigh << 32 | i.nFileSizeLow);
    st->st_mtime = (time_t)(ticks / 10000000) - 11644473600; /* from 1601 to 1970 */
    return 0;
}

int windows_stat(const char *path, struct windows_stat *st) {
    struct name n;
    HANDLE h =
        CreateFileW(wide(path, &n)->s, 0, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                    NULL, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
    if (h == INVALID_HANDLE_VALUE) return failed();
    int rc = describe(h, st);
    CloseHandle(h);
    return rc;
}

static HANDLE handle_of(int fd) {
    intptr_t h = _get_osfhandle(fd);
    return h == -2 ? INVALID_HANDLE_VALUE : (HANDLE)h; /* -2: no stream is behind it */
}

int windows_fstat(int fd, struct windows_stat *st) {
    HANDLE h = handle_of(fd);
    if (h != INVALID_HANDLE_VALUE) return describe(h, st);
    errno = EBADF;
    return -1;
}

/* Random bytes as a file: a pipe that holds some, and that nobody writes to. */
static FILE *random_bytes(void) {
    char bytes[64];
    int ends[2];
    if (!SystemFunction036(bytes, sizeof bytes) || _pipe(ends, sizeof bytes, _O_BINARY))
        return NULL;
    _write(ends[1], bytes, sizeof bytes);
    _close(ends[1]);
    return _fdopen(ends[0], "rb");
}

FILE *windows_fopen(const char *path, const char *mode) {
    struct name n, m;
    if (strcmp(path, "/dev/urandom") == 0) return random_bytes();
    return _wfopen(wide(path, &n)->s, wide(mode, &m)->s);
}

int windows_open(const char *path, int flags, ...) {
    struct name n;
    va_list ap;
    va_start(ap, flags);
    int mode = flags & O_CREAT ? va_arg(ap, int) : 0;
    va_end(ap);
    return _wopen(wide(path, &n)->s, flags | _O_BINARY,
                  mode & _S_IWRITE ? _S_IREAD | _S_IWRITE : 0);
}

int windows_access(const char *path, int mode) {
    struct name n;
    return _waccess(wide(path, &n)->s, mode & (R_OK | W_OK)); /* X_OK is unknown there */
}

int windows_unlink(const char *path) {
    struct name n;
    return _wunlink(wide(path, &n)->s);
}

int windows_rename(const char *from, const char *to) {
    struct name a, b;
    return MoveFileExW(wide(from, &a)->s, wide(to, &b)->s,
                       MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH)
               ? 0
               : failed();
}

int windows_mkdir(const char *path) {
    struct name n;
    return _wmkdir(wide(path, &n)->s);
}

int windows_isatty(int fd) {
    DWORD mode;
    HANDLE h = handle_of(fd);
    return h != INVALID_HANDLE_VALUE && GetConsoleMode(h, &mode);
}

char *realpath(const char *path, char *resolved) {
    struct name n;
    wchar_t *whole = resolved ? NULL : _wfullpath(NULL, wide(path, &n)->s, 0);
    char *to = whole ? narrow(whole) : NULL;
    free(whole);
    slashes(to);
    return to;
}

int fcntl(int fd, int what, ...) {
    if (what == F_GETFD && handle_of(fd) != INVALID_HANDLE_VALUE) return 0;
    errno = EBADF;
    return -1;
}

/* ---- streams into memory ---- */

/* The one that is open: a temporary file, which is read when it is closed. */
static struct {
    FILE *fp;
    char **text;
    size_t *n;
} memory;

FILE *open_memstream(char **text, size_t *n) {
    memory.fp = tmpfile();
    memory.text = text;
    memory.n = n;
    return memory.fp;
}

int windows_fclose(FILE *fp) {
    if (!fp || fp != memory.fp) return fclose(fp);
    long size = ftell(fp);
    char *text = size < 0 ? NULL : malloc((size_t)size + 1);
    rewind(fp);
    bool ok = text && fread(text, 1, (size_t)size, fp) == (size_t)size;
    if (ok) text[size] = 0;
    *memory.text = text;
    *memory.n = ok ? (size_t)size : 0;
    memory.fp = NULL;
    return fclose(fp) || !ok ? EOF : 0;
}

/* ---- folders ---- */

struct windows_folder {
    HANDLE search;
    WIN32_FIND_DATAW found;
    bool first;
    struct dirent entry;
};

DIR *opendir(const char *path) {
    struct name n;
    DIR *d = malloc(sizeof *d);
    size_t len = wcslen(wide(path, &n)->s);
    if (!d || !len || len + 3 > NAME_ROOM) {
        free(d);
        errno = d ? ENOENT : ENOMEM;
        return NULL;
    }
    wcscpy(n.s + len, L"\\*");
    d->search = FindFirstFileW(n.s, &d->found);
    d->first = true;
    if (d->search != INVALID_HANDLE_VALUE) return d;
    failed();
    free(d);
    return NULL;
}

struct dirent *readdir(DIR *d) {
    if (!d->first && !FindNextFileW(d->search, &d->found)) return NULL;
    d->first = false;
    if (!WideCharToMultiByte(CP_UTF8, 0, d->found.cFileName, -1, d->entry.d_name,
                             sizeof d->entry.d_name, NULL, NULL))
        d->entry.d_name[0] = 0;
    return &d->entry;
}

int closedir(DIR *d) {
    FindClose(d->search);
    free(d);
    return 0;
}

/* ---- memory ---- */

void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset) {
    void *p = NULL;
    if (flags & MAP_FIXED || at || offset || protection & PROT_WRITE) {
        errno = EINVAL;
        return MAP_FAILED;
    }
    if (flags & MAP_ANONYMOUS) {
        p = VirtualAlloc(NULL, n, MEM_RESERVE | MEM_COMMIT, PAGE_NOACCESS);
    } else {
        HANDLE map = CreateFileMappingW(handle_of(fd), NULL, PAGE_READONLY, 0, 0, NULL);
        if (map) p = MapViewOfFile(map, FILE_MAP_READ, 0, 0, n);
        if (map) CloseHandle(map); /* the view keeps it */
    }
    if (p) return p;
    failed();
    return MAP_FAILED;
}

int munmap(void *p, size_t n) {
    (void)n;
    return UnmapViewOfFile(p) || VirtualFree(p, 0, MEM_RELEASE) ? 0 : failed();
}

int mprotect(void *p, size_t n, int protection) {
    DWORD was;
    DWORD to = protection & PROT_WRITE  ? PAGE_READWRITE
               : protection & PROT_READ ? PAGE_READONLY
                                        : PAGE_NOACCESS;
    return VirtualProtect(p, n, to, &was) ? 0 : failed();
}

/* ---- what the system knows ---- */

static long processors(void) {
    DWORD_PTR own, all;
    long n = 0;
    if (!GetProcessAffinityMask(GetCurrentProcess(), &own, &all)) return -1;
    for (; own; own &= own - 1) n++;
    return n;
}

long sysconf(int name) {
    SYSTEM_INFO i;
    MEMORYSTATUSEX m = {.dwLength = sizeof m};
    GetSystemInfo(&i);
    if (name == _SC_PAGESIZE) return (long)i.dwPageSize;
    if (name == _SC_NPROCESSORS_ONLN) return processors();
    return GlobalMemoryStatusEx(&m) ? (long)(m.ullTotalPhys / i.dwPageSize) : -1;
}

int getrusage(int who, struct rusage *ru) {
    PROCESS_MEMORY_COUNTERS m;
    (void)who;
    if (!GetProcessMemoryInfo(GetCurrentProcess(), &m, sizeof m)) return failed();
    ru->ru_maxrss = (long)(m.PeakWorkingSetSize / 1024);
    return 0;
}

/* The version that the system tells programs is that of their manifest; ntdll tells its own. */
int uname(struct utsname *u) {
    typedef LONG NTAPI version_fn(OSVERSIONINFOW *);
    OSVERSIONINFOW v = {.dwOSVersionInfoSize = sizeof v};
    HMODULE ntdll = GetModuleHandleW(L"ntdll");
    void (*found)(void) = ntdll ? (void (*)(void))GetProcAddress(ntdll, "RtlGetVersion") : NULL;
    if (found) ((version_fn *)found)(&v);
    strcpy(u->sysname, "Windows");
    snprintf(u->release, sizeof u->release, "%u.%u.%u", (unsigned)v.dwMajorVersion,
             (unsigned)v.dwMinorVersion, (unsigned)v.dwBuildNumber);
    strcpy(u->machine, sizeof(void *) == 8 ? "x86_64" : "i686");
    return 0;
}

/* ---- standard input ---- */

int poll(struct pollfd *p, unsigned long n, int ms) {
    enum { STEP = 10 }; /* milliseconds between two looks */
    HANDLE h = handle_of(p->fd);
    (void)n;
    p->revents = 0;
    for (int waited = 0;; waited += STEP) {
        DWORD bytes = 0;
        if (GetFileType(h) != FILE_TYPE_PIPE) return p->revents = POLLIN, 1;
        if (!PeekNamedPipe(h, NULL, 0, NULL, &bytes, NULL)) return p->revents = POLLHUP, 1;
        if (bytes) return p->revents = POLLIN, 1;
        if (waited >= ms) return 0;
        Sleep(STEP);
    }
}

/* ---- signals ---- */

static void (*volatile on_int)(int), (*volatile on_term)(int);

/* Runs on a thread of its own. */
static BOOL WINAPI on_console(DWORD event) {
    void (*handler)(int) = event == CTRL_C_EVENT ? on_int : on_term;
    if (!handler) return FALSE;
    handler(event == CTRL_C_EVENT ? SIGINT : SIGTERM);
    if (event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT)
        Sleep(5000); /* when this returns the process ends: it may tidy up first */
    return TRUE;
}

int sigaction(int sig, const struct sigaction *to, struct sigaction *was) {
    bool own = sig == SIGABRT || sig == SIGFPE || sig == SIGILL || sig == SIGSEGV;
    if (was) *was = (struct sigaction){.sa_handler = SIG_DFL};
    if (!to) return 0;
    if (own) return signal(sig, to->sa_handler) == SIG_ERR ? -1 : 0;
    if (sig == SIGTERM) on_term = to->sa_handler;
    if (sig != SIGINT) return 0;
    if (!on_int) SetConsoleCtrlHandler(on_console, TRUE);
    on_int = to->sa_handler;
    return 0;
}

void pause(void) { Sleep(INFINITE); }

/* ---- the program ---- */

char *windows_getenv(const char *name) {
    enum { KEPT = 16 }; /* what was found is kept, since a caller keeps the pointer */
    static struct { char *name, *value; } kept[KEPT];
    struct name n;
    for (size_t i = 0; i < KEPT; i++) {
        if (kept[i].name && strcmp(kept[i].name, name) != 0) continue;
        if (kept[i].name) return kept[i].value;
        const wchar_t *value = _wgetenv(wide(name, &n)->s);
        kept[i].value = value ? narrow(value) : NULL;
        kept[i].name = _strdup(name);
        return kept[i].value;
    }
    return getenv(name);
}

static UINT page_before; /* of the console */

static void put_page_back(void) { SetConsoleOutputCP(page_before); }

/* The console shows UTF-8, and understands the sequences that set colours. */
static void prepare_console(void) {
    const DWORD streams[] = {STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
    bool console = false;
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
        HANDLE h = GetStdHandle(streams[i]);
        DWORD mode;
        if (!GetConsoleMode(h, &mode)) continue;
        SetConsoleMode(h, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
        console = true;
    }
    if (!console) return;
    page_before = GetConsoleOutputCP();
    SetConsoleOutputCP(CP_UTF8);
    atexit(put_page_back);
}

/* The words of the command line in UTF-8. The first is the program's own file, since a bare name
 * would be looked for along PATH. */
static char **words(int *n) {
    struct name own;
    wchar_t **given = CommandLineToArgvW(GetCommandLineW(), n);
    char **to = given ? calloc((size_t)*n + 1, sizeof *to) : NULL;
    DWORD len = GetModuleFileNameW(NULL, own.s, NAME_ROOM);
    for (int i = 0; to && i < *n; i++)
        to[i] = narrow(i == 0 && len && len < NAME_ROOM ? own.s : given[i]);
    LocalFree(given);
    if (to) slashes(to[0]);
    return to;
}

int main(void) {
    int n = 0;
    char **all = words(&n);
    for (int fd = 0; fd < 3; fd++) _setmode(fd, _O_BINARY);
    prepare_console();
    if (all) return windows_program(n, all);
    fputs("lookat: out of memory for the command line\n", stderr);
    return 1;
}
