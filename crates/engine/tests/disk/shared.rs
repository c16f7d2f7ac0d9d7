//! Several stores on one folder. A lock belongs to an open file, so two stores of one process are to each other like two
//! processes.

use std::fs::{self, File};
use std::sync::Arc;

use engine::disk::{DiskStats, DiskStore};

use crate::shelf::{OVERHEAD, Shelf, key, payload, readable};

const PAYLOAD: usize = 100;
const RECORD: u64 = OVERHEAD + PAYLOAD as u64;

fn write(store: &DiskStore, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        store.write(&key(number), 0, &[&payload(number, 0, PAYLOAD)]).unwrap();
    }
}

#[test]
fn each_reads_what_the_other_wrote() {
    let shelf = Shelf::new();
    let (keeper, guest) = (shelf.open(100 * RECORD), shelf.open(100 * RECORD));
    write(&keeper, [0]);
    write(&guest, [1]);
    for store in [&keeper, &guest] {
        assert_eq!(readable(store, 0..3), [0, 1]);
        assert_eq!((store.stats().records, store.stats().bytes), (2, 2 * RECORD));
    }
    write(&keeper, [1]);
    assert_eq!(shelf.files(".record").len(), 2);
}

#[test]
fn only_the_keeper_evicts() {
    let shelf = Shelf::new();
    let keeper = shelf.open(16 * RECORD);
    let guest = shelf.open(16 * RECORD);
    write(&keeper, 0..16);
    // One record is the sixteenth by which a guest may go beyond the cap.
    write(&guest, 16..20);
    let DiskStats { evicted, refused, write_errors, .. } = guest.stats();
    assert_eq!((evicted, write_errors), (0, 0));
    assert!(refused >= 2, "{refused} refused");
    let beyond = shelf.files(".record").len();
    assert_eq!(beyond as u64, 20 - refused);
    // The keeper sees what the guest wrote and makes room for all.
    write(&keeper, 100..104);
    assert_eq!(keeper.stats().records, 16);
    assert_eq!(shelf.files(".record").len(), 16);
    assert_eq!(readable(&keeper, 100..104), [100, 101, 102, 103]);
    assert!(guest.read(&key(0), 0).is_none(), "evicted by the other, and simply not there");
    // When the keeper has gone, the guest takes its place.
    drop(keeper);
    write(&guest, 200..204);
    assert_eq!(readable(&guest, 200..204), [200, 201, 202, 203]);
    assert_eq!((guest.stats().records, guest.stats().refused), (16, refused));
    assert_eq!(shelf.files(".record").len(), 16);
}

#[test]
fn leftovers_go_unless_their_writer_lives() {
    let shelf = Shelf::new();
    write(&shelf.open(1000), [0]);
    let folder = shelf.only_record().parent().unwrap().to_path_buf();
    let (dead, living) = (folder.join("1-0.partial"), folder.join("1-1.partial"));
    fs::write(&dead, b"half a rec").unwrap();
    let writer = File::create(&living).unwrap();
    writer.lock().unwrap();
    let keeper = shelf.open(1000);
    assert!(!dead.exists() && living.exists());
    // A process that another test starts may have a copy of the file.
    writer.unlock().unwrap();
    fs::write(&dead, b"half a rec").unwrap();
    let _guest = shelf.open(1000);
    assert!(dead.exists() && living.exists(), "cleaning up is the keeper's");
    drop(keeper);
    // The place of the keeper is free, so the next to open takes it, whatever its version.
    assert_eq!(shelf.open_version(1000, "another").stats().records, 1);
    assert!(!dead.exists() && !living.exists());
}

#[test]
fn many_threads_on_two_stores_never_see_wrong_bytes() {
    let shelf = Shelf::new();
    let stores = [Arc::new(shelf.open(20 * RECORD)), Arc::new(shelf.open(20 * RECORD))];
    std::thread::scope(|scope| {
        for thread in 0..8_u32 {
            let store = Arc::clone(&stores[thread as usize % 2]);
            scope.spawn(move || {
                for step in 0..50 {
                    let number = (thread * 7 + step * 5) % 40;
                    write(&store, [number]);
                    let other = (number + step) % 40;
                    if let Some(found) = store.read(&key(other), 0) {
                        assert_eq!(found, payload(other, 0, PAYLOAD));
                    }
                }
            });
        }
    });
    for store in &stores {
        assert_eq!((store.stats().damaged, store.stats().write_errors), (0, 0));
    }
    assert!(shelf.files(".partial").is_empty());
    drop(stores);
    assert!(shelf.open(20 * RECORD).stats().bytes <= 20 * RECORD);
}
