//! Scenario `forms`: what it costs to hold an answer to a schema, and what is gained where the schema leaves no choice. It must not
//! know how tokens are held to a grammar.
//!
//! The answers are dictated, so that they are real JSON whatever the weights: a list of sentences, of which a schema decides next to
//! nothing, and a record with long keys, of which it decides most.

use std::sync::Arc;
use std::time::Instant;

use agent::Format;
use engine::{Constraint, ConstraintError, Mask};
use harmony::Vocabulary;
use serde_json::{Map, Value, json};

use super::prompts::Prompts;
use super::section::{Column, Row, Section};
use super::target::{Clock, Dictate, Request, Target, observe};
use crate::arguments::LoadArguments;
use crate::bench::median;
use crate::error::Error;

/// Tokens of a prompt, generously.
pub(super) const PROMPT_TOKENS_MAX: usize = 64;
/// Keys of a record, which a clinic might ask for.
const KEYS: [&str; 16] = [
    "patient_identifier_in_the_hospital_system",
    "date_of_admission_to_the_ward",
    "systolic_blood_pressure_in_millimetres_of_mercury",
    "diastolic_blood_pressure_in_millimetres_of_mercury",
    "heart_rate_in_beats_per_minute",
    "respiratory_rate_in_breaths_per_minute",
    "body_temperature_in_degrees_celsius",
    "oxygen_saturation_in_percent_of_haemoglobin",
    "known_allergies_to_medication_or_food",
    "current_medication_with_dose_and_frequency",
    "reason_for_referral_by_the_general_practitioner",
    "findings_of_the_physical_examination",
    "working_diagnosis_at_the_time_of_writing",
    "planned_examinations_and_their_urgency",
    "follow_up_appointment_in_days_from_today",
    "name_of_the_physician_responsible_for_the_record",
];

const COLUMNS: &[Column] = &[
    Column::plain("answer_tokens", "tokens", 0),
    Column::plain("free_tokens_per_second", "free t/s", 2),
    Column::plain("held_tokens_per_second", "held t/s", 2),
    Column::plain("held_ratio", "held/free", 3),
    Column::plain("jumping_tokens_per_second", "jumping t/s", 2),
    Column::plain("jumping_ratio", "jump/held", 2),
    Column::milliseconds("first_compile_seconds", "compile ms"),
    Column::milliseconds("next_compile_seconds", "again ms"),
    Column::milliseconds("mask_seconds", "mask ms"),
];

/// An answer and the schema that it fits.
struct Task {
    name: &'static str,
    schema: Value,
    answer: Vec<u32>,
}

/// How a task is done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Without the schema.
    Free,
    /// With it, token by token.
    Held,
    /// With it, passing over what it leaves no choice about.
    Jumping,
}

/// A constraint that keeps to itself what is certain.
#[derive(Clone, Debug)]
struct Patient(Box<dyn Constraint>);

impl Constraint for Patient {
    fn mask(&mut self) -> Result<Arc<Mask>, ConstraintError> {
        self.0.mask()
    }

    fn push(&mut self, id: u32) -> Result<(), ConstraintError> {
        self.0.push(id)
    }

    fn forced(&mut self) -> Vec<u32> {
        Vec::new()
    }

    fn boxed_clone(&self) -> Box<dyn Constraint> {
        Box::new(self.clone())
    }
}

pub(super) fn run(target: &mut dyn Target, load: &LoadArguments, prompts: &mut Prompts) -> Result<Section, Error> {
    let title = "an answer is held to a schema".into();
    let vocabulary = Vocabulary::o200k_harmony();
    let mut section = Section { title, columns: COLUMNS, rows: Vec::new(), notes: Vec::new(), findings: Vec::new() };
    if target.vocabulary_size() != vocabulary.size() {
        section.notes.push("it has another vocabulary than the published models".into());
        return Ok(section);
    }
    section.notes.push("answers are dictated; ways in turn, medians; the vocabulary's tables are made before".into());
    let forms = agent::Forms::new(&vocabulary).map_err(agent::Error::from)?;
    forms.hold(&Format::JsonObject)?;
    for task in tasks(&vocabulary) {
        let format =
            Format::JsonSchema { name: "it".into(), description: None, schema: task.schema.clone(), strict: true };
        let held = || -> Result<_, Error> {
            let begun = Instant::now();
            let held = forms.hold(&format)?.ok_or(engine::Error::Stopped)?;
            Ok((held, begun.elapsed().as_secs_f64()))
        };
        let ((form, first), (_, again)) = (held()?, held()?);
        let prompt = [vocabulary.encode("Write the record."), prompts.random(8)].concat();
        let masks = |target: &dyn Target| target.inside().map(|inside| (inside.stats.masks, inside.stats.mask_seconds));
        let before = masks(target);
        let mut speeds = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..load.copy_runs {
            for (way, speeds) in [Way::Free, Way::Held, Way::Jumping].into_iter().zip(&mut speeds) {
                speeds.push(task.tell(target, &prompt, way, &*form)?);
            }
        }
        let per_mask = before.zip(masks(target)).and_then(|(before, after)| {
            let count = after.0 - before.0;
            (count > 0).then(|| (after.1 - before.1) / count as f64)
        });
        let ratio = |upper: &[f64], lower: &[f64]| {
            median(&upper.iter().zip(lower).map(|(upper, lower)| upper / lower).collect::<Vec<_>>())
        };
        let [free, held, jumping] = &speeds;
        let values = [
            Some(task.answer.len() as f64),
            Some(median(free)),
            Some(median(held)),
            Some(ratio(held, free)),
            Some(median(jumping)),
            Some(ratio(jumping, held)),
            Some(first),
            Some(again),
            per_mask,
        ];
        let known = free.iter().all(|speed| speed.is_finite());
        section.rows.push(Row { name: task.name.into(), values: values.map(|value| value.filter(|_| known)).to_vec() });
    }
    target.dictate(None);
    Ok(section)
}

impl Task {
    /// Has the answer said; tokens per second from the first to the last, NaN where it was not what was dictated.
    fn tell(&self, target: &dyn Target, prompt: &[u32], way: Way, form: &dyn Constraint) -> Result<f64, Error> {
        let text = [prompt, &self.answer].concat();
        let form: Option<Box<dyn Constraint>> = match way {
            Way::Free => None,
            Way::Held => Some(Box::new(Patient(form.boxed_clone()))),
            Way::Jumping => Some(form.boxed_clone()),
        };
        if !target.dictate(Some(Dictate { text, drafts: false, form })) {
            return Ok(f64::NAN);
        }
        let request = Request::new(prompt.to_vec(), self.answer.len());
        let said = observe(target, &request, Clock::start(), &mut |_| true)?.tokens;
        let is_dictated = said.iter().map(|token| token.id).eq(self.answer.iter().copied().map(Some));
        let ends = said.first().zip(said.last()).filter(|_| is_dictated);
        let speed = |took: f64| (said.len() as f64 - 1.0) / took.max(f64::EPSILON);
        Ok(ends.map_or(f64::NAN, |(first, last)| speed(last.seconds - first.seconds)))
    }
}

fn tasks(vocabulary: &Vocabulary) -> [Task; 2] {
    let sentences = [
        "The patient was admitted in the evening with a cough that had lasted for three weeks and did not get better.",
        "On examination she was alert, and her breathing was quiet; no sounds were heard over the lower lobes.",
        "We recommend a film of the chest, blood cultures before the first dose, and rest for at least five days.",
    ];
    let notes = json!({"type": "object", "properties": {"notes": {"type": "array", "items": {"type": "string"}}},
        "required": ["notes"], "additionalProperties": false});
    let values = ["\"A-17\"", "\"2026-11-28\"", "128", "82", "71", "14", "36.8", "97", "\"none\"", "\"ASA 100\""];
    let of = |index: usize| values.get(index).copied().unwrap_or("\"to be decided\"");
    let properties: Map<String, Value> = KEYS
        .iter()
        .enumerate()
        .map(|(index, &key)| {
            (key.to_owned(), json!({"type": if of(index).starts_with('"') { "string" } else { "number" }}))
        })
        .collect();
    let record = json!({"type": "object", "properties": properties, "required": KEYS, "additionalProperties": false});
    let fields: Vec<String> = KEYS.iter().enumerate().map(|(index, key)| format!("\"{key}\":{}", of(index))).collect();
    let text = |value: &str| vocabulary.encode(value);
    [
        Task { name: "sentences", schema: notes, answer: text(&json!({"notes": sentences}).to_string()) },
        Task { name: "record", schema: record, answer: text(&format!("{{{}}}", fields.join(","))) },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_fit_their_schemas_token_by_token() {
        let vocabulary = Vocabulary::o200k_harmony();
        let forms = agent::Forms::new(&vocabulary).unwrap();
        for task in tasks(&vocabulary) {
            let format = Format::JsonSchema { name: "it".into(), description: None, schema: task.schema, strict: true };
            let mut form = forms.hold(&format).unwrap().unwrap();
            let mut forced = 0;
            for &id in &task.answer {
                forced += usize::from(form.forced().first() == Some(&id));
                assert!(form.mask().unwrap().allows(id), "{}", task.name);
                form.push(id).unwrap();
            }
            assert!(form.mask().unwrap().allows(vocabulary.stop_ids().unwrap()[0]), "it may end");
            assert_eq!(task.name == "record", forced > task.answer.len() / 3, "{forced} of {}", task.answer.len());
        }
    }
}
