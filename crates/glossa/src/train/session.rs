//! The run itself: step after step, with measuring, checkpoints and the files at the end. It must not know what is learnt.

use std::io::{Write, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use train::metrics::{Line, Log};
use train::recipe::Recipe;
use train::state::Identity;
use train::{Report, Sample, Trainer, curve, durable, export, state};

use super::batches::{Batch, draw_ahead};
use super::documents::{Documents, Tokenizer};
use super::words::Display;
use super::{CHECKPOINTS, Places, words};
use crate::console::say;
use crate::error::Error;

pub(super) struct Session {
    pub(super) places: Places,
    pub(super) recipe: Recipe,
    pub(super) identity: Identity,
    pub(super) trainer: Trainer,
    /// Micro-batches that are measured on.
    pub(super) validation: Vec<Vec<Sample>>,
    pub(super) log: Log,
    pub(super) tokenizer: Tokenizer,
    /// The step after which this command stops.
    pub(super) last: u64,
}

impl Session {
    pub(super) fn run(mut self, documents: Documents, resume: &str) -> Result<(), Error> {
        let interrupted = watch_interrupts();
        let (step, cursor) = (self.trainer.state().step, self.trainer.state().cursor);
        let batches = draw_ahead(documents, &self.recipe, step, cursor);
        let before = self.log.lines().last().map_or(0.0, |line| line.elapsed_s);
        let started = Instant::now();
        let mut display = Display::new(step, self.last);
        let mut left_out = 0;
        while self.trainer.state().step < self.last {
            let batch = batches.recv().map_err(|_| Error::DrawingStopped)??;
            left_out += batch.left_out;
            let mut line = self.step(&batch)?;
            line.elapsed_s = before + started.elapsed().as_secs_f64();
            self.log.append(line)?;
            display.show(&line, self.log.lines());
            let stop = interrupted.load(Ordering::Relaxed);
            if stop || line.step == self.last || line.step.is_multiple_of(self.recipe.train.checkpoint_every_steps) {
                self.save()?;
            }
            if stop {
                display.finish();
                say(&format!("stopped after step {}; go on with: {resume}\n", line.step));
                return Err(Error::Interrupted);
            }
        }
        display.finish();
        if left_out > 0 {
            let most = self.recipe.document_tokens_max();
            say(&format!("{left_out} documents of more than {most} tokens were left out\n"));
        }
        self.finish(resume)
    }

    fn step(&mut self, batch: &Batch) -> Result<Line, Error> {
        let schedule = &self.recipe.train;
        let index = self.trainer.state().step;
        let (learning_rate, quantised) = (schedule.learning_rate(index), schedule.is_quantised(index));
        let started = Instant::now();
        let report = self.trainer.step(&batch.micro_batches, learning_rate as f32, quantised)?;
        let seconds = started.elapsed().as_secs_f64();
        self.trainer.set_cursor(batch.cursor);
        let step = index + 1;
        let due = step == self.last || step.is_multiple_of(schedule.validate_every_steps);
        let validation = if due { self.validate(quantised)? } else { None };
        Ok(Line {
            step,
            tokens: self.log.lines().last().map_or(0, |line| line.tokens) + report.tokens as u64,
            loss: report.loss,
            accuracy: report.correct_share,
            balance: report.balance,
            gradient_norm: report.gradient_norm,
            learning_rate,
            tokens_per_s: report.tokens as f64 / seconds.max(f64::EPSILON),
            validation_loss: validation.map(|(loss, _)| loss),
            validation_accuracy: validation.map(|(_, accuracy)| accuracy),
            elapsed_s: 0.0,
        })
    }

    /// Loss and share of right tokens, over all validation documents.
    fn validate(&mut self, quantised: bool) -> Result<Option<(f64, f64)>, Error> {
        let (mut loss, mut correct, mut tokens) = (0.0, 0.0, 0.0);
        for samples in &self.validation {
            let Report { loss: mean, correct_share, learnt_tokens, .. } = self.trainer.evaluate(samples, quantised)?;
            let weight = learnt_tokens as f64;
            loss += weight * mean;
            correct += weight * correct_share;
            tokens += weight;
        }
        Ok((tokens > 0.0).then_some((loss / tokens, correct / tokens)))
    }

    fn save(&self) -> Result<(), Error> {
        state::save(&self.places.checkpoints(), self.trainer.state(), self.identity, CHECKPOINTS)?;
        let title = format!("{} parameters", words::count(self.trainer.layout().length() as f64));
        let drawing = curve::svg(self.log.lines(), &format!("Training loss of a model of {title}"));
        Ok(durable::replace_file(&self.places.curve(), |out| out.write_all(drawing.as_bytes()))?)
    }

    fn finish(&self, resume: &str) -> Result<(), Error> {
        let folder = self.places.model();
        let parameters = &self.trainer.state().parameters;
        export::export(&folder, self.trainer.config(), parameters, &self.tokenizer.json)?;
        let mut out = stdout().lock();
        out.write_all(words::summary(self.log.lines()).as_bytes())?;
        writeln!(out, "model    {}", folder.display())?;
        writeln!(out, "figures  {} and {}", self.places.metrics().display(), self.places.curve().display())?;
        if self.trainer.state().step < self.recipe.train.steps {
            writeln!(out, "the recipe has {} steps; go on with: {resume}", self.recipe.train.steps)?;
        }
        Ok(out.flush()?)
    }
}

/// Set by the first Ctrl-C; the second ends the program at once.
fn watch_interrupts() -> Arc<AtomicBool> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    // Without a handler Ctrl-C ends the program, and the last checkpoint serves.
    let _ = ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(Error::Interrupted.exit_code()));
        }
        say("\nfinishing this step, then saving a checkpoint; Ctrl-C again stops at once\n");
    });
    interrupted
}
