//! What does the source say that matters here? One module a language.

pub mod rust;
