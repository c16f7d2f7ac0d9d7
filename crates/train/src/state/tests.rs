//! Checkpoints come back bit by bit, torn ones never, and others' never by mistake.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Identity, State, file_bytes, has_any, load_latest, save};
use crate::error::Error;

const IDENTITY: Identity = Identity { layout: 5, recipe: 9 };

fn state(step: u64) -> State {
    let value = |index: u64| f32::from_bits((index * 0x0123_4567 + step) as u32);
    let vector = |first: u64| (first..first + 37).map(value).collect();
    State { step, cursor: step * 40, parameters: vector(0), first_moments: vector(100), second_moments: vector(200) }
}

fn bits(state: &State) -> Vec<u32> {
    let State { step, cursor, parameters, first_moments, second_moments } = state;
    let values = [parameters, first_moments, second_moments].into_iter().flatten().map(|value| value.to_bits());
    [*step as u32, *cursor as u32].into_iter().chain(values).collect()
}

fn loaded(folder: &Path) -> (u64, Vec<PathBuf>) {
    let loaded = load_latest(folder, IDENTITY).unwrap().unwrap();
    assert_eq!(bits(&loaded.state), bits(&state(loaded.state.step)), "every bit, not-a-numbers included");
    (loaded.state.step, loaded.damaged)
}

#[test]
fn the_newest_comes_back_and_old_ones_go() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("run/checkpoints");
    assert!(!has_any(&folder).unwrap());
    assert!(load_latest(&folder, IDENTITY).unwrap().is_none());
    for step in [9, 10, 200] {
        let path = save(&folder, &state(step), IDENTITY, 2).unwrap();
        assert_eq!(fs::metadata(path).unwrap().len(), file_bytes(37));
        assert_eq!(loaded(&folder), (step, vec![]));
    }
    assert!(has_any(&folder).unwrap());
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["step-0000000010.state", "step-0000000200.state"]);
}

#[test]
fn torn_files_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    save(folder, &state(1), IDENTITY, 2).unwrap();
    let newest = save(folder, &state(2), IDENTITY, 2).unwrap();
    let whole = fs::read(&newest).unwrap();
    let mut torn: Vec<Vec<u8>> = (0..whole.len()).step_by(7).map(|length| whole[..length].to_vec()).collect();
    torn.push([&whole[..], &[0; 4]].concat());
    for index in 0..whole.len() {
        let mut changed = whole.clone();
        changed[index] ^= 1 << (index % 8);
        torn.push(changed);
    }
    for bytes in torn {
        fs::write(&newest, bytes).unwrap();
        assert_eq!(loaded(folder), (1, vec![newest.clone()]));
    }
    fs::write(&newest, &whole).unwrap();
    assert_eq!(loaded(folder), (2, vec![]));
}

#[test]
fn what_a_killed_process_leaves_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    save(folder, &state(3), IDENTITY, 2).unwrap();
    fs::write(folder.join("step-0000000004.state.partial"), b"half").unwrap();
    fs::write(folder.join("notes.txt"), b"mine").unwrap();
    assert_eq!(loaded(folder), (3, vec![]));
}

#[test]
fn a_torn_file_of_a_later_step_does_not_push_whole_ones_out() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("step-0000000090.state"), b"torn").unwrap();
    for step in [10, 20, 30] {
        save(folder, &state(step), IDENTITY, 2).unwrap();
    }
    fs::remove_file(folder.join("step-0000000030.state")).unwrap();
    assert_eq!(loaded(folder).0, 20);
}

#[test]
fn others_are_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    save(folder, &state(3), IDENTITY, 2).unwrap();
    let refused = |identity| load_latest(folder, identity).unwrap_err();
    let error = refused(Identity { recipe: 8, ..IDENTITY });
    assert!(matches!(&error, Error::OtherRun { differs: "another recipe", .. }), "{error}");
    assert!(error.to_string().contains("step-0000000003.state"), "{error}");
    let error = refused(Identity { layout: 8, ..IDENTITY });
    assert!(matches!(&error, Error::OtherRun { differs: "another shape of model", .. }), "{error}");
    fs::write(folder.join("step-0000000003.state"), b"torn").unwrap();
    let error = refused(IDENTITY);
    assert!(matches!(&error, Error::Damaged { files: 1, .. }), "{error}");
}
