#!/usr/bin/env python3
"""Tokens per second of training steps in PyTorch on the CPU: the peer of `speed.rs`, in its units and with its output.

    python torch_speed.py [TOKENS] [DOCUMENT] [THREADS] [STEPS] [--transformers | --plain] [--compile] [--experts NAME]
    python torch_speed.py --check

Install `torch` (the CPU build is enough) and, for --transformers and --check, `transformers`; written with torch 2.15.0 and
transformers 5.23.0. For --compile a C++ compiler is needed; the first two steps then compile, so make at least six.

The model is the demo's, the tokens are those of `speed.rs`, in f32, with AdamW and clipping to 1. Documents are the rows of
the batch: all are equally long, so there is no padding. Neither variant has the router's balance loss, which `speed.rs` pays
for. What is timed is forward, backward, clipping and AdamW; the ids are made before.

--plain (the default) is a model written for this measurement: one product for queries, keys and values; the sliding layers
compute only the blocks that their window reaches; tokens sorted by expert once per layer; fused AdamW.
--transformers is Hugging Face's GptOssForCausalLM with eager attention and, if --experts says nothing else, the experts that
the library chooses.
--check builds a small model twice with equal weights and compares losses and gradients of the two variants.
"""
import argparse
import math
import os
import time

os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
import torch
from torch import nn
from torch.nn import functional as F

DEMO = dict(vocabulary=2048, hidden=192, inner=128, layers=4, heads=4, kv_heads=2, head_dim=64, experts=8, chosen=4,
            window=128, limit=7.0, epsilon=1e-5, theta=150_000.0, factor=32.0, beta_fast=32.0, beta_slow=1.0,
            original_context=4096)
SMALL = dict(DEMO, vocabulary=256, hidden=64, inner=32, layers=3, window=16)
ALPHA = 1.702


class Shape:
    def __init__(self, numbers):
        self.__dict__.update(numbers)
        self.width, self.key_width = self.heads * self.head_dim, self.kv_heads * self.head_dim

    def slides(self, layer):
        return layer % 2 == 0


def angles(shape, positions):
    """Cosines and sines `[positions, head_dim / 2]` of YaRN (arXiv 2309.00071) without rounding of the ramp's ends."""
    half = shape.head_dim // 2
    frequencies = shape.theta ** (-torch.arange(half, dtype=torch.float64) / half)
    end = lambda rotations: half * math.log(shape.original_context / (rotations * math.tau)) / math.log(shape.theta)
    low, high = max(end(shape.beta_fast), 0.0), min(end(shape.beta_slow), shape.head_dim - 1.0)
    ramp = ((torch.arange(half, dtype=torch.float64) - low) / (high - low)).clamp(0, 1)
    frequencies = frequencies * (1 - ramp) + frequencies / shape.factor * ramp
    turned = torch.arange(positions, dtype=torch.float64)[:, None] * frequencies
    concentration = 0.1 * math.log(shape.factor) + 1.0
    return (turned.cos() * concentration).float(), (turned.sin() * concentration).float()


def rotate(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class Attention(nn.Module):
    def __init__(self, shape, slides):
        super().__init__()
        self.shape, self.slides = shape, slides
        self.qkv = nn.Linear(shape.hidden, shape.width + 2 * shape.key_width)
        self.output = nn.Linear(shape.width, shape.hidden)
        self.sinks = nn.Parameter(torch.zeros(shape.heads))

    def forward(self, x, cos, sin):
        shape = self.shape
        rows, length, _ = x.shape
        group = shape.heads // shape.kv_heads
        qkv = self.qkv(x).view(rows, length, shape.heads + 2 * shape.kv_heads, shape.head_dim).transpose(1, 2)
        both = rotate(qkv[:, :shape.heads + shape.kv_heads], cos, sin)
        queries, keys = both.split((shape.heads, shape.kv_heads), dim=1)
        values = qkv[:, shape.heads + shape.kv_heads:]
        queries = queries.reshape(rows, shape.kv_heads, group, length, shape.head_dim) * shape.head_dim ** -0.5
        if self.slides and length % shape.window == 0 and length > 2 * shape.window:
            attended = self.by_blocks(queries, keys, values)
        else:
            sinks = self.sinks.view(shape.kv_heads, group, 1, 1)
            attended = self.attend(queries, keys, values, sinks, self.bias(length, length))
        attended = attended.reshape(rows, shape.heads, length, shape.head_dim).transpose(1, 2)
        return self.output(attended.reshape(rows, length, shape.width))

    def bias(self, queries, keys):
        """-inf where the last `queries` of `keys` places must not look; adding it is cheaper than masking."""
        distance = torch.arange(keys - queries, keys)[:, None] - torch.arange(keys)
        hidden = distance < 0
        if self.slides:
            hidden |= distance >= self.shape.window
        return torch.zeros(queries, keys).masked_fill(hidden, -torch.inf)

    def by_blocks(self, queries, keys, values):
        """Each block of as many queries as the window sees its own block of keys and the one before it."""
        block, (group, length) = self.shape.window, queries.shape[2:4]
        blocks = length // block
        queries = queries.unflatten(3, (blocks, block)).transpose(2, 3)
        double = lambda x: F.pad(x, (0, 0, block, 0)).unfold(2, 2 * block, block).transpose(-1, -2)
        bias = self.bias(block, 2 * block).repeat(blocks, 1, 1, 1)
        bias[0, :, :, :block] = -torch.inf
        sinks = self.sinks.view(self.shape.kv_heads, 1, group, 1, 1)
        return self.attend(queries, double(keys), double(values), sinks, bias).transpose(2, 3).flatten(3, 4)

    def attend(self, queries, keys, values, sinks, bias):
        """Queries `[.., group, length, head_dim]`; the group's rows are one matrix, as they share keys and values."""
        scores = queries.flatten(-3, -2) @ keys.transpose(-1, -2)
        scores = scores.unflatten(-2, queries.shape[-3:-1]) + bias
        weights = torch.cat((scores, sinks.expand(*scores.shape[:-1], 1)), dim=-1).softmax(dim=-1)[..., :-1]
        return (weights.flatten(-3, -2) @ values).unflatten(-2, queries.shape[-3:-1])


class Experts(nn.Module):
    """Gate rows of an expert come before its up rows, so that the activation goes over whole slices."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.router = nn.Linear(shape.hidden, shape.experts)
        parameter = lambda *sizes: nn.Parameter(torch.zeros(shape.experts, *sizes))
        self.gate_up, self.gate_up_bias = parameter(2 * shape.inner, shape.hidden), parameter(2 * shape.inner)
        self.down, self.down_bias = parameter(shape.hidden, shape.inner), parameter(shape.hidden)

    def forward(self, x):
        shape, flat = self.shape, x.flatten(0, -2)
        best, experts = self.router(flat).topk(shape.chosen, dim=-1)
        weights = best.softmax(dim=-1).flatten()
        order = experts.flatten().argsort(stable=True)
        counts = experts.flatten().bincount(minlength=shape.experts).tolist()
        tokens = order // shape.chosen
        outputs = []
        parts = zip(flat.index_select(0, tokens).split(counts), self.gate_up.unbind(), self.gate_up_bias.unbind(),
                    self.down.unbind(), self.down_bias.unbind())
        for inputs, gate_up, gate_up_bias, down, down_bias in parts:
            gate, up = F.linear(inputs, gate_up, gate_up_bias).chunk(2, dim=-1)
            gate, up = gate.clamp(max=shape.limit), up.clamp(-shape.limit, shape.limit)
            activated = gate * torch.sigmoid(gate * ALPHA) * (up + 1)
            outputs.append(F.linear(activated, down, down_bias))
        outputs = torch.cat(outputs) * weights.index_select(0, order)[:, None]
        return torch.zeros_like(flat).index_add(0, tokens, outputs).view_as(x)


class Layer(nn.Module):
    def __init__(self, shape, slides):
        super().__init__()
        norm = lambda: nn.RMSNorm(shape.hidden, eps=shape.epsilon)
        self.attention_norm, self.attention = norm(), Attention(shape, slides)
        self.experts_norm, self.experts = norm(), Experts(shape)

    def forward(self, x, cos, sin):
        x = x + self.attention(self.attention_norm(x), cos, sin)
        return x + self.experts(self.experts_norm(x))


class Plain(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.hidden)
        self.layers = nn.ModuleList(Layer(shape, shape.slides(index)) for index in range(shape.layers))
        self.norm = nn.RMSNorm(shape.hidden, eps=shape.epsilon)
        self.unembedding = nn.Linear(shape.hidden, shape.vocabulary, bias=False)

    def forward(self, ids):
        cos, sin = angles(self.shape, ids.shape[1])
        x = self.embedding(ids)
        for layer in self.layers:
            x = layer(x, cos, sin)
        # The last place of a document predicts nothing.
        return self.unembedding(self.norm(x[:, :-1]))

    def loss(self, ids):
        return F.cross_entropy(self(ids).flatten(0, 1), ids[:, 1:].flatten())

    def initialise(self, seed):
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            spread = {"embedding.weight": 0.1, "unembedding.weight": 0.02}.get(name, parameter.shape[-1] ** -0.5)
            if parameter.dim() > 1 and not name.endswith("bias"):
                nn.init.normal_(parameter, std=spread, generator=generator)
            elif "norm" not in name:
                nn.init.zeros_(parameter)
        return self


def transformers_model(shape, experts=None):
    from transformers import GptOssConfig, GptOssForCausalLM

    kinds = ["sliding_attention" if shape.slides(index) else "full_attention" for index in range(shape.layers)]
    rope = dict(rope_type="yarn", rope_theta=shape.theta, factor=shape.factor, beta_fast=shape.beta_fast,
                beta_slow=shape.beta_slow, original_max_position_embeddings=shape.original_context, truncate=False)
    config = GptOssConfig(
        vocab_size=shape.vocabulary, hidden_size=shape.hidden, intermediate_size=shape.inner,
        num_hidden_layers=shape.layers, num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim, num_local_experts=shape.experts, num_experts_per_tok=shape.chosen,
        sliding_window=shape.window, swiglu_limit=shape.limit, rms_norm_eps=shape.epsilon, layer_types=kinds,
        rope_parameters=rope, attention_bias=True, tie_word_embeddings=False, max_position_embeddings=131_072,
        pad_token_id=None, eos_token_id=None, bos_token_id=None, use_cache=False, attn_implementation="eager")
    torch.manual_seed(1)
    if experts:
        config._experts_implementation = experts
    return GptOssForCausalLM(config).float().train()


def copy_weights(plain, peer):
    """Gives the library's model the plain one's weights; returns pairs of parameters that read a gradient of either alike."""
    pairs = [("embedding", plain.embedding.weight, peer.model.embed_tokens.weight, lambda x: x),
             ("norm", plain.norm.weight, peer.model.norm.weight, lambda x: x),
             ("unembedding", plain.unembedding.weight, peer.lm_head.weight, lambda x: x)]
    # [experts, outs, ins] with the halves one after another, to [experts, ins, outs] with the halves interleaved.
    interleave = lambda x: x.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)
    for index, (own, other) in enumerate(zip(plain.layers, peer.model.layers)):
        parts = (plain.shape.width, plain.shape.key_width, plain.shape.key_width)
        for place, name in enumerate("qkv"):
            projection = getattr(other.self_attn, f"{name}_proj")
            cut = lambda x, place=place: x.split(parts)[place]
            pairs += [(f"{index}.{name}", own.attention.qkv.weight, projection.weight, cut),
                      (f"{index}.{name} bias", own.attention.qkv.bias, projection.bias, cut)]
        experts, peers = own.experts, other.mlp.experts
        pairs += [(f"{index}.{name}", *both) for name, *both in (
            ("attention norm", own.attention_norm.weight, other.input_layernorm.weight, lambda x: x),
            ("output", own.attention.output.weight, other.self_attn.o_proj.weight, lambda x: x),
            ("output bias", own.attention.output.bias, other.self_attn.o_proj.bias, lambda x: x),
            ("sinks", own.attention.sinks, other.self_attn.sinks, lambda x: x),
            ("experts norm", own.experts_norm.weight, other.post_attention_layernorm.weight, lambda x: x),
            ("router", experts.router.weight, other.mlp.router.weight, lambda x: x),
            ("router bias", experts.router.bias, other.mlp.router.bias, lambda x: x),
            ("gate and up", experts.gate_up, peers.gate_up_proj, lambda x: interleave(x).transpose(1, 2)),
            ("gate and up bias", experts.gate_up_bias, peers.gate_up_proj_bias, interleave),
            ("down", experts.down, peers.down_proj, lambda x: x.transpose(1, 2)),
            ("down bias", experts.down_bias, peers.down_proj_bias, lambda x: x))]
    with torch.no_grad():
        for _, own, other, view in pairs:
            other.copy_(view(own))
    return pairs


def check():
    shape = Shape(SMALL)
    plain, peer = Plain(shape).initialise(1), transformers_model(shape)
    with torch.no_grad():
        for name, parameter in plain.named_parameters():
            if name.endswith(("bias", "sinks", "norm.weight")):
                parameter += 0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(name)))
    pairs = copy_weights(plain, peer)
    assert sum(p.numel() for p in plain.parameters()) == sum(p.numel() for p in peer.parameters())
    # 64 is a length for whole blocks, 37 is not.
    for length in (64, 37):
        ids = batch(shape, 4 * length, length)
        losses = []
        for model, loss in ((plain, plain.loss), (peer, lambda ids: peer(input_ids=ids, labels=ids).loss)):
            model.zero_grad()
            losses.append(loss(ids))
            losses[-1].backward()
        worst, where = max((((view(own.grad) - other.grad).norm() / other.grad.norm()).item(), name)
                           for name, own, other, view in pairs)
        print(f"documents of {length}: losses {losses[0].item():.7f} and {losses[1].item():.7f}, "
              f"gradients within {worst:.1e} ({where})")
        assert abs(losses[0] - losses[1]) < 1e-5 and worst < 1e-4


def batch(shape, tokens, document):
    places = torch.arange(document)
    firsts = torch.arange(tokens // document)[:, None]
    return (firsts * 7919 + places * places * 31) % shape.vocabulary


def macs_per_token(shape, document):
    """Multiply-adds of the forward pass per token, as `speed.rs` counts them, whatever a variant really computes."""
    keys = lambda index: min(document, shape.window) * 0.9 if shape.slides(index) else document / 2
    dense = (shape.hidden * (2 * shape.width + 2 * shape.key_width) + shape.hidden * shape.experts
             + shape.chosen * 3 * shape.hidden * shape.inner)
    return sum(dense + 2 * keys(index) * shape.width for index in range(shape.layers)) + shape.hidden * shape.vocabulary


def measure(arguments):
    shape = Shape(DEMO)
    ids = batch(shape, arguments.tokens, arguments.document)
    if arguments.transformers:
        model = transformers_model(shape, arguments.experts)
        print(f"transformers, experts: {model.config._experts_implementation}")
    else:
        model = Plain(shape).initialise(1)
    parameters = list(model.parameters())
    optimiser = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.97), eps=1e-8, weight_decay=0.02, fused=True)
    loss_of = (lambda ids: model(input_ids=ids, labels=ids).loss) if arguments.transformers else model.loss
    if arguments.compile:
        loss_of = torch.compile(loss_of)
    seconds = []
    for step in range(arguments.steps):
        start = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        loss = loss_of(ids)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        seconds.append(time.perf_counter() - start)
        print(f"step {step}: loss {loss.item():.6f}, {ids.numel() / seconds[-1]:.0f} tokens/s", flush=True)
    median = sorted(seconds)[arguments.steps // 2]
    macs = macs_per_token(shape, arguments.document)
    print(f"median {ids.numel() / median:.0f} tokens/s, {6e-9 * macs * ids.numel() / median:.1f} GFLOP/s "
          f"(forward and backward, {6e-6 * macs:.2f} MFLOP per token)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("tokens", 8192), ("document", 512), ("threads", 2), ("steps", 6)):
        parser.add_argument(name, type=int, nargs="?", default=default)
    variant = parser.add_mutually_exclusive_group()
    variant.add_argument("--transformers", action="store_true")
    variant.add_argument("--plain", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--experts", help="the library's implementation: eager, batched_mm or grouped_mm")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    check() if arguments.check else measure(arguments)


main()
