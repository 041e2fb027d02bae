/* lookat --version: what was built, how, and what of it this machine uses. */
#include <stdio.h>

#include "base/threads.h"
#include "cli/command.h"
#include "kernels/kernels.h"
#include "report/json_out.h"

const char *version_compiler(void) {
#if defined(__clang__)
    return __VERSION__; /* begins with clang's name */
#elif defined(__VERSION__)
    return "gcc " __VERSION__;
#else
    return "unknown";
#endif
}

void version_print(FILE *fp) {
    const struct kernels *best = NULL;
    struct err unread;
    /* What is asked of the system comes first: it would overwrite the errno of a write that fails.
     */
    const bool found = kernels_get(&best, NULL, &unread) == OK;
    const int threads = threads_allowed();
    fprintf(fp, "lookat %s\ncompiler: %s\nkernels: ", LOOKAT_VERSION, version_compiler());
    for (size_t i = 0; kernels_at(i); i++) fprintf(fp, "%s%s", i ? ", " : "", kernels_at(i)->name);
    if (found) fprintf(fp, "; on this CPU %s", best->name);
    fprintf(fp, "\nthreads: %s; this process may use %d\n", threads_way(), threads);
}

void version_put_json(FILE *fp) {
    const struct kernels *best = NULL;
    struct err unread;
    struct json_out j;
    const bool found = kernels_get(&best, NULL, &unread) == OK;
    json_put_begin(&j, fp);
    json_put_object(&j, NULL);
    json_put_cstr(&j, "schema", "lookat.version/1");
    json_put_cstr(&j, "version", LOOKAT_VERSION);
    json_put_cstr(&j, "compiler", version_compiler());
    json_put_array(&j, "kernel_sets");
    for (size_t i = 0; kernels_at(i); i++) json_put_cstr(&j, NULL, kernels_at(i)->name);
    json_put_close(&j);
    json_put_cstr(&j, "kernels", found ? best->name : NULL);
    json_put_cstr(&j, "threads_by", threads_way());
    json_put_int(&j, "threads", threads_allowed());
    json_put_close(&j);
}
