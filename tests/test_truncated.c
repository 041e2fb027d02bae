/* Good files cut off at every 4 KiB, broken files, and good files made to take as much memory as
 * they can: refused or opened within the bound on memory, the size of the files and 16 MB (the map
 * of a file is not counted). Each job runs in a process of its own. */
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bad/folder.h"
#include "bad/write.h"
#include "base/threads.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/vocab.h"
#include "stories.h"
#include "test.h"

enum { STEP = 4096, EXTRA = 16 << 20 };

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

/* ---- the bound ---- */

/* Address space of this process, bytes; 0 where the system does not say. */
static size_t address_space(void) {
    unsigned long pages = 0;
    FILE *fp = fopen("/proc/self/statm", "r");
    if (!fp) return 0;
    if (fscanf(fp, "%lu", &pages) != 1) pages = 0;
    fclose(fp);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Under valgrind the address space is that of another program. */
static bool under_valgrind(void) {
    const char *preload = getenv("LD_PRELOAD");
    return preload && strstr(preload, "vgpreload");
}

/* Why the bound cannot be measured here, or NULL. */
static const char *unmeasurable(void) {
#ifdef SANITIZED
    return "the sanitizer needs its own address space";
#endif
    if (under_valgrind()) return "valgrind needs its own address space";
    return address_space() ? NULL : "no /proc/self/statm";
}

static size_t base; /* address space of the process before it opens anything; 0: no bound */

/* Lets this process map files of `size` bytes in all and allocate their size and EXTRA. */
static void limit_for(size_t size) {
    struct rlimit lim;
    if (!base) return;
    getrlimit(RLIMIT_AS, &lim);
    lim.rlim_cur = (rlim_t)(base + 2 * size + EXTRA);
    if (setrlimit(RLIMIT_AS, &lim) != 0) {
        perror("setrlimit");
        _exit(1);
    }
}

/* ---- jobs ---- */

struct job {
    void (*fn)(const struct job *j);
    const char *path; /* what is opened */
    bool model;       /* as a model, or as a tokenizer */
    const char *file; /* the file that is cut or broken */
    size_t beside;    /* bytes of the files beside it */
    int rc;           /* what opening must return */
};

static int failures; /* of this process */

static void expect(const struct job *j, size_t size) {
    struct err e = {0};
    struct checkpoint c = {0};
    struct arena a = {0};
    struct vocab v;
    limit_for(size + j->beside);
    int rc =
        j->model ? checkpoint_open(&c, j->path, NULL, NULL, &e) : vocab_open(&v, j->path, &a, &e);
    if ((rc != j->rc || (rc && !strstr(e.msg, j->file))) && failures++ < 5)
        printf("  %s, %zu bytes: %d \"%s\", expected %d and the name of %s\n", j->path, size, rc,
               e.msg, j->rc, j->file);
    if (j->model && !rc) checkpoint_close(&c);
    arena_free(&a);
}

static size_t size_of(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 ? (size_t)st.st_size : 0;
}

static void run_whole(const struct job *j) { expect(j, size_of(j->file)); }

static void run_cuts(const struct job *j) {
    struct job cut = *j;
    size_t whole = size_of(j->file);
    cut.rc = OK;
    expect(&cut, whole);
    cut.rc = ERR_REFUSED;
    for (size_t size = (whole - 1) / STEP * STEP;; size -= STEP) {
        if (truncate(j->file, (off_t)size) != 0) failures++;
        expect(&cut, size);
        if (size == 0) break;
    }
}

/* Runs the job in a child under the bound; true where nothing failed and nothing crashed. */
static bool passes(struct job j) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        threads_set(1); /* the stacks of others would count */
        base = unmeasurable() ? 0 : address_space();
        j.fn(&j);
        fflush(stdout);
        _exit(failures ? 1 : 0);
    }
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child) return false;
    if (WIFSIGNALED(status)) printf("  %s: ended by signal %d\n", j.path, WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- good files, cut ---- */

/* Copies a file into the folder; its new path, or NULL. */
static const char *copy(const char *from, const char *name) {
    static char block[1 << 16];
    const char *to = folder_path(name);
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    size_t n;
    bool ok = in && out;
    while (ok && (n = fread(block, 1, sizeof block, in)) > 0) ok = fwrite(block, 1, n, out) == n;
    if (in) fclose(in);
    if (out && fclose(out) != 0) ok = false;
    CHECK(ok, "%s cannot be copied to %s", from, to);
    return ok ? to : NULL;
}

static void cut_gguf(void) {
    const char *path = copy("weights/stories6M.gguf", "cut.gguf");
    if (path) CHECK(passes((struct job){run_cuts, path, true, path, 0, OK}), "%s", path);
    unlink(path);
}

static const char *const HF_FILES[] = {"config.json", "vocab.json", "merges.txt",
                                       "model.safetensors"};

/* The folder of a Hugging Face model. */
static void copy_hf(void) {
    for (size_t i = 0; i < 4; i++) copy(stories_file(HF_FILES[i]), HF_FILES[i]);
}

static void remove_hf(void) {
    for (size_t i = 0; i < 4; i++) unlink(folder_path(HF_FILES[i]));
}

static void cut_safetensors(void) {
    copy_hf();
    size_t beside = size_of(folder_path("vocab.json")) + size_of(folder_path("merges.txt"));
    CHECK(
        passes((struct job){run_cuts, folder, true, folder_path("model.safetensors"), beside, OK}),
        "model.safetensors");
    remove_hf();
}

static void cut_vocab_json(void) {
    copy_hf();
    CHECK(passes((struct job){run_cuts, folder, false, folder_path("vocab.json"),
                              size_of(folder_path("merges.txt")), OK}),
          "vocab.json");
    remove_hf();
}

/* The beginning of a list of merges is a list of merges, unless the cut is inside of a line. */
static void cut_merges(void) {
    copy_hf();
    const char *path = folder_path("merges.txt");
    size_t size = size_of(path) / STEP * STEP, beside = size_of(folder_path("vocab.json")), n = 0;
    FILE *fp = fopen(path, "rb");
    static char text[1 << 20];
    CHECK(fp && size > 0 && size < sizeof text && fread(text, 1, size, fp) == size, "%s", path);
    if (fp) fclose(fp);
    for (; size > 0; size -= STEP) {
        size_t keep = size; /* up to and with the space of a merge whose second token is lost */
        while (keep > 0 && text[keep - 1] != ' ') keep--;
        CHECK(truncate(path, (off_t)keep) == 0, "truncate");
        CHECK(passes((struct job){run_whole, folder, false, path, beside, ERR_REFUSED}),
              "%zu bytes of %s", keep, path);
        n++;
    }
    CHECK(n >= 5, "%zu cuts", n);
    remove_hf();
}

/* ---- llm.c's files, written from the loaded default model ---- */

static void put_floats(FILE *fp, const float *x, size_t n) { fwrite(x, sizeof *x, n, fp); }

static void put_matrix(FILE *fp, const struct matrix *m) {
    const struct kernels *k = NULL;
    struct err e;
    CHECK(kernels_get(&k, NULL, &e) == OK, "%s", e.msg);
    float *row = malloc(m->cols * sizeof *row);
    for (size_t r = 0; row && r < m->rows; r++) {
        matrix_row(k, m, r, row);
        put_floats(fp, row, m->cols);
    }
    free(row);
}

static void write_llmc_model(FILE *fp, const struct gpt2_weights *w) {
    const struct gpt2_config *g = &w->config;
    const size_t L = g->n_layer, C = g->n_embd;
    uint32_t header[256] = {20240326,           3,
                            (uint32_t)g->n_ctx, (uint32_t)g->n_vocab,
                            (uint32_t)L,        (uint32_t)g->n_head,
                            (uint32_t)C,        (uint32_t)g->n_vocab};
    fwrite(header, sizeof header, 1, fp);
    put_matrix(fp, &w->wte);
    put_matrix(fp, &w->wpe);
    for (size_t i = 0; i < L; i++) put_floats(fp, w->layers[i].ln1_w, C);
    for (size_t i = 0; i < L; i++) put_floats(fp, w->layers[i].ln1_b, C);
    for (size_t i = 0; i < L; i++) put_matrix(fp, &w->layers[i].qkv);
    for (size_t i = 0; i < L; i++) put_floats(fp, w->layers[i].qkv_b, 3 * C);
    for (size_t i = 0; i < L; i++) put_matrix(fp, &w->layers[i].proj);
    for (size_t i = 0; i < L; i++) put_floats(fp, w->layers[i].proj_b, C);
    for (size_t i = 0; i < L; i++) put_floats(fp, w->layers[i].ln2_w, C);
    for (size_t i = 0; i < L; i++) put_floats(fp, w->layers[i].ln2_b, C);
    for (size_t i = 0; i < L; i++) put_matrix(fp, &w->layers[i].fc);
    for (size_t i = 0; i < L; i++) put_floats(fp, w->layers[i].fc_b, 4 * C);
    for (size_t i = 0; i < L; i++) put_matrix(fp, &w->layers[i].fcproj);
    for (size_t i = 0; i < L; i++) put_floats(fp, w->layers[i].fcproj_b, C);
    put_floats(fp, w->lnf_w, C);
    put_floats(fp, w->lnf_b, C);
}

static void write_llmc_tokenizer(FILE *fp, const struct vocab *v) {
    uint32_t header[256] = {20240328, 2, v->n, (uint32_t)v->eos};
    fwrite(header, sizeof header, 1, fp);
    for (uint32_t i = 0; i < v->n; i++) {
        uint8_t n = (uint8_t)(v->offset[i + 1] - v->offset[i]);
        fputc(n, fp);
        fwrite(v->bytes + v->offset[i], 1, n, fp);
    }
}

static void cut_llmc(void) {
    struct checkpoint c;
    struct err e;
    const char *model = folder_path("cut.bin"), *tokenizer = folder_path("tokenizer.bin");
    FILE *fm = fopen(model, "wb"), *ft = fopen(tokenizer, "wb");
    int rc = checkpoint_open(&c, "weights/stories6M.gguf", NULL, NULL, &e);
    CHECK(fm && ft && rc == OK, "%s", e.msg);
    if (rc || !fm || !ft) return;
    write_llmc_model(fm, &c.weights);
    write_llmc_tokenizer(ft, &c.vocab);
    CHECK(fclose(fm) == 0 && fclose(ft) == 0, "%s cannot be written", model);
    checkpoint_close(&c);
    CHECK(passes((struct job){run_cuts, model, true, model, size_of(tokenizer), OK}), "%s", model);
    CHECK(passes((struct job){run_cuts, tokenizer, false, tokenizer, 0, OK}), "%s", tokenizer);
    unlink(model);
    unlink(tokenizer);
}

/* ---- broken files within the bound ---- */

static void run_bad_list(const struct job *j) {
    char use[16], path[1024];
    FILE *list = fopen(j->path, "r");
    size_t n = 0;
    for (; list && fscanf(list, "%15s %1023s", use, path) == 2; n++) {
        struct job bad = {run_whole, path, strcmp(use, "model") == 0, path, 2048, ERR_REFUSED};
        run_whole(&bad);
    }
    if (n < 300) printf("  %zu files\n", n), failures++;
}

static void remove_tree(const char *dir) {
    DIR *d = opendir(dir);
    for (struct dirent *f; d && (f = readdir(d));) {
        char path[1024];
        if (strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0) continue;
        snprintf(path, sizeof path, "%s/%s", dir, f->d_name);
        struct stat st;
        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
            remove_tree(path);
        else
            unlink(path);
    }
    if (d) closedir(d);
    rmdir(dir);
}

static void run_write_bad(const struct job *j) { bad_write_all(j->path); }

static void broken_files(void) {
    const char *dir = folder_path("bad"), *list = folder_path("bad/list");
    CHECK(mkdir(dir, 0777) == 0 && passes((struct job){run_write_bad, dir, false, dir, 0, OK}),
          "%s cannot be written", dir);
    CHECK(passes((struct job){run_bad_list, list, true, list, 0, OK}), "broken files");
    remove_tree(dir);
}

/* ---- good files that take much more memory than they have bytes, if anything does ---- */

/* Token i of many short ones. */
static size_t short_token(uint32_t i, char s[8]) {
    size_t n = 0;
    for (; n == 0 || i > 0; i /= 64) s[n++] = (char)('0' + i % 64);
    for (size_t k = 0; k < n; k++)
        if (s[k] == '\\') s[k] = '!';
    s[n] = 0;
    return n;
}

static void write_file(const char *name, struct bytes *b) {
    folder_write(name, b->data, b->size);
    bytes_free(b);
}

static void run_write_tokens(const struct job *j) {
    struct bytes bin = {0}, json = {0}, merges = {0};
    char s[8], line[48];
    (void)j;
    put_llmc_header(&bin, (struct llmc_header){{20240328, 2, VOCAB_MAX, 0}});
    for (uint32_t i = 0; i < VOCAB_MAX; i++) {
        size_t n = short_token(i, s);
        put_u8(&bin, (uint8_t)n);
        put_bytes(&bin, s, n);
        snprintf(line, sizeof line, "%s\"%s\":%u", i ? "," : "{", s, i);
        put_text(&json, line);
        put_text(&merges, "0 1\n");
    }
    put_text(&json, "}");
    write_file("many.bin", &bin);
    write_file("vocab.json", &json);
    write_file("merges.txt", &merges);
}

static void many_short_tokens(void) {
    CHECK(passes((struct job){run_write_tokens, folder, false, folder, 0, OK}), "files");
    const char *bin = folder_path("many.bin"), *json = folder_path("vocab.json"),
               *merges = folder_path("merges.txt");
    CHECK(passes((struct job){run_whole, bin, false, bin, 0, OK}), "%s", bin);
    CHECK(passes((struct job){run_whole, folder, false, json, size_of(merges), OK}), "%s", json);
    unlink(bin);
    unlink(json);
    unlink(merges);
}

static const char *sparse(const char *name, struct bytes *header, size_t size) {
    const char *path = folder_write(name, header->data, header->size);
    CHECK(truncate(path, (off_t)(header->size + size)) == 0, "%s", path);
    bytes_free(header);
    return path;
}

/* Layers as small as they can be, in bfloat16: 13 C numbers of norms and biases beside 12 C^2 of
 * matrices. */
static void many_small_layers(void) {
    enum { L = 100000, C = 4 };
    struct bytes b = {0};
    put_llmc_header(&b, (struct llmc_header){{20240326, 5, 1, 1, L, 1, C, 1}});
    const char *path =
        sparse("layers.bin", &b, 2 * (C + C + (size_t)L * (12 * C * C + 13 * C) + 2 * C));
    CHECK(passes((struct job){run_whole, path, true, path, 0, OK}), "%s", path);
    unlink(path);
}

/* One layer with a very wide MLP, in float16: its bias takes 16 MB more than in the file. */
static void wide_biases(void) {
    enum { F = 1 << 23 };
    static struct st_maker m;
    char json[4096];
    size_t at = 0, end = 0;
    tiny_hf(&m, (struct tiny_shape){1, 4, 1, 1, 1}, "", "F16");
    for (size_t i = 0; i < m.n; i++) {
        struct st_entry *t = &m.t[i];
        size_t size = 2;
        if (strcmp(t->name, "h.0.mlp.c_fc.weight") == 0) t->shape[1] = F;
        if (strcmp(t->name, "h.0.mlp.c_fc.bias") == 0 ||
            strcmp(t->name, "h.0.mlp.c_proj.weight") == 0)
            t->shape[0] = F;
        for (unsigned k = 0; k < t->rank; k++) size *= (size_t)t->shape[k];
        at += (size_t)snprintf(json + at, sizeof json - at,
                               "%s\"%s\":{\"dtype\":\"F16\",\"shape\":[%llu", i ? "," : "{",
                               t->name, (unsigned long long)t->shape[0]);
        if (t->rank == 2)
            at += (size_t)snprintf(json + at, sizeof json - at, ",%llu",
                                   (unsigned long long)t->shape[1]);
        at += (size_t)snprintf(json + at, sizeof json - at, "],\"data_offsets\":[%zu,%zu]}", end,
                               end + size);
        end += size;
    }
    st_free(&m);
    snprintf(json + at, sizeof json - at, "}");
    struct bytes b = st_file(json, "", 0);
    folder_write("config.json", "{\"n_head\":1,\"n_inner\":8388608}", 30);
    const char *path = sparse("wide.safetensors", &b, end);
    CHECK(passes((struct job){run_whole, path, true, path, 0, ERR_REFUSED}), "%s", path);
    unlink(path);
    unlink(folder_path("config.json"));
}

int main(void) {
    if (!folder_make()) {
        printf("FAIL folder: cannot be made\n");
        return 1;
    }
    file_guard(true);
    if (unmeasurable()) printf("skip memory_bound: %s\n", unmeasurable());
    RUN(broken_files);
    RUN(many_short_tokens);
    RUN(many_small_layers);
    RUN(wide_biases);
    RUN(cut_gguf);
    RUN(cut_safetensors);
    RUN(cut_vocab_json);
    RUN(cut_merges);
    RUN(cut_llmc);
    folder_remove();
    return TEST_RESULT;
}
