//! The door: routes, requests, answers.
