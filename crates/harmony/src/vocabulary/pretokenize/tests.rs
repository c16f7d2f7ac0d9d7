//! The linear forms of the expressions against a backtracking matcher that takes them as they stand.

use proptest::prop_assert_eq;
use proptest::test_runner::TestRunner;

use super::{GPT_2, O200K, Pattern, Pretokenizer, pattern};

const LLAMA_3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

fn pieces(pretokenizer: &Pretokenizer, text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    pretokenizer.split(text, &mut |piece| pieces.push(piece.to_owned()));
    pieces
}

fn as_it_stands(expression: &str) -> Pretokenizer {
    Pretokenizer { patterns: vec![Pattern::Backtracking(Box::new(fancy_regex::Regex::new(expression).unwrap()))] }
}

#[test]
fn linear_and_backtracking_cut_alike() {
    let expressions = [O200K, GPT_2, LLAMA_3, r"\p{N}", r"[^\s]+|\s+(?!\S)"];
    let twins = expressions.map(|expression| (Pretokenizer::new([expression]).unwrap(), as_it_stands(expression)));
    for (linear, _) in &twins {
        assert!(!matches!(linear.patterns[0], Pattern::Backtracking(_)));
    }
    let texts = "[ \t\n\r\u{85}\u{a0}\u{3000}a-cA-C'sSdDtſ0-9.,!/é你🙂\u{301}]{0,40}";
    let mut runner = TestRunner::deterministic();
    let property = |text: String| {
        for (linear, twin) in &twins {
            prop_assert_eq!(pieces(linear, &text), pieces(twin, &text));
        }
        Ok(())
    };
    runner.run(&texts, property).unwrap();
}

#[test]
fn other_look_arounds_are_matched_by_backtracking() {
    assert!(matches!(pattern(r"a(?=b)|.").unwrap(), Pattern::Backtracking(_)));
    assert_eq!(pieces(&Pretokenizer::new([r"a(?=b)|bb"]).unwrap(), "aabbc"), ["a", "a", "bb", "c"]);
    assert_eq!(pieces(&Pretokenizer::new([r"(?<=x)y+"]).unwrap(), "yyxyy"), ["yyx", "yy"]);
}

#[test]
fn several_expressions_apply_one_after_the_other() {
    let pretokenizer = Pretokenizer::new([r"\p{N}{1,3}", r"[a-z]+"]).unwrap();
    assert_eq!(pieces(&pretokenizer, "abc1234-d"), ["abc", "123", "4", "-", "d"]);
}

#[test]
fn a_broken_expression_is_an_error_with_its_index() {
    assert_eq!(Pretokenizer::new([r"a", r"(b"]).err().map(|(index, _)| index), Some(1));
}

#[test]
fn a_text_on_which_the_matcher_gives_up_is_still_cut_whole() {
    let text = "a".repeat(3000);
    let pretokenizer = Pretokenizer::new([r"(?=(a|aa)+$)b|(a|aa)+(?!a)c"]).unwrap();
    assert_eq!(pieces(&pretokenizer, &text).concat(), text);
}

#[test]
fn empty_matches_cut_nothing_off() {
    assert_eq!(pieces(&Pretokenizer::new([r"b*"]).unwrap(), "abbé"), ["a", "bb", "é"]);
}
