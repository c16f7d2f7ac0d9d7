//! A server that is killed in the middle of a hundred background responses, twice: the next one ends each, and nothing that was
//! acknowledged is lost.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use store::{Clock, Store};

use crate::support::{Api, answering, text, thought};

const RESPONSES: usize = 100;
/// As many as have ended before each kill.
const ENDED_FIRST: usize = 15;
const ENDED_SECOND: usize = 40;
/// Each start is so much later than the one before: a dead process's leases have run out.
const LATER_MS: i64 = 60_000;
const FOLDER: &str = "GLOSSA_TEST_STATE_FOLDER";
const START: &str = "GLOSSA_TEST_STATE_START";

fn answer(prompt: &str) -> String {
    let number = prompt.rsplit("task ").next().and_then(|rest| rest.split('<').next()).unwrap_or("?");
    let text: Vec<String> = (0..8).map(|part| format!("part {part} of {number}")).collect();
    thought(&format!("This is {number}, so it is."), &text.join(", "))
}

async fn server(folder: &Path, start: i64, pace: Duration) -> Api {
    let clock = Clock::new(move || Clock::system().now_ms() + start * LATER_MS);
    let settings = store::Settings { clock, ..store::Settings::default() };
    let store = Store::open(&format!("sqlite:{}", folder.join("store.db").display()), settings).await.unwrap();
    let (agent, _) = answering(answer, move || std::thread::sleep(pace));
    Api::over(agent, store, server::Settings { background_workers: 8, ..server::Settings::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Server::start(folder.path(), 0);
    let accepted: Vec<Value> = (0..RESPONSES).map(|_| serde_json::from_str(&first.word("accepted")).unwrap()).collect();
    let kept: Value = serde_json::from_str(&first.word("kept")).unwrap();
    first.wait_for_ended(ENDED_FIRST);
    first.kill();
    let mut second = Server::start(folder.path(), 1);
    second.wait_for_ended(ENDED_SECOND);
    second.kill();
    let mut api = server(folder.path(), 2, Duration::ZERO).await;
    let path = |response: &Value| format!("/v1/responses/{}", response["id"].as_str().unwrap());
    assert_eq!(api.get(&path(&kept)).await, kept);
    for (number, queued) in accepted.iter().enumerate() {
        let response = api.ended(queued["id"].as_str().unwrap()).await;
        assert_eq!(response["status"], "completed", "{response}");
        assert!(text(&response).ends_with(&format!("part 7 of {number}")), "{response}");
        let events = api.events(&format!("{}?stream=true", path(queued))).await;
        for (number, event) in events.iter().enumerate() {
            assert_eq!(event["sequence_number"], json!(number));
        }
        let deltas = events.iter().filter(|event| event["type"] == "response.output_text.delta");
        let told: String = deltas.map(|event| event["delta"].as_str().unwrap()).collect();
        assert_eq!(told, text(&response), "the stream is one, whoever wrote it");
        assert_eq!(events.last().unwrap()["response"], response);
        let input = api.get(&format!("{}/input_items", path(queued))).await;
        assert_eq!(input["data"][0]["content"][0]["text"], format!("task {number}"));
    }
    // A job is finished behind its response.
    api.workers.take().unwrap().stop().await;
    let stats = api.store.stats().await.unwrap();
    assert_eq!((stats.jobs_waiting, stats.jobs_held), (0, 0), "{stats:?}");
}

/// A process that runs the test below.
struct Server {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Server {
    fn start(folder: &Path, start: i64) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--ignored", "--nocapture", "killed::serves_until_killed"]);
        command.env(FOLDER, folder).env(START, start.to_string()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// What is said behind the next of these words.
    fn word(&mut self, word: &str) -> String {
        let lines = self.lines.by_ref().map(|line| line.unwrap());
        let mut said = lines.filter_map(|line| line.strip_prefix(word).map(|rest| rest.trim().to_owned()));
        said.next().expect("the server has ended by itself")
    }

    fn wait_for_ended(&mut self, count: usize) {
        while self.word("ended").parse::<usize>().unwrap() < count {}
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes sense only in a process that is killed; the other test starts it"]
async fn serves_until_killed() {
    let (Ok(folder), Ok(start)) = (std::env::var(FOLDER), std::env::var(START)) else { return };
    // Not by a macro, whose output the test harness might hold back. It fails when the parent has gone.
    let say = |word: &str, what: &str| std::io::stdout().write_all(format!("{word} {what}\n").as_bytes()).unwrap();
    let api = server(folder.as_ref(), start.parse().unwrap(), Duration::from_micros(500)).await;
    if start == "0" {
        for number in 0..RESPONSES {
            let queued = api.ask(json!({ "input": format!("task {number}"), "background": true })).await;
            say("accepted", &queued.to_string());
        }
        say("kept", &api.ask(json!({ "input": "task now" })).await.to_string());
    }
    loop {
        let stats = api.store.stats().await.unwrap();
        let jobs = usize::try_from(stats.jobs_waiting + stats.jobs_held).unwrap();
        say("ended", &(RESPONSES - jobs).to_string());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
