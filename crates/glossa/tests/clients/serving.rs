//! `glossa serve` as a process of its own, on a port of its own, with a store of its own. It must not know who asks it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::supervised;

/// The line that says where the server listens begins like this.
const LISTENING: &str = "listening on ";
const KEYS: &str = "keys.toml";
const START: Duration = Duration::from_secs(120);

/// A running server; it ends with this value.
pub(crate) struct Server {
    child: Child,
    url: String,
    key: String,
    folder: tempfile::TempDir,
}

impl Server {
    /// With the tiny model inside the program.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With arguments of the caller's besides.
    #[track_caller]
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = key(folder.path());
        let log = File::create(folder.path().join("log")).unwrap();
        let child = glossa(folder.path())
            .args(["serve", "--port", "0", "--keys", KEYS, "--store", "sqlite:store.db"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut server = Self { child, url: String::new(), key, folder };
        server.url = server.address();
        server
    }

    /// The address as the server tells it, without a path.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// All that the server has told so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join("log")).unwrap()).into_owned()
    }

    /// Runs a client's program to its end, which must be a good one.
    #[track_caller]
    pub(crate) fn satisfies(&mut self, command: &mut Command) -> String {
        let client = self.folder.path().join("client");
        fs::create_dir_all(&client).unwrap();
        self.introduce(command);
        let ended = supervised::run(command.current_dir(&client), &client);
        let how = match ended.status {
            Some(status) if status.success() => {
                assert!(self.child.try_wait().unwrap().is_none(), "the server has ended:\n{}", self.log());
                return ended.printed;
            }
            Some(status) => status.to_string(),
            None => "did not end".to_owned(),
        };
        panic!("{:?}: {how}\n{}\n--- the server:\n{}", command.get_program(), ended.printed, self.log());
    }

    /// Tells a program, in the variables that the official clients read, where the server is. Nothing goes elsewhere.
    fn introduce(&self, command: &mut Command) {
        command.env("OPENAI_BASE_URL", format!("{}/v1", self.url)).env("OPENAI_API_KEY", &self.key);
        command.env("ANTHROPIC_BASE_URL", &self.url).env("ANTHROPIC_API_KEY", &self.key);
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1").env("DO_NOT_TRACK", "1");
        command.env("HOME", self.folder.path());
    }

    #[track_caller]
    fn address(&mut self) -> String {
        let start = Instant::now();
        while start.elapsed() < START {
            let log = self.log();
            let told = log.lines().find_map(|line| line.split_once(LISTENING));
            if let Some((_, address)) = told {
                return address.split_whitespace().next().unwrap_or_default().trim_end_matches('/').to_owned();
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the server ended before it listened ({status}):\n{log}");
            }
            sleep(Duration::from_millis(20));
        }
        panic!("the server does not listen:\n{}", self.log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, with a home and a working folder of its own and nothing of this machine's settings.
fn glossa(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_glossa"));
    command.current_dir(folder).env_clear().env("HOME", folder);
    command
}

/// A new key, whose hash is in the keys file then.
fn key(folder: &Path) -> String {
    let made = glossa(folder).args(["key", "new", "--keys", KEYS]).output().unwrap();
    let (printed, told) = (String::from_utf8_lossy(&made.stdout), String::from_utf8_lossy(&made.stderr));
    assert!(made.status.success(), "{told}");
    printed.split_whitespace().last().unwrap_or_else(|| panic!("no key is printed: {told}")).to_owned()
}

/// A copy of the shipped model that takes longer prompts than it was trained for; what it says then is of no account.
pub(crate) fn model_for_long_prompts(folder: &Path) -> PathBuf {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/glossa-tiny");
    let copy = folder.join("glossa-tiny-long");
    fs::create_dir_all(&copy).unwrap();
    for name in ["model.safetensors", "tokenizer.json", "generation_config.json"] {
        fs::copy(shipped.join(name), copy.join(name)).unwrap();
    }
    let config = fs::read_to_string(shipped.join("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    config["max_position_embeddings"] = 131_072.into();
    fs::write(copy.join("config.json"), config.to_string()).unwrap();
    copy
}
