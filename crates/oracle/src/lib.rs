//! Differential tests of `harmony` against the official library. They live in a crate of their own because that library
//! brings hundreds of dependencies, which no other test build should wait for. There is no code here, only tests.
