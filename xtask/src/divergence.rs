//! `cargo xtask divergence`: how far the logits of two runs over the same tokens lie apart. It must not know how either was
//! computed.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::arguments::Arguments;
use crate::error::{Error, Result};

/// Most bytes of a header that is read; that of a file with one tensor has about a hundred.
const HEADER_BYTES_MAX: u64 = 1 << 20;

/// Compares two files of `glossa logits`, the first being what the second should be.
pub(crate) fn run(arguments: &mut Arguments) -> Result<()> {
    let path = |arguments: &mut Arguments| {
        let path = arguments.positional().map(PathBuf::from);
        path.ok_or_else(|| Error::Usage("divergence needs two files of `glossa logits`".into()))
    };
    let (truth, other) = (path(arguments)?, path(arguments)?);
    arguments.finish()?;
    let (mut truth, mut other) = (Logits::open(&truth)?, Logits::open(&other)?);
    if truth.shape != other.shape {
        let [(a_rows, a_columns), (b_rows, b_columns)] = [truth.shape, other.shape];
        return Err(Error::Usage(format!(
            "expected logits of the same shape, found [{a_rows}, {a_columns}] and [{b_rows}, {b_columns}]"
        )));
    }
    let mut divergence = Divergence::default();
    for _ in 0..truth.shape.0 {
        divergence.add(truth.row()?, other.row()?);
    }
    print!("{}", divergence.table());
    Ok(())
}

/// Logits, read row by row.
struct Logits {
    path: PathBuf,
    file: BufReader<File>,
    /// Tokens and vocabulary.
    shape: (usize, usize),
    bytes: Vec<u8>,
    row: Vec<f32>,
}

impl Logits {
    fn open(path: &Path) -> Result<Self> {
        let failed = |source| Error::file(path, source);
        let mut file = BufReader::new(File::open(path).map_err(failed)?);
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(failed)?;
        let mut header = Vec::new();
        let length = u64::from_le_bytes(length).min(HEADER_BYTES_MAX);
        file.by_ref().take(length).read_to_end(&mut header).map_err(failed)?;
        let header: Value = serde_json::from_slice(&header).unwrap_or_default();
        let tensor = &header["logits"];
        let side = |place: usize| tensor["shape"][place].as_u64().and_then(|side| usize::try_from(side).ok());
        let shape = side(0).zip(side(1)).filter(|&(rows, columns)| rows > 0 && columns > 0 && tensor["dtype"] == "F32");
        let shape = shape.ok_or_else(|| {
            Error::Usage(format!("{}: expected the tensor `logits` F32 [tokens, vocabulary]", path.display()))
        })?;
        Ok(Self { path: path.to_path_buf(), file, shape, bytes: vec![0; shape.1 * 4], row: vec![0.0; shape.1] })
    }

    fn row(&mut self) -> Result<&[f32]> {
        self.file.read_exact(&mut self.bytes).map_err(|source| Error::file(&self.path, source))?;
        let (values, _) = self.bytes.as_chunks::<4>();
        values.iter().zip(&mut self.row).for_each(|(&bytes, to)| *to = f32::from_le_bytes(bytes));
        if self.row.iter().any(|logit| !logit.is_finite()) {
            return Err(Error::Usage(format!("{}: expected finite logits, found others", self.path.display())));
        }
        Ok(&self.row)
    }
}

/// How far rows lie apart.
#[derive(Default)]
struct Divergence {
    /// Kullback–Leibler divergence of each row, in nats: Σ p · ln(p / q).
    kl: Vec<f64>,
    /// Root mean square of the differences in each row, the rows' shift left out, over the row's standard deviation.
    relative: Vec<f64>,
    /// Rows whose likeliest token is the same.
    agreeing: usize,
    largest: f64,
}

impl Divergence {
    fn add(&mut self, truth: &[f32], other: &[f32]) {
        let (p, q) = (LogSum::of(truth), LogSum::of(other));
        let (mut kl, mut difference, mut spread) = (0.0, 0.0, 0.0);
        for (&a, &b) in truth.iter().zip(other) {
            let (a, b) = (f64::from(a), f64::from(b));
            kl += (a - p.log_sum).exp() * ((a - p.log_sum) - (b - q.log_sum));
            difference += ((a - p.mean) - (b - q.mean)).powi(2);
            spread += (a - p.mean).powi(2);
            self.largest = self.largest.max((a - b).abs());
        }
        self.kl.push(kl.max(0.0));
        self.relative.push(if spread > 0.0 { (difference / spread).sqrt() } else { difference.sqrt() });
        self.agreeing += usize::from(p.likeliest == q.likeliest);
    }

    fn table(&self) -> String {
        let rows = self.kl.len();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / rows as f64;
        let quantile = |values: &[f64], share: f64| {
            let mut sorted = values.to_vec();
            sorted.sort_by(f64::total_cmp);
            sorted[((rows - 1) as f64 * share).round() as usize]
        };
        let line = |name: &str, values: &[f64]| {
            let (mean, median) = (mean(values), quantile(values, 0.5));
            format!(
                "{name}: mean {mean:.6}, median {median:.6}, 99 % {:.6}, most {:.6}\n",
                quantile(values, 0.99),
                quantile(values, 1.0)
            )
        };
        let agreeing = 100.0 * self.agreeing as f64 / rows as f64;
        format!(
            "tokens: {rows}\n{}{}largest difference of a logit: {:.4}\nthe likeliest token is the same: {agreeing:.2} %\n",
            line("KL divergence, nats", &self.kl),
            line("rms difference over standard deviation", &self.relative),
            self.largest
        )
    }
}

/// What a row of logits comes to.
struct LogSum {
    /// ln Σ exp.
    log_sum: f64,
    mean: f64,
    likeliest: usize,
}

impl LogSum {
    fn of(row: &[f32]) -> Self {
        let (mut likeliest, mut most) = (0, f32::NEG_INFINITY);
        for (index, &logit) in row.iter().enumerate() {
            if logit > most {
                (likeliest, most) = (index, logit);
            }
        }
        let most = f64::from(most);
        let sum: f64 = row.iter().map(|&logit| (f64::from(logit) - most).exp()).sum();
        let mean = row.iter().map(|&logit| f64::from(logit)).sum::<f64>() / row.len() as f64;
        Self { log_sum: most + sum.ln(), mean, likeliest }
    }
}

#[cfg(test)]
mod tests {
    use super::{Divergence, Logits};

    fn of(truth: &[f32], other: &[f32]) -> Divergence {
        let mut divergence = Divergence::default();
        divergence.add(truth, other);
        divergence
    }

    #[test]
    fn a_shift_changes_no_distribution() {
        let divergence = of(&[1.0, -2.0, 0.5], &[4.0, 1.0, 3.5]);
        assert!(divergence.kl[0] < 1e-12 && divergence.relative[0] < 1e-7);
        assert_eq!((divergence.agreeing, divergence.largest), (1, 3.0));
    }

    #[test]
    fn the_divergence_is_that_of_the_distributions() {
        // p = (1/2, 1/2), q = (3/4, 1/4): ½ ln(½ / ¾) + ½ ln(½ / ¼) = ½ ln(4/3).
        let divergence = of(&[0.0, 0.0], &[3.0_f32.ln(), 0.0]);
        assert!((divergence.kl[0] - 0.5 * (4.0_f64 / 3.0).ln()).abs() < 1e-7, "{:?}", divergence.kl);
        assert_eq!(of(&[0.0, 1.0], &[1.0, 0.0]).agreeing, 0);
    }

    #[test]
    fn files_are_read_row_by_row_and_mistakes_named() {
        let path = std::env::temp_dir().join(format!("divergence-{}.safetensors", std::process::id()));
        let write = |header: &str, values: &[f32]| {
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend_from_slice(header.as_bytes());
            values.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
            std::fs::write(&path, bytes).unwrap();
            Logits::open(&path)
        };
        let header = r#"{"logits":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}"#;
        let mut logits = write(header, &[1.0, 2.0, 3.0, f32::NAN]).ok().unwrap();
        assert_eq!((logits.shape, logits.row().ok().unwrap()), ((2, 2), &[1.0, 2.0][..]));
        assert!(logits.row().err().unwrap().to_string().contains("finite"));
        assert!(write(header, &[1.0]).ok().unwrap().row().is_err());
        let other = write(r#"{"weights":{"dtype":"F32","shape":[1,1]}}"#, &[]).err().unwrap().to_string();
        assert!(other.contains("`logits` F32"), "{other}");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn the_table_names_all_figures() {
        let mut divergence = of(&[0.0, 1.0], &[0.0, 1.0]);
        divergence.add(&[0.0, 1.0], &[1.0, 0.0]);
        let table = divergence.table();
        for part in ["tokens: 2", "50.00 %", "largest difference of a logit: 1.0000", "most 0.462"] {
            assert!(table.contains(part), "{table}");
        }
    }
}
