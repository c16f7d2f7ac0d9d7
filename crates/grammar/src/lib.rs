//! Grammars over tokens: which tokens may continue a text that must fit a JSON Schema, a regular expression or a grammar. It must not
//! know conversations, requests or HTTP.
