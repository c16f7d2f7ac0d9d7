//! Figures for people: shares of the machine's limits, and ratios to a peer. Pure functions from reports to text.

use std::fmt::Write;

use serde_json::Value;

use super::figures::{Case, Figures, median, number, rows};
use crate::error::Result;

/// Glossa's figures beside the limits that the same report holds.
pub(super) fn shares(report: &Value) -> Result<String> {
    let mut text = String::new();
    let (limits, speed) = (&report["limits"], &report["models"][0]);
    let dots = rows(limits, "dot_products")?;
    let dot_peak = dots.iter().filter_map(|dot| Some((dot["macs_per_second"].as_f64()?, dot["dot"].as_str()?)));
    let (peak, dot) = dot_peak.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((f64::NAN, "none"));
    let macs = number(speed, "macs_per_prompt_token")?;
    let bytes = number(speed, "weight_bytes_per_token")?;
    let _ = writeln!(text, "\nfastest dot product ({dot}): {:.1} GMAC/s", peak / 1e9);
    for read in rows(limits, "bandwidth")? {
        let (rate, threads) = (number(read, "bytes_per_second")?, number(read, "threads")?);
        let memory = read["memory"].as_str().unwrap_or_default();
        let _ = writeln!(text, "reading {memory} with {threads} threads: {:.1} GB/s", rate / 1e9);
    }
    let _ = writeln!(text, "a token: {:.2} GB of weights, {:.2} GMAC of a prompt", bytes / 1e9, macs / 1e9);
    let _ = writeln!(text, "\n{:<20}{:>12}{:>14}  share of the limit", "", "tokens/s", "limit");
    for row in rows(speed, "prefill")? {
        let (rate, limit) = (number(row, "tokens_per_second")?, peak / macs);
        let name = Case::Prefill(row["tokens"].as_u64().unwrap_or_default()).name();
        let _ = writeln!(text, "{name:<20}{rate:>12.2}{limit:>14.1}  {:.0} % of arithmetic", rate / limit * 100.0);
    }
    for row in rows(speed, "decode")? {
        let rate = number(row, "tokens_per_second")?;
        let [batch, depth] = ["batch", "depth"].map(|name| row[name].as_u64().unwrap_or_default());
        let name = Case::Decode { batch, depth }.name();
        match (row["bytes_per_token"].as_f64(), row["share_of_bandwidth"].as_f64()) {
            (Some(bytes), Some(share)) => {
                let limit = number(row, "probe_bytes_per_second")? / bytes;
                let _ = writeln!(text, "{name:<20}{rate:>12.2}{limit:>14.1}  {:.0} % of bandwidth", share * 100.0);
            }
            // Several sequences share experts, so their limit depends on the routing.
            _ => {
                let _ = writeln!(text, "{name:<20}{rate:>12.2}{:>14}", "");
            }
        }
    }
    let seconds = ["load_seconds", "first_token_seconds"].map(|name| speed[name].as_f64().unwrap_or(f64::NAN));
    let _ = writeln!(text, "loaded in {:.2} s, first token after {:.2} s", seconds[0], seconds[1]);
    if let Some(peak) = speed["peak_resident_bytes"].as_f64() {
        let _ = writeln!(text, "at most {:.2} GB resident", peak / 1e9);
    }
    Ok(text)
}

/// The median of each side, and the median of the ratios of the pairs.
pub(super) fn ratios(peer: &str, pairs: &[(Figures, Figures)]) -> String {
    let mut text =
        format!("\n{:<20}{:>12}{peer:>14}{:>16}  (medians of {})\n", "", "glossa", "ratio per pair", pairs.len());
    let Some((first, _)) = pairs.first() else { return text };
    for &case in first.0.keys() {
        let both = || pairs.iter().filter_map(|(ours, theirs)| Some((*ours.0.get(&case)?, *theirs.0.get(&case)?)));
        let ours = median(both().map(|(ours, _)| ours));
        let theirs = median(both().map(|(_, theirs)| theirs));
        let ratio = median(both().map(|(ours, theirs)| ours / theirs));
        let name = case.name();
        let _ = writeln!(text, "{name:<20}{ours:>12.2}{theirs:>14.2}{ratio:>16.2}");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Figures, ratios, shares};

    #[test]
    fn shares_are_of_the_fastest_dot_product_and_of_the_probe() {
        let report = json!({
            "limits": {
                "bandwidth": [{"memory": "huge pages", "threads": 2, "bytes_per_second": 60e9}],
                "dot_products": [{"dot": "slow", "macs_per_second": 1e9}, {"dot": "fast", "macs_per_second": 400e9}],
            },
            "models": [{
                "macs_per_prompt_token": 4e9, "weight_bytes_per_token": 2.5e9,
                "prefill": [{"tokens": 512, "tokens_per_second": 75.0}],
                "decode": [
                    {"depth": 0, "batch": 1, "tokens_per_second": 20.0, "bytes_per_token": 2.5e9,
                        "share_of_bandwidth": 0.9, "probe_bytes_per_second": 50e9},
                    {"depth": 0, "batch": 8, "tokens_per_second": 40.0, "bytes_per_token": null,
                        "share_of_bandwidth": null, "probe_bytes_per_second": 50e9},
                ],
            }],
        });
        let text = shares(&report).unwrap();
        for expected in ["(fast): 400.0", "100.0  75 % of arithmetic", "20.0  90 % of bandwidth", "decode 8 at 0"] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        assert!(shares(&json!({})).is_err());
    }

    #[test]
    fn ratios_are_taken_pair_by_pair() {
        let figures = |rate: f64| {
            let report = json!({"prefill": [{"tokens": 512, "tokens_per_second": rate}], "decode": []});
            Figures::of(&report).unwrap()
        };
        // Medians 30 and 10, but the middle one of 10/10, 30/10, 40/20 is 2.
        let pairs = [(10.0, 10.0), (30.0, 10.0), (40.0, 20.0)].map(|(ours, theirs)| (figures(ours), figures(theirs)));
        let text = ratios("peer", &pairs);
        let row = text.lines().find(|line| line.contains("prompt of 512")).unwrap();
        assert_eq!(row.split_whitespace().collect::<Vec<_>>()[3..], ["30.00", "10.00", "2.00"]);
    }
}
