//! Processes that are killed while they write, two hundred times on one folder: what can be read afterwards is right, and
//! nothing half-written stays.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use engine::disk::DiskWriter;

use crate::shelf::{Random, Shelf, VERSION, key, open, payload};

const ROUNDS: u64 = 200;
/// Few enough that every record's turn comes again after it was evicted.
const NUMBERS: u64 = 400;
const KINDS: u64 = 2;
/// About a quarter of all records have room, so the killed ones evict too.
const BYTES_MAX: u64 = 6 << 20;
/// A writer whose parent has gone does not go on for ever.
const RECORDS_MAX: usize = 5000;
const FOLDER: &str = "GLOSSA_TEST_KILLED_FOLDER";
const SEED: &str = "GLOSSA_TEST_KILLED_SEED";

#[test]
fn a_killed_process_leaves_only_whole_records() {
    let shelf = Shelf::new();
    let mut random = Random(7);
    let (mut read, mut interrupted) = (0, 0);
    for round in 0..ROUNDS {
        // Now and then two processes share the folder, and both are killed.
        let count = if round % 5 == 0 { 2 } else { 1 };
        let mut writers: Vec<Writer> = (0..count).map(|_| Writer::start(shelf.path(), random.next())).collect();
        writers.iter_mut().for_each(|writer| writer.wait_for(1 + random.below(30)));
        writers.into_iter().for_each(Writer::kill);
        interrupted += shelf.files(".partial").len();
        read += check(&shelf);
    }
    println!("{read} records were read after {ROUNDS} rounds; {interrupted} writes had been interrupted");
    assert!(read > ROUNDS, "{read}");
}

/// Gives the number of records that could be read.
fn check(shelf: &Shelf) -> u64 {
    let store = shelf.open(BYTES_MAX);
    assert!(shelf.files(".partial").is_empty());
    assert!(store.stats().bytes <= BYTES_MAX);
    for number in 0..NUMBERS as u32 {
        for kind in 0..KINDS as u8 {
            if let Some(found) = store.read(&key(number), kind) {
                assert!(found == payload_of(number, kind), "record {number} of kind {kind} is wrong");
            }
        }
    }
    let stats = store.stats();
    assert_eq!((stats.hits, stats.damaged), (stats.records, 0), "every file is a whole record");
    stats.hits
}

fn payload_of(number: u32, kind: u8) -> Vec<u8> {
    payload(number, kind, Random(u64::from(number)).below(65_536) as usize)
}

/// A process that runs the test below.
struct Writer {
    process: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Writer {
    fn start(folder: &Path, seed: u64) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--ignored", "--nocapture", "killed::writes_until_killed"]);
        command.env(FOLDER, folder).env(SEED, seed.to_string()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// Waits until it has told of so many records.
    fn wait_for(&mut self, records: u64) {
        let told = self.lines.by_ref().map(|line| line.unwrap()).filter(|line| line == "queued");
        assert_eq!(told.take(records as usize).count() as u64, records, "the writer has ended by itself");
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
#[ignore = "makes sense only in a process that is killed; the other test starts it"]
fn writes_until_killed() {
    let (Ok(folder), Ok(seed)) = (std::env::var(FOLDER), std::env::var(SEED)) else { return };
    let mut random = Random(seed.parse().unwrap());
    let store = Arc::new(open(folder.as_ref(), BYTES_MAX, VERSION));
    let writer = DiskWriter::start(store, 256 * 1024).unwrap();
    for _ in 0..RECORDS_MAX {
        let (number, kind) = (random.below(NUMBERS) as u32, random.below(KINDS) as u8);
        if writer.try_write(key(number), kind, payload_of(number, kind)) {
            // Not by a macro, whose output the test harness might hold back. It fails when the parent has gone.
            std::io::stdout().write_all(b"queued\n").unwrap();
        } else {
            writer.flush();
        }
    }
}
