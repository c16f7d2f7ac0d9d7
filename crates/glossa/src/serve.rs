//! `glossa serve`: configuration, model, store and server put together. It must not know any API.

mod identity;
mod loaded;
mod logging;
mod signals;

use std::io::{Write, stdout};
use std::net::SocketAddr;
use std::time::Duration;

use server::{App, Bound, Keys, Listen, Parts, Phase, Settings};
use store::Store;

use crate::arguments::ServeArguments;
use crate::config::Config;
use crate::console::say;
use crate::error::Error;
use loaded::Loaded;

/// Longest time for what is left when the server has ended.
const END_TIME: Duration = Duration::from_secs(5);

/// `glossa serve`.
pub(crate) fn run(arguments: &ServeArguments) -> Result<(), Error> {
    let config = Config::read(arguments)?;
    logging::start(config.log_json, config.log_level);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("server")
        .enable_all()
        .build()
        .map_err(|source| Error::Runtime { source })?;
    // What is wrong with port, keys or store shows before minutes of loading.
    let keys = config.keys.as_deref().map(Keys::read).transpose()?;
    let bound = runtime.block_on(Bound::new(listen(&config)))?;
    let store = runtime.block_on(Store::open(&config.store_url, store_settings(&config)))?;
    let loaded = Loaded::new(&config)?;
    let outcome = runtime.block_on(serve(&config, bound, (keys, store), loaded));
    runtime.shutdown_timeout(END_TIME);
    outcome
}

async fn serve(
    config: &Config,
    bound: Bound,
    (keys, store): (Option<Keys>, Store),
    loaded: Loaded,
) -> Result<(), Error> {
    let Loaded { agent, name, temperature } = loaded;
    let models: Vec<String> = std::iter::once(name).chain(config.aliases.iter().cloned()).collect();
    let has_keys = keys.is_some();
    let settings = Settings { default_temperature: temperature, ..config.settings.clone() };
    let parts = Parts { agent, store, models: models.clone(), settings, keys };
    let app = App::new(parts);
    if let Some(endpoint) = &config.otlp_endpoint {
        app.trace_to(endpoint)?;
    }
    let workers = app.start().await?;
    signals::watch(app.clone());
    let url = bound.url();
    writeln!(stdout(), "listening on {url}")?;
    say(&how_to_try(&url, &models, has_keys));
    let life = app.life().clone();
    // What runs in the background goes back into the queue while what others wait for is finished.
    let given_back = async {
        life.reached(Phase::Draining).await;
        workers.stop().await;
    };
    tokio::join!(bound.serve(app), given_back);
    tracing::info!("ended");
    Ok(())
}

fn listen(config: &Config) -> Listen {
    Listen {
        address: SocketAddr::new(config.host, config.port),
        tls: config.tls.clone(),
        connections_max: config.connections,
        header_time: config.header_time,
        body_time: config.body_time,
        write_time: config.write_time,
        drain_time: config.drain_time,
    }
}

fn store_settings(config: &Config) -> store::Settings {
    store::Settings { bytes_max: config.store_bytes, ..store::Settings::default() }
}

/// What a person types next.
fn how_to_try(url: &str, models: &[String], has_keys: bool) -> String {
    let (model, key) = (&models[0], if has_keys { "YOUR_KEY" } else { "none" });
    let header = if has_keys { " -H 'authorization: Bearer YOUR_KEY'" } else { "" };
    let names = models.join(", ");
    format!(
        "model {names}\n\n  curl {url}/v1/responses -H 'content-type: application/json'{header} \\\n    -d '{{\"model\": \"{model}\", \"input\": \"What is 12 + 30?\"}}'\n\n  \
         OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY={key}       for OpenAI's SDKs and most agents\n  \
         ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY={key}    for Anthropic's\n\n"
    )
}
