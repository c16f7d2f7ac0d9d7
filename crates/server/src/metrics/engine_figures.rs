//! The engine's figures, read when somebody asks. It must not know how they come about.

use std::fmt;

use agent::Agent;
use engine::{CacheStats, Stats};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::life::{Life, Phase};

/// Reads an engine's figures.
pub(super) struct EngineFigures {
    agent: Agent,
    life: Life,
    model: String,
}

impl EngineFigures {
    pub(super) fn new(agent: Agent, life: Life, model: String) -> Self {
        Self { agent, life, model }
    }
}

impl fmt::Debug for EngineFigures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EngineFigures").field("model", &self.model).finish_non_exhaustive()
    }
}

impl Collector for EngineFigures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let engine = self.agent.engine();
        let stats = engine.stats();
        let phase = self.life.phase();
        gauge(&mut encoder, "glossa_up", "1 while requests are taken", f64::from(u8::from(phase == Phase::Serving)))?;
        let answered = "Requests that are being answered";
        gauge(&mut encoder, "glossa_requests_running", answered, self.life.running() as f64)?;
        engine_figures(&mut encoder, &stats)?;
        cache_figures(&mut encoder, &stats.cache)?;
        self.router_figures(&mut encoder, &stats)
    }
}

impl EngineFigures {
    /// What routers and autoscalers look for.
    fn router_figures(&self, encoder: &mut DescriptorEncoder<'_>, stats: &Stats) -> fmt::Result {
        let model = [("model_name", self.model.as_str())];
        labelled(encoder, "vllm:num_requests_running", "Requests that are computed", &model, stats.running as f64)?;
        labelled(
            encoder,
            "vllm:num_requests_waiting",
            "Requests that wait to be computed",
            &model,
            stats.queued as f64,
        )?;
        let used = if stats.kv_blocks_max == 0 { 0.0 } else { stats.kv_blocks as f64 / stats.kv_blocks_max as f64 };
        labelled(
            encoder,
            "vllm:kv_cache_usage_perc",
            "Share of the cache of keys and values in use, 0 to 1",
            &model,
            used,
        )?;
        let layers = self.agent.engine().config().layers.len().max(1);
        // vLLM's blocks hold all layers, ours one.
        let (size, blocks) = (stats.kv_block_tokens.to_string(), (stats.kv_blocks_max / layers).to_string());
        let blocks = [("block_size", size.as_str()), ("num_gpu_blocks", blocks.as_str())];
        labelled(encoder, "vllm:cache_config_info", "The cache of keys and values", &blocks, 1.0)?;
        let adapters = [("max_lora", "0"), ("running_lora_adapters", ""), ("waiting_lora_adapters", "")];
        labelled(encoder, "vllm:lora_requests_info", "Adapters in use", &adapters, 1.0)?;
        counter(encoder, "vllm:prompt_tokens", "Prompt tokens computed", stats.read_tokens)?;
        counter(encoder, "vllm:generation_tokens", "Tokens generated", stats.generated_tokens)
    }
}

fn engine_figures(encoder: &mut DescriptorEncoder<'_>, stats: &Stats) -> fmt::Result {
    gauge(encoder, "glossa_engine_running_jobs", "Jobs that are read or generated", stats.running as f64)?;
    gauge(encoder, "glossa_engine_waiting_jobs", "Jobs that wait", stats.queued as f64)?;
    gauge(encoder, "glossa_kv_bytes", "Keys and values held", stats.kv_bytes() as f64)?;
    gauge(encoder, "glossa_kv_bytes_max", "Most of them; 0 without a bound", stats.kv_bytes_max() as f64)?;
    counter(encoder, "glossa_engine_steps", "Passes of the model", stats.steps)?;
    counter(encoder, "glossa_engine_read_tokens", "Prompt tokens computed", stats.read_tokens)?;
    counter(encoder, "glossa_engine_generated_tokens", "Tokens generated", stats.generated_tokens)?;
    counter(
        encoder,
        "glossa_engine_drafted_tokens",
        "Tokens tried on the chance that they come next",
        stats.drafted_tokens,
    )?;
    counter(encoder, "glossa_engine_accepted_tokens", "Of those, how many came", stats.accepted_tokens)?;
    counter(encoder, "glossa_engine_preempted_jobs", "Jobs set back for want of memory", stats.preempted)?;
    counter(encoder, "glossa_engine_guarded_jobs", "Jobs whose thoughts a guard ended", stats.guarded)?;
    counter(
        encoder,
        "glossa_engine_masks",
        "Masks of what may come next, by the form that was asked for",
        stats.masks,
    )?;
    counter(encoder, "glossa_engine_mask_seconds", "Time that masks took, beside the model", stats.mask_seconds)?;
    counter(encoder, "glossa_engine_late_masks", "Masks that a step did not wait for", stats.late_masks)?;
    let forced = "Tokens that had no alternative, so that the model was not asked";
    counter(encoder, "glossa_engine_forced_tokens", forced, stats.forced_tokens)?;
    let engine::Ends { stop, length, context, memory, deadline, cancelled } = stats.ends;
    let ends = [
        ("stop", stop),
        ("length", length),
        ("context", context),
        ("memory", memory),
        ("deadline", deadline),
        ("cancelled", cancelled),
        ("failed", stats.failed),
    ];
    let help = "Jobs that ended, by reason";
    let mut family = encoder.encode_descriptor("glossa_engine_ended_jobs", help, None, MetricType::Counter)?;
    for (reason, count) in ends {
        let labels = [("reason", reason)];
        let one = family.encode_family(&labels)?;
        ConstCounter::new(count).encode(one)?;
    }
    Ok(())
}

fn cache_figures(encoder: &mut DescriptorEncoder<'_>, cache: &CacheStats) -> fmt::Result {
    counter(encoder, "glossa_cache_lookups", "Prompts looked up in the prefix cache", cache.lookups)?;
    counter(encoder, "glossa_cache_hits", "Of those, how many had a beginning that was known", cache.hits)?;
    counter(encoder, "glossa_cache_found_tokens", "Tokens that need not be computed again", cache.found_tokens)?;
    counter(encoder, "glossa_cache_disk_tokens", "Of those, how many came from the disk", cache.disk_tokens)?;
    counter(encoder, "glossa_cache_evicted_blocks", "Blocks of the prefix cache that had to go", cache.evicted)?;
    gauge(
        encoder,
        "glossa_cache_bytes",
        "What the prefix cache holds, some of it together with running jobs",
        cache.bytes as f64,
    )
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(value).encode(metric)
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: impl EncodeCounterValue) -> fmt::Result {
    let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    ConstCounter::new(value).encode(metric)
}

fn labelled(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    labels: &[(&str, &str)],
    value: f64,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    let one = family.encode_family(&labels)?;
    ConstGauge::new(value).encode(one)
}
