//! Where documents come from: the built-in corpus, or files of conversations. It must not know how they are learnt.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use corpus::{Document, DocumentRenderer, Draw, Mixture, Skill, Split, Stream};
use harmony::{Conversation, Role, Vocabulary};
use serde_json::Value;
use train::digest::Digest;
use train::recipe::{CorpusData, Data, EarlyData, Recipe};

use crate::error::Error;
use crate::loading::read;
use crate::text::unknown_field;

/// Documents of the corpus that stand for all of it in the digest.
const DIGEST_DOCUMENTS: u64 = 64;
/// Keeps the order of conversations apart from other uses of the recipe's seed.
const ORDER_SEED: u64 = 0x006f_7264_6572;

/// Documents by index, without end.
#[expect(clippy::large_enum_variant, reason = "a run has two of them")]
pub(crate) enum Documents {
    Corpus {
        stream: Stream,
        renderer: DocumentRenderer,
    },
    /// Read once, and given in another order every time round.
    Given {
        documents: Vec<Document>,
        seed: u64,
        /// Which time round `order` is of.
        round: u64,
        order: Vec<usize>,
    },
}

/// A tokenizer as bytes of its file, and as it is used.
pub(crate) struct Tokenizer {
    pub(crate) json: Vec<u8>,
    pub(crate) vocabulary: Vocabulary,
    /// Rows of the model's embedding.
    pub(crate) size: usize,
}

impl Tokenizer {
    /// The one that the recipe names, that the run wrote when it began, or one trimmed to the corpus.
    pub(crate) fn open(recipe: &Recipe, of_the_run: &Path) -> Result<Self, Error> {
        let Data { corpus, tokenizer, .. } = &recipe.data;
        let (path, json) = match (tokenizer, corpus) {
            (Some(path), _) => (path.clone(), read(path)?),
            (None, _) if of_the_run.is_file() => (of_the_run.to_owned(), read(of_the_run)?),
            (None, Some(corpus)) => {
                let CorpusData { seed, vocabulary_size, vocabulary_items, .. } = *corpus;
                let json = corpus::tokenizer_json(seed, mixture(corpus)?, vocabulary_items, vocabulary_size)?;
                (PathBuf::from("the corpus"), json.into_bytes())
            }
            (None, None) => unreachable!("a recipe of conversations names its tokenizer"),
        };
        let unusable = |source| Error::Vocabulary { path: path.clone(), source };
        let vocabulary = Vocabulary::from_tokenizer_json(&json).map_err(unusable)?;
        vocabulary.harmony_ids().map_err(unusable)?;
        let size = vocabulary.size();
        match corpus {
            Some(CorpusData { vocabulary_size, .. }) if size > *vocabulary_size => {
                Err(Error::VocabularyTooLarge { path, found: size, vocabulary_size: *vocabulary_size })
            }
            Some(CorpusData { vocabulary_size, .. }) => Ok(Self { json, vocabulary, size: *vocabulary_size }),
            None => Ok(Self { json, vocabulary, size }),
        }
    }
}

impl Documents {
    /// What is learnt from.
    pub(crate) fn training(recipe: &Recipe, vocabulary: &Vocabulary) -> Result<Self, Error> {
        Self::open(recipe, vocabulary, Split::Train, &recipe.data.conversations)
    }

    /// What is measured on, in its own order; `None` when the recipe has nothing.
    pub(crate) fn validation(recipe: &Recipe, vocabulary: &Vocabulary) -> Result<Option<Self>, Error> {
        if recipe.data.corpus.is_none() && recipe.data.validation.is_empty() {
            return Ok(None);
        }
        Self::open(recipe, vocabulary, Split::HeldOut, &recipe.data.validation).map(Some)
    }

    fn open(recipe: &Recipe, vocabulary: &Vocabulary, split: Split, files: &[PathBuf]) -> Result<Self, Error> {
        let renderer = DocumentRenderer::new(vocabulary)?;
        if let Some(corpus) = &recipe.data.corpus {
            let stream = Stream::new(corpus.seed, split, mixture(corpus)?);
            let stream = match &corpus.early {
                Some(EarlyData { items, mixture }) if split == Split::Train => {
                    stream.beginning_with(*items, with(self::mixture(corpus)?, mixture)?)
                }
                Some(_) | None => stream,
            };
            return Ok(Self::Corpus { stream, renderer });
        }
        let mut documents = Vec::new();
        for file in files {
            read_conversations(file, &renderer, &mut documents)?;
        }
        let order = (0..documents.len()).collect();
        // The first time round in the order of the files; it is drawn for the second on.
        Ok(Self::Given { documents, seed: recipe.train.seed ^ ORDER_SEED, round: 0, order })
    }

    /// How many there are before they come again; `None` when they never do.
    pub(crate) fn count(&self) -> Option<usize> {
        match self {
            Self::Corpus { .. } => None,
            Self::Given { documents, .. } => Some(documents.len()),
        }
    }

    /// The document at an index: the same one every time.
    pub(crate) fn document(&mut self, index: u64) -> Result<Document, Error> {
        match self {
            Self::Corpus { stream, renderer } => Ok(renderer.document(&stream.item(index))?),
            Self::Given { documents, seed, round, order } => {
                let count = documents.len() as u64;
                if index / count != *round {
                    *round = index / count;
                    *order = (0..documents.len()).collect();
                    if *round > 0 {
                        Draw::new(*seed, *round).shuffle(order);
                    }
                }
                Ok(documents[order[(index % count) as usize]].clone())
            }
        }
    }

    /// Adds what the documents are to a digest: all that were read, or the first of the corpus, which show when it has changed.
    pub(crate) fn add_to(&mut self, digest: &mut Digest) -> Result<(), Error> {
        for index in 0..self.count().map_or(DIGEST_DOCUMENTS, |count| count as u64) {
            let Document { ids, learns } = self.document(index)?;
            ids.iter().for_each(|&id| digest.word(id));
            learns.iter().for_each(|&learns| digest.word(u32::from(learns)));
        }
        Ok(())
    }
}

fn mixture(corpus: &CorpusData) -> Result<Mixture, Error> {
    with(Mixture::default(), &corpus.mixture)
}

fn with(mixture: Mixture, weights: &BTreeMap<String, u64>) -> Result<Mixture, Error> {
    let weight = |(name, weight): (&String, &u64)| Ok((name.parse::<Skill>()?, *weight as usize));
    let weights: Vec<(Skill, usize)> = weights.iter().map(weight).collect::<Result<_, corpus::Error>>()?;
    Ok(mixture.with(weights)?)
}

/// A document for every turn of the assistant in every conversation of a file.
fn read_conversations(path: &Path, renderer: &DocumentRenderer, documents: &mut Vec<Document>) -> Result<(), Error> {
    let expected = "a conversation as JSON on every line, {\"messages\": […]}, with turns that the assistant ends";
    let wrong = |line: usize, problem: String| Error::Input {
        path: path.to_owned(),
        expected,
        found: format!("on line {}: {problem}", line + 1),
    };
    let bytes = read(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|error| wrong(0, error.to_string()))?;
    let before = documents.len();
    for (line, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let value: Value = serde_json::from_str(text).map_err(|error| wrong(line, error.to_string()))?;
        if let Some(field) = unknown_field(&value) {
            return Err(wrong(line, format!("the field {field}, which would be lost")));
        }
        let conversation: Conversation =
            serde_json::from_value(value).map_err(|error| wrong(line, error.to_string()))?;
        let turns = turns(&conversation).ok_or_else(|| wrong(line, "a turn that the assistant does not end".into()))?;
        for turn in turns {
            documents.push(renderer.last_turn(&turn).map_err(|error| wrong(line, error.to_string()))?);
        }
    }
    if documents.len() == before { Err(wrong(0, "nothing".into())) } else { Ok(()) }
}

/// The conversation up to the end of each of its turns; `None` if there is none, or one does not end with the assistant.
fn turns(conversation: &Conversation) -> Option<Vec<Conversation>> {
    let messages = &conversation.messages;
    let is_user = |index: &usize| messages[*index].author.role == Role::User;
    let users: Vec<usize> = (0..messages.len()).filter(is_user).collect();
    // Several user messages one after another are one question.
    let ends = users.iter().skip(1).copied().chain([messages.len()]);
    let turns: Vec<&[_]> =
        users.iter().zip(ends).filter(|(user, end)| *user + 1 < *end).map(|(_, end)| &messages[..end]).collect();
    let ended = |turn: &&[harmony::Message]| turn.last().is_some_and(|last| last.author.role == Role::Assistant);
    let whole = !turns.is_empty() && turns.iter().all(ended);
    whole.then(|| turns.into_iter().map(|turn| Conversation::from(turn.to_vec())).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use corpus::{DocumentRenderer, Mixture, Skill, Split, Stream};
    use harmony::{Conversation, Vocabulary};
    use train::recipe::Recipe;

    use super::{Documents, turns};

    const EARLY: &str = r#"
[model]
hidden_size = 32
layers = 1
heads = 1
kv_heads = 1
experts = 4
intermediate_size = 32

[data.corpus]
seed = 9
vocabulary_size = 600
mixture = { chat = 0, story = 40 }

[data.corpus.early]
items = 12
mixture = { copying = 300, story = 0 }

[train]
steps = 1
tokens_per_step = 64
learning_rate = 1e-3
output = "nowhere"
"#;

    #[test]
    fn another_mixture_comes_first_in_training_alone() {
        let vocabulary = Vocabulary::o200k_harmony();
        let recipe = Recipe::parse(Path::new("early.toml"), EARLY).unwrap();
        let renderer = DocumentRenderer::new(&vocabulary).unwrap();
        let usual = Mixture::default().with([(Skill::Chat, 0), (Skill::Story, 40)]).unwrap();
        let early = usual.clone().with([(Skill::Copying, 300), (Skill::Story, 0)]).unwrap();
        let document = |split, mixture: &Mixture, index| {
            renderer.document(&Stream::new(9, split, mixture.clone()).item(index)).unwrap()
        };
        let mut training = Documents::training(&recipe, &vocabulary).unwrap();
        let mut validation = Documents::validation(&recipe, &vocabulary).unwrap().unwrap();
        for index in 0..30 {
            let mixture = if index < 12 { &early } else { &usual };
            assert_eq!(training.document(index).unwrap(), document(Split::Train, mixture, index), "{index}");
            assert_eq!(validation.document(index).unwrap(), document(Split::HeldOut, &usual, index), "{index}");
        }
        let others =
            (0..12).filter(|&index| document(Split::Train, &early, index) != document(Split::Train, &usual, index));
        assert!(others.count() > 4, "the mixtures differ");
    }

    #[test]
    fn every_turn_of_the_assistant_is_an_end() {
        let first = Conversation::default().with_user("a").with_assistant("analysis", "b").with_assistant("final", "c");
        let second = first.clone().with_user("d").with_user("e").with_assistant("final", "f");
        assert_eq!(turns(&second), Some(vec![first.clone(), second]));
        assert_eq!(turns(&first), Some(vec![first.clone()]));
        assert_eq!(turns(&first.with_user("g")).map(|turns| turns.len()), Some(1), "nobody answered yet");
        assert_eq!(turns(&Conversation::default().with_user("a")), None);
        assert_eq!(turns(&Conversation::default().with_assistant("final", "a")), None);
    }
}
