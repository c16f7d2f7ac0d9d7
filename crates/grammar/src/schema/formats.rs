//! The formats that strings are held to. Each is written so narrowly that every validator takes what it matches; unknown formats are
//! annotations. It must not know where a format stands.

use std::sync::LazyLock;

use regex_automata::meta::Regex;

/// The expression of a format, which matches the whole string.
pub(super) fn regex(format: &str) -> Option<&'static str> {
    FORMATS.iter().find(|(name, _)| *name == format).map(|(_, regex)| *regex)
}

/// Whether a text has a format; every text has an unknown one.
pub(super) fn holds(format: &str, text: &str) -> bool {
    let compiled = FORMATS.iter().position(|(name, _)| *name == format).and_then(|place| COMPILED.get(place));
    compiled.is_none_or(|regex| regex.as_ref().is_none_or(|regex| regex.is_match(text)))
}

static COMPILED: LazyLock<Vec<Option<Regex>>> =
    LazyLock::new(|| FORMATS.iter().map(|(_, regex)| Regex::new(&format!("^(?:{regex})$")).ok()).collect());

macro_rules! year {
    () => {
        "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
    };
}

// Leap years are those that four divides, but of whole centuries only those that 400 divides.
macro_rules! date {
    () => {
        concat!(
            "(?:",
            year!(),
            "-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))",
            "|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)-02-29)"
        )
    };
}

// Leap seconds exist, but most readers of times refuse them.
macro_rules! time {
    () => {
        "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
    };
}

macro_rules! label {
    () => {
        "[a-zA-Z0-9](?:[a-zA-Z0-9]|-[a-zA-Z0-9]){0,30}"
    };
}

// At most 253 characters: four long labels, or more that are shorter.
macro_rules! host {
    () => {
        concat!(
            "(?:(?:",
            label!(),
            "\\.){0,3}|(?:[a-zA-Z0-9](?:[a-zA-Z0-9]|-[a-zA-Z0-9]){0,8}\\.){4,8})",
            "[a-zA-Z](?:[a-zA-Z0-9]|-[a-zA-Z0-9]){0,30}"
        )
    };
}

macro_rules! ipv4 {
    () => {
        "(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
    };
}

macro_rules! ipv6 {
    () => {
        concat!(
            "(?:(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}|::(?:(?:[0-9a-fA-F]{1,4}:){0,6}[0-9a-fA-F]{1,4})?",
            "|[0-9a-fA-F]{1,4}::(?:(?:[0-9a-fA-F]{1,4}:){0,5}[0-9a-fA-F]{1,4})?",
            "|(?:[0-9a-fA-F]{1,4}:){1}[0-9a-fA-F]{1,4}::(?:(?:[0-9a-fA-F]{1,4}:){0,4}[0-9a-fA-F]{1,4})?",
            "|(?:[0-9a-fA-F]{1,4}:){2}[0-9a-fA-F]{1,4}::(?:(?:[0-9a-fA-F]{1,4}:){0,3}[0-9a-fA-F]{1,4})?",
            "|(?:[0-9a-fA-F]{1,4}:){3}[0-9a-fA-F]{1,4}::(?:(?:[0-9a-fA-F]{1,4}:){0,2}[0-9a-fA-F]{1,4})?)"
        )
    };
}

macro_rules! atom {
    () => {
        "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]"
    };
}

// At most 64 characters: two long parts, or more that are shorter.
macro_rules! local {
    () => {
        concat!("(?:", atom!(), "{1,30}(?:\\.", atom!(), "{1,30})?|", atom!(), "{1,12}(?:\\.", atom!(), "{1,12}){2,4})")
    };
}

macro_rules! path_character {
    () => {
        "(?:[a-zA-Z0-9._~!$&'()*+,;=:@-]|%[2-7][0-9A-Fa-f])"
    };
}

macro_rules! tail {
    () => {
        concat!("(?:\\?(?:", path_character!(), "|[/?])*)?(?:#(?:", path_character!(), "|[/?])*)?")
    };
}

macro_rules! uri {
    () => {
        concat!(
            "[a-zA-Z][a-zA-Z0-9+.-]*:(?://(?:[a-zA-Z0-9._~-]+@)?(?:",
            host!(),
            "|",
            ipv4!(),
            ")(?::[0-9]{1,4})?(?:/",
            path_character!(),
            "*)*|(?:[a-zA-Z0-9._~+@-]",
            path_character!(),
            "*)(?:/",
            path_character!(),
            "*)*)",
            tail!()
        )
    };
}

macro_rules! uri_reference {
    () => {
        concat!("(?:", uri!(), "|/?(?:[a-zA-Z0-9._~-]+/)*[a-zA-Z0-9._~-]*", tail!(), ")")
    };
}

const FORMATS: [(&str, &str); 19] = [
    ("date-time", concat!(date!(), "T", time!())),
    ("date", date!()),
    ("time", time!()),
    (
        "duration",
        concat!(
            "P(?:[0-9]{1,4}W|(?:[0-9]{1,4}Y(?:[0-9]{1,4}M(?:[0-9]{1,4}D)?)?|[0-9]{1,4}M(?:[0-9]{1,4}D)?|[0-9]{1,4}D)",
            "(?:T(?:[0-9]{1,4}H(?:[0-9]{1,4}M(?:[0-9]{1,4}S)?)?|[0-9]{1,4}M(?:[0-9]{1,4}S)?|[0-9]{1,4}S))?",
            "|T(?:[0-9]{1,4}H(?:[0-9]{1,4}M(?:[0-9]{1,4}S)?)?|[0-9]{1,4}M(?:[0-9]{1,4}S)?|[0-9]{1,4}S))"
        ),
    ),
    ("email", concat!(local!(), "@", host!())),
    ("idn-email", concat!(local!(), "@", host!())),
    ("hostname", host!()),
    ("idn-hostname", host!()),
    ("ipv4", ipv4!()),
    ("ipv6", ipv6!()),
    ("uri", uri!()),
    ("iri", uri!()),
    ("uri-reference", uri_reference!()),
    ("iri-reference", uri_reference!()),
    ("uri-template", uri_reference!()),
    ("uuid", "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"),
    ("json-pointer", "(?:/(?:[^~/\\x00-\\x1F]|~[01])*)*"),
    ("relative-json-pointer", "(?:0|[1-9][0-9]{0,3})(?:#|(?:/(?:[^~/\\x00-\\x1F]|~[01])*)*)"),
    ("regex", "[a-zA-Z0-9_ -]*"),
];
