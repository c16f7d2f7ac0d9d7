//! Threads that the system does not start are an error, not a crash. The test runs itself again with little address space.

#![cfg(target_os = "linux")]

use kernels::{Cpu, Error, IsaKind};

#[test]
fn threads_that_cannot_be_started_are_an_error() {
    let own = std::env::current_exe().unwrap();
    let limited = "ulimit -v 500000 && exec \"$0\" --exact --ignored under_a_limit";
    let mut command = std::process::Command::new("sh");
    // A few large stacks and not many small ones: what is left when the next one is refused must do for what threads that run
    // already allocate, or the program ends before it can be told no.
    command.env("RUST_MIN_STACK", "67108864").env("MALLOC_ARENA_MAX", "1");
    let output = command.arg("-c").arg(limited).arg(own).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "makes sense only where address space is short; the other test runs it there"]
fn under_a_limit() {
    // Each thread takes 64 MiB of address space.
    let Err(error) = Cpu::new(IsaKind::Scalar, 4096) else { panic!("4096 threads were started") };
    let message = error.to_string();
    let Error::Threads { threads, started, .. } = error else { panic!("{message}") };
    assert!(threads == 4096 && (1..4096).contains(&started), "{message}");
    assert!(message.contains("expected 4096") && message.contains(&format!("only {started} can run")), "{message}");
    // The threads that did start have ended, so there is room again.
    assert_eq!(Cpu::new(IsaKind::Scalar, 3).map(|cpu| cpu.isa()).unwrap(), IsaKind::Scalar);
}
