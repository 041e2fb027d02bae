/* Signal handlers. They do only what a handler may do: set flags, write a message, remove files. */
#include "base/interrupt.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"

enum { TEMPORARIES_MAX = 4 };

static volatile sig_atomic_t pending; /* the signal that came, or 0 */
static _Atomic(const char *) temporaries[TEMPORARIES_MAX];

/* ---- handlers: only calls that are safe there ---- */

static void remove_temporaries(void) {
    for (size_t i = 0; i < TEMPORARIES_MAX; i++) {
        const char *path = atomic_load(&temporaries[i]);
        if (path) unlink(path);
    }
}

static void on_interrupt(int sig) {
    if (pending) {
        remove_temporaries();
        _exit(128 + sig);
    }
    pending = sig;
}

/* The program ends as it would without a handler. */
static void on_fatal(int sig) {
    remove_temporaries();
    signal(sig, SIG_DFL);
    raise(sig);
}

/* The write fails with EFBIG, and that is reported. */
static void on_too_large(int sig) { (void)sig; }

static void say(const char *s) {
    ssize_t wrote = write(STDERR_FILENO, s, strlen(s));
    (void)wrote; /* there is nobody else to tell */
}

static void on_bus(int sig, siginfo_t *info, void *context) {
    (void)context;
    const char *file = info->si_code > 0 ? fault_file(info->si_addr) : NULL; /* else kill sent it */
    if (!file) {
        on_fatal(sig);
        return;
    }
    static atomic_flag said = ATOMIC_FLAG_INIT; /* several threads may read the file */
    if (atomic_flag_test_and_set(&said))
        for (;;) pause(); /* until the first of them ends the program */
    say("lookat: ");
    say(file);
    say(": was cut short or overwritten while it was read\n");
    remove_temporaries();
    _exit(1);
}

/* ---- */

/* A handler that is there already is a sanitizer's or a profiler's. */
static void take(int sig, void (*handler)(int)) {
    struct sigaction old, sa = {.sa_handler = handler};
    sigemptyset(&sa.sa_mask);
    if (sigaction(sig, NULL, &old) == 0 && !(old.sa_flags & SA_SIGINFO) &&
        old.sa_handler == SIG_DFL)
        sigaction(sig, &sa, NULL);
}

void interrupt_install(void) {
    static const int stopping[] = {SIGHUP, SIGINT, SIGTERM};
    static const int fatal[] = {SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGFPE, SIGSEGV,   SIGPIPE,
                                SIGALRM, SIGUSR1, SIGUSR2, SIGXCPU, SIGSYS, SIGVTALRM, SIGPROF};
    for (size_t i = 0; i < sizeof stopping / sizeof *stopping; i++) take(stopping[i], on_interrupt);
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) take(fatal[i], on_fatal);
    take(SIGXFSZ, on_too_large);
    struct sigaction bus = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};
    sigemptyset(&bus.sa_mask);
    sigaction(SIGBUS, &bus, NULL);
}

bool interrupt_pending(void) { return pending != 0; }

bool interrupt_forget(void) {
    if (pending != SIGINT) return false;
    pending = 0;
    return true;
}

void interrupt_remove_file(const char *path) {
    const char *free_slot = NULL;
    for (size_t i = 0; i < TEMPORARIES_MAX; i++, free_slot = NULL)
        if (atomic_compare_exchange_strong(&temporaries[i], &free_slot, path)) return;
}

void interrupt_keep_file(const char *path) {
    for (size_t i = 0; i < TEMPORARIES_MAX; i++)
        if (atomic_load(&temporaries[i]) == path) atomic_store(&temporaries[i], NULL);
}
