//! A server as the target of a load: llama.cpp's, or any that is compatible with OpenAI's completions. It must not know which loads
//! there are.
//!
//! Every request has a connection of its own, as clients of their own have. No proxy is asked, no redirect is followed: nothing
//! is sent anywhere but to the given address.

mod dialect;
mod lines;

use std::io::BufReader;
use std::ops::ControlFlow;
use std::time::Duration;

use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body};

use super::target::{Each, Ending, Inside, Manner, Request, Restart, Target};
use crate::arguments::Api;
use crate::error::Error;
use dialect::{Reading, body, number, path, start};
use lines::Events;

/// A server that is there answers at once.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// What it says about itself comes soon.
const ABOUT_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest answer, the time in the server's queue included.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3600);
/// Of what a server says besides answers no more is read.
const ABOUT_BYTES_MAX: u64 = 4 << 20;
/// Ids of the released vocabulary, where a server does not say how many it has.
const VOCABULARY_SIZE: usize = 201_088;

/// A server.
pub(super) struct Server {
    agent: Agent,
    /// Without a slash at the end.
    url: String,
    api: Api,
    /// How it calls its model.
    model: String,
    vocabulary_size: usize,
    context_tokens: Option<usize>,
}

/// What a server says about itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct About {
    is_llama_cpp: bool,
    model: Option<String>,
    vocabulary_size: Option<usize>,
    context_tokens: Option<usize>,
}

impl Server {
    /// Asks the server who it is.
    pub(super) fn connect(url: &str, api: Option<Api>) -> Result<Self, Error> {
        let url = checked(url)?;
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(ANSWER_TIMEOUT))
            .user_agent(concat!("glossa/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let mut server = Self {
            agent,
            url,
            api: Api::OpenAi,
            model: String::new(),
            vocabulary_size: VOCABULARY_SIZE,
            context_tokens: None,
        };
        let (properties, models) = (server.about("/props")?, server.about("/v1/models")?);
        let About { is_llama_cpp, model, vocabulary_size, context_tokens } =
            About::of(properties.as_ref(), models.as_ref());
        server.api = api.unwrap_or(if is_llama_cpp { Api::LlamaCpp } else { Api::OpenAi });
        server.model = model.unwrap_or_default();
        server.vocabulary_size = vocabulary_size.unwrap_or(VOCABULARY_SIZE);
        server.context_tokens = context_tokens;
        Ok(server)
    }

    /// What lies at a path, if it is JSON; nothing where the server has nothing there.
    fn about(&self, path: &str) -> Result<Option<Value>, Error> {
        let request =
            self.agent.get(format!("{}{path}", self.url)).config().timeout_global(Some(ABOUT_TIMEOUT)).build();
        let mut response = request.call().map_err(|error| self.unreachable(&error))?;
        if response.status().as_u16() == 503 {
            return Err(
                self.failed(format!("GET {path} answered 503, it is not ready"), "wait until it has loaded its model")
            );
        }
        let text = if response.status().is_success() { self.text(&mut response) } else { String::new() };
        Ok(serde_json::from_str(&text).ok())
    }

    fn text(&self, response: &mut Response<Body>) -> String {
        response.body_mut().with_config().limit(ABOUT_BYTES_MAX).lossy_utf8(true).read_to_string().unwrap_or_default()
    }

    /// Sends a request and gives the stream of its answer.
    fn post(&self, request: &Request) -> Result<Response<Body>, Error> {
        let path = path(self.api);
        let body = body(self.api, &self.model, request).to_string();
        let post = self.agent.post(format!("{}{path}", self.url)).content_type("application/json");
        let mut response = post.send(body).map_err(|error| self.unreachable(&error))?;
        let status = response.status().as_u16();
        if status == 200 {
            return Ok(response);
        }
        let said = start(&self.text(&mut response));
        let advice = match (status, self.api) {
            (404 | 405, Api::LlamaCpp) => "it has no llama.cpp API; try --compare-api openai",
            (404 | 405, Api::OpenAi) => "it must have OpenAI's completions (not only chat) to be compared with",
            (400 | 422, Api::LlamaCpp) => "it must take prompts of token ids, within its context and its vocabulary",
            (400 | 422, Api::OpenAi) => {
                "it must take prompts of token ids, ignore_eos, stream and stream_options.include_usage to be compared with"
            }
            (401 | 403, _) => "start it without an API key",
            (503 | 429, _) => "wait until it is ready, or ask for fewer clients",
            _ => "look into its log",
        };
        Err(self.failed(format!("POST {path} answered {status}: {said}"), advice))
    }

    fn unreachable(&self, error: &ureq::Error) -> Error {
        self.failed(error.to_string(), "check that the server runs and the address is right")
    }

    fn failed(&self, what: String, advice: &'static str) -> Error {
        Error::Server { url: self.url.clone(), what, advice }
    }
}

impl Target for Server {
    fn name(&self) -> &str {
        match self.api {
            Api::LlamaCpp => "llama.cpp",
            Api::OpenAi => "server",
        }
    }

    fn vocabulary_size(&self) -> usize {
        self.vocabulary_size
    }

    fn room_tokens(&self) -> Option<(usize, &'static str)> {
        Some((self.context_tokens?, "the context of the server"))
    }

    fn answer(&self, request: &Request, each: &mut Each<'_>) -> Result<Ending, Error> {
        // A server only learns that a client leaves when the connection closes, whichever way it was meant.
        let left = |manner| match manner {
            Manner::Cancel => Ending::left("cancelled"),
            Manner::Drop => Ending::left("dropped"),
        };
        let response = self.post(request)?;
        if let Some(manner) = request.leaves_at(0) {
            return Ok(left(manner));
        }
        let mut events = Events::new(BufReader::new(response.into_body().into_reader()));
        let mut reading = Reading::new(self.api);
        let broken = |what: String| self.failed(what, "look into its log");
        loop {
            let data = events.next_data().map_err(|error| broken(format!("the answer broke off: {error}")))?;
            let data = data.ok_or_else(|| broken("the answer ended before its end was told".into()))?;
            let step = reading.read(&data).map_err(broken)?;
            for id in step.tokens {
                if let ControlFlow::Break(manner) = each(id) {
                    return Ok(left(manner));
                }
            }
            if step.is_end {
                return Ok(reading.ending());
            }
        }
    }

    fn restart(&mut self) -> Result<Restart, Error> {
        Ok(Restart::Skipped("a server cannot be restarted from here"))
    }

    fn inside(&self) -> Option<Inside> {
        None
    }
}

impl About {
    /// From what lies at llama.cpp's `/props` and at `/v1/models`.
    fn of(properties: Option<&Value>, models: Option<&Value>) -> Self {
        let settings = properties.map(|properties| &properties["default_generation_settings"]);
        let model = models.map(|models| &models["data"][0]);
        Self {
            is_llama_cpp: settings.is_some_and(Value::is_object),
            model: model.and_then(|model| model["id"].as_str()).map(str::to_owned),
            vocabulary_size: model.and_then(|model| number(&model["meta"]["n_vocab"])).filter(|&size| size > 0),
            context_tokens: settings
                .and_then(|settings| number(&settings["n_ctx"]))
                .or_else(|| model.and_then(|model| number(&model["max_model_len"]))),
        }
    }
}

/// The address without a slash at its end.
fn checked(url: &str) -> Result<String, Error> {
    let wrong = |expected: &str| Error::Option { name: "compare", found: url.into(), expected: expected.into() };
    if url.starts_with("https:") {
        return Err(wrong("http://HOST:PORT: servers on this machine or in its network, which need no TLS"));
    }
    let rest = url.strip_prefix("http://").ok_or_else(|| wrong("http://HOST:PORT"))?;
    if rest.is_empty() || rest.starts_with('/') || rest.contains(['?', '#', '@']) || rest.contains(char::is_whitespace)
    {
        return Err(wrong("http://HOST:PORT, without user, question or fragment"));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{About, checked};

    #[test]
    fn addresses() {
        assert_eq!(checked("http://127.0.0.1:8080/").unwrap(), "http://127.0.0.1:8080");
        assert_eq!(checked("http://[::1]:1/base").unwrap(), "http://[::1]:1/base");
        for (url, word) in [
            ("https://127.0.0.1", "TLS"),
            ("127.0.0.1:80", "http://HOST"),
            ("http://", "HOST"),
            ("http:///x", "HOST"),
            ("http://a b", "HOST"),
            ("http://me@host", "user"),
            ("file:///etc", "http://"),
        ] {
            let error = checked(url).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("--compare"), "{error}");
        }
    }

    #[test]
    fn servers_say_who_they_are() {
        let properties = json!({"default_generation_settings": {"n_ctx": 4096}});
        let models = json!({"data": [{"id": "m.gguf", "meta": {"n_vocab": 512}}]});
        let about = About::of(Some(&properties), Some(&models));
        let expected = About {
            is_llama_cpp: true,
            model: Some("m.gguf".into()),
            vocabulary_size: Some(512),
            context_tokens: Some(4096),
        };
        assert_eq!(about, expected);
        let other = About::of(None, Some(&json!({"data": [{"id": "m", "max_model_len": 100}]})));
        assert_eq!((other.is_llama_cpp, other.context_tokens), (false, Some(100)));
        assert_eq!(About::of(None, None), About::default());
        assert_eq!(About::of(Some(&json!(3)), Some(&json!([]))), About::default());
    }
}
