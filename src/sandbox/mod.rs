//! A small real authorization server, for `dev` and for users' own test suites.
