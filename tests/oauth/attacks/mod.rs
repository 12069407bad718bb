//! Hostile providers, callers that choose URLs, and slow answers.

mod hostile_provider;
mod slow_provider;
mod ssrf;
mod token_host;
