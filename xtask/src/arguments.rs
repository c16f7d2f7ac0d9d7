//! Command-line arguments, taken one by one; whatever nobody took is an error.

use crate::error::{Error, Result};

pub(crate) struct Arguments {
    rest: Vec<String>,
}

impl Arguments {
    pub(crate) fn new(arguments: impl Iterator<Item = String>) -> Self {
        Self { rest: arguments.collect() }
    }

    /// The first argument, if it is not an option. Take options before positionals that may follow them.
    pub(crate) fn positional(&mut self) -> Option<String> {
        let first = self.rest.first()?;
        let is_value = !first.starts_with('-') || first == "--help";
        is_value.then(|| self.rest.remove(0))
    }

    /// Whether `name` was given.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let at = self.rest.iter().position(|argument| argument == name);
        at.map(|at| self.rest.remove(at)).is_some()
    }

    /// The value after `name`, or after `name=`.
    pub(crate) fn option(&mut self, name: &str) -> Result<Option<String>> {
        let joined = self
            .rest
            .iter()
            .position(|argument| argument.strip_prefix(name).is_some_and(|value| value.starts_with('=')));
        if let Some(at) = joined {
            return Ok(Some(self.rest.remove(at)[name.len() + 1..].to_string()));
        }
        let Some(at) = self.rest.iter().position(|argument| argument == name) else {
            return Ok(None);
        };
        if at + 1 == self.rest.len() {
            return Err(Error::Usage(format!("{name} needs a value")));
        }
        self.rest.remove(at);
        Ok(Some(self.rest.remove(at)))
    }

    /// The value of `name` as a number.
    pub(crate) fn number<N: std::str::FromStr>(&mut self, name: &str) -> Result<Option<N>> {
        let Some(text) = self.option(name)? else {
            return Ok(None);
        };
        let parsed = text.parse().map_err(|_| Error::Usage(format!("{name} {text}: expected a whole number")));
        parsed.map(Some)
    }

    /// Refuses what is left over.
    pub(crate) fn finish(&self) -> Result<()> {
        match self.rest.first() {
            None => Ok(()),
            Some(first) => Err(Error::Usage(format!("unexpected argument {first:?}; try `cargo xtask help`"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Arguments;

    fn arguments(line: &str) -> Arguments {
        Arguments::new(line.split(' ').map(String::from))
    }

    #[test]
    fn options_in_any_order() {
        let mut arguments = arguments("synth tiny --fused --seed 7 --out=there");
        assert_eq!(arguments.positional().as_deref(), Some("synth"));
        assert_eq!(arguments.number::<u64>("--seed").unwrap(), Some(7));
        assert_eq!(arguments.option("--out").unwrap().as_deref(), Some("there"));
        assert_eq!(arguments.option("--dense").unwrap(), None);
        assert!(arguments.flag("--fused"));
        assert_eq!(arguments.positional().as_deref(), Some("tiny"));
        arguments.finish().unwrap();
    }

    #[test]
    fn mistakes_are_refused() {
        assert!(arguments("--seed").number::<u64>("--seed").is_err());
        assert!(arguments("--seed x").number::<u64>("--seed").is_err());
        assert!(arguments("--sneed 7").finish().is_err());
        assert!(arguments("--sneed 7").positional().is_none());
    }
}
