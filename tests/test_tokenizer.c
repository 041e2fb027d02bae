/* Byte-level BPE: published vectors, exact round trips, and the merge loops against simpler
 * ones. */
#include "test.h"

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/checkpoint.h"
#include "random_text.h"
#include "tokenizer/bpe.h"
#include "tokenizer/pretokenize.h"

static struct arena arena; /* of one test */
static struct err err;

static void run(const char *name, void (*fn)(void)) {
    test_run(name, fn);
    arena_free(&arena);
}
#define RUN_FREE(fn) run(#fn, fn)

/* ---- vocabularies ---- */

/* A vocabulary to be filled by hand: ids 0..255 are the bytes in the order given by `shuffle`. */
enum { MAKE_TOKENS = 600, MAKE_MERGES = 400 };
struct made {
    struct vocab v;
    uint32_t offset[MAKE_TOKENS + 1];
    uint8_t bytes[1 << 16], kind[MAKE_TOKENS], match[MAKE_TOKENS];
    struct vocab_merge merges[MAKE_MERGES];
};

static uint32_t made_token(struct made *m, const void *bytes, size_t n, bool control) {
    uint32_t id = m->v.n++, at = m->offset[id];
    memcpy(m->bytes + at, bytes, n);
    m->offset[id + 1] = at + (uint32_t)n;
    m->kind[id] = control;
    m->match[id] = control ? MATCH_SPECIAL : 0;
    return id;
}

static void made_bytes(struct made *m, struct rng *shuffle) {
    memset(m, 0, sizeof *m);
    m->v = (struct vocab){.offset = m->offset,
                          .bytes = m->bytes,
                          .kind = m->kind,
                          .match = m->match,
                          .merges = m->merges,
                          .bos = -1,
                          .eos = -1};
    uint8_t order[256];
    for (int i = 0; i < 256; i++) {
        int j = shuffle ? (int)rng_below(shuffle, (uint64_t)i + 1) : i;
        order[i] = order[j];
        order[j] = (uint8_t)i;
    }
    for (int i = 0; i < 256; i++) made_token(m, &order[i], 1, false);
}

/* Adds the merge of two tokens and the token it makes. */
static uint32_t made_merge(struct made *m, uint32_t left, uint32_t right) {
    uint8_t both[256];
    uint32_t n_left = m->offset[left + 1] - m->offset[left],
             n_right = m->offset[right + 1] - m->offset[right];
    memcpy(both, m->bytes + m->offset[left], n_left);
    memcpy(both + n_left, m->bytes + m->offset[right], n_right);
    uint32_t id = made_token(m, both, n_left + n_right, false);
    m->merges[m->v.n_merges++] = (struct vocab_merge){left, right, id};
    return id;
}

/* Random merges among few letters, in an order of ranks in which a token's parts may come after
 * it. */
static void made_random(struct made *m, struct rng *r) {
    uint32_t usable[MAKE_TOKENS], n = 4;
    made_bytes(m, r);
    for (uint32_t id = 0; id < 256; id++)
        if (m->bytes[id] >= 'a' && m->bytes[id] < 'e') usable[m->bytes[id] - 'a'] = id;
    while (m->v.n < 256 + 200) {
        uint32_t left = usable[rng_below(r, n)], right = usable[rng_below(r, n)];
        bool old =
            m->offset[left + 1] - m->offset[left] + m->offset[right + 1] - m->offset[right] > 12;
        for (uint32_t i = 0; i < m->v.n_merges; i++)
            old |= m->merges[i].left == left && m->merges[i].right == right;
        if (!old) usable[n++] = made_merge(m, left, right);
    }
    for (uint32_t i = m->v.n_merges; i-- > 1;) {
        uint32_t j = (uint32_t)rng_below(r, i + 1);
        struct vocab_merge swap = m->merges[i];
        m->merges[i] = m->merges[j];
        m->merges[j] = swap;
    }
}

/* The tokenizer at this path, or NULL after a failed check. */
static const struct vocab *open_vocab(const char *path) {
    struct vocab *v = arena_zalloc(&arena, 1, sizeof *v);
    int failed = vocab_open(v, path, &arena, &err);
    CHECK(!failed, "%s", err.msg);
    return failed ? NULL : v;
}

static const struct bpe *make_bpe(const struct vocab *v) {
    struct bpe *b = NULL;
    int failed = v ? bpe_new(&b, v, &arena, &err) : ERR_FAILED;
    CHECK(!failed, "%s", err.msg);
    return failed ? NULL : b;
}

/* ---- helpers ---- */

struct ids {
    int32_t *id;
    size_t n;
};

static struct ids encode(const struct bpe *b, const void *text, size_t n, bool special) {
    struct ids out = {NULL, 0};
    int failed = bpe_encode(b, text, n, special, &arena, &out.id, &out.n, &err);
    CHECK(!failed, "%s", err.msg);
    return out;
}

static bool decodes_to(const struct bpe *b, struct ids x, const uint8_t *text, size_t n) {
    size_t at = 0;
    for (size_t i = 0; i < x.n; i++) {
        size_t len;
        const uint8_t *token = bpe_token(b, x.id[i], &len);
        if (len > n - at || memcmp(token, text + at, len)) return false;
        at += len;
    }
    return at == n;
}

static void check_ids(const char *text, struct ids got, const int32_t *want, size_t n) {
    CHECK(got.n == n, "\"%s\": %zu ids, expected %zu", text, got.n, n);
    for (size_t i = 0; i < n && i < got.n; i++)
        CHECK(got.id[i] == want[i], "\"%s\": id %zu is %d, expected %d", text, i, (int)got.id[i],
              (int)want[i]);
}

#define CHECK_ENCODES(b, text, special, ...)                                              \
    do {                                                                                  \
        const int32_t want_[] = {__VA_ARGS__};                                            \
        check_ids(text, encode(b, text, strlen(text), special), want_, sizeof want_ / 4); \
    } while (0)

/* ---- vectors ---- */

/* Reads one {"text": ..., "ids": [...]} and checks it; other keys are skipped. */
static void check_vector(const struct bpe *b, struct json *j, bool special) {
    struct json_str key, spelled = {0};
    static int32_t want[4096];
    size_t n = 0;
    CHECK(json_enter_object(j), "%s", j->error);
    while (json_next_key(j, &key)) {
        uint64_t id;
        if (json_is(key, "text"))
            json_string(j, &spelled);
        else if (json_is(key, "ids")) {
            json_enter_array(j);
            while (json_next_item(j) && json_uint(j, &id) && n < 4096) want[n++] = (int32_t)id;
        } else
            json_skip(j);
    }
    CHECK(!j->error, "%s at byte %zu", j->error, j->error_at);
    char *text = arena_zalloc(&arena, spelled.n + 1, 1);
    size_t len = json_decode(spelled, text);
    struct ids got = encode(b, text, len, special);
    check_ids(text, got, want, n);
    CHECK(decodes_to(b, got, (const uint8_t *)text, len), "\"%s\" does not come back", text);
}

static void check_lines(const char *vectors, bool special, size_t expected) {
    const char *vocab = test_gpt2_tokenizer("vocab.json");
    if (!vocab) SKIP(TEST_NO_GPT2_TOKENIZER);
    const struct bpe *b = make_bpe(open_vocab(path_folder(&arena, vocab)));
    uint8_t *data;
    size_t size, lines = 0;
    CHECK(!file_read(vectors, &arena, &data, &size, &err), "%s", err.msg);
    if (!b || test_errors) return;
    for (size_t at = 0, len; at < size; at += len + 1, lines++) {
        len = strcspn((char *)data + at, "\n");
        struct json j = json_open(data + at, len, 8);
        check_vector(b, &j, special);
        CHECK(json_end(&j), "line %zu", lines + 1);
    }
    CHECK(lines == expected, "%zu lines", lines);
}

/* golden/gpt2_tokens.jsonl: made by an independent encoder; outside the repository, published
 * vectors. */
static void gpt2_vectors(void) {
    const char *published = test_shared("gpt2-tokenizer/golden.jsonl");
    check_lines("tests/golden/gpt2_tokens.jsonl", false, 28);
    if (published) check_lines(published, false, 160);
}

static void gpt2_special_vectors(void) {
    const char *published = test_shared("gpt2-tokenizer/golden_special.jsonl");
    const char *vocab = test_gpt2_tokenizer("vocab.json");
    if (published) check_lines(published, true, 4);
    if (!vocab) SKIP(TEST_NO_GPT2_TOKENIZER);
    const struct bpe *b = make_bpe(open_vocab(path_folder(&arena, vocab)));
    if (!b) return;
    CHECK_ENCODES(b, "Hello<|endoftext|> world", true, 15496, 50256, 995);
    CHECK_ENCODES(b, "<|endoftext|><|endoftext|>", true, 50256, 50256);
    CHECK_ENCODES(b, "<|endoftext|", true, 27, 91, 437, 1659, 5239, 91);
}

static void default_vectors(void) { /* tests/golden/tokens.json: made by an independent encoder */
    const struct bpe *b = make_bpe(open_vocab("tokenizer"));
    uint8_t *data;
    size_t size, n = 0;
    CHECK(!file_read("tests/golden/tokens.json", &arena, &data, &size, &err), "%s", err.msg);
    if (!b || test_errors) return;
    struct json j = json_open(data, size, 8);
    CHECK(json_enter_array(&j), "%s", j.error);
    for (; json_next_item(&j) && test_errors < 5; n++) check_vector(b, &j, false);
    CHECK(json_end(&j) && n > 10, "%zu vectors", n);
}

/* ---- special tokens and errors ---- */

static void special_longest_first(void) {
    struct made *m = arena_alloc(&arena, 1, sizeof *m);
    made_bytes(m, NULL);
    int32_t x = (int32_t)made_token(m, "<x>", 3, true),
            xx = (int32_t)made_token(m, "<x><x>", 6, true),
            xy = (int32_t)made_token(m, "<x>y", 4, true);
    int32_t a = (int32_t)made_token(m, "a", 1, true), lt = (int32_t)made_token(m, "<<", 2, true);
    made_token(m, "", 0, true);
    const struct bpe *b = make_bpe(&m->v);
    if (!b) return;
    CHECK_ENCODES(b, "<x>", false, '<', 'x', '>');
    CHECK_ENCODES(b, "<x>", true, x);
    CHECK_ENCODES(b, "<x><x>", true, xx);
    CHECK_ENCODES(b, "<x><x", true, x, '<', 'x');
    CHECK_ENCODES(b, "<x><x>y", true, xx, 'y'); /* from the left, not the best cover */
    CHECK_ENCODES(b, "<x>y<x>z", true, xy, x, 'z');
    CHECK_ENCODES(b, "<<x>", true, lt, 'x', '>');
    CHECK_ENCODES(b, "bab", true, 'b', a, 'b');
    CHECK_ENCODES(b, "bab", false, 'b', 'a', 'b');
    CHECK_ENCODES(b, "<", true, '<');
    CHECK(encode(b, "", 0, true).n == 0, "ids of an empty text");
}

static void special_cuts_pieces(void) { /* the text on each side is cut by itself: "  " before a
                                           special token is at the end of a text */
    struct made *m = arena_alloc(&arena, 1, sizeof *m);
    made_bytes(m, NULL);
    int32_t two = (int32_t)made_merge(m, ' ', ' '), s = (int32_t)made_token(m, "<s>", 3, true);
    const struct bpe *b = make_bpe(&m->v);
    if (!b) return;
    CHECK_ENCODES(b, "a  <s>  b", true, 'a', two, s, ' ', ' ', 'b');
    CHECK_ENCODES(b, "a  <s>", false, 'a', ' ', ' ', '<', 's', '>');
}

/* A token that texts are searched for. */
static int32_t made_marked(struct made *m, const char *text, enum token_kind kind, int match) {
    uint32_t id = made_token(m, text, strlen(text), false);
    m->kind[id] = (uint8_t)kind;
    m->match[id] = (uint8_t)match;
    return (int32_t)id;
}

static int32_t made_added(struct made *m, const char *text, int flags) {
    return made_marked(m, text, TOKEN_ADDED, MATCH_TEXT | flags);
}

/* Added tokens are found in any text: from the left, the longest first, before a merge is tried;
 * special ones only where they are meant. */
static void added_are_found(void) {
    struct made *m = arena_alloc(&arena, 1, sizeof *m);
    made_bytes(m, NULL);
    int32_t ab = (int32_t)made_merge(m, 'a', 'b'), bc = made_added(m, "bc", 0),
            bcd = made_added(m, "bcd", 0), de = made_added(m, "de", 0);
    int32_t words = made_added(m, "two words", 0),
            e = made_marked(m, "\xe2\x82\xac", TOKEN_ADDED, MATCH_TEXT);
    int32_t special = made_marked(m, "bcde", TOKEN_CONTROL, MATCH_SPECIAL),
            free_place = made_marked(m, "zz", TOKEN_UNUSED, 0);
    made_added(m, "", 0);
    const struct bpe *b = make_bpe(&m->v);
    if (!b) return;
    CHECK_ENCODES(b, "abc", false, 'a', bc);
    CHECK_ENCODES(b, "abd", false, ab, 'd');
    CHECK_ENCODES(b, "bcde", false, bcd, 'e'); /* from the left: de is not found */
    CHECK_ENCODES(b, "bcde", true, special);
    CHECK_ENCODES(b, "bbcdde", false, 'b', bcd, de);
    CHECK_ENCODES(b, "xtwo words\xe2\x82\xac", false, 'x', words, e);
    CHECK_ENCODES(b, "zz", true, 'z', 'z');
    CHECK(bpe_is_hidden(b, special) && bpe_is_hidden(b, free_place) && !bpe_is_hidden(b, bc) &&
              !bpe_is_hidden(b, 'a'),
          "hidden");
    size_t len = 9;
    CHECK(bpe_is_hidden(b, (int32_t)m->v.n) && bpe_token(b, (int32_t)m->v.n, &len) && len == 0 &&
              bpe_is_hidden(b, -1),
          "no such token");
}

/* The word of its own, with the word characters of UTS 18: letters, marks, decimal digits, the
 * underscore; not a superscript two. */
static void single_words(void) {
    struct made *m = arena_alloc(&arena, 1, sizeof *m);
    made_bytes(m, NULL);
    int32_t ing = made_added(m, "in", MATCH_SINGLE_WORD), n = made_added(m, "n", 0);
    const struct bpe *b = make_bpe(&m->v);
    if (!b) return;
    CHECK_ENCODES(b, "in", false, ing);
    CHECK_ENCODES(b, "in-in", false, ing, '-', ing);
    CHECK_ENCODES(b, "xin", false, 'x', 'i',
                  'n'); /* what is no word of its own still hides the "n" in it */
    CHECK_ENCODES(b, "inx", false, 'i', 'n', 'x');
    CHECK_ENCODES(b, "in_", false, 'i', 'n', '_');
    CHECK_ENCODES(b, "7in n", false, '7', 'i', 'n', ' ', n);
    CHECK_ENCODES(b, "in\xcc\x81", false, 'i', 'n', 0xcc, 0x81);           /* a combining acute */
    CHECK_ENCODES(b, "\xd9\xa3in", false, 0xd9, 0xa3, 'i', 'n');           /* an Arabic three */
    CHECK_ENCODES(b, "in\xc2\xb2", false, ing, 0xc2, 0xb2);                /* a superscript two */
    CHECK_ENCODES(b, "in\xe2\x93\x90", false, 'i', 'n', 0xe2, 0x93, 0x90); /* a circled a */
    CHECK_ENCODES(b, "\xe2\x80\xbfin", false, 0xe2, 0x80, 0xbf, 'i',
                  'n');                           /* an undertie, which connects */
    CHECK_ENCODES(b, "in\xff", false, ing, 0xff); /* no character at all */
}

static void white_space_around(void) {
    struct made *m = arena_alloc(&arena, 1, sizeof *m);
    made_bytes(m, NULL);
    int32_t l = made_added(m, "<l>", MATCH_LSTRIP), r = made_added(m, "<r>", MATCH_RSTRIP),
            o = made_added(m, "<o>", 0);
    const struct bpe *b = make_bpe(&m->v);
    if (!b) return;
    CHECK_ENCODES(b, "a \n\xe2\x80\x83<l> b", false, 'a', l, ' ',
                  'b'); /* an em space is white space too */
    CHECK_ENCODES(b, "  <l>", false, l);
    CHECK_ENCODES(b, "a <r> \t b", false, 'a', ' ', r, 'b');
    CHECK_ENCODES(b, "<r>  ", false, r);
    CHECK_ENCODES(b, "<r> <l>", false, r, l);
    CHECK_ENCODES(b, "<o> <l> <o>", false, o, l, ' ', o);
    CHECK_ENCODES(b, "\x80 <l>", false, 0x80, l);
}

/* Tokens that are looked for later lose to all others, also to those that begin behind them, and
 * see only what is left. */
static void searched_later(void) {
    struct made *m = arena_alloc(&arena, 1, sizeof *m);
    made_bytes(m, NULL);
    int32_t abc = made_added(m, "abc", MATCH_LATER), cd = made_added(m, "cd", 0),
            ab = made_added(m, "ab", MATCH_LATER | MATCH_SINGLE_WORD);
    const struct bpe *b = make_bpe(&m->v);
    if (!b) return;
    CHECK_ENCODES(b, "abcx", false, abc, 'x');
    CHECK_ENCODES(b, "abcd", false, ab, cd); /* what is left of it ends behind "ab" */
    CHECK_ENCODES(b, "abx", false, 'a', 'b', 'x');
}

static void bos_in_front(void) {
    struct made *m = arena_alloc(&arena, 1, sizeof *m);
    made_bytes(m, NULL);
    int32_t s = made_marked(m, "<s>", TOKEN_CONTROL, MATCH_SPECIAL);
    m->v.bos = s;
    m->v.add_bos = true;
    const struct bpe *b = make_bpe(&m->v);
    if (!b) return;
    CHECK_ENCODES(b, "a", false, s, 'a');
    CHECK_ENCODES(b, "", false, s);
    CHECK_ENCODES(b, "<s>a", true, s, s, 'a'); /* as other programs do */
}

static void whole_texts(void) {
    struct made *m = arena_alloc(&arena, 1, sizeof *m);
    made_bytes(m, NULL);
    int32_t a_b = (int32_t)made_merge(m, (uint32_t)made_merge(m, 'a', ' '), 'b'),
            x = made_added(m, "<x>", 0);
    const struct bpe *b = make_bpe(&m->v);
    if (!b) return;
    CHECK_ENCODES(b, "a b", false, 'a', ' ',
                  'b'); /* cut in front of the space, so that nothing merges */
    m->v.whole_text = true;
    CHECK_ENCODES(b, "a b", false, a_b);
    CHECK_ENCODES(b, "aa b<x>a b", false, 'a', a_b, x, a_b);
    char text[300] = "";
    for (int i = 0; i < 90; i++) strcat(text, "a b");
    struct ids got = encode(b, text, strlen(text), false);
    CHECK(got.n == 90 && got.id[0] == a_b && got.id[89] == a_b, "a long text: %zu ids", got.n);
}

static void merges_ignored(void) {
    struct made *m = arena_alloc(&arena, 1, sizeof *m);
    made_bytes(m, NULL);
    int32_t ab = (int32_t)made_merge(m, 'a', 'b'), bc = (int32_t)made_merge(m, 'b', 'c'),
            abc = (int32_t)made_token(m, "abc", 3, false);
    char word[81];
    memset(word, 'w', 80);
    word[80] = 0;
    int32_t w = (int32_t)made_token(m, word, 80, false);
    made_token(m, "bcd", 3, true);
    made_token(m, "abc", 3, false); /* the same once more: the first counts */
    const struct bpe *b = make_bpe(&m->v);
    if (!b) return;
    CHECK_ENCODES(b, "abc", false, ab, 'c');
    m->v.ignore_merges = true;
    b = make_bpe(&m->v);
    if (!b) return;
    CHECK_ENCODES(b, "abc", false, abc);
    CHECK_ENCODES(b, "abc abc", false, abc, ' ', ab, 'c'); /* " abc" is no token */
    CHECK_ENCODES(b, "abcd", false, ab, 'c', 'd');
    CHECK_ENCODES(b, "bcd", false, bc, 'd'); /* not a special token */
    CHECK_ENCODES(b, word, false, w);
}

static void first_of_equal_merges(void) {
    struct made *m = arena_alloc(&arena, 1, sizeof *m);
    made_bytes(m, NULL);
    int32_t ab = (int32_t)made_merge(m, 'a', 'b'), bc = (int32_t)made_merge(m, 'b', 'c');
    made_merge(m, 'a', 'b');
    int32_t aa = (int32_t)made_merge(m, 'a', 'a');
    const struct bpe *b = make_bpe(&m->v);
    if (!b) return;
    CHECK_ENCODES(b, "ab", false, ab);       /* a pair listed twice keeps its first rank */
    CHECK_ENCODES(b, "abc", false, ab, 'c'); /* the better rank */
    CHECK_ENCODES(b, "bbc", false, 'b', bc);
    CHECK_ENCODES(b, "aaa", false, aa, 'a'); /* the leftmost of equals */
}

static void control_is_never_merged(void) {
    struct made *m = arena_alloc(&arena, 1, sizeof *m);
    made_bytes(m, NULL);
    m->kind[made_merge(m, 'a', 'b')] = 1;
    const struct bpe *b = make_bpe(&m->v);
    if (b) CHECK_ENCODES(b, "ab", false, 'a', 'b');
}

static void bad_vocabularies(void) {
    struct made *m = arena_alloc(&arena, 1, sizeof *m);
    struct bpe *b;
    made_bytes(m, NULL);
    m->bytes[0x41] = 'B';
    CHECK(bpe_new(&b, &m->v, &arena, &err) == ERR_REFUSED && strstr(err.msg, "0x41"), "%s",
          err.msg);
    made_bytes(m, NULL);
    m->kind[0x41] = 1;
    CHECK(bpe_new(&b, &m->v, &arena, &err) == ERR_REFUSED && strstr(err.msg, "0x41"), "%s",
          err.msg);
    for (int part = 0; part < 4; part++) {
        made_bytes(m, NULL);
        made_merge(m, 'a', 'b');
        made_merge(m, 'c', 'd');
        struct vocab_merge *x = &m->merges[1];
        *(part == 0 ? &x->left : part == 1 ? &x->right : &x->merged) = part == 3 ? 256 : m->v.n;
        CHECK(bpe_new(&b, &m->v, &arena, &err) == ERR_REFUSED && strstr(err.msg, "merge 1"),
              "part %d: %s", part, err.msg);
    }
}

/* ---- merging against simpler ways ---- */

/* Looks through all merges for each pair of neighbours, joins the best pair, starts again. */
static size_t merge_naively(const struct made *m, const uint8_t *piece, size_t n, int32_t *ids) {
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)((const uint8_t *)memchr(m->bytes, piece[i], 256) - m->bytes);
    for (;;) {
        uint32_t best = m->v.n_merges;
        size_t where = 0;
        for (size_t i = 0; i + 1 < n; i++)
            for (uint32_t k = 0; k < best; k++)
                if ((int32_t)m->merges[k].left == ids[i] &&
                    (int32_t)m->merges[k].right == ids[i + 1]) {
                    best = k;
                    where = i;
                }
        if (best == m->v.n_merges) return n;
        ids[where] = (int32_t)m->merges[best].merged;
        memmove(ids + where + 1, ids + where + 2, (--n - where - 1) * sizeof *ids);
    }
}

static void random_vocabulary_merges(void) {
    struct rng r;
    rng_seed(&r, 21, 0);
    size_t merged = 0;
    for (int i = 0; i < 40 && test_errors < 5; i++) {
        struct made *m = arena_alloc(&arena, 1, sizeof *m);
        made_random(m, &r);
        const struct bpe *b = make_bpe(&m->v);
        if (!b) return;
        for (size_t k = 0; k < 40; k++) { /* lengths on both sides of where the heap begins */
            uint8_t piece[300];
            int32_t want[300];
            size_t n = k < 30 ? 1 + rng_below(&r, 140) : 1 + rng_below(&r, 300);
            uint64_t letters = 1 + rng_below(&r, 5);
            for (size_t at = 0; at < n; at++) piece[at] = (uint8_t)('a' + rng_below(&r, letters));
            size_t n_want = merge_naively(m, piece, n, want);
            struct ids got = encode(b, piece, n, false);
            CHECK(got.n == n_want && !memcmp(got.id, want, n_want * sizeof *want),
                  "vocabulary %d, %zu bytes: %zu ids, expected %zu", i, n, got.n, n_want);
            merged += n - got.n;
        }
    }
    CHECK(merged > 1000, "%zu merges in all", merged);
}

/* Applies each merge in turn to the whole piece, as in training: the same for a trained vocabulary,
 * where the parts of a token come first. */
static size_t merge_in_turn(const struct vocab *v, int32_t *ids, size_t n) {
    for (uint32_t k = 0; k < v->n_merges; k++) {
        size_t to = 0;
        for (size_t i = 0; i < n; i++) {
            bool join = i + 1 < n && ids[i] == (int32_t)v->merges[k].left &&
                        ids[i + 1] == (int32_t)v->merges[k].right;
            ids[to++] = join ? (int32_t)v->merges[k].merged : ids[i];
            i += join;
        }
        n = to;
    }
    return n;
}

static void default_vocabulary_merges(void) {
    const struct vocab *v = open_vocab("tokenizer");
    const struct bpe *b = make_bpe(v);
    if (!b) return;
    struct rng r;
    rng_seed(&r, 22, 0);
    int32_t byte_id[256] = {0};
    for (uint32_t id = 0; id < v->n; id++)
        if (v->offset[id + 1] - v->offset[id] == 1) byte_id[v->bytes[v->offset[id]]] = (int32_t)id;
    for (int i = 0; i < 60 && test_errors < 5; i++) {
        uint8_t piece[700];
        int32_t want[700];
        size_t n = 0, room = i % 2 ? 60 : 600;
        while (n < room) { /* letters of random tokens: what merges really meet */
            uint32_t id = (uint32_t)rng_below(&r, v->n);
            for (uint32_t at = v->offset[id]; at < v->offset[id + 1] && n < room; at++)
                if ((v->bytes[at] | 32) >= 'a' && (v->bytes[at] | 32) <= 'z')
                    piece[n++] = v->bytes[at];
        }
        for (size_t at = 0; at < n; at++) want[at] = byte_id[piece[at]];
        size_t n_want = merge_in_turn(v, want, n);
        struct ids got = encode(b, piece, n, false);
        CHECK(got.n == n_want && !memcmp(got.id, want, n_want * sizeof *want),
              "piece %d: %zu ids, expected %zu", i, got.n, n_want);
    }
}

/* ---- any bytes ---- */

static void random_bytes_round_trip(void) {
    const struct bpe *b = make_bpe(open_vocab("tokenizer"));
    if (!b) return;
    struct rng r;
    rng_seed(&r, 23, 0);
    uint8_t text[512];
    for (int i = 0; i < 10000 && test_errors < 5; i++) {
        struct arena mine = {0};
        struct ids got = {NULL, 0};
        size_t n = random_text(&r, rng_below(&r, 400), text), pieces = 0;
        int failed = bpe_encode(b, text, n, i % 2, &mine, &got.id, &got.n, &err);
        CHECK(!failed && decodes_to(b, got, text, n), "string %d of %zu bytes does not come back",
              i, n);
        /* each piece encodes by itself: the tokens of the text are those of its pieces one after
         * the other */
        for (size_t at = 0, len; at < n && !(i % 20); at += len) {
            struct ids piece = {NULL, 0};
            len = pretokenize_next(text + at, n - at);
            if (len < 1 || len > n - at ||
                bpe_encode(b, text + at, len, false, &mine, &piece.id, &piece.n, &err))
                break;
            CHECK(pieces + piece.n <= got.n &&
                      !memcmp(piece.id, got.id + pieces, piece.n * sizeof *piece.id),
                  "string %d, byte %zu", i, at);
            pieces += piece.n;
        }
        CHECK(i % 20 || pieces == got.n, "string %d: %zu ids, its pieces have %zu", i, got.n,
              pieces);
        arena_free(&mine);
    }
    for (int i = 0; i < 256; i++) text[i] = (uint8_t)(255 - i);
    CHECK(decodes_to(b, encode(b, text, 256, true), text, 256), "all bytes do not come back");
}

static int compare_pairs(const void *x, const void *y) {
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return (a > b) - (a < b);
}

/* One megabyte that is a single piece. A merge loop quadratic in its length would take hours
 * here. */
static void long_pieces(void) {
    enum { N = 1 << 20 };
    const struct vocab *v = open_vocab("tokenizer");
    const struct bpe *b = make_bpe(v);
    if (!b) return;
    uint8_t *text = arena_alloc(&arena, N, 1);
    uint64_t *pairs = arena_alloc(&arena, v->n_merges, sizeof *pairs);
    for (uint32_t i = 0; i < v->n_merges; i++)
        pairs[i] = (uint64_t)v->merges[i].left << 32 | v->merges[i].right;
    qsort(pairs, v->n_merges, sizeof *pairs, compare_pairs);
    struct rng r;
    rng_seed(&r, 24, 0);
    for (int kind = 0; kind < 3; kind++) {
        for (size_t i = 0; i < N; i++)
            text[i] = kind == 0 ? 'a' : kind == 1 ? ' ' : (uint8_t)('a' + rng_below(&r, 26));
        CHECK(pretokenize_next(text, N) == N, "kind %d is one piece", kind);
        struct ids got = encode(b, text, N, false);
        CHECK(decodes_to(b, got, text, N), "kind %d does not come back", kind);
        size_t left = 0;
        for (size_t i = 0; i + 1 < got.n; i++) {
            uint64_t pair = (uint64_t)got.id[i] << 32 | (uint32_t)got.id[i + 1];
            left += bsearch(&pair, pairs, v->n_merges, sizeof pair, compare_pairs) != NULL;
        }
        CHECK(left == 0, "kind %d: %zu neighbours of %zu could still be joined", kind, left, got.n);
    }
}

int main(void) {
    RUN_FREE(gpt2_vectors);
    RUN_FREE(gpt2_special_vectors);
    RUN_FREE(default_vectors);
    RUN_FREE(special_longest_first);
    RUN_FREE(special_cuts_pieces);
    RUN_FREE(added_are_found);
    RUN_FREE(single_words);
    RUN_FREE(white_space_around);
    RUN_FREE(searched_later);
    RUN_FREE(bos_in_front);
    RUN_FREE(whole_texts);
    RUN_FREE(merges_ignored);
    RUN_FREE(first_of_equal_merges);
    RUN_FREE(control_is_never_merged);
    RUN_FREE(bad_vocabularies);
    RUN_FREE(random_vocabulary_merges);
    RUN_FREE(default_vocabulary_merges);
    RUN_FREE(random_bytes_round_trip);
    RUN_FREE(long_pieces);
    return TEST_RESULT;
}
