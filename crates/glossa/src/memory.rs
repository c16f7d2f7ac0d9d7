//! What the system says about memory: the machine's and this process's. It must not know what memory is used for.
//!
//! Linux says it in /proc; elsewhere nothing is known, and nothing is guessed.

use std::fs::read_to_string;

/// Memory of the machine.
pub(crate) fn total_bytes() -> Option<u64> {
    bytes_in("/proc/meminfo", "MemTotal")
}

/// Memory of the machine that programs can still have.
pub(crate) fn available_bytes() -> Option<u64> {
    bytes_in("/proc/meminfo", "MemAvailable")
}

/// Memory that this process holds now, parts of mapped files included.
pub(crate) fn resident_bytes() -> Option<u64> {
    bytes_in("/proc/self/status", "VmRSS")
}

/// Of that, what belongs to no file.
pub(crate) fn anonymous_bytes() -> Option<u64> {
    bytes_in("/proc/self/status", "RssAnon")
}

/// Most memory that this process held at once.
pub(crate) fn peak_resident_bytes() -> Option<u64> {
    bytes_in("/proc/self/status", "VmHWM")
}

/// The value of the first line `name : value`.
pub(crate) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(found, _)| found.trim() == name).map(|(_, value)| value.trim())
}

fn bytes_in(path: &str, name: &str) -> Option<u64> {
    bytes(&read_to_string(path).ok()?, name)
}

fn bytes(text: &str, name: &str) -> Option<u64> {
    let kibibytes: u64 = field(text, name)?.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::{bytes, field};

    #[test]
    fn fields_of_proc() {
        let text = "processor\t: 0\nmodel name\t: Some CPU: fast\nMemTotal:       24576 kB\nVmHWM:\t  12 kB\n";
        assert_eq!(field(text, "model name"), Some("Some CPU: fast"));
        assert_eq!(bytes(text, "MemTotal"), Some(24576 * 1024));
        assert_eq!(bytes(text, "VmHWM"), Some(12 * 1024));
        assert_eq!(bytes(text, "model name"), None);
        assert_eq!(field(text, "absent"), None);
    }
}
