//! Rules and automata in the library's form. It must not know what they stand for.

use std::collections::HashMap;

use llguidance::api::{GrammarInit, SkipSpec};
use llguidance::derivre::RegexAst;
use llguidance::earley::lexerspec::{LexemeIdx, LexerSpec};
use llguidance::earley::{Grammar, SymIdx, SymbolProps};

use crate::error::Error;
use crate::limits::Limits;

/// A symbol of the grammar.
pub(crate) type Symbol = SymIdx;

/// Rules being collected.
pub(crate) struct Rules {
    what: &'static str,
    grammar: Grammar,
    lexer: LexerSpec,
    start: Symbol,
    empty: Symbol,
    literals: HashMap<String, Symbol>,
    terminals: HashMap<LexemeIdx, Symbol>,
    rules_max: usize,
    lexemes_max: usize,
    fuel_max: u64,
}

impl Rules {
    /// Nothing yet; `skip` may stand once between any two lexemes.
    pub(crate) fn new(what: &'static str, skip: RegexAst, limits: &Limits) -> Result<Self, Error> {
        let of_library = |error: &dyn std::fmt::Display| Error::from_library(what, error);
        let mut lexer = LexerSpec::new().map_err(|error| of_library(&error))?;
        let class = lexer.setup_lexeme_class_with_skip(SkipSpec::once(skip)).map_err(|error| of_library(&error))?;
        lexer.regex_builder.unicode(true);
        lexer.regex_builder.utf8(true);
        let mut grammar = Grammar::new(None);
        let start = grammar
            .fresh_symbol_ext("start", SymbolProps { grammar_id: class, is_start: true, ..SymbolProps::default() });
        let empty = grammar.fresh_symbol_ext("empty", SymbolProps { grammar_id: class, ..SymbolProps::default() });
        grammar.add_rule(empty, Vec::new()).map_err(|error| of_library(&error))?;
        Ok(Self {
            what,
            grammar,
            lexer,
            start,
            empty,
            literals: HashMap::new(),
            terminals: HashMap::new(),
            rules_max: limits.rules,
            lexemes_max: limits.lexemes,
            fuel_max: limits.lexer_fuel,
        })
    }

    /// A symbol without rules.
    pub(crate) fn symbol(&mut self) -> Symbol {
        let class = self.lexer.current_class;
        self.grammar.fresh_symbol_ext("r", SymbolProps { grammar_id: class, ..SymbolProps::default() })
    }

    /// The symbol for nothing.
    pub(crate) fn empty(&self) -> Symbol {
        self.empty
    }

    /// One more way to write a symbol.
    pub(crate) fn rule(&mut self, symbol: Symbol, parts: &[Symbol]) -> Result<(), Error> {
        if self.grammar.num_symbols() > self.rules_max {
            return Err(Error::limit("the number of rules", format!("{} rules", self.rules_max)));
        }
        let parts = parts.iter().copied().filter(|part| *part != self.empty).collect();
        self.grammar.add_rule(symbol, parts).map_err(|error| Error::from_library(self.what, &error))
    }

    /// A symbol for parts in a row.
    pub(crate) fn row(&mut self, parts: &[Symbol]) -> Result<Symbol, Error> {
        if let [part] = parts {
            return Ok(*part);
        }
        let symbol = self.symbol();
        self.rule(symbol, parts)?;
        Ok(symbol)
    }

    /// A symbol for one of several.
    pub(crate) fn one_of(&mut self, options: &[Symbol]) -> Result<Symbol, Error> {
        if let [option] = options {
            return Ok(*option);
        }
        let symbol = self.symbol();
        for option in options {
            self.rule(symbol, &[*option])?;
        }
        Ok(symbol)
    }

    /// A text as it stands.
    pub(crate) fn literal(&mut self, text: &str) -> Result<Symbol, Error> {
        if let Some(symbol) = self.literals.get(text) {
            return Ok(*symbol);
        }
        let symbol = self.lexeme(RegexAst::Literal(text.to_string()))?;
        self.literals.insert(text.to_string(), symbol);
        Ok(symbol)
    }

    /// A text that an automaton accepts.
    pub(crate) fn lexeme(&mut self, regex: RegexAst) -> Result<Symbol, Error> {
        if self.lexer.lexemes.len() >= self.lexemes_max {
            return Err(Error::limit("the number of different strings and patterns", self.lexemes_max));
        }
        let of_library = |error: &dyn std::fmt::Display| Error::from_library(self.what, error);
        let index = self
            .lexer
            .add_greedy_lexeme(String::new(), regex, false, None, usize::MAX)
            .map_err(|error| of_library(&error))?;
        if let Some(symbol) = self.terminals.get(&index) {
            return Ok(*symbol);
        }
        if self.lexer.cost() > self.fuel_max {
            return Err(Error::limit(
                "the size of all strings and patterns together",
                format!("{} units", self.fuel_max),
            ));
        }
        let class = self.lexer.current_class;
        let symbol = self.grammar.fresh_symbol_ext("t", SymbolProps { grammar_id: class, ..SymbolProps::default() });
        self.grammar.make_terminal(symbol, index, &self.lexer).map_err(|error| of_library(&error))?;
        self.terminals.insert(index, symbol);
        Ok(symbol)
    }

    /// Says what the whole text is.
    pub(crate) fn start(&mut self, symbol: Symbol) -> Result<(), Error> {
        self.rule(self.start, &[symbol])
    }

    /// The grammar for the library.
    pub(crate) fn finish(self) -> GrammarInit {
        GrammarInit::Internal(self.grammar, self.lexer)
    }
}
