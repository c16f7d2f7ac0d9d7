//! From the events that a log has back to those of the turn, as far as clients were told of it. It must not know why.

use agent::{Call, CallKind, Opening, Part, Phase, Said, ToolName, TurnEvent};
use serde_json::Value;

/// The turn up to where the log ends. What is not told to clients (tokens, probabilities) is missing in it.
pub(super) fn turn_events(log: &[Value]) -> Vec<TurnEvent> {
    let mut events = Vec::new();
    let mut index = 0;
    let mut open: Option<(Opening, String)> = None;
    for event in log {
        match event["type"].as_str().unwrap_or_default() {
            "response.output_item.added" => {
                open = opening(&event["item"]).map(|opening| (opening, String::new()));
                events.extend(open.iter().map(|(opening, _)| TurnEvent::Began { index, opening: opening.clone() }));
            }
            "response.reasoning_text.delta"
            | "response.output_text.delta"
            | "response.function_call_arguments.delta"
            | "response.custom_tool_call_input.delta" => {
                let Some((_, text)) = &mut open else { continue };
                let delta = event["delta"].as_str().unwrap_or_default();
                text.push_str(delta);
                events.push(TurnEvent::Delta { index, text: delta.to_owned(), logprobs: Vec::new() });
            }
            "response.output_item.done" => {
                let Some((opening, text)) = open.take() else { continue };
                let said = Said { part: part(opening, text), tokens: None };
                events.push(TurnEvent::Ended { index, said, cut: event["item"]["status"] == "incomplete" });
                index += 1;
            }
            _ => {}
        }
    }
    events
}

fn opening(item: &Value) -> Option<Opening> {
    let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
    let call = |kind| {
        let namespace = item["namespace"].as_str().unwrap_or("functions").to_owned();
        Opening::Call { id: text("call_id"), tool: ToolName { namespace, name: text("name") }, kind }
    };
    match item["type"].as_str()? {
        "reasoning" => Some(Opening::Reasoning),
        "message" if item["phase"] == "commentary" => Some(Opening::Message(Phase::Commentary)),
        "message" => Some(Opening::Message(Phase::Final)),
        "function_call" => Some(call(CallKind::Function)),
        "custom_tool_call" => Some(call(CallKind::Custom)),
        _ => None,
    }
}

fn part(opening: Opening, text: String) -> Part {
    match opening {
        Opening::Reasoning => Part::Reasoning(text),
        Opening::Message(phase) => Part::Message { phase, text },
        Opening::Call { id, tool, kind } => Part::Call(Call { id, tool, kind, input: text }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::responses::{Mint, Options, Projection, ResponseHead, item_names};

    fn projection() -> Projection {
        let head = ResponseHead { id: "resp_1".to_owned(), created_at: 1, echoed: serde_json::Map::new() };
        let mint = Mint { id: Box::new(item_names("resp_1")), now: Box::new(|| 2) };
        Projection::new(mint, head, Options::default())
    }

    #[test]
    fn what_was_told_can_be_told_again() {
        let tool = ToolName { namespace: "shop".to_owned(), name: "buy".to_owned() };
        let openings = [
            Opening::Reasoning,
            Opening::Message(Phase::Commentary),
            Opening::Call { id: "call_1".to_owned(), tool: ToolName::function("look"), kind: CallKind::Function },
            Opening::Call { id: "call_2".to_owned(), tool, kind: CallKind::Custom },
            Opening::Message(Phase::Final),
        ];
        let mut turn = Vec::new();
        for (index, opening) in openings.into_iter().enumerate() {
            turn.push(TurnEvent::Began { index, opening: opening.clone() });
            for text in ["so ", "it is"] {
                turn.push(TurnEvent::Delta { index, text: text.to_owned(), logprobs: Vec::new() });
            }
            let said = Said { part: part(opening, "so it is".to_owned()), tokens: None };
            turn.push(TurnEvent::Ended { index, said, cut: index == 4 });
        }
        let mut projection = projection();
        let mut log = projection.start();
        log.extend(turn.iter().flat_map(|event| projection.push(event)));
        assert_eq!(turn_events(&log), turn);
        // Wherever the log ends, the rest follows from what is there.
        let cut = log.iter().position(|event| event["type"] == "response.custom_tool_call_input.delta").unwrap();
        assert_eq!(turn_events(&log[..=cut]), turn[..14]);
    }
}
