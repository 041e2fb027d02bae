/* A pickle: whatever it makes can be walked through, and lies where it says. */
#include "fuzz.h"

#include "checkpoint/pickle.h"

static void check_value(const struct pickle *p, struct pickle_value v, const uint8_t *data,
                        size_t size) {
    EXPECT(v.kind <= PICKLE_TENSOR);
    if (v.kind == PICKLE_TEXT || v.kind == PICKLE_LONG) {
        const uint8_t *s = (const uint8_t *)v.is.s;
        EXPECT(s >= data && v.n <= size - (size_t)(s - data));
    }
    size_t n = 0;
    for (uint32_t i = pickle_first(p, v); i != PICKLE_END; i = p->items[i].next) {
        EXPECT(i < p->n_items);
        n++;
    }
    EXPECT(n == pickle_count(p, v));
    if (v.kind == PICKLE_STORAGE) EXPECT(pickle_storage_type(p, v)->bytes > 0);
    if (v.kind == PICKLE_TENSOR)
        EXPECT(pickle_item(p, v, 0).kind == PICKLE_STORAGE &&
               pickle_count(p, pickle_item(p, v, 2)) <= PICKLE_MAX_RANK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct pickle p;
    struct arena a = {0};
    struct err e = {0};
    int rc = pickle_read(&p, "f.pkl", data, size, &a, &e);
    fuzz_allow(rc, &e);
    if (!rc) {
        EXPECT(p.end <= size && p.n_items <= PICKLE_MAX_ITEMS && p.n_lists <= PICKLE_MAX_LISTS);
        check_value(&p, p.root, data, size);
        for (size_t i = 0; i < p.n_items && i < 1000; i++) {
            check_value(&p, p.items[i].key, data, size);
            check_value(&p, p.items[i].value, data, size);
        }
        pickle_get(&p, p.root, "model");
    }
    arena_free(&a);
    return 0;
}
