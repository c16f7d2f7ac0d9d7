//! A program that is run to its end, or ended when it hangs. It must not know what the program does.

use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What hangs is ended after this; nothing here takes as long, even on a busy machine.
const HANG: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(50);

/// How a program ended, and all that it printed.
pub(crate) struct Ended {
    pub(crate) status: Option<ExitStatus>,
    pub(crate) printed: String,
}

/// Runs a program to its end; `folder` takes what it prints.
pub(crate) fn run(command: &mut Command, folder: &Path) -> Ended {
    let path = folder.join("printed");
    let file = File::create(&path).unwrap();
    command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {:?}: {error}", command.get_program()));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if start.elapsed() > HANG {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        sleep(POLL);
    };
    let printed = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
    Ended { status, printed }
}
