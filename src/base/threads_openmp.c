/* The third way of base/threads.h, for THREADS=openmp: the compiler's OpenMP does the threads. What
 * is left to write is how a job is cut, and four things that OpenMP leaves to the program.
 *
 * - Idle threads. libgomp's spin for 3 ms before they sleep, LLVM's for 200 ms. On a machine that
 *   is busy with other things they take processors from whoever could use them, and every job ends
 *   with such a wait: on two busy cores, 900 tokens took 17 s to 58 s instead of 3 s to 5 s (the
 *   pool: 0.5 s to 0.9 s). choose_how_to_wait asks for the pool's 50 us.
 * - A thread that the system does not run. Pieces are handed out while the job runs (dynamic
 *   schedule), so such a thread gets none, and no thread is bound to one processor (proc_bind),
 *   which may be the busy one. What remains is OpenMP's barrier: the caller waits for every thread
 *   of the team once per job, also for one that did nothing. The pool does not.
 * - A system that refuses a thread. OpenMP ends the program then, so obtainable() asks first.
 * - A fork. The child has none of the threads and OpenMP does not know: the team ends before. */
#include "base/threads.h"

#include <omp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cpus.h"

typedef void range_fn(void *ctx, size_t begin, size_t end, int thread);
typedef void task_fn(void *ctx, size_t task, int thread);

enum {
    THREADS_MAX = 1024,
    UNIT = 16,             /* Ranges of long jobs begin at multiples of it: a line of floats. */
    PIECES_PER_THREAD = 8, /* A thread that comes late, or is slow, leaves most of its share. */
};

static int count; /* threads wanted, with the caller; 0: not set yet */
static int team;  /* threads that OpenMP is asked for: count, or fewer; 0: not started */
static _Thread_local int running = -1; /* this thread's number while it is inside of a job */

/* Sets how long a waiting thread looks out before it sleeps, unless the user has chosen. OpenMP
 * reads the environment when its library starts (libgomp) or at the first parallel region (LLVM's).
 * A constructor of priority 101 comes before both where libgomp is part of the program; the
 * Makefile links it so. 5,000 of libgomp's rounds are about 50 us; where there are more threads
 * than processors, and with LLVM's library, a thread sleeps at once. */
__attribute__((constructor(101))) static void choose_how_to_wait(void) {
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return;
    setenv("OMP_WAIT_POLICY", "passive", 1);
    setenv("GOMP_SPINCOUNT", "5000", 1);
}

/* ---- the team ---- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void *pass_the_gate(void *unused) {
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return unused;
}

/* How many of n threads the system gives beside the calling one, found by making them: all exist at
 * the same time, behind a gate, and then end. */
static int obtainable(int n) {
    pthread_t ids[THREADS_MAX];
    int made = 0;
    pthread_mutex_lock(&gate);
    while (made < n && pthread_create(&ids[made], NULL, pass_the_gate, NULL) == 0) made++;
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < made; i++) pthread_join(ids[i], NULL);
    return made;
}

/* Ends the threads. The next job starts others. */
static void stop(void) {
    if (team) omp_pause_resource_all(omp_pause_hard);
    team = 0;
}

static void start(void) {
    static bool registered;
    sigset_t all, before;
    if (!registered) registered = pthread_atfork(stop, NULL, NULL) == 0;
    /* Threads inherit the mask. Signals are for the calling thread, except the one that says that
     * a mapped file is gone: the thread that reads the file gets it. */
    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    omp_set_dynamic(0);
    team = 1 + obtainable(threads_count() - 1);
    int there = 0; /* makes the threads now, while the signals are blocked */
#pragma omp parallel num_threads(team) reduction(+ : there)
    there += 1;
    team = there;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

const char *threads_way(void) { return "OpenMP"; }

int threads_allowed(void) {
    static int allowed;
    if (!allowed) allowed = cpus_allowed();
    return allowed < THREADS_MAX ? allowed : THREADS_MAX;
}

void threads_set(int n) {
    n = n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : n;
    if (n != count) stop();
    count = n;
}

int threads_count(void) {
    if (!count) count = threads_allowed();
    return count;
}

/* ---- jobs ---- */

/* True where n items are for the team: not inside of a job, where a call stays on its thread. */
static bool for_the_team(size_t n) {
    if (running >= 0 || n < 2 || threads_count() < 2) return false;
    if (!team) start();
    return team > 1;
}

/* Every job is run by the whole team, also one of two items: libgomp ends the threads that a
 * smaller team leaves over, and would make them again for the next job. */
void threads_ranges(size_t n, range_fn *fn, void *ctx) {
    if (!for_the_team(n)) {
        if (n) fn(ctx, 0, n, running < 0 ? 0 : running);
        return;
    }
    size_t most = (size_t)team * PIECES_PER_THREAD, unit = n / most >= UNIT ? UNIT : 1;
    size_t units = (n + unit - 1) / unit, pieces = units < most ? units : most;
#pragma omp parallel num_threads(team)
    {
        running = omp_get_thread_num();
#pragma omp for schedule(dynamic, 1) nowait
        for (size_t i = 0; i < pieces; i++) {
            size_t begin = units * i / pieces * unit, end = units * (i + 1) / pieces * unit;
            fn(ctx, begin, end < n ? end : n, running);
        }
        running = -1;
    }
}

void threads_tasks(size_t n, task_fn *fn, void *ctx) {
    if (!for_the_team(n)) {
        for (size_t i = 0; i < n; i++) fn(ctx, i, running < 0 ? 0 : running);
        return;
    }
#pragma omp parallel num_threads(team)
    {
        running = omp_get_thread_num();
#pragma omp for schedule(dynamic, 1) nowait
        for (size_t i = 0; i < n; i++) fn(ctx, i, running);
        running = -1;
    }
}
