//! Packed weights in a file: the same logits, bit for bit, as packed in memory; other, torn and damaged files are noticed.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::path::Path;
use std::sync::atomic::Ordering;

use kernels::{IsaKind, PackReader, PackStore};
use model::{Checkpoint, Device, Model, Precision, Span, Wanted};
use synth::{GgufOptions, Layout, Shape, Writer};

const IDS: [u32; 9] = [1, 5, 17, 3, 250, 4, 4, 99, 12];

fn checkpoint(seed: u64, layout: Layout) -> Checkpoint {
    let folder = tempfile::tempdir().unwrap();
    let written = Writer::new(Shape::tiny()).seed(seed).layout(layout).write(folder.path()).unwrap();
    Checkpoint::open(&written.model).unwrap()
}

fn device() -> Device {
    Device::Cpu { isa: IsaKind::best(), threads: 2 }
}

fn logits(mut model: Box<dyn Model>) -> Vec<f32> {
    let (sequence, mut logits) = (model.open_sequence(), Vec::new());
    model.forward(&[Span { sequence, ids: &IDS, wanted: Wanted::All }], &mut logits).unwrap();
    logits
}

/// The logits with a file, and how many matrices were not taken from it.
fn with_file(checkpoint: &Checkpoint, precision: Precision, path: &Path) -> (Vec<f32>, usize) {
    let reader = PackReader::open(path).unwrap();
    let passed_over = reader.passed_over();
    let model = model::load_with(checkpoint.clone(), device(), precision, PackStore::Reader(reader)).unwrap();
    (logits(model), passed_over.load(Ordering::Relaxed))
}

#[test]
fn a_packed_file_gives_the_same_logits() {
    let gguf = GgufOptions { dense: synth::DenseFormat::Q8_0, ..GgufOptions::default() };
    for layout in [Layout::HuggingFace { shards: 1 }, Layout::Original, Layout::Gguf(gguf)] {
        for precision in [Precision::Default, Precision::DenseEight] {
            let checkpoint = checkpoint(20, layout);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("weights.pack");
            let bytes = model::pack(checkpoint.clone(), 3, precision, &path).unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().len(), bytes);
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing unfinished is left");
            PackReader::open(&path).unwrap().check().unwrap();
            let expected = logits(model::load(checkpoint.clone(), device(), precision).unwrap());
            assert_eq!(with_file(&checkpoint, precision, &path), (expected, 0), "{layout:?}, {precision:?}");
        }
    }
}

#[test]
fn another_models_file_is_passed_over() {
    let layout = Layout::HuggingFace { shards: 1 };
    let (own, other) = (checkpoint(20, layout), checkpoint(21, layout));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.pack");
    model::pack(other, 1, Precision::Default, &path).unwrap();
    let expected = logits(model::load(own.clone(), device(), Precision::Default).unwrap());
    let (found, passed_over) = with_file(&own, Precision::Default, &path);
    assert_eq!(found, expected);
    assert!(passed_over > 0);
    // The same model in another form of dense weights is another file, too.
    model::pack(own.clone(), 1, Precision::DenseEight, &path).unwrap();
    let (found, passed_over) = with_file(&own, Precision::Default, &path);
    assert_eq!(found, expected);
    assert!(passed_over > 0);
}

#[test]
fn torn_and_damaged_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.pack");
    model::pack(checkpoint(20, Layout::Original), 1, Precision::Default, &path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        PackReader::open(&path).err().map(|error| error.to_string())
    };
    for length in [1, 8, 31, 32, 4096, whole.len() / 2, whole.len() - 1] {
        let error = refused(&whole[..length]).unwrap();
        assert!(error.contains("weights.pack"), "{length}: {error}");
    }
    for (at, word) in [(0, "not a file"), (8, "version"), (12, "damaged"), (16, "damaged"), (24, "damaged")] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        let error = refused(&bytes).unwrap();
        assert!(error.contains(word), "byte {at}: {error}");
    }
    let mut bytes = whole.clone();
    bytes[5000] ^= 1;
    assert_eq!(refused(&bytes), None, "what lies in the matrices is not read at a start");
    assert!(PackReader::open(&path).unwrap().check().unwrap_err().to_string().contains("matrix 0"));
    assert!(
        model::pack(checkpoint(20, Layout::Original), 1, Precision::Default, Path::new("/no/such/folder/x")).is_err()
    );
}
