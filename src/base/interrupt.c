#include "base/interrupt.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t pending;
static const char *volatile temporary;

static void on_signal(int sig) {
    if (pending) { /* only calls that are safe in a handler */
        if (temporary) unlink(temporary);
        _exit(128 + sig);
    }
    pending = 1;
}

void interrupt_install(void) {
    struct sigaction sa = {.sa_handler = on_signal};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
}

bool interrupt_pending(void) { return pending != 0; }

void interrupt_unlink(const char *path) { temporary = path; }
