-- The whole schema of a vault, version 1. New vaults are created from this file. After the first
-- release it is not changed any more: later versions are steps in src/store/schema.rs.
--
-- Confidential data is in sealed columns: records of the form `format 1 | data-key version 4 |
-- nonce 24 | ciphertext | tag 16` (src/vault/crypto/record.rs). The other columns are authenticated
-- with the record, unless a comment says that they decide nothing. Times are Unix seconds.
-- `data_key` repeats the key version in the record, so that rotation finds records under an old
-- key.

-- Free pages can be returned to the file system in small steps. SQLite accepts this setting for an
-- empty file only.
PRAGMA auto_vacuum = INCREMENTAL;
-- "SRVT" in ASCII. Files of unreleased versions have another id.
PRAGMA application_id = 0x53525654;

-- One row: the identity of the vault. `key_check` verifies the root key. `keyring_mac` covers this
-- row, every slot and every key.
CREATE TABLE vault (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    vault_id BLOB NOT NULL CHECK (length(vault_id) = 16),
    created_at INTEGER NOT NULL,
    key_check BLOB NOT NULL CHECK (length(key_check) = 16),
    keyring_mac BLOB NOT NULL CHECK (length(keyring_mac) = 32)
) STRICT;

-- One row, written by the readiness probe to test whether the vault can be written. Decides
-- nothing.
CREATE TABLE probe (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    at INTEGER NOT NULL
) STRICT;

-- One row for each master key that opens the vault. The Argon2id parameters are set for passphrases
-- only. `checksum` is a CRC-32 without a key; it distinguishes a damaged slot from a wrong
-- passphrase.
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

-- The keyring: random keys, each wrapped by the key-encryption key. A destroyed key keeps its row
-- and loses its bytes.
CREATE TABLE key (
    purpose TEXT NOT NULL CHECK (purpose IN ('data', 'audit', 'api_key')),
    version INTEGER NOT NULL CHECK (version > 0),
    state TEXT NOT NULL CHECK (state IN ('current', 'retired', 'destroyed')),
    created_at INTEGER NOT NULL,
    wrapped BLOB CHECK ((wrapped IS NULL) = (state = 'destroyed')),
    PRIMARY KEY (purpose, version)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX key_current ON key (purpose) WHERE state = 'current';

-- Users. `sealed` holds no data yet; it proves that Strongroom wrote the row.
CREATE TABLE user (
    id TEXT NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    data_key INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Credentials as lists show them. `summary` holds title, scopes, username, host, account and
-- client. Ids are UUIDs of version 7, so the primary key orders a user's credentials by age.
-- `in_doubt` marks a refresh whose answer was not received. `last_used_at` changes with every use;
-- `refresh_at` is the time of the next background refresh. Neither is authenticated, and neither
-- decides anything.
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

-- Secrets of credentials, in a table of their own: listing never reads a page that contains
-- secrets.
CREATE TABLE credential_secret (
    user TEXT NOT NULL,
    id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    data_key INTEGER NOT NULL,
    secret BLOB NOT NULL,
    PRIMARY KEY (user, id),
    FOREIGN KEY (user, id) REFERENCES credential (user, id)
) STRICT, WITHOUT ROWID;

-- Records and sealed bytes of each user that has any, counted with every change, so that quotas need
-- no scan. Verification counts again.
CREATE TABLE usage (
    user TEXT NOT NULL PRIMARY KEY,
    credentials INTEGER NOT NULL,
    credential_bytes INTEGER NOT NULL,
    logins INTEGER NOT NULL,
    login_bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Pending logins, found by a keyed hash of the state token. `sealed` holds the rest.
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

-- Requests that a person approves: `sealed` has the request. Each is of one API key, and found by a
-- keyed hash of the request.
CREATE TABLE approval (
    id TEXT NOT NULL PRIMARY KEY,
    key TEXT NOT NULL,
    credential TEXT NOT NULL,
    lookup TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'denied')),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    data_key INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX approval_key ON approval (key, lookup);
CREATE INDEX approval_credential ON approval (credential);

-- API keys: only an HMAC of each key, under a key of the keyring. `mac` covers the whole row, with
-- the grants of the key.
CREATE TABLE api_key (
    id TEXT NOT NULL PRIMARY KEY,
    lookup BLOB NOT NULL UNIQUE CHECK (length(lookup) = 32),
    name TEXT,
    user TEXT,
    service INTEGER NOT NULL CHECK (service IN (0, 1)),
    users TEXT NOT NULL,
    permissions TEXT NOT NULL,
    providers TEXT NOT NULL,
    credentials TEXT NOT NULL,
    grants_only INTEGER NOT NULL CHECK (grants_only IN (0, 1)),
    grants BLOB NOT NULL,
    tunnel_unmatched INTEGER NOT NULL CHECK (tunnel_unmatched IN (0, 1)),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    revision INTEGER NOT NULL,
    key_version INTEGER NOT NULL,
    mac BLOB NOT NULL CHECK (length(mac) = 32)
) STRICT, WITHOUT ROWID;

-- Tokens of deleted credentials that still have to be revoked at the provider, until `give_up_at`
-- at the latest.
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

-- Client registrations (RFC 7591), found by a keyed hash of issuer and redirect URI. `sealed` holds
-- the rest.
CREATE TABLE client_registration (
    lookup BLOB NOT NULL PRIMARY KEY CHECK (length(lookup) = 32),
    created_at INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    data_key INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Private keys with which Strongroom authenticates to providers (RFC 7523), by thumbprint. The
-- newest signs; all are published.
CREATE TABLE signing_key (
    id TEXT NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    data_key INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- One row, sealed: the number of records and a sum of keyed hashes over them, the same for API
-- keys, and length and head of the audit chain. `epoch` grows by one with every change.
CREATE TABLE manifest (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL,
    data_key INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

-- The audit log, written in the transaction of the audited action. `mac` is keyed and covers the
-- row and the `mac` of the row before.
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

-- Finds the removal of a user among the rows since a login began.
CREATE INDEX audit_user_removal ON audit (user, seq) WHERE action = 'user.remove';

-- Finds the use of an approval, so that one that is put back counts no more.
CREATE INDEX audit_approval_use ON audit (subject) WHERE action = 'approval.use';
