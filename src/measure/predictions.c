#include "measure/predictions.h"

bool predictions_alloc(struct predictions *p, size_t n, struct arena *a) {
    *p = (struct predictions){
        .n = n,
        .nll = arena_zalloc(a, n, sizeof *p->nll),
        .kld = arena_zalloc(a, n, sizeof *p->kld),
        .dp = arena_zalloc(a, n, sizeof *p->dp),
        .same_top1 = arena_zalloc(a, n, sizeof *p->same_top1),
    };
    return p->nll && p->kld && p->dp && p->same_top1;
}
