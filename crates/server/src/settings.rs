//! What an operator decides about the server, as plain values. It must not know where they were read.

use std::time::Duration;

use agent::Effort;

/// What an operator decides; the defaults suit one person on one machine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long to think where a request does not say.
    pub default_effort: Effort,
    /// The temperature where a request does not say.
    pub default_temperature: f32,
    /// Tokens that are kept for the answer where a request does not say; fewer where it allows no more in all.
    pub reserve_answer_tokens: usize,
    /// The date that the model is told.
    pub date: Date,
    /// What happens to tools that OpenAI would run and this server does not.
    pub hosted_tools: HostedTools,
    /// Silence of a stream after which a comment says that the server is still there.
    pub keep_alive: Duration,
    /// How long a request may take before it is ended where it stands; `None` sets no bound.
    pub request_timeout: Option<Duration>,
    /// How long stored objects are kept; `None` keeps them until they are deleted.
    pub stored_for: Option<Duration>,
    /// Background requests that are computed at once, and lines of a batch; the others wait.
    pub background_workers: usize,
    /// The secret that seals what clients carry for us; `None` makes one and keeps it in the store.
    pub seal_key: Option<[u8; 32]>,
    /// Bytes of a request's body.
    pub body_bytes_max: usize,
    /// Bytes of an uploaded file.
    pub file_bytes_max: usize,
    /// Origins whose pages may call this server; `*` for all. None by default.
    pub cors_origins: Vec<String>,
    /// Names besides this machine's own under which it may be asked where nobody needs a key and only this machine reaches it; `*` for
    /// all. None by default.
    pub allowed_hosts: Vec<String>,
    /// Whether prompts and answers may stand in the log.
    pub log_prompts: bool,
}

/// The date that the model is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Date {
    /// The day of the request, in UTC.
    #[default]
    Today,
    /// Always this one, as `2025-06-28`, so that answers can be repeated.
    Fixed(String),
    /// None.
    Untold,
}

/// What happens to tools that OpenAI would run and this server does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostedTools {
    /// The request is refused.
    #[default]
    Refuse,
    /// The model is not told of them.
    Ignore,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_effort: Effort::Medium,
            default_temperature: 1.0,
            reserve_answer_tokens: 0,
            date: Date::default(),
            hosted_tools: HostedTools::default(),
            keep_alive: Duration::from_secs(15),
            request_timeout: None,
            stored_for: Some(Duration::from_secs(30 * 86_400)),
            background_workers: 4,
            seal_key: None,
            body_bytes_max: 32 << 20,
            file_bytes_max: 512 << 20,
            cors_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            log_prompts: false,
        }
    }
}

impl Date {
    /// What the model is told now.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        match self {
            Self::Today => {
                let now = time::OffsetDateTime::now_utc().date();
                Some(format!("{:04}-{:02}-{:02}", now.year(), u8::from(now.month()), now.day()))
            }
            Self::Fixed(date) => Some(date.clone()),
            Self::Untold => None,
        }
    }
}
