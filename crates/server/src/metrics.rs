//! Figures for Prometheus: of requests and turns as they end, of the engine when somebody asks. It must not know routes.
//!
//! Names that begin with `vllm:` are those that routers and autoscalers look for; they mean the same as vLLM's.

mod engine_figures;

use std::sync::Arc;

use agent::Agent;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::life::Life;
use crate::turns::TurnTimes;
use engine_figures::EngineFigures;

/// Seconds of requests: from a refusal to a long answer of a large model.
const REQUEST_SECONDS: [f64; 14] = [0.005, 0.02, 0.1, 0.3, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0];
/// Seconds to the first token: from a found prefix to a prompt that fills the context.
const FIRST_SECONDS: [f64; 12] = [0.01, 0.03, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0];
/// Seconds per token.
const TOKEN_SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0];

/// The figures of a server.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    request_seconds: Family<Route, Histogram, fn() -> Histogram>,
    tokens: Family<Kind, Counter>,
    first_token_seconds: Histogram,
    token_seconds: Histogram,
    queue_seconds: Histogram,
    guards: Counter,
    /// Handlers and streams that panicked.
    pub(crate) panics: Counter,
    /// Spans that the collector did not take.
    pub(crate) lost_spans: Counter,
}

/// A request that is over.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Request {
    pub(crate) route: String,
    pub(crate) method: &'static str,
    pub(crate) status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

impl Metrics {
    /// All figures, from nothing.
    pub(crate) fn new(agent: Agent, life: Life, model: &str) -> Arc<Self> {
        let of_requests: fn() -> Histogram = || Histogram::new(REQUEST_SECONDS);
        let mut metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(of_requests),
            tokens: Family::default(),
            first_token_seconds: Histogram::new(FIRST_SECONDS),
            token_seconds: Histogram::new(TOKEN_SECONDS),
            queue_seconds: Histogram::new(FIRST_SECONDS),
            guards: Counter::default(),
            panics: Counter::default(),
            lost_spans: Counter::default(),
        };
        metrics.register(agent, life, model);
        Arc::new(metrics)
    }

    fn register(&mut self, agent: Agent, life: Life, model: &str) {
        let Self { registry, requests, request_seconds, tokens, .. } = self;
        let Self { first_token_seconds, token_seconds, queue_seconds, guards, panics, lost_spans, .. } = self;
        registry.register("glossa_requests", "Requests that are over", requests.clone());
        registry.register("glossa_request_seconds", "From a request to the end of its answer", request_seconds.clone());
        registry.register(
            "glossa_tokens",
            "Tokens of turns: input, cached (part of input), output, reasoning (part of output)",
            tokens.clone(),
        );
        let first = "From a turn's request to its first text";
        registry.register("glossa_time_to_first_token_seconds", first, first_token_seconds.clone());
        registry.register("vllm:time_to_first_token_seconds", first, first_token_seconds.clone());
        let each = "Per token behind the first";
        registry.register("glossa_time_per_output_token_seconds", each, token_seconds.clone());
        registry.register("vllm:time_per_output_token_seconds", each, token_seconds.clone());
        registry.register(
            "glossa_queue_seconds",
            "From a turn's request to the first token of its prompt",
            queue_seconds.clone(),
        );
        registry.register("glossa_guarded_turns", "Turns whose thoughts a guard ended", guards.clone());
        registry.register("glossa_panics", "Handlers and streams that panicked; each is a bug", panics.clone());
        registry.register("glossa_lost_spans", "Spans that the collector of traces did not take", lost_spans.clone());
        registry.register_collector(Box::new(EngineFigures::new(agent, life, model.to_owned())));
    }

    /// A request is over.
    pub(crate) fn request(&self, request: &Request, seconds: f64) {
        self.request_seconds.get_or_create(&Route { route: request.route.clone() }).observe(seconds);
        self.requests.get_or_create(request).inc();
    }

    /// A turn is over.
    pub(crate) fn turn(&self, times: &TurnTimes) {
        let TurnTimes { asked, begun, first_token, ended, usage, ending: _, guarded } = *times;
        let agent::Usage { input_tokens, cached_tokens, output_tokens, reasoning_tokens } = usage;
        let kinds = [
            ("input", input_tokens),
            ("cached", cached_tokens),
            ("output", output_tokens),
            ("reasoning", reasoning_tokens),
        ];
        for (kind, tokens) in kinds {
            self.tokens.get_or_create(&Kind { kind }).inc_by(tokens as u64);
        }
        if let Some(begun) = begun {
            self.queue_seconds.observe((begun - asked).as_secs_f64());
        }
        if let Some(first) = first_token {
            self.first_token_seconds.observe((first - asked).as_secs_f64());
            if output_tokens > 1 {
                self.token_seconds.observe((ended - first).as_secs_f64() / (output_tokens - 1) as f64);
            }
        }
        self.guards.inc_by(u64::from(guarded));
    }

    /// Everything, in the text format of OpenMetrics.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).expect("a string takes everything");
        text
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use agent::testing::vocabulary;
    use agent::{Effort, Format, Item, Settings, TurnRequest};
    use serde_json::json;

    use super::*;

    #[test]
    fn what_forms_cost_and_save_is_in_the_figures() {
        let agent = Agent::noisy(&vocabulary(), 1, Settings::default(), 4096);
        let metrics = Metrics::new(agent.clone(), Life::default(), "tiny");
        let properties = json!({ "a": { "const": "always the same text" }, "b": { "type": "boolean" } });
        let schema = json!({ "type": "object", "properties": properties, "required": ["a", "b"] });
        let format = Format::JsonSchema { name: "a".to_owned(), description: None, schema, strict: true };
        let request = TurnRequest::new(vec![Item::User("hello".to_owned())]);
        let turn = agent.begin(TurnRequest { format, effort: Effort::None, ..request }).unwrap();
        assert!(turn.count() > 0);
        let text = metrics.text();
        let told = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("glossa_engine_{name}_total ")));
            line.unwrap_or_else(|| panic!("{name} is not in {text}")).parse::<f64>().unwrap()
        };
        assert!(told("masks") >= 1.0 && told("mask_seconds") > 0.0 && told("forced_tokens") >= 3.0, "{text}");
        assert!(told("late_masks") <= told("masks"));
    }

    #[test]
    fn a_turn_is_in_the_figures_under_all_their_names() {
        let metrics = Metrics::new(Agent::scripted(""), Life::default(), "tiny");
        let asked = Instant::now();
        let after = |seconds| asked + Duration::from_secs(seconds);
        metrics.turn(&TurnTimes {
            asked,
            begun: Some(after(1)),
            first_token: Some(after(3)),
            ended: after(11),
            usage: agent::Usage { input_tokens: 90, cached_tokens: 80, output_tokens: 5, reasoning_tokens: 2 },
            ending: None,
            guarded: true,
        });
        metrics.request(&Request { route: "/v1/x".to_owned(), method: "POST", status: 200 }, 12.0);
        let text = metrics.text();
        for line in [
            "glossa_tokens_total{kind=\"input\"} 90",
            "glossa_tokens_total{kind=\"cached\"} 80",
            "glossa_tokens_total{kind=\"output\"} 5",
            "glossa_tokens_total{kind=\"reasoning\"} 2",
            "glossa_queue_seconds_sum 1.0",
            "glossa_time_to_first_token_seconds_sum 3.0",
            "vllm:time_to_first_token_seconds_sum 3.0",
            "glossa_time_per_output_token_seconds_sum 2.0",
            "vllm:time_per_output_token_seconds_sum 2.0",
            "glossa_guarded_turns_total 1",
            "glossa_requests_total{route=\"/v1/x\",method=\"POST\",status=\"200\"} 1",
            "glossa_request_seconds_sum{route=\"/v1/x\"} 12.0",
            "glossa_up 1.0",
            "vllm:num_requests_running{model_name=\"tiny\"} 0.0",
            "vllm:num_requests_waiting{model_name=\"tiny\"} 0.0",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} is not in {text}");
        }
    }
}
