//! `glossa serve`, `config` and `key` as people use them: the real program, its socket and signals. It must not know the API.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// A server that was started, killed at the end if it still runs.
pub(crate) struct Server {
    child: Child,
    out: BufReader<ChildStdout>,
    address: String,
}

fn command(home: &Path, arguments: &[&str]) -> Command {
    command_of(env!("CARGO_BIN_EXE_glossa"), home, arguments)
}

fn command_of(program: &str, home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    // Nothing of this machine's settings.
    command.args(arguments).env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin");
    command
}

fn run(home: &Path, arguments: &[&str]) -> Output {
    command(home, arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

impl Server {
    fn start(home: &Path, arguments: &[&str]) -> Self {
        Self::start_program(env!("CARGO_BIN_EXE_glossa"), home, arguments)
    }

    /// The same with a program that was built elsewhere.
    pub(crate) fn start_program(program: &str, home: &Path, arguments: &[&str]) -> Self {
        let arguments = [&["serve", "--port", "0", "--log", "error"], arguments].concat();
        let mut command = command_of(program, home, &arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Self { child, out, address }
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    fn ask(&self, head: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{head} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_serves_and_ends_when_told_to() {
    let home = tempfile::tempdir().unwrap();
    let prefixes = home.path().join("prefixes");
    let disk = ["--disk-cache", prefixes.to_str().unwrap()];
    let mut server = Server::start(home.path(), &[&["--alias", "gpt-oss-20b"][..], &disk].concat());
    assert!(server.ask("GET /health").contains("\"status\":\"ok\""));
    let models = server.ask("GET /v1/models");
    assert!(models.contains("glossa-tiny") && models.contains("gpt-oss-20b"), "{models}");
    assert!(home.path().join(".local/share/glossa/store.db").exists());
    // Prefixes of one model must never serve another, so their folder says whose they are.
    let mut versions = std::fs::read_dir(&prefixes).unwrap().map(|entry| entry.unwrap().path().join("version"));
    let told = std::fs::read_to_string(versions.find(|path| path.is_file()).unwrap()).unwrap();
    assert!(told.starts_with("built-in "), "{told}");
    server.signal("-TERM");
    let mut rest = String::new();
    server.out.read_to_string(&mut rest).unwrap();
    assert!(server.child.wait().unwrap().success());
}

#[test]
fn keys_are_made_and_read_again() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("keys.toml");
    let file = file.to_str().unwrap();
    let new = || String::from_utf8(run(home.path(), &["key", "new", "--keys", file]).stdout).unwrap().trim().to_owned();
    let first = new();
    let server = Server::start(home.path(), &["--keys", file]);
    let with = |key: &str| server.ask(&format!("GET /v1/models HTTP/1.1\r\nx-api-key: {key}\r\nx-rest:"));
    assert!(server.ask("GET /v1/models").starts_with("HTTP/1.1 401"));
    assert!(with(&first).starts_with("HTTP/1.1 200"));
    let second = new();
    assert!(with(&second).starts_with("HTTP/1.1 401"), "not read yet");
    server.signal("-HUP");
    // The signal comes when it comes.
    while !with(&second).starts_with("HTTP/1.1 200") {
        std::thread::yield_now();
    }
}

#[test]
fn settings_say_where_they_came_from_and_slips_are_told() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("g.toml");
    std::fs::write(&file, "[server]\nport = 1\n[store]\nurl = \"postgres://me:hush@host/db\"\n").unwrap();
    let file = file.to_str().unwrap();
    let mut shown = command(home.path(), &["config", "--config", file, "--effort"]);
    assert!(!shown.output().unwrap().status.success(), "an option that there is not");
    let mut shown = command(home.path(), &["config", "--config", file, "--alias", "a"]);
    let text = said(&shown.env("GLOSSA_SERVER_PORT", "2").env("GLOSSA_PROT", "3").output().unwrap());
    assert!(text.contains("port = 2") && text.contains("# GLOSSA_SERVER_PORT") && text.contains("# --alias"), "{text}");
    assert!(text.contains("GLOSSA_PROT is set, but there is no such setting") && !text.contains("hush"), "{text}");
    // What it shows can be used as a file.
    let kept = home.path().join("kept.toml");
    std::fs::write(&kept, run(home.path(), &["config", "--port", "7"]).stdout).unwrap();
    assert!(said(&run(home.path(), &["config", "--config", kept.to_str().unwrap()])).contains("port = 7"));
    std::fs::write(file, "[server]\nprot = 1\n").unwrap();
    let refused = run(home.path(), &["serve", "--config", file]);
    assert!(refused.status.code() == Some(1) && said(&refused).contains("g.toml:2: there is no setting server.prot"));
    let context = run(home.path(), &["serve", "--port", "0", "--context", "1000000"]);
    assert!(said(&context).contains("at most 4096"), "{}", said(&context));
}
