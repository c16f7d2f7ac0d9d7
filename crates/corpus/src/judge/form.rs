//! The form of a turn: the grammar of its tokens, and which channel, content type and end belong together. It must not know
//! what the messages say.

use harmony::{HarmonyIds, ParsedMessage, Role, Terminator, Vocabulary};

const CHANNELS: [&str; 3] = ["analysis", "commentary", "final"];

/// Whether a stretch of tokens that a model wrote behind `<|start|>assistant` follows harmony's grammar to the letter: whole
/// headers, each message ended, nothing between messages, and the last one ended by `<|return|>` or `<|call|>`. The parser
/// accepts more.
#[must_use]
pub fn is_well_formed(vocabulary: &Vocabulary, tokens: &[u32]) -> bool {
    let Ok(ids) = vocabulary.harmony_ids() else { return false };
    let Some(pieces) = pieces(vocabulary, tokens) else { return false };
    let mut grammar = Grammar { ids, pieces: &pieces };
    grammar.turn().is_some()
}

/// Whether each message has the channel, content type and end that its kind has, and only the last one ends the turn.
pub(super) fn are_well_formed(messages: &[ParsedMessage]) -> bool {
    let Some((last, before)) = messages.split_last() else { return false };
    let ends_turn = matches!(last.terminator, Terminator::Return | Terminator::Call);
    // A call in the middle is one that was answered.
    let goes_on = |parsed: &ParsedMessage| matches!(parsed.terminator, Terminator::End | Terminator::Call);
    ends_turn && before.iter().all(goes_on) && messages.iter().all(is_well_formed_message)
}

fn is_well_formed_message(parsed: &ParsedMessage) -> bool {
    let ParsedMessage { message, terminator } = parsed;
    if message.author.role != Role::Assistant || message.author.name.is_some() {
        return false;
    }
    let kind = message.content_type.as_deref();
    let channel = message.channel.as_deref();
    match (message.recipient.as_deref(), channel) {
        (Some(recipient), Some("commentary")) => {
            recipient.starts_with("functions.") && kind == Some("<|constrain|>json") && *terminator == Terminator::Call
        }
        (Some(recipient), Some("analysis")) => {
            !recipient.starts_with("functions.") && kind == Some("code") && *terminator == Terminator::Call
        }
        (None, Some("analysis" | "commentary")) => kind.is_none() && *terminator == Terminator::End,
        (None, Some("final")) => kind.is_none() && *terminator == Terminator::Return,
        (Some(_) | None, _) => false,
    }
}

/// A control token, or the text between two of them.
enum Piece {
    Control(u32),
    Text(String),
}

/// The pieces of some tokens; none if a text is not UTF-8.
fn pieces(vocabulary: &Vocabulary, tokens: &[u32]) -> Option<Vec<Piece>> {
    let is_control = |id: u32| vocabulary.special_name(id).is_some();
    let mut pieces = Vec::new();
    for run in tokens.chunk_by(|&left, &right| !is_control(left) && !is_control(right)) {
        pieces.push(match run {
            &[id] if is_control(id) => Piece::Control(id),
            text => Piece::Text(String::from_utf8(vocabulary.decode_bytes(text)).ok()?),
        });
    }
    Some(pieces)
}

/// Reads pieces from the front; every rule gives nothing where the tokens break it.
struct Grammar<'a> {
    ids: HarmonyIds,
    pieces: &'a [Piece],
}

impl Grammar<'_> {
    /// Messages up to the end of the turn, which is the end of the pieces.
    fn turn(&mut self) -> Option<()> {
        let mut role_words = self.text().unwrap_or_default();
        loop {
            self.header(&role_words)?;
            // The content may be empty.
            self.text();
            match self.control()? {
                id if id == self.ids.end => {}
                id if id == self.ids.return_ || id == self.ids.call => return self.pieces.is_empty().then_some(()),
                _ => return None,
            }
            self.expect(self.ids.start)?;
            role_words = self.text()?.strip_prefix("assistant")?.to_owned();
        }
    }

    /// From behind the role to `<|message|>`: `[ to=R]<|channel|>C[ to=R][ TYPE | [ ]<|constrain|>TYPE]<|message|>`.
    fn header(&mut self, role_words: &str) -> Option<()> {
        let mut recipients = 0;
        if !role_words.is_empty() {
            is_recipient(role_words.strip_prefix(' ')?).then_some(())?;
            recipients += 1;
        }
        self.expect(self.ids.channel)?;
        let text = self.text()?;
        let mut words: Vec<&str> = text.split(' ').collect();
        CHANNELS.contains(&words.remove(0)).then_some(())?;
        if words.first().is_some_and(|word| is_recipient(word)) {
            words.remove(0);
            recipients += 1;
        }
        let constrained = matches!(self.pieces.first(), Some(Piece::Control(id)) if *id == self.ids.constrain);
        if constrained {
            self.control();
            is_word(&self.text()?).then_some(())?;
            // Nothing but a blank before the marker.
            (words.is_empty() || words == [""]).then_some(())?;
        } else {
            (words.len() <= 1 && words.iter().all(|word| is_word(word))).then_some(())?;
        }
        (recipients <= 1).then_some(())?;
        self.expect(self.ids.message)
    }

    fn expect(&mut self, id: u32) -> Option<()> {
        (self.control()? == id).then_some(())
    }

    fn control(&mut self) -> Option<u32> {
        let (Piece::Control(id), rest) = self.pieces.split_first()? else { return None };
        self.pieces = rest;
        Some(*id)
    }

    fn text(&mut self) -> Option<String> {
        let (Piece::Text(text), rest) = self.pieces.split_first()? else { return None };
        self.pieces = rest;
        Some(text.clone())
    }
}

fn is_recipient(word: &str) -> bool {
    word.strip_prefix("to=").is_some_and(is_word)
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && !word.contains(|character: char| character.is_whitespace() || character.is_control())
}
