/* Every field of the configuration survives every format that has it, whatever its value: the test
 * loops over the list in weights.h, so a new field is tested as soon as it stands there. */
#include "bad/folder.h"
#include "bad/tiny_hf.h"
#include "base/inputs.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/hf_config.h"
#include "report/model_out.h"
#include "test.h"

static struct err e;

/* A value for each field that no reader could put there by itself: each size is another number, MLP
 * width is not four times the width, and nothing else is what an absent field means. Sizes that are
 * not known here get 90 and up. */
static struct gpt2_config unusual(void) {
    static const size_t sizes[CONFIG_FIELDS] = {
        [CONFIG_n_layer] = 3,  [CONFIG_n_head] = 2, [CONFIG_n_embd] = 16,
        [CONFIG_n_inner] = 20, [CONFIG_n_ctx] = 7,  [CONFIG_n_vocab] = 5};
    struct gpt2_config c;
    config_set_absent(&c);
    for (size_t i = 0; i < CONFIG_FIELDS; i++) {
        const struct config_field *f = &gpt2_fields[i];
        if (f->kind == CONFIG_SIZE)
            config_set_size(&c, f, sizes[i] ? sizes[i] : 90 + i);
        else if (f->kind == CONFIG_REAL)
            config_set_real(&c, f, (double)f->most / 8);
        else
            config_set_real(&c, f, 1 - f->absent);
    }
    return c;
}

/* The model as a file of GGUF, as by a new process: what was read before may be written over. */
static void write_gguf(const struct checkpoint *c, const char *path) {
    inputs_forget();
    int rc = gguf_write_model(path, true, &c->weights, &c->vocab, "n", GGUF_SAME_TYPES, NULL, &e);
    CHECK(rc == OK, "%s", e.msg);
}

static bool same_field(const struct gpt2_config *a, const struct gpt2_config *b,
                       const struct config_field *f) {
    return f->kind == CONFIG_SIZE ? config_size(a, f) == config_size(b, f)
                                  : config_real(a, f) == config_real(b, f);
}

static void same_fields(const struct gpt2_config *a, const struct gpt2_config *b,
                        const char *where) {
    for (size_t i = 0; i < CONFIG_FIELDS; i++)
        CHECK(same_field(a, b, &gpt2_fields[i]), "%s: %s", where, gpt2_fields[i].words);
}

/* Opens the model at `path`, whose fields must be those of c; then converts it to GGUF, where they
 * must be so again. */
static void opens_as(const struct gpt2_config *c, const char *path) {
    struct checkpoint from, back;
    int rc = checkpoint_open(&from, path, NULL, NULL, &e);
    CHECK(rc == OK, "%s", e.msg);
    if (rc) return;
    same_fields(c, &from.weights.config, from.format);
    const char *gguf = folder_path("converted.gguf");
    write_gguf(&from, gguf);
    checkpoint_close(&from);
    rc = checkpoint_open(&back, gguf, NULL, NULL, &e);
    CHECK(rc == OK, "%s", e.msg);
    if (rc) return;
    same_fields(c, &back.weights.config, "converted");
    checkpoint_close(&back);
}

/* Once with the unusual values, once with those that an absent field means. */
static void gguf(void) {
    struct gpt2_config configs[2] = {unusual(), unusual()};
    for (size_t i = 0; i < CONFIG_FIELDS; i++)
        if (gpt2_fields[i].kind != CONFIG_SIZE)
            config_set_real(&configs[1], &gpt2_fields[i], gpt2_fields[i].absent);
    for (size_t i = 0; i < 2; i++) {
        struct checkpoint c;
        const char *path = folder_path("model.gguf");
        CHECK(checkpoint_random(&c, &configs[i], 1, &e) == OK, "%s", e.msg);
        write_gguf(&c, path);
        checkpoint_close(&c);
        opens_as(&configs[i], path);
    }
}

/* config.json with all sizes under the name number `name`, the others under GPT-2's own. */
static void write_config(const struct gpt2_config *c, enum hf_name_of name) {
    char json[4096] = "{\"model_type\":\"gpt2\"";
    for (size_t i = 0; i < CONFIG_FIELDS; i++) {
        const struct config_field *f = &gpt2_fields[i];
        size_t at = strlen(json), room = sizeof json - at;
        const char *key = f->kind == CONFIG_SIZE ? f->hf[name] : f->hf[HF_OWN];
        if (f->kind == CONFIG_SIZE)
            snprintf(json + at, room, ",\"%s\":%zu", key, config_size(c, f));
        else if (f->kind == CONFIG_REAL)
            snprintf(json + at, room, ",\"%s\":%.9g", key, config_real(c, f));
        else if (f->kind == CONFIG_SWITCH)
            snprintf(json + at, room, ",\"%s\":%s", key,
                     (config_real(c, f) > 0) != f->hf_negated ? "true" : "false");
        else
            snprintf(json + at, room, ",\"%s\":\"%s\"", key, f->choices[(int)config_real(c, f)]);
    }
    strcat(json, "}");
    folder_write("config.json", json, strlen(json));
}

static void hugging_face(void) {
    static struct st_maker tiny;
    const struct gpt2_config c = unusual();
    tiny_hf(&tiny, (struct tiny_shape){c.n_layer, c.n_embd, c.n_inner, c.n_ctx, c.n_vocab}, "",
            "F32");
    struct bytes b = st_bytes(&tiny);
    const char *path = folder_write("model.safetensors", b.data, b.size);
    for (int name = HF_OWN; name < HF_NAMES; name++) {
        write_config(&c, (enum hf_name_of)name);
        opens_as(&c, path);
    }
    bytes_free(&b);
    st_free(&tiny);
}

/* The header has the sizes, and everything else is what GPT-2 is. */
static void llmc(void) {
    const struct gpt2_config given = unusual();
    struct gpt2_config c;
    struct bytes b = {0};
    config_set_absent(&c);
    uint32_t header[256] = {20240326, 3};
    for (size_t i = 0; i < CONFIG_FIELDS; i++)
        if (gpt2_fields[i].llmc) {
            config_set_size(&c, &gpt2_fields[i], config_size(&given, &gpt2_fields[i]));
            CHECK(!header[gpt2_fields[i].llmc], "two fields in one place");
            header[gpt2_fields[i].llmc] = (uint32_t)config_size(&given, &gpt2_fields[i]);
        }
    const size_t C = c.n_embd, L = c.n_layer;
    c.n_inner = 4 * C;
    header[7] = (uint32_t)c.n_vocab;
    for (size_t i = 0; i < 256; i++) put_u32(&b, header[i]);
    for (size_t n = (c.n_vocab + c.n_ctx + L * (12 * C + 13) + 2) * C; n > 0; n--) put_f32(&b, 0);
    opens_as(&c, folder_write("gpt2.bin", b.data, b.size));
    bytes_free(&b);
}

/* Each field with a key is written: the places are 1, 2, 3 and so on, each once. */
static void places(void) {
    int gguf = 0, json = 0;
    for (size_t i = 0; i < CONFIG_FIELDS; i++) {
        const struct config_field *f = &gpt2_fields[i];
        gguf += f->gguf != NULL;
        json += f->json != NULL;
        CHECK(!f->gguf == !f->gguf_place && !f->json == !f->json_place, "%s", f->words);
        CHECK(!f->gguf || config_gguf_field(f->gguf_place) == f, "%s: two in one place", f->words);
        CHECK(f->json && config_json_field(f->json_place) == f, "%s: two in one place", f->words);
        CHECK(f->hf[HF_OWN] && (f->kind == CONFIG_SWITCH || f->hf[HF_OTHER]), "%s", f->words);
    }
    CHECK(config_gguf_field(gguf) && !config_gguf_field(gguf + 1), "places of GGUF");
    CHECK(config_json_field(json) && !config_json_field(json + 1), "places of JSON");
}

/* A model's JSON, which `info` and others print, has every field with its value. */
static void model_json(void) {
    struct checkpoint c = {.weights = {.config = unusual()}, .path = "p", .format = "f"};
    const char *path = folder_path("model.json");
    char text[2048] = "", want[128];
    struct json_out j;
    FILE *fp = fopen(path, "w+");
    CHECK(fp, "%s", path);
    if (!fp) return;
    json_put_begin(&j, fp);
    json_put_model(&j, NULL, &c, NULL);
    rewind(fp);
    CHECK(fgets(text, sizeof text, fp), "nothing printed");
    fclose(fp);
    for (size_t i = 0; i < CONFIG_FIELDS; i++) {
        const struct config_field *f = &gpt2_fields[i];
        if (f->kind == CONFIG_SIZE)
            snprintf(want, sizeof want, "\"%s\":%zu,", f->json, config_size(&c.weights.config, f));
        else if (f->kind == CONFIG_REAL)
            snprintf(want, sizeof want, "\"%s\":%g,", f->json, config_real(&c.weights.config, f));
        else if (f->kind == CONFIG_SWITCH)
            snprintf(want, sizeof want, "\"%s\":true,", f->json);
        else
            snprintf(want, sizeof want, "\"%s\":\"%s\",", f->json, f->choices[1 - (int)f->absent]);
        CHECK(strstr(text, want), "%s in %s", want, text);
    }
}

int main(void) {
    if (!folder_make()) {
        printf("FAIL folder: cannot be made\n");
        return 1;
    }
    RUN(places);
    RUN(gguf);
    RUN(hugging_face);
    RUN(llmc);
    RUN(model_json);
    folder_remove();
    return TEST_RESULT;
}
