//! Runs a turn to its end and holds its stream to what `TurnEvent` promises.

use agent::{Agent, Call, Opening, Outcome, Part, Said, Turn, TurnEvent, TurnRequest};

/// What a turn gave.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) items: Vec<(Said, bool)>,
    pub(crate) outputs: Vec<(String, String)>,
    pub(crate) outcome: Outcome,
    /// Prompt and all that was kept.
    pub(crate) tokens: Vec<u32>,
    /// Log probabilities per item.
    pub(crate) logprobs: Vec<Vec<agent::TokenLogprob>>,
}

pub(crate) fn hear(agent: &Agent, request: TurnRequest) -> Heard {
    let mut turn = agent.begin(request).unwrap();
    listen(&mut turn)
}

/// Everything a turn says, and whether it says it in order.
pub(crate) fn listen(turn: &mut Turn) -> Heard {
    let (mut items, mut outputs, mut logprobs) = (Vec::new(), Vec::new(), Vec::new());
    let mut open: Option<(Opening, String)> = None;
    let (mut running, mut outcome) = (None, None);
    for event in turn.by_ref() {
        assert!(outcome.is_none(), "nothing follows the end: {event:?}");
        match event {
            TurnEvent::Reading { done, total } => assert!(done <= total && items.is_empty() && open.is_none()),
            TurnEvent::Began { index, opening } => {
                assert!(open.is_none() && running.is_none());
                assert_eq!(index, items.len());
                open = Some((opening, String::new()));
                logprobs.push(Vec::new());
            }
            TurnEvent::Delta { index, text, logprobs: more } => {
                assert_eq!(index, items.len());
                assert!(!text.is_empty() || !more.is_empty());
                logprobs[index].extend(more);
                open.as_mut().unwrap().1.push_str(&text);
            }
            TurnEvent::Ended { index, said, cut } => {
                assert_eq!(index, items.len());
                let (opening, text) = open.take().unwrap();
                assert_eq!((opening, text), described(&said.part));
                assert!(!cut || said.tokens.is_none());
                items.push((said, cut));
            }
            TurnEvent::ToolBegan { call_id } => {
                assert!(open.is_none());
                assert_eq!(call(&items.last().unwrap().0).id, call_id);
                running = Some(call_id);
            }
            TurnEvent::ToolEnded { call_id, output } => {
                assert_eq!(running.take().as_ref(), Some(&call_id));
                outputs.push((call_id, output));
            }
            TurnEvent::Finished(end) => {
                assert!(open.is_none());
                outcome = Some(end);
            }
        }
    }
    assert_eq!(turn.next(), None);
    let (outcome, tokens) = (outcome.expect("a turn ends"), turn.tokens().to_vec());
    let usage = outcome.usage;
    assert_eq!(usage.input_tokens + usage.output_tokens, tokens.len());
    assert!(usage.reasoning_tokens <= usage.output_tokens && usage.cached_tokens <= usage.input_tokens);
    Heard { items, outputs, outcome, tokens, logprobs }
}

fn described(part: &Part) -> (Opening, String) {
    match part {
        Part::Reasoning(text) => (Opening::Reasoning, text.clone()),
        Part::Message { phase, text } => (Opening::Message(*phase), text.clone()),
        Part::Call(Call { id, tool, kind, input }) => {
            (Opening::Call { id: id.clone(), tool: tool.clone(), kind: *kind }, input.clone())
        }
    }
}

pub(crate) fn call(said: &Said) -> &Call {
    match &said.part {
        Part::Call(call) => call,
        part => panic!("a call, not {part:?}"),
    }
}

impl Heard {
    /// The items in short: `~thought`, `-preamble`, `answer`, `tool(input)`; `…` behind what was cut.
    pub(crate) fn brief(&self) -> Vec<String> {
        let brief = |(said, cut): &(Said, bool)| {
            let text = match &said.part {
                Part::Reasoning(text) => format!("~{text}"),
                Part::Message { phase: agent::Phase::Commentary, text } => format!("-{text}"),
                Part::Message { phase: agent::Phase::Final, text } => text.clone(),
                Part::Call(call) => format!("{}({})", call.tool, call.input),
            };
            if *cut { format!("{text}…") } else { text }
        };
        self.items.iter().map(brief).collect()
    }
}
