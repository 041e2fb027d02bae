/* Errors. Every function that can fail takes a struct err and returns an int: OK, or the code that
 * it has also put into the struct, with a message. After OK the struct is as it was. The caller
 * passes an error on or handles it; main prints it and exits with its code. */
#ifndef LOOKAT_BASE_ERR_H
#define LOOKAT_BASE_ERR_H

/* The codes are the exit statuses of the program. */
enum {
    OK = 0,
    ERR_FAILED = 1,       /* the machine refused: memory, disk, permission */
    ERR_USAGE = 2,        /* the command line asks for something that cannot be */
    ERR_REFUSED = 3,      /* a file is not what it should be */
    ERR_CHECK = 4,        /* a --check was not met */
    ERR_INTERRUPTED = 130 /* Ctrl-C */
};

struct err {
    int code;
    char msg[256]; /* one sentence, no newline: the file, the thing, expected and got */
};

#ifndef ERR_PRINTF_KIND
#define ERR_PRINTF_KIND printf
#endif
#if defined(__GNUC__)
#define ERR_PRINTF(fmt, args) __attribute__((format(ERR_PRINTF_KIND, fmt, args)))
#else
#define ERR_PRINTF(fmt, args)
#endif

/* Fills *e with code and a printf-formatted message, made printable (base/printable.h); returns
 * code. */
int err_set(struct err *e, int code, const char *fmt, ...) ERR_PRINTF(3, 4);

/* Like err_set, with "PATH: " in front; a path too long to leave room for the message loses its
 * beginning. */
int err_file(struct err *e, int code, const char *path, const char *fmt, ...) ERR_PRINTF(4, 5);

#endif
