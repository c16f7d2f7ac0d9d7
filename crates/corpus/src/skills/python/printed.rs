//! How Python prints numbers. It must not know what is computed.

/// What `print(round(value, 2))` writes for a float: the shortest digits that read back, with at least one decimal.
pub(super) fn rounded(value: f64) -> String {
    // Both Python and Rust round the exact binary value to the nearest decimal, ties to even.
    let rounded: f64 = format!("{value:.2}").parse().expect("a formatted number is a number");
    format!("{rounded:?}")
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn floats_are_printed_as_python_prints_them() {
        // From CPython: round(2.675, 2), round(0.125, 2), round(42 * 1.609344, 2), round(10.0, 2), round(-1.004, 2).
        let cases = [(2.675, "2.67"), (0.125, "0.12"), (42.0 * 1.609344, "67.59"), (10.0, "10.0"), (-1.004, "-1.0")];
        for (value, text) in cases {
            assert_eq!(rounded(value), text);
        }
    }
}
