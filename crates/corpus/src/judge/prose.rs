//! Whether a text is prose of the corpus: long enough, of known words, and not going round in circles. It must not know what
//! the text is about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use harmony::{Conversation, Message, Role};

use crate::skill::Skill;
use crate::stream::turn_start;

/// Stories that the lexicon is gathered from; a word that none of so many has is none of theirs.
const STORIES: u64 = 3_000;
const SEED: u64 = 1;

/// The words that occur in more than one story, gathered when they are first needed.
static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| {
    let mut stories = BTreeMap::<String, usize>::new();
    for index in 0..STORIES {
        let conversation = crate::item(Skill::Story, SEED, index).conversation;
        let turn = text(&conversation.messages[turn_start(&conversation)..]);
        super::words(&turn).into_iter().for_each(|word| *stories.entry(word).or_default() += 1);
    }
    stories.retain(|_, count| *count > 1);
    Lexicon(stories.into_keys().collect())
});

/// The words that the corpus' stories are told with.
pub(super) struct Lexicon(BTreeSet<String>);

impl Lexicon {
    pub(super) fn of_the_corpus() -> &'static Self {
        &LEXICON
    }

    /// Whether an answer is prose: so many words at least, each of them from the stories or from the conversation before, and
    /// no sentence twice.
    pub(super) fn is_prose(&self, answer: &str, words_min: usize, conversation: &Conversation) -> bool {
        let asked = super::words(&text(&conversation.messages[..turn_start(conversation)]));
        let is_known = |word: String| self.0.contains(&word) || asked.contains(&word);
        let mut sentences = BTreeSet::new();
        words(answer).count() >= words_min
            && words(answer).all(is_known)
            && sentences_of(answer).all(|sentence| sentences.insert(sentence))
    }
}

/// The words of a text in order, in lower case: letters, digits, and apostrophes between them.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> {
    let parts = text.split(|character: char| !character.is_alphanumeric() && !matches!(character, '\'' | '’'));
    parts.map(|word| word.trim_matches(['\'', '’']).to_lowercase()).filter(|word| !word.is_empty())
}

/// The sentences of a text as their words, without empty ones.
fn sentences_of(text: &str) -> impl Iterator<Item = Vec<String>> {
    text.split(['.', '!', '?', '\n'])
        .map(|sentence| words(sentence).collect::<Vec<_>>())
        .filter(|words| !words.is_empty())
}

/// What people and the model say, one message to a line.
fn text(messages: &[Message]) -> String {
    let spoken = messages.iter().filter(|message| message.author.role != Role::Tool);
    spoken.map(Message::text).collect::<Vec<_>>().join("\n")
}
