//! JavaScript's clients: each test runs one script of `clients/node` on the Node that is installed beside them.

use std::fs;
use std::process::Command;

use crate::installed;
use crate::serving::Server;

/// Node looks for packages in the folders above a script, so the script is copied to where they are.
#[track_caller]
fn run(script: &str) {
    let packages = installed::packages("node");
    let folder = tempfile::tempdir_in(&packages).unwrap();
    let copy = folder.path().join(script);
    fs::copy(installed::scripts("node").join(script), &copy).unwrap();
    let mut command = Command::new(installed::program("node", "node_modules/.bin/node"));
    Server::start().satisfies(command.arg(copy));
}

#[test]
fn openai() {
    run("openai.mjs");
}

#[test]
fn vercel_ai_sdk() {
    run("vercel.mjs");
}

#[test]
fn anthropic() {
    run("anthropic.mjs");
}
