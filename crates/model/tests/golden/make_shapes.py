#!/usr/bin/env python3
"""Golden logits of models of other shapes than the published: python make_shapes.py shapes.safetensors  (numpy only)

Weights come from make_tiny.py's generator, logits from reference.py (float64), both independent of the Rust code. Per shape:
<name>.ids I32 [T], <name>.positions I32 [P], <name>.logits F32 [P, vocabulary]. The shapes stand again in ../shapes.rs.
"""
import json, struct, sys, tempfile
import numpy as np
import make_tiny as M, reference as R

BASE = dict(vocab_size=300, num_hidden_layers=2, hidden_size=64, intermediate_size=64, num_local_experts=8)
SHAPES = {       # name: (config changes, kinds of the layers, prompt length, positions)
    "odd": (dict(hidden_size=64, intermediate_size=96, num_local_experts=5, num_experts_per_tok=3, num_attention_heads=3, num_key_value_heads=3,
                 head_dim=32, sliding_window=5), "fssfsf", 90, [0, 4, 5, 31, 89]),
    "deep": (dict(hidden_size=32, intermediate_size=32, num_local_experts=7, num_experts_per_tok=2, num_attention_heads=4, num_key_value_heads=1,
                  sliding_window=16), "sfsfsfsfs", 150, [0, 15, 16, 100, 149]),
    "long": (dict(num_attention_heads=4, num_key_value_heads=2, sliding_window=128), "sf", 4700, [0, 127, 128, 4095, 4096, 4500, 4699]),
    "yarn": (dict(head_dim=80, num_attention_heads=4, num_key_value_heads=2, sliding_window=64, rope_theta=10000, max_position_embeddings=2048,
                  initial_context_length=256,
                  rope_scaling=dict(beta_fast=16.0, beta_slow=2.0, factor=8.0, original_max_position_embeddings=256, rope_type="yarn", truncate=True)),
             "fs", 400, [0, 63, 64, 255, 256, 399]),
    "plain": (dict(num_attention_heads=5, num_key_value_heads=5, head_dim=18, sliding_window=1, rope_scaling=None, swiglu_limit=2.0,
                   rms_norm_eps=1e-3, num_experts_per_tok=1, num_local_experts=3), "sff", 70, [0, 1, 63, 64, 69]),
}


def build(folder, name):
    change, kinds, length, positions = SHAPES[name]
    c = M.config(**{**BASE, "num_hidden_layers": len(kinds)})
    c |= change
    c["layer_types"] = [{"s": "sliding_attention", "f": "full_attention"}[k] for k in kinds]
    c["experts_per_token"] = c["num_experts_per_tok"]
    H, V, Q = c["hidden_size"], c["vocab_size"], c["num_attention_heads"] * c["head_dim"]
    t = {}
    for n in range(len(kinds)):
        t |= M.layer_tensors(c, n, 20)
        k = f"model.layers.{n}.self_attn.o_proj.weight"      # spread as 1/sqrt(query width)
        t[k] = ("BF16", M.normal(k, (H, Q), 0.05 * (512 / Q) ** 0.5, 20))
    std = np.ones((V, 1)); std[3] = 0.003
    t["model.embed_tokens.weight"] = ("BF16", M.normal("model.embed_tokens.weight", (V, H), std, 20))
    t["model.norm.weight"] = ("BF16", M.normal("model.norm.weight", (H,), 0.15, 20, 1.0))
    t["lm_head.weight"] = ("BF16", M.normal("lm_head.weight", (V, H), 0.2 * (96 / H) ** 0.5, 20))
    M.save_safetensors(folder + "/model.safetensors", t)
    json.dump(c, open(folder + "/config.json", "w"))
    return c, length, positions


out = {}
for name in SHAPES:
    with tempfile.TemporaryDirectory() as d:
        c, length, positions = build(d, name)
        ids = (M.u64("prompt." + name, length, 20) % np.uint64(c["vocab_size"] - 21)).astype(np.int32)
        ids[ids == 3] = 4                                    # token 3 amplifies rounding
        plain = c["rope_scaling"] is None
        m = R.Model(d, bug="rope_no_yarn" if plain else None) if not plain else None
        if plain:                                            # reference.py reads rope_scaling before it looks at the variant
            c2 = dict(c, rope_scaling={"factor": 1.0}); json.dump(c2, open(d + "/config.json", "w"))
            m = R.Model(d, bug="rope_no_yarn")
        logits = m.forward([int(i) for i in ids])
        print(name, logits.shape, "std", logits.std())
        out[name + ".ids"] = ("I32", ids)
        out[name + ".positions"] = ("I32", np.array(positions, np.int32))
        out[name + ".logits"] = ("F32", logits[positions].astype(np.float32))
M.save_safetensors(sys.argv[1], out)
