/* How many processors this process may use. A container or `taskset` often grants fewer than the
 * machine has, and more threads than processors only get in each other's way. */
#ifndef LOOKAT_BASE_CPUS_H
#define LOOKAT_BASE_CPUS_H

/* The processors this process may run on (Linux: its affinity mask; elsewhere all that are online),
 * or the share of them that its control groups grant, whichever is less; at least 1. */
int cpus_allowed(void);

/* The processors that control groups grant, rounded up: the least quota / period on the way from
 * this process's group to the root, version 2 (cpu.max) or 1 (cpu.cfs_quota_us, cpu.cfs_period_us).
 * `membership` is a file in the form of /proc/self/cgroup, `root` where the hierarchies are mounted
 * (/sys/fs/cgroup). 0 where nothing sets a limit or nothing can be read. Groups of Linux: kernel
 * documentation, cgroup-v2.rst and scheduler/sched-bwc.rst. */
int cpus_granted(const char *membership, const char *root);

#endif
