//! `glossa run`: a prompt in, a streamed answer out.

use std::io::{IsTerminal, Write, stderr, stdin, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use engine::{Drafts, Engine, Event, Finish, FinishReason, Job, Limits, Sampling};
use harmony::{
    Collector, Conversation, DeveloperContent, Parser, ReasoningEffort, Renderer, Role, SystemContent, TextStream,
    Vocabulary,
};
use serde_json::{Value, json};

use crate::arguments::{Effort, RunArguments, SamplingArguments};
use crate::console::{Progress, json_line, say, terminator};
use crate::date;
use crate::error::Error;
use crate::figures::{figures, reason_code};
use crate::guards;
use crate::loading;
use crate::output::{Display, Part};
use crate::packs;
use crate::shipped::Named;
use crate::text::given_or_stdin;

/// What a user of the model inside the program should know.
const SHIPPED_NOTE: &str = "No model named: the tiny built-in one answers. It only knows sums, tools and small talk; give the path of gpt-oss weights for more.\n";

/// What a turn gave.
struct Turn {
    ids: Vec<u32>,
    logprobs: Vec<f32>,
    messages: Collector,
    finish: Finish,
}

pub(crate) fn run(arguments: &RunArguments) -> Result<(), Error> {
    let (named, words) = Named::split(arguments.model.as_deref(), &arguments.words);
    let prompt = read_prompt(words, arguments.raw)?;
    let sampling = sampling(&arguments.sampling, &named)?;
    let device = loading::device(&arguments.compute)?;
    let started = Instant::now();
    let mut progress = Progress::new();
    if named == Named::Shipped && !arguments.quiet {
        say(SHIPPED_NOTE);
    }
    progress.show(arguments.quiet, &format!("loading {named} …"));
    let (checkpoint, vocabulary) = named.open()?;
    let mut stop_ids = if arguments.raw { Vec::new() } else { vocabulary.stop_ids()? };
    stop_ids.extend(&checkpoint.stop_ids);
    if !arguments.raw {
        // Some GGUF files call the end of a message the end of a turn; the model goes on after its analysis.
        let end = vocabulary.harmony_ids()?.end;
        stop_ids.retain(|&id| id != end);
    }
    let ids =
        if arguments.raw { vocabulary.encode_with_specials(&prompt) } else { render(arguments, &vocabulary, prompt)? };
    let precision = loading::precision(arguments.exact, arguments.compute.dense_weights)?;
    let kv = loading::kv(precision, arguments.compute.kv_form);
    let context_tokens = context_tokens(arguments.context, checkpoint.config.context_length)?;
    let limits = Limits::single(context_tokens, arguments.compute.chunk);
    let engine = Engine::new(packs::load(checkpoint, device, (precision, kv), named.path())?, limits)?;
    let loading_time = started.elapsed();
    // Exact sums depend on how many rows are computed together, so a guess could change the answer by a rounding.
    let drafts = if arguments.exact { Drafts::Off } else { Drafts::default() };
    let guards = match arguments.raw {
        true => None,
        false => Some(guards::guards(&vocabulary, arguments)?),
    };
    // Only JSON tells log probabilities.
    let top_logprobs = arguments.json.then_some(0);
    let tokens_max = arguments.max_tokens;
    let job = Job { sampling, stop_ids, tokens_max, top_logprobs, drafts, guards, ..Job::new(ids) };
    let turn = generate(arguments, &engine, &vocabulary, job, &mut progress)?;
    if arguments.json {
        print_json(&turn, loading_time)?;
    } else if !arguments.quiet {
        say(&format!("{}\n", figures(&turn.finish, loading_time)));
    }
    match turn.finish.reason {
        FinishReason::Cancelled => Err(Error::Interrupted),
        FinishReason::Stop(_)
        | FinishReason::Length
        | FinishReason::Context
        | FinishReason::Memory
        | FinishReason::Deadline => Ok(()),
    }
}

fn read_prompt(words: &[String], raw: bool) -> Result<String, Error> {
    if words.is_empty() && stdin().is_terminal() {
        return Err(Error::EmptyPrompt);
    }
    let part = |given: &str| {
        let text = given_or_stdin(Some(given))?;
        // A text that was piped in ends with the line end of whatever wrote it.
        let trim = given == "-" && !raw;
        Ok(if trim { text.trim_end_matches(['\r', '\n']).to_owned() } else { text })
    };
    let given = words.iter().map(String::as_str);
    let parts: Vec<&str> = if words.is_empty() { vec!["-"] } else { given.collect() };
    let parts: Vec<String> = parts.into_iter().map(part).collect::<Result<_, Error>>()?;
    let prompt = parts.join("\n\n");
    if parts.iter().all(String::is_empty) { Err(Error::EmptyPrompt) } else { Ok(prompt) }
}

fn render(arguments: &RunArguments, vocabulary: &Vocabulary, prompt: String) -> Result<Vec<u32>, Error> {
    let effort = match arguments.effort {
        Effort::Low => ReasoningEffort::Low,
        Effort::Medium => ReasoningEffort::Medium,
        Effort::High => ReasoningEffort::High,
    };
    let mut system = SystemContent::default().with_reasoning_effort(effort);
    if let Some(date) = date(&arguments.date)? {
        system = system.with_date(date);
    }
    let mut conversation = Conversation::default().with_system(system);
    if let Some(instructions) = &arguments.instructions {
        conversation = conversation.with_developer(DeveloperContent::default().with_instructions(instructions));
    }
    Ok(Renderer::new(vocabulary)?.render_for_completion(&conversation.with_user(prompt), Role::Assistant)?)
}

/// The date line of the system message: today's (UTC), a given one, or none.
fn date(option: &str) -> Result<Option<String>, Error> {
    let date = date::date(option).ok_or_else(|| Error::Option {
        name: "date",
        found: option.into(),
        expected: "YYYY-MM-DD, today or none".into(),
    })?;
    Ok(date.told())
}

fn context_tokens(asked: Option<usize>, most: usize) -> Result<usize, Error> {
    match asked {
        None => Ok(most),
        Some(tokens) if (2..=most).contains(&tokens) => Ok(tokens),
        Some(tokens) => {
            let expected = format!("2 to {most}, which this model was made for");
            Err(Error::Option { name: "context", found: tokens.to_string(), expected })
        }
    }
}

fn sampling(arguments: &SamplingArguments, named: &Named) -> Result<Sampling, Error> {
    let bias = |given: &String| {
        let (id, bias) = given.split_once('=').unwrap_or_default();
        id.parse().ok().zip(bias.parse().ok()).ok_or_else(|| Error::LogitBias { given: given.clone() })
    };
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64);
    Ok(Sampling {
        temperature: arguments.temperature.unwrap_or_else(|| named.temperature()),
        top_p: arguments.top_p,
        top_k: arguments.top_k,
        min_p: arguments.min_p,
        presence_penalty: arguments.presence_penalty,
        frequency_penalty: arguments.frequency_penalty,
        repetition_penalty: arguments.repetition_penalty,
        logit_bias: arguments.logit_bias.iter().map(bias).collect::<Result<_, _>>()?,
        seed: arguments.seed.unwrap_or_else(clock),
    })
}

fn generate(
    arguments: &RunArguments,
    engine: &Engine,
    vocabulary: &Vocabulary,
    job: Job,
    progress: &mut Progress,
) -> Result<Turn, Error> {
    let mut parser = if arguments.raw { None } else { Some(Parser::new(vocabulary, Some(Role::Assistant))?) };
    let mut display = Display::new(arguments.hide_reasoning);
    let mut events = Vec::new();
    let (mut messages, mut ids, mut logprobs) = (Collector::default(), Vec::new(), Vec::new());
    let mut raw_text = TextStream::default();
    progress.show(arguments.quiet, &format!("reading the prompt: {} tokens …", job.prompt.len()));
    let mut generation = engine.submit(job)?;
    let canceller = generation.canceller();
    let answering = Arc::new(AtomicBool::new(false));
    let has_begun = Arc::clone(&answering);
    let mut interrupts = 0;
    // Without a handler Ctrl-C still ends the program, only less politely.
    let _ = ctrlc::set_handler(move || {
        interrupts += 1;
        canceller.cancel();
        // While the prompt is read there is nothing to finish; a second Ctrl-C means now.
        if interrupts > 1 || !has_begun.load(Ordering::Relaxed) {
            if stderr().is_terminal() {
                say("\n");
            }
            std::process::exit(i32::from(Error::Interrupted.exit_code()));
        }
    });
    let finish = loop {
        match generation.next() {
            Some(Event::PromptRead { done, total }) => {
                progress.show(arguments.quiet, &format!("reading the prompt: {done} of {total} tokens …"));
            }
            Some(Event::PromptLogprobs(_) | Event::Guarded(_)) => {}
            Some(Event::Token(token)) => {
                progress.clear();
                answering.store(true, Ordering::Relaxed);
                ids.push(token.id);
                logprobs.push(token.logprob);
                match &mut parser {
                    Some(parser) => parser.push(token.id, &mut events),
                    None => {
                        let mut text = String::new();
                        raw_text.push(vocabulary.token_bytes(token.id).unwrap_or("\u{FFFD}".as_bytes()), &mut text);
                        display.show_raw(&text)?;
                    }
                }
            }
            Some(Event::Finished(finish)) => break finish,
            Some(Event::Failed(error)) => {
                progress.clear();
                display.end_message()?;
                return Err(error.into());
            }
            None => return Err(engine::Error::Stopped.into()),
        }
        show(&mut events, &mut display, &mut messages, arguments.json)?;
    };
    progress.clear();
    if let Some(parser) = &mut parser {
        parser.finish(&mut events);
    } else {
        let mut text = String::new();
        raw_text.finish(&mut text);
        display.show_raw(&text)?;
    }
    show(&mut events, &mut display, &mut messages, arguments.json)?;
    display.end_message()?;
    Ok(Turn { ids, logprobs, messages, finish })
}

fn show<A: Write, B: Write>(
    events: &mut Vec<harmony::Event>,
    display: &mut Display<A, B>,
    messages: &mut Collector,
    silent: bool,
) -> Result<(), Error> {
    for event in events.drain(..) {
        if !silent {
            display.show(&event)?;
        }
        messages.push(event);
    }
    Ok(())
}

fn print_json(turn: &Turn, loading: Duration) -> Result<(), Error> {
    let Turn { ids, logprobs, messages, finish } = turn;
    let text = |wanted: Part| -> String {
        let headers = messages.messages().iter().filter(|parsed| part(&parsed.message) == wanted);
        headers.map(|parsed| parsed.message.text()).collect::<Vec<_>>().join("\n")
    };
    let message = |parsed: &harmony::ParsedMessage| {
        let mut value = json!(parsed.message);
        value["terminator"] = json!(terminator(parsed.terminator));
        value
    };
    let stop_id = if let FinishReason::Stop(id) = finish.reason { Some(id) } else { None };
    let value = json!({
        "answer": text(Part::Answer),
        "reasoning": text(Part::Reasoning),
        "messages": messages.messages().iter().map(message).collect::<Vec<Value>>(),
        "token_ids": ids,
        "logprobs": logprobs,
        "finish_reason": reason_code(finish.reason),
        "stop_id": stop_id,
        "usage": { "prompt_tokens": finish.prompt_tokens, "generated_tokens": finish.generated_tokens },
        "seconds": {
            "load": loading.as_secs_f64(),
            "first_token": finish.first_token.map(|time| time.as_secs_f64()),
            "decode": finish.decode.map(|time| time.as_secs_f64()),
        },
        "kv_bytes": finish.kv_bytes,
        "guard": finish.guard.map(|report| json!({"kind": guards::code(report.kind), "reasoning_tokens": report.reasoning_tokens})),
        "drafts": { "tried": finish.drafted_tokens, "accepted": finish.accepted_tokens },
    });
    Ok(writeln!(stdout().lock(), "{}", json_line(&value))?)
}

fn part(message: &harmony::Message) -> Part {
    Part::of(&harmony::Header {
        author: message.author.clone(),
        recipient: message.recipient.clone(),
        channel: message.channel.clone(),
        content_type: None,
    })
}
