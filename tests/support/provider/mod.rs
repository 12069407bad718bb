//! Providers for tests: recorded, hostile, misbehaving, and what stands between them and the server.

pub mod acme;
pub mod authority;
pub mod connect_proxy;
pub mod hostile;
pub mod misbehaviours;
pub mod names;
pub mod peers;
pub mod recording;
pub mod relay;
