/* The usual way of base/threads.h: a pool of POSIX threads that claim pieces of one job at a time.
 *
 * OpenMP (threads_openmp.c) does the same in a tenth of the lines. The pool exists because of two
 * things that OpenMP does not promise: the caller waits only for pieces that a worker has begun,
 * never for a worker that the system does not run; and the time for which an idle worker looks out
 * for work, before it sleeps, is ours to choose. */
#include "base/threads.h"

#include <pthread.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cpus.h"
#include "base/process.h"

typedef void range_fn(void *ctx, size_t begin, size_t end, int thread);
typedef void task_fn(void *ctx, size_t task, int thread);

enum {
    THREADS_MAX = 1024,
    LINE = 64, /* Bytes of a cache line. What different threads write lies in different lines. */
    UNIT = 16, /* Ranges of long jobs begin at multiples of it: a cache line of floats. */
    STACK_BYTES = 1 << 20
};

/* How long a thread looks out before it sleeps. To be woken by the system takes about as long, so
 * the wait costs at most twice what it would cost if the future were known. */
#define SPIN_SECONDS 50e-6

/* What is left to claim of one part of a job, in one word, so that one instruction claims it:
 *
 *     bit 63            32 31             0
 *         | job's number  | items left    |
 *
 * The end of a part is fixed (part_begin of the next one), so that what is left also says where
 * the unclaimed items begin. */
struct part {
    alignas(LINE) _Atomic uint64_t left;
};

/* The job. There is one at a time, and it passes between threads like this:
 *
 * - The caller writes the description, then each part's `left` (release), then `number`. A worker
 *   that sees the new number or a new part (acquire) therefore sees the description and all that
 *   the caller wrote before it.
 * - A claim is a compare-and-swap on `left`. A worker may come late, with what it read of a job
 *   that is over, or it may come between the writes of a new job. Then its claim fails: a finished
 *   part has 0 items left, and the number in a new part is another one. A claim that succeeds was
 *   made while the job had unclaimed items. The caller was then still inside of the job, and the
 *   description was whole. That is why the description can be read relaxed.
 * - Each thread adds the items it has done to `done` (release). The caller leaves when `done` is n
 *   (acquire) and sees all that fn wrote. */
static struct {
    alignas(LINE) _Atomic uint32_t number; /* Counts up from job to job. */
    _Atomic uint32_t n;                    /* items */
    _Atomic uint32_t n_parts;
    _Atomic(range_fn *) range; /* One of these two is set, the other is NULL. */
    _Atomic(task_fn *) task;
    _Atomic(void *) ctx;
    alignas(LINE) _Atomic uint32_t done; /* items */
    struct part parts[THREADS_MAX];
} job;

/* Sleepers. A thread that goes to sleep announces it first, and then looks once more at what it
 * waits for. A thread that changes what others wait for does it first, and then looks for
 * announcements. All four accesses are sequentially consistent, so that one of the two threads
 * sees the other. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;     /* Workers wait here for a new job. */
    pthread_cond_t finished; /* The caller waits here for the last item. */
    _Atomic int sleepers;
    _Atomic bool caller_sleeps, quit;
} nap = {.lock = PTHREAD_MUTEX_INITIALIZER,
         .wake = PTHREAD_COND_INITIALIZER,
         .finished = PTHREAD_COND_INITIALIZER};

static struct worker {
    pthread_t id;
    int thread;    /* its number, from 1: the caller is thread 0 */
    uint32_t seen; /* the number of the last job it knows of */
} workers[THREADS_MAX];

static int count;     /* threads wanted, with the caller; 0: not set yet */
static int n_workers; /* workers that run: count - 1, or fewer where the system refuses more */
static bool started;  /* start() has been called for this count */
static double spin_seconds;
static _Thread_local int running = -1; /* this thread's number while it is inside of a job */

/* ---- a job's items ---- */

/* Where part p of `of` begins in n items. */
static uint64_t part_begin(uint64_t n, uint64_t of, uint64_t p) {
    uint64_t unit = n / of >= 4 * UNIT ? UNIT : 1, begin = (n + unit - 1) / unit * p / of * unit;
    return begin < n ? begin : n;
}

/* How many of `left` items to take at once: three quarters, in whole units where the job is long.
 * Few claims are made while much is left, and the last ones are small, so that all threads finish
 * at about the same time. */
static uint32_t bite(uint64_t n, uint64_t of, uint32_t left) {
    uint32_t most = left - left / 4;
    if (n / of >= 4 * UNIT) most = (most + UNIT - 1) / UNIT * UNIT;
    return most < left ? most : left;
}

/* Claims items of part p and runs them; returns how many, 0 when none is left. */
static uint32_t claim_and_run(size_t p, int thread) {
    uint64_t state = atomic_load_explicit(&job.parts[p].left, memory_order_acquire);
    for (;;) {
        uint32_t left = (uint32_t)state, n = atomic_load_explicit(&job.n, memory_order_relaxed);
        uint32_t of = atomic_load_explicit(&job.n_parts, memory_order_relaxed);
        range_fn *range = atomic_load_explicit(&job.range, memory_order_relaxed);
        task_fn *task = atomic_load_explicit(&job.task, memory_order_relaxed);
        void *ctx = atomic_load_explicit(&job.ctx, memory_order_relaxed);
        if (!left || !of) return 0;
        uint32_t take = range ? bite(n, of, left) : 1;
        if (!atomic_compare_exchange_weak_explicit(&job.parts[p].left, &state, state - take,
                                                   memory_order_acq_rel, memory_order_acquire))
            continue;
        size_t begin = (size_t)part_begin(n, of, p + 1) - left;
        if (range)
            range(ctx, begin, begin + take, thread);
        else
            task(ctx, begin, thread);
        return take;
    }
}

/* Takes part in the job until nothing is left to claim: of the own part first. */
static void take_part(int thread) {
    size_t of = atomic_load_explicit(&job.n_parts, memory_order_relaxed);
    uint32_t mine = 0;
    running = thread;
    for (size_t i = 0; i < of; i++)
        for (uint32_t ran; (ran = claim_and_run(((size_t)thread + i) % of, thread)) != 0;)
            mine += ran;
    running = -1;
    if (!mine) return;
    /* The job cannot end before `mine` is added, so its description is still there. */
    uint32_t n = atomic_load_explicit(&job.n, memory_order_relaxed);
    if (atomic_fetch_add(&job.done, mine) + mine != n || !atomic_load(&nap.caller_sleeps)) return;
    pthread_mutex_lock(&nap.lock);
    pthread_cond_signal(&nap.finished);
    pthread_mutex_unlock(&nap.lock);
}

/* ---- waiting ---- */

/* Tells the processor that this is a waiting loop. */
static inline void breathe(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Looks at *x for spin_seconds at most. True as soon as (*x == value) == equal. */
static bool spin(_Atomic uint32_t *x, uint32_t value, bool equal) {
    double end = 0;
    for (;;) {
        for (int i = 0; i < 32; i++) {
            if ((atomic_load_explicit(x, memory_order_acquire) == value) == equal) return true;
            breathe();
        }
        double now = clock_now();
        if (!end) end = now + spin_seconds;
        if (now >= end) return false;
    }
}

/* What a worker does: it waits for a job, takes part, and waits again. */
static void *work(void *arg) {
    struct worker *w = arg;
    for (;;) {
        if (!spin(&job.number, w->seen, false)) {
            pthread_mutex_lock(&nap.lock);
            while (atomic_load(&job.number) == w->seen) {
                atomic_fetch_add(&nap.sleepers, 1);
                if (atomic_load(&job.number) == w->seen) pthread_cond_wait(&nap.wake, &nap.lock);
            }
            pthread_mutex_unlock(&nap.lock);
        }
        w->seen = atomic_load_explicit(&job.number, memory_order_acquire);
        if (atomic_load(&nap.quit)) return NULL;
        take_part(w->thread);
    }
}

/* Wakes all workers that sleep; to be called after job.number has changed. Where a worker has
 * announced its sleep and then not slept, the next caller takes the lock for nothing. */
static void wake_sleepers(void) {
    if (!atomic_load(&nap.sleepers)) return;
    pthread_mutex_lock(&nap.lock);
    atomic_store(&nap.sleepers, 0);
    pthread_cond_broadcast(&nap.wake);
    pthread_mutex_unlock(&nap.lock);
}

static void wait_for_others(uint32_t n) {
    if (spin(&job.done, n, true)) return;
    pthread_mutex_lock(&nap.lock);
    atomic_store(&nap.caller_sleeps, true);
    while (atomic_load(&job.done) != n) pthread_cond_wait(&nap.finished, &nap.lock);
    atomic_store(&nap.caller_sleeps, false);
    pthread_mutex_unlock(&nap.lock);
}

/* ---- the pool ---- */

/* Runs in a forked child, which has none of its parent's threads: the pool starts anew there. */
static void forget_workers(void) {
    n_workers = 0;
    started = false;
    pthread_mutex_init(&nap.lock, NULL);
    pthread_cond_init(&nap.wake, NULL);
    pthread_cond_init(&nap.finished, NULL);
    atomic_store(&nap.sleepers, 0);
}

/* Starts the workers, as many as the system gives. */
static void start(void) {
    static bool registered;
    sigset_t all, before;
    pthread_attr_t attr;
    started = true;
    spin_seconds = count <= threads_allowed() ? SPIN_SECONDS : 0;
    if (!registered) registered = pthread_atfork(NULL, NULL, forget_workers) == 0;
    if (pthread_attr_init(&attr) != 0) return;
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    sigfillset(&all);
    /* Workers inherit the mask. Signals are for the calling thread, except the one that says that
     * a mapped file is gone: the thread that reads the file gets it. */
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (n_workers < count - 1) {
        struct worker *w = &workers[n_workers];
        *w = (struct worker){.thread = n_workers + 1, .seen = atomic_load(&job.number)};
        if (pthread_create(&w->id, &attr, work, w) != 0) break;
        n_workers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
}

/* Ends the workers. */
static void stop(void) {
    atomic_store(&nap.quit, true);
    atomic_fetch_add(&job.number, 1);
    wake_sleepers();
    for (int i = 0; i < n_workers; i++) pthread_join(workers[i].id, NULL);
    atomic_store(&nap.quit, false);
    n_workers = 0;
    started = false;
}

const char *threads_way(void) { return "a pool"; }

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

/* Writes the description of a job, takes part in it and waits until it is done. */
static void run(uint32_t n, uint32_t parts, range_fn *range, task_fn *task, void *ctx) {
    if (!started) start();
    uint32_t number = atomic_load_explicit(&job.number, memory_order_relaxed) + 1;
    atomic_store_explicit(&job.n, n, memory_order_relaxed);
    atomic_store_explicit(&job.n_parts, parts, memory_order_relaxed);
    atomic_store_explicit(&job.range, range, memory_order_relaxed);
    atomic_store_explicit(&job.task, task, memory_order_relaxed);
    atomic_store_explicit(&job.ctx, ctx, memory_order_relaxed);
    atomic_store_explicit(&job.done, 0, memory_order_relaxed);
    for (uint32_t p = 0; p < parts; p++) {
        uint64_t left = part_begin(n, parts, p + 1) - part_begin(n, parts, p);
        atomic_store_explicit(&job.parts[p].left, (uint64_t)number << 32 | left,
                              memory_order_release);
    }
    atomic_store(&job.number, number);
    wake_sleepers();
    take_part(0);
    wait_for_others(n);
}

/* The number of threads for n items; 1 where the call is to run on the thread that makes it. */
static size_t helpers(size_t n) {
    size_t want = (size_t)threads_count();
    return running >= 0 || n > UINT32_MAX ? 1 : want < n ? want : n;
}

void threads_ranges(size_t n, range_fn *fn, void *ctx) {
    size_t want = helpers(n);
    if (want > 1)
        run((uint32_t)n, (uint32_t)want, fn, NULL, ctx);
    else if (n)
        fn(ctx, 0, n, running < 0 ? 0 : running);
}

void threads_tasks(size_t n, task_fn *fn, void *ctx) {
    if (helpers(n) > 1)
        run((uint32_t)n, 1, NULL, fn, ctx);
    else
        for (size_t i = 0; i < n; i++) fn(ctx, i, running < 0 ? 0 : running);
}
