/* Joins bytes to tokens, and finds tokens that were added to the vocabulary by hand. How a text is
 * cut into pieces first is pretokenize.c. */
#include "tokenizer/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/interrupt.h"
#include "tokenizer/pretokenize.h"

/* A rank is the index of a merge; lower is better. NONE: no merge, and the end of a linked list. */
#define NONE UINT32_MAX

/* A token that texts are searched for. */
struct marked {
    const uint8_t *text; /* [len] */
    size_t len;
    int32_t id;
    uint8_t match; /* bits of enum token_match */
};

/* Those that are searched for at the same time. */
struct marked_set {
    struct marked *token; /* [n] sorted by text */
    size_t n;
    bool start[256]; /* whether one starts with this byte */
};

/* First the tokens without MATCH_LATER, then, in what they leave, those with it. */
enum { SEARCHES = 2 };

struct bpe {
    const struct vocab *v;
    uint32_t byte_token[256];
    uint32_t *slots; /* [mask + 1] open-addressing hash table from a merge's (left, right) to its
                        rank; NONE is free */
    uint32_t mask;
    struct marked_set marked[SEARCHES];
    struct hash_index whole; /* normal tokens by their bytes; where merges are ignored */
};

static uint32_t slot_of(const struct bpe *b, uint32_t left, uint32_t right) {
    uint64_t key = (uint64_t)left << 32 | right;
    return (uint32_t)((key * 0x9E3779B97F4A7C15u) >> 32) &
           b->mask; /* 2^64 / golden ratio (Knuth, volume 3, 6.4) */
}

/* The slot that holds the merge of these two, or the free slot where it would go. */
static uint32_t *find_slot(const struct bpe *b, uint32_t left, uint32_t right) {
    for (uint32_t i = slot_of(b, left, right);; i = (i + 1) & b->mask) {
        uint32_t rank = b->slots[i];
        if (rank == NONE || (b->v->merges[rank].left == left && b->v->merges[rank].right == right))
            return &b->slots[i];
    }
}

static uint32_t rank_of(const struct bpe *b, uint32_t left, uint32_t right) {
    return *find_slot(b, left, right);
}

const uint8_t *bpe_token(const struct bpe *b, int32_t id, size_t *len) {
    const struct vocab *v = b->v;
    bool known = id >= 0 && (uint32_t)id < v->n;
    *len = known ? v->offset[id + 1] - v->offset[id] : 0;
    return known ? v->bytes + v->offset[id] : v->bytes;
}

bool bpe_is_hidden(const struct bpe *b, int32_t id) {
    bool known = id >= 0 && (uint32_t)id < b->v->n;
    return !known || (b->v->kind[id] != TOKEN_NORMAL && b->v->kind[id] != TOKEN_ADDED);
}

size_t bpe_longest(const struct bpe *b) {
    size_t most = 1;
    for (uint32_t id = 0; id < b->v->n; id++) {
        size_t len;
        bpe_token(b, (int32_t)id, &len);
        most = len > most ? len : most;
    }
    for (int search = 0; search < SEARCHES; search++)
        for (size_t i = 0; i < b->marked[search].n; i++)
            if (b->marked[search].token[i].match & (MATCH_LSTRIP | MATCH_RSTRIP)) return SIZE_MAX;
    return most;
}

/* ---- building ---- */

static int find_bytes(struct bpe *b, struct err *e) {
    for (int byte = 0; byte < 256; byte++) b->byte_token[byte] = NONE;
    for (uint32_t id = 0; id < b->v->n; id++) {
        size_t len;
        const uint8_t *text = bpe_token(b, (int32_t)id, &len);
        if (len == 1 && b->v->kind[id] == TOKEN_NORMAL && b->byte_token[text[0]] == NONE)
            b->byte_token[text[0]] = id;
    }
    for (int byte = 0; byte < 256; byte++)
        if (b->byte_token[byte] == NONE)
            return err_set(e, ERR_REFUSED, "the vocabulary has no token for the single byte 0x%02X",
                           (unsigned)byte);
    return OK;
}

/* Joining must keep the bytes, or text would not come back from its tokens. */
static bool joins(const struct bpe *b, const struct vocab_merge *m) {
    if (m->left >= b->v->n || m->right >= b->v->n || m->merged >= b->v->n) return false;
    size_t left_len, right_len, len;
    const uint8_t *left = bpe_token(b, (int32_t)m->left, &left_len),
                  *right = bpe_token(b, (int32_t)m->right, &right_len);
    const uint8_t *merged = bpe_token(b, (int32_t)m->merged, &len);
    return len == left_len + right_len && !memcmp(merged, left, left_len) &&
           !memcmp(merged + left_len, right, right_len);
}

static int index_merges(struct bpe *b, struct arena *a, struct err *e) {
    const struct vocab *v = b->v;
    uint64_t slots = 16;
    while (slots < 2 * (uint64_t)v->n_merges) slots *= 2;
    if (slots > (uint64_t)1 << 32)
        return err_set(e, ERR_REFUSED, "the vocabulary has %lu merges, expected fewer than 2^31",
                       (unsigned long)v->n_merges);
    b->mask = (uint32_t)(slots - 1);
    b->slots = arena_alloc(a, (size_t)slots, sizeof *b->slots);
    if (!b->slots)
        return err_set(e, ERR_FAILED, "no memory for a vocabulary of %lu merges",
                       (unsigned long)v->n_merges);
    memset(b->slots, 0xFF, (size_t)slots * sizeof *b->slots);
    for (uint32_t rank = 0; rank < v->n_merges; rank++) {
        const struct vocab_merge *m = &v->merges[rank];
        if (!joins(b, m))
            return err_set(e, ERR_REFUSED, "merge %lu does not make a token of its two parts",
                           (unsigned long)rank);
        uint32_t *slot = find_slot(b, m->left, m->right);
        if (*slot == NONE && v->kind[m->merged] == TOKEN_NORMAL)
            *slot = rank; /* of a pair listed twice the better rank stays */
    }
    return OK;
}

static int compare_marked(const void *x, const void *y) {
    const struct marked *a = x, *b = y;
    int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
    if (order) return order;
    if (a->len != b->len) return a->len < b->len ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

static int index_marked(struct bpe *b, int search, struct arena *a, struct err *e) {
    struct marked_set *set = &b->marked[search];
    const struct vocab *v = b->v;
    size_t n = 0;
    for (uint32_t id = 0; id < v->n; id++) n += v->match[id] != 0;
    set->token = arena_alloc(a, n, sizeof *set->token);
    if (!set->token) return err_set(e, ERR_FAILED, "no memory for %zu special tokens", n);
    for (uint32_t id = 0; id < v->n; id++) {
        struct marked s = {.id = (int32_t)id, .match = v->match[id]};
        s.text = bpe_token(b, s.id, &s.len);
        bool later = (s.match & MATCH_LATER) != 0;
        if (!(s.match & (MATCH_TEXT | MATCH_SPECIAL)) || s.len == 0 || later != (search == 1))
            continue;
        set->token[set->n++] = s;
        set->start[s.text[0]] = true;
    }
    qsort(set->token, set->n, sizeof *set->token, compare_marked);
    return OK;
}

static const void *token_text(const void *ctx, uint32_t id, size_t *n) {
    return bpe_token(ctx, (int32_t)id, n);
}

/* Normal tokens by their bytes; of two with the same bytes the first. */
static int index_whole(struct bpe *b, struct arena *a, struct err *e) {
    if (!b->v->ignore_merges) return OK;
    if (!hash_index_init(&b->whole, b->v->n, token_text, b, a))
        return err_set(e, ERR_FAILED, "no memory for an index of %lu tokens",
                       (unsigned long)b->v->n);
    for (uint32_t id = 0; id < b->v->n; id++) {
        size_t len;
        const uint8_t *text = bpe_token(b, (int32_t)id, &len);
        if (b->v->kind[id] != TOKEN_NORMAL || len == 0) continue;
        uint32_t *slot = hash_index_slot(&b->whole, text, len);
        if (*slot == HASH_EMPTY) *slot = id;
    }
    return OK;
}

int bpe_new(struct bpe **out, const struct vocab *v, struct arena *a, struct err *e) {
    struct bpe *b = arena_zalloc(a, 1, sizeof *b);
    if (!b) return err_set(e, ERR_FAILED, "no memory for the tokenizer");
    if (v->n >= INT32_MAX)
        return err_set(e, ERR_REFUSED,
                       "the vocabulary has %lu tokens, expected fewer than 2^31 - 1",
                       (unsigned long)v->n);
    b->v = v;
    int failed = find_bytes(b, e);
    if (!failed) failed = index_merges(b, a, e);
    for (int search = 0; search < SEARCHES && !failed; search++)
        failed = index_marked(b, search, a, e);
    if (!failed) failed = index_whole(b, a, e);
    if (!failed) *out = b;
    return failed;
}

/* ---- one piece ---- */

/* Pieces up to this many bytes are merged by looking at all pairs again and again: cheaper than a
 * heap while they are short. */
enum { SHORT_PIECE = 64 };

static size_t encode_short(const struct bpe *b, const uint8_t *piece, size_t n, int32_t *ids) {
    uint32_t token[SHORT_PIECE],
        rank[SHORT_PIECE]; /* rank[i]: of joining token[i] and token[i + 1] */
    for (size_t i = 0; i < n; i++) token[i] = b->byte_token[piece[i]];
    for (size_t i = 0; i + 1 < n; i++) rank[i] = rank_of(b, token[i], token[i + 1]);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (rank[i] < rank[best]) best = i;
        if (rank[best] == NONE) break;
        token[best] = b->v->merges[rank[best]].merged;
        n--;
        for (size_t i = best + 1; i < n; i++) token[i] = token[i + 1];
        for (size_t i = best + 1; i + 1 < n; i++) rank[i] = rank[i + 1];
        if (best > 0) rank[best - 1] = rank_of(b, token[best - 1], token[best]);
        if (best + 1 < n) rank[best] = rank_of(b, token[best], token[best + 1]);
    }
    for (size_t i = 0; i < n; i++) ids[i] = (int32_t)token[i];
    return n;
}

/* A token of a long piece, linked to its neighbours. It starts at the byte that is its index, and
 * disappears into the one before it. */
struct link {
    uint32_t token, prev, next;
    uint32_t rank; /* of joining this token and the next; NONE also where this one is gone */
};

/* A heap of candidates, rank << 32 | index of the left token: the least is the best-ranked pair,
 * the leftmost of equals. Four children to a node miss the cache less often than two. */
struct heap {
    uint64_t *key;
    size_t n;
};

static void sift_down(struct heap *h, size_t at) {
    uint64_t key = h->key[at];
    for (size_t first; (first = 4 * at + 1) < h->n;) {
        size_t end = first + 4 < h->n ? first + 4 : h->n, least = first;
        for (size_t child = first + 1; child < end; child++)
            least = h->key[child] < h->key[least] ? child : least;
        if (h->key[least] >= key) break;
        h->key[at] = h->key[least];
        at = least;
    }
    h->key[at] = key;
}

static void heap_push(struct heap *h, uint64_t key) {
    size_t at = h->n++;
    for (; at > 0 && h->key[(at - 1) / 4] > key; at = (at - 1) / 4)
        h->key[at] = h->key[(at - 1) / 4];
    h->key[at] = key;
}

static uint64_t heap_pop(struct heap *h) {
    uint64_t least = h->key[0];
    h->key[0] = h->key[--h->n];
    sift_down(h, 0);
    return least;
}

/* Looks up the pair that starts at link i anew. A candidate already in the heap for it is then
 * stale: its rank no longer agrees. */
static void update_rank(const struct bpe *b, struct link *links, uint32_t i) {
    uint32_t next = links[i].next;
    links[i].rank = next == NONE ? NONE : rank_of(b, links[i].token, links[next].token);
}

/* Is the pair at link i better than the pairs it overlaps? Only such a pair can be the best of all,
 * so only these need be in the heap. */
static bool is_candidate(const struct link *links, uint32_t i) {
    uint32_t rank = links[i].rank, prev = links[i].prev, next = links[i].next;
    return rank != NONE && (prev == NONE || links[prev].rank > rank) && links[next].rank >= rank;
}

static void push_candidate(struct heap *h, const struct link *links, uint32_t i) {
    if (i != NONE && is_candidate(links, i)) heap_push(h, (uint64_t)links[i].rank << 32 | i);
}

static void join(const struct bpe *b, struct link *links, uint32_t i, struct heap *h) {
    uint32_t prev = links[i].prev, gone = links[i].next, next = links[gone].next;
    links[i].token = b->v->merges[links[i].rank].merged;
    links[i].next = next;
    links[gone].rank = NONE;
    if (next != NONE) links[next].prev = i;
    if (prev != NONE) update_rank(b, links, prev);
    update_rank(b, links, i);
    /* Two pairs have changed, and with them what the pairs beside them are compared to. */
    if (prev != NONE) push_candidate(h, links, links[prev].prev);
    push_candidate(h, links, prev);
    push_candidate(h, links, i);
    push_candidate(h, links, next);
}

static int stopped(struct err *e) { return err_set(e, ERR_INTERRUPTED, "interrupted"); }

/* Joins pairs, the best first, until none is left. */
static int join_all(const struct bpe *b, struct link *links, struct heap *h, struct err *e) {
    for (size_t i = (h->n + 2) / 4; i-- > 0;) sift_down(h, i);
    while (h->n > 0) {
        uint64_t key = heap_pop(h);
        uint32_t i = (uint32_t)key;
        if (links[i].rank == key >> 32) join(b, links, i, h);
        if (interrupt_pending()) return stopped(e);
    }
    return OK;
}

/* Encodes a piece of n < NONE bytes; it takes 32 bytes of memory for each of them. */
static int encode_long(const struct bpe *b, const uint8_t *piece, size_t n, int32_t *ids,
                       size_t *n_ids, struct err *e) {
    struct arena scratch = {0};
    struct link *links = arena_alloc(&scratch, n, sizeof *links);
    /* There are n / 2 candidates at most to begin with. A join takes one out and puts at most two
     * in, as no two neighbours are both candidates */
    struct heap h = {.key = arena_alloc(&scratch, n, 2 * sizeof *h.key)};
    if (!links || !h.key) {
        arena_free(&scratch);
        return err_set(e, ERR_FAILED, "no memory to encode %zu bytes without a break", n);
    }
    uint32_t end = (uint32_t)n;
    for (uint32_t i = 0; i < end; i++)
        links[i] = (struct link){.token = b->byte_token[piece[i]],
                                 .prev = i ? i - 1 : NONE,
                                 .next = i + 1 < end ? i + 1 : NONE};
    for (uint32_t i = 0; i < end && !interrupt_pending(); i++) update_rank(b, links, i);
    for (uint32_t i = 0; i < end && !interrupt_pending(); i++)
        if (is_candidate(links, i)) h.key[h.n++] = (uint64_t)links[i].rank << 32 | i;
    int rc = interrupt_pending() ? stopped(e) : join_all(b, links, &h, e);
    if (rc) {
        arena_free(&scratch);
        return rc;
    }
    size_t count = 0;
    for (uint32_t i = 0; i != NONE; i = links[i].next) ids[count++] = (int32_t)links[i].token;
    *n_ids += count;
    arena_free(&scratch);
    return OK;
}

/* ---- a text ---- */

/* A text on its way to ids. */
struct encoding {
    const struct bpe *b;
    bool special; /* are its special tokens meant? */
    int32_t *ids; /* [n] so far; room for one for each byte, and one more */
    size_t n;
};

/* Appends the tokens of one piece. */
static int encode_piece(struct encoding *x, const uint8_t *piece, size_t n, struct err *e) {
    uint32_t whole = x->b->v->ignore_merges ? *hash_index_slot(&x->b->whole, piece, n) : HASH_EMPTY;
    if (whole != HASH_EMPTY) {
        x->ids[x->n++] = (int32_t)whole;
        return OK;
    }
    if (n <= SHORT_PIECE) {
        x->n += encode_short(x->b, piece, n, x->ids + x->n);
        return OK;
    }
    if (n >= NONE)
        return err_set(e, ERR_FAILED,
                       "%zu bytes of text without a break, at most 2^32 - 2 can be encoded", n);
    return encode_long(x->b, piece, n, x->ids + x->n, &x->n, e);
}

/* Appends the tokens of text in which there is nothing more to be searched for. */
static int encode_text(struct encoding *x, const uint8_t *text, size_t n, struct err *e) {
    int failed = OK;
    for (size_t at = 0, len; at < n && !failed; at += len) {
        len = x->b->v->whole_text ? n : pretokenize_next(text + at, n - at);
        failed = interrupt_pending() ? stopped(e) : encode_piece(x, text + at, len, e);
    }
    return failed;
}

/* The longest token of the set at text[0] that is searched for, or NULL. The tokens that agree with
 * the first bytes of the text are a shrinking range of the sorted array, and those that end there,
 * if any, are the first of it. */
static const struct marked *marked_at(const struct marked_set *set, bool special,
                                      const uint8_t *text, size_t n) {
    const uint8_t wanted = special ? MATCH_TEXT | MATCH_SPECIAL : MATCH_TEXT;
    const struct marked *found = NULL;
    size_t low = 0, high = set->n;
    if (!set->start[text[0]]) return NULL;
    for (size_t depth = 0; depth < n && low < high; depth++) {
        size_t first = low, last = high;
        while (first < last) { /* the first whose byte here is not below the text's */
            size_t mid = first + (last - first) / 2;
            if (set->token[mid].len <= depth || set->token[mid].text[depth] < text[depth])
                first = mid + 1;
            else
                last = mid;
        }
        low = first;
        last = high;
        while (first < last) { /* the first whose byte here is above it */
            size_t mid = first + (last - first) / 2;
            if (set->token[mid].text[depth] <= text[depth])
                first = mid + 1;
            else
                last = mid;
        }
        high = first;
        for (size_t i = low; i < high && set->token[i].len == depth + 1; i++) {
            if (!(set->token[i].match & wanted)) continue;
            found = &set->token[i];
            break;
        }
    }
    return found;
}

/* Does a word go on across the place `at` of text[n] that a token begins or ends at? */
static bool is_inside_word(const struct marked *m, const uint8_t *text, size_t at, size_t n) {
    return pretokenize_word_before(text, at) ||
           pretokenize_word_at(text + at + m->len, n - at - m->len);
}

/* Looks for tokens of the set from the left; what lies between them is searched again for those of
 * the next set, then cut and merged. As Hugging Face does: the longest of those that begin at the
 * same place, and one that may only be a word of its own but is not hides what lies in it. */
static int encode_marked(struct encoding *x, int search, const uint8_t *text, size_t n,
                         struct err *e) {
    if (search == SEARCHES) return encode_text(x, text, n, e);
    const struct marked_set *set = &x->b->marked[search];
    if (set->n == 0) return encode_marked(x, search + 1, text, n, e);
    size_t begin = 0; /* what is not yet encoded: from begin on */
    for (size_t at = 0; at < n;) {
        const struct marked *m = marked_at(set, x->special, text + at, n - at);
        size_t from = at;
        if (interrupt_pending()) return stopped(e);
        if (!m) {
            at++;
            continue;
        }
        at += m->len;
        if (m->match & MATCH_SINGLE_WORD && is_inside_word(m, text, from, n)) continue;
        if (m->match & MATCH_LSTRIP)
            from -= pretokenize_space_before(text + begin, from > begin ? from - begin : 0);
        if (from > begin) {
            int failed = encode_marked(x, search + 1, text + begin, from - begin, e);
            if (failed) return failed;
        }
        x->ids[x->n++] = m->id;
        begin = at;
        if (m->match & MATCH_RSTRIP) begin += pretokenize_space_at(text + at, n - at);
        if (at < begin) at = begin;
    }
    return encode_marked(x, search + 1, text + begin, n - begin, e);
}

int bpe_encode(const struct bpe *b, const uint8_t *text, size_t n, bool special, struct arena *a,
               int32_t **ids, size_t *n_ids, struct err *e) {
    /* A token is at least one byte of text, so n ids are enough; memory that is not written is not
     * resident. */
    struct encoding x = {.b = b, .special = special, .ids = arena_alloc(a, n + 1, sizeof *x.ids)};
    if (!x.ids) return err_set(e, ERR_FAILED, "no memory for the tokens of %zu bytes", n);
    if (b->v->add_bos) x.ids[x.n++] = b->v->bos;
    int failed = encode_marked(&x, 0, text, n, e);
    if (failed) return failed;
    *ids = x.ids;
    *n_ids = x.n;
    return OK;
}
