/* Broken PyTorch files, each with what must be said about it. */
#include "bad.h"
#include "tiny_torch.h"

static void bad_torch_give(bad_fn fn, void *ctx, const char *name, const char *expect,
                           struct bytes *b) {
    fn(&(struct bad_file){name, expect, b->data, b->size}, ctx);
    bytes_free(b);
}

/* ---- the archive ---- */

static void zip_compressed(struct tiny_zip *z) { z->p[1].method = 8; }
static void zip_encrypted(struct tiny_zip *z) { z->p[1].flags = 1; }
static void zip_twice(struct tiny_zip *z) { strcpy(z->p[2].name, "m/data/0"); }
static void zip_no_pickle(struct tiny_zip *z) { strcpy(z->p[0].name, "m/data.json"); }
static void zip_deep_pickle(struct tiny_zip *z) { strcpy(z->p[0].name, "m/n/data.pkl"); }
static void zip_big(struct tiny_zip *z) { zip_add(z, "m/byteorder", "big", 3); }
static void zip_more_files(struct tiny_zip *z) { z->more_files = 1; }
static void zip_many_files(struct tiny_zip *z) { z->more_files = 60000; }
static void zip_more_bytes(struct tiny_zip *z) { z->more_bytes = 4; }
static void zip_elsewhere(struct tiny_zip *z) { z->more_at = 1; }
static void zip_beyond(struct tiny_zip *z) { z->more_at = 1u << 30; }
static void zip_local(struct tiny_zip *z) { z->more_local = 1; }
static void zip_local_beyond(struct tiny_zip *z) { z->more_local = 1u << 30; }
static void zip_disks(struct tiny_zip *z) { z->disk = 1; }
static void zip_no_storage(struct tiny_zip *z) { strcpy(z->p[3].name, "m/data/x"); }
static void zip_short_storage(struct tiny_zip *z) { z->p[1].data.size -= 4; }
static void zip_odd_storage(struct tiny_zip *z) { put_u8(&z->p[1].data, 0); }
static void zip_behind_pickle(struct tiny_zip *z) { put_u8(&z->p[0].data, '.'); }

static const struct {
    const char *name, *expect;
    void (*edit)(struct tiny_zip *z);
} bad_zips[] = {
    {"zip-compressed", "m/data/0 is compressed, expected one that is stored as it is",
     zip_compressed},
    {"zip-encrypted", "m/data/0 is encrypted", zip_encrypted},
    {"zip-twice", "m/data/0 stands in it twice", zip_twice},
    {"zip-no-pickle", "is a zip archive without a data.pkl", zip_no_pickle},
    {"zip-deep-pickle", "is a zip archive without a data.pkl", zip_deep_pickle},
    {"zip-big", "was saved on a big-endian machine", zip_big},
    {"zip-more-files", "the zip archive's directory is broken", zip_more_files},
    {"zip-many-files", "the zip archive's directory is not where its end says", zip_many_files},
    {"zip-more-bytes", "m/data.pkl is compressed", zip_more_bytes},
    {"zip-elsewhere", "the zip archive's directory is not where its end says", zip_elsewhere},
    {"zip-beyond", "the zip archive's directory is not where its end says", zip_beyond},
    {"zip-local", "m/data.pkl is not where the directory says", zip_local},
    {"zip-local-beyond", "m/data.pkl is not where the directory says", zip_local_beyond},
    {"zip-disks", "is one part of a zip archive in several", zip_disks},
    {"zip-no-storage", "tensor h.0.ln_1.weight: its numbers, data/2, are not in the archive",
     zip_no_storage},
    {"zip-short-storage", "tensor wte.weight: its storage has 156 bytes, expected 40 numbers of 4",
     zip_short_storage},
    {"zip-odd-storage", "tensor wte.weight: its storage has 161 bytes, expected 40 numbers of 4",
     zip_odd_storage},
    {"zip-behind-pickle", "bytes follow the pickle in data.pkl", zip_behind_pickle},
};

/* ---- the pickle ---- */

/* Whole pickles without PROTO. `X\5\0\0\0hello` is a text, `c...` a name, `K\1` the number 1. */
#define PICKLE(name, expect, text) \
    { name, expect, text, sizeof(text) - 1 }
#define STORAGE                                       \
    "X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" \
    "0X\3\0\0\0cpu"
#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n"
static const struct {
    const char *name, *expect, *text;
    size_t n;
} bad_pickles[] = {
    PICKLE("pickle-empty", "the pickle, at its byte 2: it is cut short", ""),
    PICKLE("pickle-no-stop", "the pickle, at its byte 3: it is cut short", "}"),
    PICKLE("pickle-nothing", "the opcode takes other values than those that are there", "."),
    PICKLE("pickle-two", "the opcode takes other values than those that are there", "}}."),
    PICKLE("pickle-mark", "the opcode takes other values than those that are there", "(."),
    PICKLE("pickle-text",
           "holds no tensors by name, also not under model, model_state_dict or "
           "state_dict; found: no names",
           "X\2\0\0\0hi."),
    PICKLE("pickle-names", "state_dict; found: epoch, lr", "}(X\5\0\0\0epochK\1X\2\0\0\0lrK\1u."),
    PICKLE("pickle-opcode", "the pickle, at its byte 2: opcode 0x70, which no tensor", "p0\n."),
    PICKLE("pickle-object", "opcode 0x81, which no tensor", "}}\x81."),
    PICKLE("pickle-cut-text", "at its byte 2: it is cut short", "X\xff\0\0\0hello"),
    PICKLE("pickle-cut-name", "at its byte 2: it is cut short", "ctorch"),
    PICKLE("pickle-cut-int", "at its byte 2: it is cut short", "J\1\2"),
    PICKLE("pickle-cut-long", "at its byte 2: it is cut short", "\x8a\xff\1"),
    PICKLE("pickle-cut-float", "at its byte 2: it is cut short", "G\1\2\3"),
    PICKLE("pickle-long-text", "at its byte 2: it is cut short",
           "\x8d\xff\xff\xff\xff\xff\xff\xff\x7fhello"),
    PICKLE("pickle-system",
           "the pickle names posix.system, which is no part of a tensor or a "
           "dictionary; nothing in it was run",
           "cposix\nsystem\nX\4\0\0\0true\x85R."),
    PICKLE("pickle-eval", "the pickle names builtins.eval, which is no part",
           "X\x8\0\0\0builtinsX\4\0\0\0eval\x93X\1\0\0\0"
           "1\x85R."),
    PICKLE("pickle-import", "the pickle names torch.load, which is no part", "ctorch\nload\n."),
    PICKLE("pickle-prefix", "the pickle names torch.FloatStorages, which is no part",
           "ctorch\nFloatStorages\n."),
    PICKLE("pickle-stack-name", "takes other values", "K\1K\2\x93."),
    PICKLE("pickle-memo", "it takes a value from a place where it has put none", "h\1."),
    PICKLE("pickle-memo-far", "it makes more than any model has", "}r\xff\xff\xff\x7f."),
    PICKLE("pickle-memo-mark", "takes other values", "(q\0."),
    PICKLE("pickle-append", "takes other values", "}K\1a."),
    PICKLE("pickle-append-mark", "takes other values", "](a."),
    PICKLE("pickle-setitem", "takes other values", "]K\1K\2s."),
    PICKLE("pickle-setitems-odd", "takes other values", "}(K\1u."),
    PICKLE("pickle-setitems", "takes other values", "K\1K\2u."),
    PICKLE("pickle-tuple", "takes other values", "K\1\x86."),
    PICKLE("pickle-tuple-mark", "takes other values", "K\1(K\1\x86."),
    PICKLE("pickle-no-mark", "takes other values", "K\1t."),
    PICKLE("pickle-dict-odd", "takes other values", "(K\1d."),
    PICKLE("pickle-build", "takes other values", "]}b."),
    PICKLE("pickle-call-list", "takes other values", "])R."),
    PICKLE("pickle-call-args", "takes other values", "ccollections\nOrderedDict\n]R."),
    PICKLE("pickle-call-dict", "collections.OrderedDict with arguments of another kind",
           "ccollections\nOrderedDict\nK\1\x85R."),
    PICKLE("pickle-call-storage", "torch.FloatStorage with arguments of another kind",
           "ctorch\nFloatStorage\n)R."),
    PICKLE("pickle-call-size", "torch.Size with arguments of another kind", "ctorch\nSize\n)R."),
    PICKLE("pickle-rebuild", "torch._utils._rebuild_tensor_v2 with arguments of another kind",
           REBUILD ")R."),
    PICKLE("pickle-no-storage", "torch._utils._rebuild_tensor_v2 with arguments of another kind",
           REBUILD "(K\1K\0))t\x85R."),
    PICKLE("pickle-offset", "torch._utils._rebuild_tensor_v2 with arguments of another kind",
           REBUILD "((" STORAGE "K\1tQJ\xff\xff\xff\xff))tR."),
    PICKLE("pickle-shape", "torch._utils._rebuild_tensor_v2 with arguments of another kind",
           REBUILD "((" STORAGE "K\1tQK\0J\xff\xff\xff\xff\x85K\1\x85tR."),
    PICKLE("pickle-strides", "torch._utils._rebuild_tensor_v2 with arguments of another kind",
           REBUILD "((" STORAGE "K\1tQK\0K\1\x85)tR."),
    PICKLE("pickle-rank", "torch._utils._rebuild_tensor_v2 with arguments of another kind",
           REBUILD "((" STORAGE
                   "K\1tQK\0(K\1K\1K\1K\1K\1K\1K\1K\1K\1t(K\1K\1K\1K\1K\1K\1K\1K\1K\1ttR."),
    PICKLE("pickle-storage", "it tells of numbers in another way than PyTorch does",
           "(" STORAGE "tQ."),
    PICKLE("pickle-storage-type", "it tells of numbers in another way than PyTorch does",
           "(X\7\0\0\0storageccollections\nOrderedDict\nX\1\0\0\0"
           "0X\3\0\0\0cpuK\1tQ."),
    PICKLE("pickle-storage-view", "it tells of numbers in another way than PyTorch does",
           "(" STORAGE "K\1K\1tQ."),
    PICKLE("pickle-storage-kind", "takes other values", "K\1Q."),
};

/* ---- tensors ---- */

static const struct {
    const char *name, *expect, *key;
    struct pk_window w;
} bad_windows[] = {
    {"window-beyond",
     "tensor a: reaches beyond its storage of 40 numbers",
     "a",
     {"0", "torch\nFloatStorage\n", 40, 1, 2, {5, 8}, {8, 1}}},
    {"window-offset",
     "tensor a: reaches beyond its storage of 40 numbers",
     "a",
     {"0", "torch\nFloatStorage\n", 40, 40, 1, {1}, {1}}},
    {"window-stride",
     "tensor a: reaches beyond its storage of 40 numbers",
     "a",
     {"0", "torch\nFloatStorage\n", 40, 0, 2, {5, 8}, {8, 2}}},
    {"window-large",
     OF_64_OR_32("tensor a: reaches beyond its storage",
                 "tensor a: the size of its shape overflows"),
     "a",
     {"0", "torch\nFloatStorage\n", 40, 0, 2, {1u << 20, 1u << 20}, {0, 1}}},
    {"window-overflow",
     "tensor a: the size of its shape overflows",
     "a",
     {"0", "torch\nFloatStorage\n", 40, 0, 3, {1u << 30, 1u << 30, 1u << 30}, {0, 0, 0}}},
    {"window-type",
     "tensor a: its storage has 160 bytes, expected 40 numbers of 8",
     "a",
     {"0", "torch\nDoubleStorage\n", 40, 0, 1, {1}, {1}}},
    {"window-key",
     "tensor a: its numbers, data/zz, are not in the archive",
     "a",
     {"zz", "torch\nFloatStorage\n", 40, 0, 1, {1}, {1}}},
    {"window-twice",
     "two tensors are called wte.weight",
     "wte.weight",
     {"0", "torch\nFloatStorage\n", 40, 0, 2, {5, 8}, {8, 1}}},
    {"window-other",
     "tensor a is not part of GPT-2",
     "a",
     {"0", "torch\nFloatStorage\n", 40, 0, 1, {1}, {1}}},
};

static void bad_torch_pickles(bad_fn fn, void *ctx, const struct st_maker *m) {
    static struct tiny_zip z;
    for (size_t i = 0; i < sizeof bad_pickles / sizeof *bad_pickles; i++) {
        struct bytes p = {0};
        put_text(&p, "\x80\2");
        put_bytes(&p, bad_pickles[i].text, bad_pickles[i].n);
        torch_zip(&z, &p, m);
        struct bytes b = zip_bytes(&z);
        bad_torch_give(fn, ctx, bad_pickles[i].name, bad_pickles[i].expect, &b);
        bytes_free(&p);
        zip_free(&z);
    }
    for (size_t i = 0; i < sizeof bad_windows / sizeof *bad_windows; i++) {
        struct bytes p = {0};
        put_text(&p, "\x80\2");
        pk_state(&p, m);
        put_text(&p, "(");
        pk_text(&p, bad_windows[i].key);
        pk_tensor(&p, &bad_windows[i].w);
        put_text(&p, "u.");
        torch_zip(&z, &p, m);
        struct bytes b = zip_bytes(&z);
        bad_torch_give(fn, ctx, bad_windows[i].name, bad_windows[i].expect, &b);
        bytes_free(&p);
        zip_free(&z);
    }
}

static void bad_torch_zips(bad_fn fn, void *ctx, const struct st_maker *m) {
    static struct tiny_zip z;
    for (size_t i = 0; i < sizeof bad_zips / sizeof *bad_zips; i++) {
        struct bytes p = {0};
        put_text(&p, "\x80\2");
        pk_state(&p, m);
        put_text(&p, ".");
        torch_zip(&z, &p, m);
        bad_zips[i].edit(&z);
        struct bytes b = zip_bytes(&z);
        bad_torch_give(fn, ctx, bad_zips[i].name, bad_zips[i].expect, &b);
        bytes_free(&p);
        zip_free(&z);
    }
}

static void bad_torch_old(bad_fn fn, void *ctx, const struct st_maker *m) {
    static const struct {
        const char *name, *expect;
        struct tiny_old o;
    } bad[] = {
        {"old-version", "its version is not 1001", {.version = 1000}},
        {"old-big", "was saved on a big-endian machine", {.version = 1001, .big_endian = true}},
        {"old-keys", "the file ends at byte", {.version = 1001, .more_keys = 1}},
        {"old-count",
         "storage 1 of 28 has 41 numbers, and its tensors say 40",
         {.version = 1001, .more_count = 1}},
        {"old-bytes", "3 bytes follow the last storage", {.version = 1001, .more_bytes = 3}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct bytes b = torch_old_bytes(m, &bad[i].o);
        bad_torch_give(fn, ctx, bad[i].name, bad[i].expect, &b);
    }
}

/* Beside the config.json of the tiny model. */
void bad_torch(bad_fn fn, void *ctx) {
    static struct st_maker m;
    tiny_hf(&m, TINY, "", "F32");
    bad_torch_zips(fn, ctx, &m);
    bad_torch_pickles(fn, ctx, &m);
    bad_torch_old(fn, ctx, &m);
    st_free(&m);
}
