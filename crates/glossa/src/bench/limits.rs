//! `glossa bench --machine`: read bandwidth by kind of memory and the peak of each dot product, with one thread and with all.
//! It must not know models.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kernels::measure::{Bandwidth, DotPeak, bandwidth, dot_peaks};
use kernels::{Bytes, HugeBytes, Pool};
use model::Checkpoint;
use serde_json::{Value, json};

use crate::arguments::BenchArguments;
use crate::console::Progress;
use crate::error::Error;
use crate::loading;

/// How long one run of a dot product takes, about.
const DOT_DURATION: Duration = Duration::from_millis(20);

/// The machine's limits.
pub(super) struct Limits {
    reads: Vec<Read>,
    dots: Vec<DotPeak>,
}

struct Read {
    memory: &'static str,
    /// How much of it lay in huge pages, if the system says.
    huge_bytes: Option<usize>,
    bandwidth: Bandwidth,
}

/// Measures everything.
pub(super) fn measure(arguments: &BenchArguments, progress: &mut Progress) -> Result<Limits, Error> {
    let all = loading::threads(arguments.compute.threads)?;
    let counts = if all == 1 { vec![1] } else { vec![1, all] };
    let pools = counts.into_iter().map(pool).collect::<Result<Vec<_>, _>>()?;
    let mut limits = Limits { reads: Vec::new(), dots: Vec::new() };
    let length = arguments.memory_mib << 20;
    for (memory, make) in [
        ("plain pages", HugeBytes::in_plain_pages as fn(usize) -> std::io::Result<HugeBytes>),
        ("huge pages", HugeBytes::new),
    ] {
        progress.show(false, &format!("reading memory: {memory}"));
        let bytes = written(make, length)?;
        limits.read(memory, bytes.as_slice(), bytes.huge_bytes(), &pools, arguments.runs);
    }
    if let Some(path) = file(arguments)? {
        progress.show(false, "reading a mapped file");
        let unreadable = |source| Error::Read { path: path.clone(), source };
        let mapped = File::open(&path).and_then(|file| Bytes::map(&file)).map_err(unreadable)?;
        let part = &mapped[..mapped.len().min(length)];
        // The first time it may come from the disk.
        let _ = bandwidth(part, &pools[0], 1);
        limits.read("mapped file", part, None, &pools, arguments.runs);
    }
    for pool in &pools {
        progress.show(false, &format!("dot products with {} threads", pool.threads()));
        limits.dots.extend(dot_peaks(pool, DOT_DURATION, arguments.runs));
    }
    Ok(limits)
}

/// Memory that the system has really given, because something was written to all of it.
pub(super) fn written(make: fn(usize) -> std::io::Result<HugeBytes>, length: usize) -> Result<HugeBytes, Error> {
    let refused = |source: std::io::Error| Error::Option {
        name: "memory-mib",
        found: format!("{} ({source})", length >> 20),
        expected: "as much as this machine has free".into(),
    };
    let mut bytes = make(length).map_err(refused)?;
    bytes.as_mut_slice().fill(1);
    Ok(bytes)
}

/// Threads to measure with.
pub(super) fn pool(threads: usize) -> Result<Pool, Error> {
    Ok(Pool::new(threads)?)
}

/// The file whose mapping is read: the one that was named, or a model's.
fn file(arguments: &BenchArguments) -> Result<Option<PathBuf>, Error> {
    if let Some(path) = &arguments.file {
        return Ok(Some(path.clone()));
    }
    let Some(model) = arguments.models.first() else { return Ok(None) };
    let checkpoint = Checkpoint::open(Path::new(model))?;
    Ok(checkpoint.files.first().map(|file| file.path.clone()))
}

impl Limits {
    fn read(&mut self, memory: &'static str, bytes: &[u8], huge_bytes: Option<usize>, pools: &[Pool], runs: usize) {
        for pool in pools {
            let bandwidth = bandwidth(bytes, pool, runs);
            self.reads.push(Read { memory, huge_bytes, bandwidth });
        }
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let read = |Read { memory, huge_bytes, bandwidth }: &Read| {
            json!({
                "memory": memory,
                "threads": bandwidth.threads,
                "bytes": bandwidth.bytes,
                "huge_bytes": huge_bytes,
                "bytes_per_second": bandwidth.bytes_per_second,
                "best_bytes_per_second": bandwidth.best_bytes_per_second,
            })
        };
        let dot = |peak: &DotPeak| {
            json!({
                "dot": peak.dot.name(),
                "isa": peak.dot.isa().name(),
                "threads": peak.threads,
                "macs_per_second": peak.macs_per_second,
            })
        };
        json!({
            "bandwidth": self.reads.iter().map(read).collect::<Vec<_>>(),
            "dot_products": self.dots.iter().map(dot).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:<24}{:>8}{:>14}{:>14}", "reading memory", "threads", "GB/s", "best GB/s")?;
        for Read { memory, huge_bytes, bandwidth } in &self.reads {
            let [middle, best] = [bandwidth.bytes_per_second, bandwidth.best_bytes_per_second].map(|rate| rate / 1e9);
            write!(formatter, "{memory:<24}{:>8}{middle:>14.1}{best:>14.1}", bandwidth.threads)?;
            match huge_bytes {
                Some(huge) => {
                    writeln!(formatter, "  {:.0} % in huge pages", *huge as f64 / bandwidth.bytes as f64 * 100.0)?
                }
                None => writeln!(formatter)?,
            }
        }
        writeln!(formatter, "\n{:<24}{:>8}{:>14}", "dot product", "threads", "GMAC/s")?;
        for peak in &self.dots {
            writeln!(formatter, "{:<24}{:>8}{:>14.1}", peak.dot.name(), peak.threads, peak.macs_per_second / 1e9)?;
        }
        Ok(())
    }
}
