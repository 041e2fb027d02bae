/* Writes error messages. What they hold may come from a file, so they are made printable. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/printable.h"

int err_set(struct err *e, int code, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    printable(e->msg);
    return e->code = code;
}

int err_file(struct err *e, int code, const char *path, const char *fmt, ...) {
    enum { PATH_ROOM = 100 };
    size_t len = strlen(path);
    int at = len > PATH_ROOM ? snprintf(e->msg, sizeof e->msg, "...%s: ", path + len - PATH_ROOM)
                             : snprintf(e->msg, sizeof e->msg, "%s: ", path);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->msg + at, sizeof e->msg - (size_t)at, fmt, ap);
    va_end(ap);
    printable(e->msg);
    return e->code = code;
}
