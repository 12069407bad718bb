//! The settings: TOML and the environment over it, checked; nothing else in the program reads either.
