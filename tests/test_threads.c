/* Threads, whichever of the three ways they are built: every index once, whatever the counts;
 * nested calls; a caller that does without its workers; and the processors a process may use. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cpus.h"
#include "base/process.h"
#include "base/threads.h"
#include "test.h"

enum { MOST = 3000, THREADS = 8 };

/* ---- every index once ---- */

struct tally {
    size_t n;
    unsigned char times[MOST]; /* plain memory: what a worker writes must be seen after the call */
    _Atomic int inside[THREADS]; /* calls running with this thread number */
    _Atomic int wrong;
};

static void enter(struct tally *t, int thread) {
    if (thread < 0 || thread >= threads_count()) {
        atomic_fetch_add(&t->wrong, 1);
        thread = 0;
    }
    if (atomic_fetch_add(&t->inside[thread], 1) != 0) atomic_fetch_add(&t->wrong, 1);
}

static void leave(struct tally *t, int thread) { atomic_fetch_sub(&t->inside[thread], 1); }

static void tally_range(void *ctx, size_t begin, size_t end, int thread) {
    struct tally *t = ctx;
    enter(t, thread);
    if (begin >= end || end > t->n)
        atomic_fetch_add(&t->wrong, 1);
    else
        for (size_t i = begin; i < end; i++) t->times[i]++;
    leave(t, thread);
}

static void tally_task(void *ctx, size_t task, int thread) {
    struct tally *t = ctx;
    enter(t, thread);
    if (task >= t->n)
        atomic_fetch_add(&t->wrong, 1);
    else
        t->times[task]++;
    leave(t, thread);
}

static struct tally tally;

static void check_once(size_t n, bool ranges) {
    memset(&tally, 0, sizeof tally);
    tally.n = n;
    if (ranges)
        threads_ranges(n, tally_range, &tally);
    else
        threads_tasks(n, tally_task, &tally);
    size_t bad = 0;
    for (size_t i = 0; i < MOST; i++) bad += tally.times[i] != (i < n);
    CHECK(bad == 0 && tally.wrong == 0, "%s, n %zu, %d threads: %zu indices, %d calls",
          ranges ? "ranges" : "tasks", n, threads_count(), bad, (int)tally.wrong);
}

static void each_index_once(void) {
    static const size_t counts[] = {0,  1,   2,   3,   5,   7,   12,  16,   17,   63,   64,
                                    65, 127, 128, 129, 255, 511, 513, 1000, 1024, 2303, MOST};
    for (int threads = 1; threads <= THREADS; threads++) {
        threads_set(threads);
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            check_once(counts[i], true);
            check_once(counts[i], false);
        }
    }
}

static void the_count_may_change(void) {
    static const int counts[] = {2, 8, 1, 3, 1, 7, 2, 2, 5};
    for (int round = 0; round < 20; round++)
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            threads_set(counts[i]);
            check_once((size_t)(round * 37 + counts[i]), round % 2);
        }
    threads_set(0);
    CHECK(threads_count() == 1, "%d", threads_count());
}

/* Jobs that follow each other at once, each reading what the one before wrote: late workers meet
 * the next job. */
struct chain {
    size_t n;
    uint64_t from[200], to[200];
};

static void chain_range(void *ctx, size_t begin, size_t end, int thread) {
    struct chain *c = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++) c->to[i] = c->from[(i + 1) % c->n] + i;
}

static void chain_task(void *ctx, size_t i, int thread) { chain_range(ctx, i, i + 1, thread); }

static void many_small_jobs(void) {
    static struct chain c;
    for (int threads = 2; threads <= THREADS; threads += 3) {
        threads_set(threads);
        size_t wrong = 0;
        for (size_t job = 0; job < 6000; job++) {
            c.n = 2 + job % 199;
            if (job % 3)
                threads_ranges(c.n, chain_range, &c);
            else
                threads_tasks(c.n, chain_task, &c);
            for (size_t i = 0; i < c.n; i++)
                wrong += c.to[i] != c.from[(i + 1) % c.n] + (uint64_t)i;
            memcpy(c.from, c.to, sizeof c.from);
        }
        CHECK(wrong == 0, "%d threads: %zu", threads, wrong);
    }
}

/* ---- nested ---- */

struct nested {
    _Atomic size_t inner;
    _Atomic int wrong;
};

struct here {
    struct nested *nested;
    pthread_t self;
    int thread;
};

static void inner_range(void *ctx, size_t begin, size_t end, int thread) {
    struct here *h = ctx;
    atomic_fetch_add(&h->nested->inner, end - begin);
    if (thread != h->thread || !pthread_equal(h->self, pthread_self()))
        atomic_fetch_add(&h->nested->wrong, 1);
}

static void inner_task(void *ctx, size_t task, int thread) {
    inner_range(ctx, task, task + 1, thread);
}

static void outer_task(void *ctx, size_t task, int thread) {
    (void)task;
    struct here h = {ctx, pthread_self(), thread};
    threads_ranges(10, inner_range, &h);
    threads_tasks(10, inner_task, &h);
}

static void calls_inside_of_calls_stay_on_their_thread(void) {
    for (int threads = 2; threads <= 5; threads++) {
        struct nested n = {0};
        threads_set(threads);
        threads_tasks(50, outer_task, &n);
        CHECK(n.inner == 1000 && n.wrong == 0, "%d threads: %zu, %d", threads, (size_t)n.inner,
              (int)n.wrong);
        check_once(100, true); /* and after them all threads are there again */
    }
}

/* ---- the caller alone ---- */

/* A worker that gets work keeps it until all other work is done, as if the system did not run it:
 * that the others can only finish by not waiting for it, whether or not it comes in time to get
 * any. */
struct stuck {
    size_t n;
    _Atomic size_t done;
    _Atomic int held; /* workers that hold work */
    _Atomic size_t in_hands;
    _Atomic bool late;
};

static void doze(void) { nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL); }

static void held_range(void *ctx, size_t begin, size_t end, int thread) {
    struct stuck *s = ctx;
    if (thread != 0) {
        atomic_fetch_add(&s->in_hands, end - begin);
        double limit = clock_now() + 20;
        while (atomic_load(&s->done) + atomic_load(&s->in_hands) < s->n && !atomic_load(&s->late)) {
            doze();
            if (clock_now() > limit) atomic_store(&s->late, true);
        }
        atomic_fetch_sub(&s->in_hands, end - begin);
        atomic_fetch_add(&s->held, 1);
    }
    atomic_fetch_add(&s->done, end - begin);
}

static void held_task(void *ctx, size_t task, int thread) {
    if (thread == 0) doze();
    held_range(ctx, task, task + 1, thread);
}

static void slow_range(void *ctx, size_t begin, size_t end, int thread) {
    if (thread == 0) doze();
    held_range(ctx, begin, end, thread);
}

static void the_caller_finishes_what_workers_do_not(void) {
    int held = 0;
    for (int threads = 2; threads <= 4; threads++)
        for (int round = 0; round < 6; round++) {
            struct stuck s = {.n = round % 2 ? 40 : 1000};
            threads_set(threads);
            if (round % 2)
                threads_tasks(s.n, held_task, &s);
            else
                threads_ranges(s.n, slow_range, &s);
            CHECK(!s.late && s.done == s.n, "%d threads, round %d: %zu of %zu", threads, round,
                  (size_t)s.done, s.n);
            held += s.held;
        }
    if (threads_count() > 1) CHECK(held > 0, "no worker ever took part");
}

#ifdef RLIMIT_NPROC /* POSIX has it not */
/* A user that may have no process more: not root, whom the limit does not bind. */
static bool no_more_threads(void) {
    struct rlimit none = {0, 0};
    return (getuid() != 0 || setuid(65534) == 0) && setrlimit(RLIMIT_NPROC, &none) == 0;
}

static void works_where_no_thread_can_be_made(void) {
    threads_set(1);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        for (int threads = 2; no_more_threads() && threads <= 4; threads++) {
            threads_set(threads);
            check_once(1000, true);
            check_once(1000, false);
        }
        fflush(stdout);
        _exit(test_errors != 0);
    }
    int status = -1;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
              WEXITSTATUS(status) == 0,
          "child: %d", status);
}
#else
static void works_where_no_thread_can_be_made(void) { SKIP("no limit on the processes of a user"); }
#endif

/* ---- processors ---- */

static char folder[] = "/tmp/lookat_threads_XXXXXX";

static void put(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (char *s = path + strlen(folder) + 1; (s = strchr(s, '/')) != NULL; s++) {
        *s = 0;
        mkdir(path, 0700);
        *s = '/';
    }
    FILE *f = fopen(path, "w");
    CHECK(f != NULL && fputs(text, f) >= 0, "%s", path);
    if (f) fclose(f);
}

static int granted(const char *membership) {
    char path[256];
    snprintf(path, sizeof path, "%s/self", folder);
    put("self", membership);
    return cpus_granted(path, folder);
}

static void control_groups(void) {
    if (!mkdtemp(folder)) SKIP("no temporary folder");
    put("cpu.max", "max 100000\n");
    put("a/cpu.max", "250000 100000\n");
    put("a/b/cpu.max", "max 100000\n");
    put("a/c/cpu.max", "100 100000\n");
    put("a/d/cpu.max", "800000 100000\n");
    put("cpu,cpuacct/x/cpu.cfs_quota_us", "-1\n");
    put("cpu,cpuacct/x/cpu.cfs_period_us", "100000\n");
    put("cpu,cpuacct/x/y/cpu.cfs_quota_us", "200000\n");
    put("cpu,cpuacct/x/y/cpu.cfs_period_us", "50000\n");
    put("cpu/cpu.cfs_quota_us", "100001\n");
    put("cpu/cpu.cfs_period_us", "100000\n");
    static const struct {
        const char *membership;
        int granted;
    } cases[] = {
        {"0::/\n", 0},
        {"0::/a\n", 3},
        {"0::/a/b\n", 3},
        {"0::/a/c\n", 1},
        {"0::/a/d\n", 3}, /* the parent grants less */
        {"0::/a/gone/deeper\n", 3},
        {"0::/elsewhere\n", 0},
        {"4:cpu,cpuacct:/x/y\n0::/\n", 4},
        {"4:cpuset,cpu:/host/path\n", 2}, /* seen from a container: what is mounted is its own */
        {"4:cpuset:/x/y\n3:memory:/a\n", 0},
        {"1:cpu:/\n0::/a/c\n", 1},
        {"1:cpu:/\n0::/a\n", 2},
        {"", 0},
        {"nonsense\n::\n0::\n0::relative\n", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK(granted(cases[i].membership) == cases[i].granted, "'%s': %d, not %d",
              cases[i].membership, granted(cases[i].membership), cases[i].granted);
    CHECK(cpus_granted("/nonexistent", folder) == 0, "no file");
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    CHECK(system(command) == 0, "%s", command);
}

static void at_least_one_processor(void) {
    CHECK(cpus_allowed() >= 1 && threads_allowed() >= 1 && threads_allowed() <= cpus_allowed(),
          "%d, %d", cpus_allowed(), threads_allowed());
}

int main(void) {
    RUN(each_index_once);
    RUN(the_count_may_change);
    RUN(many_small_jobs);
    RUN(calls_inside_of_calls_stay_on_their_thread);
    RUN(the_caller_finishes_what_workers_do_not);
    RUN(works_where_no_thread_can_be_made);
    RUN(control_groups);
    RUN(at_least_one_processor);
    return TEST_RESULT;
}
