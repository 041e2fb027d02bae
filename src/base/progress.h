/* Who hears how far a long piece of work has come. Every function of the program that reports
 * progress takes this one struct; it does not print, and it cannot stop the work (interrupt.h
 * can). */
#ifndef LOOKAT_BASE_PROGRESS_H
#define LOOKAT_BASE_PROGRESS_H

#include <stdint.h>

struct progress {
    /* Is called on the thread that called the function, with `done` of `total` units of work; which
     * unit, that function's comment says. NULL: nobody listens. */
    void (*fn)(void *ctx, uint64_t done, uint64_t total);
    void *ctx; /* is handed to fn */
};

/* Tells the listener, where there is one. */
static inline void progress_tell(struct progress p, uint64_t done, uint64_t total) {
    if (p.fn) p.fn(p.ctx, done, total);
}

#endif
