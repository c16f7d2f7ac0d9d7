//! The model of a server: planned, loaded, tested, and given to an agent. It must not know who is served.

use std::path::Path;
use std::sync::Arc;

use agent::Agent;
use engine::{DiskCache, Engine, Limits};
use kernels::{Cpu, KvPrecision};
use model::{Checkpoint, Device, Precision};

use super::identity;
use crate::config::Config;
use crate::console::say;
use crate::error::Error;
use crate::plan::Plan;
use crate::shipped::Named;
use crate::{loading, memory, packs, self_test};

/// Least memory for keys and values that anything can be done with.
const KV_BYTES_MIN: u64 = 64 << 20;

/// A model that is ready.
pub(super) struct Loaded {
    /// Begins turns.
    pub(super) agent: Agent,
    /// What the model calls itself.
    pub(super) name: String,
    /// What it answers best with.
    pub(super) temperature: f32,
}

impl Loaded {
    /// Plans, says the plan, and loads. Refuses a model that does not fit, and kernels that compute something wrong.
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let named = config.model.clone().map_or(Named::Shipped, Named::Path);
        let device = loading::device(&config.compute)?;
        let precision = loading::precision(false, config.compute.dense_weights)?;
        let form = (precision, loading::kv(precision, config.compute.kv_form));
        let (checkpoint, vocabulary) = named.open()?;
        let has_pack = named.path().is_some_and(|path| device != Device::Reference && packs::has_pack(path, precision));
        let mut limits = limits(config, &checkpoint, form, has_pack)?;
        let plan = Plan::new(&checkpoint, form, has_pack, &limits);
        say(&format!(
            "{named}: up to {} requests at once, {} tokens each\n{plan}",
            limits.sequences_max, limits.context_tokens
        ));
        plan.check(memory::total_bytes())?;
        self_test::kernels(device, form)?;
        if let Some(disk) = &mut limits.disk {
            disk.model = identity::of(named.path(), &checkpoint, device, form)?;
        }
        let (stop_ids, embedding) = (checkpoint.stop_ids.clone(), checkpoint.embedding.bytes.clone());
        say(&format!("loading {named} …\n"));
        let mut model = packs::load(checkpoint, device, form, named.path())?;
        if let Some(path) = named.path() {
            self_test::model(&mut *model, path, device, precision)?;
        }
        say(&format!("computing with {}\n", model.describe()));
        loading::read_in_background(embedding);
        let engine = Arc::new(Engine::new(model, limits)?);
        let agent = Agent::new(engine, &vocabulary, agent::Settings { stop_ids, ..agent::Settings::default() })?;
        agent.warm();
        let temperature = config.temperature.unwrap_or_else(|| named.temperature());
        Ok(Self { agent, name: config.name.clone().unwrap_or_else(|| name(named.path())), temperature })
    }
}

/// All but the name of the model in the disk cache, which may take minutes to find: what does not fit is refused before.
fn limits(
    config: &Config,
    checkpoint: &Checkpoint,
    form: (Precision, KvPrecision),
    has_pack: bool,
) -> Result<Limits, Error> {
    let context_length = checkpoint.config.context_length;
    let context = config.context.unwrap_or(context_length);
    if context > context_length {
        let expected = format!("at most {context_length}, what this model was made for");
        return Err(Error::Option { name: "context", found: context.to_string(), expected });
    }
    let without = Limits { sequences_max: config.sequences, queue_max: config.queue, ..Limits::serving(context, 0) };
    let others = Plan::new(checkpoint, form, has_pack, &without).total_bytes();
    let kv_bytes = config.kv_bytes.unwrap_or_else(|| kv_bytes(checkpoint, form.1, &without, others));
    let disk = config.disk_cache.as_ref().map(|(folder, bytes)| DiskCache::new(folder.clone(), *bytes, String::new()));
    Ok(Limits { kv_bytes_max: Some(kv_bytes), disk, ..without })
}

/// Memory for keys and values where nobody says: half of what is free beside the weights, but no more than everybody's whole context and
/// as much again for the prefix cache.
fn kv_bytes(checkpoint: &Checkpoint, kv: KvPrecision, limits: &Limits, others: u64) -> usize {
    let config = &checkpoint.config;
    let position = Cpu::kv_bytes_per_position(config.kv_heads, config.head_dim, kv) * config.layers.len();
    let useful = 2 * (position * limits.context_tokens * limits.sequences_max) as u64;
    let free = memory::available_bytes().map_or(useful, |bytes| bytes.saturating_sub(others) / 2);
    useful.min(free).max(KV_BYTES_MIN) as usize
}

/// What a model is called where nobody says: as its folder or file.
fn name(place: Option<&Path>) -> String {
    let Some(place) = place else { return "glossa-tiny".to_owned() };
    let place = place.canonicalize().unwrap_or_else(|_| place.to_owned());
    let name = if place.is_dir() { place.file_name() } else { place.file_stem() };
    name.map_or_else(|| "gpt-oss".to_owned(), |name| name.to_string_lossy().into_owned())
}
