//! Text that may still turn out to be a stop text is held back, and log probabilities stay with their text. It must not know
//! messages.

use crate::event::TokenLogprob;

/// Watches text for the texts that end it. Which one is found, and where, does not depend on how the text is cut into pieces: it
/// is the one that is complete first, and of those that end together the one that began first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stops {
    texts: Vec<String>,
}

/// Text on its way out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outlet {
    stops: Stops,
    /// Not given out yet.
    held: String,
    /// Bytes of text given out.
    given: usize,
    /// Log probabilities not given out yet, each with the place where its token's text begins.
    logprobs: Vec<(usize, TokenLogprob)>,
    /// Whether a token is given out before its text where it cannot belong to a stop text.
    is_eager: bool,
}

/// What may be given out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Given {
    pub(crate) text: String,
    pub(crate) logprobs: Vec<TokenLogprob>,
    /// Which stop text has come; nothing may follow.
    pub(crate) stopped: Option<usize>,
}

impl Stops {
    /// Empty texts would end everything at once and are passed over.
    pub(crate) fn new(texts: &[String]) -> Self {
        Self { texts: texts.to_vec() }
    }

    fn is_empty(&self) -> bool {
        self.texts.iter().all(String::is_empty)
    }

    /// Where the first complete stop text begins, and which it is.
    fn find(&self, text: &str) -> Option<(usize, usize)> {
        let given = self.texts.iter().enumerate().filter(|(_, stop)| !stop.is_empty());
        let found = given.filter_map(|(which, stop)| text.find(stop.as_str()).map(|at| (at + stop.len(), at, which)));
        found.min().map(|(_, at, which)| (at, which))
    }

    /// How many bytes at the end of the text may be the beginning of a stop text.
    fn unsure(&self, text: &str) -> usize {
        let beginnings = |stop: &str| {
            let ends = stop.char_indices().map(|(at, _)| at).filter(|&at| at > 0);
            ends.filter(|&at| text.ends_with(&stop[..at])).max().unwrap_or(0)
        };
        self.texts.iter().map(|stop| beginnings(stop)).max().unwrap_or(0)
    }
}

impl Outlet {
    pub(crate) fn new(stops: Stops) -> Self {
        Self { stops, ..Self::default() }
    }

    /// One that gives tokens out as soon as it is sure that they stay, even before the rest of their characters has come.
    pub(crate) fn eager(stops: Stops) -> Self {
        Self { is_eager: true, ..Self::new(stops) }
    }

    /// A token comes whose text, or the first part of it, is pushed next.
    pub(crate) fn token(&mut self, logprob: TokenLogprob) {
        self.logprobs.push((self.given + self.held.len(), logprob));
    }

    /// Takes text and gives out what is sure.
    pub(crate) fn push(&mut self, text: &str) -> Given {
        self.held.push_str(text);
        match self.stops.find(&self.held) {
            Some((at, which)) => {
                let given = self.give(at);
                self.held.clear();
                self.logprobs.clear();
                Given { stopped: Some(which), ..given }
            }
            None => self.give(self.held.len() - self.stops.unsure(&self.held)),
        }
    }

    /// Gives out the rest: nothing more will come.
    pub(crate) fn finish(&mut self) -> Given {
        let mut given = self.give(self.held.len());
        given.logprobs.extend(self.logprobs.drain(..).map(|(_, logprob)| logprob));
        given
    }

    fn give(&mut self, bytes: usize) -> Given {
        let text: String = self.held.drain(..bytes).collect();
        self.given += bytes;
        let waits = !self.is_eager || !self.stops.is_empty();
        let sure = self.logprobs.partition_point(|&(begin, _)| begin < self.given || !waits);
        let logprobs = self.logprobs.drain(..sure).map(|(_, logprob)| logprob).collect();
        Given { text, logprobs, stopped: None }
    }
}

impl Given {
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.logprobs.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outlet(stops: &[&str]) -> Outlet {
        Outlet::new(Stops::new(&stops.iter().map(|&stop| stop.to_owned()).collect::<Vec<_>>()))
    }

    /// All that is given out of pieces, and which stop text came.
    fn run(stops: &[&str], pieces: &[&str]) -> (String, Option<usize>) {
        let mut outlet = outlet(stops);
        let mut text = String::new();
        for piece in pieces {
            let given = outlet.push(piece);
            text.push_str(&given.text);
            if given.stopped.is_some() {
                return (text, given.stopped);
            }
        }
        text.push_str(&outlet.finish().text);
        (text, None)
    }

    #[test]
    fn a_stop_text_is_found_across_pieces_and_what_only_looked_like_one_is_given_out() {
        assert_eq!(run(&["END"], &["one E", "N", "D two"]), ("one ".into(), Some(0)));
        assert_eq!(run(&["END"], &["one E", "N", "x two EN"]), ("one ENx two EN".into(), None));
        assert_eq!(run(&["abcd", "bc"], &["ab", "cd"]), ("a".into(), Some(1)), "the first that is complete");
        assert_eq!(run(&["bc", "abc"], &["abc"]), (String::new(), Some(1)), "the one that began first");
        assert_eq!(run(&["", "é!"], &["aé", "é", "!"]), ("aé".into(), Some(1)));
    }

    #[test]
    fn log_probabilities_stay_with_their_text() {
        let logprob = |id| TokenLogprob { id, bytes: Vec::new(), logprob: 0.0, top: Vec::new() };
        let ids = |given: &Given| given.logprobs.iter().map(|logprob| logprob.id).collect::<Vec<_>>();
        let mut outlet = outlet(&["END"]);
        outlet.token(logprob(1));
        assert_eq!(ids(&outlet.push("xE")), [1], "a part of it is shown");
        outlet.token(logprob(2));
        assert_eq!(ids(&outlet.push("N")), [0; 0]);
        outlet.token(logprob(3));
        let given = outlet.push("y");
        assert_eq!((given.text.as_str(), ids(&given)), ("ENy", vec![2, 3]));
        outlet.token(logprob(4));
        // The first half of a character has no text yet.
        assert_eq!(ids(&outlet.push("")), [0; 0]);
        outlet.token(logprob(5));
        assert_eq!(ids(&outlet.push("é")), [4, 5]);
        outlet.token(logprob(6));
        let given = outlet.push("zEND");
        assert_eq!((ids(&given), given.stopped), (vec![6], Some(0)));
        let mut outlet = super::tests::outlet(&["END"]);
        outlet.token(logprob(7));
        assert_eq!(ids(&outlet.push("END")), [0; 0], "the stop text's own are not told");
    }

    proptest! {
        #[test]
        fn how_the_text_is_cut_changes_nothing(text in "[ab]{0,24}", stops in prop::collection::vec("[ab]{1,4}", 0..3), cuts in prop::collection::vec(0_usize..24, 0..6)) {
            let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&str> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            let single: Vec<&str> = text.split("").filter(|piece| !piece.is_empty()).collect();
            let (given, which) = run(&stops, &single);
            prop_assert_eq!(run(&stops, &pieces), (given.clone(), which));
            prop_assert!(stops.iter().all(|stop| !given.contains(stop)));
            prop_assert!(which.is_some() || given == text);
        }
    }
}
