-- The whole schema of a vault, version 1. A new vault is made from this file. After the first release this file stays as it is,
-- and later versions are steps in src/store/schema.rs.
--
-- Whatever is confidential is in a sealed column: a record `format 1 | data-key version 4 | nonce 24 | ciphertext |
-- tag 16` (src/vault/record.rs). The other columns are authenticated with it, unless a comment says that they
-- decide nothing. Times are Unix seconds. `data_key` repeats the version in the record, so that rotation can find
-- what is still sealed under an old key.

-- Free pages can be given back to the file system a few at a time. Only an empty file takes this setting.
PRAGMA auto_vacuum = INCREMENTAL;
-- "SRVT". Files of the unreleased versions have another one.
PRAGMA application_id = 0x53525654;

-- One row: the identity of the vault. `key_check` tells whether a root is the right one; `keyring_mac` covers this
-- row, every slot and every key.
CREATE TABLE vault (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    vault_id BLOB NOT NULL CHECK (length(vault_id) = 16),
    created_at INTEGER NOT NULL,
    key_check BLOB NOT NULL CHECK (length(key_check) = 16),
    keyring_mac BLOB NOT NULL CHECK (length(keyring_mac) = 32)
) STRICT;

-- One row, written by the readiness probe to find out whether the vault can be written. It decides nothing.
CREATE TABLE probe (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    at INTEGER NOT NULL
) STRICT;

-- One row for each master key that opens the vault. Argon2id's parameters are there for passphrases alone. `checksum`
-- is a CRC-32 without a key: it tells a damaged slot from a wrong passphrase.
CREATE TABLE slot (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('key', 'passphrase')),
    created_at INTEGER NOT NULL,
    memory_kib INTEGER,
    time_cost INTEGER,
    lanes INTEGER,
    salt BLOB,
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 8),
    wrapped_root BLOB NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;

-- The keyring: random keys, each wrapped by the key-encryption key. A destroyed key keeps its row and loses its bytes.
CREATE TABLE key (
    purpose TEXT NOT NULL CHECK (purpose IN ('data', 'audit', 'api_key')),
    version INTEGER NOT NULL CHECK (version > 0),
    state TEXT NOT NULL CHECK (state IN ('current', 'retired', 'destroyed')),
    created_at INTEGER NOT NULL,
    wrapped BLOB CHECK ((wrapped IS NULL) = (state = 'destroyed')),
    PRIMARY KEY (purpose, version)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX key_current ON key (purpose) WHERE state = 'current';

-- Whose credentials they are. `sealed` holds nothing yet; it proves that Strongroom wrote the row.
CREATE TABLE user (
    id TEXT NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    data_key INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- A credential as lists show it. `summary` holds title, scopes, username, host, account and client. Ids are UUIDs of
-- version 7, so that the primary key sorts a user's credentials oldest first. `in_doubt` marks a refresh whose answer
-- never came. `last_used_at` changes with every use; `refresh_at` is when the background refresh looks at it next. Neither is
-- authenticated, and neither decides anything.
CREATE TABLE credential (
    user TEXT NOT NULL REFERENCES user (id),
    id TEXT NOT NULL,
    provider TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    in_doubt INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER,
    refresh_at INTEGER,
    revision INTEGER NOT NULL,
    secret_revision INTEGER NOT NULL,
    data_key INTEGER NOT NULL,
    summary BLOB NOT NULL,
    PRIMARY KEY (user, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX credential_provider ON credential (user, provider);
CREATE INDEX credential_refresh ON credential (refresh_at) WHERE refresh_at IS NOT NULL;

-- Its secret, apart, so that listing never reads a page with secrets on it.
CREATE TABLE credential_secret (
    user TEXT NOT NULL,
    id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    data_key INTEGER NOT NULL,
    secret BLOB NOT NULL,
    PRIMARY KEY (user, id),
    FOREIGN KEY (user, id) REFERENCES credential (user, id)
) STRICT, WITHOUT ROWID;

-- A login that was begun, found again by a keyed hash of its state token. `sealed` holds the rest.
CREATE TABLE pending_authorization (
    state_hash BLOB NOT NULL PRIMARY KEY CHECK (length(state_hash) = 32),
    user TEXT NOT NULL,
    provider TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    data_key INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX pending_authorization_expiry ON pending_authorization (expires_at);
CREATE INDEX pending_authorization_user ON pending_authorization (user);

-- What programs present: never the key, but an HMAC of it under a key of the keyring. `mac` covers the whole row.
CREATE TABLE api_key (
    id TEXT NOT NULL PRIMARY KEY,
    lookup BLOB NOT NULL UNIQUE CHECK (length(lookup) = 32),
    name TEXT,
    user TEXT,
    service INTEGER NOT NULL CHECK (service IN (0, 1)),
    users TEXT NOT NULL,
    permissions TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    revision INTEGER NOT NULL,
    key_version INTEGER NOT NULL,
    mac BLOB NOT NULL CHECK (length(mac) = 32)
) STRICT, WITHOUT ROWID;

-- Tokens of deleted credentials that are still to be revoked at the provider, at most until `give_up_at`.
CREATE TABLE revocation (
    id TEXT NOT NULL PRIMARY KEY,
    user TEXT NOT NULL,
    provider TEXT NOT NULL,
    credential TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    give_up_at INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    data_key INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX revocation_due ON revocation (not_before);

-- Client registrations (RFC 7591), found by a keyed hash of issuer and redirect URI. `sealed` holds the rest.
CREATE TABLE client_registration (
    lookup BLOB NOT NULL PRIMARY KEY CHECK (length(lookup) = 32),
    created_at INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    data_key INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Private keys with which Strongroom authenticates to providers (RFC 7523), by thumbprint. The newest signs; all are published.
CREATE TABLE signing_key (
    id TEXT NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    data_key INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- One row, sealed: how many records there are, a sum of keyed hashes over them, the same for API keys, and length and
-- head of the audit chain. `epoch` goes up by one with every change.
CREATE TABLE manifest (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL,
    data_key INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

-- Who did what, in the transaction that did it. `mac` is keyed and covers the row and the `mac` before it.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    action TEXT NOT NULL,
    result TEXT NOT NULL,
    actor TEXT NOT NULL,
    user TEXT,
    provider TEXT,
    credential TEXT,
    subject TEXT,
    address TEXT,
    request_id TEXT,
    key_version INTEGER NOT NULL,
    mac BLOB NOT NULL CHECK (length(mac) = 32)
) STRICT;
