//! Seals and opens: master key, keyring, record, credential, state, API key, audit.
