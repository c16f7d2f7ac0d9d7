//! What a figure must be told with: the processor, its memory, the system and how busy it was. It must not measure anything.
//!
//! Linux says it in /proc; elsewhere most is null, never guessed.

use std::fs::read_to_string;

use serde_json::{Value, json};

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
    let memory = read_to_string("/proc/meminfo").unwrap_or_default();
    json!({
        "processor": field(&processor, "model name"),
        "flags": flags,
        "threads": std::thread::available_parallelism().map_or(1, usize::from),
        "architecture": std::env::consts::ARCH,
        "memory_bytes": kibibytes(&memory, "MemTotal"),
        "memory_available_bytes": kibibytes(&memory, "MemAvailable"),
        "system": std::env::consts::OS,
        "kernel": line("/proc/sys/kernel/osrelease"),
        "huge_pages": line("/sys/kernel/mm/transparent_hugepage/enabled"),
        "load_average": line("/proc/loadavg").and_then(|text| text.split(' ').next()?.parse::<f64>().ok()),
    })
}

/// Most memory that this process held at once; `None` where the system does not say.
pub(super) fn peak_resident_bytes() -> Option<u64> {
    kibibytes(&read_to_string("/proc/self/status").ok()?, "VmHWM")
}

/// The value of the first line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(found, _)| found.trim() == name).map(|(_, value)| value.trim())
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let number: u64 = field(text, name)?.split_whitespace().next()?.parse().ok()?;
    Some(number * 1024)
}

fn line(path: &str) -> Option<String> {
    read_to_string(path).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{field, kibibytes};

    #[test]
    fn fields_of_proc() {
        let text = "processor\t: 0\nmodel name\t: Some CPU: fast\nMemTotal:       24576 kB\nVmHWM:\t  12 kB\n";
        assert_eq!(field(text, "model name"), Some("Some CPU: fast"));
        assert_eq!(kibibytes(text, "MemTotal"), Some(24576 * 1024));
        assert_eq!(kibibytes(text, "VmHWM"), Some(12 * 1024));
        assert_eq!(kibibytes(text, "model name"), None);
        assert_eq!(field(text, "absent"), None);
    }
}
