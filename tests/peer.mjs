// Compares lookat with llama.cpp on the same files; see peer.sh. Prints one line per check.
import {execFileSync} from "node:child_process";
import fs from "node:fs";

const {TMP_DIR: tmp, SHARED: shared, BIN: bin, PEER: peer} = process.env;
const run = (cmd, args, options = {}) => execFileSync(cmd, args, {encoding: "utf8", maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "ignore"], ...options});
const {getLlama, LlamaLogLevel} = await import(`${peer}/node_modules/node-llama-cpp/dist/index.js`);
const engine = await getLlama({build: "never", gpu: false, logLevel: LlamaLogLevel.error});
const numbers = text => text.trim().split(" ").filter(Boolean).map(Number);
let failed = false, prose = [];
const check = (name, ok, why) => { console.log(ok ? `ok ${name}` : `FAIL ${name}: ${why}`); failed ||= !ok; };

// An untied head: lm_head.weight is 0.9 wte, appended to the file's data.
function untie(folder) {
    const from = fs.readFileSync(`${shared}/stories6M/model.safetensors`), n = Number(from.readBigUInt64LE(0));
    const header = JSON.parse(from.subarray(8, 8 + n)), data = from.subarray(8 + n);
    const name = "wte.weight" in header ? "wte.weight" : "transformer.wte.weight", [begin, end] = header[name].data_offsets;
    const head = Buffer.from(data.subarray(begin, end));
    for (let i = 0; i < head.length; i += 4) head.writeFloatLE(0.9 * head.readFloatLE(i), i);
    header["lm_head.weight"] = {dtype: "F32", shape: header[name].shape, data_offsets: [data.length, data.length + head.length]};
    const json = Buffer.from(JSON.stringify(header)), size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(json.length));
    fs.mkdirSync(folder);
    fs.writeFileSync(`${folder}/model.safetensors`, Buffer.concat([size, json, data, head]));
    const config = JSON.parse(fs.readFileSync(`${shared}/stories6M/config.json`));
    fs.writeFileSync(`${folder}/config.json`, JSON.stringify({...config, tie_word_embeddings: false}));
    for (const f of ["vocab.json", "merges.txt"]) fs.copyFileSync(`${shared}/stories6M/${f}`, `${folder}/${f}`);
}

// Every text of the golden files, through both tokenizers. Special tokens written out in a text stay text on both sides.
async function tokenizers(name, path, texts) {
    const model = await engine.loadModel({modelPath: path, useMmap: true});
    let differ = 0, n = 0;
    for (const {text, ids} of texts) {
        fs.writeFileSync(`${tmp}/text`, text);
        const theirs = model.tokenize(text, false), ours = numbers(run(bin, ["tokenize", "-m", path, "-f", `${tmp}/text`]));
        n++;
        if (String(ours) !== String(theirs) || String(ours) !== String(ids)) differ++;
    }
    await model.dispose();
    check(name, n > 10 && differ === 0, `${differ} of ${n} texts differ`);
}

// What follows each token of the prose but the last: {logprob of the token that does, best: the most likely one}.
const ours = model => {
    const out = JSON.parse(run(bin, ["generate", "-m", model, "--ids", prose, "-n", "1", "--temp", "0", "-o", "json", "--logprobs", "1", "--echo", "-q", "-a", "fp16"]));
    return out.prompt.steps.slice(1).map(s => ({logprob: s.logprob, best: s.top[0][0]}));
};
async function theirs(path) {
    const model = await engine.loadModel({modelPath: path, useMmap: true});
    const context = await model.createContext({contextSize: 1024, batchSize: 512, sequences: 1, flashAttention: "auto", experimentalKvCacheKeyType: "F16", experimentalKvCacheValueType: "F16"});
    const options = {generateNext: {token: true, logits: true, options: {temperature: 0}}};
    const out = await context.getSequence().controlledEvaluate(prose.map(t => [t, options]));
    await model.dispose();
    return out.slice(0, -1).map(({next: {logits}}, i) => {
        let best = 0, top = -Infinity, sum = 0;
        for (const [t, z] of logits) if (z > top) [best, top] = [t, z];
        for (const z of logits.values()) sum += Math.exp(z - top);
        return {logprob: logits.get(prose[i + 1]) - top - Math.log(sum), best};
    });
}

// The log-probability of each next token of 400 tokens of prose, an f16 cache on both sides.
function compare(name, a, b, bound) {
    let worst = 0, same = 0, n = prose.length - 1, whole = n === 399 && a.length === n && b.length === n;
    for (let i = 0; i < n; i++) {
        const d = Math.abs(a[i].logprob - b[i].logprob);
        if (!(d <= worst)) worst = d;
        same += a[i].best === b[i].best;
    }
    same /= n;
    console.log(`  ${name}: largest difference ${worst.toFixed(4)}, same most likely token ${(100 * same).toFixed(1)} %`);
    if (bound) check(name, whole && worst <= bound, `largest difference ${worst}`);
    else check(name, whole && same >= 0.93, `same most likely token ${same}`);
}

untie(`${tmp}/untied`);
for (const type of ["f32", "f16", "q8_0"]) run(bin, ["convert", `${tmp}/untied`, "-o", `${tmp}/untied-${type}.gguf`, "--type", type, "-q"]);
fs.writeFileSync(`${tmp}/prose-text`, fs.readFileSync(`${shared}/texts/prose_heldout.txt`).subarray(0, 4000));
prose = numbers(run(bin, ["tokenize", "-m", `${tmp}/f16.gguf`, "-f", `${tmp}/prose-text`])).slice(0, 400);
for (const head of ["", "untied-"]) {
    compare(`${head}f32`, ours(`${tmp}/${head}f32.gguf`), await theirs(`${tmp}/${head}f32.gguf`), 2e-2);
    for (const type of ["f16", "q8_0"]) {
        // llama.cpp rounds activations to the type of the weights, f16 or int8, and we do not: the numbers in the file are compared through
        // the same file widened to f32, and the file itself by what it says is most likely.
        const file = `${tmp}/${head}${type}.gguf`, wide = `${tmp}/${head}${type}-as-f32.gguf`, mine = ours(file);
        run(bin, ["convert", file, "-o", wide, "--type", "f32", "-q"]);
        compare(`${head}${type}_widened`, mine, await theirs(wide), 2e-2);
        compare(`${head}${type}`, mine, await theirs(file));
    }
}
await tokenizers("tokenizer_of_stories6M", `${tmp}/f16.gguf`, JSON.parse(fs.readFileSync("tests/golden/tokens.json")));
await tokenizers("tokenizer_of_gpt2", `${tmp}/gpt2-tokenizer.gguf`, fs.readFileSync(`${shared}/gpt2-tokenizer/golden.jsonl`, "utf8").trim().split("\n").map(JSON.parse));
process.exit(failed ? 1 : 0);
