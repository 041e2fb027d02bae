/* Tells whether standard input is a pipe or a file with a text in it. */
#include "cli/piped.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "base/process.h"

enum kind { NOTHING, A_FILE, A_PIPE };

static enum kind kind_of_input(void) {
    struct stat st;
    if (fstat(STDIN_FILENO, &st)) return NOTHING;
    if (S_ISREG(st.st_mode)) {
        off_t at = lseek(STDIN_FILENO, 0, SEEK_CUR);
        return at >= 0 && at < st.st_size ? A_FILE : NOTHING;
    }
    return S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) ? A_PIPE : NOTHING;
}

/* What poll says of standard input within `ms` milliseconds. */
static short events(int ms) {
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&p, 1, ms) > 0 ? p.revents : 0;
}

enum piped piped_text(double patience) {
    enum kind kind = kind_of_input();
    double end = clock_now() + patience, left;
    if (kind != A_PIPE) return kind == A_FILE ? PIPED_TEXT : PIPED_NONE;
    while ((left = end - clock_now()) > 0) {
        if (events((int)(1000 * left) + 1) & (POLLIN | POLLHUP)) return PIPED_TEXT;
        if (interrupt_pending()) return PIPED_NONE; /* the command sees that too */
    }
    return PIPED_SILENT;
}

bool piped_left(void) {
    enum kind kind = kind_of_input();
    return kind == A_FILE || (kind == A_PIPE && events(0) & POLLIN);
}
