//! A server that answers by a script, in either way of speaking, over real sockets: its bytes come in awkward pieces, it holds tokens
//! back, and it breaks off when told to. It must not know who asks.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// How the server behaves.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Script {
    /// As llama.cpp's, with a token held back.
    LlamaCpp,
    /// As one that is compatible with OpenAI.
    OpenAi,
    /// It knows chats only.
    OnlyChat,
    /// It takes no token ids.
    OnlyText,
    /// Its model is being loaded.
    Loading,
    /// Every second answer of llama.cpp's breaks off.
    BreaksOff,
    /// Answers are no events.
    Nonsense,
}

/// A server on a port of its own; it ends with the test.
pub(crate) struct Server {
    pub(crate) url: String,
    seen: Arc<Mutex<Seen>>,
}

/// What came in.
#[derive(Default)]
struct Seen {
    /// Prompts and what was answered to them.
    texts: Vec<Vec<u64>>,
    requests: Vec<Value>,
}

impl Server {
    pub(crate) fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::<Mutex<Seen>>::default();
        let theirs = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let seen = Arc::clone(&theirs);
                // A client that leaves early breaks the pipe; that is no failure of the test.
                thread::spawn(move || stream.map(|stream| serve(script, stream, &seen)));
            }
        });
        Self { url, seen }
    }

    /// Bodies of all requests for an answer.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.seen.lock().unwrap().requests.clone()
    }
}

fn serve(script: Script, stream: TcpStream, seen: &Mutex<Seen>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut out = stream;
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some((_, value)) = line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let is_llama_cpp = matches!(script, Script::LlamaCpp | Script::BreaksOff | Script::Nonsense);
    match (path.as_str(), script) {
        (_, Script::Loading) => whole(&mut out, 503, &json!({"error": {"message": "Loading model"}})),
        ("/props", _) if is_llama_cpp => whole(&mut out, 200, &json!({"default_generation_settings": {"n_ctx": 5000}})),
        ("/v1/models", _) => whole(&mut out, 200, &json!({"data": [{"id": "scripted", "meta": {"n_vocab": 512}}]})),
        ("/v1/completions", Script::OnlyText) => {
            whole(&mut out, 400, &json!({"error": {"message": "prompt must be a string"}}))
        }
        ("/completion", _) if is_llama_cpp => answer(script, &mut out, &body, seen),
        ("/v1/completions", Script::OpenAi) => answer(script, &mut out, &body, seen),
        _ => whole(&mut out, 404, &json!({"error": {"message": "File Not Found"}})),
    }
}

fn whole(out: &mut TcpStream, status: u16, body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    write!(out, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// Streams an answer: ids 100, 101, …
fn answer(script: Script, out: &mut TcpStream, body: &[u8], seen: &Mutex<Seen>) -> std::io::Result<()> {
    let request: Value = serde_json::from_slice(body).unwrap();
    let prompt: Vec<u64> = request["prompt"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
    let wanted = request["n_predict"].as_u64().or_else(|| request["max_tokens"].as_u64()).unwrap();
    let mut text = prompt.clone();
    text.extend((0..wanted).map(|index| 100 + index));
    let (found, number) = {
        let mut seen = seen.lock().unwrap();
        let shared = |other: &Vec<u64>| other.iter().zip(&prompt).take_while(|(a, b)| a == b).count();
        let found = seen.texts.iter().map(shared).max().unwrap_or(0).min(prompt.len() - 1);
        seen.texts.push(text);
        seen.requests.push(request);
        (found, seen.requests.len())
    };
    write!(out, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    if script == Script::Nonsense {
        chunk(out, b"data: <html>\n\n")?;
        return out.write_all(b"0\r\n\r\n");
    }
    for index in 0..wanted {
        if script == Script::BreaksOff && index == wanted / 2 && number.is_multiple_of(2) {
            return Ok(());
        }
        // Half a character: the text waits for the next token.
        if wanted > 4 && index == 2 {
            continue;
        }
        let event = match script {
            Script::OpenAi => json!({"choices": [{"text": "x", "index": 0, "finish_reason": null}]}),
            _ => json!({"content": "x", "tokens": [100 + index], "stop": false, "tokens_predicted": index + 1}),
        };
        pieces(out, &event)?;
    }
    let (prompt, computed) = (prompt.len(), prompt.len() - found);
    if script == Script::OpenAi {
        pieces(out, &json!({"choices": [{"text": "", "index": 0, "finish_reason": "length"}]}))?;
        let usage = json!({"prompt_tokens": prompt, "completion_tokens": wanted,
            "prompt_tokens_details": {"cached_tokens": found}});
        pieces(out, &json!({"choices": [], "usage": usage}))?;
        chunk(out, b"data: [DONE]\n\n")?;
    } else {
        pieces(
            out,
            &json!({"content": "", "tokens": [], "stop": true, "stop_type": "limit", "truncated": false,
            "tokens_predicted": wanted, "tokens_evaluated": prompt,
            "timings": {"prompt_n": computed, "cache_n": found, "predicted_n": wanted}}),
        )?;
    }
    out.write_all(b"0\r\n\r\n")
}

/// An event in two chunks that are cut in its middle.
fn pieces(out: &mut TcpStream, event: &Value) -> std::io::Result<()> {
    let text = format!("data: {event}\n\n");
    let (first, second) = text.as_bytes().split_at(text.len() / 2);
    chunk(out, first)?;
    chunk(out, second)
}

fn chunk(out: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let mut whole = format!("{:x}\r\n", bytes.len()).into_bytes();
    whole.extend(bytes);
    whole.extend(b"\r\n");
    out.write_all(&whole)
}
