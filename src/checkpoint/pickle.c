/* The machine that runs a pickle. Its state is a stack of values, and a memo of values that are
 * used again; lists of items hold what it makes. */
#include "checkpoint/pickle.h"

#include <string.h>

#include "kernels/dtype.h"

/* What a pickle may name, and what that makes of its arguments. */
enum callable {
    MAKE_DICT,   /* () -> an empty dictionary */
    MAKE_TENSOR, /* (storage, offset, shape, strides, ...) -> a tensor */
    MAKE_SAME,   /* (x, ...) -> x */
    STORAGE      /* never called: the type of a storage */
};

static const struct name {
    const char *module, *name;
    enum callable makes;
    struct pickle_type type; /* of a storage */
} NAMES[] = {
    {"collections", "OrderedDict", MAKE_DICT, {0}},
    {"torch._utils", "_rebuild_tensor", MAKE_TENSOR, {0}},
    {"torch._utils", "_rebuild_tensor_v2", MAKE_TENSOR, {0}},
    {"torch._utils", "_rebuild_parameter", MAKE_SAME, {0}},
    {"torch", "Size", MAKE_SAME, {0}},
    {"torch", "FloatStorage", STORAGE, {"F32", 4, DTYPE_F32}},
    {"torch", "HalfStorage", STORAGE, {"F16", 2, DTYPE_F16}},
    {"torch", "BFloat16Storage", STORAGE, {"BF16", 2, DTYPE_BF16}},
    {"torch", "DoubleStorage", STORAGE, {"F64", 8, -1}},
    {"torch", "LongStorage", STORAGE, {"I64", 8, -1}},
    {"torch", "IntStorage", STORAGE, {"I32", 4, -1}},
    {"torch", "ShortStorage", STORAGE, {"I16", 2, -1}},
    {"torch", "CharStorage", STORAGE, {"I8", 1, -1}},
    {"torch", "ByteStorage", STORAGE, {"U8", 1, -1}},
    {"torch", "BoolStorage", STORAGE, {"BOOL", 1, -1}},
    {"torch.cuda", "FloatStorage", STORAGE, {"F32", 4, DTYPE_F32}},
    {"torch.cuda", "HalfStorage", STORAGE, {"F16", 2, DTYPE_F16}},
    {"torch.cuda", "BFloat16Storage", STORAGE, {"BF16", 2, DTYPE_BF16}},
    {"torch.cuda", "LongStorage", STORAGE, {"I64", 8, -1}},
    {"torch.cuda", "ByteStorage", STORAGE, {"U8", 1, -1}},
    {"torch.cuda", "BoolStorage", STORAGE, {"BOOL", 1, -1}},
};
enum { N_NAMES = sizeof NAMES / sizeof *NAMES };

enum { SHOWN = 80 }; /* bytes of a name that a message quotes */

struct machine {
    struct pickle *p;
    const char *path;
    const uint8_t *data; /* [size] */
    size_t size, at;
    size_t op_at; /* where the opcode that runs begins */
    struct pickle_value *stack, *memo;
    size_t n_stack,
        n_memo; /* values on the stack; highest place of the memo that is set, and one */
    size_t stack_room, memo_room, items_room, lists_room;
    struct err *e;
};

/* ---- errors ---- */

static int refuse(const struct machine *m, const char *what) {
    return err_file(m->e, ERR_REFUSED, m->path, "the pickle, at its byte %zu: %s", m->op_at, what);
}

static int cut_short(const struct machine *m) { return refuse(m, "it is cut short"); }

static int too_much(const struct machine *m) {
    return refuse(m, "it makes more than any model has: too many values");
}

static int wrong(const struct machine *m) {
    return refuse(m, "the opcode takes other values than those that are there");
}

/* ---- arguments of opcodes ---- */

/* n bytes of the pickle, or NULL where there are fewer. */
static const uint8_t *take_bytes(struct machine *m, size_t n) {
    if (n > m->size - m->at) return NULL;
    m->at += n;
    return m->data + m->at - n;
}

static bool take_uint(struct machine *m, size_t n, uint64_t *x) {
    const uint8_t *p = take_bytes(m, n);
    *x = 0;
    for (size_t i = 0; p && i < n; i++) *x |= (uint64_t)p[i] << 8 * i;
    return p != NULL;
}

/* ---- the stack ---- */

static int push(struct machine *m, struct pickle_value v) {
    if (m->n_stack == m->stack_room) return too_much(m);
    m->stack[m->n_stack++] = v;
    return OK;
}

static int push_simple(struct machine *m, enum pickle_kind kind, int64_t whole) {
    return push(m, (struct pickle_value){.kind = kind, .is.whole = whole});
}

/* The topmost value, which is no mark, taken off. */
static bool pop(struct machine *m, struct pickle_value *v) {
    if (!m->n_stack || m->stack[m->n_stack - 1].kind == PICKLE_MARK) return false;
    *v = m->stack[--m->n_stack];
    return true;
}

/* The place behind the topmost mark, or 0 where there is none. */
static size_t behind_mark(const struct machine *m) {
    size_t i = m->n_stack;
    while (i > 0 && m->stack[i - 1].kind != PICKLE_MARK) i--;
    return i;
}

/* ---- what has items ---- */

static bool is_text(struct pickle_value v, const char *text) {
    return v.kind == PICKLE_TEXT && v.n == strlen(text) && memcmp(v.is.s, text, v.n) == 0;
}

static bool has_items(enum pickle_kind kind) { return kind >= PICKLE_TUPLE && kind < PICKLE_MARK; }

static int new_list(struct machine *m, enum pickle_kind kind, struct pickle_value *v) {
    if (m->p->n_lists == m->lists_room) return too_much(m);
    *v = (struct pickle_value){.kind = kind, .is.whole = (int64_t)m->p->n_lists};
    m->p->lists[m->p->n_lists++] = (struct pickle_list){PICKLE_END, PICKLE_END, 0};
    return OK;
}

static int append(struct machine *m, struct pickle_value to, struct pickle_value key,
                  struct pickle_value value) {
    struct pickle_list *l = &m->p->lists[to.is.whole];
    uint32_t i = (uint32_t)m->p->n_items;
    if (i == m->items_room) return too_much(m);
    m->p->items[m->p->n_items++] = (struct pickle_item){key, value, PICKLE_END};
    if (l->n++)
        m->p->items[l->last].next = i;
    else
        l->first = i;
    l->last = i;
    return OK;
}

static int push_empty(struct machine *m, enum pickle_kind kind) {
    struct pickle_value v;
    int rc = new_list(m, kind, &v);
    return rc ? rc : push(m, v);
}

/* The topmost values from place `first` of the stack on become a tuple, list or dictionary; of a
 * dictionary every second one is a key. They are taken off, with so many places below. */
static int gather(struct machine *m, enum pickle_kind kind, size_t first, size_t below) {
    const size_t step = kind == PICKLE_DICT ? 2 : 1;
    struct pickle_value v;
    if ((m->n_stack - first) % step) return wrong(m);
    int rc = new_list(m, kind, &v);
    for (size_t i = first; !rc && i < m->n_stack; i += step)
        rc = append(m, v, m->stack[i], m->stack[i + step - 1]);
    m->n_stack = first - below;
    return rc ? rc : push(m, v);
}

/* Are there n values on top without a mark among them? */
static bool has_values(const struct machine *m, size_t n) {
    bool ok = m->n_stack >= n;
    for (size_t i = 0; ok && i < n; i++) ok = m->stack[m->n_stack - 1 - i].kind != PICKLE_MARK;
    return ok;
}

/* The last n values become a tuple. */
static int small_tuple(struct machine *m, size_t n) {
    if (!has_values(m, n)) return wrong(m);
    return gather(m, PICKLE_TUPLE, m->n_stack - n, 0);
}

static int gather_from_mark(struct machine *m, enum pickle_kind kind) {
    size_t first = behind_mark(m);
    return first ? gather(m, kind, first, 1) : wrong(m);
}

/* The values from place `first` on go into the list or dictionary that lies below them, and `below`
 * places further down. */
static int extend(struct machine *m, enum pickle_kind kind, size_t first, size_t below) {
    const size_t step = kind == PICKLE_DICT ? 2 : 1;
    if (first <= below || m->stack[first - below - 1].kind != kind || (m->n_stack - first) % step)
        return wrong(m);
    struct pickle_value to = m->stack[first - below - 1];
    int rc = OK;
    for (size_t i = first; !rc && i < m->n_stack; i += step)
        rc = append(m, to, m->stack[i], m->stack[i + step - 1]);
    m->n_stack = first - below;
    return rc;
}

static int extend_by(struct machine *m, enum pickle_kind kind, size_t n) {
    if (!has_values(m, n + 1)) return wrong(m);
    return extend(m, kind, m->n_stack - n, 0);
}

static int extend_from_mark(struct machine *m, enum pickle_kind kind) {
    size_t first = behind_mark(m);
    return first ? extend(m, kind, first, 1) : wrong(m);
}

/* ---- the memo ---- */

static int remember(struct machine *m, uint64_t place) {
    if (!m->n_stack || m->stack[m->n_stack - 1].kind == PICKLE_MARK) return wrong(m);
    if (place >= m->memo_room) return too_much(m);
    while (m->n_memo <= place) m->memo[m->n_memo++] = (struct pickle_value){.kind = PICKLE_MARK};
    m->memo[place] = m->stack[m->n_stack - 1];
    return OK;
}

static int recall(struct machine *m, uint64_t place) {
    if (place >= m->n_memo || m->memo[place].kind == PICKLE_MARK)
        return refuse(m, "it takes a value from a place where it has put none");
    return push(m, m->memo[place]);
}

/* The argument, n bytes, is a place of the memo. */
static int memo_op(struct machine *m, size_t n, int (*fn)(struct machine *, uint64_t)) {
    uint64_t place;
    return take_uint(m, n, &place) ? fn(m, place) : cut_short(m);
}

/* ---- names, and what stands for calls ---- */

static int refuse_name(const struct machine *m, const char *module, size_t n_module,
                       const char *name, size_t n_name) {
    return err_file(m->e, ERR_REFUSED, m->path,
                    "the pickle names %.*s.%.*s, which is no part of a tensor or a dictionary; "
                    "nothing in it was run",
                    n_module < SHOWN ? (int)n_module : SHOWN, module,
                    n_name < SHOWN ? (int)n_name : SHOWN, name);
}

static int push_name(struct machine *m, const char *module, size_t n_module, const char *name,
                     size_t n_name) {
    for (size_t i = 0; i < N_NAMES; i++)
        if (strlen(NAMES[i].module) == n_module && strlen(NAMES[i].name) == n_name &&
            memcmp(NAMES[i].module, module, n_module) == 0 &&
            memcmp(NAMES[i].name, name, n_name) == 0)
            return push_simple(m, PICKLE_NAME, (int64_t)i);
    return refuse_name(m, module, n_module, name, n_name);
}

/* GLOBAL: two lines. */
static int global(struct machine *m) {
    const char *line[2];
    size_t n[2];
    for (int i = 0; i < 2; i++) {
        const uint8_t *end =
            m->at < m->size ? memchr(m->data + m->at, '\n', m->size - m->at) : NULL;
        if (!end) return cut_short(m);
        line[i] = (const char *)m->data + m->at;
        n[i] = (size_t)(end - m->data) - m->at;
        m->at += n[i] + 1;
    }
    return push_name(m, line[0], n[0], line[1], n[1]);
}

/* STACK_GLOBAL: two texts from the stack. */
static int stack_global(struct machine *m) {
    struct pickle_value name, module;
    if (!pop(m, &name) || !pop(m, &module) || name.kind != PICKLE_TEXT ||
        module.kind != PICKLE_TEXT)
        return wrong(m);
    return push_name(m, module.is.s, module.n, name.is.s, name.n);
}

/* A tuple of a few numbers from 0 on. */
static bool is_sizes(const struct pickle *p, struct pickle_value v) {
    if (v.kind != PICKLE_TUPLE || pickle_count(p, v) > PICKLE_MAX_RANK) return false;
    for (uint32_t i = pickle_first(p, v); i != PICKLE_END; i = p->items[i].next)
        if (p->items[i].value.kind != PICKLE_INT || p->items[i].value.is.whole < 0) return false;
    return true;
}

/* (storage, offset, shape, strides, ...): as many strides as sizes. */
static bool is_tensor(const struct pickle *p, struct pickle_value v) {
    struct pickle_value offset = pickle_item(p, v, 1), shape = pickle_item(p, v, 2),
                        stride = pickle_item(p, v, 3);
    return pickle_item(p, v, 0).kind == PICKLE_STORAGE && offset.kind == PICKLE_INT &&
           offset.is.whole >= 0 && is_sizes(p, shape) && is_sizes(p, stride) &&
           pickle_count(p, shape) == pickle_count(p, stride);
}

/* REDUCE: in Python a call of a function with a tuple of arguments. */
static int reduce(struct machine *m) {
    struct pickle_value args, fn;
    if (!pop(m, &args) || !pop(m, &fn) || args.kind != PICKLE_TUPLE || fn.kind != PICKLE_NAME)
        return wrong(m);
    const struct name *name = &NAMES[fn.is.whole];
    switch (name->makes) {
    case MAKE_DICT:
        if (pickle_count(m->p, args) == 0) return push_empty(m, PICKLE_DICT);
        break;
    case MAKE_TENSOR:
        args.kind = PICKLE_TENSOR;
        if (is_tensor(m->p, args)) return push(m, args);
        break;
    case MAKE_SAME:
        if (pickle_count(m->p, args)) return push(m, pickle_item(m->p, args, 0));
        break;
    case STORAGE: break;
    }
    return err_file(m->e, ERR_REFUSED, m->path,
                    "the pickle, at its byte %zu: %s.%s with arguments of another kind than it has",
                    m->op_at, name->module, name->name);
}

/* BINPERSID: ("storage", type, key, device, count[, view]) stands for numbers that lie elsewhere in
 * the file. */
static int storage(struct machine *m) {
    struct pickle_value v;
    const struct pickle *p = m->p;
    if (!pop(m, &v) || v.kind != PICKLE_TUPLE) return wrong(m);
    struct pickle_value type = pickle_item(p, v, 1), count = pickle_item(p, v, 4),
                        view = pickle_item(p, v, 5);
    if (!is_text(pickle_item(p, v, 0), "storage") || type.kind != PICKLE_NAME ||
        NAMES[type.is.whole].makes != STORAGE || pickle_item(p, v, 2).kind != PICKLE_TEXT ||
        count.kind != PICKLE_INT || count.is.whole < 0 || view.kind != PICKLE_NONE)
        return refuse(m, "it tells of numbers in another way than PyTorch does");
    v.kind = PICKLE_STORAGE;
    return push(m, v);
}

/* BUILD: attributes of an object, of which a dictionary needs none. */
static int build(struct machine *m) {
    struct pickle_value state;
    if (!pop(m, &state) || !m->n_stack || m->stack[m->n_stack - 1].kind != PICKLE_DICT)
        return wrong(m);
    return OK;
}

/* ---- values that stand in the pickle ---- */

/* A text behind its length of n bytes. */
static int push_text(struct machine *m, size_t n) {
    uint64_t length;
    if (!take_uint(m, n, &length) || length > m->size - m->at) return cut_short(m);
    if (length > UINT32_MAX) return too_much(m);
    const uint8_t *s = take_bytes(m, (size_t)length);
    return push(m, (struct pickle_value){
                       .kind = PICKLE_TEXT, .n = (uint32_t)length, .is.s = (const char *)s});
}

static int push_uint(struct machine *m, size_t n) {
    uint64_t x;
    return take_uint(m, n, &x) ? push_simple(m, PICKLE_INT, (int64_t)x) : cut_short(m);
}

/* BININT: 32 bits with a sign. */
static int push_int32(struct machine *m) {
    uint64_t x;
    if (!take_uint(m, 4, &x)) return cut_short(m);
    return push_simple(m, PICKLE_INT, (int64_t)x - ((int64_t)(x >> 31) << 32));
}

/* LONG1: a whole number of any length, with a sign. */
static int push_long(struct machine *m) {
    uint64_t n, x;
    if (!take_uint(m, 1, &n)) return cut_short(m);
    if (n > 8) {
        const uint8_t *s = take_bytes(m, (size_t)n);
        return s ? push(m, (struct pickle_value){.kind = PICKLE_LONG,
                                                 .n = (uint32_t)n,
                                                 .is.s = (const char *)s})
                 : cut_short(m);
    }
    if (!take_uint(m, (size_t)n, &x)) return cut_short(m);
    if (n && n < 8 && x >> (8 * n - 1)) x |= UINT64_MAX << 8 * n;
    int64_t whole;
    memcpy(&whole, &x, sizeof whole);
    return push_simple(m, PICKLE_INT, whole);
}

/* BINFLOAT: a double, its bytes from the highest to the lowest. */
static int push_float(struct machine *m) {
    const uint8_t *p = take_bytes(m, 8);
    struct pickle_value v = {.kind = PICKLE_FLOAT};
    uint64_t bits = 0;
    if (!p) return cut_short(m);
    for (int i = 0; i < 8; i++) bits = bits << 8 | p[i];
    memcpy(&v.is.number, &bits, sizeof bits);
    return push(m, v);
}

/* PROTO, FRAME: nothing but their arguments. */
static int skip(struct machine *m, size_t n) { return take_bytes(m, n) ? OK : cut_short(m); }

/* ---- the machine ---- */

static int unknown(const struct machine *m, uint8_t op) {
    return err_file(m->e, ERR_REFUSED, m->path,
                    "the pickle, at its byte %zu: opcode 0x%02x, which no tensor or dictionary "
                    "needs",
                    m->op_at, op);
}

/* Opcodes of texts, numbers and containers. */
static int make_op(struct machine *m, uint8_t op) {
    switch (op) {
    case 'N': return push_simple(m, PICKLE_NONE, 0);
    case 0x88: return push_simple(m, PICKLE_BOOL, 1);
    case 0x89: return push_simple(m, PICKLE_BOOL, 0);
    case 'K': return push_uint(m, 1);
    case 'M': return push_uint(m, 2);
    case 'J': return push_int32(m);
    case 0x8a: return push_long(m);
    case 'G': return push_float(m);
    case 'X': return push_text(m, 4);
    case 'T': return push_text(m, 4);
    case 'U': return push_text(m, 1);
    case 0x8c: return push_text(m, 1);
    case 0x8d: return push_text(m, 8);
    case ')': return push_empty(m, PICKLE_TUPLE);
    case ']': return push_empty(m, PICKLE_LIST);
    case '}': return push_empty(m, PICKLE_DICT);
    case 0x85: return small_tuple(m, 1);
    case 0x86: return small_tuple(m, 2);
    case 0x87: return small_tuple(m, 3);
    case 't': return gather_from_mark(m, PICKLE_TUPLE);
    case 'l': return gather_from_mark(m, PICKLE_LIST);
    case 'd': return gather_from_mark(m, PICKLE_DICT);
    default: return unknown(m, op);
    }
}

/* One opcode that does not end the pickle. */
static int run_op(struct machine *m, uint8_t op) {
    switch (op) {
    case 0x80: return skip(m, 1);
    case 0x95: return skip(m, 8);
    case '(': return push_simple(m, PICKLE_MARK, 0);
    case 'a': return extend_by(m, PICKLE_LIST, 1);
    case 'e': return extend_from_mark(m, PICKLE_LIST);
    case 's': return extend_by(m, PICKLE_DICT, 2);
    case 'u': return extend_from_mark(m, PICKLE_DICT);
    case 'q': return memo_op(m, 1, remember);
    case 'r': return memo_op(m, 4, remember);
    case 0x94: return remember(m, m->n_memo);
    case 'h': return memo_op(m, 1, recall);
    case 'j': return memo_op(m, 4, recall);
    case 'c': return global(m);
    case 0x93: return stack_global(m);
    case 'R': return reduce(m);
    case 'Q': return storage(m);
    case 'b': return build(m);
    default: return make_op(m, op);
    }
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Nothing that a pickle makes takes less than a byte of it. Stack and memo are of no use behind its
 * end. */
static int make_room(struct machine *m, struct arena *a, struct arena *scratch) {
    m->stack_room = least(m->size, PICKLE_MAX_STACK);
    m->memo_room = least(m->size, PICKLE_MAX_MEMO);
    m->items_room = least(m->size, PICKLE_MAX_ITEMS);
    m->lists_room = least(m->size, PICKLE_MAX_LISTS);
    m->stack = arena_alloc(scratch, m->stack_room, sizeof *m->stack);
    m->memo = arena_alloc(scratch, m->memo_room, sizeof *m->memo);
    m->p->items = arena_alloc(a, m->items_room, sizeof *m->p->items);
    m->p->lists = arena_alloc(a, m->lists_room, sizeof *m->p->lists);
    return m->stack && m->memo && m->p->items && m->p->lists
               ? OK
               : err_file(m->e, ERR_FAILED, m->path, "no memory for a pickle of %zu bytes",
                          m->size);
}

/* Up to the opcode that ends the pickle. */
static int run(struct machine *m) {
    for (;;) {
        m->op_at = m->at;
        if (m->at == m->size) return cut_short(m);
        uint8_t op = m->data[m->at++];
        if (op == '.') break;
        int rc = run_op(m, op);
        if (rc) return rc;
    }
    if (!pop(m, &m->p->root) || m->n_stack) return wrong(m);
    m->p->end = m->at;
    return OK;
}

int pickle_read(struct pickle *p, const char *path, const uint8_t *data, size_t size,
                struct arena *a, struct err *e) {
    struct machine m = {.p = p, .path = path, .data = data, .size = size, .e = e};
    struct arena scratch = {0};
    *p = (struct pickle){.end = 0};
    int rc = make_room(&m, a, &scratch);
    if (!rc) rc = run(&m);
    arena_free(&scratch);
    return rc;
}

/* ---- what it made ---- */

uint32_t pickle_first(const struct pickle *p, struct pickle_value of) {
    return has_items(of.kind) ? p->lists[of.is.whole].first : PICKLE_END;
}

size_t pickle_count(const struct pickle *p, struct pickle_value of) {
    return has_items(of.kind) ? p->lists[of.is.whole].n : 0;
}

struct pickle_value pickle_item(const struct pickle *p, struct pickle_value of, size_t i) {
    uint32_t at = pickle_first(p, of);
    for (; at != PICKLE_END && i > 0; i--) at = p->items[at].next;
    return at == PICKLE_END ? (struct pickle_value){.kind = PICKLE_NONE} : p->items[at].value;
}

struct pickle_value pickle_get(const struct pickle *p, struct pickle_value dict, const char *key) {
    struct pickle_value found = {.kind = PICKLE_NONE};
    if (dict.kind != PICKLE_DICT) return found;
    for (uint32_t i = pickle_first(p, dict); i != PICKLE_END; i = p->items[i].next)
        if (is_text(p->items[i].key, key)) found = p->items[i].value;
    return found;
}

const struct pickle_type *pickle_storage_type(const struct pickle *p, struct pickle_value v) {
    return &NAMES[pickle_item(p, v, 1).is.whole].type;
}
