//! Repetitions as few rules that derive each text in one way only. It must not know what is repeated.

use crate::error::Error;
use crate::rules::{Rules, Symbol};

/// Up to so many, repetitions are written out.
const PLAIN_MAX: usize = 64;

/// A part, at least and at most so many times.
pub(super) fn between(rules: &mut Rules, part: Symbol, min: usize, max: Option<usize>) -> Result<Symbol, Error> {
    let exact = exactly(rules, part, min)?;
    let rest = match max {
        Some(max) => up_to(rules, part, max.saturating_sub(min))?,
        None => {
            let star = rules.symbol();
            rules.rule(star, &[])?;
            rules.rule(star, &[star, part])?;
            star
        }
    };
    match min {
        0 => Ok(rest),
        _ => rules.row(&[exact, rest]),
    }
}

/// A part so many times: blocks of about the root of the count, and the rest.
pub(super) fn exactly(rules: &mut Rules, part: Symbol, count: usize) -> Result<Symbol, Error> {
    if count == 0 {
        return Ok(rules.empty());
    }
    if count <= PLAIN_MAX {
        return rules.row(&vec![part; count]);
    }
    let block_parts = count.isqrt();
    let block = rules.row(&vec![part; block_parts])?;
    let mut parts = vec![block; count / block_parts];
    parts.extend(vec![part; count % block_parts]);
    rules.row(&parts)
}

/// A part at most so many times: some blocks of about the root of the count, then less than a block.
pub(super) fn up_to(rules: &mut Rules, part: Symbol, count: usize) -> Result<Symbol, Error> {
    if count <= PLAIN_MAX {
        return chain(rules, part, count).map(|chain| chain[count]);
    }
    let block_parts = count.isqrt();
    let block = exactly(rules, part, block_parts)?;
    let less = chain(rules, part, block_parts - 1)?;
    let mut symbol = less[count % block_parts];
    for _ in 0..count / block_parts {
        let next = rules.symbol();
        rules.rule(next, &[block, symbol])?;
        rules.rule(next, &[less[block_parts - 1]])?;
        symbol = next;
    }
    Ok(symbol)
}

/// Symbols for a part at most 0, 1, 2, … times.
fn chain(rules: &mut Rules, part: Symbol, count: usize) -> Result<Vec<Symbol>, Error> {
    let mut chain = vec![rules.empty()];
    for index in 0..count {
        let symbol = rules.symbol();
        rules.rule(symbol, &[])?;
        rules.rule(symbol, &[part, chain[index]])?;
        chain.push(symbol);
    }
    Ok(chain)
}
