/* tiny_model FOLDER: writes model.safetensors and config.json of a small GPT-2 for the vocabulary
 * of tokenizer/. */
#include "bad/tiny_hf.h"

static const struct tiny_shape SHAPE = {1, 8, 32, 64, 4096};
static const char CONFIG[] = "{\"model_type\":\"gpt2\",\"n_layer\":1,\"n_head\":2,\"n_embd\":8,\"n_"
                             "inner\":null,\"n_positions\":64,\"vocab_size\":4096,"
                             "\"bos_token_id\":4095,\"eos_token_id\":4095,\"layer_norm_epsilon\":"
                             "1e-05,\"activation_function\":\"gelu_new\"}\n";

static int write_file(const char *folder, const char *name, const void *data, size_t n) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *fp = fopen(path, "wb");
    if (fp && fwrite(data, 1, n, fp) == n && fclose(fp) == 0) return 0;
    perror(path);
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 2) return fprintf(stderr, "usage: tiny_model FOLDER\n"), 2;
    struct st_maker m;
    tiny_hf(&m, SHAPE, "", "F32");
    struct bytes b = st_bytes(&m);
    int bad = write_file(argv[1], "model.safetensors", b.data, b.size);
    bad |= write_file(argv[1], "config.json", CONFIG, strlen(CONFIG));
    bytes_free(&b);
    st_free(&m);
    return bad;
}
