"""Measures ik_llama.cpp through the ctypes interface of its Python package, at its best settings on a CPU: weights repacked
while loading, transparent huge pages, flash attention. Takes one JSON argument and prints one JSON line; the cases and their
manner are those of `glossa bench`: decoding goes on where the run before ended, tokens are random."""

import ctypes
import json
import random
import sys
import time

from ik_llama_cpp import _ctypes_api as api

CHUNK_TOKENS = 512


def context_of(model, cells, sequences, threads):
    settings = api.llama_context_default_params()
    settings.n_ctx = cells
    settings.n_batch = max(CHUNK_TOKENS, sequences)
    settings.n_ubatch = CHUNK_TOKENS
    settings.n_seq_max = sequences
    settings.n_threads = threads
    settings.n_threads_batch = threads
    settings.flash_attn = True
    context = api.llama_init_from_model(model, settings)
    if not context:
        sys.exit(f"ik_llama.cpp: no context of {cells} tokens for {sequences} sequences")
    return context


class Sequences:
    """Some sequences of equal length in a context of their own."""

    def __init__(self, model, vocabulary, cells, sequences, threads):
        self.context = context_of(model, cells * sequences + 256 * sequences, sequences, threads)
        self.batch = api.llama_batch_init(max(CHUNK_TOKENS, sequences), 0, 1)
        self.vocabulary = vocabulary
        self.lengths = [0] * sequences
        self.random = random.Random(sequences)

    def step(self, counts):
        """Appends counts[i] random tokens to sequence i and computes the logits of each sequence's last one."""
        at = 0
        for sequence, count in enumerate(counts):
            for index in range(count):
                self.batch.token[at] = self.random.randrange(self.vocabulary)
                self.batch.pos[at] = self.lengths[sequence] + index
                self.batch.n_seq_id[at] = 1
                self.batch.seq_id[at][0] = sequence
                self.batch.logits[at] = index == count - 1
                at += 1
            self.lengths[sequence] += count
        self.batch.n_tokens = at
        status = api.llama_decode(self.context, self.batch)
        if status != 0 or not api.llama_get_logits_ith(self.context, at - 1):
            sys.exit(f"ik_llama.cpp: decoding failed ({status})")

    def read(self, sequence, tokens):
        while tokens > 0:
            count = min(tokens, CHUNK_TOKENS)
            self.step([count if index == sequence else 0 for index in range(len(self.lengths))])
            tokens -= count

    def close(self):
        api.llama_batch_free(self.batch)
        api.llama_free(self.context)


def timed_rate(tokens, work):
    start = time.perf_counter()
    work()
    return tokens / (time.perf_counter() - start)


def row(rates, **case):
    return {**case, "tokens_per_second": sorted(rates)[len(rates) // 2], "runs": rates}


def prefill(model, vocabulary, tokens, job):
    rates = []
    for _ in range(job["runs"]):
        sequences = Sequences(model, vocabulary, tokens, 1, job["threads"])
        rates.append(timed_rate(tokens, lambda: sequences.read(0, tokens)))
        sequences.close()
    return row(rates, tokens=tokens)


def decode(model, vocabulary, depth, batch, job):
    cells = depth + job["decode"] * job["runs"]
    sequences = Sequences(model, vocabulary, cells, batch, job["threads"])
    for sequence in range(batch):
        sequences.read(sequence, depth)

    def run():
        for _ in range(job["decode"]):
            sequences.step([1] * batch)

    rates = [timed_rate(job["decode"] * batch, run) for _ in range(job["runs"])]
    sequences.close()
    return row(rates, depth=depth, batch=batch)


def main():
    job = json.loads(sys.argv[1])
    api.llama_backend_init()
    settings = api.llama_model_default_params()
    settings.n_gpu_layers = 0
    settings.repack_tensors = True
    settings.use_thp = True
    # Repacking happens in memory of its own.
    settings.use_mmap = False
    start = time.perf_counter()
    model = api.llama_model_load_from_file(job["model"].encode(), settings)
    if not model:
        sys.exit(f"ik_llama.cpp: {job['model']}: cannot be loaded; expected a GGUF file")
    load_seconds = time.perf_counter() - start
    vocabulary = api.llama_vocab_n_tokens(api.llama_model_get_vocab(model))
    # The first computation touches everything once.
    prefill(model, vocabulary, min(job["prompt"] + [16]), {**job, "runs": 1})
    cases = [(depth, 1) for depth in job["depth"]] + [(0, batch) for batch in job["batch"]]
    result = {
        "library": system_information(),
        "load_seconds": load_seconds,
        "prefill": [prefill(model, vocabulary, tokens, job) for tokens in job["prompt"]],
        "decode": [decode(model, vocabulary, depth, batch, job) for depth, batch in cases],
    }
    print(json.dumps(result))


def system_information():
    """Which instruction sets the library was built for, as it says itself."""
    print_information = getattr(api._lib, "llama_print_system_info", None)
    if print_information is None:
        return None
    print_information.restype = ctypes.c_char_p
    return print_information().decode().strip()


main()
