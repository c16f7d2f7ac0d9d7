//! What a figure must be told with: the processor, its memory, the system and how busy it was. It must not measure anything.
//!
//! Linux says it in /proc; elsewhere most is null, never guessed.

use std::fs::read_to_string;

use serde_json::{Value, json};

use crate::memory::{self, field};

/// Processor features that the kernels, ours and others', are chosen by.
const FLAGS: [&str; 15] = [
    "sse4_1",
    "avx",
    "f16c",
    "fma",
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512vbmi",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_int8",
    "amx_bf16",
];

/// The machine as JSON.
pub(super) fn describe() -> Value {
    let processor = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags: Vec<&str> = field(&processor, "flags").unwrap_or_default().split_whitespace().collect();
    let flags: Vec<&str> = FLAGS.into_iter().filter(|flag| flags.contains(flag)).collect();
    json!({
        "processor": field(&processor, "model name"),
        "flags": flags,
        "threads": std::thread::available_parallelism().map_or(1, usize::from),
        "architecture": std::env::consts::ARCH,
        "memory_bytes": memory::total_bytes(),
        "memory_available_bytes": memory::available_bytes(),
        "system": std::env::consts::OS,
        "kernel": line("/proc/sys/kernel/osrelease"),
        "huge_pages": line("/sys/kernel/mm/transparent_hugepage/enabled"),
        "load_average": line("/proc/loadavg").and_then(|text| text.split(' ').next()?.parse::<f64>().ok()),
    })
}

fn line(path: &str) -> Option<String> {
    read_to_string(path).ok().map(|text| text.trim().to_owned())
}
