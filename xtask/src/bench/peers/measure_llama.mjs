// Measures llama.cpp through the native addon of node-llama-cpp, with the library's defaults for this processor and flash
// attention. Takes one JSON argument and prints one JSON line; the cases and their manner are those of `glossa bench`:
// decoding goes on where the run before ended, tokens are random.

import {getLlama} from "node-llama-cpp";

const CHUNK_TOKENS = 512;
const job = JSON.parse(process.argv[2]);

const complain = (level, message) => level === "error" && process.stderr.write(message);
const llama = await getLlama({gpu: false, build: "never", maxThreads: job.threads, logger: complain});
const bindings = llama._bindings;

let start = performance.now();
const model = new bindings.AddonModel(job.model, {addonExports: bindings, gpuLayers: 0});
if (!(await model.init())) {
    throw new Error(`llama.cpp: ${job.model}: cannot be loaded; expected a GGUF file`);
}
const loadSeconds = (performance.now() - start) / 1000;

let state = 1;
// Park and Miller's generator; 512 ids are in every vocabulary.
const randomId = () => {
    state = (state * 48271) % 2147483647;
    return state % (job.vocabulary ?? 512);
};

class Sequences {
    static async open(cells, count) {
        const sequences = new Sequences();
        sequences.lengths = new Array(count).fill(0);
        sequences.context = new bindings.AddonContext(model, {
            contextSize: (cells + 256) * count,
            batchSize: Math.max(CHUNK_TOKENS, count),
            sequences: count,
            flashAttention: true,
            threads: job.threads
        });
        if (!(await sequences.context.init())) {
            throw new Error(`llama.cpp: no context of ${cells} tokens for ${count} sequences`);
        }
        return sequences;
    }

    // Appends counts[i] random tokens to sequence i and computes the logits of each sequence's last one.
    async step(counts) {
        this.context.initBatch(counts.reduce((sum, count) => sum + count, 0));
        counts.forEach((count, sequence) => {
            if (count === 0) {
                return;
            }
            const ids = Uint32Array.from({length: count}, randomId);
            this.context.addToBatch(sequence, this.lengths[sequence], ids, Uint32Array.of(count - 1));
            this.lengths[sequence] += count;
        });
        await this.context.decodeBatch();
    }

    async read(sequence, tokens) {
        for (let left = tokens; left > 0; left -= CHUNK_TOKENS) {
            const count = Math.min(left, CHUNK_TOKENS);
            await this.step(this.lengths.map((_, index) => (index === sequence ? count : 0)));
        }
    }
}

async function timedRate(tokens, work) {
    start = performance.now();
    await work();
    return tokens / ((performance.now() - start) / 1000);
}

function row(rates, which) {
    const sorted = [...rates].sort((a, b) => a - b);
    return {...which, tokens_per_second: sorted[Math.floor(sorted.length / 2)], runs: rates};
}

async function prefill(tokens, runs) {
    const rates = [];
    for (let run = 0; run < runs; run++) {
        const sequences = await Sequences.open(tokens, 1);
        rates.push(await timedRate(tokens, () => sequences.read(0, tokens)));
        await sequences.context.dispose();
    }
    return row(rates, {tokens});
}

async function decode(depth, batch) {
    const sequences = await Sequences.open(depth + job.decode * job.runs, batch);
    for (let sequence = 0; sequence < batch; sequence++) {
        await sequences.read(sequence, depth);
    }
    const rates = [];
    for (let run = 0; run < job.runs; run++) {
        rates.push(await timedRate(job.decode * batch, async () => {
            for (let step = 0; step < job.decode; step++) {
                await sequences.step(new Array(batch).fill(1));
            }
        }));
    }
    await sequences.context.dispose();
    return row(rates, {depth, batch});
}

// The first computation touches everything once.
await prefill(Math.min(16, ...job.prompt), 1);
const result = {library: bindings.systemInfo(), load_seconds: loadSeconds, prefill: [], decode: []};
for (const tokens of job.prompt) {
    result.prefill.push(await prefill(tokens, job.runs));
}
for (const [depth, batch] of [...job.depth.map((depth) => [depth, 1]), ...job.batch.map((batch) => [0, batch])]) {
    result.decode.push(await decode(depth, batch));
}
console.log(JSON.stringify(result));
// The addon keeps threads of its own.
process.exit(0);
