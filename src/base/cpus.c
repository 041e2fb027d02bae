/* Counts the processors that this process may use: its affinity mask, and its control group's
 * share. */
#include "base/cpus.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/process.h"

/* The first line of a file; false where there is none. */
static bool first_line(const char *path, char *line, int size) {
    FILE *f = fopen(path, "r");
    if (!f) return false;
    bool ok = fgets(line, size, f) != NULL;
    fclose(f);
    return ok;
}

/* Processors of quota / period, rounded up; 0 for no limit. */
static int rounded_up(long quota, long period) {
    if (quota <= 0 || period <= 0) return 0;
    long n = quota / period + (quota % period != 0);
    return n > 1 << 20 ? 1 << 20 : (int)n;
}

/* What one group grants; 0 where it sets no limit. */
static int granted_v2(const char *group) {
    char path[1200], line[64];
    long quota, period;
    snprintf(path, sizeof path, "%s/cpu.max", group);
    return first_line(path, line, sizeof line) && sscanf(line, "%ld %ld", &quota, &period) == 2
               ? rounded_up(quota, period)
               : 0;
}

static int granted_v1(const char *group) {
    char path[1200], quota[64], period[64];
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", group);
    if (!first_line(path, quota, sizeof quota)) return 0;
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", group);
    return first_line(path, period, sizeof period)
               ? rounded_up(strtol(quota, NULL, 10), strtol(period, NULL, 10))
               : 0;
}

/* The least of a group and its parents, up to `mount`. A path that is not there (it may be the
 * host's, seen from a container) grants nothing by itself. */
static int least(const char *mount, const char *path, int (*granted)(const char *group)) {
    char group[1100];
    int n = snprintf(group, sizeof group, "%s%s", mount, strcmp(path, "/") == 0 ? "" : path),
        min = 0;
    size_t top = strlen(mount);
    if (n < 0 || (size_t)n >= sizeof group) return 0;
    for (;;) {
        int here = granted(group);
        if (here && (!min || here < min)) min = here;
        if (strlen(group) <= top) return min;
        *strrchr(group, '/') = 0;
    }
}

static bool lists(const char *names, const char *name) {
    size_t n = strlen(name);
    for (const char *s = strstr(names, name); s; s = strstr(s + 1, name))
        if ((s == names || s[-1] == ',') && (s[n] == 0 || s[n] == ',')) return true;
    return false;
}

/* A line is "number:controllers:path"; version 2 has no controllers. */
int cpus_granted(const char *membership, const char *root) {
    char line[1024], mount[1024];
    int min = 0;
    FILE *f = fopen(membership, "r");
    if (!f) return 0;
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;
        if (!path || path[1] != '/') continue;
        *path++ = 0;
        names++;
        int here = 0;
        if (!*names) {
            here = least(root, path, granted_v2);
        } else if (lists(names, "cpu")) {
            snprintf(mount, sizeof mount, "%s/%s", root, names);
            here = least(mount, path, granted_v1);
            snprintf(mount, sizeof mount, "%s/cpu", root);
            if (!here && strcmp(names, "cpu") != 0) here = least(mount, path, granted_v1);
        }
        if (here && (!min || here < min)) min = here;
    }
    fclose(f);
    return min;
}

int cpus_allowed(void) {
    int n = process_cpus(), granted = cpus_granted("/proc/self/cgroup", "/sys/fs/cgroup");
    if (granted && granted < n) n = granted;
    return n < 1 ? 1 : n;
}
